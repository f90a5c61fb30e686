"""Keras' regularisers: penalties on weights (or activations) that are added to the loss."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export, export_value
from millstream.core.tensor import Tensor
from millstream.keras.serialization import as_data, from_data
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import abs as abs_of
from millstream.ops.elementwise_ops import square
from millstream.ops.reduction_ops import reduce_sum


@export("keras.regularizers.Regularizer")
class Regularizer:
    """A function from a tensor to a scalar penalty; this one gives 0."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """The regulariser that `get_config` describes."""
        return cls(**config)


@export("keras.regularizers.L1L2")
class L1L2(Regularizer):
    """`l1 * sum(abs(x)) + l2 * sum(x ** 2)`.

    Args:
      l1, l2: the factors.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1), float(l2)

    def __call__(self, x: Any) -> Tensor:
        if not self.l1 and not self.l2:
            return constant(0.0)
        penalty: Any = 0.0
        if self.l1:
            penalty += self.l1 * reduce_sum(abs_of(x))
        if self.l2:
            penalty += self.l2 * reduce_sum(square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"l1": self.l1, "l2": self.l2}


@export(v2=["keras.regularizers.L1", "keras.regularizers.l1"])
class L1(L1L2):
    """`l1 * sum(abs(x))`."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"l1": self.l1}


@export(v2=["keras.regularizers.L2", "keras.regularizers.l2"])
class L2(L1L2):
    """`l2 * sum(x ** 2)`."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"l2": self.l2}


def l1(l: float = 0.01) -> L1L2:  # noqa: E741 - the public name
    """A regulariser that gives `l * sum(abs(x))`."""
    return L1L2(l1=l)


def l2(l: float = 0.01) -> L1L2:  # noqa: E741 - the public name
    """A regulariser that gives `l * sum(x ** 2)`."""
    return L1L2(l2=l)


export_value(__name__, "l1", v1=["keras.regularizers.l1"])
export_value(__name__, "l2", v1=["keras.regularizers.l2"])


@export("keras.regularizers.l1_l2")
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """A regulariser that gives `l1 * sum(abs(x)) + l2 * sum(x ** 2)`."""
    return L1L2(l1=l1, l2=l2)


_BY_NAME: dict[str, Any] = {"L1L2": L1L2, "Regularizer": Regularizer, "l1": l1, "l2": l2, "l1_l2": l1_l2}


@export(v1=["keras.regularizers.serialize"])
def serialize(regularizer: Any) -> Any:
    """A regulariser as plain data: `{"class_name": …, "config": …}`."""
    return as_data(regularizer)


@export(v1=["keras.regularizers.deserialize"])
def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regulariser that `serialize` wrote.

    Args:
      config: what `serialize` gave.
      custom_objects: further classes by name.

    Raises:
      ValueError: the name is not known.
    """
    return from_data(config, _BY_NAME, custom_objects, "regularizer")


@export(v1=["keras.regularizers.get"])
def get(identifier: Any) -> Any:
    """The regulariser that a name, a configuration or a function stands for; None stays None.

    Raises:
      ValueError: the identifier is not understood.

    Example:
      >>> tf.keras.regularizers.get("l2").get_config()
      {'l1': 0.0, 'l2': 0.01}
    """
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")
