"""Operations that give the elements of a tensor another shape or order of dimensions."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from millstream.core import conversion, opdef, shapes
from millstream.core.dtypes import ANY
from millstream.core.errors import InvalidArgumentError
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import axis_in_range, renamed, to_ints
from millstream.ops.shape_ops import rank, rank_op, shape_internal

# --- Reshape ------------------------------------------------------------------------------------------------


def _reshape_shape(c: ShapeContext) -> Any:
    given, wanted = c.shape(0), c.constant_shape(1)
    count = shapes.num_elements(given)
    if wanted is None or count is None:
        return wanted
    unknown = [axis for axis, dim in enumerate(wanted) if dim is None]
    known = shapes.num_elements(tuple(dim for dim in wanted if dim is not None)) or 0
    if not unknown and known != count:
        raise ValueError(
            f"Cannot reshape a tensor with {count} elements to shape {shapes.format_shape(wanted)} "
            f"({known} elements)"
        )
    if len(unknown) != 1 or known == 0:
        return wanted
    if count % known:
        raise ValueError(f"Dimension size must be evenly divisible by {known} but is {count}")
    return tuple(count // known if dim is None else dim for dim in wanted)


@op(
    "Reshape(tensor: T, shape: Tshape) -> output: T",
    T=ANY,
    Tshape="int32 int64 = int32",
    shape=_reshape_shape,
    static=("shape",),
)
def reshape_op(xp, tensor, shape):
    return xp.reshape(tensor, _complete_shape(to_ints(shape), math.prod(tensor.shape)))


def _complete_shape(wanted: list[int], count: int) -> tuple[int, ...]:
    """`wanted` with its -1, if any, replaced so that there are `count` elements."""
    inferred = [axis for axis, size in enumerate(wanted) if size == -1]
    if len(inferred) > 1:
        raise ValueError(f"Only one input size may be -1, not both {inferred[0]} and {inferred[1]}")
    for axis, size in enumerate(wanted):
        if size < -1:
            raise ValueError(f"Size {axis} must be non-negative, not {size}")
    known = math.prod(size for size in wanted if size >= 0)
    if not inferred:
        if known != count:
            raise ValueError(
                f"Input to reshape is a tensor with {count} values, but the requested shape has {known}"
            )
        return tuple(wanted)
    if known == 0:
        if count:
            raise ValueError(
                "reshape cannot infer the missing input size for an empty tensor unless all specified input "
                "sizes are non-zero"
            )
        known = 1
    if count % known:
        raise ValueError(
            f"Input to reshape is a tensor with {count} values, but the requested shape requires a multiple "
            f"of {known}"
        )
    wanted[inferred[0]] = count // known
    return tuple(wanted)


@reshape_op.gradient
def _(op, grad):
    return _reshaped_like(op, grad), None


def _reshaped_like(op: Any, grad: Any) -> Any:
    """`grad` in the shape of the operation's first input."""
    return reshape_op(grad, shape_internal(op.inputs[0]))


