"""What eager execution and functions share: arrays, variables, the lock, and what is kept for later calls."""
from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import millstream as tf
from millstream.core import opdef
from millstream.runtime import eager

LARGE = 40_000  # elements: more than run with NumPy


def _in_threads(*functions):
    """Runs functions at the same time; gives what they raised."""
    raised = []

    def caught(function):
        try:
            function()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=caught, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return raised


# --- Arrays that are shared -----------------------------------------------------------------------------------------


def test_what_was_read_from_a_variable_stays_as_it_was():
    v = tf.Variable(np.arange(LARGE, dtype=np.float32))
    whole, part, shaped = tf.function(lambda: (v.read_value(), v[10:20], tf.reshape(v, [200, -1])))()
    read = [whole, part, shaped, v.read_value(), v[10:20], tf.transpose(tf.reshape(v, [200, -1]))]
    before = [tensor.numpy() for tensor in read]
    step = tf.function(lambda: v.assign_add(tf.ones([LARGE])))
    for _ in range(3):
        step()
    for tensor, array in zip(read, before, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert v.numpy()[1] == 4.0


def test_variables_and_tensors_do_not_change_one_another():
    t = tf.constant(np.arange(LARGE, dtype=np.float32))
    v, w = tf.Variable(t), tf.Variable(t)
    step = tf.function(lambda: v.assign_add(tf.ones([LARGE])))
    step()
    w.assign(v)
    step()
    v.assign(w)
    step()
    assert (t.numpy()[0], w.numpy()[0], v.numpy()[0]) == (0.0, 1.0, 2.0)


def test_the_array_of_a_tensor_cannot_be_written_to():
    t = tf.constant([1.0, 2.0])
    shared = t.__array__(copy=False)
    with pytest.raises(ValueError, match="read-only"):
        shared[0] = 5.0
    np.asarray(t)[0] = 5.0
    assert t.numpy()[0] == 1.0


# --- Failures -------------------------------------------------------------------------------------------------------


def test_a_function_that_fails_in_a_later_step_changes_nothing():
    v, w = tf.Variable(np.zeros(LARGE, np.float32)), tf.Variable(1.0)

    @tf.function
    def f(text):
        v.assign_add(tf.ones([LARGE]))
        number = tf.strings.to_number(text)  # on the host
        v.assign_add(tf.ones([LARGE]))
        w.assign_add(number)

    f(tf.constant("1"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        f(tf.constant("x"))
    assert (v.numpy().sum(), w.numpy()) == (2 * LARGE, 2.0)
    f(tf.constant("1"))
    assert (v.numpy().sum(), w.numpy()) == (4 * LARGE, 3.0)


@pytest.mark.parametrize("size", [10, LARGE])
def test_an_eager_update_that_fails_changes_nothing(size):
    v = tf.Variable(np.zeros(size, np.float32))
    for update in (
        lambda: v.scatter_update(tf.IndexedSlices(tf.ones([2]), [0, size])),
        lambda: v.scatter_nd_add([[0], [size]], tf.ones([2])),
        lambda: v[:2].assign([1.0, 2.0, 3.0]),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            update()
    assert not v.numpy().any()


# --- Python code in functions ---------------------------------------------------------------------------------------


def test_python_code_sees_variables_as_the_program_left_them():
    v, seen = tf.Variable(1.0), []

    def update(x):
        seen.append(float(v))
        v.assign(10.0)
        return x

    @tf.function
    def inner(x):
        return tf.py_function(update, [x], tf.float32)

    @tf.function
    def f(x):
        v.assign(2.0)
        x = inner(x)
        v.assign_add(1.0)
        return v + x

    assert f(tf.constant(100.0)).numpy() == 111.0
    assert (seen, v.numpy()) == ([2.0], 11.0)


def test_python_code_may_wait_for_other_threads():
    v, found = tf.Variable(1.0), []

    def ask(x):
        assert not _in_threads(lambda: found.append(float(v + 1.0)))
        return x

    assert tf.function(lambda x: tf.py_function(ask, [x], tf.float32))(tf.constant(3.0)).numpy() == 3.0
    assert found == [2.0]


def test_python_code_of_two_functions_runs_side_by_side():
    barrier = threading.Barrier(2, timeout=10)

    def meet(x):
        barrier.wait()
        return x

    def call():
        tf.function(lambda x: tf.numpy_function(meet, [x], tf.float32))(tf.constant(1.0))

    assert not _in_threads(call, call)


# --- What is kept ---------------------------------------------------------------------------------------------------


def test_attributes_that_always_change_are_not_all_kept():
    tf.random.set_seed(1)
    for step in range(eager.MOST_PREPARED + 10):
        tf.random.uniform([2])
        tf.debugging.check_numerics(tf.constant(1.0), f"step {step}")
    for name in ("RandomUniform", "CheckNumerics"):
        assert len(opdef.REGISTRY[name].prepared) <= eager.MOST_PREPARED


def test_streams_in_use_are_kept(monkeypatch):
    monkeypatch.setattr("millstream.runtime.state._MOST_STREAMS", 8)
    tf.random.set_seed(1)
    drawn = set()
    for _ in range(20):
        drawn.add(float(tf.random.uniform([], seed=7)))
        tf.random.uniform([])  # under the global seed each of these has a stream of its own
    assert len(drawn) == 20
    assert len(eager.STATE.streams) <= 8


def test_functions_forget_the_variables_they_were_called_with():
    @tf.function
    def double(v):
        for _ in tf.range(1):
            v.assign(v * 2.0)
        return v.read_value()

    for _ in range(4):
        assert double(tf.Variable(1.0)).numpy() == 2.0
    gc.collect()
    assert double.experimental_get_tracing_count() == 1
    assert not double.get_concrete_function(tf.Variable(1.0)).function.runners


def test_changing_shapes_are_not_compiled_each():
    data = tf.constant(np.ones(2 * LARGE, np.float32))
    definition = opdef.find("Softplus")
    definition.prepared.clear()
    for size in range(LARGE, LARGE + 3 * eager.COMPILED_AT_ONCE):
        result = tf.math.softplus(data[:size])
        assert result.shape == [size]
    (prepared,) = definition.prepared.values()
    (program,) = prepared.programs.values()
    assert program._cache_size() == eager.COMPILED_AT_ONCE
    for _ in range(10):
        tf.math.softplus(data[:size])
    assert program._cache_size() == eager.COMPILED_AT_ONCE + 1


def test_threads_draw_different_random_numbers():
    tf.random.set_seed(1)
    drawn = []
    draw = lambda: drawn.extend(float(tf.random.uniform([], seed=3)) for _ in range(100))  # noqa: E731
    assert not _in_threads(draw, draw, draw)
    assert len(set(drawn)) == 300


def test_python_code_leaves_nothing_where_no_gradient_is_taken():
    kept = []

    def double(x):
        kept.append(weakref.ref(x))
        return x * 2.0

    f = tf.function(lambda x: tf.py_function(double, [x], tf.float32))
    f(tf.constant(1.0))
    gc.collect()
    assert kept[0]() is None
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert tape.gradient(y, x).numpy() == 2.0


def test_gradients_through_python_code_of_several_results_and_orders():
    types = [tf.float32, tf.float32, tf.string]
    f = tf.function(lambda x: tf.py_function(lambda a: [a**3, a * 5.0, "text"], [x], types))
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)[0]
        first = tape.gradient(y, x)
    assert first.numpy().tolist() == [3.0, 12.0]
    assert outer.gradient(first, x).numpy().tolist() == [6.0, 12.0]
