"""Transposed convolutional layers, also called deconvolutions (Zeiler et al. 2010)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.layers.arguments import ZEROS, passed_on, unslid_length
from millstream.layers.convolutional import ConvBase
from millstream.layers.layer import Layer, applied
from millstream.ops import convolution
from millstream.ops.join_ops import stack
from millstream.ops.shape_ops import shape as shape_of

# the number of spatial dimensions -> the operation
_TRANSPOSES: dict[int, Callable[..., Any]] = {2: convolution.conv2d_transpose, 3: convolution.conv3d_transpose}


class ConvTransposeBase(ConvBase):
    """What the transposed convolutional layers compute: `ConvBase` backwards, from few positions to many."""

    def build(self, input_shape: Any) -> None:
        """Makes `kernel`, [*kernel_size, filters, channels], and `bias`, [filters] or None."""
        self.kernel = self._add_parameter("kernel", [*self.kernel_size, self.filters, self._channels(input_shape)])
        self._add_bias_weight()
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(the transpose of a convolution with `kernel`, and bias)."""
        sizes = shape_of(inputs)
        last = self.data_format == "channels_last"
        first = 1 if last else 2
        batch, *space = [sizes[axis] for axis in (0, *range(first, first + self.rank))]
        space = [self._output_length(length, axis) for axis, length in enumerate(space)]
        output_shape = stack([batch, *space, self.filters] if last else [batch, self.filters, *space])
        if self.rank == 2:
            output_shape[0]  # as TensorFlow does: the number of operations decides the seeds of those that follow
        strides = (1, *self.strides, 1) if last else (1, 1, *self.strides)
        outputs = _TRANSPOSES[self.rank](
            inputs, self.kernel, output_shape, strides, self._op_padding, data_format=self._format
        )
        if not context.executing_eagerly():
            outputs.set_shape(self.compute_output_shape(inputs.shape))
        return self.activation(self._with_bias(outputs))

    def _output_length(self, length: Any, axis: int) -> Any:
        return unslid_length(length, self.kernel_size[axis], self.padding, self.strides[axis])


@export(v1=["layers.Conv2DTranspose"])
class Conv2DTranspose(ConvTransposeBase, Layer):
    """The transpose of `Conv2D`; see `conv2d_transpose` for the arguments."""

    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str = "channels_last", activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.conv2d_transpose"])
def conv2d_transpose(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Any:  # fmt: skip
    """The transpose of `conv2d`: each position of the input adds a filter, times its channels, to the output.

    Args:
      inputs: floating point, shape [batch, height, width, channels].
      filters, kernel_size, strides, padding, ...: of the convolution that would make `inputs`' shape of the result's;
        see `conv2d`. The kernel's shape is [height, width, filters, channels].

    Raises:
      ValueError: the number of channels is not known, or an argument is out of range.

    Example:
      >>> tf.layers.conv2d_transpose(tf.zeros([1, 8, 8, 3]), 4, 3, strides=2, padding="same").shape.as_list()
      [1, 16, 16, 4]
    """
    return applied(Conv2DTranspose, **locals())


@export(v1=["layers.Conv3DTranspose"])
class Conv3DTranspose(ConvTransposeBase, Layer):
    """The transpose of `Conv3D`; see `conv3d_transpose` for the arguments."""

    rank = 3

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        data_format: str = "channels_last", activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.conv3d_transpose"])
def conv3d_transpose(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str = "channels_last", activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Any:  # fmt: skip
    """The transpose of `conv3d`: each position of the input adds a filter, times its channels, to the output.

    Args:
      inputs: floating point, shape [batch, depth, height, width, channels].
      filters, kernel_size, strides, padding, ...: as for `conv2d_transpose`, with three spatial dimensions.

    Raises:
      ValueError: as for `conv2d_transpose`.
    """
    return applied(Conv3DTranspose, **locals())
