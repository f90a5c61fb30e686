"""Special functions: error functions, the gamma and beta families, Bessel functions, polynomials.

Their kernels are those of `jax.scipy.special`, so these operations run only compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import Shape
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops
from millstream.ops.arithmetic_ops import multiply, subtract
from millstream.ops.comparison_ops import equal
from millstream.ops.elementwise import FLOATING, UnaryFunction, binary_op, unary, unbroadcast
from millstream.ops.elementwise_ops import abs, exp, log, log1p, reciprocal, sign, square
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.select_ops import where

_BOTH = "float double"
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _kernel(name: str) -> Callable[..., Any]:
    """A kernel that calls a function of `jax.scipy.special`, with half precision numbers in float32."""

    def kernel(xp: Any, *inputs: Any) -> Any:
        from jax.scipy import special

        wide = [x.astype("float32") if x.dtype.itemsize == 2 else x for x in inputs]
        return getattr(special, name)(*wide)

    return kernel


def _special(
    op_type: str,
    name: str,
    function: str,
    doc: str,
    derivative: Any,
    v1: tuple[str, ...] = (),
    v2: tuple[str, ...] = (),
    only_v2: bool = False,
) -> UnaryFunction:
    """An operation that computes a function of `jax.scipy.special`; `name` is its public name."""
    kernel = _kernel(function)
    names, v2 = ((), (name, *v2)) if only_v2 else ((name,), v2)
    return unary(
        op_type,
        FLOATING,
        *names,
        kernel=kernel,
        derivative=derivative,
        doc=doc,
        v1=v1,
        v2=v2,
        traced_only=True,
    )


# --- Error functions ----------------------------------------------------------------------------------------

erf = _special(
    "Erf", "math.erf", "erf", "The Gauss error function.",
    lambda x, y: _TWO_OVER_ROOT_PI * exp(-square(x)), v1=("erf",),
)  # fmt: skip
erfc = _special(
    "Erfc", "math.erfc", "erfc", "The complementary error function, 1 - erf(x).",
    lambda x, y: -_TWO_OVER_ROOT_PI * exp(-square(x)), v1=("erfc",),
)  # fmt: skip
ndtri = _special(
    "Ndtri", "math.ndtri", "ndtri", "The inverse of the standard normal distribution function.",
    lambda x, y: math.sqrt(2 * math.pi) * exp(square(y) / 2), only_v2=True,
)  # fmt: skip
erfinv = _special(
    "Erfinv", "math.erfinv", "erfinv", "The inverse of the error function.",
    lambda x, y: exp(square(y)) / _TWO_OVER_ROOT_PI, only_v2=True,
)  # fmt: skip


@export(v2=["math.erfcinv"])
def erfcinv(x: Any, name: str | None = None) -> Tensor:
    """The inverse of the complementary error function.

    Args:
      x: a floating point tensor, with values between 0 and 2.
      name: the scope of the operations.
    """
    with name_scope(name, "erfcinv", [x]):
        return -math.sqrt(0.5) * ndtri(to_tensor(x, name="x") / 2)


# --- Gamma functions ----------------------------------------------------------------------------------------

lgamma = _special(
    "Lgamma", "math.lgamma", "gammaln", "The logarithm of the absolute value of the gamma function.",
    lambda x, y: digamma(x), v1=("lgamma",),
)  # fmt: skip
digamma = _special(
    "Digamma", "math.digamma", "digamma", "The derivative of `lgamma`.",
    lambda x, y: polygamma(fill_ops.ones_like(x), x), v1=("digamma",),
)  # fmt: skip


def _gamma_density(grad: Any, a: Any, x: Any) -> Any:
    """`grad` times the density of the gamma distribution, the derivative of `igamma` by `x`."""
    return grad * exp((a - 1) * log(x) - x - lgamma(a))


def _lax_kernel(name: str) -> Callable[..., Any]:
    """A kernel that calls a function of `jax.lax`, which does not broadcast."""

    def kernel(xp: Any, *inputs: Any) -> Any:
        from jax import lax

        return getattr(lax, name)(*xp.broadcast_arrays(*inputs))

    return kernel


igamma_grad_a_op = binary_op(
    "IgammaGradA", _BOTH, inputs=("a", "x"), kernel=_lax_kernel("igamma_grad_a"), traced_only=True
)
igamma_op = binary_op(
    "Igamma", _BOTH, inputs=("a", "x"), kernel=_kernel("gammainc"), traced_only=True,
    gradient=lambda grad, a, x, z: (grad * igamma_grad_a_op(a, x), _gamma_density(grad, a, x)),
)  # fmt: skip
igammac_op = binary_op(
    "Igammac", _BOTH, inputs=("a", "x"), kernel=_kernel("gammaincc"), traced_only=True,
    gradient=lambda grad, a, x, z: (-grad * igamma_grad_a_op(a, x), -_gamma_density(grad, a, x)),
)  # fmt: skip
polygamma_op = binary_op(
    "Polygamma", _BOTH, inputs=("a", "x"), kernel=_lax_kernel("polygamma"), traced_only=True,
    gradient=lambda grad, a, x, z: (None, grad * polygamma(a + 1, x)),
)  # fmt: skip
zeta_op = binary_op(
    "Zeta", _BOTH, inputs=("x", "q"), kernel=_kernel("zeta"), traced_only=True,
    gradient=lambda grad, x, q, z: (None, -grad * x * zeta(x + 1, q)),
)  # fmt: skip


@export("math.igamma", v1=["igamma"])
def igamma(a: Any, x: Any, name: str | None = None) -> Tensor:
    """The lower regularised incomplete gamma function P(a, x), from 0 at x = 0 to 1.

    Args:
      a: a float32 or float64 tensor of positive numbers.
      x: a tensor of the same dtype, whose shape broadcasts with that of `a`.
      name: the operation's name.
    """
    return igamma_op(a, x, name=name)


@export("math.igammac", v1=["igammac"])
def igammac(a: Any, x: Any, name: str | None = None) -> Tensor:
    """The upper regularised incomplete gamma function Q(a, x) = 1 - P(a, x).

    Args:
      a: a float32 or float64 tensor of positive numbers.
      x: a tensor of the same dtype, whose shape broadcasts with that of `a`.
      name: the operation's name.
    """
    return igammac_op(a, x, name=name)


@export("math.polygamma", v1=["polygamma"])
def polygamma(a: Any, x: Any, name: str | None = None) -> Tensor:
    """The derivative of order `a` of `digamma`.

    Args:
      a: a float32 or float64 tensor of orders: whole numbers from 0 on.
      x: a tensor of the same dtype, whose shape broadcasts with that of `a`.
      name: the operation's name.
    """
    return polygamma_op(a, x, name=name)


@export("math.zeta", v1=["zeta"])
def zeta(x: Any, q: Any, name: str | None = None) -> Tensor:
    """The Hurwitz zeta function: the sum of (q + n) ** -x over n = 0, 1, 2, ...

    Args:
      x: a float32 or float64 tensor, above 1.
      q: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    return zeta_op(x, q, name=name)


