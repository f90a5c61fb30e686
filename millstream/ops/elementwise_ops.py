"""Elementwise functions of one tensor."""

from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import OpDef, find, op
from millstream.core.scopes import name_scope
from millstream.core.shape_rules import merged, same_as
from millstream.core.tensor import Tensor
from millstream.ops import complex_ops
from millstream.ops.elementwise import FLOATING, FLOATING_AND_COMPLEX, SIGNED, conjugate, unary
from millstream.ops.fill_ops import zeros_like

_STEPS = "piecewise constant"
_SIGNED = SIGNED + " int8 int16"  # the latter since 2.x

# --- Signs and powers ---------------------------------------------------------------------------------------


@op("Abs(x: T) -> y: T", T=f"{FLOATING} int8 int16 int32 int64", shape=same_as(0))
def abs_op(xp, x):
    return xp.abs(x)


@abs_op.gradient
def _(op, grad):
    return grad * sign(op.inputs[0])


@export("math.abs", "abs")
def abs(x: Any, name: str | None = None) -> Tensor:
    """The absolute value, elementwise; of complex numbers, the magnitude (a real tensor).

    Args:
      x: a tensor of signed numbers, or complex64, complex128.
      name: the operation's name.

    Example:
      >>> tf.abs([-2.25, 3.25])                      # [2.25, 3.25]
    """
    with name_scope(name, "Abs", [x]) as scope:
        x = to_tensor(x, name="x")
        if x.dtype.is_complex:
            return complex_ops.complex_abs_op(x, Tout=x.dtype.real_dtype, name=scope)
        return abs_op(x, name=scope)


negative = unary(
    "Neg", _SIGNED, "math.negative", "negative",
    kernel=lambda xp, x: -x,
    gradient=lambda op, grad: -grad,
    doc="The numbers with their signs reversed.",
)  # fmt: skip
sign = unary(
    "Sign", _SIGNED, "math.sign", "sign",
    kernel=lambda xp, x: xp.sign(x),
    gradient=lambda op, grad: zeros_like(grad),
    doc="-1, 0 or 1 by the sign of each number; `x / abs(x)` or 0 for complex ones.",
)  # fmt: skip
square = unary(
    "Square", SIGNED + " int8 int16 uint8 uint16 uint32 uint64", "math.square", "square",
    kernel=lambda xp, x: x * x,
    derivative=lambda x, y: 2 * x,
    doc="The square of each number.",
)  # fmt: skip
sqrt = unary(
    "Sqrt", FLOATING_AND_COMPLEX, "math.sqrt", "sqrt",
    kernel=lambda xp, x: xp.sqrt(x),
    gradient=lambda op, grad: sqrt_grad_op(op.outputs[0], grad),
    doc="The square root; NaN for negative real numbers.",
)  # fmt: skip
rsqrt = unary(
    "Rsqrt", FLOATING_AND_COMPLEX, "math.rsqrt", v1=["rsqrt"],
    kernel=lambda xp, x: 1 / xp.sqrt(x),
    gradient=lambda op, grad: rsqrt_grad_op(op.outputs[0], grad),
    doc="The reciprocal of the square root.",
)  # fmt: skip
reciprocal = unary(
    "Reciprocal", _SIGNED, "math.reciprocal", v1=["reciprocal"],
    kernel=lambda xp, x: 1 / x,
    gradient=lambda op, grad: reciprocal_grad_op(op.outputs[0], grad),
    doc="1 / x for each number.",
)  # fmt: skip


@op("Inv(x: T) -> y: T", T=_SIGNED, shape=same_as(0))
def inv_op(xp, x):
    """An older name of `Reciprocal`, found in saved graphs."""
    return 1 / x


@inv_op.gradient
def _(op, grad):
    return inv_grad_op(op.outputs[0], grad)


# --- Rounding -----------------------------------------------------------------------------------------------

floor = unary(
    "Floor", FLOATING, "math.floor", "floor",
    kernel=lambda xp, x: xp.floor(x),
    no_gradient=_STEPS,
    doc="The largest integer that is not greater than each number.",
)  # fmt: skip
ceil = unary(
    "Ceil", FLOATING, "math.ceil", v1=["ceil"],
    kernel=lambda xp, x: xp.ceil(x),
    no_gradient=_STEPS,
    doc="The smallest integer that is not less than each number.",
)  # fmt: skip
rint = unary(
    "Rint", FLOATING, "math.rint", v1=["rint"],
    kernel=lambda xp, x: xp.rint(x),
    no_gradient=_STEPS,
    doc="The nearest integer to each number; of two equally near ones the even one.",
)  # fmt: skip


