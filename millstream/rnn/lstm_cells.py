"""Cells with long short-term memory: `BasicLSTMCell` and `LSTMCell`."""
from __future__ import annotations

from typing import Any, NamedTuple

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.shapes import as_plain
from millstream.layers.arguments import ZEROS, read_activation, read_initializer
from millstream.layers.input_spec import InputSpec
from millstream.ops.arithmetic_ops import add, multiply
from millstream.ops.bias_ops import bias_add
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.ops.partitioned_variables import fixed_size_partitioner
from millstream.ops.slice_ops import slice_
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import LayerRNNCell, check_floating, known_depth


class _CellAndHidden(NamedTuple):
    c: Any
    h: Any


@export(v1=["nn.rnn_cell.LSTMStateTuple", "contrib.rnn.LSTMStateTuple"])
class LSTMStateTuple(_CellAndHidden):
    """The state of an LSTM cell: `c`, what the cell remembers, and `h`, its output; also the sizes of these."""

    __slots__ = ()

    @property
    def dtype(self) -> Any:
        """The dtype of both tensors.

        Raises:
          TypeError: they have different ones.
        """
        c, h = self
        if c.dtype != h.dtype:
            raise TypeError(f"Inconsistent internal state: {c.dtype!s} vs {h.dtype!s}")
        return c.dtype


class LSTMBase(LayerRNNCell):
    """What the LSTM cells have in common: the kinds of state, and the kernel of the four gates.

    The columns of the kernel belong, a quarter each, to the input gate i, the new input j, the forget gate f and the
    output gate o.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float,
        state_is_tuple: bool,
        activation: Any,
        reuse: Any,
        name: str | None,
        dtype: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        check_floating(self.dtype)
        if not state_is_tuple:
            log_first_n(
                WARN,
                "%s: Using a concatenated state is slower and will soon be deprecated.  Use state_is_tuple=True.",
                1,
                self,
            )
        self.input_spec = InputSpec(ndim=2)
        self._num_units = num_units
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = read_activation(activation or tanh)

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, output_size)`, or their sum if the state is no tuple."""
        sizes = LSTMStateTuple(self._num_units, self.output_size)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._num_units

    def _build_gates(self, inputs_shape: Any, initializer: Any = None, partitioner: Any = None) -> None:
        rows = known_depth(as_plain(inputs_shape)) + self.output_size
        self._kernel = self.add_variable(
            "kernel", shape=[rows, 4 * self._num_units], initializer=initializer, partitioner=partitioner
        )
        self._bias = self.add_variable("bias", shape=[4 * self._num_units], initializer=ZEROS)

    def _packed(self, c: Any, h: Any) -> Any:
        return LSTMStateTuple(c, h) if self._state_is_tuple else concat([c, h], 1)


