"""`tf.nn.dynamic_rnn`: a cell in a loop over the steps of a sequence."""
from __future__ import annotations

from typing import Any

from millstream.core import context, dtypes, nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import control_dependencies
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.ops.arithmetic_ops import maximum, minimum
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import equal
from millstream.ops.constant_op import constant
from millstream.ops.control_flow_ops import Assert
from millstream.ops.identity_ops import identity
from millstream.ops.join_ops import stack
from millstream.ops.reduction_ops import reduce_all, reduce_max, reduce_min
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.tensor_array import TensorArray
from millstream.ops.while_loop import while_loop
from millstream.rnn.cell import check_is_cell
from millstream.rnn.sequences import (
    best_effort_input_batch_size,
    copied_through,
    dtype_of_outputs,
    first_state,
    step_of,
    transpose_batch_time,
    zero_outputs,
)
from millstream.rnn.shapes import known_shape, known_sizes


@export(v1=["nn.dynamic_rnn"])
def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Applies a cell to the steps of sequences, one after the other, in a loop.

    Args:
      cell: an `RNNCell`.
      inputs: a tensor [batch, time, ...], or a structure of them.
      sequence_length: an integer vector [batch]: how long each sequence is. After its end the outputs are zeros, and
        the state stays as it is. Default: all are as long as the inputs.
      initial_state: a structure of tensors [batch, ...] like `cell.state_size`; default: `cell.zero_state`.
      dtype: the dtype of outputs, and of the state; needed without `initial_state`.
      parallel_iterations, swap_memory: accepted for compatibility.
      time_major: whether the first two dimensions of inputs and outputs are [time, batch], which saves transposing.
      scope: the variable scope, or its name; default: "rnn".

    Returns:
      the outputs, a structure like `cell.output_size` of tensors [batch, time, ...], and the last state.

    Raises:
      TypeError: `cell` is no cell.
      ValueError: there is neither a state nor a dtype; a rank or a size of the inputs is wrong, or not known.
      InvalidArgumentError: when it runs: there are not as many lengths as sequences.

    Example:
      >>> cell = tf.nn.rnn_cell.GRUCell(4)
      >>> outputs, last = tf.nn.dynamic_rnn(cell, tf.ones([2, 3, 1]), sequence_length=[3, 1], dtype=tf.float32)
      >>> outputs.shape.as_list(), last.shape.as_list()
      ([2, 3, 4], [2, 4])
    """
    check_is_cell("cell", cell)
    with variable_scope(scope or "rnn"):
        flat = [to_tensor(tensor) for tensor in nest.flatten(inputs)]
        if not time_major:
            flat = [transpose_batch_time(tensor) for tensor in flat]
        lengths = None if sequence_length is None else _read_lengths(sequence_length)
        batch_size = best_effort_input_batch_size(flat)
        missing = "If there is no initial_state, you must give a dtype."
        state = first_state(cell, initial_state, batch_size, dtype, missing)
        if lengths is not None and not context.executing_eagerly():
            lengths = _with_checked_size(lengths, batch_size)
        steps = _Steps(cell, nest.pack_sequence_as(inputs, flat), dtype_of_outputs(dtype, state), lengths)
        outputs, state = steps.run(state, parallel_iterations or 32, swap_memory)
        if not time_major:
            outputs = nest.map_structure(transpose_batch_time, outputs)
    return outputs, state


def _read_lengths(sequence_length: Any) -> Tensor:
    lengths = cast(sequence_length, dtypes.int32)
    if lengths.shape.rank not in (None, 1):
        raise ValueError(
            f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}"
        )
    return identity(lengths, name="sequence_length")


def _with_checked_size(lengths: Tensor, batch_size: Any) -> Tensor:
    """The lengths, once it is sure that there is one for each sequence."""
    size = shape_of(lengths)
    wanted = stack([batch_size])
    message = [f"Expected shape for Tensor {lengths.name} is ", wanted, " but saw shape: ", size]
    with control_dependencies([Assert(reduce_all(equal(size, wanted)), message)]):
        return identity(lengths, name="CheckSeqLen")


class _Steps:
    """A cell, and the sequences [time, batch, ...] that it is applied to."""

    def __init__(self, cell: Any, inputs: Any, dtype: Any, lengths: Tensor | None) -> None:
        self._step = step_of(cell)
        self._inputs = inputs
        self._output_size = cell.output_size
        self._sizes = nest.flatten(cell.output_size)
        self._dtype = dtype
        self._lengths = lengths
        flat = nest.flatten(inputs)
        self._time_steps = shape_of(flat[0])[0]
        batch_size = best_effort_input_batch_size(flat)
        self._known_sizes = _common_sizes(flat)
        self._zero_outputs = zero_outputs(self._sizes, batch_size, dtype)

    def run(self, state: Any, parallel_iterations: int, swap_memory: bool) -> tuple[Any, Any]:
        """The outputs [time, batch, ...] and the state after the last step."""
        longest = self._time_steps
        if self._lengths is not None:
            reduce_min(self._lengths)  # nothing uses it, but it counts in the seeds of random operations
            longest = reduce_max(self._lengths)
        time = constant(0, dtypes.int32, name="time")
        outputs = tuple(self._array([self._known_sizes[1], *known_sizes(size)], self._dtype) for size in self._sizes)
        self._rows = self._unstacked()
        bound = minimum(self._time_steps, maximum(1, longest))
        _, outputs, state = while_loop(
            cond=lambda time, *_: time < bound,
            body=self._turn,
            loop_vars=(time, outputs, state),
            parallel_iterations=parallel_iterations,
            maximum_iterations=self._time_steps,
            swap_memory=swap_memory,
        )
        stacked = [array.stack() for array in outputs]
        if not context.executing_eagerly():
            for output, size in zip(stacked, self._sizes, strict=True):
                output.set_shape(known_shape(self._known_sizes, size))
        return nest.pack_sequence_as(self._output_size, stacked), state

    def _array(self, shape: Any, dtype: Any) -> TensorArray:
        """An array with a place for each step; `shape` is that of the elements."""
        return TensorArray(dtype, size=self._time_steps, element_shape=shape)

    def _unstacked(self) -> list[TensorArray]:
        flat = nest.flatten(self._inputs)
        arrays = [self._array(tensor.shape[1:], tensor.dtype) for tensor in flat]
        return [array.unstack(tensor) for array, tensor in zip(arrays, flat, strict=True)]

    def _turn(self, time: Tensor, arrays: tuple[TensorArray, ...], state: Any) -> tuple[Any, ...]:
        """One turn of the loop, of which these are the variables."""
        row = nest.pack_sequence_as(self._inputs, [array.read(time) for array in self._rows])
        finished = None if self._lengths is None else time >= self._lengths
        output, new_state = self._step(row, state)
        outputs = nest.flatten(output)
        if len(outputs) != len(arrays):
            raise ValueError(f"The cell's output is {output}, but its output_size is {self._output_size}.")
        if finished is not None:
            nest.assert_same_structure(state, new_state)
            old, new = [*self._zero_outputs, *nest.flatten(state)], [*outputs, *nest.flatten(new_state)]
            chosen = copied_through(finished, old, new)
            outputs, new_state = chosen[: len(arrays)], nest.pack_sequence_as(state, chosen[len(arrays) :])
        written = tuple(array.write(time, value) for array, value in zip(arrays, outputs, strict=True))
        return time + 1, written, new_state


def _common_sizes(flat: list[Tensor]) -> list[int | None]:
    """The static sizes [time, batch] of inputs.

    Raises:
      ValueError: they are not the same for all inputs, or other sizes are not known.
    """
    shapes = [tensor.shape.with_rank_at_least(3) for tensor in flat]
    common = shapes[0].as_list()[:2]
    for shape in shapes:
        time_steps, batch_size, *depth = shape.as_list()
        if None in depth:
            raise ValueError("Input size (depth of inputs) must be accessible via shape inference, but saw value None.")
        if time_steps != common[0]:
            raise ValueError("Time steps is not the same for all the elements in the input in a batch.")
        if batch_size != common[1]:
            raise ValueError("Batch_size is not the same for all the elements in the input.")
    return common
