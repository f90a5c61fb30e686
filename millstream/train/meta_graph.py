"""Graphs with what belongs to them, `MetaGraphDef`: collections, a saver, the operations that they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from millstream.core import graph_io
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.opdef import functions_of
from millstream.core.operation import Operation
from millstream.core.versions import VERSIONS

# Collections of objects that are written as messages of their own, by `to_proto`.
_OBJECTS = frozenset(
    (
        GraphKeys.GLOBAL_VARIABLES,
        GraphKeys.TRAINABLE_VARIABLES,
        GraphKeys.MOVING_AVERAGE_VARIABLES,
        GraphKeys.LOCAL_VARIABLES,
        GraphKeys.MODEL_VARIABLES,
        GraphKeys.METRIC_VARIABLES,
        GraphKeys.GLOBAL_STEP,
        GraphKeys.QUEUE_RUNNERS,
        GraphKeys.SAVERS,
        GraphKeys.COND_CONTEXT,
        GraphKeys.WHILE_CONTEXT,
    )
)


@export(v1=["train.export_meta_graph"])
def export_meta_graph(
    filename: str | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Sequence[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> Any:
    """Makes the `MetaGraphDef` of a graph, and writes it to a file.

    Args:
      filename: the file; None: none is written.
      meta_info_def: facts about the program to begin with.
      graph_def: the operations; default: all of the graph.
      saver_def: the operations that save and restore.
      collection_list: the keys of the collections that are written; default: all.
      as_text: text form rather than binary.
      graph: the graph; default: the default graph.
      export_scope: only what is in this name scope. Not implemented.
      clear_devices: leaves out on which devices operations are to run.
      clear_extraneous_savers: leaves out the operations of other savers. Not implemented.
      strip_default_attrs: leaves out attributes that have their default value.
      save_debug_info: accepted for compatibility.
      **kwargs: not taken.

    Returns:
      The `MetaGraphDef`.

    Raises:
      NotImplementedError: one of what is not implemented is asked for.
    """
    if export_scope or clear_extraneous_savers or kwargs:
        asked = [*(["export_scope"] if export_scope else []), *kwargs]
        asked += ["clear_extraneous_savers"] if clear_extraneous_savers else []
        raise NotImplementedError(f"export_meta_graph does not take {', '.join(asked)} yet.")
    graph = get_default_graph() if graph is None else graph
    message = _meta_graph_def(graph, meta_info_def, graph_def, saver_def, strip_default_attrs)
    for key in _collection_keys(graph, collection_list):
        _add_collection(message, key, graph.get_collection(key))
    if clear_devices:
        for node in _all_nodes(message.graph_def):
            node.device = ""
    if filename:
        graph_io.write_graph(message, os.path.dirname(filename) or ".", os.path.basename(filename), as_text)
    return message


def _meta_graph_def(graph: Graph, meta_info: Any, graph_def: Any, saver_def: Any, strip_default_attrs: bool) -> Any:
    """A `MetaGraphDef` without collections."""
    from millstream.io import proto

    message = proto.MetaGraphDef()
    if meta_info is not None:
        message.meta_info_def.CopyFrom(meta_info)
    if graph_def is None:
        graph_def = graph.as_graph_def(add_shapes=True)
    message.graph_def.CopyFrom(graph_def)
    if saver_def is not None:
        message.saver_def.CopyFrom(saver_def)
    info = message.meta_info_def
    info.tensorflow_version = info.tensorflow_version or VERSIONS[1]
    definitions = {op.type: op.definition for op in _with_functions(graph)}
    if not info.HasField("stripped_op_list"):
        info.stripped_op_list.op.extend(graph_io.op_def(definitions[name]) for name in sorted(definitions))
    if strip_default_attrs:
        info.stripped_default_attrs = True
        defaults = {definition.name: definition.attr for definition in info.stripped_op_list.op}
        for node in _all_nodes(message.graph_def):
            _strip_defaults(node, defaults.get(node.op, ()))
    return message


def _with_functions(graph: Graph) -> Iterator[Operation]:
    """The operations of a graph and of the functions that they call."""
    graphs = [graph]
    for inner in graphs:  # to which those of functions are added
        for op in inner.get_operations():
            yield op
            graphs.extend(function.graph for function in functions_of(op) if function.graph not in graphs)


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _strip_defaults(node: Any, attrs: Any) -> None:
    for attr in attrs:
        if attr.HasField("default_value") and attr.name in node.attr and node.attr[attr.name] == attr.default_value:
            del node.attr[attr.name]


# --- Collections -----------------------------------------------------------------------------------------------------


def _collection_keys(graph: Graph, wanted: Sequence[str] | None) -> list[str]:
    """The collections to write: all but the library's own ones."""
    keys = [key for key in graph.get_all_collection_keys() if isinstance(key, str) and not key.startswith("__")]
    return [key for key in keys if not wanted or key in wanted]


def _add_collection(message: Any, key: str, items: Sequence[Any]) -> None:
    """Writes a collection; what cannot be written is left out with a warning."""
    if not items:
        return
    collection = message.collection_def[key]
    try:
        if key in _OBJECTS:
            written = [item.to_proto() for item in items]
            collection.bytes_list.value.extend(item.SerializeToString() for item in written if item is not None)
        else:
            field, convert = _form_of(items[0])
            getattr(collection, field).value.extend(convert(item) for item in items)
    except (AttributeError, TypeError, ValueError) as error:
        del message.collection_def[key]
        tensorflow_logger().warning(
            "Issue encountered when serializing %s.\nType is unsupported, or the types of the items don't match field "
            "type in CollectionDef. Note this is a warning and probably safe to ignore.\n%s",
            key,
            error,
        )


def _form_of(first: Any) -> tuple[str, Callable[[Any], Any]]:
    """The field of a `CollectionDef` for items like the first one, and how they are written."""
    if isinstance(first, (str, bytes)):
        return "bytes_list", lambda item: item.encode() if isinstance(item, str) else item
    if isinstance(first, int):
        return "int64_list", lambda item: item
    if isinstance(first, float):
        return "float_list", lambda item: item
    return "node_list", lambda item: item.name
