"""Identities of 1.x variables share their memory: who sees which value beside updates.

Beside each case stands what TensorFlow 1.15.5 gives in the first run and in the second, the same in each of several
processes. Where it races, its results differ between processes: the last section says what Millstream does there.
"""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.ops.control_flow_ops import merge_op, switch_op

after = tf.control_dependencies
CASES = {}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def case(*results):
    """Registers a function that builds a graph: gives what to fetch, or that and what to feed."""

    def register(build):
        CASES[build.__name__] = build, results
        return build

    return register


def results_of(build, runs):
    found = build()
    fetches, feeds = found if isinstance(found, tuple) else (found, None)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return [session.run(fetches, feeds) for _ in range(runs)]


def check(found, wanted):
    if isinstance(found, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            check(one, other)
    elif wanted is None or isinstance(wanted, bytes):
        assert found == wanted
    else:
        assert np.shape(found) == np.shape(wanted)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# --- What is computed after an update ---------------------------------------------------------------------------------


@case([4.0, 4.0], [6.0, 6.0])
def after_assign_add():
    v = tf.Variable([1.0, 1.0])
    with after([v.assign_add([1.0, 1.0])]):
        return v * 2.0


@case(4.0, 6.0)
def after_assign_add_of_a_scalar():
    v = tf.Variable(1.0)
    with after([v.assign_add(1.0)]):
        return v * 2.0


@case([6.0, 6.0], [18.0, 18.0])
def after_assign():
    v = tf.Variable([1.0, 1.0])
    with after([v.assign(v * 3.0)]):
        return v * 2.0


@case([[4.0, 6.0]], [[6.0, 10.0]])
def after_scatter_add():
    v = tf.Variable([[1.0, 1.0]])
    with after([tf.scatter_add(v, [0], [[1.0, 2.0]])]):
        return v * 2.0


@case(9.0, 16.0)
def beside_the_result_of_an_update():
    v = tf.Variable(2.0)
    return v.assign_add(1.0) * v


@case([-2.0, -2.0], [2.0, 2.0])
def after_a_training_step():
    v = tf.Variable([1.0, 1.0])
    with after([tf.train.GradientDescentOptimizer(1.0).minimize(v * v)]):
        return v * 2.0


@case([[0.9, 1.8], [0.8, 1.6]], [[0.77, 1.54], [0.64, 1.28]])
def moving_average_after_a_training_step():
    v = tf.Variable([1.0, 2.0])
    average = tf.train.ExponentialMovingAverage(0.5)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v * v))
    with after([step]):
        update = average.apply([v])
    with after([update]):
        return [average.average(v) * 1.0, v * 1.0]


@case([[0.836363673, 1.672727346], 1], [[0.554090917, 1.108181834], 2])
def moving_average_with_a_step_counter():
    v = tf.Variable([1.0, 2.0])
    counter = tf.train.get_or_create_global_step()
    average = tf.train.ExponentialMovingAverage(0.5, counter)
    step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(v * v), global_step=counter)
    with after([step]):
        update = average.apply(tf.trainable_variables())
    with after([update]):
        return [average.average(v) * 1.0, counter * 1]


@case([0.514495790, 0.857492983], [0.598630607, 0.801025271])
def projection_after_a_training_step():
    w = tf.Variable([1.0, 2.0])
    with after([tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(-w))]):
        clipped = w.assign(tf.clip_by_norm(w, 1.0))
    with after([clipped]):
        return w * 1.0


@case([2.0, 2.0], [3.0, 3.0])
def another_variable_assigned_after_an_update():
    v, copy = tf.Variable(1.0), tf.Variable(0.0)
    with after([v.assign_add(1.0)]):
        assigned = copy.assign(v)
    with after([assigned]):
        return [copy * 1.0, v * 1.0]


@case([1.0, 11.0, 111.0], [112.0, 122.0, 222.0])
def reads_between_updates():
    v, found, last = tf.Variable(0.0), [], tf.no_op()
    for amount in (1.0, 10.0, 100.0):
        with after([last]):
            update = v.assign_add(amount)
        with after([update]):
            found.append(v * 1.0)
        last = found[-1].op
    return found


@case([12.5, 50.0], [50.0, 200.0])
def before_and_after():
    v = tf.Variable([3.0, 4.0])
    before = tf.nn.l2_loss(v)
    with after([before]):
        update = v.assign(v * 2.0)
    with after([update]):
        return [before, tf.nn.l2_loss(v)]


@case(8.0, 10.0)
def gradients_after_an_update():
    v = tf.Variable(3.0)
    y = v * v
    with after([v.assign_add(1.0)]):
        return tf.gradients(y, v)[0]


@case(b"bx", b"bx")
def strings():
    v = tf.Variable("a")
    with after([v.assign("b")]):
        return tf.string_join([v, "x"])


@case(4.0, 6.0)
def on_the_host():
    v = tf.Variable(1.0)
    with after([v.assign_add(1.0)]):
        return tf.py_func(lambda x: np.float32(x * 2), [v], tf.float32)


