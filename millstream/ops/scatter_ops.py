"""Putting values into a tensor by index: scatter_nd and the updates of a tensor."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import ANY, INDICES, NUMERIC, bool_
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import to_shape
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import equal
from millstream.ops.fill_ops import zeros_like
from millstream.ops.gather_ops import gather_nd_op, index_parts


def check_updates(whole: Any, indices: Any, updates: Any) -> None:
    """Demands of static shapes that `updates` are what `indices` name of a tensor of shape `whole`."""
    if indices is None or updates is None:
        return
    outer = len(indices) - 1
    try:
        shapes.merge(indices[:-1], updates[:outer] if len(updates) >= outer else updates)
    except ValueError as error:
        raise ValueError(
            f"The outer {outer} dimensions of indices.shape={shapes.format_shape(indices)} must match the outer "
            f"{outer} dimensions of updates.shape={shapes.format_shape(updates)}: {error}"
        ) from None
    depth = indices[-1]
    if whole is None or depth is None:
        return
    try:
        shapes.merge(whole[depth:], updates[outer:])
    except ValueError as error:
        raise ValueError(
            f"The inner {len(whole) - depth} dimensions of output.shape={shapes.format_shape(whole)} must match "
            f"the inner {len(updates) - outer} dimensions of updates.shape={shapes.format_shape(updates)}: {error}"
        ) from None


def scatter(xp: Any, array: Any, indices: Any, updates: Any, method: str, check: Any) -> Any:
    """`array` with the parts that the rows of `indices` name combined with `updates`: method set, add, min, max."""
    depth = indices.shape[-1]
    if updates.shape != (*indices.shape[:-1], *array.shape[depth:]):
        raise ValueError(
            f"Must have updates.shape = indices.shape[:-1] + shape[{depth}:], but have updates.shape = "
            f"{shapes.format_shape(updates.shape)}, indices.shape = {shapes.format_shape(indices.shape)} and "
            f"shape = {shapes.format_shape(array.shape)}"
        )
    if 0 in updates.shape:
        return array
    key = index_parts(xp, indices, array.shape, "shape", check) if depth else (...,)
    result = xp.array(array)
    if xp is not np:
        return getattr(result.at[key], method)(updates)
    if method == "set":
        result[key] = updates
    elif depth == 0:
        outer = tuple(range(updates.ndim - array.ndim))
        result = getattr(np, {"add": "sum"}.get(method, method))(updates, outer) + result
    else:
        {"add": np.add, "min": np.minimum, "max": np.maximum}[method].at(result, key, updates)
    return result


# --- Into zeros ---------------------------------------------------------------------------------------------


def _scatter_nd_shape(c: ShapeContext) -> Any:
    whole = c.constant_shape(2)
    check_updates(whole, shapes.with_rank_at_least(c.shape(0), 1), c.shape(1))
    return whole


@op(
    "ScatterNd(indices: Tindices, updates: T, shape: Tindices) -> output: T",
    T=ANY,
    Tindices=INDICES,
    shape=_scatter_nd_shape,
    static=("shape",),
)
def scatter_nd_op(xp, indices, updates, shape, *, check):
    return scatter(xp, xp.zeros(to_shape(shape), updates.dtype), indices, updates, "add", check)


@scatter_nd_op.gradient
def _(op, grad):
    return None, gather_nd_op(grad, op.inputs[0]), None


def _update_shape(c: ShapeContext) -> Any:
    check_updates(c.shape(0), shapes.with_rank_at_least(c.shape(1), 1), c.shape(2))
    return c.shape(0)


@op(
    "ScatterNdNonAliasingAdd(input: T, indices: Tindices, updates: T) -> output: T",
    T=(*NUMERIC, bool_),
    Tindices=INDICES,
    shape=_update_shape,
)
def scatter_nd_add_op(xp, input, indices, updates, *, check):
    return scatter(xp, input, indices, updates, "add", check)


@scatter_nd_add_op.gradient
def _(op, grad):
    return grad, None, gather_nd_op(grad, op.inputs[1])


@export(v1=["scatter_nd", "manip.scatter_nd"])
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor of zeros with `updates` added at `indices`; the inverse of `gather_nd`.

    Args:
      indices: int32 or int64, [..., k]: each row indexes the first k dimensions of the result; rows may repeat.
      updates: any dtype, shape `indices.shape[:-1] + shape[k:]`.
      shape: the result's shape, a vector of the dtype of `indices`.
      name: the operation's name.

    Raises:
      InvalidArgumentError: an index out of range.

    Example:
      >>> tf.scatter_nd([[1], [3], [1]], [10, 20, 5], [4])     # [0, 15, 0, 20]
    """
    return scatter_nd_op(indices, updates, shape, name=name)


