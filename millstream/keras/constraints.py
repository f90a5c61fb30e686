"""Keras's constraints: functions that optimisers apply to weights after each update."""
from __future__ import annotations

from typing import Any

from millstream.core.dtypes import float32
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.keras.serialization import as_data, from_data
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.elementwise_ops import sqrt, square
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_sum

_EPSILON = 1e-7  # what keeps norms from being 0


@export(v1=["keras.constraints.Constraint"])
class Constraint:
    """Base of the constraints."""

    def __call__(self, w: Any) -> Any:
        """The value that the weights are set to."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {}


def _norms(w: Any, axis: Any) -> Tensor:
    return sqrt(reduce_sum(square(w), axis=axis, keepdims=True))


@export(v1=["keras.constraints.MaxNorm", "keras.constraints.max_norm"])
class MaxNorm(Constraint):
    """Scales the weights of each unit so that their norm is at most `max_value`.

    Args:
      max_value: the greatest norm.
      axis: the axis, or axes, of the weights of one unit: 0 for dense layers, [0, 1, 2] for convolutions.
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (clip_by_value(norms, 0.0, float(self.max_value)) / (_EPSILON + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"max_value": self.max_value, "axis": self.axis}


@export(v1=["keras.constraints.NonNeg", "keras.constraints.non_neg"])
class NonNeg(Constraint):
    """Sets negative weights to 0."""

    def __call__(self, w: Any) -> Any:
        return w * cast(w >= 0.0, float32)


@export(v1=["keras.constraints.UnitNorm", "keras.constraints.unit_norm"])
class UnitNorm(Constraint):
    """Scales the weights of each unit so that their norm is 1.

    Args:
      axis: as for `MaxNorm`.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (_EPSILON + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"axis": self.axis}


@export(v1=["keras.constraints.MinMaxNorm", "keras.constraints.min_max_norm"])
class MinMaxNorm(Constraint):
    """Scales the weights of each unit so that their norm comes nearer to an interval.

    Args:
      min_value, max_value: the interval.
      rate: how far each step goes: 1 all the way.
      axis: as for `MaxNorm`.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        inside = clip_by_value(norms, float(self.min_value), float(self.max_value))
        return w * ((self.rate * inside + (1 - self.rate) * norms) / (_EPSILON + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


_BY_NAME: dict[str, Any] = {
    "Constraint": Constraint,
    "MaxNorm": MaxNorm, "max_norm": MaxNorm, "maxnorm": MaxNorm,
    "MinMaxNorm": MinMaxNorm, "min_max_norm": MinMaxNorm,
    "NonNeg": NonNeg, "non_neg": NonNeg, "nonneg": NonNeg,
    "UnitNorm": UnitNorm, "unit_norm": UnitNorm, "unitnorm": UnitNorm,
}  # fmt: skip


@export(v1=["keras.constraints.serialize"])
def serialize(constraint: Any) -> Any:
    """A constraint as plain data: `{"class_name": …, "config": …}`."""
    return as_data(constraint)


@export(v1=["keras.constraints.deserialize"])
def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that `serialize` wrote, or that has this name.

    Args:
      config: what `serialize` gave, or a name.
      custom_objects: further classes by name.

    Raises:
      ValueError: the name is not known.
    """
    return from_data(config, _BY_NAME, custom_objects, "constraint")


@export(v1=["keras.constraints.get"])
def get(identifier: Any) -> Any:
    """The constraint that a name, a configuration or a function stands for; None stays None.

    Raises:
      ValueError: the identifier is not understood.
    """
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret constraint identifier: {identifier}")
