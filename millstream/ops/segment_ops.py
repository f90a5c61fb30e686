"""Reductions over segments: rows of a tensor that share an identifier are reduced to one.

Where the identifiers are sorted, the last one gives the number of segments, so the size of the result depends
on data and the kernels run on the host. Unsorted segments are of a given number, and compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import NUMERIC, REAL_NUMERIC
from millstream.core.export import export, export_value
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops, shape_ops
from millstream.ops.arguments import invalid
from millstream.ops.arithmetic_ops import maximum
from millstream.ops.comparison_ops import equal, greater, greater_equal, logical_and, not_equal
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import cast
from millstream.ops.reshape_ops import expand_dims, reshape
from millstream.ops.select_ops import where

# --- Sorted identifiers -------------------------------------------------------------------------------------


def _segment_shape(c: ShapeContext) -> Any:
    data, ids = c.shape(0), c.shape(1)
    if ids is not None and len(ids) != 1:
        raise ValueError(f"Shape must be rank 1 but is rank {len(ids)}")
    shapes.with_rank_at_least(data, 1)
    return None if data is None else (None, *data[1:])


def _reduce_sorted(data: Any, ids: Any, combine: np.ufunc, empty: Any) -> Any:
    """Reduces the rows of each segment; `empty` stands in segments without rows."""
    if ids.ndim != 1 or len(ids) != len(data):
        raise invalid("segment_ids should be the same size as dimension 0 of input.")
    if not len(ids):
        return np.zeros((0, *data.shape[1:]), data.dtype)
    steps = np.diff(ids)
    if np.any(steps < 0):
        raise invalid("segment ids are not increasing")
    if ids[0] < 0:
        raise invalid(
            f"Segment id {ids[0]} out of range [0, {int(ids[-1]) + 1}), "
            "possibly because 'segment_ids' input is not sorted."
        )
    starts = np.concatenate([[0], np.flatnonzero(steps) + 1])
    result = np.full((int(ids[-1]) + 1, *data.shape[1:]), empty, data.dtype)
    result[ids[starts]] = combine.reduceat(data, starts, axis=0, dtype=data.dtype)
    return result


def _mean_sorted(data: Any, ids: Any) -> Any:
    total = _reduce_sorted(data, ids, np.add, 0)
    count = np.maximum(np.bincount(ids, minlength=len(total)), 1).reshape((-1,) + (1,) * (data.ndim - 1))
    return total // count if data.dtype.kind in "iu" else total / count.astype(data.real.dtype)


def _segment_op(op_type: str, types: Any, reduce: Any) -> OpDef:
    def kernel(xp: Any, data: Any, segment_ids: Any) -> Any:
        return reduce(data, segment_ids)

    return op(
        f"{op_type}(data: T, segment_ids: Tindices) -> output: T",
        T=types, Tindices="int32 int64", shape=_segment_shape, host=True,
    )(kernel)  # fmt: skip


segment_sum_op = _segment_op("SegmentSum", NUMERIC, lambda data, ids: _reduce_sorted(data, ids, np.add, 0))
segment_mean_op = _segment_op("SegmentMean", NUMERIC, _mean_sorted)
segment_prod_op = _segment_op("SegmentProd", NUMERIC, lambda data, ids: _reduce_sorted(data, ids, np.multiply, 1))
segment_max_op = _segment_op("SegmentMax", REAL_NUMERIC, lambda data, ids: _reduce_sorted(data, ids, np.maximum, 0))
segment_min_op = _segment_op("SegmentMin", REAL_NUMERIC, lambda data, ids: _reduce_sorted(data, ids, np.minimum, 0))


@segment_sum_op.gradient
def _(op, grad):
    return gather(grad, op.inputs[1]), None


@segment_mean_op.gradient
def _(op, grad):
    data, ids = op.inputs
    ones = _as_rank_of(data, fill_ops.ones_like(ids, dtype=grad.dtype.base_dtype))
    return gather(grad / maximum(segment_sum_op(ones, ids), 1), ids), None


def _as_rank_of(data: Any, values: Any) -> Any:
    """`values`, one for each row of `data`, with dimensions of size 1 for the other dimensions of `data`."""

    if data._shape is not None and values._shape is not None:
        for _ in range(len(data._shape) - len(values._shape)):
            values = expand_dims(values, -1)
        return values
    missing = reshape(shape_ops.rank(data) - shape_ops.rank(values), [1])
    return reshape(values, concat([shape_ops.shape(values), fill_ops.ones(missing, dtypes.int32)], 0))


@segment_max_op.gradient
@segment_min_op.gradient
def _(op, grad):
    data, ids = op.inputs
    chosen = equal(data, gather(op.outputs[0], ids))
    ties = segment_sum_op(cast(chosen, grad.dtype), ids)
    return where(chosen, gather(grad / maximum(ties, 1), ids), fill_ops.zeros_like(data)), None


# --- Identifiers in any order -------------------------------------------------------------------------------


def _unsorted_shape(c: ShapeContext) -> Any:
    data, ids, count = c.shape(0), c.shape(1), c.constant(2)
    if c.shape(2):
        raise ValueError(f"Shape must be rank 0 but is rank {len(c.shape(2) or ())}")
    if count is not None and count < 0:
        raise ValueError(f"Dimension size, given by scalar input 2, must be non-negative but is {count}")
    if data is None or ids is None:
        return None
    if len(data) < len(ids):
        raise ValueError(f"Shape must be at least rank {len(ids)} but is rank {len(data)}")
    for dim, other in zip(data, ids, strict=False):
        shapes.merge_dim(dim, other)
    return (None if count is None else int(count), *data[len(ids) :])


def _check_segments(check: Any, xp: Any, ids: Any, count: int) -> None:
    """No identifier may be `count` or more; names the first that is. Rows with negative ones are left out."""
    if not ids.size:
        return
    wrong = xp.reshape(ids >= count, (-1,))
    place = xp.argmax(wrong)
    slots = ",".join(f"{{{number}}}" for number in range(ids.ndim))
    message = f"segment_ids[{slots}] = {{{ids.ndim}}} is out of range [0, {count})"
    where = xp.unravel_index(place, ids.shape) if ids.ndim else ()
    check(~xp.any(wrong), errors.InvalidArgumentError, message, *where, xp.take(ids, place))


def _unsorted_op(op_type: str, types: Any, ufunc: np.ufunc, method: str, empty: Any) -> OpDef:
    """An operation that reduces rows by identifier.

    Args:
      op_type: the operation's type.
      types: the dtypes of the data.
      ufunc: NumPy's function of two numbers.
      method: the name of the method of `jax.Array.at` that does the same.
      empty: `empty(dtype)`, the value of segments without rows.
    """

    def kernel(xp: Any, data: Any, segment_ids: Any, num_segments: Any, *, check: Any) -> Any:
        count = int(num_segments)
        if data.shape[: segment_ids.ndim] != segment_ids.shape:
            shapes_found = f"data.shape = {list(data.shape)} and segment_ids.shape = {list(segment_ids.shape)}"
            raise invalid(f"data.shape must start with segment_ids.shape, but {shapes_found}")
        _check_segments(check, xp, segment_ids, count)
        rest = data.shape[segment_ids.ndim :]
        ids, rows = segment_ids.reshape(-1), data.reshape((-1, *rest))
        result = xp.full((count, *rest), empty(data.dtype), data.dtype)
        if xp is np:
            ufunc.at(result, ids[ids >= 0], rows[ids >= 0])
            return result
        return getattr(result.at[xp.where(ids < 0, count, ids)], method)(rows, mode="drop")

    return op(
        f"{op_type}(data: T, segment_ids: Tindices, num_segments: Tnumsegments) -> output: T",
        T=types, Tindices="int32 int64", Tnumsegments="int32 int64 = int32",
        shape=_unsorted_shape, static=("num_segments",),
    )(kernel)  # fmt: skip


def _limits(dtype: Any) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


unsorted_segment_sum_op = _unsorted_op("UnsortedSegmentSum", NUMERIC, np.add, "add", lambda dtype: 0)
unsorted_segment_prod_op = _unsorted_op("UnsortedSegmentProd", NUMERIC, np.multiply, "multiply", lambda dtype: 1)
unsorted_segment_max_op = _unsorted_op(
    "UnsortedSegmentMax", REAL_NUMERIC, np.maximum, "max", lambda dtype: _limits(dtype).min
)
unsorted_segment_min_op = _unsorted_op(
    "UnsortedSegmentMin", REAL_NUMERIC, np.minimum, "min", lambda dtype: _limits(dtype).max
)


def _spread(values: Any, data: Any, ids: Any) -> Any:
    """The value of its segment for each row of `data`; zeros for rows with a negative identifier."""
    taken = gather(values, maximum(ids, 0))
    inside = _as_rank_of(data, greater_equal(ids, 0))
    inside = logical_and(inside, fill_ops.ones_like(taken, dtype=dtypes.bool_))
    return where(inside, taken, fill_ops.zeros_like(taken))


@unsorted_segment_sum_op.gradient
def _(op, grad):
    data, ids, _ = op.inputs
    return _spread(grad, data, ids), None, None


@unsorted_segment_max_op.gradient
@unsorted_segment_min_op.gradient
def _(op, grad):
    data, ids, count = op.inputs
    chosen = logical_and(
        equal(data, gather(op.outputs[0], maximum(ids, 0))),
        not_equal(_spread(fill_ops.ones_like(op.outputs[0]), data, ids), 0),
    )
    ties = unsorted_segment_sum_op(cast(chosen, grad.dtype), ids, count)
    each = _spread(grad / maximum(ties, 1), data, ids)
    return where(chosen, each, fill_ops.zeros_like(data)), None, None


@unsorted_segment_prod_op.gradient
def _(op, grad):
    data, ids, count = op.inputs
    # The product of the others is the product by the element; where the element is 0, the product of the
    # rest, and where there are two zeros, 0.
    is_zero = equal(data, 0)
    zeros = unsorted_segment_sum_op(cast(is_zero, dtypes.int32), ids, count)
    ones = fill_ops.ones_like(data)
    rest = unsorted_segment_prod_op(where(is_zero, ones, data), ids, count)
    rest = where(greater(zeros, 1), fill_ops.zeros_like(rest), rest)
    others = where(is_zero, _spread(rest, data, ids), _spread(op.outputs[0], data, ids) / where(is_zero, ones, data))
    return _spread(grad, data, ids) * others, None, None


# --- Public functions ---------------------------------------------------------------------------------------


def _publish(name: str, definition: OpDef, what: str) -> Any:
    def segment(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
        return definition(data, segment_ids, name=name)

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""The {what} of the rows of each segment.

Args:
  data: [n, ...], {"numeric" if definition.attrs["T"].allowed == NUMERIC else "real"}.
  segment_ids: [n], int32 or int64: the segment of each row, sorted, from 0 on.
  name: the operation's name.

Returns:
  [m, ...], where m - 1 is the last identifier.

Raises:
  InvalidArgumentError: the identifiers are not sorted, or not as many as rows.
"""
    export_value(__name__, name, f"math.{name}", v1=[name])
    return segment


