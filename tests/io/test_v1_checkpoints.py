"""Checkpoints of the old format: read and written as TensorFlow does, and refused where they are damaged or hostile."""

from __future__ import annotations

import importlib.util
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from millstream.core import dtypes, errors
from millstream.io import bundle, proto
from millstream.io.bundle_reader import BundleReader
from millstream.io.checkpoint_reader import open_checkpoint
from millstream.io.coding import slice_key
from millstream.io.sorted_table import TableReader, TableWriter
from millstream.io.tensor_slice import WHOLE, TensorSlice, parse_shape_and_slice
from millstream.io.v1_reader import V1Reader
from millstream.io.v1_writer import V1Writer

HERE = Path(__file__).parent
RECORDED = HERE / "data" / "tensorflow"
REFUSALS = (errors.DataLossError, errors.InvalidArgumentError)


def _load_values() -> Any:
    spec = importlib.util.spec_from_file_location("checkpoint_values", HERE / "checkpoint_values.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


values = _load_values()
OLD_TENSORS = [item for item in values.TENSORS if item[1] not in values.NOT_OLD_DTYPES]


def read(pattern: Any) -> dict[str, Any]:
    with V1Reader(str(pattern)) as reader:
        return {entry.name: reader.read(entry.name).tolist() for entry in reader.entries()}


# --- As TensorFlow has it --------------------------------------------------------------------------------------------


def test_reads_what_tensorflow_wrote() -> None:
    with V1Reader(f"{RECORDED}/old") as reader:
        assert [entry.name for entry in reader.entries()] == sorted([values.SLICED, *(n for n, _, _ in OLD_TENSORS)])
        for name, dtype, value in OLD_TENSORS:
            found = reader.read(name)
            assert reader.found(name).dtype is dtypes.as_dtype(dtype) and found.shape == value.shape
            assert np.array_equal(found, value.astype(found.dtype))
        assert np.array_equal(reader.read(values.SLICED), values.WHOLE) and len(reader.found(values.SLICED).slices) == 3
        assert np.array_equal(reader.read_slice(values.SLICED, TensorSlice((2, 1), (6, 2))), values.WHOLE[2:8, 1:3])
        assert np.array_equal(reader.read_slice("w", TensorSlice((1, 1), (1, 2))), [[1.0, 1.25]])


def test_reads_shards() -> None:
    whole = {"a": [1, 2], "b": 7, "p": values.WHOLE.tolist()}
    assert read(RECORDED / "old_sharded-?????-of-00002") == whole


def test_writes_the_same_bytes(tmp_path: Path) -> None:
    writer = V1Writer(f"{tmp_path}/old")
    for name, dtype, value in OLD_TENSORS:
        found = dtypes.as_dtype(dtype)
        writer.add(name, value.astype(bundle.stored_dtype(found)), found)
    for text, start, end in reversed(values.SLICES):  # as TensorFlow's hash table has them
        writer.add_slice(values.SLICED, *parse_shape_and_slice(text), values.WHOLE[start:end], dtypes.float32)
    writer.finish()
    assert (tmp_path / "old").read_bytes() == (RECORDED / "old").read_bytes()


def test_either_format_is_opened() -> None:
    for prefix, kind in (("old", V1Reader), ("old_sharded-*", V1Reader), ("mixed", BundleReader)):
        with open_checkpoint(f"{RECORDED}/{prefix}") as reader:
            assert type(reader) is kind
    with pytest.raises(errors.NotFoundError, match="Failed to find any matching files for none"):
        open_checkpoint("none")
    with pytest.raises(errors.NotFoundError, match="Failed to find any matching files for none"):
        V1Reader("none")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_round_trip(tmp_path: Path, data: st.DataObject) -> None:
    made = {}
    writer = V1Writer(f"{tmp_path}/m")
    for name in data.draw(st.sets(st.text(min_size=1, max_size=5), max_size=5)):
        dtype = data.draw(st.sampled_from([dtypes.float64, dtypes.int8, dtypes.int64, dtypes.qint32, dtypes.string]))
        shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
        if dtype is dtypes.string:
            value = np.empty(shape, object)
            value.reshape(-1)[:] = data.draw(st.lists(st.binary(), min_size=value.size, max_size=value.size))
        else:
            value = data.draw(hnp.arrays(bundle.stored_dtype(dtype), shape, elements={"allow_nan": False}))
        writer.add(name, value, dtype)
        made[name] = value.tolist()
    writer.finish()
    assert read(tmp_path / "m") == made


def test_refusals_of_the_writer() -> None:
    writer = V1Writer("none")
    writer.add("a", np.zeros(2), dtypes.float64)
    with pytest.raises(errors.InvalidArgumentError, match="duplicate key: a"):
        writer.add("a", np.zeros(2), dtypes.float64)
    with pytest.raises(errors.InvalidArgumentError, match="different things"):
        writer.add_slice("a", (5,), ((0, 2),), np.zeros(2), dtypes.float64)
    with pytest.raises(errors.InvalidArgumentError, match="its slice is 0,2"):
        writer.add_slice("b", (5,), ((0, 2),), np.zeros(3), dtypes.float64)
    with pytest.raises(errors.UnimplementedError, match="Saving data type .* not yet supported"):
        writer.add("c", np.zeros(2, np.uint32), dtypes.uint32)


# --- Damage ----------------------------------------------------------------------------------------------------------


# Where the damage is; of an entry that contradicts itself, the tensor.
WHERE = re.compile(r"file \S+/m, offset \d+\)$|^Invalid entry of tensor '.*' in \S+/m: ")


def outcome(path: Path) -> Any:
    try:
        return read(path)
    except REFUSALS as error:
        assert str(path) in error.message
        assert not isinstance(error, errors.DataLossError) or WHERE.search(error.message), error.message
        return type(error)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    writer = V1Writer(f"{tmp_path}/m")
    writer.add("s", np.array([b"ab", b""], object), dtypes.string)
    for start in (0, 2):
        writer.add_slice("w", (4,), ((start, 2),), np.float32([start, 1]), dtypes.float32)
    writer.finish()
    return tmp_path / "m"


def test_every_flipped_bit_is_noticed(small: Path) -> None:
    good, content = read(small), small.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        small.write_bytes(damaged)
        # The padding of the footer and the empty block before the index block are not read.
        harmless = [good] if position > len(content) - 90 else []
        assert outcome(small) in [errors.DataLossError, *harmless]


def test_every_truncation_is_noticed(small: Path) -> None:
    content = small.read_bytes()
    for size in range(len(content)):
        small.write_bytes(content[:size])
        assert outcome(small) is errors.DataLossError


def rewrite(path: Path, change: Callable[[dict[bytes, Any]], None]) -> None:
    """Writes a file whose checksums are good and whose entries are changed."""
    entries = {}
    table = TableReader(RECORDED / "old")
    for key, value in table.items():
        entries[key] = proto.SavedTensorSlices.FromString(value)
    table.close()
    change(entries)
    with open(path, "wb") as file:
        writer = TableWriter(file)
        for key in sorted(entries):
            found = entries[key]
            writer.add(key, found if isinstance(found, bytes) else found.SerializeToString())
        writer.finish()


W = slice_key(b"w", (WHOLE, WHOLE))


def in_meta(name: str, change: Callable[[Any], None]) -> Callable[[dict[bytes, Any]], None]:
    return lambda entries: [change(item) for item in entries[b""].meta.tensor if item.name == name]


def sized(*sizes: int) -> Callable[[Any], None]:
    def change(item: Any) -> None:
        del item.shape.dim[:]
        for size in sizes:
            item.shape.dim.add(size=size)

    return change


def doubled(item: Any) -> None:
    item.slice.append(item.slice[0])
    item.slice[-1].extent[0].length = 4


HOSTILE = [
    lambda entries: entries.pop(b""),
    lambda entries: entries.update({b"": b"\xff"}),
    lambda entries: entries.pop(W),
    lambda entries: entries.update({W: b"\xff"}),
    lambda entries: entries[W].data.data.float_val.append(1.0),
    lambda entries: entries[W].data.data.float_val.pop(),
    lambda entries: setattr(entries[W].data.data, "tensor_content", b"123"),
    lambda entries: setattr(entries[W].data, "name", "other"),
    lambda entries: entries[W].data.slice.extent.add(),
    lambda entries: setattr(entries[b""].meta.versions, "min_consumer", 9),
    in_meta("w", lambda item: setattr(item, "type", 20)),
    in_meta("w", lambda item: setattr(item, "type", 99)),
    in_meta("w", lambda item: setattr(item.shape, "unknown_rank", True)),
    in_meta("w", sized(-1)),
    in_meta("w", sized(2**62, 3)),
    in_meta("w", sized(2**40)),
    in_meta("w", sized(2**40, 0)),
    in_meta("w", sized(*[1] * 65)),
    in_meta("w", sized(3, 3)),
    in_meta("part", lambda item: item.slice.pop()),
    in_meta("part", lambda item: item.slice[1].extent.pop()),
    in_meta("part", lambda item: setattr(item.slice[1].extent[0], "start", -4)),
    in_meta("part", lambda item: setattr(item.slice[1].extent[0], "length", 2**62)),
    in_meta("part", doubled),
    in_meta("text", sized(2**40)),
    in_meta("text", sized(3)),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_entries(tmp_path: Path, number: int) -> None:
    rewrite(tmp_path / "m", HOSTILE[number])
    found = outcome(tmp_path / "m")  # what is loaded at the first call does not count
    tracemalloc.start()
    try:
        assert outcome(tmp_path / "m") in REFUSALS or found == read(RECORDED / "old")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_files_that_do_not_agree(tmp_path: Path) -> None:
    for number, shape in enumerate([(4,), (5,)]):
        writer = V1Writer(f"{tmp_path}/m-0000{number}-of-00002")
        writer.add_slice("w", shape, ((2 * number, 2),), np.zeros(2), dtypes.float64)
        writer.finish()
    with pytest.raises(errors.DataLossError, match="another shape or dtype"):
        V1Reader(f"{tmp_path}/m-?????-of-00002")


def test_compressed_blocks_are_refused(tmp_path: Path) -> None:
    """TensorFlow never compressed checkpoints."""
    from millstream.io import crc32c

    path, content = tmp_path / "m", bytearray((RECORDED / "old").read_bytes())
    table = TableReader(RECORDED / "old")
    size = table._handles[0].size
    table.close()
    content[size] = 1
    content[size + 1 : size + 5] = crc32c.masked_crc(bytes(content[:size]), b"\1").to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(errors.DataLossError, match="compressed with Snappy"):
        V1Reader(str(path))
