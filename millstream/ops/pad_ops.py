"""Padding, repeating, reversing and rotating."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, opdef, shapes, static_values
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor
from millstream.ops.arguments import axis_in_range, is_concrete, renamed, to_ints
from millstream.ops.join_ops import stack
from millstream.ops.reshape_ops import reshape, reshape_op, transpose
from millstream.ops.shape_ops import rank_internal, shape, size_internal

# --- Pad ----------------------------------------------------------------------------------------------------


def _paddings_of(c: ShapeContext) -> tuple[Any, Any]:
    """The input's shape and the paddings, an array with -1 for unknown entries; None where not known."""
    given, paddings_shape = c.shape(0), shapes.with_rank(c.shape(1), 2)
    shapes.merge_dim(paddings_shape[1], 2)
    if paddings_shape[0] is not None:
        if given is not None and paddings_shape[0] != len(given):
            raise ValueError(f"Shape must be rank {paddings_shape[0]} but is rank {len(given)}")
        given = shapes.with_rank(given, paddings_shape[0])
    known = c.constant(1)
    if known is None:
        return given, static_values.partial_value(c.inputs[1])
    if known.size and known.min() < 0:
        raise ValueError("Paddings must be non-negative")
    return given, known


def _pad_shape(c: ShapeContext) -> Any:
    given, paddings = _paddings_of(c)
    if given is None or paddings is None:
        return None if given is None else (None,) * len(given)
    return tuple(
        None if dim is None or min(before, after) < 0 else dim + before + after
        for dim, (before, after) in zip(given, paddings.tolist(), strict=True)
    )


def _pairs(paddings: Any, ndim: int) -> list[tuple[int, int]]:
    widths = [(int(before), int(after)) for before, after in np.asarray(paddings).reshape(-1, 2)]
    if len(widths) != ndim:
        raise ValueError(
            "The first dimension of paddings must be the rank of inputs"
            f"{shapes.format_shape(np.shape(paddings))} is not {ndim}"
        )
    for before, after in widths:
        if min(before, after) < 0:
            raise ValueError(f"Paddings must be non-negative: {before} {after}")
    return widths


def _pad(xp: Any, array: Any, paddings: Any, value: Any) -> Any:
    widths = _pairs(paddings, array.ndim)
    if array.ndim == 0:
        return array
    return xp.pad(array, widths, constant_values=value)


_PAD: dict[str, Any] = {"T": ANY, "Tpaddings": "int32 int64 = int32", "static": ("paddings",)}


@op("Pad(input: T, paddings: Tpaddings) -> output: T", shape=_pad_shape, **_PAD)
def pad_op(xp, input, paddings):
    return _pad(xp, input, paddings, b"" if input.dtype == object else xp.zeros((), input.dtype))


@op("PadV2(input: T, paddings: Tpaddings, constant_values: T) -> output: T", shape=_pad_shape, **_PAD)
def pad_v2_op(xp, input, paddings, constant_values):
    return _pad(xp, input, paddings, constant_values)


@pad_op.gradient
def _(op, grad):
    return _without_padding(op, grad), None


@pad_v2_op.gradient
def _(op, grad):
    return _without_padding(op, grad), None, None


def _without_padding(op: Any, grad: Any) -> Any:
    value, paddings = op.inputs[:2]
    slice_op = opdef.find("Slice")
    before = slice_op(paddings, [0, 0], stack([rank_internal(value), 1]))
    return slice_op(grad, reshape(before, [-1]), shape(value, out_type=paddings.dtype))


@op(
    'MirrorPad(input: T, paddings: Tpaddings, *, mode: string{"REFLECT", "SYMMETRIC"}) -> output: T',
    shape=_pad_shape,
    moves_data=True,
    **_PAD,
)
def mirror_pad_op(xp, input, paddings, *, mode):
    widths = _pairs(paddings, input.ndim)
    edge = int(mode == "REFLECT")
    for axis, (pair, dim) in enumerate(zip(widths, input.shape, strict=True)):
        if max(pair) > dim - edge:
            less = "than" if edge else "than or equal to"
            raise ValueError(
                f"paddings must be less {less} the dimension size: {pair[0]}, {pair[1]} not less {less} {dim}"
                f" (dimension {axis})"
            )
    return xp.pad(input, widths, mode="reflect" if edge else "symmetric") if input.ndim else input


def _mirror_pad_grad_shape(c: ShapeContext) -> Any:
    given, paddings = _paddings_of(c)
    if given is None or paddings is None:
        return None if given is None else (None,) * len(given)
    return tuple(
        None if dim is None or min(before, after) < 0 else dim - before - after
        for dim, (before, after) in zip(given, paddings.tolist(), strict=True)
    )


