"""Norms: the L2 loss, normalisation to length 1, and local response normalisation."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.conversion import to_tensor
from millstream.core.dtypes import FLOATS
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.core.tensor import Tensor
from millstream.ops import lrn_kernels
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import maximum, multiply
from millstream.ops.elementwise_ops import rsqrt, square
from millstream.ops.reduction_ops import reduce_sum


@op("L2Loss(t: T) -> output: T", T=FLOATS, shape=scalar)
def l2_loss_op(xp, t):
    wide = t.astype(np.float32) if t.dtype.itemsize == 2 else t
    return xp.sum(wide * wide) / 2


@l2_loss_op.gradient
def _(op, grad):
    return op.inputs[0] * grad


@export("nn.l2_loss")
def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half of the squared L2 norm, `sum(t ** 2) / 2`, a scalar.

    Args:
      t: a floating point tensor of any shape.
      name: the operation's name.
    """
    return l2_loss_op(t, name=name)


@export("math.l2_normalize", "nn.l2_normalize", "linalg.l2_normalize")
def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """`x` divided by its L2 norm over some axes, `x / sqrt(max(sum(x ** 2), epsilon))`.

    Args:
      x: a floating point tensor.
      axis: an axis or a list of axes; default: all.
      epsilon: the least squared norm that is divided by.
      name: the operation's name.
      dim: old name of `axis`.
    """
    axis = renamed("axis", axis, "dim", dim)
    with name_scope(name, "l2_normalize", [x]) as scope:
        x = to_tensor(x, name="x")
        squared_norm = reduce_sum(square(x), axis, keepdims=True)
        return multiply(x, rsqrt(maximum(squared_norm, epsilon)), name=scope)


# --- Local response normalisation ---------------------------------------------------------------------------

_LRN_ATTRS = "depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5"
_LRN_TYPES = "half bfloat16 float = float"


def _rank_4(c: ShapeContext) -> Any:
    return c.require_rank(0, 4)


@op(f"LRN(input: T, *, {_LRN_ATTRS}) -> output: T", T=_LRN_TYPES, shape=_rank_4)
def lrn_op(xp, input, *, depth_radius, bias, alpha, beta):
    if input.ndim != 4:
        raise ValueError("in must be 4-dimensional")
    return lrn_kernels.normalize.on(xp)(input, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)


@op(
    f"LRNGrad(input_grads: T, input_image: T, output_image: T, *, {_LRN_ATTRS}) -> output: T",
    T=_LRN_TYPES, shape=_rank_4,
)  # fmt: skip
def lrn_grad_op(xp, input_grads, input_image, output_image, *, depth_radius, bias, alpha, beta):
    options = {"depth_radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta}
    return lrn_kernels.gradient.on(xp)(input_grads, input_image, output_image, **options)


@lrn_op.gradient
def _(op, grad):
    attrs = {name: op.attrs[name] for name in ("depth_radius", "bias", "alpha", "beta")}
    return lrn_grad_op(grad, op.inputs[0], op.outputs[0], **attrs)


@export("nn.local_response_normalization", "nn.lrn")
def local_response_normalization(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1,
    alpha: float = 1,
    beta: float = 0.5,
    name: str | None = None,
) -> Tensor:
    """Divides each number by a power of the squares around it, across channels (Krizhevsky et al. 2012, 3.3).

    `input / (bias + alpha * sum(input[..., d - depth_radius : d + depth_radius + 1] ** 2)) ** beta`

    Args:
      input: float32, float16 or bfloat16, shape [batch, height, width, channels].
      depth_radius: how many channels on either side count.
      bias: keeps the divisor from being 0.
      alpha: the scale of the sum of squares.
      beta: the power.
      name: the operation's name.
    """
    return lrn_op(input, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta, name=name)
