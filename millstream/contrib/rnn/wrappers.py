"""Cells around a cell: with projections of inputs or outputs, an embedding of the inputs, or a highway past it."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from millstream.contrib.rnn.linear import LinearCell
from millstream.core import nest
from millstream.core.export import export
from millstream.core.scopes import device
from millstream.core.variable_scope import get_variable, get_variable_scope
from millstream.layers.arguments import read_activation
from millstream.ops.bias_ops import xw_plus_b
from millstream.ops.elementwise_ops import sigmoid
from millstream.ops.embedding_ops import embedding_lookup
from millstream.ops.init_ops import Constant, RandomUniform
from millstream.ops.reshape_ops import reshape
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import RNNCell
from millstream.rnn.wrappers import CellWrapper


class ScopedWrapper(CellWrapper, LinearCell):
    """A cell around another one, whose variables are in the variable scope of the cell around it."""

    __call__ = RNNCell.__call__


@export(v1=["contrib.rnn.InputProjectionWrapper"])
class InputProjectionWrapper(ScopedWrapper):
    """Projects the inputs of a cell: the cell sees `activation(kernel · inputs + bias)`.

    It is faster to project the inputs of all steps at once, before they go into the network.

    Args:
      cell: the cell.
      num_proj: the size to which the inputs are projected.
      activation: a function of a tensor, or its name; default: none.
      input_size: not used.
      reuse: whether the variables exist already.

    Raises:
      TypeError: `cell` is no cell.

    Example:
      >>> cell = tf.contrib.rnn.InputProjectionWrapper(tf.contrib.rnn.GRUCell(4), 3)
    """

    def __init__(
        self, cell: Any, num_proj: int, activation: Any = None, input_size: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell, _reuse=reuse)
        if input_size is not None:
            log_first_n(WARN, "%s: The input_size parameter is deprecated.", 1, self)
        self._num_proj = num_proj
        self._activation = read_activation(activation) if activation else None

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of the cell."""
        projected = self._linear([inputs], self._num_proj)
        return self.cell(self._activation(projected) if self._activation else projected, state)


@export(v1=["contrib.rnn.OutputProjectionWrapper"])
class OutputProjectionWrapper(ScopedWrapper):
    """Projects the outputs of a cell: `activation(kernel · output + bias)`.

    It is faster to project the outputs of all steps at once, when the network is done.

    Args:
      cell: the cell.
      output_size: the size to which the outputs are projected.
      activation: a function of a tensor, or its name; default: none.
      reuse: whether the variables exist already.

    Raises:
      TypeError: `cell` is no cell.
      ValueError: `output_size` is not positive.

    Example:
      >>> cell = tf.contrib.rnn.OutputProjectionWrapper(tf.contrib.rnn.GRUCell(4), 10)
      >>> cell.output_size
      10
    """

    def __init__(self, cell: Any, output_size: int, activation: Any = None, reuse: Any = None) -> None:
        super().__init__(cell, _reuse=reuse)
        if output_size < 1:
            raise ValueError(f"Parameter output_size must be > 0: {output_size}.")
        self._output_size = output_size
        self._activation = read_activation(activation) if activation else None

    @property
    def output_size(self) -> Any:
        """The size of the projected output."""
        return self._output_size

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for the inputs and a state of the cell."""
        output, state = self.cell(inputs, state)
        projected = self._linear([output], self._output_size)
        return self._activation(projected) if self._activation else projected, state


@export(v1=["contrib.rnn.EmbeddingWrapper"])
class EmbeddingWrapper(ScopedWrapper):
    """Looks the inputs of a cell up: integers become rows of the variable `embedding`.

    It is faster to look up the inputs of all steps at once, before they go into the network.

    Args:
      cell: the cell.
      embedding_classes: how many different inputs there are.
      embedding_size: the size of a row.
      initializer: of the variable; default: that of the variable scope, else uniform with a variance of 1.
      reuse: whether the variable exists already.

    Raises:
      TypeError: `cell` is no cell.
      ValueError: a number is not positive.

    Example:
      >>> cell = tf.contrib.rnn.EmbeddingWrapper(tf.contrib.rnn.GRUCell(4), embedding_classes=100, embedding_size=8)
      >>> output, state = cell(tf.constant([[7], [3]]), cell.zero_state(2, tf.float32))
    """

    def __init__(
        self, cell: Any, embedding_classes: int, embedding_size: int, initializer: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell, _reuse=reuse)
        if embedding_classes <= 0 or embedding_size <= 0:
            raise ValueError(
                f"Both embedding_classes and embedding_size must be > 0: {embedding_classes}, {embedding_size}."
            )
        self._embedding_classes = embedding_classes
        self._embedding_size = embedding_size
        self._initializer = initializer

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for integer inputs [batch] or [batch, 1] and a state of the cell."""
        bound = math.sqrt(3)  # of the uniform distribution with variance 1
        initializer = self._initializer or get_variable_scope().initializer or RandomUniform(-bound, bound)
        with device("/cpu:0"):
            dtype = (state[0] if isinstance(state, tuple) else state).dtype
            shape = [self._embedding_classes, self._embedding_size]
            embedding = get_variable("embedding", shape, initializer=initializer, dtype=dtype)
            embedded = embedding_lookup(embedding, reshape(inputs, [-1]))
            return self.cell(embedded, state)


