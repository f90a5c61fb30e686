"""Convolutional layers; `separable.py` has those that treat each channel by itself."""
from __future__ import annotations

from functools import partial
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.layers.dense import XAVIER
from millstream.contrib.layers.scopes import (
    Activation,
    Collections,
    Normalizer,
    collect_variable,
    finished,
    layer_scope,
)
from millstream.contrib.layers.sizes import check_layout, layout_of
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.layers.arguments import ZEROS
from millstream.layers.convolutional import Conv1D, Conv2D, Conv3D
from millstream.layers.transposed import Conv2DTranspose, Conv3DTranspose
from millstream.ops.activation_ops import relu

_NAMES = {"kernel": "weights", "bias": "biases"}
_CONVOLUTIONS: dict[int, Any] = {1: Conv1D, 2: Conv2D, 3: Conv3D}
_LAYOUTS = (None, "NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW")


def _apply(
    kind: Any,
    default_scope: str,
    inputs: Any,
    data_format: str | None,
    *,
    num_outputs: int,
    kernel_size: Any,
    stride: Any,
    padding: str,
    activation_fn: Activation,
    normalizer_fn: Normalizer,
    normalizer_params: Any,
    weights_initializer: Any,
    weights_regularizer: Any,
    biases_initializer: Any,
    biases_regularizer: Any,
    reuse: bool | None,
    variables_collections: Collections,
    outputs_collections: Any,
    trainable: bool,
    scope: Any,
    **options: Any,
) -> Any:
    """Makes a layer of `tf.layers` and calls it once; `kind` is its class, or a function from the inputs to that."""
    with layer_scope(scope, default_scope, inputs, reuse, _NAMES) as entered:
        inputs = to_tensor(inputs)
        kind = kind if isinstance(kind, type) else kind(inputs)
        layer = kind(
            filters=num_outputs,
            kernel_size=kernel_size,
            strides=stride,
            padding=padding,
            data_format=layout_of(data_format),
            use_bias=normalizer_fn is None and biases_initializer is not None,
            kernel_initializer=weights_initializer,
            bias_initializer=biases_initializer,
            kernel_regularizer=weights_regularizer,
            bias_regularizer=biases_regularizer,
            trainable=trainable,
            name=entered.name,
            dtype=inputs.dtype.base_dtype,
            _scope=entered,
            _reuse=reuse,
            **options,
        )
        outputs = layer(inputs)
        collect_variable(layer.kernel, variables_collections, "weights")
        collect_variable(layer.bias, variables_collections, "biases")
        return finished(outputs, activation_fn, outputs_collections, entered.name, normalizer_fn, normalizer_params)


def _class_for(conv_dims: int | None, inputs: Any) -> Any:
    """The layer over as many dimensions as the inputs have."""
    rank = inputs.get_shape().ndims
    if conv_dims is not None and conv_dims + 2 != rank:
        raise ValueError(f"Convolution expects input with rank {conv_dims + 2}, got {rank}")
    if rank is None or rank - 2 not in _CONVOLUTIONS:
        raise ValueError(f"Convolution not supported for input with rank {rank}")
    return _CONVOLUTIONS[rank - 2]


# --- Convolutions ---------------------------------------------------------------------------------------------------


