"""Initialisers: nodes, configurations, errors. Their numbers are golden tests."""

from __future__ import annotations

import math

import pytest

import millstream.v1 as tf
from millstream.core.static_values import constant_value
from millstream.ops.init_ops import compute_fans


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


ALL = {
    "Zeros": (tf.zeros_initializer, {}),
    "Ones": (tf.ones_initializer, {}),
    "Constant": (tf.constant_initializer, {"value": 0}),
    "RandomUniform": (tf.random_uniform_initializer, {"minval": 0, "maxval": None, "seed": None}),
    "RandomNormal": (tf.random_normal_initializer, {"mean": 0.0, "stddev": 1.0, "seed": None}),
    "TruncatedNormal": (tf.truncated_normal_initializer, {"mean": 0.0, "stddev": 1.0, "seed": None}),
    "UniformUnitScaling": (tf.uniform_unit_scaling_initializer, {"factor": 1.0, "seed": None}),
    "VarianceScaling": (
        tf.variance_scaling_initializer,
        {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None},
    ),
    "GlorotUniform": (tf.glorot_uniform_initializer, {"seed": None}),
    "GlorotNormal": (tf.glorot_normal_initializer, {"seed": None}),
    "Orthogonal": (tf.orthogonal_initializer, {"gain": 1.0, "seed": None}),
    "Identity": (tf.initializers.identity, {"gain": 1.0}),
}


@pytest.mark.parametrize("name", ALL)
def test_configurations(name):
    kind, settings = ALL[name]
    made = kind()
    assert type(made).__name__ == name and isinstance(made, tf.keras.initializers.Initializer)
    assert made.get_config() == {**settings, "dtype": "float32"}
    assert kind.from_config(made.get_config()).get_config() == made.get_config()
    assert kind(dtype=tf.float64).get_config()["dtype"] == "float64"


def test_keras_defaults():
    keras = tf.keras.initializers
    assert keras.RandomNormal().get_config() == {"mean": 0.0, "stddev": 0.05, "seed": None, "dtype": "float32"}
    assert keras.RandomUniform().get_config() == {"minval": -0.05, "maxval": 0.05, "seed": None, "dtype": "float32"}
    assert keras.TruncatedNormal().stddev == 0.05
    assert keras.get("he_uniform").get_config()["scale"] == 2.0
    assert keras.get({"class_name": "Constant", "config": {"value": 3}}).value == 3
    assert keras.serialize(keras.get("zeros")) == {"class_name": "Zeros", "config": {"dtype": "float32"}}
    assert keras.get(None) is None and keras.get(tf.zeros_initializer) is not None
    with pytest.raises(ValueError, match="Unknown initializer:nope"):
        keras.get("nope")
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: 3"):
        keras.get(3)


def test_nodes(graph):
    tf.glorot_uniform_initializer()([2, 3])
    tf.truncated_normal_initializer()([2])
    tf.zeros_initializer()([40, 40])
    assert [op.name for op in graph.get_operations()] == [
        *(f"random_uniform/{n}" for n in ("shape", "min", "max", "RandomUniform", "sub", "mul")), "random_uniform",
        *(f"truncated_normal/{n}" for n in ("shape", "mean", "stddev", "TruncatedNormal", "mul")), "truncated_normal",
        "zeros/shape_as_tensor", "zeros/Const", "zeros",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "fans"), [([], (1, 1)), ([3], (3, 3)), ([3, 4], (3, 4)), ([5, 3, 4], (15, 20)), ([2, 5, 3, 4], (30, 40))]
)
def test_fans(shape, fans):
    assert compute_fans(shape) == fans


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_variance_scaling_limits(graph, mode):
    tf.variance_scaling_initializer(2.0, mode, "uniform")([3, 5])
    fan = {"fan_in": 3, "fan_out": 5, "fan_avg": 4}[mode]
    limit = constant_value(graph.get_tensor_by_name("random_uniform/max:0"))
    assert math.isclose(limit, math.sqrt(6 / fan), rel_tol=1e-6)


def test_constant():
    assert constant_value(tf.constant_initializer([1.0, 2.0])([2, 2])).tolist() == [[1.0, 2.0], [2.0, 2.0]]
    with pytest.raises(TypeError, match="Expected Tensor's shape"):
        tf.constant_initializer([1.0, 2.0], verify_shape=True)([2, 2])
    with pytest.raises(ValueError, match="Too many elements provided. Needed at most 2, but received 3"):
        tf.constant_initializer([1.0, 2.0, 3.0])([2])
    with pytest.raises(TypeError, match="Invalid type for initial value: <class 'dict'>"):
        tf.constant_initializer({})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tf.random_normal_initializer(dtype=tf.int32), "Expected floating point type, got <dtype: 'int32'>."),
        (lambda: tf.variance_scaling_initializer(scale=-1.0), "`scale` must be positive float."),
        (lambda: tf.variance_scaling_initializer(mode="x"), "('Invalid `mode` argument:', 'x')"),
        (lambda: tf.variance_scaling_initializer(distribution="x"), "('Invalid `distribution` argument:', 'x')"),
        (lambda: tf.orthogonal_initializer()([2]), "The tensor to initialize must be at least two-dimensional"),
        (lambda: tf.initializers.identity()([2]), "Identity matrix initializer can only be used for 2D matrices."),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == message
