"""Cells that are one operation: `LSTMBlockCell`, `GRUBlockCell`, and `LSTMBlockFusedCell` for whole sequences."""
from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.layers.input_spec import InputSpec
from millstream.layers.layer import Layer
from millstream.ops.cast_ops import cast
from millstream.ops.fill_ops import sequence_mask, zeros
from millstream.ops.gather_ops import gather_nd
from millstream.ops.init_ops import Constant
from millstream.ops.join_ops import concat, stack, unstack
from millstream.ops.math_ops import range as range_of
from millstream.ops.pad_ops import tile
from millstream.ops.reduction_ops import reduce_max
from millstream.ops.reshape_ops import expand_dims, transpose
from millstream.ops.rnn_ops import block_lstm_op, gru_block_cell_op, lstm_block_cell_op
from millstream.ops.shape_ops import shape as shape_of
from millstream.rnn.cell import LayerRNNCell
from millstream.rnn.lstm_cells import LSTMStateTuple


class _LSTMWeights:
    """The weights of an LSTM, for layers with `_num_units`, `_use_peephole`, `_forget_bias` and `_cell_clip`."""

    def _add_weights(self: Any, depth: int) -> None:
        units = self._num_units
        self._kernel = self.add_variable("kernel", [depth + units, 4 * units])
        self._bias = self.add_variable("bias", [4 * units], initializer=Constant(0.0))
        if self._use_peephole:
            self._diagonals = [self.add_variable(f"w_{gate}_diag", [units]) for gate in "ifo"]

    def _peepholes(self: Any, dtype: Any) -> list[Any]:
        """The weights by which the gates see the state, zeros where they are not used."""
        return self._diagonals if self._use_peephole else [zeros([self._num_units], dtype)] * 3

    def _settings(self: Any) -> dict[str, Any]:
        """The attributes of the operation."""
        return {
            "forget_bias": self._forget_bias,
            "cell_clip": -1 if self._cell_clip is None else self._cell_clip,
            "use_peephole": self._use_peephole,
        }


