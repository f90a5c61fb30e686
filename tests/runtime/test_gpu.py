"""What a GPU would run. None is needed: XLA is only asked what the programs for CUDA are."""
from __future__ import annotations

import re

import numpy as np
import pytest

import millstream.v1 as tf
from millstream import native
from millstream.runtime import backend, compiler

IMAGES = np.random.RandomState(0).rand(4, 8, 8, 6).astype(np.float32)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def lowered(monkeypatch):
    """Runs fetches; gives the text of their programs for a platform."""
    programs = []
    call = compiler.CompiledStage._call_program

    def noting(stage, values, arguments):
        programs.append((stage._program(values), arguments))
        return call(stage, values, arguments)

    monkeypatch.setattr(compiler.CompiledStage, "_call_program", noting)

    def lower(fetches, feeds, platform):
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            programs.clear()
            session.run(fetches, feeds)
        return "\n".join(
            program.trace(*(backend.jax().tree.map(like, arguments))).lower(lowering_platforms=(platform,)).as_text()
            for program, arguments in programs
        )

    return lower


def like(array):
    """What the program of an array is made from: the array itself may be gone."""
    return backend.jax().ShapeDtypeStruct(array.shape, array.dtype)


def custom_calls(text):
    return set(re.findall(r"custom_call @(\w+)", text))


def convolution(x):
    return tf.layers.conv2d(x, 8, 3, strides=2, padding="same", activation=tf.nn.relu)


def separable(x):
    return tf.layers.separable_conv2d(x, 8, 3, dilation_rate=2)


def transposed(x):
    return tf.layers.conv2d_transpose(x, 5, 3, strides=2)


def volume(x):
    return tf.layers.conv3d(x[..., None], 3, 3)


def pooled(x):
    return tf.layers.average_pooling2d(tf.layers.max_pooling2d(x, 2, 2), 2, 2) * tf.reduce_sum(x)


def normalized(x):
    return tf.layers.batch_normalization(tf.layers.dense(x, 6), training=True, fused=True)


def locally_normalized(x):
    return tf.nn.local_response_normalization(tf.layers.dense(x, 6))


def random(x):
    integers = tf.random_uniform([9], 0, 5, tf.int32)
    drawn = tf.random_uniform([9]), tf.random_normal([9]), tf.truncated_normal([9]), tf.cast(integers, tf.float32)
    return tf.nn.dropout(tf.layers.dense(x, 6), 0.5) * tf.reduce_sum(tf.add_n(drawn))


NETWORKS = [convolution, separable, transposed, volume, pooled, normalized, locally_normalized, random]


@pytest.mark.parametrize("network", NETWORKS)
def test_training_calls_no_native_kernels(network, lowered):
    """On another platform than the CPU there are the forms that XLA knows."""
    x = tf.placeholder(tf.float32, IMAGES.shape)
    loss = tf.reduce_mean(tf.square(network(tf.layers.dense(x, 6))))
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    text = lowered([loss, train], {x: IMAGES}, "cuda")
    assert not [name for name in custom_calls(text) if name.startswith("millstream")]


@pytest.mark.skipif(not native.available(), reason="there are no native kernels")
def test_native_kernels_are_for_the_cpu(lowered):
    x = tf.placeholder(tf.float32, IMAGES.shape)
    y = tf.layers.conv2d(x, 8, 3)
    assert [name for name in custom_calls(lowered(y, {x: IMAGES}, "cpu")) if name.startswith("millstream")]


@pytest.mark.parametrize("exact", [False, True])
def test_precision_of_products(exact, lowered):
    """Without TensorFloat-32 products and convolutions, and their gradients, are of full precision."""
    import millstream

    setting = millstream.config.experimental
    x = tf.placeholder(tf.float32, IMAGES.shape)
    loss = tf.reduce_sum(tf.layers.dense(tf.layers.conv2d(x, 8, 3), 5))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    setting.enable_tensor_float_32_execution(not exact)
    try:
        text = lowered(train, {x: IMAGES}, "cuda")
    finally:
        setting.enable_tensor_float_32_execution(True)
    heavy = [line for line in text.splitlines() if "stablehlo.convolution" in line or "dot_general" in line]
    assert len(heavy) >= 4
    for line in heavy:
        assert ("HIGHEST" in line) == exact, line
