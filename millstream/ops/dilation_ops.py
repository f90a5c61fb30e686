"""Dilated windows by moving blocks of space to the batch: neighbours in an image of the batch are then far apart."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.join_ops import concat, stack
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
      dilation_rate: int32, one number a spatial dimension, known when the graph is built.
      padding: "SAME" or "VALID".
      op: `op(input, number of spatial dimensions, padding)`.
      filter_shape: the window's size; needed for "SAME".
      spatial_dims: the axes over which the window slides; default: the first after the batch (and the channels).
      data_format: where the channels are; default: last.

    Raises:
      ValueError: rates that are not known or not positive, or no filter shape.
    """
    input = to_tensor(input, name="input")
    dilation_rate = to_tensor(dilation_rate, dtypes.int32, name="dilation_rate")
    rates = constant_value(dilation_rate)
    if rates is None:
        raise ValueError("dilation_rate must be known when the graph is built")
    if rates.ndim != 1:
        raise ValueError("rate must be rank 1")
    if (rates < 1).any():
        raise ValueError("dilation_rate must be positive")
    count = len(rates)
    if (rates == 1).all():
        return op(input, count, padding)
    first = data_format is not None and data_format.startswith("NC")
    axes = list(spatial_dims or range(2 if first else 1, count + (2 if first else 1)))
    base = _base_paddings(filter_shape, rates, padding)
    size = _spatial_size(input, axes)
    paddings, crops = required_space_to_batch_paddings(size, dilation_rate, base)
    block = _from_axis_1(rates, 1, axes)
    in_batch = space_to_batch_nd(input, block, _from_axis_1(paddings, 0, axes))
    return batch_to_space_nd(op(in_batch, count, "VALID"), block, _from_axis_1(crops, 0, axes))


def _base_paddings(filter_shape: Any, rates: np.ndarray, padding: str) -> Any:
    """What "SAME" pads by itself, for the dilated window."""
    if padding == "VALID":
        return np.zeros([len(rates), 2], np.int32)
    if padding != "SAME":
        raise ValueError(f"Invalid padding method {padding!r}")
    if filter_shape is None:
        raise ValueError("filter_shape must be specified for SAME padding")
    filter_shape = to_tensor(filter_shape, name="filter_shape")
    known = constant_value(filter_shape)
    windows = filter_shape if known is None else known
    extra = (windows[: len(rates)] - 1) * rates
    before = extra // 2
    after = extra - before
    return stack([[before[axis], after[axis]] for axis in range(len(rates))])


def _spatial_size(input: Tensor, axes: list[int]) -> Any:
    dims = None if input._shape is None else [input._shape[axis] for axis in axes]
    if dims is not None and None not in dims:
        return dims
    shape = shape_of(input)
    return stack([shape[axis] for axis in axes])


def _from_axis_1(values: Any, fill: int, axes: list[int]) -> Any:
    """Rows for the axes 1, 2, ..., where only those of the spatial axes are given; the others hold `fill`."""
    known = constant_value(values) if isinstance(values, Tensor) else values
    missing = axes[0] - 1  # spatial axes are neighbours: what is missing stands before them
    if known is not None:
        return np.concatenate([np.full([missing, *known.shape[1:]], fill, np.int32), known])
    if not missing:
        return values
    return concat([np.full([missing, 2], fill, np.int32), values[: len(axes)]], 0)
