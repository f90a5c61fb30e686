"""`SparseTensor`: the non-zero elements of a tensor and where they are."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from millstream.core import dtypes, shapes, static_values
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.type_spec import CompositeTensor, TypeSpec

if TYPE_CHECKING:
    from millstream.core.dtypes import DType
    from millstream.core.graph import Graph
    from millstream.core.operation import Operation
    from millstream.core.tensor import Tensor


@export(v1=["SparseTensorValue"])
class SparseTensorValue(NamedTuple):
    """The value of a `SparseTensor`, as `Session.run` takes and gives it: NumPy arrays."""

    indices: Any
    values: Any
    dense_shape: Any


@export("SparseTensor", "sparse.SparseTensor")
class SparseTensor(CompositeTensor):
    """A tensor of which only some elements are not zero.

    Args:
      indices: int64 [n, rank], the places of the elements, usually in row-major order.
      values: [n] of any dtype, the elements.
      dense_shape: int64 [rank], the shape of the whole.

    Raises:
      ValueError: the static shapes do not match.

    Example:
      >>> tf.SparseTensor(indices=[[0, 0], [1, 2]], values=[1, 2], dense_shape=[3, 4])
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        with name_scope(None, "SparseTensor", [indices, values, dense_shape]):
            self._indices: Tensor = to_tensor(indices, dtype=dtypes.int64, name="indices")
            self._values: Tensor = to_tensor(values, name="values")
            self._dense_shape: Tensor = to_tensor(dense_shape, dtype=dtypes.int64, name="dense_shape")
        places = shapes.with_rank(self._indices._shape, 2)
        shapes.merge((places[0],), shapes.with_rank(self._values._shape, 1))
        shapes.merge((places[1],), shapes.with_rank(self._dense_shape._shape, 1))

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A `SparseTensor` of constants from a `SparseTensorValue`; a `SparseTensor` passes."""
        if isinstance(sparse_tensor_value, SparseTensor):
            return sparse_tensor_value
        if not isinstance(sparse_tensor_value, SparseTensorValue):
            raise TypeError(f"Neither a SparseTensor nor SparseTensorValue: {sparse_tensor_value}.")
        return cls(*sparse_tensor_value)

    @property
    def indices(self) -> Tensor:
        """The places of the elements, int64 [n, rank]."""
        return self._indices

    @property
    def values(self) -> Tensor:
        """The elements, [n]."""
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        """The shape of the whole, int64 [rank]."""
        return self._dense_shape

    @property
    def shape(self) -> shapes.TensorShape:
        """The static shape of the whole."""
        return shapes.TensorShape(static_values.constant_value_as_shape(self._dense_shape))

    def get_shape(self) -> shapes.TensorShape:
        """The static shape of the whole."""
        return self.shape

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return self._values.dtype

    @property
    def _type_spec(self) -> TypeSpec:
        from millstream.core.composite_specs import SparseTensorSpec

        return SparseTensorSpec.from_value(self)

    @property
    def op(self) -> Operation:
        """The operation that gives the elements."""
        return self._values.op

    @property
    def graph(self) -> Graph:
        """The graph that holds it."""
        return self._indices.graph

    def eval(self, feed_dict: dict[Any, Any] | None = None, session: Any = None) -> SparseTensorValue:
        """Runs the graph for its value in `session` or in the default session.

        Raises:
          ValueError: there is no default session, or it runs another graph.
        """
        from millstream.core import session_stack

        return session_stack.session_for(self.graph, session, "evaluate tensor", "eval").run(self, feed_dict)

    def __str__(self) -> str:
        return f"SparseTensor(indices={self._indices!s}, values={self._values!s}, dense_shape={self._dense_shape!s})"

    __repr__ = __str__


@export(v1=["convert_to_tensor_or_sparse_tensor", "contrib.framework.convert_to_tensor_or_sparse_tensor"])
def convert_to_tensor_or_sparse_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Like `tf.convert_to_tensor`, but leaves sparse values sparse.

    Raises:
      RuntimeError: a sparse value has another dtype than `dtype`.
    """
    if isinstance(value, SparseTensorValue):
        value = SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        return to_tensor(value, dtype, name)
    if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(value.dtype):
        raise RuntimeError(f"Sparse dtype: requested = {dtypes.as_dtype(dtype).name}, actual = {value.dtype.name}")
    return value
