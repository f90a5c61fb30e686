"""Computes the parts of a `GraphDef` that depend on constants only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from millstream.core import errors, opdef
from millstream.core.shapes import num_elements
from millstream.core.static_values import computed
from millstream.core.tensor import Tensor
from millstream.graph_util.frozen_nodes import constant_node
from millstream.graph_util.nodes import CONTROL_FLOW, check_graph_def, copy_of, like, needed_nodes, node_name

# What is computed may be larger than what it is computed from by so many bytes.
_MOST_GROWTH = 1 << 20


def fold_constants(graph_def: Any, protected_nodes: Collection[str] = ()) -> Any:
    """A graph with constants in the place of nodes that depend on constants only. They are computed with NumPy.

    Args:
      graph_def: a `GraphDef`.
      protected_nodes: nodes that others ask for; they keep their names, and may become constants.

    Returns:
      A new `GraphDef`, in which nodes that only these constants needed are left out.
    """
    check_graph_def(graph_def)
    constant = _constant_nodes(graph_def)
    ends = _ends(graph_def, constant, protected_nodes)
    values = _compute(graph_def, ends) if ends else {}
    nodes = [
        constant_node(node.name, values[node.name]) if node.name in values else copy_of(node) for node in graph_def.node
    ]
    folded = like(graph_def, nodes)
    return like(folded, _without_orphans(graph_def, folded, constant, protected_nodes))


def _constant_nodes(graph_def: Any) -> set[str]:
    """The nodes that depend on constants only, and that NumPy can compute."""
    waiting: dict[str, int] = {}  # how many inputs of a node are not known to be constant
    followers: dict[str, list[str]] = {}
    for node in graph_def.node:
        if _may_fold(node):
            makers = set(map(node_name, node.input))
            waiting[node.name] = len(makers)
            for maker in makers:
                followers.setdefault(maker, []).append(node.name)
    ready = [name for name, count in waiting.items() if not count]
    found: set[str] = set()
    while ready:
        name = ready.pop()
        found.add(name)
        for follower in followers.get(name, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return found


def _may_fold(node: Any) -> bool:
    if node.op in CONTROL_FLOW or any(text.startswith("^") for text in node.input):
        return False
    try:
        definition = opdef.find(node.op)
    except errors.NotFoundError:
        return False
    return definition.foldable and not (
        definition.calls_function or definition.must_be_fed or node.op == "PlaceholderWithDefault"
    )


def _ends(graph_def: Any, constant: Collection[str], protected: Collection[str]) -> list[str]:
    """The constant nodes whose first output others need, and nothing but that."""
    taken: dict[str, set[str]] = {}
    for node in graph_def.node:
        if node.name not in constant:
            for text in node.input:
                taken.setdefault(node_name(text), set()).add(text.removesuffix(":0"))
    found = []
    for node in graph_def.node:
        uses = taken.get(node.name, set()) | ({node.name} if node.name in protected else set())
        if node.name in constant and node.op != "Const" and uses == {node.name}:
            found.append(node.name)
    return found


def _compute(graph_def: Any, names: Sequence[str]) -> dict[str, Any]:
    """The values of constant nodes, as far as they are not much larger than what they are computed from."""
    from millstream.core.graph import Graph
    from millstream.core.graph_import import import_graph_def

    needed = needed_nodes(graph_def, names)
    part = type(graph_def)()
    part.versions.CopyFrom(graph_def.versions)
    for source in graph_def.node:
        if source.name in needed:
            part.node.add().CopyFrom(source)
            part.node[-1].attr.pop("_class", None)
    limit = _MOST_GROWTH + part.ByteSize()
    values: dict[Tensor, Any] = {}
    with Graph().as_default() as graph:
        import_graph_def(part, name="")
        for op in graph.get_operations():
            inputs = [values.get(tensor) for tensor in op.inputs]
            for tensor in op.outputs:
                size = num_elements(tensor._shape)
                if size is not None and size * tensor.dtype.size <= limit and all(item is not None for item in inputs):
                    values[tensor] = computed(tensor, inputs)
        found = {name: values.get(graph.get_tensor_by_name(f"{name}:0")) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _without_orphans(before: Any, after: Any, constant: Collection[str], protected: Collection[str]) -> list[Any]:
    """The nodes but those constant ones that somebody needed before and nobody does now."""
    used_before = {node_name(text) for node in before.node for text in node.input}
    roots = [
        node.name for node in after.node
        if node.name not in constant or node.name in protected or node.name not in used_before
    ]  # fmt: skip
    needed = needed_nodes(after, roots)
    return [node for node in after.node if node.name in needed]
