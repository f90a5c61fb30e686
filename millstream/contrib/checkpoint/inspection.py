"""Looking at object graphs, of programs and of checkpoints."""
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from millstream.core.export import export
from millstream.core.trackable import Trackable
from millstream.io.checkpoint_reader import open_checkpoint
from millstream.train import object_graph
from millstream.train.checkpoint_reader import load_checkpoint


@export(v1=["contrib.checkpoint.list_objects"])
def list_objects(root_trackable: Trackable) -> list[Trackable]:
    """All objects that can be reached from one, itself first, and slots of optimisers last."""
    return object_graph.ObjectGraph(root_trackable, newer=False).objects


@export(v1=["contrib.checkpoint.object_metadata"])
def object_metadata(save_path: str) -> Any:
    """The `TrackableObjectGraph` of a checkpoint.

    Args:
      save_path: the checkpoint's prefix.

    Raises:
      ValueError: it is one of a `tf.train.Saver`.
      NotFoundError: there is no such checkpoint.
    """
    path = os.fsdecode(save_path)
    with open_checkpoint(path) as reader:
        message = object_graph.read_graph(reader, path)
    if message is None:
        raise ValueError(
            f'The specified checkpoint "{path}" does not appear to be object-based (it is missing the key '
            f'"{object_graph.GRAPH_KEY}"). Likely it was created with a name-based saver and does not contain an '
            "object dependency graph."
        )
    return message


@export(v1=["contrib.checkpoint.dot_graph_from_checkpoint"])
def dot_graph_from_checkpoint(save_path: str) -> str:
    """A drawing of the objects of a checkpoint, in the language of Graphviz.

    Variables are blue, optimisers red and their slots orange.

    Args:
      save_path: the checkpoint's prefix.

    Example:
      >>> with open("objects.dot", "w") as file:   # `dot -Tpdf objects.dot > objects.pdf`
      ...   file.write(tf.contrib.checkpoint.dot_graph_from_checkpoint(path))
    """
    message = object_metadata(save_path)
    return "\n".join(["digraph {", *_lines(message, load_checkpoint(save_path)), "}\n"])


def _lines(message: Any, reader: Any) -> Iterator[str]:
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    slots = {slot.slot_variable_node_id for node in message.nodes for slot in node.slot_variables}
    for number, node in enumerate(message.nodes):
        style = 'label="" width=.25'
        value = next((item for item in node.attributes if item.name == object_graph.VARIABLE_VALUE), None)
        if node.slot_variables:
            style = 'label="" width=.25 color=red,tooltip="Optimizer"'
        elif value is not None and value.checkpoint_key in shapes:
            kind, colour = ("Slot variable", "orange") if number in slots else ("Variable", "blue")
            facts = f"shape={shapes[value.checkpoint_key]} {dtypes[value.checkpoint_key].name}"
            style = f'label="" color={colour} width=.25 tooltip="{kind} {_quoted(value.full_name)} {facts}"'
        yield f"N_{number} [shape=point {style}]"
        for child in node.children:
            yield f'N_{number} -> N_{child.node_id} [label="{_quoted(child.local_name)}"]'
        for slot in node.slot_variables:
            yield f'N_{number} -> N_{slot.slot_variable_node_id} [label="{_quoted(slot.slot_name)}" style=dotted]'
            yield f"N_{slot.original_variable_node_id} -> N_{slot.slot_variable_node_id} [style=dotted]"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
