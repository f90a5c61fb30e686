"""Layers where operations run at once, and in functions."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream as tf

layers = tf.compat.v1.layers
IMAGES = np.random.RandomState(0).uniform(size=[4, 3, 3, 2]).astype(np.float32)


def test_a_layer_keeps_its_weights() -> None:
    layer = layers.Dense(3, kernel_initializer="ones")
    x = tf.ones([2, 4])
    assert layer(x).numpy().tolist() == layer(x).numpy().tolist() == [[4.0] * 3] * 2
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    assert [grad.shape for grad in tape.gradient(loss, layer.trainable_weights)] == [[4, 3], [3]]
    layer.set_weights([np.zeros([4, 3]), np.ones(3)])
    assert layer(x).numpy().tolist() == [[1.0] * 3] * 2 and layer.get_weights()[1].tolist() == [1.0] * 3


def test_functions_make_layers_of_their_own() -> None:
    x = tf.ones([2, 4])
    first, second = (layers.dense(x, 100, name="fc") for _ in range(2))
    assert first.shape == [2, 100] and (first.numpy() != second.numpy()).any()
    assert layers.flatten(tf.constant(IMAGES)).shape == [4, 18]


def test_losses_are_those_of_the_last_call() -> None:
    layer = layers.Dense(
        1,
        kernel_initializer="ones",
        kernel_regularizer=tf.keras.regularizers.l2(0.5),
        activity_regularizer=tf.reduce_sum,
    )
    for size in (1.0, 3.0):
        layer(size * tf.ones([2, 4]))
        assert [loss.numpy() for loss in layer.losses] == [4.0 * size, 2.0]
    with pytest.raises(ValueError, match="Please wrap your loss computation in a zero argument `lambda`"):
        layer.add_loss(tf.constant(1.0))


@pytest.mark.parametrize("fused", [True, False])
def test_moving_averages_move_in_training(fused: bool) -> None:
    layer = layers.BatchNormalization(momentum=0.5, fused=fused)
    mean = IMAGES.mean((0, 1, 2))
    layer(tf.constant(IMAGES), training=False)
    assert layer.moving_mean.numpy().tolist() == [0.0, 0.0] and layer.updates == []
    layer(tf.constant(IMAGES), training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"fused": False}, {"renorm": True}])
def test_layers_in_functions(options: dict[str, Any]) -> None:
    layer = layers.BatchNormalization(momentum=0.5, **options)

    @tf.function
    def call(images: Any, training: Any) -> Any:
        return layer(images, training=training)

    mean = IMAGES.mean((0, 1, 2))
    outputs = call(IMAGES, True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(call(IMAGES, tf.constant(True)).numpy(), outputs.numpy(), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.75 * mean, rtol=1e-5)
    call(IMAGES, tf.constant(False)), call(IMAGES, False)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.75 * mean, rtol=1e-5)


def test_layers_are_modules() -> None:
    module = tf.Module()
    module.layer = layers.Dense(3)
    module.layer(tf.ones([1, 2]))
    assert module.submodules == (module.layer,) and len(module.trainable_variables) == 2


def test_a_layer_has_no_graph() -> None:
    with pytest.raises(RuntimeError, match="Layer.graph not supported when executing eagerly"):
        layers.Dense(3).graph  # noqa: B018 - it raises
