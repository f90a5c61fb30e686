"""`GradientTape.jacobian` and `batch_jacobian`. Numbers are those of TensorFlow 2.21, or of the mathematics."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf


@pytest.fixture(params=["eager", "traced"])
def run(request):
    """Runs a function of no arguments at once, or traced."""
    return (lambda function: tf.function(function)()) if request.param == "traced" else lambda function: function()


def test_of_a_scalar_source(run):
    delta = tf.Variable(0.0)
    x = np.linspace(-2.0, 2.0, 5, dtype=np.float32)

    def compute():
        with tf.GradientTape() as tape:
            y = tf.nn.sigmoid(x + delta)
        return tape.jacobian(y, delta)

    sigmoid = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(run(compute), sigmoid * (1 - sigmoid), rtol=1e-5)


def test_of_tensor_sources(run):
    x = tf.constant(np.random.RandomState(0).randn(7, 5))
    w, b = tf.Variable(np.random.RandomState(1).randn(5, 3)), tf.Variable(np.zeros(3))

    def compute():
        with tf.GradientTape(persistent=True) as tape:
            y = tf.tanh(x @ w + b)
        whole, total = tape.jacobian(y, {"w": w, "b": b}), tape.gradient(y, w)
        return y, whole, total

    y, found, gradient = run(compute)
    slope = 1 - np.asarray(y) ** 2
    assert found["w"].shape == [7, 3, 5, 3] and found["b"].shape == [7, 3, 3]
    np.testing.assert_allclose(found["b"], slope[:, :, None] * np.eye(3), rtol=1e-9)
    np.testing.assert_allclose(found["w"], np.einsum("ni,no,op->noip", x.numpy(), slope, np.eye(3)), rtol=1e-9)
    np.testing.assert_allclose(np.sum(found["w"], axis=(0, 1)), gradient, rtol=1e-9)


def test_of_a_scalar_target(run):
    x = tf.constant([1.0, 2.0, 3.0])

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(x * x)
        return tape.jacobian(y, x)

    np.testing.assert_array_equal(run(compute), [2.0, 4.0, 6.0])


def test_through_convolution_and_pooling(run):
    images = tf.constant(np.random.RandomState(0).randn(2, 4, 4, 2))
    filters = tf.Variable(np.random.RandomState(1).randn(3, 3, 2, 2))

    def compute():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            y = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(images, filters, 1, "SAME")), 2, 2, "VALID")
            rows = [tape.gradient(y[1, 0, 1, 1], source) for source in (images, filters)]
        return tape.jacobian(y, [images, filters]), rows

    found, rows = run(compute)
    for jacobian, row in zip(found, rows, strict=True):
        assert jacobian.shape == [2, 2, 2, 2, *row.shape]
        np.testing.assert_allclose(jacobian[1, 0, 1, 1], row, rtol=1e-9)


def test_hessian(run):
    x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    def compute():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(x**3)
            gradient = inner.gradient(loss, x)
        return outer.jacobian(gradient, x)

    np.testing.assert_allclose(tf.reshape(run(compute), [4, 4]), np.diag([6.0, 12.0, 18.0, 24.0]))


def test_a_newton_step():
    """The example of the guide on advanced differentiation: a step with the Hessian of a layer."""
    x = tf.constant(np.random.RandomState(0).randn(7, 5))
    w = tf.Variable(np.random.RandomState(1).randn(5, 1))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_mean((x @ w - 1.0) ** 2)
        gradient = inner.gradient(loss, w)
    hessian = tf.reshape(outer.jacobian(gradient, w), [5, 5])
    w.assign_sub(tf.linalg.solve(hessian, gradient))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x @ w - 1.0) ** 2)
    np.testing.assert_allclose(tape.gradient(loss, w), np.zeros([5, 1]), atol=1e-12)


def test_derivatives_of_jacobians(run):
    x = tf.Variable([0.1, 0.2, 0.3], dtype=tf.float64)

    def compute():
        with tf.GradientTape(persistent=True) as outer:
            with tf.GradientTape() as inner:
                y = tf.sin(x) * x
            jacobian = inner.jacobian(y, x)
            loss = tf.reduce_sum(jacobian * jacobian)
        return outer.gradient(loss, x), outer.jacobian(jacobian, x)

    values = np.array([0.1, 0.2, 0.3])
    first = np.sin(values) + values * np.cos(values)
    second = 2 * np.cos(values) - values * np.sin(values)
    gradient, jacobian = run(compute)
    np.testing.assert_allclose(gradient, 2 * first * second)
    np.testing.assert_allclose(jacobian, np.einsum("i,ij,ik->ijk", second, np.eye(3), np.eye(3)))


def test_of_a_loop(run):
    x = tf.constant([0.5, 1.5])

    @tf.function
    def f(x):
        y = x
        for turn in tf.range(3):
            if turn > 0:
                y = y * y
            else:
                y = y + x
        return y

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.jacobian(y, x)

    np.testing.assert_allclose(run(compute), np.diag(4 * 2.0**4 * x.numpy() ** 3))


def test_of_a_function(run):
    x = tf.constant([1.0, 2.0])

    @tf.function
    def f(x):
        return tf.stack([x[0] * x[1], tf.exp(x[0])])

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x) * x
        return tape.jacobian(y, x)

    np.testing.assert_allclose(run(compute), [[4.0, 1.0], [2 * np.e, np.e]], rtol=1e-6)


def test_rows_of_a_table_become_dense(run):
    table = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def compute():
        with tf.GradientTape() as tape:
            y = tf.gather(table, [2, 2, 0])[:, 0] * 2.0
        return tape.jacobian(y, table)

    wanted = np.zeros([3, 3, 2])
    wanted[0, 2, 0] = wanted[1, 2, 0] = wanted[2, 0, 0] = 2.0
    np.testing.assert_array_equal(run(compute), wanted)


def test_complex_numbers():
    z = tf.constant([1 + 2j, 3 - 1j], tf.complex64)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = z * z
    np.testing.assert_allclose(tape.jacobian(y, z), np.diag([2 - 4j, 6 + 2j]))


def test_no_elements():
    x = tf.zeros([0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * 2.0
    assert tape.jacobian(y, x).shape == [0, 0]


def test_integers():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(x, tf.int32)
    assert tape.jacobian(y, x) is None


def test_sources_without_a_path(run):
    x, other = tf.constant([1.0, 2.0]), tf.constant([[1.0]])

    def compute(**options):
        with tf.GradientTape() as tape:
            tape.watch([x, other])
            y = x * x
        return tape.jacobian(y, [x, other], **options)

    assert run(compute)[1] is None
    np.testing.assert_array_equal(run(lambda: compute(unconnected_gradients="zero"))[1], np.zeros([2, 1, 1]))


# --- How rows are computed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"parallel_iterations": 2}, {"experimental_use_pfor": False}])
def test_some_rows_at_a_time(run, options):
    x = tf.constant([1.0, 2.0, 3.0])

    def compute():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
        return tape.jacobian(y, x, **options)

    np.testing.assert_array_equal(run(compute), np.diag([2.0, 4.0, 6.0]))


def test_row_by_row_needs_a_persistent_tape():
    x = tf.constant([[1.0, 2.0]])
    for method in ("jacobian", "batch_jacobian"):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        with pytest.raises(RuntimeError, match=f"persistent=True to compute the {method} with eager execution"):
            getattr(tape, method)(y, x, experimental_use_pfor=False)


def test_python_code_on_the_way(run):
    x = tf.constant([1.0, 2.0])

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.py_function(lambda a: a * a, [x], tf.float32)
            y.set_shape([2])
        return tape.jacobian(y, x)

    np.testing.assert_array_equal(run(compute), np.diag([2.0, 4.0]))


def test_a_used_tape():
    x = tf.constant([1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.jacobian(y, x)  # ends the recording
    with pytest.raises(RuntimeError, match="can only be used to compute one set of gradients"):
        tape.gradient(y, x)


def test_one_target():
    x = tf.constant([1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(TypeError, match="The target of a Jacobian must be one tensor"):
        tape.jacobian([y], x)


# --- Batches ----------------------------------------------------------------------------------------------------------


def test_batch_jacobian(run):
    x = tf.constant(np.random.RandomState(0).randn(7, 5))
    w = tf.Variable(np.random.RandomState(1).randn(5, 6))

    def compute():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.nn.elu(x @ w)
        return tape.batch_jacobian(y, x), tape.jacobian(y, x)

    batch, whole = run(compute)
    assert batch.shape == [7, 6, 5]
    np.testing.assert_allclose(batch, np.einsum("bxby->bxy", whole))


def test_batch_jacobian_of_examples_that_depend_on_each_other():
    """It gives a result, which is not the Jacobian of anything: the guide warns of it."""
    x = tf.constant(np.random.RandomState(0).randn(7, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x / tf.norm(x, axis=0, keepdims=True)
    assert tape.batch_jacobian(y, x).shape == [7, 5, 5]


def test_batches_of_images(run):
    images = tf.constant(np.random.RandomState(0).randn(2, 3, 3, 2))

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(images)
            y = tf.reduce_sum(images**2, axis=[1])
        return tape.batch_jacobian(y, images)

    wanted = np.einsum("bhwc,wv,cd->bvdhwc", 2 * images.numpy(), np.eye(3), np.eye(2))
    np.testing.assert_allclose(run(compute), wanted)


def test_batches_of_unknown_size():
    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        found = tape.batch_jacobian(y, x)
        assert found.shape.as_list() == [None, None, None]
        return found

    for shape in ([3, 2], [1, 4]):
        x = np.arange(float(np.prod(shape)), dtype=np.float32).reshape(shape)
        np.testing.assert_allclose(compute(x), np.einsum("bi,ij->bij", 2 * x, np.eye(shape[1])))


def test_unknown_size():
    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        found = tape.jacobian(y, x)
        assert found.shape.as_list() == [None, 2, None, 2]
        return found

    x = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(np.reshape(compute(x), [6, 6]), np.diag(2 * x.ravel()))


def test_batches_without_a_path():
    x, other = tf.ones([3, 2]), tf.ones([3, 4])
    with tf.GradientTape() as tape:
        tape.watch([x, other])
        y = x * x
    np.testing.assert_array_equal(tape.batch_jacobian(y, other), np.zeros([3, 2, 4]))


@pytest.mark.parametrize(
    ("target", "source", "message"),
    [
        ([3], [3], r"Shape \(3,\) must have rank at least 2"),
        ([3, 2], [3], r"Shape \(3,\) must have rank at least 2"),
        ([3, 2], [4, 2], r"Need first dimension of target shape \(\(3, 2\)\) and source shape \(\(4, 2\)\) to match"),
    ],
)
def test_shapes_that_are_no_batches(target, source, message):
    y, x = tf.ones(target), tf.ones(source)
    with tf.GradientTape() as tape:
        tape.watch([y, x])
    with pytest.raises(ValueError, match=message):
        tape.batch_jacobian(y, x)


def test_unknown_rank_is_no_batch():
    @tf.function(input_signature=[tf.TensorSpec(None)])
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.batch_jacobian(y, x)

    with pytest.raises(ValueError, match="Need first dimension of target shape"):
        compute(tf.ones([2, 2]))
