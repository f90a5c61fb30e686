"""Bessel functions, Dawson's and Fresnel's integrals, Ei and the dilogarithm, over NumPy or JAX arrays.

Each is put together from Chebyshev series. Their coefficients are no tables, but found when first needed: near zero
from the power series, summed in exact fractions; far from it from the asymptotic series, or from an integral of
exp(-s²) f(s), which the trapezoidal rule gives to the last digit. The kernels compute in float64, whatever the dtype.

Formulas: Abramowitz and Stegun, Handbook of Mathematical Functions, chapters 5, 7, 9 and 27.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

Array = Any
Kernel = Callable[[Any, Array], Array]


# --- Series -------------------------------------------------------------------------------------------------


class Chebyshev:
    """A function of a number in [low, high], as a Chebyshev series that is found when it is first called."""

    def __init__(self, function: Callable[[float], float], low: float, high: float) -> None:
        self.function = function
        self.middle, self.half = (low + high) / 2, (high - low) / 2
        self.coefficients: list[float] = []

    def __call__(self, x: Array) -> Array:
        """The values at `x`; those outside of the interval mean nothing."""
        self.coefficients = self.coefficients or self._find()
        t = (x - self.middle) / self.half
        last = before = 0.0 * t
        for coefficient in self.coefficients[:0:-1]:  # Clenshaw's recurrence
            last, before = coefficient + 2 * t * last - before, last
        return self.coefficients[0] + t * last - before

    def _find(self) -> list[float]:
        """Interpolates at more and more points, until the last coefficients vanish."""
        for degree in (24, 48, 96, 192):
            turns = np.arange(0.5, degree) / (2 * degree)  # integers times these are reduced before they are rounded
            waves = np.cos(2 * np.pi * (np.outer(np.arange(degree), turns * 4 * degree) % (4 * degree) / (4 * degree)))
            values = np.array([self.function(self.middle + self.half * node) for node in waves[1]])
            found = waves @ values * (2 / degree)
            found[0] /= 2
            kept = np.flatnonzero(np.abs(found) > 2e-16 * np.abs(values).max())[-1] + 1
            if kept < 0.9 * degree:
                break
        return found[:kept].tolist()


def power_series(coefficient: Callable[[int], Fraction], x: float) -> float:
    """The sum of coefficient(k) x^k, exactly, but that powers are rounded to 256 binary places."""
    total, power, exact = Fraction(0), Fraction(1), Fraction(x)
    for k in range(1000):
        term = coefficient(k) * power
        total += term
        if k and term and abs(term) < Fraction(1, 2**80):
            break
        power = Fraction(round(power * exact * 2**256), 2**256)
    return float(total)


def near(coefficient: Callable[[int], Fraction], low: float, high: float) -> Chebyshev:
    """A power series on an interval."""
    known = cache(coefficient)
    return Chebyshev(lambda x: power_series(known, x), low, high)


def asymptotic(coefficient: Callable[[int], float], x: float) -> float:
    """The sum of coefficient(k) x^k up to the smallest term."""
    total, power, smallest = 0.0, 1.0, math.inf
    for k in range(1000):
        term = coefficient(k) * power
        if abs(term) >= smallest or abs(term) < 1e-18:
            break
        total, power, smallest = total + term, power * x, abs(term)
    return total


def gaussian(function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The integral of exp(-s²) function(s), an even function, from 0 to infinity."""
    step = 0.2
    s = np.arange(0, 6.6, step)
    values = step * np.exp(-s * s) * function(s)
    return values.sum() - values[0] / 2


