"""Sorted tables: files of keys and values in the order of the keys, in LevelDB's format, such as checkpoints' indices.

A table is a sequence of blocks. Data blocks hold the entries; the index block has one entry for each of them, a key
that is not less than any of its keys and less than those of the next block; the footer says where the index block is.
In a block each key is stored without what it shares with the one before it, except at *restarts*.
"""

from __future__ import annotations

import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from millstream.core import errors
from millstream.io import crc32c
from millstream.io.coding import decode_varint, encode_varint
from millstream.io.gfile import local_path, reporting

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes after each block: the type of compression and a checksum
_BLOCK = 262144  # bytes after which a data block ends
_RESTART_INTERVAL = 16  # entries
# So many times the size of a block its keys may take, all together: restarts keep true tables far below.
_MOST_KEY_GROWTH = 64
_KEPT_BLOCKS = 4  # so many blocks stay in memory


class _Handle(NamedTuple):
    """Where a block is; the size is without its trailer."""

    offset: int
    size: int

    def encode(self) -> bytes:
        return encode_varint(self.offset) + encode_varint(self.size)


def _decode_handle(data: bytes, position: int = 0) -> tuple[_Handle, int]:
    offset, position = decode_varint(data, position, len(data))
    size, position = decode_varint(data, position, len(data))
    return _Handle(offset, size), position


# --- Writing ---------------------------------------------------------------------------------------------------------


class _BlockBuilder:
    """The content of one block."""

    def __init__(self, restart_interval: int) -> None:
        self._interval = restart_interval
        self._content = bytearray()
        self._restarts = [0]
        self._count = 0
        self._last = b""

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count and self._count % self._interval == 0:
            self._restarts.append(len(self._content))
        else:
            shared = _shared_length(self._last, key)
        for number in (shared, len(key) - shared, len(value)):
            self._content += encode_varint(number)
        self._content += key[shared:] + value
        self._last = key
        self._count += 1

    @property
    def size(self) -> int:
        return len(self._content) + 4 * len(self._restarts) + 4

    def finish(self) -> bytes:
        return bytes(self._content) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