@op(
    'MirrorPadGrad(input: T, paddings: Tpaddings, *, mode: string{"REFLECT", "SYMMETRIC"}) -> output: T',
    shape=_mirror_pad_grad_shape,
    **_PAD,
)
def mirror_pad_grad_op(xp, input, paddings, *, mode):
    edge = int(mode == "REFLECT")
    for axis, (before, after) in enumerate(_pairs(paddings, input.ndim)):
        input = _fold(xp, input, axis, before, after, edge)
    return input


def _fold(xp: Any, array: Any, axis: int, before: int, after: int, edge: int) -> Any:
    """Adds what stands in the padding of a dimension to where it was copied from."""
    size = array.shape[axis] - before - after

    def part(start: int, length: int) -> Any:
        return array[(slice(None),) * axis + (slice(start, start + length),)]

    def placed(values: Any, start: int) -> Any:
        width = [(0, 0)] * array.ndim
        width[axis] = (start, size - start - values.shape[axis])
        return xp.pad(xp.flip(values, axis), width)

    left = placed(part(0, before), edge)
    right = placed(part(before + size, after), size - edge - after)
    return part(before, size) + left + right


@mirror_pad_op.gradient
def _(op, grad):
    return mirror_pad_grad_op(grad, op.inputs[1], mode=op.attrs["mode"]), None


@mirror_pad_grad_op.gradient
def _(op, grad):
    return mirror_pad_op(grad, op.inputs[1], mode=op.attrs["mode"]), None


@export(v1=["pad"])
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", name: str | None = None, constant_values: Any = 0
) -> Tensor:
    """Adds elements before and after those of each dimension.

    Args:
      tensor: any dtype, rank n.
      paddings: int32 or int64 [n, 2]: how many before and after, for each dimension.
      mode: "CONSTANT": `constant_values`; "REFLECT": the tensor mirrored without its edge, at most size - 1
        elements; "SYMMETRIC": mirrored with its edge, at most size elements. Upper or lower case.
      name: the operation's name.
      constant_values: a scalar of the tensor's dtype.

    Raises:
      ValueError: another mode, negative paddings, or too many of mirrored elements.

    Example:
      >>> tf.pad([[1, 2]], [[0, 1], [1, 0]])     # [[0, 1, 2], [0, 0, 0]]
    """
    chosen = mode.upper()
    if chosen == "CONSTANT":
        if not isinstance(constant_values, Tensor) and np.ndim(constant_values) == 0 and constant_values == 0:
            return pad_op(tensor, paddings, name=name)
        return pad_v2_op(tensor, paddings, constant_values, name=name)
    if chosen in ("REFLECT", "SYMMETRIC"):
        return mirror_pad_op(tensor, paddings, mode=chosen, name=name)
    raise ValueError(f"Unknown padding mode: {mode}")


@export(v2=["pad"])
def pad_v2(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None
) -> Tensor:
    """Adds elements before and after those of each dimension, as `paddings` [n, 2] says (see `tf.pad` of 1.x)."""
    return pad(tensor, paddings, mode, name, constant_values)


# --- Tile ---------------------------------------------------------------------------------------------------


def _tile_shape(c: ShapeContext) -> Any:
    given, (length,) = c.shape(0), shapes.with_rank(c.shape(1), 1)
    if given is not None and length is not None and len(given) != length:
        raise ValueError(f"Shape must be rank {len(given)} but is rank {length}")
    multiples = c.constant_shape(1)
    if multiples is None:
        return None if given is None else (None,) * len(given)
    given = shapes.with_rank(given, len(multiples))
    return tuple(_times(dim, times) for dim, times in zip(given, multiples, strict=True))


def _times(dim: int | None, times: int | None) -> int | None:
    if 0 in (dim, times):
        return 0
    return None if dim is None or times is None else dim * times


@op(
    "Tile(input: T, multiples: Tmultiples) -> output: T",
    T=ANY,
    Tmultiples="int32 int64 = int32",
    shape=_tile_shape,
    static=("multiples",),
    moves_data=True,
)
def tile_op(xp, input, multiples):
    times = to_ints(multiples)
    if len(times) != input.ndim:
        raise ValueError(
            f"Expected multiples argument to be a vector of length {input.ndim} but got length {len(times)}"
        )
    for axis, count in enumerate(times):
        if count < 0:
            raise ValueError(f"Expected multiples[{axis}] >= 0, but got {count}")
    return xp.tile(input, times)


