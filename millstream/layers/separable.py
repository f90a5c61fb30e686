"""Separable convolutional layers: filters for each channel, then a mixture of the channels (Chollet 2016)."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.layers.arguments import ZEROS, passed_on, read_constraint, read_initializer, read_regularizer
from millstream.layers.convolutional import WindowLayer
from millstream.layers.layer import Layer, applied
from millstream.ops import depthwise_convolution
from millstream.ops.reshape_ops import expand_dims, squeeze


class SeparableConvBase(WindowLayer):
    """What the separable layers compute."""

    _settings = (
        "filters", "kernel_size", "strides", "padding", "data_format", "depth_multiplier", "dilation_rate",
        "activation", "use_bias", "depthwise_initializer", "pointwise_initializer", "bias_initializer",
        "depthwise_regularizer", "pointwise_regularizer", "bias_regularizer", "activity_regularizer",
        "depthwise_constraint", "pointwise_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        depth_multiplier: int = 1,
        depthwise_initializer: Any = None,
        pointwise_initializer: Any = None,
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = read_initializer(depthwise_initializer)
        self.pointwise_initializer = read_initializer(pointwise_initializer)
        self.depthwise_regularizer = read_regularizer(depthwise_regularizer)
        self.pointwise_regularizer = read_regularizer(pointwise_regularizer)
        self.depthwise_constraint = read_constraint(depthwise_constraint)
        self.pointwise_constraint = read_constraint(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        """Makes `depthwise_kernel`, [*kernel_size, channels, multiplier], `pointwise_kernel` and `bias`."""
        channels = self._channels(input_shape)
        points = [1] * self.rank
        self.depthwise_kernel = self._add_kernel("depthwise", [*self.kernel_size, channels, self.depth_multiplier])
        self.pointwise_kernel = self._add_kernel("pointwise", [*points, self.depth_multiplier * channels, self.filters])
        self._add_bias_weight()
        self.built = True

    def _add_kernel(self, kind: str, shape: list[int]) -> Any:
        return self._add_parameter(kind, shape, f"{kind}_kernel")

    def call(self, inputs: Any) -> Any:
        """activation(inputs * depthwise_kernel * pointwise_kernel + bias)."""
        outputs = self._convolve(self._padded(inputs))
        return self.activation(outputs)

    def _convolve(self, images: Any) -> Any:
        return self._convolve_images(
            images, self.depthwise_kernel, self.pointwise_kernel, self.strides, self.dilation_rate
        )

    def _convolve_images(self, images: Any, depthwise: Any, pointwise: Any, strides: Any, rates: Any) -> Any:
        """The convolution of images, with the bias."""
        strides = (1, *strides, 1) if self.data_format == "channels_last" else (1, 1, *strides)
        outputs = depthwise_convolution.separable_conv2d(
            images, depthwise, pointwise, strides, self._op_padding, rates, data_format=self._bias_format
        )
        return self._with_bias(outputs)


class SeparableRowsBase(SeparableConvBase):
    """The same for sequences, which are images of one row."""

    def _convolve(self, sequences: Any) -> Any:
        axis = 1 if self.data_format == "channels_last" else 2
        images = expand_dims(sequences, axis)
        depthwise, pointwise = expand_dims(self.depthwise_kernel, 0), expand_dims(self.pointwise_kernel, 0)
        rates = (1, *self.dilation_rate)
        return squeeze(self._convolve_images(images, depthwise, pointwise, self.strides * 2, rates), [axis])


@export(v1=["layers.SeparableConv1D"])
class SeparableConv1D(SeparableRowsBase, Layer):
    """A separable convolution along sequences; see `separable_conv1d`. `padding` may also be "causal"."""

    rank = 1

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = None,
        pointwise_initializer: Any = None, bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, pointwise_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.separable_conv1d"])
def separable_conv1d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None,
    use_bias: bool = True, depthwise_initializer: Any = None, pointwise_initializer: Any = None,
    bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
    pointwise_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
    reuse: bool | None = None,
) -> Any:  # fmt: skip
    """A separable convolution along sequences.

    Args:
      inputs: floating point, shape [batch, length, channels].
      filters, kernel_size, ...: as for `separable_conv2d`, with one spatial dimension.

    Raises:
      ValueError: as for `separable_conv2d`.
    """
    return applied(SeparableConv1D, **locals())


@export(v1=["layers.SeparableConv2D"])
class SeparableConv2D(SeparableConvBase, Layer):
    """A separable convolution of images; see `separable_conv2d` for the arguments."""

    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = (1, 1), depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = None,
        pointwise_initializer: Any = None, bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, pointwise_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.separable_conv2d"])
def separable_conv2d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1), depth_multiplier: int = 1,
    activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = None,
    pointwise_initializer: Any = None, bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
    depthwise_constraint: Any = None, pointwise_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Any:  # fmt: skip
    """A separable convolution of images: each channel by itself, then a mixture of the channels at each point.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      filters: the number of output channels.
      kernel_size, strides, padding, data_format, dilation_rate: as for `conv2d`.
      depth_multiplier: how many filters slide over each channel.
      activation: a function, or its name; None: none.
      use_bias: whether there is a bias.
      depthwise_initializer: of the filters [height, width, channels, multiplier]; default: the variable scope's, else
        Glorot's uniform one.
      pointwise_initializer: of the mixture [1, 1, channels * multiplier, filters], likewise.
      bias_initializer: of the bias [filters].
      depthwise_regularizer, pointwise_regularizer, bias_regularizer: functions from a variable to a penalty.
      activity_regularizer: a function from the output to a penalty.
      depthwise_constraint, pointwise_constraint, bias_constraint: functions that optimisers apply to the values after
        an update.
      trainable: whether the variables are trained.
      name: the layer's name and variable scope; default: "separable_conv2d", with a number where that is taken.
      reuse: whether the variables of that name exist already.

    Raises:
      ValueError: the number of channels is not known, or an argument is out of range.
    """
    return applied(SeparableConv2D, **locals())
