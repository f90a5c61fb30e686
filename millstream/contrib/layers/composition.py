"""Several layers, one after the other."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.variable_scope import variable_scope


def _base_name(layer: Callable[..., Any], otherwise: str) -> str:
    """The name of a function, or of the function that a partial one calls."""
    name = getattr(layer, "__name__", None) or getattr(getattr(layer, "func", None), "__name__", None)
    return name or otherwise


@export(v1=["contrib.layers.repeat"])
@add_arg_scope
def repeat(inputs: Any, repetitions: int, layer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Applies a layer several times, each time with variables of its own.

    Args:
      inputs: the first layer's inputs.
      repetitions: how many times.
      layer: a function of inputs and `scope`.
      *args, **kwargs: its further arguments. `scope` is the variable scope around all of them; default "Repeat". Each
        layer has the scope's name, or that of the function, with a number.

    Raises:
      ValueError: the first layer's name is no valid scope.

    Example:
      >>> net = tf.contrib.layers.repeat(net, 3, tf.contrib.layers.conv2d, 64, 3, scope="conv1")
      >>> # variables conv1/conv1_1/weights, conv1/conv1_2/weights, ...
    """
    scope = kwargs.pop("scope", None)
    with variable_scope(scope, "Repeat", [inputs]):
        outputs = to_tensor(inputs)
        name = _base_name(layer, "repeat") if scope is None else scope
        for i in range(repetitions):
            outputs = layer(outputs, *args, **kwargs, scope=f"{name}_{i + 1}")
        return outputs


@export(v1=["contrib.layers.stack"])
@add_arg_scope
def stack(inputs: Any, layer: Callable[..., Any], stack_args: Sequence[Any], **kwargs: Any) -> Any:
    """Applies a layer several times, each time with other arguments.

    Args:
      inputs: the first layer's inputs.
      layer: a function of inputs, arguments and `scope`.
      stack_args: for each layer its argument, or a list or tuple of them.
      **kwargs: arguments of all layers. `scope` is the variable scope around all of them; default "Stack". Each layer
        has the scope's name, or that of the function, with a number.

    Raises:
      ValueError: `stack_args` is neither a list nor a tuple.

    Example:
      >>> net = tf.contrib.layers.stack(net, tf.contrib.layers.fully_connected, [32, 64, 128], scope="fc")
    """
    scope = kwargs.pop("scope", None)
    if not isinstance(stack_args, (list, tuple)):
        raise ValueError("stack_args need to be a list or tuple")
    with variable_scope(scope, "Stack", [inputs]):
        outputs = to_tensor(inputs)
        name = _base_name(layer, "stack") if scope is None else scope
        for i, given in enumerate(stack_args):
            own = given if isinstance(given, (list, tuple)) else [given]
            outputs = layer(outputs, *own, **kwargs, scope=f"{name}_{i + 1}")
        return outputs
