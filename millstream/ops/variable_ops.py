"""What is done with whole variables: initialising them, asking which are initialised, computing with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scopes import device, name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import global_variables, local_variables
from millstream.core.variables import Variable
from millstream.ops import (
    comparison_ops,
    constant_op,
    control_flow_ops,
    join_ops,
    operators,
    select_ops,
    slice_ops,
)
from millstream.ops.state_nd_ops import batch_scatter_update
from millstream.ops.state_ops import is_variable_initialized


def _value(variable: Variable) -> Tensor:
    return variable.value()


def _getitem(variable: Variable, slice_spec: Any) -> Tensor:
    """Slices a variable's value; the result has `assign`, which changes that part of the variable."""
    return slice_ops.slice_helper(variable.value(), slice_spec, variable)


def _batch_scatter_update(
    variable: Variable, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
) -> Any:
    """Replaces rows of each member of a batch; see `tf.batch_scatter_update`."""
    return batch_scatter_update(variable, sparse_delta.indices, sparse_delta.values, use_locking, name)


operators.install(Variable, _value)
Variable.__getitem__ = _getitem  # type: ignore[attr-defined]
Variable.batch_scatter_update = _batch_scatter_update  # type: ignore[attr-defined]


@export(v1=["variables_initializer", "initializers.variables"])
def variables_initializer(var_list: Sequence[Any], name: str = "init") -> Operation:
    """An operation that gives each variable of a list its initial value.

    Args:
      var_list: the variables.
      name: the operation's name.
    """
    if var_list:
        return control_flow_ops.group(*[variable.initializer for variable in var_list], name=name)
    return control_flow_ops.no_op(name=name)


@export(v1=["initialize_variables"])
def initialize_variables(var_list: Sequence[Any], name: str = "init") -> Operation:
    """Old spelling of `tf.variables_initializer`."""
    return variables_initializer(var_list, name)


@export(v1=["global_variables_initializer", "initializers.global_variables"])
def global_variables_initializer() -> Operation:
    """An operation that initialises all global variables of the default graph.

    Example:
      >>> sess.run(tf.global_variables_initializer())
    """
    return variables_initializer(global_variables())


@export(v1=["initialize_all_variables"])
def initialize_all_variables() -> Operation:
    """Old spelling of `tf.global_variables_initializer`."""
    return global_variables_initializer()


@export(v1=["local_variables_initializer", "initializers.local_variables"])
def local_variables_initializer() -> Operation:
    """An operation that initialises all local variables of the default graph."""
    return variables_initializer(local_variables())


@export(v1=["initialize_local_variables"])
def initialize_local_variables() -> Operation:
    """Old spelling of `tf.local_variables_initializer`."""
    return local_variables_initializer()


def _all_variables() -> list[Any]:
    """The global and local variables; where there are none, what the graph's variable operations give."""
    return global_variables() + local_variables() or _references()


def _references() -> list[Tensor]:
    kinds = ("Variable", "VariableV2", "AutoReloadVariable")
    return [op.outputs[0] for op in get_default_graph().get_operations() if op.type in kinds]


@export(v1=["assert_variables_initialized"])
def assert_variables_initialized(var_list: Sequence[Any] | None = None) -> Tensor | None:
    """A tensor whose run fails with FailedPreconditionError where a variable has no value.

    Args:
      var_list: the variables; default: all global and local ones.

    Returns:
      An int32 tensor, or None where there are no variables.
    """
    variables = _all_variables() if var_list is None else var_list or _references()
    if not variables:
        return None
    ranks = []
    for variable in variables:
        with get_default_graph().colocate_with(variable.op):
            ranks.append(find("Rank")(variable))
    return ranks[0] if len(ranks) == 1 else join_ops.stack(ranks)


@export(v1=["report_uninitialized_variables"])
def report_uninitialized_variables(
    var_list: Sequence[Any] | None = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """The names of the variables that have no value yet: a string vector, computed when it runs.

    Args:
      var_list: the variables; default: all global and local ones.
      name: the name scope of the operations.
    """
    variables = _all_variables() if var_list is None else var_list
    with name_scope(name):
        initialized = [is_variable_initialized(variable) for variable in variables]
        with device("/cpu:0"):
            if not variables:
                return constant_op.constant([], dtype="string")
            missing = comparison_ops.logical_not(join_ops.stack(initialized))
            names = constant_op.constant([variable.op.name for variable in variables])
            return select_ops.boolean_mask(names, missing)
