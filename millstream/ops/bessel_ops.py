"""The functions of `tf.math.special`: Bessel functions, Dawson's and Fresnel's integrals, Ei and the dilogarithm."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from millstream.core.tensor import Tensor
from millstream.ops import fill_ops, special_functions
from millstream.ops.comparison_ops import equal
from millstream.ops.elementwise import FLOATING, UnaryFunction, unary
from millstream.ops.elementwise_ops import cos, exp, log, sin, square
from millstream.ops.select_ops import where


def _special(op_type: str, name: str, doc: str, derivative: Callable[[Any, Any], Any]) -> UnaryFunction:
    """The operation and the public function `tf.math.special.<name>`."""
    compute = getattr(special_functions, name)
    return unary(
        op_type, FLOATING, v2=(f"math.special.{name}",), doc=doc, derivative=derivative,
        kernel=lambda xp, x: compute(xp, x),  # of this module, as the public function is
    )  # fmt: skip


def _except_at(point: float, value: float, x: Any, derivative: Callable[[Any], Any]) -> Tensor:
    """A derivative whose formula divides by zero at one point, where it is `value`."""
    there = equal(x, point)
    safe_x = where(there, fill_ops.ones_like(x) * (point + 1), x)
    return where(there, fill_ops.ones_like(x) * value, derivative(safe_x))


bessel_j0 = _special(
    "BesselJ0", "bessel_j0", "The Bessel function of the first kind of order 0.",
    lambda x, y: -bessel_j1(x),
)  # fmt: skip
bessel_j1 = _special(
    "BesselJ1", "bessel_j1", "The Bessel function of the first kind of order 1.",
    lambda x, y: _except_at(0, 0.5, x, lambda x: bessel_j0(x) - y / x),
)  # fmt: skip
bessel_y0 = _special(
    "BesselY0", "bessel_y0", "The Bessel function of the second kind of order 0; -inf for x <= 0.",
    lambda x, y: -bessel_y1(x),
)  # fmt: skip
bessel_y1 = _special(
    "BesselY1", "bessel_y1", "The Bessel function of the second kind of order 1; -inf for x <= 0.",
    lambda x, y: bessel_y0(x) - y / x,
)  # fmt: skip
bessel_k0 = _special(
    "BesselK0", "bessel_k0", "The modified Bessel function of the second kind of order 0; inf for x <= 0.",
    lambda x, y: -bessel_k1(x),
)  # fmt: skip
bessel_k0e = _special(
    "BesselK0e", "bessel_k0e", "`bessel_k0` times exp(x), which does not vanish for large x.",
    lambda x, y: y - bessel_k1e(x),
)  # fmt: skip
bessel_k1 = _special(
    "BesselK1", "bessel_k1", "The modified Bessel function of the second kind of order 1; inf for x <= 0.",
    lambda x, y: -bessel_k0(x) - y / x,
)  # fmt: skip
bessel_k1e = _special(
    "BesselK1e", "bessel_k1e", "`bessel_k1` times exp(x), which does not vanish for large x.",
    lambda x, y: y * (1 - 1 / x) - bessel_k0e(x),
)  # fmt: skip
dawsn = _special(
    "Dawsn", "dawsn", "Dawson's integral, exp(-x²) times the integral of exp(t²) from 0 to x.",
    lambda x, y: 1 - 2 * x * y,
)  # fmt: skip
expint = _special(
    "Expint", "expint", "The exponential integral Ei, the integral of exp(t) / t from -infinity to x; NaN for x < 0.",
    lambda x, y: exp(x) / x,
)  # fmt: skip
fresnel_cos = _special(
    "FresnelCos", "fresnel_cos", "The integral of cos(π t² / 2) from 0 to x.",
    lambda x, y: cos(math.pi / 2 * square(x)),
)  # fmt: skip
fresnel_sin = _special(
    "FresnelSin", "fresnel_sin", "The integral of sin(π t² / 2) from 0 to x.",
    lambda x, y: sin(math.pi / 2 * square(x)),
)  # fmt: skip
spence = _special(
    "Spence", "spence", "The dilogarithm of 1 - x, the integral of log(t) / (1 - t) from 1 to x; NaN for x < 0.",
    lambda x, y: _except_at(1, -1.0, x, lambda x: log(x) / (1 - x)),
)  # fmt: skip
