"""LSTM cells with convolutions in place of matrix products: `ConvLSTMCell`, for one, two and three dimensions."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.core.variable_scope import get_variable
from millstream.ops.conv_ops import conv2d, conv3d
from millstream.ops.convolution import conv1d
from millstream.ops.elementwise_ops import sigmoid, tanh
from millstream.ops.init_ops import Constant
from millstream.ops.join_ops import concat, split
from millstream.rnn.cell import RNNCell
from millstream.rnn.lstm_cells import LSTMStateTuple

# By the rank of the inputs.
_CONVOLUTIONS = {
    3: lambda x, kernel: conv1d(x, kernel, 1, "SAME"),
    4: lambda x, kernel: conv2d(x, kernel, [1] * 4, "SAME"),
    5: lambda x, kernel: conv3d(x, kernel, [1] * 5, "SAME"),
}


@export(v1=["contrib.rnn.ConvLSTMCell"])
class ConvLSTMCell(RNNCell):
    """The convolutional LSTM: inputs, state and outputs are images, and the gates see a neighbourhood.

    X. Shi et al.: Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting,
    https://arxiv.org/abs/1506.04214; without peepholes. Variables: `kernel`, [*kernel_shape, channels, 4 *
    output_channels], and `biases`.

    Args:
      conv_ndims: the number of spatial dimensions: 1, 2 or 3.
      input_shape: of an input: [*space, channels].
      output_channels: the number of channels of the state.
      kernel_shape: the size of the kernel in each spatial dimension.
      use_bias: whether there are biases.
      skip_connection: whether the inputs' channels are appended to the output's.
      forget_bias: is added to the forget gate.
      initializers: not used.
      name: the cell's name, and that of its variable scope.

    Raises:
      ValueError: `input_shape` has another number of dimensions.

    Example:
      >>> cell = tf.contrib.rnn.ConvLSTMCell(2, [32, 32, 3], output_channels=8, kernel_shape=[3, 3])
      >>> cell.output_size.as_list()
      [32, 32, 8]
    """

    def __init__(
        self,
        conv_ndims: int,
        input_shape: Sequence[int],
        output_channels: int,
        kernel_shape: Sequence[int],
        use_bias: bool = True,
        skip_connection: bool = False,
        forget_bias: float = 1.0,
        initializers: Any = None,
        name: str = "conv_lstm_cell",
    ) -> None:
        super().__init__(name=name)
        if conv_ndims != len(input_shape) - 1:
            raise ValueError(f"Invalid input_shape {input_shape} for conv_ndims={conv_ndims}.")
        self._output_channels = output_channels
        self._kernel_shape = list(kernel_shape)
        self._use_bias = use_bias
        self._skip_connection = skip_connection
        self._forget_bias = forget_bias
        *self._space, self._input_channels = input_shape

    @property
    def state_size(self) -> Any:
        """`LSTMStateTuple` of twice [*space, output_channels]."""
        size = TensorShape([*self._space, self._output_channels])
        return LSTMStateTuple(size, size)

    @property
    def output_size(self) -> Any:
        """[*space, output_channels], with the inputs' channels too if there is a skip connection."""
        skipped = self._input_channels if self._skip_connection else 0
        return TensorShape([*self._space, self._output_channels + skipped])

    def call(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """One step for inputs [batch, *space, channels] and a state of tensors [batch, *space, output_channels]."""
        c, h = state
        gates = self._convolved([inputs, h])
        i, j, f, o = split(value=gates, num_or_size_splits=4, axis=len(self._space) + 1)
        c = sigmoid(f + self._forget_bias) * c + sigmoid(i) * tanh(j)
        output = tanh(c) * sigmoid(o)
        if self._skip_connection:
            output = concat([output, inputs], axis=-1)
        return output, LSTMStateTuple(c, output)

    def _convolved(self, tensors: Sequence[Any]) -> Any:
        """The gates' sums, [batch, *space, 4 * output_channels]."""
        shapes = [tensor.shape.as_list() for tensor in tensors]
        rank = len(shapes[0])
        if rank not in _CONVOLUTIONS:
            raise ValueError(f"Conv Linear expects 3D, 4D or 5D arguments: {shapes}")
        if any(len(shape) != rank for shape in shapes):
            raise ValueError(f"Conv Linear expects all args to be of same Dimension: {shapes}")
        channels, filters, dtype = sum(shape[-1] for shape in shapes), 4 * self._output_channels, tensors[0].dtype
        kernel = get_variable("kernel", [*self._kernel_shape, channels, filters], dtype=dtype)
        sums = _CONVOLUTIONS[rank](concat(tensors, rank - 1), kernel)
        if not self._use_bias:
            return sums
        return sums + get_variable("biases", [filters], dtype=dtype, initializer=Constant(0.0, dtype=dtype))


@export(v1=["contrib.rnn.Conv1DLSTMCell"])
class Conv1DLSTMCell(ConvLSTMCell):
    """`ConvLSTMCell` for inputs [batch, width, channels].

    Args:
      name: the cell's name, and that of its variable scope.
      **kwargs: the other arguments of `ConvLSTMCell`.
    """

    def __init__(self, name: str = "conv_1d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(conv_ndims=1, name=name, **kwargs)


@export(v1=["contrib.rnn.Conv2DLSTMCell"])
class Conv2DLSTMCell(ConvLSTMCell):
    """`ConvLSTMCell` for inputs [batch, height, width, channels].

    Args:
      name: the cell's name, and that of its variable scope.
      **kwargs: the other arguments of `ConvLSTMCell`.
    """

    def __init__(self, name: str = "conv_2d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(conv_ndims=2, name=name, **kwargs)


@export(v1=["contrib.rnn.Conv3DLSTMCell"])
class Conv3DLSTMCell(ConvLSTMCell):
    """`ConvLSTMCell` for inputs [batch, depth, height, width, channels].

    Args:
      name: the cell's name, and that of its variable scope.
      **kwargs: the other arguments of `ConvLSTMCell`.
    """

    def __init__(self, name: str = "conv_3d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(conv_ndims=3, name=name, **kwargs)
