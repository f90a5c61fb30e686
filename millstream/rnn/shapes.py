"""Shapes of states and outputs: the batch's dimensions before those of a cell."""
from __future__ import annotations

from typing import Any

from millstream.core import context, dtypes, nest
from millstream.core.shapes import TensorShape
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.constant_op import constant
from millstream.ops.fill_ops import zeros
from millstream.ops.join_ops import concat
from millstream.ops.reshape_ops import expand_dims


def joined_sizes(prefix: Any, suffix: Any) -> Tensor:
    """The vector of the sizes of a batch, then those of a cell.

    Args:
      prefix, suffix: sizes: an int, a shape, or an int32 tensor that is a scalar or a vector.

    Raises:
      ValueError: sizes that are not known, or a tensor of another rank.
    """
    vectors = _vector(prefix, "prefix"), _vector(suffix, "suffix")
    if any(vector is None for vector in vectors):
        raise ValueError(f"Provided a prefix or suffix of None: {prefix} and {suffix}")
    return concat(vectors, 0)


def known_shape(prefix: Any, suffix: Any) -> TensorShape:
    """What is known of the shape that `joined_sizes` gives.

    As in TensorFlow the vectors of the sizes are made once more, though nothing uses them: the number of operations in
    a graph decides the seeds of those that follow.
    """
    for sizes, label in ((prefix, "prefix"), (suffix, "suffix")):
        _vector(sizes, label)
    return TensorShape(known_sizes(prefix)).concatenate(known_sizes(suffix))


def _vector(sizes: Any, label: str) -> Tensor | None:
    if isinstance(sizes, Tensor):
        rank = sizes.shape.rank
        if rank == 0:
            return expand_dims(sizes, 0)
        if rank != 1:
            raise ValueError(f"{label} tensor must be either a scalar or vector, but saw tensor: {sizes}")
        return sizes
    shape = TensorShape(sizes)
    return constant(shape.as_list(), dtypes.int32) if shape.is_fully_defined() else None


def known_sizes(sizes: Any) -> TensorShape:
    """What is known of sizes that are given as an int, a shape or a tensor."""
    if not isinstance(sizes, Tensor):
        return TensorShape(sizes)
    value = constant_value(sizes)
    if value is None:
        return TensorShape([None] if sizes.shape.rank == 0 else None)
    return TensorShape(value.reshape(-1))


def zero_states(sizes: Any, batch_size: Any, dtype: Any) -> Any:
    """Zeros for each size in a structure of them: tensors of the shape `[batch_size, *size]`."""

    def zero_state(size: Any) -> Tensor:
        state = zeros(joined_sizes(batch_size, size), dtype)
        if not context.executing_eagerly():
            state.set_shape(known_shape(batch_size, size))
        return state

    return nest.map_structure(zero_state, sizes)
