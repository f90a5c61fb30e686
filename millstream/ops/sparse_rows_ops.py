"""Sparse tensors in another shape, with fewer elements, or without empty rows.

How many elements there are depends on data: the kernels run on the host.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import Shape, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.sparse_tensor import SparseTensor, SparseTensorValue
from millstream.core.static_values import constant_value, constant_value_as_shape
from millstream.core.tensor import Tensor
from millstream.ops.cast_ops import cast
from millstream.ops.gather_ops import gather
from millstream.ops.identity_ops import identity
from millstream.ops.reshape_ops import reshape
from millstream.ops.select_ops import where


def as_sparse(value: Any, name: str = "Input") -> SparseTensor:
    """A sparse tensor; a value of one becomes constants.

    Raises:
      TypeError: it is no sparse tensor.
    """
    if isinstance(value, SparseTensorValue):
        return SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        raise TypeError(f"{name} must be a SparseTensor.")
    return value


# --- Another shape ------------------------------------------------------------------------------------------


def _reshaped(c: ShapeContext) -> Any:
    indices, new = c.require_rank(0, 2), c.require_rank(2, 1)
    c.require_rank(1, 1)
    return [(indices[0], new[0]), (new[0],)]


def _filled_in(shape: Any, new_shape: Any) -> list[int]:
    """The new shape, with the dimension -1 worked out.

    Raises:
      ValueError: the numbers of elements differ.
    """
    dims = new_shape.tolist()
    if dims.count(-1) > 1:
        raise ValueError(f"only one output dimension may be -1, not both {dims.index(-1)} and others")
    total, known = int(np.prod(shape)), int(np.prod([dim for dim in dims if dim != -1], dtype=np.int64))
    if -1 in dims and known and total % known == 0:
        dims[dims.index(-1)] = total // known
        known = total
    if -1 in dims or known != total:
        raise ValueError(f"Input to reshape is a tensor with {total} dense values, but the requested shape has {known}")
    return dims


@op(
    "SparseReshape(input_indices: int64, input_shape: int64, new_shape: int64)"
    " -> output_indices: int64, output_shape: int64",
    shape=_reshaped, host=True,
)  # fmt: skip
def sparse_reshape_op(xp, input_indices, input_shape, new_shape):
    dims = _filled_in(input_shape, new_shape)
    if not len(input_indices):
        return np.zeros((0, len(dims)), np.int64), np.array(dims, np.int64)
    flat = np.ravel_multi_index(tuple(input_indices.T), tuple(input_shape))
    return np.stack(np.unravel_index(flat, dims), axis=1), np.array(dims, np.int64)


sparse_reshape_op.no_gradient("indices are integers")


@export("sparse.reshape", v1=["sparse_reshape"])
def sparse_reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same elements, in row-major order, in another shape.

    Args:
      sp_input: a `SparseTensor`.
      shape: int32 or int64 [new rank]; one dimension may be -1: what is left.
      name: the scope of the operations.

    Raises:
      ValueError: more than one dimension is -1, or the numbers of elements are known to differ.
      InvalidArgumentError: when it runs and they differ.

    Example:
      >>> tf.sparse.reshape(tf.SparseTensor([[1, 2]], [7], [2, 3]), [3, 2])          # 7 is at [2, 1]
    """
    sp_input = as_sparse(sp_input)
    shape = cast(shape, dtypes.int64)
    _check_new_shape(constant_value_as_shape(sp_input.dense_shape), constant_value(shape))
    with name_scope(name, "SparseReshape", [sp_input.indices, sp_input.values, shape]) as scope:
        indices, dense_shape = sparse_reshape_op(sp_input.indices, sp_input.dense_shape, shape, name=scope)
        return SparseTensor(indices, identity(sp_input.values), dense_shape)


def _check_new_shape(old: Shape, new: Any) -> None:
    """Compares what is known of the shapes while the graph is built."""
    if new is None:
        return
    if np.count_nonzero(new == -1) > 1:
        raise ValueError(f"At most one dimension can be inferred (-1). Found: {new}")
    count, wanted = shapes.num_elements(old), int(np.prod(new))
    if count is not None and -1 not in new and count != wanted:
        raise ValueError(
            f"Cannot reshape a tensor with {count} elements to shape {new.tolist()} ({wanted} elements)."
        )


