"""Means and variances of tensors over some axes."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import shape_ops
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import add, multiply, squared_difference, subtract
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import reciprocal, square
from millstream.ops.fill_ops import zeros_like
from millstream.ops.gather_ops import gather
from millstream.ops.identity_ops import stop_gradient
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_mean, reduce_prod, reduce_sum
from millstream.ops.reshape_ops import squeeze

Moments = tuple[Tensor, Tensor]


def _keepdims(keepdims: bool | None, keep_dims: bool | None) -> bool:
    return bool(renamed("keepdims", keepdims, "keep_dims", keep_dims))


@export(v1=["nn.moments"])
def moments(
    x: Any,
    axes: Any,
    shift: Any = None,
    name: str | None = None,
    keep_dims: bool | None = None,
    keepdims: bool | None = None,
) -> Moments:
    """The mean and the (biased) variance of `x` over some axes. float16 is computed in float32.

    Args:
      x: a numeric tensor.
      axes: a list of axes: `[0, 1, 2]` for batch normalisation of images, `[0]` of matrices.
      shift: accepted for compatibility.
      name: the scope of the operations.
      keep_dims, keepdims: keeps the axes, with size 1.

    Returns:
      (mean, variance).
    """
    return moments_v2(x, axes, shift, _keepdims(keepdims, keep_dims), name)


@export(v2=["nn.moments"])
def moments_v2(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> Moments:
    """The mean and the (biased) variance of `x` over some axes. float16 is computed in float32.

    Args:
      x: a numeric tensor.
      axes: a list of axes.
      shift: accepted for compatibility.
      keepdims: keeps the axes, with size 1.
      name: the scope of the operations.

    Returns:
      (mean, variance).
    """
    with name_scope(name, "moments", [x, axes]):
        x = to_tensor(x, name="x")
        is_half = x.dtype.base_dtype is dtypes.float16
        y = cast(x, dtypes.float32) if is_half else x
        mean = reduce_mean(y, axes, keepdims=True, name="mean")
        # The variance does not change with the mean to first order: no gradient need flow there.
        distances = squared_difference(y, stop_gradient(mean))
        variance = reduce_mean(distances, axes, keepdims=True, name="variance")
        return _finished(mean, variance, axes, keepdims, is_half)


def _finished(mean: Tensor, variance: Tensor, axes: Any, keepdims: bool, is_half: bool) -> Moments:
    if not keepdims:
        mean, variance = squeeze(mean, axes), squeeze(variance, axes)
    if is_half:
        mean, variance = cast(mean, dtypes.float16), cast(variance, dtypes.float16)
    return mean, variance


@export(v1=["nn.weighted_moments"])
def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: bool | None = None,
    keepdims: bool | None = None,
) -> Moments:
    """The mean and variance of `x` over some axes where each number counts as often as its weight says.

    Args:
      x: a floating point tensor.
      axes: a list of axes.
      frequency_weights: non-negative weights that broadcast with `x`; other dtypes are cast.
      name: the scope of the operations.
      keep_dims, keepdims: keeps the axes, with size 1.

    Returns:
      (mean, variance).
    """
    return weighted_moments_v2(x, axes, frequency_weights, _keepdims(keepdims, keep_dims), name)


@export(v2=["nn.weighted_moments"])
def weighted_moments_v2(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: str | None = None
) -> Moments:
    """The mean and variance of `x` over some axes where each number counts as often as its weight says.

    Args:
      x: a floating point tensor.
      axes: a list of axes.
      frequency_weights: non-negative weights that broadcast with `x`; other dtypes are cast.
      keepdims: keeps the axes, with size 1.
      name: the scope of the operations.
    """
    with name_scope(name, "weighted_moments", [x, frequency_weights, axes]):
        x = to_tensor(x, name="x")
        weights = to_tensor(frequency_weights, name="frequency_weights")
        is_half = x.dtype.base_dtype is dtypes.float16
        if is_half:
            x = cast(x, dtypes.float32)
        if weights.dtype.base_dtype is not x.dtype.base_dtype:
            weights = cast(weights, x.dtype)
        total = reduce_sum(weights * x, axes, name="weighted_input_sum", keepdims=True)
        every_weight = weights + zeros_like(x)
        count = reduce_sum(every_weight, axes, name="sum_of_weights", keepdims=True)
        divisor = reciprocal(count, name="inv_weight_sum")
        mean = multiply(total, divisor)
        distances = weights * squared_difference(x, mean)
        variance = multiply(reduce_sum(distances, axes, name="weighted_distsq", keepdims=True), divisor)
        return _finished(mean, variance, axes, keepdims, is_half)


@export(v1=["nn.sufficient_statistics"])
def sufficient_statistics(
    x: Any,
    axes: Any,
    shift: Any = None,
    keep_dims: bool | None = None,
    name: str | None = None,
    keepdims: bool | None = None,
) -> Any:
    """What means and variances are computed from in one pass: counts and sums, for `normalize_moments`.

    Args:
      x: a floating point tensor.
      axes: a list of axes.
      shift: is taken off `x` for better precision: something close to the true mean.
      keep_dims, keepdims: keeps the axes, with size 1.
      name: the scope of the operations.

    Returns:
      (count, sum, sum of squares, shift or None).
    """
    return sufficient_statistics_v2(x, axes, shift, _keepdims(keepdims, keep_dims), name)


@export(v2=["nn.sufficient_statistics"])
def sufficient_statistics_v2(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """Counts and sums for `normalize_moments`.

    Args:
      x: a floating point tensor.
      axes: a list of axes.
      shift: is taken off `x` for better precision.
      keepdims: keeps the axes, with size 1.
      name: the scope of the operations.

    Returns:
      (count, sum, sum of squares, shift or None).
    """
    axes = list(set(axes))
    with name_scope(name, "sufficient_statistics", [x, shift]):
        x = to_tensor(x, name="x")
        counts = _count(x, axes)
        if shift is None:
            terms, squares = x, square(x)
        else:
            shift = to_tensor(shift, name="shift")
            terms, squares = subtract(x, shift), squared_difference(x, shift)
        mean_ss = reduce_sum(terms, axes, keepdims=keepdims, name="mean_ss")
        return counts, mean_ss, reduce_sum(squares, axes, keepdims=keepdims, name="var_ss"), shift


def _count(x: Tensor, axes: list[int]) -> Tensor:
    """How many numbers go into each sum over the axes."""
    dims = [None] if x._shape is None else [x._shape[axis] for axis in axes]
    if None in dims:
        return reduce_prod(gather(cast(shape_ops.shape(x), x.dtype), axes), name="count")
    count = 1
    for dim in dims:
        count *= dim or 0
    return constant(count, dtype=x.dtype)


@export("nn.normalize_moments")
def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> Moments:
    """The mean and variance from the sums of `sufficient_statistics` (perhaps added up over batches).

    Args:
      counts: how many numbers went into each sum, a floating point tensor.
      mean_ss: the sums of the (shifted) numbers.
      variance_ss: the sums of their squares.
      shift: what was taken off, or None.
      name: the scope of the operations.

    Returns:
      (mean, variance).
    """
    with name_scope(name, "normalize", [counts, mean_ss, variance_ss, shift]):
        divisor = reciprocal(counts, name="divisor")
        if shift is None:
            mean = shifted_mean = multiply(mean_ss, divisor, name="mean")
        else:
            shifted_mean = multiply(mean_ss, divisor, name="shifted_mean")
            mean = add(shifted_mean, shift, name="mean")
        return mean, subtract(multiply(variance_ss, divisor), square(shifted_mean), name="variance")
