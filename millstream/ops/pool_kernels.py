"""Pooling with XLA: the greatest or the mean number of each window, and the gradients.

A window may extend over any dimension but the batch. What lies outside of the image does not count.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.ops.windows import Geometry

Sizes = Sequence[int]


def max_pool(images: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """The greatest number of each window.

    Args:
      images: an array in the order of the data format.
      ksize: the window's size, one entry a dimension.
      geometry: how the window slides.
    """
    from jax import lax

    least = _least(images.dtype)
    return lax.reduce_window(images, least, lax.max, tuple(ksize), geometry.strides, _pads(images, ksize, geometry))


def max_pool_gradient(images: Any, grad: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """The gradient of `max_pool`: each number goes to the first of the greatest numbers of its window."""
    import jax

    _, pull_back = jax.vjp(lambda x: max_pool(x, ksize, geometry), images)
    return pull_back(grad)[0]


def max_pool_second_gradient(images: Any, grad: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """What `grad` holds where `images` has the greatest number of each window."""
    import jax

    return jax.jvp(lambda x: max_pool(x, ksize, geometry), (images,), (grad,))[1]


def max_pool_with_places(images: Any, ksize: Sizes, geometry: Geometry, batch_in_index: bool) -> tuple[Any, Any]:
    """The greatest number of each window and its place in the flattened image, or batch of images."""
    import jax.numpy as jnp
    from jax import lax

    count = images.size if batch_in_index else images.size // max(images.shape[0], 1)
    places = jnp.broadcast_to(jnp.arange(count, dtype=jnp.int64).reshape(-1, *images.shape[1:]), images.shape)

    def greater(a: Any, b: Any) -> Any:
        first = (a[0] > b[0]) | (a[0] == b[0]) & (a[1] < b[1])
        return tuple(jnp.where(first, x, y) for x, y in zip(a, b, strict=True))

    starts = (_least(images.dtype), jnp.int64(np.iinfo(np.int64).max))
    window = (tuple(ksize), geometry.strides, _pads(images, ksize, geometry))
    return lax.reduce_window((images, places), starts, greater, *window)


def avg_pool(images: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """The mean of each window."""
    import jax.numpy as jnp
    from jax import lax

    wide = images.astype(jnp.float32) if images.dtype.itemsize == 2 else images
    pads = _pads(images, ksize, geometry)
    zero = np.zeros((), wide.dtype)
    total = lax.reduce_window(wide, zero, lax.add, tuple(ksize), geometry.strides, pads)
    return (total / _counts(images.shape, ksize, geometry, pads).astype(wide.dtype)).astype(images.dtype)


def avg_pool_gradient(dims: Sizes, grad: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """The gradient of `avg_pool` by images of the dimensions `dims`."""
    import jax

    images = jax.ShapeDtypeStruct(tuple(dims), grad.dtype)
    return jax.linear_transpose(lambda x: avg_pool(x, ksize, geometry), images)(grad)[0]


def _pads(images: Any, ksize: Sizes, geometry: Geometry) -> list[tuple[int, int]]:
    return [geometry.pads(axis, size, ksize[axis]) for axis, size in enumerate(images.shape)]


def _least(dtype: Any) -> Any:
    """What no number of this dtype is less than."""
    if dtype.kind in "iu":
        return np.array(np.iinfo(dtype).min, dtype)
    return np.array(-np.inf, dtype)


def _counts(dims: Sizes, ksize: Sizes, geometry: Geometry, pads: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    """How many numbers each window holds, without the padding."""
    counts = np.ones((1,) * len(dims))
    for axis, (size, window, (before, _)) in enumerate(zip(dims, ksize, pads, strict=True)):
        places = geometry.output_size(axis, size, window) or 0
        starts = np.arange(places) * geometry.strides[axis] - before
        inside = np.minimum(starts + window, size) - np.maximum(starts, 0)
        shape = [1] * len(dims)
        shape[axis] = places
        counts = counts * inside.reshape(shape)
    return counts
