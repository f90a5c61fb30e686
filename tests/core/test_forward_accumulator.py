"""`tf.autodiff.ForwardAccumulator`: derivatives along a direction."""
from __future__ import annotations

import gc
import logging
import weakref

import numpy as np
import pytest

import millstream as tf

ForwardAccumulator = tf.autodiff.ForwardAccumulator


def assert_both(function, wanted, rtol=1e-5):
    """Requires that a function of no arguments gives these numbers at once and when it is traced."""
    for found in (function(), tf.function(function)()):
        for got, numbers in zip(tf.nest.flatten(found), wanted, strict=True):
            np.testing.assert_allclose(np.asarray(got), numbers, rtol=rtol)


# --- What is computed -------------------------------------------------------------------------------------------------


def test_a_product():
    x = tf.constant([2.0, 3.0])

    def compute():
        with ForwardAccumulator(x, tf.constant([1.0, 10.0])) as accumulator:
            y = x * x * x
        return {"y": accumulator.jvp(y), "x": [accumulator.jvp(x)]}

    assert_both(compute, [[1.0, 10.0], [12.0, 270.0]])


def test_several_primals():
    x, y = tf.constant(2.0), tf.constant(3.0)
    with ForwardAccumulator([x, {"y": y}], [tf.constant(1.0), {"y": 10.0}]) as accumulator:
        z = x * y
    assert float(accumulator.jvp(z)) == 23.0
    assert [float(item) for item in accumulator.jvp((z, x))] == [23.0, 1.0]


def test_variables():
    v, w = tf.Variable(5.0), tf.Variable([7.0, 1.0])

    def compute():
        with ForwardAccumulator([v, w], [tf.constant(1.0), tf.constant([1.0, 2.0])]) as accumulator:
            y = v * w
        return accumulator.jvp(y), accumulator.jvp(w)

    assert_both(compute, [[12.0, 11.0], [1.0, 2.0]])


def test_rows_of_a_variable():
    table = tf.Variable(tf.ones([4, 2]))
    with ForwardAccumulator(table, tf.reshape(tf.range(8.0), [4, 2])) as accumulator:
        y = tf.gather(table, [1, 1, 3])
        z = tf.nn.embedding_lookup(table, [0, 2])
    np.testing.assert_array_equal(accumulator.jvp(y), [[2, 3], [2, 3], [6, 7]])
    np.testing.assert_array_equal(accumulator.jvp(z), [[0, 1], [4, 5]])


def test_what_does_not_depend_on_the_primals():
    x, other = tf.constant(2.0), tf.constant([1.0, 2.0])
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        y = other * 2.0
        stopped = tf.stop_gradient(x)
        rounded = tf.cast(tf.cast(x, tf.int32), tf.float32)
    assert accumulator.jvp([y, stopped, rounded]) == [None, None, None]
    for choice in ("zero", tf.UnconnectedGradients.ZERO):
        np.testing.assert_array_equal(accumulator.jvp(y, unconnected_gradients=choice), [0.0, 0.0])


def test_after_the_block():
    x = tf.constant(2.0)
    accumulator = ForwardAccumulator(x, tf.constant(1.0))
    before = x * x
    with accumulator:
        y = x * x
    after = y * x
    with accumulator:
        z = y * x
    assert [accumulator.jvp(item) for item in (before, after)] == [None, None]
    assert float(accumulator.jvp(z)) == 12.0


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a @ a,
        tf.linalg.inv,
        tf.linalg.det,
        tf.nn.softmax,
        tf.reduce_logsumexp,
        lambda a: tf.concat(tf.unstack(a, axis=1), 0),
        lambda a: tf.linalg.cholesky(a @ tf.transpose(a) + tf.eye(2, dtype=tf.float64)),
        lambda a: tf.einsum("ij,kj->ik", a, tf.sin(a)),
        lambda a: a[0] * a[:, 1] + tf.pad(a, [[1, 0], [0, 1]])[1:, :2],
        lambda a: tf.where(a > 0.0, tf.exp(a), tf.tanh(a)),
        lambda a: tf.math.cumsum(tf.sort(a)),
    ],
)
def test_against_numerical_differences(function):
    a = tf.constant([[1.0, 2.0], [-0.5, 4.0]], tf.float64)
    tangent = tf.constant([[0.3, -1.0], [2.0, 0.7]], tf.float64)
    with ForwardAccumulator(a, tangent) as accumulator:
        y = function(a)
    step = 1e-6
    wanted = (function(a + step * tangent) - function(a - step * tangent)) / (2 * step)
    np.testing.assert_allclose(accumulator.jvp(y), wanted, rtol=1e-6, atol=1e-8)