def in_double(function: Kernel) -> Kernel:
    """A kernel that computes `function` in float64, and rounds to the argument's dtype."""

    def kernel(xp: Any, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return xp.asarray(function(xp, xp.asarray(x, np.float64))).astype(x.dtype)

    kernel.__doc__ = function.__doc__
    return kernel


# --- Bessel functions ---------------------------------------------------------------------------------------
# With t = x², J0 = j0(t) and J1 = x j1(t); Y0 and Y1 take n0(t) and n1(t) besides. At -t the same series give I and K.


def _factorials(k: int) -> Fraction:
    return Fraction((-1) ** k, 4**k * math.factorial(k) ** 2)


def _harmonic(k: int) -> Fraction:
    return sum((Fraction(1, i) for i in range(1, k + 1)), Fraction(0))


_TERMS: tuple[Callable[[int], Fraction], ...] = (
    _factorials,
    lambda k: _factorials(k) / (2 * k + 2),
    lambda k: -_harmonic(k) * _factorials(k),
    lambda k: (_harmonic(k) + _harmonic(k + 1)) * _factorials(k) / (4 * k + 4),
)
_j0, _j1, _n0, _n1 = (near(term, 0.0, 64.0) for term in _TERMS)  # for x <= 8
_i0, _i1, _m0, _m1 = (near(term, -4.0, 0.0) for term in _TERMS)  # for x <= 2


def _amplitude(order: int, inverse: complex) -> Any:
    """How the function of this order departs from the first term of its asymptotic series (9.2, 9.7).

    Args:
      order: 0 or 1.
      inverse: 1 / (2 x) for K, i / (2 x) for J and Y.
    """
    power, scale = order - 0.5, 2 / math.gamma(order + 0.5)
    return scale * gaussian(lambda s: s ** (2 * order) * (1 + s * s * inverse) ** power)


def _oscillating(order: int) -> tuple[Chebyshev, Chebyshev]:
    """Both parts of the amplitude of J and Y for x > 8, of 64 / x²; the second one divided by 8 / x."""
    at = cache(lambda v: _amplitude(order, 1j * math.sqrt(v) / 16))
    return (
        Chebyshev(lambda v: float(at(v).real), 0.0, 1.0),
        Chebyshev(lambda v: float(at(v).imag) / math.sqrt(v), 0.0, 1.0),
    )


_J_FAR = [_oscillating(0), _oscillating(1)]
_K_FAR = [Chebyshev(lambda v, n=n: float(_amplitude(n, v / 4)), 0.0, 1.0) for n in (0, 1)]


def _logarithm(xp: Any, x: Array) -> Array:
    return xp.log(x / 2) + np.euler_gamma


def _far(xp: Any, x: Array, order: int) -> tuple[Array, Array]:
    """J and Y of x > 8."""
    in_phase, out_of_phase = _J_FAR[order]
    x = xp.maximum(x, 8.0)
    v = 8 / x
    p, q = in_phase(v * v), v * out_of_phase(v * v)
    sum, difference = xp.sin(x) + xp.cos(x), xp.sin(x) - xp.cos(x)
    cos, sin = (sum, difference) if order == 0 else (difference, -sum)
    scale = 1 / xp.sqrt(np.pi * x)
    return scale * (p * cos - q * sin), scale * (p * sin + q * cos)


@in_double
def bessel_j0(xp: Any, x: Array) -> Array:
    x = xp.abs(x)
    return xp.where(x <= 8, _j0(x * x), _far(xp, x, 0)[0])


@in_double
def bessel_j1(xp: Any, x: Array) -> Array:
    far = xp.sign(x) * _far(xp, xp.abs(x), 1)[0]
    return xp.where(xp.abs(x) <= 8, x * _j1(x * x), far)


@in_double
def bessel_y0(xp: Any, x: Array) -> Array:
    t = x * x
    close = 2 / np.pi * (_logarithm(xp, x) * _j0(t) + _n0(t))
    return xp.where(x <= 0, -np.inf, xp.where(x <= 8, close, _far(xp, x, 0)[1]))


@in_double
def bessel_y1(xp: Any, x: Array) -> Array:
    t = x * x
    close = 2 / np.pi * (x * (_logarithm(xp, x) * _j1(t) - _n1(t)) - 1 / x)
    return xp.where(x <= 0, -np.inf, xp.where(x <= 8, close, _far(xp, x, 1)[1]))


def _k0(xp: Any, x: Array) -> Array:
    return -_logarithm(xp, x) * _i0(-x * x) - _m0(-x * x)


def _k1(xp: Any, x: Array) -> Array:
    return 1 / x + x * (_logarithm(xp, x) * _i1(-x * x) - _m1(-x * x))


def _modified(order: int, close: Kernel, scaled: bool) -> Kernel:
    """K, or exp(x) K if `scaled`; `close` is K up to 2."""

    def function(xp: Any, x: Array) -> Array:
        small, large = xp.minimum(x, 2.0), xp.maximum(x, 2.0)
        before = close(xp, small) * (xp.exp(small) if scaled else 1)
        after = xp.sqrt(np.pi / (2 * large)) * _K_FAR[order](2 / large) * (1 if scaled else xp.exp(-large))
        return xp.where(x <= 0, np.inf, xp.where(x <= 2, before, after))

    return in_double(function)


bessel_k0, bessel_k0e = (_modified(0, _k0, scaled) for scaled in (False, True))
bessel_k1, bessel_k1e = (_modified(1, _k1, scaled) for scaled in (False, True))


# --- Integrals ----------------------------------------------------------------------------------------------


def _odd_factorial(k: int) -> int:
    """1 · 3 · 5 · ... · (2k + 1)."""
    return math.prod(range(1, 2 * k + 2, 2))


def _dawsn_term(k: int) -> Fraction:
    return Fraction((-2) ** k, _odd_factorial(k))


def _dawsn_far(v: float) -> float:
    """2 x F(x) at v = 16 / x²."""
    t = 16 / v
    if t < 64:
        return 2 * t * power_series(_dawsn_term, t)
    return asymptotic(lambda k: _odd_factorial(k - 1) / 2**k if k else 1.0, 1 / t)


_dawsn = near(_dawsn_term, 0.0, 16.0), Chebyshev(_dawsn_far, 0.0, 1.0)


@in_double
def dawsn(xp: Any, x: Array) -> Array:
    """exp(-x²) times the integral of exp(t²) from 0 to x (7.1.17)."""
    close, far = _dawsn
    t = x * x
    return xp.where(t <= 16, x * close(t), far(16 / xp.maximum(t, 16.0)) / (2 * x))


def _expint_term(k: int) -> Fraction:
    return Fraction(1, (k + 1) * math.factorial(k + 1))


def _expint_scaled(x: float) -> float:
    """x exp(-x) Ei(x)."""
    if x < 60:
        return x * math.exp(-x) * (np.euler_gamma + math.log(x) + x * power_series(_expint_term, x))
    return asymptotic(math.factorial, 1 / x)


_expint_near = near(_expint_term, 0.0, 4.0)
_expint_between = Chebyshev(_expint_scaled, 4.0, 16.0)
_expint_far = Chebyshev(lambda v: _expint_scaled(16 / v), 0.0, 1.0)


@in_double
def expint(xp: Any, x: Array) -> Array:
    """The principal value of the integral of exp(t) / t from -infinity to x > 0 (5.1.10)."""
    close = np.euler_gamma + xp.log(x) + x * _expint_near(x)
    scaled = xp.where(x <= 16, _expint_between(x), _expint_far(16 / xp.maximum(x, 16.0)))
    return xp.where(x <= 4, close, xp.exp(x) / x * scaled)


_fresnel_near = (
    near(lambda k: Fraction((-1) ** k, math.factorial(2 * k) * (4 * k + 1)), 0.0, 16.0),
    near(lambda k: Fraction((-1) ** k, math.factorial(2 * k + 1) * (4 * k + 3)), 0.0, 16.0),
)
_fresnel_far = (
    Chebyshev(lambda v: float(gaussian(lambda s: 1 / (1 + s**4 * v / 16))), 0.0, 1.0),
    Chebyshev(lambda v: float(gaussian(lambda s: s**2 / (1 + s**4 * v / 16))), 0.0, 1.0),
)


def _fresnel(xp: Any, x: Array) -> tuple[Array, Array]:
    """The integrals of cos(π t² / 2) and of sin(π t² / 2) from 0 to x (7.3.1, 7.3.5, 7.3.9)."""
    q = np.pi / 2 * x * x
    cos_near, sin_near = (x * series(q * q) for series in _fresnel_near)
    large = xp.maximum(q, 4.0)
    root = xp.maximum(xp.abs(x), 1.0)
    f, g = (2 / (np.pi**1.5 * root) * series(16 / large**2) for series in _fresnel_far)
    phase = np.pi / 2 * xp.fmod(root * root, 4.0)
    sin, cos = xp.sin(phase), xp.cos(phase)
    g = g / large
    cos_far, sin_far = (xp.sign(x) * part for part in (0.5 + f * sin - g * cos, 0.5 - f * cos - g * sin))
    return xp.where(q <= 4, cos_near, cos_far), xp.where(q <= 4, q * sin_near, sin_far)


@in_double
def fresnel_cos(xp: Any, x: Array) -> Array:
    return _fresnel(xp, x)[0]


@in_double
def fresnel_sin(xp: Any, x: Array) -> Array:
    return _fresnel(xp, x)[1]


_dilogarithm = near(lambda k: Fraction((-1) ** k, (k + 1) ** 2), -0.5, 0.5)


@in_double
def spence(xp: Any, x: Array) -> Array:
    """The integral of -log(t) / (t - 1) from 1 to x >= 0 (27.7), brought into [0.5, 1.5] by 27.7.3 and 27.7.4."""
    inverted = x > 1.5
    y = xp.where(inverted, 1 / x, x)
    reflected = y < 0.5
    w = xp.where(reflected, -y, y - 1)
    value = -w * _dilogarithm(w)
    product = xp.where(y == 0, 0.0, xp.log(y) * xp.log1p(-y))
    value = xp.where(reflected, np.pi**2 / 6 - product - value, value)
    return xp.where(inverted, -(xp.log(x) ** 2) / 2 - value, value)
