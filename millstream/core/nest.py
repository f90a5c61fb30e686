"""Nested structures of lists, tuples, named tuples, dicts, attrs objects and custom ones; all else are leaves.

Dicts are read in the order of their sorted keys, so that equal dicts flatten alike. A class (a dataclass, mostly) is
custom that has `__tf_flatten__(self)`, which gives fixed data and a tuple of children, and a class method
`__tf_unflatten__(cls, data, children)`. With `expand_composites`, objects of several parts (`Composite`: sparse
tensors, their specs) are structures too.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from typing import Any, NamedTuple

from millstream.core.export import export


class Composite:
    """Base of values of several parts, which are structures for those who ask with `expand_composites`."""

    __slots__ = ()
    _is_leaf = False  # True in subclasses that are never taken apart

    def _to_parts(self) -> Any:
        """The structure of the parts."""
        raise NotImplementedError

    def _from_parts(self, parts: Any) -> Any:
        """A value like this one with other parts."""
        raise NotImplementedError

    def _part_spec(self) -> Any:
        """The type spec: two composites match if theirs have a common supertype."""
        raise NotImplementedError


class _Kind(NamedTuple):
    """How structures of one kind are taken apart and put together."""

    items: Callable[[Any], Iterable[tuple[Any, Any]]]  # the children with their keys, in order
    rebuild: Callable[[Any, Sequence[Any]], Any]  # a structure of the same type and keys with other children


def _sorted_keys(mapping: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError:
        raise TypeError(f"nest only supports dicts with sortable keys; received {list(mapping)!r}") from None


def _rebuilt_mapping(structure: Any, children: Sequence[Any]) -> Any:
    values = dict(zip(_sorted_keys(structure), children, strict=True))
    ordered = {key: values[key] for key in structure}
    if isinstance(structure, defaultdict):
        return type(structure)(structure.default_factory, ordered)
    return type(structure)(ordered)


_MAPPING = _Kind(lambda value: [(key, value[key]) for key in _sorted_keys(value)], _rebuilt_mapping)
_NAMED_TUPLE = _Kind(
    lambda value: zip(value._fields, value, strict=True), lambda value, children: type(value)(*children)
)
_ATTRS = _Kind(
    lambda value: [(field.name, getattr(value, field.name)) for field in type(value).__attrs_attrs__],
    lambda value, children: type(value)(*children),
)
_CUSTOM = _Kind(
    lambda value: enumerate(value.__tf_flatten__()[1]),
    lambda value, children: type(value).__tf_unflatten__(value.__tf_flatten__()[0], tuple(children)),
)
_SEQUENCE = _Kind(enumerate, lambda value, children: type(value)(children))
_VIEW = _Kind(enumerate, lambda value, children: list(children))  # ranges and views of dicts: not made of children
_COMPOSITE = _Kind(
    lambda value: [(type(value).__name__, value._to_parts())], lambda value, children: value._from_parts(children[0])
)


@functools.lru_cache(maxsize=1024)
def _kind_of_type(kind: type) -> _Kind | None:
    """How values of a type are structures; None if they are leaves."""
    if issubclass(kind, (str, bytes)):
        return None
    if issubclass(kind, Mapping):
        return _MAPPING
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _NAMED_TUPLE
    if hasattr(kind, "__attrs_attrs__"):
        return _ATTRS
    if hasattr(kind, "__tf_flatten__") and hasattr(kind, "__tf_unflatten__"):
        return _CUSTOM
    if issubclass(kind, (range, MappingView)):
        return _VIEW
    return _SEQUENCE if issubclass(kind, Sequence) else None


def _kind(value: Any, expand_composites: bool) -> _Kind | None:
    if expand_composites and isinstance(value, Composite) and not value._is_leaf:
        return _COMPOSITE
    return _kind_of_type(value.__class__)


def _children(structure: Any, expand_composites: bool = True) -> list[Any]:
    kind = _kind(structure, expand_composites)
    return [] if kind is None else [value for _, value in kind.items(structure)]


def items(structure: Any) -> list[tuple[Any, Any]] | None:
    """The children of a structure, composites among them, with their keys; None for a leaf."""
    kind = _kind(structure, expand_composites=True)
    return None if kind is None else list(kind.items(structure))


@export("nest.is_nested")
def is_nested(seq: Any) -> bool:
    """Whether `seq` is a structure: a sequence that is no string, a mapping, an attrs object or a custom one."""
    return _kind_of_type(seq.__class__) is not None


is_sequence = is_nested


@export("nest.flatten")
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a structure as a list; of something that is no structure, that one thing.

    Args:
      structure: a structure, or a leaf.
      expand_composites: takes sparse tensors and their like apart too.

    Raises:
      TypeError: a dict's keys cannot be sorted.

    Example:
      >>> tf.nest.flatten({"b": 1, "a": [2, (3, 4)]})
      [2, 3, 4, 1]
    """
    leaves: list[Any] = []
    _collect(structure, expand_composites, leaves)
    return leaves


