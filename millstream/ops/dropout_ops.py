"""Dropout, and the share of zeros in a tensor."""
from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor, TensorLike
from millstream.ops import shape_ops
from millstream.ops.arguments import renamed
from millstream.ops.identity_ops import identity
from millstream.ops.math_ops import cast
from millstream.ops.random_ops import random_uniform
from millstream.ops.reduction_ops import count_nonzero_v2
from millstream.ops.select_ops import where_v2
from millstream.ops.stateless_random import stateless_uniform_v2

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


@export(v2=["nn.dropout"])
def dropout_v2(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Sets each element to 0 with probability `rate`, and scales the others up by `1 / (1 - rate)`.

    Args:
      x: a floating point tensor.
      rate: the probability that an element is dropped, a number in [0, 1) or a scalar tensor.
      noise_shape: a shape that broadcasts to that of `x`: elements that share a draw stay or go together.
      seed: with the global seed, makes the draws repeatable.
      name: the scope of the operations.

    Returns:
      a tensor of the shape and dtype of `x`; `x` itself where `rate` is the number 0.

    Raises:
      ValueError: `rate` is out of range or not of the dtype of `x`; `x` is not floating point.

    Example:
      >>> hidden = tf.nn.dropout(hidden, rate=0.2)
    """

    def draw(shape: Any, dtype: DType) -> Tensor:
        return random_uniform(shape, dtype=dtype, seed=seed)

    return _dropout(x, rate, draw, noise_shape, name or "dropout")


@export(v2=["nn.experimental.stateless_dropout"])
def stateless_dropout(
    x: Any, rate: Any, seed: Any, rng_alg: Any = None, noise_shape: Any = None, name: str | None = None
) -> Tensor:
    """`tf.nn.dropout` whose draws depend on nothing but a seed.

    Args:
      x, rate, noise_shape, name: as for `tf.nn.dropout`.
      seed: two integers, int32 or int64 of shape [2].
      rng_alg: the generator, see `tf.random.Algorithm`.
    """

    def draw(shape: Any, dtype: DType) -> Tensor:
        return stateless_uniform_v2(shape, seed, dtype=dtype, alg=rng_alg)

    return _dropout(x, rate, draw, noise_shape, name or "stateless_dropout")


@export(v2=["nn.experimental.general_dropout"])
def general_dropout(
    x: Any, rate: Any, uniform_sampler: Callable[..., Any], noise_shape: Any = None, name: str | None = None
) -> Tensor:
    """`tf.nn.dropout` with draws from a function.

    Args:
      x, rate, noise_shape, name: as for `tf.nn.dropout`.
      uniform_sampler: `f(shape=…, dtype=…)` gives uniform numbers in [0, 1).

    Example:
      >>> g = tf.random.Generator.from_seed(1)
      >>> y = tf.nn.experimental.general_dropout(x, 0.5, g.uniform)
    """

    def draw(shape: Any, dtype: DType) -> Tensor:
        return to_tensor(uniform_sampler(shape=shape, dtype=dtype))

    return _dropout(x, rate, draw, noise_shape, name or "general_dropout")


def _dropout(x: Any, rate: Any, draw: Callable[[Any, DType], Tensor], noise_shape: Any, name: str) -> Tensor:
    """Dropout of 2.x: what is dropped becomes 0, whatever it was; in 1.x NaN and infinity become NaN."""
    with name_scope(name):
        x = to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(
                f"`x.dtype` must be a floating point tensor as `x` will be scaled. Received: x_dtype={x.dtype}"
            )
        if isinstance(rate, numbers.Real):
            if not 0 <= rate < 1:
                raise ValueError(
                    f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}"
                )
            if rate == 0:
                return x
            scaled = x * (1 / (1 - float(rate)))
        else:
            rate = _rate_tensor(rate, x)
            scaled = x / (1 - rate)
        kept = draw(_noise_shape(x, noise_shape), x.dtype) >= rate
        result = where_v2(kept, scaled, np.zeros((), x.dtype.as_numpy_dtype))
        result.set_shape(x._shape)
        return result


def _rate_tensor(rate: Any, x: Tensor) -> Tensor:
    if not isinstance(rate, (TensorLike, np.ndarray)):
        raise ValueError(f"`rate` must be a scalar or scalar tensor. Received: rate={rate}")
    rate = to_tensor(rate, name="rate")
    rate.shape.assert_has_rank(0)
    if rate.dtype.base_dtype is not x.dtype.base_dtype:
        raise ValueError(
            f"`x.dtype` must be compatible with `rate.dtype`. Received: x.dtype={x.dtype} and "
            f"rate.dtype={rate.dtype}"
        )
    return rate


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
