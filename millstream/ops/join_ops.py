"""Joining tensors and taking them apart: concat, stack, unstack, split."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, opdef, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import axis_in_range, to_ints
from millstream.ops.identity_ops import identity
from millstream.ops.reshape_ops import expand_dims_op
from millstream.ops.shape_ops import shape_n_op

# --- Concatenating along a dimension ------------------------------------------------------------------------


def _joined_shape(inputs: list[opdef.Shape], axis: Any) -> opdef.Shape:
    """The shape of a concatenation; `axis` is a NumPy scalar, or None where it is not known."""
    rank = next((len(shape) for shape in inputs if shape is not None), None)
    if rank is None:
        return None
    if rank == 0:
        raise ValueError("Can't concatenate scalars (use tf.stack instead)")
    checked = [shapes.with_rank(shape, rank) for shape in inputs]
    if axis is None:
        return (None,) * rank
    position = int(axis)
    if not -rank <= position < rank:
        least = position + 1 if position >= 0 else -position
        raise ValueError(f"Shape must be at least rank {least} but is rank {rank}")
    position %= rank
    before: opdef.Shape = (None,) * position
    after: opdef.Shape = (None,) * (rank - position - 1)
    size: int | None = 0
    for shape in checked:
        before, after = shapes.merge(before, shape[:position]), shapes.merge(after, shape[position + 1 :])
        size = None if size is None or shape[position] is None else size + shape[position]
    return (*(before or ()), size, *(after or ()))


def _join(xp: Any, values: list[Any], axis: int) -> Any:
    first, rank = values[0].shape, values[0].ndim
    if not rank:
        raise ValueError("ConcatOp : Can't concatenate scalars (use tf.stack instead)")
    if not -rank <= axis < rank:
        raise ValueError(f"ConcatOp : Expected concatenating dimensions in the range [{-rank}, {rank}), but got {axis}")
    position = axis % rank
    for index, value in enumerate(values):
        if value.shape[:position] + value.shape[position + 1 :] != first[:position] + first[position + 1 :]:
            raise ValueError(
                f"ConcatOp : Dimensions of inputs should match: shape[0] = {shapes.format_shape(first)} "
                f"vs. shape[{index}] = {shapes.format_shape(value.shape)}"
            )
    return xp.concatenate(values, position)


@op(
    "ConcatV2(values: N*T, axis: Tidx) -> output: T",
    T=ANY,
    N=2,
    Tidx="int32 int64 = int32",
    shape=lambda c: _joined_shape([tensor._shape for tensor in c.inputs[:-1]], c.constant(c.num_inputs - 1)),
    static=("axis",),
    moves_data=True,
)
def concat_op(xp, values, axis):
    return _join(xp, values, int(axis))


@op(
    "Concat(concat_dim: int32, values: N*T) -> output: T",
    T=ANY,
    N=2,
    shape=lambda c: _joined_shape([tensor._shape for tensor in c.inputs[1:]], c.constant(0)),
    static=("concat_dim",),
    moves_data=True,
)
def old_concat_op(xp, concat_dim, values):
    return _join(xp, values, int(concat_dim))


@op(
    "ConcatOffset(concat_dim: int32, shape: N*int32) -> offset: N*int32",
    N=2,
    shape=lambda c: [tensor._shape for tensor in c.inputs[1:]],
    static=("concat_dim",),
)
def concat_offset_op(xp, concat_dim, shape):
    axis = axis_in_range(int(concat_dim), shape[0].shape[0])
    offsets, start = [], xp.zeros_like(shape[0])
    along = xp.asarray(np.arange(shape[0].shape[0]) == axis)
    for sizes in shape:
        offsets.append(start)
        start = start + xp.where(along, sizes, xp.zeros_like(sizes))
    return offsets


concat_offset_op.no_gradient("offsets do not vary smoothly")


@concat_op.gradient
def _(op, grad):
    return [*_split_back(op.inputs[:-1], op.inputs[-1], grad), None]


@old_concat_op.gradient
def _(op, grad):
    return [None, *_split_back(op.inputs[1:], op.inputs[0], grad)]


def _split_back(inputs: Any, axis: Any, grad: Any) -> list[Any]:
    """The parts of `grad` that stand where the inputs of a concatenation stand in its result."""
    from millstream.core.static_values import constant_value

    position = constant_value(axis)
    if isinstance(grad, IndexedSlices):
        grad = conversion.to_tensor(grad)
    rank = next((len(tensor._shape) for tensor in inputs if tensor._shape is not None), None)
    if position is not None and rank is not None:
        sizes = [shapes.with_rank(tensor._shape, rank)[int(position)] for tensor in inputs]
        if None not in sizes:
            return split_v_op(grad, np.array(sizes, np.int32), position, num_split=len(sizes))
    found = shape_n_op(list(inputs))
    offsets = concat_offset_op(axis, found)
    slice_op = opdef.find("Slice")
    return [slice_op(grad, offset, size) for offset, size in zip(offsets, found, strict=True)]


@export("concat")
def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Joins tensors along a dimension that they have.

    Args:
      values: a list of tensors of one dtype and rank (at least 1), equal in all dimensions but `axis`.
      axis: the dimension, an int32 scalar; negative counts from the end.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: the shapes do not fit.

    Example:
      >>> tf.concat([[[1, 2]], [[3, 4]]], 0)     # [[1, 2], [3, 4]]
    """
    if not isinstance(values, (list, tuple)):
        values = [values]
    if len(values) == 1:
        with name_scope(name):
            conversion.to_tensor(axis, dtypes.int32, name="concat_dim").get_shape().assert_has_rank(0)
            return identity(values[0], name=name)
    return concat_op(values, axis, name=name)


