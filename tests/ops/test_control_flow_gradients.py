"""Derivatives through conditions and loops in 1.x graphs, compared with differences in float64."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def repeated(count: Any, turn: Callable[..., Any], x: Any, **options: Any) -> Any:
    return tf.while_loop(lambda i, _: i < count, lambda i, y: (i + 1, turn(i, y)), (0, x), **options)[1]


def bounded(x: Any) -> Any:
    return repeated(4, lambda i, y: y * tf.sin(x) + x, x, maximum_iterations=3)


def unbounded(x: Any) -> Any:
    return tf.while_loop(lambda y: tf.abs(y) < 50.0, lambda y: (y * y + x,), (x + 3.0,))


def nested(x: Any) -> Any:
    return repeated(3, lambda i, y: repeated(2, lambda j, z: z * x + tf.sin(z), y), x)


def loop_in_condition(x: Any) -> Any:
    return tf.cond(x > 0, lambda: repeated(3, lambda i, y: y * x, x), lambda: x * tf.exp(x))


def condition_in_loop(x: Any) -> Any:
    return repeated(4, lambda i, y: tf.cond(tf.equal(i % 2, 0), lambda: y * x, lambda: y * y + x), x)


def condition_in_condition(x: Any) -> Any:
    return tf.cond(x > 0, lambda: tf.cond(x > 1, lambda: x**2, lambda: tf.sin(x) * x), lambda: tf.exp(x))


def of_cases(x: Any) -> Any:
    return tf.case([(x < -1, lambda: x), (x < 0, lambda: x**3)], default=lambda: tf.exp(x))


def of_captured_values(x: Any) -> Any:
    outside = tf.exp(x) * x
    return repeated(3, lambda i, y: tf.cond(i > 0, lambda: y + outside, lambda: y * outside), tf.ones_like(x))


def with_a_list(x: Any) -> Any:
    def turn(i: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.stack([y, x, y * x]))

    return repeated(3, turn, x)


FUNCTIONS = [
    bounded, unbounded, nested, loop_in_condition, condition_in_loop, condition_in_condition, of_cases,
    of_captured_values, with_a_list,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("at", [0.7, -0.6])
def test_first_and_second_derivatives(function, at) -> None:
    x = tf.placeholder(tf.float64, [])
    y = function(x)
    (first,) = tf.gradients(y, x)
    (second,) = tf.gradients(first, x)
    with tf.Session() as session:
        here, high, low = (np.array(session.run([y, first, second], {x: at + step})) for step in (0.0, 1e-5, -1e-5))
    np.testing.assert_allclose(here[1:], (high - low)[:2] / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("use_resource", [False, True])
def test_derivatives_by_variables(use_resource) -> None:
    """Of a loop, with the same variable outside, inside and in a branch inside."""
    w = tf.get_variable("w", initializer=np.array([0.3, -0.4]), use_resource=use_resource)
    feed = tf.placeholder(tf.float64, [2])
    start = tf.ones([2], tf.float64) * w

    def turn(i: Any, y: Any) -> Any:
        return tf.cond(tf.equal(i, 1), lambda: y + w, lambda: tf.tanh(y * w))

    loss = tf.reduce_sum(repeated(3, turn, start) * w)
    (gradient,) = tf.gradients(loss, w)
    (second,) = tf.gradients(gradient, w)
    assign = w.assign(feed)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def at(values: Any, fetch: Any) -> Any:
            session.run(assign.op, {feed: values})
            return session.run(fetch)

        here = np.array([0.3, -0.4])
        for value, derivative in ((loss, gradient), (tf.reduce_sum(gradient), second)):
            expected = [(at(here + step, value) - at(here - step, value)) / 2e-6 for step in np.eye(2) * 1e-6]
            np.testing.assert_allclose(at(here, derivative), expected, rtol=1e-6, atol=1e-8)


def test_hessians_through_a_loop() -> None:
    x = tf.constant([2.0, 3.0], tf.float64)
    (hessian,) = tf.hessians(tf.reduce_sum(repeated(3, lambda i, y: y * x, x)), x)
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(hessian), [[48, 0], [0, 108]])


def test_zero_turns() -> None:
    x, n = tf.placeholder(tf.float64, []), tf.placeholder(tf.int32, [])
    y = repeated(n, lambda i, y: y * y, x)
    (gradient,) = tf.gradients(y, x)
    with tf.Session() as session:
        assert [session.run(gradient, {x: 1.5, n: count}) for count in (0, 1, 2)] == [1.0, 3.0, 13.5]


def test_what_a_loop_keeps_takes_no_names_from_the_program() -> None:
    x = tf.constant(2.0)
    tf.gradients(repeated(3, lambda i, y: tf.sin(y) * x, x), x)
    names = [tf.constant(0, name=name).op.name for name in ("kept", "turns", "unused", "AddV2")]
    assert names == ["kept", "turns", "unused", "AddV2"]


def test_no_gradient_flows_where_none_is_wanted() -> None:
    x = tf.constant(2.0)
    y = repeated(3, lambda i, y: y * x, x, back_prop=False)
    z = tf.cond(x > 0, lambda: tf.stop_gradient(x * x), lambda: tf.stop_gradient(x))
    assert tf.gradients(y, x) == [None] and y.op.name == "while/Exit_1"
    assert tf.gradients(z, x) == [None]


def test_gradients_of_gradients_in_a_body() -> None:
    x = tf.constant(2.0, tf.float64)

    def turn(i: Any, y: Any) -> Any:
        (first,) = tf.gradients(y**3 * x, y)
        return y - 0.01 * tf.gradients(first, y)[0] - 0.01 * tf.gradients(first, x)[0]

    expected = 1.5
    for _ in range(3):
        expected -= 0.01 * 6 * expected * 2.0 + 0.01 * 3 * expected**2
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(repeated(3, turn, tf.constant(1.5, tf.float64))), expected)


def test_a_gradient_in_a_branch_of_a_loop_outside() -> None:
    x = tf.placeholder(tf.float64, [])
    y = repeated(3, lambda i, y: y * x, x)
    derivative = tf.cond(x > 0, lambda: tf.gradients(y, x)[0], lambda: x)
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(derivative, {x: 2.0}), 32.0)
        np.testing.assert_allclose(session.run(derivative, {x: -2.0}), -2.0)