@op("Round(x: T) -> y: T", T=_SIGNED, shape=same_as(0))
def round_op(xp, x):
    return xp.round(x)


round_op.no_gradient(_STEPS)


@export("math.round", "round")
def round(x: Any, name: str | None = None) -> Tensor:
    """Rounds to the nearest integer; of two equally near ones the even one. Integers are returned themselves.

    Args:
      x: a numeric tensor.
      name: the operation's name.

    Example:
      >>> tf.round([0.9, 2.5, 2.3, 1.5, -4.5])       # [1., 2., 2., 2., -4.]
    """
    x = to_tensor(x, name="x")
    return x if x.dtype.is_integer else round_op(x, name=name)


# --- Exponentials and logarithms ----------------------------------------------------------------------------

exp = unary(
    "Exp", FLOATING_AND_COMPLEX, "math.exp", "exp",
    kernel=lambda xp, x: xp.exp(x),
    derivative=lambda x, y: y,
    doc="e to the power of each number.",
)  # fmt: skip
expm1 = unary(
    "Expm1", FLOATING_AND_COMPLEX, "math.expm1", v1=["expm1"],
    kernel=lambda xp, x: xp.expm1(x),
    derivative=lambda x, y: exp(x),
    doc="exp(x) - 1, accurate also where x is small.",
)  # fmt: skip
log = unary(
    "Log", FLOATING_AND_COMPLEX, "math.log", v1=["log"],
    kernel=lambda xp, x: xp.log(x),
    derivative=lambda x, y: reciprocal(x),
    doc="The natural logarithm; -inf for 0, NaN for negative real numbers.",
)  # fmt: skip
log1p = unary(
    "Log1p", FLOATING_AND_COMPLEX, "math.log1p", v1=["log1p"],
    kernel=lambda xp, x: xp.log1p(x),
    derivative=lambda x, y: reciprocal(1 + x),
    doc="log(1 + x), accurate also where x is small.",
)  # fmt: skip
sigmoid = unary(
    "Sigmoid", FLOATING_AND_COMPLEX, "math.sigmoid", "sigmoid", "nn.sigmoid",
    kernel=lambda xp, x: 1 / (1 + xp.exp(-x)),
    gradient=lambda op, grad: sigmoid_grad_op(conjugate(op.outputs[0]), grad),
    doc="The logistic function 1 / (1 + exp(-x)), with values between 0 and 1.",
)  # fmt: skip


@export("math.log_sigmoid", v1=["log_sigmoid"])
def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """The logarithm of the logistic function, as `-softplus(-x)`, which does not overflow.

    Args:
      x: a floating point tensor.
      name: the operation's name.
    """
    with name_scope(name, "LogSigmoid", [x]) as scope:
        x = to_tensor(x, name="x")
        return negative(find("Softplus")(-x), name=scope)


# --- Trigonometric and hyperbolic functions -----------------------------------------------------------------

