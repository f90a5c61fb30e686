"""Freezing from files: a graph, its saver and a checkpoint, or a SavedModel; the functions of TensorFlow's tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.graph import Graph
from millstream.graph_util.freeze import convert_variables_to_constants, freeze_values, variables_to_freeze
from millstream.graph_util.parts import extract_sub_graph
from millstream.io import gfile
from millstream.io.atomic_files import write_file
from millstream.io.message_files import read_message


def freeze_graph(
    input_graph: str | None,
    input_saver: str | None,
    input_binary: bool,
    input_checkpoint: str | None,
    output_node_names: str,
    restore_op_name: str | None,
    filename_tensor_name: str | None,
    output_graph: str | None,
    clear_devices: bool,
    initializer_nodes: str | None,
    variable_names_whitelist: str = "",
    variable_names_blacklist: str = "",
    input_meta_graph: str | None = None,
    input_saved_model_dir: str | None = None,
    saved_model_tags: str = "serve",
    checkpoint_version: int = 2,
    variable_names_denylist: str = "",
) -> Any:
    """Makes a graph whose variables are constants, from files.

    Args:
      input_graph: a file with a `GraphDef`.
      input_saver: a file with a `SaverDef`, or None.
      input_binary: whether these files are binary, or else text.
      input_checkpoint: a checkpoint's prefix.
      output_node_names: the nodes whose values are wanted, separated by commas.
      restore_op_name, filename_tensor_name: accepted for compatibility.
      output_graph: the binary file to write; None or empty: none.
      clear_devices: forgets on which devices operations are to run.
      initializer_nodes: operations that run before variables are read, separated by commas.
      variable_names_whitelist: only these variables become constants, separated by commas.
      variable_names_blacklist: these stay variables, separated by commas.
      input_meta_graph: a file with a `MetaGraphDef` in place of `input_graph`.
      input_saved_model_dir: a SavedModel in place of `input_graph` and `input_checkpoint`.
      saved_model_tags: the tags of the graph in a SavedModel, separated by commas.
      checkpoint_version: accepted for compatibility.
      variable_names_denylist: another name of `variable_names_blacklist`.

    Returns:
      The `GraphDef`.

    Raises:
      OSError: a file is missing.
      ValueError: a file is malformed, there is no checkpoint, or no output node is given.
      AssertionError: the graph lacks an output node.
    """
    from millstream.io import proto

    graph_def = saver_def = meta_graph_def = None
    if not (input_meta_graph or input_saved_model_dir):
        graph_def = _read(input_graph, proto.GraphDef, input_binary, "graph")
    if input_meta_graph:
        meta_graph_def = _read(input_meta_graph, proto.MetaGraphDef, None, "meta graph")
    if input_saver:
        saver_def = _read(input_saver, proto.SaverDef, input_binary, "saver")
    return freeze_graph_with_def_protos(
        graph_def,
        saver_def,
        input_checkpoint,
        output_node_names,
        restore_op_name,
        filename_tensor_name,
        output_graph,
        clear_devices,
        initializer_nodes,
        variable_names_whitelist,
        variable_names_blacklist or variable_names_denylist,
        meta_graph_def,
        input_saved_model_dir,
        [tag for tag in saved_model_tags.replace(" ", "").split(",") if tag],
        checkpoint_version,
    )


def _read(path: str | None, kind: Callable[[], Any], binary: bool | None, what: str) -> Any:
    if not path or not gfile.exists(path):
        raise OSError(f"Input {what} file '{path}' does not exist!")
    return read_message(path, kind, binary)  # type: ignore[arg-type]


def freeze_graph_with_def_protos(
    input_graph_def: Any,
    input_saver_def: Any,
    input_checkpoint: str | None,
    output_node_names: str,
    restore_op_name: str | None,
    filename_tensor_name: str | None,
    output_graph: str | None,
    clear_devices: bool,
    initializer_nodes: str | None,
    variable_names_whitelist: str = "",
    variable_names_blacklist: str = "",
    input_meta_graph_def: Any = None,
    input_saved_model_dir: str | None = None,
    saved_model_tags: Sequence[str] | None = None,
    checkpoint_version: int = 2,
    variable_names_denylist: str = "",
) -> Any:
    """Like `freeze_graph`, with a `GraphDef`, a `SaverDef` and a `MetaGraphDef` in place of their files.

    `restore_op_name`, `filename_tensor_name` and `checkpoint_version` are accepted for compatibility.
    """
    from millstream.train.checkpoint_management import checkpoint_exists

    if not input_saved_model_dir and not (input_checkpoint and checkpoint_exists(input_checkpoint)):
        raise ValueError(f"Input checkpoint '{input_checkpoint}' doesn't exist!")
    if not output_node_names:
        raise ValueError("You need to supply the name of a node to --output_node_names.")
    outputs = _names(output_node_names) or []
    allowed, denied = _names(variable_names_whitelist), _names(variable_names_blacklist or variable_names_denylist)
    source = input_meta_graph_def.graph_def if input_meta_graph_def is not None else input_graph_def
    if source is not None and clear_devices:
        for node in source.node:
            node.device = ""
    runs = _Runs(outputs, _names(initializer_nodes), allowed, denied)
    if input_saved_model_dir:
        frozen = runs.of_saved_model(input_saved_model_dir, saved_model_tags or ["serve"], clear_devices)
    elif input_meta_graph_def is not None:
        frozen = runs.of_meta_graph(input_meta_graph_def, input_checkpoint, clear_devices)
    elif input_saver_def is not None or initializer_nodes:
        frozen = runs.of_saver(source, input_saver_def, input_checkpoint)
    else:
        frozen = _from_checkpoint(source, str(input_checkpoint), outputs, allowed, denied)
    if output_graph:
        write_file(output_graph, frozen.SerializeToString(deterministic=True))
    return frozen


def _names(text: str | None) -> list[str] | None:
    return text.replace(" ", "").split(",") if text else None


def _from_checkpoint(
    graph_def: Any,
    checkpoint: str,
    outputs: Sequence[str],
    allowed: Sequence[str] | None,
    denied: Sequence[str] | None,
) -> Any:
    """Freezes with the values that a checkpoint has by the variables' names; nothing is run."""
    from millstream.train.checkpoint_reader import load_checkpoint

    part = extract_sub_graph(graph_def, outputs)
    reader = load_checkpoint(checkpoint)
    values: dict[str, Any] = {}
    for node in variables_to_freeze(part, allowed, denied):
        if not reader.has_tensor(node.name):
            raise errors.NotFoundError(
                None, None, f"Key {node.name} not found in checkpoint {checkpoint}. If the checkpoint has the variable "
                "by another name, give the graph's saver or meta graph."
            )  # fmt: skip
        values[node.name] = np.asarray(reader.get_tensor(node.name))
    return freeze_values(part, values, outputs)


