"""Checkpoint bundles, TensorFlow's format "V2": what writer and reader share.

A bundle with the prefix `P` is the files `P.index`, a sorted table that says for each tensor its dtype, shape, place
and checksum, and `P.data-00000-of-00001` (or several such shards), the tensors' bytes one after the other.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.dtypes import DType
from millstream.io import crc32c, wire
from millstream.io.coding import decode_varint, encode_varint
from millstream.io.sorted_table import TableReader
from millstream.io.tensor_slice import WHOLE, Extents, TensorSlice

HEADER_KEY = b""
SLICE_MARK = b"\0"  # keys of slices begin with it, names of tensors do not
PRODUCER = 1  # the version of the format
_CHECKSUM = 4  # bytes
_HIGHEST_RANK = 64  # of NumPy's arrays
_MOST_BYTES = 1 << 62
# The fields of a `BundleEntryProto` that say where a tensor is.
_CRC = (6, wire.FIXED32)
_PLACE = {(3, wire.VARINT): "shard", (4, wire.VARINT): "offset", (5, wire.VARINT): "size", _CRC: "crc32c"}


class Header(NamedTuple):
    """What an index says about itself."""

    num_shards: int
    endianness: int
    min_consumer: int


class Place(NamedTuple):
    """Where the bytes of a tensor, or of a slice, are, and their masked checksum."""

    shard: int = 0
    offset: int = 0
    size: int = 0
    crc32c: int = 0


class Entry(NamedTuple):
    """What a checkpoint says about a tensor, checked; `slices`: those in which it is stored, if not whole."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    slices: tuple[Extents, ...] = ()
    place: Place = Place()

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes it takes in memory; strings count as a pointer each."""
        return self.elements * stored_dtype(self.dtype).itemsize


def index_path(prefix: str) -> str:
    """The file of a bundle's index."""
    return prefix + ".index"


def data_path(prefix: str, shard: int, num_shards: int) -> str:
    """The file of a bundle's shard."""
    return f"{prefix}.data-{shard:05d}-of-{num_shards:05d}"


def data_files(prefix: str) -> list[str]:
    """The files of shards that are there, those of earlier bundles with the same prefix among them."""
    folder, name = os.path.split(prefix)
    own = re.compile(re.escape(name) + r"\.data-\d{5,}-of-\d{5,}")
    return [os.path.join(folder, found) for found in os.listdir(folder or ".") if own.fullmatch(found)]


