"""`GLSTMCell`: an LSTM whose inputs and outputs are divided into groups with kernels of their own."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.contrib.rnn.linear import LinearCell
from millstream.core.export import export
from millstream.core.variable_scope import get_variable, get_variable_scope, variable_scope
from millstream.ops.bias_ops import bias_add
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Constant
from millstream.ops.join_ops import concat, split
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.slice_ops import slice_
from millstream.rnn.lstm_cells import LSTMStateTuple


@export(v1=["contrib.rnn.GLSTMCell"])
class GLSTMCell(LinearCell):
    """The group LSTM cell.

    O. Kuchaiev, B. Ginsburg: Factorization Tricks for LSTM Networks, https://arxiv.org/abs/1703.10722. Inputs and
    outputs are divided into groups; a group's gates see the group's part only, by a kernel in the scope `group0`,
    `group1`, …

    Args:
      num_units: the size of c.
      initializer: of the groups' kernels; default: that of the variable scope.
      num_proj: the size to which the output is projected; None: num_units, without projection.
      number_of_groups: the number of groups; it divides `num_units`, `num_proj` and the size of the inputs.
      forget_bias: is added to the forget gate.
      activation: a function of c, before the output gate.
      reuse: whether the variables exist already.

    Raises:
      ValueError: a size cannot be divided into the groups.
    """

    def __init__(
        self,
        num_units: int,
        initializer: Any = None,
        num_proj: int | None = None,
        number_of_groups: int = 1,
        forget_bias: float = 1.0,
        activation: Callable[[Any], Any] = tanh,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        if num_units % number_of_groups:
            raise ValueError("num_units must be divisible by number_of_groups")
        if num_proj and num_proj % number_of_groups:
            raise ValueError("num_proj must be divisible by number_of_groups")
        self._num_units = num_units
        self._initializer = initializer
        self._num_proj = num_proj
        self._number_of_groups = number_of_groups
        self._forget_bias = forget_bias
        self._activation = activation

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, output_size)`."""
        return LSTMStateTuple(self._num_units, self.output_size)

    @property
    def output_size(self) -> Any:
        """`num_proj`, or `num_units` without projection."""
        return self._num_proj or self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units] and [batch, output_size]."""
        c, h = state
        with variable_scope(get_variable_scope(), initializer=self._initializer):
            i, j, f, o = self._gates(inputs, h)
        c = sigmoid(f + self._forget_bias) * c + sigmoid(i) * tanh(j)
        h = sigmoid(o) * self._activation(c)
        if self._num_proj is not None:
            with variable_scope("projection"):
                h = self._linear([h], self._num_proj, has_bias=False, key="projection")
        return h, LSTMStateTuple(c, h)

    def _gates(self, inputs: Any, h: Any) -> list[Any]:
        """The sums of the four gates, each [batch, num_units]."""
        count, units = self._number_of_groups, self._num_units
        batch, size = inputs.shape.as_list()
        if size is None:
            raise ValueError("input size must be statically known")
        if size % count:
            raise ValueError(f"input size ({size}) must be divisible by number_of_groups ({count})")
        batch = batch or shape_of(inputs)[0]
        groups = []
        for group in range(count):
            with variable_scope(f"group{group}"):
                parts = [_part(inputs, batch, group, size // count), _part(h, batch, group, self.output_size // count)]
                sums = self._linear([concat(parts, 1)], 4 * units // count, has_bias=False, key=f"group{group}")
                groups.append(split(value=sums, num_or_size_splits=4, axis=1))
        zeros = Constant(0.0, dtype=inputs.dtype)
        biases = [get_variable(f"bias_{gate}", [units], dtype=inputs.dtype, initializer=zeros) for gate in "ijfo"]
        return [bias_add(concat(parts, 1), bias) for parts, bias in zip(zip(*groups, strict=True), biases, strict=True)]


def _part(tensor: Any, batch: Any, group: int, size: int) -> Any:
    return slice_(tensor, [0, group * size], [batch, size], name=f"GLSTM_group{group}_input_generation")