class _Runs:
    """Freezes what a session has restored."""

    def __init__(
        self,
        outputs: Sequence[str],
        initializers: Sequence[str] | None,
        allowed: Sequence[str] | None,
        denied: Sequence[str] | None,
    ) -> None:
        self._outputs = outputs
        self._initializers = initializers
        self._lists = allowed, denied

    def of_meta_graph(self, meta_graph_def: Any, checkpoint: Any, clear_devices: bool) -> Any:
        """A graph with the saver of a `MetaGraphDef`."""
        from millstream.train.meta_graph_import import import_meta_graph

        def restore(session: Any) -> Any:
            saver = import_meta_graph(meta_graph_def, clear_devices=clear_devices)
            if saver is not None:
                saver.restore(session, checkpoint)
            return meta_graph_def.graph_def

        return self._frozen(restore)

    def of_saver(self, graph_def: Any, saver_def: Any, checkpoint: Any) -> Any:
        """A graph with the saver of a `SaverDef`, or with none, whose variables are restored by their names."""
        from millstream.core.graph_import import import_graph_def
        from millstream.train.saver import Saver

        def restore(session: Any) -> Any:
            import_graph_def(graph_def, name="")
            if saver_def is not None:
                Saver(saver_def=saver_def).restore(session, checkpoint)
            return graph_def

        return self._frozen(restore)

    def of_saved_model(self, folder: str, tags: Sequence[str], clear_devices: bool) -> Any:
        """A graph of a SavedModel."""
        from millstream.saved_model.loader import load

        def restore(session: Any) -> Any:
            message = load(session, list(tags), folder, clear_devices=clear_devices)
            return message.graph_def

        return self._frozen(restore)

    def _frozen(self, restore: Callable[[Any], Any]) -> Any:
        from millstream.runtime.session import Session

        with Graph().as_default(), Session() as session:
            graph_def = restore(session)
            if self._initializers:
                session.run(self._initializers)
            return convert_variables_to_constants(session, graph_def, self._outputs, *self._lists)
