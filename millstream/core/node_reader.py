"""The nodes of a `GraphDef`, read and checked as far as can be done before anything is added to a graph."""
from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core import device, errors, legacy_signatures, newer_attributes, opdef
from millstream.core.dtypes import DType, from_numpy
from millstream.core.graph import is_valid_name
from millstream.core.graph_io import FIELDS, kind_of, plain_attr, plain_value
from millstream.core.opdef import REQUIRED, AttrSpec, OpDef

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
        self._producer = {item.name: item for item in getattr(producer_op_list, "op", None) or ()}
        self._allow_python = allow_python
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
        unused = set(self._mapped) - {canonical(edge.text) for node in ordered for edge in node.edges}
        if unused:
            raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{', '.join(sorted(unused))}]")
        return [self._without_mapped(node) for node in ordered] if self._mapped else ordered

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
        if message.op in self._signatures:
            message = _as_call(message, self._signatures[message.op])
        definition = legacy_signatures.find(message.op) or opdef.find(message.op)
        attrs, private = self._read_attrs(message, definition)
        node = Node(name, definition, attrs, private, _colocation(message), message.device, self._edges(message))
        device.parse(node.device)
        self._check_harmless(node)
        _check_input_count(node)
        if definition.name == "Const" and attrs["dtype"] is not from_numpy(attrs["value"].dtype):
            raise ValueError(f"The value has dtype {attrs['value'].dtype}, not {attrs['dtype'].name}; {node}")
        return node

    def _read_attrs(self, message: Any, definition: OpDef) -> tuple[dict[str, Any], dict[str, Any]]:
        given: dict[str, Any] = {}
        private: dict[str, Any] = {}
        for key, value in message.attr.items():
            spec = definition.attrs.get(key)
            if spec is not None:
                given[key] = _read_attr(message, spec, value)
            elif key == "_class":
                continue  # see _colocation
            elif key.startswith("_"):
                private[key] = _private_attr(value)
            elif not (self._is_producers_default(message.op, key, value) or _is_newer_default(message.op, key, value)):
                raise ValueError(
                    f"NodeDef mentions attr '{key}' not in Op<name={definition.name}>; NodeDef: {{{{node "
                    f"{message.name}}}}}. (Check whether your GraphDef-interpreting binary is up to date with your "
                    "GraphDef-generating binary.)."
                )
        complete = {key: given.get(key, spec.default) for key, spec in definition.attrs.items()}
        missing = [f"'{key}'" for key, value in complete.items() if value is REQUIRED]
        if missing:
            plural = "s" if len(missing) > 1 else ""
            raise ValueError(
                f"NodeDef missing attr{plural} {', '.join(missing)} from Op<name={definition.name}>; NodeDef: {{{{node "
                f"{message.name}}}}}"
            )
        return complete, private

    def _is_producers_default(self, op_type: str, key: str, value: Any) -> bool:
        """Whether an attribute that is not known here has the value that the file's writer takes for granted."""
        known = self._producer.get(op_type)
        specs = () if known is None else known.attr
        return any(
            spec.name == key and spec.HasField("default_value") and spec.default_value == value for spec in specs
        )

    def _check_harmless(self, node: Node) -> None:
        files = [value for value in node.attrs.values() if isinstance(value, str) and value.startswith("file://")]
        if self._allow_python or not (node.definition.runs_python or files):
            return
        deed = f"writes to {files[0]}" if files else "runs Python code"
        raise errors.PermissionDeniedError(
            None, None, f"Node '{node.name}' (op: '{node.definition.name}') {deed}; pass allow_python=True to "
            "import_graph_def to allow it in graphs that you trust."
        )  # fmt: skip

    def _edges(self, message: Any) -> list[Edge]:
        edges = [self._edge(text) for text in message.input]
        for edge, text in zip(edges, message.input, strict=True):
            if edge is None:
                raise ValueError(f"Node '{message.name}': Unknown input node '{text}'")
        found = [edge for edge in edges if edge is not None]
        if any(earlier.is_control and not edge.is_control for earlier, edge in zip(found, found[1:], strict=False)):
            raise ValueError(f"Node '{message.name}': Control dependencies must come after regular dependencies")
        return found

    def _edge(self, text: str) -> Edge | None:
        return parse_edge(text)

    def _ordered(self, nodes: dict[str, Node], given: Container[str] = ()) -> list[Node]:
        """The nodes so that each comes after what it uses, otherwise in the file's order; `given` is there before."""
        position = {name: index for index, name in enumerate(nodes)}
        waiting: dict[str, int] = {}
        followers: dict[str, list[str]] = {}
        for node in nodes.values():
            before = {edge.maker for edge in node.edges if canonical(edge.text) not in self._mapped}
            before = {maker for maker in before if maker not in given}
            for edge in node.edges:
                if edge.maker in before and edge.maker not in nodes:
                    raise ValueError(f"Node '{node.name}': Unknown input node '{edge.text}'")
            if node.type in MERGES:  # what a loop's turn hands to the next one
                before = {maker for maker in before if nodes[maker].type not in NEXT_ITERATIONS}
            waiting[node.name] = len(before)
            for maker in before:
                followers.setdefault(maker, []).append(node.name)
        ready = [position[name] for name, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        names = list(nodes)
        ordered = []
        while ready:
            name = names[heapq.heappop(ready)]
            ordered.append(nodes[name])
            for follower in followers.get(name, ()):
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    heapq.heappush(ready, position[follower])
        if len(ordered) != len(nodes):
            stuck = [name for name, count in waiting.items() if count > 0]
            raise ValueError(f"{len(stuck)} nodes in a cycle: {', '.join(stuck[:5])}")
        return ordered


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
    given = sum(not edge.is_control for edge in node.edges)
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
    inputs = {spec.number_attr for spec in node.definition.inputs}
    counts = {spec.number_attr for spec in node.definition.outputs} - inputs - {None}
    return sum(node.attrs[name] for name in counts if name is not None)


# --- Reading attributes --------------------------------------------------------------------------------------------


def _read_attr(node: Any, spec: AttrSpec, message: Any) -> Any:
    """An attribute of a node from a file, of the kind and within the limits that the signature sets.

    Raises:
      ValueError: it is not.
    """
    found = kind_of(message)
    where = f"; NodeDef: {{{{node {node.name}}}}} (op: '{node.op}')"
    for_attr = f" for attr '{spec.name}'{where}"
    if found is None:
        raise ValueError(f"AttrValue missing value with expected type '{spec.kind}'{for_attr}")
    if found != spec.kind and not (found == "list()" and spec.kind.startswith("list(")):
        raise ValueError(f"AttrValue had value with type '{found}' when '{spec.kind}' expected{for_attr}")
    try:
        if spec.kind.startswith("list("):
            field = FIELDS[spec.kind[5:-1]]
            value: Any = tuple(plain_value(field, item) for item in getattr(message.list, field))
        else:
            value = plain_value(FIELDS[spec.kind], getattr(message, FIELDS[spec.kind]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error}{for_attr}") from None
    _check_limits(spec, value, where)
    return value


def _is_newer_default(op_type: str, key: str, message: Any) -> bool:
    """Whether an attribute that a later release gave an operation asks for nothing new."""
    if (op_type, key) in newer_attributes.INFORMATION:
        return True
    default = newer_attributes.UNKNOWN_HERE.get((op_type, key))
    return default is not None and kind_of(message) is not None and plain_attr(message) == default


def _check_limits(spec: AttrSpec, value: Any, where: str) -> None:
    is_list = spec.kind.startswith("list(")
    for item in value if is_list else (value,):
        if isinstance(item, DType) and item.is_ref:
            raise ValueError(
                f"AttrValue must not have reference type value of {item.short_name} for attr '{spec.name}'{where}"
            )
    if spec.minimum is not None and (len(value) if is_list else value) < spec.minimum:
        what, size = ("Length", len(value)) if is_list else ("Value", value)
        raise ValueError(f"{what} for attr '{spec.name}' of {size} must be at least minimum {spec.minimum}{where}")
    if spec.allowed is None:
        return
    for item in value if is_list else (value,):
        if item not in spec.allowed:
            listed = ", ".join(map(_show, spec.allowed))
            raise ValueError(
                f"Value for attr '{spec.name}' of {_show(item)} is not in the list of allowed values: {listed}{where}"
            )


def _show(value: Any) -> str:
    return value.short_name if isinstance(value, DType) else f'"{value}"'


def _private_attr(message: Any) -> Any:
    """An attribute that no signature declares: bytes, or a copy of the message."""
    if message.WhichOneof("value") == "s":
        return message.s
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _colocation(node: Any) -> tuple[str, ...]:
    """The names, as `loc:@op`, of what a node is placed beside."""
    if "_class" not in node.attr:
        return ()
    value = node.attr["_class"]
    if kind_of(value) not in ("list()", "list(string)"):
        raise ValueError(f"AttrValue had value with type '{kind_of(value)}' when 'list(string)' expected for attr "
                         f"'_class'; NodeDef: {{{{node {node.name}}}}} (op: '{node.op}')")  # fmt: skip
    return tuple(item.decode("utf-8", "surrogateescape") for item in value.list.s)
