"""Elementwise arithmetic of two tensors, with broadcasting."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.arguments import is_concrete
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, greater_equal, less_equal, not_equal
from millstream.ops.elementwise import ARITHMETIC, COMPLEX, FLOATING, SIGNED, binary, binary_op
from millstream.ops.elementwise_ops import log
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.select_ops import where

_ADDABLE = f"{FLOATING} uint8 int8 int16 int32 int64 {COMPLEX}"
# What TensorFlow takes since 2.x stands behind a "+".
_ALL = ARITHMETIC + " uint32 uint64"
_SMALL = " int8 int16 uint8 uint16 uint32 uint64"
_ORDERED = f"{FLOATING} int32 int64" + _SMALL
_NO_NAN = f"half float double {COMPLEX}" + " bfloat16"

# --- Sums and products --------------------------------------------------------------------------------------

add = binary(
    "Add", f"{_ADDABLE} string", v1=["math.add", "add"],
    kernel=lambda xp, x, y: x + y,
    gradient=lambda grad, x, y, z: (grad, grad),
    doc="x + y; strings are joined.",
)  # fmt: skip
add_v2_op = binary_op(
    "AddV2", _ADDABLE + " uint16 uint32 uint64",
    kernel=lambda xp, x, y: x + y,
    gradient=lambda grad, x, y, z: (grad, grad),
    commutative=True, aggregate=True,
)  # fmt: skip
subtract = binary(
    "Sub", _ALL, "math.subtract", "subtract",
    kernel=lambda xp, x, y: x - y,
    gradient=(lambda grad, x, y, z: grad, lambda grad, x, y, z: -grad),
    doc="x - y.",
)  # fmt: skip
multiply = binary(
    "Mul", _ALL, "math.multiply", "multiply",
    kernel=lambda xp, x, y: x * y,
    gradient=(lambda grad, x, y, z: grad * y, lambda grad, x, y, z: grad * x),
    doc="x * y.",
    commutative=True,
)  # fmt: skip
squared_difference = binary(
    "SquaredDifference", SIGNED, "math.squared_difference", v1=["squared_difference"],
    kernel=lambda xp, x, y: (x - y) * xp.conj(x - y),
    gradient=(lambda grad, x, y, z: 2 * grad * (x - y), lambda grad, x, y, z: -2 * grad * (x - y)),
    doc="(x - y) squared.",
    commutative=True,
)  # fmt: skip


@export(v2=["math.add", "add"])
def add_v2(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x + y; strings are joined.

    Args:
      x: a numeric or string tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    x = to_tensor(x, name="x")
    y = to_tensor(y, name="y", preferred=x.dtype.base_dtype)
    return (add if x.dtype.base_dtype is dtypes.string else add_v2_op)(x, y, name=name or "Add")


# --- Division -----------------------------------------------------------------------------------------------


def _nonzero(xp: Any, x: Any, y: Any, check: Any) -> Any:
    """An integer divisor, checked; zeros are replaced, since what dividing by them gives is not defined."""
    if not x.size:  # then nothing is divided
        return xp.ones_like(y)
    check(xp.all(y != 0), errors.InvalidArgumentError, "Integer division by zero")
    return xp.where(y == 0, xp.ones_like(y), y)


def _is_integer(x: Any) -> bool:
    return x.dtype.kind in "iu"


def _quotient(xp: Any, x: Any, y: Any) -> Any:
    """x / y, correctly rounded: XLA would multiply by the reciprocal of a divisor that it sees to be constant.

    20 / 20 would come out a little different from 1 then, and a learning rate that falls to 0 below it.
    """
    if is_concrete(y) and not is_concrete(x):
        import jax

        y = jax.lax.optimization_barrier(xp.asarray(y))
    return x / y


def _floor_div(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    return xp.floor_divide(x, _nonzero(xp, x, y, check)) if _is_integer(x) else xp.floor(_quotient(xp, x, y))


def _floor_mod(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    return xp.remainder(x, _nonzero(xp, x, y, check) if _is_integer(x) else y)


def _truncate_div(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    if not _is_integer(x):
        return xp.trunc(x / y)
    y = _nonzero(xp, x, y, check)
    quotient = xp.floor_divide(x, y)
    return quotient + ((quotient * y != x) & ((x < 0) != (y < 0)))


def _truncate_mod(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    return xp.fmod(x, _nonzero(xp, x, y, check) if _is_integer(x) else y)


def _div(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    return _truncate_div(xp, x, y, check=check) if _is_integer(x) else _quotient(xp, x, y)


_div_gradient = (lambda grad, x, y, z: grad / y, lambda grad, x, y, z: -grad * x / y / y)


realdiv = binary(
    "RealDiv", _ALL, "realdiv",
    kernel=_quotient,
    gradient=_div_gradient,
    doc="x / y as division of real numbers.",
)  # fmt: skip
div_op = binary_op("Div", _ALL, kernel=_div, gradient=_div_gradient)
floor_div = binary(
    "FloorDiv", _ALL, v1=["floor_div"],
    kernel=_floor_div,
    no_gradient="piecewise constant",
    doc="x / y, rounded towards negative infinity.",
)  # fmt: skip
floormod = binary(
    "FloorMod", f"int32 int64 {FLOATING}" + _SMALL, "math.floormod", "math.mod", v1=["floormod", "mod"],
    kernel=_floor_mod,
    gradient=(lambda grad, x, y, z: grad, lambda grad, x, y, z: -grad * floor_div(x, y)),
    doc="The rest of `floor_div(x, y)`, which has the sign of `y`: `x - floor_div(x, y) * y`.",
)  # fmt: skip
truncatediv = binary(
    "TruncateDiv", _ALL, "truncatediv",
    kernel=_truncate_div,
    no_gradient="piecewise constant",
    doc="x / y, rounded towards zero.",
)  # fmt: skip
truncatemod = binary(
    "TruncateMod", f"int32 int64 {FLOATING}", "truncatemod",
    kernel=_truncate_mod,
    doc="The rest of `truncatediv(x, y)`, which has the sign of `x`.",
)  # fmt: skip
mod_op = binary_op("Mod", "int32 int64 half half bfloat16 float double", kernel=_truncate_mod)
div_no_nan_op = binary_op(
    "DivNoNan", _NO_NAN,
    kernel=lambda xp, x, y: xp.where(y == 0, xp.zeros_like(x), x / _one_where_zero(xp, y, y)),
    gradient=(
        lambda grad, x, y, z: div_no_nan(grad, y),
        lambda grad, x, y, z: -grad * div_no_nan(div_no_nan(x, y), y),
    ),
)  # fmt: skip
mul_no_nan_op = binary_op(
    "MulNoNan", _NO_NAN,
    kernel=lambda xp, x, y: xp.where(y == 0, xp.zeros_like(y), x * y),
    gradient=(lambda grad, x, y, z: multiply_no_nan(grad, y), lambda grad, x, y, z: multiply_no_nan(x, grad)),
)  # fmt: skip

_INT_TO_FLOAT: dict[DType, DType] = {
    dtypes.uint8: dtypes.float32, dtypes.int8: dtypes.float32, dtypes.uint16: dtypes.float32,
    dtypes.int16: dtypes.float32, dtypes.int32: dtypes.float64, dtypes.int64: dtypes.float64,
    dtypes.uint32: dtypes.float64, dtypes.uint64: dtypes.float64,
}  # fmt: skip


@export("math.truediv", "truediv")
def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python's `/`: integers are converted, those of up to 16 bits to float32, others to float64.

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.

    Raises:
      TypeError: the dtypes differ.
    """

    with name_scope(name, "truediv", [x, y]) as scope:
        x = to_tensor(x, name="x")
        dtype = x.dtype.base_dtype
        y = to_tensor(y, name="y", preferred=dtype)
        if dtype is not y.dtype.base_dtype:
            raise TypeError(f"x and y must have the same dtype, got {dtype!r} != {y.dtype.base_dtype!r}")
        if not (dtype.is_floating or dtype.is_complex):
            if dtype not in _INT_TO_FLOAT:
                raise TypeError(f"Invalid dtype {dtype!r} in __truediv__.")
            x, y = cast(x, _INT_TO_FLOAT[dtype]), cast(y, _INT_TO_FLOAT[dtype])
        return realdiv(x, y, name=scope)


