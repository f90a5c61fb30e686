"""Convolutional layers that treat each channel by itself, and biases."""
from __future__ import annotations

from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.framework.variables import model_variable
from millstream.contrib.layers.dense import XAVIER
from millstream.contrib.layers.scopes import (
    Activation,
    Collections,
    Normalizer,
    collect_variable,
    collections_of,
    finished,
    layer_scope,
)
from millstream.contrib.layers.sizes import check_layout, known_dimension, layout_of, pair_of
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.variable_scope import variable_scope
from millstream.layers.arguments import ZEROS
from millstream.layers.separable import SeparableConv2D
from millstream.ops import bias_ops
from millstream.ops.activation_ops import relu
from millstream.ops.depthwise_convolution import depthwise_conv2d
from millstream.ops.pad_ops import tile

_NAMES = {
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
    "bias": "biases",
}


def _with_biases(
    outputs: Any, size: int, initializer: Any, regularizer: Any, collections: Collections, trainable: bool,
    data_format: str = "NHWC",
) -> Any:  # fmt: skip
    """Adds a variable `biases`; none where there is no initialiser."""
    if initializer is None:
        return outputs
    biases = model_variable(
        "biases",
        shape=[size],
        dtype=outputs.dtype.base_dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=collections_of(collections, "biases"),
    )
    return bias_ops.bias_add(outputs, biases, data_format=data_format)


