"""Sliding windows: the sizes and paddings that convolution and pooling share."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Dims = Sequence["int | None"]


class Geometry(NamedTuple):
    """How a window slides over images. All sequences have one entry a dimension of the images."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]  # the distance between neighbouring points of the window
    padding: str  # "SAME", "VALID" or "EXPLICIT"
    explicit: tuple[int, ...]  # for "EXPLICIT": how much before and after each dimension, flat
    data_format: str  # "NHWC", "NCHW", "NDHWC" or "NCDHW"

    @property
    def channels_first(self) -> bool:
        """Whether the channels are the second dimension, rather than the last."""
        return self.data_format.startswith("NC")

    @property
    def channel(self) -> int:
        """The axis of the channels."""
        return 1 if self.channels_first else len(self.data_format) - 1

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes over which the window slides."""
        return tuple(axis for axis in range(1, len(self.data_format)) if axis != self.channel)

    def of_spatial(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The entries of the spatial axes."""
        return tuple(values[axis] for axis in self.spatial)

    def image_dims(self, batch: Any, spatial: Sequence[Any], channels: Any) -> tuple[Any, ...]:
        """Dimensions in the order of the data format."""
        return (batch, channels, *spatial) if self.channels_first else (batch, *spatial, channels)

    def with_channels_last(self) -> Geometry:
        """The same over images whose channels are the last dimension."""
        axes = (0, *self.spatial, self.channel)

        def moved(values: Sequence[int]) -> tuple[int, ...]:
            return tuple(values[axis] for axis in axes)

        pairs = [self.explicit[2 * axis : 2 * axis + 2] for axis in axes] if self.explicit else []
        explicit = tuple(amount for pair in pairs for amount in pair)
        layout = "".join(self.data_format[axis] for axis in axes)
        return Geometry(moved(self.strides), moved(self.dilations), self.padding, explicit, layout)

    def output_size(self, axis: int, size: int | None, window: int | None) -> int | None:
        """The number of places where the window fits along an axis; None where it is not known.

        Raises:
          ValueError: the window is larger than the image, by its stride at least, or the stride is not positive.
        """
        stride = self.strides[axis]
        if stride <= 0:
            raise ValueError(f"Stride must be > 0, but got {stride}")
        if size is None:
            return None
        if self.padding == "SAME":
            return -(-size // stride)
        if window is None:
            return None
        extent = self._extent(axis, window)
        room = size + sum(self._explicit_pair(axis)) - extent
        if room <= -2 * stride:  # TensorFlow rounds towards zero: windows a little larger fit nowhere
            raise ValueError(
                f"Computed output size would be negative: {-(-(room + stride) // stride)} [input_size: {size}, "
                f"effective_filter_size: {extent}, stride: {stride}]"
            )
        return max(room // stride + 1, 0)

    def static_size(self, axis: int, size: int | None, window: int | None) -> int | None:
        """`output_size` when a graph is built, where a window larger than the image is refused.

        Raises:
          ValueError: it is, or the stride is not positive.
        """
        if self.padding != "SAME" and size is not None and window is not None:
            whole, extent = size + sum(self._explicit_pair(axis)), self._extent(axis, window)
            if whole < extent and self.strides[axis] > 0:
                raise ValueError(f"Negative dimension size caused by subtracting {extent} from {whole}")
        return self.output_size(axis, size, window)

    def static_sizes(self, sizes: Dims, windows: Dims) -> tuple[int | None, ...]:
        """`static_size` of all spatial axes; `sizes` and `windows` have one entry for each of them."""
        return tuple(
            self.static_size(axis, size, window)
            for axis, size, window in zip(self.spatial, sizes, windows, strict=True)
        )

    def output_sizes(self, sizes: Dims, windows: Dims) -> tuple[int | None, ...]:
        """`output_size` of all spatial axes; `sizes` and `windows` have one entry for each of them."""
        return tuple(
            self.output_size(axis, size, window)
            for axis, size, window in zip(self.spatial, sizes, windows, strict=True)
        )

    def pads(self, axis: int, size: int, window: int) -> tuple[int, int]:
        """How much is added before and after an axis of a known size."""
        if self.padding != "SAME":
            return self._explicit_pair(axis)
        count = self.output_size(axis, size, window) or 0
        total = max((count - 1) * self.strides[axis] + self._extent(axis, window) - size, 0)
        return total // 2, total - total // 2

    def all_pads(self, sizes: Sequence[int], windows: Sequence[int]) -> list[tuple[int, int]]:
        """`pads` of all spatial axes; `sizes` and `windows` have one entry for each of them."""
        return [
            self.pads(axis, size, window) for axis, size, window in zip(self.spatial, sizes, windows, strict=True)
        ]

    def _extent(self, axis: int, window: int) -> int:
        return (window - 1) * self.dilations[axis] + 1

    def _explicit_pair(self, axis: int) -> tuple[int, int]:
        if self.padding != "EXPLICIT":
            return (0, 0)
        return self.explicit[2 * axis], self.explicit[2 * axis + 1]


def per_dimension(value: Any, count: int, channel_axis: int, name: str) -> list[int]:
    """Reads strides, dilations or window sizes: a number, one for each spatial axis, or one for each axis.

    Args:
      value: what the user gave; None is 1.
      count: the number of spatial axes.
      channel_axis: 1 where channels come first.
      name: the argument's name, for the error.

    Raises:
      ValueError: another number of entries.
    """
    values = [1] if value is None else list(value) if hasattr(value, "__len__") else [value]
    if len(values) == count + 2:
        return values
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise ValueError(f"{name} should be of length 1, {count} or {count + 2} but was {len(values)}")
    return [1, 1, *values] if channel_axis == 1 else [1, *values, 1]