@export(v1=["nn.rnn_cell.BasicLSTMCell", "contrib.rnn.BasicLSTMCell"])
class BasicLSTMCell(LSTMBase):
    """The LSTM cell of Zaremba et al. 2014 (https://arxiv.org/abs/1409.2329), without peepholes or projection.

    With `i, j, f, o = split(kernel · [inputs, h] + bias, 4)`:

        next_c = c * sigmoid(f + forget_bias) + sigmoid(i) * activation(j)
        output = next_h = activation(next_c) * sigmoid(o)

    Its variables are `kernel`, [inputs + num_units, 4 * num_units], and `bias`, [4 * num_units].

    Args:
      num_units: the size of c and of h.
      forget_bias: is added to the forget gate, so that at first the cell forgets little.
      state_is_tuple: whether the state is an `LSTMStateTuple`; else c and h are joined in one tensor.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
      **kwargs: `trainable`, and others of `tf.layers.Layer`.

    Example:
      >>> cell = tf.nn.rnn_cell.BasicLSTMCell(4)
      >>> output, (c, h) = cell(tf.zeros([3, 2]), cell.zero_state(3, tf.float32))
      >>> [v.shape.as_list() for v in cell.trainable_variables]
      [[6, 16], [16]]
    """

    _settings = ("_num_units", "_forget_bias", "_state_is_tuple", "_activation", "_reuse")

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name, dtype, **kwargs)

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel` and `bias`."""
        self._build_gates(inputs_shape)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, depth] and a state of tensors [batch, num_units]."""
        check_floating(inputs, state)
        axis = constant(1, dtypes.int32)
        c, h = state if self._state_is_tuple else split(value=state, num_or_size_splits=2, axis=axis)
        gates = bias_add(matmul(concat([inputs, h], 1), self._kernel), self._bias)
        i, j, f, o = split(value=gates, num_or_size_splits=4, axis=axis)
        kept = multiply(c, sigmoid(add(f, constant(self._forget_bias, f.dtype))))
        next_c = add(kept, multiply(sigmoid(i), self._activation(j)))
        next_h = multiply(self._activation(next_c), sigmoid(o))
        return next_h, self._packed(next_c, next_h)


@export(v1=["nn.rnn_cell.LSTMCell", "contrib.rnn.LSTMCell"])
class LSTMCell(LSTMBase):
    """The LSTM cell of Sak et al. 2014 (https://research.google.com/pubs/archive/43905.pdf).

    As `BasicLSTMCell`, and at will with peepholes, by which the gates see c, with a projection of the output, and with
    limits for both. Variables besides `kernel` and `bias`: `w_f_diag`, `w_i_diag`, `w_o_diag` of the peepholes, each
    [num_units], and `projection/kernel`, [num_units, num_proj].

    Args:
      num_units: the size of c.
      use_peepholes: whether the gates see c.
      cell_clip: c is kept between -cell_clip and cell_clip; None: as it is.
      initializer: of the kernels and peepholes; default: that of the variable scope.
      num_proj: the size to which the output h is projected; None: num_units, without projection.
      proj_clip: the projected output is kept between -proj_clip and proj_clip.
      num_unit_shards, num_proj_shards: deprecated: into how many parts the kernels are cut, for which use a
        partitioner of the variable scope.
      forget_bias: is added to the forget gate, so that at first the cell forgets little.
      state_is_tuple: whether the state is an `LSTMStateTuple`; else c and h are joined in one tensor.
      activation: a function of a tensor, or its name; default: tanh.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.
      dtype: of the variables; default: that of the first input.
      **kwargs: `trainable`, and others of `tf.layers.Layer`.

    Example:
      >>> cell = tf.nn.rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3)
      >>> cell.state_size
      LSTMStateTuple(c=4, h=3)
    """

    _settings = (
        "_num_units", "_use_peepholes", "_cell_clip", "_initializer", "_num_proj", "_proj_clip", "_num_unit_shards",
        "_num_proj_shards", "_forget_bias", "_state_is_tuple", "_activation", "_reuse",
    )  # fmt: skip

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name, dtype, **kwargs)
        if num_unit_shards is not None or num_proj_shards is not None:
            log_first_n(
                WARN,
                "%s: The num_unit_shards and proj_unit_shards parameters are deprecated and will be removed in Jan "
                "2017.  Use a variable scope with a partitioner instead.",
                1,
                self,
            )
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = read_initializer(initializer)
        self._num_proj = num_proj
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards

    @property
    def output_size(self) -> Any:
        """`num_proj`, or `num_units` without projection."""
        return self._num_proj or self._num_units

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables."""
        self._build_gates(inputs_shape, self._initializer, _shards(self._num_unit_shards))
        if self._use_peepholes:
            self._w_f_diag, self._w_i_diag, self._w_o_diag = (
                self.add_variable(f"w_{gate}_diag", shape=[self._num_units], initializer=self._initializer)
                for gate in "fio"
            )
        if self._num_proj is not None:
            self._proj_kernel = self.add_variable(
                "projection/kernel",
                shape=[self._num_units, self._num_proj],
                initializer=self._initializer,
                partitioner=_shards(self._num_proj_shards),
            )
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, depth] and a state of tensors [batch, num_units] and [batch, output_size]."""
        check_floating(inputs, state)
        c, h = state if self._state_is_tuple else self._taken_apart(state)
        gates = bias_add(matmul(concat([inputs, h], 1), self._kernel), self._bias)
        i, j, f, o = split(value=gates, num_or_size_splits=4, axis=1)
        if self._use_peepholes:
            kept = sigmoid(f + self._forget_bias + self._w_f_diag * c) * c
            next_c = kept + sigmoid(i + self._w_i_diag * c) * self._activation(j)
        else:
            next_c = sigmoid(f + self._forget_bias) * c + sigmoid(i) * self._activation(j)
        if self._cell_clip is not None:
            next_c = clip_by_value(next_c, -self._cell_clip, self._cell_clip)
        opened = sigmoid(o + self._w_o_diag * next_c) if self._use_peepholes else sigmoid(o)
        next_h = self._projected(opened * self._activation(next_c))
        return next_h, self._packed(next_c, next_h)

    def _taken_apart(self, state: Any) -> tuple[Any, Any]:
        c = slice_(state, [0, 0], [-1, self._num_units])
        return c, slice_(state, [0, self._num_units], [-1, self.output_size])

    def _projected(self, output: Any) -> Any:
        if self._num_proj is None:
            return output
        output = matmul(output, self._proj_kernel)
        return output if self._proj_clip is None else clip_by_value(output, -self._proj_clip, self._proj_clip)


def _shards(count: int | None) -> Any:
    """The partitioner for that many parts."""
    return None if count is None else fixed_size_partitioner(count)
