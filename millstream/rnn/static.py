"""`tf.nn.static_rnn`: a cell applied to a list of steps, without a loop."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import dtypes, nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import control_dependencies
from millstream.core.shapes import Dimension
from millstream.core.variable_scope import variable_scope
from millstream.ops.cast_ops import cast
from millstream.ops.cond import cond
from millstream.ops.identity_ops import identity
from millstream.ops.reduction_ops import reduce_max, reduce_min
from millstream.ops.shape_ops import shape as shape_of
from millstream.rnn.cell import check_is_cell
from millstream.rnn.sequences import (
    copied_through,
    dtype_of_outputs,
    first_state,
    step_of,
    zero_outputs,
)
from millstream.rnn.shapes import known_shape


@export(v1=["nn.static_rnn", "contrib.rnn.static_rnn"])
def static_rnn(
    cell: Any,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Applies a cell to a list of steps: the graph has the cell's operations once for each.

    Args:
      cell: an `RNNCell`.
      inputs: a list of tensors [batch, ...], one for each step, or of structures of them.
      initial_state: a structure of tensors [batch, ...] like `cell.state_size`; default: `cell.zero_state`.
      dtype: the dtype of the state; needed without `initial_state`.
      sequence_length: an integer vector [batch]: how long each sequence is. After its end the outputs are zeros, and
        the state stays as it is. Default: all are as long as the list.
      scope: the variable scope, or its name; default: "rnn".

    Returns:
      the list of the outputs, and the last state.

    Raises:
      TypeError: `cell` is no cell, or `inputs` is no list.
      ValueError: there are no inputs, or neither a state nor a dtype; a size of the inputs is wrong or not known.

    Example:
      >>> outputs, last = tf.nn.static_rnn(tf.nn.rnn_cell.GRUCell(4), [tf.ones([2, 1])] * 3, dtype=tf.float32)
      >>> len(outputs), outputs[-1].shape.as_list()
      (3, [2, 4])
    """
    check_is_cell("cell", cell)
    if not nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    outputs = []
    with variable_scope(scope or "rnn") as entered:
        flat = nest.flatten(inputs)
        known = _known_batch_size(flat)
        batch_size = known or shape_of(flat[0])[0]
        missing = "If no initial_state is provided, dtype must be specified"
        state = first_state(cell, initial_state, batch_size, dtype, missing)
        step = step_of(cell)
        ragged = None
        if sequence_length is not None:
            ragged = _Ragged(cell, sequence_length, dtype_of_outputs(dtype, state), batch_size, known)
        for time, row in enumerate(inputs):
            if time > 0:
                entered.reuse_variables()
            output, state = step(row, state) if ragged is None else ragged.step(time, row, state)
            outputs.append(output)
    return outputs, state


def _known_batch_size(flat: Sequence[Any]) -> int | None:
    """The static batch size of the inputs.

    Raises:
      ValueError: a rank is less than 2, batch sizes differ, or another size is not known.
    """
    first = flat[0].shape
    if first.rank == 1:  # numbers, which a cell embeds
        return first.as_list()[0]
    for tensor in flat:
        shape = tensor.shape.with_rank_at_least(2)
        if not shape[1:].is_fully_defined():
            place = 0 if shape.rank is None else shape.as_list()[1:].index(None)
            raise ValueError(
                f"Input size (dimension {place} of inputs) must be accessible via shape inference, but saw value None."
            )
        Dimension(first.as_list()[0]).assert_is_compatible_with(shape.as_list()[0])
    return first.as_list()[0]


@export(v1=["nn.static_state_saving_rnn", "contrib.rnn.static_state_saving_rnn"])
def static_state_saving_rnn(
    cell: Any,
    inputs: Sequence[Any],
    state_saver: Any,
    state_name: Any,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[Any, Any]:
    """`static_rnn` that takes its first state from an object, and gives it the last one to keep.

    Args:
      cell: an `RNNCell`.
      inputs: a list of tensors [batch, ...], one for each step.
      state_saver: has methods `state(name)`, which gives a tensor, and `save_state(name, tensor)`, which gives an
        operation that keeps it.
      state_name: the name of the state, or a structure of names like `cell.state_size`.
      sequence_length, scope: see `static_rnn`.

    Returns:
      the list of the outputs, and the last state. To compute the last output or the state is to save the state.

    Raises:
      TypeError: `cell` is no cell, or `inputs` is no list.
      ValueError: the names do not fit the states, or as `static_rnn`.
    """
    sizes, names = cell.state_size, nest.flatten(state_name)
    if nest.is_nested(sizes) != nest.is_nested(state_name):
        raise ValueError(
            "state_name should be the same type as cell.state_size.  "
            f"state_name: {state_name!s}, cell.state_size: {sizes!s}"
        )
    count = len(nest.flatten(sizes))
    if len(names) != count:
        raise ValueError(f"#elems(state_name) != #elems(state_size): {len(names)} vs. {count}")
    first = nest.pack_sequence_as(sizes, [state_saver.state(name) for name in names])
    outputs, state = static_rnn(cell, inputs, first, sequence_length=sequence_length, scope=scope)
    parts = nest.flatten(state)
    saved = [state_saver.save_state(name, part) for name, part in zip(names, parts, strict=True)]
    with control_dependencies(saved):
        outputs[-1] = nest.map_structure(identity, outputs[-1])
        return outputs, nest.map_structure(identity, state)


class _Ragged:
    """A cell's step for sequences some of which may have ended before.

    Before the end of the shortest sequence it is the cell's own, after that of the longest nothing is computed.
    """

    def __init__(self, cell: Any, sequence_length: Any, dtype: Any, batch_size: Any, known: int | None) -> None:
        lengths = to_tensor(sequence_length, name="sequence_length")
        if lengths.shape.rank not in (None, 1):
            raise ValueError("sequence_length must be a vector of length batch_size")
        self._step = step_of(cell)
        self._output_size = cell.output_size
        sizes = nest.flatten(cell.output_size)
        self._zero_outputs = zero_outputs(sizes, batch_size, dtype)
        for output, size in zip(self._zero_outputs, sizes, strict=True):
            if not output.is_eager:
                output.set_shape(known_shape(known, size))
        self._lengths = cast(lengths, dtypes.int32)
        self._shortest, self._longest = reduce_min(self._lengths), reduce_max(self._lengths)

    def step(self, time: int, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Output and next state at a time."""
        finished, unchanged = time >= self._lengths, [*self._zero_outputs, *nest.flatten(state)]

        def step_of_some() -> list[Any]:
            output, new_state = self._step(inputs, state)
            nest.assert_same_structure(state, new_state)
            new = [*nest.flatten(output), *nest.flatten(new_state)]
            return cond(time < self._shortest, lambda: new, lambda: copied_through(finished, unchanged, new))

        values = cond(time >= self._longest, lambda: unchanged, step_of_some)
        count = len(self._zero_outputs)
        return nest.pack_sequence_as(self._output_size, values[:count]), nest.pack_sequence_as(state, values[count:])
