"""Images whose channels come first give what images with the channels last give, transposed."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import millstream as tf

EXPLICIT = ((0, 0), (2, 0), (1, 3), (0, 0))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def to_first(x: Any) -> Any:
    return tf.transpose(x, [0, len(x.shape) - 1, *range(1, len(x.shape) - 1)])


def to_last(x: Any) -> Any:
    return tf.transpose(x, [0, *range(2, len(x.shape)), 1])


def per_axis(values: Any, first: bool) -> Any:
    """One entry a dimension, given with the channels last, in the order of the layout."""
    return [values[0], values[-1], *values[1:-1]] if first else list(values)


def formats(first: bool) -> dict[int, str]:
    return {1: "NCW", 2: "NCHW", 3: "NCDHW"} if first else {1: "NWC", 2: "NHWC", 3: "NDHWC"}


Case = Callable[..., Any]  # (images, filters, first) -> the result
CASES: dict[str, tuple[Case, tuple[int, ...], tuple[int, ...]]] = {}


def case(name: str, images: tuple[int, ...], filters: tuple[int, ...] = ()) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[name] = function, images, filters
        return function

    return add


for padding in ("SAME", "VALID"):
    for number, (window, strides, rates) in enumerate([
        ((3, 3), (1, 1), (1, 1)), ((2, 5), (2, 3), (1, 1)), ((3, 2), (1, 1), (2, 3)), ((1, 1), (3, 2), (1, 1)),
    ]):  # fmt: skip
        for channels, outputs in ((1, 4), (3, 8), (17, 9)):

            @case(f"conv2d/{padding}/{number}/{channels}", (2, 9, 8, channels), (*window, channels, outputs))
            def _(x: Any, w: Any, first: bool, p: Any = padding, s: Any = strides, r: Any = rates) -> Any:
                s, r = per_axis((1, *s, 1), first), per_axis((1, *r, 1), first)
                return tf.nn.conv2d(x, w, s, p, formats(first)[2], r)

    @case(f"groups/{padding}", (2, 5, 6, 6), (3, 3, 2, 9))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.conv2d(x, w, 1, p, formats(first)[2])

    @case(f"depthwise_conv2d/{padding}", (2, 7, 8, 5), (3, 3, 5, 2))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.depthwise_conv2d(x, w, per_axis((1, 2, 2, 1), first), p, formats(first)[2])

    @case(f"depthwise_conv2d/dilated/{padding}", (2, 7, 8, 3), (3, 2, 3, 2))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], p, formats(first)[2], [2, 3])

    @case(f"convolution/dilated/{padding}", (2, 9, 8, 3), (3, 2, 3, 4))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.convolution(x, w, padding=p, data_format=formats(first)[2], dilations=[2, 3])

    @case(f"conv1d/{padding}", (2, 9, 3), (4, 3, 5))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.conv1d(x, w, 2, p, formats(first)[1])

    @case(f"conv3d/{padding}", (2, 4, 5, 3, 2), (2, 3, 2, 2, 3))
    def _(x: Any, w: Any, first: bool, p: Any = padding) -> Any:
        return tf.nn.conv3d(x, w, per_axis((1, 2, 1, 2, 1), first), p, formats(first)[3])

    for size, step in ((2, 2), (3, 1), (2, 3)):

        @case(f"pool1d/{size}/{step}/{padding}", (2, 7, 3))
        def _(x: Any, first: bool, p: Any = padding, k: Any = size, s: Any = step) -> Any:
            layout = formats(first)[1]
            return tf.nn.max_pool1d(x, k, s, p, layout) + tf.nn.avg_pool1d(x, k, s, p, layout)

        @case(f"pool2d/{size}/{step}/{padding}", (2, 7, 6, 5))
        def _(x: Any, first: bool, p: Any = padding, k: Any = size, s: Any = step) -> Any:
            layout = formats(first)[2]
            return tf.nn.max_pool2d(x, k, s, p, layout) + tf.nn.avg_pool2d(x, k, s, p, layout)

        @case(f"pool3d/{size}/{step}/{padding}", (2, 4, 5, 3, 2))
        def _(x: Any, first: bool, p: Any = padding, k: Any = size, s: Any = step) -> Any:
            layout = formats(first)[3]
            return tf.nn.max_pool3d(x, k, s, p, layout) + tf.nn.avg_pool3d(x, k, s, p, layout)


@case("conv2d/explicit", (2, 6, 5, 3), (3, 3, 3, 4))
def _(x: Any, w: Any, first: bool) -> Any:
    return tf.nn.conv2d(x, w, 2, per_axis(EXPLICIT, first), formats(first)[2])


@case("depthwise_conv2d/explicit", (2, 6, 5, 3), (3, 3, 3, 2))
def _(x: Any, w: Any, first: bool) -> Any:
    return tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], per_axis(EXPLICIT, first), formats(first)[2])


@case("max_pool2d/explicit", (2, 6, 5, 3))
def _(x: Any, first: bool) -> Any:
    return tf.nn.max_pool2d(x, [3, 4], 2, per_axis(EXPLICIT, first), formats(first)[2])


@case("separable_conv2d", (2, 6, 5, 3), (3, 3, 3, 2))
def _(x: Any, w: Any, first: bool) -> Any:
    points = noise(1, 1, 6, 4, seed=9)
    return tf.nn.separable_conv2d(x, w, points, per_axis((1, 2, 2, 1), first), "SAME", formats(first)[2])


@case("conv2d_transpose", (2, 4, 3, 5), (3, 2, 3, 5))
def _(x: Any, w: Any, first: bool) -> Any:
    return tf.nn.conv2d_transpose(x, w, per_axis((2, 7, 6, 3), first), 2, "SAME", formats(first)[2])


@case("conv3d_transpose", (2, 2, 3, 2, 4), (2, 3, 2, 3, 4))
def _(x: Any, w: Any, first: bool) -> Any:
    return tf.nn.conv3d_transpose(x, w, per_axis((2, 4, 5, 4, 3), first), 2, "SAME", formats(first)[3])


@case("conv1d_transpose", (2, 5, 3), (4, 4, 3))
def _(x: Any, w: Any, first: bool) -> Any:
    return tf.nn.conv1d_transpose(x, w, per_axis((2, 10, 4), first), 2, "SAME", formats(first)[1])


@case("bias_add", (2, 3, 4, 5))
def _(x: Any, first: bool) -> Any:
    return tf.nn.bias_add(x, noise(5, seed=3), formats(first)[2])


@case("fused_batch_norm", (3, 4, 5, 6))
def _(x: Any, first: bool) -> Any:
    import millstream.v1 as tf1

    return tf1.nn.fused_batch_norm(x, noise(6, seed=1), noise(6, seed=2), data_format=formats(first)[2])[0]


@case("space_to_depth", (2, 4, 6, 3))
def _(x: Any, first: bool) -> Any:
    deep = tf.nn.space_to_depth(x, 2, formats(first)[2])
    return tf.nn.depth_to_space(deep * deep, 2, formats(first)[2])


@pytest.mark.parametrize("images", [None, 0], ids=["", "no images"])
@pytest.mark.parametrize("name", CASES)
def test_channels_first(name: str, images: int | None) -> None:
    function, dims, filters = CASES[name]
    if images is not None and ("transpose" in name or "batch_norm" in name):
        pytest.skip("the case has its number of images, or needs some")
    x = tf.constant(noise(*((images,) if images is not None else dims[:1]), *dims[1:]))
    rest = [tf.constant(noise(*filters, seed=1))] if filters else []
    found = []
    for first in (False, True):
        with tf.GradientTape() as tape:
            tape.watch([x, *rest])
            y = function(to_first(x) if first else x, *rest, first)
            y = to_last(y) if first else y
            loss = tf.reduce_sum(y * np.cos(np.arange(y.shape.num_elements(), dtype=np.float32)).reshape(y.shape))
        found.append([y, *tape.gradient(loss, [x, *rest])])
    for last, transposed in zip(*found, strict=True):
        np.testing.assert_allclose(transposed.numpy(), last.numpy(), rtol=2e-4, atol=2e-5)
