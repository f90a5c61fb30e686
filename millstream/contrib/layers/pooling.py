"""Pooling layers."""
from __future__ import annotations

from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.layers.scopes import collect_named_outputs
from millstream.contrib.layers.sizes import check_layout, layout_of
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.layers.pooling import AveragePooling2D, AveragePooling3D, MaxPooling2D, MaxPooling3D


def _pool(
    kind: Any, default_scope: str, inputs: Any, kernel_size: Any, stride: Any, padding: str, data_format: str,
    outputs_collections: Any, scope: str | None,
) -> Any:  # fmt: skip
    with name_scope(scope, default_scope, [inputs]) as entered:
        inputs = to_tensor(inputs)
        layer = kind(kernel_size, stride, padding=padding, data_format=layout_of(data_format), _scope=entered)
        return collect_named_outputs(outputs_collections, entered, layer(inputs))


@export(v1=["contrib.layers.max_pool2d"])
@add_arg_scope
def max_pool2d(
    inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", data_format: str = "NHWC",
    outputs_collections: Any = None, scope: str | None = None,
) -> Any:  # fmt: skip
    """The greatest number of each window of images.

    Args:
      inputs: a tensor [batch, height, width, channels].
      kernel_size: height and width of the windows, or one integer for both.
      stride: how far the windows move each time, likewise.
      padding: "VALID" or "SAME".
      data_format: "NHWC", or "NCHW" for inputs [batch, channels, height, width].
      outputs_collections: collections for the output.
      scope: the name scope; default "MaxPool2D".

    Raises:
      ValueError: an argument is out of range.
    """
    check_layout(data_format, "NCHW", "NHWC")
    return _pool(MaxPooling2D, "MaxPool2D", **locals())


@export(v1=["contrib.layers.max_pool3d"])
@add_arg_scope
def max_pool3d(
    inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", data_format: str = "NDHWC",
    outputs_collections: Any = None, scope: str | None = None,
) -> Any:  # fmt: skip
    """The greatest number of each window of volumes [batch, depth, height, width, channels]; see `max_pool2d`."""
    check_layout(data_format, "NCDHW", "NDHWC")
    return _pool(MaxPooling3D, "MaxPool3D", **locals())


@export(v1=["contrib.layers.avg_pool2d"])
@add_arg_scope
def avg_pool2d(
    inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", data_format: str = "NHWC",
    outputs_collections: Any = None, scope: str | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of images; see `max_pool2d` for the arguments."""
    check_layout(data_format, "NCHW", "NHWC")
    return _pool(AveragePooling2D, "AvgPool2D", **locals())


@export(v1=["contrib.layers.avg_pool3d"])
@add_arg_scope
def avg_pool3d(
    inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", data_format: str = "NDHWC",
    outputs_collections: Any = None, scope: str | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of volumes [batch, depth, height, width, channels]; see `max_pool2d`."""
    check_layout(data_format, "NCDHW", "NDHWC")
    return _pool(AveragePooling3D, "AvgPool3D", **locals())
