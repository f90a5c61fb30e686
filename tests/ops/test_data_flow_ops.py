"""Queues: order, waiting, closing, errors. What is expected here was observed in TensorFlow 1.15."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


class Background:
    """Calls a function in a thread, and gives it time to start to wait."""

    def __init__(self, function, *args):
        self.error = self.value = None
        self._thread = threading.Thread(target=self._call, args=(function, *args), daemon=True)
        self._thread.start()
        self._thread.join(0.15)

    def _call(self, function, *args):
        try:
            self.value = function(*args)
        except Exception as error:
            self.error = error

    @property
    def is_waiting(self):
        return self._thread.is_alive()

    def join(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self


def ints(capacity=3, **keywords):
    return tf.FIFOQueue(capacity, tf.int32, shapes=[()], **keywords)


# --- Building ---------------------------------------------------------------------------------------------------


def test_nodes(graph):
    queue = tf.FIFOQueue(3, [tf.int32, tf.float32], shapes=[(), (2,)], names=["a", "b"])
    queue.enqueue({"a": 1, "b": [1.0, 2.0]})
    queue.enqueue_many({"a": [1, 2], "b": [[1.0, 2.0]] * 2}, name="em")
    assert queue.dequeue()["b"].shape.as_list() == [2]
    assert queue.dequeue_many(2)["b"].shape.as_list() == [2, 2]
    assert queue.dequeue_up_to(3)["b"].shape.as_list() == [None, 2]
    queue.close(), queue.size(), queue.is_closed()
    assert [(op.name, op.type) for op in graph.get_operations() if op.type != "Const"] == [
        ("fifo_queue", "FIFOQueueV2"),
        ("fifo_queue_enqueue", "QueueEnqueueV2"),
        ("em", "QueueEnqueueManyV2"),
        ("fifo_queue_Dequeue", "QueueDequeueV2"),
        ("fifo_queue_DequeueMany", "QueueDequeueManyV2"),
        ("fifo_queue_DequeueUpTo", "QueueDequeueUpToV2"),
        ("fifo_queue_Close", "QueueCloseV2"),
        ("fifo_queue_Size", "QueueSizeV2"),
        ("fifo_queue_Is_Closed", "QueueIsClosedV2"),
    ]
    assert graph.get_operation_by_name("em/component_1").type == "Const"


def test_seeds():
    tf.set_random_seed(3)
    shared = tf.RandomShuffleQueue(10, 2, [tf.int32, tf.string], shared_name="sh")
    assert shared.queue_ref.op.get_attr("seed") == 3
    assert shared.queue_ref.op.get_attr("seed2") == 1089868587
    assert tf.RandomShuffleQueue(10, 2, tf.int32, seed=7).queue_ref.op.get_attr("seed2") == 7


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: tf.FIFOQueue(3, [tf.int32], shapes=[(), ()]), ValueError, "shapes must have the same length as"),
        (lambda: tf.FIFOQueue(3, [tf.int32], names=["a", "b"]), ValueError, "List of names must have the same"),
        (lambda: tf.FIFOQueue(3, tf.int32, shapes=[None]), ValueError, "All shapes must be fully defined"),
        (lambda: tf.PaddingFIFOQueue(3, [tf.int32], [None]), ValueError, "a list of shapes must be provided"),
        (lambda: tf.PaddingFIFOQueue(3, [tf.int32], [(), ()]), ValueError, "received 1 dtypes and 2 shapes"),
        (lambda: tf.PriorityQueue(3, [tf.int32]), TypeError, "Expected list for 'shapes'"),
        (lambda: ints().enqueue({"a": 1}), ValueError, "Queue must have names to enqueue a dictionary"),
        (lambda: ints(names="a").enqueue(1), ValueError, "You must enqueue a dictionary"),
        (lambda: ints(names="a").enqueue({"b": 1}), ValueError, r"Dictionary: \(\['b'\]\), Queue: \(\['a'\]\)"),
        (lambda: ints().enqueue([[1, 2]]), ValueError, r"Shapes \(2,\) and \(\) are incompatible"),
        (lambda: ints().enqueue(1.5), TypeError, "Expected int32, got 1.5 of type 'float' instead."),
        (lambda: ints().enqueue_many(1), ValueError, r"Shape \(\) must have rank at least 1"),
        (lambda: ints().dequeue_many(-1), ValueError, "Input 'n' must be >= 0, but is -1"),
        (lambda: tf.QueueBase.from_list(0, []), TypeError, "A list of queues expected"),
    ],
)
def test_wrong_arguments(build, error, message):
    with pytest.raises(error, match=message):
        build()


# --- First in, first out ----------------------------------------------------------------------------------------


def test_an_enqueue_of_many_goes_on_as_room_is_made():
    queue = ints()
    fill, get, size = queue.enqueue_many([[1, 2, 3, 4, 5]]), queue.dequeue(), queue.size()
    with tf.Session() as session:
        filling = Background(session.run, fill)
        assert filling.is_waiting and session.run(size) == 3
        assert [session.run(get) for _ in range(2)] == [1, 2]
        filling.join()
        assert session.run(queue.dequeue_many(3)).tolist() == [3, 4, 5]


def test_a_dequeue_of_many_holds_what_it_has():
    queue = ints()
    four, one, fill = queue.dequeue_many(4), queue.dequeue(), queue.enqueue_many([[1, 2, 3, 4, 5]])
    with tf.Session() as session:
        session.run(queue.enqueue(0))
        first = Background(session.run, four)
        assert session.run(queue.size()) == 0
        second = Background(session.run, one)
        session.run(fill)
        assert first.join().value.tolist() == [0, 1, 2, 3]
        assert second.join().value == 4


def test_one_run_may_put_in_what_it_takes_out():
    queue = ints()
    get, put = queue.dequeue(), queue.enqueue(tf.square(tf.constant(3)))
    with tf.Session() as session:
        assert session.run([get, put]) == [9, None]


def test_what_is_fed_may_be_overwritten():
    queue = tf.FIFOQueue(3, tf.float32, shapes=[(2,)])
    value = tf.placeholder(tf.float32, [2])
    put, get = queue.enqueue(value), queue.dequeue()
    array = np.array([1, 2], np.float32)
    with tf.Session() as session:
        session.run(put, {value: array})
        array[:] = 7
        assert session.run(get).tolist() == [1, 2]


def test_assignments_before_a_wait_are_seen_and_none_is_lost():
    queue = ints()
    count = tf.Variable(0)
    with tf.control_dependencies([tf.assign_add(count, 1)]):
        waiting = tf.group(queue.dequeue())
    more, put = tf.assign_add(count, 10), queue.enqueue(1)
    with tf.Session() as session:
        session.run(count.initializer)
        run = Background(session.run, waiting)
        assert session.run(more) == 11
        session.run(put)
        run.join()
        assert session.run(count) == 11


# --- Closing, cancelling ----------------------------------------------------------------------------------------


def test_closing():
    queue = ints()
    get, four, up_to = queue.dequeue(), queue.dequeue_many(4), queue.dequeue_up_to(4)
    with tf.Session() as session:
        session.run(queue.enqueue_many([[8, 9]]))
        waiting = Background(session.run, four)
        session.run(queue.close())
        message = r"FIFOQueue '_\d+_fifo_queue' is closed and has insufficient elements \(requested 2, current size 0\)"
        with pytest.raises(tf.errors.OutOfRangeError, match=message) as raised:
            raise waiting.join().error
        assert raised.value.op is four.op
        assert session.run(up_to).tolist() == [8, 9]
        assert session.run(queue.is_closed())
        for fetch in (get, four, up_to):
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(fetch)
        with pytest.raises(tf.errors.CancelledError, match="FIFOQueue '.*' is closed."):
            session.run(queue.enqueue(1))
        with pytest.raises(tf.errors.CancelledError, match="Queue '.*' is already closed."):
            session.run(queue.close())
        session.run(queue.close(cancel_pending_enqueues=True))


def test_closing_waits_for_what_is_going_in():
    queue = ints()
    fill, get, close = queue.enqueue_many([[1, 2, 3, 4, 5]]), queue.dequeue(), queue.close()
    with tf.Session() as session:
        filling, closing = Background(session.run, fill), Background(session.run, close)
        assert closing.is_waiting and not session.run(queue.is_closed())
        assert [session.run(get) for _ in range(5)] == [1, 2, 3, 4, 5]
        filling.join(), closing.join()
        assert session.run(queue.is_closed())


def test_closing_cancels_what_is_going_in():
    queue = ints()
    with tf.Session() as session:
        filling = Background(session.run, queue.enqueue_many([[1, 2, 3, 4, 5]]))
        session.run(queue.close(cancel_pending_enqueues=True))
        assert isinstance(filling.join().error, tf.errors.CancelledError)
        assert filling.error.message == "Enqueue operation was cancelled"
        assert session.run(queue.size()) == 3


def test_closing_the_session_cancels():
    session = tf.Session()
    waiting = Background(session.run, ints().dequeue())
    session.close()
    assert isinstance(waiting.join().error, tf.errors.CancelledError)
    assert waiting.error.message == "Dequeue operation was cancelled"


def test_each_session_has_its_own_queue():
    queue = ints()
    with tf.Session() as first, tf.Session() as second:
        first.run(queue.enqueue(1))
        assert (first.run(queue.size()), second.run(queue.size())) == (1, 0)


def test_deadlines():
    queue = ints()
    get, size = queue.dequeue_many(2), queue.size()
    put = queue.enqueue(1)
    with tf.Session(config=tf.ConfigProto(operation_timeout_in_ms=100)) as session:
        session.run(put)
        with pytest.raises(tf.errors.DeadlineExceededError, match="Timed out waiting for notification"):
            session.run(get)
        assert session.run(size) == 1  # what it had taken is back
    with tf.Session() as session:
        start = time.monotonic()
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(get, options=tf.RunOptions(timeout_in_ms=100))
        assert time.monotonic() - start < 5


def test_the_failure_of_one_operation_ends_the_wait_for_others():
    empty, closed = ints(), ints()
    with tf.Session() as session:
        session.run(closed.close())
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run([empty.dequeue(), closed.dequeue()])


# --- Run-time errors --------------------------------------------------------------------------------------------


def test_shapes_are_checked():
    queue, value, n = ints(), tf.placeholder(tf.int32), tf.placeholder(tf.int32)
    one, many, get = queue.enqueue(value), queue.enqueue_many(value), queue.dequeue_many(n)
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"tuple component 0. Expected \[\], got \[2\]"):
            session.run(one, {value: [1, 2]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"tuple component 0. Expected \[2\], got \[2,1\]"):
            session.run(many, {value: [[1], [2]]})
        with pytest.raises(tf.errors.InvalidArgumentError, match="DequeueManyOp requested -1 < 0 elements"):
            session.run(get, {n: -1})
        session.run(many, {value: []})
        assert session.run(get, {n: 0}).shape == (0,)


def test_shapes_may_vary():
    queue, value = tf.FIFOQueue(3, tf.int32), tf.placeholder(tf.int32)
    put, get, many = queue.enqueue(value), queue.dequeue(), queue.dequeue_many(1)
    with tf.Session() as session:
        session.run(put, {value: [1, 2]})
        session.run(put, {value: 3})
        assert session.run(get).tolist() == [1, 2] and session.run(get) == 3
        message = "FIFOQueue's DequeueMany and DequeueUpTo require the components to have specified shapes."
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session.run(many)


def test_shared_names():
    put, get = ints(shared_name="s").enqueue(4), ints(shared_name="s").dequeue()
    others = {
        "Shared queue 's' has capacity 3 but requested capacity was 4": ints(4, shared_name="s"),
        "has component types int32 but requested component types were float": tf.FIFOQueue(
            3, tf.float32, shapes=[()], shared_name="s"
        ),
        r"has component shapes \[\[\]\] but requested component shapes were \[\[2\]\]": tf.FIFOQueue(
            3, tf.int32, shapes=[(2,)], shared_name="s"
        ),
        "Expected FIFOQueue, found RandomShuffleQueueV2": tf.RandomShuffleQueue(
            3, 0, tf.int32, shapes=[()], shared_name="s"
        ),
    }
    with tf.Session() as session:
        session.run(put)
        assert session.run(get) == 4
        for message, queue in others.items():
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                session.run(queue.size())


# --- The other kinds --------------------------------------------------------------------------------------------


def test_random_shuffle_gives_the_order_of_its_seed():
    queue = tf.RandomShuffleQueue(100, min_after_dequeue=5, dtypes=tf.int32, shapes=[()], seed=1)
    one, seven = queue.dequeue(), queue.dequeue_many(7)
    with tf.Session() as session:
        session.run(queue.enqueue_many([list(range(30))]))
        assert [int(session.run(one)) for _ in range(10)] == [27, 19, 5, 16, 17, 28, 18, 0, 7, 12]
        assert session.run(seven).tolist() == [20, 1, 29, 8, 14, 22, 25]
        assert session.run(seven).tolist() == [24, 21, 10, 6, 4, 15, 3]
        waiting = Background(session.run, seven)
        assert waiting.is_waiting and session.run(queue.size()) == 5
        session.run(queue.close())
        assert "(requested 6, current size 5)" in waiting.join().error.message
        assert session.run(queue.dequeue_up_to(30)).tolist() == [13, 2, 9, 26, 23, 11]


def test_padding():
    queue = tf.PaddingFIFOQueue(10, [tf.int32, tf.string], [[None, 2], [None]])
    numbers, words = tf.placeholder(tf.int32), tf.placeholder(tf.string)
    put, two, one = queue.enqueue([numbers, words]), queue.dequeue_many(2), queue.dequeue()
    with tf.Session() as session:
        session.run(put, {numbers: [[1, 2]], words: ["x"]})
        session.run(put, {numbers: [[1, 2], [3, 4]], words: ["y", "z"]})
        found = session.run(two)
        assert found[0].tolist() == [[[1, 2], [0, 0]], [[1, 2], [3, 4]]]
        assert found[1].tolist() == [[b"x", b""], [b"y", b"z"]]
        session.run(put, {numbers: [[1, 2]], words: []})
        assert [item.tolist() for item in session.run(one)] == [[[1, 2]], []]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected \[\?,2\], got \[1,3\]"):
            session.run(put, {numbers: [[1, 2, 3]], words: ["x"]})


def test_priorities():
    queue = tf.PriorityQueue(4, [tf.string], [()])
    three = queue.dequeue_many(3)
    with tf.Session() as session:
        session.run(queue.enqueue_many([[5, 1, 3, 1], ["five", "one", "three", "uno"]]))
        numbers, words = session.run(queue.dequeue_many(2))
        assert (numbers.tolist(), words.tolist()) == ([1, 1], [b"one", b"uno"])
        waiting = Background(session.run, three)
        session.run(queue.enqueue((0, "zero")))
        assert waiting.join().value[1].tolist() == [b"zero", b"three", b"five"]
        session.run(queue.close())
        with pytest.raises(tf.errors.OutOfRangeError, match="PriorityQueue '.*' is closed"):
            session.run(queue.dequeue())