@case([[1.0, 2.0]], [[1.0, 2.0]])
def what_shapes_a_program():
    v = tf.Variable([2, 1])
    with after([v.assign([1, 2])]):
        return tf.reshape([1.0, 2.0], v)


# --- Branches and loops -----------------------------------------------------------------------------------------------


@case(4.0, 6.0)
def a_branch_after_an_update():
    v = tf.Variable(1.0)
    with after([v.assign_add(1.0)]):
        return tf.cond(tf.constant(True), lambda: v * 2.0, lambda: v * 3.0)


@case([21.0, 21.0], [32.0, 32.0])
def before_and_after_in_a_branch():
    v, predicate = tf.Variable([1.0, 1.0]), tf.placeholder(tf.bool, [])

    def taken():
        old = v * 1.0
        with after([old]):
            update = v.assign_add([1.0, 1.0])
        with after([update]):
            return old + v * 10.0

    return tf.cond(predicate, taken, lambda: v * 3.0), {predicate: True}


@case([[2.0, 2.0], [2.0, 2.0]], [[3.0, 3.0], [3.0, 3.0]])
def switched_and_merged():
    v, predicate = tf.Variable([1.0, 1.0]), tf.placeholder(tf.bool, [])
    branches = switch_op(v.value(), predicate)
    with after([v.assign_add([1.0, 1.0])]):
        return [merge_op(list(branches))[0], branches[1] * 1.0], {predicate: True}


@case(22.0, 190.0)
def in_a_loop():
    v = tf.Variable(1.0)

    def body(i):
        with after([v.assign_add(1.0)]):
            doubled = v.assign(v * 2.0)
        with after([doubled]):
            return i + 1

    with after([tf.while_loop(lambda i: i < 3, body, [0])]):
        return v * 1.0


# --- Identities of identities, and views ------------------------------------------------------------------------------


@case([[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]], [[3.0, 3.0], [3.0, 3.0], [3.0, 3.0]])
def identities_of_identities():
    v = tf.Variable([1.0, 1.0])
    twice, stopped = tf.identity(tf.identity(v)), tf.stop_gradient(v)
    with after([v.assign_add([1.0, 1.0])]):
        return [twice * 1.0, tf.identity(twice) * 1.0, stopped * 1.0]


@case([[[2.0], [2.0]], [[2.0, 2.0]], [2.0, 2.0]], [[[3.0], [3.0]], [[3.0, 3.0]], [3.0, 3.0]])
def views():
    v = tf.Variable([1.0, 1.0])
    found = [tf.reshape(v, [2, 1]), tf.expand_dims(v, 0), tf.check_numerics(v, "not finite")]
    with after(found):
        update = v.assign_add([1.0, 1.0])
    with after([update]):
        return [value * 1.0 for value in found]


@case([[0.0, 0.0], [2.0, 2.0]], [[0.0, 0.0], [3.0, 3.0]])
def an_identity_is_no_copy():
    v = tf.Variable([1.0, 1.0])
    old = tf.identity(v)
    with after([old]):
        update = v.assign_add([1.0, 1.0])
    with after([update]):
        return [v - old, old * 1.0]


@case([[1.0, 2.0], [2.0, 4.0]], [[3.0, 6.0], [6.0, 12.0]])
def a_sum_is_a_copy():
    v = tf.Variable([1.0, 2.0])
    old = v + 0.0
    with after([old]):
        update = v.assign(v * 3.0)
    with after([update]):
        return [old * 1.0, v - old]


@case([[1.0, 1.0], [5.0, 6.0, 7.0], [1.0, 1.0]])
def a_value_of_another_size_is_other_memory():
    v = tf.Variable([1.0, 1.0], validate_shape=False)
    old = tf.identity(v)
    with after([old]):
        update = tf.assign(v, [5.0, 6.0, 7.0], validate_shape=False)
    with after([update]):
        return [old * 1.0, tf.identity(v._ref()) * 1.0, old]


@case([5.0, 6.0])
def a_value_of_another_shape_is_not():
    v = tf.Variable([1.0, 1.0], validate_shape=False)
    old = tf.identity(v)
    with after([old]):
        update = tf.assign(v, [[5.0], [6.0]], validate_shape=False)
    with after([update]):
        return old * 1.0


@case([14.0, 2.0], [14.0, 3.0])
def a_fed_identity():
    v = tf.Variable(1.0)
    with after([v.assign_add(1.0)]):
        return [v * 2.0, v], {v.value(): 7.0}


# --- What is fetched --------------------------------------------------------------------------------------------------


@case([2.0, 4.0, 2.0], [3.0, 6.0, 3.0])
def a_variable_its_double_and_its_identity():
    v = tf.Variable(1.0)
    with after([v.assign_add(1.0)]):
        double = v * 2.0
    return [v, double, v.value()]


@case([[0.5, 0.5], [0.5, 0.5], None], [[0.25, 0.25], [0.25, 0.25], None])
def identities_beside_a_training_step():
    v = tf.Variable([1.0, 1.0])
    step = tf.train.GradientDescentOptimizer(0.25).minimize(v * v)
    return [v.value(), tf.identity(v), step]


