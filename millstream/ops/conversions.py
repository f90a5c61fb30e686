"""How shapes, lists that hold tensors, and `IndexedSlices` become tensors."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import register_tensor_conversion_function
from millstream.core.dtypes import DType
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.cast_ops import cast

_INT32_MAX = 2**31 - 1
# A gradient of more elements than this is worth a warning when it is made dense.
_LARGE = 100_000_000

# --- Shapes -------------------------------------------------------------------------------------------------


def shape_vector(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """A fully defined `TensorShape` as an int32 vector, or int64 where a dimension needs it.

    Raises:
      ValueError: a dimension is unknown, or too large for `dtype`.
      TypeError: `dtype` is neither int32 nor int64.
    """
    if not value.is_fully_defined():
        raise ValueError(f"Cannot convert a partially known TensorShape to a Tensor: {value}")
    dims = value.as_list()
    large = next((dim for dim in dims if dim > _INT32_MAX), None)
    if dtype is None:
        dtype = dtypes.int32 if large is None else dtypes.int64
    elif dtype not in (dtypes.int32, dtypes.int64):
        raise TypeError(f"Cannot convert a TensorShape to dtype: {dtype}")
    elif dtype is dtypes.int32 and large is not None:
        raise ValueError(f"Cannot convert a TensorShape to dtype int32; a dimension is too large ({large})")
    return constant_op.constant(dims, dtype, name=name or "shape_as_tensor")


def _dimension_scalar(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """A known `Dimension` as an int32 (or int64) scalar."""
    if value.value is None:
        raise ValueError(f"Cannot convert an unknown Dimension to a Tensor: {value}")
    if dtype not in (None, dtypes.int32, dtypes.int64):
        raise TypeError(f"Cannot convert a TensorShape to dtype: {dtype}")
    return constant_op.constant(value.value, dtype or dtypes.int32, name=name or "shape_as_tensor")


# --- Lists that hold tensors --------------------------------------------------------------------------------


def _is_dense(value: Any) -> bool:
    """Whether this is a tensor or a variable."""
    return isinstance(value, Tensor) or getattr(value, "_is_dense_tensor_like", False)


def _dtype_in(value: Any) -> DType | None:
    """The dtype of the first tensor in nested lists, None where there is none."""
    for item in value:
        if _is_dense(item):
            return item.dtype.base_dtype
        if isinstance(item, (list, tuple)):
            found = _dtype_in(item)
            if found is not None:
                return found
    return None


def _packed_list(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """Stacks a list that holds tensors, at any depth, into one tensor."""
    if as_ref:
        return NotImplemented
    found = _dtype_in(value)
    if found is None:
        return NotImplemented
    if dtype is not None and dtype is not found:
        value = _cast_tensors(value, dtype)
    return _pack(value, dtype or found, name or "packed")


def _cast_tensors(value: Any, dtype: DType) -> Any:
    if isinstance(value, (list, tuple)):
        return [_cast_tensors(item, dtype) for item in value]
    return cast(value, dtype) if _is_dense(value) else value


def _pack(values: Any, dtype: DType, name: str) -> Any:
    """A `Pack` of the elements where there is a tensor among them; else the elements, still as a list."""
    from millstream.ops.join_ops import pack_op

    with name_scope(name) as scope:
        parts: list[Any] = []
        for index, item in enumerate(values):
            if _is_dense(item):
                if item.dtype.base_dtype is not dtype:
                    raise TypeError(
                        f"Cannot convert a list containing a tensor of dtype {item.dtype} to {dtype} "
                        f"(Tensor is: {item!r})"
                    )
            elif isinstance(item, (list, tuple)):
                item = _pack(item, dtype, str(index))
            parts.append(item)
        if not any(_is_dense(item) for item in parts):
            return parts
        tensors = [
            item if _is_dense(item) else constant_op.constant(item, dtype, name=str(index))
            for index, item in enumerate(parts)
        ]
        return pack_op(tensors, name=scope)


# --- IndexedSlices ------------------------------------------------------------------------------------------


def _dense_from_slices(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """The whole tensor that some rows belong to: the sum of rows at each index, zeros elsewhere.

    Raises:
      ValueError: another dtype is wanted, or the shape of the whole is not known.
    """
    import warnings

    from millstream.core.static_values import constant_value
    from millstream.ops.segment_ops import unsorted_segment_sum

    if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(value.dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {dtypes.as_dtype(dtype).name} for IndexedSlices with dtype "
            f"{value.dtype.name}"
        )
    if value.dense_shape is None:
        raise ValueError(
            f"Tensor conversion requested for IndexedSlices without dense_shape: {value}"
        )
    shape = constant_value(value.dense_shape)
    if shape is None:
        warnings.warn(
            "Converting sparse IndexedSlices to a dense Tensor of unknown shape. "
            "This may consume a large amount of memory.",
            stacklevel=2,
        )
    elif (count := int(np.prod(shape, dtype=np.int64))) >= _LARGE:
        warnings.warn(
            f"Converting sparse IndexedSlices to a dense Tensor with {count} elements. "
            "This may consume a large amount of memory.",
            stacklevel=2,
        )
    return unsorted_segment_sum(value.values, value.indices, value.dense_shape[0], name=name)


register_tensor_conversion_function(shapes.TensorShape, shape_vector)
register_tensor_conversion_function(shapes.Dimension, _dimension_scalar)
register_tensor_conversion_function((list, tuple), _packed_list, 99)
register_tensor_conversion_function(IndexedSlices, _dense_from_slices)
