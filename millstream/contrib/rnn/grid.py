"""LSTMs over the grid of time and frequency: `GridLSTMCell` and `BidirectionalGridLSTMCell`."""
from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, NamedTuple

from millstream.contrib.rnn.linear import sharded_variable
from millstream.contrib.rnn.time_frequency import batch_size_of, count_windows, known_frequencies
from millstream.core.export import export
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.ops.bias_ops import bias_add
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.fill_ops import zeros
from millstream.ops.init_ops import Zeros
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.ops.pad_ops import pad
from millstream.ops.slice_ops import slice_
from millstream.platform.tf_logging import WARN, log_first_n
from millstream.rnn.cell import RNNCell

# The windows of one block's frequencies, and what a grid LSTM computes for them: outputs and states.
Windows = list[Any]
Computed = tuple[list[Any], list[Any]]


class _States(NamedTuple):
    """The states of both LSTMs at a point of the grid, each [batch, num_units]."""

    frequency: Any
    time: Any


class _Weights(NamedTuple):
    """The weights of one of the LSTMs in a block."""

    kernel: Any
    bias: Any
    peepholes: dict[str, tuple[Any, Any]]  # by gate, those to the states along frequency and along time


@export(v1=["contrib.rnn.GridLSTMCell"])
class GridLSTMCell(RNNCell):
    """The grid LSTM cell: one LSTM along time, and one along the frequencies of a spectrum.

    N. Kalchbrenner, I. Danihelka, A. Graves: Grid Long Short-Term Memory, https://arxiv.org/abs/1507.01526. T. Sainath,
    B. Li: Modeling Time-Frequency Patterns with LSTM vs. Convolutional Architectures for LVCSR Tasks, Interspeech 2016.

    The inputs, a spectrum, are cut into windows, and these are divided into blocks with weights of their own. At a
    window both LSTMs see the window, the output along time at the time before, and the output along frequency for the
    window before. The output has both LSTMs' outputs for all windows.

    Args:
      num_units: the size of the states of each LSTM.
      use_peepholes: whether the gates see both LSTMs' states.
      share_time_frequency_weights: whether both LSTMs have the same weights.
      cell_clip: the states c are kept between -cell_clip and cell_clip; None: as they are.
      initializer: not used; the variables have the initialiser of their scope.
      num_unit_shards: into how many variables a kernel is divided.
      forget_bias: is added to the forget gates.
      feature_size: the number of frequencies of a window.
      frequency_skip: how many frequencies one window begins after another.
      num_frequency_blocks: a list of the numbers of windows in the blocks.
      start_freqindex_list, end_freqindex_list: where the frequencies of the blocks begin and end; default: one block of
        all.
      couple_input_forget_gates: whether the forget gates are 1 - input gates.
      state_is_tuple: whether the state is a named tuple, see `state_tuple_type`; else all states are joined in one
        tensor.
      reuse: whether the variables exist already.

    Raises:
      ValueError: `num_frequency_blocks` is missing, or (when called) does not fit the inputs.

    Example:
      >>> cell = tf.contrib.rnn.GridLSTMCell(4, feature_size=8, frequency_skip=8, num_frequency_blocks=[5])
      >>> outputs, _ = tf.nn.dynamic_rnn(cell, tf.zeros([2, 10, 40]), dtype=tf.float32)
      >>> outputs.shape.as_list()
      [2, 10, 40]
    """

    _tuple_name = "GridLSTMStateTuple"
    _prefixes: tuple[str, ...] = ("state",)

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        share_time_frequency_weights: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_unit_shards: int = 1,
        forget_bias: float = 1.0,
        feature_size: int | None = None,
        frequency_skip: int | None = None,
        num_frequency_blocks: Sequence[int] | None = None,
        start_freqindex_list: Sequence[int] | None = None,
        end_freqindex_list: Sequence[int] | None = None,
        couple_input_forget_gates: bool = False,
        state_is_tuple: bool = True,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        if not state_is_tuple:
            log_first_n(
                WARN,
                "%s: Using a concatenated state is slower and will soon be deprecated.  Use state_is_tuple=True.",
                1,
                self,
            )
        if num_frequency_blocks is None:
            raise ValueError("Must specify num_frequency_blocks")
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._share_time_frequency_weights = share_time_frequency_weights
        self._couple_input_forget_gates = couple_input_forget_gates
        self._state_is_tuple = state_is_tuple
        self._cell_clip = cell_clip
        self._initializer = initializer
        self._num_unit_shards = num_unit_shards
        self._forget_bias = forget_bias
        self._feature_size = feature_size
        self._frequency_skip = frequency_skip
        self._start_freqindex_list = start_freqindex_list
        self._end_freqindex_list = end_freqindex_list
        self._num_frequency_blocks = num_frequency_blocks
        self._state_tuple_type = self._named_states() if state_is_tuple else None

    def _named_states(self) -> Any:
        names = [
            f"{_name(prefix, window, block)}_{part}"
            for prefix in self._prefixes
            for block, count in enumerate(self._num_frequency_blocks)
            for window in range(count)
            for part in "cm"
        ]
        return namedtuple(self._tuple_name, names)

    # --- Sizes --------------------------------------------------------------------------------------------------------

    @property
    def output_size(self) -> Any:
        """`2 * num_units` for each window."""
        return 2 * self._num_units * sum(self._num_frequency_blocks) * len(self._prefixes)

    @property
    def state_size(self) -> Any:
        """The states along time: a `state_tuple_type` of num_units, or their sum if the state is no tuple."""
        kind = self._state_tuple_type
        return self.output_size if kind is None else kind(*[self._num_units] * len(kind._fields))

    @property
    def state_tuple_type(self) -> Any:
        """A named tuple with c and m for window f in block b: `state_f00_b00_c`, …; None if the state is no tuple."""
        return self._state_tuple_type

    # --- A step -------------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, frequencies] and a state like `state_size`."""
        batch_size = batch_size_of(inputs)
        outputs, states = self._blocks(self._cut(inputs), state, batch_size, "state")
        state = concat(states, 1) if self._state_tuple_type is None else self._state_tuple_type(*states)
        return concat(outputs, 1), state

    def _blocks(self, blocks: Sequence[Windows], state: Any, batch_size: Any, prefix: str) -> Computed:
        outputs, states = [], []
        for block, windows in enumerate(blocks):
            more_outputs, more_states = self._block(windows, block, state, batch_size, prefix)
            outputs += more_outputs
            states += more_states
        return outputs, states

    def _block(self, windows: Windows, block: int, state: Any, batch_size: Any, prefix: str) -> Computed:
        """Goes along the windows of a block; the weights are in the variable scope in force."""
        units, dtype = self._num_units, windows[0].dtype
        along_frequency, along_time = self._weights(block, windows[0].shape.as_list()[1] + 2 * units, dtype)
        m_before, c_before = (zeros([batch_size, units], dtype) for _ in range(2))
        outputs, states = [], []
        for index, window in enumerate(windows):
            c_time, m_time = self._states_of(state, prefix, index, block)
            seen = concat([window, m_time, m_before], 1)
            sums = self._sums(seen, along_frequency)
            sums_time = sums if self._share_time_frequency_weights else self._sums(seen, along_time)
            before = _States(c_before, c_time)
            c_before = self._next_state(sums, along_frequency, before, c_before)
            c_time = self._next_state(sums_time, along_time, before, c_time)
            after = _States(c_before, c_time)
            m_before = self._output(sums, along_frequency, after, c_before)
            m_time = self._output(sums_time, along_time, after, c_time)
            outputs += [m_time, m_before]
            states += [c_time, m_time]
        return outputs, states

    def _states_of(self, state: Any, prefix: str, window: int, block: int) -> list[Any]:
        """c and m along time of a window."""
        if self._state_is_tuple:
            return [getattr(state, f"{_name(prefix, window, block)}_{part}") for part in "cm"]
        # As in TensorFlow the places are counted from the beginning of the state for every block.
        return [slice_(state, [0, (2 * window + part) * self._num_units], [-1, self._num_units]) for part in (0, 1)]

    # --- One of the LSTMs ---------------------------------------------------------------------------------------------

    @property
    def _gates(self) -> str:
        return "ijo" if self._couple_input_forget_gates else "ijfo"

    def _weights(self, block: int, rows: int, dtype: Any) -> tuple[_Weights, _Weights]:
        """The weights of a block along frequency and along time."""
        columns, shared = len(self._gates) * self._num_units, self._share_time_frequency_weights
        products = [
            (
                sharded_variable(f"W_{letter}_{block}", [rows, columns], dtype, self._num_unit_shards),
                get_variable(f"B_{letter}_{block}", [columns], dtype=dtype, initializer=Zeros()),
            )
            for letter in ("f" if shared else "ft")
        ]
        peepholes = [self._peepholes(kind, block, dtype) for kind in (("freq",) if shared else ("freq", "time"))]
        return _Weights(*products[0], peepholes[0]), _Weights(*products[-1], peepholes[-1])

    def _peepholes(self, kind: str, block: int, dtype: Any) -> dict[str, tuple[Any, Any]]:
        if not self._use_peepholes:
            return {}

        def weights(gate: str, to: str) -> Any:
            return get_variable(f"W_{gate.upper()}_diag_{kind}{to}_{block}", shape=[self._num_units], dtype=dtype)

        return {gate: (weights(gate, "f"), weights(gate, "t")) for gate in "fio" if gate in self._gates}

    def _sums(self, seen: Any, weights: _Weights) -> dict[str, Any]:
        sums = bias_add(matmul(seen, weights.kernel), weights.bias)
        return dict(zip(self._gates, split(value=sums, num_or_size_splits=len(self._gates), axis=1), strict=True))

    def _next_state(self, sums: dict[str, Any], weights: _Weights, states: _States, own: Any) -> Any:
        i = _opened("i", sums["i"], weights, states)
        f = 1.0 - i if "f" not in sums else _opened("f", sums["f"] + self._forget_bias, weights, states)
        c = f * own + i * tanh(sums["j"])
        return c if self._cell_clip is None else clip_by_value(c, -self._cell_clip, self._cell_clip)

    def _output(self, sums: dict[str, Any], weights: _Weights, states: _States, own: Any) -> Any:
        return _opened("o", sums["o"], weights, states) * tanh(own)

    # --- Windows ------------------------------------------------------------------------------------------------------

    def _cut(self, inputs: Any, offset: int = 0) -> list[Windows]:
        """The windows of each block of the inputs, which are moved by `offset` frequencies."""
        size = known_frequencies(inputs)
        if offset > 0:
            inputs = pad(inputs, constant([[0, 0], [0, offset]]))
        elif offset < 0:
            inputs = pad(inputs, constant([[0, 0], [-offset, 0]]))
            offset = 0
        blocks = []
        for (start, end), expected in zip(self._ranges(size), self._num_frequency_blocks, strict=True):
            count = count_windows(end - start, self._feature_size, self._frequency_skip)
            if count != expected:
                raise ValueError(
                    f"Invalid num_frequency_blocks, requires {expected} but gets {count}, please check the input size "
                    "and filter config are correct."
                )
            places = (offset + start + index * self._frequency_skip for index in range(count))
            blocks.append([slice_(inputs, [0, place], [-1, self._feature_size]) for place in places])
        return blocks

    def _ranges(self, size: int) -> list[tuple[int, int]]:
        """Where the frequencies of each block begin and end."""
        count = len(self._num_frequency_blocks)
        starts, ends = self._start_freqindex_list, self._end_freqindex_list or ()
        if not starts:
            if count != 1:
                raise ValueError(f"Length of num_frequency_blocks is not 1, but instead is {count}")
            return [(0, size)]
        if len(starts) != len(ends):
            raise ValueError(f"Length of start and end freqindex_list does not match {len(starts)} {len(ends)}")
        if count != len(starts):
            raise ValueError(
                f"Length of num_frequency_blocks is not equal to start_freqindex_list {count} {len(starts)}"
            )
        return list(zip(starts, ends, strict=True))


