"""Initialisers: objects that build a variable's initial value from its shape.

Each is called with a shape and gives a tensor. Limits and standard deviations are computed in Python floats,
from
the *fans* of the shape: how many inputs and outputs a unit of a layer with such weights has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import DType, as_dtype, float32, string
from millstream.core.export import export
from millstream.core.opdef import find
from millstream.core.shapes import as_plain
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, diag_ops, elementwise_ops, fill_ops, random_ops, reshape_ops, slice_ops

# The standard deviation of a standard normal distribution cut off at two.
_TRUNCATED_STDDEV = 0.87962566103423978


@export(v1=["keras.initializers.Initializer"])
class Initializer:
    """Base of initialisers: call one with a shape to build the initial value.

    Subclasses name their settings in `_settings`.
    """

    dtype: DType = float32
    _settings: tuple[str, ...] = ()

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value.

        Args:
          shape: the shape, fully known.
          dtype: the dtype; default: that given to the initialiser.
          partition_info: which part of a larger variable it is for (`full_shape`, `var_offset`); None: no part.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initialiser, as plain Python data."""
        settings = {name: getattr(self, name) for name in self._settings}
        return {**settings, "dtype": self.dtype.name} if "dtype" in self.__dict__ else settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """The initialiser with these arguments."""
        return cls(**config)


def _floating(dtype: Any) -> DType:
    found = as_dtype(dtype)
    if not found.is_floating:
        raise ValueError(f"Expected floating point type, got {found}.")
    return found


@export(v1=["zeros_initializer", "initializers.zeros", "keras.initializers.Zeros", "keras.initializers.zeros"])
class Zeros(Initializer):
    """Zeros (False for bools, empty strings)."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        return fill_ops.zeros(shape, self.dtype if dtype is None else dtype)


@export(v1=["ones_initializer", "initializers.ones", "keras.initializers.Ones", "keras.initializers.ones"])
class Ones(Initializer):
    """Ones (True for bools)."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        return fill_ops.ones(shape, self.dtype if dtype is None else dtype)


@export(
    v1=[
        "constant_initializer",
        "initializers.constant",
        "keras.initializers.Constant",
        "keras.initializers.constant",
    ]
)
class Constant(Initializer):
    """Given values.

    Args:
      value: a number, or a list or array of them in row-major order; fewer than the shape holds are filled up
        with the last.
      dtype: the dtype.
      verify_shape: demands that `value` has just the shape that is asked for.

    Raises:
      TypeError: `value` is of another kind, or (when called) `verify_shape` fails.
      ValueError: (when called) there are more values than the shape holds.
    """

    _settings = ("value",)

    def __init__(self, value: Any = 0, dtype: Any = float32, verify_shape: bool = False) -> None:
        if not (np.isscalar(value) or isinstance(value, list | tuple | np.ndarray)):
            raise TypeError(
                f"Invalid type for initial value: {type(value)} "
                "(expected Python scalar, list or tuple of values, or numpy.ndarray)."
            )
        self.value = value
        self.dtype = as_dtype(dtype)
        self._verify_shape = verify_shape

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, verify_shape: bool | None = None
    ) -> Tensor:
        """Builds the value: see `Initializer`."""
        verify = self._verify_shape if verify_shape is None else verify_shape
        return constant_op.constant(
            self.value, self.dtype if dtype is None else dtype, shape=shape, verify_shape=verify
        )


@export(v1=["random_uniform_initializer", "initializers.random_uniform"])
class RandomUniform(Initializer):
    """Uniformly distributed in [minval, maxval).

    Args:
      minval: the lower bound.
      maxval: the upper bound; default 1 for floats, required for ints.
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: the dtype.
    """

    _settings = ("minval", "maxval", "seed")

    def __init__(self, minval: Any = 0, maxval: Any = None, seed: int | None = None, dtype: Any = float32) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        wanted = self.dtype if dtype is None else dtype
        return random_ops.random_uniform(shape, self.minval, self.maxval, wanted, seed=self.seed)


