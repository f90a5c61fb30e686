"""Fingerprint64 of FarmHash (G. Pike, https://github.com/google/farmhash): a 64-bit hash that never changes."""
from __future__ import annotations

import struct

_MASK = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def fingerprint64(data: bytes) -> int:
    """The hash of `data`."""
    length = len(data)
    if length <= 16:
        return _up_to_16(data)
    if length <= 32:
        return _from_17_to_32(data)
    return _from_33_to_64(data) if length <= 64 else _long(data)


def _word(data: bytes, at: int) -> int:
    """The eight bytes from `at` on, which counts from the end if negative."""
    return int.from_bytes(data[at : at + 8 or None], "little")


def _rotate(word: int, by: int) -> int:
    word &= _MASK
    return word >> by | word << 64 - by & _MASK


def _fold(word: int) -> int:
    word &= _MASK
    return word ^ word >> 47


def _mix(u: int, v: int, factor: int) -> int:
    return _fold((v ^ _fold((u ^ v) * factor)) * factor) * factor & _MASK


def _up_to_16(data: bytes) -> int:
    length = len(data)
    factor = _K2 + 2 * length
    if length >= 8:
        a, b = _word(data, 0) + _K2, _word(data, -8)
        return _mix((_rotate(b, 37) * factor + a) & _MASK, (_rotate(a, 25) + b) * factor & _MASK, factor)
    if length >= 4:
        a, b = int.from_bytes(data[:4], "little"), int.from_bytes(data[-4:], "little")
        return _mix(length + (a << 3), b, factor)
    if length:
        first = data[0] + (data[length >> 1] << 8)
        last = length + (data[-1] << 2)
        return _fold(first * _K2 & _MASK ^ last * _K0 & _MASK) * _K2 & _MASK
    return _K2


def _pair(a: int, b: int, c: int, d: int, extra: int) -> tuple[int, int]:
    """What both middle lengths do with 32 bytes."""
    return (_rotate(a + b, 43) + _rotate(c, 30) + d) & _MASK, (a + _rotate(b + extra, 18) + c) & _MASK


def _from_17_to_32(data: bytes) -> int:
    factor = _K2 + 2 * len(data)
    a, b = _word(data, 0) * _K1, _word(data, 8)
    c, d = _word(data, -8) * factor, _word(data, -16) * _K2
    return _mix(*_pair(a, b, c, d, _K2), factor)


def _from_33_to_64(data: bytes) -> int:
    factor = _K2 + 2 * len(data)
    a, b = _word(data, 0) * _K2, _word(data, 8)
    c, d = _word(data, -8) * factor, _word(data, -16) * _K2
    y, last = _pair(a, b, c, d, _K2)
    z = _mix(y, last, factor)
    e, f = _word(data, 16) * factor, _word(data, 24)
    g, h = (y + _word(data, -32)) * factor, (z + _word(data, -24)) * factor
    return _mix(*_pair(e, f, g, h, a), factor)


def _weak(words: tuple[int, ...], a: int, b: int) -> tuple[int, int]:
    """Hashes 32 bytes with two seeds."""
    a += words[0]
    b = _rotate(b + a + words[3], 21)
    total = a + words[1] + words[2]
    return (total + words[3]) & _MASK, (b + _rotate(total, 44) + a) & _MASK


def _long(data: bytes) -> int:
    length = len(data)
    x, y = 81 * _K2 + _word(data, 0), 81 * _K1 + 113
    z = _fold(y * _K2 + 113) * _K2
    v = w = (0, 0)
    for start in range(0, (length - 1) // 64 * 64, 64):
        x, y, z, v, w = _step(struct.unpack_from("<8Q", data, start), x, y, z, v, w, _K1, 1)
    factor = _K1 + ((z & 255) << 1)
    w = w[0] + (length - 1 & 63), w[1]
    v = v[0] + w[0], v[1]
    w = w[0] + v[0], w[1]
    x, y, z, v, w = _step(struct.unpack_from("<8Q", data, length - 64), x, y, z, v, w, factor, 9)
    first = _mix(v[0], w[0], factor) + _fold(y) * _K0 + z
    return _mix(first & _MASK, (_mix(v[1], w[1], factor) + x) & _MASK, factor)


_State = tuple[int, int, int, tuple[int, int], tuple[int, int]]


def _step(
    words: tuple[int, ...], x: int, y: int, z: int, v: tuple[int, int], w: tuple[int, int], factor: int, times: int
) -> _State:
    """Takes 64 bytes in."""
    x = _rotate(x + y + v[0] + words[1], 37) * factor
    y = _rotate(y + v[1] + words[6], 42) * factor
    x = (x ^ w[1] * times) & _MASK
    y = (y + v[0] * times + words[5]) & _MASK
    z = _rotate(z + w[0], 33) * factor & _MASK
    v = _weak(words[:4], v[1] * factor, x + w[0])
    w = _weak(words[4:], z + w[1], y + words[2])
    return z, y, x, v, w
