"""`IndexedSlices`: some rows of a tensor, the form of the gradient of a lookup."""
from __future__ import annotations

from typing import TYPE_CHECKING

from millstream.core.export import export
from millstream.core.type_spec import CompositeTensor, TypeSpec

if TYPE_CHECKING:
    from millstream.core.dtypes import DType
    from millstream.core.graph import Graph
    from millstream.core.operation import Operation
    from millstream.core.shapes import TensorShape
    from millstream.core.tensor import Tensor


@export("IndexedSlices")
class IndexedSlices(CompositeTensor):
    """Rows of a larger tensor: `dense[indices[i]] += values[i]`; indices may repeat.

    Attributes:
      values: [n, d1, …] of any dtype.
      indices: [n] of int32 or int64.
      dense_shape: the shape of the whole as a vector, or None.
    """

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Tensor | None = None) -> None:
        self._values = values
        self._indices = indices
        self._dense_shape = dense_shape

    @property
    def values(self) -> Tensor:
        """The rows."""
        return self._values

    @property
    def indices(self) -> Tensor:
        """Which rows they are."""
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        """The shape of the whole, or None."""
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        """The static shape of the whole."""
        from millstream.core import shapes, static_values

        if self._dense_shape is None:
            return shapes.TensorShape(None)
        return shapes.TensorShape(static_values.constant_value_as_shape(self._dense_shape))

    @property
    def _type_spec(self) -> TypeSpec:
        from millstream.core.composite_specs import IndexedSlicesSpec

        return IndexedSlicesSpec.from_value(self)

    @property
    def name(self) -> str:
        """The name of `values`."""
        return self._values.name

    @property
    def device(self) -> str:
        """The device of `values`."""
        return self._values.device

    @property
    def op(self) -> Operation:
        """The operation that gives `values`."""
        return self._values.op

    @property
    def dtype(self) -> DType:
        """The dtype of `values`."""
        return self._values.dtype

    @property
    def graph(self) -> Graph:
        """The graph that holds it."""
        return self._values.graph

    def __str__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape!s}"
        return f"IndexedSlices(indices={self._indices!s}, values={self._values!s}{shape})"

    __repr__ = __str__

    def __neg__(self) -> IndexedSlices:
        from millstream.core import opdef

        return IndexedSlices(opdef.find("Neg")(self._values), self._indices, self._dense_shape)

    def _as_graph_element(self) -> Tensor:
        return self._values
