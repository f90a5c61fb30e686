"""Activations, constraints, regularisers and initialisers, and finding them by name."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf

X = np.array([[-3.0, -0.5, 0.0], [0.25, 2.0, 7.0]], np.float32)


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(tensor: Any) -> np.ndarray:
    with tf.Session() as session:
        return session.run(tensor)


ACTIVATIONS = {
    "elu": np.where(X > 0, X, np.expm1(X)),
    "exponential": np.exp(X),
    "hard_sigmoid": np.clip(0.2 * X + 0.5, 0, 1),
    "linear": X,
    "relu": np.maximum(X, 0),
    "selu": 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(X)),
    "sigmoid": 1 / (1 + np.exp(-X)),
    "softmax": np.exp(X) / np.exp(X).sum(1, keepdims=True),
    "softplus": np.log1p(np.exp(X)),
    "softsign": X / (1 + np.abs(X)),
    "tanh": np.tanh(X),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    function = tf.keras.activations.get(name)
    assert function is getattr(tf.keras.activations, name) and tf.keras.activations.serialize(function) == name
    np.testing.assert_allclose(run(function(tf.constant(X))), ACTIVATIONS[name], rtol=1e-5, atol=1e-6)


def test_options_of_activations() -> None:
    relu, x = tf.keras.activations.relu, tf.constant(X)
    np.testing.assert_allclose(run(relu(x, alpha=0.1)), np.where(X > 0, X, 0.1 * X), rtol=1e-6)
    np.testing.assert_allclose(run(relu(x, max_value=6)), np.clip(X, 0, 6))
    np.testing.assert_allclose(run(relu(x, max_value=1.5)), np.clip(X, 0, 1.5))
    wanted = np.where(X > 0.3, np.minimum(X, 5.0), 0.1 * (X - 0.3))
    np.testing.assert_allclose(run(relu(x, 0.1, 5.0, 0.3)), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run(tf.keras.activations.elu(x, 2.0)), np.where(X > 0, X, 2 * np.expm1(X)), rtol=1e-5)
    deep = tf.keras.activations.softmax(tf.constant(X[None]), axis=1)
    np.testing.assert_allclose(run(deep)[0], np.exp(X) / np.exp(X).sum(0), rtol=1e-5)
    with pytest.raises(ValueError, match="Cannot apply softmax to a tensor that is 1D"):
        tf.keras.activations.softmax(tf.constant([1.0]))


def test_constraints() -> None:
    w = np.array([[3.0, -0.3], [4.0, 0.4]], np.float32)
    norms = np.sqrt((w**2).sum(0))
    wanted = {
        "max_norm": w * np.minimum(norms, 2) / norms,
        "non_neg": np.maximum(w, 0),
        "unit_norm": w / norms,
        "min_max_norm": w * np.clip(norms, 0, 1) / norms,
    }
    for name, value in wanted.items():
        constraint = tf.keras.constraints.get(name)
        np.testing.assert_allclose(run(constraint(tf.constant(w))), value, rtol=1e-5)
        data = tf.keras.constraints.serialize(constraint)
        assert tf.keras.constraints.serialize(tf.keras.constraints.deserialize(data)) == data
    half = tf.keras.constraints.MinMaxNorm(1.0, 2.0, rate=0.5)
    between = w * (0.5 * np.clip(norms, 1, 2) + 0.5 * norms) / norms
    np.testing.assert_allclose(run(half(tf.constant(w))), between, rtol=1e-5)


def test_regularizers_and_initializers() -> None:
    regularizer = tf.keras.regularizers.get({"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}})
    assert run(regularizer(tf.constant([1.0, -3.0]))) == 2.0
    assert tf.keras.regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    initializer = tf.keras.initializers.get("he_normal")
    assert tf.keras.initializers.serialize(initializer)["class_name"] == "VarianceScaling"


@pytest.mark.parametrize("kind", ["activations", "constraints", "initializers", "regularizers"])
def test_what_is_not_known(kind: str) -> None:
    module = getattr(tf.keras, kind)
    with pytest.raises(ValueError, match="Unknown .*:colour"):
        module.get("colour")
    with pytest.raises((TypeError, ValueError), match="Could not interpret .* identifier"):
        module.get(3)
    assert module.get(len) is len
    assert (module.get(None) is None) == (kind != "activations")
