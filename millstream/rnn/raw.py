"""`tf.nn.raw_rnn`: a cell in a loop that a function of the user controls."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import dtypes, nest, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.ops.comparison_ops import logical_not, logical_or
from millstream.ops.constant_op import constant
from millstream.ops.fill_ops import zeros
from millstream.ops.reduction_ops import reduce_all
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.tensor_array import TensorArray
from millstream.ops.while_loop import while_loop
from millstream.rnn.cell import check_is_cell
from millstream.rnn.sequences import copied_through
from millstream.rnn.shapes import joined_sizes, known_sizes


@export(v1=["nn.raw_rnn"])
def raw_rnn(
    cell: Any,
    loop_fn: Callable[..., Any],
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:
    """Applies a cell again and again, to inputs that a function makes, until that says that all sequences are finished.

    It computes, but for the sequences that are finished:

        finished, inputs, state, emit_structure, loop_state = loop_fn(0, None, None, None)
        while not all(finished):
            output, cell_state = cell(inputs, state)
            finished, inputs, state, emit, loop_state = loop_fn(time + 1, output, cell_state, loop_state)
            emitted[time] = emit
            time += 1

    Args:
      cell: an `RNNCell`.
      loop_fn: a function of `time`, an int32 scalar; `cell_output`, `cell_state` and `loop_state`, which are None at
        first. It gives `elements_finished`, a bool vector [batch]; `next_input`, a tensor [batch, ...] or a structure
        of them; `next_cell_state`; `emit_output`, a structure of what to give for this step; `next_loop_state`, a
        tensor, tensor array or structure that is handed on, or None: as before. At first `emit_output` is a structure
        of tensors without the batch's dimension, which say what is going to be emitted, or None: something like
        `cell.output_size`.
      parallel_iterations, swap_memory: accepted for compatibility.
      scope: the variable scope, or its name; default: "rnn".

    Returns:
      a structure of tensor arrays of what was emitted, zeros after a sequence's end; the last state, of each sequence
      where it ended; the last loop state, None if there was none.

    Raises:
      TypeError: `cell` is no cell, or `loop_fn` no function.
      ValueError: a structure changes, or is not like that of the cell; batch sizes differ.

    Example:
      >>> cell, x = tf.nn.rnn_cell.GRUCell(4), tf.ones([3, 2, 1])  # three steps of two sequences
      >>> def loop_fn(time, output, state, loop_state):
      ...   state = cell.zero_state(2, tf.float32) if output is None else state
      ...   return time >= [3, 1], x[tf.minimum(time, 2)], state, output, None
      >>> emitted, last, _ = tf.nn.raw_rnn(cell, loop_fn)
      >>> outputs = emitted.stack()  # [3, 2, 4]
    """
    check_is_cell("cell", cell)
    if not callable(loop_fn):
        raise TypeError("loop_fn must be a callable")
    with variable_scope(scope or "rnn"):
        loop = _Loop(cell, loop_fn)
        *_, emitted, state, loop_state = while_loop(
            loop.goes_on, loop.turn, loop.first, parallel_iterations=parallel_iterations or 32, swap_memory=swap_memory
        )
    return emitted, state, loop_state if loop.has_state else None


class _Loop:
    """The loop and its variables: time, which sequences are finished, inputs, emitted arrays, state, loop state."""

    def __init__(self, cell: Any, loop_fn: Callable[..., Any]) -> None:
        self._cell = cell
        self._loop_fn = loop_fn
        time = constant(0, dtypes.int32)
        finished, inputs, state, emit, loop_state = loop_fn(time, None, None, None)
        self.has_state = loop_state is not None
        if not self.has_state:
            loop_state = constant(0, dtypes.int32)  # a loop variable must be something
        known, batch_size = _batch_sizes(nest.flatten(inputs))
        nest.assert_same_structure(state, cell.state_size)
        state = nest.map_structure(to_tensor, state)
        emit, sizes, kinds = self._emitted(emit, state)
        arrays = [_array(size, kind, known, i) for i, (size, kind) in enumerate(zip(sizes, kinds, strict=True))]
        zero = [zeros(joined_sizes(batch_size, size), kind) for size, kind in zip(sizes, kinds, strict=True)]
        self._zero_emit = nest.pack_sequence_as(emit, zero)
        self.first = [time, finished, inputs, nest.pack_sequence_as(emit, arrays), state, loop_state]

    def _emitted(self, emit: Any, state: Any) -> tuple[Any, list[Any], list[Any]]:
        """What is emitted: its structure, and the sizes and dtypes of its tensors without the batch."""
        if emit is None:
            sizes = nest.flatten(self._cell.output_size)
            return self._cell.output_size, sizes, [nest.flatten(state)[0].dtype] * len(sizes)
        flat = nest.flatten(emit)
        sizes = [tensor.shape if tensor.shape.is_fully_defined() else shape_of(tensor) for tensor in flat]
        return emit, sizes, [tensor.dtype for tensor in flat]

    def goes_on(self, time: Tensor, finished: Tensor, *_: Any) -> Tensor:
        """The condition of the loop."""
        return logical_not(reduce_all(finished))

    def turn(
        self, time: Tensor, finished: Tensor, inputs: Any, arrays: Any, state: Any, loop_state: Any
    ) -> tuple[Any, ...]:
        """The body of the loop."""
        output, cell_state = self._cell(inputs, state)
        nest.assert_same_structure(state, cell_state)
        nest.assert_same_structure(self._cell.output_size, output)
        next_time = time + 1
        next_finished, next_inputs, next_state, emit, next_loop_state = self._loop_fn(
            next_time, output, cell_state, loop_state
        )
        nest.assert_same_structure(state, next_state)
        nest.assert_same_structure(inputs, next_inputs)
        nest.assert_same_structure(arrays, emit)
        emit = _unless(finished, self._zero_emit, emit)
        next_state = _unless(finished, state, next_state)
        arrays = nest.map_structure(lambda array, value: array.write(time, value), arrays, emit)
        if next_loop_state is not None:
            loop_state = next_loop_state
        return next_time, logical_or(finished, next_finished), next_inputs, arrays, next_state, loop_state


def _batch_sizes(flat: list[Any]) -> tuple[int | None, Any]:
    """The batch size as far as it is known, and for use.

    Raises:
      ValueError: the inputs have different ones.
    """
    known, *others = (tensor._shape[0] if tensor._shape else None for tensor in flat)
    for other in others:
        shapes.merge_dim(known, other)
    return known, shape_of(flat[0])[0] if known is None else known


def _array(size: Any, dtype: Any, batch_size: int | None, number: int) -> TensorArray:
    shape = TensorShape([batch_size]).concatenate(known_sizes(size))
    return TensorArray(dtype, size=0, dynamic_size=True, element_shape=shape, name=f"rnn_output_{number}")


def _unless(finished: Tensor, current: Any, candidate: Any) -> Any:
    """The structure `current` for the sequences that are finished, `candidate` for the others."""
    chosen = copied_through(finished, nest.flatten(current), nest.flatten(candidate))
    return nest.pack_sequence_as(candidate, chosen)
