"""Comparisons, logic and bitwise operations, all elementwise."""

from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.dtypes import INTEGERS, NUMERIC, REAL_NUMERIC
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import broadcast, merged, same_as
from millstream.core.tensor import Tensor
from millstream.ops.elementwise import FLOATING, BinaryFunction, UnaryFunction, binary, unary

_REASON = "a truth value"
_COMPARABLE = f"{FLOATING} uint8 int8 int16 int32 int64 complex64 quint8 qint8 qint32 string bool complex128"

# --- Order --------------------------------------------------------------------------------------------------


def _order(op_type: str, name: str, doc: str, compare: Any) -> BinaryFunction:
    return binary(
        op_type,
        REAL_NUMERIC,
        f"math.{name}",
        name,
        kernel=compare,
        out="z: bool",
        no_gradient=_REASON,
        doc=doc,
    )


less = _order("Less", "less", "Whether x < y.", lambda xp, x, y: x < y)
less_equal = _order("LessEqual", "less_equal", "Whether x <= y.", lambda xp, x, y: x <= y)
greater = _order("Greater", "greater", "Whether x > y.", lambda xp, x, y: x > y)
greater_equal = _order("GreaterEqual", "greater_equal", "Whether x >= y.", lambda xp, x, y: x >= y)

# --- Equality -----------------------------------------------------------------------------------------------


def _equality_shape(c: ShapeContext) -> Any:
    """Broadcasting; shapes that do not fit each other are allowed where that compares as False."""
    try:
        return broadcast(c)
    except ValueError:
        if c.attrs["incompatible_shape_error"]:
            raise
        return None


def _equality(op_type: str, kernel: Any) -> OpDef:
    definition = op(
        f"{op_type}(x: T, y: T, *, incompatible_shape_error: bool = true) -> z: bool",
        T=_COMPARABLE + " uint16 uint32 uint64", shape=_equality_shape, commutative=True,
    )(kernel)  # fmt: skip
    definition.no_gradient(_REASON)
    return definition


def _fit(x: Any, y: Any, demanded: bool) -> bool:
    """Whether two arrays broadcast against each other; ValueError where they do not but this is demanded."""
    try:
        shapes.check_broadcast(x.shape, y.shape)
    except ValueError:
        if demanded:
            raise
        return False
    return True


def _equal(xp: Any, x: Any, y: Any, *, incompatible_shape_error: bool) -> Any:
    return x == y if _fit(x, y, incompatible_shape_error) else xp.asarray(False)


def _not_equal(xp: Any, x: Any, y: Any, *, incompatible_shape_error: bool) -> Any:
    return x != y if _fit(x, y, incompatible_shape_error) else xp.asarray(True)


equal_op = _equality("Equal", _equal)
not_equal_op = _equality("NotEqual", _not_equal)


