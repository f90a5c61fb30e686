"""What a function's arguments look like to `tf.function`: which calls share a trace.

Arguments are flattened to leaves, and each leaf to a key: dtype and shape of a tensor, the value of a Python number or
string, any other object itself. Calls with equal keys share a trace.
"""
from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core import nest
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.opdef import Shape
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.type_spec import TypeSpec


class TensorType(NamedTuple):
    """A tensor of a dtype and a (partly known) shape."""

    dtype: DType
    shape: Shape
    name: str | None = None

    def relaxed(self, other: TensorType) -> TensorType:
        """The narrowest type that takes tensors of both."""
        if self.shape is None or other.shape is None or len(self.shape) != len(other.shape):
            return TensorType(self.dtype, None)
        return TensorType(
            self.dtype, tuple(a if a == b else None for a, b in zip(self.shape, other.shape, strict=True))
        )

    def takes(self, other: Any) -> bool:
        """Whether a tensor of the other type may be passed for one of this; by that name, where it has one."""
        if not isinstance(other, TensorType) or other.dtype is not self.dtype:
            return False
        if other.name and other.name != self.name:
            return False
        if self.shape is None:
            return True
        return (
            other.shape is not None
            and len(self.shape) == len(other.shape)
            and all(a is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def __str__(self) -> str:
        return f"TensorSpec(shape={TensorShape(self.shape)}, dtype=tf.{self.dtype.name}, name={self.name!r})"


class VariableType(NamedTuple):
    """A variable; `alias` is the number of the leaf at which it stands for the first time."""

    dtype: DType
    shape: Shape
    trainable: bool
    alias: int

    def __str__(self) -> str:
        return (
            f"VariableSpec(shape={TensorShape(self.shape)}, dtype=tf.{self.dtype.name}, trainable={self.trainable}, "
            f"alias_id={self.alias})"
        )


class Literal(NamedTuple):
    """A Python value. Values of different types differ, even where they are equal."""

    kind: type
    value: Hashable

    def __str__(self) -> str:
        return f"Literal[{self.value!r}]"


class Reference:
    """Any other object: by what it says is equal, by identity where it has no hash. It does not keep the object."""

    __slots__ = ("_hash", "_object", "__weakref__")

    def __init__(self, target: Any) -> None:
        try:
            self._hash = hash(target)
        except TypeError:
            self._hash = id(target)
        try:
            self._object: Callable[[], Any] = weakref.ref(target)
        except TypeError:  # has no room for a weak reference: kept
            self._object = lambda: target

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference) or other._hash != self._hash:
            return False
        own, others = self._object(), other._object()
        if own is None or own is others:
            return own is not None
        return type(own).__hash__ is not None and type(own) is type(others) and bool(own == others)

    def __str__(self) -> str:
        return f"WeakrefType[{self._object()!r}]"


Leaf = TensorType | VariableType | Literal | Reference
LITERALS = (int, float, bool, str, bytes, complex, type(None), type(...))


class Arguments(NamedTuple):
    """The arguments of a call, taken apart."""

    structure: Any  # the arguments as they were
    key: tuple[Hashable, tuple[Leaf, ...]]
    leaves: list[Any]


def is_variable(value: Any) -> bool:
    """Whether `value` is a resource variable."""
    return isinstance(getattr(value, "handle", None), Tensor) and hasattr(value, "read_value")


def take_apart(arguments: Any) -> Arguments:
    """Flattens arguments; arrays and lists of them become tensors."""
    leaves = [_canonical(leaf) for leaf in nest.flatten(arguments, expand_composites=True)]
    variables: dict[int, int] = {}
    types = tuple(_type_of(leaf, variables) for leaf in leaves)
    return Arguments(arguments, (structure_key(arguments), types), leaves)


def _canonical(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype != object:
        return to_tensor(leaf)
    return leaf


def _type_of(leaf: Any, variables: dict[int, int]) -> Leaf:
    if isinstance(leaf, Tensor):
        return TensorType(leaf.dtype.base_dtype, leaf._shape)
    if isinstance(leaf, TensorSpec):
        return TensorType(leaf.dtype, leaf._shape, leaf.name)
    if isinstance(leaf, LITERALS):
        return Literal(type(leaf), leaf)
    if is_variable(leaf):
        alias = variables.setdefault(id(leaf), len(variables))
        return VariableType(leaf.dtype, leaf._shape, leaf.trainable, alias)
    if isinstance(leaf, (DType, TensorShape)):
        return Literal(type(leaf), str(leaf))
    return Reference(leaf)


def structure_key(value: Any) -> Hashable:
    """A hashable picture of a nested structure, without its leaves."""
    items = nest.items(value)
    if items is None:
        return None
    if isinstance(value, nest.Composite):  # a spec stands for a value
        return value.value_type if isinstance(value, TypeSpec) else type(value), structure_key(items[0][1])
    return nest.plain_type(value), tuple((key, structure_key(child)) for key, child in items)


def leaves_up_to(expected: Any, given: Any) -> Iterator[Any]:
    """The parts of arguments that stand where the expected ones have leaves: a list may stand for a tensor.

    Raises:
      ValueError: the structures differ.
    """
    items = nest.items(expected)
    if items is None:
        yield given
        return
    found = nest.items(given)
    if found is None or _form_of(expected, items) != _form_of(given, found):
        raise ValueError(f"{given!r} does not have the structure of {expected!r}")
    for (_, part), (_, given_part) in zip(items, found, strict=True):
        yield from leaves_up_to(part, given_part)


def _form_of(structure: Any, items: Sequence[tuple[Any, Any]]) -> Any:
    """What structures have in common that suit each other: of named tuples' types only the fields count."""
    if isinstance(structure, nest.Composite):
        return type(structure._part_spec())
    plain = nest.plain_type(structure)
    kind = next((kind for kind in (Mapping, tuple, list) if issubclass(plain, kind)), plain)
    return kind, tuple(key for key, _ in items)


def relaxed(old: Sequence[Leaf], new: Sequence[Leaf]) -> tuple[Leaf, ...] | None:
    """Types that take both, where they differ in nothing but the shapes of tensors; else None."""
    found: list[Leaf] = []
    for a, b in zip(old, new, strict=True):
        if isinstance(a, TensorType) and isinstance(b, TensorType) and a.dtype is b.dtype:
            found.append(a if a.takes(b) else a.relaxed(b))
        elif a == b:
            found.append(a)
        else:
            return None
    return tuple(found)
