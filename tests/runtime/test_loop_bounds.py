"""How many turns a compiled loop has at most."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf
from millstream.runtime import loop_bounds


@pytest.fixture
def found(monkeypatch):
    """What was known of each loop."""
    made = []

    def spy(*args, bounds=loop_bounds.bounds):
        made.append(bounds(*args))
        return made[-1]

    monkeypatch.setattr(loop_bounds, "bounds", spy)
    return made


@pytest.mark.parametrize(
    ("start", "goes_on", "step", "turns"),
    [
        (0, lambda i: i < 7, 2, 4),
        (0, lambda i: i <= 6, 2, 4),
        (0, lambda i: 7 > i, 3, 3),
        (9, lambda i: i > 0, -4, 3),
        (8, lambda i: i >= 0, -4, 3),
        (7, lambda i: i < 7, 2, 0),
        (9, lambda i: i < 7, 2, 0),
    ],
)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_whole_numbers_bound_the_turns_exactly(found, start, goes_on, step, turns, dtype):
    @tf.function
    def count():
        return tf.while_loop(lambda i, n: goes_on(i), lambda i, n: (i + step, n + 1), (tf.constant(start, dtype), 0))[1]

    assert count() == turns
    assert (found[-1].turns, found[-1].exact) == (turns, True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("step", "end"), [(0.1, 1.0), (0.1, 0.7), (-0.1, -1.0), (0.001, 1.0), (0.1, -1.0)])
def test_floats_may_take_a_turn_more(found, dtype, step, end):
    x = tf.constant(0.99, dtype)

    @tf.function
    def power(x):
        goes_on = (lambda t, *_: t < end) if step > 0 else (lambda t, *_: t > end)
        start = tf.constant(0, dtype), tf.constant(0), tf.constant(1, dtype)
        return tf.while_loop(goes_on, lambda t, n, y: (t + step, n + 1, y * x), start)[1:]

    with tf.GradientTape() as tape:
        tape.watch(x)
        turns, y = power(x)
    n = int(turns)
    np.testing.assert_allclose(tape.gradient(y, x), n * 0.99 ** (n - 1) if n else 0, rtol=1e-4)
    assert all(n <= bounds.turns <= n + 2 and not bounds.exact for bounds in found)


@pytest.mark.parametrize(("step", "end"), [(1e-9, 1.0), (1.0, np.inf), (1.0, np.nan)])
def test_floats_that_bound_nothing(found, step, end):
    @tf.function
    def count():
        goes_on = lambda t, n: (t < end) & (n < 5)  # noqa: E731
        return tf.while_loop(goes_on, lambda t, n: (t + step, n + 1), (tf.constant(0.5), 0))[1]

    assert count() == (0 if np.isnan(end) else 5)
    assert (found[-1].turns, found[-1].exact) == (5, False)


def test_counters_are_known_after_the_last_turn(found):
    @tf.function
    def count():
        return tf.while_loop(
            lambda i, down, big: i < 7,
            lambda i, down, big: (i + 2, down - 3, big + 2_000_000_000),
            (tf.constant(0), tf.constant(10, tf.int64), tf.constant(1)),
        )

    i, down, big = count()
    assert (i.numpy(), down.numpy()) == (8, -2)
    assert big.numpy() == np.int32((4 * 2_000_000_000 + 1 + 2**31) % 2**32 - 2**31)  # it has wrapped around
    assert {index: int(value) for index, value in found[-1].after.items()} == {0: 8, 1: -2}
