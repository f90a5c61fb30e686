"""Numbers and strings as the keys and records of tables hold them.

Varints are those of protocol buffers. The *ordered* codes are for keys: encoded values sort bytewise like the values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LARGEST_VARINT = 10  # bytes


def encode_varint(value: int) -> bytes:
    """A number from 0 in groups of 7 bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes | memoryview, position: int, end: int) -> tuple[int, int]:
    """The number at `position`, and where it ends.

    Raises:
      ValueError: it does not end before `end`, or is longer than 64 bits.
    """
    value = shift = 0
    for index in range(position, min(end, position + _LARGEST_VARINT)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, index + 1
        shift += 7
    raise ValueError("a number does not end")


def _ordered_string(value: bytes) -> bytes:
    """A string in which 0 and 255 are followed by each other, so that its end, 0 and 1, does not occur in it."""
    return re.sub(rb"[\x00\xff]", lambda match: match[0] + bytes([255 - match[0][0]]), value) + b"\0\1"


def _ordered_number(value: int) -> bytes:
    """A number from 0: how many bytes it has, and these."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _ordered_signed(value: int) -> bytes:
    """A signed number in n bytes, of which the first n bits (and the complement of the sign) say how many they are."""
    if value < 0:
        return bytes(0xFF - byte for byte in _ordered_signed(~value))
    size = value.bit_length() // 7 + 1
    return ((((1 << size) - 1) << 7 * size) + value).to_bytes(size, "big")


def slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a part of a tensor.

    Args:
      name: the tensor's name.
      extents: start and length in each dimension; (0, -1) for a whole dimension.
    """
    numbers = b"".join(_ordered_signed(number) for extent in extents for number in extent)
    return _ordered_number(0) + _ordered_string(name) + _ordered_number(len(extents)) + numbers
