"""Moving blocks of space into the batch or into the depth, and back."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, fill_ops
from millstream.ops.arguments import to_ints
from millstream.ops.join_ops import stack

# --- Space to batch -----------------------------------------------------------------------------------------
#
# The spatial dimensions are padded and cut into blocks; each place within a block becomes an image of its own, in
# front of the batch. Batch to space is the inverse. Dilated convolutions are made of the two.


def _divided(size: int | None, by: int) -> int | None:
    if size is not None and size % by:
        raise ValueError(f"Dimension size must be evenly divisible by {by} but is {size}")
    return None if size is None else size // by


def _pairs(values: Any) -> list[tuple[int, int]]:
    return [(int(before), int(after)) for before, after in np.asarray(values).reshape(-1, 2)]


def _space_to_batch_dims(given: Any, block: list[int], paddings: Any) -> Any:
    """The static shape; `paddings` is None where it is not known."""
    batch = None if given[0] is None else given[0] * int(np.prod(block))
    space: list[int | None] = []
    for axis, size in enumerate(block):
        dim = given[axis + 1]
        padded = None if dim is None or paddings is None else dim + sum(paddings[axis])
        space.append(_divided(padded, size))
    return (batch, *space, *given[len(block) + 1 :])


def _batch_to_space_dims(given: Any, block: list[int], crops: Any) -> Any:
    """The static shape; `crops` is None where it is not known."""
    batch = given[0]
    for size in block:
        batch = _divided(batch, size)
    space: list[int | None] = []
    for axis, size in enumerate(block):
        dim = given[axis + 1]
        length = None if dim is None or crops is None else dim * size
        for crop in crops[axis] if length is not None else ():
            if length < crop:
                raise ValueError(f"Negative dimension size caused by subtracting {crop} from {length}")
            length -= crop
        space.append(length)
    return (batch, *space, *given[len(block) + 1 :])


def _block_rule(dims: Callable[..., Any], margins_name: str) -> Callable[[ShapeContext], Any]:
    """The shape rule of an operation with inputs (input, block_shape, paddings or crops)."""

    def rule(c: ShapeContext) -> Any:
        given, block, margins = c.shape(0), c.constant(1), c.constant(2)
        if given is None:
            return None
        if block is None:
            return (None,) * len(given)
        sizes = to_ints(block)
        if min(sizes, default=1) < 1:
            raise ValueError(f"block_shape must be positive, but is {sizes}")
        if len(given) < len(sizes) + 1:
            raise ValueError(f"Shape must be at least rank {len(sizes) + 1} but is rank {len(given)}")
        pairs = shapes.with_rank(c.shape(2), 2)
        if pairs[0] not in (None, len(sizes)):
            raise ValueError(f"Dimension 0 in both shapes must be equal, but are {pairs[0]} and {len(sizes)}")
        if margins is not None and margins.size and margins.min() < 0:
            raise ValueError(f"{margins_name} cannot be negative")
        return dims(given, sizes, None if margins is None else _pairs(margins))

    return rule


def _move_to_batch(xp: Any, array: Any, block: list[int], paddings: list[tuple[int, int]]) -> Any:
    count, rest = len(block), array.ndim - len(block) - 1
    if any(any(pair) for pair in paddings):
        array = xp.pad(array, [(0, 0), *paddings, *([(0, 0)] * rest)])
    dims = _space_to_batch_dims(array.shape, block, [(0, 0)] * count)
    split = [array.shape[0]]
    for axis, size in enumerate(block):
        split += [dims[axis + 1], size]
    cells = xp.reshape(array, (*split, *array.shape[count + 1 :]))
    places = [2 * axis + 2 for axis in range(count)]
    grid = [2 * axis + 1 for axis in range(count)]
    tail = range(2 * count + 1, cells.ndim)
    return xp.reshape(xp.transpose(cells, [*places, 0, *grid, *tail]), dims)


def _move_to_space(xp: Any, array: Any, block: list[int], crops: list[tuple[int, int]]) -> Any:
    count = len(block)
    dims = _batch_to_space_dims(array.shape, block, [(0, 0)] * count)
    cells = xp.reshape(array, (*block, dims[0], *array.shape[1:]))
    order = [count]
    for axis in range(count):
        order += [count + 1 + axis, axis]
    whole = xp.reshape(xp.transpose(cells, [*order, *range(2 * count + 1, cells.ndim)]), dims)
    cuts = [slice(before, dims[axis + 1] - after) for axis, (before, after) in enumerate(crops)]
    return whole[(slice(None), *cuts)]


_SIZES: dict[str, Any] = {"T": ANY, "Tblock_shape": "int32 int64 = int32"}


@op(
    "SpaceToBatchND(input: T, block_shape: Tblock_shape, paddings: Tpaddings) -> output: T",
    Tpaddings="int32 int64 = int32",
    shape=_block_rule(_space_to_batch_dims, "paddings"),
    static=("block_shape", "paddings"),
    **_SIZES,
)
def space_to_batch_nd_op(xp, input, block_shape, paddings):
    return _move_to_batch(xp, input, to_ints(block_shape), _pairs(paddings))


@op(
    "BatchToSpaceND(input: T, block_shape: Tblock_shape, crops: Tcrops) -> output: T",
    Tcrops="int32 int64 = int32",
    shape=_block_rule(_batch_to_space_dims, "crops"),
    static=("block_shape", "crops"),
    **_SIZES,
)
def batch_to_space_nd_op(xp, input, block_shape, crops):
    return _move_to_space(xp, input, to_ints(block_shape), _pairs(crops))


@space_to_batch_nd_op.gradient
def _(op, grad):
    return batch_to_space_nd_op(grad, op.inputs[1], op.inputs[2]), None, None


@batch_to_space_nd_op.gradient
def _(op, grad):
    return space_to_batch_nd_op(grad, op.inputs[1], op.inputs[2]), None, None


def _square_rule(dims: Callable[..., Any]) -> Callable[[ShapeContext], Any]:
    """The shape rule of the old operations: images [batch, height, width, depth], attribute `block_size`."""

    def rule(c: ShapeContext) -> Any:
        given, margins = shapes.with_rank(c.shape(0), 4), c.constant(1)
        return dims(given, [c.attrs["block_size"]] * 2, None if margins is None else _pairs(margins))

    return rule


@op(
    "SpaceToBatch(input: T, paddings: Tpaddings, *, block_size: int >= 2) -> output: T",
    T=ANY,
    Tpaddings="int32 int64 = int32",
    shape=_square_rule(_space_to_batch_dims),
    static=("paddings",),
)
def space_to_batch_op(xp, input, paddings, *, block_size):
    return _move_to_batch(xp, input, [block_size] * 2, _pairs(paddings))


@op(
    "BatchToSpace(input: T, crops: Tidx, *, block_size: int >= 2) -> output: T",
    T=ANY,
    Tidx="int32 int64 = int32",
    shape=_square_rule(_batch_to_space_dims),
    static=("crops",),
)
def batch_to_space_op(xp, input, crops, *, block_size):
    return _move_to_space(xp, input, [block_size] * 2, _pairs(crops))


@space_to_batch_op.gradient
def _(op, grad):
    return batch_to_space_op(grad, op.inputs[1], block_size=op.get_attr("block_size")), None


@batch_to_space_op.gradient
def _(op, grad):
    return space_to_batch_op(grad, op.inputs[1], block_size=op.get_attr("block_size")), None


@export("space_to_batch_nd", v1=["manip.space_to_batch_nd"])
def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Tensor:
    """Cuts the spatial dimensions into blocks; the places within a block become part of the batch.

    Args:
      input: any dtype, [batch, s1, …, sm, …].
      block_shape: int32 or int64 [m], the block's size b.
      paddings: int32 or int64 [m, 2], how much the spatial dimensions are padded with zeros before.
      name: the operation's name.

    Returns:
      [batch * prod(b), padded s1 / b1, …, padded sm / bm, …].

    Raises:
      ValueError: a padded dimension is not a multiple of the block's.
    """
    return space_to_batch_nd_op(input, block_shape, paddings, name=name)


@export(v1=["batch_to_space_nd", "manip.batch_to_space_nd"], v2=["batch_to_space"])
def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Tensor:
    """The inverse of `space_to_batch_nd`.

    Args:
      input: any dtype, [batch * prod(b), s1, …, sm, …].
      block_shape: int32 or int64 [m], the block's size b.
      crops: int32 or int64 [m, 2], how much is cut off from the result's spatial dimensions.
      name: the operation's name.
    """
    return batch_to_space_nd_op(input, block_shape, crops, name=name)


@export(v1=["nn.space_to_batch", "space_to_batch"])
def space_to_batch(
    input: Any, paddings: Any, block_size: int | None = None, name: str | None = None, block_shape: Any = None
) -> Tensor:
    """Cuts images into square blocks; the places within a block become part of the batch.

    Args:
      input: any dtype, [batch, height, width, depth].
      paddings: int32 or int64 [2, 2].
      block_size: the block's height and width.
      name: the operation's name.
      block_shape: the block's sizes, instead of `block_size`.
    """
    if block_shape is not None:
        return space_to_batch_nd(input, block_shape, paddings, name=name)
    return _images(space_to_batch_nd(input, [block_size, block_size], paddings, name=name))


def _images(result: Tensor) -> Tensor:
    """The tensor, which has four dimensions."""
    if result._shape is None:
        result.set_shape([None] * 4)
    return result


@export(v2=["space_to_batch", "nn.space_to_batch"])
def space_to_batch_v2(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Tensor:
    """Cuts the spatial dimensions into blocks; the places within a block become part of the batch."""
    return space_to_batch_nd(input, block_shape, paddings, name)


@export(v1=["batch_to_space"])
def batch_to_space(
    input: Any, crops: Any, block_size: int, name: str | None = None, block_shape: Any = None
) -> Tensor:
    """The inverse of `space_to_batch`.

    Args:
      input: any dtype, [batch * block_size², height, width, depth].
      crops: int32 or int64 [2, 2].
      block_size: the block's height and width.
      name: the operation's name.
      block_shape: the block's sizes, instead of `block_size`.
    """
    if block_shape is not None:
        return batch_to_space_nd(input, block_shape, crops, name=name)
    return _images(batch_to_space_nd(input, [block_size, block_size], crops, name=name))


@export("required_space_to_batch_paddings")
def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The least paddings that make spatial dimensions multiples of a block, and the crops that undo them.

    Args:
      input_shape: int32 [m], the spatial dimensions.
      block_shape: int32 [m], the block's sizes.
      base_paddings: int32 [m, 2], paddings that are wanted at least; default: zeros.
      name: the name scope.

    Returns:
      (paddings, crops), int32 [m, 2] each.
    """
    with name_scope(name, "required_space_to_batch_paddings", [input_shape, block_shape]):
        size = conversion.to_tensor(input_shape, dtype=dtypes.int32, name="input_shape")
        block = conversion.to_tensor(block_shape, dtype=dtypes.int32, name="block_shape")
        count = shapes.with_rank(block._shape, 1)[0]
        if count is None:
            raise ValueError("block_shape must have a fully known shape")
        if count == 0:
            empty = constant_op.constant([], dtypes.int32, shape=[0, 2])
            return empty, empty
        if base_paddings is None:
            base = fill_ops.zeros([count, 2], dtypes.int32)
        else:
            base = conversion.to_tensor(base_paddings, dtype=dtypes.int32, name="base_paddings")
        known = [constant_value(tensor) for tensor in (size, block, base)]
        if all(value is not None for value in known):
            return _constant_paddings(*known)
        start, wanted = base[:, 0], base[:, 1]
        extra = (block - (size + start + wanted) % block) % block
        end = wanted + extra
        paddings = stack([[start[axis], end[axis]] for axis in range(count)], name="paddings")
        crops = stack([[0, extra[axis]] for axis in range(count)], name="crops")
        return paddings, crops