def stored_dtype(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype in which elements are stored: quantised types are plain integers."""
    found = np.dtype(dtype.as_numpy_dtype)
    return found[0] if found.names else found


def key_of(name: str) -> bytes:
    """The key of a tensor. Names that are not UTF-8 pass unchanged too."""
    return name.encode("utf-8", "surrogateescape")


def name_of(key: bytes) -> str:
    """The name of a tensor."""
    return key.decode("utf-8", "surrogateescape")


def header(num_shards: int) -> Any:
    """A bundle's header."""
    from millstream.io import proto

    message = proto.BundleHeaderProto(num_shards=num_shards)
    message.version.producer = PRODUCER
    return message


def entry(dtype: DType, shape: Sequence[int]) -> Any:
    """An index entry of a tensor that has not got a place yet."""
    from millstream.io import proto

    message = proto.BundleEntryProto(dtype=dtype.as_datatype_enum)
    message.shape.SetInParent()
    for size in shape:
        message.shape.dim.add(size=size)
    return message


def as_bytes(array: np.ndarray[Any, Any]) -> crc32c.Bytes:
    """The memory of an array, without a copy where it lies in order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


# --- Strings ---------------------------------------------------------------------------------------------------------
# The lengths of all elements as varints, a checksum of the lengths, and all bytes. Checksums are over the lengths as
# numbers of four bytes (eight where that is not enough), not over the varints.


def encode_strings(array: np.ndarray[Any, Any]) -> tuple[list[bytes], int]:
    """A tensor of strings as it is stored, in parts, and its checksum."""
    items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1).tolist()]
    lengths = [len(item) for item in items]
    crc = crc32c.extend(0, _plain_lengths(lengths))
    stored = crc32c.masked(crc).to_bytes(_CHECKSUM, "little")
    for part in (stored, *items):
        crc = crc32c.extend(crc, part)
    return [b"".join(map(encode_varint, lengths)), stored, *items], crc32c.masked(crc)


def decode_strings(data: memoryview, shape: Sequence[int], count: int) -> tuple[np.ndarray[Any, Any], int]:
    """A tensor of strings, and the checksum of what it was read from.

    Raises:
      ValueError: the lengths do not fit the data, or their checksum is wrong.
    """
    lengths, position = [], 0
    for _ in range(count):
        length, position = decode_varint(data, position, len(data))
        lengths.append(length)
    start = position + _CHECKSUM
    if start + sum(lengths) != len(data):
        raise ValueError("the lengths of strings do not add up")
    crc = crc32c.extend(0, _plain_lengths(lengths))
    if data[position:start] != crc32c.masked(crc).to_bytes(_CHECKSUM, "little"):
        raise ValueError("the checksum of the lengths of strings is wrong")
    array = np.empty(count, object)
    crc = crc32c.extend(crc, np.frombuffer(data[position:], np.uint8))
    for index, length in enumerate(lengths):
        array[index] = data[start : start + length].tobytes()
        start += length
    return array.reshape(shape), crc32c.masked(crc)


def _plain_lengths(lengths: Sequence[int]) -> bytes:
    return b"".join(length.to_bytes(4 if length < 1 << 32 else 8, "little") for length in lengths)


def dtype_of(number: int) -> DType:
    """The dtype that an index entry names.

    Raises:
      ValueError: there is none of this number, or bundles do not hold it.
    """
    try:
        found = dtypes.as_dtype(number)
    except TypeError:
        raise ValueError(f"dtype {number} is not known") from None
    if not can_be_stored(found):
        raise ValueError(f"dtype {found.name} cannot be stored")
    return found


def can_be_stored(dtype: DType) -> bool:
    """Whether bundles hold tensors of this dtype."""
    return dtype.is_numpy_compatible and not dtype.is_ref and dtype not in (dtypes.resource, dtypes.variant)


def check_storable(name: str, dtype: DType) -> None:
    """Refuses dtypes that bundles do not hold."""
    if not can_be_stored(dtype):
        message = f"Tensor '{name}' of dtype {dtype.name} cannot be saved in a checkpoint."
        raise errors.UnimplementedError(None, None, message)


# --- Reading entries -------------------------------------------------------------------------------------------------


def read_header(data: bytes) -> Header:
    """The header of an index, which is not checked.

    Raises:
      ValueError: it cannot be read.
    """
    found = dict.fromkeys(Header._fields, 0)
    for field, number, content in wire.fields(data):
        if field == (1, wire.VARINT):
            found["num_shards"] = wire.signed(number)
        elif field == (2, wire.VARINT):
            found["endianness"] = number
        elif field == (3, wire.BYTES):
            for inner, value, _ in wire.fields(content):
                if inner == (2, wire.VARINT):
                    found["min_consumer"] = wire.signed(value)
    return Header(**found)


def read_entry(name: str, data: bytes, path: str) -> Entry:
    """An entry of an index, a `BundleEntryProto`.

    Args:
      name: the tensor's name.
      data: the entry.
      path: the index.

    Raises:
      DataLossError: it cannot be read, or there can be no such tensor.
    """
    dtype, place = 0, Place()
    sizes: list[int] | None = []
    slices = []
    try:
        for field, number, content in wire.fields(data):
            if field == (1, wire.VARINT):
                dtype = number
            elif field == (2, wire.BYTES):
                sizes = _read_shape(content, sizes)
            elif field == (7, wire.BYTES):
                slices.append(_read_slice(content))
            elif field in _PLACE:
                place = place._replace(**{_PLACE[field]: number if field == _CRC else wire.signed(number)})
    except ValueError as error:
        raise bad_entry(name, path, str(error)) from None
    if place.offset < 0 or place.size < 0:
        raise bad_entry(name, path, f"offset {place.offset}, size {place.size}")
    return checked_entry(name, dtype, sizes, tuple(slices), path)._replace(place=place)


def _read_shape(data: bytes, sizes: list[int] | None) -> list[int] | None:
    """Adds the sizes of a `TensorShapeProto`; None where the rank is unknown."""
    for field, number, content in wire.fields(data):
        if field == (2, wire.BYTES):
            size = 0
            for inner, value, _ in wire.fields(content):
                size = wire.signed(value) if inner == (1, wire.VARINT) else size
            sizes = None if sizes is None else [*sizes, size]
        elif field == (3, wire.VARINT) and number:
            sizes = None
    return sizes


def _read_slice(data: bytes) -> Extents:
    """The slice that a `TensorSliceProto` describes."""
    extents = []
    for field, _, content in wire.fields(data):
        if field == (1, wire.BYTES):
            found = {number[0]: wire.signed(value) for number, value, _ in wire.fields(content)}
            extents.append((found.get(1, 0), found[2]) if 2 in found else WHOLE)
    return tuple(extents)


def checked_entry(
    name: str, dtype: int, sizes: Sequence[int] | None, slices: tuple[Extents, ...], path: str
) -> Entry:
    """What the file `path` says about a tensor.

    Args:
      name: the tensor's name.
      dtype: the number of its dtype.
      sizes: its shape; None where the rank is unknown.
      slices: those in which it is stored.
      path: the file.

    Raises:
      DataLossError: there can be no such tensor.
    """
    try:
        found = dtype_of(dtype)
    except ValueError as error:
        raise bad_entry(name, path, str(error)) from None
    if sizes is None or len(sizes) > _HIGHEST_RANK:
        raise bad_entry(name, path, "unknown rank" if sizes is None else f"{len(sizes)} dimensions")
    # Zeros count as ones: NumPy refuses (0, 2**62) all the same.
    capacity = math.prod(size or 1 for size in sizes) * max(found.size, 1)
    if min(sizes, default=0) < 0 or capacity > _MOST_BYTES:
        raise bad_entry(name, path, f"shape {tuple(sizes)}")
    return Entry(name, found, tuple(sizes), slices)


# --- Errors ----------------------------------------------------------------------------------------------------------


def bad_entry(name: str, path: str, reason: str) -> errors.DataLossError:
    """The error for what a file says about a tensor."""
    return errors.DataLossError(None, None, f"Invalid entry of tensor '{name}' in {path}: {reason}")


def check_part(entry: Entry, part: TensorSlice, prefix: str) -> None:
    """Refuses a part that a tensor has not got."""
    if not part.fits(entry.shape):
        message = f"Tensor {entry.name} of shape {list(entry.shape)} has no slice {part} ({prefix})"
        raise errors.InvalidArgumentError(None, None, message)


def open_table(path: str) -> TableReader:
    """The table that a checkpoint begins with."""
    try:
        return TableReader(path)
    except (errors.DataLossError, errors.FailedPreconditionError) as error:  # the latter: a folder
        raise errors.DataLossError(None, None, f"Unable to open table file {path}: {error.message}") from None


def no_files(prefix: str) -> errors.NotFoundError:
    """The error for a checkpoint that is not there."""
    message = f"Unsuccessful TensorSliceReader constructor: Failed to find any matching files for {prefix}"
    return errors.NotFoundError(None, None, message)
