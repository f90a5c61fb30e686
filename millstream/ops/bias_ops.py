"""Adding a bias a channel, and layers made of a matrix product and a bias."""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import NUMERIC
from millstream.core.export import export
from millstream.core.gradients import is_wanted
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import reshape_ops, shape_ops
from millstream.ops.activation_ops import relu
from millstream.ops.fill_ops import ones_like
from millstream.ops.join_ops import concat
from millstream.ops.matmul_ops import matmul

_FORMATS = 'string{"NHWC","NCHW"} = "NHWC"'


def _channel_axis(data_format: str, rank: int) -> int:
    return 1 if data_format == "NCHW" else rank - 1


def _bias_add_shape(c: ShapeContext) -> Any:
    data_format = c.attrs.get("data_format", "NHWC")
    shape = shapes.with_rank_at_least(c.shape(0), 3 if data_format == "NCHW" else 2)
    (size,) = c.require_rank(1, 1)
    if shape is None:
        return None
    axis = _channel_axis(data_format, len(shape))
    return (*shape[:axis], shapes.merge_dim(shape[axis], size), *shape[axis + 1 :])


def check_bias(bias: Any, dims: Any, axis: int) -> None:
    """Demands in a kernel that a bias has one number for each place of an axis of an array with these dimensions."""
    if bias.shape != (dims[axis],):
        raise ValueError(
            "Must provide as many biases as the last dimension of the input tensor: "
            f"{shapes.format_shape(bias.shape)} vs. {shapes.format_shape(dims)}"
        )


def _add(value: Any, bias: Any, axis: int) -> Any:
    check_bias(bias, value.shape, axis)
    return value + bias.reshape((-1,) + (1,) * (value.ndim - 1 - axis))


@op(f"BiasAdd(value: T, bias: T, *, data_format: {_FORMATS}) -> output: T", T=NUMERIC, shape=_bias_add_shape)
def bias_add_op(xp, value, bias, *, data_format):
    return _add(value, bias, _channel_axis(data_format, value.ndim))


@op("BiasAddV1(value: T, bias: T) -> output: T", T=NUMERIC, shape=_bias_add_shape)
def bias_add_v1_op(xp, value, bias):
    """An older form of `BiasAdd`, found in saved graphs."""
    return _add(value, bias, value.ndim - 1)


def _channels(c: ShapeContext) -> Any:
    shape = shapes.with_rank_at_least(c.shape(0), 3 if c.attrs["data_format"] == "NCHW" else 2)
    return (None,) if shape is None else (shape[_channel_axis(c.attrs["data_format"], len(shape))],)


@op(f"BiasAddGrad(out_backprop: T, *, data_format: {_FORMATS}) -> output: T", T=NUMERIC, shape=_channels)
def bias_add_grad_op(xp, out_backprop, *, data_format):
    """The sum over everything but the channels: the gradient of `BiasAdd` by its bias."""
    channel = _channel_axis(data_format, out_backprop.ndim)
    axes = tuple(axis for axis in range(out_backprop.ndim) if axis != channel)
    return xp.sum(out_backprop, axis=axes, dtype=out_backprop.dtype)


@bias_add_op.gradient
def _(op, grad):
    return grad, bias_add_grad_op(grad, data_format=op.attrs["data_format"]) if is_wanted(op, 1) else None


@bias_add_v1_op.gradient
def _(op, grad):
    return grad, bias_add_grad_op(grad) if is_wanted(op, 1) else None


@bias_add_grad_op.gradient
def _(op, grad):
    shape = shape_ops.shape(op.inputs[0])
    if op.attrs["data_format"] == "NCHW":
        channels = shape_ops.shape(grad)
        grad = reshape_ops.reshape(grad, concat([channels, ones_like(shape[2:])], 0))
    return reshape_ops.broadcast_to(grad, shape)


# --- Public functions ---------------------------------------------------------------------------------------


@export("nn.bias_add")
def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """Adds one number a channel.

    Args:
      value: a numeric tensor of at least two dimensions.
      bias: a vector of the same dtype, as long as `value` has channels.
      data_format: "N...C" (default): the channels are the last dimension; "NC...": they are the second.
      name: the operation's name.

    Raises:
      ValueError: another data format, or the lengths differ.
    """
    with name_scope(name, "BiasAdd", [value, bias]) as scope:
        if data_format is None or data_format.startswith("N") and data_format.endswith("C"):
            known = "NHWC"
        elif data_format.startswith("NC"):
            known = "NCHW"
        else:
            raise ValueError("data_format must be of the form `N...C` or `NC...`")
        value = to_tensor(value, name="input")
        bias = to_tensor(bias, value.dtype.base_dtype, name="bias")
        return bias_add_op(value, bias, data_format=known, name=scope)


@export(v1=["nn.xw_plus_b"])
def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """matmul(x, weights) + biases.

    Args:
      x: a matrix [batch, inputs].
      weights: a matrix [inputs, outputs] of the same dtype.
      biases: a vector [outputs].
      name: the operation's name.
    """
    with name_scope(name, "xw_plus_b", [x, weights, biases]) as scope:
        product, biases = _product(x, weights, biases)
        return bias_add(product, biases, name=scope)


@export(v1=["nn.relu_layer"])
def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """relu(matmul(x, weights) + biases).

    Args:
      x: a matrix [batch, inputs].
      weights: a matrix [inputs, outputs] of the same dtype.
      biases: a vector [outputs].
      name: the operation's name.
    """
    with name_scope(name, "relu_layer", [x, weights, biases]) as scope:
        product, biases = _product(x, weights, biases)
        return relu(bias_add(product, biases), name=scope)


def _product(x: Any, weights: Any, biases: Any) -> tuple[Tensor, Tensor]:
    x, weights = to_tensor(x, name="x"), to_tensor(weights, name="weights")
    biases = to_tensor(biases, name="biases")
    return matmul(x, weights), biases
