"""Nested Python structures as `StructuredValue` messages: the signatures of the functions of a SavedModel."""
from __future__ import annotations

import collections
import functools
import keyword
from collections.abc import Mapping
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.composite_specs import IndexedSlicesSpec, SparseTensorSpec
from millstream.core.dtypes import DType, as_dtype
from millstream.core.eager import EagerTensor
from millstream.core.shapes import TensorShape
from millstream.core.tensor_spec import TensorSpec, VariableSpec
from millstream.core.type_spec import NoneTensorSpec, TypeSpec
from millstream.io import proto
from millstream.io.tensor_proto import from_proto, make_tensor_proto
from millstream.ops.tensor_array import TensorArraySpec

_INTEGERS = range(-(1 << 63), 1 << 63)
_REGISTERED = {"tf.NoneTensorSpec": NoneTensorSpec}
_NUMBERED = {
    "SPARSE_TENSOR_SPEC": SparseTensorSpec,
    "INDEXED_SLICES_SPEC": IndexedSlicesSpec,
    "TENSOR_ARRAY_SPEC": TensorArraySpec,
    "VARIABLE_SPEC": VariableSpec,
}


class NotEncodableError(Exception):
    """There is no message for a Python object."""


class UnsupportedTypeError(ValueError):
    """A message is about a type that is not known here."""


# --- Writing ---------------------------------------------------------------------------------------------------------


def encode(structure: Any) -> Any:
    """The `StructuredValue` of a nested structure of specs, numbers, strings, dtypes, shapes, arrays and tensors.

    Raises:
      NotEncodableError: it holds something else.
    """
    message = proto.StructuredValue()
    _encode(structure, message)
    return message


def can_encode(structure: Any) -> bool:
    """Whether there is a message for a structure."""
    try:
        encode(structure)
    except NotEncodableError:
        return False
    return True


def _encode(value: Any, message: Any) -> None:
    if not (_encode_plain(value, message) or _encode_nested(value, message) or _encode_typed(value, message)):
        raise NotEncodableError(f"No encoder for object {value!r} of type {type(value)}.")


def _encode_plain(value: Any, message: Any) -> bool:
    """Writes a value that Python has too; gives whether it is one."""
    if value is None:
        message.none_value.SetInParent()
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int) and value in _INTEGERS:
        message.int64_value = int(value)
    elif type(value) is float:
        message.float64_value = value
    elif isinstance(value, str):
        message.string_value = _utf8(value)
    else:
        return False
    return True


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotEncodableError(f"No encoder for {text!r}, which is no Unicode text.") from None
    return text


def _encode_nested(value: Any, message: Any) -> bool:
    """Writes a container; gives whether it is one."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        message.named_tuple_value.name = type(value).__name__
        for key, item in zip(value._fields, value, strict=True):
            pair = message.named_tuple_value.values.add(key=key)
            _encode(item, pair.value)
    elif isinstance(value, (list, tuple)):
        items = message.tuple_value if isinstance(value, tuple) else message.list_value
        items.SetInParent()
        for item in value:
            _encode(item, items.values.add())
    elif isinstance(value, Mapping):
        message.dict_value.SetInParent()
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotEncodableError(f"No encoder for a dict with the key {key!r}, which is no string.")
            _encode(item, message.dict_value.fields[_utf8(key)])
    else:
        return False
    return True


def _encode_typed(value: Any, message: Any) -> bool:
    """Writes a value of one of the library's classes, or an array; gives whether it is one."""
    if isinstance(value, DType):
        message.tensor_dtype_value = value.as_datatype_enum
    elif isinstance(value, TensorShape):
        message.tensor_shape_value.CopyFrom(shapes.as_proto(shapes.as_plain(value)))
    elif type(value) is TensorSpec:
        message.tensor_spec_value.CopyFrom(value.experimental_as_proto())
    elif isinstance(value, TypeSpec):
        _encode_type_spec(value, message.type_spec_value)
    elif isinstance(value, EagerTensor):
        message.tensor_value.CopyFrom(make_tensor_proto(value.numpy(), dtype=value.dtype))
    elif isinstance(value, np.ndarray):
        message.numpy_value.CopyFrom(make_tensor_proto(value))
    else:
        return False
    return True


def _encode_type_spec(spec: TypeSpec, message: Any) -> None:
    kind = type(spec)
    number = next((number for number, known in _NUMBERED.items() if known is kind), "")
    name = next((name for name, known in _REGISTERED.items() if known is kind), "")
    if not (number or name):
        raise NotEncodableError(f"No encoder for object {spec!r} of type {kind}.")
    message.type_spec_class = message.TypeSpecClass.Value(number or "REGISTERED_TYPE_SPEC")
    message.type_spec_class_name = name or kind.__name__
    message.num_flat_components = len(spec.flatten())
    _encode(spec._serialize(), message.type_state)


# --- Reading ---------------------------------------------------------------------------------------------------------


def decode(message: Any) -> Any:
    """The structure that a `StructuredValue` describes; named tuples are of a class made for them.

    Raises:
      UnsupportedTypeError: the message describes something of a type that is not known here.
      ValueError: the message is malformed.
    """
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("A StructuredValue of the file has no value.")
    value = getattr(message, kind)
    reader = _READERS.get(kind)
    try:
        return value if reader is None else reader(value)
    except TypeError as error:
        raise ValueError(f"A {kind} of the file is malformed: {error}") from None


def _items(message: Any) -> list[Any]:
    return [decode(item) for item in message.values]


def _named_tuple(message: Any) -> Any:
    fields = tuple(pair.key for pair in message.values)
    return _named_tuple_class(message.name, fields)(*(decode(pair.value) for pair in message.values))


@functools.lru_cache(maxsize=256)
def _named_tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    for text in (name, *fields):
        if not text.isidentifier() or keyword.iskeyword(text):
            raise ValueError(f"Type names and field names must be valid identifiers: {text!r}")
    return collections.namedtuple(name, fields)  # noqa: PYI024 - the names come from a file


def _tensor_spec(message: Any) -> TensorSpec:
    return TensorSpec(shapes.as_plain(message.shape), as_dtype(message.dtype), message.name or None)


def _type_spec(message: Any) -> TypeSpec:
    classes = message.TypeSpecClass
    name = message.type_spec_class_name
    number = classes.Name(message.type_spec_class) if message.type_spec_class in classes.values() else ""
    kind: Any = _REGISTERED.get(name) if number == "REGISTERED_TYPE_SPEC" else _NUMBERED.get(number)
    if kind is None:
        raise UnsupportedTypeError(f"The type '{name or number}' is not supported by this version of Millstream.")
    state = decode(message.type_state)
    if not isinstance(state, tuple):
        raise ValueError(f"The state of the type '{name}' is {state!r}, not a tuple.")
    return kind._deserialize(state)


_READERS: dict[str, Any] = {
    "none_value": lambda _: None,
    "tensor_shape_value": lambda message: TensorShape(shapes.as_plain(message)),
    "tensor_dtype_value": as_dtype,
    "tensor_spec_value": _tensor_spec,
    "bounded_tensor_spec_value": _tensor_spec,
    "type_spec_value": _type_spec,
    "list_value": _items,
    "tuple_value": lambda message: tuple(_items(message)),
    "dict_value": lambda message: {key: decode(message.fields[key]) for key in sorted(message.fields)},
    "named_tuple_value": _named_tuple,
    "tensor_value": lambda message: _tensor(from_proto(message), message.dtype),
    "numpy_value": from_proto,
}


def _tensor(array: np.ndarray[Any, Any], dtype: int) -> EagerTensor:
    return EagerTensor(array, as_dtype(dtype))
