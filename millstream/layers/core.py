"""Layers without a window: dense, dropout, flatten."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import context
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import as_dtype
from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.layers.arguments import (
    ZEROS,
    read_activation,
    read_constraint,
    read_initializer,
    read_layout,
    read_regularizer,
)
from millstream.layers.base import BaseLayer
from millstream.layers.input_spec import InputSpec
from millstream.layers.layer import Layer, applied
from millstream.ops.bias_ops import bias_add
from millstream.ops.dropout_ops import dropout as drop
from millstream.ops.identity_ops import identity
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul, tensordot
from millstream.ops.reshape_ops import reshape, transpose
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.smart_cond import smart_cond

# --- Dense ----------------------------------------------------------------------------------------------------------


class DenseBase(BaseLayer):
    """What `Dense` computes."""

    _settings = (
        "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
        "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint",
    )  # fmt: skip
    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = ZEROS,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=read_regularizer(activity_regularizer), **kwargs
        )
        self.units = int(units)
        self.activation = read_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = read_initializer(kernel_initializer)
        self.bias_initializer = read_initializer(bias_initializer)
        self.kernel_regularizer = read_regularizer(kernel_regularizer)
        self.bias_regularizer = read_regularizer(bias_regularizer)
        self.kernel_constraint = read_constraint(kernel_constraint)
        self.bias_constraint = read_constraint(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        """Makes `kernel`, [inputs, units], and `bias`, [units] or None."""
        dtype = as_dtype(self.dtype or "float32")
        if not (dtype.is_floating or dtype.is_complex):
            raise TypeError(f"Unable to build `Dense` layer with non-floating point dtype {dtype}")
        inputs = TensorShape(input_shape).as_list()[-1]
        if inputs is None:
            raise ValueError("The last dimension of the inputs to `Dense` should be defined. Found `None`.")
        self.input_spec = InputSpec(min_ndim=2, axes={-1: inputs})
        self.kernel = self._add_parameter("kernel", [inputs, self.units])
        self.bias = self._add_parameter("bias", [self.units]) if self.use_bias else None
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(inputs · kernel + bias)."""
        rank = inputs.shape.ndims
        if rank > 2:
            outputs = tensordot(inputs, self.kernel, [[rank - 1], [0]])
            if not context.executing_eagerly():
                outputs.set_shape(self.compute_output_shape(inputs.shape))
        else:
            outputs = matmul(cast(inputs, self.dtype), self.kernel)
        if self.bias is not None:
            outputs = bias_add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape with `units` in place of the last dimension."""
        sizes = TensorShape(input_shape).with_rank_at_least(2).as_list()
        if sizes[-1] is None:
            raise ValueError(
                f"The innermost dimension of input_shape must be defined, but saw: {TensorShape(input_shape)}"
            )
        return TensorShape([*sizes[:-1], self.units])


@export(v1=["layers.Dense"])
class Dense(DenseBase, Layer):
    """A densely connected layer: `activation(inputs · kernel + bias)`; see `dense` for the arguments."""


@export(v1=["layers.dense"])
def dense(
    inputs: Any,
    units: int,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = ZEROS,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> Any:
    """A densely connected layer: `activation(inputs · kernel + bias)`.

    Args:
      inputs: floating point, shape [..., features] with at least two dimensions.
      units: the size of the output's last dimension.
      activation: a function, or its name; None: none.
      use_bias: whether there is a bias.
      kernel_initializer: of the kernel [features, units]; default: the variable scope's, else Glorot's uniform one.
      bias_initializer: of the bias [units].
      kernel_regularizer, bias_regularizer: functions from a variable to a penalty.
      activity_regularizer: a function from the output to a penalty.
      kernel_constraint, bias_constraint: functions that optimisers apply to the values after an update.
      trainable: whether the variables are trained.
      name: the layer's name and variable scope; default: "dense", with a number where that is taken.
      reuse: whether the variables of that name exist already.

    Raises:
      ValueError: the last dimension is not known, or there is just one.
      TypeError: the inputs are not floating point.

    Example:
      >>> hidden = tf.layers.dense(x, 100, activation=tf.nn.relu)
      >>> logits = tf.layers.dense(hidden, 10, name="logits")
    """
    return applied(Dense, **locals())


# --- Dropout --------------------------------------------------------------------------------------------------------


class DropoutBase(BaseLayer):
    """What `Dropout` computes."""

    _settings = ("rate", "noise_shape", "seed")
    supports_masking = True

    def __init__(
        self,
        rate: float = 0.5,
        noise_shape: Any = None,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.rate = rate
        self.noise_shape = noise_shape
        self.seed = seed

    def call(self, inputs: Any, training: Any = False) -> Any:
        """Drops elements if `training`, a bool or a tensor, says so."""

        def dropped() -> Any:
            return drop(inputs, noise_shape=self._noise_shape(inputs), seed=self.seed, rate=self.rate)

        return smart_cond(False if training is None else training, dropped, lambda: identity(inputs))

    def _noise_shape(self, inputs: Any) -> Any:
        """`noise_shape` with the input's sizes in the place of None."""
        if self.noise_shape is None:
            return None
        sizes = shape_of(inputs)
        return to_tensor([sizes[i] if size is None else size for i, size in enumerate(self.noise_shape)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


@export(v1=["layers.Dropout"])
class Dropout(DropoutBase, Layer):
    """Sets elements to 0 at random while training; see `dropout` for the arguments."""


@export(v1=["layers.dropout"])
def dropout(
    inputs: Any,
    rate: float = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: Any = False,
    name: str | None = None,
) -> Any:
    """Sets each element to 0 with probability `rate`, and scales the others up by `1 / (1 - rate)` (Srivastava 2014).

    Args:
      inputs: a floating point tensor.
      rate: the probability, a number or scalar tensor.
      noise_shape: a shape that broadcasts to the input's, None for the input's own size: elements that share a draw
        stay or go together.
      seed: the random seed of the operation.
      training: whether anything is dropped: a bool or a scalar tensor, such as a placeholder.
      name: the layer's name.

    Example:
      >>> training = tf.placeholder_with_default(False, [])
      >>> hidden = tf.layers.dropout(hidden, 0.4, training=training)
    """
    return Dropout(rate, noise_shape, seed, name)(inputs, training=training)


# --- Flatten --------------------------------------------------------------------------------------------------------


class FlattenBase(BaseLayer):
    """What `Flatten` computes."""

    _settings = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = read_layout(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """One row for each element of the batch."""
        rank = inputs.shape.ndims
        if self.data_format == "channels_first" and rank > 1:
            inputs = transpose(inputs, [0, *range(2, rank), 1])
        batch = inputs._shape[0]
        outputs = reshape(inputs, (batch or shape_of(inputs)[0], -1))
        if not context.executing_eagerly():
            outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """[batch, the product of the other sizes]."""
        batch, *others = TensorShape(input_shape).as_list()
        return TensorShape([batch, int(np.prod(others)) if all(others) else None])


@export(v1=["layers.Flatten"])
class Flatten(FlattenBase, Layer):
    """Makes a matrix of any tensor, one row for each element of the batch.

    Args:
      data_format: "channels_first": the channels are moved to the end before; default: "channels_last".
      **kwargs: `name`.
    """


@export(v1=["layers.flatten"])
def flatten(inputs: Any, name: str | None = None, data_format: str = "channels_last") -> Any:
    """Makes a matrix of any tensor, one row for each element of the batch.

    Args:
      inputs: a tensor [batch, ...].
      name: the layer's name.
      data_format: "channels_first": the channels are moved to the end before.

    Example:
      >>> tf.layers.flatten(tf.placeholder(tf.float32, [None, 4, 4, 16])).shape
      TensorShape([Dimension(None), Dimension(256)])
    """
    return Flatten(name=name, data_format=data_format)(inputs)
