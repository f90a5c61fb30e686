"""Fake quantisation: floats rounded to what a few bits can tell apart over a range, for training with quantisation.

B. Jacob et al.: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor

_RANGE_ATTRS = "min: float = -6.0, max: float = 6.0"
_ATTRS = "num_bits: int = 8, narrow_range: bool = False"

# --- The grid -----------------------------------------------------------------------------------------------


def _nudged(xp: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> tuple[Any, Any, Any]:
    """The range moved so that 0 is on the grid, and the grid's steps to the unit: (low, high, steps)."""
    if not 2 <= num_bits <= 16:
        raise ValueError("num_bits must be between 2 and 16, inclusive")
    first, last = np.float32(narrow_range), np.float32(2**num_bits - 1)
    width = xp.where(_is_empty(low, high), np.float32(1), high - low)
    scale = width / (last - first)
    exact_zero = first - low / scale
    zero = xp.clip(xp.floor(exact_zero + np.float32(0.5)), first, last)
    return (first - zero) * scale, (last - zero) * scale, (last - first) / width


def _on_grid(xp: Any, inputs: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> Any:
    """The nearest points of the grid; 0 where the range is empty at 0."""
    first, last, steps = _nudged(xp, low, high, num_bits, narrow_range)
    half = np.float32(0.5)
    zero = xp.floor(-first * steps + half)
    place = xp.floor((xp.clip(inputs, first, last) - first) * steps - zero + half)
    step = (high - low) / np.float32(2**num_bits - 1 - narrow_range)
    return xp.where(_is_empty(low, high), xp.zeros_like(inputs), place * step)


def _is_empty(low: Any, high: Any) -> Any:
    return (low == 0) & (high == 0)


def _shares(
    xp: Any, grad: Any, inputs: Any, low: Any, high: Any, num_bits: int, narrow_range: bool
) -> tuple[Any, Any, Any]:
    """The gradients of the elements that lie within the range, below it and above it, each 0 elsewhere."""
    first, last, _ = _nudged(xp, low, high, num_bits, narrow_range)
    empty = _is_empty(low, high)
    below, above = (inputs < first) & ~empty, (inputs > last) & ~empty
    zeros = xp.zeros_like(grad)
    return xp.where(below | above, zeros, grad), xp.where(below, grad, zeros), xp.where(above, grad, zeros)


# --- A range that is an attribute ---------------------------------------------------------------------------


def _constants(low: float, high: float) -> tuple[Any, Any]:
    if low >= high:
        raise ValueError(f"min has to be smaller than max, was: {low:g} >= {high:g}")
    return np.float32(low), np.float32(high)


@op(
    f"FakeQuantWithMinMaxArgs(inputs: float, *, {_RANGE_ATTRS}, {_ATTRS}) -> outputs: float",
    shape=lambda c: c.shape(0),
)
def fake_quant_with_min_max_args_op(xp, inputs, *, min, max, num_bits, narrow_range):
    return _on_grid(xp, inputs, *_constants(min, max), num_bits, narrow_range)


@op(
    f"FakeQuantWithMinMaxArgsGradient(gradients: float, inputs: float, *, {_RANGE_ATTRS}, {_ATTRS})"
    " -> backprops: float",
    shape=lambda c: shapes.merge(c.shape(0), c.shape(1)),
)
def fake_quant_with_min_max_args_gradient_op(xp, gradients, inputs, *, min, max, num_bits, narrow_range):
    return _shares(xp, gradients, inputs, *_constants(min, max), num_bits, narrow_range)[0]


@fake_quant_with_min_max_args_op.gradient
def _(op, grad):
    attrs = {name: op.attrs[name] for name in ("min", "max", "num_bits", "narrow_range")}
    return fake_quant_with_min_max_args_gradient_op(grad, op.inputs[0], **attrs)


# --- A range of tensors, for all elements or for each channel -------------------------------------------------


def _check_range(values: Any, low: Any, high: Any, per_channel: bool) -> None:
    for name, bound in (("min", low), ("max", high)):
        if bound.ndim != per_channel:
            raise ValueError(f"`{name}` must be rank {int(per_channel)} but is rank {bound.ndim}")
        if per_channel and bound.shape != values.shape[-1:]:
            raise ValueError(f"{name} has incorrect size, expected {values.shape[-1]} was {bound.shape[0]}")


def _range_shape(c: ShapeContext, values: Any, first: int, per_channel: bool) -> Any:
    """The shape of the range's bounds, which are the inputs `first` and `first + 1`."""
    bounds = [shapes.with_rank(c.shape(index), int(per_channel)) for index in (first, first + 1)]
    shape = shapes.merge(*bounds)
    if not per_channel:
        return shape
    if values is not None:
        shapes.with_rank_at_least(values, 1)
        shape = shapes.merge(shape, values[-1:])
    return shape


def _define(op_type: str, per_channel: bool) -> tuple[OpDef, OpDef]:
    """Defines a fake quantisation whose range is two tensors, and its gradient."""

    def forward_shape(c: ShapeContext) -> Any:
        channels = _range_shape(c, c.shape(0), 1, per_channel)
        return c.shape(0) if not per_channel or c.shape(0) is None else (*c.shape(0)[:-1], *channels)

    def backward_shape(c: ShapeContext) -> Any:
        values = shapes.merge(c.shape(0), c.shape(1))
        bounds = _range_shape(c, values, 2, per_channel)
        return [values, bounds, bounds]

    @op(
        f"{op_type}(inputs: float, min: float, max: float, *, {_ATTRS}) -> outputs: float", shape=forward_shape
    )
    def forward(xp, inputs, min, max, *, num_bits, narrow_range):
        _check_range(inputs, min, max, per_channel)
        return _on_grid(xp, inputs, min, max, num_bits, narrow_range)

    @op(
        f"{op_type}Gradient(gradients: float, inputs: float, min: float, max: float, *, {_ATTRS})"
        " -> backprops_wrt_input: float, backprop_wrt_min: float, backprop_wrt_max: float",
        shape=backward_shape,
    )
    def backward(xp, gradients, inputs, min, max, *, num_bits, narrow_range):
        _check_range(inputs, min, max, per_channel)
        within, below, above = _shares(xp, gradients, inputs, min, max, num_bits, narrow_range)
        axes = tuple(range(inputs.ndim - per_channel))
        return within, xp.sum(below, axis=axes), xp.sum(above, axis=axes)

    @forward.gradient
    def _(op: Any, grad: Any) -> Any:
        attrs = {name: op.attrs[name] for name in ("num_bits", "narrow_range")}
        return backward(grad, *op.inputs, **attrs)

    return forward, backward


fake_quant_with_min_max_vars_op, fake_quant_with_min_max_vars_gradient_op = _define(
    "FakeQuantWithMinMaxVars", per_channel=False
)
fake_quant_with_min_max_vars_per_channel_op, fake_quant_with_min_max_vars_per_channel_gradient_op = _define(
    "FakeQuantWithMinMaxVarsPerChannel", per_channel=True
)

# --- Public functions ---------------------------------------------------------------------------------------


def _export(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return export("quantization." + name, v1=[name])


@_export("fake_quant_with_min_max_args")
def fake_quant_with_min_max_args(
    inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8, narrow_range: bool = False, name: str | None = None
) -> Tensor:
    """Rounds floats to a grid over [min, max], as quantising and dequantising would; still float32.

    The range is moved a little so that 0 is on the grid. Gradients pass where `inputs` lies within it.

    Args:
      inputs: float32, any shape.
      min, max: the range; numbers outside become its ends.
      num_bits: 2 to 16: the grid has `2 ** num_bits` points.
      narrow_range: leaves out the first point, for a grid that is symmetric about 0.
      name: the operation's name.

    Raises:
      InvalidArgumentError: when it runs and the range is empty, or the number of bits is not allowed.
    """
    return fake_quant_with_min_max_args_op(
        inputs, min=min, max=max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


@_export("fake_quant_with_min_max_args_gradient")
def fake_quant_with_min_max_args_gradient(
    gradients: Any,
    inputs: Any,
    min: float = -6,
    max: float = 6,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:
    """The gradient of `fake_quant_with_min_max_args`: `gradients` where `inputs` is in the range, else 0."""
    return fake_quant_with_min_max_args_gradient_op(
        gradients, inputs, min=min, max=max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


@_export("fake_quant_with_min_max_vars")
def fake_quant_with_min_max_vars(
    inputs: Any, min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False, name: str | None = None
) -> Tensor:
    """`fake_quant_with_min_max_args` with a range of tensors, which get gradients too.

    Args:
      inputs: float32, any shape.
      min, max: float32 scalars.
      num_bits: 2 to 16.
      narrow_range: leaves out the first point of the grid.
      name: the operation's name.
    """
    return fake_quant_with_min_max_vars_op(
        inputs, min, max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


@_export("fake_quant_with_min_max_vars_gradient")
def fake_quant_with_min_max_vars_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `fake_quant_with_min_max_vars` with respect to inputs, min and max."""
    return fake_quant_with_min_max_vars_gradient_op(
        gradients, inputs, min, max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


@_export("fake_quant_with_min_max_vars_per_channel")
def fake_quant_with_min_max_vars_per_channel(
    inputs: Any, min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False, name: str | None = None
) -> Tensor:
    """`fake_quant_with_min_max_vars` with a range of its own for each channel.

    Args:
      inputs: float32, shape [..., channels].
      min, max: float32 vectors [channels].
      num_bits: 2 to 16.
      narrow_range: leaves out the first point of the grids.
      name: the operation's name.
    """
    return fake_quant_with_min_max_vars_per_channel_op(
        inputs, min, max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )


@_export("fake_quant_with_min_max_vars_per_channel_gradient")
def fake_quant_with_min_max_vars_per_channel_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `fake_quant_with_min_max_vars_per_channel` with respect to inputs, min and max."""
    return fake_quant_with_min_max_vars_per_channel_gradient_op(
        gradients, inputs, min, max, num_bits=num_bits, narrow_range=narrow_range, name=name
    )
