"""The functions that apply cells to sequences compute the same in all modes."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from modes import MODES, eager_by_default, run_in

import millstream.v1 as tf
from millstream.core.function import function

rnn_cell = tf.nn.rnn_cell


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


class Sum(rnn_cell.RNNCell):
    """output = next state = state + input."""

    state_size = output_size = 2

    def call(self, inputs: Any, state: Any) -> Any:
        return state + inputs, state + inputs


def running_sums(x: np.ndarray, lengths: Any) -> np.ndarray:
    within = np.arange(x.shape[1])[None, :, None] < np.asarray(lengths)[:, None, None]
    return np.cumsum(x, 1) * within


@pytest.mark.parametrize("shapes", [None, [[None, None, 2], [None]]], ids=["known", "unknown"])
@pytest.mark.parametrize("mode", MODES)
def test_dynamic(mode: str, shapes: Any) -> None:
    x, lengths = noise(3, 5, 2), np.array([4, 0, 5], np.int32)
    outputs, last = run_in(
        mode, lambda x, lengths: tf.nn.dynamic_rnn(Sum(), x, lengths, dtype=tf.float32), x, lengths, shapes=shapes
    )
    np.testing.assert_allclose(outputs, running_sums(x, lengths), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, [x[0, :4].sum(0), [0, 0], x[2].sum(0)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_all_functions_agree(mode: str) -> None:
    lengths = [4, 1, 5]

    def build(x: Any) -> Any:
        cell = Sum()
        one = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)
        two = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths)
        three = tf.nn.bidirectional_dynamic_rnn(cell, cell, x, lengths, dtype=tf.float32)
        four = tf.nn.static_bidirectional_rnn(
            cell, cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths
        )
        five = raw(cell, x, lengths)
        return one, (tf.stack(two[0], 1), two[1]), three, (tf.stack(four[0], 1), *four[1:]), five

    x = noise(3, 5, 2)
    one, two, three, four, five = run_in(mode, build, x)
    forward, backward = (running_sums(x, lengths), np.zeros_like(x))
    for row, length in enumerate(lengths):
        backward[row, :length] = np.cumsum(x[row, :length][::-1], 0)[::-1]
    for outputs in one[0], two[0], three[0][0], four[0][..., :2], five[0].transpose(1, 0, 2):
        np.testing.assert_allclose(outputs, forward, rtol=1e-5, atol=1e-6)
    for outputs in three[0][1], four[0][..., 2:]:
        np.testing.assert_allclose(outputs, backward, rtol=1e-5, atol=1e-6)
    for last in one[1], two[1], *three[1], *four[1:], five[1]:
        np.testing.assert_allclose(last, backward[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [None, [1, 3]])
def test_weights_are_shared_by_the_modes(lengths: Any) -> None:
    with eager_by_default():
        cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(3), rnn_cell.GRUCell(2)])
        x = tf.constant(noise(2, 4, 2))

        def apply(x: Any) -> Any:
            return tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)[0]

        traced = function(apply)
        np.testing.assert_allclose(traced(x).numpy(), apply(x).numpy(), rtol=1e-5, atol=1e-6)
        assert len(cell.trainable_variables) == 6
        with tf.GradientTape(persistent=True) as tape:
            one, two = tf.reduce_sum(apply(x)), tf.reduce_sum(traced(x))
        for a, b in zip(*(tape.gradient(y, cell.trainable_variables) for y in (one, two)), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


def raw(cell: Any, x: Any, lengths: Any) -> Any:
    def loop_fn(time: Any, output: Any, state: Any, loop_state: Any) -> Any:
        if output is None:
            seen = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
            return time >= lengths, x[:, 0], cell.zero_state(3, tf.float32), None, seen
        seen = loop_state.write(time - 1, time)
        return time >= lengths, x[:, tf.minimum(time, 4)], state, output, seen

    arrays, state, seen = tf.nn.raw_rnn(cell, loop_fn)
    return arrays.stack(), state, seen.stack()
