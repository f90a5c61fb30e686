"""Layers in both directions on top of each other: each layer sees both outputs of the one below."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.variable_scope import variable_scope
from millstream.ops.join_ops import concat
from millstream.rnn.bidirectional import bidirectional_dynamic_rnn, static_bidirectional_rnn


@export(v1=["contrib.rnn.stack_bidirectional_rnn"])
def stack_bidirectional_rnn(
    cells_fw: Sequence[Any],
    cells_bw: Sequence[Any],
    inputs: Sequence[Any],
    initial_states_fw: Sequence[Any] | None = None,
    initial_states_bw: Sequence[Any] | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], tuple[Any, ...], tuple[Any, ...]]:
    """Layers of `tf.nn.static_bidirectional_rnn`.

    Args:
      cells_fw, cells_bw: lists of the layers' cells, the lowest first.
      inputs: a list of tensors [batch, size], one for each step.
      initial_states_fw, initial_states_bw: lists of the layers' states to begin with; default: zeros.
      dtype: of the states; needed without them.
      sequence_length: an integer vector [batch]: how long each sequence is.
      scope: the variable scope, or its name; default: "stack_bidirectional_rnn". The layers are in `cell_0`, …

    Returns:
      the last layer's outputs, a list of tensors [batch, output size of both cells]; the layers' last states forward,
      and those backward.

    Raises:
      ValueError: there are no cells, or lists do not fit.
    """
    layers = _layers(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    outputs, states = list(inputs), []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for index, (cell_fw, cell_bw, first_fw, first_bw) in enumerate(layers):
            with variable_scope(f"cell_{index}") as entered:
                outputs, *last = static_bidirectional_rnn(
                    cell_fw, cell_bw, outputs, initial_state_fw=first_fw, initial_state_bw=first_bw,
                    sequence_length=sequence_length, dtype=dtype, scope=entered,
                )  # fmt: skip
            states.append(last)
    return outputs, *zip(*states, strict=True)


@export(v1=["contrib.rnn.stack_bidirectional_dynamic_rnn"])
def stack_bidirectional_dynamic_rnn(
    cells_fw: Sequence[Any],
    cells_bw: Sequence[Any],
    inputs: Any,
    initial_states_fw: Sequence[Any] | None = None,
    initial_states_bw: Sequence[Any] | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    parallel_iterations: int | None = None,
    time_major: bool = False,
    scope: Any = None,
    swap_memory: bool = False,
) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """Layers of `tf.nn.bidirectional_dynamic_rnn`.

    Args:
      cells_fw, cells_bw: lists of the layers' cells, the lowest first.
      inputs: a tensor [batch, time, size], or [time, batch, size].
      initial_states_fw, initial_states_bw: lists of the layers' states to begin with; default: zeros.
      dtype: of the states; needed without them.
      sequence_length: an integer vector [batch]: how long each sequence is.
      parallel_iterations, swap_memory: accepted for compatibility.
      time_major: whether the first two dimensions of inputs and outputs are [time, batch].
      scope: the variable scope, or its name; default: "stack_bidirectional_rnn". The layers are in `cell_0`, …

    Returns:
      the last layer's outputs, a tensor [batch, time, output size of both cells]; the layers' last states forward, and
      those backward.

    Raises:
      ValueError: there are no cells, or lists do not fit.

    Example:
      >>> forward, backward = ([tf.contrib.rnn.GRUCell(size) for size in (4, 3)] for _ in range(2))
      >>> outputs, last_fw, last_bw = tf.contrib.rnn.stack_bidirectional_dynamic_rnn(
      ...   forward, backward, tf.zeros([2, 5, 1]), dtype=tf.float32)
      >>> outputs.shape.as_list()
      [2, 5, 6]
    """
    layers = _layers(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    outputs, states = inputs, []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for index, (cell_fw, cell_bw, first_fw, first_bw) in enumerate(layers):
            with variable_scope(f"cell_{index}"):
                both, last = bidirectional_dynamic_rnn(
                    cell_fw, cell_bw, outputs, initial_state_fw=first_fw, initial_state_bw=first_bw,
                    sequence_length=sequence_length, parallel_iterations=parallel_iterations, dtype=dtype,
                    swap_memory=swap_memory, time_major=time_major,
                )  # fmt: skip
                outputs = concat(both, 2)
            states.append(last)
    return outputs, *zip(*states, strict=True)


def _layers(cells_fw: Any, cells_bw: Any, states_fw: Any, states_bw: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Both cells and both first states of each layer.

    Raises:
      ValueError: there are no cells, or lists do not fit.
    """
    for name, cells in (("fw", cells_fw), ("bw", cells_bw)):
        if not cells:
            raise ValueError(f"Must specify at least one {name} cell for BidirectionalRNN.")
    for name, cells in (("fw", cells_fw), ("bw", cells_bw)):
        if not isinstance(cells, list):
            raise ValueError(f"cells_{name} must be a list of RNNCells (one per layer).")
    if len(cells_fw) != len(cells_bw):
        raise ValueError("Forward and Backward cells must have the same depth.")
    none = [None] * len(cells_fw)
    for name, states in (("fw", states_fw), ("bw", states_bw)):
        if states is not None and (not isinstance(states, list) or len(states) != len(none)):
            raise ValueError(f"initial_states_{name} must be a list of state tensors (one per layer).")
    return zip(cells_fw, cells_bw, states_fw or none, states_bw or none, strict=True)
