"""The functions that apply cells to sequences, as far as the golden tests do not go."""
from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.layers.base import BaseLayer

rnn_cell = tf.nn.rnn_cell


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


def ramp(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    return tf.constant(np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape), dtype)


class Sum(rnn_cell.RNNCell):
    """output = next state = state + input; counts how often it is traced."""

    state_size = output_size = 2
    calls = 0

    def call(self, inputs: Any, state: Any) -> Any:
        self.calls += 1
        return state + inputs, state + inputs


def running_sums(x: np.ndarray, lengths: Any) -> np.ndarray:
    within = np.arange(x.shape[1])[None, :, None] < np.asarray(lengths)[:, None, None]
    return np.cumsum(x, 1) * within


def raw(cell: Any, x: Any, lengths: Any) -> Any:
    def loop_fn(time: Any, output: Any, state: Any, loop_state: Any) -> Any:
        if output is None:
            seen = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
            return time >= lengths, x[:, 0], cell.zero_state(3, tf.float32), None, seen
        seen = loop_state.write(time - 1, time)
        return time >= lengths, x[:, tf.minimum(time, 4)], state, output, seen

    arrays, state, seen = tf.nn.raw_rnn(cell, loop_fn)
    return arrays.stack(), state, seen.stack()


def test_raw_loop_state_may_be_an_array() -> None:
    _, _, seen = raw(Sum(), tf.constant(noise(3, 5, 2)), [4, 1, 5])
    assert tf.Session().run(seen).tolist() == [1, 2, 3, 4, 5]


# --- The graph ------------------------------------------------------------------------------------------------------


def body_of(graph: Any) -> Any:
    loop = next(op for op in graph.get_operations() if "While" in op.type)
    return loop.attrs["body"].graph


@pytest.mark.parametrize("lengths", [None, [1, 2, 3]])
def test_the_cell_is_traced_once_and_selects_only_for_lengths(lengths: Any) -> None:
    cell = Sum()
    tf.nn.dynamic_rnn(cell, tf.zeros([3, 50, 2]), lengths, dtype=tf.float32)
    assert cell.calls == 1
    types = [op.type for op in body_of(tf.get_default_graph()).get_operations()]
    assert types.count("Select") == (0 if lengths is None else 2)


def test_sizes_may_change_from_run_to_run() -> None:
    x = tf.placeholder(tf.float32, [None, None, 2])
    lengths = tf.placeholder(tf.int64, [None])
    outputs, last = tf.nn.dynamic_rnn(Sum(), x, lengths, dtype=tf.float32, time_major=True)
    assert outputs.shape.as_list() == [None, None, 2] and last.shape.as_list() == [None, 2]
    with tf.Session() as session:
        for batch, steps in ((3, 5), (1, 2), (4, 5), (2, 1)):
            given = noise(steps, batch, 2)
            sizes = np.random.RandomState(1).randint(0, steps + 1, batch)
            got = session.run(outputs, {x: given, lengths: sizes})
            wanted = running_sums(given.transpose(1, 0, 2), sizes)
            np.testing.assert_allclose(got.transpose(1, 0, 2), wanted, rtol=1e-5, atol=1e-6)


def test_gradients_train_the_variables() -> None:
    x, y = tf.constant(noise(8, 6, 2)), tf.constant(noise(8, 3))
    cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(5, use_peepholes=True), rnn_cell.GRUCell(3)])
    _, (_, last) = tf.nn.dynamic_rnn(cell, x, sequence_length=[6, 1, 2, 3, 6, 5, 4, 3], dtype=tf.float32)
    loss = tf.reduce_mean(tf.square(last - y))
    step = tf.train.AdamOptimizer(0.05).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(loss)
        for _ in range(60):
            session.run(step)
        assert session.run(loss) < 0.3 * before


def test_cells_of_keras_take_lists_of_states() -> None:
    class Keras(BaseLayer):
        state_size = output_size = 2

        def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
            return tf.zeros([batch_size, 2], dtype)

        def call(self, inputs: Any, states: Any) -> Any:
            (state,) = states
            return state + inputs, [state + inputs]

    x = noise(3, 4, 2)
    outputs, last = tf.nn.dynamic_rnn(Keras(), x, dtype=tf.float32)
    static, _ = tf.nn.static_rnn(Keras(), list(x.transpose(1, 0, 2)) and tf.unstack(tf.constant(x), axis=1), None,
                                 tf.float32)  # fmt: skip
    got, end, rows = tf.Session().run([outputs, last, static])
    np.testing.assert_allclose(got, np.cumsum(x, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(end, got[:, -1])
    np.testing.assert_allclose(np.stack(rows, 1), got, rtol=1e-5, atol=1e-6)


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_errors_of_a_run_point_at_the_line() -> None:
    x = tf.zeros([3, 5, 2])
    lengths = tf.placeholder(tf.int32, [None])
    line = sys._getframe().f_lineno + 1
    outputs, _ = tf.nn.dynamic_rnn(Sum(), x, lengths, dtype=tf.float32)
    (_, backward), _ = tf.nn.bidirectional_dynamic_rnn(Sum(), Sum(), x, lengths, dtype=tf.float32)
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            session.run(outputs, {lengths: [1, 2]})
        assert f"test_sequences.py:{line}, in test_errors_of_a_run" in error.value.message
        assert "Expected shape for Tensor rnn/sequence_length:0 is ] [3] [ but saw shape: ] [2]" in error.value.message
        for wrong, message in (([1, -1, 2], r"seq_lens\(1\) < 0"), ([1, 2, 6], r"seq_lens\(2\) > input.dims\(1\)")):
            with pytest.raises(tf.errors.InvalidArgumentError, match=message) as error:
                session.run(backward, {lengths: wrong})
            assert f"test_sequences.py:{line + 1}, in test_errors_of_a_run" in error.value.message


def test_too_many_outputs() -> None:
    class Wrong(rnn_cell.RNNCell):
        state_size = output_size = 2

        def call(self, inputs: Any, state: Any) -> Any:
            return (inputs, inputs), state

    with pytest.raises(ValueError, match="The cell's output is .*, but its output_size is 2"):
        tf.nn.dynamic_rnn(Wrong(), tf.zeros([3, 5, 2]), dtype=tf.float32)


@pytest.mark.parametrize("shape", [[], [3], [None]])
def test_without_two_dimensions_there_is_nothing_to_transpose(shape: Any) -> None:
    x = tf.placeholder(tf.float32, shape)
    assert tf.contrib.rnn.transpose_batch_time(x) is x


def test_unknown_ranks() -> None:
    x = tf.placeholder(tf.float32)
    with pytest.raises(ValueError, match="unknown TensorShape"):
        tf.nn.dynamic_rnn(Sum(), x, dtype=tf.float32)
    with pytest.raises(ValueError, match="must be accessible via shape inference"):
        tf.nn.static_rnn(Sum(), [x], dtype=tf.float32)


def test_state_that_is_no_tuple_of_the_cell() -> None:
    zeros = tf.zeros([3, 4])
    for lengths in (None, [1, 2, 3]):
        with pytest.raises(TypeError, match="don't have the same nested structure|same sequence type"):
            tf.nn.dynamic_rnn(
                rnn_cell.BasicLSTMCell(4), tf.zeros([3, 5, 2]), lengths, [zeros, zeros], scope=f"scope_{not lengths}"
            )
