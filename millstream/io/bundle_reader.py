"""Reading checkpoint bundles. What a file says is checked before memory is taken for it."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import FileIO
from typing import Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import DType
from millstream.io import bundle, crc32c
from millstream.io.coding import slice_key
from millstream.io.gfile import local_path, reporting
from millstream.io.sorted_table import TableReader
from millstream.io.tensor_slice import TensorSlice, from_proto

_HIGHEST_RANK = 64  # of NumPy's arrays
_MOST_SHARDS = 1 << 20
_MOST_BYTES = 1 << 62
_ALIGNMENT = 64  # of arrays that are read: XLA takes over memory that is aligned so without a copy


class Entry(NamedTuple):
    """What the index says about a tensor, checked."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    message: Any

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


class _StoredSlice(NamedTuple):
    """A slice that the bundle has, what is wanted of it, and its entry."""

    part: TensorSlice
    common: TensorSlice
    entry: Entry


class _Shard(NamedTuple):
    path: str
    file: FileIO
    size: int


class BundleReader:
    """Reads tensors of a bundle, whatever the number of its shards.

    Args:
      prefix: what its files' names begin with.

    Raises:
      NotFoundError: there is no such bundle.
      DataLossError: it is damaged; methods raise it too.

    Example:
      >>> with BundleReader("model.ckpt") as reader:
      ...   reader.read("w")
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._shards: dict[int, _Shard] = {}
        self._files = ExitStack()
        self.close = weakref.finalize(self, self._files.close)  # closes the files, at the latest when this is gone
        self._table = self._open_table()
        self._files.callback(self._table.close)
        try:
            self.num_shards = self._read_header()
        except BaseException:
            self.close()
            raise

    def _open_table(self) -> TableReader:
        path = bundle.index_path(self.prefix)
        try:
            return TableReader(path)
        except errors.NotFoundError:
            message = f"Unsuccessful TensorSliceReader constructor: Failed to find any matching files for {self.prefix}"
            raise errors.NotFoundError(None, None, message) from None
        except errors.DataLossError as error:
            raise errors.DataLossError(None, None, f"Unable to open table file {path}: {error.message}") from None

    def __enter__(self) -> BundleReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_header(self) -> int:
        """The number of shards."""
        from google.protobuf.message import DecodeError

        from millstream.io import proto

        stored = self._table.get(bundle.HEADER_KEY)
        try:
            header = proto.BundleHeaderProto.FromString(b"\xff" if stored is None else stored)
        except DecodeError:
            raise self._table.damaged(0, "the index has no header that can be read") from None
        if header.endianness != proto.BundleHeaderProto.LITTLE:
            message = f"Reading a bundle with different endianness from the reader ({self._table.path})"
            raise errors.UnimplementedError(None, None, message)
        if header.version.min_consumer > bundle.PRODUCER:
            message = f"Checkpoint min consumer version {header.version.min_consumer} above current version 1"
            raise errors.InvalidArgumentError(None, None, f"{message} ({self._table.path})")
        if not 0 < header.num_shards <= _MOST_SHARDS:
            raise self._table.damaged(0, f"the header says that there are {header.num_shards} shards")
        return int(header.num_shards)

    # --- The index ----------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """The tensors, sorted by name; one that is stored in slices counts as one."""
        for key, value in self._table.items():
            if key != bundle.HEADER_KEY and not key.startswith(bundle.SLICE_MARK):
                yield self._checked(key, value)

    def all_entries(self) -> Iterator[tuple[bytes, Any]]:
        """The keys and messages of all entries, those of slices too."""
        for key, value in self._table.items():
            if key != bundle.HEADER_KEY:
                yield key, self._checked(key, value).message

    def entry(self, name: str) -> Entry | None:
        """What the index says about a tensor; None where it has no such tensor."""
        key = bundle.key_of(name)
        value = self._table.get(key) if key and not key.startswith(bundle.SLICE_MARK) else None
        return None if value is None else self._checked(key, value)

    def _checked(self, key: bytes, value: bytes) -> Entry:
        from google.protobuf.message import DecodeError

        from millstream.io import proto

        name = bundle.name_of(key)
        try:
            message = proto.BundleEntryProto.FromString(value)
            dtype = bundle.dtype_of(message.dtype)
        except (DecodeError, ValueError) as error:
            raise self._bad_entry(name, str(error)) from None
        rank = len(message.shape.dim)
        if message.shape.unknown_rank or rank > _HIGHEST_RANK:
            reason = "unknown rank" if message.shape.unknown_rank else f"{rank} dimensions"
            raise self._bad_entry(name, reason)
        shape = tuple(dim.size for dim in message.shape.dim)
        # Zeros count as ones: NumPy refuses (0, 2**62) all the same.
        capacity = math.prod(size or 1 for size in shape) * max(dtype.size, 1)
        if min(shape, default=0) < 0 or capacity > _MOST_BYTES or message.offset < 0 or message.size < 0:
            raise self._bad_entry(name, f"shape {shape}, offset {message.offset}, size {message.size}")
        if not 0 <= message.shard_id < self.num_shards:
            raise self._bad_entry(name, f"shard {message.shard_id} of {self.num_shards}")
        return Entry(name, dtype, shape, message)

    def _bad_entry(self, name: str, reason: str) -> errors.DataLossError:
        return errors.DataLossError(None, None, f"Invalid entry of tensor '{name}' in {self._table.path}: {reason}")

    # --- Values -------------------------------------------------------------------------------------------------

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor; quantised ones as plain integers, strings as an array of bytes objects.

        Raises:
          NotFoundError: there is none of this name.
          DataLossError: its data is damaged.
        """
        entry = self._found(name)
        if entry.message.slices:
            return self._assemble(entry, TensorSlice.whole(entry.shape))
        return self._read_stored(entry)

    def read_slice(self, name: str, part: TensorSlice) -> np.ndarray[Any, Any]:
        """A part of a tensor, which may be stored whole or in other slices.

        Raises:
          NotFoundError: there is no tensor of this name.
          InvalidArgumentError: it has not got this part.
          DataLossError: its data is damaged.
        """
        entry = self._found(name)
        if not part.fits(entry.shape):
            message = f"Tensor {name} of shape {list(entry.shape)} has no slice {part} ({self.prefix})"
            raise errors.InvalidArgumentError(None, None, message)
        if entry.message.slices:
            return self._assemble(entry, part)
        whole = TensorSlice.whole(entry.shape)
        value = self._read_stored(entry)
        return value if part == whole else np.array(value[part.within(whole)])

    def _found(self, name: str) -> Entry:
        entry = self.entry(name)
        if entry is None:
            raise errors.NotFoundError(None, None, f"Key {name} not found in checkpoint")
        return entry

    def _assemble(self, entry: Entry, wanted: TensorSlice) -> np.ndarray[Any, Any]:
        """A part of a tensor that is stored in slices."""
        found = self._overlapping(entry, wanted)
        if len(found) == 1 and found[0].part == wanted:
            return self._read_stored(found[0].entry)
        if sum(item.common.elements for item in found) != wanted.elements:
            message = f"Tensor {entry.name}: its slices do not hold each element of {wanted} once ({self.prefix})"
            raise errors.InvalidArgumentError(None, None, message)
        result = _empty(wanted.lengths, bundle.stored_dtype(entry.dtype))
        filled = np.zeros(wanted.lengths, bool)
        for part, common, stored in found:
            target = common.within(wanted)
            if filled[target].any():
                raise self._bad_entry(entry.name, "overlapping slices")
            filled[target] = True
            result[target] = self._read_stored(stored)[common.within(part)]
        return result

    def _overlapping(self, entry: Entry, wanted: TensorSlice) -> list[_StoredSlice]:
        """The stored slices that have elements of `wanted`."""
        found = []
        for message in entry.message.slices:
            extents = from_proto(message)
            try:
                part = TensorSlice.of(extents, entry.shape)
            except ValueError as error:
                raise self._bad_entry(entry.name, str(error)) from None
            common = part.intersection(wanted)
            if common is None:
                continue
            value = self._table.get(slice_key(bundle.key_of(entry.name), extents))
            stored = None if value is None else self._checked(bundle.key_of(entry.name), value)
            if stored is None or stored.shape != part.lengths or stored.dtype is not entry.dtype:
                raise self._bad_entry(entry.name, f"slice {part} is missing, or has another shape or dtype")
            self._check_size(stored, self._shard(stored.message.shard_id))
            found.append(_StoredSlice(part, common, stored))
        shards = {item.entry.message.shard_id for item in found}
        if sum(item.entry.message.size for item in found) > sum(self._shard(number).size for number in shards):
            raise self._bad_entry(entry.name, "its slices have more bytes than the files")
        return found

    def _read_stored(self, entry: Entry) -> np.ndarray[Any, Any]:
        """A tensor, or slice, that lies in one place."""
        shard, dtype = self._shard(entry.message.shard_id), bundle.stored_dtype(entry.dtype)
        self._check_size(entry, shard)
        if dtype.hasobject:
            return self._read_strings(entry, shard)
        value = _empty(entry.shape, dtype)
        self._check(entry, shard, self._fill(entry, shard, memoryview(value.reshape(-1).view(np.uint8))))
        if dtype == np.bool_ and (value.view(np.uint8) > 1).any():
            raise self._damaged(entry, shard, "a Boolean that is neither 0 nor 1")
        return value

    def _check_size(self, entry: Entry, shard: _Shard) -> None:
        """Refuses an entry whose bytes are not those of its elements, or are not all in the file."""
        dtype, size = bundle.stored_dtype(entry.dtype), entry.message.size
        if dtype.hasobject:
            fits, expected = size >= entry.elements, f"{entry.elements} or more"  # a length takes a byte at least
        else:
            fits, expected = size == entry.elements * dtype.itemsize, str(entry.elements * dtype.itemsize)
        if not fits:
            raise self._damaged(entry, shard, f"Invalid size in bundle entry: {size}; expected {expected}")
        end = entry.message.offset + size
        if end > shard.size:
            raise self._damaged(entry, shard, f"{end} bytes are needed, the file has {shard.size}")

    def _read_strings(self, entry: Entry, shard: _Shard) -> np.ndarray[Any, Any]:
        data = bytearray(entry.message.size)
        self._fill(entry, shard, memoryview(data))
        try:
            value, checksum = bundle.decode_strings(bytes(data), entry.shape, entry.elements)
        except ValueError as error:
            raise self._damaged(entry, shard, str(error)) from None
        self._check(entry, shard, checksum)
        return value

    def _fill(self, entry: Entry, shard: _Shard, target: memoryview) -> int:
        """Reads the bytes of an entry into memory; gives their masked checksum."""
        crc, offset = 0, entry.message.offset
        for chunk in crc32c.chunks(target):
            with reporting(shard.path):
                shard.file.seek(offset)
                got = shard.file.readinto(chunk)
            if got != len(chunk):
                raise self._damaged(entry, shard, "the file has become shorter")
            crc = crc32c.extend(crc, bytes(chunk))
            offset += got
        return crc32c.masked(crc)

    def _check(self, entry: Entry, shard: _Shard, checksum: int) -> None:
        stored = entry.message.crc32c
        if checksum != stored:
            reason = f"Checksum does not match: stored {stored} vs. calculated on the restored bytes {checksum}"
            raise self._damaged(entry, shard, reason)

    def _damaged(self, entry: Entry, shard: _Shard, reason: str) -> errors.DataLossError:
        where = f"tensor '{entry.name}', file {shard.path}, offset {entry.message.offset}"
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
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
