"""Looking up parts of a tensor by index: gather, gather_nd, one_hot."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, opdef, shapes
from millstream.core.dtypes import ANY, INDICES
from millstream.core.errors import InvalidArgumentError
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import axis_in_range, to_ints
from millstream.ops.cast_ops import cast
from millstream.ops.fill_ops import meshgrid, ones
from millstream.ops.join_ops import concat, stack, unstack
from millstream.ops.reshape_ops import reshape, transpose
from millstream.ops.shape_ops import shape

# --- Indices out of range -----------------------------------------------------------------------------------


def check_range(check: Any, xp: Any, name: str, indices: Any, limit: int) -> None:
    """Demands that all of `indices` are in [0, limit); names the first that is not."""
    if 0 in indices.shape:
        return
    wrong = (indices < 0) | (indices >= limit)
    first = xp.argmax(xp.reshape(wrong, (-1,)))
    place = xp.unravel_index(first, indices.shape) if indices.ndim else ()
    slots = [f"{{{number}}}" for number in range(indices.ndim + 1)]
    where = f"[{','.join(slots[:-1])}]" if place else ""
    message = f"{name}{where} = {slots[-1]} is not in [0, {limit})"
    check(~xp.any(wrong), InvalidArgumentError, message, *place, xp.take(indices, first))


# --- Gather -------------------------------------------------------------------------------------------------


def _gather_shape(c: ShapeContext) -> Any:
    params, indices, axis = c.shape(0), c.shape(1), c.constant(2)
    batch = c.attrs["batch_dims"]
    if axis is None:
        if params is None or indices is None:
            return None
        return shapes.with_rank(None, len(params) + len(indices) - 1 - batch)
    position = int(axis)
    params = shapes.with_rank_at_least(params, position + 1 if position >= 0 else -position)
    if params is None or indices is None:
        return None
    position %= len(params)
    batch = batch % len(indices) if batch < 0 else batch
    if batch > min(position, len(indices)):
        raise ValueError(f"batch_dims {batch} must be at most the axis {position} and the rank of indices")
    shapes.merge(params[:batch], indices[:batch])
    return (*params[:position], *indices[batch:], *params[position + 1 :])


def _old_gather_shape(c: ShapeContext) -> Any:
    params = shapes.with_rank_at_least(c.shape(0), 1)
    return None if params is None else shapes.concatenate(c.shape(1), params[1:])


def _take(xp: Any, params: Any, indices: Any, axis: int, check: Any) -> Any:
    check_range(check, xp, "indices", indices, params.shape[axis])
    return xp.take(params, indices, axis=axis, mode="clip")


def _take_batched(xp: Any, params: Any, indices: Any, axis: int, batch: int, check: Any) -> Any:
    """Each of a batch of tensors is looked up with its own indices."""
    check_range(check, xp, "indices", indices, params.shape[axis])
    safe = xp.clip(indices, 0, max(params.shape[axis] - 1, 0))
    places = [
        np.arange(indices.shape[other]).reshape([-1 if other == at else 1 for at in range(indices.ndim)])
        for other in range(batch)
    ]
    found = xp.moveaxis(params, axis, batch)[(*places, safe)]
    inner = indices.ndim - batch
    return xp.moveaxis(found, list(range(batch, batch + inner)), list(range(axis, axis + inner)))


@op(
    "Gather(params: Tparams, indices: Tindices, *, validate_indices: bool = True) -> output: Tparams",
    Tparams=ANY,
    Tindices=INDICES,
    shape=_old_gather_shape,
)
def old_gather_op(xp, params, indices, *, check):
    return _take(xp, params, indices, 0, check)


@op(
    "GatherV2(params: Tparams, indices: Tindices, axis: Taxis, *, batch_dims: int = 0) -> output: Tparams",
    Tparams=ANY,
    Tindices=INDICES,
    Taxis=INDICES,
    shape=_gather_shape,
    static=("axis",),
    moves_data=True,
)
def gather_op(xp, params, indices, axis, *, batch_dims, check):
    position = axis_in_range(int(axis), params.ndim)
    if batch_dims == 0:
        return _take(xp, params, indices, position, check)
    return _take_batched(xp, params, indices, position, batch_dims % (indices.ndim + 1), check)


@old_gather_op.gradient
def _(op, grad):
    return _gathered_rows(op, grad), None


@gather_op.gradient
def _(op, grad):
    from millstream.core.static_values import constant_value

    axis = constant_value(op.inputs[2])
    batch = op.get_attr("batch_dims")
    if axis is None or batch < 0:
        raise ValueError("The gradient of gather needs an axis that is known when the graph is built.")
    if int(axis) == 0 and batch == 0:
        return _gathered_rows(op, grad), None, None
    return _gathered_parts(op, grad, int(axis), batch), None, None


def _gathered_rows(op: Any, grad: Any) -> IndexedSlices:
    """The gradient of a lookup of whole rows: just those rows."""
    params, indices = op.inputs[:2]
    whole = cast(shape(params, out_type=dtypes.int64), dtypes.int32)
    rows = reshape(grad, concat([[-1], whole[1:]], 0))
    return IndexedSlices(rows, reshape(indices, [-1]), whole)


def _gathered_parts(op: Any, grad: Any, axis: int, batch: int) -> Tensor:
    """The gradient of a lookup along any axis: a sum, for each index, of what was taken with it."""
    from millstream.ops.reduction_ops import reduce_prod
    from millstream.ops.segment_ops import unsorted_segment_sum

    params, indices = op.inputs[:2]
    if params._shape is None or indices._shape is None:
        raise ValueError("The gradient of gather along this axis needs params and indices of known rank.")
    rank, taken = len(params._shape), len(indices._shape) - batch
    axis %= rank
    # Dimensions of the gradient: batch, params before the axis, indices, params after it. Indices come second.
    order = [*range(batch), *range(axis, axis + taken), *range(batch, axis), *range(axis + taken, rank - 1 + taken)]
    dims, index_dims = shape(params), shape(indices)
    rest = concat([dims[batch:axis], dims[axis + 1 :]], 0)
    batches, limit = reduce_prod(dims[:batch]), dims[axis]
    count = reduce_prod(index_dims[batch:])
    first = cast(opdef.find("Range")(0, batches, 1) * limit, indices.dtype)
    ids = reshape(reshape(indices, [batches, count]) + reshape(first, [-1, 1]), [-1])
    rows = reshape(transpose(grad, order), concat([[batches * count], rest], 0))
    total = unsorted_segment_sum(rows, ids, batches * limit)
    together = reshape(total, concat([dims[:batch], [limit], rest], 0))
    # Puts the looked-up dimension back from `batch` to `axis`.
    back = [*range(batch), *range(batch + 1, axis + 1), batch, *range(axis + 1, rank)]
    return transpose(together, back)


@export(v1=["gather"])
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: int = 0,
) -> Tensor:
    """Takes slices of a tensor along a dimension, by index.

    Args:
      params: any dtype, shape P.
      indices: int32 or int64, shape I, each in [0, P[axis]).
      validate_indices: accepted for compatibility.
      name: the operation's name.
      axis: the dimension, a scalar; default: `batch_dims`.
      batch_dims: this many first dimensions of both are a batch: each element has indices of its own.

    Returns:
      Shape `P[:axis] + I[batch_dims:] + P[axis + 1:]`.

    Raises:
      InvalidArgumentError: an index out of range.

    Example:
      >>> tf.gather([10, 20, 30], [2, 0])     # [30, 10]
    """
    axis = batch_dims if axis is None else axis
    if isinstance(axis, int) and axis == 0 and batch_dims == 0:
        read_rows = getattr(params, "sparse_read", None)
        if read_rows is not None:
            return read_rows(indices, name=name)
    return gather_op(params, indices, axis, batch_dims=batch_dims, name=name)


@export(v2=["gather"])
def gather_v2(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """Takes slices of `params` along `axis`, by index (see `tf.gather` of 1.x)."""
    return gather(params, indices, validate_indices, name, axis, batch_dims)


@export(v1=["batch_gather"])
def batch_gather(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """Looks up each row of a batch with its own indices; old spelling of `gather` with `batch_dims`.

    Args:
      params: any dtype, [batch…, n, …].
      indices: int32 or int64, [batch…, k].
      name: the operation's name.

    Returns:
      [batch…, k, …].
    """
    indices = conversion.to_tensor(indices, name="indices")
    if indices._shape is None:
        raise ValueError("batch_gather does not allow indices with unknown shape.")
    params = conversion.to_tensor(params, name="params")
    batch = len(indices._shape) - 1
    result = gather_op(params, indices, batch, batch_dims=batch, name=name)
    if params._shape is not None:
        result.set_shape((*indices._shape, *params._shape[batch + 1 :]))
    return result


# --- Gather with several indices ----------------------------------------------------------------------------


def gather_nd_shape(params: Any, indices: Any) -> Any:
    """The shape of what `indices` name of a tensor of shape `params`."""
    indices = shapes.with_rank_at_least(indices, 1)
    if params is None or indices is None or indices[-1] is None:
        return None
    depth = indices[-1]
    if depth > len(params):
        raise ValueError(
            "indices.shape[-1] must be <= params.rank, but saw indices shape: "
            f"{shapes.format_shape(indices)} and params shape: {shapes.format_shape(params)}"
        )
    return (*indices[:-1], *params[depth:])


def index_parts(xp: Any, indices: Any, dims: Any, what: str, check: Any) -> tuple[Any, ...]:
    """The columns of `indices` [..., k], for indexing k dimensions of an array; each is in range afterwards.

    Raises, through `check`, InvalidArgumentError where they are not.
    """
    indices = xp.asarray(indices)  # concrete indices into a traced array are NumPy's
    depth = indices.shape[-1]
    columns = tuple(indices[..., axis] for axis in range(depth))
    if 0 in indices.shape:
        return columns
    limits = np.array(dims[:depth], indices.dtype)
    wrong = xp.reshape(xp.any((indices < 0) | (indices >= limits), -1), (-1,))
    first = xp.argmax(wrong)
    outer = indices.shape[:-1]
    place = xp.unravel_index(first, outer) if outer else ()
    slots = [f"{{{number}}}" for number in range(len(outer) + depth)]
    where = f"[{','.join(slots[: len(outer)])}]" if outer else ""
    row = f"[{', '.join(slots[len(outer) :])}]"
    message = f"indices{where} = {row} does not index into {what} {shapes.format_shape(tuple(dims))}"
    values = xp.reshape(indices, (-1, depth))[first]
    check(~xp.any(wrong), InvalidArgumentError, message, *place, *(values[axis] for axis in range(depth)))
    return tuple(xp.clip(column, 0, max(dim - 1, 0)) for column, dim in zip(columns, dims, strict=False))


@op(
    "GatherNd(params: Tparams, indices: Tindices) -> output: Tparams",
    Tparams=ANY,
    Tindices=INDICES,
    shape=lambda c: gather_nd_shape(c.shape(0), c.shape(1)),
)
def gather_nd_op(xp, params, indices, *, check):
    if indices.shape[-1] > params.ndim:
        raise ValueError(
            f"index innermost dimension length must be <= params rank; saw: {indices.shape[-1]} vs. {params.ndim}"
        )
    if indices.shape[-1] == 0:
        return xp.broadcast_to(params, (*indices.shape[:-1], *params.shape))
    if 0 in indices.shape:
        return xp.zeros((*indices.shape[:-1], *params.shape[indices.shape[-1] :]), params.dtype)
    return xp.asarray(params)[index_parts(xp, indices, params.shape, "param shape", check)]


@gather_nd_op.gradient
def _(op, grad):
    from millstream.ops import scatter_ops

    params, indices = op.inputs
    whole = shape(params, out_type=indices.dtype)
    if indices._shape is not None and len(indices._shape) == 2 and indices._shape[-1] == 1:
        return IndexedSlices(grad, reshape(indices, [-1]), whole), None
    return scatter_ops.scatter_nd(indices, grad, whole), None


@export(v1=["gather_nd", "manip.gather_nd"])
def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Tensor:
    """Takes elements or slices of a tensor, each by several indices at once.

    Args:
      params: any dtype, shape P.
      indices: int32 or int64, [..., k]: each row indexes the first k dimensions of `params`.
      name: the operation's name.
      batch_dims: this many first dimensions of both are a batch, to which the indices do not refer.

    Returns:
      Shape `indices.shape[:-1] + P[k:]`.

    Raises:
      InvalidArgumentError: an index out of range.

    Example:
      >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 0], [1, 1]])     # [1, 4]
    """
    if batch_dims == 0:
        read_parts = getattr(params, "gather_nd", None)  # a resource variable is not read as a whole
        if read_parts is not None:
            return read_parts(indices, name=name)
        return gather_nd_op(params, indices, name=name)
    return _batch_gather_nd(params, indices, batch_dims, name)


def _batch_gather_nd(params: Any, indices: Any, batch_dims: int, name: str | None) -> Tensor:
    """Puts the place in the batch in front of each row of indices."""
    with name_scope(name, "BatchGatherND", [params, indices]):
        params = conversion.to_tensor(params, name="params")
        indices = conversion.to_tensor(indices, name="indices")
        if indices._shape is None or not 0 <= batch_dims < len(indices._shape):
            raise ValueError("batch_dims must be less than the rank of indices, which must be known")
        dims = shape(indices)
        inner = len(indices._shape) - 1 - batch_dims
        ranges = [opdef.find("Range")(0, count, 1) for count in unstack(shape(params)[:batch_dims])]
        places = stack(meshgrid(*ranges, indexing="ij"), axis=-1)
        column = ones([inner], dtypes.int32)
        expanded = reshape(places, concat([dims[:batch_dims], column, [batch_dims]], 0))
        full = expanded * ones(concat([dims[:-1], [1]], 0), dtypes.int32)
        return gather_nd_op(params, concat([cast(full, indices.dtype), indices], -1))


# --- One-hot ------------------------------------------------------------------------------------------------


def _one_hot_shape(c: ShapeContext) -> Any:
    indices, depth, axis = c.shape(0), c.constant(1), c.attrs["axis"]
    if c.shape(1):
        raise ValueError(f"Input must be scalar but has rank {len(c.shape(1) or ())}")
    if depth is not None and int(depth) < 0:
        raise ValueError(f"depth must be non-negative, got: {int(depth)}")
    if indices is None:
        return None
    if not -1 <= axis <= len(indices):
        return None  # an error when it runs
    position = len(indices) if axis == -1 else axis
    return (*indices[:position], None if depth is None else int(depth), *indices[position:])


@op(
    "OneHot(indices: TI, depth: int32, on_value: T, off_value: T, *, axis: int = -1) -> output: T",
    T=ANY,
    TI="uint8 int32 int64 = int64",
    shape=_one_hot_shape,
    static=("depth",),
)
def one_hot_op(xp, indices, depth, on_value, off_value, *, axis):
    if np.ndim(depth):
        raise ValueError(f"depth must be a scalar, but got: {shapes.format_shape(np.shape(depth))}")
    (count,) = to_ints(depth)
    if count < 0:
        raise ValueError(f"depth must be non-negative, got: {count}")
    if not -1 <= axis <= indices.ndim:
        raise ValueError(
            f"Expected axis to be -1 or between [0, {indices.ndim + 1}).  But received: {axis}"
        )
    position = indices.ndim if axis == -1 else axis
    numbers = np.arange(count).reshape([-1 if at == position else 1 for at in range(indices.ndim + 1)])
    return xp.where(xp.expand_dims(indices, position) == numbers, on_value, off_value)


one_hot_op.no_gradient("indices do not vary smoothly")


@export("one_hot")
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """One value at the index, another elsewhere, along a new dimension.

    Args:
      indices: uint8, int32 or int64, any shape; an index outside of [0, depth) gives `off_value` everywhere.
      depth: the size of the new dimension, an int32 scalar.
      on_value, off_value: scalars of one dtype; default 1 and 0.
      axis: where the new dimension stands; default: last.
      dtype: the result's dtype; default: that of the values, or float32.
      name: the operation's name.

    Raises:
      TypeError: the dtypes differ.

    Example:
      >>> tf.one_hot([0, 2], 3)     # [[1., 0., 0.], [0., 0., 1.]]
    """
    with name_scope(name, "one_hot", [indices, depth, on_value, off_value, axis, dtype]) as scope:
        wanted = _one_hot_dtype(on_value, off_value, dtype)
        if on_value is None:
            on_value = conversion.to_tensor(1, wanted, name="on_value")
        if off_value is None:
            off_value = conversion.to_tensor(0, wanted, name="off_value")
        return one_hot_op(indices, depth, on_value, off_value, axis=-1 if axis is None else axis, name=scope)


def _one_hot_dtype(on_value: Any, off_value: Any, dtype: Any) -> Any:
    """The dtype that the given values and `dtype` agree on."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    given = {
        label: conversion.to_tensor(value).dtype.base_dtype
        for label, value in (("on_value", on_value), ("off_value", off_value))
        if value is not None
    }
    for label, found in given.items():
        if wanted is not None and found is not wanted:
            raise TypeError(f"dtype {found} of {label} does not match dtype parameter {wanted}")
    if len(set(given.values())) > 1:
        on_dtype, off_dtype = given.values()
        raise TypeError(f"dtype {on_dtype} of on_value does not match dtype {off_dtype} of off_value")
    return next(iter(given.values()), wanted or dtypes.float32)