def flatten_with_paths(structure: Any, expand_composites: bool = False) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The leaves of a structure, each with the keys and indices that lead to it."""
    kind = _kind(structure, expand_composites)
    if kind is None:
        yield (), structure
        return
    for key, child in kind.items(structure):
        for path, leaf in flatten_with_paths(child, expand_composites):
            yield (key, *path), leaf


def _collect(structure: Any, expand_composites: bool, leaves: list[Any]) -> None:
    kind = _kind(structure, expand_composites)
    if kind is None:
        leaves.append(structure)
        return
    for _, child in kind.items(structure):
        _collect(child, expand_composites, leaves)


@export("nest.pack_sequence_as")
def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any], expand_composites: bool = False) -> Any:
    """A structure like `structure` with the leaves of `flat_sequence`.

    Args:
      structure: the model.
      flat_sequence: the new leaves, in the order of `flatten`.
      expand_composites: puts sparse tensors and their like together too.

    Raises:
      TypeError: `flat_sequence` is no sequence.
      ValueError: it has not as many elements as the model has leaves.
    """
    if not is_nested(flat_sequence):
        raise TypeError(f"flat_sequence must be a sequence; received {flat_sequence!r}")
    if _kind(structure, expand_composites) is None:
        if len(flat_sequence) != 1:
            raise ValueError(f"Structure is a scalar but len(flat_sequence) == {len(flat_sequence)} > 1")
        return flat_sequence[0]
    count = len(flatten(structure, expand_composites))
    if count != len(flat_sequence):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} elements, but flat_sequence had {len(flat_sequence)} "
            f"elements.  Structure: {structure}, flat_sequence: {flat_sequence}."
        )
    return _packed(structure, iter(flat_sequence), expand_composites)


def _packed(structure: Any, leaves: Iterator[Any], expand_composites: bool) -> Any:
    kind = _kind(structure, expand_composites)
    if kind is None:
        return next(leaves)
    children = [_packed(child, leaves, expand_composites) for _, child in kind.items(structure)]
    return kind.rebuild(structure, children)


@export("nest.map_structure")
def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """A structure of `func(x[0], x[1], …)` for the leaves that stand at the same place in each structure.

    Args:
      func: a function of as many arguments as there are structures.
      *structure: structures of the same form.
      **kwargs: `check_types=False`: sequences of different types match; `expand_composites`: see `flatten`.

    Raises:
      TypeError: `func` cannot be called, or the types of the structures differ.
      ValueError: the structures differ, there is none, or another keyword is given.

    Example:
      >>> tf.nest.map_structure(lambda x, y: x + y, [1, (2, 3)], [4, (5, 6)])
      [5, (7, 9)]
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    check_types, expand = kwargs.pop("check_types", True), kwargs.pop("expand_composites", False)
    if kwargs:
        raise ValueError(
            f"Only valid keyword arguments are `check_types` and `expand_composites`, not: `{'`, `'.join(kwargs)}`"
        )
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types, expand)
    columns = zip(*(flatten(item, expand) for item in structure), strict=True)
    return _packed(structure[0], (func(*leaves) for leaves in columns), expand)


@export("nest.assert_same_structure")
def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False) -> None:
    """Checks that two structures have the same form.

    Args:
      nest1, nest2: structures or leaves.
      check_types: False: a list matches a tuple, and named tuples match each other.
      expand_composites: see `flatten`.

    Raises:
      ValueError: they are nested in different ways, or have different keys.
      TypeError: a sequence of the one has another type than that of the other.
    """
    try:
        _compare(nest1, nest2, check_types, expand_composites)
    except (ValueError, TypeError) as error:
        raise type(error)(
            "The two structures don't have the same nested structure.\n\n"
            f"First structure: {_shown(nest1)}\n\nSecond structure: {_shown(nest2)}\n\nMore specifically: {error}\n"
            f"Entire first structure:\n{_outline(nest1)}\nEntire second structure:\n{_outline(nest2)}"
        ) from None


