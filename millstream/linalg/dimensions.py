"""Dimensions that are numbers where they are known when the graph is built, and scalar tensors where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.shapes import Shape
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import maximum
from millstream.ops.join_ops import stack
from millstream.ops.reshape_ops import broadcast_to
from millstream.ops.shape_ops import shape

Dim = int | Tensor
Dims = list[Dim]


def static_shape(value: Any) -> Shape:
    """The static shape of a tensor, variable or operator."""
    return shapes.as_plain(value.shape)


def dims_of(value: Any) -> Dims:
    """The dimensions of a tensor, variable or operator.

    Raises:
      ValueError: not even their number is known.
    """
    static = static_shape(value)
    if static is None:
        raise ValueError(f"The number of dimensions must be known of {value}.")
    if None not in static:
        return list(static)
    dynamic = value.shape_tensor() if hasattr(value, "shape_tensor") else shape(value)
    return [dynamic[axis] if dim is None else dim for axis, dim in enumerate(static)]


def as_shape(dims: Iterable[Dim]) -> Shape:
    """The static shape of these dimensions."""
    return tuple(dim if isinstance(dim, int) else None for dim in dims)


def as_vector(dims: Sequence[Dim]) -> Any:
    """Dimensions as the operand of an operation: an array if all are known, else an int32 tensor."""
    if all(isinstance(dim, int) for dim in dims):
        return np.array(dims, np.int32)
    return stack([to_tensor(dim, dtypes.int32) for dim in dims])


def broadcast_dims(*batches: Dims) -> Dims:
    """The dimensions which several ones broadcast to.

    Raises:
      ValueError: they do not.
    """
    rank = max(len(batch) for batch in batches)
    padded = [[1] * (rank - len(batch)) + list(batch) for batch in batches]
    return [_broadcast(column) for column in zip(*padded, strict=True)]


def _broadcast(candidates: Iterable[Dim]) -> Dim:
    """One dimension out of those that stand above each other."""
    known = {dim for dim in candidates if isinstance(dim, int) and dim != 1}
    if len(known) > 1:
        raise ValueError(f"Dimensions {sorted(known)} do not broadcast.")
    if known:
        return known.pop()
    result: Dim = 1
    for dim in candidates:
        if not isinstance(dim, int):
            result = dim if isinstance(result, int) else maximum(result, dim)
    return result


def broadcast_batch(value: Any, batch: Dims, event: int = 2) -> Any:
    """Stretches the dimensions before the last `event` ones to those that they broadcast to with `batch`."""
    dims = dims_of(value)
    own = dims[: len(dims) - event]
    wanted = broadcast_dims(own, batch)
    if as_shape(wanted) == as_shape(own) and all(map(_is_same, wanted, own)):
        return value
    return broadcast_to(value, as_vector([*wanted, *dims[len(dims) - event :]]))


def _is_same(a: Dim, b: Dim) -> bool:
    return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dimensions."""
    result: Dim = 1
    for dim in dims:
        result = dim if isinstance(result, int) and result == 1 else result * dim
    return result
