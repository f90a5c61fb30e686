"""Convolutional layers over one, two and three spatial dimensions."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.layers.arguments import (
    ZEROS,
    format_of,
    passed_on,
    read_activation,
    read_constraint,
    read_initializer,
    read_layout,
    read_padding,
    read_regularizer,
    read_sizes,
    slid_length,
)
from millstream.layers.base import BaseLayer
from millstream.layers.input_spec import InputSpec
from millstream.layers.layer import Layer, applied
from millstream.ops.bias_ops import bias_add
from millstream.ops.convolution import convolve
from millstream.ops.dilation_ops import read_strides_and_rates
from millstream.ops.pad_ops import pad
from millstream.ops.reshape_ops import reshape


class WindowLayer(BaseLayer):
    """A layer that slides filters over its inputs, and adds a bias; subclasses say over how many dimensions."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=read_regularizer(activity_regularizer), **kwargs
        )
        self.filters = filters
        self.kernel_size = read_sizes(kernel_size, self.rank, "kernel_size")
        self.strides = read_sizes(strides, self.rank, "strides")
        self.padding = read_padding(padding)
        if self.padding == "causal" and self.rank != 1:
            raise ValueError("Causal padding is only supported for `Conv1D`and ``SeparableConv1D`.")
        self.data_format = read_layout(data_format)
        self.dilation_rate = read_sizes(dilation_rate, self.rank, "dilation_rate")
        self.activation = read_activation(activation)
        self.use_bias = use_bias
        self.bias_initializer = read_initializer(bias_initializer)
        self.bias_regularizer = read_regularizer(bias_regularizer)
        self.bias_constraint = read_constraint(bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _format(self) -> str:
        """The data format of operations."""
        return format_of(self.data_format, self.rank + 2)

    @property
    def _bias_format(self) -> str:
        return "NCHW" if self.data_format == "channels_first" else "NHWC"

    @property
    def _op_padding(self) -> Any:
        """The padding of operations; "causal" is padded before."""
        return {"valid": "VALID", "causal": "VALID", "same": "SAME"}.get(self.padding, self.padding)

    def _channels(self, input_shape: Any) -> int:
        """The number of the inputs' channels, which the layer asks for from now on.

        Raises:
          ValueError: it is not known.
        """
        axis = 1 if self.data_format == "channels_first" else -1
        channels = TensorShape(input_shape).as_list()[axis]
        if channels is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _add_bias_weight(self) -> None:
        self.bias = self._add_parameter("bias", [self.filters]) if self.use_bias else None

    def _padded(self, inputs: Any) -> Any:
        """Zeros before the first step, for causal padding, so that no output depends on later inputs."""
        if self.padding != "causal":
            return inputs
        before = [self.dilation_rate[0] * (self.kernel_size[0] - 1), 0]
        last = self.data_format == "channels_last"
        return pad(inputs, [[0, 0], before, [0, 0]] if last else [[0, 0], [0, 0], before])

    def _with_bias(self, outputs: Any) -> Any:
        return outputs if self.bias is None else bias_add(outputs, self.bias, data_format=self._bias_format)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """[batch, *space, filters], in the layer's layout."""
        sizes = TensorShape(input_shape).as_list()
        last = self.data_format == "channels_last"
        space = sizes[1:-1] if last else sizes[2:]
        slid = [self._output_length(length, axis) for axis, length in enumerate(space)]
        return TensorShape([sizes[0], *slid, self.filters] if last else [sizes[0], self.filters, *slid])

    def _output_length(self, length: Any, axis: int) -> Any:
        window, stride, dilation = (sizes[axis] for sizes in (self.kernel_size, self.strides, self.dilation_rate))
        return slid_length(length, window, self.padding, stride, dilation)


class ConvBase(WindowLayer):
    """What the convolutional layers compute."""

    _settings = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias",
        "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
        "kernel_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        kernel_initializer: Any = None,
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.kernel_initializer = read_initializer(kernel_initializer)
        self.kernel_regularizer = read_regularizer(kernel_regularizer)
        self.kernel_constraint = read_constraint(kernel_constraint)

    def build(self, input_shape: Any) -> None:
        """Makes `kernel`, [*kernel_size, channels, filters], and `bias`, [filters] or None."""
        self.kernel = self._add_parameter("kernel", [*self.kernel_size, self._channels(input_shape), self.filters])
        self._add_bias_weight()
        read_strides_and_rates(self.rank, self.strides, self.dilation_rate)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(inputs * kernel + bias)."""
        outputs = convolve(
            self._padded(inputs), self.kernel, self.strides, self.dilation_rate, self._op_padding, self._format
        )
        if self.bias is not None and self._format == "NCW":
            outputs += reshape(self.bias, (1, self.filters, 1))
        else:
            outputs = self._with_bias(outputs)
        return self.activation(outputs)


# --- One dimension ---------------------------------------------------------------------------------------------------


@export(v1=["layers.Conv1D"])
class Conv1D(ConvBase, Layer):
    """Slides filters along sequences; see `conv1d`. With the padding "causal" no output depends on later inputs."""

    rank = 1

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.conv1d"])
def conv1d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Any:  # fmt: skip
    """Slides filters along sequences: `activation(inputs * kernel + bias)`.

    Args:
      inputs: floating point, shape [batch, length, channels].
      filters, kernel_size, ...: as for `conv2d`, with one spatial dimension.

    Raises:
      ValueError: as for `conv2d`.
    """
    return applied(Conv1D, **locals())


# --- Two dimensions --------------------------------------------------------------------------------------------------


@export(v1=["layers.Conv2D"])
class Conv2D(ConvBase, Layer):
    """Slides filters over images; see `conv2d` for the arguments."""

    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = (1, 1), activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = None, bias_initializer: Any = ZEROS,
        kernel_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.conv2d"])
def conv2d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Any:  # fmt: skip
    """Slides filters over images: `activation(inputs * kernel + bias)`.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      filters: the number of output channels.
      kernel_size: height and width of the filters, or one integer for both.
      strides: how far the filters move each time, likewise.
      padding: "valid" or "same".
      data_format: "channels_last", or "channels_first" for inputs of shape [batch, channels, height, width].
      dilation_rate: the distance between neighbouring points of a filter; not together with strides above 1.
      activation: a function, or its name; None: none.
      use_bias: whether there is a bias.
      kernel_initializer: of the kernel [height, width, channels, filters]; default: the variable scope's, else Glorot's
        uniform one.
      bias_initializer: of the bias [filters].
      kernel_regularizer, bias_regularizer: functions from a variable to a penalty.
      activity_regularizer: a function from the output to a penalty.
      kernel_constraint, bias_constraint: functions that optimisers apply to the values after an update.
      trainable: whether the variables are trained.
      name: the layer's name and variable scope; default: "conv2d", with a number where that is taken.
      reuse: whether the variables of that name exist already.

    Raises:
      ValueError: the number of channels is not known, or an argument is out of range.

    Example:
      >>> net = tf.layers.conv2d(images, 32, 5, padding="same", activation=tf.nn.relu)
      >>> net = tf.layers.max_pooling2d(net, 2, 2)
    """
    return applied(Conv2D, **locals())


# --- Three dimensions ------------------------------------------------------------------------------------------------


@export(v1=["layers.Conv3D"])
class Conv3D(ConvBase, Layer):
    """Slides filters through volumes; see `conv3d` for the arguments."""

    rank = 3

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = (1, 1, 1), activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = None, bias_initializer: Any = ZEROS,
        kernel_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.conv3d"])
def conv3d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1, 1), activation: Any = None,
    use_bias: bool = True, kernel_initializer: Any = None, bias_initializer: Any = ZEROS,
    kernel_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
    kernel_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
    reuse: bool | None = None,
) -> Any:  # fmt: skip
    """Slides filters through volumes: `activation(inputs * kernel + bias)`.

    Args:
      inputs: floating point, shape [batch, depth, height, width, channels].
      filters, kernel_size, ...: as for `conv2d`, with three spatial dimensions.

    Raises:
      ValueError: as for `conv2d`.
    """
    return applied(Conv3D, **locals())
