"""The form that lists have in a compiled loop: an array with room for all that the loop writes."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.ops.list_values import (
    LISTS,
    ArrayList,
    ElementList,
    GrowingList,
    NeedsHost,
    PartialList,
    as_rows,
    growing,
    zero_rows,
)
from millstream.runtime import backend

# What a compiled loop may keep of its turns; a longer one keeps only the turns that there are.
_MOST_BYTES = 2**30


def with_room(value: Any, after: Any, turns: int | None) -> Any:
    """A list at the start of a loop, in the form that it has in all turns.

    Args:
      value: the list.
      after: what becomes of it in a turn, with shapes in place of arrays.
      turns: the number of turns that there are at most, or None where that is not known.

    Raises:
      NeedsHost: nobody knows how much room it takes, it would take too much memory, or its elements differ in shape.
    """
    if isinstance(value, (ArrayList, GrowingList)):
        return value
    element = _element_of(after)
    if isinstance(value, PartialList):
        return value.as_array(after.size) if value.size or not isinstance(after, PartialList) else value
    if element is None:
        return value
    if after.size == value.size and value.size:  # one of 0 grows at a computed place
        return _written(value, element)
    if not isinstance(after, ElementList) or after.size != value.size + 1 or turns is None:
        raise NeedsHost
    _refuse_much(turns * _bytes(element))
    return growing(element, turns, value)


def _element_of(value: Any) -> Any:
    """The shapes of an element of a list whose elements are alike, or None where there is none."""
    if isinstance(value, PartialList):
        return value.entries[0][1]
    if isinstance(value, ElementList):
        return next((element for element in value.elements if element is not None), None)
    jax = backend.jax()
    return jax.tree.map(lambda rows: jax.ShapeDtypeStruct(rows.shape[1:], rows.dtype), value.buffer)


def _written(value: ElementList, element: Any) -> ArrayList:
    """A list of a known number of elements."""
    written = [known for known in value.elements if known is not None]
    if len({np.shape(known) for known in written if not isinstance(known, LISTS)}) > 1:
        raise NeedsHost
    if len(written) == value.size:
        return ArrayList(as_rows(value))
    _refuse_much(value.size * _bytes(element))
    found: Any = ArrayList(zero_rows(element, value.size))
    for index, known in enumerate(value.elements):
        if known is not None:
            found = found.set(index, known)
    return found


def _bytes(element: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in backend.jax().tree.leaves(element))


def _refuse_much(size: int) -> None:
    if size > _MOST_BYTES:
        raise NeedsHost
