"""The initialisers of 2.x: objects that build a variable's initial value from its shape, the dtype given with the call.

One with a seed gives the same values with every call.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.dtypes import DType
from millstream.core.export import export_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, fill_ops, random_ops, stateless_random

_PARTITION = ("partition_shape", "partition_offset")


class Initializer:
    """Base of initialisers: call one with a shape to build the initial value.

    Subclasses name their settings in `_settings` and define `_build`.
    """

    _settings: tuple[str, ...] = ()
    _takes_partitions = True

    def __call__(self, shape: Any, dtype: Any = dtypes.float32, **kwargs: Any) -> Tensor:
        """Builds the value.

        Args:
          shape: the shape, fully known.
          dtype: the dtype.
          **kwargs: `partition_shape`: the shape of the part of the whole that is wanted; `partition_offset`: where
            it begins.

        Raises:
          TypeError: other keywords.
          ValueError: the initialiser cannot make this dtype.
        """
        for name in kwargs:
            if name not in _PARTITION:
                raise TypeError(f"Keyword argument should be one of {list(_PARTITION)}. Received: {name}")
        if kwargs and not self._takes_partitions:
            raise ValueError(f"{type(self).__name__} initializer doesn't support partition-related arguments")
        return self._build(kwargs.get("partition_shape") or shape, None if dtype is None else dtypes.as_dtype(dtype))

    def _build(self, shape: Any, dtype: Any) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initialiser, as plain Python data."""
        return {name: getattr(self, name) for name in self._settings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """The initialiser with these arguments; a `dtype` among them is left out."""
        return cls(**{name: value for name, value in config.items() if name != "dtype"})


def _numeric(dtype: DType) -> DType:
    if not dtype.is_numpy_compatible or dtype is dtypes.string:
        raise ValueError(f"Argument `dtype` expected to be numeric or boolean. Received {dtype}.")
    return dtype


class Zeros(Initializer):
    """Zeros (False for bools).

    Example:
      >>> tf.Variable(tf.zeros_initializer()(shape=[3]))
    """

    def _build(self, shape: Any, dtype: DType) -> Tensor:
        return fill_ops.zeros(shape, _numeric(dtype))


class Ones(Initializer):
    """Ones (True for bools)."""

    def _build(self, shape: Any, dtype: DType) -> Tensor:
        return fill_ops.ones(shape, _numeric(dtype))


class Constant(Initializer):
    """Given values.

    Args:
      value: a number, or a list or array of as many as the shape has elements.
      support_partition: whether parts of the whole may be built.

    Raises:
      TypeError: `value` is of another kind; or, when called, has another number of elements.
    """

    _settings = ("value",)

    def __init__(self, value: Any = 0, support_partition: bool = False) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value).__name__}. "
                "Expected Python scalar, list or tuple of values, or numpy.ndarray."
            )
        self.value = value
        self._takes_partitions = support_partition

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        """Builds the value: see `Initializer`; the default dtype is that of `value`."""
        return super().__call__(shape, dtype, **kwargs)

    def _build(self, shape: Any, dtype: DType | None) -> Tensor:
        return constant_op.constant_v2(self.value, dtype, shape)


class RandomUniform(Initializer):
    """Uniformly distributed in [minval, maxval).

    Args:
      minval: the lower bound.
      maxval: the upper bound.
      seed: makes the values the same with every call; default: new values, by `tf.random.set_seed`.
    """

    _settings = ("minval", "maxval", "seed")

    def __init__(self, minval: Any = -0.05, maxval: Any = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def _build(self, shape: Any, dtype: DType) -> Tensor:
        if not (dtype.is_floating or dtype.is_integer):
            raise ValueError(f"Argument `dtype` expected to be numeric or boolean. Received {dtype}.")
        if self.seed is None:
            return random_ops.random_uniform(shape, self.minval, self.maxval, dtype)
        return stateless_random.stateless_uniform_v2(shape, [self.seed, 0], self.minval, self.maxval, dtype)


class RandomNormal(Initializer):
    """Normally distributed.

    Args:
      mean: the mean.
      stddev: the standard deviation.
      seed: makes the values the same with every call; default: new values, by `tf.random.set_seed`.
    """

    _settings = ("mean", "stddev", "seed")

    def __init__(self, mean: Any = 0.0, stddev: Any = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def _build(self, shape: Any, dtype: DType) -> Tensor:
        if not dtype.is_floating:
            raise ValueError(f"Argument `dtype` is expected to be floating point. Received: {dtype}.")
        if self.seed is None:
            return random_ops.random_normal(shape, self.mean, self.stddev, dtype)
        return stateless_random.stateless_normal_v2(shape, [self.seed, 0], self.mean, self.stddev, dtype)


for _class, _name in (
    (Zeros, "zeros"), (Ones, "ones"), (Constant, "constant"),
    (RandomUniform, "random_uniform"), (RandomNormal, "random_normal"),
):  # fmt: skip
    export_value(__name__, _class.__name__, v2=[f"{_name}_initializer"])
