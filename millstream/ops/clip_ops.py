"""Clipping: by value, and by the norm of one tensor or of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.conversion import convert_to_tensor_or_indexed_slices, to_tensor
from millstream.core.dtypes import NUMERIC
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find, op
from millstream.core.scopes import name_scope
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, fill_ops, identity_ops
from millstream.ops.arithmetic_ops import maximum, minimum
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, is_finite, less, logical_or
from millstream.ops.elementwise import unbroadcast
from millstream.ops.elementwise_ops import rsqrt, sqrt
from millstream.ops.join_ops import stack
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.select_ops import where
from millstream.ops.shape_ops import rank, size


def _values_of(tensor: Any) -> Tensor:
    return to_tensor(tensor.values if isinstance(tensor, IndexedSlices) else tensor, name="t")


def _like(tensor: Any, values: Tensor) -> Any:
    """`values` in the form of `tensor`: as its rows where that is an `IndexedSlices`."""
    return IndexedSlices(values, tensor.indices, tensor.dense_shape) if isinstance(tensor, IndexedSlices) else values


@export("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Limits the elements of a tensor to an interval.

    Args:
      t: a real tensor or `IndexedSlices`.
      clip_value_min: the least value, a tensor of the dtype of `t` that broadcasts to its shape.
      clip_value_max: the greatest value, likewise.
      name: the scope of the operations.

    Raises:
      ValueError: the limits would make the result larger than `t`.

    Example:
      >>> tf.clip_by_value([-5, 2, 9], 0, 5)         # [0, 2, 5]
    """
    with name_scope(name, "clip_by_value", [t, clip_value_min, clip_value_max]) as scope:
        values = _values_of(t)
        below = minimum(values, clip_value_max)
        _check_same_shape(values, below)
        clipped = maximum(below, clip_value_min, name=scope)
        _check_same_shape(values, clipped)
        return _like(t, clipped)


def _check_same_shape(values: Tensor, clipped: Tensor) -> None:
    if not shapes.is_compatible(values._shape, clipped._shape):
        raise ValueError(f"Shapes {values.shape} and {clipped.shape} are not compatible")


@export("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """Scales a tensor down to a Euclidean norm of at most `clip_norm`.

    Args:
      t: a floating point tensor or `IndexedSlices`.
      clip_norm: the greatest norm, a positive scalar.
      axes: the axes of which each slice is a vector of its own; default: all, the norm of the whole tensor.
      name: the scope of the operations.

    Returns:
      `t * clip_norm / max(norm, clip_norm)`.
    """

    with name_scope(name, "clip_by_norm", [t, clip_norm]) as scope:
        values = _values_of(t)
        squares = reduce_sum(values * values, axes, keepdims=True)
        positive = squares > 0  # the root has no gradient at 0
        safe = where(positive, squares, fill_ops.ones_like(squares))
        norm = where(positive, sqrt(safe), squares)
        scaled = values * clip_norm
        _check_same_shape(values, scaled)
        return _like(t, identity_ops.identity(scaled / maximum(norm, clip_norm), name=scope))


@export(v1=["clip_by_average_norm"])
def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """Scales a tensor down so that its Euclidean norm by its number of elements is at most `clip_norm`.

    Args:
      t: a float32 tensor.
      clip_norm: the greatest average norm, a positive scalar.
      name: the scope of the operations.
    """

    with name_scope(name, "clip_by_average_norm", [t, clip_norm]) as scope:
        values = to_tensor(t, name="t")
        count = cast(size(values), dtypes.float32)
        inverse_norm = rsqrt(reduce_sum(values * values, range_of(rank(values))))
        scaled = values * clip_norm
        inverse_average = inverse_norm * count
        limit = constant_op.constant(1.0) / clip_norm
        return identity_ops.identity(scaled * minimum(inverse_average, limit), name=scope)


@export("linalg.global_norm", v1=["global_norm"])
def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor:
    """The Euclidean norm of all elements of several tensors together.

    Args:
      t_list: a list of floating point tensors, `IndexedSlices` or None.
      name: the scope of the operations.

    Raises:
      TypeError: `t_list` is no list.
    """

    tensors = _as_list(t_list)
    with name_scope(name, "global_norm", tensors):
        values = [
            to_tensor(item.values if isinstance(item, IndexedSlices) else item, name=f"t_{index}")
            for index, item in enumerate(tensors)
            if item is not None
        ]
        halves = [find("L2Loss")(value) for value in values]
        total = reduce_sum(stack(halves))
        return sqrt(total * constant_op.constant(2.0, dtype=total.dtype), name="global_norm")


def _as_list(t_list: Any) -> list[Any]:
    if not isinstance(t_list, Sequence) or isinstance(t_list, str):
        raise TypeError("t_list should be a sequence")
    return list(t_list)


@export("clip_by_global_norm")
def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """Scales several tensors down together, so that their global norm is at most `clip_norm`.

    The directions are kept: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

    Args:
      t_list: a list of floating point tensors, `IndexedSlices` or None.
      clip_norm: the greatest norm, a positive scalar.
      use_norm: the global norm where it is known already.
      name: the scope of the operations.

    Returns:
      the list of scaled tensors (NaN where the norm is not finite), and the global norm before.

    Raises:
      TypeError: `t_list` is no list.
    """

    tensors = _as_list(t_list)
    norm = global_norm(tensors, name) if use_norm is None else use_norm
    with name_scope(name, "clip_by_global_norm", [*tensors, clip_norm]) as scope:
        limit = minimum(1.0 / norm, constant_op.constant(1.0, dtype=norm.dtype) / clip_norm)
        scale = clip_norm * limit
        finite = is_finite(norm)
        scale = where(finite, scale, constant_op.constant(float("nan"), dtype=norm.dtype))
        clipped: list[Any] = []
        for index, item in enumerate(tensors):
            if item is None:
                clipped.append(None)
                continue
            item = convert_to_tensor_or_indexed_slices(item, name=f"t_{index}")
            scaled = (item.values if isinstance(item, IndexedSlices) else item) * scale
            clipped.append(_like(item, identity_ops.identity(scaled, name=f"{scope}_{index}")))
        return clipped, norm


@op(
    "ClipByValue(t: T, clip_value_min: T, clip_value_max: T) -> output: T",
    T=NUMERIC, shape=same_as(0),
)  # fmt: skip
def clip_by_value_op(xp, t, clip_value_min, clip_value_max):
    """`clip_by_value` as one operation, found in saved graphs."""
    return xp.minimum(xp.maximum(t, clip_value_min), clip_value_max)


@clip_by_value_op.gradient
def _(op, grad):

    x, least, greatest = op.inputs
    zeros = fill_ops.zeros_like(grad)
    below, above = less(x, least), greater(x, greatest)
    return (
        where(logical_or(below, above), zeros, grad),
        unbroadcast(where(below, grad, zeros), least, x),
        unbroadcast(where(above, grad, zeros), greatest, x),
    )
