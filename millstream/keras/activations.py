"""Keras's activation functions, and finding them by name."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.dtypes import float32
from millstream.core.export import export, export_value
from millstream.core.tensor import Tensor
from millstream.layers.arguments import linear
from millstream.ops import activation_ops, elementwise_ops, softmax_ops
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.constant_op import constant
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_max, reduce_sum
from millstream.ops.select_ops import where

export_value("millstream.layers.arguments", "linear", v1=["keras.activations.linear"])


@export(v1=["keras.activations.elu"])
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015)."""
    values = activation_ops.elu(x)
    return values if alpha == 1 else where(x > 0, values, alpha * values)


@export(v1=["keras.activations.exponential"])
def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return elementwise_ops.exp(x)


@export(v1=["keras.activations.hard_sigmoid"])
def hard_sigmoid(x: Any) -> Tensor:
    """`0.2 * x + 0.5`, cut off at 0 and 1: a coarse sigmoid."""
    return clip_by_value(x * constant(0.2, x.dtype.base_dtype) + constant(0.5, x.dtype.base_dtype), 0.0, 1.0)


@export(v1=["keras.activations.relu"])
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0) -> Tensor:
    """The positive part of `x`.

    Args:
      x: a floating point tensor.
      alpha: the slope below the threshold.
      max_value: the greatest value.
      threshold: where the positive part begins; values up to it become `alpha * (x - threshold)`.
    """
    if alpha and max_value is None and not threshold:
        return activation_ops.leaky_relu(x, alpha=alpha)
    below = activation_ops.relu(-x + threshold if threshold else -x) if alpha else None
    if threshold:
        x = x * cast(x > threshold, float32)
    elif max_value == 6:
        x, max_value = activation_ops.relu6(x), None
    else:
        x = activation_ops.relu(x)
    dtype = x.dtype.base_dtype
    if max_value is not None:
        limit = constant(max_value, dtype)
        x = clip_by_value(x, constant(0.0, dtype), limit)
    return x if below is None else x - constant(alpha, dtype) * below


@export(v1=["keras.activations.selu"])
def selu(x: Any) -> Tensor:
    """The exponential linear unit, scaled so that layers keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return activation_ops.selu(x)


@export(v1=["keras.activations.sigmoid"])
def sigmoid(x: Any) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    return elementwise_ops.sigmoid(x)


@export(v1=["keras.activations.softmax"])
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x), divided by its sum over `axis`.

    Raises:
      ValueError: `x` has less than two dimensions.
    """
    rank = x.shape.ndims
    if rank == 2:
        return softmax_ops.softmax(x)
    if rank < 2:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    weights = elementwise_ops.exp(x - reduce_max(x, axis=axis, keepdims=True))
    return weights / reduce_sum(weights, axis=axis, keepdims=True)


@export(v1=["keras.activations.softplus"])
def softplus(x: Any) -> Tensor:
    """`log(1 + exp(x))`."""
    return activation_ops.softplus(x)


@export(v1=["keras.activations.softsign"])
def softsign(x: Any) -> Tensor:
    """`x / (1 + |x|)`."""
    return activation_ops.softsign(x)


@export(v1=["keras.activations.tanh"])
def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return elementwise_ops.tanh(x)


_BY_NAME: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        elu, exponential, hard_sigmoid, linear, relu, selu, sigmoid, softmax, softplus, softsign, tanh,
    )
}  # fmt: skip


@export(v1=["keras.activations.serialize"])
def serialize(activation: Callable[..., Any]) -> str:
    """The name of an activation function."""
    return activation.__name__


@export(v1=["keras.activations.deserialize"])
def deserialize(name: str, custom_objects: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The activation function of that name.

    Args:
      name: what `serialize` gave.
      custom_objects: further functions by name.

    Raises:
      ValueError: the name is not known.
    """
    found = (custom_objects or {}).get(name) or _BY_NAME.get(name)
    if found is None:
        raise ValueError(f"Unknown activation function:{name}")
    return found


@export(v1=["keras.activations.get"])
def get(identifier: Any) -> Callable[..., Any]:
    """The activation function that a name or a function stands for; None is `linear`.

    Raises:
      TypeError: the identifier is not understood.
      ValueError: the name is not known.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise TypeError(f"Could not interpret activation function identifier: {identifier!r}")
