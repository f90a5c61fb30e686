"""`tf.nn`'s pooling functions."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import OpDef
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.dilation_ops import read_strides_and_rates, with_space_to_batch
from millstream.ops.explicit_padding import check_inside_windows, pad_images
from millstream.ops.pool_ops import (
    avg_pool_3d_op,
    avg_pool_op,
    max_pool_3d_op,
    max_pool_op,
    max_pool_with_argmax_op,
)
from millstream.ops.reshape_ops import expand_dims, squeeze
from millstream.ops.windows import per_dimension

_MAX = {2: max_pool_op, 3: max_pool_3d_op}
_AVG = {2: avg_pool_op, 3: avg_pool_3d_op}


def _pool(
    definition: OpDef, count: int, value: Any, ksize: Any, strides: Any, padding: str, data_format: str | None,
    name: str | None,
) -> Tensor:  # fmt: skip
    """Pools over `count` spatial dimensions."""
    data_format = data_format or ("NHWC" if count == 2 else "NDHWC")
    channel = 1 if data_format.startswith("NC") else count + 1
    window = per_dimension(ksize, count, channel, "ksize")
    steps = per_dimension(strides, count, channel, "strides")
    if definition is max_pool_op:
        check_inside_windows(padding, window, (2, 3) if channel == 1 else (1, 2))
        value, padding = pad_images(value, padding, fill=None)
    return definition(value, ksize=window, strides=steps, padding=padding, data_format=data_format, name=name)


def _pool_1d(
    definition: OpDef, input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None, scope: str
) -> Tensor:
    """Pools over one spatial dimension, as over the rows of an image."""
    first = data_format is not None and data_format.startswith("NC")
    axis, channel = (2, 1) if first else (1, 2)
    window = [1, *per_dimension(ksize, 1, channel, "ksize")]
    steps = [1, *per_dimension(strides, 1, channel, "strides")]
    if definition is max_pool_op:
        check_inside_windows(padding, window[1:], (2,) if channel == 1 else (1,))
        input, padding = pad_images(input, padding, fill=None)
    rows = expand_dims(input, axis)
    layout = "NCHW" if first else "NHWC"
    pooled = definition(rows, ksize=window, strides=steps, padding=padding, data_format=layout, name=scope)
    return squeeze(pooled, [axis])


@export(v1=["nn.max_pool"])
def max_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The greatest number of each window.

    Args:
      value, input: a tensor [batch, height, width, channels].
      ksize: the window's size: a number, [height, width] or one entry a dimension.
      strides: how far the window moves each time, likewise.
      padding: "SAME" or "VALID".
      data_format: "NHWC" or "NCHW".
      name: the operation's name.
    """
    value = renamed("input", input, "value", value)
    with name_scope(name, "MaxPool", [value]) as scope:
        return _pool(max_pool_op, 2, value, ksize, strides, padding, data_format, scope)


@export("nn.max_pool2d")
def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """The greatest number of each window.

    Args:
      input: a tensor [batch, height, width, channels].
      ksize, strides, data_format, name: as for `max_pool`.
      padding: "SAME", "VALID" or a list of pairs, how much is added before and after each dimension; it never is
        the greatest.
    """
    with name_scope(name, "MaxPool2d", [input]) as scope:
        return _pool(max_pool_op, 2, input, ksize, strides, padding, data_format, scope)


