"""Reading checkpoint bundles. What a file says is checked before memory is taken for it."""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from io import FileIO
from typing import Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.io import bundle, crc32c
from millstream.io.bundle import Entry
from millstream.io.coding import slice_key
from millstream.io.gfile import local_path, reporting
from millstream.io.sorted_table import TableReader
from millstream.io.tensor_slice import Piece, TensorSlice, assemble

_MOST_SHARDS = 1 << 20
_MOST_OPEN = 64  # shards, from the beginning; others when they are asked for
_ATTEMPTS = 100  # to get index and data files of the same save
_LARGE = 1 << 22  # bytes
_ALIGNMENT = 64  # of arrays that are read: XLA takes over memory that is aligned so without a copy


class _Shard(NamedTuple):
    path: str
    file: FileIO
    size: int


class BundleReader:
    """Reads tensors of a bundle, whatever the number of its shards: all from the same save, also while it is replaced.

    Args:
      prefix: what its files' names begin with.

    Raises:
      NotFoundError: there is no such bundle.
      DataLossError: it is damaged; methods raise it too.
      AbortedError: it is replaced all the time.

    Example:
      >>> with BundleReader("model.ckpt") as reader:
      ...   reader.read("w")
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._shards: dict[int, _Shard] = {}
        self._files = ExitStack()
        self.close = weakref.finalize(self, self._files.close)  # closes the files, at the latest when this is gone
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        for _ in range(_ATTEMPTS):
            self._table = self._files.enter_context(closing(self._open_table()))
            self.num_shards = self._read_header()
            self._open_shards()
            if self._table.is_in_place():  # then it goes with the files that were opened after it
                return
            self._shards.clear()
            self._files.close()
        message = f"{self.prefix} was replaced {_ATTEMPTS} times while it was being opened"
        raise errors.AbortedError(None, None, message)

    def _open_table(self) -> TableReader:
        try:
            return bundle.open_table(bundle.index_path(self.prefix))
        except errors.NotFoundError:
            raise bundle.no_files(self.prefix) from None

    def _open_shards(self) -> None:
        """Opens the data files that are there, which stay as they are for this reader even if they are replaced."""
        for number in range(min(self.num_shards, _MOST_OPEN)):
            with suppress(errors.NotFoundError):  # the index can be read all the same
                self._shard(number)

    def __enter__(self) -> BundleReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_header(self) -> int:
        """The number of shards."""
        stored = self._table.get(bundle.HEADER_KEY)
        try:
            header = bundle.read_header(b"\xff" if stored is None else stored)
        except ValueError:
            raise self._table.damaged(0, "the index has no header that can be read") from None
        if header.endianness:
            message = f"Reading a bundle with different endianness from the reader ({self._table.path})"
            raise errors.UnimplementedError(None, None, message)
        if header.min_consumer > bundle.PRODUCER:
            message = f"Checkpoint min consumer version {header.min_consumer} above current version 1"
            raise errors.InvalidArgumentError(None, None, f"{message} ({self._table.path})")
        if not 0 < header.num_shards <= _MOST_SHARDS:
            raise self._table.damaged(0, f"the header says that there are {header.num_shards} shards")
        return header.num_shards

    # --- The index ----------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """The tensors, sorted by name; one that is stored in slices counts as one."""
        for key, value in self._table.items():
            if key != bundle.HEADER_KEY and not key.startswith(bundle.SLICE_MARK):
                yield self._checked(key, value)

    def raw_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """The keys and messages of all entries, those of slices too."""
        for key, value in self._table.items():
            if key != bundle.HEADER_KEY:
                self._checked(key, value)
                yield key, value

    def entry(self, name: str) -> Entry | None:
        """What the index says about a tensor; None where it has no such tensor."""
        key = bundle.key_of(name)
        value = self._table.get(key) if key and not key.startswith(bundle.SLICE_MARK) else None
        return None if value is None else self._checked(key, value)

    def found(self, name: str) -> Entry:
        """What the index says about a tensor that must be there.

        Raises:
          NotFoundError: it is not.
        """
        entry = self.entry(name)
        if entry is None:
            raise errors.NotFoundError(None, None, f"Key {name} not found in checkpoint")
        return entry

    def _checked(self, key: bytes, value: bytes) -> Entry:
        name = bundle.name_of(key)
        entry = bundle.read_entry(name, value, self._table.path)
        if not 0 <= entry.place.shard < self.num_shards:
            raise self._bad_entry(name, f"shard {entry.place.shard} of {self.num_shards}")
        return entry

    def _bad_entry(self, name: str, reason: str) -> errors.DataLossError:
        return bundle.bad_entry(name, self._table.path, reason)

    # --- Values -------------------------------------------------------------------------------------------------

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor; quantised ones as plain integers, strings as an array of bytes objects.

        Raises:
          NotFoundError: there is none of this name.
          DataLossError: its data is damaged.
        """
        entry = self.found(name)
        if entry.slices:
            return self._assemble(entry, TensorSlice.whole(entry.shape))
        return self._read_stored(entry)

    def read_slice(self, name: str, part: TensorSlice) -> np.ndarray[Any, Any]:
        """A part of a tensor, which may be stored whole or in other slices.

        Raises:
          NotFoundError: there is no tensor of this name.
          InvalidArgumentError: it has not got this part.
          DataLossError: its data is damaged.
        """
        entry = self.found(name)
        bundle.check_part(entry, part, self.prefix)
        if entry.slices:
            return self._assemble(entry, part)
        whole = TensorSlice.whole(entry.shape)
        value = self._read_stored(entry)
        return value if part == whole else np.array(value[part.within(whole)])

    def _assemble(self, entry: Entry, wanted: TensorSlice) -> np.ndarray[Any, Any]:
        """A part of a tensor that is stored in slices."""
        found = self._overlapping(entry, wanted)
        if len(found) == 1 and found[0][0] == wanted:
            return self._read_stored(found[0][1])
        pieces = [Piece(part, partial(self._read_stored, stored)) for part, stored in found]
        try:
            return assemble(pieces, wanted, lambda shape: _empty(shape, bundle.stored_dtype(entry.dtype)))
        except ValueError as error:
            message = f"Tensor {entry.name}: {error} ({self.prefix})"
            raise errors.InvalidArgumentError(None, None, message) from None

    def _overlapping(self, entry: Entry, wanted: TensorSlice) -> list[tuple[TensorSlice, Entry]]:
        """The stored slices that have elements of `wanted`, and their entries."""
        found: list[tuple[TensorSlice, Entry]] = []
        for extents in entry.slices:
            try:
                part = TensorSlice.of(extents, entry.shape)
            except ValueError as error:
                raise self._bad_entry(entry.name, str(error)) from None
            if part.intersection(wanted) is None:
                continue
            value = self._table.get(slice_key(bundle.key_of(entry.name), extents))
            stored = None if value is None else self._checked(bundle.key_of(entry.name), value)
            if stored is None or stored.shape != part.lengths or stored.dtype is not entry.dtype:
                raise self._bad_entry(entry.name, f"slice {part} is missing, or has another shape or dtype")
            self._check_size(stored, self._shard(stored.place.shard))
            found.append((part, stored))
        shards = {stored.place.shard for _, stored in found}
        if sum(stored.place.size for _, stored in found) > sum(self._shard(number).size for number in shards):
            raise self._bad_entry(entry.name, "its slices have more bytes than the files")
        return found

    def _read_stored(self, entry: Entry) -> np.ndarray[Any, Any]:
        """A tensor, or slice, that lies in one place."""
        shard, dtype = self._shard(entry.place.shard), bundle.stored_dtype(entry.dtype)
        self._check_size(entry, shard)
        if dtype.hasobject:
            return self._read_strings(entry, shard)
        value = _empty(entry.shape, dtype)
        self._check(entry, shard, self._fill(entry, shard, value.reshape(-1).view(np.uint8)))
        if dtype == np.bool_ and (value.view(np.uint8) > 1).any():
            raise self._damaged(entry, shard, "a Boolean that is neither 0 nor 1")
        return value

    def _check_size(self, entry: Entry, shard: _Shard) -> None:
        """Refuses an entry whose bytes are not those of its elements, or are not all in the file."""
        dtype, size = bundle.stored_dtype(entry.dtype), entry.place.size
        if dtype.hasobject:
            fits, expected = size >= entry.elements, f"{entry.elements} or more"  # a length takes a byte at least
        else:
            fits, expected = size == entry.elements * dtype.itemsize, str(entry.elements * dtype.itemsize)
        if not fits:
            raise self._damaged(entry, shard, f"Invalid size in bundle entry: {size}; expected {expected}")
        end = entry.place.offset + size
        if end > shard.size:
            raise self._damaged(entry, shard, f"{end} bytes are needed, the file has {shard.size}")

    def _read_strings(self, entry: Entry, shard: _Shard) -> np.ndarray[Any, Any]:
        data = np.empty(entry.place.size, np.uint8)
        self._fill(entry, shard, data)
        try:
            value, checksum = bundle.decode_strings(memoryview(data), entry.shape, entry.elements)
        except ValueError as error:
            raise self._damaged(entry, shard, str(error)) from None
        self._check(entry, shard, checksum)
        return value

    def _fill(self, entry: Entry, shard: _Shard, target: crc32c.Bytes) -> int:
        """Reads the bytes of an entry into memory; gives their masked checksum. Several threads may do so."""
        crc, offset = 0, entry.place.offset
        for chunk in crc32c.chunks(target):
            with reporting(shard.path):
                got = os.preadv(shard.file.fileno(), [chunk], offset)
            if got != len(chunk):
                raise self._damaged(entry, shard, "the file has become shorter")
            crc = crc32c.extend(crc, chunk)
            offset += got
        return crc32c.masked(crc)

    def _check(self, entry: Entry, shard: _Shard, checksum: int) -> None:
        stored = entry.place.crc32c
        if checksum != stored:
            reason = (
                f"Checksum does not match: stored {stored} vs. calculated on the restored bytes {checksum}; the file "
                "is damaged, or the checkpoint is just being overwritten, or was when its writer was killed"
            )
            raise self._damaged(entry, shard, reason)

    def _damaged(self, entry: Entry, shard: _Shard, reason: str) -> errors.DataLossError:
        where = f"tensor '{entry.name}', file {shard.path}, offset {entry.place.offset}"
        return errors.DataLossError(None, None, f"{reason} ({where})")

    def _shard(self, number: int) -> _Shard:
        found = self._shards.get(number)
        if found is None:
            path = bundle.data_path(self.prefix, number, self.num_shards)
            with reporting(path):
                file = self._files.enter_context(open(local_path(path), "rb", buffering=0))
                found = self._shards[number] = _Shard(path, file, os.fstat(file.fileno()).st_size)
        return found


def _empty(shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array for what is read."""
    if dtype.hasobject:
        return np.empty(shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    if size >= _LARGE:
        return _pages(size).view(dtype).reshape(shape)
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _pages(size: int) -> crc32c.Bytes:
    """Memory that goes back to the system when the array is gone; the C library would keep some of it."""
    try:
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes for a tensor: {error}") from None
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