# --- Beta functions -----------------------------------------------------------------------------------------


def _betainc_shape(c: ShapeContext) -> Any:
    """Scalars go with anything; all other inputs have one shape."""
    merged: Shape = ()
    for index in range(3):
        shape = c.shape(index)
        if shape != ():
            merged = shape if merged == () else shapes.merge(merged, shape)
    return merged


@op("Betainc(a: T, b: T, x: T) -> z: T", T=_BOTH, shape=_betainc_shape, traced_only=True)
def betainc_op(xp, a, b, x):
    from jax.scipy import special

    return special.betainc(a, b, x)


@betainc_op.gradient
def _(op, grad):
    a, b, x = op.inputs
    log_beta = lgamma(a) + lgamma(b) - lgamma(a + b)
    density = exp((b - 1) * log1p(-x) + (a - 1) * log(x) - log_beta)
    return None, None, unbroadcast(grad * density, x, op.outputs[0])


@export("math.betainc", v1=["betainc"])
def betainc(a: Any, b: Any, x: Any, name: str | None = None) -> Tensor:
    """The regularised incomplete beta function I_x(a, b), from 0 at x = 0 to 1 at x = 1.

    Args:
      a: a float32 or float64 tensor of positive numbers.
      b: a tensor of the same dtype; of the shape of `a`, or either of them a scalar.
      x: a tensor of the same dtype with numbers between 0 and 1, of that shape or a scalar.
      name: the operation's name.
    """
    return betainc_op(a, b, x, name=name)


