"""Type specs: what is known of a value before it is there; and values that are made of several tensors.

A `TypeSpec` describes its values by attributes (shapes, dtypes, other specs, plain data), which `_serialize` lists.
Comparison, compatibility and common supertypes follow from them, attribute by attribute.
"""
from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from millstream.core import convert, dtypes, nest, shapes
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.core.tensor import TensorLike


@export("TypeSpec")
class TypeSpec(nest.Composite, abc.ABC):
    """What is known of a value: the description that `tf.function`, `tf.data` and saved models keep of it.

    Subclasses say of which class the values are (`value_type`), how they are taken apart into tensors and put
    together (`_component_specs`, `_to_components`, `_from_components`), and which arguments make an equal spec
    (`_serialize`).
    """

    @property
    @abc.abstractmethod
    def value_type(self) -> type:
        """The class of the values."""

    @abc.abstractmethod
    def _serialize(self) -> tuple[Any, ...]:
        """The arguments that make an equal spec."""

    @property
    @abc.abstractmethod
    def _component_specs(self) -> Any:
        """A structure of the specs of the parts."""

    @abc.abstractmethod
    def _to_components(self, value: Any) -> Any:
        """The parts of a value, in a structure like `_component_specs`."""

    @abc.abstractmethod
    def _from_components(self, components: Any) -> Any:
        """The value that has these parts."""

    @classmethod
    def _deserialize(cls, serialization: tuple[Any, ...]) -> TypeSpec:
        return cls(*serialization)

    # --- Relations ----------------------------------------------------------------------------------------------------

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether one value can be of both specs; of a value, its own spec counts."""
        other = _spec_or_none(spec_or_value)
        return type(other) is type(self) and _compatible(self._serialize(), other._serialize())

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every value of this spec is one of `other`, which is of the same class."""
        return type(other) is type(self) and _covers(other._serialize(), self._serialize())

    def most_specific_common_supertype(self, others: Sequence[Any]) -> Any:
        """The narrowest spec that this one and all `others` are subtypes of, or None.

        Example:
          >>> tf.TensorSpec([2, 3]).most_specific_common_supertype([tf.TensorSpec([4, 3])])
          TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
        """
        if any(type(other) is not type(self) for other in others):
            return None
        try:
            return self._deserialize(_generalized([spec._serialize() for spec in (self, *others)]))
        except _NoSupertypeError:
            return None

    def most_specific_compatible_type(self, other: TypeSpec) -> TypeSpec:
        """The narrowest common supertype of two specs.

        Raises:
          ValueError: there is none.
        """
        result = self.most_specific_common_supertype([other])
        if result is None:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        return result

    # --- Tensors ------------------------------------------------------------------------------------------------------

    def flatten(self) -> list[Any]:
        """The specs of all tensors that a value consists of."""
        return nest.flatten(self._component_specs, expand_composites=True)

    def to_tensors(self, value: Any) -> list[Any]:
        """The tensors that a value consists of, in the order of `flatten`."""
        components = self._to_components(self.cast(value, None))
        nest.assert_same_structure(self._component_specs, components, check_types=False)
        specs, parts = nest.flatten(self._component_specs), nest.flatten(components)
        return [tensor for spec, part in zip(specs, parts, strict=True) for tensor in spec.to_tensors(part)]

    def from_tensors(self, tensors: Iterator[Any]) -> Any:
        """The value whose tensors come next from an iterator."""
        parts = [spec.from_tensors(tensors) for spec in nest.flatten(self._component_specs)]
        return self._from_components(nest.pack_sequence_as(self._component_specs, parts))

    def placeholder_value(self, placeholder_context: Any) -> Any:
        """A value that stands for those of this spec in the default graph; what it is made of are placeholders."""
        components = [spec.placeholder_value(placeholder_context) for spec in nest.flatten(self._component_specs)]
        return self._from_components(nest.pack_sequence_as(self._component_specs, components))

    def cast(self, value: Any, casting_context: Any) -> Any:
        """`value`, which must be of this spec.

        Raises:
          TypeError: it is not.
        """
        if isinstance(value, self.value_type) and self.is_compatible_with(value):
            return value
        raise cannot_cast(value, self)

    # --- nest.Composite -----------------------------------------------------------------------------------------------

    def _to_parts(self) -> Any:
        return self._component_specs

    def _from_parts(self, parts: Any) -> Any:
        return self._from_components(parts)

    def _part_spec(self) -> TypeSpec:
        return self

    # --- Objects ------------------------------------------------------------------------------------------------------

    def _key(self) -> Hashable:
        """Equal for equal specs; made once, since specs do not change."""
        key: Hashable = self.__dict__.get("_cached_key")
        if key is None:
            key = self.__dict__["_cached_key"] = (type(self), _hashable(self._serialize()))
        return key

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is type(self) and self._key() == other._key())

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._serialize()

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._serialize()!r}"


