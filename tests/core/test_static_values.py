"""What is known of a tensor's value while the graph is built."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core.static_values import constant_value, constant_value_as_shape, partial_value


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor):
    found = constant_value(tensor)
    return None if found is None else found.tolist()


# --- Values -----------------------------------------------------------------------------------------------------------


def test_constants():
    assert value(tf.constant([1, 2])) == [1, 2]
    assert value(tf.constant("text")) == b"text"
    assert constant_value(tf.constant(1.5, tf.float64)).dtype == np.float64


def test_what_follows_from_constants():
    a, b = tf.constant([1, 2, 3]), tf.constant(2)
    assert value(a * b + 1) == [3, 5, 7]
    assert value(tf.concat([a[1:], [9]], 0)) == [2, 3, 9]
    assert value(tf.reduce_prod(a)) == 6
    assert value(tf.range(3) // b) == [0, 0, 1]
    assert value(tf.cast(a, tf.float32)) == [1.0, 2.0, 3.0]
    assert value(tf.stack([a[0], b])) == [1, 2]


def test_static_shapes_are_values():
    x = tf.placeholder(tf.float32, [2, 3])
    assert value(tf.shape(x)) == [2, 3]
    assert value(tf.size(x) * tf.rank(x)) == 12
    assert value(tf.shape(x)[0] + 1) == 3


def test_what_is_not_known():
    x = tf.placeholder(tf.int32, [2])
    v = tf.Variable([1, 2])
    assert value(x) is None
    assert value(x + 1) is None
    assert value(v) is None and value(v.value()) is None
    assert value(tf.shape(tf.placeholder(tf.float32, [None]))) is None
    assert value(tf.random_uniform([2])) is None
    assert value(tf.py_func(lambda: 1, [], tf.int64)) is None


def test_a_default_that_may_be_replaced_is_not_known():
    assert value(tf.placeholder_with_default([1, 2], [2])) is None


def test_an_error_is_left_for_the_run():
    assert value(tf.constant(1) // tf.constant(0)) is None
    assert value(tf.gather([1, 2], 7)) is None


def test_get_static_value():
    assert tf.get_static_value(tf.constant(3)).item() == 3
    assert tf.get_static_value(tf.placeholder(tf.int32)) is None
    assert tf.get_static_value([1, 2]) == [1, 2]


# --- Shapes -----------------------------------------------------------------------------------------------------------


def test_partly_known_shapes():
    x = tf.placeholder(tf.float32, [None, 3, 5])
    shape = tf.shape(x)
    assert constant_value_as_shape(shape) == (None, 3, 5)
    assert constant_value_as_shape(shape[1:]) == (3, 5)
    assert constant_value_as_shape(tf.concat([shape[:1], [7], shape[2:]], 0)) == (None, 7, 5)
    assert constant_value_as_shape(tf.stack([shape[0], 2, shape[1]])) == (None, 2, 3)
    assert constant_value_as_shape(tf.stack([-1, 2])) == (None, 2)
    assert partial_value(shape).tolist() == [-1, 3, 5]


def test_arithmetic_on_unknown_entries_is_unknown():
    x = tf.placeholder(tf.float32, [None, 3])
    assert constant_value_as_shape(tf.shape(x) * 2) == (None, None)
    assert constant_value_as_shape(tf.stack([tf.shape(x)[0] * 2, 3])) == (None, 3)


def test_only_the_rank_is_known():
    assert constant_value_as_shape(tf.placeholder(tf.int32, [2])) == (None, None)
    assert constant_value_as_shape(tf.placeholder(tf.int32, [None])) is None
    assert constant_value_as_shape(tf.placeholder(tf.int32)) is None


def test_an_unknown_begin_is_not_taken_for_minus_one():
    """Else `shape[begin]` would be the last entry."""
    shape = tf.shape(tf.placeholder(tf.float32, [4, 5]))
    begin = tf.shape(tf.placeholder(tf.float32, [None]))[0]
    assert constant_value_as_shape(tf.stack([tf.gather(shape, begin)])) == (None,)
    assert constant_value_as_shape(tf.slice(shape, [begin], [1])) == (None,)


def test_shapes_of_results():
    x = tf.placeholder(tf.float32, [None, 3, 5])
    batch = tf.shape(x)[0]
    assert tf.reshape(x, [batch, -1]).shape.as_list() == [None, None]
    assert tf.reshape(x, [batch, 15]).shape.as_list() == [None, 15]
    assert tf.zeros([batch, 4]).shape.as_list() == [None, 4]
    assert tf.tile(x, [1, 2, batch]).shape.as_list() == [None, 6, None]
    assert tf.reshape(x, tf.concat([tf.shape(x)[:2], [5, 1]], 0)).shape.as_list() == [None, 3, 5, 1]


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_long_chain():
    """No recursion, and a bound on how far is looked."""
    near = far = tf.constant([2, 3])
    for index in range(5000):
        far = far + 0
        if index < 1000:
            near = near + 0
    assert tf.zeros(near).shape.as_list() == [2, 3]
    assert tf.zeros(far).shape.as_list() == [None, None]


def test_many_inputs():
    parts = [tf.constant(1) for _ in range(200)]
    assert constant_value_as_shape(tf.stack(parts)) == (1,) * 200


def test_a_diamond_is_computed_once():
    x = tf.constant(1)
    for _ in range(60):
        x = x + x  # 2 ** 60 paths
    assert value(tf.cast(x, tf.int64) >= 0) is not None


def test_a_cycle(graph):
    x = tf.identity(tf.constant([1, 2]))
    y = tf.identity(x)
    x.op._update_input(0, y)
    assert value(y) is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: tf.zeros([10**5, 10**5], tf.float32) + 1.0,
        lambda: tf.range(10**10) * 2,
        lambda: tf.reshape(tf.placeholder(tf.float32), tf.range(10**10)),
        lambda: tf.zeros(tf.fill([10**9], 1)),
        lambda: tf.reduce_sum(tf.fill([10**10], 1)),
        lambda: tf.tile([1], [10**10]),
        lambda: tf.one_hot(1, 10**10),
        lambda: tf.pad([1], [[0, 10**10]]),
    ],
)
def test_nothing_large_is_computed(build):
    """Each would take gigabytes, or minutes."""
    tensor = build()
    assert constant_value(tensor) is None


def test_large_constants_are_themselves_known():
    array = np.arange(10000)
    assert (constant_value(tf.constant(array)) == array).all()
    assert constant_value(tf.constant(array) + 1) is None


def test_a_constant_too_long_for_a_shape():
    assert constant_value_as_shape(tf.constant(np.ones(300, np.int32))) is None
    assert tf.zeros(tf.constant(np.ones(300, np.int32))).shape.dims is None
