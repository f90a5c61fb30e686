"""One call in the place of several: which are joined, and that results stay what they are."""
from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.runtime.fusion import fused
from millstream.runtime.interpreter import Call
from millstream.runtime.plan import make_plan

RNG = np.random.RandomState(0)
IMAGES = RNG.randn(2, 7, 6, 3).astype(np.float32)
FILTERS = RNG.randn(3, 3, 3, 5).astype(np.float32)
BIAS = RNG.randn(5).astype(np.float32)


def kinds(*fetches):
    """The types of the calls that compute some tensors, after fusion."""
    plan = make_plan(tf.get_default_graph(), fetches, [], [])
    (stage,) = plan.steps
    calls = [Call(op) for op in stage.ops]
    return [call.op.type for call in fused(calls, (*stage.outputs, *stage.inputs, *stage.folded))]


def inputs():
    """Images, filters and a bias as variables, so that nothing is computed beforehand."""
    return [tf.Variable(value).read_value() for value in (IMAGES, FILTERS, BIAS)]


def run(fetches):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches)


def convolution():
    images, filters, bias = inputs()
    result = tf.nn.conv2d(images, filters, [1, 1, 1, 1], "SAME")
    return result, bias


@pytest.mark.parametrize("activation", [tf.identity, tf.nn.relu, tf.nn.relu6, tf.tanh])
@pytest.mark.parametrize("add", [tf.nn.bias_add, tf.add])
def test_convolution_bias_activation(activation, add):
    result, bias = convolution()
    whole = activation(add(result, bias) * 1)
    joined = activation(add(result, bias))
    assert "_FusedConv2D" in kinds(joined)
    assert ("Relu" in kinds(joined), "Relu6" in kinds(joined)) == (False, False)
    apart, together = run([whole, joined]), run(joined)
    np.testing.assert_allclose(apart[0], together, rtol=1e-6, atol=1e-6)


def test_what_others_need_is_not_joined():
    result, bias = convolution()
    biased = tf.nn.bias_add(result, bias)
    assert "_FusedConv2D" not in kinds(result, biased)
    assert "_FusedConv2D" not in kinds(biased, tf.exp(result))
    assert kinds(biased, tf.nn.relu(biased)).count("Relu") == 1


def test_other_additions_are_not_joined():
    result, _ = convolution()
    row = tf.Variable(RNG.randn(6, 1).astype(np.float32)).read_value()
    assert "_FusedConv2D" not in kinds(result + row)
    assert "_FusedConv2D" not in kinds(result + result)


def test_a_fed_result_is_used():
    images, filters, bias = inputs()
    result = tf.nn.conv2d(images, filters, [1, 1, 1, 1], "VALID")
    joined = tf.nn.relu(tf.nn.bias_add(result, bias))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        fed = session.run(joined, {result: np.zeros([2, 5, 4, 5])})
    np.testing.assert_allclose(fed, np.broadcast_to(np.maximum(BIAS, 0), fed.shape))


def fed(fetches, feeds):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feeds)


@pytest.mark.parametrize("wrong", [(1,), (2, 2), (3,)])
def test_a_bias_of_another_shape_is_refused(wrong):
    images = tf.Variable(np.ones([1, 4, 4, 3], np.float32)).read_value()
    bias = tf.placeholder(tf.float32)
    result = tf.nn.conv2d(images, tf.Variable(np.ones([3, 3, 3, 4], np.float32)).read_value(), 1, "SAME")
    joined = tf.nn.relu(tf.nn.bias_add(result, bias))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Must provide as many biases"):
        fed(joined, {bias: np.ones(wrong)})


def test_a_fed_moment_is_used():
    y, mean, _ = tf.nn.fused_batch_norm(features().read_value(), tf.ones([4]), tf.ones([4]))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found, _ = session.run([mean * 1.0, tf.nn.relu(y)], {mean: np.full(4, 7.0)})
    np.testing.assert_array_equal(found, np.full(4, 7.0))


def test_sides_that_turn_out_to_broadcast():
    x, side = (tf.placeholder(tf.float32, [None, 4, 4, 8]) for _ in range(2))
    y, *_ = tf.nn.fused_batch_norm(x, tf.ones([8]), tf.ones([8]))
    feeds = {x: RNG.randn(1, 4, 4, 8), side: RNG.randn(3, 4, 4, 8)}
    joined, apart = fed(tf.nn.relu(y + side), feeds), fed([tf.nn.relu(y + side), y], feeds)[0]
    assert joined.shape == (3, 4, 4, 8)
    np.testing.assert_allclose(joined, apart, rtol=1e-5, atol=1e-6)


def features(channels=4):
    """Images between two layers, as a variable."""
    return tf.Variable(RNG.randn(2, 6, 6, channels).astype(np.float32))


def gradients(result, *sources):
    """Gradients of some function of a result that does not come from a kernel with a pattern."""
    weights = tf.constant(RNG.randn(*result.shape.as_list()).astype(np.float32))
    return tf.gradients(tf.reduce_sum(weights * result), sources)


def test_relu_and_pooling():
    source = features()
    relu = tf.nn.relu(source * 1.5)
    pooled = tf.nn.max_pool(relu, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    (found,) = gradients(pooled, source)
    assert "_ReluMaxPoolGrad" in kinds(found)
    apart = [op.outputs[0] for op in found.graph.get_operations() if op.type in ("MaxPoolGrad", "ReluGrad")]
    assert "_ReluMaxPoolGrad" not in kinds(found, *apart)
    np.testing.assert_allclose(run(found), run([found, *apart])[0], rtol=1e-6)


def norm(images, training=True):
    scale, offset = (tf.Variable(RNG.rand(4).astype(np.float32)) for _ in range(2))
    moments = [] if training else [tf.Variable(RNG.rand(4).astype(np.float32)) for _ in range(2)]
    result, *_ = tf.nn.fused_batch_norm(images, scale, offset, *moments, is_training=training)
    return result, scale, offset


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("side", [True, False])
def test_batch_norm(training, relu, side):
    source, other = features(), features()
    result, scale, offset = norm(source * 2.0, training)
    end = result + other.read_value() if side else result
    end = tf.nn.relu(end) if relu else tf.identity(end)
    joined = gradients(end, source, scale, offset, *[other] * side)
    with_norm = [end, *joined]
    assert ("_FusedBatchNormEx" in kinds(*with_norm)) == (relu or side)
    assert ("_ReluFusedBatchNormGrad" in kinds(*with_norm)) == relu
    together, apart = run(with_norm), run([*with_norm, result])
    for a, b in zip(together, apart, strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_sums_that_broadcast_are_not_joined():
    source, row = features(), tf.Variable(np.ones([1, 6, 6, 4], np.float32))
    result, *_ = norm(source * 2.0)
    assert "_FusedBatchNormEx" not in kinds(result + row.read_value())


def test_training_goes_the_same_way():
    """A small network trained by one program for each step and by one that hands out what lies between."""
    images, labels = tf.constant(IMAGES), tf.constant([0, 1])
    filters = tf.Variable(FILTERS[..., :2])
    bias = tf.Variable(BIAS[:2])
    biased = tf.nn.bias_add(tf.nn.conv2d(images, filters, 1, "SAME"), bias)
    logits = tf.reduce_mean(tf.nn.relu(biased), [1, 2])
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    ends = []
    for watched in ([], [biased]):
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for _ in range(5):
                found = session.run([step, loss, *watched])[1]
            ends.append(found)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)