# --- Fewer elements -----------------------------------------------------------------------------------------


@export("sparse.retain", v1=["sparse_retain"])
def sparse_retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """The elements where `to_retain` is true, in the same shape.

    Args:
      sp_input: a `SparseTensor` of n elements.
      to_retain: bool [n].

    Raises:
      ValueError: the lengths are known and differ.
    """
    sp_input = as_sparse(sp_input)
    to_retain = to_tensor(to_retain)
    shapes.merge(shapes.with_rank(to_retain._shape, 1), sp_input.values._shape)
    places = reshape(where(to_retain), [-1])
    indices, values = gather(sp_input.indices, places), gather(sp_input.values, places)
    return SparseTensor(indices, values, identity(sp_input.dense_shape))


# --- No empty rows ------------------------------------------------------------------------------------------


def _filled_shapes(c: ShapeContext) -> Any:
    indices, values = c.require_rank(0, 2), c.require_rank(1, 1)
    shapes.merge_dim(indices[0], values[0])
    dense = c.constant_shape(2)
    shapes.with_rank(c.shape(3), 0)
    return [(None, indices[1]), (None,), (None,) if dense is None else dense[:1], (indices[0],)]


@op(
    "SparseFillEmptyRows(indices: int64, values: T, dense_shape: int64, default_value: T) -> output_indices: int64, "
    "output_values: T, empty_row_indicator: bool, reverse_index_map: int64",
    T=ANY, shape=_filled_shapes, host=True,
)  # fmt: skip
def sparse_fill_empty_rows_op(xp, indices, values, dense_shape, default_value):
    """Puts the default value at the first place of each row without elements."""
    rows = int(dense_shape[0])
    row_of = indices[:, 0]
    outside = np.flatnonzero((row_of < 0) | (row_of >= rows))
    if len(outside):
        first = outside[0]
        raise ValueError(f"indices({first}, 0) is invalid: {row_of[first]} >= {rows}")
    empty = np.bincount(row_of, minlength=rows) == 0
    added = np.zeros((int(empty.sum()), indices.shape[1]), np.int64)
    added[:, 0] = np.flatnonzero(empty)
    order = np.argsort(np.concatenate([row_of, added[:, 0]]), kind="stable")
    new_values = np.concatenate([values, np.full(len(added), default_value, values.dtype)])[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.concatenate([indices, added])[order], new_values, empty, place[: len(values)]


@op(
    "SparseFillEmptyRowsGrad(reverse_index_map: int64, grad_values: T) -> d_values: T, d_default_value: T",
    T=ANY, shape=lambda c: [c.shape(0), ()], host=True,
)  # fmt: skip
def sparse_fill_empty_rows_grad_op(xp, reverse_index_map, grad_values):
    rest = np.delete(grad_values, reverse_index_map)
    return grad_values[reverse_index_map], np.sum(rest, dtype=grad_values.dtype)


@sparse_fill_empty_rows_op.gradient
def _(op, _, grad_values, *__):
    d_values, d_default_value = sparse_fill_empty_rows_grad_op(op.outputs[3], grad_values)
    return None, d_values, None, d_default_value


@export("sparse.fill_empty_rows", v1=["sparse_fill_empty_rows"])
def sparse_fill_empty_rows(
    sp_input: Any, default_value: Any, name: str | None = None
) -> tuple[SparseTensor, Tensor]:
    """Gives each row without elements one: `default_value`, in the first column.

    Args:
      sp_input: a `SparseTensor` of shape [rows, ...].
      default_value: a scalar of its dtype.
      name: the scope of the operations.

    Returns:
      the `SparseTensor`, and for each row whether it was empty, bool [rows].
    """
    sp_input = as_sparse(sp_input)
    with name_scope(name, "SparseFillEmptyRows", [sp_input.indices, sp_input.values, sp_input.dense_shape]):
        default_value = to_tensor(default_value, dtype=sp_input.values.dtype)
        indices, values, empty, _ = sparse_fill_empty_rows_op(
            sp_input.indices, sp_input.values, sp_input.dense_shape, default_value
        )
        return SparseTensor(indices, values, sp_input.dense_shape), empty
