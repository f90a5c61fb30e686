"""What the files of an artefact say, apart from what differs from run to run: to compare with TensorFlow's."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from millstream.io import proto
from millstream.io.bundle_reader import BundleReader

_NUMBER = re.compile(r"(__inference_\w*?)(?:_call)?_\d+|(_temp)_[0-9a-f]{32}")
# Attributes that must differ.
_OF_RELEASES = {
    "exponential_avg_factor",  # of batch normalisation: TensorFlow 1.15, whose nodes ours are, has not got it
    "debug_name",  # for the messages of TensorFlow 2's runtime
    "_read_only_resource_inputs",  # for its scheduler
    "config_proto",  # its devices
}
_EMPTY = [proto.AttrValue(s=b""), proto.AttrValue(b=False), proto.AttrValue(list=proto.AttrValue.ListValue())]


def contents(folder: Path) -> dict[str, Any]:
    """What each file says, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _READERS.get(path.name, Path.read_bytes)(path) for path in files}


def _graph(path: Path) -> Any:
    data = path.read_bytes()
    text = data.startswith(b"node {")
    return _nodes(text_format.Parse(data, proto.GraphDef()) if text else proto.GraphDef.FromString(data))


def _nodes(graph_def: Any) -> dict[str, Any]:
    """Operations, inputs and attributes by name; the order of control inputs has no meaning."""

    def inputs(node: Any) -> list[str]:
        return sorted(node.input, key=lambda name: name if name.startswith("^") else "")

    return {node.name: (node.op, inputs(node), _attributes(node)) for node in graph_def.node}


def _attributes(node: Any) -> dict[str, str]:
    """Attributes by name. Empty ones count as missing: TensorFlow 2 leaves some out, and has some that 1.15 lacks."""
    found = {name: value for name, value in node.attr.items() if name not in _OF_RELEASES and value not in _EMPTY}
    return {name: _without_numbers(value) for name, value in found.items()}


def _meta_graph(path: Path) -> dict[str, Any]:
    """Collections and saver; the nodes of loops and branches differ between the releases."""
    return _outline(proto.MetaGraphDef.FromString(path.read_bytes()))


def _outline(message: Any) -> dict[str, Any]:
    collections = {key: str(value) for key, value in message.collection_def.items() if not key.endswith("_context")}
    signatures = {key: _lines(value) for key, value in message.signature_def.items()}
    return {"collections": collections, "saver": str(message.saver_def), "signatures": signatures}


def _saved_model(path: Path) -> list[Any]:
    message = proto.SavedModel.FromString(path.read_bytes())
    return [
        {
            **_outline(each),
            "tags": sorted(each.meta_info_def.tags),
            "nodes": _nodes(each.graph_def),
            "objects": _lines(each.object_graph_def),
        }
        for each in message.meta_graphs
    ]


def _lines(message: Any) -> list[str]:
    """A message as sorted lines: parts of it may come in another order."""
    return sorted(_without_numbers(message).splitlines())


def _without_numbers(message: Any) -> str:
    """A message as text, with names without the numbers that make them unique."""
    return _NUMBER.sub(r"\1\2", str(message))


def _tensors(path: Path) -> list[Any]:
    """Names, dtypes and shapes in a checkpoint."""
    with BundleReader(str(path.with_suffix(""))) as reader:
        return [(entry.name, entry.dtype, entry.shape) for entry in reader.entries()]


_READERS: dict[str, Callable[[Path], Any]] = {
    "frozen.pb": _graph,
    "trained.meta": _meta_graph,
    "trained.index": _tensors,
    "trained.data-00000-of-00001": lambda path: None,  # numbers that are rounded in another place
    "training-1.index": _tensors,
    "training-1.data-00000-of-00001": lambda path: None,  # with names that depend on the optimizers before
    "saved_model.pb": _saved_model,
    "fingerprint.pb": lambda path: None,  # checksums of all bytes
}
