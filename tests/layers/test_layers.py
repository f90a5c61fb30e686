"""Layers in graphs, as far as the golden tests do not go."""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def placeholder(*sizes: int | None) -> Any:
    return tf.placeholder(tf.float32, list(sizes))


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feed)


def ramp(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    size = int(np.prod(shape))
    return tf.constant(np.linspace(-1.0, 1.0, size).reshape(shape), dtype)


# --- Layouts --------------------------------------------------------------------------------------------------------

KERNEL = {"kernel_initializer": ramp, "bias_initializer": ramp}
KERNELS = {"depthwise_initializer": ramp, "pointwise_initializer": ramp, "bias_initializer": ramp}


@pytest.mark.parametrize(
    ("kind", "sizes", "arguments"),
    [
        ("conv1d", [2, 7, 3], {"filters": 4, "kernel_size": 3, **KERNEL}),
        ("conv2d", [2, 7, 6, 3], {"filters": 4, "kernel_size": 3, "strides": (2, 1), "padding": "same", **KERNEL}),
        ("conv2d", [2, 7, 6, 3], {"filters": 4, "kernel_size": 2, "dilation_rate": 2, **KERNEL}),
        ("conv3d", [1, 4, 5, 4, 2], {"filters": 3, "kernel_size": 2, **KERNEL}),
        ("conv2d_transpose", [2, 3, 4, 3], {"filters": 2, "kernel_size": 3, "strides": 2, **KERNEL}),
        ("conv3d_transpose", [1, 2, 3, 2, 3], {"filters": 2, "kernel_size": 2, "strides": 2, **KERNEL}),
        ("separable_conv1d", [2, 7, 3], {"filters": 4, "kernel_size": 3, **KERNELS}),
        ("separable_conv2d", [2, 7, 6, 3], {"filters": 4, "kernel_size": 3, "strides": 2, **KERNELS}),
        ("max_pooling1d", [2, 7, 3], {"pool_size": 2, "strides": 2}),
        ("average_pooling2d", [2, 7, 6, 3], {"pool_size": 3, "strides": 2, "padding": "same"}),
        ("max_pooling3d", [1, 4, 5, 4, 2], {"pool_size": 2, "strides": 2}),
    ],
)
def test_the_layouts_agree(kind: str, sizes: list[int], arguments: dict[str, Any]) -> None:
    value = np.random.RandomState(0).uniform(-1, 1, sizes).astype(np.float32)
    function = getattr(tf.layers, kind)
    last = function(tf.constant(value), **arguments)
    first = function(tf.constant(np.moveaxis(value, -1, 1)), data_format="channels_first", **arguments)
    assert first.shape.as_list() == [last.shape.as_list()[0], last.shape.as_list()[-1], *last.shape.as_list()[1:-1]]
    wanted, got = run([last, first])
    np.testing.assert_allclose(np.moveaxis(got, 1, -1), wanted, rtol=1e-5, atol=1e-5)


def test_batch_normalization_of_either_layout() -> None:
    value = np.random.RandomState(0).uniform(-1, 1, [4, 5, 6, 3]).astype(np.float32)
    last = tf.layers.batch_normalization(tf.constant(value), training=True)
    first = tf.layers.batch_normalization(tf.constant(np.moveaxis(value, -1, 1)), axis=1, training=True)
    composed = tf.layers.batch_normalization(tf.constant(value), training=True, fused=False)
    assert [tensor.op.type for tensor in (last, first)] == ["FusedBatchNormV3"] * 2
    wanted, got, other = run([last, first, composed])
    np.testing.assert_allclose(np.moveaxis(got, 1, -1), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other, wanted, rtol=1e-4, atol=1e-5)


# --- Weights --------------------------------------------------------------------------------------------------------


def test_weights_are_got_and_set_in_the_default_session() -> None:
    layer = tf.layers.Dense(2, weights=None)
    output = layer(tf.ones([1, 3]))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        layer.set_weights([np.full([3, 2], 0.5), np.array([1.0, 2.0])])
        assert session.run(output).tolist() == [[2.5, 3.5]]
        assert [value.tolist() for value in layer.get_weights()] == [[[0.5, 0.5]] * 3, [1.0, 2.0]]
        with pytest.raises(ValueError, match="with a  weight list of length 1, but the layer was expecting 2 weights"):
            layer.set_weights([np.zeros([3, 2])])
        with pytest.raises(ValueError, match="not compatible with provided weight shape"):
            layer.set_weights([np.zeros([2, 2]), np.zeros([2])])
    with pytest.raises(ValueError, match="with tf.Session"):
        layer.get_weights()


def test_a_layer_that_is_not_built_says_so() -> None:
    layer = tf.layers.Dense(2)
    assert (layer.built, layer.dtype, layer.variables) == (False, None, [])
    with pytest.raises(ValueError, match="You tried to call `count_params` on dense_1, but the layer isn't built"):
        layer.count_params()
    with pytest.raises(ValueError, match='because the layer "dense_1" has not been used yet'):
        layer.scope_name  # noqa: B018 - it raises


def test_no_layer_is_connected() -> None:
    layer = tf.layers.Dense(2)
    layer(tf.ones([1, 3]))
    assert layer.inbound_nodes == layer.outbound_nodes == []
    for attribute in ("input", "output", "input_shape", "output_shape"):
        with pytest.raises(AttributeError, match="not connected|no inbound nodes|never been called"):
            getattr(layer, attribute)


def test_arrays_are_inputs() -> None:
    assert run(tf.layers.dense(np.ones([2, 3], np.float32), 1, kernel_initializer=tf.ones_initializer())).tolist() == [
        [3.0],
        [3.0],
    ]


def test_a_copy_has_weights_of_its_own() -> None:
    layer = tf.layers.Dense(2, kernel_regularizer=tf.keras.regularizers.l2(0.1))
    other = copy.deepcopy(layer)
    x = tf.ones([1, 3])
    layer(x), other(x)
    assert [v.name for v in tf.global_variables()] == [
        "dense/kernel:0", "dense/bias:0", "dense_1/kernel:0", "dense_1/bias:0",
    ]  # fmt: skip


def test_a_layer_is_shared_by_graphs_only_before_it_is_built() -> None:
    layer = tf.layers.Flatten()
    for _ in range(2):
        with tf.Graph().as_default():
            assert layer(placeholder(None, 2, 3)).shape.as_list() == [None, 6]


@pytest.mark.parametrize("kind", [tf.layers.SeparableConv1D, tf.layers.SeparableConv2D])
def test_the_configuration_makes_an_equal_layer(kind: Any) -> None:
    layer = kind(4, 3, activation="relu", depthwise_initializer="ones", bias_constraint="non_neg")
    assert kind.from_config(layer.get_config()).get_config() == layer.get_config()


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_python_control_flow_of_a_users_layer_is_converted() -> None:
    class Positive(tf.layers.Layer):
        def call(self, inputs: Any) -> Any:
            if tf.reduce_sum(inputs) > 0:
                return inputs
            return -inputs

    x = placeholder(2)
    y = Positive()(x)
    assert run(y, {x: [1, -3]}).tolist() == [-1, 3] and run(y, {x: [1, 3]}).tolist() == [1, 3]


def test_training_comes_from_the_layer_around() -> None:
    class Inner(tf.layers.Layer):
        def call(self, inputs: Any, training: Any = "unknown") -> Any:
            self.training = training
            return inputs

    class Outer(tf.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    outer, x = Outer(), tf.ones([1])
    outer(x, training=1)
    assert outer.inner.training is True
    outer(x)
    assert outer.inner.training == "unknown"
    outer.inner(x, 0)
    assert outer.inner.training == 0


def test_wrong_layers() -> None:
    class Nothing(tf.layers.Layer):
        def call(self, inputs: Any) -> None:
            pass

    with pytest.raises(ValueError, match=r"not None \(layer: nothing_1\)"):
        Nothing()(tf.ones([1]))
    with pytest.raises(TypeError, match="Keyword argument not understood"):
        tf.layers.Dense(3, colour="red")
    with pytest.raises(TypeError, match="Layer input_spec must be an instance of InputSpec. Got: 3"):
        tf.layers.Layer().input_spec = 3
    with pytest.raises(TypeError, match="Unknown keyword argument"):
        tf.layers.Layer().add_weight("w", [], colour="red")
    with tf.layers.experimental.keras_style_scope():
        with pytest.raises(ValueError, match="scope argument not allowed when keras style layers are enabled"):
            tf.layers.dense(tf.ones([1, 2]), 3, name="fc")
        with pytest.raises(ValueError, match="reuse argument not allowed when keras style layers are enabled"):
            tf.layers.dense(tf.ones([1, 2]), 3, reuse=True)


@pytest.mark.parametrize("use_resource, kind", [(None, "VarHandleOp"), (True, "VarHandleOp"), (False, "VariableV2")])
def test_kinds_of_variables_in_keras_style(use_resource: bool | None, kind: str) -> None:
    with tf.layers.experimental.keras_style_scope():
        assert tf.layers.Layer().add_weight("w", [2], use_resource=use_resource).op.type == kind


# --- Training -------------------------------------------------------------------------------------------------------


def test_updates_run_only_in_training() -> None:
    training = tf.placeholder(tf.bool, [])
    x = tf.constant(np.random.RandomState(0).normal(3.0, 1.0, [8, 2]), tf.float32)
    tf.layers.batch_normalization(x, training=training, momentum=0.0, name="bn")
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    mean = next(v for v in tf.global_variables() if v.name == "bn/moving_mean:0")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(updates, {training: False})
        assert session.run(mean).tolist() == [0.0, 0.0]
        session.run(updates, {training: True})
        np.testing.assert_allclose(session.run(mean), session.run(tf.reduce_mean(x, 0)), rtol=1e-5)


def test_constraints_hold_after_each_step() -> None:
    x = tf.ones([2, 3])
    loss = tf.reduce_sum(tf.layers.dense(x, 2, kernel_constraint=tf.keras.constraints.NonNeg(), name="fc"))
    step = tf.train.GradientDescentOptimizer(10.0).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(step)
        assert session.run(tf.trainable_variables()[0]).tolist() == [[0.0, 0.0]] * 3


# --- InputSpec ------------------------------------------------------------------------------------------------------


def test_input_spec() -> None:
    spec = tf.layers.InputSpec(shape=(None, 3))
    assert tf.layers.InputSpec.from_config({"ndim": 3}).ndim == 3 and spec.ndim == 2
    assert repr(tf.layers.InputSpec(ndim=3, axes={1: 2})) == "InputSpec(ndim=3, axes={1: 2})"
    with pytest.raises(TypeError, match="The keys in axes must be integers"):
        tf.layers.InputSpec(axes={"a": 1})
    with pytest.raises(ValueError, match="Axis 2 is greater than the maximum allowed value: 1"):
        tf.layers.InputSpec(ndim=2, axes={2: 1})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"shape": (None, 4)}, r"expected shape=\(None, 4\), found shape=\[2, 3\]"),
        ({"ndim": 3}, r"expected ndim=3, found ndim=2. Full shape received: \[2, 3\]"),
        ({"max_ndim": 1}, "expected max_ndim=1, found ndim=2"),
        ({"min_ndim": 3}, r": expected min_ndim=3, found ndim=2. Full shape received: \[2, 3\]"),
        ({"dtype": "int32"}, "expected dtype=int32, found dtype=<dtype: 'float32'>"),
        ({"axes": {-1: 4}}, r"expected axis -1 of input shape to have value 4 but received input with shape \[2, 3\]"),
    ],
)
def test_inputs_that_do_not_fit(spec: dict[str, Any], problem: str) -> None:
    layer = tf.layers.Layer()
    layer.input_spec = tf.layers.InputSpec(**spec)
    with pytest.raises(ValueError, match=f"Input 0 of layer layer_1 is incompatible with the layer: {problem}"):
        layer(tf.ones([2, 3]))


def test_inputs_of_unknown_rank() -> None:
    with pytest.raises(ValueError, match="its rank is undefined, but the layer requires a defined rank"):
        tf.layers.flatten(tf.placeholder(tf.float32))
    layer = tf.layers.Layer()
    layer.input_spec = [tf.layers.InputSpec(ndim=2), tf.layers.InputSpec(ndim=2)]
    with pytest.raises(ValueError, match="Layer layer_1 expects 2 inputs, but it received 1 input tensors"):
        layer(tf.ones([2, 3]))
