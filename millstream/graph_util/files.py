"""Graphs in files of all kinds: `.pb`, `.pbtxt`, `.meta`, SavedModels."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from millstream.core import errors
from millstream.io import gfile
from millstream.io.message_files import read_message


class GraphFile(NamedTuple):
    """A graph of a file.

    Attributes:
      kind: what the file is.
      label: which graph of the file it is, where there are several: the tags.
      graph_def: the graph.
      meta_graph_def: what belongs to it, or None.
    """

    kind: str
    label: str
    graph_def: Any
    meta_graph_def: Any


def read_graphs(path: str) -> list[GraphFile]:
    """The graphs of a file, or of the folder of a SavedModel.

    Raises:
      NotFoundError: there is no such file.
      ValueError: it has no graph.
    """
    from millstream.io import proto

    if not gfile.exists(path):
        raise errors.NotFoundError(None, None, f"{path}; No such file or directory")
    if gfile.isdir(path) or os.path.basename(path) in ("saved_model.pb", "saved_model.pbtxt"):
        return _of_saved_model(path)
    if ".meta" in os.path.basename(path):
        return [_of_meta_graph(read_message(path, proto.MetaGraphDef))]
    try:
        graph_def = read_message(path, proto.GraphDef)
        if graph_def.node or graph_def.library.function or not gfile.stat(path).length:
            return [GraphFile("GraphDef", "", graph_def, None)]
    except ValueError as error:
        problem: ValueError | None = error
    else:
        problem = None
    try:
        return [_of_meta_graph(read_message(path, proto.MetaGraphDef))]
    except ValueError as error:
        raise problem or error from None


def _of_meta_graph(message: Any) -> GraphFile:
    return GraphFile("MetaGraphDef", ",".join(message.meta_info_def.tags), message.graph_def, message)


def _of_saved_model(path: str) -> list[GraphFile]:
    from millstream.saved_model.inspection import read_saved_model

    folder = path if gfile.isdir(path) else os.path.dirname(path) or "."
    found = [_of_meta_graph(message) for message in read_saved_model(folder).meta_graphs]
    return [item._replace(kind="SavedModel") for item in found]
