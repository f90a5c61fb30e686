"""Lists, dicts and tuples as children: what `self.layers = [a, b]` makes of them in an object with tracked attributes.

They are lists, dicts and tuples to everybody else. A list or dict shares its elements with the one that it was made
of: what is done to either is seen in both. Anything may be done with them; only when they are saved matters whether
the names of their children, which are positions and keys, still mean the same objects.
"""
from __future__ import annotations

import copy
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from millstream.core.trackable import NoDependency, Trackable

_tuples_are_tracked = False


def track_tuples(enabled: bool) -> None:
    """Says whether tuples with trackable elements are tracked, as in 2.x."""
    global _tuples_are_tracked
    _tuples_are_tracked = enabled


def wrap(value: Any) -> Any:
    """A plain list, dict or tuple as a tracked one; all else as it is."""
    make = _MAKERS.get(type(value))
    if make is not None:
        return make(value)
    if _tuples_are_tracked and isinstance(value, tuple) and not isinstance(value, Trackable):
        return _wrap_tuple(value)
    return value


class Container(Trackable):
    """What lists and dicts have in common."""

    _what = ""  # what messages call it
    _wrapped = ""  # and what it was made of
    _items: Any  # the one that it was made of, which has the elements

    def _start(self, items: Any) -> None:
        self._items = items
        self._left_out: set[str] = set()  # the names of trackable elements that are no children

    def _take(self, name: str, value: Any) -> Any:
        """Makes an element a child if it can be one; gives what is to be kept as the element."""
        value = wrap(value)
        self._left_out.discard(name)
        if isinstance(value, Trackable):
            self._track_trackable(value, name, overwrite=True)
            return value
        self._tracked.children.pop(name, None)
        if isinstance(value, NoDependency):
            self._left_out.add(name)
            return value.value
        return value

    def _check_children(self, children: dict[str, Trackable], named: Iterable[tuple[str, Any]]) -> None:
        """Checks that the children are the trackable elements."""
        found = {name: item for name, item in named if isinstance(item, Trackable) and name not in self._left_out}
        if found.keys() != children.keys() or any(children[name] is not item for name, item in found.items()):
            raise self._unsaveable(
                f"The wrapped {self._wrapped} was modified outside the wrapper (its final value was {self._items}, its "
                f"value when a checkpoint dependency was added was {children}), which breaks restoration on object "
                "creation."
            )

    def _unsaveable(self, reason: str) -> ValueError:
        return ValueError(
            f"Unable to save the object {self} ({self._what}). {reason}\n\nIf you don't need this {self._wrapped} "
            "checkpointed, wrap it in a non-trackable object; it will be subsequently ignored."
        )

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return bool(self._items == _items_of(other))

    def __ne__(self, other: object) -> bool:
        return bool(self._items != _items_of(other))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._items)

    def __contains__(self, value: Any) -> bool:
        return value in self._items

    def copy(self) -> Any:
        """A tracked one of the same elements."""
        return type(self)(self._items.copy())  # type: ignore[call-arg]

    __copy__ = copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Elements are put in after the object is made, so that they may refer to it.
        return type(self), (), None, *self._elements()

    def _elements(self) -> tuple[Any, Any]:
        """What `__reduce_ex__` gives of the elements: those of a list, and those of a dict."""
        raise NotImplementedError


def _items_of(value: Any) -> Any:
    return value._items if isinstance(value, Container) else value


# --- Lists -----------------------------------------------------------------------------------------------------------


