"""The operations that save and restore."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modes import MODES, callable_in

import millstream.v1 as tf

ops = tf.raw_ops


@pytest.fixture
def graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any) -> Any:
    with tf.Session() as session:
        return session.run(fetches)


@pytest.mark.parametrize("mode", MODES)
def test_round_trip(mode: str, tmp_path: Path) -> None:
    prefix = str(tmp_path / "m")

    def build(x: Any) -> Any:
        saved = ops.SaveV2(prefix=prefix, tensor_names=["a", "b"], shape_and_slices=["", ""], tensors=[x, ["s"]])
        with tf.control_dependencies([saved] if saved is not None else []):
            return ops.RestoreV2(
                prefix=prefix, tensor_names=["b", "a"], shape_and_slices=["", ""], dtypes=[tf.string, tf.float32]
            )

    with callable_in(mode, build, [(np.float32, (None,))]) as call:
        text, numbers = call(np.float32([1, 2]))
        assert text.tolist() == [b"s"] and numbers.tolist() == [1, 2]


def save(prefix: Path, names: list[str], slices: list[str], tensors: list[Any]) -> Any:
    return ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=slices, tensors=tensors)


def restore(prefix: Path, name: str, text: str = "", dtype: Any = tf.float64) -> Any:
    return ops.RestoreV2(prefix=str(prefix), tensor_names=[name], shape_and_slices=[text], dtypes=[dtype])[0]


@pytest.mark.usefixtures("graph")
def test_slices(tmp_path: Path) -> None:
    value = np.arange(8.0).reshape(4, 2)
    run(save(tmp_path / "m", ["w", "w", "v"], ["4 2 0,1:-", "4 2 1,3:-", ""], [value[:1], value[1:], value]))
    for name in "wv":
        part = restore(tmp_path / "m", name, "4 2 2,2:1,1")
        assert part.shape == (2, 1)  # known beforehand
        assert run(part).tolist() == [[5], [7]]
    assert restore(tmp_path / "m", "w").shape.ndims is None


@pytest.mark.usefixtures("graph")
def test_errors(tmp_path: Path) -> None:
    prefix = tmp_path / "m"
    run(save(prefix, ["w"], [""], [np.zeros((2, 2))]))
    for tensor, error, message in [
        (restore(tmp_path / "none", "w"), tf.errors.NotFoundError, "Failed to find any matching files for"),
        (restore(prefix, "v"), tf.errors.NotFoundError, "Key v not found in checkpoint"),
        (restore(prefix, "w", dtype=tf.int32), tf.errors.InvalidArgumentError, "tensor_name = w; expected dtype int32 "
         "does not equal original dtype double"),
        (restore(prefix, "w", "3 2 0,1:-"), tf.errors.InvalidArgumentError, r"shape_and_slice spec \[3, 2\]"),
    ]:  # fmt: skip
        with pytest.raises(error, match=message):
            run(tensor)
    with pytest.raises(ValueError, match="Expected a shape and a slice"):
        restore(prefix, "w", "nonsense")
    for operation, message in [
        (save(prefix, ["a", "b"], ["", ""], [1.0]), "Expected 1 elements"),
        (save(prefix, ["a", "a"], ["", ""], [1.0, 2.0]), "duplicate key: a"),
        (save(prefix, ["a"], ["4 0,2"], [[1.0]]), r"has shape \[1\], but its slice is 0,2"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run(operation)
    assert run(restore(prefix, "w")).tolist() == [[0, 0], [0, 0]]  # what was not finished left nothing behind
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00001", "m.index"]


@pytest.mark.usefixtures("graph")
def test_merging(tmp_path: Path) -> None:
    parts = [tmp_path / "temporary" / name for name in ("a", "b")]
    run([save(part, [part.name], [""], [1.0]) for part in parts])
    prefixes = [str(part) for part in parts]
    run(ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=str(tmp_path / "m")))
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00002", "m.data-00001-of-00002", "m.index"]
    assert run([restore(tmp_path / "m", name, dtype=tf.float32) for name in "ab"]) == [1, 1]


@pytest.mark.usefixtures("graph")
def test_names_of_shards() -> None:
    assert run(ops.ShardedFilename(basename="x/m", shard=3, num_shards=12)) == b"x/m-00003-of-00012"
    assert run(ops.ShardedFilespec(basename="x/m", num_shards=12)) == b"x/m-?????-of-00012"
