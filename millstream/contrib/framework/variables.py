"""Variables of models: how they are made, and how they are found by scope and name."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.core.dtypes import float32
from millstream.core.export import export
from millstream.core.graph import Graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collection, device, get_collection
from millstream.core.variable_creators import create_v1
from millstream.core.variable_scope import VariableScope, get_variable, get_variable_scope
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization
from millstream.core.variables import Variable
from millstream.train import training_util

# --- Making them ----------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.local_variable"])
def local_variable(
    initial_value: Any, validate_shape: bool = True, name: str | None = None, use_resource: bool | None = None
) -> Variable:
    """A variable that is not trained and goes to `GraphKeys.LOCAL_VARIABLES` alone.

    Args:
      initial_value: a tensor, value, or function without arguments.
      validate_shape: False: its shape may change.
      name: the name.
      use_resource: True makes a resource variable; default: the scope's.
    """
    return _made(GraphKeys.LOCAL_VARIABLES, initial_value, validate_shape, name, use_resource)


@export(v1=["contrib.framework.global_variable"])
def global_variable(
    initial_value: Any, validate_shape: bool = True, name: str | None = None, use_resource: bool | None = None
) -> Variable:
    """A variable that is not trained and goes to `GraphKeys.GLOBAL_VARIABLES`; see `local_variable`."""
    return _made(GraphKeys.GLOBAL_VARIABLES, initial_value, validate_shape, name, use_resource)


def _made(collection: str, value: Any, validate_shape: bool, name: str | None, use_resource: bool | None) -> Variable:
    return create_v1(
        initial_value=value,
        trainable=False,
        collections=[collection],
        validate_shape=validate_shape,
        name=name,
        use_resource=use_resource,
    )


@export(v1=["contrib.framework.variable"])
@add_arg_scope
def variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[[Any], Any] | None = None,
    trainable: bool | None = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Callable[..., Any] | None = None,
    use_resource: bool | None = None,
    synchronization: VariableSynchronization = VariableSynchronization.AUTO,
    aggregation: VariableAggregation = VariableAggregation.NONE,
) -> Any:
    """`tf.get_variable` for argument scopes, and with a device.

    Args:
      name, shape, dtype, initializer, regularizer, trainable, caching_device, partitioner, use_resource: see
        `tf.get_variable`.
      collections: the collections that it is added to; default: `GraphKeys.GLOBAL_VARIABLES`.
      device: the variable's device, or a function from operations to devices.
      custom_getter: gets the variable in place of `tf.get_variable`.
      synchronization, aggregation: for variables on several devices.
    """
    wanted = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
    getter = get_variable
    if custom_getter is not None:
        getter = partial(custom_getter, reuse=get_variable_scope().reuse)
    with _on(device):
        return getter(
            name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
            collections=list(dict.fromkeys(wanted)),
            caching_device=caching_device,
            partitioner=partitioner,
            use_resource=use_resource,
            synchronization=synchronization,
            aggregation=aggregation,
        )


def _on(where: Any) -> Any:
    return device(where or "")


@export(v1=["contrib.framework.model_variable"])
@add_arg_scope
def model_variable(
    name: str,
    shape: Any = None,
    dtype: Any = float32,
    initializer: Any = None,
    regularizer: Callable[[Any], Any] | None = None,
    trainable: bool | None = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Callable[..., Any] | None = None,
    use_resource: bool | None = None,
    synchronization: VariableSynchronization = VariableSynchronization.AUTO,
    aggregation: VariableAggregation = VariableAggregation.NONE,
) -> Any:
    """A `variable` that goes to `GraphKeys.MODEL_VARIABLES` too: one that a model is used with after training.

    Args:
      collections: further collections.
      name, ...: as for `variable`.
    """
    settings = dict(locals())
    wanted = [*(collections or ()), GraphKeys.GLOBAL_VARIABLES, GraphKeys.MODEL_VARIABLES]
    return variable(**{**settings, "collections": wanted})


@export(v1=["contrib.framework.add_model_variable"])
def add_model_variable(var: Any) -> None:
    """Adds a variable to `GraphKeys.MODEL_VARIABLES` unless it is there."""
    if not any(var is known for known in get_collection(GraphKeys.MODEL_VARIABLES)):
        add_to_collection(GraphKeys.MODEL_VARIABLES, var)


@export(v1=["contrib.framework.assert_or_get_global_step"])
def assert_or_get_global_step(graph: Graph | None = None, global_step_tensor: Any = None) -> Any:
    """A global step that is checked; the graph's where none is given.

    Raises:
      TypeError: it is no variable or tensor, or no integer scalar.
    """
    if global_step_tensor is None:
        return training_util.get_global_step(graph)
    training_util.assert_global_step(global_step_tensor)
    return global_step_tensor


# --- Finding them ---------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.get_variables"])
def get_variables(
    scope: str | VariableScope | None = None, suffix: str | None = None, collection: str = GraphKeys.GLOBAL_VARIABLES
) -> list[Any]:
    """The variables of a collection whose names begin and end as given.

    Args:
      scope: the beginning, a regular expression or a variable scope.
      suffix: the end, a regular expression.
      collection: the collection.
    """
    beginning = scope.name if isinstance(scope, VariableScope) else scope
    if suffix is not None:
        end = suffix if ":" in suffix else f"{suffix}:"
        beginning = f"{beginning or ''}.*{end}"
    return get_collection(collection, beginning)


@export(v1=["contrib.framework.get_model_variables"])
def get_model_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables of `GraphKeys.MODEL_VARIABLES`; see `get_variables`."""
    return get_variables(scope, suffix, GraphKeys.MODEL_VARIABLES)