@export("math.lbeta", v1=["lbeta"])
def lbeta(x: Any, name: str | None = None) -> Tensor:
    """The logarithm of the absolute value of the multivariate beta function, over the last axis.

    Args:
      x: [..., n], floating point.
      name: the scope of the operations.

    Returns:
      [...].
    """
    with name_scope(name, "lbeta", [x]):
        x = to_tensor(x, name="x")
        log_product = reduce_sum(lgamma(x), axis=[-1])
        return subtract(log_product, lgamma(reduce_sum(x, axis=[-1])), name="sub")


# --- Bessel functions ---------------------------------------------------------------------------------------


def _bessel_i1e_derivative(x: Any, y: Any) -> Any:

    at_zero = equal(x, 0)
    safe_x = where(at_zero, fill_ops.ones_like(x), x)
    elsewhere = bessel_i0e(safe_x) - y * (sign(safe_x) + reciprocal(safe_x))
    return where(at_zero, fill_ops.ones_like(x) / 2, elsewhere)


bessel_i0e = _special(
    "BesselI0e", "math.bessel_i0e", "i0e", "The modified Bessel function of order 0 times exp(-|x|).",
    lambda x, y: bessel_i1e(x) - sign(x) * y, v2=("math.special.bessel_i0e",),
)  # fmt: skip
bessel_i1e = _special(
    "BesselI1e", "math.bessel_i1e", "i1e", "The modified Bessel function of order 1 times exp(-|x|).",
    _bessel_i1e_derivative, v2=("math.special.bessel_i1e",),
)  # fmt: skip


@export("math.bessel_i0", v2=["math.special.bessel_i0"])
def bessel_i0(x: Any, name: str | None = None) -> Tensor:
    """The modified Bessel function of the first kind of order 0.

    Args:
      x: a floating point tensor. `bessel_i0e` does not overflow for large numbers.
      name: the scope of the operations.
    """
    with name_scope(name, "bessel_i0", [x]):
        return multiply(exp(abs(x)), bessel_i0e(x), name="mul")


@export("math.bessel_i1", v2=["math.special.bessel_i1"])
def bessel_i1(x: Any, name: str | None = None) -> Tensor:
    """The modified Bessel function of the first kind of order 1.

    Args:
      x: a floating point tensor. `bessel_i1e` does not overflow for large numbers.
      name: the scope of the operations.
    """
    with name_scope(name, "bessel_i1", [x]):
        return multiply(exp(abs(x)), bessel_i1e(x), name="mul")


# --- Polynomials --------------------------------------------------------------------------------------------


@export("math.polyval")
def polyval(coeffs: Any, x: Any, name: str | None = None) -> Tensor:
    """The value of a polynomial, by Horner's scheme.

    Args:
      coeffs: a list of tensors, the coefficient of the highest power first.
      x: a numeric tensor.
      name: the scope of the operations.

    Example:
      >>> tf.math.polyval([1., 2., 3.], 2.)          # 1 * 4 + 2 * 2 + 3 = 11.
    """
    with name_scope(name, "polyval") as scope:
        x = to_tensor(x, name="x")
        if len(coeffs) < 1:
            return fill_ops.zeros_like(x, name=scope)
        tensors = [to_tensor(value, name=f"coeff_{index}") for index, value in enumerate(coeffs)]
        value = tensors[0]
        for coefficient in tensors[1:]:
            value = coefficient + value * x
        return value