@tile_op.gradient
def _(op, grad):
    from millstream.ops.reduction_ops import reduce_sum

    given = shape(op.inputs[0], out_type=op.inputs[1].dtype)
    pairs = reshape(transpose(stack([op.inputs[1], given])), [-1])
    axes = opdef.find("Range")(0, size_internal(pairs), 2)
    total = reduce_sum(reshape_op(conversion.to_tensor(grad), pairs), axes)
    if op.inputs[0]._shape is not None:
        total.set_shape(op.inputs[0]._shape)
    return total, None


@export("tile", v1=["manip.tile"])
def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """Repeats a tensor, as a whole, along its dimensions.

    Args:
      input: any dtype, rank n.
      multiples: int32 or int64 vector [n]: how often along each dimension.
      name: the operation's name.

    Example:
      >>> tf.tile([[1, 2]], [2, 2])     # [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    return tile_op(input, multiples, name=name)


# --- Reverse ------------------------------------------------------------------------------------------------

_REVERSIBLE = (
    "uint8 int8 uint16 int16 int32 int64 bool bfloat16 half float double complex64 complex128 string uint32 uint64"
)


def _reverse_shape(c: ShapeContext) -> Any:
    given, axes = c.shape(0), c.constant(1)
    shapes.with_rank(c.shape(1), 1)
    if given is not None and axes is not None:
        _distinct_axes(axes.tolist(), len(given))
    return given


def _distinct_axes(axes: list[int], rank: int) -> tuple[int, ...]:
    """The axes counted from the front; none may be out of range or named twice."""
    seen: dict[int, None] = {}
    for index, axis in enumerate(axes):
        if not -rank <= axis < rank:
            raise ValueError(f"'axis'[{index}] = {axis} is out of valid range [0, {rank - 1}")
        if axis % rank in seen:
            raise ValueError(f"axis {axis % rank} specified more than once.")
        seen[axis % rank] = None
    return tuple(seen)


@op(
    "ReverseV2(tensor: T, axis: Tidx) -> output: T",
    Tidx="int32 int64 = int32",
    T=_REVERSIBLE,
    shape=_reverse_shape,
    static=("axis",),
    moves_data=True,
)
def reverse_op(xp, tensor, axis):
    axes = _distinct_axes(to_ints(axis), tensor.ndim)
    return xp.flip(tensor, axes) if axes else tensor


@op(
    "Reverse(tensor: T, dims: bool) -> output: T",
    T=_REVERSIBLE.replace("bfloat16 ", ""),
    shape=same_as(0),
    static=("dims",),
    moves_data=True,
)
def old_reverse_op(xp, tensor, dims):
    axes = tuple(axis for axis, backwards in enumerate(np.asarray(dims).tolist()) if backwards)
    return xp.flip(tensor, axes) if axes else tensor


@reverse_op.gradient
def _(op, grad):
    return reverse_op(grad, op.inputs[1]), None


@old_reverse_op.gradient
def _(op, grad):
    return old_reverse_op(grad, op.inputs[1]), None


@export("reverse", v1=["reverse_v2", "manip.reverse"])
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """Reverses the order of the elements along some dimensions.

    Args:
      tensor: any dtype, rank n.
      axis: int32 or int64 vector of distinct dimensions; negative ones count from the end.
      name: the operation's name.

    Raises:
      ValueError: a dimension is out of range or named twice.

    Example:
      >>> tf.reverse([[1, 2, 3], [4, 5, 6]], [1])     # [[3, 2, 1], [6, 5, 4]]
    """
    return reverse_op(tensor, axis, name=name)


def _reverse_sequence_shape(c: ShapeContext) -> Any:
    given, (length,) = c.shape(0), shapes.with_rank(c.shape(1), 1)
    seq_dim, batch_dim = c.attrs["seq_dim"], c.attrs["batch_dim"]
    if given is None:
        return None
    for name, axis in (("batch_dim", batch_dim), ("seq_dim", seq_dim)):
        if axis >= len(given):
            raise ValueError(f"{name} must be < input rank: {axis} vs. {len(given)}")
    batch = shapes.merge_dim(given[batch_dim], length)
    return (*given[:batch_dim], batch, *given[batch_dim + 1 :])


@op(
    "ReverseSequence(input: T, seq_lengths: Tlen, *, seq_dim: int, batch_dim: int = 0) -> output: T",
    T=ANY,
    Tlen="int32 int64 = int64",
    shape=_reverse_sequence_shape,
)
def reverse_sequence_op(xp, input, seq_lengths, *, seq_dim, batch_dim, check):
    size = input.shape[seq_dim]
    if seq_lengths.shape != (input.shape[batch_dim],):
        raise ValueError(f"Length of seq_lens != input.dims({batch_dim}), ({seq_lengths.shape[0]} vs. "
                         f"{input.shape[batch_dim]})")  # fmt: skip
    _check_lengths(xp, seq_lengths < 0, "seq_lens({0}) < 0", check)
    _check_lengths(xp, seq_lengths > size, f"seq_lens({{0}}) > input.dims({seq_dim})", check)

    def along(values: Any, axis: int) -> Any:
        return xp.reshape(values, [-1 if other == axis else 1 for other in range(input.ndim)])

    position = along(xp.asarray(np.arange(size, dtype=seq_lengths.dtype)), seq_dim)
    lengths = along(seq_lengths, batch_dim)
    source = xp.where(position < lengths, lengths - 1 - position, position)
    wanted = xp.broadcast_to(xp.clip(source, 0, max(size - 1, 0)), input.shape)
    return xp.take_along_axis(input, wanted, seq_dim)


def _check_lengths(xp: Any, wrong: Any, message: str, check: Any) -> None:
    """Demands that no length is wrong; the message says which is."""
    from millstream.core.errors import InvalidArgumentError

    if wrong.size:
        check(~xp.any(wrong), InvalidArgumentError, message, xp.argmax(wrong))


@reverse_sequence_op.gradient
def _(op, grad):
    attrs = {name: op.get_attr(name) for name in ("seq_dim", "batch_dim")}
    return reverse_sequence_op(grad, op.inputs[1], **attrs), None


@export(v1=["reverse_sequence"])
def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """Reverses the first elements of each sequence of a batch, each by its own length.

    Args:
      input: any dtype; dimension `batch_axis` counts the sequences, `seq_axis` runs along them.
      seq_lengths: int32 or int64 [batch]: how many elements of each sequence are reversed.
      seq_axis, batch_axis: the two dimensions; `batch_axis` is 0 by default.
      name: the operation's name.
      seq_dim, batch_dim: old names of these.

    Example:
      >>> tf.reverse_sequence([[1, 2, 3], [4, 5, 6]], [2, 3], seq_axis=1)     # [[2, 1, 3], [6, 5, 4]]
    """
    seq_axis = renamed("seq_axis", seq_axis, "seq_dim", seq_dim)
    batch_axis = renamed("batch_axis", batch_axis, "batch_dim", batch_dim)
    return reverse_sequence_op(input, seq_lengths, seq_dim=seq_axis, batch_dim=batch_axis or 0, name=name)


@export(v2=["reverse_sequence"])
def reverse_sequence_v2(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Reverses the first `seq_lengths[i]` elements, along `seq_axis`, of sequence i of a batch."""
    return reverse_sequence(input, seq_lengths, seq_axis, batch_axis, name)


