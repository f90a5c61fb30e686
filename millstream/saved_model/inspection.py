"""What a SavedModel has, read from its main file alone: for tools that show and check models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from millstream.saved_model import folders
from millstream.saved_model.folders import Path

# What `scan` looks for unless told otherwise: operations that use files, or print.
DENIED_OPS = ("PrintV2", "ReadFile", "WriteFile")


def read_saved_model(saved_model_dir: Path) -> Any:
    """Reads the `SavedModel` of a folder.

    Raises:
      OSError: there is none, or it cannot be parsed.
    """
    if not folders.contains_saved_model(saved_model_dir):
        raise OSError(f"SavedModel file does not exist at: {saved_model_dir!s}")
    return folders.parse_saved_model(saved_model_dir)


def get_saved_model_tag_sets(saved_model_dir: Path) -> list[list[str]]:
    """The tags of each graph, sorted."""
    return sorted(folders.tag_sets(read_saved_model(saved_model_dir)))


def get_meta_graph_def(saved_model_dir: Path, tag_set: str) -> Any:
    """The graph with the tags "serve,gpu".

    Raises:
      RuntimeError: there is none.
    """
    return find_by_tag_set(read_saved_model(saved_model_dir), tag_set)


def find_by_tag_set(saved_model: Any, tag_set: str) -> Any:
    """The graph of a `SavedModel` with the tags "serve,gpu".

    Raises:
      RuntimeError: there is none.
    """
    found = folders.find_meta_graph(saved_model, tag_set.split(",") if tag_set else ())
    if found is None:
        known = [",".join(tags) for tags in folders.tag_sets(saved_model)]
        raise RuntimeError(
            f"MetaGraphDef associated with tag-set {tag_set} could not be found in the SavedModel. Please use one of "
            f"the following tag-sets: {known}"
        )
    return found


def get_signature_def_map(saved_model_dir: Path, tag_set: str) -> Any:
    """The `SignatureDef`s of a graph by name."""
    return get_meta_graph_def(saved_model_dir, tag_set).signature_def


def get_signature_def(meta_graph_def: Any, signature_def_key: str) -> Any:
    """One `SignatureDef` of a graph.

    Raises:
      ValueError: there is none of that name.
    """
    signatures = meta_graph_def.signature_def
    if signature_def_key not in signatures:
        known = ", ".join(sorted(signatures))
        raise ValueError(f'Could not find signature "{signature_def_key}". Please choose from: {known}')
    return signatures[signature_def_key]


def op_types(meta_graph_def: Any) -> set[str]:
    """The types of the operations of a graph and of the functions that it calls."""
    graph_def = meta_graph_def.graph_def
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    waiting, called = [graph_def.node], set[str]()
    found: set[str] = set()
    for nodes in waiting:  # to which those of called functions are added
        for node in nodes:
            found.add(node.op)
            for name in {node.op, *_function_attrs(node)} & functions.keys() - called:
                called.add(name)
                waiting.append(functions[name])
    return found - functions.keys()


def _function_attrs(node: Any) -> Iterator[str]:
    for attr in node.attr.values():
        yield attr.func.name
        yield from (item.name for item in attr.list.func)


def denied_ops(meta_graph_def: Any, denied: Iterable[str] = DENIED_OPS) -> set[str]:
    """Which of some types of operations a graph has, or any function of its library, called or not."""
    graph_def = meta_graph_def.graph_def
    functions = (node for function in graph_def.library.function for node in function.node_def)
    return {node.op for node in (*graph_def.node, *functions)} & set(denied)
