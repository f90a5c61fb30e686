"""Several threads in one session: runs do not disturb each other."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def in_threads(count, work):
    """Runs `work(number)` in threads that start together; raises what any of them raised."""
    barrier = threading.Barrier(count)
    errors = []

    def guarded(number):
        try:
            barrier.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("use_resource", [False, True])
def test_updates_add_up(use_resource):
    v = tf.Variable(np.zeros(100), use_resource=use_resource)
    update = v.assign_add(np.ones(100))
    with tf.Session() as session:
        session.run(v.initializer)
        in_threads(8, lambda number: [session.run(update.op) for _ in range(25)])
        assert (session.run(v) == 200.0).all()


def test_updates_that_are_fetched_are_whole():
    """What a thread sees is a value of one moment."""
    v = tf.Variable(np.zeros(1000))
    update = v.assign_add(np.ones(1000))
    seen = []
    with tf.Session() as session:
        session.run(v.initializer)

        def work(number):
            for _ in range(20):
                found = session.run(update if number % 2 else v)
                assert (found == found[0]).all()
                if number % 2:
                    seen.append(found[0])

        in_threads(4, work)
    assert sorted(seen) == list(range(1, 41))


def test_runs_with_feeds_of_their_own():
    x = tf.placeholder(tf.float64, [None])
    y = tf.reduce_sum(x * 2.0)
    with tf.Session() as session:

        def work(number):
            for step in range(20):
                array = np.full(50 + number % 2, number * 1000.0 + step)
                assert session.run(y, {x: array}) == 2.0 * array.sum()

        in_threads(6, work)


def test_feeds_may_be_overwritten_at_once():
    """Each thread waits for its own run before it returns, whatever the others do with the variable."""
    size = 20000
    v = tf.Variable(np.zeros(size))
    x = tf.placeholder(tf.float64, [size])
    update = v.assign_add(x).op
    with tf.Session() as session:
        session.run(v.initializer)

        def work(number):
            array = np.zeros(size)
            for _ in range(25):
                array[:] = 1.0
                session.run(update, {x: array})
                array[:] = 1e6

        in_threads(8, work)
        assert (session.run(v) == 200.0).all()


def test_reading_while_it_is_updated():
    """Values that were read keep what they were, though the variable's memory is handed on."""
    v = tf.Variable(np.zeros(20000))
    update = v.assign_add(np.ones(20000)).op
    reads = [v, v.value(), v.read_value(), tf.reshape(v, [200, 100]), v * 1.0]
    with tf.Session() as session:
        session.run(v.initializer)

        def work(number):
            for _ in range(25):
                if number == 0:
                    session.run(update)
                else:
                    found = session.run(reads[number % len(reads)])
                    assert (found == found.flat[0]).all()

        in_threads(6, work)
        assert (session.run(v) == 25.0).all()


def test_one_failing_thread_does_not_disturb_the_others():
    x = tf.placeholder(tf.float64, [])
    v = tf.Variable(0.0, dtype=tf.float64)
    with tf.control_dependencies([tf.Assert(x > 0.0, [x])]):
        update = v.assign_add(x).op
    with tf.Session() as session:
        session.run(v.initializer)

        def work(number):
            for _ in range(20):
                if number % 2:
                    session.run(update, {x: 1.0})
                else:
                    with pytest.raises(tf.errors.InvalidArgumentError):
                        session.run(update, {x: -1.0})

        in_threads(4, work)
        assert session.run(v) == 40.0


def test_first_runs_at_the_same_time():
    """Planning and compiling happen once, or at least do no harm."""
    x = tf.placeholder(tf.float32, [3])
    outputs = [tf.tanh(x * float(number)) for number in range(3)]
    with tf.Session() as session:

        def work(number):
            found = session.run(outputs, {x: np.ones(3)})
            assert all(np.allclose(value, np.tanh(scale)) for scale, value in enumerate(found))

        in_threads(8, work)


def test_random_numbers_are_given_out_once():
    x = tf.random_uniform([4], seed=1)
    seen = []
    with tf.Session() as session:
        in_threads(4, lambda number: seen.extend(tuple(session.run(x).tolist()) for _ in range(10)))
    with tf.Session() as session:
        wanted = {tuple(session.run(x).tolist()) for _ in range(40)}
    assert len(set(seen)) == 40 and set(seen) == wanted


def test_sessions_in_threads():
    v = tf.Variable(np.zeros(10))
    update = v.assign_add(np.ones(10))

    def work(number):
        with tf.Session(graph=v.graph) as session:
            session.run(v.initializer)
            for _ in range(number):
                session.run(update.op)
            assert (session.run(v) == number).all()

    in_threads(6, work)


def test_a_python_function_may_use_the_session():
    v = tf.Variable(1.0)
    with tf.Session() as session:
        session.run(v.initializer)
        y = tf.py_func(lambda: session.run(v * 3.0), [], tf.float32)
        assert session.run(y + 1.0) == 4.0


def test_a_python_function_may_run_in_several_threads():
    seen = []

    def note(value):
        seen.append(int(value))
        return value

    x = tf.placeholder(tf.int64, [])
    y = tf.py_func(note, [x], tf.int64) + 1
    with tf.Session() as session:

        def work(number):
            assert session.run(y, {x: number}) == number + 1

        in_threads(6, work)
    assert sorted(seen) == list(range(6))


def test_the_graph_may_grow_while_a_session_runs(graph):
    x = tf.placeholder(tf.float32, [])
    with tf.Session() as session:

        def work(number):
            with graph.as_default():
                for step in range(8):
                    assert session.run(x + float(step), {x: number}) == number + step

        in_threads(3, work)
