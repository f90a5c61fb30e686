"""Convolution and pooling against loops in NumPy: paddings, strides, dilations, groups, layouts."""
from __future__ import annotations

import itertools
from typing import Any

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


def patches(images: np.ndarray, window: Any, strides: Any, padding: Any, dilations: Any, fill: float) -> Any:
    """Yields the place of each window and its contents; images are [batch, *space, channels]."""
    pads = [(0, 0)]
    for size, width, stride, rate in zip(images.shape[1:-1], window, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * rate + 1 - size, 0)
        pads.append((total // 2, total - total // 2) if padding == "SAME" else (0, 0))
    if isinstance(padding, list):
        pads[1:] = padding
    padded = np.pad(images, [*pads, (0, 0)], constant_values=fill)
    counts = [
        (size - (width - 1) * rate - 1) // stride + 1
        for size, width, stride, rate in zip(padded.shape[1:-1], window, strides, dilations, strict=True)
    ]
    for place in itertools.product(*map(range, counts)):
        index = tuple(
            slice(at * stride, at * stride + (width - 1) * rate + 1, rate)
            for at, width, stride, rate in zip(place, window, strides, dilations, strict=True)
        )
        yield place, counts, padded[(slice(None), *index)]


def convolve(images: Any, filters: Any, strides: Any, padding: Any, dilations: Any) -> np.ndarray:
    window = filters.shape[:-2]
    groups = images.shape[-1] // filters.shape[-2]
    result = None
    for place, counts, patch in patches(images, window, strides, padding, dilations, 0.0):
        if result is None:
            result = np.zeros([len(images), *counts, filters.shape[-1]])
        axes = list(range(1, len(window) + 2))
        parts = [
            np.tensordot(part, weights, (axes, list(range(len(window) + 1))))
            for part, weights in zip(
                np.split(patch, groups, -1), np.split(filters, groups, -1), strict=True
            )
        ]
        result[(slice(None), *place)] = np.concatenate(parts, -1)
    return result


CASES = [
    ((3, 2), (1, 1), "SAME", (1, 1)),
    ((3, 2), (2, 1), "SAME", (1, 1)),
    ((2, 3), (2, 3), "VALID", (1, 1)),
    ((2, 2), (1, 1), "VALID", (2, 3)),
    ((3, 3), (1, 1), "SAME", (2, 1)),
    ((2, 2), (2, 1), [(1, 0), (2, 1)], (1, 1)),
    ((1, 1), (2, 2), "VALID", (1, 1)),
]


@pytest.mark.parametrize(("window", "strides", "padding", "dilations"), CASES)
@pytest.mark.parametrize("first", [False, True])
def test_conv2d(window: Any, strides: Any, padding: Any, dilations: Any, first: bool) -> None:
    images, filters = noise(2, 6, 7, 4), noise(*window, 4, 3, seed=1)
    wanted = convolve(images, filters, strides, padding, dilations)

    def build(x: Any, w: Any) -> Any:
        pads: Any = padding
        if isinstance(padding, list):
            pads = [(0, 0), (0, 0), *padding] if first else [(0, 0), *padding, (0, 0)]
        x = tf.transpose(x, [0, 3, 1, 2]) if first else x
        layout = "NCHW" if first else "NHWC"
        y = tf.nn.conv2d(x, w, list(strides), pads, data_format=layout, dilations=list(dilations))
        return tf.transpose(y, [0, 2, 3, 1]) if first else y

    result = build(tf.constant(images), tf.constant(filters))
    assert result.shape.as_list() == list(wanted.shape)
    np.testing.assert_allclose(run(result), wanted, rtol=1e-9, atol=1e-9)
    if not first:
        assert_gradients(build, images[:1, :4, :5, :2], filters[:, :, :2, :2])


def test_grouped_and_three_dimensional_convolution() -> None:
    images, filters = noise(2, 5, 5, 4), noise(2, 2, 2, 6, seed=1)
    wanted = convolve(images, filters, (1, 1), "VALID", (1, 1))
    np.testing.assert_allclose(run(tf.nn.conv2d(images, filters, 1, "VALID")), wanted, rtol=1e-9)
    volumes, filters = noise(1, 3, 4, 3, 2), noise(2, 2, 2, 2, 3, seed=1)
    wanted = convolve(volumes, filters, (1, 2, 1), "SAME", (1, 1, 1))
    result = tf.nn.conv3d(volumes, filters, [1, 1, 2, 1, 1], "SAME")
    np.testing.assert_allclose(run(result), wanted, rtol=1e-9)
    assert_gradients(lambda x, w: tf.nn.conv3d(x, w, [1, 1, 2, 1, 1], "SAME"), volumes, filters)


def test_depthwise_convolution_keeps_channels_apart() -> None:
    images, filters = noise(2, 5, 5, 3), noise(2, 2, 3, 2, seed=1)
    result = run(tf.nn.depthwise_conv2d(images, filters, [1, 2, 2, 1], "SAME"))
    for channel in range(3):
        one = filters[:, :, channel : channel + 1]
        wanted = convolve(images[..., channel : channel + 1], one, (2, 2), "SAME", (1, 1))
        np.testing.assert_allclose(result[..., 2 * channel : 2 * channel + 2], wanted, rtol=1e-9)
    assert_gradients(
        lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "VALID"), images[:1, :3, :3], filters
    )


def test_gradients_of_the_gradients_of_convolution() -> None:
    def grad(index: int) -> Any:
        def build(x: Any, w: Any) -> Any:
            return tf.gradients(tf.nn.conv2d(x, w, [1, 2, 1, 1], "SAME") ** 2, [x, w])[index]

        return build

    images, filters = noise(1, 3, 4, 2), noise(2, 3, 2, 2, seed=1)
    assert_gradients(grad(0), images, filters)
    assert_gradients(grad(1), images, filters)


def test_dilated_convolution_through_the_batch_is_the_direct_one() -> None:
    images, filters = noise(2, 7, 8, 2), noise(3, 2, 2, 3, seed=1)
    for padding in ("SAME", "VALID"):
        direct = tf.nn.conv2d(images, filters, 1, padding, dilations=[2, 3])
        for layout in ("NHWC", "NCHW"):
            x = images if layout == "NHWC" else images.transpose(0, 3, 1, 2)
            moved = tf.nn.convolution(x, filters, padding, dilation_rate=[2, 3], data_format=layout)
            moved = moved if layout == "NHWC" else tf.transpose(moved, [0, 2, 3, 1])
            np.testing.assert_allclose(*run([direct, moved]), rtol=1e-9, atol=1e-12)


def test_transposed_convolutions_are_gradients() -> None:
    x = tf.constant(noise(2, 7, 3))
    filters = noise(3, 2, 3, seed=1)
    up = tf.nn.conv1d_transpose(x, filters, [2, 14, 2], 2)
    y = tf.constant(noise(2, 14, 2, seed=2))
    down = tf.nn.conv1d(y, filters, 2, "SAME")
    np.testing.assert_allclose(*run([tf.reduce_sum(up * y), tf.reduce_sum(down * x)]), rtol=1e-9)


def test_shapes_that_are_fed() -> None:
    images, filters = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    loss = tf.nn.conv2d(images, filters, 1, "SAME")
    grads = tf.gradients(loss, [images, filters])
    assert grads[0].shape.as_list() == [None] * 4
    feed = {images: noise(2, 5, 5, 3), filters: noise(2, 2, 3, 4)}
    assert [grad.shape for grad in run(grads, feed)] == [(2, 5, 5, 3), (2, 2, 3, 4)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="evenly divisible by filter depth"):
        run(loss, {**feed, filters: noise(2, 2, 2, 4)})
    sizes = tf.placeholder(tf.int32, [4])
    up = tf.nn.conv2d_transpose(tf.ones([1, 2, 2, 1]), tf.ones([2, 2, 1, 1]), sizes, 2)
    assert run(up, {sizes: [1, 3, 4, 1]}).shape == (1, 3, 4, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Size of out_backprop doesn't match computed"):
        run(up, {sizes: [1, 7, 7, 1]})


# --- Pooling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "strides", "padding", "dilations"), [
    case for case in CASES if case[2] in ("SAME", "VALID") and case[3] == (1, 1)
])  # fmt: skip
@pytest.mark.parametrize("first", [False, True])
def test_pooling(window: Any, strides: Any, padding: Any, dilations: Any, first: bool) -> None:
    images = noise(2, 6, 7, 3)
    greatest, mean = [], []
    for place, counts, patch in patches(images, window, strides, padding, dilations, np.nan):
        greatest.append(np.nanmax(patch, (1, 2)))
        mean.append(np.nanmean(patch, (1, 2)))
        assert place <= tuple(counts)
    layout = "NCHW" if first else "NHWC"
    x = tf.constant(images.transpose(0, 3, 1, 2) if first else images)
    for pool, wanted in ((tf.nn.max_pool, greatest), (tf.nn.avg_pool, mean)):
        y = pool(x, list(window), list(strides), padding, data_format=layout)
        static = y.shape.as_list()
        found = run(tf.transpose(y, [0, 2, 3, 1]) if first else y)
        assert sorted(static) == sorted(found.shape)
        np.testing.assert_allclose(found.reshape(2, -1, 3), np.stack(wanted, 1), rtol=1e-9)
        if not first:
            assert_gradients(lambda x, pool=pool: pool(x, list(window), list(strides), padding), images[:1, :4, :4])


