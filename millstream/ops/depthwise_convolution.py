"""`tf.nn`'s convolutions that keep channels apart: depthwise and separable ones."""
from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import conv_ops
from millstream.ops.arguments import renamed
from millstream.ops.conv_ops import sliding
from millstream.ops.dilation_ops import with_space_to_batch
from millstream.ops.explicit_padding import pad_images
from millstream.ops.shape_ops import shape as shape_of


@export(v1=["nn.depthwise_conv2d_native"])
def depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Slides several filters over each channel on its own.

    Args:
      input: floating point, shape [batch, height, width, channels].
      filter: the same dtype, shape [filter_height, filter_width, channels, multiplier].
      strides: four numbers, one a dimension.
      padding: "SAME" or "VALID".
      data_format: "NHWC" or "NCHW".
      dilations: four numbers.
      name: the operation's name.

    Returns:
      a tensor with channels * multiplier channels, those of one input channel beside each other.
    """
    return conv_ops.depthwise_conv2d_op(
        input, filter, strides=strides, padding=padding, data_format=data_format or "NHWC", dilations=dilations,
        name=name,
    )  # fmt: skip


@export(
    v1=["nn.depthwise_conv2d_native_backprop_input", "nn.depthwise_conv2d_backprop_input"],
    v2=["nn.depthwise_conv2d_backprop_input"],
)
def depthwise_conv2d_native_backprop_input(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `depthwise_conv2d_native` by its input.

    Args:
      input_sizes: the shape of the input, int32 [4].
      filter: the filters.
      out_backprop: the gradient of the result.
      strides, padding, data_format, dilations, name: as for `depthwise_conv2d_native`.
    """
    return conv_ops.depthwise_conv2d_backprop_input_op(
        input_sizes, filter, out_backprop, strides=strides, padding=padding, data_format=data_format,
        dilations=dilations, name=name,
    )  # fmt: skip


@export(
    v1=["nn.depthwise_conv2d_native_backprop_filter", "nn.depthwise_conv2d_backprop_filter"],
    v2=["nn.depthwise_conv2d_backprop_filter"],
)
def depthwise_conv2d_native_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `depthwise_conv2d_native` by its filters.

    Args:
      input: the images.
      filter_sizes: the shape of the filters, int32 [4].
      out_backprop: the gradient of the result.
      strides, padding, data_format, dilations, name: as for `depthwise_conv2d_native`.
    """
    return conv_ops.depthwise_conv2d_backprop_filter_op(
        input, filter_sizes, out_backprop, strides=strides, padding=padding, data_format=data_format,
        dilations=dilations, name=name,
    )  # fmt: skip


@export(v1=["nn.depthwise_conv2d"])
def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """Slides several filters over each channel on its own.

    Args:
      input: floating point, shape [batch, height, width, channels].
      filter: the same dtype, shape [filter_height, filter_width, channels, multiplier].
      strides: four numbers, one a dimension.
      padding: "SAME" or "VALID".
      rate, dilations: the distance between neighbouring points of a filter, two numbers.
      name: the operation's name.
      data_format: "NHWC" or "NCHW".

    Returns:
      a tensor with channels * multiplier channels, those of one input channel beside each other.
    """
    rates = renamed("dilations", dilations, "rate", rate)
    with name_scope(name, "depthwise", [input, filter]) as scope:
        input, filter = to_tensor(input, name="tensor_in"), to_tensor(filter, name="filter_in")
        return _depthwise(input, filter, strides, padding, rates, data_format, scope)


def _depthwise(
    input: Tensor, filter: Tensor, strides: Any, padding: Any, rates: Any, data_format: str | None, name: str
) -> Tensor:
    def apply(converted: Any, _: int, converted_padding: str) -> Tensor:
        return depthwise_conv2d_native(converted, filter, strides, converted_padding, data_format, name=name)

    rates = [1, 1] if rates is None else rates
    input, padding = pad_images(input, padding)
    return with_space_to_batch(input, rates, padding, apply, shape_of(filter), None, data_format)


@export(v2=["nn.depthwise_conv2d"])
def depthwise_conv2d_v2(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Slides several filters over each channel on its own.

    Args:
      input: floating point, shape [batch, height, width, channels].
      filter: the same dtype, shape [filter_height, filter_width, channels, multiplier].
      strides: four numbers, one a dimension.
      padding: "SAME", "VALID" or a list of pairs, how many zeros to add before and after each dimension.
      data_format: "NHWC" or "NCHW".
      dilations: the distance between neighbouring points of a filter, two numbers.
      name: the operation's name.
    """
    return depthwise_conv2d(input, filter, strides, padding, dilations, name, data_format)


@export(v1=["nn.separable_conv2d"])
def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: str,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """A depthwise convolution, and a convolution of single points that mixes the channels (Sifre 2014).

    Args:
      input: floating point, shape [batch, height, width, channels].
      depthwise_filter: the same dtype, shape [filter_height, filter_width, channels, multiplier].
      pointwise_filter: the same dtype, shape [1, 1, channels * multiplier, outputs].
      strides: of the depthwise convolution, four numbers.
      padding: "SAME" or "VALID".
      rate, dilations: the distance between neighbouring points of a filter, two numbers.
      name: the operation's name.
      data_format: "NHWC" or "NCHW".
    """
    rates = renamed("dilations", dilations, "rate", rate)
    with name_scope(name, "separable_conv2d", [input, depthwise_filter, pointwise_filter]) as scope:
        input = to_tensor(input, name="tensor_in")
        depthwise_filter = to_tensor(depthwise_filter, name="depthwise_filter")
        pointwise_filter = to_tensor(pointwise_filter, name="pointwise_filter")
        _check_points(pointwise_filter)
        mixed = _depthwise(input, depthwise_filter, strides, padding, rates, data_format, "depthwise")
        return conv_ops.conv2d_op(
            mixed, pointwise_filter, padding="VALID", name=scope, **sliding(1, None, data_format)
        )


def _check_points(filter: Tensor) -> None:
    for size in filter.get_shape().with_rank(4).dims[:2]:
        size.assert_is_compatible_with(1)


@export(v2=["nn.separable_conv2d"])
def separable_conv2d_v2(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`separable_conv2d` with the arguments in the order of 2.x."""
    return separable_conv2d(
        input, depthwise_filter, pointwise_filter, strides, padding, dilations, name, data_format
    )