# --- Roll ---------------------------------------------------------------------------------------------------


def _roll_shape(c: ShapeContext) -> Any:
    shift, axis = c.shape(1), c.shape(2)
    if shift is not None and axis is not None:
        shapes.merge(shift, axis)
    return shapes.with_rank_at_least(c.shape(0), 1)


@op(
    "Roll(input: T, shift: Tshift, axis: Taxis) -> output: T",
    T=ANY,
    Tshift="int32 int64",
    Taxis="int32 int64",
    shape=_roll_shape,
    static=("axis",),
)
def roll_op(xp, input, shift, axis):
    shifts = to_ints(shift) if is_concrete(shift) else list(xp.reshape(shift, (-1,)))
    axes = to_ints(axis)
    if len(shifts) != len(axes):
        raise ValueError(f"shift and axis must have the same size, but have {len(shifts)} and {len(axes)}")
    for amount, dimension in zip(shifts, axes, strict=True):
        input = xp.roll(input, amount, axis_in_range(dimension, input.ndim))
    return input


@roll_op.gradient
def _(op, grad):
    return roll_op(grad, -op.inputs[1], op.inputs[2]), None, None


@export("roll", v1=["manip.roll"])
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Rotates the elements along dimensions: what is pushed out at the end comes in at the beginning.

    Args:
      input: any dtype, rank at least 1.
      shift: int32 or int64 scalar or vector: by how many places, negative for towards the beginning.
      axis: of the shape of `shift`: along which dimensions.
      name: the operation's name.

    Example:
      >>> tf.roll([0, 1, 2, 3, 4], 2, 0)     # [3, 4, 0, 1, 2]
    """
    return roll_op(input, shift, axis, name=name)