@export(v1=["contrib.rnn.LSTMBlockCell"])
class LSTMBlockCell(_LSTMWeights, LayerRNNCell):
    """`LSTMCell` as one operation, with the same variables but no projection.

    Args:
      num_units: the size of c and of h.
      forget_bias: is added to the forget gate.
      cell_clip: c is kept between -cell_clip and cell_clip; None: as it is.
      use_peephole: whether the gates see c.
      dtype: of the variables; default: that of the first input. float16 or float32.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.

    Example:
      >>> outputs, last = tf.nn.dynamic_rnn(tf.contrib.rnn.LSTMBlockCell(4), tf.zeros([3, 5, 2]), dtype=tf.float32)
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        dtype: Any = None,
        reuse: Any = None,
        name: str | None = "lstm_cell",
    ) -> None:
        super().__init__(_reuse=reuse, dtype=dtype, name=name)
        self._num_units = num_units
        self._forget_bias = forget_bias
        self._use_peephole = use_peephole
        self._cell_clip = cell_clip
        self.input_spec = InputSpec(ndim=2)

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, num_units)`."""
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> Any:
        """`num_units`."""
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        """Makes `kernel`, `bias` and the peepholes."""
        depth = inputs_shape.as_list()[1]
        if depth is None:
            raise ValueError(f"Expecting inputs_shape[1] to be set: {inputs_shape}")
        self._add_weights(depth)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, size] and a state of tensors [batch, num_units]."""
        if len(state) != 2:
            raise ValueError("Expecting state to be a tuple with length 2.")
        c, h = state
        found = lstm_block_cell_op(
            inputs, c, h, self._kernel, *self._peepholes(self.dtype), self._bias, **self._settings()
        )
        return found[6], LSTMStateTuple(found[1], found[6])


@export(v1=["contrib.rnn.GRUBlockCell"])
class GRUBlockCell(LayerRNNCell):
    """`GRUCell` as one operation, for float32. Variables: `w_ru`, `b_ru` of the gates, `w_c`, `b_c` of the candidate.

    Args:
      num_units: the size of the state and of the output.
      cell_size: an older name of it.
      reuse: whether the variables exist already.
      name: the cell's name, and that of its variable scope.

    Raises:
      ValueError: not exactly one size is given.
    """

    # The names of the variables: kernel and bias of the gates, kernel and bias of the candidate.
    _names = ("w_ru", "b_ru", "w_c", "b_c")

    def __init__(
        self, num_units: int | None = None, cell_size: int | None = None, reuse: Any = None, name: str = "gru_cell"
    ) -> None:
        super().__init__(_reuse=reuse, name=name)
        if (cell_size is None) == (num_units is None):
            raise ValueError("Exactly one of num_units or cell_size must be provided.")
        self._cell_size = cell_size if num_units is None else num_units
        self.input_spec = InputSpec(ndim=2)

    @property
    def state_size(self) -> Any:
        """`num_units`."""
        return self._cell_size

    @property
    def output_size(self) -> Any:
        """`num_units`."""
        return self._cell_size

    def build(self, input_shape: Any) -> None:
        """Makes the kernels and biases of the gates and of the candidate."""
        depth, units = input_shape.as_list()[1], self._cell_size
        if depth is None:
            raise ValueError("Expecting input_size to be set.")
        names, rows = self._names, depth + units
        self._gate_kernel = self.add_variable(names[0], [rows, 2 * units])
        self._gate_bias = self.add_variable(names[1], [2 * units], initializer=Constant(1.0))
        self._candidate_kernel = self.add_variable(names[2], [rows, units])
        self._candidate_bias = self.add_variable(names[3], [units], initializer=Constant(0.0))
        self.built = True

    def call(self, inputs: Any, h_prev: Any) -> Any:
        """One step for inputs [batch, size] and a state [batch, num_units]."""
        kernels, biases = (self._gate_kernel, self._candidate_kernel), (self._gate_bias, self._candidate_bias)
        output = gru_block_cell_op(inputs, h_prev, *kernels, *biases)[3]
        return output, output


@export(v1=["contrib.rnn.GRUBlockCellV2"])
class GRUBlockCellV2(GRUBlockCell):
    """`GRUBlockCell` with `GRUCell`'s variables: `gates/kernel`, `gates/bias`, `candidate/kernel`, `candidate/bias`.

    Args:
      num_units, cell_size, reuse, name: as of `GRUBlockCell`.
    """

    _names = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")

    def build(self, input_shape: Any) -> None:
        """Makes the kernels and biases of the gates and of the candidate."""
        super().build(input_shape)


# --- Whole sequences --------------------------------------------------------------------------------------------------


@export(v1=["contrib.rnn.LSTMBlockWrapper"])
class LSTMBlockWrapper(Layer, metaclass=ABCMeta):
    """Base of the layers that compute an LSTM for all steps in one operation.

    A subclass has the property `num_units` and the method `_call_cell`.

    Args:
      trainable: whether the variables are trained.
      name: the name; default: the class's in snake case, with a number.
      dtype: the dtype of the variables; default: that of the first input.
      **kwargs: as of `tf.layers.Layer`.
    """

    @property
    @abstractmethod
    def num_units(self) -> int:
        """The size of the states and of the outputs."""

    @abstractmethod
    def _call_cell(
        self, inputs: Any, initial_cell_state: Any, initial_output: Any, dtype: Any, sequence_length: Any
    ) -> tuple[Any, Any]:
        """Computes all steps.

        Args:
          inputs: [time, batch, size].
          initial_cell_state, initial_output: [batch, num_units].
          dtype: of the states.
          sequence_length: an integer vector [batch], or None.

        Returns:
          states and outputs, each [time, batch, num_units].
        """

    def call(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None
    ) -> tuple[Any, Any]:
        """Computes all steps.

        Args:
          inputs: a tensor [time, batch, size], or a list of tensors [batch, size].
          initial_state: c and h, each [batch, num_units]; default: zeros.
          dtype: of the states; needed without `initial_state`.
          sequence_length: an integer vector [batch]: how long each sequence is; from then on the outputs are zeros.
            Default: all are as long as the inputs.

        Returns:
          the outputs, as the inputs are a tensor [time, batch, num_units] or a list; and the last state of each
          sequence, an `LSTMStateTuple`.

        Raises:
          ValueError: neither a state nor a dtype is given, or the state is no pair.
        """
        is_list = isinstance(inputs, list)
        if is_list:
            inputs = stack(inputs)
        time, batch, size = inputs.shape.with_rank(3).as_list()
        if size is None:
            raise ValueError(f"inputs_shape[2] must be defined: {inputs.shape}")
        batch = shape_of(inputs)[1] if batch is None else batch
        time = shape_of(inputs)[0] if time is None else time
        first_c, first_h, dtype = self._first_state(initial_state, batch, dtype)
        if sequence_length is not None:
            sequence_length = to_tensor(sequence_length)
        states, outputs = self._call_cell(inputs, first_c, first_h, dtype, sequence_length)
        if sequence_length is None:
            last = LSTMStateTuple(states[-1], outputs[-1])
        else:
            mask = transpose(sequence_mask(sequence_length, time, dtype))
            outputs = outputs * tile(expand_dims(mask, [-1]), [1, 1, self.num_units])
            # Before the first step are the states to begin with.
            states = concat([expand_dims(first_c, [0]), states], 0)
            with_first = concat([expand_dims(first_h, [0]), outputs], 0)
            last = LSTMStateTuple(*(_at(sequence_length, values, batch) for values in (states, with_first)))
        return unstack(outputs) if is_list else outputs, last

    def _first_state(self, initial_state: Any, batch: Any, dtype: Any) -> tuple[Any, Any, Any]:
        if initial_state is None:
            if dtype is None:
                raise ValueError("Either initial_state or dtype needs to be specified")
            nothing = zeros(stack([batch, self.num_units]), dtype)
            return nothing, nothing, dtype
        if len(initial_state) != 2:
            raise ValueError("Expecting initial_state to be a tuple with length 2 or None")
        c, h = initial_state
        return c, h, c.dtype if dtype is None else dtype


def _at(lengths: Any, values: Any, batch: Any) -> Any:
    """`values[lengths[b], b]` for each sequence b."""
    return gather_nd(values, stack([lengths, range_of(batch)], axis=1))


@export(v1=["contrib.rnn.LSTMBlockFusedCell"])
class LSTMBlockFusedCell(_LSTMWeights, LSTMBlockWrapper):
    """An LSTM layer as one operation for all steps and all sequences, much faster than a loop over a cell.

    W. Zaremba, I. Sutskever, O. Vinyals: Recurrent Neural Network Regularization, https://arxiv.org/abs/1409.2329.

    Its variables are `kernel`, [inputs + num_units, 4 * num_units], `bias`, [4 * num_units], and with peepholes
    `w_i_diag`, `w_f_diag`, `w_o_diag`, [num_units].

    Args:
      num_units: the size of c and of h.
      forget_bias: is added to the forget gate.
      cell_clip: c is kept between -cell_clip and cell_clip; None: as it is.
      use_peephole: whether the gates see c.
      reuse: whether the variables exist already.
      dtype: of the variables; default: that of the first input. float16 or float32.
      name: the layer's name, and that of its variable scope.

    Example:
      >>> layer = tf.contrib.rnn.LSTMBlockFusedCell(4)
      >>> outputs, (c, h) = layer(tf.zeros([5, 3, 2]), dtype=tf.float32)  # [time, batch, size]
      >>> outputs.shape.as_list()
      [5, 3, 4]
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        reuse: Any = None,
        dtype: Any = None,
        name: str | None = "lstm_fused_cell",
    ) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype)
        self._num_units = num_units
        self._forget_bias = forget_bias
        self._cell_clip = cell_clip
        self._use_peephole = use_peephole
        self.input_spec = InputSpec(ndim=3)

    @property
    def num_units(self) -> int:
        """The size of c and of h."""
        return self._num_units

    def build(self, input_shape: Any) -> None:
        """Makes `kernel`, `bias` and the peepholes."""
        self._add_weights(input_shape.as_list()[2])
        self.built = True

    def _call_cell(
        self, inputs: Any, initial_cell_state: Any, initial_output: Any, dtype: Any, sequence_length: Any
    ) -> tuple[Any, Any]:
        time = inputs.shape.as_list()[0]
        if time is None:
            time = shape_of(inputs)[0]
        peepholes = self._peepholes(dtype)
        steps = cast(time if sequence_length is None else reduce_max(sequence_length), dtypes.int64)
        state = (initial_cell_state, initial_output)
        found = block_lstm_op(steps, inputs, *state, self._kernel, *peepholes, self._bias, **self._settings())
        return found[1], found[6]