@export(v2=["math.divide", "divide"])
def divide_v2(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python's `/`: `truediv`.

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.

    Example:
      >>> tf.divide(7, 2)
      <tf.Tensor: shape=(), dtype=float64, numpy=3.5>
    """
    if not isinstance(x, Tensor):
        x = to_tensor(x, y.dtype.base_dtype if isinstance(y, Tensor) else None, name="x")
    return divide(x, y, name)


@export(v1=["math.divide", "divide"])
def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python computes it: `truediv` for tensors, a Python number where neither is a tensor.

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    return x / y if name is None else truediv(x, y, name)


@export(v1=["div"])
def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as in Python 2: rounded towards negative infinity for integers. Prefer `truediv` or `floordiv`.

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    with name_scope(name, "div", [x, y]) as scope:
        x = to_tensor(x, name="x")
        y = to_tensor(y, x.dtype.base_dtype, name="y")
        return (realdiv if x.dtype.is_floating or x.dtype.is_complex else floor_div)(x, y, name=scope)


@export("math.floordiv", v1=["floordiv"])
def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x // y: division rounded towards negative infinity, for integers and floating point numbers.

    Args:
      x: a real tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    with name_scope(name, "floordiv", [x, y]) as scope:
        return floor_div(x, y, name=scope)


@export(v2=["math.divide_no_nan"])
def divide_no_nan_v2(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where `y` is 0; integers are converted as by `truediv`.

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        x = to_tensor(x, name="x")
        y = to_tensor(y, x.dtype.base_dtype, name="y")
        real = _INT_TO_FLOAT.get(x.dtype.base_dtype)
        return div_no_nan_op(*((x, y) if real is None else (cast(x, real), cast(y, real))), name=scope)


@export(v1=["math.divide_no_nan", "div_no_nan"])
def div_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where `y` is 0.

    Args:
      x: a float32, float64 or complex tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        x = to_tensor(x, name="x")
        return div_no_nan_op(x, to_tensor(y, x.dtype.base_dtype, name="y"), name=scope)


@export("math.multiply_no_nan")
def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * y, and 0 where `y` is 0 even if `x` is infinite or NaN.

    Args:
      x: a float32, float64 or complex tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    with name_scope(name, "multiply_no_nan", [x, y]) as scope:
        x = to_tensor(x, name="x")
        return mul_no_nan_op(x, to_tensor(y, x.dtype.base_dtype, name="y"), name=scope)


@export("math.reciprocal_no_nan")
def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, and 0 where `x` is 0.

    Args:
      x: a float32, float64 or complex tensor.
      name: the operation's name.
    """
    with name_scope(name, "reciprocal_no_nan", [x]) as scope:
        x = to_tensor(x, name="x")
        return div_no_nan_op(to_tensor(1, x.dtype.base_dtype, name="one"), x, name=scope)


@export("math.scalar_mul", "scalar_mul")
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A scalar times a tensor or `IndexedSlices`, of which only the rows present are multiplied.

    Args:
      scalar: a number or scalar tensor.
      x: a numeric tensor or `IndexedSlices`.
      name: the operation's name.

    Raises:
      ValueError: `scalar` is not a scalar.
    """
    scalar = to_tensor(scalar, x.dtype.base_dtype, name="scalar")
    if scalar._shape is None or len(scalar._shape) != 0:
        raise ValueError(f"Only scalar multiply works, got shape {scalar.shape}")
    if isinstance(x, IndexedSlices):
        return IndexedSlices(multiply(scalar, x.values, name), x.indices, x.dense_shape)
    return multiply(scalar, x, name)


# --- Powers, extremes, angles -------------------------------------------------------------------------------


def _pow(xp: Any, x: Any, y: Any, *, check: Any) -> Any:
    if _is_integer(x):
        message = "Integers to negative integer powers are not allowed"
        check(xp.all(y >= 0), errors.InvalidArgumentError, message)
        y = xp.maximum(y, xp.zeros_like(y))
    return xp.power(x, y)


def _pow_by_exponent(grad: Any, x: Any, y: Any, z: Any) -> Any:
    # log(x) counts only where it is a number; elsewhere the gradient by the exponent is 0.
    has_log = not_equal(x, 0) if x.dtype.is_complex else greater(x, 0)
    safe_x = where(has_log, x, ones_like(x))
    log_x = where(has_log, log(safe_x), zeros_like(x))
    return grad * z * log_x


pow_op = binary_op(
    "Pow", f"bfloat16 float half double int32 int64 {COMPLEX}" + " int8 int16",
    kernel=_pow,
    gradient=(lambda grad, x, y, z: grad * y * pow(x, y - 1), _pow_by_exponent),
)  # fmt: skip


@export("math.pow", "pow")
def pow(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x to the power of y.

    Args:
      x: a floating point, complex, int32 or int64 tensor.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`; integers must not be negative.
      name: the operation's name.

    Example:
      >>> tf.pow([[2, 2], [3, 3]], [[8, 16], [2, 3]])   # [[256, 65536], [9, 27]]
    """
    with name_scope(name, "Pow", [x]) as scope:
        return pow_op(x, y, name=scope)


def _choose(grad: Any, first: Any) -> Any:
    """The gradients of a choice between two operands: `first` says where the first one was taken."""

    zeros = zeros_like(grad)
    return where(first, grad, zeros), where(first, zeros, grad)


def _maximum_gradient(grad: Any, x: Any, y: Any, z: Any) -> Any:

    return _choose(grad, greater_equal(x, y))


def _minimum_gradient(grad: Any, x: Any, y: Any, z: Any) -> Any:

    return _choose(grad, less_equal(x, y))


maximum = binary(
    "Maximum", _ORDERED, "math.maximum", "maximum",
    kernel=lambda xp, x, y: xp.maximum(x, y),
    gradient=_maximum_gradient,
    doc="The greater of each two numbers.",
)  # fmt: skip
minimum = binary(
    "Minimum", _ORDERED, "math.minimum", "minimum",
    kernel=lambda xp, x, y: xp.minimum(x, y),
    gradient=_minimum_gradient,
    doc="The lesser of each two numbers.",
)  # fmt: skip
atan2_op = binary_op(
    "Atan2", FLOATING, inputs=("y", "x"),
    kernel=lambda xp, y, x: xp.arctan2(y, x),
    gradient=(
        lambda grad, y, x, z: grad * x / (x * x + y * y),
        lambda grad, y, x, z: -grad * y / (x * x + y * y),
    ),
)  # fmt: skip
next_after_op = binary_op(
    "NextAfter", "double float = float", inputs=("x1", "x2"), out="output: T",
    kernel=lambda xp, x1, x2: xp.nextafter(x1, x2),
    gradient=(lambda grad, x1, x2, z: grad, lambda grad, x1, x2, z: zeros_like(grad)),
)  # fmt: skip


@export("math.atan2", "atan2")
def atan2(y: Any, x: Any, name: str | None = None) -> Tensor:
    """The angle of the point (x, y) in radians, between -pi and pi.

    Args:
      y: a floating point tensor.
      x: a tensor of the same dtype, whose shape broadcasts with that of `y`.
      name: the operation's name.
    """
    return atan2_op(y, x, name=name)


@export("math.nextafter")
def nextafter(x1: Any, x2: Any, name: str | None = None) -> Tensor:
    """The next number after `x1` that the dtype can represent, in the direction of `x2`.

    Args:
      x1: a float32 or float64 tensor.
      x2: a tensor of the same dtype, whose shape broadcasts with that of `x1`.
      name: the operation's name.
    """
    return next_after_op(x1, x2, name=name)


# --- Logarithms that are 0 where x is -----------------------------------------------------------------------


def _one_where_zero(xp: Any, x: Any, y: Any) -> Any:
    """`y`, but 1 where `x` is 0: nothing invalid is computed for elements that do not count."""
    return xp.where(x == 0, xp.ones_like(y), y)


def _nonzero_mask(x: Any) -> Any:

    return cast(not_equal(x, 0), x.dtype.base_dtype)


xlogy = binary(
    "Xlogy", _NO_NAN, "math.xlogy",
    kernel=lambda xp, x, y: xp.where(x == 0, xp.zeros_like(x), x * xp.log(_one_where_zero(xp, x, y))),
    gradient=(
        lambda grad, x, y, z: grad * xlogy(_nonzero_mask(x), y),
        lambda grad, x, y, z: grad * xdivy(x, y),
    ),
    doc="x * log(y), and 0 where `x` is 0.",
)  # fmt: skip
xdivy = binary(
    "Xdivy", _NO_NAN, "math.xdivy",
    kernel=lambda xp, x, y: xp.where(x == 0, xp.zeros_like(x), x / _one_where_zero(xp, x, y)),
    gradient=(
        lambda grad, x, y, z: grad * xdivy(_nonzero_mask(x), y),
        lambda grad, x, y, z: grad * xdivy(-x, y * y),
    ),
    doc="x / y, and 0 where `x` is 0.",
)  # fmt: skip
xlog1py = binary(
    "Xlog1py", _NO_NAN, v2=["math.xlog1py"],
    kernel=lambda xp, x, y: xp.where(x == 0, xp.zeros_like(x), x * xp.log1p(_one_where_zero(xp, x, y))),
    gradient=(
        lambda grad, x, y, z: grad * xlog1py(_nonzero_mask(x), y),
        lambda grad, x, y, z: grad * xdivy(x, y + 1),
    ),
    doc="x * log(1 + y), and 0 where `x` is 0.",
)  # fmt: skip
