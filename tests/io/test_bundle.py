"""Checkpoint bundles: what is written comes back, and what is damaged or hostile is refused, quickly."""
from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import millstream.v1 as tf
from millstream.core import dtypes, errors
from millstream.io import bundle, proto
from millstream.io.atomic_files import StagedFiles
from millstream.io.bundle_reader import BundleReader
from millstream.io.bundle_writer import BundleWriter, merge_bundles, remove_bundle
from millstream.io.coding import slice_key
from millstream.io.sorted_table import TableReader, TableWriter
from millstream.io.tensor_slice import WHOLE, TensorSlice, parse_shape_and_slice

DTYPES = [
    dtypes.float16, dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.int8, dtypes.int16, dtypes.int32,
    dtypes.int64, dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.bool_, dtypes.complex64,
    dtypes.complex128, dtypes.qint8, dtypes.quint8, dtypes.qint16, dtypes.quint16, dtypes.qint32,
]  # fmt: skip
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
PROPERTY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(prefix: Any, **tensors: np.ndarray) -> str:
    with BundleWriter(str(prefix)) as writer:
        for name, value in tensors.items():
            writer.add(name, value, dtypes.string if value.dtype == object else dtypes.as_dtype(value.dtype))
        writer.finish()
    return str(prefix)


def read(prefix: str) -> dict[str, np.ndarray]:
    with BundleReader(prefix) as reader:
        return {entry.name: reader.read(entry.name) for entry in reader.entries()}


@st.composite
def tensors(draw: st.DrawFn) -> tuple[dtypes.DType, np.ndarray]:
    if draw(st.booleans()):
        value = np.empty(draw(SHAPES), object)
        value.reshape(-1)[:] = draw(st.lists(st.binary(max_size=200), min_size=value.size, max_size=value.size))
        return dtypes.string, value
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(SHAPES)
    stored = bundle.stored_dtype(dtype)
    if dtype is dtypes.bool_:
        return dtype, draw(hnp.arrays(bool, shape))
    return dtype, draw(hnp.arrays(np.uint8, (*shape, stored.itemsize))).view(stored).reshape(shape)


@PROPERTY
@given(st.dictionaries(st.text(min_size=1, max_size=10).filter(lambda name: name[0] != "\0"), tensors(), max_size=8))
def test_round_trip(tmp_path: Path, content: dict[str, tuple[dtypes.DType, np.ndarray]]) -> None:
    prefix = str(tmp_path / "m")
    with BundleWriter(prefix) as writer:
        for name, (dtype, value) in content.items():
            writer.add(name, value, dtype)
        writer.finish()
    with BundleReader(prefix) as reader:
        assert {entry.name for entry in reader.entries()} == set(content)
        for name, (dtype, value) in content.items():
            found = reader.read(name)
            assert reader.entry(name).dtype is dtype and found.shape == value.shape and found.dtype == value.dtype
            assert found.tobytes() == value.tobytes() if value.dtype != object else found.tolist() == value.tolist()


@PROPERTY
@given(st.data())
def test_slices_come_back(tmp_path: Path, data: st.DataObject) -> None:
    """A matrix is cut both ways; any part of it can be read."""
    value = np.arange(7 * 5, dtype=np.int32).reshape(7, 5)
    cuts = [sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=3))}) for size in value.shape]
    with BundleWriter(str(tmp_path / "m")) as writer:
        for top, bottom in zip(cuts[0], cuts[0][1:], strict=False):
            for left, right in zip(cuts[1], cuts[1][1:], strict=False):
                extents = ((top, bottom - top), (left, right - left))
                writer.add_slice("w", value.shape, extents, value[top:bottom, left:right], dtypes.int32)
        writer.finish()
    starts = tuple(data.draw(st.integers(0, size)) for size in value.shape)
    lengths = tuple(data.draw(st.integers(0, size - at)) for at, size in zip(starts, value.shape, strict=True))
    part = TensorSlice(starts, lengths)
    with BundleReader(str(tmp_path / "m")) as reader:
        assert np.array_equal(reader.read_slice("w", part), value[part.within(TensorSlice.whole(value.shape))])
        assert np.array_equal(reader.read("w"), value)


def test_arrays_out_of_order(tmp_path: Path) -> None:
    value = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    assert np.array_equal(read(write(tmp_path / "m", w=value))["w"], value)
    assert np.array_equal(read(write(tmp_path / "m", w=value[::-2]))["w"], value[::-2])


@pytest.mark.parametrize("size", [1, 3 << 20, 5 << 20])
def test_arrays_that_are_read_need_no_copy(tmp_path: Path, size: int) -> None:
    value = np.arange(size, dtype=np.uint8)
    found = read(write(tmp_path / "m", w=value))["w"]
    assert np.array_equal(found, value) and found.flags.writeable and found.ctypes.data % 64 == 0


