"""Cells and layers of `tf.contrib.rnn` that are one operation, as far as the golden tests do not go."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf

rnn = tf.contrib.rnn


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feed)


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def block(length: Any, x: Any, cells: int = 3, v2: bool = False, **attrs: Any) -> Any:
    _, batch, inputs = x.shape
    w, *peepholes, b = (
        noise(*shape, seed=i) for i, shape in enumerate([[inputs + cells, 4 * cells], *[[cells]] * 3, [4 * cells]])
    )
    names = dict(zip(("wci", "wcf", "wco"), peepholes, strict=True), w=w, b=b)
    state = {"cs_prev": noise(batch, cells, seed=7), "h_prev": noise(batch, cells, seed=8)}
    make = tf.raw_ops.BlockLSTMV2 if v2 else tf.raw_ops.BlockLSTM
    return make(seq_len_max=tf.cast(length, tf.int64), x=x, **state, **names, **attrs)


@pytest.mark.parametrize("use_peephole", [False, True])
@pytest.mark.parametrize("v2", [False, True])
@pytest.mark.parametrize("length", [0, 2, 4])
def test_gradients_of_a_sequence(use_peephole: bool, v2: bool, length: int) -> None:
    x = tf.placeholder(tf.float32, [4, 2, 3])
    found = block(length, x, v2=v2, use_peephole=use_peephole, cell_clip=0.0)
    weights = noise(2, 4, 2, 3, seed=9)
    loss = tf.reduce_sum(found.cs * weights[0] + found.h * weights[1])
    peepholes = found.h.op.inputs[5:8]
    inputs = [t for t in found.h.op.inputs[1:] if use_peephole or all(t is not other for other in peepholes)]
    gradients = tf.gradients(loss, inputs)
    feed = {x: noise(4, 2, 3, seed=10)}
    with tf.Session() as session:
        values = session.run(dict(zip(inputs, inputs, strict=True)), feed)
        exact = session.run(gradients, feed)
        for tensor, gradient in zip(inputs, exact, strict=True):
            direction, step = noise(*gradient.shape, seed=11), 2e-3
            ends = [session.run(loss, {**values, tensor: values[tensor] + sign * step * direction}) for sign in (1, -1)]
            np.testing.assert_allclose(np.sum(gradient * direction), (ends[0] - ends[1]) / (2 * step), atol=2e-3)


@pytest.mark.parametrize("length", [-1, 5])
def test_length_out_of_range(length: int) -> None:
    given = tf.placeholder(tf.int64, [])
    found = block(given, tf.zeros([4, 2, 3]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"seq_len_max must be in \[0, 4\], but is {length}"):
        run(found.h, {given: length})


def test_what_lies_beyond_the_length_is_zero_and_not_looked_at() -> None:
    x = noise(4, 2, 3)
    x[2:] = np.nan
    given = tf.constant(x)
    found = block(2, given)
    gradient = tf.gradients(tf.reduce_sum(found.h), given)[0]
    outputs, gradient = run([found, gradient])
    for values in (*outputs, gradient):
        assert np.all(values[2:] == 0) and np.all(np.isfinite(values))


def test_layer_and_cells_compute_the_same() -> None:
    """One operation, a loop over a cell that is one, and a loop over a cell of many share their weights."""
    x, lengths = tf.constant(noise(5, 3, 2)), [4, 0, 5]
    with tf.variable_scope("net", initializer=tf.random_uniform_initializer(-1, 1, seed=3)):
        fused = rnn.LSTMBlockFusedCell(4, use_peephole=True, cell_clip=0.5, name="cell")
        results = [fused(x, dtype=tf.float32, sequence_length=lengths)]
    for cell in (
        rnn.LSTMBlockCell(4, use_peephole=True, cell_clip=0.5, name="cell"),
        rnn.LSTMCell(4, use_peepholes=True, cell_clip=0.5, name="cell"),
    ):
        with tf.variable_scope("net", reuse=True) as scope:
            outputs = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32, time_major=True, scope=scope)
            results.append(outputs)
    assert len(tf.trainable_variables()) == 5
    with_gradients = [(result, tf.gradients(result[0], tf.trainable_variables())) for result in results[:2]]
    (first, gradients), (second, gradients_too), third = run([*with_gradients, results[2]])
    for other in (second, third):
        for one, two in zip((first[0], *first[1]), (other[0], *other[1]), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-6)
    for one, two in zip(gradients, gradients_too, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_gru_cells_share_weights() -> None:
    x = tf.constant(noise(3, 5, 2))
    with tf.variable_scope("net"):
        first, _ = tf.nn.dynamic_rnn(rnn.GRUCell(4), x, dtype=tf.float32)
    with tf.variable_scope("net", reuse=True):
        second, _ = tf.nn.dynamic_rnn(rnn.GRUBlockCellV2(4), x, dtype=tf.float32)
    first, second = run([first, second])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_gradient_flows_through_state_and_output_only() -> None:
    """The gates are kept for the gradient, and nothing flows back through them."""
    x = tf.constant(noise(4, 2, 3))
    found = block(4, x)
    assert np.all(run(tf.gradients(found.i, x)[0]) == 0)


def test_no_second_derivative() -> None:
    x = tf.constant(noise(4, 2, 3))
    first = tf.gradients(block(4, x).h, x)[0]
    with pytest.raises(LookupError, match="BlockLSTMGrad"):
        tf.gradients(first, x)


def test_layer_of_a_list() -> None:
    """Layers that take lists: those whose subclass does not ask for one tensor."""

    class Layer(rnn.LSTMBlockWrapper):
        num_units = 2

        def _call_cell(self, inputs: Any, *state_and_lengths: Any) -> Any:
            return tf.cumsum(inputs), 2.0 * inputs

    outputs, last = Layer()([tf.ones([3, 2])] * 4, dtype=tf.float32)
    assert len(outputs) == 4
    assert isinstance(last, rnn.LSTMStateTuple)
    found = run([outputs[1], last])
    assert found[0].tolist() == [[2.0, 2.0]] * 3 and found[1].c.tolist() == [[4.0, 4.0]] * 3


def test_layer_learns() -> None:
    """The sum of a series."""
    series = np.random.RandomState(0).uniform(-0.5, 0.5, [10, 32, 1]).astype(np.float32)
    tf.set_random_seed(1)
    outputs, _ = rnn.LSTMBlockFusedCell(8)(series, dtype=tf.float32)
    guess = tf.layers.dense(outputs[-1], 1)
    loss = tf.losses.mean_squared_error(np.sum(series, 0), guess)
    train = tf.train.AdamOptimizer(0.03).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(loss)
        for _ in range(60):
            session.run(train)
        assert session.run(loss) < 0.1 * before