def test_convolutions():
    """Products equal those of the transposed map, which the tape gives."""
    images = tf.constant(np.random.RandomState(0).randn(1, 5, 5, 2))
    filters = tf.constant(np.random.RandomState(1).randn(3, 3, 2, 3))
    tangents = [tf.constant(np.random.RandomState(seed).randn(*t.shape)) for seed, t in enumerate([images, filters])]

    def compute(images, filters):
        return tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(images, filters, 1, "SAME")), 2, 2, "VALID")

    with ForwardAccumulator([images, filters], tangents) as accumulator:
        y = compute(images, filters)
    product = accumulator.jvp(y)
    weights = tf.constant(np.random.RandomState(5).randn(*y.shape))
    with tf.GradientTape() as tape:
        tape.watch([images, filters])
        y = compute(images, filters)
    grads = tape.gradient(y, [images, filters], weights)
    wanted = sum(float(tf.reduce_sum(grad * tangent)) for grad, tangent in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(float(tf.reduce_sum(product * weights)), wanted, rtol=1e-8)


def test_complex_numbers():
    z = tf.constant(1 + 2j, tf.complex64)
    with ForwardAccumulator(z, tf.constant(1j, tf.complex64)) as accumulator:
        results = [z * z, tf.abs(z), tf.exp(z), tf.math.conj(z)]
    wanted = [-4 + 2j, 0.8944272, -2.4717267 - 1.1312044j, -1j]
    np.testing.assert_allclose([complex(item) for item in accumulator.jvp(results)], wanted, rtol=1e-6)


def test_a_custom_gradient_is_followed():
    function = tf.custom_gradient(lambda a: (a * a, lambda upstream: upstream * 7.0))
    x = tf.constant(2.0)

    def compute():
        with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
            y = function(x)
        return accumulator.jvp(y)

    assert_both(compute, [7.0])


# --- Functions --------------------------------------------------------------------------------------------------------


def test_functions_with_variables():
    v, x = tf.Variable(5.0), tf.constant(2.0)

    @tf.function
    def f(x):
        return tf.sin(x) * v, tf.constant(1.0), tf.cast(x, tf.int32)

    def compute():
        with ForwardAccumulator([x, v], [tf.constant(1.0), tf.constant(10.0)]) as accumulator:
            y = f(x)
        return accumulator.jvp(y)[0]

    assert_both(compute, [5 * np.cos(2) + 10 * np.sin(2)])
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        y = f(x)
    assert accumulator.jvp(y)[1:] == (None, None)
    np.testing.assert_allclose(accumulator.jvp(y[0]), 5 * np.cos(2), rtol=1e-5)


def test_functions_of_rows():
    table = tf.Variable(tf.ones([3, 2]))

    @tf.function
    def lookup(indices):
        return tf.gather(table, indices) * 2.0

    with ForwardAccumulator(table, tf.reshape(tf.range(6.0), [3, 2])) as accumulator:
        y = lookup(tf.constant([2, 0]))
    np.testing.assert_array_equal(accumulator.jvp(y), [[8, 10], [0, 2]])


def test_python_functions():
    x = tf.constant(2.0)
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        y = tf.py_function(lambda a: a * a, [x], tf.float32)
    assert float(accumulator.jvp(y)) == 4.0


# --- Higher order -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["plain", "function"])
def f(request):
    v = tf.Variable(5.0)
    plain = lambda x: tf.sin(x) * v * x  # noqa: E731
    return plain if request.param == "plain" else tf.function(plain)


FIRST = 5 * (np.sin(2) + 2 * np.cos(2))
SECOND = 5 * (2 * np.cos(2) - 2 * np.sin(2))


def test_accumulators_nest(f):
    x, one = tf.constant(2.0), tf.constant(1.0)

    def compute():
        with ForwardAccumulator(x, one) as outer:
            with ForwardAccumulator(x, one) as inner:
                y = f(x)
            first = inner.jvp(y)
        return first, outer.jvp(y), outer.jvp(first)

    assert_both(compute, [FIRST, FIRST, SECOND])


def test_a_tape_inside_of_an_accumulator(f):
    x, one = tf.constant(2.0), tf.constant(1.0)

    def compute():
        with ForwardAccumulator(x, one) as outer:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            first = tape.gradient(y, x)
        return first, outer.jvp(y), outer.jvp(first)

    assert_both(compute, [FIRST, FIRST, SECOND])


def test_an_accumulator_inside_of_a_tape(f):
    x, one = tf.constant(2.0), tf.constant(1.0)

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            with ForwardAccumulator(x, one) as accumulator:
                y = f(x)
            first = accumulator.jvp(y)
        return first, tape.gradient(first, x)

    assert_both(compute, [FIRST, SECOND])


def test_three_deep(f):
    x, one = tf.constant(2.0), tf.constant(1.0)

    def compute():
        with ForwardAccumulator(x, one) as outer:
            with tf.GradientTape() as tape:
                tape.watch(x)
                with ForwardAccumulator(x, one) as inner:
                    y = f(x)
                first = inner.jvp(y)
            second = tape.gradient(first, x)
        return second, outer.jvp(second)

    assert_both(compute, [SECOND, 5 * (-3 * np.sin(2) - 2 * np.cos(2))])


def test_a_product_with_the_hessian():
    """The use that its documentation names: a tape inside of an accumulator."""
    w = tf.constant([[2.0], [3.0]])
    with ForwardAccumulator(w, tf.constant([[1.0], [0.0]])) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_sum(tf.constant([[1.0, 2.0]]) @ (w * w * w))
        gradient = tape.gradient(loss, w)
    np.testing.assert_allclose(accumulator.jvp(gradient), [[12.0], [0.0]])


def test_an_inner_tape_does_not_record_products():
    x = tf.constant(2.0)
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator, tf.GradientTape() as tape:
        tape.watch(x)
        product = accumulator.jvp(x * x * x)
    assert tape.gradient(product, x) is None


def test_the_product_of_a_jacobian():
    x = tf.constant(2.0)
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * tf.constant([1.0, 2.0]) * x
        jacobian = tape.jacobian(y, x)
    np.testing.assert_allclose(jacobian, [4.0, 8.0])
    np.testing.assert_allclose(accumulator.jvp(jacobian), [2.0, 4.0])


def loop(x):
    y, turn = x, tf.constant(0)
    while turn < 3:
        y = tf.sin(y) * x + y
        turn += 1
    return y


def choice(x):
    if tf.reduce_sum(x) > 0.0:
        return tf.exp(x) * x
    else:
        return x * 2.0


def both(x):
    y = x
    for turn in tf.range(3):
        if turn > 0:
            y = y * tf.cos(x)
        else:
            y = y + x * x
    return y


@pytest.mark.parametrize("body", [loop, choice, both])
def test_loops_and_conditions_in_functions(body):
    x, tangent = tf.constant([0.5, 1.5, -0.3], tf.float64), tf.constant([1.0, 2.0, 3.0], tf.float64)

    def derivatives(function):
        with ForwardAccumulator(x, tangent) as outer:
            with ForwardAccumulator(x, tangent) as inner:
                y = function(x)
            first = inner.jvp(y)
            with tf.GradientTape() as tape:
                tape.watch(x)
                z = function(x)
            gradient = tape.gradient(z, x)
        return first, outer.jvp(first), outer.jvp(gradient)

    wanted = derivatives(body)  # at once Python chooses and repeats
    for found in (derivatives(tf.function(body)), tf.function(derivatives)(body)):
        for got, numbers in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, numbers, rtol=1e-9)