class ListWrapper(Container, list):  # type: ignore[type-arg]
    """A list whose trackable elements are children, named by their positions.

    Elements may be added at the end. A change of the positions of trackable elements makes an error of the next save.
    """

    _plain_type = list
    _what = "a list wrapper constructed to track trackable TensorFlow objects"
    _wrapped = "list"

    def __init__(self, wrapped: Iterable[Any] = ()) -> None:
        self._start(wrapped if type(wrapped) is list else list(wrapped))
        self._moved = False  # a child was moved, replaced or deleted
        self._take_from(0)

    def _take_from(self, start: int) -> None:
        for number in range(start, len(self._items)):
            self._items[number] = self._take(str(number), self._items[number])

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        if self._moved:
            raise self._unsaveable(
                "A list element was replaced (__setitem__, __setslice__), deleted (__delitem__, __delslice__), or "
                "moved (sort). In order to support restoration on object creation, tracking is exclusively for "
                "append-only data structures."
            )
        children = super()._trackable_children(save_type, **kwargs)
        self._check_children(children, ((str(number), item) for number, item in enumerate(self._items)))
        return children

    # --- Changes ----------------------------------------------------------------------------------------------------

    def append(self, value: Any) -> None:
        """Adds an element at the end."""
        self.extend((value,))

    def extend(self, values: Iterable[Any]) -> None:
        """Adds elements at the end."""
        start = len(self._items)
        self._items.extend(values)
        self._take_from(start)

    def __iadd__(self, values: Iterable[Any]) -> Any:  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, count: Any) -> Any:
        if count > 0:
            self.extend(self._items * (count - 1))
        else:
            self.clear()
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            self._move(self._items.__setitem__, key, value)
            return
        number = range(len(self._items))[key]
        self._moved = self._moved or isinstance(self._items[number], Trackable)
        self._items[number] = self._take(str(number), value)

    def __delitem__(self, key: Any) -> None:
        self._move(self._items.__delitem__, key)

    def insert(self, index: Any, value: Any) -> None:
        """Adds an element before another."""
        self._move(self._items.insert, index, value)

    def pop(self, index: Any = -1) -> Any:
        """Takes an element out."""
        return self._move(self._items.pop, index)

    def remove(self, value: Any) -> None:
        """Takes the first element out that is equal to a value."""
        self._move(self._items.remove, value)

    def clear(self) -> None:
        """Takes all elements out."""
        self._move(self._items.clear)

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """Sorts the elements."""
        self._move(functools.partial(self._items.sort, key=key, reverse=reverse))

    def reverse(self) -> None:
        """Turns the order of the elements round."""
        self._move(self._items.reverse)

    def _move(self, change: Callable[..., Any], *args: Any) -> Any:
        """Makes a change that may move elements: those of them that are children had other names before."""
        result = change(*args)
        self._moved = self._moved or bool(self._tracked.children)
        self._tracked.children.clear()
        self._take_from(0)
        return result

    # --- Reads ------------------------------------------------------------------------------------------------------

    def index(self, *args: Any) -> int:
        """The position of an element."""
        return self._items.index(*args)

    def count(self, value: Any) -> int:
        """How many elements are equal to a value."""
        return self._items.count(value)

    def __add__(self, other: Any) -> Any:
        return self._items + _items_of(other)

    def __radd__(self, other: Any) -> Any:
        return _items_of(other) + self._items

    def __mul__(self, count: Any) -> Any:
        return self._items * count

    __rmul__ = __mul__

    def __lt__(self, other: Any) -> Any:
        return self._items < _items_of(other)

    def __le__(self, other: Any) -> Any:
        return self._items <= _items_of(other)

    def __gt__(self, other: Any) -> Any:
        return self._items > _items_of(other)

    def __ge__(self, other: Any) -> Any:
        return self._items >= _items_of(other)

    def __repr__(self) -> str:
        return f"ListWrapper({self._items!r})"

    def _elements(self) -> tuple[Any, Any]:
        return iter(self._items), None


# --- Dicts -----------------------------------------------------------------------------------------------------------