@export(v1=["contrib.rnn.HighwayWrapper"])
class HighwayWrapper(CellWrapper):
    """Lets part of the inputs pass a cell by, as in recurrent highways (https://arxiv.org/abs/1505.00387).

    With the gates carry = sigmoid(inputs · carry_w + carry_b) and transform = 1 - carry, or
    sigmoid(inputs · transform_w + transform_b): `carry * inputs + transform * output`.

    Args:
      cell: the cell; its output has the shape of its input.
      couple_carry_transform_gates: whether transform is 1 - carry.
      carry_bias_init: the value of carry_b at first, and of -transform_b.

    Example:
      >>> cell = tf.contrib.rnn.HighwayWrapper(tf.contrib.rnn.GRUCell(3))
      >>> outputs, _ = tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 3]), dtype=tf.float32)
    """

    def __init__(self, cell: Any, couple_carry_transform_gates: bool = True, carry_bias_init: float = 1.0) -> None:
        super().__init__(cell)
        self._couple_carry_transform_gates = couple_carry_transform_gates
        self._carry_bias_init = carry_bias_init

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable[..., Any], **kwargs: Any) -> Any:
        outputs, state = cell_call_fn(inputs, state, **kwargs)
        nest.assert_same_structure(inputs, outputs)
        nest.map_structure(lambda x, y: x.shape.assert_is_compatible_with(y.shape), inputs, outputs)
        return nest.map_structure(self._highway, inputs, outputs), state

    def _highway(self, x: Any, output: Any) -> Any:
        carry = self._gate("carry", x, self._carry_bias_init)
        coupled = self._couple_carry_transform_gates
        transform = 1 - carry if coupled else self._gate("transform", x, -self._carry_bias_init)
        return x * carry + output * transform

    def _gate(self, name: str, x: Any, bias: float) -> Any:
        size = x.shape.with_rank(2).as_list()[1]
        weights = get_variable(f"{name}_w", [size, size], dtype=x.dtype)
        biases = get_variable(f"{name}_b", [size], dtype=x.dtype, initializer=Constant(bias))
        return sigmoid(xw_plus_b(x, weights, biases))


@export(v1=["contrib.rnn.CompiledWrapper"])
class CompiledWrapper(CellWrapper):
    """Asks for a cell to be compiled. Every cell is compiled, so this one only calls it.

    Args:
      cell: the cell.
      compile_stateful: accepted: whether random numbers and initialisers are compiled too; they are.
    """

    def __init__(self, cell: Any, compile_stateful: bool | Callable[[Any], bool] = False) -> None:
        super().__init__(cell)
        self._compile_stateful = compile_stateful