def _compare(first: Any, second: Any, check_types: bool, expand: bool) -> None:
    kinds = _kind(first, expand), _kind(second, expand)
    if kinds[0] is None and kinds[1] is None:
        return
    if kinds[0] is None or kinds[1] is None:
        nested, leaf = (second, first) if kinds[0] is None else (first, second)
        raise ValueError(f'Substructure "{_shown(nested)}" is a sequence, while substructure "{_shown(leaf)}" is not')
    if kinds[0] is _COMPOSITE and kinds[1] is _COMPOSITE:
        _compare_composites(first, second)
        return
    if check_types and not _same_type(first, second):
        raise TypeError(
            "The two namedtuples don't have the same sequence type. "
            f"First structure {_shown(first)} has type {type(first).__name__}, "
            f"while second structure {_shown(second)} has type {type(second).__name__}"
        )
    if check_types and kinds[0] is _MAPPING and set(first) != set(second):
        raise ValueError(
            "The two dictionaries don't have the same set of keys. First structure has keys "
            f"{_shown(list(first))}, while second structure has keys {_shown(list(second))}"
        )
    pairs = _children(first, expand), _children(second, expand)
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError(
            "The two structures don't have the same number of elements. "
            f"First structure: {_shown(first)}. Second structure: {_shown(second)}"
        )
    for one, other in zip(*pairs, strict=True):
        _compare(one, other, check_types, expand)


def _compare_composites(first: Composite, second: Composite) -> None:
    specs = first._part_spec(), second._part_spec()
    if specs[0].most_specific_common_supertype([specs[1]]) is None:
        raise ValueError(f"Incompatible CompositeTensor TypeSpecs: {_shown(specs[0])} vs. {_shown(specs[1])}")


def _same_type(first: Any, second: Any) -> bool:
    """Whether two structures are of one type; any two mappings are, and named tuples of one name and fields."""
    if plain_type(first) is plain_type(second) or (isinstance(first, Mapping) and isinstance(second, Mapping)):
        return True
    names = type(first).__name__ == type(second).__name__
    return names and getattr(first, "_fields", 1) == getattr(second, "_fields", 2)


def plain_type(value: Any) -> type:
    """The type of a structure; for a list that is tracked for checkpoints that of the list it was made of."""
    return getattr(type(value), "_plain_type", type(value))


def _shown(value: Any) -> str:
    return f"type={type(value).__name__} str={value}"


def _outline(structure: Any) -> str:
    """The form of a structure with dots for leaves."""
    kind = _kind_of_type(structure.__class__)
    if kind is None:
        return "."
    if kind is _MAPPING:
        return "{" + ", ".join(f"{key!r}: {_outline(value)}" for key, value in kind.items(structure)) + "}"
    if kind in (_NAMED_TUPLE, _ATTRS):
        fields = ", ".join(f"{key}={_outline(value)}" for key, value in kind.items(structure))
        return f"{type(structure).__name__}({fields})"
    body = ", ".join(map(_outline, _children(structure)))
    if kind is _CUSTOM:
        return f"{type(structure).__name__}({body})"
    return f"({body})" if isinstance(structure, tuple) else f"[{body}]"


# --- Structures of which one is the upper part of the other ----------------------------------------------------------


