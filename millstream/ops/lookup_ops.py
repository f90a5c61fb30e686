"""Lookup tables: so far only the operation that initialises them."""

from __future__ import annotations

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.operation import Operation
from millstream.ops import control_flow_ops


@export(v1=["tables_initializer", "initializers.tables_initializer"])
def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An operation that initialises all lookup tables of the default graph."""
    initializers = get_default_graph().get_collection(GraphKeys.TABLE_INITIALIZERS)
    return control_flow_ops.group(*initializers, name=name) if initializers else control_flow_ops.no_op(name=name)


@export(v1=["initialize_all_tables"])
def initialize_all_tables(name: str = "init_all_tables") -> Operation:
    """Old spelling of `tf.tables_initializer`."""
    return tables_initializer(name)
