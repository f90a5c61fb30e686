"""`AttentionCellWrapper`: a cell that looks back at its last outputs."""
from __future__ import annotations

from typing import Any

from millstream.contrib.rnn.linear import LinearCell
from millstream.core import nest
from millstream.core.export import export
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.ops.conv_ops import conv2d
from millstream.ops.elementwise_ops import tanh
from millstream.ops.join_ops import concat
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims, reshape
from millstream.ops.slice_ops import slice_
from millstream.ops.softmax_ops import softmax
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import check_is_cell


@export(v1=["contrib.rnn.AttentionCellWrapper"])
class AttentionCellWrapper(LinearCell):
    """A cell with attention to the last `attn_length` outputs (https://arxiv.org/abs/1409.0473).

    The cell sees a projection of the inputs and of what was attended to in the step before. Its new state is the query;
    the outputs are weighted by `softmax(attn_v · tanh(attn_w · output + query's projection))`. A projection of the
    cell's output and of the weighted sum is the output, which is remembered.

    Args:
      cell: the cell.
      attn_length: how many outputs are remembered.
      attn_size: the size of an output; default: that of the cell's.
      attn_vec_size: the size of the vectors that are compared; default: `attn_size`.
      input_size: the size of what the cell sees; default: that of the inputs.
      state_is_tuple: whether the state is a tuple of the cell's state, what was attended to, and the remembered
        outputs; else they are joined in one tensor.
      reuse: whether the variables exist already.

    Raises:
      TypeError: `cell` is no cell.
      ValueError: a state that is a tuple is to be joined; `attn_length` is not positive.

    Example:
      >>> cell = tf.contrib.rnn.AttentionCellWrapper(tf.contrib.rnn.GRUCell(4), attn_length=5)
      >>> cell.state_size
      (4, 4, 20)
    """

    def __init__(
        self,
        cell: Any,
        attn_length: int,
        attn_size: int | None = None,
        attn_vec_size: int | None = None,
        input_size: int | None = None,
        state_is_tuple: bool = True,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        check_is_cell("cell", cell)
        if nest.is_nested(cell.state_size) and not state_is_tuple:
            raise ValueError(
                "Cell returns tuple of states, but the flag state_is_tuple is not set. "
                f"State size is: {cell.state_size}"
            )
        if attn_length <= 0:
            raise ValueError(f"attn_length should be greater than zero, got {attn_length}")
        if not state_is_tuple:
            log_first_n(
                WARN,
                "%s: Using a concatenated state is slower and will soon be deprecated.  Use state_is_tuple=True.",
                1,
                self,
            )
        self._cell = cell
        self._attn_length = attn_length
        self._attn_size = attn_size or cell.output_size
        self._attn_vec_size = attn_vec_size or self._attn_size
        self._input_size = input_size
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self) -> Any:
        """(the cell's state size, attn_size, attn_size * attn_length), or their sum if the state is no tuple."""
        sizes = (self._cell.state_size, self._attn_size, self._attn_size * self._attn_length)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """`attn_size`."""
        return self._attn_size

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state like `state_size`."""
        state, attended, remembered = state if self._state_is_tuple else self._taken_apart(state)
        remembered = reshape(remembered, [-1, self._attn_length, self._attn_size])
        input_size = self._input_size or inputs.shape.as_list()[1]
        inputs = self._linear([inputs, attended], input_size, key="inputs")
        cell_output, state = self._cell(inputs, state)
        query = concat(nest.flatten(state), 1) if self._state_is_tuple else state
        attended, remembered = self._attention(query, remembered)
        with variable_scope("attn_output_projection"):
            output = self._linear([cell_output, attended], self._attn_size, key="output")
        remembered = concat([remembered, expand_dims(output, 1)], 1)
        remembered = reshape(remembered, [-1, self._attn_length * self._attn_size])
        parts = (state, attended, remembered)
        return output, parts if self._state_is_tuple else concat(parts, 1)

    def _taken_apart(self, state: Any) -> list[Any]:
        sizes = (self._cell.state_size, self._attn_size, self._attn_size * self._attn_length)
        starts = (0, sizes[0], sizes[0] + sizes[1])
        return [slice_(state, [0, start], [-1, size]) for start, size in zip(starts, sizes, strict=True)]

    def _attention(self, query: Any, remembered: Any) -> tuple[Any, Any]:
        """The weighted sum [batch, attn_size], and the outputs [batch, attn_length - 1, attn_size] but the oldest."""
        length, size, vector = self._attn_length, self._attn_size, self._attn_vec_size
        with variable_scope("attention"):
            weights = get_variable("attn_w", [1, 1, size, vector])
            scale = get_variable("attn_v", [vector])
            outputs = reshape(remembered, [-1, length, 1, size])
            features = conv2d(outputs, weights, [1, 1, 1, 1], "SAME")  # a product with each output
            wanted = reshape(self._linear([query], vector, key="query"), [-1, 1, 1, vector])
            attention = softmax(reduce_sum(scale * tanh(features + wanted), [2, 3]))
            attended = reduce_sum(reshape(attention, [-1, length, 1, 1]) * outputs, [1, 2])
            return reshape(attended, [-1, size]), slice_(remembered, [0, 1, 0], [-1, -1, -1])