class TableWriter:
    """Writes a table to a file.

    Example:
      >>> table = TableWriter(file)
      >>> table.add(b"a", b"1")
      >>> table.add(b"b", b"2")
      >>> table.finish()
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset = 0
        self._block = _BlockBuilder(_RESTART_INTERVAL)
        self._index = _BlockBuilder(1)
        self._last: bytes | None = None
        self._ended: _Handle | None = None  # the block before, whose index entry waits for the next key

    def add(self, key: bytes, value: bytes) -> None:
        """Adds an entry.

        Raises:
          ValueError: the key does not come after the one before.
        """
        if self._last is not None and key <= self._last:
            raise ValueError(f"Keys must be added in order: {key!r} comes after {self._last!r}.")
        if self._ended is not None and self._last is not None:
            self._index.add(_separator(self._last, key), self._ended.encode())
            self._ended = None
        self._block.add(key, value)
        self._last = key
        if self._block.size >= _BLOCK:
            self._end_block()

    def finish(self) -> None:
        """Writes what is left and the index; the file stays open."""
        if self._last is not None:
            if self._ended is None:
                self._end_block()
            self._index.add(_successor(self._last), self._ended.encode())  # type: ignore[union-attr]
        metaindex = self._write_block(_BlockBuilder(_RESTART_INTERVAL).finish())
        index = self._write_block(self._index.finish())
        handles = metaindex.encode() + index.encode()
        self._file.write(handles.ljust(_FOOTER - 8, b"\0") + struct.pack("<Q", _MAGIC))

    def _end_block(self) -> None:
        self._ended = self._write_block(self._block.finish())
        self._block = _BlockBuilder(_RESTART_INTERVAL)

    def _write_block(self, content: bytes) -> _Handle:
        handle = _Handle(self._offset, len(content))
        self._file.write(content + b"\0" + struct.pack("<I", crc32c.masked_crc(content, b"\0")))
        self._offset += len(content) + _TRAILER
        return handle


def _shared_length(a: bytes, b: bytes) -> int:
    return len(os.path.commonprefix([a, b]))


def _separator(last: bytes, following: bytes) -> bytes:
    """A short key that is not less than `last` and less than `following`."""
    shared = _shared_length(last, following)
    if shared < len(last) and last[shared] + 1 < following[shared]:
        return last[:shared] + bytes([last[shared] + 1])
    return last


def _successor(last: bytes) -> bytes:
    """A short key that is not less than `last`."""
    for position, byte in enumerate(last):
        if byte != 0xFF:
            return last[:position] + bytes([byte + 1])
    return last


# --- Reading ---------------------------------------------------------------------------------------------------------


class TableReader:
    """Reads a table block by block. Every checksum is checked, and every length against what is there.

    Args:
      path: the file.

    Raises:
      NotFoundError: it is not there.
      DataLossError: it is no table, or damaged; methods raise it too.
    """

    def __init__(self, path: Any) -> None:
        self.path = path
        self._lock = threading.Lock()
        with reporting(path):
            self._file = open(local_path(path), "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._read_index(self._read_footer())
        except BaseException:
            self.close()
            raise
        self._parsed: dict[int, tuple[list[bytes], list[bytes]]] = {}  # keys and values of the blocks read last

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def is_in_place(self) -> bool:
        """Whether the file still has its name: it has not been replaced, or deleted, since it was opened."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(local_path(self.path)))
        except FileNotFoundError:
            return False

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        number = bisect_left(self._keys, key)
        if number == len(self._keys):
            return None
        keys, values = self._entries(number)
        place = bisect_left(keys, key)
        return values[place] if place < len(keys) and keys[place] == key else None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values, in order."""
        for number in range(len(self._keys)):
            yield from zip(*self._entries(number), strict=True)

    def damaged(self, offset: int, reason: str) -> errors.DataLossError:
        """The error that says what is wrong at an offset of the file."""
        return errors.DataLossError(None, None, f"{reason} (file {self.path}, offset {offset})")

    def _read_footer(self) -> _Handle:
        if self._size < _FOOTER:
            raise self.damaged(0, f"file is too short to be an sstable: {self._size} bytes")
        offset = self._size - _FOOTER
        footer = self._read(offset, _FOOTER)
        if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
            raise self.damaged(
                self._size - 8,
                "not an sstable (bad magic number): perhaps your file is in a different file format and you need to "
                "use a different restore operator?",
            )
        try:
            _, position = _decode_handle(footer)
            return _decode_handle(footer, position)[0]
        except ValueError:
            raise self.damaged(offset, "bad block handle in the footer") from None

    def _read_index(self, handle: _Handle) -> None:
        self._keys: list[bytes] = []  # of the index block
        self._handles: list[_Handle] = []
        end = 0  # of the data block before: were blocks shared, a small file could have any number of entries
        for key, value in self._parse(self._read_block(handle), handle.offset):
            try:
                found = _decode_handle(value)[0]
            except ValueError:
                found = None
            if found is None or found.offset < end:
                raise self.damaged(handle.offset, "bad block handle in the index block")
            end = found.offset + found.size + _TRAILER
            self._keys.append(key)
            self._handles.append(found)

    def _entries(self, number: int) -> tuple[list[bytes], list[bytes]]:
        """The keys and the values of a data block. Several threads may ask."""
        with self._lock:
            return self._entries_now(number)

    def _entries_now(self, number: int) -> tuple[list[bytes], list[bytes]]:
        found = self._parsed.get(number)
        if found is None:
            handle = self._handles[number]
            found = [], []
            for key, value in self._parse(self._read_block(handle), handle.offset):
                found[0].append(key)
                found[1].append(value)
            before = self._keys[number - 1 : number]  # `get` looks for a key in the block that these say
            if found[0] and (found[0][-1] > self._keys[number] or before and found[0][0] <= before[0]):
                raise self.damaged(handle.offset, "keys are not in order")
            if len(self._parsed) == _KEPT_BLOCKS:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[number] = found
        return found

    def _read_block(self, handle: _Handle) -> bytes:
        """The entries of a block."""
        if handle.offset + handle.size + _TRAILER > self._size - _FOOTER:
            raise self.damaged(handle.offset, f"a block of {handle.size} bytes goes past the end of the file")
        block = self._read(handle.offset, handle.size + _TRAILER)
        content, compression = block[:-_TRAILER], block[-_TRAILER : -_TRAILER + 1]
        if struct.unpack("<I", block[-4:])[0] != crc32c.masked_crc(content, compression):
            raise self.damaged(handle.offset, "block checksum mismatch")
        if compression != b"\0":  # TensorFlow never compresses checkpoints
            kind = "compressed with Snappy" if compression == b"\1" else f"of unknown compression {compression[0]}"
            raise self.damaged(handle.offset, f"a block is {kind}, which is not supported")
        restarts = struct.unpack("<I", content[-4:])[0] if len(content) >= 4 else 0
        end = len(content) - 4 * (restarts + 1)
        if end < 0:
            raise self.damaged(handle.offset, "bad block contents")
        return content[:end]

    def _read(self, offset: int, size: int) -> bytes:
        with reporting(self.path):
            self._file.seek(offset)
            data = self._file.read(size)
        if len(data) != size:
            raise self.damaged(offset, f"file is truncated: {len(data)} of {size} bytes")
        return data

    def _parse(self, block: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
        position, end, key, expanded = 0, len(block), b"", 0
        while position < end:
            start, last = position, key
            try:
                shared, position = decode_varint(block, position, end)
                unshared, position = decode_varint(block, position, end)
                length, position = decode_varint(block, position, end)
            except ValueError:
                raise self.damaged(offset + start, "bad entry in block") from None
            expanded += shared + unshared
            if shared > len(last) or position + unshared + length > end or expanded > _MOST_KEY_GROWTH * end:
                raise self.damaged(offset + start, "bad entry in block")
            key = last[:shared] + block[position : position + unshared]
            if start and key <= last:
                raise self.damaged(offset + start, "keys are not in order")
            position += unshared
            yield key, block[position : position + length]
            position += length
