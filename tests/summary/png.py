"""Reading PNG files."""
from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np


def decode_png(data: bytes) -> np.ndarray[Any, Any]:
    """The pixels of a PNG file of 8 or 16 bits a channel, not interlaced."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length :][:4])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    size = channels * depth // 8
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * size)
    above = np.zeros(width * size, np.uint8)
    pixels = np.empty((height, width * size), np.uint8)
    for index, row in enumerate(rows):
        above = pixels[index] = _unfiltered(int(row[0]), row[1:], above, size)
    return pixels.view(f">u{depth // 8}").reshape(height, width, channels)


def _unfiltered(kind: int, row: np.ndarray[Any, Any], above: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """A row of which differences were stored: to the left, above, their mean, or Paeth's choice."""
    out = np.zeros(len(row), np.int64)
    for index, stored in enumerate(row.tolist()):
        left = int(out[index - size]) if index >= size else 0
        up, corner = int(above[index]), int(above[index - size]) if index >= size else 0
        nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
        out[index] = (stored + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
    return out.astype(np.uint8)