@export(v1=["contrib.layers.convolution"])
@add_arg_scope
def convolution(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str | None = None, rate: Any = 1, activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None, conv_dims: int | None = None,
) -> Any:  # fmt: skip
    """Slides filters over sequences, images or volumes: `activation_fn(inputs * weights + biases)`.

    Args:
      inputs: floating point, shape [batch, *space, channels], with one to three dimensions of space.
      num_outputs: the number of output channels.
      kernel_size: the size of the filters: a list, or one integer for all dimensions.
      stride: how far the filters move each time, likewise.
      padding: "SAME" or "VALID".
      data_format: the layout: "NWC", "NHWC" or "NDHWC" (the default); or "NCW", "NCHW", "NCDHW": channels first.
      rate: the distance between neighbouring points of a filter; not together with strides above 1.
      activation_fn: a function of a tensor; None: none.
      normalizer_fn: a function such as `batch_norm` that is applied before the activation; there are no biases then.
      normalizer_params: its further arguments, a dictionary.
      weights_initializer: of the weights [*kernel_size, channels, num_outputs].
      weights_regularizer: a function from the weights to a penalty.
      biases_initializer: of the biases [num_outputs]; None: there are no biases.
      biases_regularizer: of the biases, likewise.
      reuse: whether the variables exist; then `scope` must be given.
      variables_collections: collections for the variables: a name, several, or a dictionary from "weights" and "biases"
        to these.
      outputs_collections: collections for the output.
      trainable: whether the variables are trained.
      scope: the variable scope; default: "Conv", with a number where that is taken.
      conv_dims: how many dimensions of space the inputs must have.

    Raises:
      ValueError: the inputs have another number of dimensions, or an argument is out of range.
    """
    settings = dict(locals())
    del settings["rate"], settings["conv_dims"]
    if data_format not in _LAYOUTS:
        raise ValueError(f"Invalid data_format: {data_format!r}")
    return _apply(partial(_class_for, conv_dims), "Conv", dilation_rate=rate, **settings)


@export(v1=["contrib.layers.conv1d", "contrib.layers.convolution1d"])
@add_arg_scope
def convolution1d(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str | None = None, rate: Any = 1, activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None,
) -> Any:  # fmt: skip
    """Slides filters along sequences [batch, length, channels]; see `convolution` for the arguments."""
    return convolution(**locals(), conv_dims=1)


@export(v1=["contrib.layers.conv2d", "contrib.layers.convolution2d"])
@add_arg_scope
def convolution2d(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str | None = None, rate: Any = 1, activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None,
) -> Any:  # fmt: skip
    """Slides filters over images [batch, height, width, channels]; see `convolution` for the arguments.

    Example:
      >>> net = tf.contrib.layers.conv2d(images, 32, 5, normalizer_fn=tf.contrib.layers.batch_norm)
      >>> net = tf.contrib.layers.max_pool2d(net, 2)
    """
    return convolution(**locals(), conv_dims=2)


@export(v1=["contrib.layers.conv3d", "contrib.layers.convolution3d"])
@add_arg_scope
def convolution3d(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str | None = None, rate: Any = 1, activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None,
) -> Any:  # fmt: skip
    """Slides filters through volumes [batch, depth, height, width, channels]; see `convolution` for the arguments."""
    return convolution(**locals(), conv_dims=3)


# --- Their transposes -----------------------------------------------------------------------------------------------


@export(v1=["contrib.layers.conv2d_transpose", "contrib.layers.convolution2d_transpose"])
@add_arg_scope
def convolution2d_transpose(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str = "NHWC", activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None,
) -> Any:  # fmt: skip
    """The transpose of a convolution of images: each position of the input adds a filter, times it, to the output.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      num_outputs, kernel_size, stride, ...: of the convolution that would make the inputs' shape of the result's; see
        `convolution`. The weights have shape [height, width, num_outputs, channels].

    Raises:
      ValueError: an argument is out of range.
    """
    check_layout(data_format, "NCHW", "NHWC")
    return _apply(Conv2DTranspose, "Conv2d_transpose", **locals())


@export(v1=["contrib.layers.conv3d_transpose", "contrib.layers.convolution3d_transpose"])
@add_arg_scope
def convolution3d_transpose(
    inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
    data_format: str = "NDHWC", activation_fn: Activation = relu, normalizer_fn: Normalizer = None,
    normalizer_params: Any = None, weights_initializer: Any = XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS, biases_regularizer: Any = None, reuse: bool | None = None,
    variables_collections: Collections = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None,
) -> Any:  # fmt: skip
    """The transpose of a convolution of volumes; see `conv2d_transpose`."""
    check_layout(data_format, "NCDHW", "NDHWC")
    return _apply(Conv3DTranspose, "Conv3d_transpose", **locals())
