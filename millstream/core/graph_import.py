"""`import_graph_def`: nodes of a `GraphDef` become operations of the default graph.

A file is not trusted. All that can be said about a node by itself is checked before anything is added; an error after
that takes back what was added. Operations that run Python code or touch files are refused unless the caller allows
them.
"""
from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from millstream.core import device, dispatch, errors, opdef
from millstream.core.conversion import convert_to_tensor
from millstream.core.dtypes import DType, from_numpy
from millstream.core.export import export
from millstream.core.graph import Graph, as_operation, get_default_graph, is_valid_name
from millstream.core.graph_io import FIELDS, kind_of, plain_value
from millstream.core.opdef import REQUIRED, AttrSpec, OpDef
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor

# So many outputs may be asked for by attributes alone (`Split`, `Unpack`), over all nodes of a file.
_MAX_COUNTED_OUTPUTS = 1 << 20


@export("import_graph_def", "graph_util.import_graph_def")
def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Any = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
    allow_python: bool = False,
) -> list[Any] | None:
    """Adds the nodes of a `GraphDef` to the default graph.

    Args:
      graph_def: a `GraphDef`.
      input_map: tensors (or what converts to them) to use in place of tensors of the file, by name.
      return_elements: names of operations (`"op"`) and tensors (`"op:0"`) to give back.
      name: put before all names (`"import"` by default; `""`: nothing). Names that are taken get a suffix.
      op_dict: accepted for compatibility.
      producer_op_list: an `OpList` of the program that wrote the file: attributes that are not known here are left
        out where they have the default value of that list.
      allow_python: also import operations that run Python code (`PyFunc`) or write to files.

    Returns:
      The elements asked for, or None.

    Raises:
      TypeError: an argument is of the wrong kind.
      ValueError: the graph is malformed, or lacks a name that was asked for; nothing was added.
      NotFoundError: it uses an operation that is not known.
      PermissionDeniedError: it uses an operation that runs Python code or writes to files.
    """
    if type(graph_def).__name__ != "GraphDef":
        raise TypeError(f"graph_def must be a GraphDef proto. Received: {type(graph_def).__name__}")
    if input_map is not None and not (
        isinstance(input_map, Mapping) and all(isinstance(key, str) for key in input_map)
    ):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    if return_elements is not None:
        return_elements = list(return_elements)
        if not all(isinstance(item, str) for item in return_elements):
            raise TypeError("return_elements must be a list of strings.")
    graph = get_default_graph()
    graph._check_not_finalized()
    needed, version = graph_def.versions.min_consumer, graph._producer_version
    if needed > version:
        raise ValueError(f"GraphDef min consumer version {needed} above current version {version}.")
    prefix = "" if name == "" else graph.operation_name(name or "import") + "/"
    mapped = {_canonical(key): _as_element(value, prefix) for key, value in (input_map or {}).items()}
    reader = _NodeReader(mapped, producer_op_list, allow_python)
    return _Importer(graph, reader.read(graph_def), mapped, prefix).run(return_elements)


def _as_element(value: Any, prefix: str) -> Any:
    if isinstance(value, (Tensor, Operation)):
        return value
    if not prefix:
        raise ValueError(
            "tf.import_graph_def() requires a non-empty `name` if `input_map` contains non-Tensor values. Try "
            "calling tf.convert_to_tensor() on `input_map` values before calling tf.import_graph_def()."
        )
    with name_scope(prefix), name_scope("_inputs"):
        return convert_to_tensor(value)


# --- Reading nodes -------------------------------------------------------------------------------------------------


class _Edge(NamedTuple):
    """One input of a node: the text, and what it says. The output of a control input is -1."""

    text: str
    maker: str
    output: int

    @property
    def is_control(self) -> bool:
        return self.output < 0


class _Node(NamedTuple):
    """A node of the file, read and checked as far as can be done without the others."""

    name: str
    definition: OpDef
    attrs: dict[str, Any]
    private: dict[str, Any]  # attributes that begin with `_`
    colocation: tuple[str, ...]
    device: str
    edges: list[_Edge]

    def __str__(self) -> str:
        return f"NodeDef: {{{{node {self.name}}}}} (op: '{self.definition.name}')"