@export(v1=["contrib.rnn.BidirectionalGridLSTMCell"])
class BidirectionalGridLSTMCell(GridLSTMCell):
    """The grid LSTM cell twice: up the frequencies in the scope `fwd`, and down in the scope `bwd`.

    Args:
      num_units, use_peepholes, share_time_frequency_weights, cell_clip, initializer, num_unit_shards, forget_bias,
      feature_size, frequency_skip, num_frequency_blocks, start_freqindex_list, end_freqindex_list,
      couple_input_forget_gates, reuse: as of `GridLSTMCell`.
      backward_slice_offset: by how many frequencies the windows are moved on the way down.

    The state is a named tuple `fwd_state_f00_b00_c`, …, `bwd_state_f00_b00_c`, …
    """

    _tuple_name = "BidirectionalGridLSTMStateTuple"
    _prefixes = ("fwd_state", "bwd_state")

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        share_time_frequency_weights: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_unit_shards: int = 1,
        forget_bias: float = 1.0,
        feature_size: int | None = None,
        frequency_skip: int | None = None,
        num_frequency_blocks: Sequence[int] | None = None,
        start_freqindex_list: Sequence[int] | None = None,
        end_freqindex_list: Sequence[int] | None = None,
        couple_input_forget_gates: bool = False,
        backward_slice_offset: int = 0,
        reuse: Any = None,
    ) -> None:
        super().__init__(
            num_units, use_peepholes, share_time_frequency_weights, cell_clip, initializer, num_unit_shards,
            forget_bias, feature_size, frequency_skip, num_frequency_blocks, start_freqindex_list, end_freqindex_list,
            couple_input_forget_gates, state_is_tuple=True, reuse=reuse,
        )  # fmt: skip
        self._backward_slice_offset = int(backward_slice_offset)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, frequencies] and a state like `state_size`."""
        batch_size, offset = batch_size_of(inputs), self._backward_slice_offset
        up = self._cut(inputs)
        down = [windows[::-1] for windows in (self._cut(inputs, offset) if offset else up)]
        with variable_scope("fwd"):
            outputs, states = self._blocks(up, state, batch_size, "fwd_state")
        with variable_scope("bwd"):
            more_outputs, more_states = self._blocks(down, state, batch_size, "bwd_state")
        return concat(outputs + more_outputs, 1), self._state_tuple_type(*states, *more_states)


def _name(prefix: str, window: int, block: int) -> str:
    """The beginning of the names of a window's states."""
    return f"{prefix}_f{window:02d}_b{block:02d}"


def _opened(gate: str, sums: Any, weights: _Weights, states: _States) -> Any:
    """How open a gate is, [batch, num_units]."""
    for weight, state in zip(weights.peepholes.get(gate, ()), states, strict=False):
        sums = sums + weight * state
    return sigmoid(sums)
