"""Cells with other gates than an LSTM's: `UGRNNCell`, `IntersectionRNNCell`, `NASCell`, `SRUCell`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.contrib.rnn.linear import LinearCell, known_input_size
from millstream.core.export import export
from millstream.core.variable_scope import get_variable_scope, variable_scope
from millstream.layers.arguments import read_activation
from millstream.layers.input_spec import InputSpec
from millstream.ops.activation_ops import relu
from millstream.ops.bias_ops import bias_add
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Zeros
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.rnn.cell import LayerRNNCell, StateIsOutput, known_depth
from millstream.rnn.lstm_cells import LSTMStateTuple


@export(v1=["contrib.rnn.UGRNNCell"])
class UGRNNCell(StateIsOutput, LinearCell):
    """The update gate RNN: between a plain cell and a GRU.

    J. Collins, J. Sohl-Dickstein, D. Sussillo: Capacity and Trainability in Recurrent Neural Networks,
    https://arxiv.org/abs/1611.09913. With `g, c = split(kernel · [inputs, state] + bias, 2)`:

        g = sigmoid(g + forget_bias)
        output = next_state = g * state + (1 - g) * activation(c)

    Args:
      num_units: the size of the state and of the output.
      initializer: of the kernel; default: that of the variable scope.
      forget_bias: is added to the gate, so that at first the cell forgets little.
      activation: a function of a tensor.
      reuse: whether the variables exist already.
    """

    def __init__(
        self,
        num_units: int,
        initializer: Any = None,
        forget_bias: float = 1.0,
        activation: Callable[[Any], Any] = tanh,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units = num_units
        self._initializer = initializer
        self._forget_bias = forget_bias
        self._activation = activation

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        known_input_size(inputs.shape)
        with variable_scope(get_variable_scope(), initializer=self._initializer):
            sums = self._linear([concat([inputs, state], 1)], 2 * self._num_units)
            g, c = split(value=sums, num_or_size_splits=2, axis=1)
            c = self._activation(c)
            g = sigmoid(g + self._forget_bias)
            state = g * state + (1 - g) * c
            return state, state


@export(v1=["contrib.rnn.IntersectionRNNCell"])
class IntersectionRNNCell(StateIsOutput, LinearCell):
    """The intersection RNN: gated through time like a `UGRNNCell`, and through depth like a highway.

    J. Collins, J. Sohl-Dickstein, D. Sussillo: Capacity and Trainability in Recurrent Neural Networks,
    https://arxiv.org/abs/1611.09913. With `gh, h, gy, y = split(kernel · [inputs, state] + bias, 4)`:

        next_state = sigmoid(gh + forget_bias) * state + (1 - sigmoid(gh + forget_bias)) * tanh(h)
        output = sigmoid(gy + forget_bias) * inputs + (1 - sigmoid(gy + forget_bias)) * y_activation(y)

    Args:
      num_units: the size of the state and of the output.
      num_in_proj: `num_units`, so that the inputs are projected to that size first. Default: they are of that size.
      initializer: of the kernels; default: that of the variable scope.
      forget_bias: is added to both gates.
      y_activation: a function of a tensor.
      reuse: whether the variables exist already.

    Raises:
      ValueError: (when called) inputs of another size are not projected.
    """

    def __init__(
        self,
        num_units: int,
        num_in_proj: int | None = None,
        initializer: Any = None,
        forget_bias: float = 1.0,
        y_activation: Callable[[Any], Any] = relu,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units = num_units
        self._num_input_proj = num_in_proj
        self._initializer = initializer
        self._forget_bias = forget_bias
        self._y_activation = y_activation

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        size, units = known_input_size(inputs.shape), self._num_units
        with variable_scope(get_variable_scope(), initializer=self._initializer):
            if self._num_input_proj:
                with variable_scope("in_projection"):
                    inputs = self._linear([inputs], units, key="inputs")
            elif size != units:
                raise ValueError(
                    "Must have input size == output size for Intersection RNN. To fix, num_in_proj should be set to "
                    "num_units at cell init."
                )
            sums = self._linear([concat([inputs, state], 1)], 4 * units)
            parts = [sums[:, :units], *(sums[:, start : start + units] for start in range(units, 4 * units, units))]
            gh, h, gy, y = parts
            h, y = tanh(h), self._y_activation(y)
            gh, gy = sigmoid(gh + self._forget_bias), sigmoid(gy + self._forget_bias)
            state = gh * state + (1 - gh) * h
            return gy * inputs + (1 - gy) * y, state


@export(v1=["contrib.rnn.NASCell"])
class NASCell(LayerRNNCell):
    """The cell that was found by neural architecture search.

    B. Zoph, Q. Le: Neural Architecture Search with Reinforcement Learning, https://arxiv.org/abs/1611.01578.

    Args:
      num_units: the size of c.
      num_proj: the size to which the output is projected; None: num_units, without projection.
      use_bias: whether the sums have a bias.
      reuse: whether the variables exist already.
      **kwargs: `name`, `dtype` and others of `tf.layers.Layer`.

    Example:
      >>> tf.contrib.rnn.NASCell(4, num_proj=3).state_size
      LSTMStateTuple(c=4, h=3)
    """

    def __init__(
        self, num_units: int, num_proj: int | None = None, use_bias: bool = False, reuse: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(_reuse=reuse, **kwargs)
        self._num_units = num_units
        self._num_proj = num_proj
        self._use_bias = use_bias

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, output_size)`."""
        return LSTMStateTuple(self._num_units, self.output_size)

    @property
    def output_size(self) -> Any:
        """`num_proj`, or `num_units` without projection."""
        return self._num_units if self._num_proj is None else self._num_proj

    def build(self, inputs_shape: Any) -> None:
        """Makes the kernels, the bias and the projection."""
        depth, columns = known_input_size(inputs_shape), 8 * self._num_units
        self._recurrent_kernel = self.add_variable("recurrent_kernel", [self.output_size, columns])
        self._kernel = self.add_variable("kernel", [depth, columns])
        if self._use_bias:
            self._bias = self.add_variable("bias", [columns], initializer=Zeros())
        if self._num_proj is not None:
            self._projection = self.add_variable("projection_weights", [self._num_units, self._num_proj])
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units] and [batch, output_size]."""
        c, h = state
        sums, sums_of_inputs = matmul(h, self._recurrent_kernel), matmul(inputs, self._kernel)
        if self._use_bias:
            sums = bias_add(sums, self._bias)
        m = split(axis=1, num_or_size_splits=8, value=sums)
        x = split(axis=1, num_or_size_splits=8, value=sums_of_inputs)
        # The leaves of the tree: each joins a part of the output with one of the inputs.
        leaves = [
            sigmoid(x[0] + m[0]), relu(x[1] + m[1]), sigmoid(x[2] + m[2]), relu(x[3] * m[3]),
            tanh(x[4] + m[4]), sigmoid(x[5] + m[5]), tanh(x[6] + m[6]), sigmoid(x[7] + m[7]),
        ]  # fmt: skip
        first = tanh(leaves[0] * leaves[1])
        second = tanh(leaves[2] + leaves[3])
        third = tanh(leaves[4] * leaves[5])
        fourth = sigmoid(leaves[6] + leaves[7])
        next_c = tanh(first + c) * second
        next_h = tanh(next_c * tanh(third + fourth))
        if self._num_proj is not None:
            next_h = matmul(next_h, self._projection)
        return next_h, LSTMStateTuple(next_c, next_h)


@export(v1=["contrib.rnn.SRUCell"])
class SRUCell(StateIsOutput, LayerRNNCell):
    """The simple recurrent unit, whose gates do not see the state.

    T. Lei, Y. Zhang, Y. Artzi: Training RNNs as Fast as CNNs, https://arxiv.org/abs/1709.02755. With
    `x, f, r, highway = split(kernel · inputs, 4)` and `f, r = sigmoid([f, r] + bias)`:

        next_state = f * state + (1 - f) * x
        output = r * activation(next_state) + (1 - r) * highway

    Args:
      num_units: the size of the state and of the output.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.
      **kwargs: `dtype` and others of `tf.layers.Layer`.
    """

    def __init__(
        self, num_units: int, activation: Any = None, reuse: Any = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(_reuse=reuse, name=name, **kwargs)
        self._num_units = num_units
        self._activation = read_activation(activation or tanh)
        self.input_spec = InputSpec(ndim=2)

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel` and `bias`."""
        self._kernel = self.add_variable("kernel", shape=[known_depth(inputs_shape), 4 * self._num_units])
        self._bias = self.add_variable("bias", shape=[2 * self._num_units], initializer=Zeros())
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        x, forget, reset, highway = split(value=matmul(inputs, self._kernel), num_or_size_splits=4, axis=1)
        gates = sigmoid(bias_add(concat([forget, reset], 1), self._bias))
        forget, reset = split(value=gates, num_or_size_splits=2, axis=1)
        c = forget * state + (1.0 - forget) * x
        return reset * self._activation(c) + (1.0 - reset) * highway, c
