"""Pooling: the greatest or the mean number of each window, and the gradients.

A window may extend over any dimension but the batch. What lies outside of the image does not count.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.native import Like, kernel, serves_floats
from millstream.ops.windows import Geometry

Sizes = Sequence[int]


# --- The native kernels -------------------------------------------------------------------------------------


def _has_kernel(dims: Sizes, ksize: Sizes, geometry: Geometry) -> bool:
    """Whether native kernels pool images so: over spatial dimensions only, with a number in each window."""
    if len(dims) != len(ksize):  # an error, which XLA explains
        return False
    if any(ksize[axis] != 1 or geometry.strides[axis] != 1 for axis in (0, geometry.channel)):
        return False
    counts = [_counts_along(axis, dims, ksize, geometry) for axis in geometry.spatial]
    return all(count.size and (count > 0).all() for count in counts)


def _has_gradient_kernel(dims: Sizes, grad: Any, ksize: Sizes, geometry: Geometry) -> bool:
    return _has_kernel(dims, ksize, geometry) and grad.shape == _pooled_dims(dims, ksize, geometry)


def _pooled_dims(dims: Sizes, ksize: Sizes, geometry: Geometry) -> tuple[Any, ...]:
    return tuple(geometry.output_size(axis, size, ksize[axis]) for axis, size in enumerate(dims))


def _attributes(dims: Sizes, ksize: Sizes, geometry: Geometry) -> dict[str, Any]:
    """The attributes of a native call for images of the dimensions `dims`."""
    window = geometry.of_spatial(ksize)
    pads = geometry.all_pads(geometry.of_spatial(dims), window)
    spatial = {
        "window": window,
        "strides": geometry.of_spatial(geometry.strides),
        "before": [before for before, _ in pads],
        "after": [after for _, after in pads],
    }
    numbers = {name: np.array(values, np.int64) for name, values in spatial.items()}
    return {**numbers, "channels_first": geometry.channels_first}


_POOLING: dict[str, Any] = {
    "results": lambda images, *, ksize, geometry: Like(_pooled_dims(images.shape, ksize, geometry), images.dtype),
    "serves": lambda images, *, ksize, geometry: serves_floats(images) and _has_kernel(images.shape, ksize, geometry),
    "attributes": lambda images, *, ksize, geometry: _attributes(images.shape, ksize, geometry),
}


# --- Max pooling --------------------------------------------------------------------------------------------


@kernel("millstream_max_pool", **_POOLING)
def max_pool(images: Any, *, ksize: Sizes, geometry: Geometry) -> Any:
    """The greatest number of each window.

    Args:
      images: an array in the order of the data format.
      ksize: the window's size, one entry a dimension.
      geometry: how the window slides.
    """
    from jax import lax

    least = _least(images.dtype)
    return lax.reduce_window(images, least, lax.max, tuple(ksize), geometry.strides, _pads(images, ksize, geometry))


@kernel(
    "millstream_max_pool_gradient",
    results=lambda images, grad, **_: Like(images.shape, grad.dtype),
    serves=lambda images, grad, *, ksize, geometry, relu=False: (
        serves_floats(images, grad) and _has_gradient_kernel(images.shape, grad, ksize, geometry)
    ),
    attributes=lambda images, grad, *, ksize, geometry, relu=False: {
        **_attributes(images.shape, ksize, geometry), "relu": relu
    },
)  # fmt: skip
def max_pool_gradient(images: Any, grad: Any, *, ksize: Sizes, geometry: Geometry, relu: bool = False) -> Any:
    """The gradient of `max_pool`: each number goes to the first of the greatest numbers of its window.

    Args:
      images, ksize, geometry: as for `max_pool`.
      grad: the gradient by what `max_pool` made of them.
      relu: the gradient goes on through the rectifier that made `images`: it ends where these are not positive.
    """
    import jax
    import jax.numpy as jnp

    _, pull_back = jax.vjp(lambda x: max_pool.fallback(x, ksize=ksize, geometry=geometry), images)
    back = pull_back(grad)[0]
    return jnp.where(images > 0, back, jnp.zeros_like(back)) if relu else back


def max_pool_second_gradient(images: Any, grad: Any, ksize: Sizes, geometry: Geometry) -> Any:
    """What `grad` holds where `images` has the greatest number of each window."""
    import jax

    return jax.jvp(lambda x: max_pool.fallback(x, ksize=ksize, geometry=geometry), (images,), (grad,))[1]


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


# --- Average pooling ----------------------------------------------------------------------------------------


@kernel("millstream_avg_pool", **_POOLING)
def avg_pool(images: Any, *, ksize: Sizes, geometry: Geometry) -> Any:
    """The mean of each window."""
    import jax.numpy as jnp
    from jax import lax

    wide = images.astype(jnp.float32) if images.dtype.itemsize == 2 else images
    pads = _pads(images, ksize, geometry)
    zero = np.zeros((), wide.dtype)
    total = lax.reduce_window(wide, zero, lax.add, tuple(ksize), geometry.strides, pads)
    return (total / _counts(images.shape, ksize, geometry).astype(wide.dtype)).astype(images.dtype)


@kernel(
    "millstream_avg_pool_gradient",
    results=lambda grad, *, dims, ksize, geometry: Like(dims, grad.dtype),
    serves=lambda grad, *, dims, ksize, geometry: (
        serves_floats(grad) and _has_gradient_kernel(dims, grad, ksize, geometry)
    ),
    attributes=lambda grad, *, dims, ksize, geometry: _attributes(dims, ksize, geometry),
)
def avg_pool_gradient(grad: Any, *, dims: Sizes, ksize: Sizes, geometry: Geometry) -> Any:
    """The gradient of `avg_pool` by images of the dimensions `dims`."""
    import jax

    images = jax.ShapeDtypeStruct(tuple(dims), grad.dtype)
    return jax.linear_transpose(lambda x: avg_pool.fallback(x, ksize=ksize, geometry=geometry), images)(grad)[0]


# --- Windows ------------------------------------------------------------------------------------------------


def _pads(images: Any, ksize: Sizes, geometry: Geometry) -> list[tuple[int, int]]:
    return [geometry.pads(axis, size, ksize[axis]) for axis, size in enumerate(images.shape)]


def _least(dtype: Any) -> Any:
    """What no number of this dtype is less than."""
    if dtype.kind in "iu":
        return np.array(np.iinfo(dtype).min, dtype)
    return np.array(-np.inf, dtype)


def _counts(dims: Sizes, ksize: Sizes, geometry: Geometry) -> np.ndarray[Any, Any]:
    """How many numbers each window holds, without the padding."""
    counts = np.ones((1,) * len(dims))
    for axis in range(len(dims)):
        shape = [1] * len(dims)
        shape[axis] = -1
        counts = counts * _counts_along(axis, dims, ksize, geometry).reshape(shape)
    return counts


def _counts_along(axis: int, dims: Sizes, ksize: Sizes, geometry: Geometry) -> np.ndarray[Any, Any]:
    """How many places along an axis each window holds, without the padding."""
    size, window = dims[axis], ksize[axis]
    places = geometry.output_size(axis, size, window) or 0
    starts = np.arange(places) * geometry.strides[axis] - geometry.pads(axis, size, window)[0]
    return np.minimum(starts + window, size) - np.maximum(starts, 0)
