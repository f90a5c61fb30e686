"""Moving averages beyond what the golden tests show."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.train.moving_averages import assign_moving_average, weighted_moving_average


@pytest.fixture(autouse=True)
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


@pytest.mark.parametrize("use_resource", [False, True])
def test_without_bias_the_average_of_a_constant_is_the_constant(session, use_resource):
    v = tf.get_variable("v", initializer=[0.0, 0.0], use_resource=use_resource)
    update = assign_moving_average(v, tf.constant([3.0, 4.0]), 0.9)
    session.run(tf.global_variables_initializer())
    for _ in range(3):
        np.testing.assert_allclose(session.run(update), [3.0, 4.0], rtol=1e-6)
    names = [variable.op.name for variable in tf.global_variables()]
    assert names == ["v", "v/biased", "v/local_step"]


def test_two_averages_of_one_variable_count_apart(session):
    v = tf.Variable(0.0, name="v")
    for _ in range(2):
        assign_moving_average(v, 1.0, 0.5)
    assert [variable.op.name for variable in tf.global_variables()][3:] == ["v/biased_1", "v/local_step_1"]


def test_weighted(session):
    value, weight = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    average = weighted_moving_average(value, 0.5, weight)
    session.run(tf.global_variables_initializer())
    assert session.run(average, {value: 3.0, weight: 1.0}) == pytest.approx(3.0)
    assert session.run(average, {value: 9.0, weight: 4.0}) == pytest.approx((3.0 * 0.5 + 36.0) / 4.5)


def test_in_half_precision(session):
    v = tf.Variable(tf.ones([2], tf.float16))
    averages = tf.train.ExponentialMovingAverage(0.5)
    update = averages.apply([v])
    session.run(tf.global_variables_initializer())
    session.run(v.assign([3.0, 5.0]))
    session.run(update)
    assert session.run(averages.average(v)).tolist() == [2.0, 3.0]


def test_names():
    v, tensor = tf.Variable(1.0, name="v"), tf.constant(1.0, name="t")
    averages = tf.train.ExponentialMovingAverage(0.9, name="ema")
    assert averages.name == "ema" and averages.average(v) is None
    assert averages.average_name(v) == "v/ema"
    averages.apply([v, tensor])
    assert [averages.average_name(item) for item in (v, tensor)] == ["v/ema", "t/ema"]
    other = tf.Variable(1.0, trainable=False, name="other")
    restored = averages.variables_to_restore()
    assert restored["v/ema"] is v and restored["other"] is other
    assert set(averages.variables_to_restore([other])) == {"other/ema", "v", "v/ema", "t/ema"}
