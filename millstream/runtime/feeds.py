"""Feeds: values that a run is given, checked against the tensors that they stand for."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.graph import Graph
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor, TensorLike

Converter = Callable[[Any], Any]


def feed_tensor(graph: Graph, key: Any) -> Tensor:
    """The tensor that a key of a feed dictionary stands for.

    Raises:
      TypeError: it stands for no tensor of this graph.
      ValueError: the tensor must not be fed.
    """
    try:
        tensor: Tensor = graph.as_graph_element(key, allow_operation=False)
    except (KeyError, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {reason}") from None
    if not graph.is_feedable(tensor):
        raise ValueError(f"Tensor {tensor} may not be fed.")
    return tensor


def converter_for(tensor: Tensor) -> Converter:
    """A function that makes a fed value into an array of the tensor's dtype and checks its shape."""
    base = tensor.dtype.base_dtype
    if base in (dtypes.resource, dtypes.variant):
        return lambda value: value
    if base is dtypes.string:
        return lambda value: _checked_shape(tensor, _string_array(value))
    wanted = np.dtype(base.as_numpy_dtype)
    if wanted.names:  # quantised values are plain integers inside the runtime
        return lambda value: _checked_shape(tensor, _quantised(value, wanted))
    shape = tensor._shape
    fixed = shape if shapes.is_fully_defined(shape) else None

    def convert(value: Any) -> Any:
        if type(value) is np.ndarray and value.dtype == wanted:
            if value.shape == fixed:
                return value
            return _checked_shape(tensor, value)
        return _checked_shape(tensor, _numeric_array(tensor, value, wanted))

    return convert


def _numeric_array(tensor: Tensor, value: Any, wanted: np.dtype[Any]) -> Any:
    if isinstance(value, (TensorLike, Operation)):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, "
            f"strings, lists, numpy ndarrays, or TensorHandles. For reference, the tensor object was {value} "
            f"which was passed to the feed with key {tensor}."
        )
    try:
        array = np.asarray(value)
        if array.dtype == object and array.ndim == 0 or array.dtype.kind in "SU":
            array = np.asarray(value, wanted)
        converted = array if array.dtype == wanted else _cast(array, wanted)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}\nReceived: a feed for Tensor {tensor.name!r} of dtype {tensor.dtype.name}.") from None
    if isinstance(value, int) and not isinstance(value, bool) and converted.item() != value:
        _raise_incompatible(value, wanted.type)
    return converted


def _cast(array: np.ndarray[Any, Any], wanted: np.dtype[Any]) -> np.ndarray[Any, Any]:
    with np.errstate(invalid="ignore", over="ignore"):
        if array.dtype.kind == "c" and wanted.kind != "c":
            array = array.real
        return array.astype(wanted)


def _raise_incompatible(value: Any, wanted: type) -> NoReturn:
    raise TypeError(
        f"Type of feed value {value} with type {type(value)} is not compatible with Tensor type {wanted}. "
        "Try explicitly setting the type of the feed tensor to a larger type (e.g. int64)."
    )


def _string_array(value: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(value, object)
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        item = array[index]
        if isinstance(item, str):
            item = item.encode()
        elif not isinstance(item, bytes):
            _raise_incompatible(item, object)
        result[index] = item
    return result


def _quantised(value: Any, wanted: np.dtype[Any]) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    return array.view(wanted[0]) if array.dtype == wanted else array.astype(wanted[0])


def _checked_shape(tensor: Tensor, array: Any) -> Any:
    shape = tensor._shape
    if shape is not None and not shapes.is_compatible(shape, array.shape):
        raise ValueError(
            f"Cannot feed value of shape {array.shape!r} for Tensor {tensor.name!r}, "
            f"which has shape '{shapes.TensorShape(shape)}'"
        )
    return array


def to_user(value: Any, tensor: Tensor) -> Any:
    """A fetched value as the caller gets it: a writable array of his own, or a scalar."""
    if type(value) is not np.ndarray:
        array = np.array(value)
    elif value.ndim:
        array = value.copy()
    else:
        array = value
    if tensor.dtype.is_quantized:
        array = array.view(tensor.dtype.base_dtype.as_numpy_dtype)
    return array if array.ndim else array[()]
