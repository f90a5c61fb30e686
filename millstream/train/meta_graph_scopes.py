"""Parts of graphs written, read and copied by name scope: what TensorFlow's private module `meta_graph` has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.scope_names import strip_name_scope
from millstream.train.collection_defs import add_collection_def as add_collection_def
from millstream.train.collection_defs import is_within
from millstream.train.meta_graph import UNBOUND_INPUTS, export_meta_graph
from millstream.train.meta_graph_import import import_message, message_of, naming_source
from millstream.train.meta_graph_import import read_meta_graph_file as read_meta_graph_file


def export_scoped_meta_graph(
    filename: str | None = None,
    graph_def: Any = None,
    graph: Graph | None = None,
    export_scope: str | None = None,
    as_text: bool = False,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    clear_devices: bool = False,
    saver_def: Any = None,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> tuple[Any, dict[str, Any]]:
    """Like `tf.train.export_meta_graph`; gives the message, and the variables of the scope by their names in it."""
    graph = get_default_graph() if graph is None else graph
    message = export_meta_graph(
        filename, graph_def=graph_def, graph=graph, export_scope=export_scope, as_text=as_text,
        unbound_inputs_col_name=unbound_inputs_col_name, clear_devices=clear_devices, saver_def=saver_def,
        clear_extraneous_savers=clear_extraneous_savers, strip_default_attrs=strip_default_attrs, **kwargs,
    )  # fmt: skip
    variables = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
    found = [variable for variable in variables if is_within(variable.name, export_scope)]
    return message, {strip_name_scope(variable.op.name, export_scope): variable for variable in found}


def import_scoped_meta_graph_with_return_elements(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    graph: Graph | None = None,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
    return_elements: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[Any] | None]:
    """Like `import_meta_graph` without a saver; gives the variables of the file by name, and the elements asked for."""
    message = message_of(meta_graph_or_file)
    with naming_source(meta_graph_or_file):
        imported = import_message(
            message, clear_devices, import_scope, return_elements, graph, input_map, unbound_inputs_col_name,
            restore_collections_predicate,
        )  # fmt: skip
    return imported.variables, imported.elements


def import_scoped_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    graph: Graph | None = None,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
) -> dict[str, Any]:
    """Like `import_meta_graph` without a saver; gives the variables of the file by name."""
    return import_scoped_meta_graph_with_return_elements(
        meta_graph_or_file, clear_devices, graph, import_scope, input_map, unbound_inputs_col_name,
        restore_collections_predicate,
    )[0]  # fmt: skip


def copy_scoped_meta_graph(
    from_scope: str, to_scope: str, from_graph: Graph | None = None, to_graph: Graph | None = None
) -> dict[str, Any]:
    """Copies what is in a name scope to another scope, of the same or of another graph.

    Args:
      from_scope: the scope that is copied; it takes nothing from outside.
      to_scope: the new scope.
      from_graph, to_graph: default: the default graph.

    Returns:
      The new variables by their names in the scope.

    Raises:
      ValueError: both scopes are the same in one graph, or something is taken from outside.
    """
    source = get_default_graph() if from_graph is None else from_graph
    target = get_default_graph() if to_graph is None else to_graph
    if from_scope == to_scope and source is target:
        raise ValueError("'from_scope' and 'to_scope' need to be different when performing copy in the same graph.")
    message, _ = export_scoped_meta_graph(graph=source, export_scope=from_scope)
    return import_scoped_meta_graph(message, graph=target, import_scope=to_scope)
