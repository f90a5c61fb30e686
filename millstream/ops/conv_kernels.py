"""Convolution: forwards, and its gradients by images and by filters.

Filters are [*window, channels / groups, outputs]; the outputs of one group are neighbours.
"""
from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.native import Like, kernel, library, serves_floats
from millstream.ops.windows import Geometry

Dims = Sequence[int]
# What may follow a convolution in the same kernel, and its number there.
ACTIVATIONS = {"": 0, "Relu": 1, "Relu6": 2}
_FORWARD, _BY_IMAGES, _BY_FILTERS = range(3)


def _slide(images: Dims, filters: Dims, geometry: Geometry) -> dict[str, Dims]:
    """How the filters slide, for each spatial axis."""
    pads = geometry.all_pads(geometry.of_spatial(images), filters[:-2])
    return {
        "strides": geometry.of_spatial(geometry.strides),
        "dilations": geometry.of_spatial(geometry.dilations),
        "before": [before for before, _ in pads],
        "after": [after for _, after in pads],
    }


def _attributes(images: Dims, filters: Dims, geometry: Geometry, groups: int) -> dict[str, Any]:
    """The attributes of a native call."""
    slide = {name: np.array(values, np.int64) for name, values in _slide(images, filters, geometry).items()}
    return {**slide, "groups": np.int64(groups)}


def _has_kernel(
    direction: int, dtype: Any, images: Dims, filters: Dims, bias: bool, geometry: Geometry, groups: int
) -> bool:
    """Whether the native library has a good kernel, for images with the channels last."""
    loaded = library.library()
    if loaded is None:
        return False
    if geometry.channels_first:
        images, geometry = _moved(images, geometry), geometry.with_channels_last()
    description = [direction, dtype.name == "bfloat16", len(geometry.spatial), groups, bias]
    lists = (images, filters, result_dims(images, filters, geometry), *_slide(images, filters, geometry).values())
    numbers = np.array(description + [number for values in lists for number in values], np.int64)
    return bool(loaded.millstream_convolution_serves(ctypes.c_void_p(numbers.ctypes.data)))


def result_dims(images: Dims, filters: Dims, geometry: Geometry) -> tuple[int, ...]:
    """The dimensions of a convolution's result."""
    sizes = geometry.output_sizes(geometry.of_spatial(images), filters[:-2])
    return geometry.image_dims(images[0], sizes, filters[-1])


def _moved(dims: Dims, geometry: Geometry) -> tuple[int, ...]:
    """Dimensions in the order of a data format with the channels moved to the end."""
    return (dims[0], *geometry.of_spatial(dims), dims[geometry.channel])


# --- What the library computes in another way ---------------------------------------------------------------
# It takes images with the channels last, which oneDNN is fastest with. And it has fast kernels for one output a
# channel where each channel is a group of its own: channels with several outputs are repeated.


def _last(images: Any) -> Any:
    import jax.numpy as jnp

    return jnp.moveaxis(images, 1, -1)


def _first(images: Any) -> Any:
    import jax.numpy as jnp

    return jnp.moveaxis(images, -1, 1)


def _repeated(images: Any, count: int) -> Any:
    import jax.numpy as jnp

    return jnp.repeat(images, count, images.ndim - 1)


def _outputs_of_channel(channels: int, outputs: int, groups: int) -> int:
    """How many outputs each channel has, where each is a group of its own; else 1."""
    return outputs // groups if groups == channels > 1 else 1


def _convolve_otherwise(
    images: Any, filters: Any, *bias: Any, geometry: Geometry, groups: int, **options: Any
) -> Callable[..., Any] | None:
    if geometry.channels_first:
        slide = {"geometry": geometry.with_channels_last(), "groups": groups}
        return lambda images, *others: _first(convolve(_last(images), *others, **slide, **options))
    count = _outputs_of_channel(images.shape[-1], filters.shape[-1], groups)
    if count == 1:
        return None
    slide = {"geometry": geometry, "groups": groups * count}
    return lambda images, *others: convolve(_repeated(images, count), *others, **slide, **options)


def _image_gradient_otherwise(
    filters: Any, grad: Any, *, dims: Dims, geometry: Geometry, groups: int
) -> Callable[..., Any] | None:
    if geometry.channels_first:
        slide = {"geometry": geometry.with_channels_last(), "groups": groups}
        moved = _moved(dims, geometry)
        return lambda filters, grad: _first(image_gradient(filters, _last(grad), dims=moved, **slide))
    count = _outputs_of_channel(dims[-1], filters.shape[-1], groups)
    if count == 1:
        return None
    wide = {"dims": (*dims[:-1], dims[-1] * count), "geometry": geometry, "groups": groups * count}

    def instead(filters: Any, grad: Any) -> Any:
        found = image_gradient(filters, grad, **wide)
        return sum(found[..., index::count] for index in range(count))

    return instead


