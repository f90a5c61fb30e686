"""Operations of neural networks as far as the golden tests do not go: second derivatives, dtypes, shapes."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numeric import assert_gradients

import millstream.v1 as tf
from millstream.core.opdef import find


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        return session.run(fetches, feed)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape)


def probabilities(*shape: int) -> np.ndarray:
    weights = abs(noise(*shape, seed=1))
    return weights / weights.sum(-1, keepdims=True)


def derivative(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives the gradient by its first argument, squared so that it depends on all others."""
    return lambda x, *more: tf.gradients(function(x, *more) ** 2, x)[0]


# --- Gradients of gradients -----------------------------------------------------------------------------------

ACTIVATIONS = ["relu", "relu6", "leaky_relu", "elu", "selu", "softplus", "softsign", "swish"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_derivative_of_activation(name: str) -> None:
    assert_gradients(derivative(getattr(tf.nn, name)), noise(9) * 4)


@pytest.mark.parametrize("function", [tf.nn.softmax, tf.nn.log_softmax, tf.nn.l2_loss, tf.nn.l2_normalize])
def test_second_derivative_of_one_tensor(function: Callable[..., Any]) -> None:
    assert_gradients(derivative(function), noise(3, 4))


def test_second_derivative_of_cross_entropies() -> None:
    labels = probabilities(3, 4)

    def softmax(logits: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)

    def sigmoid(logits: Any, labels: Any) -> Any:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)

    assert_gradients(derivative(softmax), noise(3, 4))
    assert_gradients(derivative(sigmoid), noise(3, 4), noise(3, 4, seed=1))


def test_second_derivative_of_sparse_cross_entropy_is_refused() -> None:
    logits = tf.placeholder(tf.float32, [2, 3])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=logits)
    (grad,) = tf.gradients(loss, logits)
    with pytest.raises(LookupError, match="no way to take the second derivative"):
        tf.gradients(grad, logits)


@pytest.mark.parametrize(("shape", "data_format"), [((3, 4), None), ((2, 4, 3, 2), "NCHW"), ((2, 3, 2, 4), "NHWC")])
def test_second_derivative_of_bias_add(shape: tuple[int, ...], data_format: str | None) -> None:
    def by_bias(bias: Any, value: Any) -> Any:
        return tf.nn.bias_add(value, bias, data_format)

    assert_gradients(derivative(by_bias), noise(4), noise(*shape, seed=1))


def test_gradient_of_top_k_goes_to_the_places_found() -> None:
    assert_gradients(lambda x: tf.nn.top_k(x, 2).values, noise(3, 2, 5))
    assert_gradients(lambda x: tf.nn.top_k(x, 2).values, noise(3, 5), shapes=[None])


def test_softmax_labels_that_are_broadcast_get_the_sum() -> None:
    op = find("SoftmaxCrossEntropyWithLogits")
    assert_gradients(lambda logits: op(logits, probabilities(1, 4))[0], noise(3, 4))
    assert_gradients(lambda labels: op(noise(3, 4), labels)[0], probabilities(1, 4))


# --- Kernels --------------------------------------------------------------------------------------------------

UNARY = ["Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign", "Softmax", "LogSoftmax", "L2Loss"]


