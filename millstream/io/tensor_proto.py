"""Tensor values as TensorProto messages and back, byte for byte as TensorFlow writes them.

Most numeric types put arrays of several elements into `tensor_content`, raw and little-endian; single values
and the other types go one by one into the field of their type, where the last value stands for all that are
missing.  Reading checks every count against the shape before it allocates anything.
"""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from millstream.core import convert, dtypes
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.io import proto

_LARGEST_TENSOR = 2**31  # bytes; no message can be larger
_LARGEST_FILL = 2**28  # bytes that the repetition of a value may take in memory
_HIGHEST_RANK = 64  # of NumPy's arrays
_SLAB = 1 << 16  # elements that are Python objects at the same time


class _Layout(NamedTuple):
    """How the elements of a dtype are written."""

    field: str
    stored: type | None = None  # NumPy type of what the field holds where that is not the dtype itself
    raw: bool = True  # whether several elements go into tensor_content
    width: int = 1  # field values per element


_LAYOUTS: dict[str, _Layout] = {
    "float32": _Layout("float_val"),
    "float64": _Layout("double_val"),
    "int32": _Layout("int_val"),
    "uint8": _Layout("int_val"),
    "int16": _Layout("int_val"),
    "int8": _Layout("int_val"),
    "uint16": _Layout("int_val", raw=False),
    "int64": _Layout("int64_val"),
    "uint32": _Layout("uint32_val"),
    "uint64": _Layout("uint64_val"),
    "bool": _Layout("bool_val", raw=False),
    "string": _Layout("string_val", raw=False),
    "complex64": _Layout("scomplex_val", np.float32, raw=False, width=2),
    "complex128": _Layout("dcomplex_val", np.float64, raw=False, width=2),
    "float16": _Layout("half_val", np.uint16, raw=False),
    "bfloat16": _Layout("half_val", np.uint16, raw=False),
    "qint8": _Layout("int_val", np.int8),
    "quint8": _Layout("int_val", np.uint8),
    "qint16": _Layout("int_val", np.int16),
    "quint16": _Layout("int_val", np.uint16),
    "qint32": _Layout("int_val", np.int32),
}
_VALUE_FIELDS = sorted({layout.field for layout in _LAYOUTS.values()})


@export("make_tensor_proto", v1=["contrib.util.make_tensor_proto"])
def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Iterable[Any] | None = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """Makes a TensorProto of Python or NumPy values.

    Args:
      values: whatever `tf.constant` takes; a TensorProto is returned as it is.
      dtype: the type wanted; by default it follows from the values.
      shape: the shape wanted; fewer values than it has elements are written as they are, and whoever reads
        them repeats the last one.
      verify_shape: the values must have exactly this shape.
      allow_broadcast: the values must have this shape, or be a single one.

    Returns:
      A `TensorProto`; `make_ndarray` turns it back.

    Raises:
      TypeError: values that do not become `dtype`, or that lack the shape that was to be verified.
      ValueError: None, ragged lists, more values than `shape` holds, or 2 GB and more.
    """
    if allow_broadcast and verify_shape:
        raise ValueError("allow_broadcast and verify_shape are not both allowed.")
    if isinstance(values, proto.TensorProto):
        return values
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    array = convert.to_numpy(values, wanted)
    if shape is None:
        return to_proto(array)
    dims = tuple(int(dim) for dim in shape)
    if array.shape != dims and (verify_shape or (allow_broadcast and array.size != 1)):
        raise TypeError(f"Expected Tensor's shape: {dims}, got {array.shape}.")
    convert.check_element_count(array.size, dims)
    return _encode(array, dims)


@export("make_ndarray", v1=["contrib.util.make_ndarray"])
def make_ndarray(tensor: Any) -> np.ndarray:
    """Makes a NumPy array of the value of a TensorProto.

    Args:
      tensor: a `TensorProto` of any type but resource and variant.

    Returns:
      An array of its shape and type, strings as an object array of `bytes`.  It may be written to, but for
      a single value that is repeated over more than 256 MB: that is read-only and takes the memory of one.

    Raises:
      TypeError: the message names no type that NumPy has.
      ValueError: the values do not fit the shape, or the shape is absurd.
    """
    array = from_proto(tensor)
    if array.flags.writeable or (_is_repetition(array) and array.nbytes > _LARGEST_FILL):
        return array
    return array.copy()


def to_proto(array: np.ndarray) -> Any:
    """Encodes an array as a TensorProto; one value broadcast to a shape is written once."""
    once = array[(slice(0, 1),) * array.ndim] if _is_repetition(array) else array
    return _encode(once, array.shape)


def _is_repetition(array: np.ndarray) -> bool:
    return array.size > 1 and not any(array.strides)


def _encode(array: np.ndarray, dims: tuple[int, ...]) -> Any:
    dtype = dtypes.from_numpy(array.dtype)
    layout = _layout(dtype)
    if array.nbytes >= _LARGEST_TENSOR:
        raise ValueError("Cannot create a tensor proto whose content is larger than 2GB.")
    tensor = proto.TensorProto(dtype=dtype.as_datatype_enum)
    tensor.tensor_shape.SetInParent()
    for size in dims:
        tensor.tensor_shape.dim.add(size=size)
    count = math.prod(dims)
    if layout.raw and array.size == count > 1:
        tensor.tensor_content = _little_endian(array).tobytes()
    elif count:
        getattr(tensor, layout.field).extend(_field_values(array, layout))
    return tensor


