"""The nodes of a `GraphDef`, read and checked as far as can be done before anything is added to a graph."""
from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core import device, file_operations, legacy_signatures, opdef
from millstream.core.dtypes import from_numpy
from millstream.core.graph import is_valid_name
from millstream.core.node_attributes import AttributeReader, colocation
from millstream.core.opdef import OpDef

# So many outputs may be asked for by attributes alone (`Split`, `Unpack`), over all nodes of a file.
_MAX_COUNTED_OUTPUTS = 1 << 20
MERGES = frozenset(("Merge", "RefMerge"))
NEXT_ITERATIONS = frozenset(("NextIteration", "RefNextIteration"))


class Edge(NamedTuple):
    """One input of a node: the text, and what it says.

    The output of a control input is -1. The maker of a tensor that an input map puts in the place of one of the file
    is `""`.
    """

    text: str
    maker: str
    output: int

    @property
    def is_control(self) -> bool:
        return self.output < 0


class Node(NamedTuple):
    """A node of the file, read and checked as far as can be done without the others."""

    name: str
    definition: OpDef
    attrs: dict[str, Any]
    private: dict[str, Any]  # attributes that begin with `_`
    colocation: tuple[str, ...]
    device: str
    edges: list[Edge]

    @property
    def type(self) -> str:
        """The operation's type."""
        return self.definition.name

    @property
    def inputs(self) -> list[Edge]:
        """The edges that are tensors."""
        return [edge for edge in self.edges if not edge.is_control]

    def __str__(self) -> str:
        return f"NodeDef: {{{{node {self.name}}}}} (op: '{self.definition.name}')"


