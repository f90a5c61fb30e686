"""Loading a SavedModel into a session, as in 1.x."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.operation import Operation
from millstream.core.scope_names import prepend_name_scope
from millstream.io.file_errors import checking_content, naming_file
from millstream.saved_model import constants, folders
from millstream.saved_model.assets import get_asset_tensors
from millstream.saved_model.folders import parse_saved_model
from millstream.saved_model.signature_defs import load_op_from_signature_def
from millstream.train.meta_graph_import import import_with_elements
from millstream.train.saver import Saver


@export(v1=["saved_model.load", "saved_model.loader.load"])
def load(
    sess: Any, tags: Iterable[str], export_dir: folders.Path, import_scope: str | None = None, **saver_kwargs: Any
) -> Any:
    """Loads a SavedModel: adds its graph to that of a session, restores the variables and runs its first operation.

    A file is not trusted: see `tf.import_graph_def` for what operations of it may do with files.

    Args:
      sess: the session.
      tags: the tags of the graph in the SavedModel, in any order.
      export_dir: the folder.
      import_scope: a name scope for all that is added.
      **saver_kwargs: further arguments of `tf.train.import_meta_graph`.

    Returns:
      The `MetaGraphDef` of the graph, whose `signature_def` says which tensors to feed and fetch.

    Raises:
      OSError: there is no SavedModel, or its file is damaged.
      RuntimeError: it has no graph with these tags, or more than one first operation.
      ValueError: it lacks its variables, or the graph is malformed.
      InvalidArgumentError: parts of it do not fit together.

    Example:
      >>> with tf.Session(graph=tf.Graph()) as sess:
      ...   model = tf.saved_model.loader.load(sess, ["serve"], "model")
      ...   signature = model.signature_def["serving_default"]
      ...   sess.run(signature.outputs["y"].name, {signature.inputs["x"].name: [[1.0, 2.0]]})
    """
    return SavedModelLoader(export_dir).load(sess, tags, import_scope, **saver_kwargs)


class SavedModelLoader:
    """Loads a SavedModel, as a whole or step by step.

    Args:
      export_dir: the folder.

    Raises:
      OSError: there is no SavedModel in it.
    """

    def __init__(self, export_dir: folders.Path) -> None:
        self._export_dir = export_dir
        self._saved_model = parse_saved_model(export_dir)

    @property
    def export_dir(self) -> Any:
        """The folder."""
        return self._export_dir

    @property
    def variables_path(self) -> str:
        """The prefix of the checkpoint."""
        return folders.variables_prefix(self._export_dir)

    @property
    def saved_model(self) -> Any:
        """The `SavedModel`, what `saved_model.pb` holds."""
        return self._saved_model

    def get_meta_graph_def_from_tags(self, tags: Iterable[str]) -> Any:
        """The `MetaGraphDef` that has exactly these tags.

        Raises:
          RuntimeError: there is none.
        """
        found = folders.find_meta_graph(self._saved_model, tags)
        if found is None:
            available = [set(item) for item in folders.tag_sets(self._saved_model)]
            raise RuntimeError(
                f"MetaGraphDef associated with tags {str(tags).strip('[]')} could not be found in SavedModel. To "
                "inspect available tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`\n"
                f"available_tags: {available}"
            )
        return found

    def load_graph(
        self, graph: Graph, tags: Iterable[str], import_scope: str | None = None, **saver_kwargs: Any
    ) -> tuple[Saver | None, list[Any] | None]:
        """Adds a graph of the SavedModel to another one.

        Returns:
          Its saver, and the elements of the graph that `return_elements=` asked for.
        """
        message = self.get_meta_graph_def_from_tags(tags)
        with graph.as_default(), self._naming():
            return import_with_elements(message, import_scope=import_scope, **saver_kwargs)

    def restore_variables(self, sess: Any, saver: Saver | None, import_scope: str | None = None) -> None:
        """Gives the variables of a session the values of the SavedModel.

        Args:
          sess: the session.
          saver: what `load_graph` gave.
          import_scope: the name scope into which the graph was imported.

        Raises:
          ValueError: there are variables, but no saver.
        """
        with sess.graph.as_default():
            if isinstance(saver, Saver):
                with self._naming(), checking_content():
                    saver.restore(sess, self.variables_path)
            elif _has_variables(sess.graph, import_scope):
                raise ValueError(
                    "No tf.train.Saver object was passed to the function SavedModelLoader.restore_variables. Since "
                    "there are variables in the graph, a saver is required."
                )
            else:
                tensorflow_logger().info("The specified SavedModel has no variables; no checkpoints were restored.")

    def run_init_ops(self, sess: Any, tags: Iterable[str], import_scope: str | None = None) -> None:
        """Runs what the SavedModel wants to be run when it is loaded; meanwhile assets have the paths of its files."""
        message = self.get_meta_graph_def_from_tags(tags)
        with sess.graph.as_default(), self._naming(), checking_content():
            paths = get_asset_tensors(self._export_dir, message, import_scope)
            init_op = get_init_op(message, import_scope)
            if init_op is not None:
                sess.run(init_op, paths)

    def load(self, sess: Any, tags: Iterable[str], import_scope: str | None = None, **saver_kwargs: Any) -> Any:
        """Does all of this; gives the `MetaGraphDef`."""
        with sess.graph.as_default():
            saver, _ = self.load_graph(sess.graph, tags, import_scope, **saver_kwargs)
            self.restore_variables(sess, saver, import_scope)
            self.run_init_ops(sess, tags, import_scope)
        return self.get_meta_graph_def_from_tags(tags)

    def _naming(self) -> AbstractContextManager[None]:
        return naming_file(self._export_dir)


def _has_variables(graph: Graph, import_scope: str | None) -> bool:
    keys = (GraphKeys.GLOBAL_VARIABLES, GraphKeys.SAVEABLE_OBJECTS)
    return any(graph.get_collection(key, import_scope) for key in keys)


# --- Operations ------------------------------------------------------------------------------------------------------


def get_init_op(meta_graph_def: Any, import_scope: str | None = None) -> Operation | None:
    """The operation of the default graph that a SavedModel's graph wants to be run when it is loaded, or None.

    Raises:
      RuntimeError: there are several.
      NotFoundError, KeyError: the graph lacks it.
    """
    op = _signature_op(meta_graph_def, constants.INIT_OP_SIGNATURE_KEY, import_scope)
    for key in (constants.MAIN_OP_KEY, constants.LEGACY_INIT_OP_KEY):
        op = _collected_op(meta_graph_def, key, import_scope) if op is None else op
    return op


def get_train_op(meta_graph_def: Any, import_scope: str | None = None) -> Any:
    """The operation or tensor of the default graph that is one step of training, or None; see `get_init_op`."""
    op = _signature_op(meta_graph_def, constants.TRAIN_OP_SIGNATURE_KEY, import_scope)
    return _collected_op(meta_graph_def, constants.TRAIN_OP_KEY, import_scope) if op is None else op


def _signature_op(meta_graph_def: Any, key: str, import_scope: str | None) -> Any:
    if key not in meta_graph_def.signature_def:
        return None
    return load_op_from_signature_def(meta_graph_def.signature_def[key], key, import_scope)


def _collected_op(meta_graph_def: Any, key: str, import_scope: str | None) -> Any:
    """The one operation of a collection, or None."""
    if key not in meta_graph_def.collection_def:
        return None
    names = list(meta_graph_def.collection_def[key].node_list.value)
    if not names:
        return None
    if len(names) > 1:
        raise RuntimeError(f"Expected exactly one SavedModel init op. Found: {names}")
    return get_default_graph().as_graph_element(prepend_name_scope(names[0], import_scope))
