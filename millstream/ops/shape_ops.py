"""Operations that tell the shape of a tensor, and arithmetic of shapes."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import Shape, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.arguments import to_ints
from millstream.ops.cast_ops import cast
from millstream.ops.identity_ops import is_sparse


def _vector_of_rank(shape: Shape) -> Shape:
    return (None if shape is None else len(shape),)


@op(
    "Shape(input: T, *, out_type: type{int32, int64} = int32) -> output: out_type",
    T=ANY,
    shape=lambda c: _vector_of_rank(c.shape(0)),
    reads_shape_only=True,
    moves_data=True,
)
def shape_op(xp, input, *, out_type):
    return np.array(input.shape, out_type.as_numpy_dtype)


@export(v1=["shape"])
def shape(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The shape of a tensor, as a vector.

    Where the static shape is known the result is a constant.

    Args:
      input: any dtype and shape; of a `SparseTensor`, the dense shape.
      name: the operation's name.
      out_type: int32 or int64.

    Example:
      >>> tf.shape(tf.zeros([2, 3]))        # [2, 3]
    """
    return shape_internal(input, name, optimize=True, out_type=out_type)


@export(v2=["shape"])
def shape_v2(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The shape of a tensor, as a vector of `out_type` (int32 or int64; default int32)."""
    return shape_internal(input, name, optimize=True, out_type=out_type or dtypes.int32)


def shape_internal(
    input: Any, name: str | None = None, optimize: bool = True, out_type: Any = dtypes.int32
) -> Tensor:
    """`tf.shape`; `optimize=False` builds a `Shape` operation even where the static shape is known."""
    with name_scope(name, "Shape", [input]) as scope:
        if is_sparse(input):
            return cast(input.dense_shape, out_type)
        tensor = conversion.to_tensor(input)
        if optimize and shapes.is_fully_defined(tensor._shape):
            return constant_op.constant(list(tensor._shape), out_type, name=scope)
        return shape_op(tensor, out_type=out_type, name=scope)


@op(
    "ShapeN(input: N*T, *, out_type: type{int32, int64} = int32) -> output: N*out_type",
    T=ANY,
    shape=lambda c: [_vector_of_rank(tensor._shape) for tensor in c.inputs],
    reads_shape_only=True,
    moves_data=True,
)
def shape_n_op(xp, input, *, out_type):
    return [np.array(tensor.shape, out_type.as_numpy_dtype) for tensor in input]


@export("shape_n")
def shape_n(input: Any, out_type: Any = dtypes.int32, name: str | None = None) -> list[Tensor]:
    """The shapes of several tensors of one dtype.

    Args:
      input: a list of tensors.
      out_type: int32 or int64.
      name: the operation's name.
    """
    return shape_n_op(input, out_type=out_type, name=name)


@op(
    "Size(input: T, *, out_type: type{int32, int64} = int32) -> output: out_type",
    T=ANY,
    shape=scalar,
    reads_shape_only=True,
)
def size_op(xp, input, *, out_type):
    return np.array(int(np.prod(input.shape, dtype=np.int64)), out_type.as_numpy_dtype)


@export(v1=["size"])
def size(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The number of elements of a tensor, a scalar.

    Args:
      input: any dtype and shape.
      name: the operation's name.
      out_type: int32 or int64.
    """
    return size_internal(input, name, optimize=True, out_type=out_type)


@export(v2=["size"])
def size_v2(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The number of elements of a tensor, a scalar of `out_type` (int32 or int64; default int32)."""
    return size_internal(input, name, optimize=True, out_type=out_type or dtypes.int32)


def size_internal(
    input: Any, name: str | None = None, optimize: bool = True, out_type: Any = dtypes.int32
) -> Tensor:
    """`tf.size`; `optimize=False` builds a `Size` operation even where the static shape is known."""
    with name_scope(name, "Size", [input]) as scope:
        if is_sparse(input):
            from millstream.ops.reduction_ops import reduce_prod

            return reduce_prod(cast(input.dense_shape, out_type), 0, name=scope)
        tensor = conversion.to_tensor(input)
        count = shapes.num_elements(tensor._shape)
        if optimize and count is not None:
            return constant_op.constant(count, out_type, name=scope)
        return size_op(tensor, out_type=out_type, name=scope)


@op("Rank(input: T) -> output: int32", T=ANY, shape=scalar, reads_shape_only=True, moves_data=True)
def rank_op(xp, input):
    return np.array(len(input.shape), np.int32)


@export("rank")
def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions of a tensor, an int32 scalar.

    Args:
      input: any dtype and shape.
      name: the operation's name.
    """
    return rank_internal(input, name, optimize=True)


def rank_internal(input: Any, name: str | None = None, optimize: bool = True) -> Tensor:
    """`tf.rank`; `optimize=False` builds a `Rank` operation even where the static rank is known."""
    with name_scope(name, "Rank", [input]) as scope:
        if is_sparse(input):
            return size_internal(input.dense_shape, name=scope, optimize=optimize, out_type=dtypes.int32)
        tensor = conversion.to_tensor(input)
        if optimize and tensor._shape is not None:
            return constant_op.constant(len(tensor._shape), dtypes.int32, name=scope)
        return rank_op(tensor, name=scope)


for _definition in (shape_op, shape_n_op, size_op, rank_op):
    _definition.no_gradient("the shape of a tensor does not depend on its values")


def _broadcast_args_shape(c: ShapeContext) -> Any:
    (first,), (second,) = shapes.with_rank(c.shape(0), 1), shapes.with_rank(c.shape(1), 1)
    return (None if first is None or second is None else max(first, second),)


@op("BroadcastArgs(s0: T, s1: T) -> r0: T", T="int32 int64 = int32", shape=_broadcast_args_shape, static=("s0", "s1"))
def broadcast_args_op(xp, s0, s1):
    first, second = tuple(to_ints(s0)), tuple(to_ints(s1))
    shapes.check_broadcast(first, second)
    return np.array(np.broadcast_shapes(first, second), np.asarray(s0).dtype)


broadcast_args_op.no_gradient("shapes do not vary smoothly")


@export("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape of the result of an elementwise operation on tensors of two shapes.

    Args:
      shape_x, shape_y: int32 or int64 vectors.

    Raises:
      InvalidArgumentError: when it runs and the shapes do not broadcast.
    """
    return broadcast_args_op(shape_x, shape_y)


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x: Any, shape_y: Any) -> shapes.TensorShape:
    """The static shape of the result of an elementwise operation on tensors of two static shapes.

    Raises:
      ValueError: they do not broadcast.

    Example:
      >>> tf.broadcast_static_shape(tf.TensorShape([3, 1]), tf.TensorShape([2])).as_list()
      [3, 2]
    """
    first, second = shapes.as_plain(shape_x), shapes.as_plain(shape_y)
    try:
        return shapes.TensorShape(shapes.broadcast(first, second))
    except ValueError:
        raise ValueError(
            "Incompatible shapes for broadcasting: "
            f"{shapes.format_tuple(first)} and {shapes.format_tuple(second)}"
        ) from None
