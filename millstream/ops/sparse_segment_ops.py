"""Reductions over segments of rows that are looked up first, without a copy of all of them.

As with sorted segments, the size of the result depends on data, and the kernels run on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import REAL_NUMERIC
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import invalid
from millstream.ops.gather_ops import gather
from millstream.ops.segment_ops import unsorted_segment_sum
from millstream.ops.shape_ops import shape

_FLOATS = "float double"

# --- Kernels ----------------------------------------------------------------------------------------------


def _scale(count: Any, mode: str) -> Any:
    """What the sum of `count` rows is multiplied with."""
    count = np.maximum(count, 1)
    return {"sum": np.ones_like(count, np.float64), "mean": 1 / count, "sqrt_n": 1 / np.sqrt(count)}[mode]


def _column(values: Any, rank: int, dtype: Any) -> Any:
    return values.reshape((-1,) + (1,) * (rank - 1)).astype(dtype)


def _reduce(data: Any, indices: Any, ids: Any, count: int | None, mode: str) -> Any:
    if len(indices) != len(ids):
        raise invalid("segment_ids and indices should have same size.")
    if np.any(np.diff(ids) < 0):
        raise invalid("segment ids are not increasing")
    if np.any((indices < 0) | (indices >= len(data))):
        raise invalid(f"indices out of range [0, {len(data)})")
    if count is None:
        count = int(ids[-1]) + 1 if len(ids) else 0
    elif len(ids) and ids[-1] >= count:
        raise invalid("segment ids must be < num_segments")
    result = np.zeros((count, *data.shape[1:]), data.dtype)
    np.add.at(result, ids, data[indices])
    if mode == "sum":
        return result
    return result * _column(_scale(np.bincount(ids, minlength=count), mode), data.ndim, data.dtype)


def _reduced_shape(c: ShapeContext) -> Any:
    data = shapes.with_rank_at_least(c.shape(0), 1)
    for index in (1, 2):
        c.require_rank(index, 1)
    shapes.merge(c.shape(1), c.shape(2))
    count = c.constant(3) if c.num_inputs > 3 else None
    return None if data is None else (None if count is None else int(count), *data[1:])


def _gradient_shape(c: ShapeContext) -> Any:
    grad = shapes.with_rank_at_least(c.shape(0), 1)
    rows = c.constant(3)
    return None if grad is None else (None if rows is None else int(rows), *grad[1:])


# --- Operations -------------------------------------------------------------------------------------------


def _define(name: str, mode: str, types: Any) -> tuple[OpDef, OpDef]:
    """The operation without and the one with a number of segments."""

    def kernel(xp: Any, data: Any, indices: Any, segment_ids: Any) -> Any:
        return _reduce(data, indices, segment_ids, None, mode)

    def kernel_with_number(xp: Any, data: Any, indices: Any, segment_ids: Any, num_segments: Any) -> Any:
        return _reduce(data, indices, segment_ids, int(num_segments), mode)

    first = op(
        f"{name}(data: T, indices: Tidx, segment_ids: int32) -> output: T",
        T=types, Tidx="int32 int64 = int32", shape=_reduced_shape, host=True,
    )(kernel)  # fmt: skip
    second = op(
        f"{name}WithNumSegments(data: T, indices: Tidx, segment_ids: int32, num_segments: Tnumsegments)"
        " -> output: T",
        T=types, Tidx="int32 int64 = int32", Tnumsegments="int32 int64 = int32", shape=_reduced_shape, host=True,
    )(kernel_with_number)  # fmt: skip
    return first, second


def _define_gradient(name: str, mode: str) -> OpDef:
    def kernel(xp: Any, grad: Any, indices: Any, segment_ids: Any, output_dim0: Any) -> Any:
        scale = _column(_scale(np.bincount(segment_ids, minlength=len(grad)), mode), grad.ndim, grad.dtype)
        result = np.zeros((int(output_dim0), *grad.shape[1:]), grad.dtype)
        np.add.at(result, indices, (grad * scale)[segment_ids])
        return result

    return op(
        f"{name}(grad: T, indices: Tidx, segment_ids: int32, output_dim0: int32) -> output: T",
        T=_FLOATS, Tidx="int32 int64 = int32", shape=_gradient_shape, host=True,
    )(kernel)  # fmt: skip


sparse_segment_sum_ops = _define("SparseSegmentSum", "sum", REAL_NUMERIC)
sparse_segment_mean_ops = _define("SparseSegmentMean", "mean", _FLOATS)
sparse_segment_sqrt_n_ops = _define("SparseSegmentSqrtN", "sqrt_n", _FLOATS)
sparse_segment_mean_grad_op = _define_gradient("SparseSegmentMeanGrad", "mean")
sparse_segment_sqrt_n_grad_op = _define_gradient("SparseSegmentSqrtNGrad", "sqrt_n")


def _rows(op: Any) -> Any:

    return shape(op.inputs[0])[0]


@sparse_segment_sum_ops[0].gradient
@sparse_segment_sum_ops[1].gradient
def _(op, grad):

    rows = gather(grad, op.inputs[2])
    return unsorted_segment_sum(rows, op.inputs[1], _rows(op)), *[None] * (len(op.inputs) - 1)


@sparse_segment_mean_ops[0].gradient
@sparse_segment_mean_ops[1].gradient
def _(op, grad):
    found = sparse_segment_mean_grad_op(grad, op.inputs[1], op.inputs[2], _rows(op))
    return found, *[None] * (len(op.inputs) - 1)


@sparse_segment_sqrt_n_ops[0].gradient
@sparse_segment_sqrt_n_ops[1].gradient
def _(op, grad):
    found = sparse_segment_sqrt_n_grad_op(grad, op.inputs[1], op.inputs[2], _rows(op))
    return found, *[None] * (len(op.inputs) - 1)


# --- Public functions -------------------------------------------------------------------------------------


def _publish(name: str, definitions: tuple[OpDef, OpDef], what: str) -> Any:
    """The 1.x and the 2.x function."""

    def segment(data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None) -> Tensor:
        if num_segments is None:
            return definitions[0](data, indices, segment_ids, name=name)
        return definitions[1](data, indices, segment_ids, num_segments, name=name)

    def segment_v2(
        data: Any,
        indices: Any,
        segment_ids: Any,
        num_segments: Any = None,
        name: str | None = None,
        sparse_gradient: bool = False,
    ) -> Tensor:
        return segment(data, indices, segment_ids, name, num_segments)

    doc = f"""The {what} of the rows of each segment, looked up in a larger tensor.

Args:
  data: [m, ...], real.
  indices: [n], int32 or int64: which rows of `data` are taken.
  segment_ids: [n], int32: the segment of each row that is taken, sorted, from 0 on.
  name: the operation's name.
  num_segments: how many segments there are, a scalar; default: one more than the last identifier.
  sparse_gradient: (2.x) accepted for compatibility.

Returns:
  [num_segments, ...]; 0 for segments without rows.
"""
    for function, attribute in ((segment, f"sparse_{name}"), (segment_v2, f"sparse_{name}_v2")):
        function.__name__ = function.__qualname__ = attribute
        function.__doc__ = doc
    export(v1=[f"sparse.{name}", f"sparse_{name}"])(segment)
    export(v2=[f"sparse.{name}"])(segment_v2)
    return segment, segment_v2


sparse_segment_sum, sparse_segment_sum_v2 = _publish("segment_sum", sparse_segment_sum_ops, "sum")
sparse_segment_mean, sparse_segment_mean_v2 = _publish("segment_mean", sparse_segment_mean_ops, "mean")
sparse_segment_sqrt_n, sparse_segment_sqrt_n_v2 = _publish(
    "segment_sqrt_n", sparse_segment_sqrt_n_ops, "sum divided by the square root of the number"
)
