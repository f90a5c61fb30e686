"""What the functions that apply a cell to a sequence have in common: batch sizes, first states, lengths."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import nest
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.layers.base import BaseLayer
from millstream.ops.fill_ops import zeros
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import range as range_of
from millstream.ops.reshape_ops import transpose
from millstream.ops.select_ops import where
from millstream.ops.shape_ops import rank
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.tensor_array import TensorArray
from millstream.rnn.cell import RNNCell
from millstream.rnn.shapes import joined_sizes

Step = Callable[[Any, Any], tuple[Any, Any]]


@export(v1=["contrib.rnn.transpose_batch_time"])
def transpose_batch_time(x: Any) -> Tensor:
    """Swaps the first two dimensions of a tensor, if there are two.

    Args:
      x: a tensor [batch, time, ...], of any dtype.

    Example:
      >>> tf.contrib.rnn.transpose_batch_time(tf.zeros([3, 5, 2])).shape.as_list()
      [5, 3, 2]
    """
    shape = x._shape
    if shape is not None and len(shape) < 2:
        return x
    result = transpose(x, concat(([1, 0], range_of(2, rank(x))), axis=0))
    if shape is not None and not result.is_eager:
        result.set_shape((shape[1], shape[0], *shape[2:]))
    return result


@export(v1=["contrib.rnn.best_effort_input_batch_size"])
def best_effort_input_batch_size(flat_input: Sequence[Any]) -> Any:
    """The batch size of tensors [time, batch, ...]: an int where one of them tells, else a scalar tensor.

    Raises:
      ValueError: the rank of a tensor is less than 2.
    """
    for tensor in flat_input:
        if tensor._shape is None:
            continue
        if len(tensor._shape) < 2:
            raise ValueError(f"Expected input tensor {tensor} to have rank at least 2")
        if tensor._shape[1] is not None:
            return tensor._shape[1]
    return shape_of(flat_input[0])[1]


def first_state(cell: Any, initial_state: Any, batch_size: Any, dtype: Any, missing: str) -> Any:
    """The state given, or the cell's own.

    Raises:
      ValueError: with the message `missing`: there is no state and no dtype.
    """
    if initial_state is not None:
        return initial_state
    if not dtype:
        raise ValueError(missing)
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(inputs=None, batch_size=batch_size, dtype=dtype)
    return cell.zero_state(batch_size, dtype)


def dtype_of_outputs(dtype: Any, state: Any) -> Any:
    """The dtype given, or that which all tensors of a state have.

    Raises:
      ValueError: they have different ones, or there are none.
    """
    if dtype is not None:
        return dtype
    found = [tensor.dtype for tensor in nest.flatten(state)]
    if not found:
        raise ValueError("Unable to infer dtype from empty state.")
    if any(other != found[0] for other in found):
        raise ValueError(
            "State has tensors of different inferred_dtypes. Unable to infer a single representative dtype."
        )
    return found[0]


def zero_outputs(sizes: Sequence[Any], batch_size: Any, dtype: Any) -> list[Tensor]:
    """Outputs of zeros: what a sequence gives after its end."""
    return [zeros(joined_sizes(batch_size, size), dtype) for size in sizes]


def step_of(cell: Any) -> Step:
    """The cell as a function of inputs and state; cells of Keras want each state in a list."""
    if isinstance(cell, RNNCell) or not isinstance(cell, BaseLayer) or hasattr(cell, "zero_state"):
        return cell

    def step(inputs: Any, state: Any) -> tuple[Any, Any]:
        output, state = cell(inputs, state if nest.is_nested(state) else [state])
        return output, state[0] if len(state) == 1 else state

    return step


def copied_through(finished: Any, old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """The old values of those sequences of the batch that are at their end, the new values of the others.

    Args:
      finished: a bool vector, one element for each sequence.
      old, new: tensors [batch, ...]. In place of scalars and of tensor arrays the new ones are taken.
    """

    def chosen(before: Any, after: Any) -> Any:
        as_it_is = isinstance(before, TensorArray) or before.shape.rank == 0
        return after if as_it_is else where(finished, before, after)

    return [chosen(before, after) for before, after in zip(old, new, strict=True)]