@export("math.equal", "equal")
def equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Whether x == y, elementwise. (In 1.x Python's `==` compares the tensor objects themselves.)

    Args:
      x: a tensor of numbers, truth values or strings.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.

    Returns:
      a bool tensor of the broadcast shape.
    """
    return equal_op(x, y, name=name)


@export("math.not_equal", "not_equal")
def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Whether x != y, elementwise. (In 1.x Python's `!=` compares the tensor objects themselves.)

    Args:
      x: a tensor of numbers, truth values or strings.
      y: a tensor of the same dtype, whose shape broadcasts with that of `x`.
      name: the operation's name.

    Returns:
      a bool tensor of the broadcast shape.
    """
    return not_equal_op(x, y, name=name)


@op(
    "ApproximateEqual(x: T, y: T, *, tolerance: float = 1e-05) -> z: bool",
    T=NUMERIC, shape=merged, commutative=True,
)  # fmt: skip
def approximate_equal_op(xp, x, y, *, tolerance):
    """Whether |x - y| < tolerance, for tensors of the same shape."""
    return xp.abs(x - y) < tolerance


approximate_equal_op.no_gradient(_REASON)

# --- Kinds of numbers ---------------------------------------------------------------------------------------


def _kind(op_type: str, name: str, doc: str, kernel: Any) -> UnaryFunction:
    return unary(
        op_type, FLOATING, f"math.{name}", v1=[f"debugging.{name}", name],
        kernel=kernel, out="bool", no_gradient=_REASON, doc=doc,
    )  # fmt: skip


is_nan = _kind("IsNan", "is_nan", "Whether each number is NaN.", lambda xp, x: xp.isnan(x))
is_inf = _kind("IsInf", "is_inf", "Whether each number is infinite.", lambda xp, x: xp.isinf(x))
is_finite = _kind(
    "IsFinite", "is_finite", "Whether each number is neither infinite nor NaN.", lambda xp, x: xp.isfinite(x)
)

# --- Logic --------------------------------------------------------------------------------------------------


def _logic(op_type: str, kernel: Any) -> OpDef:
    definition = op(f"{op_type}(x: bool, y: bool) -> z: bool", shape=broadcast, commutative=True)(kernel)
    definition.no_gradient(_REASON)
    return definition


logical_and_op = _logic("LogicalAnd", lambda xp, x, y: x & y)
logical_or_op = _logic("LogicalOr", lambda xp, x, y: x | y)


@op("LogicalNot(x: bool) -> y: bool", shape=same_as(0))
def logical_not_op(xp, x):
    return ~x


logical_not_op.no_gradient(_REASON)


@export("math.logical_and", "logical_and")
def logical_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Whether both x and y hold.

    Args:
      x: a bool tensor.
      y: a bool tensor, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    return logical_and_op(x, y, name=name)


@export("math.logical_or", "logical_or")
def logical_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Whether x or y or both hold.

    Args:
      x: a bool tensor.
      y: a bool tensor, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    return logical_or_op(x, y, name=name)


@export("math.logical_not", "logical_not")
def logical_not(x: Any, name: str | None = None) -> Tensor:
    """Whether x does not hold.

    Args:
      x: a bool tensor.
      name: the operation's name.
    """
    return logical_not_op(x, name=name)


@export("math.logical_xor", v1=["logical_xor"])
def logical_xor(x: Any, y: Any, name: str | None = "LogicalXor") -> Tensor:
    """Whether just one of x and y holds.

    Args:
      x: a bool tensor.
      y: a bool tensor, whose shape broadcasts with that of `x`.
      name: the operation's name.
    """
    return logical_and(logical_or(x, y), logical_not(logical_and(x, y)), name=name)


# --- Bits ---------------------------------------------------------------------------------------------------


def _bitwise(op_type: str, name: str, doc: str, kernel: Any, commutative: bool = True) -> BinaryFunction:
    return binary(
        op_type, INTEGERS, f"bitwise.{name}",
        kernel=kernel, commutative=commutative, no_gradient="integers", doc=doc,
    )  # fmt: skip


def _shift(xp: Any, x: Any, y: Any) -> Any:
    """The number of places to shift by, kept below the number of bits."""
    return xp.clip(y, 0, x.dtype.itemsize * 8 - 1)


bitwise_and = _bitwise("BitwiseAnd", "bitwise_and", "The bits that are set in both x and y.", lambda xp, x, y: x & y)
bitwise_or = _bitwise("BitwiseOr", "bitwise_or", "The bits that are set in x or y or both.", lambda xp, x, y: x | y)
bitwise_xor = _bitwise(
    "BitwiseXor", "bitwise_xor", "The bits that are set in just one of x and y.", lambda xp, x, y: x ^ y
)
left_shift = _bitwise(
    "LeftShift", "left_shift", "x with its bits moved to the left by y places.",
    lambda xp, x, y: x << _shift(xp, x, y), commutative=False,
)  # fmt: skip
right_shift = _bitwise(
    "RightShift", "right_shift", "x with its bits moved to the right by y places; the sign is kept.",
    lambda xp, x, y: x >> _shift(xp, x, y), commutative=False,
)  # fmt: skip
invert = unary(
    "Invert", INTEGERS, "bitwise.invert",
    kernel=lambda xp, x: ~x,
    no_gradient="integers",
    doc="Each number with all bits reversed.",
)  # fmt: skip


@op("PopulationCount(x: T) -> y: uint8", T=INTEGERS, shape=same_as(0))
def population_count_op(xp, x):
    """The number of bits that are set."""
    return xp.bitwise_count(x)


population_count_op.no_gradient("integers")
