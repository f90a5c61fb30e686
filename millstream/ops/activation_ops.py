"""Activation functions of neural networks, elementwise."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.custom_gradient import custom_gradient
from millstream.core.dtypes import FLOATS, REAL_NUMERIC
from millstream.core.export import export, export_value
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.shape_rules import merged, same_as
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops
from millstream.ops.elementwise_ops import abs as abs_of
from millstream.ops.elementwise_ops import exp, sigmoid, sign, square, tanh
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import cast
from millstream.ops.select_ops import where
from millstream.ops.special_math_ops import erf

# Self-normalising networks' fixed point (Klambauer et al. 2017, equation 14).
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def _activation(
    op_type: str,
    types: Any,
    *names: str,
    kernel: Callable[..., Any],
    gradient: Callable[..., Any],
    doc: str,
    v1: Iterable[str] = (),
) -> Any:
    """Defines an operation of one tensor `features` and its public function.

    Args:
      op_type: the operation's type.
      types: the dtypes of `features`.
      *names: the public names.
      kernel: `kernel(xp, features)`.
      gradient: `gradient(op, grad)`.
      doc: what it computes, for the function's docstring.
      v1: public names of 1.x only.
    """
    kernel.__doc__ = doc
    definition = op(f"{op_type}(features: T) -> activations: T", T=types, shape=same_as(0))(kernel)
    definition.gradient(gradient)

    def function(features: Any, name: str | None = None) -> Tensor:
        return definition(features, name=name)

    function.__name__ = function.__qualname__ = names[0].rpartition(".")[2]
    function.definition = definition  # type: ignore[attr-defined]
    allowed = ", ".join(dtype.name for dtype in definition.attrs["T"].allowed or ())
    function.__doc__ = "\n".join((
        doc, "", "Args:", f"  features: a tensor of any shape; {allowed}.", "  name: the operation's name.",
        "", "Returns:", "  a tensor of the shape and dtype of `features`.",
    ))  # fmt: skip
    export_value(__name__, function.__name__, *names, v1=v1)
    return function


def _slope(op_type: str, second: str, types: Any, kernel: Callable[..., Any]) -> OpDef:
    """An operation that multiplies incoming gradients by an activation's slope.

    Args:
      op_type: the operation's type.
      second: what the slope is computed from: the activation's "features" or its "outputs".
      types: the dtypes.
      kernel: `kernel(xp, gradients, second)`.
    """
    return op(f"{op_type}(gradients: T, {second}: T) -> backprops: T", T=types, shape=merged)(kernel)


# --- Rectifiers ---------------------------------------------------------------------------------------------

# The slope of ReLU is the same for its input and its output: the output is kept, and the input may be freed.
relu = _activation(
    "Relu", (*REAL_NUMERIC, dtypes.qint8), "nn.relu",
    kernel=lambda xp, x: xp.maximum(x, 0),
    gradient=lambda op, grad: relu_grad_op(grad, op.outputs[0]),
    doc="The rectified linear unit, max(x, 0).",
)  # fmt: skip
relu6 = _activation(
    "Relu6", REAL_NUMERIC, "nn.relu6",
    kernel=lambda xp, x: xp.clip(x, 0, 6),
    gradient=lambda op, grad: relu6_grad_op(grad, op.outputs[0]),
    doc="min(max(x, 0), 6) (Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010).",
)  # fmt: skip


def _pass(xp: Any, grad: Any, where: Any) -> Any:
    return xp.where(where, grad, xp.zeros_like(grad))


relu_grad_op = _slope("ReluGrad", "features", REAL_NUMERIC, lambda xp, grad, x: _pass(xp, grad, x > 0))
relu6_grad_op = _slope(
    "Relu6Grad", "features", REAL_NUMERIC, lambda xp, grad, x: _pass(xp, grad, (x > 0) & (x < 6))
)


@relu_grad_op.gradient
def _(op, grad):
    return relu_grad_op(grad, op.inputs[1]), fill_ops.zeros_like(op.inputs[1])


@relu6_grad_op.gradient
def _(op, grad):
    return relu6_grad_op(grad, op.inputs[1]), fill_ops.zeros_like(op.inputs[1])


@op(
    "LeakyRelu(features: T, *, alpha: float = 0.2) -> activations: T",
    T="half bfloat16 float double = float", shape=same_as(0),
)  # fmt: skip
def leaky_relu_op(xp, features, *, alpha):
    return xp.where(features > 0, features, features * alpha)


@op(
    "LeakyReluGrad(gradients: T, features: T, *, alpha: float = 0.2) -> backprops: T",
    T="half bfloat16 float double = float", shape=merged,
)  # fmt: skip
def leaky_relu_grad_op(xp, gradients, features, *, alpha):
    return xp.where(features > 0, gradients, gradients * alpha)


@leaky_relu_op.gradient
def _(op, grad):
    return leaky_relu_grad_op(grad, op.inputs[0], alpha=op.attrs["alpha"])


@leaky_relu_grad_op.gradient
def _(op, grad):
    x = op.inputs[1]
    return leaky_relu_grad_op(grad, x, alpha=op.attrs["alpha"]), fill_ops.zeros_like(x)


@export("nn.leaky_relu")
def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """`features` where they are positive, else `alpha * features` (Maas et al. 2013).

    Args:
      features: a floating point tensor; integers become float32.
      alpha: the slope for negative numbers.
      name: the operation's name.
    """
    with name_scope(name, "LeakyRelu", [features, alpha]) as scope:
        features = _floating(to_tensor(features, name="features"))
        return leaky_relu_op(features, alpha=alpha, name=scope)


def _floating(features: Tensor) -> Tensor:
    if not features.dtype.is_integer:
        return features
    return cast(features, dtypes.float32)


@export(v1=["nn.crelu"])
def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """ReLU of the features and of their negatives, side by side (Shang et al. 2016).

    Args:
      features: a tensor of signed numbers.
      name: the operation's name.
      axis: the axis along which both are concatenated, which doubles it.
    """
    with name_scope(name, "CRelu", [features]) as scope:
        features = to_tensor(features, name="features")
        return relu(concat([features, -features], axis, name=scope))


@export(v2=["nn.crelu"])
def crelu_v2(features: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """`crelu` with the arguments in the order of 2.x."""
    return crelu(features, name, axis)


# --- Exponential units --------------------------------------------------------------------------------------

elu = _activation(
    "Elu", FLOATS, "nn.elu",
    kernel=lambda xp, x: xp.where(x < 0, xp.expm1(x), x),
    gradient=lambda op, grad: elu_grad_op(grad, op.outputs[0]),
    doc="exp(x) - 1 where x is negative, else x (Clevert et al. 2015).",
)  # fmt: skip
selu = _activation(
    "Selu", FLOATS, "nn.selu",
    kernel=lambda xp, x: xp.where(x < 0, _SELU_SCALE * _SELU_ALPHA * xp.expm1(x), _SELU_SCALE * x),
    gradient=lambda op, grad: selu_grad_op(grad, op.outputs[0]),
    doc="scale * alpha * (exp(x) - 1) for negative x, else scale * x (Klambauer et al. 2017).",
)  # fmt: skip
elu_grad_op = _slope(
    "EluGrad", "outputs", FLOATS, lambda xp, grad, y: xp.where(y < 0, grad * (y + 1), grad)
)
selu_grad_op = _slope(
    "SeluGrad", "outputs", FLOATS,
    lambda xp, grad, y: xp.where(y < 0, grad * (y + _SELU_SCALE * _SELU_ALPHA), grad * _SELU_SCALE),
)  # fmt: skip


def _where_negative(y: Tensor, value: Tensor) -> Tensor:
    """`value` where `y` is negative, else 0."""
    return where(y < 0, value, fill_ops.zeros_like(y))


@elu_grad_op.gradient
def _(op, grad):
    incoming, y = op.inputs
    return elu_grad_op(grad, y), _where_negative(y, grad * incoming)


@selu_grad_op.gradient
def _(op, grad):
    incoming, y = op.inputs
    return selu_grad_op(grad, y), _where_negative(y, grad * incoming)


# --- Smooth units -------------------------------------------------------------------------------------------

softplus = _activation(
    "Softplus", FLOATS, "math.softplus", "nn.softplus",
    kernel=lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))),
    gradient=lambda op, grad: softplus_grad_op(grad, op.inputs[0]),
    doc="log(exp(x) + 1), without overflow.",
)  # fmt: skip
softsign = _activation(
    "Softsign", FLOATS, "nn.softsign", "math.softsign",
    kernel=lambda xp, x: x / (xp.abs(x) + 1),
    gradient=lambda op, grad: softsign_grad_op(grad, op.inputs[0]),
    doc="x / (abs(x) + 1), with values between -1 and 1.",
)  # fmt: skip
softplus_grad_op = _slope("SoftplusGrad", "features", FLOATS, lambda xp, grad, x: grad / (xp.exp(-x) + 1))
softsign_grad_op = _slope(
    "SoftsignGrad", "features", FLOATS, lambda xp, grad, x: grad / ((1 + xp.abs(x)) * (1 + xp.abs(x)))
)


@softplus_grad_op.gradient
def _(op, grad):
    incoming, x = op.inputs
    return softplus_grad_op(grad, x), grad * incoming / (exp(-x) + 2 + exp(x))


@softsign_grad_op.gradient
def _(op, grad):
    incoming, x = op.inputs
    width = 1 + abs_of(x)
    return softsign_grad_op(grad, x), -2 * sign(x) * grad * incoming / (width * square(width))


@custom_gradient
def _swish(features):
    def gradient(dy):
        with control_dependencies([dy]):  # the sigmoid is computed again rather than kept
            probability = sigmoid(features)
        return dy * (probability * (1 + features * (1 - probability)))

    return features * sigmoid(features), gradient


@export(v1=["nn.swish"])
def swish(features: Any) -> Tensor:
    """x * sigmoid(x) (Ramachandran et al. 2017), computed anew in the gradient to save memory.

    Args:
      features: a floating point tensor.
    """
    return _swish(to_tensor(features, name="features"))


@export(v2=["nn.silu", "nn.swish"])
def silu(features: Any, beta: float = 1.0) -> Tensor:
    """x * sigmoid(beta * x) (Ramachandran et al. 2017; Elfwing et al. 2017).

    Args:
      features: a floating point tensor.
      beta: how steep the sigmoid is.
    """
    features = to_tensor(features, name="features")
    is_plain = isinstance(beta, float) and beta == 1.0
    return _swish(features) if is_plain else features * sigmoid(features * beta)


@export(v2=["nn.gelu"])
def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """x times the normal distribution's probability of less than x (Hendrycks and Gimpel 2016).

    Args:
      features: a floating point tensor.
      approximate: uses tanh in place of the error function.
      name: the scope of the operations.

    Raises:
      ValueError: integers.
    """
    with name_scope(name or "Gelu"):
        features = to_tensor(features, name="features")
        if not features.dtype.is_floating:
            raise ValueError(
                f"`features.dtype` must be a floating point tensor.Received:features.dtype={features.dtype}"
            )
        if approximate:
            cubic = features + 0.044715 * features * features * features
            return 0.5 * features * (1 + tanh(cubic * np.sqrt(2 / np.pi)))
        return 0.5 * features * (1 + erf(features / np.sqrt(2)))