class _NodeReader:
    """Reads the nodes of a `GraphDef`, in the order in which they can be added."""

    def __init__(self, mapped: Mapping[str, Any], producer_op_list: Any, allow_python: bool) -> None:
        self._mapped = mapped
        self._producer = {item.name: item for item in getattr(producer_op_list, "op", None) or ()}
        self._allow_python = allow_python

    def read(self, graph_def: Any) -> list[_Node]:
        """All nodes.

        Raises:
          ValueError: something is malformed.
        """
        counts = Counter(node.name for node in graph_def.node)
        twice = next((name for name, count in counts.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"Node '{twice}' is not unique")
        nodes = {node.name: self._read(node) for node in graph_def.node}
        counted = sum(_counted_outputs(node) for node in nodes.values())
        if counted > _MAX_COUNTED_OUTPUTS:
            raise ValueError(f"The GraphDef's nodes have {counted} outputs; at most {_MAX_COUNTED_OUTPUTS} are read.")
        ordered = self._ordered(nodes)
        unused = set(self._mapped) - {_canonical(edge.text) for node in ordered for edge in node.edges}
        if unused:
            raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{', '.join(sorted(unused))}]")
        return ordered

    def _read(self, message: Any) -> _Node:
        name = message.name
        if not is_valid_name(name):
            raise ValueError(f"Node '{name}': Node name contains invalid characters")
        definition = opdef.find(message.op)
        attrs, private = self._read_attrs(message, definition)
        node = _Node(name, definition, attrs, private, _colocation(message), message.device, _edges(message))
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
            elif not self._is_producers_default(message.op, key, value):
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

    def _check_harmless(self, node: _Node) -> None:
        files = [value for value in node.attrs.values() if isinstance(value, str) and value.startswith("file://")]
        if self._allow_python or not (node.definition.runs_python or files):
            return
        deed = f"writes to {files[0]}" if files else "runs Python code"
        raise errors.PermissionDeniedError(
            None, None, f"Node '{node.name}' (op: '{node.definition.name}') {deed}; pass allow_python=True to "
            "import_graph_def to allow it in graphs that you trust."
        )  # fmt: skip

    def _ordered(self, nodes: dict[str, _Node]) -> list[_Node]:
        """The nodes so that each comes after what it uses, otherwise in the file's order."""
        position = {name: index for index, name in enumerate(nodes)}
        waiting: dict[str, int] = {}
        followers: dict[str, list[str]] = {}
        for node in nodes.values():
            before = {edge.maker for edge in node.edges if _canonical(edge.text) not in self._mapped}
            for edge in node.edges:
                if edge.maker in before and edge.maker not in nodes:
                    raise ValueError(f"Node '{node.name}': Unknown input node '{edge.text}'")
            for group in node.colocation:
                if group.startswith("loc:@") and group[5:] not in nodes:
                    raise ValueError(f"Node '{node.name}' expects to be colocated with unknown node '{group[5:]}'")
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


def _edges(message: Any) -> list[_Edge]:
    edges = [_parse_edge(text) for text in message.input]
    for edge, text in zip(edges, message.input, strict=True):
        if edge is None:
            raise ValueError(f"Node '{message.name}': Unknown input node '{text}'")
    found = [edge for edge in edges if edge is not None]
    if any(earlier.is_control and not edge.is_control for earlier, edge in zip(found, found[1:], strict=False)):
        raise ValueError(f"Node '{message.name}': Control dependencies must come after regular dependencies")
    return found


def _parse_edge(text: str) -> _Edge | None:
    if text.startswith("^"):
        return _Edge(text, text[1:], -1)
    name, colon, index = text.partition(":")
    if not colon:
        return _Edge(text, name, 0)
    return _Edge(text, name, int(index)) if index.isascii() and index.isdigit() and len(index) < 10 else None


def _canonical(text: str) -> str:
    """An edge's name with its output index, as the key of an input map."""
    return text if text.startswith("^") or ":" in text else f"{text}:0"


def _check_input_count(node: _Node) -> None:
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
        dtypes = ", ".join(dtype.short_name for dtype, _ in _input_dtypes(node)) if few else f"{wanted} tensors"
        raise ValueError(f"NodeDef expected inputs '{dtypes}' do not match {given} inputs specified; {node}")


def _input_dtypes(node: _Node) -> list[tuple[Any, bool]]:
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


def _counted_outputs(node: _Node) -> int:
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


# --- Adding nodes --------------------------------------------------------------------------------------------------


