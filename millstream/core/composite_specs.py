"""The specs of sparse tensors and of indexed slices."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import context, dtypes, shapes
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.shapes import TensorShape
from millstream.core.sparse_tensor import SparseTensor, SparseTensorValue
from millstream.core.tensor_spec import TensorSpec
from millstream.core.type_spec import TypeSpec, register_type_spec_from_value_converter


@export("SparseTensorSpec")
class SparseTensorSpec(TypeSpec):
    """What is known of a `SparseTensor`.

    Args:
      shape: the static shape of the whole, or None.
      dtype: the dtype of its elements.

    Example:
      >>> tf.SparseTensorSpec([2, None], tf.int32)
      SparseTensorSpec(TensorShape([2, None]), tf.int32)
    """

    def __init__(self, shape: Any = None, dtype: Any = dtypes.float32) -> None:
        self._shape = shapes.as_plain(shape)
        self._dtype = dtypes.as_dtype(dtype)

    @classmethod
    def from_value(cls, value: Any) -> SparseTensorSpec:
        """The spec of a `SparseTensor` or `SparseTensorValue`.

        Raises:
          TypeError: it is neither.
        """
        if isinstance(value, SparseTensor):
            return cls(value.shape, value.dtype)
        if isinstance(value, SparseTensorValue):
            values = value.values if isinstance(value.values, np.ndarray) else np.array(value.values)
            return cls(value.dense_shape, dtypes.from_numpy(values.dtype))
        kind = type(value).__name__
        raise TypeError(f"Expected SparseTensor or SparseTensorValue. Received: {value} of type {kind}.")

    @property
    def shape(self) -> TensorShape:
        """The static shape of the whole."""
        return TensorShape(self._shape)

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of the elements."""
        return self._dtype

    @property
    def value_type(self) -> type:
        """`tf.SparseTensor`."""
        return SparseTensor

    def _serialize(self) -> tuple[Any, ...]:
        return self.shape, self._dtype

    @property
    def _component_specs(self) -> Any:
        rank = None if self._shape is None else len(self._shape)
        return [
            TensorSpec([None, rank], dtypes.int64),
            TensorSpec([None], self._dtype),
            TensorSpec([rank], dtypes.int64),
        ]

    def _to_components(self, value: Any) -> Any:
        if isinstance(value, SparseTensorValue):
            value = SparseTensor.from_value(value)
        return [value.indices, value.values, value.dense_shape]

    def _from_components(self, components: Any) -> Any:
        if not context.executing_eagerly() and all(isinstance(part, np.ndarray) for part in components):
            return SparseTensorValue(*components)
        return SparseTensor(*components)


@export("IndexedSlicesSpec")
class IndexedSlicesSpec(TypeSpec):
    """What is known of an `IndexedSlices`.

    Args:
      shape: the static shape of the whole, or None.
      dtype: the dtype of the rows.
      indices_dtype: int32 or int64.
      dense_shape_dtype: the dtype of its `dense_shape`; None where it has none.
      indices_shape: the shape of the indices, one dimension: how many rows there are.
    """

    def __init__(
        self,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        indices_dtype: Any = dtypes.int64,
        dense_shape_dtype: Any = None,
        indices_shape: Any = None,
    ) -> None:
        self._shape = shapes.as_plain(shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._indices_dtype = dtypes.as_dtype(indices_dtype)
        self._dense_shape_dtype = None if dense_shape_dtype is None else dtypes.as_dtype(dense_shape_dtype)
        self._indices_shape = shapes.with_rank(shapes.as_plain(indices_shape), 1)

    @classmethod
    def from_value(cls, value: IndexedSlices) -> IndexedSlicesSpec:
        """The spec of an `IndexedSlices`. Without its `dense_shape`, how many rows the whole has is not known."""
        values, dense_shape = value.values._shape, value.dense_shape
        if dense_shape is not None:
            shape = shapes.as_plain(value.shape)
        else:
            shape = values and (None, *values[1:])
        dense_type = None if dense_shape is None else dense_shape.dtype
        return cls(shape, value.dtype, value.indices.dtype, dense_type, value.indices._shape)

    @property
    def value_type(self) -> type:
        """`tf.IndexedSlices`."""
        return IndexedSlices

    def _serialize(self) -> tuple[Any, ...]:
        return (
            TensorShape(self._shape),
            self._dtype,
            self._indices_dtype,
            self._dense_shape_dtype,
            TensorShape(self._indices_shape),
        )

    @property
    def _component_specs(self) -> Any:
        rows = None if self._shape is None else self._indices_shape + self._shape[1:]
        specs = TensorSpec(rows, self._dtype), TensorSpec(self._indices_shape, self._indices_dtype)
        if self._dense_shape_dtype is None:
            return specs
        rank = None if self._shape is None else len(self._shape)
        return (*specs, TensorSpec([rank], self._dense_shape_dtype))

    def _to_components(self, value: Any) -> Any:
        parts = value.values, value.indices
        return parts if value.dense_shape is None else (*parts, value.dense_shape)

    def _from_components(self, components: Any) -> Any:
        return IndexedSlices(*components)


register_type_spec_from_value_converter(SparseTensorValue, SparseTensorSpec.from_value)
