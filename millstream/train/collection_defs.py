"""The collections of a graph as `CollectionDef` messages, both ways.

Tensors and operations are written by name, numbers and texts as they are, and objects such as variables by messages of
their own: the table at the end says which, and `register_proto_function` adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from millstream.core.graph import Graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scope_names import prepend_name_scope, strip_name_scope


class _Form(NamedTuple):
    """How the objects of a collection are written.

    Attributes:
      message: gives the type of the message.
      to_proto: makes a message of an object; `(item, export_scope=...)`; None: the object is not in that scope.
      from_proto: makes an object of a message; `(message, import_scope=...)`.
    """

    message: Callable[[], Any]
    to_proto: Callable[..., Any]
    from_proto: Callable[..., Any]


# --- Writing ---------------------------------------------------------------------------------------------------------


def add_collection_def(
    meta_graph_def: Any, key: str, graph: Graph, export_scope: str | None = None, exclude_nodes: Container[str] = ()
) -> None:
    """Writes a collection into a `MetaGraphDef`; what cannot be written is left out with a warning.

    Args:
      meta_graph_def: the message.
      key: the collection.
      graph: the graph that has it.
      export_scope: only what is in this name scope, by names relative to it.
      exclude_nodes: operations that are not written.
    """
    items = graph.get_collection(key)
    if not items:
        return
    collection = meta_graph_def.collection_def[key]
    try:
        if key in _FORMS:
            written = [_FORMS[key].to_proto(item, export_scope=export_scope) for item in items]
            kept = [message for message in written if message is not None and not _is_excluded(message, exclude_nodes)]
            collection.bytes_list.value.extend(message.SerializeToString() for message in kept)
        else:
            _write_plain(collection, items, export_scope, exclude_nodes)
        if not any(field.value for _, field in collection.ListFields()):  # nothing of it is in the scope
            del meta_graph_def.collection_def[key]
    except (AttributeError, TypeError, ValueError) as error:
        del meta_graph_def.collection_def[key]
        tensorflow_logger().warning(
            "Issue encountered when serializing %s.\nType is unsupported, or the types of the items don't match field "
            "type in CollectionDef. Note this is a warning and probably safe to ignore.\n%s",
            key,
            error,
        )


def _is_excluded(message: Any, exclude_nodes: Container[str]) -> bool:
    return message.DESCRIPTOR.name == "SaverDef" and message.restore_op_name in exclude_nodes


def _write_plain(
    collection: Any, items: Sequence[Any], export_scope: str | None, exclude_nodes: Container[str]
) -> None:
    first = items[0]
    if type(first).__name__ == "Any" and hasattr(first, "type_url"):
        collection.any_list.value.extend(items)
    elif isinstance(first, (str, bytes)):
        collection.bytes_list.value.extend(item.encode() if isinstance(item, str) else item for item in items)
    elif isinstance(first, int):
        collection.int64_list.value.extend(int(item) if isinstance(item, bool) else item for item in items)
    elif isinstance(first, float):
        collection.float_list.value.extend(items)
    else:
        names = [item.name for item in items]
        kept = (name for name in names if is_within(name, export_scope) and name.partition(":")[0] not in exclude_nodes)
        collection.node_list.value.extend(strip_name_scope(name, export_scope) for name in kept)


def is_within(name: str, scope: str | None) -> bool:
    """Whether an operation or tensor is in a name scope."""
    return not scope or name.removeprefix("^").startswith(scope.rstrip("/") + "/")


# --- Reading ---------------------------------------------------------------------------------------------------------


def restore_collections(
    meta_graph_def: Any,
    graph: Graph,
    scope: str,
    lost: Container[str],
    predicate: Callable[[str], bool] = lambda key: True,
    skipped: Container[str | None] = (),
) -> None:
    """Fills the collections of a graph, into which the nodes of a `MetaGraphDef` have been imported.

    Args:
      meta_graph_def: the message.
      graph: the graph.
      scope: the name scope to which the nodes were imported.
      lost: the names of nodes of the file that have no operation, as they are inside of loops and branches: they
        cannot be in collections.
      predicate: which collections are filled.
      skipped: collections that are not.

    Raises:
      KeyError: a collection has the name of something that is not in the graph.
      ValueError: a collection has an object that cannot be read.
    """
    known: dict[tuple[_Form, bytes], Any] = {}  # objects that are in several collections
    for key, collection in sorted(meta_graph_def.collection_def.items()):
        if key in skipped or not predicate(key):
            continue
        kind = collection.WhichOneof("kind")
        if kind is None:
            tensorflow_logger().error("Cannot identify data type for collection %s. Skipping.", key)
            continue
        for item in getattr(collection, kind).value:
            if kind == "node_list":
                if item.removeprefix("^").partition(":")[0] in lost:
                    continue
                item = graph.as_graph_element(prepend_name_scope(item, scope))
            elif kind == "bytes_list" and key in _FORMS:
                place = _FORMS[key], item
                if place not in known:
                    known[place] = _read_object(key, item, scope)
                item = known[place]
            graph.add_to_collection(key, item)


def _read_object(key: str, content: bytes, scope: str) -> Any:
    from google.protobuf.message import DecodeError

    form = _FORMS[key]
    try:
        message = form.message().FromString(content)
    except DecodeError as error:
        raise ValueError(f"The collection '{key}' has an item that cannot be read: {error}") from None
    return form.from_proto(message, import_scope=scope)


# --- The table -------------------------------------------------------------------------------------------------------


class ControlFlowContext:
    """What TensorFlow 1 wrote of a loop or branch. Loops and branches are functions here, so it only stays readable.

    Attributes:
      definition: the `WhileContextDef` or `CondContextDef`.
    """

    def __init__(self, definition: Any) -> None:
        self.definition = definition

    @property
    def name(self) -> str:
        """The name of the loop or branch."""
        return str(self.definition.context_name)

    def to_proto(self, export_scope: str | None = None) -> None:
        """None: a graph that is written has functions in the place of what the context describes."""


def register_proto_function(
    collection_name: str,
    proto_type: Any = None,
    to_proto: Callable[..., Any] | None = None,
    from_proto: Callable[..., Any] | None = None,
) -> None:
    """Says how the objects of a collection are written into files.

    Args:
      collection_name: the collection.
      proto_type: the type of the message.
      to_proto: `f(item, export_scope=None)` gives the message.
      from_proto: `f(message, import_scope=None)` gives the object.

    Raises:
      TypeError: a function cannot be called.
    """
    if to_proto is not None and not callable(to_proto):
        raise TypeError("to_proto must be callable.")
    if from_proto is not None and not callable(from_proto):
        raise TypeError("from_proto must be callable.")
    if proto_type is None or to_proto is None or from_proto is None:
        raise TypeError("A collection of objects needs proto_type, to_proto and from_proto.")
    _FORMS[collection_name] = _Form(lambda: proto_type, to_proto, from_proto)


def _message(name: str) -> Callable[[], Any]:
    def find() -> Any:
        from millstream.io import proto

        return getattr(proto, name)

    return find


def _to_proto(item: Any, export_scope: str | None = None) -> Any:
    return item.to_proto(export_scope=export_scope)


def _variable(definition: Any, import_scope: str | None = None) -> Any:
    if definition.is_resource:
        from millstream.core.resource_variables import ResourceVariable

        return ResourceVariable.from_proto(definition, import_scope)
    from millstream.core.variables import RefVariable

    return RefVariable(variable_def=definition, import_scope=import_scope)


def _queue_runner(definition: Any, import_scope: str | None = None) -> Any:
    from millstream.train.queue_runner import QueueRunner

    return QueueRunner.from_proto(definition, import_scope)


def _saver(definition: Any, import_scope: str | None = None) -> Any:
    from millstream.train.saver import Saver

    return Saver.from_proto(definition, import_scope)


def _context(definition: Any, import_scope: str | None = None) -> ControlFlowContext:
    definition.context_name = prepend_name_scope(definition.context_name, import_scope)
    return ControlFlowContext(definition)


_FORMS: dict[str, _Form] = {
    **dict.fromkeys(
        (
            GraphKeys.GLOBAL_VARIABLES,
            GraphKeys.TRAINABLE_VARIABLES,
            GraphKeys.MOVING_AVERAGE_VARIABLES,
            GraphKeys.LOCAL_VARIABLES,
            GraphKeys.MODEL_VARIABLES,
            GraphKeys.METRIC_VARIABLES,
            GraphKeys.GLOBAL_STEP,
        ),
        _Form(_message("VariableDef"), _to_proto, _variable),
    ),
    GraphKeys.QUEUE_RUNNERS: _Form(_message("QueueRunnerDef"), _to_proto, _queue_runner),
    GraphKeys.SAVERS: _Form(_message("SaverDef"), _to_proto, _saver),
    GraphKeys.COND_CONTEXT: _Form(_message("CondContextDef"), _to_proto, _context),
    GraphKeys.WHILE_CONTEXT: _Form(_message("WhileContextDef"), _to_proto, _context),
}