def test_folder_is_made(tmp_path: Path) -> None:
    assert set(read(write(tmp_path / "new" / "m", w=np.zeros(1)))) == {"w"}


def test_refused_names(tmp_path: Path) -> None:
    with BundleWriter(str(tmp_path / "m")) as writer:
        writer.add("a", np.zeros(2), dtypes.float64)
        for name, message in (("a", "duplicate key: a"), ("", "under the name"), ("\0b", "under the name")):
            with pytest.raises(errors.InvalidArgumentError, match=message):
                writer.add(name, np.zeros(2), dtypes.float64)
        with pytest.raises(errors.InvalidArgumentError, match="duplicate key: a"):
            writer.add_slice("a", (4,), ((0, 2),), np.zeros(2), dtypes.float64)
        with pytest.raises(errors.UnimplementedError, match="dtype resource"):
            writer.add("r", np.zeros(2), dtypes.resource)
    assert os.listdir(tmp_path) == []


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError, match="Failed to find any matching files for .*none"):
        BundleReader(str(tmp_path / "none"))
    with BundleReader(write(tmp_path / "m", w=np.zeros(2))) as reader:
        with pytest.raises(errors.NotFoundError, match="Key v not found in checkpoint"):
            reader.read("v")
        with pytest.raises(errors.InvalidArgumentError, match="no slice 1,2"):
            reader.read_slice("w", TensorSlice((1,), (2,)))
        assert reader.entry("") is None and reader.entry("\0") is None


def test_an_open_reader_keeps_its_checkpoint(tmp_path: Path) -> None:
    """A program that evaluates reads on where the one that trains has deleted or replaced the files."""
    prefix = write(tmp_path / "m", a=np.ones(3), b=np.full(3, 2.0))
    with BundleReader(prefix) as reader:
        assert reader.read("a").tolist() == [1, 1, 1]
        remove_bundle(prefix)
        write(tmp_path / "m", a=np.zeros(3), b=np.zeros(3))
        assert reader.read("b").tolist() == [2, 2, 2]


# --- Memory ----------------------------------------------------------------------------------------------------------

LARGE = 64  # MiB
OVERHEAD = 16  # MiB that a large tensor may take beside its value


