"""`TimeFreqLSTMCell`: an LSTM along time and along the frequencies of a spectrum."""
from __future__ import annotations

from typing import Any

from millstream.contrib.rnn.linear import sharded_variable
from millstream.core.export import export
from millstream.core.variable_scope import get_variable
from millstream.ops.bias_ops import bias_add
from millstream.ops.clip_ops import clip_by_value
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.fill_ops import zeros
from millstream.ops.init_ops import Zeros
from millstream.ops.join_ops import concat, split
from millstream.ops.matmul_ops import matmul
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.slice_ops import slice_
from millstream.rnn.cell import RNNCell


def known_frequencies(inputs: Any) -> int:
    """The number of frequencies of inputs [batch, frequencies].

    Raises:
      ValueError: it is not known.
    """
    size = inputs.shape.with_rank(2).as_list()[1]
    if size is None:
        raise ValueError("Cannot infer input_size from static shape inference.")
    return size


def count_windows(size: int, window: int, step: int) -> int:
    """How many windows fit into `size` frequencies, each `step` after the one before."""
    return int((size - window) / step) + 1


def batch_size_of(inputs: Any) -> Any:
    """The first dimension, an int or a scalar tensor."""
    return inputs.shape.as_list()[0] or shape_of(inputs)[0]


@export(v1=["contrib.rnn.TimeFreqLSTMCell"])
class TimeFreqLSTMCell(RNNCell):
    """The time-frequency LSTM cell.

    T. Sainath, B. Li: Modeling Time-Frequency Patterns with LSTM vs. Convolutional Architectures for LVCSR Tasks,
    Interspeech 2016.

    The inputs, a spectrum, are cut into windows. The cell goes from one to the next like an LSTM, and sees at each the
    window, its own output for this window at the time before, and its output for the window before. The states c and m
    of all windows are joined: [batch, 2 * num_units * windows], the outputs too: [batch, num_units * windows].

    Args:
      num_units: the size of c and m.
      use_peepholes: whether the gates see c, by `W_F_diag`, `W_I_diag`, `W_O_diag`.
      cell_clip: c is kept between -cell_clip and cell_clip; None: as it is.
      initializer: not used; the variables have the initialiser of their scope.
      num_unit_shards: into how many variables the kernel is divided.
      forget_bias: is added to the forget gate.
      feature_size: the number of frequencies of a window.
      frequency_skip: how many frequencies one window begins after another.
      reuse: whether the variables exist already.
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_unit_shards: int = 1,
        forget_bias: float = 1.0,
        feature_size: int | None = None,
        frequency_skip: int = 1,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = initializer
        self._num_unit_shards = num_unit_shards
        self._forget_bias = forget_bias
        self._feature_size = feature_size
        self._frequency_skip = frequency_skip

    @property
    def state_size(self) -> Any:
        """The size of the states of one window, `2 * num_units`."""
        return 2 * self._num_units

    @property
    def output_size(self) -> Any:
        """The size of the output of one window, `num_units`."""
        return self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for inputs [batch, frequencies] and the states of all windows [batch, 2 * num_units * windows]."""
        windows, units, dtype = self._windows(inputs), self._num_units, inputs.dtype
        rows = windows[0].shape.as_list()[1] + 2 * units
        kernel = sharded_variable("W", [rows, 4 * units], dtype, self._num_unit_shards)
        bias = get_variable("B", shape=[4 * units], dtype=dtype, initializer=Zeros())
        peepholes = None
        if self._use_peepholes:
            peepholes = {gate: get_variable(f"W_{gate}_diag", shape=[units], dtype=dtype) for gate in "FIO"}
        before = zeros([batch_size_of(inputs), units], dtype)
        states: Any = None
        outputs: Any = None
        for index, window in enumerate(windows):
            c, m = (slice_(state, [0, (2 * index + part) * units], [-1, units]) for part in (0, 1))
            sums = bias_add(matmul(concat([window, m, before], 1), kernel), bias)
            c, before = self._lstm(sums, c, peepholes)
            states = concat([c, before] if states is None else [states, c, before], 1)
            outputs = before if outputs is None else concat([outputs, before], 1)
        return outputs, states

    def _windows(self, inputs: Any) -> list[Any]:
        size = known_frequencies(inputs)
        count = count_windows(size, self._feature_size, self._frequency_skip)
        starts = range(0, count * self._frequency_skip, self._frequency_skip)
        return [slice_(inputs, [0, start], [-1, self._feature_size]) for start in starts]

    def _lstm(self, sums: Any, c: Any, peepholes: dict[str, Any] | None) -> tuple[Any, Any]:
        i, j, f, o = split(value=sums, num_or_size_splits=4, axis=1)
        f = f + self._forget_bias
        if peepholes is not None:
            next_c = sigmoid(f + peepholes["F"] * c) * c + sigmoid(i + peepholes["I"] * c) * tanh(j)
        else:
            next_c = sigmoid(f) * c + sigmoid(i) * tanh(j)
        if self._cell_clip is not None:
            next_c = clip_by_value(next_c, -self._cell_clip, self._cell_clip)
        return next_c, sigmoid(o if peepholes is None else o + peepholes["O"] * next_c) * tanh(next_c)
