"""LSTM cells whose sums are normalised: `LayerNormBasicLSTMCell` and `CoupledInputForgetGateLSTMCell`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.contrib.rnn.linear import known_input_size, sharded_variable
from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.ops.batch_norm_ops import batch_normalization
from millstream.ops.bias_ops import bias_add
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.dropout_ops import dropout
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Constant, Zeros
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.ops.moments_ops import moments
from millstream.ops.slice_ops import slice_
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import RNNCell
from millstream.rnn.lstm_cells import LSTMStateTuple


class NormalisedCell(RNNCell):
    """Base of the cells that normalise sums over the units (https://arxiv.org/abs/1607.06450)."""

    def __init__(self, norm_gain: float, norm_shift: float, reuse: Any) -> None:
        super().__init__(_reuse=reuse)
        self._norm_gain = norm_gain
        self._norm_shift = norm_shift

    def _normalised(self, sums: Any, scope: str) -> Any:
        """`gamma * (sums - mean) / deviation + beta` for sums [batch, units]; the variables are in a scope."""
        shape, dtype = sums.shape.as_list()[-1:], sums.dtype
        with variable_scope(scope):
            gamma = get_variable("gamma", shape, dtype=dtype, initializer=Constant(self._norm_gain))
            beta = get_variable("beta", shape, dtype=dtype, initializer=Constant(self._norm_shift))
        with variable_scope(scope, reuse=True):
            mean, variance = moments(sums, [1], keep_dims=True)
            epsilon = 1e-3 if dtype is dtypes.float16 else 1e-12
            return batch_normalization(sums, mean, variance, beta, gamma, epsilon)


@export(v1=["contrib.rnn.LayerNormBasicLSTMCell"])
class LayerNormBasicLSTMCell(NormalisedCell):
    """The LSTM cell with layer normalisation and recurrent dropout.

    J. Ba, J. Kiros, G. Hinton: Layer Normalization, https://arxiv.org/abs/1607.06450. S. Semeniuta, A. Severyn,
    E. Barth: Recurrent Dropout without Memory Loss, https://arxiv.org/abs/1603.05118.

    As `BasicLSTMCell`, but the sums of each gate and the new state c are normalised (variables `gamma` and `beta` in
    the scopes `input`, `transform`, `forget`, `output`, `state`), and part of the new input is dropped.

    Args:
      num_units: the size of c and of h.
      forget_bias: is added to the forget gate.
      input_size: not used.
      activation: a function of a tensor.
      layer_norm: whether sums are normalised; else the gates have a variable `bias`.
      norm_gain, norm_shift: the values of `gamma` and `beta` at first.
      dropout_keep_prob: the probability that an element of the new input is kept, a float or a scalar tensor.
      dropout_prob_seed: the seed of dropout.
      reuse: whether the variables exist already.

    Example:
      >>> cell = tf.contrib.rnn.LayerNormBasicLSTMCell(4, dropout_keep_prob=0.9)
      >>> outputs, (c, h) = tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 3]), dtype=tf.float32)
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        input_size: Any = None,
        activation: Callable[[Any], Any] = tanh,
        layer_norm: bool = True,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
        dropout_keep_prob: Any = 1.0,
        dropout_prob_seed: int | None = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(norm_gain, norm_shift, reuse)
        if input_size is not None:
            log_first_n(WARN, "%s: The input_size parameter is deprecated.", 1, self)
        self._num_units = num_units
        self._activation = activation
        self._forget_bias = forget_bias
        self._keep_prob = dropout_keep_prob
        self._seed = dropout_prob_seed
        self._layer_norm = layer_norm

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, num_units)`."""
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> Any:
        """`num_units`."""
        return self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units]."""
        c, h = state
        i, j, f, o = split(value=self._sums(concat([inputs, h], 1)), num_or_size_splits=4, axis=1)
        if self._layer_norm:
            i, j = self._normalised(i, "input"), self._normalised(j, "transform")
            f, o = self._normalised(f, "forget"), self._normalised(o, "output")
        new = self._activation(j)
        if not isinstance(self._keep_prob, float) or self._keep_prob < 1:
            new = dropout(new, self._keep_prob, seed=self._seed)
        c = c * sigmoid(f + self._forget_bias) + sigmoid(i) * new
        if self._layer_norm:
            c = self._normalised(c, "state")
        h = self._activation(c) * sigmoid(o)
        return h, LSTMStateTuple(c, h)

    def _sums(self, inputs: Any) -> Any:
        columns, dtype = 4 * self._num_units, inputs.dtype
        kernel = get_variable("kernel", [inputs.shape.as_list()[-1], columns], dtype=dtype)
        sums = matmul(inputs, kernel)
        return sums if self._layer_norm else bias_add(sums, get_variable("bias", [columns], dtype=dtype))


@export(v1=["contrib.rnn.CoupledInputForgetGateLSTMCell"])
class CoupledInputForgetGateLSTMCell(NormalisedCell):
    """The LSTM cell whose input gate is 1 - forget gate.

    K. Greff et al.: LSTM: A Search Space Odyssey, https://arxiv.org/abs/1503.04069.

    With gates `f = sigmoid(f + forget_bias + W_F_diag * c)` and `o = sigmoid(o + W_O_diag * next_c)`:

        next_c = f * c + (1 - f) * activation(j)
        output = next_h = o * activation(next_c), projected by `W_P`

    Args:
      num_units: the size of c.
      use_peepholes: whether the gates see c, by `W_F_diag` and `W_O_diag`.
      initializer: not used; the variables have the initialiser of their scope.
      num_proj: the size to which the output is projected; None: num_units, without projection.
      proj_clip: the projected output is kept between -proj_clip and proj_clip.
      num_unit_shards, num_proj_shards: into how many variables the kernels are divided.
      forget_bias: is added to the forget gate.
      state_is_tuple: whether the state is an `LSTMStateTuple`; else c and h are joined in one tensor.
      activation: a function of a tensor.
      reuse: whether the variables exist already.
      layer_norm: whether the sums and c are normalised, as in `LayerNormBasicLSTMCell`; then there is no bias.
      norm_gain, norm_shift: the values of `gamma` and `beta` at first.

    Example:
      >>> cell = tf.contrib.rnn.CoupledInputForgetGateLSTMCell(4, use_peepholes=True, num_proj=3)
      >>> cell.state_size
      LSTMStateTuple(c=4, h=3)
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int = 1,
        num_proj_shards: int = 1,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Callable[[Any], Any] = tanh,
        reuse: Any = None,
        layer_norm: bool = False,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
    ) -> None:
        super().__init__(norm_gain, norm_shift, reuse)
        if not state_is_tuple:
            log_first_n(
                WARN,
                "%s: Using a concatenated state is slower and will soon be deprecated.  Use state_is_tuple=True.",
                1,
                self,
            )
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._initializer = initializer
        self._num_proj = num_proj
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = activation
        self._layer_norm = layer_norm

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, output_size)`, or their sum if the state is no tuple."""
        sizes = LSTMStateTuple(self._num_units, self.output_size)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """`num_proj`, or `num_units` without projection."""
        return self._num_proj or self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units] and [batch, output_size]."""
        c, h = state if self._state_is_tuple else self._taken_apart(state)
        j, f, o = self._gates(inputs, h)
        w_f, w_o = (self._peephole(f"W_{gate}_diag", c.dtype) for gate in "FO")
        f = f + self._forget_bias
        f = sigmoid(f + w_f * c if self._use_peepholes else f)
        c = f * c + (1 - f) * self._activation(j)
        if self._layer_norm:
            c = self._normalised(c, "state")
        h = sigmoid(o + w_o * c if self._use_peepholes else o) * self._activation(c)
        if self._num_proj is not None:
            h = self._projected(h)
        return h, LSTMStateTuple(c, h) if self._state_is_tuple else concat([c, h], 1)

    def _taken_apart(self, state: Any) -> tuple[Any, Any]:
        c = slice_(state, [0, 0], [-1, self._num_units])
        return c, slice_(state, [0, self._num_units], [-1, self.output_size])

    def _gates(self, inputs: Any, h: Any) -> list[Any]:
        """The sums of the new input, the forget gate and the output gate, each [batch, num_units]."""
        units, dtype = self._num_units, inputs.dtype
        rows = known_input_size(inputs.shape) + self.output_size
        kernel = sharded_variable("W", [rows, 3 * units], dtype, self._num_unit_shards)
        bias = get_variable("B", [3 * units], dtype=dtype, initializer=Zeros())
        sums = matmul(concat([inputs, h], 1), kernel)
        gates = split(value=sums if self._layer_norm else bias_add(sums, bias), num_or_size_splits=3, axis=1)
        if not self._layer_norm:
            return gates
        names = ("transform", "forget", "output")
        return [self._normalised(gate, name) for gate, name in zip(gates, names, strict=True)]

    def _peephole(self, name: str, dtype: Any) -> Any:
        return get_variable(name, [self._num_units], dtype=dtype) if self._use_peepholes else None

    def _projected(self, h: Any) -> Any:
        kernel = sharded_variable("W_P", [self._num_units, self._num_proj], h.dtype, self._num_proj_shards)
        h = matmul(h, kernel)
        return h if self._proj_clip is None else clip_by_value(h, -self._proj_clip, self._proj_clip)
