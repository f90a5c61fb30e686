"""What a shape rule sees of the operation that is being made."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core import static_values

if TYPE_CHECKING:
    import numpy as np

    from millstream.core.opdef import OpDef, Shape
    from millstream.core.tensor import Tensor


class ShapeContext:
    """Inputs and attributes of an operation, for its shape rule. Indices count flat input tensors."""

    __slots__ = ("definition", "inputs", "attrs")

    def __init__(self, definition: OpDef, inputs: tuple[Tensor, ...] | list[Tensor], attrs: dict[str, Any]) -> None:
        self.definition = definition
        self.inputs = inputs
        self.attrs = attrs

    @property
    def num_inputs(self) -> int:
        """The number of input tensors."""
        return len(self.inputs)

    def shape(self, index: int) -> Shape:
        """The static shape of an input."""
        return self.inputs[index]._shape

    def constant(self, index: int) -> np.ndarray[Any, Any] | None:
        """The value of an input where it is known when the graph is built, else None."""
        return static_values.small_constant_value(self.inputs[index])

    def constant_shape(self, index: int) -> Shape:
        """The value of an input read as a shape: entries that are not known are None; None where nothing is known."""
        return static_values.constant_value_as_shape(self.inputs[index])

    def attr(self, name: str) -> Any:
        """The value of an attribute."""
        return self.attrs[name]

    def require_rank(self, index: int, rank: int) -> Shape:
        """The shape of an input that must be of this rank; all dimensions unknown where nothing is known.

        Raises:
          ValueError: the rank differs.
        """
        shape = self.shape(index)
        if shape is None:
            return (None,) * rank
        if len(shape) != rank:
            raise ValueError(f"Shape must be rank {rank} but is rank {len(shape)}")
        return shape
