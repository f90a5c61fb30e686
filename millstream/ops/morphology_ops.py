"""Dilation and erosion of images by a structuring function, channel by channel.

J. Serra and P. Soille: Mathematical Morphology and Its Applications to Image Processing, 1994.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import REAL_NUMERIC
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.elementwise_ops import negative
from millstream.ops.pad_ops import reverse
from millstream.ops.windows import Geometry

_ATTRS = 'strides: list(int) >= 4, rates: list(int) >= 4, padding: string{"SAME","VALID"}'


def _geometry(strides: Any, rates: Any, padding: str) -> Geometry:
    return Geometry(tuple(strides), tuple(rates), padding, (), "NHWC")


def _dilated_shape(c: ShapeContext) -> Any:
    images, kernel = c.require_rank(0, 4), c.require_rank(1, 3)
    for what in ("strides", "rates"):
        if len(c.attrs[what]) != 4:
            count = len(c.attrs[what])
            raise ValueError(f"Dilation2D requires the {what} attribute to contain 4 values, but got: {count}")
    geometry = _geometry(c.attrs["strides"], c.attrs["rates"], c.attrs["padding"])
    height, width = geometry.static_sizes(images[1:3], kernel[:2])
    return (images[0], height, width, shapes.merge_dim(images[3], kernel[2]))


def _candidates(
    xp: Any, images: Any, kernel: Any, strides: Any, rates: Any, padding: str
) -> Iterator[tuple[tuple[slice, slice], Any]]:
    """For each point of the kernel: the places of the padded images that it meets, and the sums of both there."""
    if strides[0] != 1 or strides[3] != 1:
        raise NotImplementedError("Stride is only supported across spatial dimensions.")
    if rates[0] != 1 or rates[3] != 1:
        raise NotImplementedError("Rate is only supported across spatial dimensions.")
    if images.shape[3] != kernel.shape[2]:
        raise ValueError(f"input and filter must have the same depth: {images.shape[3]} vs {kernel.shape[2]}")
    geometry = _geometry(strides, rates, padding)
    sizes, windows = images.shape[1:3], kernel.shape[:2]
    counts, pads = geometry.output_sizes(sizes, windows), geometry.all_pads(sizes, windows)
    padded = xp.pad(images, [(0, 0), *pads, (0, 0)])
    inside = np.pad(np.ones(sizes, bool), pads)
    least = _least(images.dtype)
    for point in np.ndindex(*windows):
        starts = [offset * rate for offset, rate in zip(point, rates[1:3], strict=True)]
        rows, columns = (
            slice(start, start + (count - 1) * stride + 1, stride)
            for start, count, stride in zip(starts, counts, strides[1:3], strict=True)
        )
        sums = padded[:, rows, columns] + kernel[point]
        yield (rows, columns), xp.where(inside[rows, columns][:, :, None], sums, least)


def _least(dtype: Any) -> Any:
    return np.iinfo(dtype).min if np.dtype(dtype).kind in "iu" else np.array(-np.inf, dtype)


@op(
    f"Dilation2D(input: T, filter: T, *, {_ATTRS}) -> output: T", T=REAL_NUMERIC, shape=_dilated_shape
)
def dilation2d_op(xp, input, filter, *, strides, rates, padding):
    result = None
    for _, sums in _candidates(xp, input, filter, strides, rates, padding):
        result = sums if result is None else xp.maximum(result, sums)
    return result


def _winners(
    xp: Any, images: Any, kernel: Any, grad: Any, strides: Any, rates: Any, padding: str
) -> Iterator[tuple[tuple[slice, slice], Any]]:
    """For each point of the kernel the places that it meets, and the gradient where it is the first greatest."""
    found = list(_candidates(xp, images, kernel, strides, rates, padding))
    winner = xp.argmax(xp.stack([sums for _, sums in found]), axis=0)
    for number, (places, _) in enumerate(found):
        yield places, xp.where(winner == number, grad, xp.zeros_like(grad))


@op(
    f"Dilation2DBackpropInput(input: T, filter: T, out_backprop: T, *, {_ATTRS}) -> in_backprop: T",
    T=REAL_NUMERIC, shape=lambda c: c.require_rank(0, 4), traced_only=True,
)  # fmt: skip
def dilation2d_backprop_input_op(xp, input, filter, out_backprop, *, strides, rates, padding):
    pads = _geometry(strides, rates, padding).all_pads(input.shape[1:3], filter.shape[:2])
    padded = xp.zeros_like(xp.pad(input, [(0, 0), *pads, (0, 0)]))
    for (rows, columns), grad in _winners(xp, input, filter, out_backprop, strides, rates, padding):
        padded = padded.at[:, rows, columns].add(grad)
    (top, _), (left, _) = pads
    return padded[:, top : top + input.shape[1], left : left + input.shape[2]]


@op(
    f"Dilation2DBackpropFilter(input: T, filter: T, out_backprop: T, *, {_ATTRS}) -> filter_backprop: T",
    T=REAL_NUMERIC, shape=lambda c: c.require_rank(1, 3),
)  # fmt: skip
def dilation2d_backprop_filter_op(xp, input, filter, out_backprop, *, strides, rates, padding):
    winners = _winners(xp, input, filter, out_backprop, strides, rates, padding)
    return xp.stack([xp.sum(grad, axis=(0, 1, 2), dtype=grad.dtype) for _, grad in winners]).reshape(filter.shape)


@dilation2d_op.gradient
def _(op, grad):
    attrs = {name: op.attrs[name] for name in ("strides", "rates", "padding")}
    images, kernel = op.inputs
    return (
        dilation2d_backprop_input_op(images, kernel, grad, **attrs),
        dilation2d_backprop_filter_op(images, kernel, grad, **attrs),
    )


# --- Public functions ---------------------------------------------------------------------------------------


@export(v1=["nn.dilation2d"])
def dilation2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: Any = None,
    name: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The greatest sum of image and filter within a window: grey-scale dilation, max pooling where the filter is 0.

    `output[b, y, x, c] = max over i, j of
    input[b, strides[1] * y + rates[1] * i, strides[2] * x + rates[2] * j, c] + filters[i, j, c]`

    Args:
      input: a real tensor [batch, height, width, channels].
      filter, filters: [filter_height, filter_width, channels] of the same dtype (two names of one argument).
      strides: four integers, of which the first and the last are 1.
      rates, dilations: how far apart the filter's points are, likewise (two names of one argument).
      padding: "SAME" or "VALID".
      name: the operation's name.

    Raises:
      ValueError: the shapes do not fit, or the filter is larger than the image.
    """
    kernel, rates = renamed("filters", filters, "filter", filter), renamed("dilations", dilations, "rates", rates)
    return dilation2d_op(input, kernel, strides=strides, rates=rates, padding=padding, name=name)