def resident(field: str) -> int:
    """A field of this process's memory, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[1]) >> 10


def resident_peak(call: Callable[[], Any]) -> int:
    """How much the resident memory grows while something runs, in MiB; NumPy does not know of all of it."""
    start = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
    call()
    return resident("VmHWM") - start


linux_only = pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks cannot be measured")


@linux_only
def test_large_tensors_are_streamed(tmp_path: Path) -> None:
    value, found = np.arange(LARGE << 17).reshape(4, -1), []
    write(tmp_path / "small", w=value[:1, :1])  # what is loaded at the first call does not count
    prefix = str(tmp_path / "m")
    assert resident_peak(lambda: write(prefix, w=value)) < OVERHEAD
    assert resident_peak(lambda: found.append(read(prefix)["w"])) < LARGE + OVERHEAD
    assert np.array_equal(found[0], value)


@linux_only
def test_savers_stream(tmp_path: Path) -> None:
    """The values of variables are not copied on their way to the file, nor on the way back."""
    value, again = np.arange(LARGE << 17).reshape(4, -1), str(tmp_path / "again")
    prefix = write(tmp_path / "m", small=value[:1, :1], large=value)
    with tf.Graph().as_default(), tf.Session() as session:
        small = tf.train.Saver([tf.get_variable("small", (1, 1), tf.int64)])
        variable = tf.get_variable("large", value.shape, tf.int64)
        large = tf.train.Saver([variable])
        small.restore(session, prefix)  # what is loaded at the first call does not count
        small.save(session, again)
        assert resident_peak(lambda: large.restore(session, prefix)) < LARGE + OVERHEAD
        assert resident_peak(lambda: large.save(session, again, write_meta_graph=False)) < OVERHEAD
        assert np.array_equal(session.run(variable), value)


# --- Shards ----------------------------------------------------------------------------------------------------------


def test_merging(tmp_path: Path) -> None:
    first = write(tmp_path / "t" / "a", x=np.ones(2))
    second = write(tmp_path / "t" / "b", y=np.zeros(3))
    merge_bundles([first, second], str(tmp_path / "m"))
    merge_bundles([str(tmp_path / "m"), write(tmp_path / "t" / "c", z=np.ones(1))], str(tmp_path / "n"))
    assert {name: value.tolist() for name, value in read(str(tmp_path / "n")).items()} == {
        "x": [1, 1], "y": [0, 0, 0], "z": [1]
    }  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == [f"n.data-0000{number}-of-00003" for number in range(3)] + ["n.index", "t"]
    assert os.listdir(tmp_path / "t") == []


def test_merging_the_same_tensor(tmp_path: Path) -> None:
    prefixes = [write(tmp_path / name, x=np.ones(2)) for name in "ab"]
    with pytest.raises(errors.InvalidArgumentError, match="duplicate key: x"):
        merge_bundles(prefixes, str(tmp_path / "m"))
    assert set(read(prefixes[0])) == {"x"}


def test_removing(tmp_path: Path) -> None:
    write(tmp_path / "m", w=np.zeros(2))
    write(tmp_path / "m-1", w=np.zeros(2))
    remove_bundle(str(tmp_path / "m"))
    assert sorted(os.listdir(tmp_path)) == ["m-1.data-00000-of-00001", "m-1.index"]


# --- Damage ----------------------------------------------------------------------------------------------------------

CONTENT = {
    "bf": np.arange(3).astype(ml_dtypes.bfloat16),
    "s": np.array([b"ab", b""], object),
    "t": np.array([True, False]),
    "w": np.arange(6.0).reshape(2, 3),
}


# Where the damage is; of an entry of the index that contradicts itself, the tensor.
WHERE = re.compile(
    r"file \S+/m\.(index|data-\d{5}-of-\d{5}), offset \d+\)$|^Invalid entry of tensor '.*' in \S+/m\.index: "
)


def outcome(prefix: str) -> Any:
    try:
        return {name: value.tolist() for name, value in read(prefix).items()}
    except (errors.DataLossError, errors.InvalidArgumentError, errors.NotFoundError) as error:
        assert prefix in error.message
        assert not isinstance(error, errors.DataLossError) or WHERE.search(error.message), error.message
        return type(error)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_every_flipped_bit_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = Path(write(tmp_path / "m", **CONTENT) + suffix)
    good, content = outcome(str(tmp_path / "m")), path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        # Not all of an index is read: the padding of the footer, and the empty block before the index block, are not.
        harmless = [good] if suffix == ".index" and position > len(content) - 120 else []
        assert outcome(str(tmp_path / "m")) in [errors.DataLossError, *harmless]


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_every_truncation_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = Path(write(tmp_path / "m", **CONTENT) + suffix)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert outcome(str(tmp_path / "m")) is errors.DataLossError


@pytest.mark.parametrize("name", CONTENT)
def test_damage_is_located(tmp_path: Path, name: str) -> None:
    prefix = write(tmp_path / "m", **CONTENT)
    path = Path(bundle.data_path(prefix, 0, 1))
    with BundleReader(prefix) as reader:
        offset = reader.found(name).place.offset
        damaged = bytearray(path.read_bytes())
        damaged[offset] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(errors.DataLossError) as info:
            reader.read(name)
    assert info.value.message.endswith(f"(tensor '{name}', file {path}, offset {offset})")


def rewrite(prefix: str, change: Callable[[dict[bytes, Any]], None]) -> None:
    """Changes the index, with good checksums."""
    table = TableReader(bundle.index_path(prefix))
    entries = {key: (proto.BundleEntryProto if key else proto.BundleHeaderProto).FromString(value)
               for key, value in table.items()}  # fmt: skip
    table.close()
    change(entries)
    with StagedFiles() as files:
        writer = TableWriter(files.open(bundle.index_path(prefix)))
        for key in sorted(entries):
            message = entries[key]
            writer.add(key, message if isinstance(message, bytes) else message.SerializeToString())
        writer.finish()
        files.commit()


def shape(*sizes: int) -> Callable[[Any], None]:
    def change(entry: Any) -> None:
        del entry.shape.dim[:]
        for size in sizes:
            entry.shape.dim.add(size=size)

    return change


def fields(**values: Any) -> Callable[[Any], None]:
    def change(entry: Any) -> None:
        for name, value in values.items():
            setattr(entry, name, value)

    return change


def slices(*extents: Any) -> Callable[[Any], None]:
    def change(entry: Any) -> None:
        for extent in extents:
            part = entry.slices.add()
            for start, length in extent:
                part.extent.add(start=start, length=length)

    return change


@pytest.mark.parametrize(
    "name, change",
    [
        ("w", shape(2**40)),
        ("w", shape(2**62, 2**62)),
        ("w", shape(0, 2**62)),
        ("w", shape(-1, -6)),
        ("w", shape(-6)),
        ("w", shape(*[1] * 100)),
        ("s", shape(2**50)),
        ("s", shape(3)),
        ("w", fields(size=2**60)),
        ("w", fields(size=-1)),
        ("w", fields(offset=-8)),
        ("w", fields(offset=2**62)),
        ("w", fields(shard_id=1)),
        ("w", fields(shard_id=-1)),
        ("w", fields(dtype=99)),
        ("w", fields(dtype=20)),
        ("w", fields(dtype=101)),
        ("w", fields(dtype=7)),
        ("w", slices([(0, 2), (0, 3)])),
        ("w", slices([(0, 9), (0, 3)])),
        ("w", slices([(-1, 1), (0, 3)])),
        ("w", slices([(0, -5), (0, 3)])),
        ("w", slices([(0, 2)])),
        ("w", slices(*[[(0, 1), (0, 1)]] * 1000)),
    ],
)
def test_hostile_entries(tmp_path: Path, name: str, change: Callable[[Any], None]) -> None:
    prefix = write(tmp_path / "m", **CONTENT)
    rewrite(prefix, lambda entries: change(entries[name.encode()]))
    assert outcome(prefix) in (errors.DataLossError, errors.InvalidArgumentError)


def test_hostile_header(tmp_path: Path) -> None:
    prefix = write(tmp_path / "m", **CONTENT)
    for change, error in [
        (fields(num_shards=0), errors.DataLossError),
        (fields(num_shards=2**30), errors.DataLossError),
        (fields(num_shards=2), errors.NotFoundError),
        (lambda header: setattr(header.version, "min_consumer", 9), errors.InvalidArgumentError),
    ]:
        write(prefix, **CONTENT)
        rewrite(prefix, lambda entries, change=change: change(entries[b""]))
        assert outcome(prefix) is error
    rewrite(prefix, lambda entries: entries.update({b"": b"\xff"}))
    assert outcome(prefix) is errors.DataLossError


def test_slices_that_lack_elements_or_overlap(tmp_path: Path) -> None:
    def outcome_of(*parts: tuple[int, int]) -> Any:
        with BundleWriter(str(tmp_path / "m")) as writer:
            for start, length in parts:
                writer.add_slice("w", (6, 2), ((start, length), WHOLE), np.zeros((length, 2)), dtypes.float64)
            writer.finish()
        return outcome(str(tmp_path / "m"))

    assert outcome_of((0, 2), (3, 3)) is errors.InvalidArgumentError
    assert outcome_of((0, 4), (3, 3)) is errors.InvalidArgumentError
    assert outcome_of((0, 4), (3, 2)) is errors.InvalidArgumentError
    assert outcome_of((0, 4), (4, 2)) == {"w": [[0, 0]] * 6}


def peak(call: Callable[[], Any]) -> int:
    """The most memory that a call takes, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [2**28, 2**60])
