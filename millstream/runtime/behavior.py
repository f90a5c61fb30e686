"""The switches between the behaviours of TensorFlow 1.x and 2.x, for the whole process."""
from __future__ import annotations

from typing import Any

from millstream.core import context, graph, shapes, trackable_containers, variable_creators
from millstream.core.export import export
from millstream.ops import conversions, function_ops, operators, variable_ops
from millstream.runtime import eager, functions

_chosen: int | None = None

# Imported for what they add to tensors and variables: operators, conversions, eager execution, calls of functions.
_ADDED = (conversions, eager, function_ops, functions, variable_ops)


def choose(version: int) -> None:
    """Gives the process the behaviour of a version, unless one has been chosen before."""
    if _chosen is None:
        use(version)


def use(version: int) -> None:
    """Gives the process the behaviour of a version, whatever was chosen before."""
    global _chosen
    _chosen = version
    new = version == 2
    context.set_default_mode(new)
    (shapes.enable_v2_tensorshape if new else shapes.disable_v2_tensorshape)()
    (operators.enable_tensor_equality if new else operators.disable_tensor_equality)()
    (variable_creators.enable_resource_variables if new else variable_creators.disable_resource_variables)()
    trackable_containers.track_tuples(new)


@export(v1=["enable_v2_behavior"])
def enable_v2_behavior() -> None:
    """Makes programs run as under TensorFlow 2.x: eager execution, resource variables, elementwise `==`, new shapes.

    Raises:
      ValueError: the default graph has operations already: it is to be called at the start of a program.
    """
    enable_eager_execution()
    use(2)


@export(v1=["disable_v2_behavior"])
def disable_v2_behavior() -> None:
    """Makes programs run as under TensorFlow 1.x: graphs and sessions. To be called at the start of a program."""
    use(1)


@export(v1=["enable_eager_execution"])
def enable_eager_execution(config: Any = None, device_policy: object = None, execution_mode: object = None) -> None:
    """Makes operations run at once, as in 2.x. To be called at the start of a program.

    Args:
      config: a `ConfigProto`; what it says of threads and devices counts.
      device_policy, execution_mode: accepted for compatibility.

    Raises:
      ValueError: the default graph has operations already.
    """
    if not context.eager_by_default() and graph.has_default_operations():
        raise ValueError("tf.enable_eager_execution must be called at program startup.")
    if config is not None:
        from millstream.runtime import device_settings

        device_settings.take_config(config)
    context.set_default_mode(True)


@export(v1=["disable_eager_execution"])
def disable_eager_execution() -> None:
    """Makes operations build graphs, as in 1.x. To be called at the start of a program."""
    context.set_default_mode(False)