def assert_shallow_structure(shallow_tree: Any, input_tree: Any, check_types: bool = True) -> None:
    """Checks that `shallow_tree` is the upper part of `input_tree`: whatever may be below its leaves.

    Raises:
      TypeError: a sequence matches a leaf or a sequence of another type.
      ValueError: lengths or keys differ.
    """
    if not is_nested(shallow_tree):
        return
    if not is_nested(input_tree):
        raise TypeError(
            f"If shallow structure is a sequence, input must also be a sequence. Input has type: {type(input_tree)}."
        )
    if check_types and not _same_type(shallow_tree, input_tree):
        raise TypeError(
            "The two structures don't have the same sequence type. "
            f"Input structure has type {type(input_tree)}, while shallow structure has type {type(shallow_tree)}."
        )
    if len(shallow_tree) != len(input_tree):
        raise ValueError(
            "The two structures don't have the same sequence length. "
            f"Input structure has length {len(input_tree)}, while shallow structure has length {len(shallow_tree)}."
        )
    missing = sorted(set(shallow_tree) - set(input_tree)) if isinstance(shallow_tree, Mapping) else ()
    if missing:
        raise ValueError(
            "The shallow_tree's keys are not a subset of the input_tree's keys. The shallow_tree has the following "
            f"keys that are not in the input_tree: {missing}."
        )
    for shallow, deep in zip(_children(shallow_tree), _children(input_tree), strict=True):
        assert_shallow_structure(shallow, deep, check_types)


def flatten_up_to(shallow_tree: Any, input_tree: Any, check_types: bool = True) -> list[Any]:
    """The parts of `input_tree` that stand at the leaves of `shallow_tree`; errors as `assert_shallow_structure`."""
    assert_shallow_structure(shallow_tree, input_tree, check_types)
    return _flat_up_to(shallow_tree, input_tree)


def _flat_up_to(shallow: Any, deep: Any) -> list[Any]:
    if not is_nested(shallow):
        return [deep]
    pairs = zip(_children(shallow), _children(deep), strict=True)
    return [leaf for one, other in pairs for leaf in _flat_up_to(one, other)]


def map_structure_up_to(shallow_tree: Any, func: Callable[..., Any], *inputs: Any, **kwargs: Any) -> Any:
    """`map_structure` that goes down only as far as `shallow_tree`; the result has its form.

    Raises:
      ValueError: there are no inputs, or one does not match.
      TypeError: a sequence matches a leaf or a sequence of another type.
    """
    if not inputs:
        raise ValueError("Cannot map over no sequences")
    columns = [flatten_up_to(shallow_tree, item, kwargs.get("check_types", True)) for item in inputs]
    return pack_sequence_as(shallow_tree, [func(*leaves) for leaves in zip(*columns, strict=True)])


def get_traverse_shallow_structure(traverse_fn: Callable[[Any], Any], structure: Any) -> Any:
    """The upper part of `structure` that a function chooses, for `map_structure_up_to`.

    Args:
      traverse_fn: is given the structure, and then its parts from the top down. It says True: all parts; False: none;
        or a structure of these, one for each part.
      structure: any structure.

    Returns:
      True for each leaf that is chosen, False for each part that is not gone into.

    Raises:
      TypeError: `traverse_fn` gives anything else.
    """
    said = traverse_fn(structure)
    kind = _kind_of_type(structure.__class__)
    if isinstance(said, bool):
        if kind is None or not said:
            return said
        parts = [get_traverse_shallow_structure(traverse_fn, part) for _, part in kind.items(structure)]
        return kind.rebuild(structure, parts)
    if kind is None or not is_nested(said):
        where = "non-structure" if kind is None else "structure"
        raise TypeError(f"traverse_fn returned {said!r} for {where}: {structure}")

    def chosen(wanted: Any, part: Any) -> Any:
        return bool(wanted) and get_traverse_shallow_structure(traverse_fn, part)

    return map_structure_up_to(said, chosen, said, structure)


def flatten_dict_items(dictionary: Mapping[Any, Any]) -> dict[Any, Any]:
    """A flat dict from a dict whose keys and values are structures: `{(4, 5): ("a", "b")}` gives `{4: "a", 5: "b"}`.

    Raises:
      TypeError: it is no dict.
      ValueError: a key and its value are not of the same form, or a key comes twice.
    """
    if not isinstance(dictionary, Mapping):
        raise TypeError("input must be a dictionary")
    flat: dict[Any, Any] = {}
    for key, value in dictionary.items():
        keys, values = (flatten(key), flatten(value)) if is_nested(key) else ([key], [value])
        if len(keys) != len(values):
            raise ValueError(
                f"Could not flatten dictionary. Key had {len(keys)} elements, but value had {len(values)} elements. "
                f"Key: {keys}, value: {values}."
            )
        for one, item in zip(keys, values, strict=True):
            if one in flat:
                raise ValueError(f"Could not flatten dictionary: key {one} is not unique.")
            flat[one] = item
    return flat