class _Importer:
    """Adds nodes that were read to a graph."""

    def __init__(self, graph: Graph, nodes: list[_Node], mapped: Mapping[str, Any], prefix: str) -> None:
        self._graph = graph
        self._nodes = nodes
        self._mapped = mapped
        self._prefix = prefix
        self._taken = {prefix + node.name for node in nodes}
        self._names: dict[str, str] = {}  # by the name in the file
        self._made: dict[str, Operation] = {}

    def run(self, return_elements: list[str] | None) -> list[Any] | None:
        """Adds all nodes, or none where one of them does not suit."""
        for node in self._nodes:
            self._names[node.name] = self._unused_name(node.name)
        try:
            for node in self._nodes:
                self._add(node)
            return None if return_elements is None else [self._element(item) for item in return_elements]
        except BaseException:
            self._remove()
            raise

    def _unused_name(self, name: str) -> str:
        """The node's name under the prefix, with a suffix where an operation of the graph has it already."""
        graph, wanted = self._graph, self._prefix + name
        found, count = wanted, 0
        with graph._lock:
            while found in graph._by_name or (found in self._taken and found != wanted):
                count += 1
                found = f"{wanted}_{count}"
        self._taken.add(found)
        return found

    def _add(self, node: _Node) -> None:
        graph = self._graph
        inputs: list[Tensor] = []
        controls: list[Operation] = []
        for edge in node.edges:
            found = self._end(node, edge)
            controls.append(found) if edge.is_control else inputs.append(found)
        self._check_inputs(node, inputs)
        name = self._names[node.name]
        try:
            op = dispatch.create_named(graph, node.definition, name, inputs, {**node.attrs, **node.private})
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"{error}\nReceived: {node}") from None
        self._made[node.name] = op
        with graph._lock:
            graph._names.setdefault(name.lower(), 1)
        op._control_inputs = tuple(dict.fromkeys((*controls, *op._control_inputs)))
        op.device = device.merge(op.device, node.device) if op.device else node.device
        op._colocation = tuple(self._group(item) for item in node.colocation)

    def _end(self, node: _Node, edge: _Edge) -> Any:
        """The tensor or operation at the other end of an edge."""
        mapped = self._mapped.get(_canonical(edge.text))
        if mapped is not None:
            element = self._graph.as_graph_element(mapped, allow_operation=edge.is_control)
            return as_operation(element) if edge.is_control else element
        maker = self._made[edge.maker]
        if edge.is_control:
            return maker
        if edge.output >= len(maker.outputs):
            raise ValueError(
                f"Node '{node.name}': Connecting to invalid output {edge.output} of source node {edge.maker} which has "
                f"{len(maker.outputs)} outputs."
            )
        return maker.outputs[edge.output]

    def _check_inputs(self, node: _Node, inputs: list[Tensor]) -> None:
        for index, (tensor, (dtype, is_ref)) in enumerate(zip(inputs, _input_dtypes(node), strict=True)):
            if tensor.dtype.base_dtype is not dtype or (is_ref and not tensor.dtype.is_ref):
                wanted = f"{dtype.short_name}{'_ref' if is_ref else ''}"
                raise ValueError(
                    f"Input {index} of node {self._names[node.name]} was passed {tensor.dtype.short_name} from "
                    f"{tensor.name} incompatible with expected {wanted}."
                )

    def _group(self, text: str) -> str:
        name = text.removeprefix("loc:@")
        return f"loc:@{self._names[name]}" if name in self._names else text

    def _element(self, name: str) -> Any:
        """An imported operation or tensor by its name in the file."""
        edge = _parse_edge(name)
        op = None if edge is None else self._made.get(edge.maker)
        if edge is None or op is None or edge.is_control:
            raise ValueError(f"Requested return node '{name}' not found in graph def")
        if ":" not in name:
            return op
        if edge.output >= len(op.outputs):
            raise ValueError(
                f"Invalid return output {edge.output} of node '{edge.maker}', which has {len(op.outputs)} output(s)"
            )
        return self._mapped.get(name, op.outputs[edge.output])

    def _remove(self) -> None:
        """Takes back what was added."""
        graph, made = self._graph, set(self._made.values())
        with graph._lock:
            graph._operations[:] = [op for op in graph._operations if op not in made]
            for op in made:
                graph._by_name.pop(op.name, None)
                graph._names.pop(op.name.lower(), None)
                for tensor in op.inputs:
                    if tensor.op not in made:
                        tensor._consumers[:] = [consumer for consumer in tensor._consumers if consumer is not op]
            graph.structure_changed()