def test_gradient_of_max_goes_to_the_first_of_equals() -> None:
    x = tf.constant(np.zeros([1, 1, 4, 1]))
    (grad,) = tf.gradients(tf.nn.max_pool(x, [1, 2], [1, 2], "VALID"), x)
    assert run(grad).reshape(-1).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16", "float64"])
def test_max_pool_dtypes(dtype: str) -> None:
    x = np.arange(16).reshape(1, 4, 4, 1).astype(dtype)
    assert run(tf.nn.max_pool(x, 2, 2, "VALID")).reshape(-1).tolist() == [5, 7, 13, 15]


def test_pooling_of_volumes_and_second_derivatives() -> None:
    cube = noise(1, 3, 2, 2, 2).astype(np.float32)
    window = [1, 2, 2]
    found = run([pool(cube, window, window, "VALID") for pool in (tf.nn.max_pool3d, tf.nn.avg_pool3d)])
    np.testing.assert_allclose(found[0], cube.max((2, 3), keepdims=True))
    np.testing.assert_allclose(found[1], cube.mean((2, 3), keepdims=True), rtol=1e-5)

    def twice(pool: Any) -> Any:
        return lambda x: tf.gradients(pool(x**2, [2, 2], [1, 1], "SAME") ** 2, x)[0]

    assert_gradients(twice(tf.nn.avg_pool), noise(1, 3, 3, 1))
    assert_gradients(twice(tf.nn.max_pool), noise(1, 3, 3, 1))


def test_window_that_is_fed() -> None:
    size = tf.placeholder(tf.int32, [4])
    pooled = find("MaxPoolV2")(tf.constant(noise(1, 4, 4, 1)), size, size, padding="VALID")
    assert pooled.shape.as_list() == [1, None, None, None]
    assert run(pooled, {size: [1, 2, 4, 1]}).shape == (1, 2, 1, 1)


def test_places_of_the_greatest() -> None:
    x = np.arange(16.0).reshape(1, 4, 4, 1).astype(np.float32)
    images = tf.constant(np.concatenate([x, -x]))
    values, places = tf.nn.max_pool_with_argmax(images, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    assert run(places).reshape(2, -1).tolist() == [[5, 7, 13, 15], [0, 2, 8, 10]]
    (grad,) = tf.gradients(values, images)
    assert run(grad).reshape(2, -1).sum(1).tolist() == [4, 4]
    whole = tf.nn.max_pool_with_argmax(images, [1, 2, 2, 1], [1, 2, 2, 1], "VALID", include_batch_in_index=True)
    assert run(whole.argmax).reshape(2, -1)[1].tolist() == [16, 18, 24, 26]
