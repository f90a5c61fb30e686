"""CRC-32C, the checksum of TensorFlow's file formats, which store it masked."""

from __future__ import annotations

from collections.abc import Iterator

import google_crc32c

_CHUNK = 1 << 20  # bytes; what is checked is still in the processor's cache when it is written
_MASK_DELTA = 0xA282EAD8


def extend(crc: int, data: bytes) -> int:
    """The checksum of what `crc` (0 at the beginning) is the checksum of, followed by `data`."""
    return google_crc32c.extend(crc, data)


def masked(crc: int) -> int:
    """The form in which a checksum is stored, so that checksums of data that hold checksums stay good ones."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc(*parts: bytes) -> int:
    """The masked checksum of parts one after the other."""
    crc = 0
    for part in parts:
        crc = extend(crc, part)
    return masked(crc)


def chunks(view: memoryview) -> Iterator[memoryview]:
    """A buffer in pieces of the size in which large arrays are checked, read and written."""
    for start in range(0, len(view), _CHUNK):
        yield view[start : start + _CHUNK]