sin = unary(
    "Sin", FLOATING_AND_COMPLEX, "math.sin", "sin",
    kernel=lambda xp, x: xp.sin(x),
    derivative=lambda x, y: cos(x),
    doc="The sine of angles in radians.",
)  # fmt: skip
cos = unary(
    "Cos", FLOATING_AND_COMPLEX, "math.cos", "cos",
    kernel=lambda xp, x: xp.cos(x),
    derivative=lambda x, y: -sin(x),
    doc="The cosine of angles in radians.",
)  # fmt: skip
tan = unary(
    "Tan", SIGNED, "math.tan", "tan",
    kernel=lambda xp, x: xp.tan(x),
    derivative=lambda x, y: 1 + square(y),
    doc="The tangent of angles in radians.",
)  # fmt: skip
asin = unary(
    "Asin", SIGNED, "math.asin", "asin",
    kernel=lambda xp, x: xp.arcsin(x),
    derivative=lambda x, y: rsqrt(1 - square(x)),
    doc="The inverse sine in radians; NaN outside of [-1, 1].",
)  # fmt: skip
acos = unary(
    "Acos", SIGNED, "math.acos", "acos",
    kernel=lambda xp, x: xp.arccos(x),
    derivative=lambda x, y: -rsqrt(1 - square(x)),
    doc="The inverse cosine in radians; NaN outside of [-1, 1].",
)  # fmt: skip
atan = unary(
    "Atan", SIGNED, "math.atan", "atan",
    kernel=lambda xp, x: xp.arctan(x),
    derivative=lambda x, y: reciprocal(1 + square(x)),
    doc="The inverse tangent in radians, between -pi/2 and pi/2.",
)  # fmt: skip
sinh = unary(
    "Sinh", FLOATING_AND_COMPLEX, "math.sinh", "sinh",
    kernel=lambda xp, x: xp.sinh(x),
    derivative=lambda x, y: cosh(x),
    doc="The hyperbolic sine.",
)  # fmt: skip
cosh = unary(
    "Cosh", FLOATING_AND_COMPLEX, "math.cosh", "cosh",
    kernel=lambda xp, x: xp.cosh(x),
    derivative=lambda x, y: sinh(x),
    doc="The hyperbolic cosine.",
)  # fmt: skip
tanh = unary(
    "Tanh", FLOATING_AND_COMPLEX, "math.tanh", "tanh", "nn.tanh",
    kernel=lambda xp, x: xp.tanh(x),
    gradient=lambda op, grad: tanh_grad_op(conjugate(op.outputs[0]), grad),
    doc="The hyperbolic tangent, with values between -1 and 1.",
)  # fmt: skip
asinh = unary(
    "Asinh", FLOATING_AND_COMPLEX, "math.asinh", "asinh",
    kernel=lambda xp, x: xp.arcsinh(x),
    derivative=lambda x, y: reciprocal(cosh(y)),
    doc="The inverse hyperbolic sine.",
)  # fmt: skip
acosh = unary(
    "Acosh", FLOATING_AND_COMPLEX, "math.acosh", "acosh",
    kernel=lambda xp, x: xp.arccosh(x),
    derivative=lambda x, y: reciprocal(sinh(y)),
    doc="The inverse hyperbolic cosine; NaN for real numbers below 1.",
)  # fmt: skip
atanh = unary(
    "Atanh", FLOATING_AND_COMPLEX, "math.atanh", "atanh",
    kernel=lambda xp, x: xp.arctanh(x),
    derivative=lambda x, y: reciprocal(1 - square(x)),
    doc="The inverse hyperbolic tangent; NaN for real numbers outside of [-1, 1].",
)  # fmt: skip

# --- Gradients that are operations of their own -------------------------------------------------------------
# Each takes the value `y` of a function and the gradient `dy`, and is differentiable again by both: the last
# row of each gives the two gradients. (Those with a conjugate in the kernel do for complex numbers what
# TensorFlow's do.)


def _value_gradient(op_type: str, kernel: Any, gradient: Any) -> OpDef:
    definition = op(f"{op_type}(y: T, dy: T) -> z: T", T=FLOATING_AND_COMPLEX, shape=merged)(kernel)

    @definition.gradient
    def _(op: Any, grad: Any) -> Any:
        return gradient(grad, *op.inputs)

    return definition


sqrt_grad_op = _value_gradient(
    "SqrtGrad",
    lambda xp, y, dy: dy / (2 * xp.conj(y)),
    lambda grad, y, dy: (-conjugate(grad) * dy / (2 * square(conjugate(y))), grad / (2 * y)),
)
rsqrt_grad_op = _value_gradient(
    "RsqrtGrad",
    lambda xp, y, dy: dy * xp.conj(y) * xp.conj(y) * xp.conj(y) / -2,
    lambda grad, y, dy: (
        -1.5 * conjugate(grad) * dy * square(conjugate(y)),
        rsqrt_grad_op(conjugate(y), grad),
    ),
)
reciprocal_grad_op, inv_grad_op = (
    _value_gradient(
        op_type,
        lambda xp, y, dy: -dy * xp.conj(y) * xp.conj(y),
        lambda grad, y, dy: (
            -2 * conjugate(grad) * dy * conjugate(y),
            reciprocal_grad_op(conjugate(y), grad),
        ),
    )
    for op_type in ("ReciprocalGrad", "InvGrad")
)
sigmoid_grad_op = _value_gradient(
    "SigmoidGrad",
    lambda xp, y, dy: dy * y * (1 - y),
    lambda grad, y, dy: (grad * conjugate(dy * (1 - 2 * y)), sigmoid_grad_op(conjugate(y), grad)),
)
tanh_grad_op = _value_gradient(
    "TanhGrad",
    lambda xp, y, dy: dy * (1 - y * y),
    lambda grad, y, dy: (-2 * grad * conjugate(y * dy), tanh_grad_op(conjugate(y), grad)),
)
