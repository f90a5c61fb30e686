"""What convolutions demand of their inputs: of static shapes when a graph is built, of dimensions when they run."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.shape_context import ShapeContext
from millstream.ops.windows import Geometry

Dims = Sequence[int]

# --- How filters slide --------------------------------------------------------------------------------------


def check_geometry(geometry: Geometry, name: str) -> None:
    """Checks that attributes fit the data format.

    Raises:
      ValueError: they do not, or numbers are too small.
    """
    rank = len(geometry.data_format)
    for what, values in (("stride", geometry.strides), ("dilation", geometry.dilations)):
        if len(values) != rank:
            raise ValueError(f"{name} requires the {what} attribute to contain {rank} values, but got: {len(values)}")
    for axis in geometry.spatial:
        if geometry.strides[axis] < 1:
            raise ValueError(f"Stride must be > 0, but got {geometry.strides[axis]}")
        if geometry.dilations[axis] < 1:
            raise ValueError(f"Dilation rate must be >= 1, but got {geometry.dilations[axis]}")
    _check_explicit(geometry)


def _check_explicit(geometry: Geometry) -> None:
    values, count = geometry.explicit, 2 * len(geometry.data_format)
    if geometry.padding != "EXPLICIT":
        if values:
            raise ValueError("explicit_paddings attribute must be empty if the padding attribute is not EXPLICIT")
        return
    if len(values) != count:
        raise ValueError(f"explicit_paddings attribute must contain {count} values, but got: {len(values)}")
    if min(values) < 0:
        raise ValueError("All elements of explicit_paddings must be nonnegative")
    if np.reshape(values, (-1, 2))[[0, geometry.channel]].any():
        raise ValueError("Nonzero explicit padding in the batch or depth dimensions is not supported")


# --- Static shapes ------------------------------------------------------------------------------------------


def _geometry_of(c: ShapeContext) -> Geometry:
    attrs = c.attrs
    geometry = Geometry(
        attrs["strides"], attrs["dilations"], attrs["padding"], attrs.get("explicit_paddings", ()),
        attrs["data_format"],
    )  # fmt: skip
    depthwise = c.definition.name.startswith("Depthwise")
    check_geometry(geometry, "DepthwiseConv2D" if depthwise else f"Conv{len(geometry.data_format) - 2}D")
    return geometry


def groups(channels: int | None, per_filter: int | None, outputs: int | None) -> int:
    """Into how many groups the channels are divided; 1 where that is not known.

    Raises:
      ValueError: they cannot be divided so.
    """
    if channels is None or not per_filter:
        return 1
    if channels % per_filter:
        raise ValueError(f"Depth of input ({channels}) is not a multiple of input depth of filter ({per_filter})")
    count = channels // per_filter
    if outputs is not None and count and outputs % count:
        raise ValueError(f"Depth of output ({outputs}) is not a multiple of the number of groups ({count})")
    return max(count, 1)


def conv_shape(c: ShapeContext) -> Any:
    """The shape rule of Conv2D and Conv3D."""
    geometry = _geometry_of(c)
    rank = len(geometry.data_format)
    images, filters = c.require_rank(0, rank), c.require_rank(1, rank)
    groups(images[geometry.channel], filters[-2], filters[-1])
    sizes = geometry.static_sizes(geometry.of_spatial(images), filters[:-2])
    return geometry.image_dims(images[0], sizes, filters[-1])


def depthwise_shape(c: ShapeContext) -> Any:
    """The shape rule of DepthwiseConv2dNative."""
    geometry = _geometry_of(c)
    images, filters = c.require_rank(0, 4), c.require_rank(1, 4)
    channels, multiplier = images[geometry.channel], filters[3]
    if None not in (channels, filters[2]) and channels != filters[2]:
        raise ValueError(f"Dimensions must be equal, but are {channels} and {filters[2]}")
    channels = filters[2] if channels is None else channels
    sizes = geometry.static_sizes(geometry.of_spatial(images), filters[:2])
    return geometry.image_dims(
        images[0], sizes, None if channels is None or multiplier is None else channels * multiplier
    )


def sizes_in(index: int, rank: int) -> Callable[[ShapeContext], Any]:
    """A shape rule: the value of an input is the shape, of a known rank."""
    return lambda c: shapes.with_rank(c.constant_shape(index), rank)


# --- Dimensions ---------------------------------------------------------------------------------------------


def check_forward(geometry: Geometry, images: Dims, filters: Dims, prefix: str = "") -> None:
    """Checks the dimensions of a convolution.

    Args:
      geometry: how the filters slide.
      images, filters: the dimensions; filters are [*window, channels / groups, outputs].
      prefix: what the messages begin with.

    Raises:
      ValueError: dimensions that do not fit.
      NotImplementedError: filters that slide over the batch or the channels.
    """
    rank = len(geometry.data_format)
    for what, dims in (("input", images), ("filter", filters)):
        if len(dims) != rank:
            raise ValueError(f"{prefix}convolution {what} must be {rank}-dimensional: {shapes.format_shape(dims)}")
    check_geometry(geometry, f"Conv{rank - 2}D")
    for what, values in (("strides", geometry.strides), ("dilations", geometry.dilations)):
        if values[0] != 1 or values[geometry.channel] != 1:
            raise NotImplementedError(
                f"Current implementation does not yet support {what} in the batch and depth dimensions."
            )
    channels, (per_filter, outputs) = images[geometry.channel], filters[-2:]
    if per_filter and channels % per_filter:
        raise ValueError(
            f"{prefix}input depth must be evenly divisible by filter depth: {channels} vs {per_filter}"
        )
    count = channels // per_filter if per_filter else 1
    if count and outputs % count:
        raise ValueError(f"{prefix}output depth must be evenly divisible by number of groups: {outputs} vs {count}")


def check_backward(geometry: Geometry, images: Dims, filters: Dims, grad: Dims, by: str) -> None:
    """Checks the dimensions of a gradient of a convolution.

    Args:
      geometry: how the filters slide.
      images, filters: the dimensions that the convolution has.
      grad: the dimensions of the gradient of its result.
      by: "Input" or "Filter".

    Raises:
      ValueError: dimensions that do not fit.
      NotImplementedError: filters that slide over the batch or the channels.
    """
    name = f"Conv2DCustomBackprop{by}" if len(geometry.data_format) == 4 else f"Conv3DBackprop{by}Op"
    check_forward(geometry, images, filters, f"{name}: ")
    if len(grad) != len(images):
        raise ValueError(f"{name}: out_backprop must be {len(images)}-dimensional")
    if images[0] != grad[0]:
        raise ValueError(
            f"{name}: input and out_backprop must have the same batch size. Input batch: {images[0]}, "
            f"outbackprop batch: {grad[0]}, batch_dim: 0"
        )
    if filters[-1] != grad[geometry.channel]:
        raise ValueError(f"{name}: filter and out_backprop must have the same out_depth")
    for axis, window in zip(geometry.spatial, filters[:-2], strict=True):
        size = geometry.output_size(axis, images[axis], window)
        if size != grad[axis]:
            raise ValueError(
                f"{name}: Size of out_backprop doesn't match computed: actual = {grad[axis]}, computed = {size} "
                f"spatial_dim: {axis} input: {images[axis]} filter: {window} output: {grad[axis]} "
                f"stride: {geometry.strides[axis]} dilation: {geometry.dilations[axis]}"
            )


def grouped_dims(geometry: Geometry, images: Dims, filters: Dims) -> list[int]:
    """The dimensions of depthwise filters [height, width, channels, multiplier] as filters of one group a channel.

    Raises:
      ValueError: the images have another number of channels.
    """
    if len(images) != 4 or len(filters) != 4:
        raise ValueError(f"input and filter must be 4-dimensional: {[*images]} and {[*filters]}")
    channels = images[geometry.channel]
    if channels != filters[2]:
        raise ValueError(f"input and filter must have the same depth: {channels} vs {filters[2]}")
    return [*filters[:2], 1, filters[2] * filters[3]]
