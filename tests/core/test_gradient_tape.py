"""`tf.GradientTape`: what is recorded, and what its gradients are. Numbers are those of TensorFlow 2.21."""
from __future__ import annotations

import gc
import logging
import threading
import weakref

import numpy as np
import pytest

import millstream as tf


@pytest.fixture
def warnings_logged(caplog):
    logger = tf.get_logger()
    propagated, logger.propagate = logger.propagate, True
    with caplog.at_level(logging.WARNING, "tensorflow"):
        yield caplog
    logger.propagate = propagated


def both_modes(function):
    """What a function gives when it runs at once, and when it is traced."""
    return function(), tf.function(function)()


def assert_both(function, wanted):
    """Requires that a function of no arguments gives the same numbers, or None, in both modes."""
    for found in both_modes(function):
        for got, number in zip(tf.nest.flatten(found), tf.nest.flatten(wanted), strict=True):
            if number is None:
                assert got is None
            else:
                np.testing.assert_allclose(np.asarray(got), number, rtol=1e-5)


# --- What is differentiated -------------------------------------------------------------------------------------------


def test_a_scalar():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x**2
    assert float(tape.gradient(y, x)) == 6.0


def test_what_is_not_watched_has_no_gradient():
    w, fixed, x = tf.Variable(2.0), tf.Variable(3.0, trainable=False), tf.constant(5.0)

    def gradients():
        with tf.GradientTape() as tape:
            y = w * fixed
            z = tf.function(lambda x: x * y)(x)
        return tape.gradient(z, [w, fixed, x, y, z])

    assert_both(gradients, [15.0, None, None, 5.0, 1.0])
    with tf.GradientTape(persistent=True) as tape:
        y = tf.reshape(w * x, [1])
        assert tape.jacobian(y, [w, x])[1] is None
        tape.watch(x)  # late, but what depends on it was recorded because of the variable
    assert float(tape.gradient(y, x)) == 2.0
    with tf.GradientTape() as tape:
        y = w * tf.ones([2, 3])
    assert float(tape.gradient(y, fixed, unconnected_gradients="zero")) == 0.0
    with tf.GradientTape() as tape:
        rows = tf.ones([2, 1])
        y = w * rows
    assert not tape.batch_jacobian(y, rows).numpy().any()


def test_gradients_have_the_structure_of_the_sources():
    w, b = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.Variable([0.5, -0.5])
    x = tf.constant([[1.0, 2.0]])
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_mean((x @ w + b) ** 2)
    as_list = tape.gradient(loss, [w, b])
    as_dict = tape.gradient(loss, {"w": w, "b": (b, [w])})
    np.testing.assert_allclose(as_list[0], [[7.5, 9.5], [15.0, 19.0]])
    np.testing.assert_allclose(as_list[1], [7.5, 9.5])
    assert set(as_dict) == {"w", "b"} and isinstance(as_dict["b"], tuple)
    np.testing.assert_allclose(as_dict["b"][1][0], as_list[0])


def test_several_targets_are_summed():
    x = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y0, y1 = x**2, 1 / x
    assert float(tape.gradient({"y0": y0, "y1": [y1]}, x)) == 3.75
    assert float(tape.gradient([y0, y0], x)) == 8.0


def test_a_target_of_many_elements_is_summed():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * [3.0, 4.0]
    assert float(tape.gradient(y, x)) == 7.0


def test_elementwise_derivatives():
    x = tf.linspace(-2.0, 2.0, 5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.sigmoid(x)
    np.testing.assert_allclose(tape.gradient(y, x), np.exp(-x.numpy()) / (1 + np.exp(-x.numpy())) ** 2, rtol=1e-5)


def test_intermediate_results_are_sources_too():
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    assert float(tape.gradient(z, y)) == 18.0
    assert float(tape.gradient(z, x)) == 108.0
    assert [float(grad) for grad in tape.gradient(y, [x, y])] == [6.0, 1.0]


def test_output_gradients():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = x * x, 3.0 * x
    np.testing.assert_allclose(tape.gradient(y, x, output_gradients=tf.constant([1.0, 10.0])), [2.0, 40.0])
    given = [tf.constant([1.0, 0.0]), tf.ones(2)]
    np.testing.assert_allclose(tape.gradient([y, z], x, output_gradients=given), [5.0, 3.0])
    with pytest.raises(ValueError, match="Passed 1 output_gradients for 2 targets"):
        tape.gradient([y, z], x, output_gradients=[tf.constant([1.0, 1.0])])


def test_a_variable_as_target():
    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        tape.watch(v)
    assert float(tape.gradient(v, v)) == 1.0


def test_python_control_flow_records_what_ran():
    x = tf.constant(1.0)
    v0, v1 = tf.Variable(2.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = v0 if x > 0.0 else v1**2
    assert [grad if grad is None else float(grad) for grad in tape.gradient(result, [v0, v1])] == [1.0, None]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda z: z * z, 2 - 4j),  # the conjugate of the derivative of a holomorphic function
        (tf.abs, 0.4472136 + 0.8944272j),
        (lambda z: tf.math.real(z * tf.math.conj(z)), 2 + 4j),
        (lambda z: tf.cast(z, tf.float32) * 2, 2),
    ],
)
def test_complex_numbers(function, wanted):
    z = tf.constant(1 + 2j, tf.complex64)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = function(z)
    np.testing.assert_allclose(tape.gradient(y, z), wanted, rtol=1e-6)


