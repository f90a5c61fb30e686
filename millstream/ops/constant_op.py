"""Constants and placeholders."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from millstream.core import context, convert, dtypes, shapes
from millstream.core.conversion import constant as constant_node
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY, DType
from millstream.core.eager import EagerTensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import from_attr
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor


@op(
    "Const(*, value: tensor, dtype: type) -> output: dtype",
    shape=lambda c: c.attrs["value"].shape,
)
def const_op(xp, *, value):
    return value


const_op.no_gradient("a constant has no inputs")


@op(
    "Placeholder(*, dtype: type, shape: shape = None) -> output: dtype", shape=from_attr("shape"), must_be_fed=True
)
def placeholder_op(xp):
    raise RuntimeError("a placeholder has no value of its own; plans demand that it is fed")


placeholder_op.no_gradient("a placeholder has no inputs")


def _with_default_shape(c: ShapeContext) -> Any:
    shapes_agree = shapes.is_compatible(c.shape(0), c.attrs["shape"])
    if not shapes_agree:
        raise ValueError(
            f"Shapes must be compatible, but the default has {shapes.format_shape(c.shape(0))} "
            f"and the placeholder {shapes.format_shape(c.attrs['shape'])}"
        )
    return c.attrs["shape"]


@op("PlaceholderWithDefault(input: dtype, *, shape: shape) -> output: dtype", dtype=ANY, shape=_with_default_shape)
def placeholder_with_default_op(xp, input):
    return input


@placeholder_with_default_op.gradient
def _(op, grad):
    return grad


@export(v1=["constant"])
def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str = "Const", verify_shape: bool = False
) -> Tensor:
    """A constant tensor.

    Args:
      value: a number, string, (nested) list of these, or NumPy array.
      dtype: the dtype; default: that of the value (`int` gives int32, `float` float32).
      shape: the shape; a shorter `value` is filled up with its last element.
      name: the operation's name.
      verify_shape: demands that `value` has just that shape.

    Raises:
      TypeError: the value does not fit the dtype, or `verify_shape` fails.
      ValueError: more elements than the shape holds, ragged lists, None.

    Example:
      >>> tf.constant(-1.0, shape=[2, 3])          # [[-1., -1., -1.], [-1., -1., -1.]]
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    plain = None if shape is None else shapes.as_plain(shape)
    if plain is not None and verify_shape:
        array = convert.to_numpy(value, wanted)
        if array.shape != plain:
            raise TypeError(f"Expected Tensor's shape: {plain}, got {array.shape}.")
    else:
        array = convert.to_numpy(value, wanted, plain)
    found: DType = dtypes.from_numpy(array.dtype) if wanted is None else wanted.base_dtype
    if context.executing_eagerly():
        return EagerTensor(array, found)
    graph = get_default_graph()
    return constant_node(graph, array, found, graph.operation_name(name))


@export(v2=["constant"])
def constant_v2(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A constant tensor.

    Args:
      value: a number, string, (nested) list of these, NumPy array or eager tensor.
      dtype: the dtype; default: that of the value (`int` gives int32, or int64 if it must; `float` float32).
      shape: the shape, of as many elements as `value` has; a single element fills it.
      name: the operation's name in a graph.

    Raises:
      TypeError: the value does not become `dtype`, or has too few or too many elements for `shape`.
      ValueError: ragged lists, None, numbers out of range.

    Example:
      >>> tf.constant([1, 2, 3, 4], shape=[2, 2])
      <tf.Tensor: shape=(2, 2), dtype=int32, numpy=
      array([[1, 2],
             [3, 4]], dtype=int32)>
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    dims = None if shape is None else tuple(int(dim) for dim in shapes.as_plain(shape) or ())
    if not context.executing_eagerly():
        return _graph_constant(value, wanted, dims, name)
    if isinstance(value, EagerTensor) and wanted not in (None, value.dtype):
        raise TypeError(f"Expected tensor {value} with dtype {wanted!r}, but got dtype {value.dtype!r}.")
    tensor = to_tensor(value, wanted)
    if dims is None:
        return tensor
    array = tensor.numpy()
    if np.size(array) not in (1, math.prod(dims)):
        raise TypeError(
            f"Eager execution of tf.constant with unsupported shape. Tensor {array} (converted from {value!r}) has "
            f"{np.size(array)} elements, but got `shape` {dims} with {math.prod(dims)} elements)."
        )
    return EagerTensor(convert.fill(np.asarray(array, tensor.dtype.as_numpy_dtype), dims), tensor.dtype)


def _graph_constant(value: Any, dtype: DType | None, dims: tuple[int, ...] | None, name: str) -> Tensor:
    """`constant` of 1.x, which never fills up a shape but with a single element."""
    if isinstance(value, Tensor):
        raise TypeError(f"Expected any non-tensor type, but got a tensor instead: {value}")
    if dims is not None:
        array = convert.to_numpy(value, dtype)
        if array.size not in (1, math.prod(dims)):
            raise TypeError(f"Expected Tensor's shape: {dims}, got {array.shape}.")
    return constant(value, dtype, dims, name)


@export(v1=["placeholder"])
def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value is given with each `Session.run`, through `feed_dict`.

    Args:
      dtype: the dtype; values fed are converted to it.
      shape: what is known of the shape; None dimensions may differ from run to run.
      name: the operation's name.

    Raises:
      InvalidArgumentError: when the graph runs and no value is fed.
      RuntimeError: in eager execution, where there is nothing to feed.

    Example:
      >>> x = tf.placeholder(tf.float32, [None, 784])
    """
    if context.executing_eagerly():
        raise RuntimeError("tf.placeholder() is not compatible with eager execution.")
    return placeholder_op(dtype=dtype, shape=shape, name=name)


@export(v1=["sparse_placeholder", "sparse.placeholder"])
def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A `SparseTensor` whose value is given with each `Session.run`, as a `SparseTensorValue` or a triple.

    Args:
      dtype: the dtype of the elements.
      shape: the shape of the whole, where it is known.
      name: a prefix of the operations' names.
    """
    prefix = "" if name is None else name + "/"
    plain = shapes.as_plain(shape)
    rank = None if plain is None else len(plain)
    if shapes.is_fully_defined(plain):
        whole = constant(list(plain), dtypes.int64, name=prefix + "shape")
    else:
        whole = placeholder(dtypes.int64, [rank], name=prefix + "shape")
    return SparseTensor(
        values=placeholder(dtype, [None], name=prefix + "values"),
        indices=placeholder(dtypes.int64, [None, rank], name=prefix + "indices"),
        dense_shape=whole,
    )


@export(v1=["placeholder_with_default"])
def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """A placeholder that takes the value of `input` where nothing is fed.

    Args:
      input: the default, any dtype.
      shape: what is known of the shape of values that are fed.
      name: the operation's name.
    """
    return placeholder_with_default_op(input, shape=shape, name=name)
