"""Layers that compute with each row or map of features: softmax, maxout, dropout."""
from __future__ import annotations

from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.framework.variables import model_variable
from millstream.contrib.layers.scopes import Collections, collect_named_outputs, collections_of, layer_scope
from millstream.contrib.layers.sizes import check_layout, known_dimension
from millstream.core import context
from millstream.core.conversion import to_tensor
from millstream.core.custom_gradient import custom_gradient
from millstream.core.dtypes import float32
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.layers.core import Dropout
from millstream.ops import softmax_ops
from millstream.ops.fill_ops import meshgrid
from millstream.ops.identity_ops import identity
from millstream.ops.init_ops import Constant, Ones
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import lin_space
from millstream.ops.reduction_ops import reduce_max, reduce_sum
from millstream.ops.reshape_ops import reshape, transpose
from millstream.ops.shape_ops import shape as shape_of


@export(v1=["contrib.layers.dropout"])
@add_arg_scope
def dropout(
    inputs: Any,
    keep_prob: Any = 0.5,
    noise_shape: Any = None,
    is_training: Any = True,
    outputs_collections: Any = None,
    scope: str | None = None,
    seed: int | None = None,
) -> Any:
    """Sets elements to 0 at random, and scales the others up so that sums are kept (Srivastava 2014).

    Args:
      inputs: a floating point tensor.
      keep_prob: the probability that an element is kept, a number or scalar tensor.
      noise_shape: a shape that broadcasts to the input's: elements that share a draw stay or go together.
      is_training: whether anything is dropped: a bool or a scalar tensor.
      outputs_collections: collections for the output.
      scope: the variable scope; default "Dropout".
      seed: the random seed of the operation.
    """
    with layer_scope(scope, "Dropout", inputs, None) as entered:
        inputs = to_tensor(inputs)
        layer = Dropout(rate=1 - keep_prob, noise_shape=noise_shape, seed=seed, name=entered.name, _scope=entered)
        return collect_named_outputs(outputs_collections, entered.name, layer(inputs, training=is_training))


@export(v1=["contrib.layers.softmax"])
@add_arg_scope
def softmax(logits: Any, scope: str | None = None) -> Tensor:
    """The softmax of the last dimension.

    Args:
      logits: floating point, shape [..., classes], at least two dimensions.
      scope: the variable scope; default "softmax".

    Raises:
      ValueError: the number of classes is not known, or there is just one dimension.
    """
    with variable_scope(scope, "softmax", [logits]):
        classes = known_dimension(to_tensor(logits), -1, min_rank=2)
        rows = softmax_ops.softmax(reshape(logits, [-1, classes]))
        predictions = reshape(rows, shape_of(logits))
        if not context.executing_eagerly():
            predictions.set_shape(logits.get_shape())
        return predictions


@export(v1=["contrib.layers.maxout"])
@add_arg_scope
def maxout(inputs: Any, num_units: int, axis: int = -1, scope: str | None = None) -> Tensor:
    """The greatest of each group of features (Goodfellow 2013).

    Args:
      inputs: a tensor whose dimension `axis` is known.
      num_units: how many groups there are, which divides the number of features. The features are cut into groups as a
        reshape to [..., num_units, ..., group size] cuts them.
      axis: the dimension of the features.
      scope: the variable scope; default "MaxOut".

    Raises:
      ValueError: the groups would not be of one size.
    """
    with variable_scope(scope, "MaxOut", [inputs]):
        inputs = to_tensor(inputs)
        sizes = inputs.get_shape().as_list()
        features = sizes[axis]
        if features % num_units:
            raise ValueError(f"number of features({features}) is not a multiple of num_units({num_units})")
        sizes[axis] = num_units
        sizes.append(features // num_units)
        sizes = [_size(inputs, i) if size is None else size for i, size in enumerate(sizes)]
        return reduce_max(reshape(inputs, sizes), -1, keepdims=False)


def _size(values: Any, axis: int) -> Any:
    """The size of an axis when the graph runs."""
    sizes: Any = shape_of(values)
    return sizes[axis]


@export(v1=["contrib.layers.spatial_softmax"])
@add_arg_scope
def spatial_softmax(
    features: Any,
    temperature: Any = None,
    name: str | None = None,
    variables_collections: Collections = None,
    trainable: bool = True,
    data_format: str = "NHWC",
) -> Tensor:
    """Where in an image each feature is: the mean position, weighted by a softmax over the image (Levine 2015).

    Args:
      features: float32, shape [batch, height, width, channels].
      temperature: what features are divided by before the softmax: the initial value of a variable; default 1.
      name: the variable scope; default "spatial_softmax".
      variables_collections: collections for the variable, or a dictionary from "temperature" to these.
      trainable: whether the temperature is trained.
      data_format: "NHWC" or "NCHW".

    Returns:
      a tensor [batch, channels * 2]: for each channel the row and the column, from -1 to 1.

    Raises:
      ValueError: the number of channels is not known.
    """
    with variable_scope(name, "spatial_softmax"):
        features = to_tensor(features)
        sizes: Any = shape_of(features)
        check_layout(data_format, "NCHW", "NHWC")
        first, last = (1, 3) if data_format == "NHWC" else (2, 1)
        height, width, channels = sizes[first], sizes[first + 1], features.get_shape().as_list()[last]
        if channels is None:
            raise ValueError(
                "The num_channels dimension of the inputs to `spatial_softmax` should be defined. Found `None`."
            )
        with name_scope("spatial_softmax_op"):
            grid = meshgrid(lin_space(-1.0, 1.0, num=height), lin_space(-1.0, 1.0, num=width), indexing="ij")
            positions = [reshape(position, [height * width]) for position in grid]
            divisor = model_variable(
                "temperature",
                shape=(),
                dtype=float32,
                initializer=Ones() if temperature is None else Constant(temperature),
                collections=collections_of(variables_collections, "temperature"),
                trainable=trainable,
            )
            if data_format == "NHWC":
                features = transpose(features, [0, 3, 1, 2])
            attention: Any = softmax_ops.softmax(reshape(features, [-1, height * width]) / divisor)
            means = [reduce_sum(position * attention, [1], keepdims=True) for position in positions]
            points = reshape(concat(means, 1), [-1, channels * 2])
            if not context.executing_eagerly():
                points.set_shape([None, channels * 2])
            return points


@export(v1=["contrib.layers.scale_gradient"])
def scale_gradient(inputs: Any, gradient_multiplier: Any) -> Tensor:
    """The inputs, whose gradient is multiplied with a number.

    Args:
      inputs: a float32 tensor.
      gradient_multiplier: a scalar.
    """

    @custom_gradient
    def scaled(values: Any, factor: Any) -> Any:
        return identity(values), lambda grad: (grad * factor, None)

    return scaled(to_tensor(inputs), to_tensor(gradient_multiplier, float32))
