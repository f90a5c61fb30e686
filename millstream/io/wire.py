"""The wire format of protocol buffers, read without the library: checkpoints' indices need nothing else of it.

Importing the library and all messages takes longer than reading a variable out of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from millstream.io.coding import decode_varint

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of fields
_FIXED = {FIXED64: 8, FIXED32: 4}  # bytes


def fields(data: bytes) -> Iterator[tuple[tuple[int, int], int, bytes]]:
    """The fields of a message, in the order in which they are written.

    Yields:
      (number, kind), the value as an unsigned number where the kind is not BYTES, and as bytes where it is.

    Raises:
      ValueError: this is no message, or has groups, which nobody writes any more.
    """
    position, end = 0, len(data)
    while position < end:
        tag, position = decode_varint(data, position, end)
        kind = tag & 7
        if kind == VARINT:
            number, position = decode_varint(data, position, end)
            yield (tag >> 3, kind), number, b""
            continue
        if kind == BYTES:
            size, position = decode_varint(data, position, end)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        start, position = position, position + size
        if position > end:
            raise ValueError("a field goes past the end of its message")
        value = data[start:position]
        yield (tag >> 3, kind), 0 if kind == BYTES else int.from_bytes(value, "little"), value


def signed(number: int) -> int:
    """A varint of an `int32`, `int64` or enum field."""
    return number - (1 << 64) if number >> 63 else number
