"""Graphs with what belongs to them, `MetaGraphDef`: collections, a saver, the operations that they need."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from millstream.core import context, graph_io, opdef
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.scope_names import strip_name_scope
from millstream.core.versions import VERSIONS
from millstream.train.collection_defs import add_collection_def, is_within

# What stands before the name of an input that comes from outside of an exported scope.
UNBOUND_PREFIX = "$unbound_inputs_"
UNBOUND_INPUTS = "unbound_inputs"
_SAVES_AND_RESTORES = frozenset(("SaveV2", "SaveSlices", "Save", "RestoreV2", "RestoreSlice", "Restore"))
_ENTERS = frozenset(("Enter", "RefEnter"))


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

    With `export_scope` the names in it are relative to that scope. An input from outside of it is called
    `$unbound_inputs_` and its name; the collection `unbound_inputs` lists these, of the message and of the graph, and
    `import_meta_graph` takes what to put in their place.

    Args:
      filename: the file; None: none is written.
      meta_info_def: facts about the program to begin with.
      graph_def: the operations; default: all of the graph.
      saver_def: the operations that save and restore.
      collection_list: the keys of the collections that are written; default: all.
      as_text: text form rather than binary.
      graph: the graph; default: the default graph.
      export_scope: only what is in this name scope.
      clear_devices: leaves out on which devices operations are to run.
      clear_extraneous_savers: leaves out the operations of other savers than that of `saver_def`, with what is in
        their name scopes.
      strip_default_attrs: leaves out attributes that have their default value.
      save_debug_info: accepted for compatibility.
      **kwargs: `unbound_inputs_col_name`: the name of the collection of unbound inputs, None for none;
        `exclude_nodes`: names of operations to leave out.

    Returns:
      The `MetaGraphDef`.

    Raises:
      RuntimeError: operations run at once, there is no graph.
      TypeError: an argument is of another type.

    Example:
      >>> tf.train.export_meta_graph("model/graph.meta")
    """
    if context.executing_eagerly():
        raise RuntimeError("Exporting/importing meta graphs is not supported when eager execution is enabled. No graph "
                           "exists when eager execution is enabled.")  # fmt: skip
    unbound_name = kwargs.pop("unbound_inputs_col_name", UNBOUND_INPUTS)
    excluded = set(kwargs.pop("exclude_nodes", None) or ())
    if kwargs:
        raise TypeError(f"export_meta_graph() got an unexpected keyword argument '{next(iter(kwargs))}'")
    _check_type("meta_info_def", meta_info_def, "MetaInfoDef")
    _check_type("graph_def", graph_def, "GraphDef")
    _check_type("saver_def", saver_def, "SaverDef")
    graph = get_default_graph() if graph is None else graph
    graph_def = graph.as_graph_def(add_shapes=True) if graph_def is None else graph_def
    if clear_extraneous_savers:
        excluded |= _nodes_of_savers(graph_def, saver_def)
    unbound: list[str] = []
    if export_scope or excluded:
        graph_def, unbound = _part(graph_def, export_scope, excluded)
    if unbound_name and (unbound or graph.get_collection(unbound_name)):  # else the graph may be finalized
        graph.clear_collection(unbound_name)  # it has those of the export before this one
        for name in unbound:
            graph.add_to_collection(unbound_name, name)
    message = _meta_graph_def(graph_def, meta_info_def, saver_def, strip_default_attrs)
    for key in _collection_keys(graph, collection_list):
        add_collection_def(message, key, graph, export_scope, excluded)
    if clear_devices:
        remove_devices(message.graph_def)
    if filename:
        graph_io.write_graph(message, os.path.dirname(filename) or ".", os.path.basename(filename), as_text)
    return message


def _check_type(what: str, message: Any, name: str) -> None:
    if message is not None and type(message).__name__ != name:
        raise TypeError(f"{what} must be of type {name}, not {type(message)}")


def remove_devices(graph_def: Any) -> None:
    """Takes out of a `GraphDef` on which devices operations are to run."""
    for node in _all_nodes(graph_def):
        node.device = ""


def _collection_keys(graph: Graph, wanted: Collection[str] | None) -> list[str]:
    """The collections to write: all but the library's own ones."""
    keys = [key for key in graph.get_all_collection_keys() if not key.startswith("__")]
    return [key for key in keys if wanted is None or key in wanted]


