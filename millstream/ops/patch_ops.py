"""Patches of images and of volumes, laid out along the channels."""
from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import join_ops, shape_ops, slice_ops
from millstream.ops.arguments import renamed
from millstream.ops.windows import Geometry


def _geometry(ksizes: Sequence[int], strides: Sequence[int], rates: Sequence[int], padding: str) -> Geometry:
    rank = len(strides)
    for name, values in (("ksizes", ksizes), ("strides", strides), ("rates", rates)):
        if len(values) != rank:
            raise ValueError(f"Attr {name} must specify {rank} values, got {len(values)}")
        if values[0] != 1 or values[-1] != 1:
            raise ValueError(f"The batch and the channel entry of {name} must be 1, but {name} is {list(values)}")
    return Geometry(tuple(strides), tuple(rates), padding, (), "NHWC" if rank == 4 else "NDHWC")


def _geometry_of(attrs: dict[str, Any]) -> Geometry:
    rates = attrs.get("rates", (1,) * len(attrs["strides"]))
    return _geometry(attrs["ksizes"], attrs["strides"], rates, attrs["padding"])


def _patches_shape(c: ShapeContext) -> Any:
    ksizes = c.attrs["ksizes"]
    geometry = _geometry_of(c.attrs)
    batch, *spatial, channels = shapes.with_rank(c.shape(0), len(ksizes))
    depth = None if channels is None else channels * int(np.prod(ksizes))
    return (batch, *geometry.static_sizes(spatial, ksizes[1:-1]), depth)


def _windows(
    sizes: Sequence[int], ksizes: Sequence[int], geometry: Geometry
) -> tuple[list[tuple[int, int]], Iterator[tuple[slice, ...]]]:
    """The padding of each spatial axis, and for each point of the window the padded array's elements under it."""
    counts = geometry.output_sizes(sizes, ksizes)
    strides, rates = geometry.of_spatial(geometry.strides), geometry.of_spatial(geometry.dilations)
    points = itertools.product(*(range(0, size * rate, rate) for size, rate in zip(ksizes, rates, strict=True)))
    places = (
        tuple(slice(at, at + (n or 0) * step, step) for at, n, step in zip(point, counts, strides, strict=True))
        for point in points
    )
    return geometry.all_pads(sizes, ksizes), places


def _patches(xp: Any, array: Any, ksizes: Sequence[int], geometry: Geometry) -> Any:
    pads, places = _windows(array.shape[1:-1], ksizes[1:-1], geometry)
    padded = xp.pad(array, [(0, 0), *pads, (0, 0)])
    return xp.concatenate([padded[(slice(None), *place)] for place in places], axis=-1)


_TYPES = "float double int32 uint8 int16 int8 int64 bfloat16 uint16 half uint32 uint64"


@op(
    "ExtractVolumePatches(input: T, *, ksizes: list(int) >= 5, strides: list(int) >= 5, "
    'padding: string{"SAME", "VALID"}) -> patches: T',
    T=_TYPES, shape=_patches_shape,
)  # fmt: skip
def extract_volume_patches_op(xp, input, *, ksizes, strides, padding):
    return _patches(xp, input, ksizes, _geometry(ksizes, strides, (1,) * 5, padding))


@op(
    "ExtractImagePatches(images: T, *, ksizes: list(int) >= 4, strides: list(int) >= 4, rates: list(int) >= 4, "
    'padding: string{"SAME", "VALID"}) -> patches: T',
    T=_TYPES, shape=_patches_shape,
)  # fmt: skip
def extract_image_patches_op(xp, images, *, ksizes, strides, rates, padding):
    return _patches(xp, images, ksizes, _geometry(ksizes, strides, rates, padding))


@extract_image_patches_op.gradient
@extract_volume_patches_op.gradient
def _(op, grad):
    """Each point of the window gives the gradients of the elements that it saw; they are summed."""
    shape = op.inputs[0]._shape
    if shape is None or None in shape[1:]:
        raise ValueError(f"The gradient of {op.name} needs an input of known shape, not {shapes.format_shape(shape)}.")
    batch, *spatial, channels = shape
    batch = shape_ops.shape(op.inputs[0])[0] if batch is None else batch
    ksizes = op.attrs["ksizes"][1:-1]
    pads, places = _windows(spatial, ksizes, _geometry_of(op.attrs))
    padded = [batch, *(size + sum(pad) for size, pad in zip(spatial, pads, strict=True)), channels]
    total = None
    for place, part in zip(places, join_ops.split(grad, int(np.prod(ksizes)), axis=-1), strict=True):
        # The places may end beyond the input, after the last one that counts.
        bounds = [(p.start, min(p.stop, size), p.step) for p, size in zip(place, padded[1:-1], strict=True)]
        begin, end, step = zip((0, batch, 1), *bounds, (0, channels, 1), strict=True)
        term = slice_ops.strided_slice_grad_op(padded, list(begin), list(end), list(step), part)
        total = term if total is None else total + term
    before = [0, *(pad[0] for pad in pads), 0]
    return slice_ops.slice_(total, before, shape_ops.shape(op.inputs[0]))


@export(v2=["image.extract_patches"], v1=["image.extract_patches"])
def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Tensor:
    """Cuts patches out of images, and lays each out along the channels.

    Args:
      images: [batch, rows, columns, channels], real numbers.
      sizes: [1, r, c, 1], the size of a patch.
      strides: [1, r, c, 1], the distances between the centres of neighbouring patches.
      rates: [1, r, c, 1], the distances between neighbouring points of a patch.
      padding: "VALID", or "SAME" for patches that reach over the edges, where there are zeros.
      name: the operation's name.

    Returns:
      [batch, rows', columns', r * c * channels], channels varying fastest.
    """
    return extract_image_patches_op(
        images, ksizes=sizes, strides=strides, rates=rates, padding=padding, name=name
    )


@export(v1=["extract_image_patches", "image.extract_image_patches"])
def extract_image_patches(
    images: Any,
    ksizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: str | None = None,
    name: str | None = None,
    sizes: Any = None,
) -> Tensor:
    """`image.extract_patches`, where `sizes` has the old name `ksizes` too."""
    sizes = renamed("sizes", sizes, "ksizes", ksizes)
    return extract_image_patches_op(
        images, ksizes=sizes, strides=strides, rates=rates, padding=padding, name=name
    )


@export("extract_volume_patches")
def extract_volume_patches(input: Any, ksizes: Any, strides: Any, padding: str, name: str | None = None) -> Tensor:
    """Cuts patches out of volumes, and lays each out along the channels.

    Args:
      input: [batch, planes, rows, columns, channels], real numbers.
      ksizes: [1, p, r, c, 1], the size of a patch.
      strides: [1, p, r, c, 1], the distances between neighbouring patches.
      padding: "VALID", or "SAME" for patches that reach over the edges, where there are zeros.
      name: the operation's name.

    Returns:
      [batch, planes', rows', columns', p * r * c * channels], channels varying fastest.
    """
    return extract_volume_patches_op(input, ksizes=ksizes, strides=strides, padding=padding, name=name)
