"""Quantising: floats as small integers over a range, and back."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.cast_ops import cast

_TYPES = "qint8 quint8 qint32 qint16 quint16"
_MODES = 'mode: string{"MIN_COMBINED", "MIN_FIRST", "SCALED"} = "MIN_COMBINED"'
_ROUNDING = 'round_mode: string{"HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN"} = "HALF_AWAY_FROM_ZERO"'


def _integers(dtype: DType) -> np.iinfo:
    """The limits of the integers that a quantised type is made of: those of int8 for qint8."""
    return np.iinfo(dtypes.as_dtype(dtype.name[1:]).as_numpy_dtype)


def _round_away(xp: Any, x: Any) -> Any:
    return xp.sign(x) * xp.floor(xp.abs(x) + xp.asarray(0.5, x.dtype))


def _scaled_factor(xp: Any, low: Any, high: Any, least: int, greatest: int) -> Any:
    """Integers per unit in mode SCALED: 0 stays 0, and the wider side of the range still fits."""
    unlimited = np.finfo(np.float32).max
    above = xp.where(high > 0, greatest / xp.where(high > 0, high, 1), unlimited)
    below = xp.where(least * low > 0, least / xp.where(low == 0, 1, low), unlimited)
    return xp.minimum(above, below)


def _min_first_step(xp: Any, low: Any, high: Any, limits: np.iinfo) -> Any:
    """The width of an integer in mode MIN_FIRST, in float64."""
    return xp.asarray(high - low, np.float64) / (2.0**limits.bits - 1)


def _ranges_shape(c: ShapeContext) -> Any:
    """The shape of the range's ends: scalars, or one for each slice along the axis."""
    axis, values = c.attrs["axis"], c.shape(0)
    if axis == -1:
        return shapes.merge(*(shapes.with_rank(c.shape(index), 0) for index in (1, 2)))
    if values is not None and axis >= len(values):
        raise ValueError(
            "Axis is on a zero-based index, so its value must always be less than number of input's dims, but given "
            f"axis value was {axis} and input's dims was {len(values)}"
        )
    ends = shapes.merge(*(shapes.with_rank(c.shape(index), 1) for index in (1, 2)))
    return shapes.merge(ends, None if values is None else values[axis : axis + 1])


def _quantize_shapes(c: ShapeContext) -> Any:
    ends = _ranges_shape(c)
    return [c.shape(0), ends, ends]


def _dequantize_shape(c: ShapeContext) -> Any:
    _ranges_shape(c)
    return c.shape(0)


def _along(ends: Any, axis: int, rank: int) -> Any:
    """The ends of ranges in a shape that broadcasts with what is quantised."""
    return ends if axis == -1 else ends.reshape((-1,) + (1,) * (rank - 1 - axis))


def _check_axis(axis: int, mode: str, what: str) -> None:
    if axis != -1 and mode == "MIN_FIRST":
        raise NotImplementedError(f"MIN_FIRST mode is not implemented for {what} with axis != -1.")


_SLICES = "narrow_range: bool = False, axis: int = -1"


@op(
    f"QuantizeV2(input: float, min_range: float, max_range: float, *, T: type{{{_TYPES.replace(' ', ', ')}}}, "
    f"{_MODES}, {_ROUNDING}, {_SLICES}, ensure_minimum_range: float = 0.01)"
    " -> output: T, output_min: float, output_max: float",
    shape=_quantize_shapes,
)
def quantize_op(xp, input, min_range, max_range, *, T, mode, round_mode, narrow_range, axis, ensure_minimum_range):
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise ValueError(f"Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED', but mode is '{mode}'.")
    _check_axis(axis, mode, "Quantize")
    limits = _integers(T)
    ends = xp.minimum(min_range, xp.zeros_like(min_range))
    widest = xp.maximum(xp.maximum(xp.abs(min_range), xp.abs(max_range)), 1)
    low = _along(ends, axis, input.ndim)
    high = _along(
        xp.maximum(xp.maximum(max_range, 0), ends + widest * np.float32(ensure_minimum_range)), axis, input.ndim
    )
    if mode == "SCALED":
        least = limits.min + narrow_range
        factor = _scaled_factor(xp, low, high, least, limits.max).astype(np.float32)
        low, high = least / factor, limits.max / factor
        values = xp.clip(input, low, high) * factor
        values = xp.rint(values) if round_mode == "HALF_TO_EVEN" else _round_away(xp, values)
    elif mode == "MIN_FIRST":
        factor = (1 / _min_first_step(xp, low, high, limits)).astype(np.float32)
        values = _round_away(xp, input * factor) - _round_away(xp, low * factor) + limits.min
    else:
        values = (xp.clip(input, low, high) - low) * (float(limits.max - limits.min) / (high - low))
        values = _round_away(xp, values + limits.min)
    whole = xp.clip(values.astype(np.float64), limits.min, limits.max)
    return whole.astype(limits.dtype), low.reshape(ends.shape), high.reshape(ends.shape)


@op(
    f"Dequantize(input: T, min_range: float, max_range: float, *, {_MODES}, {_SLICES}) -> output: float",
    T=_TYPES, shape=_dequantize_shape,
)  # fmt: skip
def dequantize_op(xp, input, min_range, max_range, *, T, mode, narrow_range, axis):
    _check_axis(axis, mode, "Dequantize")
    limits = _integers(T)
    values = input.astype(np.float32)
    low, high = _along(min_range, axis, input.ndim), _along(max_range, axis, input.ndim)
    if mode == "SCALED":
        factor = _scaled_factor(xp, low, high, limits.min + narrow_range, limits.max)
        return values * (1 / factor).astype(np.float32)
    if mode == "MIN_FIRST":
        step = _min_first_step(xp, low, high, limits).astype(np.float32)
        return _round_away(xp, low / step) * step + (values - limits.min) * step
    return (values - limits.min) * ((high - low) / float(limits.max - limits.min)) + low


