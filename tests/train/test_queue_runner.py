"""Queue runners and the coordinator of their threads."""

from __future__ import annotations

import threading
import time

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def counting_queue(limit):
    """A queue, and an operation that puts 1, 2, ... `limit` into it and then fails with OutOfRangeError."""
    source = tf.FIFOQueue(limit, tf.int32, shapes=[()])
    queue = tf.FIFOQueue(2, tf.int32, shapes=[()])
    fill = [source.enqueue_many([list(range(1, limit + 1))]), source.close()]
    return queue, queue.enqueue(source.dequeue()), fill


# --- Coordinator ------------------------------------------------------------------------------------------------


def test_the_first_error_is_raised_by_join():
    coord = tf.train.Coordinator()

    def fail():
        with coord.stop_on_exception():
            raise KeyError("first")

    threads = [threading.Thread(target=fail), threading.Thread(target=coord.wait_for_stop)]
    for thread in threads:
        thread.start()
    with pytest.raises(KeyError, match="first"):
        coord.join(threads)
    assert coord.should_stop() and coord.joined
    with pytest.raises(KeyError, match="first"):
        coord.raise_requested_exception()
    coord.clear_stop()
    assert not coord.should_stop() and not coord.joined
    coord.raise_requested_exception()


def test_a_normal_end():
    coord = tf.train.Coordinator()
    coord.request_stop(tf.errors.OutOfRangeError(None, None, "end"))
    coord.join([])
    coord = tf.train.Coordinator(clean_stop_exception_types=(ValueError,))
    coord.request_stop(ValueError())
    coord.request_stop(KeyError())  # too late: the first counts
    coord.join([])
    with pytest.raises(KeyError):  # after `join` nobody else would hear of it
        coord.request_stop(KeyError("late"))


def test_threads_that_do_not_stop():
    coord = tf.train.Coordinator()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(10,), name="stubborn")
    thread.start()
    coord.register_thread(thread)
    coord.request_stop()
    with pytest.raises(RuntimeError, match="Coordinator stopped with threads still running: stubborn"):
        coord.join(stop_grace_period_secs=0.05)
    coord.join([thread], stop_grace_period_secs=0.05, ignore_live_threads=True)
    release.set()


def test_join_ends_when_all_threads_have():
    coord = tf.train.Coordinator()
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    coord.join([thread])
    assert not coord.should_stop()


def test_looper_thread():
    coord = tf.train.Coordinator()
    seen = []

    def turn(number):
        seen.append(number)
        if len(seen) == 3:
            coord.request_stop()

    tf.train.LooperThread.loop(coord, 0.001, turn, args=(7,))
    coord.join()
    assert seen == [7, 7, 7]
    with pytest.raises(ValueError, match="'coord' argument must be a Coordinator: None"):
        tf.train.LooperThread(None, 1)
    with pytest.raises(ValueError, match="require that you also pass 'target'"):
        tf.train.LooperThread(coord, 1, args=(1,))


# --- Queue runners ----------------------------------------------------------------------------------------------


def test_the_queue_is_closed_when_its_source_ends():
    queue, put, fill = counting_queue(5)
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [put] * 2))
    get = queue.dequeue()
    with tf.Session() as session:
        for op in fill:
            session.run(op)
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(coord=coord)
        assert len(threads) == 3 and all(thread.daemon for thread in threads)
        assert sorted(session.run(get) for _ in range(5)) == [1, 2, 3, 4, 5]
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(get)
        coord.request_stop()
        coord.join()


def test_a_stop_wakes_threads_that_wait():
    queue = tf.FIFOQueue(1, tf.float32)
    runner = tf.train.QueueRunner(queue, [queue.enqueue(1.0)] * 3)
    with tf.Session() as session:
        coord = tf.train.Coordinator()
        threads = runner.create_threads(session, coord, start=True)
        assert runner.create_threads(session, coord) == []
        time.sleep(0.1)
        coord.request_stop()
        coord.join(threads)
        assert not any(thread.is_alive() for thread in threads)


def test_errors_go_to_the_coordinator():
    queue = tf.FIFOQueue(1, tf.float32)
    value = tf.Variable(1.0)  # never initialised
    runner = tf.train.QueueRunner(queue, [queue.enqueue(value)])
    with tf.Session() as session:
        coord = tf.train.Coordinator()
        threads = runner.create_threads(session, coord, start=True)
        with pytest.raises(tf.errors.FailedPreconditionError):
            coord.join(threads)


def test_the_protocol_buffer():
    queue = tf.FIFOQueue(1, tf.float32)
    runner = tf.train.QueueRunner(
        queue, [queue.enqueue(1.0)], queue_closed_exception_types=(tf.errors.OutOfRangeError, tf.errors.CancelledError)
    )
    definition = runner.to_proto()
    assert definition.queue_name == "fifo_queue" and list(definition.enqueue_op_name) == ["fifo_queue_enqueue"]
    assert (definition.close_op_name, definition.cancel_op_name) == ("fifo_queue_Close", "fifo_queue_Close_1")
    again = tf.train.QueueRunner.from_proto(definition)
    assert again.queue_closed_exception_types == (tf.errors.OutOfRangeError, tf.errors.CancelledError)
    assert again.to_proto() == definition and again.enqueue_ops == runner.enqueue_ops
    assert again.name == "fifo_queue"
    assert runner.to_proto("elsewhere") is None


def test_wrong_arguments():
    queue = tf.FIFOQueue(1, tf.float32)
    put = queue.enqueue(1.0)
    with pytest.raises(ValueError, match="Must provide queue and enqueue_ops."):
        tf.train.QueueRunner(queue, [])
    with pytest.raises(TypeError, match="must be a tuple of tf.error types"):
        tf.train.QueueRunner(queue, [put], queue_closed_exception_types=(KeyError,))
    definition = tf.train.QueueRunner(queue, [put]).to_proto()
    with pytest.raises(ValueError, match="queue_runner_def and queue are mutually exclusive."):
        tf.train.QueueRunner(queue, queue_runner_def=definition)
    with pytest.raises(ValueError, match="No default session is registered"):
        tf.train.start_queue_runners()
    with pytest.raises(TypeError, match="sess must be a `tf.Session` object. Given class: <class 'str'>"):
        tf.train.start_queue_runners("session")
