"""Assertions: what they find out while the graph is built, and when it runs."""
from __future__ import annotations

from typing import Any

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize(
    "check, message",
    [
        (lambda: tf.assert_equal([1, 2], [1, 3]),
         "Condition x == y did not hold element-wise:\n"
         "x (assert_equal_1/x:0) = \n[1 2]\ny (assert_equal_1/y:0) = \n[1 3]"),
        (lambda: tf.assert_less([1, 5], [2, 3], message="msg"),
         "msg\nCondition x < y did not hold element-wise:\n"
         "x (assert_less/x:0) = \n[1 5]\ny (assert_less/y:0) = \n[2 3]"),
        (lambda: tf.assert_less([1, 5], [2, 3], data=["a", tf.constant(3)]), "a\n3"),
        (lambda: tf.assert_positive([1, -1]),
         "\nCondition x > 0 did not hold element-wise:\nx (assert_positive/x:0) = \n[ 1 -1]"),
    ],
)  # fmt: skip
def test_known_values_fail_at_once(check: Any, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        check()
    assert caught.value.message == message


@pytest.mark.parametrize(
    "check, good, bad",
    [
        (lambda x: tf.assert_equal(x, [1, 2]), [1, 2], [1, 3]),
        (lambda x: tf.assert_none_equal(x, [1, 2]), [2, 1], [1, 3]),
        (lambda x: tf.assert_less(x, 3), [1, 2], [1, 3]),
        (lambda x: tf.assert_less_equal(x, 3), [1, 3], [1, 4]),
        (lambda x: tf.assert_greater(x, 3), [4, 5], [3, 4]),
        (lambda x: tf.assert_greater_equal(x, 3), [3, 5], [2, 4]),
        (lambda x: tf.assert_positive(x), [1, 2], [0, 1]),
        (lambda x: tf.assert_negative(x), [-1, -2], [0, -1]),
        (lambda x: tf.assert_non_negative(x), [0, 2], [-1, 1]),
        (lambda x: tf.assert_non_positive(x), [0, -2], [0, 1]),
        (lambda x: tf.assert_near(tf.cast(x, tf.float32), [1.0, 2.0]), [1, 2], [1, 3]),
        (lambda x: tf.debugging.assert_shapes([(x, ("N",)), (x[:2], ("N",))]), [1, 2], [1, 2, 3]),
        (lambda x: tf.ensure_shape(x, [2]), [1, 2], [1, 2, 3]),
    ],
)
def test_fed_values_are_checked_when_it_runs(check: Any, good: list[int], bad: list[int]) -> None:
    x = tf.placeholder(tf.int32, [None])
    operation = check(x)
    with tf.Session() as session:
        session.run(operation, {x: good})
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(operation, {x: bad})


def test_ranks_known_and_fed() -> None:
    x, rank = tf.placeholder(tf.float32), tf.placeholder(tf.int32)
    checks = [
        tf.assert_rank(x, 1), tf.assert_rank(x, rank), tf.assert_rank_in(x, [1, 2]), tf.assert_rank_at_least(x, 1)
    ]  # fmt: skip
    with tf.Session() as session:
        session.run(checks, {x: [1.0], rank: 1})
        for check in checks:
            with pytest.raises(tf.errors.InvalidArgumentError, match="must have rank"):
                session.run(check, {x: 1.0, rank: 1})
        with pytest.raises(tf.errors.InvalidArgumentError, match="Rank must be a scalar"):
            session.run(checks[1], {x: [1.0], rank: [1]})
    known = tf.placeholder(tf.float32, [None, 3])
    with pytest.raises(ValueError, match=r"must have rank 1.  Received rank 2, shape \(\?, 3\)"):
        tf.assert_rank(known, 1)
    with pytest.raises(ValueError, match="Rank must be a scalar"):
        tf.assert_rank(known, [2])


@pytest.mark.parametrize("values", [[], [1], [1, 1, 2], [2, 1], [1, 2, 3]])
def test_order(values: list[int]) -> None:
    x = tf.placeholder(tf.int32, [None])
    with tf.Session() as session:
        never_less, always_more = session.run([tf.is_non_decreasing(x), tf.is_strictly_increasing(x)], {x: values})
    pairs = list(zip(values, values[1:], strict=False))
    assert never_less == all(a <= b for a, b in pairs)
    assert always_more == all(a < b for a, b in pairs)


def test_all_numbers_of_a_graph() -> None:
    x = tf.placeholder(tf.float32, [])
    result = tf.log(x)
    check = tf.add_check_numerics_ops()
    with tf.Session() as session:
        session.run([result, check], {x: 1.0})
        with pytest.raises(tf.errors.InvalidArgumentError, match="Log:0 : Tensor had Inf values"):
            session.run([result, check], {x: 0.0})