# --- Stacking along a new dimension -------------------------------------------------------------------------


def _new_axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"Invalid axis: {axis}; must be in [{-rank},{rank})")
    return axis % rank


def _pack_shape(c: ShapeContext) -> Any:
    merged: opdef.Shape = None
    for tensor in c.inputs:
        merged = shapes.merge(merged, tensor._shape)
    if merged is None:
        return None
    axis = _new_axis(c.attrs["axis"], len(merged) + 1)
    return (*merged[:axis], c.num_inputs, *merged[axis:])


@op("Pack(values: N*T, *, axis: int = 0) -> output: T", T=ANY, shape=_pack_shape, moves_data=True)
def pack_op(xp, values, *, axis):
    first = values[0].shape
    for index, value in enumerate(values):
        if value.shape != first:
            raise ValueError(
                f"Shapes of all inputs must match: values[0].shape = {shapes.format_shape(first)} "
                f"!= values[{index}].shape = {shapes.format_shape(value.shape)}"
            )
    return xp.stack(values, axis_in_range(axis, len(first) + 1))


@pack_op.gradient
def _(op, grad):
    return unpack_op(grad, num=len(op.inputs), axis=op.get_attr("axis"))


@export("stack")
def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """Joins tensors of one shape along a new dimension.

    Args:
      values: a list of n tensors of one dtype and shape [d0, …, dr].
      axis: where the dimension of size n stands in the result, in [-(r+1), r+1).
      name: the operation's name.

    Raises:
      ValueError: the shapes differ, or `axis` is out of range.

    Example:
      >>> tf.stack([[1, 4], [2, 5], [3, 6]], axis=1)     # [[1, 2, 3], [4, 5, 6]]
    """
    if axis == 0:
        try:
            return conversion.to_tensor(values, name=name)
        except (TypeError, ValueError):
            pass  # elements that only the operation's own conversion accepts
    inner = conversion.to_tensor(values[0], name=name)._shape
    if inner is not None:
        rank = len(inner) + 1
        if not -rank <= axis < rank:
            raise ValueError(f"axis = {axis} not in [{-rank}, {rank})")
    return pack_op(values, axis=axis, name=name)


