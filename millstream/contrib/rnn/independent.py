"""Cells whose units do not see each other's states: `IndRNNCell`, `IndyGRUCell`, `IndyLSTMCell`.

S. Li, W. Li, C. Cook, C. Zhu, Y. Gao: Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper
RNN, https://arxiv.org/abs/1803.04831. P. Gonnet, T. Deselaers: IndyLSTMs: Independently Recurrent LSTMs,
https://arxiv.org/abs/1903.08023.
"""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.export import export
from millstream.layers.arguments import read_activation, read_initializer
from millstream.layers.input_spec import InputSpec
from millstream.ops.arithmetic_ops import add, multiply
from millstream.ops.bias_ops import bias_add
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Constant, RandomUniform, Zeros
from millstream.ops.join_ops import split
from millstream.ops.matmul_ops import matmul
from millstream.ops.pad_ops import tile
from millstream.rnn.cell import LayerRNNCell, StateIsOutput, known_depth
from millstream.rnn.lstm_cells import LSTMStateTuple


class _IndependentCell(StateIsOutput, LayerRNNCell):
    """Base of the cells: a kernel for the inputs, and for the state a vector of weights, one a unit and gate."""

    def __init__(self, num_units: int, activation: Any, reuse: Any, name: Any, dtype: Any) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=2)
        self._num_units = num_units
        self._activation = read_activation(activation) if activation else tanh

    def _weights(
        self, names: tuple[str, str, str], depth: int, gates: int, kernel: Any = None, bias: Any = None
    ) -> tuple[Any, Any, Any]:
        """The variables of a sum: the kernel, the weights of the state, the bias.

        Args:
          names: of these.
          depth: the size of the inputs.
          gates: how many sums a unit has.
          kernel, bias: the initialisers of kernel and bias; default: that of the variable scope, and zeros.
        """
        columns = gates * self._num_units
        return (
            self.add_variable(names[0], shape=[depth, columns], initializer=kernel),
            self.add_variable(names[1], shape=[1, columns], initializer=RandomUniform(-1, 1, dtype=self.dtype)),
            self.add_variable(names[2], shape=[columns], initializer=bias or Zeros(dtype=self.dtype)),
        )


def _sums(inputs: Any, state: Any, weights: tuple[Any, Any, Any], gates: int = 1) -> Any:
    """The sums [batch, gates * units]; each unit's see the unit's own state only."""
    kernel, recurrent, bias = weights
    product = matmul(inputs, kernel)
    states = state if gates == 1 else tile(state, [1, gates])
    return bias_add(product + states * recurrent, bias)


@export(v1=["contrib.rnn.IndRNNCell"])
class IndRNNCell(_IndependentCell):
    """The plain independent cell: `output = next_state = activation(kernel_w · inputs + kernel_u * state + bias)`.

    Args:
      num_units: the size of the state and of the output.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
    """

    def __init__(
        self, num_units: int, activation: Any = None, reuse: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype)

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel_w`, `kernel_u` and `bias`."""
        self._variables = self._weights(("kernel_w", "kernel_u", "bias"), known_depth(inputs_shape), 1)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        output = self._activation(_sums(inputs, state, self._variables))
        return output, output


@export(v1=["contrib.rnn.IndyGRUCell"])
class IndyGRUCell(_IndependentCell):
    """The GRU of independent units; see `GRUCell`. The products with the state are elementwise.

    Args:
      num_units: the size of the state and of the output.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      kernel_initializer: of the kernels of the inputs; default: that of the variable scope.
      bias_initializer: of the biases; default: ones for the gates, zeros for the candidate.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
    """

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype)
        self._kernel_initializer = read_initializer(kernel_initializer)
        self._bias_initializer = read_initializer(bias_initializer)

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables of the gates and of the candidate."""
        depth, kernel = known_depth(inputs_shape), self._kernel_initializer
        ones = Constant(1.0, dtype=self.dtype)
        names = ("gates/kernel_w", "gates/kernel_u", "gates/bias")
        self._gates = self._weights(names, depth, 2, kernel, self._bias_initializer or ones)
        names = ("candidate/kernel", "candidate/kernel_u", "candidate/bias")
        self._candidate = self._weights(names, depth, 1, kernel, self._bias_initializer)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        gates = sigmoid(_sums(inputs, state, self._gates, 2))
        reset, update = split(value=gates, num_or_size_splits=2, axis=1)
        candidate = self._activation(_sums(inputs, reset * state, self._candidate))
        output = update * state + (1 - update) * candidate
        return output, output


@export(v1=["contrib.rnn.IndyLSTMCell"])
class IndyLSTMCell(_IndependentCell):
    """The LSTM of independent units; see `BasicLSTMCell`. The products with the output are elementwise.

    Args:
      num_units: the size of c and of h.
      forget_bias: is added to the forget gate.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      kernel_initializer: of the kernel of the inputs; default: that of the variable scope.
      bias_initializer: of the bias; default: zeros.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype)
        self._forget_bias = forget_bias
        self._kernel_initializer = read_initializer(kernel_initializer)
        self._bias_initializer = read_initializer(bias_initializer)

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, num_units)`."""
        return LSTMStateTuple(self._num_units, self._num_units)

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel_w`, `kernel_u` and `bias`."""
        names = ("kernel_w", "kernel_u", "bias")
        depth = known_depth(inputs_shape)
        self._variables = self._weights(names, depth, 4, self._kernel_initializer, self._bias_initializer)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units]."""
        axis = constant(1, dtypes.int32)
        c, h = state
        i, j, f, o = split(value=_sums(inputs, h, self._variables, 4), num_or_size_splits=4, axis=axis)
        kept = multiply(c, sigmoid(add(f, constant(self._forget_bias, f.dtype))))
        c = add(kept, multiply(sigmoid(i), self._activation(j)))
        h = multiply(self._activation(c), sigmoid(o))
        return h, LSTMStateTuple(c, h)
