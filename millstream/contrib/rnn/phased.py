"""`PhasedLSTMCell`: an LSTM with a gate of time, for inputs at irregular times."""
from __future__ import annotations

from typing import Any

from millstream.contrib.rnn.linear import LinearCell
from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.ops.arithmetic_ops import floormod
from millstream.ops.cast_ops import cast
from millstream.ops.elementwise_ops import exp, log, sigmoid, tanh
from millstream.ops.identity_ops import stop_gradient
from millstream.ops.init_ops import Constant, RandomUniform
from millstream.ops.join_ops import split
from millstream.ops.random_ops import random_uniform
from millstream.ops.select_ops import where
from millstream.rnn.lstm_cells import LSTMStateTuple


@export(v1=["contrib.rnn.PhasedLSTMCell"])
class PhasedLSTMCell(LinearCell):
    """The phased LSTM: each unit is open for a part of a period of its own only.

    D. Neil, M. Pfeiffer, S. Liu: Phased LSTM: Accelerating Recurrent Network Training for Long or Event-based
    Sequences, NIPS 2016.

    The inputs are a pair: the times [batch, 1], and the inputs at these times [batch, size]. With the part of its
    period that a unit has run through, `ratio = ((time - phase) mod period) / period`, the unit's openness k rises from
    0 to 1 and falls again while `ratio < ratio_on`, and is `leak * ratio` later:

        next_state = k * (what an LSTM makes of it) + (1 - k) * state

    Args:
      num_units: the size of c and of h.
      use_peepholes: whether the gates see c.
      leak: how open a unit is that is closed.
      ratio_on: for which part of its period a unit is open, at first.
      trainable_ratio_on: whether this is trained.
      period_init_min, period_init_max: between these the periods are at first; their logarithms are uniform.
      reuse: whether the variables exist already.

    Example:
      >>> cell = tf.contrib.rnn.PhasedLSTMCell(4)
      >>> times, inputs = tf.zeros([2, 5, 1]), tf.zeros([2, 5, 3])
      >>> outputs, _ = tf.nn.dynamic_rnn(cell, (times, inputs), dtype=tf.float32)
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        leak: float = 0.001,
        ratio_on: float = 0.1,
        trainable_ratio_on: bool = True,
        period_init_min: float = 1.0,
        period_init_max: float = 1000.0,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._leak = leak
        self._ratio_on = ratio_on
        self._trainable_ratio_on = trainable_ratio_on
        self._period_init_min = period_init_min
        self._period_init_max = period_init_max

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple(num_units, num_units)`."""
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> Any:
        """`num_units`."""
        return self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step for times [batch, 1] and inputs [batch, size], and a state of tensors [batch, num_units]."""
        time, x = inputs
        c, h = state
        next_c, next_h = self._lstm(x, c, h)
        openness = self._openness(time)
        next_c = openness * next_c + (1 - openness) * c
        next_h = openness * next_h + (1 - openness) * h
        return next_h, LSTMStateTuple(next_c, next_h)

    def _lstm(self, x: Any, c: Any, h: Any) -> tuple[Any, Any]:
        units = self._num_units
        with variable_scope("mask_gates"):
            seen = [x, h, c] if self._use_peepholes else [x, h]
            gates = sigmoid(self._linear(seen, 2 * units, key="gates"))
            i, f = split(axis=1, num_or_size_splits=2, value=gates)
        with variable_scope("new_input"):
            new = tanh(self._linear([x, h], units, key="new"))
        c = c * f + i * new
        with variable_scope("output_gate"):
            seen = [x, h, c] if self._use_peepholes else [x, h]
            o = sigmoid(self._linear(seen, units, key="output"))
        return c, tanh(c) * o

    def _openness(self, time: Any) -> Any:
        """How open the units are, [batch, num_units]."""
        shape = [self._num_units]
        period = get_variable("period", shape, initializer=self._initial_period)
        phase = get_variable("phase", shape, initializer=RandomUniform(0.0, period.initial_value))
        ratio_on = get_variable(
            "ratio_on", shape, initializer=Constant(self._ratio_on), trainable=self._trainable_ratio_on
        )
        ratio = _cycle_ratio(time, phase, period)
        rising = 2 * ratio / ratio_on
        falling = 2 - rising
        closed = self._leak * ratio
        openness = where(ratio < ratio_on, falling, closed)
        return where(ratio < 0.5 * ratio_on, rising, openness)

    def _initial_period(self, shape: Any, dtype: Any, partition_info: Any = None) -> Any:
        low, high = log(self._period_init_min), log(self._period_init_max)
        return exp(random_uniform(shape, low, high, dtype))


def _cycle_ratio(time: Any, phase: Any, period: Any) -> Any:
    """Which part of its period each unit has run through, float32 [batch, num_units]."""
    phase, period = cast(phase, time.dtype), cast(period, time.dtype)
    shifted = time - phase
    # The gradient of the remainder by the shifted time is 1.
    remainder = stop_gradient(floormod(shifted, period) - shifted) + shifted
    return cast(remainder / period, dtypes.float32)
