"""Quantising: floats as small integers over a range, and back."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor

_TYPES = "qint8 quint8 qint32 qint16 quint16"
_MODES = 'mode: string{"MIN_COMBINED", "MIN_FIRST", "SCALED"} = "MIN_COMBINED"'
_ROUNDING = 'round_mode: string{"HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN"} = "HALF_AWAY_FROM_ZERO"'

# Ranges are widened to hold 0, and to at least this share of their larger end.
_LEAST_SHARE = 0.01


def _integers(dtype: DType) -> np.iinfo:
    """The limits of the integers that a quantised type is made of: those of int8 for qint8."""
    return np.iinfo(dtypes.as_dtype(dtype.name[1:]).as_numpy_dtype)


def _round_away(xp: Any, x: Any) -> Any:
    return xp.sign(x) * xp.floor(xp.abs(x) + xp.asarray(0.5, x.dtype))


def _scaled_factor(xp: Any, low: Any, high: Any, limits: np.iinfo) -> Any:
    """Integers per unit in mode SCALED: 0 stays 0, and the wider side of the range still fits."""
    above = limits.max / xp.where(high > 0, high, 0)
    return above if limits.min == 0 else xp.minimum(above, limits.min / xp.where(low < 0, low, -0.0))


def _min_first_step(xp: Any, low: Any, high: Any, limits: np.iinfo) -> Any:
    """The width of an integer in mode MIN_FIRST, in float64."""
    return xp.asarray(high - low, np.float64) / (2.0**limits.bits - 1)


def _quantize_shape(c: ShapeContext) -> Any:
    shapes.with_rank(c.shape(1), 0)
    shapes.with_rank(c.shape(2), 0)
    return [c.shape(0), (), ()]


@op(
    f"QuantizeV2(input: float, min_range: float, max_range: float, *, T: type{{{_TYPES.replace(' ', ', ')}}}, "
    f"{_MODES}, {_ROUNDING}) -> output: T, output_min: float, output_max: float",
    shape=_quantize_shape,
)
def quantize_op(xp, input, min_range, max_range, *, T, mode, round_mode):
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise ValueError(f"Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED', but mode is '{mode}'.")
    limits = _integers(T)
    low = xp.minimum(min_range, xp.zeros_like(min_range))
    widest = xp.maximum(xp.maximum(xp.abs(min_range), xp.abs(max_range)), 1)
    high = xp.maximum(max_range, low + widest * np.float32(_LEAST_SHARE))
    if mode == "SCALED":
        factor = _scaled_factor(xp, low, high, limits).astype(np.float32)
        low, high = limits.min / factor, limits.max / factor
        values = xp.clip(input, low, high) * factor
        values = xp.rint(values) if round_mode == "HALF_TO_EVEN" else _round_away(xp, values)
    elif mode == "MIN_FIRST":
        factor = (1 / _min_first_step(xp, low, high, limits)).astype(np.float32)
        values = _round_away(xp, input * factor) - _round_away(xp, low * factor) + limits.min
    else:
        values = (xp.clip(input, low, high) - low) * (float(limits.max - limits.min) / (high - low))
        values = _round_away(xp, values + limits.min)
    whole = xp.clip(values.astype(np.float64), limits.min, limits.max)
    return whole.astype(limits.dtype), low, high


@op(
    f"Dequantize(input: T, min_range: float, max_range: float, *, {_MODES}) -> output: float",
    T=_TYPES,
    shape=lambda c: _quantize_shape(c)[0],
)
def dequantize_op(xp, input, min_range, max_range, *, T, mode):
    limits = _integers(T)
    values = input.astype(np.float32)
    if mode == "SCALED":
        return values * (1 / _scaled_factor(xp, min_range, max_range, limits)).astype(np.float32)
    if mode == "MIN_FIRST":
        step = _min_first_step(xp, min_range, max_range, limits).astype(np.float32)
        return _round_away(xp, min_range / step) * step + (values - limits.min) * step
    return (values - limits.min) * ((max_range - min_range) / float(limits.max - limits.min)) + min_range


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