@export(v1=["quantize_v2"])
def quantize_v2(
    input: Any,
    min_range: Any,
    max_range: Any,
    T: Any,
    mode: str = "MIN_COMBINED",
    name: str | None = None,
    round_mode: str = "HALF_AWAY_FROM_ZERO",
) -> tuple[Tensor, Tensor, Tensor]:
    """Old spelling of `tf.quantize`."""
    return quantize_op(input, min_range, max_range, T=T, mode=mode, round_mode=round_mode, name=name)


@export(v1=["quantize", "quantization.quantize"])
def quantize(
    input: Any,
    min_range: Any,
    max_range: Any,
    T: Any,
    mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO",
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Represents floats by small integers over a range.

    Args:
      input: float32, any shape.
      min_range, max_range: float32 scalars, the range; it is widened to hold 0.
      T: the quantised dtype, such as `tf.quint8`.
      mode: "MIN_COMBINED" and "MIN_FIRST" share the range out evenly over all integers, "SCALED" keeps 0 at 0.
      round_mode: how halves are rounded; "HALF_TO_EVEN" with mode "SCALED" only.
      name: the operation's name.

    Returns:
      (output, output_min, output_max): dtype `T`, and the range that was used.

    Example:
      >>> q, low, high = tf.quantize([0., 1., 2.], 0., 2., tf.quint8)     # q = [0, 128, 255]
    """
    return quantize_op(input, min_range, max_range, T=T, mode=mode, round_mode=round_mode, name=name)


@export(v1=["dequantize", "quantization.dequantize"])
def dequantize(
    input: Any, min_range: Any, max_range: Any, mode: str = "MIN_COMBINED", name: str | None = None
) -> Tensor:
    """The floats that quantised values stand for; the inverse of `tf.quantize` but for rounding.

    Args:
      input: a quantised dtype, any shape.
      min_range, max_range: float32 scalars, the range that `quantize` gave.
      mode: the mode that it was quantised with.
      name: the operation's name.
    """
    return dequantize_op(input, min_range, max_range, mode=mode, name=name)


@export(v2=["quantization.quantize"])
def quantize_2x(
    input: Any,
    min_range: Any,
    max_range: Any,
    T: Any,
    mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO",
    name: str | None = None,
    narrow_range: bool = False,
    axis: int | None = None,
    ensure_minimum_range: float = 0.01,
) -> tuple[Tensor, Tensor, Tensor]:
    """Represents floats by small integers over a range.

    Args:
      input: float32, any shape.
      min_range, max_range: float32 scalars, the range, which is widened to hold 0; with `axis`, vectors of one range
        for each slice.
      T: the quantised dtype, such as `tf.quint8`.
      mode: "MIN_COMBINED" and "MIN_FIRST" share the range out evenly over all integers, "SCALED" keeps 0 at 0.
      round_mode: how halves are rounded; "HALF_TO_EVEN" with mode "SCALED" only.
      name: the operation's name.
      narrow_range: leaves out the least integer, in mode "SCALED".
      axis: the axis whose slices have ranges of their own; not in mode "MIN_FIRST".
      ensure_minimum_range: the range is widened to this share of its larger end (and of 1).

    Returns:
      (output, output_min, output_max): dtype `T`, and the ranges that were used.

    Example:
      >>> q, low, high = tf.quantization.quantize([0., 1., 2.], 0., 2., tf.quint8)     # q = [0, 128, 255]
    """
    return quantize_op(
        input, min_range, max_range, T=T, mode=mode, round_mode=round_mode, narrow_range=narrow_range,
        axis=slices_axis(axis, input), ensure_minimum_range=ensure_minimum_range, name=name,
    )  # fmt: skip


@export(v2=["quantization.dequantize"])
def dequantize_2x(
    input: Any,
    min_range: Any,
    max_range: Any,
    mode: str = "MIN_COMBINED",
    name: str | None = None,
    axis: int | None = None,
    narrow_range: bool = False,
    dtype: Any = dtypes.float32,
) -> Tensor:
    """The floats that quantised values stand for; the inverse of `tf.quantization.quantize` but for rounding.

    Args:
      input: a quantised dtype, any shape.
      min_range, max_range: float32, the range or ranges that `quantize` gave.
      mode, axis, narrow_range: what it was quantised with.
      name: the operation's name.
      dtype: float32, or bfloat16 with mode "MIN_COMBINED".

    Raises:
      ValueError: another dtype, or another mode with bfloat16.
    """
    dtype = dtypes.as_dtype(dtype)
    if dtype not in (dtypes.float32, dtypes.bfloat16):
        raise ValueError(f"dtype must be float32 or bfloat16; received: {dtype.name}")
    if dtype is dtypes.bfloat16 and mode != "MIN_COMBINED":
        raise ValueError(f"When output type is bfloat16, Mode string must be 'MIN_COMBINED', is '{mode}'")
    result = dequantize_op(
        input, min_range, max_range, mode=mode, axis=slices_axis(axis, input), narrow_range=narrow_range, name=name
    )
    return cast(result, dtype)


def slices_axis(axis: int | None, input: Any) -> int:
    """The attribute `axis`: counted from the front, or -1 for one range for everything.

    Raises:
      ValueError: a negative axis of a tensor of unknown rank, or one that there is not.
    """
    if axis is None or axis >= 0:
        return -1 if axis is None else axis
    shape = to_tensor(input)._shape
    if shape is None:
        raise ValueError("input should have known rank to use negative axis.")
    if axis < -len(shape):
        raise ValueError(f"axis should be >= {-len(shape)}; received: {axis}")
    return axis + len(shape)
