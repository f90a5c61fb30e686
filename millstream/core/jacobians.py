"""Jacobians by vectorised pull-backs: the walk back over a tape is built once, for one element of the target, and
applied to all elements at a time."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import gradients, shapes, tape
from millstream.core.conversion import to_tensor
from millstream.core.opdef import find
from millstream.core.row_maps import map_rows
from millstream.core.tensor import Tensor


def jacobian(
    operations: Sequence[Any], y: Tensor, sources: Sequence[Tensor], parallel_iterations: int | None, at_once: bool
) -> list[Tensor | None]:
    """The derivatives of all elements of a tensor.

    Args:
      operations: what a tape has recorded.
      y: the target.
      sources: what to differentiate with respect to.
      parallel_iterations: how many rows are computed at a time; default: all.
      at_once: False: one row at a time.

    Returns:
      For each source a tensor of shape `y.shape + source.shape`, or None.
    """
    if not tape.is_differentiable(y):
        return [None] * len(sources)

    def seed(row: Tensor) -> Tensor:
        return find("Reshape")(_one_hot(row, _size_of(y), y), _shape_of(y))

    found = _rows(operations, y, sources, seed, _size_of(y), parallel_iterations, at_once)
    return [None if rows is None else _reshaped(rows, y, rows, 1) for rows in found]


def batch_jacobian(
    operations: Sequence[Any], y: Tensor, source: Tensor, parallel_iterations: int | None, at_once: bool
) -> Tensor | None:
    """The Jacobians of the examples of a batch, of which each depends on one example of the source.

    Args and result are those of `jacobian`; the result has the shape `y.shape + source.shape[1:]`.
    """
    if not tape.is_differentiable(y):
        return None
    size = find("Prod")(_shape_of(y)[1:], 0)

    def seed(row: Tensor) -> Tensor:
        example = find("Reshape")(_one_hot(row, size, y), _shape_of(y)[1:])
        return find("BroadcastTo")(example, _shape_of(y))

    (rows,) = _rows(operations, y, [source], seed, size, parallel_iterations, at_once)
    if rows is None:
        return None
    # [elements of an example, batch, ...] -> [batch, elements of an example, ...]
    rank = find("Range")(2, find("Rank")(rows), 1)
    return _reshaped(find("Transpose")(rows, find("ConcatV2")([[1, 0], rank], 0)), y, rows, 2)


def check_batch(y: Tensor, x: Tensor) -> None:
    """Requires that the target and the source of `batch_jacobian` are batches of the same length.

    Raises:
      ValueError: they are not.
    """
    for tensor in (y, x):
        if tensor._shape is not None and len(tensor._shape) < 2:
            raise ValueError(f"Shape {tensor.shape} must have rank at least 2")
    if y._shape is None or x._shape is None or not shapes.is_compatible(y._shape[:1], x._shape[:1]):
        raise ValueError(
            f"Need first dimension of target shape ({y.shape}) and source shape ({x.shape}) to match."
        )


def zeros(y: Tensor, x: Tensor) -> Tensor:
    """The Jacobian of a target that does not depend on a source."""
    return _zeros([_shape_of(y), _shape_of(x)], x)


def batch_zeros(y: Tensor, x: Tensor) -> Tensor:
    """The batch Jacobian of a target that does not depend on a source."""
    return _zeros([_shape_of(y), _shape_of(x)[1:]], y)


# --- Rows -------------------------------------------------------------------------------------------------------------


def _rows(
    operations: Sequence[Any],
    y: Tensor,
    sources: Sequence[Tensor],
    seed: Callable[[Tensor], Tensor],
    count: Any,
    parallel_iterations: int | None,
    at_once: bool,
) -> list[Tensor | None]:
    """The gradients of the sources, stacked, for each of `count` gradients of the target."""
    connected: list[int] = []

    def pull_back(row: list[Tensor]) -> list[Tensor]:
        found = tape.walk_back(operations, [y], [seed(row[0])], sources)
        connected[:] = [index for index, grad in enumerate(found) if grad is not None]
        return [gradients.dense(found[index]) for index in connected]

    at_a_time = (parallel_iterations or 0) if at_once else 1
    made = map_rows(pull_back, [find("Range")(0, count, 1)], at_a_time)
    result: list[Tensor | None] = [None] * len(sources)
    for index, rows in zip(connected, made, strict=True):
        result[index] = rows
    return result


def _one_hot(index: Tensor, depth: Any, like: Tensor) -> Tensor:
    one, zero = (to_tensor(value, like.dtype.base_dtype) for value in (1, 0))
    return find("OneHot")(index, depth, one, zero)


def _reshaped(rows: Tensor, y: Tensor, like: Tensor, skipped: int) -> Tensor:
    """Gives rows the shape of the target, followed by that of `like` without its first dimensions."""
    known = None if y._shape is None or like._shape is None else (*y._shape, *like._shape[skipped:])
    result = find("Reshape")(rows, find("ConcatV2")([_shape_of(y), _shape_of(like)[skipped:]], 0))
    result.set_shape(known)
    return result


def _zeros(parts: list[Tensor], like: Tensor) -> Tensor:
    return find("Fill")(find("ConcatV2")(parts, 0), to_tensor(0, like.dtype.base_dtype))


def _shape_of(tensor: Tensor) -> Any:
    return find("Shape")(tensor)


def _size_of(tensor: Tensor) -> Any:
    return find("Size")(tensor)