class NodeReader:
    """Reads the nodes of a `GraphDef`, in the order in which they can be added.

    Args:
      mapped: what stands in the place of tensors of the file.
      producer_op_list: the operations of the program that wrote the file, or None.
      allow_python: whether operations may run Python code and write to files.
      signatures: the signatures of the file's functions, by name: nodes may call them as if they were operations.
    """

    def __init__(
        self, mapped: Mapping[str, Any], producer_op_list: Any, allow_python: bool, signatures: Mapping[str, Any]
    ) -> None:
        self._mapped = mapped
        self._attributes = AttributeReader(producer_op_list)
        self._allowed = allow_python or file_operations.graphs_are_trusted()
        self._devices: set[str] = {""}  # that have been found to be well written
        self._known_edges: dict[str, Edge] = {}  # many nodes may wait for the same ones
        self._signatures = signatures
        self._counted = 0

    def read(self, graph_def: Any) -> list[Node]:
        """All nodes.

        Raises:
          ValueError: something is malformed.
        """
        nodes = self._read_all(graph_def.node)
        _check_colocation(nodes)
        ordered = self._ordered(nodes)
        if not self._mapped:
            return ordered
        unused = set(self._mapped) - {canonical(edge.text) for node in ordered for edge in node.edges}
        if unused:
            raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{', '.join(sorted(unused))}]")
        return [self._without_mapped(node) for node in ordered]

    def _read_all(self, messages: Sequence[Any]) -> dict[str, Node]:
        """Nodes by name, in the order of the file."""
        counts = Counter(node.name for node in messages)
        twice = next((name for name, count in counts.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"Node '{twice}' is not unique")
        nodes = {node.name: self._read(node) for node in messages}
        self._counted += sum(_counted_outputs(node) for node in nodes.values())
        if self._counted > _MAX_COUNTED_OUTPUTS:
            raise ValueError(
                f"The GraphDef's nodes have {self._counted} outputs; at most {_MAX_COUNTED_OUTPUTS} are read."
            )
        return nodes

    def _without_mapped(self, node: Node) -> Node:
        """The node, with edges in whose place tensors are put marked so."""
        edges = [edge._replace(maker="") if canonical(edge.text) in self._mapped else edge for edge in node.edges]
        return node._replace(edges=edges)

    def _read(self, message: Any) -> Node:
        name = message.name
        if not is_valid_name(name):
            raise ValueError(f"Node '{name}': Node name contains invalid characters")
        op_type = message.op
        if op_type in self._signatures:
            message = _as_call(message, self._signatures[op_type])
            op_type = message.op
        definition = legacy_signatures.find(op_type) or opdef.find(op_type)
        attrs, private = self._attributes.read(message, definition)
        place = message.device
        if place not in self._devices:
            device.parse(place)
            self._devices.add(place)
        node = Node(name, definition, attrs, private, colocation(message), place, self._edges(message))
        if not self._allowed:
            reason = file_operations.refusal(op_type, definition.runs_python, attrs)
            if reason is not None:
                raise file_operations.refuse(name, op_type, reason)
        _check_input_count(node)
        if op_type == "Const" and attrs["dtype"] is not from_numpy(attrs["value"].dtype):
            raise ValueError(f"The value has dtype {attrs['value'].dtype}, not {attrs['dtype'].name}; {node}")
        return node

    def _edges(self, message: Any) -> list[Edge]:
        found: list[Edge] = []
        controls = False
        known = self._known_edges
        for text in message.input:
            edge = known.get(text) or self._edge(text)
            if edge is None:
                raise ValueError(f"Node '{message.name}': Unknown input node '{text}'")
            known[text] = edge
            if edge.output < 0:
                controls = True
            elif controls:
                raise ValueError(f"Node '{message.name}': Control dependencies must come after regular dependencies")
            found.append(edge)
        return found

    def _edge(self, text: str) -> Edge | None:
        return parse_edge(text)

    def _ordered(self, nodes: dict[str, Node], given: Container[str] = ()) -> list[Node]:
        """The nodes so that each comes after what it uses, otherwise in the file's order; `given` is there before."""
        position = {name: index for index, name in enumerate(nodes)}
        waiting: list[int] = []
        followers: dict[str, list[int]] = {}
        ready: list[int] = []
        in_order = True  # as files usually are
        for index, node in enumerate(nodes.values()):
            before = self._before(node, nodes, given)
            waiting.append(len(before))
            if not before:
                ready.append(index)
            for maker in before:
                in_order = in_order and position[maker] < index
                followers.setdefault(maker, []).append(index)
        listed = list(nodes.values())
        if in_order:
            return listed
        ordered = []
        while ready:
            node = listed[heapq.heappop(ready)]
            ordered.append(node)
            for follower in followers.get(node.name, ()):
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    heapq.heappush(ready, follower)
        if len(ordered) != len(nodes):
            stuck = [node.name for node, count in zip(listed, waiting, strict=True) if count > 0]
            raise ValueError(f"{len(stuck)} nodes in a cycle: {', '.join(stuck[:5])}")
        return ordered

    def _before(self, node: Node, nodes: Mapping[str, Node], given: Container[str]) -> set[str]:
        """What must be there before a node is added."""
        before = set()
        for edge in node.edges:
            maker = edge.maker
            if maker in given or (self._mapped and canonical(edge.text) in self._mapped):
                continue
            if maker not in nodes:
                raise ValueError(f"Node '{node.name}': Unknown input node '{edge.text}'")
            before.add(maker)
        if before and node.definition.name in MERGES:  # what a loop's turn hands to the next one
            before = {maker for maker in before if nodes[maker].type not in NEXT_ITERATIONS}
        return before


def _as_call(message: Any, signature: Any) -> Any:
    """A node that calls a function by the function's name, as one that calls it by an attribute."""
    call = type(message)()
    call.CopyFrom(message)
    call.op = "StatefulPartitionedCall" if signature.is_stateful else "PartitionedCall"
    call.attr["f"].func.name = message.op
    for name, args in (("Tin", signature.input_arg), ("Tout", signature.output_arg)):
        call.attr[name].list.type.extend(arg.type for arg in args)
        call.attr[name].list.SetInParent()
    return call


def _check_colocation(nodes: Mapping[str, Node]) -> None:
    for node in nodes.values():
        for group in node.colocation:
            if group.startswith("loc:@") and group[5:] not in nodes:
                raise ValueError(f"Node '{node.name}' expects to be colocated with unknown node '{group[5:]}'")


def parse_edge(text: str) -> Edge | None:
    if text.startswith("^"):
        return Edge(text, text[1:], -1)
    name, colon, index = text.partition(":")
    if not colon:
        return Edge(text, name, 0)
    return Edge(text, name, int(index)) if index.isascii() and index.isdigit() and len(index) < 10 else None


def canonical(text: str) -> str:
    """An edge's name with its output index, as the key of an input map."""
    return text if text.startswith("^") or ":" in text else f"{text}:0"


def _check_input_count(node: Node) -> None:
    """Refuses a node that has more or fewer inputs than its signature and attributes say."""
    given = sum(edge.output >= 0 for edge in node.edges)
    wanted = 0
    for spec in node.definition.inputs:
        if spec.number_attr is not None:
            wanted += node.attrs[spec.number_attr]
        else:
            wanted += len(node.attrs[spec.list_attr]) if spec.list_attr is not None else 1
    if given != wanted:
        few = wanted <= 16
        dtypes = ", ".join(dtype.short_name for dtype, _ in input_dtypes(node)) if few else f"{wanted} tensors"
        raise ValueError(f"NodeDef expected inputs '{dtypes}' do not match {given} inputs specified; {node}")


def input_dtypes(node: Node) -> list[tuple[Any, bool]]:
    """The dtype of each input of a node, and whether it must be a reference."""
    found: list[tuple[Any, bool]] = []
    for spec in node.definition.inputs:
        if spec.list_attr is not None:
            found.extend((dtype, spec.is_ref) for dtype in node.attrs[spec.list_attr])
            continue
        dtype = spec.dtype if spec.type_attr is None else node.attrs[spec.type_attr]
        count = 1 if spec.number_attr is None else node.attrs[spec.number_attr]
        found.extend([(dtype, spec.is_ref)] * count)
    return found


def _counted_outputs(node: Node) -> int:
    """The outputs whose number no input of the file stands behind."""
    if not any(spec.number_attr for spec in node.definition.outputs):
        return 0
    inputs = {spec.number_attr for spec in node.definition.inputs}
    counts = {spec.number_attr for spec in node.definition.outputs} - inputs - {None}
    return sum(node.attrs[name] for name in counts if name is not None)