@export(v1=["nn.avg_pool", "nn.avg_pool2d"])
def avg_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The mean of each window; padding does not count.

    Args:
      value, input: a floating point tensor [batch, height, width, channels].
      ksize, strides, padding, data_format, name: as for `max_pool`.
    """
    value = renamed("input", input, "value", value)
    with name_scope(name, "AvgPool", [value]) as scope:
        return _pool(avg_pool_op, 2, value, ksize, strides, padding, data_format, scope)


@export(v2=["nn.avg_pool2d"])
def avg_pool2d_v2(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """The mean of each window; padding does not count.

    Args:
      input: a floating point tensor [batch, height, width, channels].
      ksize, strides, padding, data_format, name: as for `max_pool`.
    """
    with name_scope(name, "AvgPool2D", [input]) as scope:
        return _pool(avg_pool_op, 2, input, ksize, strides, padding, data_format, scope)


def _any_rank(
    kind: str, input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None, name: str | None
) -> Tensor:
    input = to_tensor(input, name="input")
    count = (len(data_format) if input._shape is None and data_format else len(input._shape or ())) - 2
    if not 1 <= count <= 3:
        raise ValueError(f"Input tensor must be of rank 3, 4 or 5 but was {count + 2}.")
    if count == 1:
        return (max_pool1d if kind == "max" else avg_pool1d)(input, ksize, strides, padding, data_format, name)
    definition = (_MAX if kind == "max" else _AVG)[count]
    return _pool(definition, count, input, ksize, strides, padding, data_format, name)


@export(v1=["nn.max_pool_v2"], v2=["nn.max_pool"])
def max_pool_v2(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """The greatest number of each window, over one, two or three spatial dimensions.

    Args:
      input: a tensor of rank 3, 4 or 5.
      ksize, strides: a number, one entry a spatial dimension, or one entry a dimension.
      padding: "SAME", "VALID" or, but for volumes, a list of pairs as for `max_pool2d`.
      data_format: where the channels are; default: last.
      name: the operation's name.

    Raises:
      ValueError: another rank.
    """
    return _any_rank("max", input, ksize, strides, padding, data_format, name)


@export(v1=["nn.avg_pool_v2"], v2=["nn.avg_pool"])
def avg_pool_v2(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """The mean of each window, over one, two or three spatial dimensions.

    Args:
      input: a floating point tensor of rank 3, 4 or 5.
      ksize, strides, padding, data_format, name: as for `max_pool_v2`.
    """
    return _any_rank("avg", input, ksize, strides, padding, data_format, name)


@export("nn.max_pool1d")
def max_pool1d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = "NWC", name: str | None = None
) -> Tensor:
    """The greatest number of each window, along one dimension.

    Args:
      input: a tensor [batch, width, channels].
      ksize, strides: numbers.
      padding: "SAME", "VALID" or a list of pairs as for `max_pool2d`.
      data_format: "NWC" or "NCW".
      name: the operation's name.
    """
    with name_scope(name, "MaxPool1d", [input]) as scope:
        return _pool_1d(max_pool_op, input, ksize, strides, padding, data_format, scope)


@export("nn.avg_pool1d")
def avg_pool1d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = "NWC", name: str | None = None
) -> Tensor:
    """The mean of each window, along one dimension; padding does not count.

    Args:
      input: a floating point tensor [batch, width, channels].
      ksize, strides, padding, data_format, name: as for `max_pool1d`.
    """
    with name_scope(name, "AvgPool1D", [input]) as scope:
        return _pool_1d(avg_pool_op, input, ksize, strides, padding, data_format, scope)


@export("nn.max_pool3d")
def max_pool3d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = "NDHWC", name: str | None = None
) -> Tensor:
    """The greatest number of each window of volumes.

    Args:
      input: a tensor [batch, depth, height, width, channels].
      ksize, strides: a number, three numbers, or one entry a dimension.
      padding: "SAME" or "VALID".
      data_format: "NDHWC" or "NCDHW".
      name: the operation's name.
    """
    with name_scope(name, "MaxPool3D", [input]) as scope:
        return _pool(max_pool_3d_op, 3, input, ksize, strides, padding, data_format, scope)


@export("nn.avg_pool3d")
def avg_pool3d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = "NDHWC", name: str | None = None
) -> Tensor:
    """The mean of each window of volumes; padding does not count.

    Args:
      input: a floating point tensor [batch, depth, height, width, channels].
      ksize, strides, padding, data_format, name: as for `max_pool3d`.
    """
    with name_scope(name, "AvgPool3D", [input]) as scope:
        return _pool(avg_pool_3d_op, 3, input, ksize, strides, padding, data_format, scope)


@export(v1=["nn.max_pool_with_argmax"])
def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    Targmax: Any = None,  # noqa: N803 - the public name
    name: str | None = None,
    output_dtype: Any = None,
    include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:
    """The greatest number of each window, and where it is.

    Args:
      input: a tensor [batch, height, width, channels].
      ksize, strides: lists of four numbers.
      padding: "SAME" or "VALID".
      data_format: "NHWC".
      Targmax, output_dtype: the dtype of the places, int64 or int32.
      name: the operation's name.
      include_batch_in_index: counts places through the whole batch, not in each image.

    Returns:
      (greatest numbers, their places in the flattened image).

    Raises:
      ValueError: another data format.
    """
    if data_format != "NHWC":
        raise ValueError("Data formats other than 'NHWC' are not yet supported")
    dtype = renamed("output_dtype", output_dtype, "Targmax", Targmax) or dtypes.int64
    return max_pool_with_argmax_op(
        input, ksize=ksize, strides=strides, padding=padding, Targmax=dtype,
        include_batch_in_index=include_batch_in_index, name=name,
    )  # fmt: skip


@export(v2=["nn.max_pool_with_argmax"])
def max_pool_with_argmax_v2(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    output_dtype: Any = dtypes.int64,
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """`max_pool_with_argmax` with the arguments of 2.x; `ksize` and `strides` may be numbers."""
    return max_pool_with_argmax(
        input, per_dimension(ksize, 2, 3, "ksize"), per_dimension(strides, 2, 3, "strides"), padding, data_format,
        None, name, output_dtype, include_batch_in_index,
    )  # fmt: skip


@export(v1=["nn.pool"])
def pool(
    input: Any,
    window_shape: Sequence[int],
    pooling_type: str,
    padding: str,
    dilation_rate: Any = None,
    strides: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """The greatest or the mean number of each window, over one, two or three spatial dimensions.

    Args:
      input: a tensor of rank 3, 4 or 5.
      window_shape: one number a spatial dimension.
      pooling_type: "MAX" or "AVG".
      padding: "SAME" or "VALID".
      dilation_rate, dilations: the distance between neighbouring points of a window; default 1.
      strides: one number a spatial dimension; default 1.
      name: the operation's name.
      data_format: where the channels are; default: last.

    Raises:
      ValueError: combinations that are not supported.
    """
    rates = renamed("dilations", dilations, "dilation_rate", dilation_rate)
    with name_scope(name, f"{pooling_type.lower()}_pool", [input]) as scope:
        input = to_tensor(input, name="input")
        count = len(window_shape)
        if not 1 <= count <= 3:
            raise ValueError("It is required that 1 <= num_spatial_dims <= 3.")
        input.get_shape().with_rank(count + 2)
        steps, rates = read_strides_and_rates(count, strides, rates)
        if padding == "SAME" and (rates > 1).any():
            raise ValueError("pooling with SAME padding is not implemented for dilation_rate > 1")
        if (steps > np.asarray(window_shape)).any():
            raise ValueError(
                "strides > window_shape not supported due to inconsistency between CPU and GPU implementations"
            )
        if pooling_type not in ("MAX", "AVG"):
            raise ValueError(f"{count}-D {pooling_type} pooling is not supported.")

        def apply(converted: Any, _: int, converted_padding: str) -> Tensor:
            window, layout = list(window_shape), data_format
            if count == 1:
                definition = (_MAX if pooling_type == "MAX" else _AVG)[2]
                return _pool_1d(definition, converted, window, steps, converted_padding, layout, scope)
            definition = (_MAX if pooling_type == "MAX" else _AVG)[count]
            return _pool(definition, count, converted, window, steps, converted_padding, layout, scope)

        first = data_format is not None and data_format.startswith("NC")
        spatial = range(2, count + 2) if first else range(1, count + 1)
        return with_space_to_batch(input, rates, padding, apply, list(window_shape), list(spatial))


@export(v2=["nn.pool"])
def pool_v2(
    input: Any,
    window_shape: Sequence[int],
    pooling_type: str,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`pool` with the arguments in the order of 2.x."""
    return pool(input, window_shape, pooling_type, padding, dilations, strides, name, data_format)