def _publish_unsorted(name: str, definition: OpDef, what: str) -> Any:
    def segment(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
        return definition(data, segment_ids, num_segments, name=name)

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""The {what} of the rows of each segment, in any order.

Args:
  data: [n1, n2, ..., d1, d2, ...], {"numeric" if definition.attrs["T"].allowed == NUMERIC else "real"}.
  segment_ids: [n1, n2, ...], int32 or int64: the segment of each row; rows with a negative one are left out.
  num_segments: how many segments there are, a scalar.
  name: the operation's name.

Returns:
  [num_segments, d1, d2, ...].

Raises:
  InvalidArgumentError: an identifier is not below `num_segments`.
"""
    export_value(__name__, name, f"math.{name}", v1=[name])
    return segment


segment_sum = _publish("segment_sum", segment_sum_op, "sum")
segment_mean = _publish("segment_mean", segment_mean_op, "mean")
segment_prod = _publish("segment_prod", segment_prod_op, "product")
segment_max = _publish("segment_max", segment_max_op, "greatest")
segment_min = _publish("segment_min", segment_min_op, "least")
unsorted_segment_sum = _publish_unsorted("unsorted_segment_sum", unsorted_segment_sum_op, "sum")
unsorted_segment_prod = _publish_unsorted("unsorted_segment_prod", unsorted_segment_prod_op, "product")
unsorted_segment_max = _publish_unsorted("unsorted_segment_max", unsorted_segment_max_op, "greatest")
unsorted_segment_min = _publish_unsorted("unsorted_segment_min", unsorted_segment_min_op, "least")


def _segment_sizes(data: Tensor, ids: Tensor, num_segments: Any) -> Tensor:
    """The number of rows of each segment, at least 1, with dimensions to divide the result by it."""
    ones = fill_ops.ones(shape_ops.shape(ids), data.dtype.base_dtype)
    sizes = unsorted_segment_sum_op(ones, ids, num_segments)
    missing = len(data._shape or ()) - len(ids._shape or ())
    return maximum(reshape(sizes, [num_segments] + [1] * missing), 1)


@export("math.unsorted_segment_mean", v1=["unsorted_segment_mean"])
def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The mean of the rows of each segment, in any order; 0 for segments without rows.

    Args:
      data: [n1, n2, ..., d1, d2, ...], floating point.
      segment_ids: [n1, n2, ...], int32 or int64: the segment of each row; rows of negative ones are left out.
      num_segments: how many segments there are, a scalar.
      name: the scope of the operations.

    Returns:
      [num_segments, d1, d2, ...].
    """
    with name_scope(name, "UnsortedSegmentMean"):
        data, ids = to_tensor(data), to_tensor(segment_ids)
        sizes = _segment_sizes(data, ids, num_segments)
        return unsorted_segment_sum_op(data, ids, num_segments) / sizes


@export("math.unsorted_segment_sqrt_n", v1=["unsorted_segment_sqrt_n"])
def unsorted_segment_sqrt_n(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The sum of the rows of each segment, in any order, divided by the square root of their number.

    Args:
      data: [n1, n2, ..., d1, d2, ...], floating point.
      segment_ids: [n1, n2, ...], int32 or int64: the segment of each row; rows of negative ones are left out.
      num_segments: how many segments there are, a scalar.
      name: the scope of the operations.

    Returns:
      [num_segments, d1, d2, ...].
    """
    with name_scope(name, "UnsortedSegmentSqrtN"):
        data, ids = to_tensor(data), to_tensor(segment_ids)
        sizes = _segment_sizes(data, ids, num_segments)
        total = unsorted_segment_sum_op(data, ids, num_segments)
        return total / sqrt(sizes)
