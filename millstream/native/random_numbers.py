"""Random numbers drawn by the native library: into NumPy arrays, and in programs of XLA.

The same function draws both. Its parameters are one array of uint64: the stream's key and counter (low, high), and for
"uniform_int" the lowest number and how many there are.
"""
from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from millstream.native import library

# In the order of the library's numbers for them.
_DISTRIBUTIONS = ("uniform", "normal", "truncated_normal", "full_int", "uniform_int")
_TYPES = {
    "float16": 0, "bfloat16": 1, "float32": 2, "float64": 3, "int32": 4, "uint32": 4, "int64": 5, "uint64": 5,
}  # fmt: skip
# Loading the library takes about as long as drawing so many numbers with NumPy.
_WORTH_LOADING = 1 << 18


def serves(parameters: Any, *, distribution: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether the library draws such numbers."""
    return dtype.name in _TYPES and 0 not in shape


def attributes(parameters: Any, *, distribution: str, **_: Any) -> dict[str, Any]:
    """The attributes of XLA's call."""
    return {"distribution": np.int64(_DISTRIBUTIONS.index(distribution))}


def draw(distribution: str, parameters: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    """Numbers in a NumPy array; None where the library is not there, or not worth loading."""
    count = math.prod(shape)
    fill = _function(library.library() if count >= _WORTH_LOADING else library.loaded())
    if fill is None or dtype.name not in _TYPES:
        return None
    values = np.empty(shape, dtype)
    number, kind = _DISTRIBUTIONS.index(distribution), _TYPES[dtype.name]
    filled = fill(number, kind, parameters.ctypes.data, count, values.ctypes.data)
    return values if filled else None


@cache
def _function(loaded: ctypes.CDLL | None) -> Callable[..., bool] | None:
    """The library's function; None where there is no library, or an older one without it."""
    function = getattr(loaded, "millstream_fill_random", None)
    if function is not None:
        function.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
        function.restype = ctypes.c_bool
    return function