def _constant_paddings(size: Any, block: Any, base: Any) -> tuple[Tensor, Tensor]:
    extra = -(size + base.sum(1)) % block
    paddings = np.stack([base[:, 0], base[:, 1] + extra], 1)
    crops = np.stack([np.zeros_like(extra), extra], 1)
    return (
        constant_op.constant(paddings, dtypes.int32, name="paddings"),
        constant_op.constant(crops, dtypes.int32, name="crops"),
    )


# --- Space to depth -----------------------------------------------------------------------------------------

_FORMATS = 'data_format: string{"NHWC", "NCHW", "NCHW_VECT_C"} = "NHWC"'


def _depth_rule(to_depth: bool) -> Callable[[ShapeContext], Any]:
    def rule(c: ShapeContext) -> Any:
        size, layout = c.attrs["block_size"], c.attrs["data_format"]
        given = list(shapes.with_rank(c.shape(0), 5 if layout == "NCHW_VECT_C" else 4))
        depth, space = (3, (1, 2)) if layout == "NHWC" else (1, (2, 3))
        shrunk, grown = (space, (depth,)) if to_depth else ((depth,), space)
        by = size if to_depth else size * size
        for axis in shrunk:
            given[axis] = _divided(given[axis], by)
        for axis in grown:
            given[axis] = None if given[axis] is None else given[axis] * (size * size if to_depth else size)
        return tuple(given)

    return rule