def test_in_a_function():
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(x @ w))
        return tape.gradient(loss, w)

    x = np.array([[0.1, 0.2]], np.float32)
    np.testing.assert_allclose(step(x), x.T @ np.cos(x @ w.numpy()), rtol=1e-5)


# --- What is watched --------------------------------------------------------------------------------------------------


def test_only_trainable_variables_are_watched():
    x0, x1 = tf.Variable(3.0, name="x0"), tf.Variable(3.0, name="x1", trainable=False)
    x2, x3 = tf.Variable(2.0, name="x2") + 1.0, tf.constant(3.0)
    with tf.GradientTape() as tape:
        y = x0**2 + x1**2 + x2**2 + x3**2
    watched = tape.watched_variables()
    grads = tape.gradient(y, [x0, x1, x2, x3])
    assert float(grads[0]) == 6.0 and grads[1:] == [None, None, None]
    assert [variable.name for variable in watched] == ["x0:0"]
    assert [variable.name for variable in tape.watched_variables()] == ["x0:0"]


def test_watching_nothing_by_itself():
    x0, x1 = tf.Variable(0.0), tf.Variable(10.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x1)
        y = tf.reduce_sum(tf.sin(x0) + tf.nn.softplus(x1))
    grads = tape.gradient(y, {"x0": x0, "x1": x1})
    assert grads["x0"] is None
    np.testing.assert_allclose(grads["x1"], 0.9999546, rtol=1e-6)
    assert [variable is x1 for variable in tape.watched_variables()] == [True]


def test_watch_takes_structures():
    x, y, v = tf.constant(1.0), tf.constant(2.0), tf.Variable(3.0, trainable=False)
    with tf.GradientTape() as tape:
        tape.watch([x, {"y": y, "v": (v,)}])
        z = x * y * v
    assert [float(grad) for grad in tape.gradient(z, [x, y, v])] == [6.0, 3.0, 2.0]


def test_what_is_no_tensor_is_not_watched():
    with tf.GradientTape() as tape, pytest.raises(ValueError, match="Passed in object 1.0 of type 'float'"):
        tape.watch([1.0])


@pytest.mark.parametrize(("value", "name"), [(3, "int32"), ("a", "string"), (True, "bool")])
def test_watching_what_has_no_gradient_warns(warnings_logged, value, name):
    x = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.identity(x)
    assert tape.gradient(y, x) is None
    assert "The dtype of the watched tensor must be floating (e.g. tf.float32), got" in warnings_logged.text
    assert name in warnings_logged.text


