"""Lists of tensors as values: they never change; whatever changes one gives another list.

What loops keep of their turns, and what a `tf.TensorArray` holds, are lists. There are four forms of one:

- `ElementList`: element by element, of any shapes, some perhaps not written yet. The form outside of programs, and in
  a program for as long as all places are known when it is compiled.
- `ArrayList`: elements of one shape in one array. Places may be computed.
- `GrowingList`: an `ArrayList` with room for more elements than it has; how many it has is computed.
- `PartialList`: a few elements at computed places: what the gradients of reads are. Only a `PartialList` and an
  `ElementList` may be shorter than the list that they are the gradient of.

An element that was never written is zeros of the shape of the others.
"""
from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import numpy as np


class NeedsHost(Exception):
    """What was asked for depends on data: no program can hold it, the host must compute it."""


class _List:
    """What all forms have in common."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        """The list of the sums of the elements at each place; what one list does not have counts as zero."""
        return _sum(self, other)


class ElementList(_List):
    """A list of elements one by one; None where one has not been written.

    Lists that are made from each other by appending share their memory: each one knows how much of it is its own.
    """

    __slots__ = ("_count", "_store", "size")

    _lock = threading.Lock()

    def __init__(self, elements: Sequence[Any] = (), size: int | None = None) -> None:
        self._store = list(elements)
        self._count = len(self._store)
        self.size = self._count if size is None else size

    def _sharing(self, count: int, size: int) -> ElementList:
        new = ElementList.__new__(ElementList)
        new._store, new._count, new.size = self._store, count, size
        return new

    @property
    def elements(self) -> list[Any]:
        """The elements, the first one first."""
        return self._store[: self._count] + [None] * (self.size - self._count)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written."""
        return all(element is None for element in self._store[: self._count])

    def push(self, value: Any) -> ElementList:
        """The list with one more element."""
        return self.set(self.size, value)

    def pop(self) -> tuple[ElementList, Any]:
        """The list without its last element, and that element.

        Raises:
          ValueError: it is empty.
        """
        if not self.size:
            raise ValueError("Trying to pop from an empty list.")
        last = self.get(self.size - 1)
        size = self.size - 1
        return self._sharing(min(self._count, size), size), zeros_of(self) if last is None else last

    def get(self, index: Any) -> Any:
        """The element at a place, or None if it was not written."""
        if not is_known(index):
            return self._as_array().get(index)
        return self._store[int(index)] if int(index) < self._count else None

    def set(self, index: Any, value: Any) -> Any:
        """The list with another element at a place; a place beyond the end makes it longer."""
        if not is_known(index):
            if self.is_empty:
                return PartialList([(index, value)], self.size)
            return self._as_array().set(index, value)
        place = int(index)
        size = max(self.size, place + 1)
        if place == self._count:
            with ElementList._lock:
                if len(self._store) == place:
                    self._store.append(value)
                    return self._sharing(place + 1, size)
        elements = self._store[: self._count] + [None] * (place + 1 - self._count)
        elements[place] = value
        return ElementList(elements, size)

    def cleared(self, index: Any) -> Any:
        """The list with zeros in the place of what was written at a place, if it has that."""
        if is_known(index):
            element = self.get(index)
            return self if element is None else self.set(index, _applied(_zeros, element))
        elements = enumerate(self.elements)
        kept = [None if element is None else _where(index != place, element) for place, element in elements]
        return ElementList(kept, self.size)

    def resized(self, size: int) -> ElementList:
        """The first elements, or all and then some that are not written."""
        return self._sharing(min(self._count, size), size)

    def mapped(self, function: Callable[[Any], Any]) -> ElementList:
        """The list of what a function makes of each element."""
        return ElementList([None if element is None else _applied(function, element) for element in self.elements])

    def _as_array(self) -> ArrayList:
        if len({np.shape(element) for element in self.elements if not isinstance(element, (*LISTS, NoneType))}) > 1:
            raise NeedsHost
        return ArrayList(_rows(self))