def _layout(dtype: DType) -> _Layout:
    layout = _LAYOUTS.get(dtype.name)
    if layout is None:
        raise TypeError(f"Unsupported tensor type: {dtype.as_datatype_enum}")
    return layout


def _little_endian(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _field_values(array: np.ndarray, layout: _Layout) -> list[Any]:
    flat = array.reshape(-1)
    return (flat if layout.stored is None else flat.view(layout.stored)).tolist()


def from_proto(tensor: Any) -> np.ndarray:
    """Decodes a TensorProto like `make_ndarray`, but may give read-only views that take no memory."""
    dtype = _dtype_of(tensor)
    layout = _layout(dtype)
    dims = _checked_shape(tensor.tensor_shape, dtype)
    if tensor.tensor_content:
        return _from_content(tensor.tensor_content, dtype, dims)
    values = getattr(tensor, layout.field)
    elements, remainder = divmod(len(values), layout.width)
    if elements == 0 or remainder:
        _check_empty(tensor, layout, remainder)
    count = math.prod(dims)
    if elements > count:
        raise ValueError(f"A tensor of shape {dims} holds {count} values, but {layout.field} has {elements}.")
    array = _from_values(values, dtype, layout)
    if elements not in (0, 1, count) and count * dtype.size > _LARGEST_FILL:
        raise ValueError(f"A tensor of shape {dims} is given by only {elements} values.")
    return convert.fill(array, dims)


def decode_values(tensor: Any, dtype: DType, dims: tuple[int, ...]) -> np.ndarray:
    """The values of a message that says neither dtype nor shape, and has each element.

    Raises:
      TypeError: messages have no values of this dtype.
      ValueError: it has more or fewer values.
    """
    layout = _layout(dtype)
    if tensor.tensor_content:
        return _from_content(tensor.tensor_content, dtype, dims)
    values, expected = getattr(tensor, layout.field), math.prod(dims) * layout.width
    if len(values) != expected:
        raise ValueError(f"{layout.field} of a tensor of shape {dims} has {len(values)} values; expected: {expected}")
    return _from_values(values, dtype, layout).reshape(dims)


def encode_values(tensor: Any, array: np.ndarray, dtype: DType) -> None:
    """Writes the values of an array one by one into the field of its dtype, for `decode_values`."""
    layout = _layout(dtype)
    field, flat = getattr(tensor, layout.field), array.reshape(-1)
    for start in range(0, len(flat), _SLAB):
        part = flat[start : start + _SLAB]
        field.extend(part.tolist() if array.dtype == layout.stored else _field_values(part, layout))


def _dtype_of(tensor: Any) -> DType:
    try:
        return dtypes.as_dtype(tensor.dtype)
    except TypeError:
        raise TypeError(f"Unsupported tensor type: {tensor.dtype}") from None


def _checked_shape(shape: Any, dtype: DType) -> tuple[int, ...]:
    dims = tuple(dim.size for dim in shape.dim)
    if len(dims) > _HIGHEST_RANK:
        raise ValueError(f"A tensor cannot have rank {len(dims)}; the highest is {_HIGHEST_RANK}.")
    if shape.unknown_rank or min(dims, default=0) < 0:
        raise ValueError(f"The value of a tensor needs a known shape; received: {dims or 'unknown rank'}")
    # Zeros count as ones: NumPy refuses (0, 2**62) all the same.
    if math.prod(dim or 1 for dim in dims) * dtype.size > _LARGEST_TENSOR:
        raise ValueError(f"A tensor of shape {dims} and type {dtype.name} is larger than 2 GB.")
    return dims


def _from_content(content: bytes, dtype: DType, dims: tuple[int, ...]) -> np.ndarray:
    if dtype is dtypes.string:
        raise ValueError("Strings cannot be read from tensor_content.")
    expected = math.prod(dims) * dtype.size
    if len(content) != expected:
        raise ValueError(
            f"tensor_content of a tensor of shape {dims} and type {dtype.name} should have {expected} bytes; "
            f"received: {len(content)}"
        )
    native = np.dtype(dtype.as_numpy_dtype)
    stored = np.dtype(np.uint8) if dtype is dtypes.bool_ else native.newbyteorder("<")
    array: np.ndarray = np.frombuffer(content, stored).astype(native, copy=False)
    return array.reshape(dims)


def _check_empty(tensor: Any, layout: _Layout, remainder: int) -> None:
    """No values at all mean zeros; half a complex number, or values in another field, a broken message."""
    filled = {name: len(getattr(tensor, name)) for name in _VALUE_FIELDS if len(getattr(tensor, name))}
    if remainder or filled:
        raise ValueError(
            f"A tensor of type {tensor.dtype} has its values in {layout.field}, {layout.width} for each "
            f"element; received: {filled}"
        )


def _from_values(values: Any, dtype: DType, layout: _Layout) -> np.ndarray:
    if dtype is dtypes.string:
        array = np.empty(len(values), object)
        array[:] = list(values)
        return array
    native = np.dtype(dtype.as_numpy_dtype)
    stored = np.dtype(layout.stored or native)
    if stored.kind in "iu":
        # By way of 64 bits, because int_val may hold more than fits and C truncates.
        array = np.fromiter(values, np.uint64 if stored == np.uint64 else np.int64, len(values)).astype(stored)
    else:
        array = np.fromiter(values, stored, len(values))
    return array[: len(values) // layout.width * layout.width].view(native)