@case([[[2.0], [2.0]], [[2.0, 2.0]], [2.0, 2.0]], [[[3.0], [3.0]], [[3.0, 3.0]], [3.0, 3.0]])
def views_beside_an_update():
    v = tf.Variable([1.0, 1.0])
    return [tf.reshape(v, [2, 1]), tf.expand_dims(v, 0), v.assign_add([1.0, 1.0])]


@case([20.0, 20.0, 20.0], [400.0, 400.0, 400.0])
def identities_between_updates():
    v = tf.Variable(1.0)
    before = v.read_value()
    with after([v.assign(before * 2.0)]):
        between = v.read_value()
    with after([v.assign(between * 10.0)]):
        return [before, between, v.read_value()]


@case([1.0, 1.0, 2.0], [2.0, 2.0, 3.0])
def resource_variables_are_copied():
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    old = v.read_value()
    with after([old]):
        update = v.assign_add(1.0)
    with after([update]):
        return [old * 1.0, old, v.read_value()]


@pytest.mark.parametrize("name", CASES)
def test_what_is_seen(name):
    build, wanted = CASES[name]
    for found, result in zip(results_of(build, len(wanted)), wanted, strict=True):
        check(found, result)


# --- Where TensorFlow races -------------------------------------------------------------------------------------------


def test_what_no_update_comes_before_sees_the_value_that_its_identity_has_read():
    def values_of_identities():
        v = tf.Variable(1.0)
        before = v.read_value()
        with after([v.assign(before * 2.0)]):
            between = v.read_value()
        with after([v.assign(between * 10.0)]):
            last = v * 1.0
        return [before * 1.0, between * 1.0, last]

    assert results_of(values_of_identities, 2) == [[1.0, 2.0, 20.0], [20.0, 40.0, 400.0]]


def test_variables_that_take_each_others_identity_change_places():
    def swap():
        a, b = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])
        with after([tf.group(a.assign(b), b.assign(a))]):
            return [a + 0.0, b + 0.0]

    (found,) = results_of(swap, 1)
    assert [array.tolist() for array in found] == [[3.0, 4.0], [1.0, 2.0]]


def test_initializing_does_not_help_an_identity_that_waits_for_nothing():
    v = tf.Variable(1.0)
    with after([v.initializer]):
        double = v * 2.0
    with tf.Session() as session, pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value"):
        session.run(double)


# --- How it is run ----------------------------------------------------------------------------------------------------


def test_across_stages_and_in_long_programs():
    """Operations between and after updates on both sides of a host operation, and in stages that are split."""
    v = tf.Variable(np.ones(4, np.float32))
    with after([v.assign_add([1.0] * 4)]):
        first = tf.py_func(lambda x: x, [v * 1.0], tf.float32)
    first.set_shape([4])
    with after([first]):
        update = v.assign_add([10.0] * 4)
    with after([update]):
        second = v * 1.0
        for _ in range(300):
            second = tf.nn.softplus(second + 0.0 * v) - 1.0
        total = [first, second * 0.0 + v]
    with tf.Session() as session:
        session.run(v.initializer)
        for turn in range(3):
            found = session.run(total)
            assert found[0].tolist() == [2.0 + 11.0 * turn] * 4
            assert found[1].tolist() == [12.0 + 11.0 * turn] * 4


def test_a_failing_run_changes_nothing():
    x = tf.placeholder(tf.float32, [])
    v = tf.Variable([1.0, 1.0])
    with after([v.assign_add([1.0, 1.0])]):
        y = tf.check_numerics(tf.log(v * x), "bad")
    with tf.Session() as session:
        session.run(v.initializer)
        for _ in range(2):
            with pytest.raises(tf.errors.InvalidArgumentError):
                session.run(y, {x: -1.0})
            assert session.run(v).tolist() == [1.0, 1.0]
        assert np.allclose(session.run(y, {x: 1.0}), np.log(2.0))
        assert session.run(v).tolist() == [2.0, 2.0]


def test_a_compiled_loop_with_a_variable_and_an_array():
    v = tf.Variable([0.0, 1.0, 2.0])
    array = tf.TensorArray(tf.float32, 3, clear_after_read=False).unstack(v)

    def turn(i, total):
        with after([v.assign_add(tf.ones([3]))]):
            return i + 1, total + array.read(i)

    length = tf.placeholder(tf.int32, [])
    loop = tf.while_loop(lambda i, _: i < length, turn, (0, 0.0))[1]
    with tf.Session() as session:
        session.run(v.initializer)
        assert session.run(loop, {length: 3}) == 3.0
        assert session.run(v).tolist() == [3.0, 4.0, 5.0]
        with pytest.raises(tf.errors.InvalidArgumentError, match="Tried to read from index 3"):
            session.run(loop, {length: 4})
        assert session.run(v).tolist() == [3.0, 4.0, 5.0]