class ArrayList(_List):
    """A list within an array, or within a list value whose arrays have one more dimension."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    @property
    def size(self) -> int:
        """How many elements there are."""
        return capacity(self.buffer)

    def push(self, value: Any) -> ElementList:
        """The list with one more element."""
        return self._by_element().push(value)

    def pop(self) -> tuple[ElementList, Any]:
        """The list without its last element, and that element."""
        return self._by_element().pop()

    def get(self, index: Any) -> Any:
        """The element at a place."""
        return _row(self.buffer, index)

    def set(self, index: Any, value: Any) -> Any:
        """The list with another element at a place; a known one beyond the end makes it longer."""
        if is_known(index) and int(index) >= self.size:
            return self._by_element().set(index, value)
        return ArrayList(_with_row(self.buffer, index, value))

    def cleared(self, index: Any) -> ArrayList:
        """The list with zeros at a place."""
        return ArrayList(_with_row(self.buffer, index, _tree().map(_jnp().zeros_like, _row(self.buffer, index))))

    def resized(self, size: int) -> Any:
        """The first elements, or all and then some that are not written."""
        return self if size == self.size else self._by_element().resized(size)

    def mapped(self, function: Callable[[Any], Any]) -> ArrayList:
        """The list of what an elementwise function makes of each element."""
        return ArrayList(_tree().map(function, self.buffer))

    def _by_element(self) -> ElementList:
        return ElementList([_row(self.buffer, index) for index in range(self.size)])


class GrowingList(_List):
    """A list within an array: the first `size` rows of `buffer` are the elements."""

    __slots__ = ("buffer", "size")

    def __init__(self, buffer: Any, size: Any) -> None:
        self.buffer = buffer  # an array, or a list value whose arrays have one more dimension
        self.size = size

    def push(self, value: Any) -> GrowingList:
        """The list with one more element; there must be room."""
        return GrowingList(_with_row(self.buffer, self.size, value), self.size + 1)

    def pop(self) -> tuple[GrowingList, Any]:
        """The list without its last element, and that element."""
        last = self.size - 1
        return GrowingList(self.buffer, last), _row(self.buffer, last)

    def get(self, index: Any) -> Any:
        """The element at a place."""
        return _row(self.buffer, index)

    def set(self, index: Any, value: Any) -> Any:
        """How long the list would be is not known."""
        raise NeedsHost

    def resized(self, size: Any) -> Any:
        """How much room the list would need is not known."""
        raise NeedsHost

    @property
    def capacity(self) -> int:
        """For how many elements there is room."""
        return capacity(self.buffer)

    def mapped(self, function: Callable[[Any], Any]) -> GrowingList:
        """The list of what an elementwise function makes of each element."""
        return GrowingList(_tree().map(function, self.buffer), self.size)


class PartialList(_List):
    """A list in which nothing was written but some elements at computed places; where two are the same, they add up.

    Attributes:
      entries: places and elements.
      size: how many elements there are at least; 0 where nothing is known. Who adds the list to a longer one need not
        know its length.
    """

    __slots__ = ("entries", "size")

    def __init__(self, entries: Sequence[tuple[Any, Any]], size: int) -> None:
        self.entries = tuple(entries)
        self.size = size

    def push(self, value: Any) -> Any:
        """The list with one more element."""
        return self.as_array().push(value)

    def pop(self) -> tuple[Any, Any]:
        """The list without its last element, and that element."""
        return self.as_array().pop()

    def get(self, index: Any) -> Any:
        """The element at a place."""
        found = [_where(place == index, value) for place, value in self.entries]
        return functools.reduce(operator.add, found)

    def set(self, index: Any, value: Any) -> Any:
        """The list with another element at a place."""
        if all(place is index for place, _ in self.entries):
            return PartialList([(index, value)], self.size)
        return self.as_array().set(index, value)

    def cleared(self, index: Any) -> PartialList:
        """The list without what was written at a place."""
        return PartialList([(place, _where(place != index, value)) for place, value in self.entries], self.size)

    def resized(self, size: int) -> Any:
        """The list with so many elements."""
        return PartialList(self.entries, size) if size >= self.size else self.as_array().resized(size)

    def mapped(self, function: Callable[[Any], Any]) -> PartialList:
        """The list of what an elementwise function that leaves zeros makes of each element."""
        return PartialList([(place, _applied(function, value)) for place, value in self.entries], self.size)

    def as_array(self, size: int | None = None) -> ArrayList:
        """The list in the form of an array.

        Raises:
          NeedsHost: how many elements there are is not known.
        """
        size = size or self.size
        if not size:
            raise NeedsHost
        return ArrayList(self.added_to(zero_rows(self.entries[0][1], size)))

    def added_to(self, buffer: Any) -> Any:
        """The rows of a list with the elements added to them."""
        for place, value in self.entries:
            buffer = _with_row(buffer, place, value, add=True)
        return buffer

    def by_element(self) -> ElementList:
        """The list outside of programs, where the places are known."""
        total = ElementList((), self.size)
        for place, value in self.entries:
            total = total + ElementList().set(np.asarray(place), value)
        return total


LISTS = (ElementList, ArrayList, GrowingList, PartialList)


def is_known(index: Any) -> bool:
    """Whether a place is known when a program is compiled."""
    return isinstance(index, (int, np.ndarray, np.generic))


def zeros_like(value: Any) -> Any:
    """A list of zeros of the same shapes."""
    return value.mapped(_zeros)


def _zeros(array: Any) -> Any:
    return (_jnp() if hasattr(array, "aval") else np).zeros_like(array)


def get_or_zeros(values: Any, index: Any) -> Any:
    """The element at a place, zeros where the list is shorter; None if it is known not to be written."""
    if isinstance(values, PartialList):
        return values.get(index)
    if is_known(index):
        return values.get(index) if int(index) < values.size else None
    if isinstance(values, ElementList) and values.is_empty:
        return None
    return _where(index < values.size, values.get(index))


def _where(condition: Any, value: Any) -> Any:
    """A value, or zeros."""
    return _tree().map(lambda leaf: _jnp().where(condition, leaf, _jnp().zeros_like(leaf)), value)


# --- Several elements -------------------------------------------------------------------------------------------------


def zeros_of(value: Any) -> Any:
    """Zeros of the shape that the written elements of a list have, or None where there are none, or of several."""
    if not isinstance(value, ElementList):
        return _tree().map(lambda leaf: _jnp().zeros(leaf.shape[1:], leaf.dtype), as_rows(value))
    written = [element for element in value.elements if element is not None]
    if not written or isinstance(written[0], LISTS) or len({np.shape(element) for element in written}) > 1:
        return None
    shape, dtype = np.shape(written[0]), written[0].dtype
    return np.full(shape, b"", object) if dtype.kind == "O" else np.zeros(shape, dtype)


def as_rows(value: Any, size: int | None = None) -> Any:
    """The elements of a list that are all of one shape as the rows of one array; `size`: how many there must be.

    Raises:
      NeedsHost: how many they are is not known.
      ValueError: nothing was written, or the shapes differ.
    """
    if isinstance(value, GrowingList):
        raise NeedsHost
    if isinstance(value, PartialList):
        value = value.as_array(size)
    return value.buffer if isinstance(value, ArrayList) else _rows(value)


def _rows(value: ElementList) -> Any:
    elements = value.elements
    if any(element is None for element in elements):
        zeros = zeros_of(value)
        if zeros is None:
            raise ValueError("Elements of a list were never written, and their shape is not known.")
        elements = [zeros if element is None else element for element in elements]
    if not elements:
        raise ValueError("An empty list has no known shape of elements.")
    if isinstance(elements[0], LISTS):
        return _tree().map(lambda *leaves: _jnp().stack(leaves), *elements)
    xp = np if all(isinstance(element, (np.ndarray, np.generic)) for element in elements) else _jnp()
    return xp.stack(elements)


def settled(value: Any) -> Any:
    """A value in the form that it has in a program whatever has been done to it: a list as one array, if it can be."""
    if isinstance(value, PartialList) and value.size:
        return value.as_array()
    if not isinstance(value, ElementList) or zeros_of(value) is None:
        return value
    return ArrayList(_rows(value))


def outside(value: Any) -> Any:
    """A value that a program has given in the form that it has outside of programs."""
    return value.by_element() if isinstance(value, PartialList) else value


def with_rows(value: Any, indices: Any, rows: Any) -> ArrayList:
    """A list of a known number of elements with the rows of an array at computed places."""
    if isinstance(value, ElementList) and value.is_empty:
        return ArrayList(_jnp().zeros((value.size, *rows.shape[1:]), rows.dtype).at[indices].set(rows))
    return ArrayList(as_rows(value).at[indices].set(rows))


def growing(element: Any, room: int, known: ElementList) -> GrowingList:
    """The list of the elements that are known, with room for more elements of the shapes and dtypes of `element`."""
    found = GrowingList(zero_rows(element, max(room + known.size, 1)), _jnp().zeros((), _jnp().int32))
    for value in known.elements:
        found = found.push(value)
    return found


def zero_rows(element: Any, count: int) -> Any:
    """An array of zeros with a row for each of so many elements like `element`."""
    return _tree().map(lambda leaf: _jnp().zeros((count, *leaf.shape), leaf.dtype), element)


def capacity(buffer: Any) -> int:
    """How many rows there are in an array, or in the arrays of a list value."""
    return (buffer if hasattr(buffer, "shape") else _tree().leaves(buffer)[0]).shape[0]


def _sum(first: Any, second: Any) -> Any:
    if isinstance(first, ElementList) and isinstance(second, ElementList):
        size = max(first.size, second.size)
        pairs = zip(first.resized(size).elements, second.resized(size).elements, strict=True)
        return ElementList([a if b is None else b if a is None else a + b for a, b in pairs])
    if isinstance(first, GrowingList) and isinstance(second, GrowingList):
        return GrowingList(_tree().map(lambda a, b: a + b, first.buffer, second.buffer), first.size)
    for one, other in ((first, second), (second, first)):
        if isinstance(other, GrowingList):
            return GrowingList(_sum(one, ArrayList(other.buffer)).buffer, other.size)
        if isinstance(one, ElementList) and one.is_empty:
            return other.resized(max(one.size, other.size))
        if isinstance(one, PartialList) and isinstance(other, ArrayList):
            return ArrayList(one.added_to(other.buffer))
        if isinstance(one, PartialList):
            return PartialList([*_entries(other), *one.entries], max(one.size, other.size))
    size = max(first.size, second.size)
    rows = [as_rows(value.resized(size)) for value in (first, second)]
    return ArrayList(_tree().map(lambda a, b: a + b, *rows))


def _entries(value: Any) -> Sequence[tuple[Any, Any]]:
    """The places and elements of a list that is known to have few."""
    if isinstance(value, PartialList):
        return value.entries
    return [(np.int32(place), element) for place, element in enumerate(value.elements) if element is not None]


def _applied(function: Callable[[Any], Any], element: Any) -> Any:
    return element.mapped(function) if isinstance(element, LISTS) else function(element)


def _row(buffer: Any, index: Any) -> Any:
    """A row of an array, or of the arrays of a list value."""
    if is_known(index) and hasattr(buffer, "shape"):
        return buffer[int(index)]
    return _tree().map(lambda rows: _row_of_array(rows, index), buffer)


def _row_of_array(rows: Any, index: Any) -> Any:
    from jax import lax

    return lax.dynamic_index_in_dim(rows, index, 0, keepdims=False, allow_negative_indices=False)


def _with_row(buffer: Any, index: Any, row: Any, add: bool = False) -> Any:
    from jax import lax

    def put(rows: Any, leaf: Any) -> Any:
        leaf = _jnp().asarray(leaf).astype(rows.dtype)
        if add:
            leaf = leaf + _row_of_array(rows, index)
        return lax.dynamic_update_index_in_dim(_jnp().asarray(rows), leaf, index, 0, allow_negative_indices=False)

    return _tree().map(put, buffer, row)


def _jnp() -> Any:
    from jax import numpy

    return numpy


def _tree() -> Any:
    from jax import tree

    return tree


_registered = False


def register(jax: Any) -> None:
    """Tells JAX what lists consist of."""
    global _registered
    if _registered:
        return
    _registered = True
    node = jax.tree_util.register_pytree_node
    node(ElementList, lambda x: (x.elements, None), lambda _, elements: ElementList(elements))
    node(ArrayList, lambda x: ((x.buffer,), None), lambda _, parts: ArrayList(*parts))
    node(GrowingList, lambda x: ((x.buffer, x.size), None), lambda _, parts: GrowingList(*parts))
    node(PartialList, lambda x: (x.entries, x.size), lambda size, entries: PartialList(entries, size))
