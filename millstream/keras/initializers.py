"""Keras's initialisers: those of `tf.initializers`, some with other defaults, and finding them by name."""

from __future__ import annotations

from typing import Any

from millstream.core.dtypes import float32
from millstream.core.export import export
from millstream.keras.serialization import as_data, from_data
from millstream.ops import init_ops
from millstream.ops.init_ops import Initializer


@export(v1=["keras.initializers.RandomNormal", "keras.initializers.normal", "keras.initializers.random_normal"])
class RandomNormal(init_ops.RandomNormal):
    """Normally distributed, by default with stddev 0.05; see `tf.random_normal_initializer`."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(mean, stddev, seed, dtype)


@export(v1=["keras.initializers.RandomUniform", "keras.initializers.uniform", "keras.initializers.random_uniform"])
class RandomUniform(init_ops.RandomUniform):
    """Uniformly distributed, by default in [-0.05, 0.05); see `tf.random_uniform_initializer`."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None, dtype: Any = float32
    ) -> None:
        super().__init__(minval, maxval, seed, dtype)


@export(v1=["keras.initializers.TruncatedNormal", "keras.initializers.truncated_normal"])
class TruncatedNormal(init_ops.TruncatedNormal):
    """Truncated normal, by default with stddev 0.05; see `tf.truncated_normal_initializer`."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(mean, stddev, seed, dtype)


_BY_NAME: dict[str, Any] = {
    "Initializer": Initializer,
    "Constant": init_ops.Constant,
    "GlorotNormal": init_ops.GlorotNormal,
    "GlorotUniform": init_ops.GlorotUniform,
    "Identity": init_ops.Identity,
    "Ones": init_ops.Ones,
    "Orthogonal": init_ops.Orthogonal,
    "RandomNormal": RandomNormal,
    "RandomUniform": RandomUniform,
    "TruncatedNormal": TruncatedNormal,
    "UniformUnitScaling": init_ops.UniformUnitScaling,
    "VarianceScaling": init_ops.VarianceScaling,
    "Zeros": init_ops.Zeros,
    "constant": init_ops.Constant,
    "glorot_normal": init_ops.GlorotNormal,
    "glorot_uniform": init_ops.GlorotUniform,
    "he_normal": init_ops.he_normal,
    "he_uniform": init_ops.he_uniform,
    "identity": init_ops.Identity,
    "lecun_normal": init_ops.lecun_normal,
    "lecun_uniform": init_ops.lecun_uniform,
    "normal": RandomNormal,
    "one": init_ops.Ones,
    "ones": init_ops.Ones,
    "orthogonal": init_ops.Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "uniform": RandomUniform,
    "zero": init_ops.Zeros,
    "zeros": init_ops.Zeros,
}


@export(v1=["keras.initializers.serialize"])
def serialize(initializer: Initializer) -> dict[str, Any]:
    """An initialiser as plain data: `{"class_name": …, "config": …}`."""
    return as_data(initializer)


@export(v1=["keras.initializers.deserialize"])
def deserialize(config: dict[str, Any] | str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initialiser that `serialize` wrote, or that has this name.

    Args:
      config: what `serialize` gave, or a name.
      custom_objects: further classes or functions by name.

    Raises:
      ValueError: the name is not known.
    """
    return from_data(config, _BY_NAME, custom_objects, "initializer")


@export(v1=["keras.initializers.get"])
def get(identifier: Any) -> Any:
    """The initialiser that a name, a configuration or a function stands for; None stays None.

    Raises:
      ValueError: the identifier is not understood.

    Example:
      >>> tf.keras.initializers.get("zeros")([2]).shape
      TensorShape([Dimension(2)])
    """
    if identifier is None:
        return None
    if isinstance(identifier, str | dict):
        return deserialize(identifier)
    if callable(identifier):
        return identifier() if isinstance(identifier, type) else identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")
