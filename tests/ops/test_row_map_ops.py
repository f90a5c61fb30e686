"""`tf.vectorized_map`. Numbers are those of TensorFlow 2.21."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf

X = np.arange(12.0, dtype=np.float32).reshape(4, 3)


@pytest.fixture(params=["eager", "traced"])
def run(request):
    """Runs a function of no arguments at once, or traced."""
    return (lambda function: tf.function(function)()) if request.param == "traced" else lambda function: function()


def test_rows(run):
    found = run(lambda: tf.vectorized_map(lambda row: tf.tensordot(row, row, 1), tf.constant(X)))
    np.testing.assert_array_equal(found, [5, 50, 149, 302])


def test_structures(run):
    found = run(
        lambda: tf.vectorized_map(
            lambda row: {"sum": row["a"] + row["b"], "rest": (row["a"], tf.constant(3), 1.5)},
            {"a": tf.constant(X), "b": tf.ones([4])},
        )
    )
    np.testing.assert_array_equal(found["sum"], X + 1)
    np.testing.assert_array_equal(found["rest"][0], X)
    np.testing.assert_array_equal(found["rest"][1], [3, 3, 3, 3])
    np.testing.assert_array_equal(found["rest"][2], [1.5] * 4)


def test_no_result():
    assert tf.vectorized_map(lambda row: None, tf.constant(X)) is None


def test_a_single_row_stands_for_all(run):
    found = run(lambda: tf.vectorized_map(lambda rows: rows[0] + rows[1], (tf.constant(X), tf.ones([1, 3]))))
    np.testing.assert_array_equal(found, X + 1)


def test_no_rows(run):
    assert run(lambda: tf.vectorized_map(lambda row: row * 2.0, tf.zeros([0, 3]))).shape == [0, 3]


def test_variables_and_captured_tensors(run):
    v, c = tf.Variable(2.0), tf.constant([1.0, 2.0, 3.0])
    found = run(lambda: tf.vectorized_map(lambda row: row * v + c, tf.constant(X)))
    np.testing.assert_array_equal(found, X * 2 + [1, 2, 3])


def test_gradients(run):
    x, v = tf.constant(X), tf.Variable(2.0)

    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.vectorized_map(lambda row: tf.reduce_sum(tf.sin(row) * v), x)
        return tape.gradient(y, [x, v])

    by_x, by_v = run(compute)
    np.testing.assert_allclose(by_x, 2 * np.cos(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_v, np.sin(X).sum(), rtol=1e-4)


def test_gradients_of_rows_of_a_table(run):
    table = tf.Variable(tf.reshape(tf.range(8.0), [4, 2]))

    def compute():
        with tf.GradientTape() as tape:
            indices = tf.constant([[0, 1], [1, 1], [3, 0]])
            y = tf.vectorized_map(lambda row: tf.reduce_sum(tf.gather(table, row) ** 2), indices)
        return tf.convert_to_tensor(tape.gradient(y, table))

    np.testing.assert_array_equal(run(compute), [[0, 4], [12, 18], [0, 0], [12, 14]])


def test_second_derivatives(run):
    x = tf.constant(X / 10 + 0.1)

    def compute():
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.vectorized_map(lambda row: tf.reduce_prod(tf.sin(row)), x)
            first = inner.gradient(y, x)
        return outer.gradient(first, x)

    s, c = np.sin(X / 10 + 0.1), np.cos(X / 10 + 0.1)
    wanted = np.zeros_like(X)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        wanted[:, i] = -s[:, 0] * s[:, 1] * s[:, 2] + c[:, i] * (c[:, j] * s[:, k] + c[:, k] * s[:, j])
    np.testing.assert_allclose(run(compute), wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_each_example(run):
    """What it is made for: a gradient for each example of a batch."""
    w = tf.Variable(np.random.RandomState(0).randn(3, 2).astype(np.float32))

    def of_example(row):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.tanh(row[None] @ w))
        return tape.gradient(loss, w)

    found = run(lambda: tf.vectorized_map(of_example, tf.constant(X)))
    wanted = np.einsum("bi,bo->bio", X, 1 - np.tanh(X @ w.numpy()) ** 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_nested(run):
    found = run(lambda: tf.vectorized_map(lambda a: tf.vectorized_map(lambda b: a * b, tf.range(3.0)), tf.range(2.0)))
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 1, 2]])


def test_random_numbers_differ_from_row_to_row(run):
    found = np.asarray(run(lambda: tf.vectorized_map(lambda _: tf.random.uniform([2]), tf.range(3))))
    assert found.shape == (3, 2) and len(np.unique(found)) == 6


def test_what_runs_on_the_host(run):
    found = run(lambda: tf.vectorized_map(lambda text: tf.strings.join([text, "!"]), tf.constant(["a", "b"])))
    assert found.numpy().tolist() == [b"a!", b"b!"]


def test_shapes_that_depend_on_data(run):
    x = tf.constant([[1.0, -1.0], [2.0, 3.0]])
    found = run(lambda: tf.vectorized_map(lambda row: tf.reduce_sum(tf.boolean_mask(row, row > 0.0)), x))
    np.testing.assert_array_equal(found, [1.0, 5.0])


def test_a_check_that_fails_in_a_row(run):
    table, indices = tf.constant([1.0, 2.0]), tf.constant([0, 1, 5])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices = 5 is not in \[0, 2\)"):
        run(lambda: tf.vectorized_map(lambda index: tf.gather(table, index), indices))


@pytest.mark.parametrize(
    ("elems", "message"),
    [
        ([], "needs at least one tensor"),
        (tf.constant(1.0), "need a first dimension; received a scalar"),
        ((tf.ones([4]), tf.ones([3])), r"must have equal first dimensions; received \[4, 3\]"),
    ],
)
def test_elems_that_do_not_suit(elems, message):
    with pytest.raises(ValueError, match=message):
        tf.vectorized_map(lambda row: row, elems)