# --- Into a tensor ------------------------------------------------------------------------------------------


def _tensor_scatter(suffix: str, method: str, sign: int = 1) -> OpDef:
    @op(
        f"TensorScatter{suffix}(tensor: T, indices: Tindices, updates: T) -> output: T",
        T=ANY,
        Tindices=INDICES,
        shape=_update_shape,
    )
    def kernel(xp, tensor, indices, updates, *, check):
        return scatter(xp, tensor, indices, updates if sign == 1 else -updates, method, check)

    return kernel


tensor_scatter_update_op = _tensor_scatter("Update", "set")
tensor_scatter_add_op = _tensor_scatter("Add", "add")
tensor_scatter_sub_op = _tensor_scatter("Sub", "add", -1)
tensor_scatter_min_op = _tensor_scatter("Min", "min")
tensor_scatter_max_op = _tensor_scatter("Max", "max")


@tensor_scatter_update_op.gradient
def _(op, grad):
    kept = tensor_scatter_update_op(grad, op.inputs[1], zeros_like(op.inputs[2]))
    return kept, None, gather_nd_op(grad, op.inputs[1])


@tensor_scatter_add_op.gradient
def _(op, grad):
    return grad, None, gather_nd_op(grad, op.inputs[1])


@tensor_scatter_sub_op.gradient
def _(op, grad):
    return grad, None, -gather_nd_op(grad, op.inputs[1])


@tensor_scatter_min_op.gradient
@tensor_scatter_max_op.gradient
def _extreme_gradient(op, grad):
    """The gradient goes to whichever of old value and updates gave the result, shared out where several did."""
    tensor, indices, updates = op.inputs
    chosen = op.outputs[0]
    kept = cast(equal(tensor, chosen), grad.dtype)
    came = cast(equal(updates, gather_nd_op(chosen, indices)), grad.dtype)
    shared = grad / tensor_scatter_add_op(kept, indices, came)
    return kept * shared, None, came * gather_nd_op(shared, indices)


@export("tensor_scatter_nd_update", v1=["tensor_scatter_update"])
def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with some parts replaced.

    Args:
      tensor: any dtype, shape S.
      indices: int32 or int64, [..., k]: each row indexes the first k dimensions; rows should not repeat.
      updates: the tensor's dtype, shape `indices.shape[:-1] + S[k:]`.
      name: the operation's name.

    Raises:
      InvalidArgumentError: an index out of range.

    Example:
      >>> tf.tensor_scatter_nd_update([1, 2, 3], [[0], [2]], [7, 9])     # [7, 2, 9]
    """
    return tensor_scatter_update_op(tensor, indices, updates, name=name)


@export(v1=["tensor_scatter_nd_add", "tensor_scatter_add"])
def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with `updates` added to some parts; arguments as of `tensor_scatter_nd_update`, rows may repeat."""
    return tensor_scatter_add_op(tensor, indices, updates, name=name)


@export(v1=["tensor_scatter_nd_sub", "tensor_scatter_sub"])
def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with `updates` taken from some parts; arguments as of `tensor_scatter_nd_update`, rows may repeat."""
    return tensor_scatter_sub_op(tensor, indices, updates, name=name)
