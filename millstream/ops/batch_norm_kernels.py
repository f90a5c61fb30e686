"""Batch normalisation of images (Ioffe and Szegedy 2015) on arrays, with what often follows it in a network.

The functions work on NumPy's arrays and on JAX's; on the latter they are native kernels where there are such.
`channels_first` says that images are [batch, channels, *spatial]; else their channels are last. `activation` is
"relu" or "", for none. Scale, offset, mean and variance are vectors of one number a channel.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.native import Like, kernel
from millstream.native.kernel import FLOATS

_ACTIVATIONS = {"": 0, "relu": 1}


def _other_axes(x: Any, channels_first: bool) -> tuple[int, ...]:
    return (0, *range(2, x.ndim)) if channels_first else tuple(range(x.ndim - 1))


def _vector_shape(x: Any, channels_first: bool) -> tuple[int, ...]:
    """The shape in which a vector of one number a channel broadcasts with an image."""
    return (1, -1, *[1] * (x.ndim - 2)) if channels_first else (*[1] * (x.ndim - 1), -1)


def _count(x: Any, channels: int) -> int:
    """How many numbers each channel has; at least 1."""
    return max(math.prod(x.shape) // max(channels, 1), 1)


def _up_to(most_images: int) -> Callable[..., bool]:
    """What the native kernels serve: so many images, alike, of their dtypes, and float32 vectors that fit them."""

    def serves(*operands: Any, channels_first: bool, **_: Any) -> bool:
        images = [operand for operand in operands if operand.ndim > 1]
        vectors = [operand for operand in operands if operand.ndim == 1]
        shape, dtype = images[0].shape, images[0].dtype
        channels = shape[1 if channels_first else -1]
        return (
            len(images) <= most_images and dtype.name in FLOATS and images[0].size > 0
            and all(image.shape == shape and image.dtype == dtype for image in images)
            and all(vector.shape == (channels,) and vector.dtype.name == "float32" for vector in vectors)
        )  # fmt: skip

    return serves


def _attributes(*_: Any, epsilon: float, channels_first: bool, activation: str = "") -> dict[str, Any]:
    number = np.int64(_ACTIVATIONS[activation])
    return {"epsilon": np.float32(epsilon), "channels_first": channels_first, "activation": number}


def _apply(x: Any, scale: Any, offset: Any, mean: Any, variance: Any, side: Any, **options: Any) -> Any:
    xp, vector = x.__array_namespace__(), _vector_shape(x, options["channels_first"])
    factor = (scale / xp.sqrt(variance + options["epsilon"])).reshape(vector)
    y = (x.astype(scale.dtype) - mean.reshape(vector)) * factor + offset.reshape(vector)
    for image in side:
        y += image.astype(scale.dtype)
    return (xp.maximum(y, 0) if options["activation"] == "relu" else y).astype(x.dtype)


@kernel(
    "millstream_batch_norm",
    results=lambda x, scale, *_, **__: [Like(x.shape, x.dtype), *[Like(scale.shape, scale.dtype)] * 3],
    serves=_up_to(2),
    attributes=_attributes,
)
def normalize(
    x: Any, scale: Any, offset: Any, *side: Any, epsilon: float, channels_first: bool, activation: str = ""
) -> tuple[Any, Any, Any, Any]:
    """`activation((x - mean) / sqrt(variance + epsilon) * scale + offset + side)`, by the moments of `x` itself.

    Args:
      x: images.
      scale, offset: vectors.
      side: nothing, or one array like `x`.
      epsilon, channels_first, activation: see above.

    Returns:
      The images, their mean, their unbiased variance, and their variance.
    """
    xp, axes, vector = x.__array_namespace__(), _other_axes(x, channels_first), _vector_shape(x, channels_first)
    wide = x.astype(scale.dtype)
    mean = xp.mean(wide, axis=axes)
    distances = wide - mean.reshape(vector)
    variance = xp.mean(distances * distances, axis=axes)
    count = _count(x, scale.shape[0])
    unbiased = variance * (count / max(count - 1, 1))
    options = {"epsilon": epsilon, "channels_first": channels_first, "activation": activation}
    return _apply(x, scale, offset, mean, variance, side, **options), mean, unbiased, variance


@kernel(
    "millstream_batch_norm_inference",
    results=lambda x, *_, **__: Like(x.shape, x.dtype),
    serves=_up_to(2),
    attributes=_attributes,
)
def normalize_by(
    x: Any, scale: Any, offset: Any, mean: Any, variance: Any, *side: Any,
    epsilon: float, channels_first: bool, activation: str = "",
) -> Any:  # fmt: skip
    """`normalize` by moments that are given. Returns the images."""
    options = {"epsilon": epsilon, "channels_first": channels_first, "activation": activation}
    return _apply(x, scale, offset, mean, variance, side, **options)


def _gradients_look(dy: Any, x: Any, scale: Any, *_: Any, side: bool = False, **__: Any) -> list[Like]:
    image, vector = Like(x.shape, x.dtype), Like(scale.shape, scale.dtype)
    return [image, vector, vector, *[image] * side]


@kernel(
    "millstream_batch_norm_gradient",
    results=_gradients_look,
    serves=_up_to(3),
    attributes=lambda *_, epsilon, channels_first, is_training, side=False: {
        "epsilon": np.float32(epsilon), "channels_first": channels_first, "is_training": is_training
    },
)
def gradients(
    dy: Any, x: Any, scale: Any, mean: Any, variance: Any, *y: Any,
    epsilon: float, channels_first: bool, is_training: bool, side: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of `normalize`, where training, or of `normalize_by`.

    Args:
      dy: the gradient of the images that came out.
      x: the images that went in.
      scale, mean, variance: vectors; the variance is not the unbiased one.
      y: nothing, or, where the activation was relu, the images that came out.
      epsilon, channels_first: see above.
      is_training: whether mean and variance are those of `x`, and depend on it.
      side: whether the gradient of an image that was added is wanted too.

    Returns:
      The gradients of `x`, scale, offset, and of the image that was added.
    """
    xp, axes, vector = x.__array_namespace__(), _other_axes(x, channels_first), _vector_shape(x, channels_first)
    for image in y:
        dy = xp.where(image > 0, dy, xp.zeros_like(dy))
    wide = dy.astype(scale.dtype)
    inverse = 1 / xp.sqrt(variance + epsilon)
    normal = (x.astype(scale.dtype) - mean.reshape(vector)) * inverse.reshape(vector)
    d_offset, d_scale = xp.sum(wide, axis=axes), xp.sum(wide * normal, axis=axes)
    if is_training:
        count = _count(x, scale.shape[0])
        wide = wide - (d_offset / count).reshape(vector) - normal * (d_scale / count).reshape(vector)
    dx = (wide * (scale * inverse).reshape(vector)).astype(x.dtype)
    return dx, d_scale, d_offset, *[dy] * side
