"""`tf.custom_gradient` and what is made of it, at once and traced. Numbers are those of TensorFlow 2.21."""
from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import millstream as tf


@pytest.fixture
def v():
    return tf.Variable(5.0, name="v")


@pytest.fixture(params=["eager", "traced"])
def gradients(request):
    """A function that gives a result and its gradients: at once, or in a `tf.function`."""

    def run(function, *sources):
        def compute():
            with tf.GradientTape() as tape:
                tape.watch([source for source in sources if not hasattr(source, "assign")])
                y = function()
            return y, tape.gradient(y, list(sources))

        return tf.function(compute)() if request.param == "traced" else compute()

    return run


def numbers(found):
    return [None if item is None else float(item) for item in tf.nest.flatten(found)]


x, z = np.float32(2.0), np.float32(3.0)


def test_a_stable_gradient():
    @tf.custom_gradient
    def log1pexp(x):
        e = tf.exp(x)
        return tf.math.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))

    x = tf.constant(100.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = log1pexp(x)
    assert float(tape.gradient(y, x)) == 1.0


def test_clipping_gradients():
    """The example of the guide on advanced differentiation."""

    @tf.custom_gradient
    def clip_gradients(y):
        return y, lambda upstream: tf.clip_by_norm(upstream, 0.5)

    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        output = clip_gradients(v * v)
    assert float(tape.gradient(output, v)) == 2.0  # 0.5 * 2 v


def test_several_arguments(gradients):
    a, b = tf.constant(x), tf.constant(z)
    product = tf.custom_gradient(lambda a, b: (a * b, lambda upstream: (upstream * 10.0, upstream * 20.0)))
    found = gradients(lambda: product(a, b), a, b)
    assert numbers(found) == [6.0, 10.0, 20.0]


def test_nested_results(gradients):
    a = tf.constant(x)

    @tf.custom_gradient
    def several(a):
        return {"p": a * 2, "q": [a * 3, a * 4]}, lambda *ups: ups[0] + 10.0 * ups[1] + 100.0 * ups[2]

    assert numbers(gradients(lambda: several(a), a)) == [4.0, 6.0, 8.0, 111.0]
    assert numbers(gradients(lambda: several(a)["q"][0], a)) == [6.0, 10.0]


def test_nested_arguments(gradients):
    a, b = tf.constant(x), tf.constant(z)
    as_dict = tf.custom_gradient(lambda s: (s["a"] * s["b"], lambda up: {"a": up * 1.0, "b": up * 2.0}))
    assert numbers(gradients(lambda: as_dict({"a": a, "b": b}), a, b)) == [6.0, 1.0, 2.0]


def test_a_tuple_of_one_result(gradients):
    a = tf.constant(x)
    single = tf.custom_gradient(lambda a: ((a,), lambda up: up * 9.0))
    result, grads = gradients(lambda: single(a), a)
    assert isinstance(result, tuple) and numbers(grads) == [9.0]


def test_an_argument_as_result(gradients):
    a = tf.constant(x)
    same = tf.custom_gradient(lambda a: (a, lambda up: up * 9.0))
    assert numbers(gradients(lambda: same(a), a)) == [2.0, 9.0]


@pytest.mark.parametrize("argument", [2.0, x, "text"])
def test_arguments_that_are_no_tensors(gradients, argument):
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a, other: (a * 1.0, lambda up: (up * 3.0, None)))
    assert numbers(gradients(lambda: function(a, argument), a)) == [2.0, 3.0]


def test_no_gradient(gradients):
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a: (a * 1.0, lambda up: None))
    assert numbers(gradients(lambda: function(a), a)) == [2.0, None]


def test_methods(gradients):
    class Model:
        @tf.custom_gradient
        def square(self, a):
            """Its docstring."""
            return a * a, lambda up: up * self.factor

        factor = 5.0

    a = tf.constant(x)
    assert numbers(gradients(lambda: Model().square(a), a)) == [4.0, 5.0]
    assert Model.square.__name__ == "square" and Model.square.__doc__ == "Its docstring."


def test_used_with_parentheses(gradients):
    a = tf.constant(x)

    @tf.custom_gradient()
    def square(a):
        return a * a, lambda up: up * 8.0

    assert numbers(gradients(lambda: square(a), a)) == [4.0, 8.0]


# --- Variables --------------------------------------------------------------------------------------------------------


def test_variables_that_are_used(gradients, v):
    a = tf.constant(x)

    @tf.custom_gradient
    def scaled(a):
        def grad_fn(upstream, variables=None):
            assert [variable is v for variable in variables] == [True]
            return upstream * 1.0, [upstream * 100.0]

        return a * v, grad_fn

    assert numbers(gradients(lambda: scaled(a), a, v)) == [10.0, 1.0, 100.0]


def test_variables_that_are_arguments(gradients, v):
    function = tf.custom_gradient(lambda a, b: (a * b, lambda up: (up * 10.0, up * 20.0)))
    b = tf.constant(z)
    assert numbers(gradients(lambda: function(v, b), v, b)) == [15.0, 10.0, 20.0]


def test_a_gradient_function_that_takes_any_keyword(gradients):
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a: (a * 1.0, lambda up, **keywords: up * (len(keywords) + 3.0)))
    assert numbers(gradients(lambda: function(a), a)) == [2.0, 3.0]


