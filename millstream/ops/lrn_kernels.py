"""Local response normalisation (Krizhevsky, Sutskever and Hinton 2012, section 3.3) on arrays, and its gradient.

The functions work on NumPy's arrays and on JAX's; on the latter they are native kernels where there are such.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.native import Like, kernel
from millstream.native.kernel import serves_floats


def _serves(*operands: Any, beta: float, **_: Any) -> bool:
    """The native kernels raise to powers with roots."""
    return beta in (0.25, 0.5, 0.75, 1.0) and serves_floats(*operands)


def _attributes(*_: Any, depth_radius: int, bias: float, alpha: float, beta: float) -> dict[str, Any]:
    return {
        "radius": np.int64(depth_radius), "bias": np.float32(bias), "alpha": np.float32(alpha),
        "quarters": np.int64(4 * beta),
    }  # fmt: skip


def _sum_of_neighbours(x: Any, radius: int) -> Any:
    """The sum of each channel and up to `radius` channels on either side."""
    depth = x.shape[-1]
    radius = min(radius, depth - 1)
    padded = x.__array_namespace__().pad(x, [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
    return sum(padded[..., start : start + depth] for start in range(2 * radius + 1))


def _widened(x: Any) -> Any:
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


@kernel("millstream_lrn", results=lambda x, **_: Like(x.shape, x.dtype), serves=_serves, attributes=_attributes)
def normalize(x: Any, *, depth_radius: int, bias: float, alpha: float, beta: float) -> Any:
    """`x / (bias + alpha * (the sum of x ** 2 over channels at most depth_radius away)) ** beta`."""
    wide = _widened(x)
    scale = bias + alpha * _sum_of_neighbours(wide * wide, depth_radius)
    return (wide * scale**-beta).astype(x.dtype)


@kernel(
    "millstream_lrn_gradient",
    results=lambda dy, x, y, **_: Like(x.shape, x.dtype),
    serves=_serves,
    attributes=_attributes,
)
def gradient(dy: Any, x: Any, y: Any, *, depth_radius: int, bias: float, alpha: float, beta: float) -> Any:
    """The gradient of `normalize` by `x`, where `y` is its result and `dy` the gradient of that."""
    wide_dy, wide, wide_y = _widened(dy), _widened(x), _widened(y)
    scale = bias + alpha * _sum_of_neighbours(wide * wide, depth_radius)
    through_scale = _sum_of_neighbours(wide_dy * wide_y / scale, depth_radius)
    return (wide_dy * scale**-beta - 2 * alpha * beta * wide * through_scale).astype(x.dtype)