def test_integers_carry_no_gradient():
    x, v = tf.constant(3.0), tf.Variable(3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.cast(tf.cast(x, tf.int32) * 2, tf.float32)
        z = v * 2
    assert tape.gradient(y, x) is None
    assert tape.gradient(z, v) is None


# --- Why there is no gradient -----------------------------------------------------------------------------------------


def test_no_path():
    x, y = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape() as tape:
        z = y * y
    assert tape.gradient(z, x) is None


def test_a_variable_replaced_by_a_tensor():
    x = tf.Variable(2.0)
    found = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            y = x + 1
        found.append(tape.gradient(y, x))
        x = x + 1  # should have been assign_add
    assert float(found[0]) == 1.0 and found[1] is None


def test_what_numpy_computed():
    x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_mean(tf.constant(np.mean((x**2).numpy(), axis=0)))
    assert tape.gradient(y, x) is None


def test_state_stops_gradients():
    x0, x1 = tf.Variable(3.0), tf.Variable(0.0)
    with tf.GradientTape() as tape:
        x1.assign_add(x0)
        y = x1**2
    assert tape.gradient(y, x0) is None


def test_a_value_read_before_an_assignment():
    v = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y = v * v
        v.assign(5.0)
        z = v * v
    assert float(tape.gradient(y, v)) == 4.0
    assert float(tape.gradient(z, v)) == 10.0


def test_an_operation_without_gradient():
    x = tf.Variable([0.5, 1.5])
    with tf.GradientTape() as tape:
        y = tf.raw_ops.TruncateMod(x=x, y=[1.0, 1.0])
    with pytest.raises(LookupError, match="No gradient defined for operation"):
        tape.gradient(y, x)


def test_piecewise_constant_functions():
    x = tf.constant(2.5)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        rounded, sign = tf.round(x), tf.sign(x)
    assert tape.gradient(rounded, x) is None
    assert float(tape.gradient(sign, x)) == 0.0


def test_zeros_instead_of_none():
    x, y = tf.Variable([2.0, 2.0]), tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        z = y**2
    assert tape.gradient(z, [x, y])[0] is None
    for choice in ("zero", tf.UnconnectedGradients.ZERO):
        np.testing.assert_array_equal(tape.gradient(z, x, unconnected_gradients=choice), [0.0, 0.0])
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients: 'nope'"):
        tape.gradient(z, x, unconnected_gradients="nope")


# --- The tape as an object --------------------------------------------------------------------------------------------


def test_a_tape_that_is_not_persistent_is_used_once():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    for use in (tape.gradient, tape.jacobian):
        with pytest.raises(RuntimeError, match="A non-persistent GradientTape can only be used to compute one set of"):
            use(y, x)


def test_a_persistent_tape():
    x = tf.constant([1, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    np.testing.assert_array_equal(tape.gradient(z, x), [4.0, 108.0])
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 6.0])


def test_the_gradient_may_be_asked_for_inside_of_the_block():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        found = tape.gradient(y, x)
        tf.square(x)  # no longer recorded
    assert float(found) == 6.0


def test_a_persistent_tape_differentiates_its_own_gradients(warnings_logged):
    x = tf.constant(3.0)

    def derivatives():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x * x
            first = tape.gradient(y, x)
            second = tape.gradient(first, x)
            return first, second, tape.gradient(second, x)

    assert_both(derivatives, [27.0, 18.0, 6.0])


def test_stop_recording():
    x, y = tf.Variable(2.0), tf.Variable(3.0)

    def gradients():
        with tf.GradientTape() as tape:
            x_squared = x * x
            with tape.stop_recording():
                y_squared = y * y
            z = x_squared + y_squared
        return tape.gradient(z, [x, y])

    assert_both(gradients, [4.0, None])


def test_a_value_computed_while_recording_is_stopped_counts_as_constant():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        with tape.stop_recording():
            z = y * y
        w = y * z
    assert float(tape.gradient(w, x)) == 486.0


def test_stop_recording_needs_a_recording_tape():
    with pytest.raises(RuntimeError, match="Trying to stop recording a tape which is not recording"), (
        tf.GradientTape().stop_recording()
    ):
        pass
    with tf.GradientTape() as tape:
        pass
    with pytest.raises(ValueError, match="Tape is not recording"), tape.stop_recording():
        pass


def test_reset():
    x, y = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y_squared = y * y
        tape.reset()
        z = x * x + y_squared
    assert [variable is x for variable in tape.watched_variables()] == [True]
    assert [grad if grad is None else float(grad) for grad in tape.gradient(z, [x, y])] == [4.0, None]
    with pytest.raises(ValueError, match="Tape is not recording"):
        tf.GradientTape().reset()


def test_entering_again():
    x = tf.constant(3.0)
    tape = tf.GradientTape()
    with tape:
        tape.watch(x)
        y = x * x
        with pytest.raises(ValueError, match="Tape is still recording, This can happen if you try to re-enter"), tape:
            pass
    with tape:
        z = y * x
    assert float(tape.gradient(z, x)) == 27.0


def test_a_tape_must_be_entered():
    with pytest.raises(RuntimeError, match="The tape has not been entered"):
        tf.GradientTape().watch(tf.constant(1.0))


def test_what_is_no_target_or_source():
    x = tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
    with pytest.raises(TypeError, match="Argument `target` should be a list or nested structure of Tensors"):
        tape.gradient(None, x)
    with pytest.raises(TypeError, match="Sources must be tensors or variables, not 3.0"):
        tape.gradient(y, 3.0)


def test_several_tapes():
    x0, x1 = tf.constant(0.0), tf.constant(0.0)
    with tf.GradientTape() as tape0, tf.GradientTape() as tape1:
        tape0.watch(x0)
        tape1.watch(x1)
        y = tf.math.sin(x0) + tf.nn.sigmoid(x1)
    assert float(tape0.gradient(y, x0)) == 1.0
    assert float(tape1.gradient(y, x1)) == 0.25


def test_a_tape_does_not_see_other_threads():
    x, results = tf.constant(3.0), []
    with tf.GradientTape() as tape:
        tape.watch(x)
        thread = threading.Thread(target=lambda: results.append(x * x))
        thread.start()
        thread.join()
    assert tape.gradient(results[0], x) is None


def test_a_used_tape_lets_its_tensors_go():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        inner = x * x
        kept = weakref.ref(inner)
        y = inner * inner
        del inner
    gc.collect()
    assert kept() is not None
    tape.gradient(y, x)
    gc.collect()
    assert kept() is None


# --- IndexedSlices ----------------------------------------------------------------------------------------------------


def test_rows_of_a_variable():
    table = tf.Variable(tf.ones([4, 2]))
    with tf.GradientTape(persistent=True) as tape:
        y = tf.nn.embedding_lookup(table, [1, 1, 2])
        z = tf.gather(table, [0])
        w = y + tf.reduce_sum(table)
    grad = tape.gradient(y, table)
    assert isinstance(grad, tf.IndexedSlices)
    np.testing.assert_array_equal(grad.indices, [1, 1, 2])
    np.testing.assert_array_equal(grad.values, np.ones([3, 2]))
    np.testing.assert_array_equal(grad.dense_shape, [4, 2])
    np.testing.assert_array_equal(tape.gradient([y, z], table).indices, [0, 1, 1, 2])
    np.testing.assert_array_equal(tape.gradient(w, table), [[6, 6], [8, 8], [7, 7], [6, 6]])


def test_rows_of_a_variable_in_a_function():
    table = tf.Variable(tf.ones([4, 2]))

    @tf.function
    def lookup(indices):
        return tf.gather(table, indices) * 2.0

    with tf.GradientTape() as tape:
        y = lookup(tf.constant([1, 1]))
    grad = tf.convert_to_tensor(tape.gradient(y, table))
    np.testing.assert_array_equal(grad, [[0, 0], [4, 4], [0, 0], [0, 0]])


def test_what_consists_of_several_tensors():
    rows = tf.IndexedSlices(tf.constant([1.0, 2.0]), tf.constant([0, 2]), tf.constant([3]))
    sparse = tf.SparseTensor([[0, 1]], [1.0], [2, 2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(rows)
        y = rows.values * [3.0, 4.0]
    grad = tape.gradient(y, {"rows": rows})["rows"]
    np.testing.assert_array_equal(grad.values, [3.0, 4.0])
    assert grad.indices is rows.indices
    with pytest.raises(ValueError, match="Type SparseTensor is not supported as a gradient source or gradient target."):
        tape.gradient(y, sparse)


# --- Derivatives of derivatives ---------------------------------------------------------------------------------------


def test_second_derivative():
    x = tf.Variable(1.0)

    def derivatives():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                y = x * x * x
            first = inner.gradient(y, x)
        return first, outer.gradient(first, x)

    assert_both(derivatives, [3.0, 6.0])


def test_input_gradient_regularization():
    x, w = tf.constant([[0.5, -0.3]]), tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    def gradients():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(tf.tanh(x @ w))
            size = tf.norm(inner.gradient(y, x))
        return outer.gradient(size, w)

    found = both_modes(gradients)
    np.testing.assert_allclose(found[0], [[1.3643218, 1.2290993], [0.17062092, 0.37361348]], rtol=1e-5)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


@pytest.mark.parametrize("traced", [False, True])
def test_derivatives_through_functions(traced):
    v = tf.Variable(0.5)

    @tf.function
    def f(x):
        return tf.exp(x * v) + 1.0

    x = tf.constant(2.0)

    def derivatives():
        with tf.GradientTape() as third:
            third.watch(x)
            with tf.GradientTape() as second:
                second.watch(x)
                with tf.GradientTape() as first:
                    first.watch(x)
                    y = f(x)
                d1 = first.gradient(y, x)
            d2 = second.gradient(d1, x)
        return d1, d2, third.gradient(d2, x)

    found = tf.function(derivatives)() if traced else derivatives()
    np.testing.assert_allclose([float(d) for d in found], np.exp(1.0) * np.array([0.5, 0.25, 0.125]), rtol=1e-5)


def test_a_persistent_tape_over_a_function():
    v, x = tf.Variable(0.5), tf.constant(2.0)

    @tf.function
    def f(x):
        return tf.sin(tf.sin(x * v))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        derivatives = [f(x)]
        for _ in range(4):
            derivatives.append(tape.gradient(derivatives[-1], x))
    wanted = np.array([0.745624, 0.360039, -0.778396, 0.551847, 0.893220]) * 0.5 ** np.arange(5)
    np.testing.assert_allclose([float(item) for item in derivatives], wanted, rtol=1e-4)


def test_the_first_derivative_where_the_second_does_not_exist():
    v, x = tf.Variable(2.0), tf.constant([1.5])

    @tf.function
    def f(x):
        return tf.nn.lrn(tf.reshape(tf.exp(x) * v, [1, 1, 1, 1]))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    np.testing.assert_allclose(tape.gradient(y, x), [0.01221803], rtol=1e-4)


def test_variables_of_functions_are_watched():
    v = tf.Variable(2.0)

    @tf.function
    def f(x):
        return x * v

    @tf.function
    def g(w, x):
        return w * x

    with tf.GradientTape() as tape:
        y = f(tf.constant(3.0)) + g(v, tf.constant(4.0))
    assert [variable is v for variable in tape.watched_variables()] == [True]
    assert float(tape.gradient(y, v)) == 7.0


@pytest.mark.parametrize("traced", [False, True])
def test_second_derivatives_through_loops_and_conditions(traced):
    v = tf.Variable(0.7)

    @tf.function
    def f(x):
        y = x
        for turn in tf.range(3):
            if turn > 0:
                y = y * tf.cos(x)
            else:
                y = y + v * x * x
        return y

    def derivatives(function=f):
        x = tf.constant(1.2)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function(x)
            first = inner.gradient(y, [x, v])
        return first, outer.gradient(first[0], [x, v])

    found = tf.function(derivatives)() if traced else derivatives()
    x, w, c, s = 1.2, 0.7, np.cos(1.2) ** 2, np.sin(2.4)
    wanted = [
        (1 + 2 * w * x) * c - (x + w * x * x) * s,
        x * x * c,
        2 * w * c - 2 * (1 + 2 * w * x) * s - 2 * (x + w * x * x) * np.cos(2.4),
        2 * x * c - x * x * s,
    ]
    np.testing.assert_allclose([float(item) for item in tf.nest.flatten(found)], wanted, rtol=1e-5)


# --- tf.gradients and tf.hessians in functions ------------------------------------------------------------------------


def test_gradients_and_hessians_in_a_function():
    @tf.function
    def f(x):
        y = tf.reduce_sum(x**3)
        return tf.gradients(y, x)[0], tf.hessians(y, x)[0]

    first, second = f(tf.constant([1.0, 2.0]))
    np.testing.assert_allclose(first, [3.0, 12.0])
    np.testing.assert_allclose(second, [[6.0, 0.0], [0.0, 12.0]])


def test_options_of_gradients_in_a_function():
    other, v = tf.constant(1.0), tf.Variable(4.0)

    @tf.function
    def f(x):
        y = x * x
        return (
            tf.gradients(y, [x, other], unconnected_gradients="zero"),
            tf.gradients(y, x, grad_ys=tf.constant(3.0)),
            tf.gradients(x * x * x, x, stop_gradients=[x]),
            tf.gradients(v * v, v),
        )

    found = tf.nest.flatten(f(tf.constant(2.0)))
    np.testing.assert_allclose([float(grad) for grad in found[:3]], [4.0, 0.0, 12.0])
    np.testing.assert_allclose(float(found[-1]), 8.0)


@pytest.mark.parametrize("function", [tf.gradients, tf.hessians])
def test_gradients_need_a_graph(function):
    x = tf.constant(1.0)
    with pytest.raises(RuntimeError, match="not supported when eager execution is enabled. Use tf.GradientTape"):
        function(x, x)


def test_the_gradient_of_an_eager_tape_may_be_asked_for_in_a_function():
    v, x = tf.Variable(2.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = v * v * x
    found = tf.function(lambda: tape.gradient(y, [v, x]))()
    assert [grad.numpy() for grad in found] == [12.0, 4.0]
