"""Cells whose state is their output: `BasicRNNCell` and `GRUCell`."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.shapes import as_plain
from millstream.layers.arguments import ZEROS, read_activation, read_initializer
from millstream.layers.input_spec import InputSpec
from millstream.ops.bias_ops import bias_add
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Constant
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.rnn.cell import LayerRNNCell, StateIsOutput, check_floating, known_depth


class SimpleStateCell(StateIsOutput, LayerRNNCell):
    """A cell of `num_units` numbers, which are both its state and its output."""

    _settings: tuple[str, ...] = ("_num_units", "_activation", "_reuse")

    def __init__(self, num_units: int, activation: Any, reuse: Any, name: Any, dtype: Any, **kwargs: Any) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        check_floating(self.dtype)
        self.input_spec = InputSpec(ndim=2)
        self._num_units = num_units
        self._activation = read_activation(activation or tanh)


@export(v1=["nn.rnn_cell.BasicRNNCell", "contrib.rnn.BasicRNNCell"])
class BasicRNNCell(SimpleStateCell):
    """The plain cell: `output = next_state = activation(kernel · [inputs, state] + bias)`.

    Its variables are `kernel`, [inputs + num_units, num_units], and `bias`, [num_units].

    Args:
      num_units: the size of the state and of the output.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
      **kwargs: `trainable`, and others of `tf.layers.Layer`.

    Example:
      >>> cell = tf.nn.rnn_cell.BasicRNNCell(4)
      >>> output, state = cell(tf.zeros([3, 2]), cell.zero_state(3, tf.float32))
      >>> output.shape.as_list()
      [3, 4]
    """

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype, **kwargs)

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel` and `bias`."""
        depth = known_depth(as_plain(inputs_shape))
        self._kernel = self.add_variable("kernel", shape=[depth + self._num_units, self._num_units])
        self._bias = self.add_variable("bias", shape=[self._num_units], initializer=ZEROS)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, depth] and a state [batch, num_units]."""
        check_floating(inputs, state)
        sums = matmul(concat([inputs, state], 1), self._kernel)
        output = self._activation(bias_add(sums, self._bias))
        return output, output


@export(v1=["nn.rnn_cell.GRUCell", "contrib.rnn.GRUCell"])
class GRUCell(SimpleStateCell):
    """The gated recurrent unit of Cho et al. 2014 (https://arxiv.org/abs/1406.1078).

    With gates r (reset) and u (update), both `sigmoid(gates/kernel · [inputs, state] + gates/bias)`:

        candidate = activation(candidate/kernel · [inputs, r * state] + candidate/bias)
        output = next_state = u * state + (1 - u) * candidate

    Args:
      num_units: the size of the state and of the output.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      kernel_initializer: of both kernels; default: that of the variable scope.
      bias_initializer: of both biases; default: ones for the gates, zeros for the candidate.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
      **kwargs: `trainable`, and others of `tf.layers.Layer`.

    Example:
      >>> outputs, last = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), tf.zeros([3, 5, 2]), dtype=tf.float32)
      >>> outputs.shape.as_list()
      [3, 5, 4]
    """

    _settings = ("_num_units", "_kernel_initializer", "_bias_initializer", "_activation", "_reuse")

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype, **kwargs)
        self._kernel_initializer = read_initializer(kernel_initializer)
        self._bias_initializer = read_initializer(bias_initializer)

    def build(self, inputs_shape: Any) -> None:
        """Makes the kernels and biases of the gates and of the candidate."""
        check_floating(self.dtype)
        units, depth = self._num_units, known_depth(as_plain(inputs_shape))
        for part, columns, bias in (
            ("gate", 2 * units, Constant(1.0)),
            ("candidate", units, ZEROS),
        ):
            scope = "gates" if part == "gate" else part
            kernel = self.add_variable(
                f"{scope}/kernel", shape=[depth + units, columns], initializer=self._kernel_initializer
            )
            bias = self.add_variable(f"{scope}/bias", shape=[columns], initializer=self._bias_initializer or bias)
            setattr(self, f"_{part}_kernel", kernel)
            setattr(self, f"_{part}_bias", bias)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, depth] and a state [batch, num_units]."""
        check_floating(inputs, state)
        gates = bias_add(matmul(concat([inputs, state], 1), self._gate_kernel), self._gate_bias)
        reset, update = split(sigmoid(gates), 2, 1)
        remembered = reset * state
        sums = bias_add(matmul(concat([inputs, remembered], 1), self._candidate_kernel), self._candidate_bias)
        candidate = self._activation(sums)
        output = update * state + (1 - update) * candidate
        return output, output
