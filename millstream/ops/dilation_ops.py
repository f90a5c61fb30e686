"""Dilated windows by moving blocks of space to the batch: neighbours in an image of the batch are then far apart."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.join_ops import stack
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.space_ops import batch_to_space_nd, required_space_to_batch_paddings, space_to_batch_nd


def read_strides_and_rates(count: int, strides: Any, rates: Any) -> tuple[np.ndarray, np.ndarray]:
    """Strides and dilation rates, one a spatial dimension; 1 where they are not given.

    Raises:
      ValueError: another number of them, numbers below 1, or both above 1.
    """
    rates = [1] * count if rates is None else rates
    if len(rates) != count:
        raise ValueError(f"len(dilation_rate)={len(rates)} but should be {count}")
    strides = [1] * count if strides is None else strides
    if len(strides) != count:
        raise ValueError(f"len(strides)={len(strides)} but should be {count}")
    rates, strides = np.array(rates, np.int32), np.array(strides, np.int32)
    if (rates < 1).any():
        raise ValueError("all values of dilation_rate must be positive")
    if (strides < 1).any():
        raise ValueError("all values of strides must be positive")
    if (strides > 1).any() and (rates > 1).any():
        raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
    return strides, rates


@export("nn.with_space_to_batch")
def with_space_to_batch(
    input: Any,
    dilation_rate: Any,
    padding: str,
    op: Callable[[Any, int, str], Tensor],
    filter_shape: Any = None,
    spatial_dims: Sequence[int] | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Applies an operation with a sliding window so that the points of its window are `dilation_rate` apart.

    Args:
      input: a tensor of images.
      dilation_rate: int32, one number a spatial dimension.
      padding: "SAME" or "VALID".
      op: `op(input, number of spatial dimensions, padding)`.
      filter_shape: the window's size; needed for "SAME".
      spatial_dims: the axes over which the window slides; default: the first after the batch (and the channels).
      data_format: where the channels are; default: last.

    Raises:
      ValueError: rates that are not positive or not a vector, axes out of order, or no filter shape.
    """
    input = to_tensor(input, name="input")
    dilation_rate = to_tensor(dilation_rate, dtypes.int32, name="dilation_rate")
    known = constant_value(dilation_rate)
    count = _count_of(dilation_rate)
    first = data_format is not None and data_format.startswith("NC")
    axes = _axes(spatial_dims, range(2 if first else 1, count + (2 if first else 1)))
    shapes.with_rank_at_least(input._shape, axes[-1] + (0 if first else 1))
    if known is not None and (known < 1).any():
        raise ValueError("dilation_rate must be positive")
    if known is not None and (known == 1).all():
        return op(input, count, padding)
    rates = dilation_rate if known is None else known
    base = _base_paddings(filter_shape, count, rates, padding)
    size = _spatial_size(input, axes)
    paddings, crops = required_space_to_batch_paddings(size, dilation_rate, base)
    block = _from_axis_1(rates, 1, axes)
    in_batch = space_to_batch_nd(input, block, _from_axis_1(paddings, 0, axes))
    return batch_to_space_nd(op(in_batch, count, "VALID"), block, _from_axis_1(crops, 0, axes))


def _count_of(dilation_rate: Tensor) -> int:
    """The number of spatial dimensions."""
    if dilation_rate._shape is not None and len(dilation_rate._shape) != 1:
        raise ValueError("rate must be rank 1")
    (count,) = dilation_rate._shape or (None,)
    if count is None:
        raise ValueError("rate must have known shape")
    return count


def _axes(given: Sequence[int] | None, usual: Sequence[int]) -> list[int]:
    axes = [int(axis) for axis in (usual if given is None else given)]
    if axes != sorted(set(axes)) or axes[0] < 1:
        raise ValueError("spatial_dims must be a montonically increasing sequence of positive integers")
    return axes


def _base_paddings(filter_shape: Any, count: int, rates: Any, padding: str) -> Any:
    """What "SAME" pads by itself, for the dilated window."""
    if padding == "VALID":
        return np.zeros([count, 2], np.int32)
    if padding != "SAME":
        raise ValueError(f"Invalid padding method {padding!r}")
    if filter_shape is None:
        raise ValueError("filter_shape must be specified for SAME padding")
    filter_shape = to_tensor(filter_shape, name="filter_shape")
    known = constant_value(filter_shape)
    windows = filter_shape if known is None else known
    extra = (windows[:count] - 1) * rates
    before = extra // 2
    after = extra - before
    return stack([[before[axis], after[axis]] for axis in range(count)])


def _spatial_size(input: Tensor, axes: list[int]) -> Any:
    dims = None if input._shape is None else [input._shape[axis] for axis in axes]
    if dims is not None and None not in dims:
        return dims
    shape = shape_of(input)
    return stack([shape[axis] for axis in axes])


def _from_axis_1(values: Any, fill: int, axes: list[int]) -> Any:
    """Rows for the axes 1, 2, ..., where only those of the spatial axes are given; the others hold `fill`."""
    known = constant_value(values) if isinstance(values, Tensor) else values
    if axes == list(range(1, len(axes) + 1)):
        return values if known is None else known
    width = [] if fill else [2]  # rates are numbers, paddings are pairs
    if known is not None:
        rows = np.full([axes[-1], *width], fill, np.int32)
        rows[[axis - 1 for axis in axes]] = known[: len(axes)]
        return rows
    missing = np.full(width, fill, np.int32)
    return stack([values[axes.index(axis)] if axis in axes else missing for axis in range(1, axes[-1] + 1)])