def _filter_gradient_otherwise(
    images: Any, grad: Any, *, dims: Dims, geometry: Geometry, groups: int
) -> Callable[..., Any] | None:
    if geometry.channels_first:
        slide = {"dims": dims, "geometry": geometry.with_channels_last(), "groups": groups}
        return lambda images, grad: filter_gradient(_last(images), _last(grad), **slide)
    count = _outputs_of_channel(images.shape[-1], dims[-1], groups)
    if count == 1:
        return None
    slide = {"dims": dims, "geometry": geometry, "groups": groups * count}
    return lambda images, grad: filter_gradient(_repeated(images, count), grad, **slide)


# --- Forwards -----------------------------------------------------------------------------------------------


def _convolved(images: Any, filters: Any, *bias: Any, geometry: Geometry, **_: Any) -> Like:
    return Like(result_dims(images.shape, filters.shape, geometry), images.dtype)


def _serves(images: Any, filters: Any, *bias: Any, geometry: Geometry, groups: int, **_: Any) -> bool:
    return serves_floats(images, filters, *bias) and _has_kernel(
        _FORWARD, images.dtype, images.shape, filters.shape, bool(bias), geometry, groups
    )


def _convolve_attributes(
    images: Any, filters: Any, *bias: Any, geometry: Geometry, groups: int, activation: str = ""
) -> dict[str, Any]:
    attributes = _attributes(images.shape, filters.shape, geometry, groups)
    return {**attributes, "activation": np.int64(ACTIVATIONS[activation])}


@kernel(
    "millstream_convolution", results=_convolved, serves=_serves, attributes=_convolve_attributes,
    instead=_convolve_otherwise,
)  # fmt: skip
def convolve(
    images: Any, filters: Any, *bias: Any, geometry: Geometry, groups: int = 1, activation: str = ""
) -> Any:
    """Slides filters over images.

    Args:
      images: an array in the order of the data format.
      filters: an array [*window, channels / groups, outputs].
      bias: a vector that is added to the outputs, or nothing.
      geometry: how the filters slide.
      groups: into how many groups the channels are divided.
      activation: what the result goes through, one of `ACTIVATIONS`.
    """
    import jax.numpy as jnp
    from jax import lax

    window = filters.shape[:-2]
    filter_order = "HWIO" if len(window) == 2 else "DHWIO"
    result = lax.conv_general_dilated(
        images,
        filters,
        window_strides=geometry.of_spatial(geometry.strides),
        padding=geometry.all_pads(geometry.of_spatial(images.shape), window),
        rhs_dilation=geometry.of_spatial(geometry.dilations),
        dimension_numbers=(geometry.data_format, filter_order, geometry.data_format),
        feature_group_count=groups,
    )
    for vector in bias:
        result += vector.reshape(geometry.image_dims(1, (1,) * len(window), -1))
    if activation:
        result = jnp.clip(result, 0, 6 if activation == "Relu6" else None)
    return result


# --- Backwards ----------------------------------------------------------------------------------------------


@kernel(
    "millstream_convolution_by_images",
    instead=_image_gradient_otherwise,
    results=lambda filters, grad, *, dims, geometry, groups: Like(dims, grad.dtype),
    serves=lambda filters, grad, *, dims, geometry, groups: serves_floats(filters, grad)
    and _has_kernel(_BY_IMAGES, grad.dtype, dims, filters.shape, False, geometry, groups),
    attributes=lambda filters, grad, *, dims, geometry, groups: _attributes(dims, filters.shape, geometry, groups),
)
def image_gradient(filters: Any, grad: Any, *, dims: tuple[int, ...], geometry: Geometry, groups: int) -> Any:
    """The gradient of `convolve` by images of the dimensions `dims`."""
    import jax

    def forward(images: Any) -> Any:
        return convolve.fallback(images, filters, geometry=geometry, groups=groups)

    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(dims, grad.dtype))(grad)[0]


@kernel(
    "millstream_convolution_by_filters",
    instead=_filter_gradient_otherwise,
    results=lambda images, grad, *, dims, geometry, groups: Like(dims, grad.dtype),
    serves=lambda images, grad, *, dims, geometry, groups: serves_floats(images, grad)
    and _has_kernel(_BY_FILTERS, grad.dtype, images.shape, dims, False, geometry, groups),
    attributes=lambda images, grad, *, dims, geometry, groups: _attributes(images.shape, dims, geometry, groups),
)
def filter_gradient(images: Any, grad: Any, *, dims: tuple[int, ...], geometry: Geometry, groups: int) -> Any:
    """The gradient of `convolve` by filters of the dimensions `dims`."""
    import jax

    def forward(filters: Any) -> Any:
        return convolve.fallback(images, filters, geometry=geometry, groups=groups)

    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(dims, grad.dtype))(grad)[0]
