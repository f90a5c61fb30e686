"""Counting: occurrences of integers, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, shape_ops
from millstream.ops.arguments import invalid
from millstream.ops.arithmetic_ops import maximum, minimum, truediv
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.elementwise_ops import floor
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_max, reduce_prod
from millstream.ops.reshape_ops import reshape
from millstream.ops.segment_ops import unsorted_segment_sum

# --- Occurrences of integers --------------------------------------------------------------------------------


def _counted_shape(c: ShapeContext) -> Any:
    size = c.constant(1)
    if size is not None and size < 0:
        raise ValueError(f"size ({size}) must be non-negative")
    return (None if size is None else int(size),)


@op(
    "Bincount(arr: int32, size: int32, weights: T) -> bins: T",
    T="int32 int64 float double", shape=_counted_shape, host=True,
)  # fmt: skip
def bincount_op(xp, arr, size, weights):
    if np.any(arr < 0):
        raise invalid("Input arr must be non-negative!")
    values, weights = arr.reshape(-1), weights.reshape(-1)
    kept = values < size
    return np.bincount(values[kept], weights[kept] if len(weights) else None, minlength=int(size))


bincount_op.no_gradient("as in TensorFlow")


@export(v1=["math.bincount", "bincount"])
def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = dtypes.int32
) -> Tensor:
    """How often each of the integers 0, 1, 2, ... occurs.

    Args:
      arr: an int32 tensor of any shape, without negative numbers.
      weights: what each occurrence counts, of the shape of `arr`; default: 1.
      minlength: the least length of the result.
      maxlength: the greatest length of the result; numbers from there on are not counted.
      dtype: the dtype of the result where there are no weights.

    Returns:
      a vector that ends with the greatest number.

    Example:
      >>> tf.math.bincount([1, 1, 3])                # [0, 2, 0, 1]
    """
    with name_scope("bincount"):
        return _bincount(arr, weights, minlength, maxlength, dtype)


def _bincount(arr: Any, weights: Any, minlength: Any, maxlength: Any, dtype: Any) -> Tensor:
    arr = to_tensor(arr, dtypes.int32, name="arr")
    size = _length(arr, minlength, maxlength)
    if weights is not None:
        return unsorted_segment_sum(to_tensor(weights, name="weights"), arr, size)
    return bincount_op(arr, size, constant_op.constant([], dtype))


def _dense_shape(c: ShapeContext) -> Any:
    given, (size,) = shapes.with_rank_at_most(c.shape(0), 2), _counted_shape(c)
    return None if given is None else (*given[:-1], size)


@op(
    "DenseBincount(input: Tidx, size: Tidx, weights: T, *, binary_output: bool = false) -> output: T",
    Tidx="int32 int64", T="int32 int64 float double", shape=_dense_shape, host=True,
)  # fmt: skip
def dense_bincount_op(xp, input, size, weights, *, binary_output):
    if np.any(input < 0):
        raise invalid("Input arr must be non-negative!")
    if input.ndim > 1 and len(weights):
        return np.stack([_count(row, size, part, binary_output) for row, part in zip(input, weights, strict=True)])
    rows = [_count(row, size, weights, binary_output) for row in np.atleast_2d(input)]
    return np.stack(rows) if input.ndim > 1 else rows[0]


def _count(values: Any, size: Any, weights: Any, binary: bool) -> Any:
    kept = values < size
    counts = np.bincount(values[kept], weights[kept] if len(weights) and not binary else None, minlength=int(size))
    return counts > 0 if binary else counts


dense_bincount_op.no_gradient("as in TensorFlow")


def _length(arr: Tensor, minlength: Any, maxlength: Any) -> Tensor:
    """How many integers are counted: one more than the greatest, within the limits."""
    not_empty = reduce_prod(shape_ops.shape(arr)) > 0
    size = cast(not_empty, arr.dtype) * (reduce_max(arr) + 1)
    if minlength is not None:
        size = maximum(to_tensor(minlength, arr.dtype, name="minlength"), size)
    if maxlength is not None:
        size = minimum(to_tensor(maxlength, arr.dtype, name="maxlength"), size)
    return size


@export(v2=["math.bincount"])
def bincount_v2(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
    axis: int | None = None,
    binary_output: bool = False,
) -> Tensor:
    """How often each of the integers 0, 1, 2, ... occurs.

    Args:
      arr: an int32 or int64 tensor of any shape, without negative numbers; [n, m] for `axis` -1.
      weights: what each occurrence counts, of the shape of `arr`; default: 1.
      minlength: the least length of the result.
      maxlength: the greatest length of the result; numbers from there on are not counted.
      dtype: the dtype of the result where there are no weights.
      name: the scope of the operations.
      axis: -1 counts in each row on its own; None and 0 count all numbers together.
      binary_output: gives 1 for numbers that occur at all.

    Returns:
      [k], or [n, k] for `axis` -1.

    Raises:
      ValueError: another axis.

    Example:
      >>> tf.math.bincount([[1, 1], [0, 2]], axis=-1)    # [[0, 2, 0], [1, 0, 1]]
    """
    if axis not in (None, 0, -1):
        raise ValueError(f"Unsupported value for argument axis={axis}. Only 0 and -1 are currently supported.")
    with name_scope(name, "bincount"):
        if axis is None and not binary_output:
            return _bincount(arr, weights, minlength, maxlength, dtype)
        arr = to_tensor(arr, name="arr")
        if arr.dtype.base_dtype not in (dtypes.int32, dtypes.int64):
            arr = cast(arr, dtypes.int32)
        size = cast(_length(arr, minlength, maxlength), arr.dtype)
        counted = constant_op.constant([], dtype) if weights is None else to_tensor(weights, name="weights")
        if axis != -1:
            arr, counted = reshape(arr, [-1]), reshape(counted, [-1])
        return dense_bincount_op(arr, size, counted, binary_output=binary_output)


# --- Histograms ---------------------------------------------------------------------------------------------


def _histogram_shape(c: ShapeContext) -> Any:
    bins = c.constant(2)
    return (None if bins is None else int(bins),)


@op(
    "HistogramFixedWidth(values: T, value_range: T, nbins: int32, *, dtype: type{int32,int64} = int32)"
    " -> out: dtype",
    T="int32 int64 float double", static=("nbins",), shape=_histogram_shape,
)  # fmt: skip
def histogram_fixed_width_op(xp, values, value_range, nbins, *, check):
    bins = int(nbins)
    if bins <= 0:
        raise invalid(f"nbins should be a positive number, but got '{bins}'")
    low, high = value_range[0], value_range[1]
    message = "value_range should satisfy value_range[0] < value_range[1], but got '[{0}, {1}]'"
    check(low < high, errors.InvalidArgumentError, message, low, high)
    places = xp.floor((values.reshape(-1) - low) * (bins / (high - low)))
    places = xp.clip(places, 0, bins - 1).astype(np.int32)
    return (places[:, None] == xp.arange(bins)).sum(0)


histogram_fixed_width_op.no_gradient("counts")


@export("histogram_fixed_width")
def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """How many numbers fall into each of `nbins` intervals of one width.

    Args:
      values: a tensor of int32, int64, float32 or float64 numbers.
      value_range: [2], the beginning and the end of all intervals together; what lies outside of it counts in
        the first or the last one.
      nbins: how many intervals, a scalar.
      dtype: int32 or int64.
      name: the operation's name.

    Returns:
      [nbins].
    """
    with name_scope(name, "histogram_fixed_width", [values, value_range, nbins]) as scope:
        return histogram_fixed_width_op(values, value_range, nbins, dtype=dtype, name=scope)


@export("histogram_fixed_width_bins")
def histogram_fixed_width_bins(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """The number of the interval into which each number falls, of `nbins` intervals of one width.

    Args:
      values: a numeric tensor.
      value_range: [2], the beginning and the end of all intervals together; what lies outside of it is in the
        first or the last one.
      nbins: how many intervals, a scalar.
      dtype: the dtype of the result.
      name: the scope of the operations.

    Returns:
      a tensor of the shape of `values`.
    """
    with name_scope(name, "histogram_fixed_width_bins", [values, value_range, nbins]):
        values = to_tensor(values, name="values")
        shape = shape_ops.shape(values)
        values = reshape(values, [-1])
        value_range = to_tensor(value_range, name="value_range")
        nbins = to_tensor(nbins, dtypes.int32, name="nbins")
        count = cast(nbins, values.dtype.base_dtype)
        scaled = truediv(values - value_range[0], value_range[1] - value_range[0], name="scaled_values")
        places = floor(count * scaled, name="indices")
        places = cast(clip_by_value(places, 0, count - 1), dtype)
        return reshape(places, shape)


@op(
    "Bucketize(input: T, *, boundaries: list(float)) -> output: int32",
    T="int32 int64 float double",
    shape=same_as(0),
)
def bucketize_op(xp, input, *, boundaries):
    """The number of boundaries that are not above each number."""
    return xp.searchsorted(xp.asarray(boundaries, np.float32), input, side="right")


bucketize_op.no_gradient("piecewise constant")