@export(v1=["contrib.layers.bias_add"])
@add_arg_scope
def bias_add(
    inputs: Any,
    activation_fn: Activation = None,
    initializer: Any = ZEROS,
    regularizer: Any = None,
    reuse: bool | None = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> Any:
    """Adds a variable `biases`, one number for each channel.

    Args:
      inputs: floating point, shape [..., channels], at least two dimensions.
      activation_fn: a function that is applied to the sum; None: none.
      initializer, regularizer, trainable: of the biases.
      reuse, variables_collections, outputs_collections, scope: as for `fully_connected`; the scope is "BiasAdd".
      data_format: "NHWC", or "NCHW" for inputs [batch, channels, height, width].

    Raises:
      ValueError: the number of channels is not known, or the data format does not fit.
    """
    check_layout(data_format, "NCHW", "NHWC")
    with variable_scope(scope, "BiasAdd", [inputs], reuse=reuse) as entered:
        inputs = to_tensor(inputs)
        rank = inputs.get_shape().ndims
        if rank is None:
            raise ValueError("Dims of shape must be known but is None")
        if rank != 4 and data_format == "NCHW":
            raise ValueError("Data format NCHW only supports 4D Tensor")
        channels = inputs.get_shape().as_list()[1 if data_format == "NCHW" else -1]
        if channels is None:
            raise ValueError("`C` dimension must be known but is None")
        outputs = _with_biases(
            inputs, channels, initializer, regularizer, variables_collections, trainable, data_format
        )
        return finished(outputs, activation_fn, outputs_collections, entered.name)


@export(v1=["contrib.layers.conv2d_in_plane", "contrib.layers.convolution2d_in_plane"])
@add_arg_scope
def convolution2d_in_plane(
    inputs: Any, kernel_size: Any, stride: Any = 1, padding: str = "SAME", activation_fn: Activation = relu,
    normalizer_fn: Normalizer = None, normalizer_params: Any = None, weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None, biases_initializer: Any = ZEROS, biases_regularizer: Any = None,
    reuse: bool | None = None, variables_collections: Collections = None, outputs_collections: Any = None,
    trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """Slides the same filter over each channel of images.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      kernel_size, stride, ...: as for `convolution`; the weights have shape [height, width, 1, 1], the scope is
        "ConvInPlane".

    Raises:
      ValueError: the number of channels is not known.
    """
    with variable_scope(scope, "ConvInPlane", [inputs], reuse=reuse) as entered:
        inputs = to_tensor(inputs)
        channels = known_dimension(inputs, -1, min_rank=4)
        weights = model_variable(
            "weights",
            shape=[*pair_of(kernel_size), 1, 1],
            dtype=inputs.dtype.base_dtype,
            initializer=weights_initializer,
            regularizer=weights_regularizer,
            trainable=trainable,
            collections=collections_of(variables_collections, "weights"),
        )
        strides = [1, *pair_of(stride), 1]
        outputs = depthwise_conv2d(inputs, tile(weights, [1, 1, channels, 1]), strides, padding)
        if normalizer_fn is None:
            outputs = _with_biases(
                outputs, channels, biases_initializer, biases_regularizer, variables_collections, trainable
            )
        return finished(outputs, activation_fn, outputs_collections, entered.name, normalizer_fn, normalizer_params)


@export(v1=["contrib.layers.separable_conv2d", "contrib.layers.separable_convolution2d"])
@add_arg_scope
def separable_convolution2d(
    inputs: Any, num_outputs: int | None, kernel_size: Any, depth_multiplier: int = 1, stride: Any = 1,
    padding: str = "SAME", data_format: str = "NHWC", rate: Any = 1, activation_fn: Activation = relu,
    normalizer_fn: Normalizer = None, normalizer_params: Any = None, weights_initializer: Any = XAVIER,
    pointwise_initializer: Any = None, weights_regularizer: Any = None, biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None, reuse: bool | None = None, variables_collections: Collections = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """A separable convolution of images: each channel by itself, then a mixture of the channels at each point.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      num_outputs: the number of output channels; None: no mixture follows.
      kernel_size, stride, padding, rate, ...: as for `convolution`; the scope is "SeparableConv2d".
      depth_multiplier: how many filters slide over each channel.
      data_format: "NHWC" or "NCHW".
      weights_initializer: of `depthwise_weights` [height, width, channels, multiplier].
      pointwise_initializer: of `pointwise_weights` [1, 1, channels * multiplier, num_outputs]; default: the same.

    Raises:
      ValueError: the number of channels is not known, or an argument is out of range.
    """
    settings = dict(locals())
    check_layout(data_format, "NCHW", "NHWC")
    apply = _depthwise if num_outputs is None else _separable
    with layer_scope(scope, "SeparableConv2d", inputs, reuse, _NAMES) as entered:
        outputs = apply(entered, **{**settings, "inputs": to_tensor(inputs)})
        return finished(outputs, activation_fn, outputs_collections, entered.name, normalizer_fn, normalizer_params)


def _separable(
    entered: Any, *, inputs: Any, num_outputs: int, kernel_size: Any, depth_multiplier: int, stride: Any,
    padding: str, data_format: str, rate: Any, normalizer_fn: Normalizer, weights_initializer: Any,
    pointwise_initializer: Any, weights_regularizer: Any, biases_initializer: Any, biases_regularizer: Any,
    reuse: bool | None, variables_collections: Collections, trainable: bool, **_: Any,
) -> Any:  # fmt: skip
    """The layer of `tf.layers`."""
    layer = SeparableConv2D(
        filters=num_outputs,
        kernel_size=pair_of(kernel_size),
        strides=pair_of(stride),
        padding=padding,
        data_format=layout_of(data_format),
        dilation_rate=pair_of(rate),
        depth_multiplier=depth_multiplier,
        use_bias=normalizer_fn is None and biases_initializer is not None,
        depthwise_initializer=weights_initializer,
        pointwise_initializer=weights_initializer if pointwise_initializer is None else pointwise_initializer,
        bias_initializer=biases_initializer,
        depthwise_regularizer=weights_regularizer,
        pointwise_regularizer=weights_regularizer,
        bias_regularizer=biases_regularizer,
        trainable=trainable,
        name=entered.name,
        dtype=inputs.dtype.base_dtype,
        _scope=entered,
        _reuse=reuse,
    )
    outputs = layer(inputs)
    collect_variable(layer.depthwise_kernel, variables_collections, "weights")
    collect_variable(layer.pointwise_kernel, variables_collections, "weights")
    collect_variable(layer.bias, variables_collections, "biases")
    return outputs


def _depthwise(
    entered: Any, *, inputs: Any, kernel_size: Any, depth_multiplier: int, stride: Any, padding: str,
    data_format: str, rate: Any, normalizer_fn: Normalizer, weights_initializer: Any, weights_regularizer: Any,
    biases_initializer: Any, biases_regularizer: Any, variables_collections: Collections, trainable: bool, **_: Any,
) -> Any:  # fmt: skip
    """Each channel by itself, without a mixture."""
    channels = known_dimension(inputs, 1 if data_format == "NCHW" else -1, min_rank=4)
    weights = model_variable(
        "depthwise_weights",
        shape=[*pair_of(kernel_size), channels, depth_multiplier],
        dtype=inputs.dtype.base_dtype,
        initializer=weights_initializer,
        regularizer=weights_regularizer,
        trainable=trainable,
        collections=collections_of(variables_collections, "weights"),
    )
    steps = pair_of(stride)
    strides = [1, 1, *steps] if data_format == "NCHW" else [1, *steps, 1]
    outputs = depthwise_conv2d(inputs, weights, strides, padding, rate=pair_of(rate), data_format=data_format)
    if normalizer_fn is not None:
        return outputs
    return _with_biases(
        outputs, depth_multiplier * channels, biases_initializer, biases_regularizer, variables_collections, trainable,
        data_format,
    )  # fmt: skip