@pytest.mark.parametrize("op_type", UNARY)
def test_dtypes_with_numpy_and_jax(op_type: str) -> None:
    import jax.numpy as jnp

    definition = find(op_type)
    attrs = {name: spec.default for name, spec in definition.attrs.items() if name in definition.kernel_attrs}
    for dtype in definition.attrs["T"].allowed:
        if dtype.name == "qint8":
            continue
        array = np.array([[3, 0, 7, 1], [2, 5, 0, 9]]).astype(dtype.as_numpy_dtype)
        with_numpy = np.asarray(definition.kernel(np, array, **attrs)).astype(np.float64)
        with_jax = np.asarray(definition.kernel(jnp, jnp.asarray(array), **attrs)).astype(np.float64)
        half = dtype.as_numpy_dtype in (np.float16, ml_dtypes.bfloat16)
        np.testing.assert_allclose(with_numpy, with_jax, rtol=0.02 if half else 1e-6, atol=1e-2 if half else 1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8", "int64"])
def test_top_k_of_equals_takes_the_first(dtype: str) -> None:
    x = np.array([[3, 1, 3, 2, 0], [7, 7, 7, 7, 7]], dtype)
    fed = tf.placeholder(dtype, x.shape)
    for values, places in (run(tf.nn.top_k(x, 3)), run(tf.nn.top_k(fed, 3), {fed: x})):
        np.testing.assert_array_equal(values, [[3, 3, 2], [7, 7, 7]])
        np.testing.assert_array_equal(places, [[0, 2, 3], [0, 1, 2]])


def test_top_k_whose_k_is_fed() -> None:
    k = tf.placeholder(tf.int32, [])
    top = tf.nn.top_k([1.0, 9.0, 4.0], k)
    assert top.values.shape.as_list() == [None]
    assert run(top.values, {k: 2}).tolist() == [9.0, 4.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="input must have at least k columns"):
        run(top.values, {k: 4})


def test_in_top_k_of_rows_that_are_not_finite() -> None:
    predictions = np.array([[1, 2, 3], [3, 2, 1], [np.inf, 1, 2], [1, 1, 1], [1, 2, np.nan]], np.float32)
    assert run(tf.nn.in_top_k(predictions, [1, 2, 1, 2, 1], 2)).tolist() == [True, False, False, True, False]
    assert run(tf.nn.in_top_k(predictions[:2], [3, -1], 2)).tolist() == [False, False]


def test_bias_of_the_wrong_length_is_not_broadcast() -> None:
    value, bias = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Must provide as many biases"):
        run(tf.nn.bias_add(value, bias), {value: np.ones([2, 3]), bias: [1.0]})


def test_local_response_normalization() -> None:
    x = noise(2, 3, 2, 7).astype(np.float32)
    squares = np.stack([(x[..., max(d - 2, 0) : d + 3] ** 2).sum(-1) for d in range(7)], -1)
    fed = tf.placeholder(tf.float32, x.shape)
    found = tf.nn.lrn(fed, depth_radius=2, bias=1.5, alpha=0.3, beta=0.7)
    np.testing.assert_allclose(run(found, {fed: x}), x / (1.5 + 0.3 * squares) ** 0.7, rtol=1e-5)
    weights = (abs(np.subtract.outer(range(7), range(7))) <= 2).astype(np.float32)
    sums = tf.tensordot(fed * fed, weights, 1)
    composed = fed * (1.5 + 0.3 * sums) ** -0.7
    found_grad, wanted_grad = run([tf.gradients(y, fed)[0] for y in (found, composed)], {fed: x})
    np.testing.assert_allclose(found_grad, wanted_grad, rtol=1e-4, atol=1e-5)


# --- Batch normalisation --------------------------------------------------------------------------------------


def _composed(x: Any, scale: Any, offset: Any) -> Any:
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3)


def test_fused_batch_norm_is_the_composed_one() -> None:
    arrays = [noise(2, 5, 4, 3).astype(np.float32), noise(3, seed=1), noise(3, seed=2)]
    inputs = [tf.placeholder(tf.float32, array.shape) for array in arrays]
    feed = dict(zip(inputs, arrays, strict=True))
    fused, mean, variance = tf.nn.fused_batch_norm(*inputs)
    weights = noise(2, 5, 4, 3, seed=3).astype(np.float32)
    for y in (fused, _composed(*inputs)):
        grads = tf.gradients(y, inputs, weights)
        second = tf.gradients(tf.add_n([tf.reduce_sum(grad**2) for grad in grads]), inputs[:2])
        tf.add_to_collection("found", [y, *grads, *second])
    found, wanted = run(tf.get_collection("found"), feed)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    statistics = run([mean, variance], feed)
    np.testing.assert_allclose(statistics[0], arrays[0].mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics[1], arrays[0].var((0, 1, 2), ddof=1), rtol=1e-4)


