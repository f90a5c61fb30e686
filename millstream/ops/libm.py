"""log, sin and cos that round as glibc's logf, sinf, cosf and log do, over arrays.

TensorFlow's normal numbers come from the C library's float32 functions, whose results differ from correctly
rounded ones in about one argument in a hundred. What differs is the error of a short polynomial in double
precision, so a polynomial of the same form on the same intervals makes the same errors. The form and the
intervals are the library's; the coefficients were fitted to the results of glibc 2.36 (a linear program
whose constraints are the rounding intervals) until none of the 2^23 arguments that a float32 Box-Muller
transform can meet rounds differently. The margin to the nearest rounding boundary is wider than what fused
multiply-adds can change, so NumPy, XLA and native/libm.h, which holds the same for C++, agree bit for bit.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

Array = Any

# log(x) = log(c) + log1p(r), r = x / c - 1: sixteen intervals an octave, split by the leading bits of x; c is
# the middle of the interval, but for the one that holds 1, where c = 1 keeps r exact, and for its neighbour.
_LOG_START = 0x33330000
_LOG_SHIFT = 19
_LOG_CENTRES = {9: 1.0, 10: 1.053428}
_LOG1P = (-0.49999974843215030, 0.33345676261457730, -0.25089418692455256)
_SIN = (-0.16666654943768291, 0.008332178149945694, -0.00019517299467268305)
_COS = (-0.4999999972533093, 0.041666623349141126, -0.00138867645644043, 2.439052332013964e-05)


@cache
def _log_table() -> tuple[np.ndarray, np.ndarray]:
    """1 / c and log(c) for every interval from 2^-24 up to 1."""
    edges = np.arange(_LOG_START, 0x3F800000 + (2 << _LOG_SHIFT), 1 << _LOG_SHIFT, dtype=np.uint32)
    edges = edges.view(np.float32).astype(np.float64)
    centres = (edges[:-1] + edges[1:]) / 2
    for place, centre in _LOG_CENTRES.items():
        octaves = len(centres[place::16])
        centres[place::16] = np.ldexp(centre, np.arange(octaves) - 24)
    return 1 / centres, np.log(centres)


def log32(xp: Any, x: Array) -> Array:
    """glibc's logf for float32 `x` in [2^-24, 1)."""
    inverse, log_centre = (xp.asarray(table) for table in _log_table())
    interval = (x.view(xp.uint32) - np.uint32(_LOG_START)) >> np.uint32(_LOG_SHIFT)
    r = x.astype(xp.float64) * xp.take(inverse, interval) - 1
    a, b, c = _LOG1P
    return (((c * r + b) * r + a) * (r * r) + (xp.take(log_centre, interval) + r)).astype(xp.float32)


def sin_cos32(xp: Any, x: Array) -> tuple[Array, Array]:
    """glibc's sinf and cosf for float32 `x` in [0, 2 pi]."""
    x = x.astype(xp.float64)
    quadrant = xp.floor(x * (2 / math.pi) + 0.5)
    r = x - quadrant * (math.pi / 2)
    r2 = r * r
    sin = ((_SIN[2] * r2 + _SIN[1]) * r2 + _SIN[0]) * (r2 * r) + r
    cos = (((_COS[3] * r2 + _COS[2]) * r2 + _COS[1]) * r2 + _COS[0]) * r2 + 1
    quadrant = quadrant.astype(xp.int32)
    swap = (quadrant & 1) != 0
    sin, cos = xp.where(swap, cos, sin).astype(xp.float32), xp.where(swap, sin, cos).astype(xp.float32)
    return xp.where((quadrant & 2) != 0, -sin, sin), xp.where(((quadrant + 1) & 2) != 0, -cos, cos)


def log64(xp: Any, x: Array) -> Array:
    """The C library's log for positive float64 `x`; NumPy's own differs in the last bit of some results."""
    return _each(math.log, x) if xp is np else xp.log(x)


def pow64(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The C library's pow for float64 `x` in [0, 1) and `y` > 0, like `log64`."""
    return _each(math.pow, x, y)


def lgamma64(x: np.ndarray) -> np.ndarray:
    """log(gamma(x)) for float64 `x` >= 1 (at most 1e305, above which it overflows)."""
    return _each(math.lgamma, np.minimum(x, 1e305))


def log1p32(x: np.ndarray) -> np.ndarray:
    """The C library's log1pf for float32 `x` >= -1."""
    return _each(_float_function("log1pf", np.log1p), x).astype(np.float32)


def expm1_32(x: np.ndarray) -> np.ndarray:
    """The C library's expm1f for float32 `x`."""
    return _each(_float_function("expm1f", np.expm1), x).astype(np.float32)


@cache
def _float_function(name: str, instead: Callable[..., Any]) -> Callable[[float], float]:
    """A float32 function of the C library; `instead`, in float64, where it cannot be called."""
    import ctypes

    try:
        function: Any = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return instead
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


def _each(function: Callable[..., float], *arrays: np.ndarray) -> np.ndarray:
    """A function of Python floats, which is the C library's, for each element."""
    values = map(function, *(array.ravel().tolist() for array in arrays))
    return np.fromiter(values, np.float64, arrays[0].size).reshape(arrays[0].shape)
