"""Sorting, by way of the greatest k."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, shape_ops
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import range as range_of
from millstream.ops.reshape_ops import transpose
from millstream.ops.top_k_ops import top_k

_DIRECTIONS = ("ASCENDING", "DESCENDING")


@export("sort", v1=["contrib.framework.sort"])
def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """Sorts a tensor along an axis.

    Args:
      values: a real tensor of rank 1 or more.
      axis: the axis, which must be known when the graph is built.
      direction: "ASCENDING" or "DESCENDING".
      name: the scope of the operations.

    Raises:
      ValueError: `axis` is not a known scalar, or `direction` none of the two.
    """
    with name_scope(name, "sort"):
        ascending, values, axis = _arguments(values, axis, direction)
        found = _greatest_first(-values if ascending else values, axis, positions=False)
        return -found if ascending else found


@export("argsort", v1=["contrib.framework.argsort"])
def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The positions of the elements of a tensor in sorted order along an axis.

    Args:
      values: a real tensor of rank 1 or more.
      axis: the axis, which must be known when the graph is built.
      direction: "ASCENDING" or "DESCENDING".
      stable: accepted for compatibility: equal elements always keep their order.
      name: the scope of the operations.

    Returns:
      an int32 tensor of the shape of `values`.

    Raises:
      ValueError: `axis` is not a known scalar, or `direction` none of the two.
    """
    with name_scope(name, "argsort"):
        ascending, values, axis = _arguments(values, axis, direction)
        return _greatest_first(-values if ascending else values, axis, positions=True)


def _arguments(values: Any, axis: Any, direction: str) -> tuple[bool, Tensor, int]:
    if direction not in _DIRECTIONS:
        raise ValueError(f"{direction} should be one of {', '.join(_DIRECTIONS)}")
    known = constant_value(to_tensor(axis, name="axis"))
    if known is None or known.ndim:
        raise ValueError("axis must be a constant scalar")
    return direction == "ASCENDING", to_tensor(values, name="values"), int(known)


def _greatest_first(values: Tensor, axis: int, positions: bool) -> Tensor:
    """Sorts in descending order; gives the positions in place of the values if asked for."""
    k = shape_ops.shape(values)[axis]
    rank = shape_ops.rank(values)
    known = None if values._shape is None else len(values._shape)
    if axis == -1 or axis + 1 == known:
        return top_k(values, k)[1 if positions else 0]
    order = _swapped_with_last(axis, rank, known)
    found = top_k(transpose(values, order), k)[1 if positions else 0]
    return transpose(found, order)


def _swapped_with_last(axis: int, rank: Tensor, known: int | None) -> Tensor:
    """The order of axes that exchanges one with the last."""
    if known is None:
        position = axis if axis >= 0 else axis + rank
        parts = [range_of(position), [rank - 1], range_of(position + 1, rank - 1), [position]]
        return concat(parts, 0)
    order = np.arange(known)
    order[[axis, -1]] = order[[-1, axis]]
    return constant_op.constant(order, name="transposition")