def test_fused_batch_norm_of_channels_first_and_while_not_training() -> None:
    x, scale, offset, mean, variance = noise(2, 5, 4, 3), noise(3), noise(3), noise(3), abs(noise(3)) + 1
    arguments = [array.astype(np.float32) for array in (scale, offset, mean, variance)]
    images = tf.placeholder(tf.float32, x.shape)
    last = tf.nn.fused_batch_norm(images, *arguments, is_training=False)[0]
    moved = tf.transpose(images, [0, 3, 1, 2])
    first = tf.nn.fused_batch_norm(moved, *arguments, is_training=False, data_format="NCHW")[0]
    found = run([last, tf.transpose(first, [0, 2, 3, 1]), *tf.gradients([last, first], images)], {images: x})
    wanted = (x - mean) / np.sqrt(variance + 1e-3) * scale + offset
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], wanted, rtol=1e-4, atol=1e-5)
    factor = 2 * scale / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(found[2], np.broadcast_to(factor, x.shape), rtol=1e-4)


# --- Shapes that are not known, and bad values ----------------------------------------------------------------


def test_sparse_cross_entropy_of_unknown_shapes() -> None:
    logits, labels = tf.placeholder(tf.float32), tf.placeholder(tf.int32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    assert loss.shape.ndims is None
    assert run(loss, {logits: np.zeros([2, 3, 4]), labels: np.ones([2, 3])}).shape == (2, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(loss, {logits: np.zeros([2, 3, 4]), labels: np.ones([3, 2])})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"label value of 4 .* valid range of \[0, 4\)"):
        run(loss, {logits: np.zeros([2, 4]), labels: [1, 4]})


def test_softmax_over_an_axis_of_a_tensor_of_unknown_rank() -> None:
    x = tf.placeholder(tf.float32)
    value = noise(2, 3, 4)
    wanted = np.exp(value) / np.exp(value).sum(1, keepdims=True)
    for axis in (1, -2):
        np.testing.assert_allclose(run(tf.nn.softmax(x, axis=axis), {x: value}), wanted, rtol=1e-5)


def test_partitioned_embedding_of_unknown_sizes() -> None:
    tables = [tf.placeholder(tf.float32, [None, 2]), tf.placeholder(tf.float32)]
    ids = tf.placeholder(tf.int32, [None, None])
    rows = tf.nn.embedding_lookup(tables, ids, partition_strategy="div")
    assert rows.shape.as_list() == [None, None, 2]
    whole = noise(5, 2).astype(np.float32)
    feed = {tables[0]: whole[:3], tables[1]: whole[3:], ids: [[4, 0], [2, 3]]}
    np.testing.assert_array_equal(run(rows, feed), whole[[[4, 0], [2, 3]]])


def test_embedding_of_variables_has_sparse_gradients() -> None:
    for use_resource in (False, True):
        table = tf.get_variable(f"table{use_resource}", initializer=np.eye(3), use_resource=use_resource)
        (grad,) = tf.gradients(tf.nn.embedding_lookup(table, [2, 2]), table)
        assert isinstance(grad, tf.IndexedSlices)


def test_dropout_leaves_the_mean() -> None:
    x = tf.ones([100, 100])
    kept = run(tf.nn.dropout(x, keep_prob=tf.placeholder_with_default(0.25, []), seed=1))
    assert set(np.unique(kept)) == {0.0, 4.0}
    assert abs(kept.mean() - 1) < 0.05


def test_leaky_relu_of_a_tensor_as_alpha_is_refused() -> None:
    with pytest.raises(TypeError, match="Expected float for argument 'alpha'"):
        tf.nn.leaky_relu([1.0], tf.constant(0.1))
