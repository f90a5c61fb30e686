"""Pooling layers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.layers.arguments import format_of, read_layout, read_padding, read_sizes, slid_length
from millstream.layers.base import BaseLayer
from millstream.layers.input_spec import InputSpec
from millstream.layers.layer import Layer
from millstream.ops import pooling
from millstream.ops.reshape_ops import expand_dims, squeeze, transpose


class PoolingBase(BaseLayer):
    """What the pooling layers compute; subclasses say over how many dimensions and with which operation."""

    _settings = ("pool_size", "padding", "strides", "data_format")

    rank: int
    pool: Callable[..., Any]

    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: str = "valid",
        data_format: str = "channels_last",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if strides is None:
            raise ValueError("Argument `strides` must not be None.")
        super().__init__(name=name, **kwargs)
        self.pool_size = read_sizes(pool_size, self.rank, "pool_size")
        self.strides = read_sizes(strides, self.rank, "strides")
        self.padding = read_padding(padding)
        self.data_format = read_layout(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The greatest number, or the mean, of each window."""
        if self.rank == 1:
            axis = 2 if self.data_format == "channels_last" else 3
            return squeeze(self._pool(expand_dims(inputs, axis), (*self.pool_size, 1), (*self.strides, 1)), axis)
        return self._pool(inputs, self.pool_size, self.strides)

    def _pool(self, inputs: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        layout = self.data_format
        moved = layout == "channels_first" and self.rank != 2
        if moved:  # as TensorFlow does on CPUs: the channels go to the end and come back
            layout, last = "channels_last", len(window) + 1
            inputs = transpose(inputs, [0, *range(2, last + 1), 1])
        whole = (lambda sizes: (1, *sizes, 1)) if layout == "channels_last" else (lambda sizes: (1, 1, *sizes))
        pooled = type(self).pool(
            inputs,
            whole(window),
            whole(strides),
            self.padding.upper(),
            data_format=format_of(layout, len(window) + 2),
        )
        return transpose(pooled, [0, last, *range(1, last)]) if moved else pooled

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """[batch, *space, channels], in the layer's layout."""
        sizes = TensorShape(input_shape).as_list()
        first = 1 if self.data_format == "channels_last" else 2
        windows = zip(self.pool_size, self.strides, strict=True)
        for axis, (window, stride) in enumerate(windows, first):
            sizes[axis] = slid_length(sizes[axis], window, self.padding, stride)
        return TensorShape(sizes)


# --- The greatest number of each window ------------------------------------------------------------------------------


@export(v1=["layers.MaxPooling1D"])
class MaxPooling1D(PoolingBase, Layer):
    """The greatest number of each window of sequences; see `max_pooling1d` for the arguments."""

    rank = 1
    pool = staticmethod(pooling.max_pool)


@export(v1=["layers.max_pooling1d"])
def max_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The greatest number of each window of sequences.

    Args:
      inputs: a tensor [batch, length, channels].
      pool_size, strides, ...: as for `max_pooling2d`.
    """
    return MaxPooling1D(pool_size, strides, padding, data_format, name)(inputs)


@export(v1=["layers.MaxPooling2D"])
class MaxPooling2D(PoolingBase, Layer):
    """The greatest number of each window of images; see `max_pooling2d` for the arguments."""

    rank = 2
    pool = staticmethod(pooling.max_pool)


@export(v1=["layers.max_pooling2d"])
def max_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The greatest number of each window of images.

    Args:
      inputs: a tensor [batch, height, width, channels].
      pool_size: the window's size: two integers, or one for both.
      strides: how far the window moves each time, likewise.
      padding: "valid" or "same".
      data_format: "channels_last" or "channels_first".
      name: the layer's name.
    """
    return MaxPooling2D(pool_size, strides, padding, data_format, name)(inputs)


@export(v1=["layers.MaxPooling3D"])
class MaxPooling3D(PoolingBase, Layer):
    """The greatest number of each window of volumes; see `max_pooling3d` for the arguments."""

    rank = 3
    pool = staticmethod(pooling.max_pool3d)


@export(v1=["layers.max_pooling3d"])
def max_pooling3d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The greatest number of each window of volumes.

    Args:
      inputs: a tensor [batch, depth, height, width, channels].
      pool_size, strides, ...: as for `max_pooling2d`.
    """
    return MaxPooling3D(pool_size, strides, padding, data_format, name)(inputs)


# --- The mean of each window -----------------------------------------------------------------------------------------


@export(v1=["layers.AveragePooling1D"])
class AveragePooling1D(PoolingBase, Layer):
    """The mean of each window of sequences; see `average_pooling1d` for the arguments."""

    rank = 1
    pool = staticmethod(pooling.avg_pool)


@export(v1=["layers.average_pooling1d"])
def average_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The mean of each window of sequences.

    Args:
      inputs: a tensor [batch, length, channels].
      pool_size, strides, ...: as for `average_pooling2d`.
    """
    return AveragePooling1D(pool_size, strides, padding, data_format, name)(inputs)


@export(v1=["layers.AveragePooling2D"])
class AveragePooling2D(PoolingBase, Layer):
    """The mean of each window of images; see `average_pooling2d` for the arguments."""

    rank = 2
    pool = staticmethod(pooling.avg_pool)


@export(v1=["layers.average_pooling2d"])
def average_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The mean of each window of images.

    Args:
      inputs: a tensor [batch, height, width, channels].
      pool_size: the window's size: two integers, or one for both.
      strides: how far the window moves each time, likewise.
      padding: "valid" or "same"; padding does not count.
      data_format: "channels_last" or "channels_first".
      name: the layer's name.
    """
    return AveragePooling2D(pool_size, strides, padding, data_format, name)(inputs)


@export(v1=["layers.AveragePooling3D"])
class AveragePooling3D(PoolingBase, Layer):
    """The mean of each window of volumes; see `average_pooling3d` for the arguments."""

    rank = 3
    pool = staticmethod(pooling.avg_pool3d)


@export(v1=["layers.average_pooling3d"])
def average_pooling3d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The mean of each window of volumes.

    Args:
      inputs: a tensor [batch, depth, height, width, channels].
      pool_size, strides, ...: as for `average_pooling2d`.
    """
    return AveragePooling3D(pool_size, strides, padding, data_format, name)(inputs)
