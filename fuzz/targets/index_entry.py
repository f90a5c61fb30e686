"""Entries of a checkpoint's index: they must say what the protocol buffers library reads in them."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf.message import DecodeError

from millstream.io import bundle, proto
from millstream.io.sorted_table import TableReader
from millstream.io.tensor_slice import from_proto

MESSAGE = proto.BundleEntryProto


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    for path in sorted((support.ROOT / "tests" / "io" / "data" / "tensorflow").glob("*.index")):
        table = TableReader(path)
        yield from (value for _, value in table.items())
        table.close()


def TestOneInput(data: bytes) -> None:  # noqa: N802
    entry = None
    with support.refusing(naming="index"):
        entry = bundle.read_entry("t", data, "index")
    if entry is None:
        return
    try:
        message = MESSAGE.FromString(data)
    except DecodeError:
        return  # names that are not UTF-8, which nothing reads
    place = (message.shard_id, message.offset, message.size, message.crc32c)
    expected = (message.dtype, tuple(dim.size for dim in message.shape.dim), tuple(map(from_proto, message.slices)))
    found = (entry.dtype.as_datatype_enum, entry.shape, entry.slices)
    if (found, tuple(entry.place)[1:]) != (expected, place[1:]):
        raise AssertionError(f"{entry} is not {message}")
