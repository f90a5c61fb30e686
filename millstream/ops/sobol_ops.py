"""Sobol's sequence of points that fill a cube evenly.

`sobol_numbers.gz` has the primitive polynomials and initial direction numbers that S. Joe and F. Y. Kuo found (SIAM
Journal on Scientific Computing 30, 2008; https://web.maths.unsw.edu.au/~fkuo/sobol, copyright 2008 F. Y. Kuo and
S. Joe): for each dimension from the second on a polynomial as bits, and as many numbers as it has degrees, all in two
bytes, the lower one first.
"""
from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import invalid, to_ints

_BITS = 31


@cache
def _numbers() -> tuple[tuple[int, list[int]], ...]:
    """The polynomial and the initial direction numbers of each dimension."""
    import gzip

    with gzip.open(os.path.join(os.path.dirname(__file__), "sobol_numbers.gz")) as file:
        words = iter(np.frombuffer(file.read(), "<u2").tolist())
    return tuple((polynomial, [next(words) for _ in range(polynomial.bit_length() - 1)]) for polynomial in words)


def _directions(dimension: int) -> list[int]:
    """The direction numbers of a dimension, as binary fractions of `_BITS` places."""
    if not dimension:
        return [1 << _BITS - place for place in range(1, _BITS + 1)]
    polynomial, initial = _numbers()[dimension - 1]
    degree, numbers = len(initial), list(initial)
    while len(numbers) < _BITS:
        number = numbers[-degree]
        for back in range(1, degree + 1):
            if polynomial >> degree - back & 1:
                number ^= numbers[-back] << back
        numbers.append(number)
    return [number << _BITS - place for place, number in enumerate(numbers[:_BITS], 1)]


def sobol_points(dimensions: int, count: int, skip: int) -> np.ndarray[Any, Any]:
    """Points number skip + 1 to skip + count, in the order of the Gray code; number 0 is the origin."""
    directions = np.array([_directions(dimension) for dimension in range(dimensions)], np.int64)
    index = np.arange(skip + 1, skip + count + 1, dtype=np.int64)
    gray = index ^ index >> 1
    points = np.zeros((count, dimensions), np.int64)
    for place in range(int(index[-1]).bit_length()):
        points ^= np.where(gray[:, None] >> place & 1, directions[:, place], 0)
    return points / 2.0**_BITS


def _samples_shape(c: ShapeContext) -> Any:
    def known(value: Any) -> int | None:
        return None if value is None else int(value)

    return known(c.constant(1)), known(c.constant(0))


@op(
    "SobolSample(dim: int32, num_results: int32, skip: int32, *, dtype: type{float,double} = float) -> samples: dtype",
    shape=_samples_shape, host=True,
)  # fmt: skip
def sobol_sample_op(xp, dim, num_results, skip):
    (dimensions,), (count,), (first,) = to_ints(dim), to_ints(num_results), to_ints(skip)
    if dimensions < 1:
        raise invalid("dim must be at least one")
    if dimensions > len(_numbers()) + 1:
        raise invalid(f"dim must be at most {len(_numbers()) + 1}")
    if count < 1:
        raise invalid("num_results must be at least one")
    if first < 0:
        raise invalid("skip must be non-negative")
    if first + count >= 2**_BITS - 1:
        raise invalid("num_results+skip must be less than 2147483647")
    return sobol_points(dimensions, count, first)


sobol_sample_op.no_gradient("a sequence of constants")


@export(v2=["math.sobol_sample"])
def sobol_sample(
    dim: Any, num_results: Any, skip: Any = 0, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Points of Sobol's sequence, which fill the unit cube more evenly than random ones.

    Args:
      dim: the number of dimensions, from 1 to 1111; an int32 scalar.
      num_results: the number of points.
      skip: how many points at the beginning are left out. The origin, which comes before the first, always is.
      dtype: float32 or float64.
      name: the operation's name.

    Returns:
      [num_results, dim], numbers in (0, 1).
    """
    return sobol_sample_op(dim, num_results, skip, dtype=dtype, name=name)
