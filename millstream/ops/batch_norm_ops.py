"""Batch normalisation (Ioffe and Szegedy 2015), composed of elementwise operations."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.elementwise_ops import rsqrt
from millstream.ops.math_ops import cast


@export("nn.batch_normalization")
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
    """`scale * (x - mean) / sqrt(variance + variance_epsilon) + offset`.

    Args:
      x: a floating point tensor.
      mean, variance: what is taken off and divided by; shapes that broadcast with `x`.
      offset: added at the end, or None; shape as `mean`.
      scale: a factor, or None; shape as `mean`.
      variance_epsilon: keeps the divisor from being 0.
      name: the scope of the operations.

    Example:
      >>> mean, variance = tf.nn.moments(x, [0])
      >>> tf.nn.batch_normalization(x, mean, variance, offset=beta, scale=gamma, variance_epsilon=1e-3)
    """
    with name_scope(name, "batchnorm", [x, mean, variance, scale, offset]):
        factor = rsqrt(variance + variance_epsilon)
        if scale is not None:
            factor *= scale
        scaled = x * cast(factor, x.dtype)
        return scaled + cast(offset - mean * factor if offset is not None else -mean * factor, x.dtype)


@export(v2=["nn.batch_norm_with_global_normalization"])
def batch_norm_with_global_normalization_v2(
    input: Any,
    mean: Any,
    variance: Any,
    beta: Any,
    gamma: Any,
    variance_epsilon: float,
    scale_after_normalization: bool,
    name: str | None = None,
) -> Tensor:
    """`batch_normalization` under an older name.

    Args:
      input: a floating point tensor, shape [..., channels].
      mean, variance: vectors [channels].
      beta: what is added at the end, a vector [channels].
      gamma: the factor, a vector [channels]; used if `scale_after_normalization`.
      variance_epsilon: keeps the divisor from being 0.
      scale_after_normalization: whether to multiply with `gamma`.
      name: the scope of the operations.
    """
    scale = gamma if scale_after_normalization else None
    return batch_normalization(input, mean, variance, beta, scale, variance_epsilon, name)


@export(v1=["nn.batch_norm_with_global_normalization"])
def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: Any = None,
    scale_after_normalization: Any = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """`batch_normalization` under an older name.

    Args:
      t, input: a floating point tensor, shape [..., channels].
      m, mean: a vector [channels].
      v, variance: a vector [channels].
      beta, gamma, variance_epsilon, scale_after_normalization, name: see the 2.x function.
    """
    return batch_norm_with_global_normalization_v2(
        renamed("input", input, "t", t), renamed("mean", mean, "m", m), renamed("variance", variance, "v", v),
        beta, gamma, variance_epsilon, scale_after_normalization, name,
    )  # fmt: skip