@export(v2=["nn.dilation2d"])
def dilation2d_v2(
    input: Any, filters: Any, strides: Any, padding: str, data_format: str, dilations: Any, name: str | None = None
) -> Tensor:
    """The greatest sum of image and filter within a window: grey-scale dilation, max pooling where the filter is 0.

    `output[b, y, x, c] = max over i, j of
    input[b, strides[1] * y + dilations[1] * i, strides[2] * x + dilations[2] * j, c] + filters[i, j, c]`

    Args:
      input: a real tensor [batch, height, width, channels].
      filters: [filter_height, filter_width, channels] of the same dtype.
      strides: four integers, of which the first and the last are 1.
      padding: "SAME" or "VALID".
      data_format: "NHWC".
      dilations: how far apart the filter's points are: four integers, of which the first and the last are 1.
      name: the operation's name.

    Raises:
      ValueError: another data format; the shapes do not fit, or the filter is larger than the image.
    """
    _check_format(data_format)
    return dilation2d_op(input, filters, strides=strides, rates=dilations, padding=padding, name=name)


def _check_format(data_format: str) -> None:
    if data_format != "NHWC":
        raise ValueError(
            f"`data_format` values other  than 'NHWC' are not supported. Received: data_format={data_format}"
        )


@export(v1=["nn.erosion2d"])
def erosion2d(
    value: Any, kernel: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Tensor:
    """The least difference of image and kernel within a window: grey-scale erosion, the dual of `dilation2d`.

    `output[b, y, x, c] = min over i, j of
    value[b, strides[1] * y - rates[1] * i, strides[2] * x - rates[2] * j, c] - kernel[i, j, c]`

    Args:
      value: a tensor [batch, height, width, channels] of signed numbers.
      kernel: [kernel_height, kernel_width, channels] of the same dtype.
      strides: four integers, of which the first and the last are 1.
      rates: how far apart the kernel's points are, likewise.
      padding: "SAME" or "VALID".
      name: the operation's name.

    Raises:
      ValueError: the shapes do not fit, or the kernel is larger than the image.
    """
    with name_scope(name, "erosion2d", [value, kernel]) as scope:
        value, kernel = negative(value), reverse(kernel, [0, 1])
        return negative(dilation2d_op(value, kernel, strides=strides, rates=rates, padding=padding, name=scope))


@export(v2=["nn.erosion2d"])
def erosion2d_v2(
    value: Any, filters: Any, strides: Any, padding: str, data_format: str, dilations: Any, name: str | None = None
) -> Tensor:
    """The least difference of image and filter within a window: grey-scale erosion, the dual of `dilation2d`.

    Args:
      value: a tensor [batch, height, width, channels] of signed numbers.
      filters: [filter_height, filter_width, channels] of the same dtype.
      strides: four integers, of which the first and the last are 1.
      padding: "SAME" or "VALID".
      data_format: "NHWC".
      dilations: how far apart the filter's points are: four integers, of which the first and the last are 1.
      name: the operation's name.

    Raises:
      ValueError: another data format; the shapes do not fit, or the filter is larger than the image.
    """
    _check_format(data_format)
    return erosion2d(value, filters, strides, dilations, padding, name)
