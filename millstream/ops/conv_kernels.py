"""Convolution with XLA: forwards, and its gradients by images and by filters.

Filters are [*window, channels / groups, outputs]; the outputs of one group are neighbours.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.ops.windows import Geometry


def convolve(images: Any, filters: Any, geometry: Geometry, groups: int = 1) -> Any:
    """Slides filters over images.

    Args:
      images: an array in the order of the data format.
      filters: an array [*window, channels / groups, outputs].
      geometry: how the filters slide.
      groups: into how many groups the channels are divided.
    """
    from jax import lax

    window = filters.shape[:-2]
    filter_order = "HWIO" if len(window) == 2 else "DHWIO"
    return lax.conv_general_dilated(
        images,
        filters,
        window_strides=geometry.of_spatial(geometry.strides),
        padding=geometry.all_pads(geometry.of_spatial(images.shape), window),
        rhs_dilation=geometry.of_spatial(geometry.dilations),
        dimension_numbers=(geometry.data_format, filter_order, geometry.data_format),
        feature_group_count=groups,
    )


def image_gradient(dims: Sequence[int], filters: Any, grad: Any, geometry: Geometry, groups: int = 1) -> Any:
    """The gradient of `convolve` by images of the dimensions `dims`."""
    import jax

    images = jax.ShapeDtypeStruct(tuple(dims), grad.dtype)
    (result,) = jax.linear_transpose(lambda x: convolve(x, filters, geometry, groups), images)(grad)
    return result


def filter_gradient(images: Any, dims: Sequence[int], grad: Any, geometry: Geometry, groups: int = 1) -> Any:
    """The gradient of `convolve` by filters of the dimensions `dims`."""
    import jax

    filters = jax.ShapeDtypeStruct(tuple(dims), grad.dtype)
    (result,) = jax.linear_transpose(lambda w: convolve(images, w, geometry, groups), filters)(grad)
    return result
