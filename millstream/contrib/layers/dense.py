"""Densely connected layers."""
from __future__ import annotations

import numbers
from collections.abc import Iterable
from functools import partial
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.layers.initializers import xavier_initializer
from millstream.contrib.layers.scopes import (
    Activation,
    Collections,
    Normalizer,
    collect_variable,
    finished,
    layer_scope,
)
from millstream.core.conversion import to_tensor
from millstream.core.export import export, export_value
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collections
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.layers.arguments import ZEROS
from millstream.layers.core import Dense
from millstream.ops import activation_ops
from millstream.ops.bias_ops import bias_add
from millstream.ops.join_ops import stack, unstack
from millstream.ops.matmul_ops import matmul
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape as shape_of

XAVIER = xavier_initializer()


@export(v1=["contrib.layers.fully_connected"])
@add_arg_scope
def fully_connected(
    inputs: Any,
    num_outputs: int,
    activation_fn: Activation = activation_ops.relu,
    normalizer_fn: Normalizer = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: bool | None = None,
    variables_collections: Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """A densely connected layer: `activation_fn(inputs · weights + biases)`.

    Args:
      inputs: floating point, shape [..., features], at least two dimensions.
      num_outputs: the size of the output's last dimension.
      activation_fn: a function of a tensor; None: none.
      normalizer_fn: a function such as `batch_norm` that is applied before the activation; there are no biases then.
      normalizer_params: its further arguments, a dictionary.
      weights_initializer: of the weights [features, num_outputs].
      weights_regularizer: a function from the weights to a penalty, which goes to `GraphKeys.REGULARIZATION_LOSSES`.
      biases_initializer: of the biases [num_outputs]; None: there are no biases.
      biases_regularizer: of the biases, likewise.
      reuse: whether the variables exist; then `scope` must be given.
      variables_collections: collections for the variables, beside those for variables of models: a name, several, or a
        dictionary from "weights" and "biases" to these.
      outputs_collections: collections for the output.
      trainable: whether the variables are trained.
      scope: the variable scope; default: "fully_connected", with a number where that is taken.

    Returns:
      a tensor, shape [..., num_outputs].

    Raises:
      ValueError: `num_outputs` is no integer, or the last dimension of the inputs is not known.

    Example:
      >>> hidden = tf.contrib.layers.fully_connected(x, 100, scope="hidden")  # variables hidden/weights, hidden/biases
      >>> logits = tf.contrib.layers.fully_connected(hidden, 10, activation_fn=None)
    """
    if not isinstance(num_outputs, numbers.Integral):
        raise ValueError(f"num_outputs type should be one of [{int}], got {type(num_outputs)}.")
    names = {"kernel": "weights", "bias": "biases"}
    with layer_scope(scope, "fully_connected", inputs, reuse, names) as entered:
        inputs = to_tensor(inputs)
        layer = Dense(
            units=num_outputs,
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
        )
        outputs = layer(inputs)
        collect_variable(layer.kernel, variables_collections, "weights")
        collect_variable(layer.bias, variables_collections, "biases")
        return finished(outputs, activation_fn, outputs_collections, entered.name, normalizer_fn, normalizer_params)


# Partial functions, so that `stack` and `repeat` name their scopes after `fully_connected`.
linear = partial(fully_connected, activation_fn=None)
relu = partial(fully_connected, activation_fn=activation_ops.relu)
relu6 = partial(fully_connected, activation_fn=activation_ops.relu6)
elu = partial(fully_connected, activation_fn=activation_ops.elu)
for _name in ("linear", "relu", "relu6", "elu"):
    export_value(__name__, _name, v1=[f"contrib.layers.{_name}"])


# --- The layers of the first release ----------------------------------------------------------------------------------


@export(v1=["contrib.layers.legacy_fully_connected"])
@add_arg_scope
def legacy_fully_connected(
    x: Any,
    num_output_units: int,
    activation_fn: Activation = None,
    weight_init: Any = XAVIER,
    bias_init: Any = ZEROS,
    name: str | None = None,
    weight_collections: Iterable[str] | None = (GraphKeys.WEIGHTS,),
    bias_collections: Iterable[str] | None = (GraphKeys.BIASES,),
    output_collections: Iterable[str] | None = (GraphKeys.ACTIVATIONS,),
    trainable: bool = True,
    weight_regularizer: Any = None,
    bias_regularizer: Any = None,
) -> Any:
    """The older `fully_connected`: its variables are `weights` and `bias`, and have collections of their own.

    Args:
      x: floating point, shape [..., features], at least two dimensions.
      num_output_units: the size of the output's last dimension.
      activation_fn: a function of a tensor; None: none.
      weight_init, bias_init: initialisers; without one of the bias there is no bias.
      name: the variable scope; default "fully_connected".
      weight_collections, bias_collections, output_collections: collections.
      trainable: whether the variables are trained.
      weight_regularizer, bias_regularizer: functions from a variable to a penalty.

    Raises:
      ValueError: the last dimension is not known, or there is just one.
    """
    with variable_scope(name, "fully_connected", [x]):
        x = to_tensor(x)
        sizes = _legacy_sizes(x)

        def parameter(kind: str, shape: list[int], initializer: Any, regularizer: Any, collections: Any) -> Any:
            return get_variable(
                kind,
                shape=shape,
                dtype=x.dtype.base_dtype,
                initializer=initializer,
                regularizer=regularizer,
                trainable=trainable,
                collections={*(collections or ()), GraphKeys.GLOBAL_VARIABLES},
            )

        shape = [sizes[-1], num_output_units]
        weights = parameter("weights", shape, weight_init, weight_regularizer, weight_collections)
        y = matmul(x if len(sizes) == 2 else reshape(x, [-1, sizes[-1]]), weights)
        if bias_init is not None:
            bias = parameter("bias", [num_output_units], bias_init, bias_regularizer, bias_collections)
            y = bias_add(y, bias)
        if len(sizes) > 2:
            y = reshape(y, stack([*unstack(shape_of(x))[:-1], num_output_units]))
            y.set_shape([*sizes[:-1], num_output_units])
        if activation_fn is not None:
            y = activation_fn(y)
        add_to_collections([*(output_collections or ()), GraphKeys.ACTIVATIONS], y)
        return y


def _legacy_sizes(x: Any) -> Any:
    rank = x.get_shape().ndims
    if rank is None:
        raise ValueError("dims of x must be known but is None")
    if rank < 2:
        raise ValueError(f"rank of x must be at least 2 not: {rank}")
    sizes = x.get_shape().as_list()
    if sizes[-1] is None:
        raise ValueError("last dimension of x must be known but is None")
    return sizes


legacy_linear = partial(legacy_fully_connected, activation_fn=None)
legacy_relu = partial(legacy_fully_connected, activation_fn=activation_ops.relu)
for _name in ("legacy_linear", "legacy_relu"):
    export_value(__name__, _name, v1=[f"contrib.layers.{_name}"])
