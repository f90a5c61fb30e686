"""Normalisation within each element of a batch: by layer, instance, group of channels, or length."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.framework.variables import model_variable
from millstream.contrib.layers.scopes import Activation, Collections, collections_of, finished
from millstream.contrib.layers.sizes import check_layout
from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.layers.arguments import ONES, ZEROS
from millstream.ops.arithmetic_ops import div
from millstream.ops.batch_norm_ops import batch_normalization
from millstream.ops.elementwise_ops import rsqrt, sqrt, square
from millstream.ops.fill_ops import ones
from millstream.ops.join_ops import concat
from millstream.ops.moments_ops import moments, normalize_moments, sufficient_statistics
from millstream.ops.pad_ops import tile
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.slice_ops import strided_slice

_DEFAULTS = {"beta": ZEROS, "gamma": ONES}


def _check_rank(inputs: Any) -> int:
    rank = inputs.get_shape().ndims
    if rank is None:
        raise ValueError(f"Inputs {inputs.name} has undefined rank.")
    return rank


def _parameter(
    kind: str, wanted: bool, shape: Any, inputs: Any, collections: Collections, trainable: bool,
    initializers: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    """The variable `beta` or `gamma`; None where it is not wanted."""
    if not wanted:
        return None
    return model_variable(
        kind,
        shape=shape,
        dtype=inputs.dtype.base_dtype,
        initializer=(initializers or {}).get(kind, _DEFAULTS[kind]),
        collections=collections_of(collections, kind),
        trainable=trainable,
    )


@export(v1=["contrib.layers.layer_norm"])
@add_arg_scope
def layer_norm(
    inputs: Any,
    center: bool = True,
    scale: bool = True,
    activation_fn: Activation = None,
    reuse: bool | None = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
) -> Any:
    """Layer normalisation (Ba, Kiros and Hinton 2016): each element of the batch by its own mean and variance.

    Args:
      inputs: floating point, shape [batch, ..., features], at least two dimensions.
      center, scale: whether there is a beta, and a gamma.
      activation_fn: a function that is applied to the result; None: none.
      reuse, variables_collections, outputs_collections, trainable, scope: as for `fully_connected`; the kinds of
        variables are "beta" and "gamma", the scope is "LayerNorm".
      begin_norm_axis: mean and variance are over this axis and all that follow.
      begin_params_axis: beta and gamma have the shape of this axis and all that follow.

    Raises:
      ValueError: the rank, or the shape of beta and gamma, is not known, or an axis is out of range.
    """
    with variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as entered:
        inputs = to_tensor(inputs)
        shape, rank = inputs.get_shape(), _check_rank(inputs)
        first = begin_norm_axis + rank if begin_norm_axis < 0 else begin_norm_axis
        if begin_params_axis >= rank or first >= rank:
            raise ValueError(
                f"begin_params_axis ({begin_params_axis}) and begin_norm_axis ({first}) "
                f"must be < rank(inputs) ({rank})"
            )
        sizes = shape[begin_params_axis:]
        if not sizes.is_fully_defined():
            raise ValueError(
                f"Inputs {inputs.name}: shape(inputs)[{begin_params_axis}:] is not fully defined: {shape}"
            )
        beta = _parameter("beta", center, sizes, inputs, variables_collections, trainable)
        gamma = _parameter("gamma", scale, sizes, inputs, variables_collections, trainable)
        mean, variance = moments(inputs, list(range(first, rank)), keep_dims=True)
        # float16 does not know numbers as small as 1e-12.
        epsilon = 1e-3 if inputs.dtype.base_dtype == dtypes.float16 else 1e-12
        outputs = batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        outputs.set_shape(shape)
        return finished(outputs, activation_fn, outputs_collections, entered.name)


@export(v1=["contrib.layers.instance_norm"])
@add_arg_scope
def instance_norm(
    inputs: Any,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Activation = None,
    param_initializers: dict[str, Any] | None = None,
    reuse: bool | None = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> Any:
    """Instance normalisation (Ulyanov 2016): each channel of each image by its own mean and variance.

    Args:
      inputs: floating point, shape [batch, ..., channels], at least three dimensions.
      center, scale: whether there is a beta, and a gamma.
      epsilon: keeps the divisor from being 0.
      activation_fn: a function that is applied to the result; None: none.
      param_initializers: by "beta" and "gamma".
      reuse, variables_collections, outputs_collections, trainable, scope: as for `fully_connected`; the scope is
        "InstanceNorm".
      data_format: "NHWC", or "NCHW" where the channels come second.

    Raises:
      ValueError: the rank or the number of channels is not known.
    """
    inputs = to_tensor(inputs)
    shape, rank = inputs.get_shape(), _check_rank(inputs)
    check_layout(data_format, "NCHW", "NHWC")
    with variable_scope(scope, "InstanceNorm", [inputs], reuse=reuse) as entered:
        channel = 1 if data_format == "NCHW" else rank - 1
        sizes = shape[channel : channel + 1]
        if not sizes.is_fully_defined():
            raise ValueError(f"Inputs {inputs.name} has undefined channels dimension {sizes}.")
        broadcast = [1] * rank
        broadcast[channel] = sizes.as_list()[0]

        def parameter(kind: str, wanted: bool) -> Any:
            variable = _parameter(kind, wanted, sizes, inputs, variables_collections, trainable, param_initializers)
            return variable if variable is None or data_format == "NHWC" else reshape(variable, broadcast)

        beta, gamma = parameter("beta", center), parameter("gamma", scale)
        axes = [axis for axis in range(1, rank) if axis != channel]
        mean, variance = moments(inputs, axes, keep_dims=True)
        with name_scope("instancenorm"):
            outputs = _normalized(inputs, mean, variance, beta, gamma, epsilon)
        outputs.set_shape(shape)
        return finished(outputs, activation_fn, outputs_collections, entered.name)


def _normalized(inputs: Any, mean: Any, variance: Any, beta: Any, gamma: Any, epsilon: float) -> Tensor:
    factor: Any = rsqrt(variance + epsilon)
    if gamma is not None:
        factor *= gamma
    return inputs * factor + (beta - mean * factor if beta is not None else -mean * factor)


@export(v1=["contrib.layers.group_norm"])
@add_arg_scope
def group_norm(
    inputs: Any,
    groups: int = 32,
    channels_axis: int = -1,
    reduction_axes: Sequence[int] = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Activation = None,
    param_initializers: dict[str, Any] | None = None,
    reuse: bool | None = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    mean_close_to_zero: bool = False,
) -> Any:
    """Group normalisation (Wu and He 2018): each group of channels of each image by its own mean and variance.

    Args:
      inputs: floating point, at least two dimensions.
      groups: how many groups there are, which divides the number of channels.
      channels_axis: the axis of the channels.
      reduction_axes: the axes that mean and variance are over, beside the channels of a group.
      center, scale: whether there is a beta, and a gamma, with a number for each channel.
      epsilon: keeps the divisor from being 0.
      activation_fn: a function that is applied to the result; None: none.
      param_initializers: by "beta" and "gamma".
      reuse, variables_collections, outputs_collections, trainable, scope: as for `fully_connected`; the scope is
        "GroupNorm".
      mean_close_to_zero: computes the variance in one pass, which is exact where the mean is near 0.

    Raises:
      ValueError: the rank or the number of channels is not known, the groups do not fit, or an axis is out of range.
    """
    inputs = to_tensor(inputs)
    rank = _check_rank(inputs)
    channel = channels_axis + rank if channels_axis < 0 else channels_axis
    channels = _check_groups(inputs, channel, groups)
    reduced = [axis + rank if axis < 0 else axis for axis in reduction_axes]
    if channel in reduced:
        raise ValueError("reduction_axis must be mutually exclusive with channels_axis")
    static = inputs.get_shape().as_list()
    dynamic: Any = shape_of(inputs)
    sizes = [dynamic[axis] if size is None else size for axis, size in enumerate(static)]
    split = [groups, channels // groups]
    grouped: Any = reshape(inputs, sizes[:channel] + split + sizes[channel + 1 :])
    with variable_scope(scope, "GroupNorm", [inputs], reuse=reuse) as entered:
        broadcast = [1] * channel + split + [1] * (rank - channel - 1)

        def parameter(kind: str, wanted: bool) -> Any:
            variable = _parameter(
                kind, wanted, [channels], inputs, variables_collections, trainable, param_initializers
            )
            return None if variable is None else reshape(variable, broadcast)

        beta, gamma = parameter("beta", center), parameter("gamma", scale)
        axes = [channel + 1, *(axis + 1 if axis > channel else axis for axis in reduced)]
        mean, variance = _moments(grouped, axes, mean_close_to_zero)
        factor: Any = rsqrt(variance + epsilon)
        offset = -mean * factor
        if gamma is not None:
            factor, offset = factor * gamma, offset * gamma
        if beta is not None:
            offset += beta
        outputs = reshape(grouped * factor + offset, sizes)
        outputs.set_shape(inputs.get_shape())
        return finished(outputs, activation_fn, outputs_collections, entered.name)


def _check_groups(inputs: Any, channel: int, groups: int) -> int:
    """The number of channels, which the groups divide."""
    sizes = inputs.get_shape().as_list()
    if channel > len(sizes) - 1:
        raise ValueError("Axis is out of bounds.")
    channels = sizes[channel]
    if channels is None:
        raise ValueError(f"Inputs {inputs.name} has undefined channel dimension: {channel}.")
    if groups > channels:
        raise ValueError(f"Invalid groups {groups} for {channels} channels.")
    if channels % groups:
        raise ValueError(f"{channels} channels is not commensurate with {groups} groups.")
    return channels


def _moments(values: Any, axes: list[int], one_pass: bool) -> Any:
    if not one_pass:
        return moments(values, axes, keep_dims=True)
    count, total, total_of_squares, _ = sufficient_statistics(values, axes, keep_dims=True)
    return normalize_moments(count, total, total_of_squares, shift=None)


@export(v1=["contrib.layers.unit_norm"])
@add_arg_scope
def unit_norm(inputs: Any, dim: int, epsilon: float = 1e-7, scope: str | None = None) -> Tensor:
    """Scales vectors to length 1.

    Args:
      inputs: a floating point tensor.
      dim: the dimension of the vectors.
      epsilon: is added to the squared length, so that it is not 0.
      scope: the variable scope; default "UnitNorm".

    Raises:
      ValueError: the rank is not known, or `dim` is out of range.
    """
    with variable_scope(scope, "UnitNorm", [inputs]):
        inputs = to_tensor(inputs)
        rank = inputs.get_shape().ndims
        if rank is None:
            raise ValueError("The input rank must be known.")
        if not 0 <= dim < rank:
            raise ValueError("dim must be positive but smaller than the input rank.")
        lengths = sqrt(epsilon + reduce_sum(square(inputs), dim, True))
        multiples = [ones([dim], dtypes.int32)] if dim > 0 else []
        multiples.append(strided_slice(shape_of(inputs), [dim], [dim + 1]))
        if dim < rank - 1:
            multiples.append(ones([rank - 1 - dim], dtypes.int32))
        return div(inputs, tile(lengths, concat(multiples, 0)))
