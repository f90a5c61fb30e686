"""Rounding floats to the integers of a quantised type and back, with a gradient, for training with quantisation."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import is_concrete
from millstream.ops.quantize_ops import slices_axis

_FLOATS = "bfloat16 half float double"
_ROUNDING = 'round_mode: string{"HALF_TO_EVEN", "HALF_UP"} = "HALF_TO_EVEN"'


def _rounded(
    xp: Any, input: Any, low: Any, high: Any, *, bits: Any, signed: bool, given: bool, rounding: str, narrow: bool
) -> Any:
    """The nearest multiples of a step, such that the wider side of the range still fits into the integers.

    Args:
      low, high: the range, in a shape that broadcasts with `input`.
      bits: how many bits the integers have.
      signed: whether they have a sign.
      given: whether numbers outside of the range become its ends.
      rounding: how halves are rounded.
      narrow: leaves out the least integer.
    """
    import ml_dtypes

    dtype = input.dtype
    one = xp.asarray(1, dtype)
    greatest = xp.asarray(2.0 ** (bits - signed) - 1, dtype)
    least = xp.asarray(narrow - 2.0 ** (bits - 1), dtype) if signed else 0 * one
    unlimited = ml_dtypes.finfo(dtype).max
    by_low = xp.where(least * low > 0, least / xp.where(low == 0, one, low), unlimited)
    by_high = xp.where(greatest * high > 0, greatest / xp.where(high == 0, one, high), unlimited)
    low_decides = by_low < by_high
    scale = xp.where(low_decides, by_low, by_high)
    step = xp.where(low_decides, low / xp.where(least == 0, one, least), high / greatest)
    if given:
        input = xp.clip(input, xp.where(low_decides, low, least * step), xp.where(low_decides, greatest * step, high))
    scaled = input * scale
    whole = xp.rint(scaled) if rounding == "HALF_TO_EVEN" else xp.floor(scaled + xp.asarray(0.5, dtype))
    return whole * step


def _check_bits(bits: int, signed: bool) -> None:
    if not signed < bits < 63 + (not signed):
        raise ValueError(f"num_bits is out of range: {bits} with signed_input_ {int(signed)}")


def _range(xp: Any, input: Any, low: Any, high: Any, given: bool, axis: int) -> tuple[Any, Any]:
    """The range, given or found, in a shape that broadcasts with `input`."""
    if not given:
        axes = tuple(index for index in range(input.ndim) if index != axis or axis == -1)
        return xp.min(input, axis=axes, keepdims=axis != -1), xp.max(input, axis=axes, keepdims=axis != -1)
    if is_concrete(low) and is_concrete(high) and np.any(low > high):
        raise ValueError(f"Invalid range: input_min {np.max(low):g} > input_max {np.min(high):g}")
    wanted = () if axis == -1 else (input.shape[axis],)
    for name, ends in (("input_min", low), ("input_max", high)):
        if ends.shape != wanted:
            expected = "a scalar." if axis == -1 else f"of the shape {list(wanted)}."
            raise ValueError(f"{name} must be {expected}")
    if axis == -1:
        return low, high
    shape = (-1,) + (1,) * (input.ndim - 1 - axis)
    return low.reshape(shape), high.reshape(shape)


def _kernel(xp, input, input_min, input_max, *, signed_input, num_bits, range_given, round_mode, narrow_range, axis):
    _check_bits(num_bits, signed_input)
    low, high = _range(xp, input, input_min, input_max, range_given, axis)
    return _rounded(
        xp, input, low, high, bits=num_bits, signed=signed_input, given=range_given, rounding=round_mode,
        narrow=narrow_range,
    )  # fmt: skip


def _like_input(c: ShapeContext) -> Any:
    axis = c.attrs.get("axis", -1)
    ends = [shapes.with_rank(c.shape(index), int(axis != -1)) for index in (1, 2) if c.num_inputs > index]
    given = c.shape(0)
    if axis != -1 and given is not None:
        if axis >= len(given):
            raise ValueError(f"Axis should be less than the rank of the input, {len(given)}; received: {axis}")
        for end in ends:
            shapes.merge(end, given[axis : axis + 1])
    return given


# --- Operations ---------------------------------------------------------------------------------------------


# They differ in their gradients.
_ATTRIBUTES = (
    "input: T, input_min: T, input_max: T, *, signed_input: bool = True, num_bits: int = 8, range_given: bool = False, "
    f"{_ROUNDING}, narrow_range: bool = False, axis: int = -1"
)
quantize_and_dequantize_v2_op, quantize_and_dequantize_v4_op = [
    op(f"{name}({_ATTRIBUTES}) -> output: T", T=_FLOATS, shape=_like_input)(_kernel)
    for name in ("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
]


@op(
    "QuantizeAndDequantizeV3(input: T, input_min: T, input_max: T, num_bits: int32, *, signed_input: bool = True, "
    "range_given: bool = True, narrow_range: bool = False, axis: int = -1) -> output: T",
    T=_FLOATS, shape=_like_input,
)  # fmt: skip
def quantize_and_dequantize_v3_op(
    xp, input, input_min, input_max, num_bits, *, signed_input, range_given, narrow_range, axis
):
    """The number of bits is a tensor."""
    low, high = _range(xp, input, input_min, input_max, range_given, axis)
    return _rounded(
        xp, input, low, high, bits=num_bits, signed=signed_input, given=range_given, rounding="HALF_TO_EVEN",
        narrow=narrow_range,
    )  # fmt: skip


@op(
    "QuantizeAndDequantizeV4Grad(gradients: T, input: T, input_min: T, input_max: T, *, axis: int = -1)"
    " -> input_backprop: T, input_min_backprop: T, input_max_backprop: T",
    T=_FLOATS, shape=lambda c: [shapes.merge(c.shape(0), c.shape(1)), c.shape(2), c.shape(3)],
)  # fmt: skip
def quantize_and_dequantize_v4_grad_op(xp, gradients, input, input_min, input_max, *, axis):
    """Gradients pass where the input lies within the range; the range gets none."""
    low, high = _range(xp, input, input_min, input_max, True, axis)
    inside = (input >= low) & (input <= high)
    return xp.where(inside, gradients, xp.zeros_like(gradients)), xp.zeros_like(input_min), xp.zeros_like(input_max)


quantize_and_dequantize_v4_grad_op.no_gradient("it chooses gradients by comparison")


# In versions 2 and 3 rounding is passed by: its own slope, 0, would teach nothing.
@quantize_and_dequantize_v2_op.gradient
@quantize_and_dequantize_v3_op.gradient
def _(op, grad):
    return grad, *[None] * (len(op.inputs) - 1)


@quantize_and_dequantize_v4_op.gradient
def _(op, grad):
    return quantize_and_dequantize_v4_grad_op(grad, *op.inputs, axis=op.attrs["axis"])


# --- Public functions ---------------------------------------------------------------------------------------


@export(v1=["quantization.quantize_and_dequantize"])
def quantize_and_dequantize(
    input: Any,
    input_min: Any,
    input_max: Any,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    name: str | None = None,
    narrow_range: bool = False,
) -> Tensor:
    """Rounds floats as if they were quantised and dequantised again; gradients pass as they are.

    Args:
      input: a floating point tensor.
      input_min, input_max: scalars of the same dtype, the range, if `range_given`.
      signed_input: whether the integers have a sign.
      num_bits: how many bits they have.
      range_given: if False, the range is that of `input`.
      round_mode: "HALF_TO_EVEN" or "HALF_UP".
      name: the operation's name.
      narrow_range: leaves out the least integer.
    """
    return quantize_and_dequantize_v2_op(
        input, input_min, input_max, signed_input=signed_input, num_bits=num_bits, range_given=range_given,
        round_mode=round_mode, narrow_range=narrow_range, name=name,
    )  # fmt: skip


@export(v2=["quantization.quantize_and_dequantize"])
def quantize_and_dequantize_2x(
    input: Any,
    input_min: Any,
    input_max: Any,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Tensor:
    """Like `quantize_and_dequantize_v2`, but all gradients pass as they are."""
    return quantize_and_dequantize_v2_op(
        input, input_min, input_max, signed_input=signed_input, num_bits=num_bits, range_given=range_given,
        round_mode=round_mode, narrow_range=narrow_range, axis=slices_axis(axis, input), name=name,
    )  # fmt: skip


@export(v2=["quantization.quantize_and_dequantize_v2"])
def quantize_and_dequantize_v2(
    input: Any,
    input_min: Any,
    input_max: Any,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Tensor:
    """Rounds floats as if they were quantised and dequantised again; gradients pass within the range.

    Args:
      input: a floating point tensor.
      input_min, input_max: the range, of the same dtype: scalars, or with `axis` vectors of one range for each slice.
      signed_input: whether the integers have a sign.
      num_bits: how many bits they have.
      range_given: if False, the range is that of `input`.
      round_mode: "HALF_TO_EVEN" or "HALF_UP".
      name: the operation's name.
      narrow_range: leaves out the least integer.
      axis: the axis whose slices have ranges of their own.
    """
    return quantize_and_dequantize_v4_op(
        input, input_min, input_max, signed_input=signed_input, num_bits=num_bits, range_given=range_given,
        round_mode=round_mode, narrow_range=narrow_range, axis=slices_axis(axis, input), name=name,
    )  # fmt: skip
