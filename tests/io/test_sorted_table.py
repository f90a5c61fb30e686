"""Sorted tables: what is written comes back, and what is damaged is refused."""
from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.core import errors
from millstream.io import crc32c, sorted_table
from millstream.io.coding import encode_varint
from millstream.io.sorted_table import TableReader, TableWriter

TABLES = st.dictionaries(st.binary(max_size=20), st.binary(max_size=50), max_size=60)


def encode(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    file = io.BytesIO()
    table = TableWriter(file)
    for key, value in entries:
        table.add(key, value)
    table.finish()
    return file.getvalue()


def read(path: Path) -> list[tuple[bytes, bytes]]:
    with closing(TableReader(path)) as table:
        return list(table.items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES, st.integers(20, 200), st.binary(max_size=20))
def test_round_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[bytes, bytes], block: int, other: bytes
) -> None:
    monkeypatch.setattr(sorted_table, "_BLOCK", block)  # several blocks, more than are kept in memory
    path = tmp_path / "table"
    path.write_bytes(encode(sorted(entries.items())))
    with closing(TableReader(path)) as table:
        assert list(table.items()) == sorted(entries.items())
        for key in [*entries, other]:
            assert table.get(key) == entries.get(key)


def test_keys_must_be_in_order() -> None:
    table = TableWriter(io.BytesIO())
    table.add(b"b", b"")
    for key in (b"a", b"b"):
        with pytest.raises(ValueError, match="in order"):
            table.add(key, b"")


def test_separators_between_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Index keys are as short as they can be; the last one is the shortest successor of the last key."""
    monkeypatch.setattr(sorted_table, "_BLOCK", 1)
    path = tmp_path / "table"
    path.write_bytes(encode([(b"abcdef", b""), (b"abd", b""), (b"abzz", b""), (b"ab\xff", b""), (b"strs", b"")]))
    with closing(TableReader(path)) as table:
        assert table._keys == [b"abcdef", b"abe", b"ab{", b"b", b"t"]


@pytest.mark.parametrize("place, key", [(0, b"ab"), (0, b"ac"), (1, b"ab0")])
def test_index_keys_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, key: bytes) -> None:
    """Where `get` looks for a key must be where `items` finds it."""
    monkeypatch.setattr(sorted_table, "_BLOCK", 1)
    path = tmp_path / "table"
    path.write_bytes(encode([(b"abc", b""), (b"abd", b"")]))
    with closing(TableReader(path)) as table:
        table._keys[place] = key
        with pytest.raises(errors.DataLossError, match="keys are not in order"):
            list(table.items())


# --- Damage ----------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    entries = [(f"key{number:02}".encode(), b"value" * number) for number in range(20)]
    content, path = encode(entries), tmp_path / "table"
    for position in range(len(content)):
        for bit in (0, 3, 7):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found = read(path)
            except errors.DataLossError as error:
                assert str(path) in error.message and "offset" in error.message
            else:
                assert found == entries  # the padding of the footer


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    content, path = encode([(b"a", b"1" * 100), (b"b", b"2")]), tmp_path / "table"
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(errors.DataLossError):
            read(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError):
        TableReader(tmp_path / "none")


def hostile(block: bytes, times: int = 1) -> bytes:
    """A table whose checksums are right and whose only data block is `block`, which the index has so many times."""

    def with_trailer(content: bytes, kind: bytes = b"\0") -> bytes:
        return content + kind + struct.pack("<I", crc32c.masked_crc(content, kind))

    data = with_trailer(block + struct.pack("<II", 0, 1))
    handle = encode_varint(0) + encode_varint(len(data) - 5)
    keys = (b"z" + struct.pack(">I", number) for number in range(times))
    entries = b"".join(bytes([0, len(key), len(handle)]) + key + handle for key in keys)
    index = with_trailer(entries + struct.pack("<II", 0, 1))
    handles = b"\0\0" + encode_varint(len(data)) + encode_varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


@pytest.mark.parametrize(
    "block",
    [
        b"\x05\x01\x00a",  # shares more than there is
        b"\x00\xff\xff\xff\xff\x0f\x00a",  # a key longer than the block
        b"\x00\x01\xff\xff\xff\xff\x0fa",  # a value longer than the block
        b"\x00\x01\x00b\x00\x01\x00a",  # out of order
        b"\x00\x01\x00b\x01\x00\x00",  # twice
        b"\x00\x01",  # ends within
        b"\x00\x01\x00a" + b"".join(encode_varint(n) + b"\x01\x00a" for n in range(1, 30000)),  # keys that explode
    ],
)
def test_hostile_blocks(tmp_path: Path, block: bytes) -> None:
    path = tmp_path / "table"
    path.write_bytes(hostile(block))
    with pytest.raises(errors.DataLossError, match="block|order"):
        read(path)


def test_hostile_but_whole(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(hostile(b"\x00\x01\x01a!"))
    assert read(path) == [(b"a", b"!")]


def test_a_block_that_the_index_has_twice(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(hostile(b"\x00\x01\x01a!", times=2))
    with pytest.raises(errors.DataLossError, match="bad block handle in the index block"):
        TableReader(path)
