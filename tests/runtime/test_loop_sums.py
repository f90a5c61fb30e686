"""Gradients of what a loop uses in each turn: factors are kept, and multiplied once."""
from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.runtime import loop_sums


@pytest.fixture
def found(monkeypatch):
    """What was made of each loop."""
    made = []

    def spy(condition, body, factored=loop_sums.factored):
        made.append(factored(condition, body))
        return made[-1]

    monkeypatch.setattr(loop_sums, "factored", spy)
    return made


def recurrent(x, weights, bias, steps):
    """A recurrent network by hand: the last output."""
    turn = lambda i, h: (i + 1, tf.tanh(tf.nn.bias_add(tf.matmul(tf.concat([x[i], h], 1), weights), bias)))  # noqa: E731
    return tf.while_loop(lambda i, _: i < steps, turn, (0, tf.zeros([4, 3])))[1]


def gradients(steps, fed_steps=None):
    with tf.Graph().as_default(), tf.Session() as session:
        random = np.random.RandomState(0)
        x = tf.constant(random.randn(6, 4, 2).astype(np.float32))
        weights = tf.Variable(random.randn(5, 3).astype(np.float32))
        bias = tf.Variable(random.randn(3).astype(np.float32))
        length = tf.placeholder_with_default(steps, [])
        y = recurrent(x, weights, bias, length if fed_steps is not None else steps)
        session.run(tf.global_variables_initializer())
        slopes = tf.gradients(tf.reduce_sum(y * y), [weights, bias])
        return session.run(slopes, {} if fed_steps is None else {length: fed_steps})


@pytest.fixture
def always(monkeypatch):
    """Even where it does not pay."""
    monkeypatch.setattr(loop_sums.Factored, "pays", lambda self, after: True)


@pytest.mark.parametrize("steps", [6, 1, 0])
def test_the_sums_are_the_same(found, always, monkeypatch, steps):
    factored = gradients(steps)
    assert [len(loop._sums) for loop in found if loop is not None] == [2]
    monkeypatch.setattr(loop_sums, "factored", lambda condition, body: None)
    for ours, plain in zip(factored, gradients(steps), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


def test_small_sums_are_added_up_in_each_turn(found):
    """Many rows make a small sum."""
    sums = gradients(6)
    loop = next(loop for loop in found if loop is not None)
    after = [np.zeros(())] * (len(loop.body.inputs) - 2)
    for each, size in zip(loop._sums, sums, strict=True):
        after[each.place] = size
    assert loop.pays([*after, np.zeros((4, 5)), np.zeros((4, 3))])
    assert not loop.pays([*after, np.zeros((400, 5)), np.zeros((400, 3))])


def test_a_loop_of_unknown_length_adds_up(found, always):
    known = gradients(4)
    for ours, plain in zip(gradients(6, fed_steps=4), known, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


def test_a_sum_that_the_condition_tests_is_added_up():
    with tf.Graph().as_default(), tf.Session() as session:
        row = tf.ones([1, 4])
        goes_on = lambda i, total: tf.logical_and(i < 10, tf.reduce_sum(total) < 40)  # noqa: E731
        turn = lambda i, total: (i + 1, total + tf.matmul(row, row, transpose_a=True))  # noqa: E731
        assert session.run(tf.while_loop(goes_on, turn, (0, tf.zeros([4, 4]))))[0] == 3


def test_weights_used_twice_in_a_turn(found, always, monkeypatch):
    def run():
        with tf.Graph().as_default(), tf.Session() as session:
            weights = tf.constant(np.random.RandomState(1).randn(3, 3).astype(np.float32))
            turn = lambda i, h: (i + 1, tf.sin(tf.matmul(tf.tanh(tf.matmul(h, weights)), weights)))  # noqa: E731
            y = tf.while_loop(lambda i, _: i < 5, turn, (0, tf.ones([2, 3])))[1]
            slope, = tf.gradients(y, weights)
            second, = tf.gradients(slope, weights)
            return session.run([slope, second])

    ours = run()
    assert any(loop is not None for loop in found)
    monkeypatch.setattr(loop_sums, "factored", lambda condition, body: None)
    for first, plain in zip(ours, run(), strict=True):
        np.testing.assert_allclose(first, plain, rtol=1e-4, atol=1e-5)
