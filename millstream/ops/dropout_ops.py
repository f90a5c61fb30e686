"""Dropout, and the share of zeros in a tensor."""
from __future__ import annotations

import numbers
from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import shape_ops
from millstream.ops.arguments import renamed
from millstream.ops.identity_ops import identity
from millstream.ops.math_ops import cast
from millstream.ops.random_ops import random_uniform
from millstream.ops.reduction_ops import count_nonzero_v2

_MOST_WARNINGS = 5
_warnings = 0


@export(v1=["nn.dropout"])
def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: int | None = None,
    name: str | None = None,
    rate: Any = None,
) -> Tensor:
    """Sets each element to 0 with probability `1 - keep_prob`, and scales the others up by `1 / keep_prob`.

    Args:
      x: a floating point tensor.
      keep_prob: the probability that an element is kept, a number or scalar tensor of the dtype of `x`.
      noise_shape: a shape that broadcasts to that of `x`: elements that share a draw stay or go together.
      seed: the operation's random seed, see `tf.set_random_seed`.
      name: the scope of the operations.
      rate: `1 - keep_prob`, in its place.

    Returns:
      a tensor of the shape and dtype of `x`; `x` itself where nothing is to be dropped.

    Raises:
      ValueError: no probability, or one out of range; `x` is not floating point.

    Example:
      >>> hidden = tf.nn.dropout(hidden, keep_prob=0.8)
    """
    try:
        drop = None if keep_prob is None else 1.0 - keep_prob
    except TypeError:
        message = f"keep_prob must be a floating point number or Tensor (got {keep_prob!r})"
        raise ValueError(message) from None
    rate = renamed("rate", rate, "keep_prob", drop)
    if rate is None:
        raise ValueError("You must provide a rate to dropout.")
    return dropout_v2(x, rate, noise_shape, seed, name)


@export(v2=["nn.dropout"])
def dropout_v2(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Sets each element to 0 with probability `rate`, and scales the others up by `1 / (1 - rate)`.

    Args:
      x: a floating point tensor.
      rate: the probability that an element is dropped, a number in [0, 1) or a scalar tensor.
      noise_shape: a shape that broadcasts to that of `x`: elements that share a draw stay or go together.
      seed: the operation's random seed.
      name: the scope of the operations.

    Returns:
      a tensor of the shape and dtype of `x`; `x` itself where `rate` is known to be 0.

    Raises:
      ValueError: `rate` is out of range; `x` is not floating point.
    """
    with name_scope(name, "dropout", [x]):
        x = to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(
                "x has to be a floating point tensor since it's going to be scaled. "
                f"Got a {x.dtype} tensor instead."
            )
        if isinstance(rate, numbers.Real):
            _check_rate(float(rate))
            if rate == 0:
                return x
        rate = to_tensor(rate, x.dtype.base_dtype, name="rate")
        rate.get_shape().assert_has_rank(0)
        if constant_value(rate) == 0:
            return x
        draws = random_uniform(_noise_shape(x, noise_shape), seed=seed, dtype=x.dtype)
        scale = 1 / (1 - rate)
        kept = draws >= rate
        result = x * scale * cast(kept, x.dtype)
        result.set_shape(x._shape)
        return result


def _check_rate(rate: float) -> None:
    global _warnings
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be a scalar tensor or a float in the range [0, 1), got {rate:g}")
    if rate > 0.5 and _warnings < _MOST_WARNINGS:
        _warnings += 1
        tensorflow_logger().warning(
            "Large dropout rate: %g (>0.5). In TensorFlow 2.x, dropout() uses dropout rate instead of "
            "keep_prob. Please ensure that this is intended.",
            rate,
        )


def _noise_shape(x: Tensor, noise_shape: Any) -> Any:
    """The shape of the random draws, as much of it as possible statically."""
    if noise_shape is None:
        return shape_ops.shape(x)
    try:
        wanted = shapes.as_plain(noise_shape)
    except (TypeError, ValueError):
        return noise_shape
    if wanted is None or x._shape is None or len(wanted) != len(x._shape):
        return noise_shape
    merged = tuple(of_x if dim is None else dim for dim, of_x in zip(wanted, x._shape, strict=True))
    return shapes.TensorShape(merged)


@export("math.zero_fraction", "nn.zero_fraction")
def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are 0, a float32 scalar: how sparse activations are. NaN for no elements.

    Args:
      value: a numeric tensor of any shape.
      name: the scope of the operations.
    """
    with name_scope(name, "zero_fraction", [value]):
        value = to_tensor(value, name="value")
        size = shape_ops.size(value, out_type=dtypes.int64)
        nonzero = count_nonzero_v2(value, dtype=dtypes.int64)
        with name_scope("counts_to_fraction"):
            zeros = cast(size - nonzero, dtypes.float32)
            fraction = zeros / cast(size, dtypes.float32)
        return identity(fraction, "fraction")
