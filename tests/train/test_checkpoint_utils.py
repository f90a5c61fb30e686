"""Looking into checkpoints, and initialising variables from them."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import millstream.v1 as tf
from millstream.io.bundle_writer import BundleWriter

RECORDED = str(Path(__file__).parent.parent / "io" / "data" / "tensorflow")


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def write(prefix: Path, **tensors: Any) -> str:
    with BundleWriter(str(prefix)) as writer:
        for name, value in tensors.items():
            array = np.asarray(value)
            writer.add(name.replace("__", "/"), array, tf.as_dtype(array.dtype))
        writer.finish()
    return str(prefix)


def test_reader() -> None:
    reader = tf.train.NewCheckpointReader(f"{RECORDED}/mixed")
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert shapes["w"] == [2, 3] and shapes["scalar"] == [] and shapes["part"] == [10, 4] and shapes["empty"] == [0, 7]
    assert dtypes["w"] is tf.float32 and dtypes["text"] is tf.string and dtypes["brain"] is tf.bfloat16
    assert reader.has_tensor("w") and not reader.has_tensor("v")
    assert type(reader.get_tensor("scalar")) is np.float64 and reader.get_tensor("scalar") == -1.5
    assert reader.get_tensor("brain").dtype == ml_dtypes.bfloat16
    assert reader.get_tensor("line") == b"one" and reader.get_tensor("text").tolist()[:2] == [b"hello", b""]
    assert reader.get_tensor("part").shape == (10, 4)
    assert b"\nw (DT_FLOAT) [2,3]\n" in reader.debug_string() and b"\nline (DT_STRING) []\n" in reader.debug_string()
    assert reader.has_tensor(b"w") and reader.get_tensor(b"line") == b"one"
    with pytest.raises(tf.errors.NotFoundError, match="Key v not found in checkpoint"):
        reader.get_tensor("v")
    with pytest.raises(TypeError, match="int"):
        reader.get_tensor(3)


def test_quantized_tensors(tmp_path: Path) -> None:
    with BundleWriter(str(tmp_path / "m")) as writer:
        writer.add("q", np.int8([1, 2]), tf.qint8)
        writer.finish()
    assert tf.train.load_variable(str(tmp_path / "m"), "q").dtype == np.dtype(tf.qint8.as_numpy_dtype)


def test_folders_and_prefixes(tmp_path: Path) -> None:
    assert tf.train.list_variables(RECORDED) == [("global_step", []), ("scope/r", [1, 1]), ("v", [2])]
    assert tf.train.load_variable(RECORDED, "global_step") == 2
    assert tf.train.load_variable(f"{RECORDED}/trained-1", "global_step:0") == 1
    assert tf.train.load_checkpoint(RECORDED).has_tensor("v")
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file or checkpoints in given directory"):
        tf.train.load_checkpoint(str(tmp_path))
    with pytest.raises(tf.errors.NotFoundError, match="Failed to find any matching files for none"):
        tf.train.load_checkpoint("none")


def test_initialising_variables(tmp_path: Path) -> None:
    prefix = write(tmp_path / "m", a=1.5, old__x=[1.0, 2.0], old__deep__y=[3.0])
    a = tf.get_variable("a", [], tf.float64)
    with tf.variable_scope("new"):
        x = tf.get_variable("x", [2], tf.float64, use_resource=True)
        with tf.variable_scope("deep"):
            y = tf.get_variable("y", [1], tf.float64)
    other = tf.get_variable("other", initializer=9.0)
    tf.train.init_from_checkpoint(prefix, {"a": "a", "old/": "new/"})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert [value.tolist() for value in session.run([a, x, y, other])] == [1.5, [1, 2], [3], 9]
        assert session.run(a.initial_value) == 1.5


def test_initialising_without_scopes_and_from_parts(tmp_path: Path) -> None:
    prefix = write(tmp_path / "m", x=[1.0, 2.0, 3.0])
    with tf.variable_scope("s"):
        x = tf.get_variable("x", [3], tf.float64)
    parts = []
    for start, length in ((0, 1), (1, 2)):
        part = tf.Variable(np.zeros(length))
        part._set_save_slice_info(tf.Variable.SaveSliceInfo("whole", [3], [start], [length]))
        parts.append(part)
    tf.train.init_from_checkpoint(prefix, {"/": "s/"})
    tf.train.init_from_checkpoint(prefix, {"x": parts})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert [value.tolist() for value in session.run([x, *parts])] == [[1, 2, 3], [1], [2, 3]]


def test_wrong_assignments(tmp_path: Path) -> None:
    prefix = write(tmp_path / "m", x=[1.0, 2.0, 3.0])
    v = tf.get_variable("v", [2], tf.float64)
    with pytest.raises(ValueError, match="Tensor y is not found in .* checkpoint"):
        tf.train.init_from_checkpoint(prefix, {"y": v})
    with pytest.raises(ValueError, match=r"variable v:0 \(\(2,\)\) doesn't match with shape of tensor x \(\[3\]\)"):
        tf.train.init_from_checkpoint(prefix, {"x": v})
    with pytest.raises(ValueError, match="Assignment map with scope only name z should map to scope only x."):
        tf.train.init_from_checkpoint(prefix, {"x": "z/"})