class CompositeTensor(nest.Composite, TensorLike):
    """Base of values that consist of several tensors; their `_type_spec` takes them apart."""

    @property
    def _type_spec(self) -> TypeSpec:
        raise NotImplementedError(f"{type(self).__name__} has no type spec")

    def _to_parts(self) -> Any:
        return self._type_spec._to_components(self)

    def _from_parts(self, parts: Any) -> Any:
        return self._type_spec._from_components(parts)

    def _part_spec(self) -> TypeSpec:
        return self._type_spec


def cannot_cast(value: Any, spec: TypeSpec) -> TypeError:
    """The error for a value that is not of a spec."""
    return TypeError(f"Can not cast {_spec_or_none(value) or repr(value)} to {spec!r}")


# --- Attributes of specs --------------------------------------------------------------------------------------------


class _NoSupertypeError(Exception):
    """The attributes of two specs have nothing in common."""


def _hashable(attribute: Any) -> Hashable:
    if isinstance(attribute, TensorShape):
        return "shape", shapes.as_plain(attribute)
    if isinstance(attribute, (list, tuple)):
        return tuple([_hashable(item) for item in attribute])
    if isinstance(attribute, Mapping):
        return "mapping", tuple((key, _hashable(value)) for key, value in attribute.items())
    if isinstance(attribute, np.ndarray):
        return attribute.shape, attribute.dtype.str, attribute.tobytes()
    return attribute


def _compatible(first: Any, second: Any) -> bool:
    """Whether a value can have both attributes."""
    if isinstance(first, (TypeSpec, DType, TensorShape)):
        return type(first) is type(second) and first.is_compatible_with(second)
    pairs = _pairs(first, second)
    return _equal(first, second) if pairs is None else all(_compatible(a, b) for a, b in pairs)


def _covers(wide: Any, narrow: Any) -> bool:
    """Whether every value with the attribute `narrow` also has `wide`."""
    if isinstance(wide, TypeSpec):
        return isinstance(narrow, TypeSpec) and narrow.is_subtype_of(wide)
    if isinstance(wide, TensorShape):
        return isinstance(narrow, TensorShape) and covers_shape(shapes.as_plain(wide), shapes.as_plain(narrow))
    pairs = _pairs(wide, narrow)
    return _equal(wide, narrow) if pairs is None else all(_covers(a, b) for a, b in pairs)


def covers_shape(wide: shapes.Shape, narrow: shapes.Shape) -> bool:
    """Whether every tensor that has the static shape `narrow` also has `wide`."""
    if wide is None or narrow is None:
        return wide is None
    return len(wide) == len(narrow) and all(a is None or a == b for a, b in zip(wide, narrow, strict=True))


def _generalized(attributes: list[Any]) -> Any:
    """The narrowest attribute that covers all of these."""
    first, *rest = attributes
    if isinstance(first, TypeSpec):
        spec = first.most_specific_common_supertype(rest)
        if spec is None:
            raise _NoSupertypeError
        return spec
    if isinstance(first, TensorShape):
        plain = shapes.as_plain(first)
        for other in rest:
            plain = shapes.generalize(plain, shapes.as_plain(other))
        return TensorShape(plain)
    columns = [_pairs(first, other) for other in rest]
    if isinstance(first, (tuple, list, dict)) and None not in columns:
        items = [[a, *(column[i][1] for column in columns)] for i, a in enumerate(_items(first))]  # type: ignore[index]
        merged = [_generalized(item) for item in items]
        return dict(zip(first, merged, strict=True)) if isinstance(first, dict) else type(first)(merged)
    if not all(_equal(first, other) for other in rest):
        raise _NoSupertypeError
    return first


def _pairs(first: Any, second: Any) -> list[tuple[Any, Any]] | None:
    """What stands at the same places of two structures; None unless they are structures of one form."""
    if type(first) is not type(second) or not isinstance(first, (tuple, list, dict)):
        return None
    if len(first) != len(second) or (isinstance(first, dict) and list(first) != list(second)):
        return None
    return list(zip(_items(first), _items(second), strict=True))


