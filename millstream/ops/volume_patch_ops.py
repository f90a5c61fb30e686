"""Patches of volumes, laid out along the channels."""
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
from millstream.ops.windows import Geometry


def _geometry(ksizes: Sequence[int], strides: Sequence[int], padding: str) -> Geometry:
    for name, values in (("ksizes", ksizes), ("strides", strides)):
        if len(values) != 5:
            raise ValueError(f"Attr {name} must specify 5 values, got {len(values)}")
        if values[0] != 1 or values[4] != 1:
            raise ValueError(f"The batch and the channel entry of {name} must be 1, but {name} is {list(values)}")
    return Geometry(tuple(strides), (1,) * 5, padding, (), "NDHWC")


def _patches_shape(c: ShapeContext) -> Any:
    ksizes = c.attrs["ksizes"]
    batch, *spatial, channels = shapes.with_rank(c.shape(0), 5)
    geometry = _geometry(ksizes, c.attrs["strides"], c.attrs["padding"])
    depth = None if channels is None else channels * int(np.prod(ksizes))
    return (batch, *geometry.output_sizes(spatial, ksizes[1:4]), depth)


def _windows(
    sizes: Sequence[int], ksizes: Sequence[int], geometry: Geometry
) -> tuple[list[tuple[int, int]], Iterator[tuple[slice, ...]]]:
    """The padding of each spatial axis, and for each point of the window the padded volume's elements under it."""
    counts = geometry.output_sizes(sizes, ksizes)
    strides = geometry.of_spatial(geometry.strides)
    points = itertools.product(*map(range, ksizes))
    places = (
        tuple(slice(at, at + (n or 0) * step, step) for at, n, step in zip(point, counts, strides, strict=True))
        for point in points
    )
    return geometry.all_pads(sizes, ksizes), places


@op(
    "ExtractVolumePatches(input: T, *, ksizes: list(int) >= 5, strides: list(int) >= 5, "
    'padding: string{"SAME", "VALID"}) -> patches: T',
    T="float double int32 uint8 int16 int8 int64 bfloat16 uint16 half uint32 uint64", shape=_patches_shape,
)  # fmt: skip
def extract_volume_patches_op(xp, input, *, ksizes, strides, padding):
    geometry = _geometry(ksizes, strides, padding)
    pads, places = _windows(input.shape[1:4], ksizes[1:4], geometry)
    padded = xp.pad(input, [(0, 0), *pads, (0, 0)])
    return xp.concatenate([padded[(slice(None), *place)] for place in places], axis=-1)


@extract_volume_patches_op.gradient
def _(op, grad):
    """Each point of the window gives the gradients of the elements that it saw; they are summed."""
    shape = op.inputs[0]._shape
    if not shapes.is_fully_defined(shape):
        raise ValueError(f"The gradient of {op.name} needs a volume of known shape, not {shapes.format_shape(shape)}.")
    batch, *spatial, channels = shape
    ksizes = op.attrs["ksizes"][1:4]
    geometry = _geometry(op.attrs["ksizes"], op.attrs["strides"], op.attrs["padding"])
    pads, places = _windows(spatial, ksizes, geometry)
    padded = [batch, *(size + sum(pad) for size, pad in zip(spatial, pads, strict=True)), channels]
    total = None
    for place, part in zip(places, join_ops.split(grad, int(np.prod(ksizes)), axis=-1), strict=True):
        # The places may end beyond the volume, after the last one that counts.
        bounds = [(p.start, min(p.stop, size), p.step) for p, size in zip(place, padded[1:4], strict=True)]
        begin, end, step = zip((0, batch, 1), *bounds, (0, channels, 1), strict=True)
        term = slice_ops.strided_slice_grad_op(padded, list(begin), list(end), list(step), part)
        total = term if total is None else total + term
    before = [0, *(pad[0] for pad in pads), 0]
    return slice_ops.slice_(total, before, shape_ops.shape(op.inputs[0]))


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
