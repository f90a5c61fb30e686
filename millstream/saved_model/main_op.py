"""The operation that a SavedModel runs when it is loaded."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.operation import Operation
from millstream.core.scopes import control_dependencies
from millstream.ops.control_flow_ops import group
from millstream.ops.lookup_ops import tables_initializer
from millstream.ops.variable_ops import global_variables_initializer, local_variables_initializer


@export(v1=["saved_model.main_op.main_op"])
def main_op() -> Operation:
    """An operation that initialises all variables and tables of the default graph.

    As the `main_op` of a SavedModel it runs after the variables are restored, so for a model with variables take
    `tf.saved_model.main_op_with_restore`, or an operation of your own.
    """
    return group(global_variables_initializer(), local_variables_initializer(), tables_initializer())


@export(v1=["saved_model.main_op_with_restore", "saved_model.main_op.main_op_with_restore"])
def main_op_with_restore(restore_op_name: Any) -> Operation:
    """An operation that initialises all variables and tables of the default graph, and then runs another one.

    Args:
      restore_op_name: the operation that restores the variables.
    """
    with control_dependencies([main_op()]):
        return group(restore_op_name)