def _parallel_concat_shape(c: ShapeContext) -> Any:
    whole = c.attrs["shape"]
    if not shapes.is_fully_defined(whole):
        raise ValueError("shape attr must be fully defined.")
    for tensor in c.inputs:
        if not shapes.is_fully_defined(tensor._shape):
            raise ValueError("All input shapes must be fully defined.")
        if tensor._shape[0] != 1:
            raise ValueError("Size of first dimension must be 1.")
        shapes.merge(tensor._shape[1:], whole[1:])
    return whole


@op("ParallelConcat(values: N*T, *, shape: shape) -> output: T", T=ANY, shape=_parallel_concat_shape)
def parallel_concat_op(xp, values):
    return xp.concatenate(values, 0)


@export("parallel_stack")
def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """Joins tensors of one fully known shape along a new first dimension.

    Args:
      values: a list of n tensors of one dtype and shape [d0, …].
      name: the name scope.

    Raises:
      ValueError: a shape is not fully known, or they differ.
    """
    with name_scope(name):
        first = conversion.to_tensor(values[0])
        whole = None if first._shape is None else (len(values), *first._shape)
        return parallel_concat_op([expand_dims_op(value, 0) for value in values], shape=whole)


# --- Taking apart -------------------------------------------------------------------------------------------


def _unpack_shape(c: ShapeContext) -> Any:
    shape, count = c.shape(0), c.attrs["num"]
    if shape is None:
        return [None] * count
    if not shape:
        raise ValueError("Shape must be at least rank 1 but is rank 0")
    axis = _new_axis(c.attrs["axis"], len(shape))
    if shape[axis] not in (None, count):
        raise ValueError(f"Dimension must be {count} but is {shape[axis]}")
    return [(*shape[:axis], *shape[axis + 1 :])] * count


@op(
    "Unpack(value: T, *, num: int >= 0, axis: int = 0) -> output: num*T",
    T=ANY,
    shape=_unpack_shape,
    moves_data=True,
)
def unpack_op(xp, value, *, num, axis):
    position = axis_in_range(axis, value.ndim)
    if value.shape[position] != num:
        shape = shapes.format_shape(value.shape)
        raise ValueError(f"Input shape axis {position} must equal {num}, got shape {shape}")
    return [xp.squeeze(part, position) for part in _cut(value, position, [1] * num)]


def _cut(value: Any, axis: int, sizes: list[int]) -> list[Any]:
    """Consecutive pieces along a dimension."""
    parts, start = [], 0
    for size in sizes:
        parts.append(value[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return parts


@unpack_op.gradient
def _(op, *grads):
    return pack_op(list(grads), axis=op.get_attr("axis"))


@export("unstack")
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Tensor]:
    """Takes a tensor apart along a dimension, which goes away.

    Args:
      value: any dtype, rank at least 1.
      num: the size of that dimension, where the static shape does not tell.
      axis: the dimension; negative counts from the end.
      name: the operation's name.

    Raises:
      ValueError: the size is not known, or is not `num`, or `axis` is out of range.

    Example:
      >>> tf.unstack(tf.constant([[1, 2], [3, 4]]))     # [[1, 2], [3, 4]]: two vectors
    """
    if num is None:
        value = conversion.to_tensor(value)
        shape = value._shape
        if shape is not None:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"axis = {axis} not in [{-len(shape)}, {len(shape)})")
            num = shape[axis]
        if num is None:
            raise ValueError(f"Cannot infer num from shape {shapes.format_tuple(shape)}")
    return unpack_op(value, num=num, axis=axis, name=name)


def _split_shape(c: ShapeContext) -> Any:
    axis, shape, count = c.constant(0), c.shape(1), c.attrs["num_split"]
    if shape is None:
        return [None] * count
    if axis is None:
        return [(None,) * len(shape)] * count
    position = _split_axis(int(axis), len(shape))
    size = shape[position]
    if size is not None:
        if size % count:
            raise ValueError(
                f"Dimension size must be evenly divisible by {count} but is {size}\n"
                "\tNumber of ways to split should evenly divide the split dimension"
            )
        size //= count
    return [(*shape[:position], size, *shape[position + 1 :])] * count


def _split_axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"Dimension size, given by scalar input {axis} must be in range [{-rank}, {rank})")
    return axis % rank


