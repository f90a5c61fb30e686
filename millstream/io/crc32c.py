"""CRC-32C, the checksum of TensorFlow's file formats, which store it masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]  # of one dimension, without gaps

_CHUNK = 1 << 20  # bytes; what is checked is still in the processor's cache when it is written
_MASK_DELTA = 0xA282EAD8


def extend(crc: int, data: bytes | Bytes) -> int:
    """The checksum of what `crc` (0 at the beginning) is the checksum of, followed by `data`."""
    return google_crc32c.extend(crc, data)  # takes bytes, and arrays as if they were: nothing is copied


def masked(crc: int) -> int:
    """The form in which a checksum is stored, so that checksums of data that hold checksums stay good ones."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc(*parts: bytes) -> int:
    """The masked checksum of parts one after the other."""
    crc = 0
    for part in parts:
        crc = extend(crc, part)
    return masked(crc)


def chunks(data: Bytes) -> Iterator[Bytes]:
    """Bytes in pieces of the size in which large arrays are checked, read and written."""
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
