"""Shape rules that many operations share.

A rule takes a `ShapeContext` and gives the output's shape (or a list of shapes, one an output).
"""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.opdef import Shape, ShapeRule
from millstream.core.shape_context import ShapeContext


def same_as(index: int) -> ShapeRule:
    """The output has the shape of an input."""

    def rule(c: ShapeContext) -> Shape:
        return c.inputs[index]._shape

    return rule


def fixed(*shape: int | None) -> ShapeRule:
    """The output always has this shape."""

    def rule(c: ShapeContext) -> Shape:
        return shape

    return rule


scalar = fixed()


def unknown(c: ShapeContext) -> Shape:
    """Nothing is known of the output's shape."""
    return None


def broadcast(c: ShapeContext) -> Shape:
    """Binary elementwise operations: NumPy's broadcasting of the two inputs."""
    first, second = c.inputs
    a, b = first._shape, second._shape
    if a == b or b == ():
        return a
    return shapes.broadcast(a, b)


def merged(c: ShapeContext) -> Shape:
    """All inputs and the output have one shape.

    Raises:
      ValueError: two inputs contradict each other.
    """
    shape: Shape = None
    for tensor in c.inputs:
        shape = shapes.merge(shape, tensor._shape)
    return shape


def from_value(index: int) -> ShapeRule:
    """The value of an input is the output's shape."""

    def rule(c: ShapeContext) -> Shape:
        return c.constant_shape(index)

    return rule


def from_attr(name: str) -> ShapeRule:
    """An attribute holds the output's shape."""

    def rule(c: ShapeContext) -> Shape:
        return c.attrs[name]

    return rule


def no_outputs(c: ShapeContext) -> list[Any]:
    """The operation has no outputs."""
    return []


def reduction(c: ShapeContext) -> Shape:
    """Input 0 is reduced over the axes that input 1 holds; attribute `keep_dims`.

    Raises:
      ValueError: an axis is out of range.
    """
    shape, keep = c.shape(0), c.attrs["keep_dims"]
    axes = c.constant(1)
    if shape is None:
        return None
    rank = len(shape)
    if axes is None:
        return (None,) * rank if keep else None
    reduced = set()
    for axis in axes.reshape(-1).tolist():
        if not -rank <= axis < rank:
            raise ValueError(f"Invalid reduction dimension {axis} for input with {rank} dimensions.")
        reduced.add(axis % rank)
    if keep:
        return tuple(1 if axis in reduced else dim for axis, dim in enumerate(shape))
    return tuple(dim for axis, dim in enumerate(shape) if axis not in reduced)


def normalize_axis(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
      ValueError: it is not in [-rank, rank).
    """
    if not -rank <= axis < rank:
        raise ValueError(f"Dimension must be in the range [{-rank}, {rank}), but is {axis}")
    return axis % rank
