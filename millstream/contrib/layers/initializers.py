"""Initialisers that scale random weights by the size of a layer."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.ops.random_ops import random_uniform, truncated_normal

Initializer = Callable[..., Tensor]


@export(v1=["contrib.layers.xavier_initializer", "contrib.layers.xavier_initializer_conv2d"])
def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = dtypes.float32) -> Initializer:
    """An initialiser that keeps the scale of gradients about the same in all layers (Glorot and Bengio 2010).

    Args:
      uniform: uniform between +- sqrt(6 / (inputs + outputs)), else normal with that variance, truncated.
      seed: the random seed.
      dtype: a floating point dtype.

    Raises:
      TypeError: `dtype` is not floating point.
    """
    return variance_scaling_initializer(factor=1.0, mode="FAN_AVG", uniform=uniform, seed=seed, dtype=dtype)


@export(v1=["contrib.layers.variance_scaling_initializer"])
def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
    dtype: Any = dtypes.float32,
) -> Initializer:
    """An initialiser whose variance is `factor / n`, with n the number of a unit's inputs or outputs.

    The defaults are those of He et al. 2015.

    Args:
      factor: the variance times n.
      mode: what n is: "FAN_IN", the inputs; "FAN_OUT", the outputs; "FAN_AVG", their mean.
      uniform: uniform, else normal, truncated at two standard deviations.
      seed: the random seed.
      dtype: a floating point dtype.

    Returns:
      a function of shape, and optionally dtype and partition_info.

    Raises:
      TypeError: `dtype` is not floating point, or `mode` is unknown.
    """
    default = dtypes.as_dtype(dtype)
    if not default.is_floating:
        raise TypeError("Cannot create initializer for non-floating point type.")
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")

    def initializer(shape: Any, dtype: Any = default, partition_info: Any = None) -> Tensor:
        if not dtypes.as_dtype(dtype).is_floating:
            raise TypeError("Cannot create initializer for non-floating point type.")
        variance = factor / _fan(shapes.as_plain(shape) or (), mode)
        if uniform:
            limit = math.sqrt(3.0 * variance)
            return random_uniform(shape, -limit, limit, dtype, seed=seed)
        # Truncation at two standard deviations takes about a quarter of the variance away.
        return truncated_normal(shape, 0.0, math.sqrt(1.3 * variance), dtype, seed=seed)

    return initializer


def _fan(shape: tuple[Any, ...], mode: str) -> float:
    """How many inputs or outputs a unit has, of weights [..., inputs, outputs]."""
    field = float(math.prod(shape[:-2]))
    inputs = field * (shape[-2] if len(shape) > 1 else shape[-1] if shape else 1)
    outputs = field * (shape[-1] if shape else 1)
    return {"FAN_IN": inputs, "FAN_OUT": outputs, "FAN_AVG": (inputs + outputs) / 2.0}[mode]