@op(
    "Split(split_dim: int32, value: T, *, num_split: int >= 1) -> output: num_split*T",
    T=ANY,
    shape=_split_shape,
    static=("split_dim",),
    moves_data=True,
)
def split_op(xp, split_dim, value, *, num_split):
    axis = axis_in_range(int(split_dim), value.ndim)
    size = value.shape[axis]
    if size % num_split:
        raise ValueError(
            "Number of ways to split should evenly divide the split dimension, but got split_dim "
            f"{axis} (size = {size}) and num_split {num_split}"
        )
    return _cut(value, axis, [size // num_split] * num_split)


@split_op.gradient
def _(op, *grads):
    return None, concat(list(grads), op.inputs[0])


def _split_v_shape(c: ShapeContext) -> Any:
    shape, sizes, axis, count = c.shape(0), c.constant(1), c.constant(2), c.attrs["num_split"]
    if shape is None:
        return [None] * count
    if axis is None:
        return [(None,) * len(shape)] * count
    position = _split_axis(int(axis), len(shape))
    parts: list[int | None] = [None] * count
    if sizes is not None:
        parts = [None if size < 0 else size for size in sizes.reshape(-1).tolist()]
        total, known = shape[position], sum(size for size in parts if size is not None)
        if total is not None:
            open_parts = parts.count(None)
            if known > total or (not open_parts and known != total):
                pieces = shapes.format_shape(tuple(sizes.tolist()))
                raise ValueError(f"can't split axis of size {total} into pieces of size {pieces}")
            if open_parts == 1:
                parts[parts.index(None)] = total - known
    return [(*shape[:position], part, *shape[position + 1 :]) for part in parts]


@op(
    "SplitV(value: T, size_splits: Tlen, split_dim: int32, *, num_split: int >= 1) -> output: num_split*T",
    T=ANY,
    Tlen="int32 int64 = int64",
    shape=_split_v_shape,
    static=("size_splits", "split_dim"),
    moves_data=True,
)
def split_v_op(xp, value, size_splits, split_dim):
    axis = axis_in_range(int(split_dim), value.ndim)
    sizes, total = to_ints(size_splits), value.shape[axis]
    if sizes.count(-1) > 1:
        raise ValueError("There can only be one -1 in the input.")
    if -1 in sizes:
        sizes[sizes.index(-1)] = total - sum(size for size in sizes if size != -1)
    if sum(sizes) != total or min(sizes) < 0:
        raise ValueError(
            "Determined shape must either match input shape along split_dim exactly if fully specified, or be "
            "less than the size of the input along split_dim if not fully specified.  "
            f"Got: {sum(sizes)}"
        )
    return _cut(value, axis, sizes)


@split_v_op.gradient
def _(op, *grads):
    return concat(list(grads), op.inputs[2]), None, None


@export("split")
def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """Cuts a tensor into pieces along a dimension.

    Args:
      value: any dtype, rank at least 1.
      num_or_size_splits: the number of equal pieces, or the vector of their sizes (one may be -1: the rest).
      axis: the dimension, an int32 scalar; negative counts from the end.
      num: the number of pieces, where the static shape of a vector of sizes does not tell.
      name: the operation's name.

    Raises:
      ValueError: the pieces do not make up the dimension, or their number is not known.

    Example:
      >>> a, b = tf.split(tf.zeros([5, 30]), [10, 20], axis=1)     # (5, 10) and (5, 20)
    """
    sizes = conversion.to_tensor(num_or_size_splits)
    if isinstance(num_or_size_splits, (int, np.integer, shapes.Dimension)):
        return split_op(axis, value, num_split=int(num_or_size_splits), name=name)
    if sizes._shape == ():
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split. "
            f"Argument provided: {num_or_size_splits}"
        )
    if num is None:
        num = None if sizes._shape is None else sizes._shape[0]
        if num is None:
            raise ValueError(f"Cannot infer num from shape {num_or_size_splits}")
    return split_v_op(value, sizes, axis, num_split=num, name=name)
