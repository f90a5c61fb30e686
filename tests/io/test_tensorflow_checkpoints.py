"""Checkpoints that real TensorFlow wrote (tools/record_checkpoints.py): they are read, and written byte for byte."""
from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from millstream.core.dtypes import as_dtype, float32, int32
from millstream.io import bundle
from millstream.io.bundle_reader import BundleReader
from millstream.io.bundle_writer import BundleWriter, merge_bundles
from millstream.io.tensor_slice import WHOLE, TensorSlice, parse_shape_and_slice

HERE = Path(__file__).parent
RECORDED = HERE / "data" / "tensorflow"


def _load_values() -> Any:
    spec = importlib.util.spec_from_file_location("checkpoint_values", HERE / "checkpoint_values.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


values = _load_values()


def expected(value: np.ndarray, name: str) -> np.ndarray:
    return value.astype(bundle.stored_dtype(as_dtype(name)))


def same_files(tmp_path: Path, prefix: str) -> None:
    for path in RECORDED.glob(f"{prefix}.*"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_reads_all_dtypes() -> None:
    with BundleReader(f"{RECORDED}/mixed") as reader:
        entries = {entry.name: entry for entry in reader.entries()}
        for name, dtype, value in values.TENSORS:
            found = reader.read(name)
            assert entries[name].dtype is as_dtype(dtype) and entries[name].shape == value.shape
            assert found.dtype == bundle.stored_dtype(as_dtype(dtype))
            assert np.array_equal(found, expected(value, dtype)), name
        assert list(entries) == sorted(entries) and len(entries) == len(values.TENSORS) + 1


@pytest.mark.parametrize("start, stop", [(0, 10), (0, 4), (2, 9), (7, 10), (5, 6), (3, 3)])
def test_reads_slices(start: int, stop: int) -> None:
    with BundleReader(f"{RECORDED}/mixed") as reader:
        found = reader.read_slice(values.SLICED, TensorSlice((start, 1), (stop - start, 2)))
        assert np.array_equal(found, values.WHOLE[start:stop, 1:3])
        assert np.array_equal(reader.read(values.SLICED), values.WHOLE)


def test_reads_shards() -> None:
    with BundleReader(f"{RECORDED}/sharded") as reader:
        assert reader.num_shards == 2
        assert reader.read("a").tolist() == [1, 2] and reader.read("b") == 7
        assert np.array_equal(reader.read("p"), values.WHOLE)


def test_writes_the_same_bytes(tmp_path: Path) -> None:
    with BundleWriter(f"{tmp_path}/mixed") as writer:
        for name, dtype, value in values.TENSORS:
            writer.add(name, expected(value, dtype), as_dtype(dtype))
        for text, start, end in values.SLICES:
            writer.add_slice(values.SLICED, *parse_shape_and_slice(text), values.WHOLE[start:end], float32)
        writer.finish()
    same_files(tmp_path, "mixed")


def test_merges_to_the_same_bytes(tmp_path: Path) -> None:
    parts = [f"{tmp_path}/part{number}" for number in range(2)]
    with BundleWriter(parts[0]) as writer:
        writer.add("a", np.float32([1, 2]), float32)
        writer.add_slice("p", (10, 4), ((0, 4), WHOLE), values.WHOLE[:4], float32)
        writer.finish()
    with BundleWriter(parts[1]) as writer:
        writer.add_slice("p", (10, 4), ((4, 6), WHOLE), values.WHOLE[4:], float32)
        writer.add("b", np.int32(7).reshape(()), int32)
        writer.finish()
    merge_bundles(parts, f"{tmp_path}/sharded")
    same_files(tmp_path, "sharded")
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in RECORDED.glob("sharded.*"))


def test_writes_the_same_long_index(tmp_path: Path) -> None:
    with BundleWriter(f"{tmp_path}/many") as writer:
        for number in range(values.MANY):
            writer.add(values.name_of(number), np.array(number, np.float32), float32)
        writer.finish()
    index = (tmp_path / "many.index").read_bytes()
    assert hashlib.sha256(index).hexdigest() == (RECORDED / "many.sha256").read_text().strip()
    with BundleReader(f"{tmp_path}/many") as reader:
        for number in (0, 1234, values.MANY - 1):
            assert reader.read(values.name_of(number)) == number


def test_reading_does_not_import_jax() -> None:
    program = (
        "import sys; import millstream.v1 as tf;"
        f"print(tf.train.load_variable({os.fspath(RECORDED / 'trained-2')!r}, 'v').tolist(), 'jax' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[1.0, 2.0] False\n"
