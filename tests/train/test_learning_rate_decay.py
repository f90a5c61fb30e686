"""Learning rates beyond what the golden tests show: tensors for arguments, and errors."""

from __future__ import annotations

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def test_arguments_may_be_tensors(session):
    step = tf.placeholder(tf.int64, [])
    rate = tf.train.exponential_decay(tf.constant(0.1, tf.float64), step, tf.constant(10), tf.constant(0.5, tf.float64))
    assert rate.dtype == tf.float64
    assert session.run(rate, {step: 20}) == pytest.approx(0.025)


@pytest.mark.parametrize("steps", [3, 7, 10, 49, 100])
def test_a_staircase_falls_just_when_it_should(session, steps):
    step = tf.placeholder(tf.int32, [])
    rate = tf.train.exponential_decay(1.0, step, steps, 0.5, staircase=True)
    for fall in (1, 2, 3):
        assert session.run(rate, {step: fall * steps - 1}) == 0.5 ** (fall - 1)
        assert session.run(rate, {step: fall * steps}) == 0.5**fall


def test_restarts_of_equal_length(session):
    step = tf.placeholder(tf.int32, [])
    rate = tf.train.cosine_decay_restarts(1.0, step, 10, t_mul=1.0, m_mul=0.5)
    found = [session.run(rate, {step: count}) for count in (0, 5, 10, 15, 20)]
    assert found == pytest.approx([1.0, 0.5, 0.5, 0.25, 0.25], abs=1e-6)


def test_noise_dies_down(session):
    rate = tf.train.noisy_linear_cosine_decay(1.0, tf.constant(100), 100, initial_variance=1e-12, beta=0.25)
    assert session.run(rate) == pytest.approx(0.25, abs=1e-5)


def test_piecewise_takes_int32_boundaries_for_an_int64_step(session):
    step = tf.placeholder(tf.int64, [])
    rate = tf.train.piecewise_constant(step, [3, 6], [1.0, 0.5, 0.1])
    assert [session.run(rate, {step: count}) for count in (0, 3, 4, 6, 7)] == pytest.approx([1, 1, 0.5, 0.5, 0.1])


@pytest.mark.parametrize(
    ("boundaries", "values", "message"),
    [
        ([1, 2], [1.0, 2.0], "The length of boundaries should be 1 less than the length of values"),
        ([1.5], [1.0, 2.0], r"Boundaries \(<dtype: 'float32'>\) must have the same dtype as x \(<dtype: 'int32'>\)."),
        ([1], [1, 2.0], "Values must have elements all with the same dtype"),
    ],
)
def test_piecewise_errors(boundaries, values, message):
    with pytest.raises(ValueError, match=message):
        tf.train.piecewise_constant(tf.Variable(0), boundaries, values)
