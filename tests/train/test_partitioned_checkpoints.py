"""Partitioned variables and checkpoints: slices in files, and values that come from them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from round_trips import checkpoints, goldens

import millstream.v1 as tf

TABLE = np.arange(10, dtype=np.float32).reshape(5, 2)
PARTS = [None, 1, 2, 5]


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """A checkpoint with `s/v` in three parts, their slots, and `s/w`."""
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope("s"):
            v = variable(3, TABLE)
            tf.get_variable("w", initializer=[1.0, 2.0])
        tf.train.MomentumOptimizer(0.0, 0.5).minimize(tf.reduce_sum(v.as_tensor()))
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(tmp_path / "model"), write_meta_graph=False)


def variable(parts: int | None, value: Any = None, **options: Any) -> Any:
    partitioner = None if parts is None else tf.fixed_size_partitioner(parts)
    value = tf.constant(TABLE * 0 if value is None else value)
    return tf.get_variable("v", initializer=value, partitioner=partitioner, **options)


def initialized(tensor: Any) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tf.convert_to_tensor(tensor))


def test_files_are_those_of_tensorflow(tmp_path: Path) -> None:
    artefact = checkpoints.PartitionedVariable()
    artefact.write(tf, str(tmp_path))
    with zipfile.ZipFile(goldens.path_of(artefact, "tf1")) as recorded:
        names = [name for name in recorded.namelist() if "model." in name]
        assert len(names) == 2
        for name in names:
            assert recorded.read(name) == (tmp_path / Path(name).name).read_bytes()


def test_names_in_checkpoints(checkpoint: str) -> None:
    assert tf.train.list_variables(checkpoint) == [("s/v", [5, 2]), ("s/v/Momentum", [5, 2]), ("s/w", [2])]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("resource", [False, True])
def test_savers(checkpoint: str, parts: int | None, resource: bool) -> None:
    v = variable(parts, use_resource=resource)
    with tf.Session() as session:
        tf.train.Saver({"s/v": v}).restore(session, checkpoint)
        assert (session.run(tf.convert_to_tensor(v)) == TABLE).all()


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(
    "assignments",
    [
        lambda v: {"s/": "t/"},
        lambda v: {"s/v": "t/v"},
        lambda v: {"s/v": v},
        lambda v: {"s/v": v if isinstance(v, tf.Variable) else list(v)},
    ],
)
def test_init_from_checkpoint(checkpoint: str, parts: int | None, assignments: Any) -> None:
    with tf.variable_scope("t"):
        v = variable(parts)
    if parts is not None:
        tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(v.as_tensor()))  # slots of parts are left alone
    tf.train.init_from_checkpoint(checkpoint, assignments(v))
    assert (initialized(v) == TABLE).all()


def test_parts_that_take_whole_tensors(checkpoint: str) -> None:
    parts = list(tf.get_variable("u", [4], initializer=tf.zeros_initializer, partitioner=lambda **_: [2]))
    tf.train.init_from_checkpoint(checkpoint, {"s/w": parts[1]})
    assert initialized(tf.concat(parts, 0)).tolist() == [0, 0, 1, 2]
    tf.train.init_from_checkpoint(checkpoint, {"s/w": "u/part_0"})
    assert initialized(tf.concat(parts, 0)).tolist() == [1, 2, 1, 2]
    with pytest.raises(ValueError, match=r"Shape of variable u/part_0:0 \(\(2,\)\) doesn't match with shape of tensor"):
        tf.train.init_from_checkpoint(checkpoint, {"s/w": parts})


@pytest.mark.parametrize("parts", PARTS)
def test_warm_start(checkpoint: str, parts: int | None, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "new").write_text("e\nx\na\nb\n")
    words = tf.train.VocabInfo(
        str(tmp_path / "new"), 4, 1, str(tmp_path / "old"), backup_initializer=lambda shape, **_: tf.fill(shape, 9.0)
    )
    with tf.variable_scope("s"):
        v = variable(parts)
    tf.train.warm_start(checkpoint, var_name_to_vocab_info={"s/v": words})
    assert initialized(v).tolist() == [[8, 9], [9, 9], [0, 1], [2, 3], [9, 9]]


@pytest.mark.parametrize("parts", PARTS)
def test_remapped_matrices(checkpoint: str, parts: int | None, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "new").write_text("c\nx\na\nb\n")
    make = tf.contrib.framework.load_and_remap_matrix_initializer(
        checkpoint, "s/v", 4, 2, new_row_vocab_file=str(tmp_path / "new"), old_row_vocab_file=str(tmp_path / "old"),
        num_row_oov_buckets=1, initializer=lambda shape, **_: tf.fill(shape, 7.0),
    )  # fmt: skip
    partitioner = None if parts is None else tf.fixed_size_partitioner(parts)
    v = tf.get_variable("v", [5, 2], initializer=make, partitioner=partitioner)
    assert initialized(v).tolist() == [[4, 5], [7, 7], [0, 1], [2, 3], [7, 7]]


def test_contrib_framework(checkpoint: str) -> None:
    with tf.variable_scope("s"):
        v = variable(2)
    operation, feeds = tf.contrib.framework.assign_from_checkpoint(checkpoint, tf.global_variables())
    restore = tf.contrib.framework.assign_from_checkpoint_fn(checkpoint, tf.global_variables())
    for run in (lambda session: session.run(operation, feeds), restore):
        with tf.Session() as session:
            run(session)
            assert (session.run(v.as_tensor()) == TABLE).all()