@export("reshape", v1=["manip.reshape"])
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements, in row-major order, in another shape.

    Args:
      tensor: any dtype and shape.
      shape: int32 or int64 vector; one entry may be -1 and is then derived.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: the number of elements differs.

    Example:
      >>> tf.reshape(tf.range(6), [2, -1])     # [[0, 1, 2], [3, 4, 5]]
    """
    return reshape_op(tensor, shape, name=name)


# --- Dimensions of size 1 -----------------------------------------------------------------------------------


def _expand_dims_shape(c: ShapeContext) -> Any:
    shape, axis = c.shape(0), c.constant(1)
    if shape is None:
        return None
    if axis is None:
        return (None,) * (len(shape) + 1)
    if axis.size != 1:
        raise ValueError(f"'dim' input must be a tensor with a single value. But dim has rank {axis.ndim}")
    rank = len(shape) + 1
    position = int(axis.reshape(()))
    if not -rank <= position < rank:
        raise ValueError(f"dim {position} not in the interval [{-rank}, {rank - 1}].")
    position %= rank
    return (*shape[:position], 1, *shape[position:])


@op(
    "ExpandDims(input: T, dim: Tdim) -> output: T",
    T=ANY,
    Tdim="int32 int64 = int32",
    shape=_expand_dims_shape,
    static=("dim",),
    moves_data=True,
)
def expand_dims_op(xp, input, dim):
    (axis,) = to_ints(dim)
    rank = input.ndim + 1
    if not -rank <= axis < rank:
        raise ValueError(f"Tried to expand dim index {axis} for tensor with {input.ndim} dimensions.")
    return xp.expand_dims(input, axis)


@expand_dims_op.gradient
def _(op, grad):
    return _reshaped_like(op, grad), None


@export(v1=["expand_dims"])
def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Puts in a dimension of size 1.

    Args:
      input: any dtype, shape [d0, d1, …].
      axis: where the new dimension stands in the result; negative counts from the end.
      name: the operation's name.
      dim: old name of `axis`.

    Raises:
      ValueError: no axis, or one out of range.

    Example:
      >>> tf.expand_dims(tf.zeros([2, 3]), 1).shape     # (2, 1, 3)
    """
    axis = renamed("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return expand_dims_op(input, axis, name=name)


@export(v2=["expand_dims"])
def expand_dims_v2(input: Any, axis: Any, name: str | None = None) -> Tensor:
    """Puts in a dimension of size 1 that stands at `axis` in the result (negative: from the end)."""
    return expand_dims_op(input, axis, name=name)


def _squeeze_shape(c: ShapeContext) -> Any:
    shape, axes = c.shape(0), c.attrs["squeeze_dims"]
    if shape is None:
        return None
    if not axes:
        return tuple(dim for dim in shape if dim != 1) if None not in shape else None
    rank = len(shape)
    for index, axis in enumerate(axes):
        if not -rank <= axis < rank:
            raise ValueError(f"squeeze_dims[{index}] not in [{-rank},{rank}).")
    removed = {axis % rank for axis in axes}
    for axis in sorted(removed):
        if shape[axis] not in (1, None):
            raise ValueError(f"Can not squeeze dim[{axis}], expected a dimension of 1, got {shape[axis]}")
    return tuple(dim for axis, dim in enumerate(shape) if axis not in removed)


@op(
    "Squeeze(input: T, *, squeeze_dims: list(int) >= 0 = []) -> output: T",
    T=ANY,
    shape=_squeeze_shape,
    moves_data=True,
)
def squeeze_op(xp, input, *, squeeze_dims):
    axes = tuple({axis_in_range(axis, input.ndim) for axis in squeeze_dims})
    for axis in axes:
        if input.shape[axis] != 1:
            raise ValueError(f"Can not squeeze dim[{axis}], expected a dimension of 1, got {input.shape[axis]}")
    return xp.squeeze(input, axes) if axes else xp.squeeze(input)


@squeeze_op.gradient
def _(op, grad):
    return _reshaped_like(op, grad)


@export(v1=["squeeze"])
def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Tensor:
    """Takes out dimensions of size 1.

    Args:
      input: any dtype and shape.
      axis: an int or a list of ints, the dimensions to take out; default: all of size 1.
      name: the operation's name.
      squeeze_dims: old name of `axis`.

    Raises:
      ValueError, InvalidArgumentError: one of `axis` is not of size 1.

    Example:
      >>> tf.squeeze(tf.zeros([1, 2, 1, 3]), [2]).shape     # (1, 2, 3)
    """
    axis = renamed("axis", axis, "squeeze_dims", squeeze_dims)
    axes = [] if axis is None else to_ints(axis)
    return squeeze_op(input, squeeze_dims=axes, name=name)


@export(v2=["squeeze"])
def squeeze_v2(input: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Takes out dimensions of size 1: those that `axis` (an int or a list of ints) names, or all."""
    return squeeze(input, axis, name)


# --- Transposing --------------------------------------------------------------------------------------------


def _transpose_shape(c: ShapeContext) -> Any:
    shape, order, (rank,) = c.shape(0), c.constant(1), shapes.with_rank(c.shape(1), 1)
    if shape is None:
        return None if rank is None else shapes.with_rank(None, rank)
    if order is None:
        return (None,) * len(shape)
    if order.size != len(shape):
        raise ValueError(f"Dimension must be {len(shape)} but is {order.size}")
    if len(shape) and not 0 <= int(order.min()) <= int(order.max()) < len(shape):
        worst = int(order.min()) if order.min() < 0 else int(order.max())
        raise ValueError(f"perm dim {worst} is out of range of input rank {len(shape)}")
    return tuple(shape[axis] for axis in order.reshape(-1).tolist())


def _axis_order(order: Any, rank: int) -> list[int]:
    axes = to_ints(order)
    if len(axes) != rank:
        raise ValueError(
            f"transpose expects a vector of size {rank}. But input(1) is a vector of size {len(axes)}"
        )
    for axis in axes:
        if not 0 <= axis < rank:
            raise ValueError(f"{axis} is out of range [0 .. {rank})")
    for axis in range(rank):
        if axis not in axes:
            raise ValueError(f"{axis} is missing from {{{','.join(map(str, axes))}}}.")
    return axes


_TRANSPOSE: dict[str, Any] = {
    "T": ANY,
    "Tperm": "int32 int64 = int32",
    "shape": _transpose_shape,
    "static": ("perm",),
    "moves_data": True,
}


@op("Transpose(x: T, perm: Tperm) -> y: T", **_TRANSPOSE)
def transpose_op(xp, x, perm):
    return xp.transpose(x, _axis_order(perm, x.ndim))


@op("ConjugateTranspose(x: T, perm: Tperm) -> y: T", **_TRANSPOSE)
def conjugate_transpose_op(xp, x, perm):
    return xp.conj(xp.transpose(x, _axis_order(perm, x.ndim)))


@transpose_op.gradient
def _(op, grad):
    return transpose_op(grad, invert_permutation_op(op.inputs[1])), None


@conjugate_transpose_op.gradient
def _(op, grad):
    return conjugate_transpose_op(grad, invert_permutation_op(op.inputs[1])), None


@export(v1=["transpose"])
def transpose(a: Any, perm: Any = None, name: str | None = "transpose", conjugate: bool = False) -> Tensor:
    """Reorders the dimensions; without `perm`, reverses their order.

    Args:
      a: any dtype, rank n.
      perm: int32 or int64 vector [n]: dimension i of the result is dimension `perm[i]` of `a`.
      name: the operation's name.
      conjugate: takes the complex conjugate too, where `a` is complex.

    Raises:
      ValueError, InvalidArgumentError: `perm` is no permutation of n axes.

    Example:
      >>> tf.transpose(tf.zeros([2, 3, 4]), [0, 2, 1]).shape     # (2, 4, 3)
    """
    with name_scope(name, "transpose", [a]) as scope:
        if perm is None:
            a = conversion.to_tensor(a, name="a")
            if a._shape:
                perm = np.arange(len(a._shape) - 1, -1, -1)
            else:
                count = rank_op(a)
                perm = (count - 1) - opdef.find("Range")(0, count, 1)
        definition = transpose_op
        if conjugate and conversion.to_tensor(a).dtype.is_complex:
            definition = conjugate_transpose_op
        return definition(a, perm, name=scope)


@export(v2=["transpose"])
def transpose_v2(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = "transpose") -> Tensor:
    """Reorders the dimensions: dimension i of the result is dimension `perm[i]` of `a`; default: reversed."""
    return transpose(a, perm, name, conjugate)


@export("linalg.matrix_transpose", v1=["matrix_transpose", "linalg.transpose"])
def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """Swaps the last two dimensions.

    Args:
      a: any dtype, shape [..., m, n].
      name: the name scope.
      conjugate: takes the complex conjugate too.

    Raises:
      ValueError: the rank is less than 2.
    """
    with name_scope(name, values=[a]):
        a = conversion.to_tensor(a, name="a")
        if a._shape is not None:
            n = len(a._shape)
            if n < 2:
                raise ValueError(
                    "Argument 'a' should be a (batch) matrix, with rank >= 2.  "
                    f"Found: {shapes.format_tuple(a._shape)}"
                )
            order: Any = [*range(n - 2), n - 1, n - 2]
        else:
            from millstream.ops import join_ops

            count = rank(a)
            order = join_ops.concat((opdef.find("Range")(0, count - 2, 1), [count - 1, count - 2]), 0)
        return transpose(a, perm=order, conjugate=conjugate)


@op("InvertPermutation(x: T) -> y: T", T="int32 int64 = int32", shape=lambda c: c.require_rank(0, 1))
def invert_permutation_op(xp, x, *, check):
    size = x.shape[0]
    if size:
        outside = (x < 0) | (x >= size)
        message = f"{{0}} is not between 0 and {size}"
        check(~xp.any(outside), InvalidArgumentError, message, x[xp.argmax(outside)])
    if size > 1:
        in_order = xp.sort(x)
        twice = in_order[1:] == in_order[:-1]
        message = "{0} is duplicated in the input."
        check(~xp.any(twice), InvalidArgumentError, message, in_order[xp.argmax(twice)])
    return xp.argsort(x)


invert_permutation_op.no_gradient("permutations are not numbers that vary smoothly")


@export("math.invert_permutation", v1=["invert_permutation"])
def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """The inverse of a permutation: `y[x[i]] = i`.

    Args:
      x: int32 or int64 vector that holds each of 0 … n-1 once.
      name: the operation's name.
    """
    return invert_permutation_op(x, name=name)


# --- Broadcasting -------------------------------------------------------------------------------------------


def _broadcast_to_shape(c: ShapeContext) -> Any:
    given, wanted = c.shape(0), c.constant_shape(1)
    if given is None or wanted is None:
        return wanted
    if len(given) > len(wanted):
        raise ValueError(f"Shape must be at least rank {len(given)} but is rank {len(wanted)}")
    for have, want in zip(reversed(given), reversed(wanted), strict=False):
        if have not in (None, 1, want) and want is not None:
            raise ValueError(f"Dimensions must be equal, but are {have} and {want}")
    return wanted


@op(
    "BroadcastTo(input: T, shape: Tidx) -> output: T",
    T=ANY,
    Tidx="int32 int64 = int32",
    shape=_broadcast_to_shape,
    static=("shape",),
    moves_data=True,
)
def broadcast_to_op(xp, input, shape):
    wanted = tuple(to_ints(shape))
    try:
        return xp.broadcast_to(input, wanted)
    except ValueError:
        raise ValueError(
            f"Incompatible shapes: {shapes.format_shape(input.shape)} vs. {shapes.format_shape(wanted)}"
        ) from None


@broadcast_to_op.gradient
def _(op, grad):
    from millstream.ops.reduction_ops import reduce_sum

    value, target = op.inputs
    given = shape_internal(value, out_type=target.dtype)
    axes = opdef.find("BroadcastGradientArgs")(target, given)[1]
    return reshape_op(reduce_sum(grad, axes, keepdims=True), given), None


@export("broadcast_to")
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """Repeats a tensor along dimensions of size 1, and along new ones in front, until it has `shape`.

    Args:
      input: any dtype, a shape that broadcasts to `shape`.
      shape: int32 or int64 vector.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: the shapes do not fit.
    """
    return broadcast_to_op(input, shape, name=name)
