"""Checkpoint bundles, TensorFlow's format "V2": what writer and reader share.

A bundle with the prefix `P` is the files `P.index`, a sorted table that says for each tensor its dtype, shape, place
and checksum, and `P.data-00000-of-00001` (or several such shards), the tensors' bytes one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.dtypes import DType
from millstream.io import crc32c
from millstream.io.coding import decode_varint, encode_varint

HEADER_KEY = b""
SLICE_MARK = b"\0"  # keys of slices begin with it, names of tensors do not
PRODUCER = 1  # the version of the format
_CHECKSUM = 4  # bytes


def index_path(prefix: str) -> str:
    """The file of a bundle's index."""
    return prefix + ".index"


def data_path(prefix: str, shard: int, num_shards: int) -> str:
    """The file of a bundle's shard."""
    return f"{prefix}.data-{shard:05d}-of-{num_shards:05d}"


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


def as_bytes(array: np.ndarray[Any, Any]) -> memoryview:
    """The memory of an array, without a copy where it lies in order."""
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


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


def decode_strings(data: bytes, shape: Sequence[int], count: int) -> tuple[np.ndarray[Any, Any], int]:
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
    crc = crc32c.extend(crc, data[position:])
    for index, length in enumerate(lengths):
        array[index] = data[start : start + length]
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
