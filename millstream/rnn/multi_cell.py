"""`MultiRNNCell`: cells on top of each other."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import nest
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.trackable import Trackable
from millstream.core.variable_scope import variable_scope
from millstream.layers.base import BaseLayer
from millstream.ops.join_ops import concat
from millstream.ops.slice_ops import slice_
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import RNNCell


@export(v1=["nn.rnn_cell.MultiRNNCell", "contrib.rnn.MultiRNNCell"])
class MultiRNNCell(RNNCell):
    """Cells on top of each other: the output of one is the input of the next.

    The variables of the cells are in the scopes `cell_0`, `cell_1`, …

    Args:
      cells: the cells, the lowest first.
      state_is_tuple: whether the state is a tuple of the cells' states; else they are joined in one tensor.

    Raises:
      ValueError: there are no cells, or states that are tuples are to be joined.
      TypeError: `cells` is no list or tuple.

    Example:
      >>> cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(size) for size in (4, 3)])
      >>> outputs, (first, second) = tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 1]), dtype=tf.float32)
      >>> second.h.shape.as_list()
      [2, 3]
    """

    def __init__(self, cells: Sequence[Any], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not nest.is_nested(cells):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        if len({id(cell) for cell in cells}) < len(cells):
            log_first_n(
                WARN,
                "At least two cells provided to MultiRNNCell are the same object and will share weights.",
                1,
            )
        self._cells = cells
        for number, cell in enumerate(cells):
            if isinstance(cell, Trackable):
                self._track_trackable(cell, f"cell-{number}")
        self._state_is_tuple = state_is_tuple
        if not state_is_tuple and any(nest.is_nested(cell.state_size) for cell in cells):
            raise ValueError(
                "Some cells return tuples of states, but the flag state_is_tuple is not set.  "
                f"State sizes are: {[cell.state_size for cell in cells]}"
            )

    @property
    def state_size(self) -> Any:
        """The tuple of the cells' state sizes, or their sum if the state is no tuple."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """The output size of the last cell."""
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros; see `RNNCell.zero_state`."""
        with name_scope(f"{type(self).__name__}ZeroState", None, [batch_size]):
            if self._state_is_tuple:
                return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
            return super().zero_state(batch_size, dtype)

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights of the cells that are trained."""
        return self._of_cells("trainable_weights") if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights of the cells that are not trained."""
        frozen = [] if self.trainable else self._of_cells("trainable_weights")
        return frozen + self._of_cells("non_trainable_weights")

    def _of_cells(self, weights: str) -> list[Any]:
        return [weight for cell in self._cells if isinstance(cell, BaseLayer) for weight in getattr(cell, weights)]

    def call(self, inputs: Any, state: Any) -> Any:
        """One step of all cells.

        Raises:
          ValueError: the state is to be a tuple and is none.
        """
        output, states, position = inputs, [], 0
        for number, cell in enumerate(self._cells):
            with variable_scope(f"cell_{number}"):
                if self._state_is_tuple:
                    own = self._own_state(state, number)
                else:
                    own = slice_(state, [0, position], [-1, cell.state_size])
                    position += cell.state_size
                output, own = cell(output, own)
                states.append(own)
        return output, tuple(states) if self._state_is_tuple else concat(states, 1)

    def _own_state(self, state: Any, number: int) -> Any:
        count = len(self._cells)
        if not nest.is_nested(state) or len(state) <= number:
            raise ValueError(f"Expected state to be a tuple of length {count}, but received: {state}")
        return state[number]
