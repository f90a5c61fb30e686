"""Entries of indices, read without the protocol buffers library: they say what it would read."""
from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from millstream.core import errors
from millstream.io import bundle, proto, wire
from millstream.io.tensor_slice import from_proto

INT64 = st.integers(-(2**63), 2**63 - 1)
SIZES = st.lists(st.one_of(st.integers(0, 3), INT64), max_size=5)


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    message = proto.BundleEntryProto(
        dtype=draw(st.integers(-2, 30)), shard_id=draw(st.integers(-1, 3)), offset=draw(INT64), size=draw(INT64),
        crc32c=draw(st.integers(0, 2**32 - 1)),
    )  # fmt: skip
    message.shape.unknown_rank = draw(st.integers(0, 9)) == 0
    for size in draw(SIZES):
        message.shape.dim.add(size=size, name=draw(st.text(max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        part = message.slices.add()
        for _ in range(draw(st.integers(0, 3))):
            extent = part.extent.add(start=draw(INT64))
            if draw(st.booleans()):
                extent.length = draw(INT64)
    return message.SerializeToString()


@given(entries())
def test_entries_are_read_as_the_library_reads_them(data: bytes) -> None:
    message = proto.BundleEntryProto.FromString(data)
    try:
        entry = bundle.read_entry("t", data, "index")
    except errors.DataLossError as error:
        assert "'t' in index" in error.message
        return
    assert entry.dtype.as_datatype_enum == message.dtype
    assert entry.shape == tuple(dim.size for dim in message.shape.dim)
    assert entry.slices == tuple(map(from_proto, message.slices))
    assert entry.place == (message.shard_id, message.offset, message.size, message.crc32c)


@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        bundle.read_entry("t", data, "index")
    except errors.DataLossError:
        pass
    try:
        found = bundle.read_header(data)
    except ValueError:
        return
    try:
        message = proto.BundleHeaderProto.FromString(data)
    except DecodeError:
        return  # it checks more than the header has
    assert found.min_consumer == message.version.min_consumer


@pytest.mark.parametrize("data", [b"\x80", b"\x08", b"\x12\x05ab", b"\x35\0\0", b"\x0b", b"\x0c"])
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        list(wire.fields(data))


def test_an_entry_of_the_largest_numbers() -> None:
    data = proto.BundleEntryProto(dtype=1, offset=2**63 - 1, crc32c=2**32 - 1).SerializeToString()
    assert bundle.read_entry("t", data, "index").place == (0, 2**63 - 1, 0, 2**32 - 1)
