"""Lists of values as values: they never change, and pushing or popping gives another list.

`Stack` links its elements, whatever they are. `ArrayStack` keeps elements of one shape in one array of a fixed length,
so that it can be a part of a compiled program; the elements may be lists themselves.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class _List:
    """What the two kinds of lists have in common."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        """The list of the sums of the elements at each place."""
        return self.mapped(lambda a, b: a + b, other)  # type: ignore[attr-defined]


class Stack(_List):
    """A list that is linked from its last element to its first."""

    __slots__ = ("_rest", "_top", "size")

    def __init__(self, rest: Stack | None = None, top: Any = None) -> None:
        self._rest = rest
        self._top = top
        self.size: int = 0 if rest is None else rest.size + 1

    def push(self, value: Any) -> Stack:
        """The list with one more element."""
        return Stack(self, value)

    def pop(self) -> tuple[Stack, Any]:
        """The list without its last element, and that element.

        Raises:
          ValueError: it is empty.
        """
        if self._rest is None:
            raise ValueError("Trying to pop from an empty list.")
        return self._rest, self._top

    def _from_last(self) -> Iterator[Any]:
        stack = self
        while stack._rest is not None:
            yield stack._top
            stack = stack._rest

    @property
    def elements(self) -> list[Any]:
        """The elements, the first one first."""
        return list(self._from_last())[::-1]

    @classmethod
    def of(cls, elements: Any) -> Stack:
        """The list of some elements."""
        stack = cls()
        for element in elements:
            stack = stack.push(element)
        return stack

    def mapped(self, function: Callable[..., Any], *others: Stack) -> Stack:
        """The list of what a function makes of the elements at each place."""
        lists = (self.elements, *(other.elements for other in others))
        return Stack.of(_mapped(function, *values) for values in zip(*lists, strict=True))


class ArrayStack(_List):
    """A list within an array: the first `size` rows of `buffer` are the elements."""

    __slots__ = ("buffer", "size")

    def __init__(self, buffer: Any, size: Any) -> None:
        self.buffer = buffer  # an array, or a list value whose arrays have one more dimension
        self.size = size

    def push(self, value: Any) -> ArrayStack:
        """The list with one more element; there must be room."""
        from jax import lax, tree

        def put(rows: Any, row: Any) -> Any:
            return lax.dynamic_update_index_in_dim(rows, row.astype(rows.dtype), self.size, 0)

        return ArrayStack(tree.map(put, self.buffer, value), self.size + 1)

    def pop(self) -> tuple[ArrayStack, Any]:
        """The list without its last element, and that element."""
        from jax import lax, tree

        last = self.size - 1
        value = tree.map(lambda rows: lax.dynamic_index_in_dim(rows, last, 0, keepdims=False), self.buffer)
        return ArrayStack(self.buffer, last), value

    @property
    def capacity(self) -> int:
        """For how many elements there is room."""
        from jax import tree

        return tree.leaves(self.buffer)[0].shape[0]

    def mapped(self, function: Callable[..., Any], *others: ArrayStack) -> ArrayStack:
        """The list of what an elementwise function makes of the elements at each place."""
        from jax import tree

        return ArrayStack(tree.map(function, self.buffer, *(other.buffer for other in others)), self.size)


LISTS = (Stack, ArrayStack)


def _mapped(function: Callable[..., Any], first: Any, *rest: Any) -> Any:
    return first.mapped(function, *rest) if isinstance(first, LISTS) else function(first, *rest)


def zeros_like(value: Any) -> Any:
    """A list of zeros of the same shapes."""
    return value.mapped(lambda array: array * np.zeros((), array.dtype))


def empty_array_stack(element: Any, capacity: int) -> ArrayStack:
    """An empty list with room for elements of the shapes and dtypes of `element`."""
    from jax import numpy as jnp
    from jax import tree

    rows = tree.map(lambda array: jnp.zeros((capacity, *array.shape), array.dtype), element)
    return ArrayStack(rows, jnp.zeros((), jnp.int32))


_registered = False


def register(jax: Any) -> None:
    """Tells JAX what lists consist of."""
    global _registered
    if _registered:
        return
    _registered = True
    jax.tree_util.register_pytree_node(Stack, lambda stack: (stack.elements, None), lambda _, parts: Stack.of(parts))
    jax.tree_util.register_pytree_node(
        ArrayStack, lambda stack: ((stack.buffer, stack.size), None), lambda _, parts: ArrayStack(*parts)
    )