def _items(structure: Any) -> Any:
    return structure.values() if isinstance(structure, dict) else structure


def _equal(first: Any, second: Any) -> bool:
    return type(first) is type(second) and _hashable(first) == _hashable(second)


# --- The spec of a value --------------------------------------------------------------------------------------------

_converters: list[tuple[type, Callable[[Any], TypeSpec | None]]] = []


def register_type_spec_from_value_converter(kind: type, converter: Callable[[Any], TypeSpec | None]) -> None:
    """Lets `type_spec_from_value` ask `converter` for the spec of values of a class and its subclasses."""
    _converters.append((kind, converter))


@export(v2=["type_spec_from_value"])
def type_spec_from_value(value: Any) -> Any:
    """The most specific `TypeSpec` of a value.

    Args:
      value: a tensor, variable, sparse tensor or the like, None, or what becomes a tensor: a NumPy array, a Python
        number or string, a list of them.

    Raises:
      TypeError: there is no spec for it.

    Example:
      >>> tf.type_spec_from_value(np.array([[5, 6], [7, 8]], np.float32))
      TensorSpec(shape=(2, 2), dtype=tf.float32, name=None)
    """
    spec = _spec_or_none(value)
    if spec is None or spec is value:
        raise TypeError(f"Could not build a TypeSpec for {value!r} of unsupported type {type(value)!r}.")
    return spec


def _spec_or_none(value: Any) -> Any:
    """The spec of a value; a spec passes, and what has no spec gives None."""
    if isinstance(value, TypeSpec):
        return value
    if isinstance(value, CompositeTensor):
        return value._type_spec
    from millstream.core import composite_specs, tensor_spec  # noqa: F401 - they register converters

    for kind, converter in _converters:
        if isinstance(value, kind):
            return converter(value)
    return _spec_of_tensor_value(value)


def _spec_of_tensor_value(value: Any) -> Any:
    """The spec of what would be converted to a tensor."""
    from millstream.core.tensor_spec import TensorSpec

    if isinstance(value, np.ndarray):
        return TensorSpec(value.shape, dtypes.from_numpy(value.dtype))
    if not isinstance(value, (bool, int, float, complex, str, bytes, np.generic, list, tuple)):
        return None
    try:
        array = convert.to_numpy(value)
    except (TypeError, ValueError, NotImplementedError):
        return _spec_of_tensor_list(value)
    return TensorSpec(array.shape, dtypes.from_numpy(array.dtype))


def _spec_of_tensor_list(value: Any) -> Any:
    """The spec of a list of tensors of one shape and dtype, which would be stacked."""
    from millstream.core.tensor_spec import TensorSpec

    if not isinstance(value, (list, tuple)) or not value:
        return None
    specs = [_spec_or_none(item) for item in value]
    if not all(isinstance(spec, TensorSpec) and spec.dtype is specs[0].dtype for spec in specs):
        return None
    try:
        shape = specs[0]._shape
        for spec in specs[1:]:
            shape = shapes.merge(shape, spec._shape)
    except ValueError:
        return None
    return TensorSpec(shapes.concatenate((len(specs),), shape), specs[0].dtype)


class NoneTensor(CompositeTensor):
    """Stands for None where a value with a spec is wanted."""

    @property
    def _type_spec(self) -> TypeSpec:
        return NoneTensorSpec()


@export(v2=["NoneTensorSpec"])
class NoneTensorSpec(TypeSpec):
    """The spec of None."""

    @property
    def value_type(self) -> type:
        """`NoneTensor`, which stands for None."""
        return NoneTensor

    def _serialize(self) -> tuple[Any, ...]:
        return ()

    @property
    def _component_specs(self) -> Any:
        return []

    def _to_components(self, value: Any) -> Any:
        return []

    def _from_components(self, components: Any) -> Any:
        return None

    def cast(self, value: Any, casting_context: Any) -> Any:
        """None or a `NoneTensor`; TypeError for anything else."""
        if value is None or isinstance(value, NoneTensor):
            return value
        raise cannot_cast(value, self)

    @staticmethod
    def from_value(value: Any) -> NoneTensorSpec:
        """The spec of None."""
        return NoneTensorSpec()

    def most_specific_compatible_shape(self, other: Any) -> NoneTensorSpec:
        """This spec, if `other` is one of None too.

        Raises:
          ValueError: it is not.
        """
        if type(other) is not type(self):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        return self


register_type_spec_from_value_converter(type(None), NoneTensorSpec.from_value)
