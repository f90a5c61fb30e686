"""Writing single values into a tensor that is otherwise of one value."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor


def _dense_shape(c: ShapeContext) -> Any:
    shapes.with_rank(c.shape(1), 1)
    return c.constant_shape(1)


@op(
    "SparseToDense(sparse_indices: Tindices, output_shape: Tindices, sparse_values: T, default_value: T,"
    " *, validate_indices: bool = true) -> dense: T",
    T=ANY, Tindices="int32 int64", shape=_dense_shape, host=True,
)  # fmt: skip
def sparse_to_dense_op(xp, sparse_indices, output_shape, sparse_values, default_value, *, validate_indices):
    if sparse_indices.ndim > 2:
        found = shapes.format_shape(sparse_indices.shape)
        raise ValueError(f"sparse_indices should be a scalar, vector, or matrix, got shape {found}")
    places = sparse_indices.reshape(-1, 1) if sparse_indices.ndim < 2 else sparse_indices
    count, rank = places.shape
    if len(output_shape) != rank:
        raise ValueError(f"output_shape has incorrect number of elements: {len(output_shape)} should be: {rank}")
    if sparse_values.shape not in ((), (count,)):
        found = shapes.format_shape(sparse_values.shape)
        raise ValueError(f"sparse_values has incorrect shape {found}, should be [] or [{count}]")
    if default_value.ndim:
        raise ValueError("default_value should be a scalar.")
    _check_places(places, output_shape, validate_indices)
    dense = np.full(output_shape.tolist(), default_value, default_value.dtype)
    dense[tuple(places.T)] = sparse_values
    return dense


def _check_places(places: Any, shape: Any, ordered: bool) -> None:
    """Raises ValueError where indices are out of range or, if `ordered`, not in ascending order."""
    outside = ((places < 0) | (places >= shape)).any(axis=1)
    if outside.any():
        if not ordered:
            raise ValueError(f"Indices are not valid (out of bounds).  Shape: {shapes.format_shape(shape.tolist())}")
        first = int(np.argmax(outside))
        raise ValueError(
            f"indices[{first}] = {shapes.format_shape(places[first].tolist())} is out of bounds: "
            f"need 0 <= index < {shapes.format_shape(shape.tolist())}"
        )
    if not ordered:
        return
    rows = places.tolist()
    for i in range(1, len(rows)):
        if rows[i] == rows[i - 1]:
            raise ValueError(f"indices[{i}] = {shapes.format_shape(rows[i])} is repeated")
        if rows[i] < rows[i - 1]:
            raise ValueError(
                f"indices[{i}] = {shapes.format_shape(rows[i])} is out of order. "
                "Many sparse ops require sorted indices."
            )


@sparse_to_dense_op.gradient
def _(op, grad):
    from millstream.ops.gather_ops import gather_nd
    from millstream.ops.reduction_ops import reduce_sum
    from millstream.ops.reshape_ops import reshape

    places = op.inputs[0]
    if places._shape is not None and len(places._shape) < 2:
        places = reshape(places, [-1, 1])
    values = gather_nd(grad, places)
    return None, None, values, reduce_sum(grad) - reduce_sum(values)


@export(v1=["sparse_to_dense"])
def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """A tensor of one value but for single places.

    Args:
      sparse_indices: int32 or int64: the places, [count, rank], or [count] for a vector, or a scalar for one place.
      output_shape: the result's shape, a vector of the same dtype.
      sparse_values: what is put there, any dtype, [count] or a scalar.
      default_value: what is everywhere else, a scalar of that dtype.
      validate_indices: whether the places must be in ascending order without repetition.
      name: the operation's name.

    Raises:
      InvalidArgumentError: a place is out of range, or the places are out of order.

    Example:
      >>> tf.sparse_to_dense([1, 3], [5], [7, 8])        # [0, 7, 0, 8, 0]
    """
    return sparse_to_dense_op(
        sparse_indices, output_shape, sparse_values, default_value, validate_indices=validate_indices, name=name
    )
