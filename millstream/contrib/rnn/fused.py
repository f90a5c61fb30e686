"""Layers that compute all steps of a recurrent network at once, and cells that serve as such."""
from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from millstream.core.export import export
from millstream.ops.join_ops import stack, unstack
from millstream.ops.pad_ops import reverse, reverse_sequence
from millstream.rnn.dynamic import dynamic_rnn
from millstream.rnn.static import static_rnn


@export(v1=["contrib.rnn.FusedRNNCell"])
class FusedRNNCell(metaclass=ABCMeta):
    """Base of what computes all steps of a recurrent network: `outputs, last_state = fused(inputs)`."""

    @abstractmethod
    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        """Computes all steps.

        Args:
          inputs: a tensor [time, batch, size], or a list of tensors [batch, size].
          initial_state: the state to begin with; default: zeros.
          dtype: of the states; needed without `initial_state`.
          sequence_length: an integer vector [batch]: how long each sequence is. Default: as long as the inputs.
          scope: the variable scope, or its name.

        Returns:
          the outputs, a tensor [time, batch, output_size] or a list, as the inputs are; and the last state.
        """


@export(v1=["contrib.rnn.FusedRNNCellAdaptor"])
class FusedRNNCellAdaptor(FusedRNNCell):
    """A cell in the form of a layer of all steps.

    Args:
      cell: the cell.
      use_dynamic_rnn: whether the steps are a loop, `tf.nn.dynamic_rnn`, or are laid out in the graph,
        `tf.nn.static_rnn`.

    Example:
      >>> fused = tf.contrib.rnn.FusedRNNCellAdaptor(tf.contrib.rnn.GRUCell(4), use_dynamic_rnn=True)
      >>> outputs, last = fused(tf.zeros([5, 3, 2]), dtype=tf.float32)
    """

    def __init__(self, cell: Any, use_dynamic_rnn: bool = False) -> None:
        self._cell = cell
        self._use_dynamic_rnn = use_dynamic_rnn

    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        """Computes all steps; see `FusedRNNCell.__call__`."""
        is_list = isinstance(inputs, list)
        options = {
            "initial_state": initial_state,
            "dtype": dtype,
            "sequence_length": sequence_length,
            "scope": scope,
        }
        if self._use_dynamic_rnn:
            inputs = stack(inputs) if is_list else inputs
            outputs, state = dynamic_rnn(self._cell, inputs, time_major=True, **options)
            return unstack(outputs) if is_list else outputs, state
        outputs, state = static_rnn(self._cell, inputs if is_list else unstack(inputs), **options)
        return outputs if is_list else stack(outputs), state


@export(v1=["contrib.rnn.TimeReversedFusedRNN"])
class TimeReversedFusedRNN(FusedRNNCell):
    """Runs a layer from the last step to the first one; the outputs are in the order of the inputs.

    Args:
      cell: a `FusedRNNCell`, or an `LSTMBlockFusedCell`.

    Example:
      >>> forward, backward = (tf.contrib.rnn.LSTMBlockFusedCell(4, name=name) for name in ("fw", "bw"))
      >>> x = tf.zeros([5, 3, 2])
      >>> both = [forward(x, dtype=tf.float32), tf.contrib.rnn.TimeReversedFusedRNN(backward)(x, dtype=tf.float32)]
    """

    def __init__(self, cell: Any) -> None:
        self._cell = cell

    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        """Computes all steps; see `FusedRNNCell.__call__`. Of tensors just the part within the length is reversed."""
        outputs, state = self._cell(
            _reversed(inputs, sequence_length),
            initial_state=initial_state,
            dtype=dtype,
            sequence_length=sequence_length,
            scope=scope,
        )
        return _reversed(outputs, sequence_length), state


def _reversed(values: Any, lengths: Any) -> Any:
    if isinstance(values, list):
        return values[::-1]
    return reverse(values, [0]) if lengths is None else reverse_sequence(values, lengths, 0, 1)