@export(v1=["contrib.framework.get_local_variables"])
def get_local_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables of `GraphKeys.LOCAL_VARIABLES`; see `get_variables`."""
    return get_variables(scope, suffix, GraphKeys.LOCAL_VARIABLES)


@export(v1=["contrib.framework.get_trainable_variables"])
def get_trainable_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables of `GraphKeys.TRAINABLE_VARIABLES`; see `get_variables`."""
    return get_variables(scope, suffix, GraphKeys.TRAINABLE_VARIABLES)


@export(v1=["contrib.framework.get_variables_to_restore"])
def get_variables_to_restore(include: Sequence[str] | None = None, exclude: Sequence[str] | None = None) -> list[Any]:
    """The global variables of some scopes, without those of others.

    Args:
      include: scopes; default: all variables.
      exclude: scopes to leave out.

    Raises:
      TypeError: neither a list nor a tuple.
    """
    chosen = get_variables() if include is None else _in_scopes("include", include)
    left_out = [] if exclude is None else _in_scopes("exclude", exclude)
    return [variable for variable in chosen if not any(variable is other for other in left_out)]


def _in_scopes(argument: str, scopes: Sequence[str]) -> list[Any]:
    if not isinstance(scopes, (list, tuple)):
        raise TypeError(f"{argument} is provided but is not a list or a tuple.")
    return [variable for scope in scopes for variable in get_variables(scope)]


@export(v1=["contrib.framework.get_variables_by_suffix"])
def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    """The global variables whose names end as given; see `get_variables`."""
    return get_variables(scope=scope, suffix=suffix)


@export(v1=["contrib.framework.get_variables_by_name"])
def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """The global variables of that name in whatever scope; see `get_variables`."""
    return get_variables(scope=scope, suffix=f"/{given_name}:|^{given_name}:")


@export(v1=["contrib.framework.get_unique_variable"])
def get_unique_variable(var_op_name: str) -> Any:
    """The global variable of that full name.

    Raises:
      ValueError: there is none.
    """
    candidates = get_variables(scope=var_op_name)
    if not candidates:
        raise ValueError(f"Couldn't find variable {var_op_name}")
    for candidate in candidates:
        if candidate.op.name == var_op_name:
            return candidate
    raise ValueError(f"Variable {var_op_name} does not uniquely identify a variable")


@export(v1=["contrib.framework.get_variable_full_name"])
def get_variable_full_name(var: Any) -> str:
    """The name of a variable in checkpoints: that of the whole, for a part of one."""
    info = var._get_save_slice_info()
    return var.op.name if info is None else info.full_name


@export(v1=["contrib.framework.filter_variables"])
def filter_variables(
    var_list: Iterable[Any],
    include_patterns: Sequence[str] | None = None,
    exclude_patterns: Sequence[str] | None = None,
    reg_search: bool = True,
) -> list[Any]:
    """The variables whose names match one of some regular expressions and none of others.

    Args:
      var_list: variables.
      include_patterns: default: all match.
      exclude_patterns: default: none match.
      reg_search: False: names must match from their beginning.

    Example:
      >>> conv = tf.contrib.framework.filter_variables(tf.trainable_variables(), ["conv"], ["biases", "beta"])
    """
    find = re.search if reg_search else re.match

    def matches(variable: Any, patterns: Sequence[str]) -> bool:
        return any(find(pattern, variable.op.name) for pattern in patterns)

    included = [each for each in var_list if include_patterns is None or matches(each, include_patterns)]
    return [each for each in included if exclude_patterns is None or not matches(each, exclude_patterns)]


# --- Placing them ---------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.VariableDeviceChooser"])
class VariableDeviceChooser:
    """A function from operations to devices that takes the tasks of a job one after the other.

    Args:
      num_tasks: how many tasks the job has; 0: there is no job.
      job_name: the job's name.
      device_type, device_index: the device of a task.
      replica: the replica.
    """

    def __init__(
        self,
        num_tasks: int = 0,
        job_name: str = "ps",
        device_type: str = "CPU",
        device_index: int = 0,
        replica: int | None = None,
    ) -> None:
        self._job_name = job_name
        self._device_type = device_type
        self._device_index = device_index
        self._replica = replica
        self._num_tasks = num_tasks
        self._next_task_id = 0

    def __call__(self, op: Any) -> str:
        """The name of the next device."""
        parts = []
        task = self._next_task_id
        if self._num_tasks > 0:
            parts.append(f"job:{self._job_name}")
            self._next_task_id = (task + 1) % self._num_tasks
        if self._replica is not None:
            parts.append(f"replica:{self._replica}")
        if self._num_tasks > 0:
            parts.append(f"task:{task}")
        parts.append(f"device:{self._device_type}:{self._device_index}")
        return "/" + "/".join(parts)