@pytest.mark.parametrize("dtype", [dtypes.uint8, dtypes.string])
def test_slices_larger_than_the_file(tmp_path: Path, dtype: dtypes.DType, length: int) -> None:
    prefix, extents = str(tmp_path / "m"), [((0, 1),), ((1, 1),)]
    with BundleWriter(prefix) as writer:
        for extent in extents:
            value = np.zeros(1, np.uint8) if dtype is dtypes.uint8 else np.array([b""], object)
            writer.add_slice("w", (2,), extent, value, dtype)
        writer.finish()

    def enlarge(entries: dict[bytes, Any]) -> None:
        shape(2 * length)(entries[b"w"])
        del entries[b"w"].slices[:]
        for number, extent in enumerate(extents):
            large = ((number * length, length),)
            slices(large)(entries[b"w"])
            entry = entries.pop(slice_key(b"w", extent))
            shape(length)(entry)
            entries[slice_key(b"w", large)] = entry

    rewrite(prefix, enlarge)

    def refused() -> None:
        with BundleReader(prefix) as reader, pytest.raises(errors.DataLossError, match="Invalid"):
            reader.read("w")

    refused()  # what is loaded at the first call does not count
    assert peak(refused) < 1 << 20


def test_a_shape_of_very_many_dimensions(tmp_path: Path) -> None:
    prefix = write(tmp_path / "m", **CONTENT)
    rewrite(prefix, lambda entries: shape(*[2**62] * 20000)(entries[b"w"]))
    with BundleReader(prefix) as reader, pytest.raises(errors.DataLossError, match="20000 dimensions") as info:
        reader.entry("w")
    assert len(info.value.message) < 500


@pytest.mark.parametrize(
    "text", ["4", "4 ", "4 0,4,4", "4 0,5", "4 -1,2", "4 x", "4 2 0,4", "4 0,2:0,2", "x 0,4", "4 1,-1", "-4 0,0"]
)
def test_malformed_slices(text: str) -> None:
    with pytest.raises(ValueError, match="Expected a shape and a slice"):
        parse_shape_and_slice(text)


def test_slice_texts() -> None:
    assert parse_shape_and_slice("10 4 4,3:-") == ((10, 4), ((4, 3), WHOLE))
    assert str(TensorSlice((4, 0), (3, 4))) == "4,3:0,4"
