"""An operator that finds its shape from the dimensions of what it is made of."""

from __future__ import annotations

import abc
from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.linalg.dimensions import Dims, as_shape, as_vector, dims_of
from millstream.linalg.linear_operator import LinearOperator

_HINTS = ("is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square")


class SizedOperator(LinearOperator):
    """Base class of the operators here."""

    def _initialize(self, dtype: Any, arguments: dict[str, Any], **found: Any) -> None:
        """What every constructor does in the end.

        Args:
          dtype: the operator's.
          arguments: those of the constructor; hints and the name are among them.
          **found: hints, or a name, that follow from other arguments.
        """
        hints = {hint: found.get(hint, arguments[hint]) for hint in _HINTS}
        name = found.get("name", arguments["name"])
        LinearOperator.__init__(self, dtype, None, **hints, name=name, parameters=arguments)

    @abc.abstractmethod
    def _dims(self) -> Dims:
        """All dimensions, [..., rows, columns]: numbers where they are known, else scalar tensors."""

    @property
    def _batch_dims(self) -> Dims:
        return dims_of(self)[:-2]

    def _shape(self) -> TensorShape:
        return TensorShape(as_shape(self._dims()))

    def _shape_tensor(self) -> Tensor:
        return to_tensor(as_vector(self._dims()), dtypes.int32)
