"""`import_meta_graph`: a graph from a `MetaGraphDef`, with its collections and its saver."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_import import import_graph_def
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.io import gfile
from millstream.io.file_errors import checking_content, naming_file
from millstream.train.collection_defs import restore_collections
from millstream.train.meta_graph import UNBOUND_INPUTS, UNBOUND_PREFIX, remove_devices
from millstream.train.saver import Saver


@export(v1=["train.import_meta_graph"])
def import_meta_graph(
    meta_graph_or_file: Any, clear_devices: bool = False, import_scope: str | None = None, **kwargs: Any
) -> Saver | None:
    """Adds a graph that `export_meta_graph` or `Saver.save` has written to the default graph.

    Variables, queue runners, losses and the rest are in the collections that they were in. The graph can be extended,
    differentiated, trained and saved as if the program had built it. Loops and branches of TensorFlow 1 become
    operations that call functions: what is inside of them cannot be fetched, nor be in collections.

    A file is not trusted: see `tf.import_graph_def` for what operations of it may do with files.

    Args:
      meta_graph_or_file: a `MetaGraphDef`, or the path of a file, binary or text.
      clear_devices: forgets on which devices operations are to run.
      import_scope: a name scope for all that is added. In collections names have it in front.
      **kwargs: `input_map`: tensors to use in the place of those of the file, by name;
        `restore_collections_predicate`: says by key which collections are filled; `unbound_inputs_col_name`: the
        collection of the inputs which `input_map` must have, None for none; `graph`: in place of the default graph;
        `allow_python`: see `tf.import_graph_def`.

    Returns:
      The saver of the file; where it has none, a new one of all variables, or None where there are no variables.

    Raises:
      RuntimeError: operations run at once, there is no graph.
      OSError: there is no such file.
      ValueError: the file is malformed, or lacks inputs that are not in `input_map`.
      InvalidArgumentError: a collection names what is not in the graph.
      PermissionDeniedError: an operation runs Python code or uses files.

    Example:
      >>> saver = tf.train.import_meta_graph("model/my-model-1000.meta")
      >>> with tf.Session() as sess:
      ...   saver.restore(sess, "model/my-model-1000")
      ...   sess.run("logits:0", {"x:0": images})
    """
    return import_with_elements(meta_graph_or_file, clear_devices, import_scope, **kwargs)[0]


def import_with_elements(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    return_elements: Sequence[str] | None = None,
    **kwargs: Any,
) -> tuple[Saver | None, list[Any] | None]:
    """Like `import_meta_graph`; gives the saver, and the operations and tensors of the file that were asked for."""
    if context.executing_eagerly() and kwargs.get("graph") is None:
        raise RuntimeError("Exporting/importing meta graphs is not supported when eager execution is enabled. No graph "
                           "exists when eager execution is enabled.")  # fmt: skip
    message = message_of(meta_graph_or_file)
    with naming_source(meta_graph_or_file):
        imported = import_message(message, clear_devices, import_scope, return_elements, **kwargs)
        with imported.graph.as_default(), checking_content():
            return _saver(message, imported), imported.elements


def naming_source(meta_graph_or_file: Any) -> AbstractContextManager[None]:
    """Lets errors within a `with` block name the file, where it is one."""
    return nullcontext() if _is_message(meta_graph_or_file) else naming_file(meta_graph_or_file)


# --- The graph -------------------------------------------------------------------------------------------------------


class Imported(NamedTuple):
    """What there is after an import.

    Attributes:
      scope: the name scope of all that was added, without a final `/`.
      variables: the variables of the file, by the names that they have in it.
      elements: the operations and tensors that were asked for.
    """

    graph: Graph
    scope: str
    variables: dict[str, Any]
    elements: list[Any] | None


def import_message(
    message: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    return_elements: Sequence[str] | None = None,
    graph: Graph | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
    allow_python: bool = False,
) -> Imported:
    """Adds a graph with its collections; see `import_meta_graph`."""
    _check_bound(message, unbound_inputs_col_name, input_map or {})
    graph = get_default_graph() if graph is None else graph
    graph_def = message.graph_def
    if clear_devices:
        graph_def = type(graph_def)()
        graph_def.CopyFrom(message.graph_def)
        remove_devices(graph_def)
    with graph.as_default():
        scope = _scope(graph, import_scope)
        elements = import_graph_def(
            graph_def,
            input_map=_with_control_inputs(graph_def, input_map),
            return_elements=return_elements,
            name=f"{scope}/" if scope else "",
            producer_op_list=message.meta_info_def.stripped_op_list,
            allow_python=allow_python,
        )
        lost = {node.name for node in graph_def.node if f"{scope}/{node.name}".lstrip("/") not in graph._by_name}
        with checking_content():
            restore_collections(
                message, graph, scope, lost, restore_collections_predicate, skipped=(unbound_inputs_col_name,)
            )
            found = graph.get_collection(GraphKeys.GLOBAL_VARIABLES, scope=f"{scope}/" if scope else None)
            variables = {_name_within(variable, scope): variable for variable in found}
    return Imported(graph, scope, variables, elements)


def _scope(graph: Graph, import_scope: str | None) -> str:
    """The full name of the scope of an import: a new one, or where it ends with `/` that very one; empty for none."""
    outer = graph.get_name_scope()
    if not import_scope:
        return outer
    if import_scope.endswith("/"):
        return "/".join(filter(None, (outer, import_scope.rstrip("/"))))
    return graph.unique_name(import_scope)


def _name_within(variable: Any, scope: str) -> str:
    return str(variable.op.name.removeprefix(f"{scope}/") if scope else variable.op.name)


def _check_bound(message: Any, collection: str | None, input_map: Mapping[str, Any]) -> None:
    """Demands that an input map has all inputs that a part of a graph needs.

    Raises:
      ValueError: it lacks one.
    """
    if not collection or collection not in message.collection_def:
        return
    names = [name.decode() for name in message.collection_def[collection].bytes_list.value]
    given = {key.removesuffix(":0") for key in input_map}
    if any(name not in given and name.removeprefix("^") not in given for name in names):
        raise ValueError(
            f"Graph contains unbound inputs: {','.join(names)}. Must provide these inputs through input_map."
        )


def _with_control_inputs(graph_def: Any, input_map: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """An input map by which those who wait for an unbound input wait for what stands in its place."""
    given = {key.partition(":")[0]: value for key, value in (input_map or {}).items() if key.startswith(UNBOUND_PREFIX)}
    if not given or input_map is None:
        return input_map
    waited_for = {text for node in graph_def.node for text in node.input if text.startswith("^" + UNBOUND_PREFIX)}
    return {**{f"^{name}": value for name, value in given.items() if f"^{name}" in waited_for}, **input_map}


# --- The saver -------------------------------------------------------------------------------------------------------


def _saver(message: Any, imported: Imported) -> Saver | None:
    """The saver of a graph that was imported; a new one where the file has none."""
    if message.HasField("saver_def"):
        return Saver(saver_def=message.saver_def, name=imported.scope or None)
    if imported.variables or imported.graph.get_collection(GraphKeys.SAVEABLE_OBJECTS, imported.scope or None):
        return Saver()
    tensorflow_logger().info("Saver not created because there are no variables in the graph to restore")
    return None


# --- Files -----------------------------------------------------------------------------------------------------------


def message_of(meta_graph_or_file: Any) -> Any:
    """A `MetaGraphDef`: what is given, or that of a file."""
    return meta_graph_or_file if _is_message(meta_graph_or_file) else read_meta_graph_file(meta_graph_or_file)


def _is_message(meta_graph_or_file: Any) -> bool:
    return type(meta_graph_or_file).__name__ == "MetaGraphDef"


def read_meta_graph_file(filename: str | os.PathLike[str]) -> Any:
    """Reads a `MetaGraphDef` from a file, binary or text.

    Raises:
      OSError: there is no such file.
      ValueError: it has no `MetaGraphDef`.
    """
    from millstream.io import proto
    from millstream.io.message_files import read_message

    path = os.fsdecode(filename)
    if not gfile.exists(path):
        raise OSError(f"File {path} does not exist.")
    return read_message(path, proto.MetaGraphDef)