class _Mapping(Container, MutableMapping):  # type: ignore[type-arg]
    """A dict whose trackable values are children, named by their keys.

    The base class's own elements are the same as those of `_items`: C code asks for their number.
    """

    _what = "a dictionary wrapper constructed automatically on attribute assignment"
    _wrapped = "dictionary"
    _plain_type: Any

    def __init__(self, wrapped: Any = (), **more: Any) -> None:
        self._start(wrapped if type(wrapped) is self._plain_type else self._plain_type(wrapped))
        for key in list(self._items):
            self[key] = self._items[key]
        self.update(more)

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        children = super()._trackable_children(save_type, **kwargs)
        if any(isinstance(value, Trackable) and not isinstance(key, str) for key, value in self._items.items()):
            raise self._unsaveable(
                "The wrapped dictionary contains a non-string key which maps to a trackable object or mutable data "
                "structure."
            )
        self._check_children(children, self._items.items())
        return children

    def __setitem__(self, key: Any, value: Any) -> None:
        kept = self._take(key, value) if isinstance(key, str) else wrap(value)
        self._items[key] = kept
        self._plain_type.__setitem__(self, key, kept)

    def __delitem__(self, key: Any) -> None:
        del self._items[key]
        self._forget(key)

    def _forget(self, key: Any) -> None:
        self._tracked.children.pop(key, None)
        if self._plain_type.__contains__(self, key):
            self._plain_type.__delitem__(self, key)

    def popitem(self, *args: Any) -> Any:
        """Takes an element out, the last one unless an `OrderedDict` is asked for the first."""
        key, value = self._items.popitem(*args)
        self._forget(key)
        return key, value

    def keys(self) -> Any:
        """The keys."""
        return self._items.keys()

    def values(self) -> Any:
        """The values."""
        return self._items.values()

    def items(self) -> Any:
        """Pairs of keys and values."""
        return self._items.items()

    def __or__(self, other: Any) -> Any:
        return self._items | _items_of(other)

    def __ror__(self, other: Any) -> Any:
        return _items_of(other) | self._items

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"DictWrapper({self._items!r})"

    def __str__(self) -> str:
        return str(self._items)

    def _elements(self) -> tuple[Any, Any]:
        return None, iter(self._items.items())


class DictWrapper(_Mapping, dict):  # type: ignore[type-arg]
    """A dict whose trackable values are children, named by their keys."""

    _plain_type = dict


class OrderedDictWrapper(_Mapping, OrderedDict):  # type: ignore[type-arg]
    """An `OrderedDict` whose trackable values are children, named by their keys."""

    _plain_type = OrderedDict

    def move_to_end(self, key: Any, last: bool = True) -> None:
        """Puts an element at an end."""
        self._items.move_to_end(key, last)
        OrderedDict.move_to_end(self, key, last)


# --- Tuples ----------------------------------------------------------------------------------------------------------


class TupleWrapper(Trackable, tuple):  # type: ignore[type-arg]
    """A tuple whose trackable elements are children, named by their positions, and by fields in named tuples."""

    _plain_type: Any = tuple

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        names = [*getattr(self, "_fields", ()), *map(str, range(len(self)))]
        elements = (*self, *self) if hasattr(self, "_fields") else self
        return {name: item for name, item in zip(names, elements, strict=True) if isinstance(item, Trackable)}

    def _lookup_dependency(self, name: str) -> Trackable | None:
        return self._trackable_children().get(name)

    def _as_plain(self) -> Any:
        return _tuple_like(self._plain_type, self)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = memo[id(self)] = _wrap_tuple(copy.deepcopy(self._as_plain(), memo))
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _wrap_tuple, (self._as_plain(),)


@functools.lru_cache(maxsize=256)
def _named_wrapper(kind: type) -> type:
    """The class of tracked tuples of a named tuple's class."""
    return type(kind.__name__, (TupleWrapper, kind), {"_plain_type": kind, "__module__": kind.__module__})


def _tuple_like(kind: type, elements: Iterable[Any]) -> Any:
    return kind(*elements) if hasattr(kind, "_fields") else kind(elements)


def _wrap_tuple(value: Any) -> Any:
    """A tracked tuple where one of the elements is trackable, or becomes so; else the tuple as it is."""
    kind = type(value)
    elements = [wrap(item) for item in value]
    if not any(isinstance(item, Trackable) for item in elements):
        return value
    if kind is tuple:
        wrapper: type = TupleWrapper
    elif hasattr(kind, "_fields"):
        wrapper = _named_wrapper(kind)  # type: ignore[arg-type]
    else:
        return value  # a tuple of a class of its own, which may be made in any way
    return _tuple_like(wrapper, elements)


_MAKERS: dict[type, Callable[[Any], Any]] = {
    list: ListWrapper,
    dict: DictWrapper,
    OrderedDict: OrderedDictWrapper,
    NoDependency: lambda value: value,
}
