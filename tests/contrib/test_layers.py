"""`tf.contrib.layers`: what golden cases do not show."""
from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.contrib.layers.optimizers import adaptive_clipping_fn
from millstream.contrib.layers.scopes import convert_collection_to_dict, gather_tensors_aliases

layers = tf.contrib.layers


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def test_names_of_end_points():
    with tf.variable_scope("net"):
        net = layers.conv2d(tf.ones([1, 4, 4, 2]), 3, 3, outputs_collections="ends")
        flat = layers.flatten(net, outputs_collections="ends")
        layers.fully_connected(flat, 2, outputs_collections="ends", scope="fc")
    tf.add_to_collection("ends", tf.constant(1.0, name="plain"))
    assert gather_tensors_aliases(tf.get_collection("ends")) == ["net/Conv", "net/Flatten", "net/fc", "plain"]
    found = convert_collection_to_dict("ends", clear_collection=True)
    assert found["net/Conv"] is net and len(found) == 4
    assert tf.get_collection("ends") == []


def test_layers_obey_argument_scopes():
    with tf.contrib.framework.arg_scope([layers.fully_connected], activation_fn=None, biases_initializer=None):
        first = layers.fully_connected(tf.ones([1, 2]), 3)
        second = layers.relu(tf.ones([1, 2]), 3)  # what it gives itself goes before
    assert first.op.type == "MatMul" and second.op.type == "Relu"
    assert [v.name for v in tf.global_variables()] == ["fully_connected/weights:0", "fully_connected_1/weights:0"]


def test_a_collection_is_one_name():
    layers.bias_add(tf.ones([1, 2]), variables_collections="mine")
    assert [v.name for v in tf.get_collection("mine")] == ["BiasAdd/biases:0"]


def test_variables_of_the_scope_around():
    """Custom getters and reuse of scopes around reach the layers' variables."""
    seen = []

    def getter(getter, name, **kwargs):
        seen.append(name)
        return getter(name, **kwargs)

    with tf.variable_scope("a", custom_getter=getter, initializer=tf.ones_initializer()):
        layers.fully_connected(tf.ones([1, 2]), 3, weights_initializer=None)
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE):
        layers.fully_connected(tf.ones([1, 2]), 3, scope="fully_connected")
        layers.fully_connected(tf.ones([1, 2]), 3, scope="other")
    assert seen == ["a/fully_connected/weights", "a/fully_connected/biases"]
    assert [v.op.name for v in tf.contrib.framework.get_model_variables()] == [
        "a/fully_connected/weights", "a/fully_connected/biases", "a/other/weights", "a/other/biases",
    ]  # fmt: skip


def test_regularizer_of_shared_weights_counts_once():
    x, regularizer = tf.ones([1, 2]), layers.l2_regularizer(0.5)
    layers.fully_connected(x, 3, scope="fc", weights_regularizer=regularizer)
    layers.fully_connected(x, 3, scope="fc", reuse=True, weights_regularizer=regularizer)
    assert len(tf.losses.get_regularization_losses()) == 1


def test_batch_norm_follows_the_phase():
    phase, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [None, 1])
    y = layers.batch_norm(x, is_training=phase, updates_collections=None, decay=0.5, center=False)
    values = np.array([[1.0], [3.0]], np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(20):
            trained = session.run(y, {x: values, phase: True})
        inferred = session.run(y, {x: values, phase: False})
    np.testing.assert_allclose(trained, [[-1.0], [1.0]], atol=1e-3)
    np.testing.assert_allclose(inferred, np.array([[-1.0], [1.0]]) / np.sqrt(2.0), atol=1e-3)  # the unbiased variance


def test_adaptive_clipping_holds_back_an_outlier():
    scale, w = tf.placeholder(tf.float32, []), tf.get_variable("w", [2], initializer=tf.zeros_initializer())
    clip = adaptive_clipping_fn(decay=0.9, report_summary=True)
    train = layers.optimize_loss(scale * tf.reduce_sum(w), None, 1.0, "SGD", clip_gradients=clip)
    tags = [op.name for op in tf.get_default_graph().get_operations() if op.type == "ScalarSummary"]
    assert "OptimizeLoss/global_norm/adaptive_max_gradient_norm" in tags
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(60):
            session.run(train, {scale: 1.0})
        before = session.run(w)
        session.run(train, {scale: 1000.0})
        step = np.abs(session.run(w) - before)
    assert np.all(step < 10.0)


def test_noise_is_added_to_gradients():
    tf.set_random_seed(1)
    w = tf.get_variable("w", [1000], initializer=tf.zeros_initializer())
    train = layers.optimize_loss(
        tf.reduce_sum(w), None, 1.0, "SGD", gradient_noise_scale=0.1, gradient_multipliers={w: 2.0}
    )
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        gradient = -session.run(w) / 2.0
    assert abs(gradient.mean() - 1.0) < 0.02 and 0.07 < gradient.std() < 0.1


def test_gradients_of_tables_are_scaled():
    """Multipliers and clipping keep gradients of tables sparse."""
    table = tf.get_variable("t", [3, 2], initializer=tf.zeros_initializer())
    loss = tf.reduce_sum(tf.gather(table, [1]))
    train = layers.optimize_loss(loss, None, 1.0, "SGD", gradient_multipliers={"t:0": 3.0}, clip_gradients=0.5)
    assert "ScatterSub" in {op.type for op in tf.get_default_graph().get_operations()}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        values = session.run(table)
    np.testing.assert_allclose(values, [[0, 0], [-0.35355338, -0.35355338], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", ["sparse_column_with_keys", "gdn", "rev_block"])
def test_what_is_left_out_says_so(name):
    with pytest.raises(AttributeError, match="not yet of Millstream"):
        getattr(layers, name)
