"""Giving variables values from arrays and from checkpoints."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from millstream.contrib.framework.variables import get_unique_variable, get_variable_full_name
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.ops.constant_op import placeholder
from millstream.ops.control_flow_ops import group
from millstream.train import checkpoint_reader, checkpoint_utils
from millstream.train.saver import Saver

Feeds = dict[Any, Any]


def _assigned(variable: Any, value: np.ndarray, feeds: Feeds) -> Any:
    """An operation that assigns what is fed to a placeholder, and the value among the feeds."""
    given = placeholder(
        variable.dtype.base_dtype, variable.get_shape(), name=f"placeholder/{variable.op.name}"
    )
    feeds[given] = value
    return variable.assign(given)


# --- From arrays ------------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.assign_from_values"])
def assign_from_values(var_names_to_values: Mapping[str, Any]) -> tuple[Any, Feeds]:
    """An operation that gives variables values.

    Args:
      var_names_to_values: by full name of a variable, an array.

    Returns:
      the operation, and what is fed when it is run.

    Raises:
      ValueError: there is no such variable, or an array has another size.

    Example:
      >>> assign, feeds = tf.contrib.framework.assign_from_values({"fc/weights": weights})
      >>> sess.run(assign, feeds)
    """
    feeds: Feeds = {}
    assignments = []
    for name, value in var_names_to_values.items():
        variable = get_unique_variable(name)
        array = np.asarray(value).reshape(variable.get_shape().as_list())
        assignments.append(_assigned(variable, array, feeds))
    return group(*assignments), feeds


@export(v1=["contrib.framework.assign_from_values_fn"])
def assign_from_values_fn(var_names_to_values: Mapping[str, Any]) -> Callable[[Any], None]:
    """A function of a session that gives variables values; see `assign_from_values`."""
    assign, feeds = assign_from_values(var_names_to_values)
    return lambda session: session.run(assign, feeds)


# --- From checkpoints -------------------------------------------------------------------------------------------------


def _by_name(var_list: Any) -> dict[str, list[Any]]:
    """The variables for each name in the checkpoint."""
    if isinstance(var_list, (list, tuple)):
        grouped: dict[str, list[Any]] = {}
        for variable in var_list:
            grouped.setdefault(get_variable_full_name(variable), []).append(variable)
        return grouped
    return {name: list(given) if isinstance(given, (list, tuple)) else [given] for name, given in var_list.items()}


@export(v1=["contrib.framework.assign_from_checkpoint"])
def assign_from_checkpoint(model_path: str, var_list: Any, ignore_missing_vars: bool = False) -> tuple[Any, Feeds]:
    """An operation that gives variables their values in a checkpoint, which is read now.

    Args:
      model_path: the checkpoint's prefix, or a folder, of which the newest checkpoint is taken.
      var_list: variables, or a dictionary from names in the checkpoint to a variable, or to several.
      ignore_missing_vars: leaves out what the checkpoint lacks, and logs it.

    Returns:
      the operation, and what is fed when it is run.

    Raises:
      ValueError: the checkpoint lacks a variable, or has it in another shape.
    """
    reader = checkpoint_reader.load_checkpoint(model_path)
    feeds: Feeds = {}
    assignments = []
    for name, variables in _by_name(var_list).items():
        if not reader.has_tensor(name):
            message = f"Checkpoint is missing variable [{name}]"
            tensorflow_logger().warning(message)
            if not ignore_missing_vars:
                raise ValueError(message)
            continue
        value = reader.get_tensor(name)
        for variable in variables:
            own = _own_part(variable, value)
            if not variable.get_shape().is_compatible_with(np.shape(own)):
                raise ValueError(
                    f"Total size of new array must be unchanged for {name} lh_shape: [{np.shape(value)}], "
                    f"rh_shape: [{variable.get_shape()}]"
                )
            assignments.append(_assigned(variable, own, feeds))
    return group(*assignments), feeds


def _own_part(variable: Any, value: np.ndarray) -> np.ndarray:
    """What of an array is for a variable: all of it, unless the variable is a part of a larger one."""
    info = variable._get_save_slice_info()
    if info is None:
        return value
    return value[tuple(map(slice, info.var_offset, map(sum, zip(info.var_offset, info.var_shape, strict=True))))]


@export(v1=["contrib.framework.assign_from_checkpoint_fn"])
def assign_from_checkpoint_fn(
    model_path: str, var_list: Any, ignore_missing_vars: bool = False, reshape_variables: bool = False
) -> Callable[[Any], None] | None:
    """A function of a session that gives variables their values in a checkpoint, which is read then.

    Args:
      model_path: the checkpoint's prefix.
      var_list: variables, or a dictionary from names in the checkpoint to variables.
      ignore_missing_vars: leaves out what the checkpoint lacks, and logs it; the checkpoint is looked at now.
      reshape_variables: whether an array takes on the variable's shape, where that is another one.

    Returns:
      the function; None where nothing is left.

    Raises:
      ValueError: there are no variables.

    Example:
      >>> restore = tf.contrib.framework.assign_from_checkpoint_fn("model.ckpt", variables, ignore_missing_vars=True)
      >>> restore(sess)
    """
    if not var_list:
        raise ValueError("var_list cannot be empty")
    if ignore_missing_vars:
        var_list = _available(model_path, var_list)
    if not var_list:
        tensorflow_logger().warning("No Variables to restore")
        return None
    saver = Saver(var_list, reshape=reshape_variables)
    return lambda session: saver.restore(session, model_path)


def _available(model_path: str, var_list: Any) -> dict[str, Any]:
    """Those variables that the checkpoint has, by name."""
    reader = checkpoint_reader.load_checkpoint(model_path)
    named: Iterable[tuple[str, Any]]
    if isinstance(var_list, Mapping):
        named = var_list.items()
    else:
        named = ((variable.op.name, variable) for variable in var_list)
    found = {}
    for name, variable in named:
        if reader.has_tensor(name):
            found[name] = variable
        else:
            tensorflow_logger().warning("Variable %s missing in checkpoint %s", name, model_path)
    return found


@export(v1=["contrib.framework.init_from_checkpoint"])
def init_from_checkpoint(checkpoint_dir: str, assignment_map: Mapping[str, Any]) -> None:
    """Makes the initializers of variables read their values from a checkpoint; see `tf.train.init_from_checkpoint`."""
    checkpoint_utils.init_from_checkpoint(checkpoint_dir, assignment_map)


@export(v1=["contrib.framework.load_checkpoint"])
def load_checkpoint(filepattern: str) -> checkpoint_reader.CheckpointReader:
    """A reader of a checkpoint; see `tf.train.load_checkpoint`."""
    return checkpoint_reader.load_checkpoint(filepattern)


@export(v1=["contrib.framework.load_variable"])
def load_variable(checkpoint_dir: str, name: str) -> Any:
    """The value of one variable in a checkpoint; see `tf.train.load_variable`."""
    return checkpoint_reader.load_variable(checkpoint_dir, name)


@export(v1=["contrib.framework.list_variables"])
def list_variables(checkpoint_dir: str) -> list[tuple[str, list[int]]]:
    """Names and shapes of the variables in a checkpoint; see `tf.train.list_variables`."""
    return checkpoint_reader.list_variables(checkpoint_dir)
