"""`tf.saved_model.load` of 2.x: a SavedModel as an object with functions and variables."""
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from millstream.core.export import export
from millstream.io.file_errors import checking_content, naming_file
from millstream.saved_model import folders
from millstream.saved_model.load_v1 import load_graphs
from millstream.saved_model.object_loader import ObjectLoader
from millstream.saved_model.options import LoadOptions


@export(v2=["saved_model.load"])
def load(export_dir: Any, tags: Any = None, options: LoadOptions | None = None) -> Any:
    """Loads a SavedModel.

    What was saved by `tf.saved_model.save` comes back as an object with the same attributes: variables, functions with
    the traces that they had, lists, dicts and objects of these; `signatures` are its functions by name. Functions are
    differentiated, variables trained, and all of it saved again, as if the program had made them. What a
    `SavedModelBuilder` of TensorFlow 1 saved has `signatures`, `variables`, `graph` and `prune`.

    A model is only data: functions that would run Python code are refused.

    Args:
      export_dir: the folder.
      tags: the tags of the graph, a string or several; needed where the model has several graphs.
      options: a `LoadOptions`.

    Raises:
      OSError: there is no SavedModel in the folder, or it cannot be parsed.
      ValueError: the file is malformed, or has no graph with these tags.
      NotFoundError: a function uses an operation that is not known; the checkpoint lacks a variable.
      DataLossError, InvalidArgumentError: the checkpoint is damaged, or parts of the model do not fit together.
      PermissionDeniedError: the model would run Python code.

    Example:
      >>> model = tf.saved_model.load("model")
      >>> model.signatures["serving_default"](x=tf.constant([1.0]))
    """
    export_dir = os.fsdecode(export_dir)
    options = LoadOptions() if options is None else options
    saved_model = folders.parse_saved_model(export_dir)
    graphs = saved_model.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        return load_graphs(export_dir, saved_model, as_tags(tags), options)
    return _load_objects(export_dir, graphs[0], tags, options)


@export(v1=["saved_model.load_v2"])
def load_v2(export_dir: Any, tags: Any = None) -> Any:
    """Loads a SavedModel as an object; see `tf.saved_model.load` of 2.x.

    In a graph, the variables are part of it and get their values when they are initialised.

    Args:
      export_dir: the folder.
      tags: the tags of the graph, a string or several; needed where the model has several graphs.
    """
    return load(export_dir, tags)


def _load_objects(export_dir: str, meta_graph: Any, tags: Any, options: LoadOptions) -> Any:
    info = meta_graph.meta_info_def
    wanted, found = as_tags(tags), list(info.tags)
    if wanted is not None and set(wanted) != set(found):
        raise ValueError(
            f"Got an incompatible argument to `tags`: {wanted}. The SavedModel at {export_dir} has one MetaGraph with "
            f"tags {found}. You may omit the argument, pass 'None', or pass matching tags."
        )
    with naming_file(export_dir), checking_content():
        loader = ObjectLoader(export_dir, meta_graph, options)
        root = loader.load()
    if isinstance(getattr(root, "__dict__", None), dict):
        root.tensorflow_version, root.tensorflow_git_version = info.tensorflow_version, info.tensorflow_git_version
        root.graph_debug_info = None
        if options.experimental_load_function_aliases:
            root.function_aliases = loader.function_aliases()
    return root


def as_tags(tags: str | Iterable[str] | None) -> list[str] | None:
    """The tags as a list; None: any."""
    return [tags] if isinstance(tags, str) else None if tags is None else list(tags)