class _Normal(Initializer):
    """What the normal and the truncated normal initialiser have in common."""

    _settings = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed
        self.dtype = _floating(dtype)


@export(v1=["random_normal_initializer", "initializers.random_normal"])
class RandomNormal(_Normal):
    """Normally distributed.

    Args:
      mean: the mean.
      stddev: the standard deviation.
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        wanted = self.dtype if dtype is None else dtype
        return random_ops.random_normal(shape, self.mean, self.stddev, wanted, seed=self.seed)


@export(v1=["truncated_normal_initializer", "initializers.truncated_normal"])
class TruncatedNormal(_Normal):
    """Normally distributed, values beyond two standard deviations drawn again.

    Args:
      mean: the mean before the cut.
      stddev: the standard deviation before the cut.
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        wanted = self.dtype if dtype is None else dtype
        return random_ops.truncated_normal(shape, self.mean, self.stddev, wanted, seed=self.seed)


@export(v1=["uniform_unit_scaling_initializer", "initializers.uniform_unit_scaling"])
class UniformUnitScaling(Initializer):
    """Uniform in ±sqrt(3 / inputs) * factor, which keeps the scale of activations (Sussillo 2014).

    Args:
      factor: the factor, which depends on the layer's activation.
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    _settings = ("factor", "seed")

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        self.factor = factor
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        inputs = max(1.0, float(math.prod(_whole(shape, partition_info)[:-1])))
        limit = math.sqrt(3 / inputs) * self.factor
        wanted = self.dtype if dtype is None else dtype
        return random_ops.random_uniform(shape, -limit, limit, wanted, seed=self.seed)


@export(v1=["variance_scaling_initializer", "initializers.variance_scaling", "keras.initializers.VarianceScaling"])
class VarianceScaling(Initializer):
    """Random values with the variance scale / n.

    Args:
      scale: a positive number.
      mode: what n is: "fan_in" (inputs of a unit), "fan_out" (its outputs) or "fan_avg" (their mean).
      distribution: "truncated_normal" or "normal" (cut at two standard deviations), "untruncated_normal",
        "uniform".
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.

    Raises:
      ValueError: an argument is not among these.
    """

    _settings = ("scale", "mode", "distribution", "seed")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = float32,
    ) -> None:
        if scale <= 0.0:
            raise ValueError("`scale` must be positive float.")
        mode, distribution = mode.lower(), distribution.lower()
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError("Invalid `mode` argument:", mode)
        if distribution not in ("normal", "uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError("Invalid `distribution` argument:", distribution)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`."""
        wanted = self.dtype if dtype is None else dtype
        fan_in, fan_out = compute_fans(_whole(shape, partition_info))
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random_ops.random_uniform(shape, -limit, limit, wanted, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random_ops.random_normal(shape, 0.0, math.sqrt(variance), wanted, seed=self.seed)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return random_ops.truncated_normal(shape, 0.0, stddev, wanted, seed=self.seed)


def _known(shape: Any) -> Sequence[int]:
    """A shape as numbers."""
    if isinstance(shape, Tensor):
        len(shape)  # type: ignore[arg-type]  # a tensor has no length: the error says so
    return as_plain(shape)  # type: ignore[return-value]


def _whole(shape: Any, partition_info: Any) -> Sequence[int]:
    """The shape of the variable that an initial value is a part of, by which random values are scaled."""
    return _known(shape if partition_info is None else partition_info.full_shape)


def compute_fans(shape: Sequence[int]) -> tuple[float, float]:
    """The numbers of inputs and outputs of a unit of a layer whose weights have this shape.

    The last two dimensions are inputs and outputs, those before (of a filter) multiply both.
    """
    if len(shape) < 1:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    window = math.prod(shape[:-2])
    return float(shape[-2] * window), float(shape[-1] * window)


@export(v1=["glorot_uniform_initializer", "initializers.glorot_uniform", "keras.initializers.glorot_uniform"])
class GlorotUniform(VarianceScaling):
    """Uniform in ±sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010): the default of `tf.get_variable`.

    Args:
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    _settings = ("seed",)

    def __init__(self, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, dtype)


@export(v1=["glorot_normal_initializer", "initializers.glorot_normal", "keras.initializers.glorot_normal"])
class GlorotNormal(VarianceScaling):
    """Truncated normal with the variance 2 / (inputs + outputs) (Glorot and Bengio 2010).

    Args:
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    _settings = ("seed",)

    def __init__(self, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, dtype)


@export(v1=["initializers.lecun_normal", "keras.initializers.lecun_normal"])
def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with the variance 1 / inputs (LeCun et al. 1998)."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


@export(v1=["initializers.lecun_uniform", "keras.initializers.lecun_uniform"])
def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform in ±sqrt(3 / inputs) (LeCun et al. 1998)."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


@export(v1=["initializers.he_normal", "keras.initializers.he_normal"])
def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with the variance 2 / inputs, for relu layers (He et al. 2015)."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


@export(v1=["initializers.he_uniform", "keras.initializers.he_uniform"])
def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform in ±sqrt(6 / inputs), for relu layers (He et al. 2015)."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


@export(
    v1=[
        "orthogonal_initializer",
        "initializers.orthogonal",
        "keras.initializers.Orthogonal",
        "keras.initializers.orthogonal",
    ]
)
class Orthogonal(Initializer):
    """A random orthogonal matrix, or one with orthonormal rows or columns (Saxe et al. 2014).

    All dimensions but the last count as rows.

    Args:
      gain: a factor.
      seed: the operation's seed; see `tf.set_random_seed`.
      dtype: a floating-point dtype.
    """

    _settings = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        self.gain = gain
        self.dtype = _floating(dtype)
        self.seed = seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`. ValueError for fewer than two dimensions."""
        known = _known(shape)
        if len(known) < 2:
            raise ValueError("The tensor to initialize must be at least two-dimensional")
        rows, columns = math.prod(known[:-1]), known[-1]
        wanted = self.dtype if dtype is None else dtype
        tall = random_ops.random_normal((max(rows, columns), min(rows, columns)), dtype=wanted, seed=self.seed)
        q, r = find("Qr")(tall, full_matrices=False)
        # The signs make the distribution uniform over orthogonal matrices.
        q = q * elementwise_ops.sign(diag_ops.tensor_diag_part(r))
        if rows < columns:
            q = reshape_ops.matrix_transpose(q)
        return self.gain * reshape_ops.reshape(q, shape)


@export(v1=["initializers.identity", "keras.initializers.Identity", "keras.initializers.identity"])
class Identity(Initializer):
    """The identity matrix, with zeros where it is not square.

    Args:
      gain: a factor.
      dtype: a floating-point dtype.
    """

    _settings = ("gain",)

    def __init__(self, gain: float = 1.0, dtype: Any = float32) -> None:
        self.gain = gain
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Builds the value: see `Initializer`. ValueError unless there are two dimensions."""
        whole = _whole(shape, partition_info)
        if len(whole) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        matrix = fill_ops.eye(*whole, dtype=self.dtype if dtype is None else dtype)
        if partition_info is not None:
            matrix = slice_ops.slice_(matrix, partition_info.var_offset, shape)
        return self.gain * matrix


def default_initializer(name: str, dtype: DType) -> Initializer:
    """The initialiser of a variable that is given none: Glorot's uniform one for floats, else zeros.

    Raises:
      ValueError: there is none for the dtype (complex and quantised types).
    """
    if dtype.is_floating:
        return GlorotUniform()
    if dtype.is_integer or dtype.is_bool or dtype is string:
        return Zeros()
    raise ValueError(f"An initializer for variable {name} of {dtype} is required")
