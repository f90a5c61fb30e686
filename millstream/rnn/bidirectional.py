"""Two cells that go through a sequence in both directions."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import nest, shapes
from millstream.core.export import export
from millstream.core.variable_scope import variable_scope
from millstream.ops.join_ops import concat, stack, unstack
from millstream.ops.pad_ops import reverse, reverse_sequence
from millstream.rnn.cell import check_is_cell
from millstream.rnn.dynamic import dynamic_rnn
from millstream.rnn.static import static_rnn


@export(v1=["nn.bidirectional_dynamic_rnn"])
def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Applies one cell to sequences from their beginnings, another from their ends; see `dynamic_rnn`.

    Args:
      cell_fw, cell_bw: the cells that go forward and backward.
      inputs: a tensor [batch, time, ...], or a structure of them.
      sequence_length: an integer vector [batch]: how long each sequence is. Default: as long as the inputs.
      initial_state_fw, initial_state_bw: the states to begin with; default: zeros.
      dtype: of outputs and states; needed where no state is given.
      parallel_iterations, swap_memory: accepted for compatibility.
      time_major: whether the first two dimensions of inputs and outputs are [time, batch].
      scope: the variable scope, or its name; default: "bidirectional_rnn". The cells are in `fw` and `bw` in it.

    Returns:
      the pair of the outputs, each [batch, time, ...] in the order of the inputs, and the pair of the last states.

    Raises:
      TypeError, ValueError: as `dynamic_rnn`.
      InvalidArgumentError: when it runs: a length is negative, or beyond the end of the inputs.

    Example:
      >>> cells = [tf.nn.rnn_cell.GRUCell(4) for _ in range(2)]
      >>> outputs, states = tf.nn.bidirectional_dynamic_rnn(*cells, tf.ones([2, 3, 1]), dtype=tf.float32)
      >>> tf.concat(outputs, 2).shape.as_list()
      [2, 3, 8]
    """
    check_is_cell("cell_fw", cell_fw)
    check_is_cell("cell_bw", cell_bw)
    time_axis, batch_axis = (0, 1) if time_major else (1, 0)

    def reversed_in_time(values: Any) -> Any:
        if sequence_length is None:
            return nest.map_structure(lambda tensor: reverse(tensor, axis=[time_axis]), values)
        return nest.map_structure(
            lambda tensor: reverse_sequence(tensor, sequence_length, time_axis, batch_axis), values
        )

    settings = {
        "sequence_length": sequence_length,
        "dtype": dtype,
        "parallel_iterations": parallel_iterations,
        "swap_memory": swap_memory,
        "time_major": time_major,
    }
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as forward:
            output_fw, state_fw = dynamic_rnn(
                cell_fw, inputs, initial_state=initial_state_fw, scope=forward, **settings
            )
        with variable_scope("bw") as backward:
            output_bw, state_bw = dynamic_rnn(
                cell_bw, reversed_in_time(inputs), initial_state=initial_state_bw, scope=backward, **settings
            )
    return (output_fw, reversed_in_time(output_bw)), (state_fw, state_bw)


@export(v1=["nn.static_bidirectional_rnn", "contrib.rnn.static_bidirectional_rnn"])
def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[Any, Any, Any]:
    """Applies one cell to a list of steps from its beginning, another from its end; see `static_rnn`.

    Args:
      cell_fw, cell_bw: the cells that go forward and backward.
      inputs: a list of tensors [batch, ...], one for each step, or of structures of them.
      initial_state_fw, initial_state_bw: the states to begin with; default: zeros.
      dtype: of the states; needed where none is given.
      sequence_length: an integer vector [batch]: how long each sequence is. Default: as long as the list.
      scope: the variable scope, or its name; default: "bidirectional_rnn". The cells are in `fw` and `bw` in it.

    Returns:
      the list of the outputs, those of both cells joined along dimension 1, and both last states.

    Raises:
      TypeError: a cell is none, or `inputs` is no list.
      ValueError: as `static_rnn`.
    """
    check_is_cell("cell_fw", cell_fw)
    check_is_cell("cell_bw", cell_bw)
    if not nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as forward:
            output_fw, state_fw = static_rnn(cell_fw, inputs, initial_state_fw, dtype, sequence_length, forward)
        with variable_scope("bw") as backward:
            steps = _reversed_steps(inputs, sequence_length)
            output_bw, state_bw = static_rnn(cell_bw, steps, initial_state_bw, dtype, sequence_length, backward)
    output_bw = _reversed_steps(output_bw, sequence_length)
    pairs = zip(nest.flatten(output_fw), nest.flatten(output_bw), strict=True)
    outputs = nest.pack_sequence_as(output_fw, [concat([one, other], 1) for one, other in pairs])
    return outputs, state_fw, state_bw


def _reversed_steps(steps: Sequence[Any], lengths: Any) -> list[Any]:
    """The steps from the last one to the first; with lengths, each sequence from its own last step, then the rest."""
    if lengths is None:
        return list(reversed(steps))
    columns = zip(*(nest.flatten(step) for step in steps), strict=True)
    rows = zip(*(_reversed_tensors(column, lengths) for column in columns), strict=True)
    return [nest.pack_sequence_as(step, list(row)) for step, row in zip(steps, rows, strict=True)]


def _reversed_tensors(tensors: Sequence[Any], lengths: Any) -> list[Any]:
    shape = None
    for tensor in tensors:
        shape = shapes.merge(shape, tensor._shape)
    results = unstack(reverse_sequence(stack(tensors), lengths, 0, 1))
    for result in results:
        if not result.is_eager:
            result.set_shape(shape)
    return results