# --- The message -----------------------------------------------------------------------------------------------------


def _meta_graph_def(graph_def: Any, meta_info: Any, saver_def: Any, strip_default_attrs: bool) -> Any:
    """A `MetaGraphDef` without collections."""
    from millstream.io import proto

    message = proto.MetaGraphDef()
    if meta_info is not None:
        message.meta_info_def.CopyFrom(meta_info)
    message.graph_def.CopyFrom(graph_def)
    if saver_def is not None:
        message.saver_def.CopyFrom(saver_def)
    info = message.meta_info_def
    info.tensorflow_version = info.tensorflow_version or VERSIONS[1]
    if not info.HasField("stripped_op_list"):
        info.stripped_op_list.op.extend(op_list_of(message.graph_def))
    if strip_default_attrs:
        info.stripped_default_attrs = True
        defaults = {definition.name: definition.attr for definition in info.stripped_op_list.op}
        for node in _all_nodes(message.graph_def):
            _strip_defaults(node, defaults.get(node.op, ()))
    return message


def op_list_of(graph_def: Any) -> Iterator[Any]:
    """The signatures of the operations of a `GraphDef` and of its functions: `OpDef`s in the order of their names."""
    functions = {function.signature.name for function in graph_def.library.function}
    for op_type in sorted({node.op for node in _all_nodes(graph_def)} - functions):
        yield graph_io.op_def(opdef.find(op_type))


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _strip_defaults(node: Any, attrs: Any) -> None:
    for attr in attrs:
        if attr.HasField("default_value") and attr.name in node.attr and node.attr[attr.name] == attr.default_value:
            del node.attr[attr.name]


# --- A part of a graph -----------------------------------------------------------------------------------------------


def _nodes_of_savers(graph_def: Any, kept: Any) -> set[str]:
    """The nodes in the scopes of operations that save or restore, but for those of one `SaverDef`."""
    own = set() if kept is None else {_scope_of(kept.save_tensor_name), _scope_of(kept.restore_op_name)}
    scopes = {_scope_of(node.name) for node in graph_def.node if node.op in _SAVES_AND_RESTORES} - own - {""}
    return {node.name for node in graph_def.node if any(node.name.startswith(scope) for scope in scopes)}


def _scope_of(name: str) -> str:
    """The scope of an operation or tensor, with a final `/`; empty at the top."""
    return "".join(name.rpartition("/")[:2])


def _part(graph_def: Any, scope: str | None, excluded: Collection[str]) -> tuple[Any, list[str]]:
    """The nodes of a scope, but for some, by names relative to the scope.

    Returns:
      A `GraphDef` with all functions, and the names of the inputs from outside.
    """
    part = type(graph_def)()
    part.versions.CopyFrom(graph_def.versions)
    part.library.CopyFrom(graph_def.library)
    unbound: dict[str, None] = {}
    for source in graph_def.node:
        if not is_within(source.name, scope) or source.name in excluded:
            continue
        node = part.node.add()
        node.CopyFrom(source)
        if scope:
            _make_relative(node, scope, unbound)
    data = {name for name in unbound if not name.startswith("^")}
    return part, [name for name in unbound if not (name.startswith("^") and name[1:] in data)]


def _make_relative(node: Any, scope: str, unbound: dict[str, None]) -> None:
    """Gives a node names relative to a scope; notes its inputs from outside."""
    node.name = strip_name_scope(node.name, scope)
    for index, text in enumerate(node.input):
        if is_within(text, scope):
            node.input[index] = strip_name_scope(text, scope)
            continue
        mark = "^" if text.startswith("^") else ""
        node.input[index] = f"{mark}{UNBOUND_PREFIX}{text.removeprefix('^')}"
        unbound[node.input[index]] = None
    if "_class" in node.attr:
        groups = _groups_within(node.attr["_class"].list.s, scope)
        del node.attr["_class"]
        if groups:
            node.attr["_class"].list.s.extend(groups)
    if node.op in _ENTERS:
        frame = node.attr["frame_name"]
        frame.s = strip_name_scope(frame.s.decode(), scope).encode()


def _groups_within(groups: Iterable[bytes], scope: str) -> list[bytes]:
    names = (group.decode() for group in groups)
    return [strip_name_scope(name, scope).encode() for name in names if is_within(name.removeprefix("loc:@"), scope)]
