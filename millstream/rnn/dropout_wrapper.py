"""`DropoutWrapper`: dropout of what a cell takes and gives."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any

from millstream.core import nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.shapes import TensorShape
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import div
from millstream.ops.dropout_ops import dropout
from millstream.ops.elementwise_ops import floor
from millstream.ops.join_ops import concat
from millstream.ops.random_ops import random_uniform
from millstream.ops.tensor_array import TensorArray
from millstream.rnn.lstm_cells import LSTMStateTuple
from millstream.rnn.wrappers import CellWrapper


@export(v1=["nn.rnn_cell.DropoutWrapper", "contrib.rnn.DropoutWrapper"])
class DropoutWrapper(CellWrapper):
    """Dropout of a cell's inputs, outputs and states, at will with the same masks in all steps of a run.

    The masks of variational recurrent dropout are made once, when the wrapper is, and are the same for all sequences of
    a batch (Gal and Ghahramani 2015, https://arxiv.org/abs/1512.05287).

    Args:
      cell: the cell.
      input_keep_prob, output_keep_prob, state_keep_prob: how probable it is that an element is kept: a number from 0 to
        1, or a scalar float tensor. What 1.0 is given for is left as it is. The output is dropped after it has become
        part of the state.
      variational_recurrent: whether the same elements are dropped in all steps.
      input_size: a structure of sizes of the inputs, without the batch; needed if they are dropped variationally.
      dtype: of the inputs, states and outputs; needed for variational dropout.
      seed: the random seed; those of the masks are made from it and from their places.
      dropout_state_filter_visitor: a function that says of a state, or of a part of it, whether it is dropped: True or
        False, or a structure of them. Default: all but the `c` of LSTM states and tensor arrays.
      **kwargs: as of `RNNCell`.

    Raises:
      TypeError: `cell` is no cell, or the filter no function.
      ValueError: a probability is not between 0 and 1; `dtype` or `input_size` is missing.

    Example:
      >>> cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(4), output_keep_prob=0.5)
    """

    _settings = (
        "_input_keep_prob", "_output_keep_prob", "_state_keep_prob", "_variational_recurrent", "_input_size", "_seed",
    )  # fmt: skip

    def __init__(
        self,
        cell: Any,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cell, dtype=dtype, **kwargs)
        if dropout_state_filter_visitor is not None and not callable(dropout_state_filter_visitor):
            raise TypeError("dropout_state_filter_visitor must be callable")
        self._dropout_state_filter = dropout_state_filter_visitor or _all_but_memory
        with name_scope("DropoutWrapperInit"):
            self._input_keep_prob = _probability(input_keep_prob, "input_keep_prob")
            self._state_keep_prob = _probability(state_keep_prob, "state_keep_prob")
            self._output_keep_prob = _probability(output_keep_prob, "output_keep_prob")
        self._variational_recurrent = variational_recurrent
        self._input_size = input_size
        self._seed = seed
        self._recurrent_input_noise = self._recurrent_state_noise = self._recurrent_output_noise = None
        if variational_recurrent:
            if dtype is None:
                raise ValueError("When variational_recurrent=True, dtype must be provided")
            self._make_noise(dtype)

    @property
    def wrapped_cell(self) -> Any:
        """The cell that the wrapper is around."""
        return self.cell

    def _make_noise(self, dtype: Any) -> None:
        """Draws the numbers that decide what is dropped in all steps, one for each element of a sequence's tensors."""

        def noise(sizes: Any, salt: str) -> Any:
            places = count()

            def draw(size: Any) -> Tensor:
                shape = concat(([1], TensorShape(size).as_list()), 0)
                return random_uniform(shape, seed=self._gen_seed(salt, next(places)), dtype=dtype)

            return nest.map_structure(draw, sizes)

        if _drops(self._input_keep_prob):
            if self._input_size is None:
                raise ValueError(
                    "When variational_recurrent=True and input_keep_prob < 1.0 or is unknown, "
                    "input_size must be provided"
                )
            self._recurrent_input_noise = noise(self._input_size, "input")
        self._recurrent_state_noise = noise(self.cell.state_size, "state")
        self._recurrent_output_noise = noise(self.cell.output_size, "output")

    def _gen_seed(self, salt_prefix: str, index: int) -> int | None:
        """The seed of a mask; None without a seed."""
        if self._seed is None:
            return None
        text = f"{self._seed}{salt_prefix}_{index}".encode()
        return int(hashlib.md5(text, usedforsecurity=False).hexdigest()[:8], 16) & 0x7FFFFFFF

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable[..., Any], **kwargs: Any) -> Any:
        if _drops(self._input_keep_prob):
            inputs = self._dropout(inputs, "input", self._recurrent_input_noise, self._input_keep_prob)
        output, state = cell_call_fn(inputs, state, **kwargs)
        if _drops(self._state_keep_prob):
            chosen = nest.get_traverse_shallow_structure(self._dropout_state_filter, state)
            state = self._dropout(state, "state", self._recurrent_state_noise, self._state_keep_prob, chosen)
        if _drops(self._output_keep_prob):
            output = self._dropout(output, "output", self._recurrent_output_noise, self._output_keep_prob)
        return output, state

    def _dropout(self, values: Any, salt: str, noise: Any, keep_prob: Any, chosen: Any = None) -> Any:
        """Drops elements of those values that are chosen.

        Args:
          values: a structure of tensors.
          salt: tells the seeds of inputs, states and outputs apart.
          noise: a structure like `values` of the numbers that variational dropout compares with `keep_prob`.
          keep_prob: the probability that an element is kept.
          chosen: a structure like `values`, or like the upper part of it, whose leaves say what is dropped; default:
            all.
        """
        if chosen is None:
            chosen = nest.map_structure(lambda value: True, values)
        places = count()

        def drop(wanted: Any, value: Any, numbers: Any) -> Any:
            place = next(places)
            if isinstance(wanted, bool) and not wanted:
                return value
            if self._variational_recurrent:
                return _dropped(value, numbers, keep_prob)
            return dropout(value, rate=1.0 - keep_prob, seed=self._gen_seed(salt, place))

        return nest.map_structure_up_to(chosen, drop, chosen, values, chosen if noise is None else noise)


def _dropped(value: Any, numbers: Any, keep_prob: Any) -> Tensor:
    """Variational dropout: the value where `keep_prob + numbers` is at least 1, scaled up."""
    kept = floor(keep_prob + numbers)
    result = div(value, keep_prob) * kept
    result.set_shape(value.shape)
    return result


def _probability(given: Any, name: str) -> Any:
    """A probability as a float, or as a tensor where its value is not known.

    Raises:
      ValueError: it is not between 0 and 1.
    """
    tensor = to_tensor(given)
    value = constant_value(tensor)
    if value is None:
        return tensor
    if value < 0 or value > 1:
        raise ValueError(f"Parameter {name} must be between 0 and 1: {int(value)}")
    return float(value)


def _drops(keep_prob: Any) -> bool:
    return not isinstance(keep_prob, float) or keep_prob < 1


def _all_but_memory(state: Any) -> Any:
    """The default of what of a state is dropped."""
    if isinstance(state, LSTMStateTuple):
        return LSTMStateTuple(c=False, h=True)
    return not isinstance(state, TensorArray)