# --- The accumulator as an object -------------------------------------------------------------------------------------


def test_tangents_go_with_their_tensors():
    x = tf.constant(2.0)
    with ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        y = x * x
        tangent = weakref.ref(accumulator.jvp(y))
        z = y * x
        del y
    gc.collect()
    assert tangent() is None
    assert float(accumulator.jvp(z)) == 12.0


def test_entering_twice():
    accumulator = ForwardAccumulator(tf.constant(2.0), tf.constant(1.0))
    with accumulator, pytest.raises(ValueError, match="Accumulator is already recording."), accumulator:
        pass


def test_a_primal_stands_once():
    x = tf.constant(2.0)
    with pytest.raises(ValueError, match="was specified as a primal multiple times"):
        ForwardAccumulator([x, x], [tf.constant(1.0), tf.constant(1.0)])


def test_tangents_suit_their_primals():
    x = tf.constant(2.0)
    with pytest.raises(ValueError, match="The tangent of a primal of shape .* cannot have shape"):
        ForwardAccumulator(x, tf.constant([1.0, 2.0]))
    with pytest.raises(ValueError, match="requested dtype float32 for Tensor with dtype int32"):
        ForwardAccumulator(x, tf.constant(1))
    with pytest.raises(ValueError, match="don't have the same"):
        ForwardAccumulator([x, tf.constant(1.0)], [tf.constant(1.0)])
    with pytest.raises(TypeError, match="Primals must be tensors or variables"):
        ForwardAccumulator(3.0, tf.constant(1.0))


def test_integers_are_warned_about(caplog):
    logger = tf.get_logger()
    propagated, logger.propagate = logger.propagate, True
    with caplog.at_level(logging.WARNING, "tensorflow"):
        x = tf.constant(1)
        with ForwardAccumulator(x, tf.constant(1)) as accumulator:
            y = x * x
    logger.propagate = propagated
    assert accumulator.jvp(y) is None
    assert "The dtype of the watched primal must be floating (e.g. tf.float32), got" in caplog.text