def _space_to_depth(xp: Any, x: Any, size: int) -> Any:
    batch, height, width, depth = x.shape
    cells = xp.reshape(x, (batch, height // size, size, width // size, size, depth))
    dims = (batch, height // size, width // size, size * size * depth)
    return xp.reshape(xp.transpose(cells, (0, 1, 3, 2, 4, 5)), dims)


def _depth_to_space(xp: Any, x: Any, size: int) -> Any:
    batch, height, width, depth = x.shape
    cells = xp.reshape(x, (batch, height, width, size, size, depth // (size * size)))
    dims = (batch, height * size, width * size, depth // (size * size))
    return xp.reshape(xp.transpose(cells, (0, 1, 3, 2, 4, 5)), dims)


def _depth_op(name: str, move: Callable[..., Any], to_depth: bool) -> OpDef:
    """SpaceToDepth or DepthToSpace, which works on NHWC; other layouts are transposed to it and back."""

    @op(
        f"{name}(input: T, *, block_size: int >= 2, {_FORMATS}) -> output: T", T=ANY, shape=_depth_rule(to_depth)
    )
    def kernel(xp, input, *, block_size, data_format):
        if data_format == "NHWC":
            return move(xp, input, block_size)
        vectors = data_format == "NCHW_VECT_C"  # depth in groups of four, which stand in the last dimension
        if vectors:
            batch, groups, height, width, four = input.shape
            input = xp.reshape(xp.transpose(input, (0, 1, 4, 2, 3)), (batch, groups * four, height, width))
        moved = xp.transpose(move(xp, xp.transpose(input, (0, 2, 3, 1)), block_size), (0, 3, 1, 2))
        if vectors:
            batch, depth, height, width = moved.shape
            moved = xp.transpose(xp.reshape(moved, (batch, depth // 4, 4, height, width)), (0, 1, 3, 4, 2))
        return moved

    return kernel


space_to_depth_op = _depth_op("SpaceToDepth", _space_to_depth, to_depth=True)
depth_to_space_op = _depth_op("DepthToSpace", _depth_to_space, to_depth=False)


@space_to_depth_op.gradient
def _(op, grad):
    return depth_to_space_op(grad, block_size=op.get_attr("block_size"), data_format=op.attrs["data_format"])


@depth_to_space_op.gradient
def _(op, grad):
    return space_to_depth_op(grad, block_size=op.get_attr("block_size"), data_format=op.attrs["data_format"])


@export(v1=["nn.space_to_depth", "space_to_depth"])
def space_to_depth(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Cuts images into square blocks; the places within a block become part of the depth.

    Args:
      input: any dtype, [batch, height, width, depth], or as `data_format` says.
      block_size: the block's height and width b, at least 2.
      name: the operation's name.
      data_format: "NHWC", "NCHW" or "NCHW_VECT_C".

    Returns:
      [batch, height / b, width / b, depth * b²].
    """
    return space_to_depth_op(input, block_size=block_size, data_format=data_format, name=name)


@export(v2=["nn.space_to_depth"])
def space_to_depth_v2(
    input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """Cuts images into blocks of `block_size` squared, whose places become part of the depth."""
    return space_to_depth(input, block_size, name, data_format)


@export(v1=["nn.depth_to_space", "depth_to_space"])
def depth_to_space(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """The inverse of `space_to_depth`.

    Args:
      input: any dtype, [batch, height, width, depth * b²], or as `data_format` says.
      block_size: the block's height and width b, at least 2.
      name: the operation's name.
      data_format: "NHWC", "NCHW" or "NCHW_VECT_C".

    Returns:
      [batch, height * b, width * b, depth].
    """
    return depth_to_space_op(input, block_size=block_size, data_format=data_format, name=name)


@export(v2=["nn.depth_to_space"])
def depth_to_space_v2(
    input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """The inverse of `space_to_depth`: depth [batch, h, w, depth * b²] becomes space [batch, h * b, w * b, depth]."""
    return depth_to_space(input, block_size, name, data_format)
