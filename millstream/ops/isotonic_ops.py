"""Isotonic regression: the monotone sequence nearest to a given one.

M. J. Best and N. Chakravarti: Active set algorithms for isotonic regression, 1990.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import REAL_NUMERIC, DType
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops, shape_ops
from millstream.ops.cast_ops import cast
from millstream.ops.elementwise_ops import negative
from millstream.ops.gather_ops import gather
from millstream.ops.math_ops import range as range_of
from millstream.ops.reshape_ops import expand_dims, reshape, transpose
from millstream.ops.segment_ops import unsorted_segment_mean


def _pooled(row: Any) -> tuple[Any, Any]:
    """The nearest sequence that does not increase, and for each element the number of its pool.

    Neighbours that are in the wrong order are pooled, and take their mean (pool adjacent violators).
    """
    means: list[float] = []
    counts: list[int] = []
    for value in row.tolist():
        mean, count = value, 1
        while means and means[-1] < mean:
            total = count + counts[-1]
            mean = (mean * count + means.pop() * counts[-1]) / total
            counts.pop()
            count = total
        means.append(mean)
        counts.append(count)
    return np.repeat(means, counts), np.repeat(np.arange(len(counts)), counts)


def _same_shapes(c: ShapeContext) -> Any:
    return [c.shape(0), c.shape(0)]


@op(
    "IsotonicRegression(input: T, *, output_dtype: type{half, bfloat16, float, double} = float)"
    " -> output: output_dtype, segments: int32",
    T=REAL_NUMERIC, shape=_same_shapes, host=True,
)  # fmt: skip
def isotonic_regression_op(xp, input, *, output_dtype):
    output = np.zeros(input.shape, np.float64)
    segments = np.zeros(input.shape, np.int32)
    for index in np.ndindex(input.shape[:-1]):
        output[index], segments[index] = _pooled(input[index].astype(np.float64))
    return output.astype(output_dtype.as_numpy_dtype), segments


@isotonic_regression_op.gradient
def _(op, grad, _):
    """The mean over each pool."""
    segments = op.outputs[1]
    columns = shape_ops.shape(segments)[-1]
    flat = reshape(segments, [-1, columns])
    rows = shape_ops.shape(flat)[0]
    pools = reshape(flat + expand_dims(range_of(rows), 1) * columns, [-1])
    means = unsorted_segment_mean(reshape(grad, [-1]), pools, rows * columns)
    return cast(reshape(gather(means, pools), shape_ops.shape(segments)), op.inputs[0].dtype)


def _result_dtype(dtype: DType) -> DType:
    if dtype.is_floating:
        return dtype
    return dtypes.float32 if dtype in (dtypes.int8, dtypes.int16) else dtypes.float64


@export(v2=["nn.isotonic_regression"])
def isotonic_regression(inputs: Any, decreasing: bool = True, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The sequences nearest to `inputs`, by squared distance, that do not increase (or do not decrease).

    Args:
      inputs: a real tensor [..., n]; its rows are regressed one by one.
      decreasing: the results do not increase; else they do not decrease.
      axis: the axis of the sequences.

    Returns:
      the sequences, of the dtype of `inputs` (float64 for most integers); and for each element the number of the
      pool of neighbours that it shares its value with, int32.

    Raises:
      ValueError: there is no such axis, or it is not the last one and the rank is not known.

    Example:
      >>> tf.nn.isotonic_regression([3., 1., 2., 0.])[0]          # [3., 1.5, 1.5, 0.]
    """
    inputs = to_tensor(inputs, name="inputs")
    dtype = _result_dtype(inputs.dtype)
    if inputs._shape == ():
        return cast(inputs, dtype), fill_ops.zeros_like(inputs, dtype=dtypes.int32)
    order = None if axis == -1 else _last_axis_swapped(inputs, axis)
    values = inputs if order is None else transpose(inputs, order)
    if not decreasing:
        values = negative(cast(values, dtypes.int64) if values.dtype.is_unsigned else values)
    output, segments = isotonic_regression_op(values, output_dtype=dtype)
    output = output if decreasing else negative(output)
    return (output, segments) if order is None else (transpose(output, order), transpose(segments, order))


def _last_axis_swapped(inputs: Tensor, axis: int) -> list[int]:
    """The order of axes that exchanges `axis` with the last one; it is its own inverse."""
    if inputs._shape is None:
        raise ValueError("inputs must have a known rank where axis is not -1.")
    count = len(inputs._shape)
    if not -count <= axis < count:
        raise ValueError(f"axis must be in [{-count}, {count}); received: {axis}")
    order = list(range(count))
    order[axis], order[-1] = order[-1], order[axis]
    return order