def test_variables_must_be_expected(gradients, v):
    function = tf.custom_gradient(lambda a: (a * v, lambda up: up))
    with pytest.raises(TypeError, match="must accept keyword argument 'variables', since function uses variables"):
        gradients(lambda: function(tf.constant(x)), v)


def test_each_variable_has_a_gradient(gradients, v):
    other = tf.Variable(7.0)
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a: (a * v * other, lambda up, variables: (up, [up])))
    with pytest.raises(ValueError, match="Must return gradient for each variable from @custom_gradient grad_fn."):
        gradients(lambda: function(a), a, v)


def test_rows_as_the_gradient_of_a_variable(gradients):
    table = tf.Variable(tf.ones([3, 2]))
    a = tf.constant(x)

    @tf.custom_gradient
    def lookup(a):
        def grad_fn(upstream, variables):
            return tf.reduce_sum(upstream), [tf.IndexedSlices(upstream, tf.constant([0, 1]), tf.constant([3, 2]))]

        return tf.gather(table, [0, 1]) * a, grad_fn

    _, (by_a, by_table) = gradients(lambda: lookup(a), a, table)
    assert float(by_a) == 4.0
    np.testing.assert_array_equal(tf.convert_to_tensor(by_table), [[1, 1], [1, 1], [0, 0]])


# --- Errors -----------------------------------------------------------------------------------------------------------


def test_too_many_gradients(gradients):
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a: (a * 1.0, lambda up: (up, up)))
    with pytest.raises(ValueError, match="custom_gradient function expected to return 1 gradients, but returned 2"):
        gradients(lambda: function(a), a)


def test_keyword_arguments_only_at_once():
    a = tf.constant(x)
    function = tf.custom_gradient(lambda a, k=1.0: (a * k, lambda up: up * 10.0))
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = function(a, k=3.0)
    assert numbers([y, tape.gradient(y, a)]) == [6.0, 10.0]
    with pytest.raises(ValueError, match="keywords arguments only when eager execution is enabled"):
        tf.function(lambda: function(a, k=3.0))()


# --- Higher order -----------------------------------------------------------------------------------------------------


def second_derivative(function):
    a = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(a)
        with tf.GradientTape() as inner:
            inner.watch(a)
            y = function(a)
        first = inner.gradient(y, a)
    return first, outer.gradient(first, a)


@pytest.mark.parametrize("traced", [False, True])
def test_the_gradient_function_is_differentiated(traced):
    function = tf.custom_gradient(lambda a: (a * a, lambda up: up * 2 * a * 7.0))
    compute = tf.function(second_derivative) if traced else second_derivative
    assert numbers(compute(function)) == [28.0, 14.0]


@pytest.mark.parametrize("traced", [False, True])
def test_a_gradient_function_with_a_gradient_of_its_own(traced):
    @tf.custom_gradient
    def function(a):
        @tf.custom_gradient
        def first(upstream, a):
            return upstream * 2.0 * a, lambda up: (up * 100.0, up * 1000.0)

        return a * a, lambda upstream: first(upstream, a)

    compute = tf.function(second_derivative) if traced else second_derivative
    assert numbers(compute(function)) == [4.0, 1000.0]


def test_it_leaves_nothing_behind():
    """Each call has a gradient function of its own, which must not be kept."""
    calls = []

    @tf.custom_gradient
    def function(a):
        def grad_fn(upstream):
            return upstream

        calls.append(weakref.ref(grad_fn))
        return a * 1.0, grad_fn

    a = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = function(a)
    tape.gradient(y, a)
    del tape, y
    tf.function(lambda: function(a))()
    gc.collect()
    assert [call() for call in calls] == [None, None]


# --- Ready-made -------------------------------------------------------------------------------------------------------


def test_grad_pass_through(gradients, v):
    a = tf.constant(2.4)
    function = tf.grad_pass_through(lambda a: tf.round(a) * v)
    assert numbers(gradients(lambda: function(a), a, v)) == [10.0, 1.0, None]


def test_recompute_grad(gradients, v):
    a = tf.constant(x)
    calls = []

    def function(a, scale=1.0):
        calls.append(1)
        return tf.sin(a) * v * scale

    y, grads = gradients(lambda: tf.recompute_grad(function)(a, scale=2.0), a, v)
    assert len(calls) >= 2  # once for the value, once for the gradient
    np.testing.assert_allclose(numbers([y, *grads]), [9.092974, -4.161469, 1.818595], rtol=1e-5)


@pytest.mark.parametrize("traced", [False, True])
def test_recomputed_second_derivative(traced, v):
    compute = tf.function(second_derivative) if traced else second_derivative
    found = compute(tf.recompute_grad(lambda a: tf.sin(a) * v))
    np.testing.assert_allclose(numbers(found), [5 * np.cos(2), -5 * np.sin(2)], rtol=1e-5)


def test_recompute_grad_keeps_no_intermediate_results():
    kept = []

    def function(a):
        inner = tf.sin(a)
        kept.append(weakref.ref(inner))
        return tf.cos(inner)

    a = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = tf.recompute_grad(function)(a)
    gc.collect()
    assert kept[0]() is None
    np.testing.assert_allclose(tape.gradient(y, a), -np.sin(np.sin(2)) * np.cos(2), rtol=1e-5)


def test_stop_gradient():
    a = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(a)
        y = a * tf.stop_gradient(a)
        stopped = tf.stop_gradient(a)
    assert float(tape.gradient(y, a)) == 2.0
    assert tape.gradient(stopped, a) is None
