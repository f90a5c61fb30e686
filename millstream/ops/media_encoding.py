"""Encoding pixels as PNG and samples as WAV, with the standard library alone."""
from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels: grey, grey with alpha, RGB, RGBA
_NEARLY_ZERO = 1e-6


def as_pixels(image: Array, bad_color: Array) -> Array:
    """An image as uint8, floating point values scaled so that they fill the range.

    Where there are negative values 0 becomes 128, else 0; the largest magnitude becomes 1 or 255.

    Args:
      image: numbers [height, width, channels].
      bad_color: what stands for pixels that are not finite; as many entries as channels at least.
    """
    if image.dtype == np.uint8:
        return image
    wide = image.astype(np.float32)
    finite = np.isfinite(wide).all(axis=-1)
    values = wide[finite]
    least, greatest = (values.min(), values.max()) if values.size else (np.float32(0), np.float32(0))
    largest = max(abs(least), abs(greatest)) if least < 0 else greatest
    top, offset = (127.0, 128.0) if least < 0 else (255.0, 0.0)
    scale = np.float32(0 if largest < _NEARLY_ZERO else top / largest)
    pixels = np.empty(image.shape, np.uint8)
    pixels[:] = np.asarray(bad_color).reshape(-1)[: image.shape[-1]]
    pixels[finite] = (values * scale + np.float32(offset)).astype(np.uint8)
    return pixels


def encode_png(pixels: Array, compression: int = -1) -> bytes:
    """A PNG file (ISO/IEC 15948), without filtering.

    Args:
      pixels: uint8 or uint16 [height, width, channels], with 1 to 4 channels.
      compression: the level, as `zlib` has it.
    """
    height, width, channels = pixels.shape
    size = pixels.itemsize
    header = struct.pack(">IIBBBBB", width, height, 8 * size, _PNG_COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels * size), np.uint8)  # each row begins with its filter type, 0
    big_endian = np.ascontiguousarray(pixels.reshape(height, width * channels), f">u{size}")
    rows[:, 1:] = big_endian.view(np.uint8)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), compression)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode_wav(samples: Array, sample_rate: float) -> bytes:
    """A WAV file of 16-bit samples.

    Args:
      samples: floats [frames, channels] between -1 and 1; what lies beyond is cut off.
      sample_rate: frames a second.
    """
    channels = samples.shape[1]
    data = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype("<i2").tobytes()
    rate, block = int(sample_rate), 2 * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block, block, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body
