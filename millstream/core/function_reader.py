"""The functions of a `GraphDef`, read and checked as far as can be done before anything is added to a graph."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core import opdef
from millstream.core.dtypes import DType, bool_
from millstream.core.functionalize import MOST_NESTED
from millstream.core.graph import is_valid_name
from millstream.core.graph_io import plain_value
from millstream.core.node_attributes import UnknownAttributeError
from millstream.core.node_reader import Edge, Node, NodeReader
from millstream.core.opdef import Shape

LOOPS = frozenset(("While", "StatelessWhile"))
# So many operations a function may have with those of the functions that it calls, which are unfolded to run.
_MOST_OPERATIONS = 1 << 20
# The shape of a parameter of which the file says nothing.
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()


class Parameter(NamedTuple):
    """An argument of a function."""

    name: str
    dtype: DType
    is_ref: bool
    shape: Shape | Any  # or ABSENT


class Function(NamedTuple):
    """A function of the file.

    Attributes:
      results: what it gives: where that is made, and the dtype.
      must_run: control edges to what runs although no result needs it.
      nodes: its operations, each after what it uses.
    """

    name: str
    parameters: list[Parameter]
    results: list[tuple[Edge, DType]]
    must_run: list[Edge]
    nodes: list[Node]


def signatures_of(library: Any) -> dict[str, Any]:
    """The signatures of the functions of a library, by name.

    Raises:
      ValueError: two functions, or a function and an operation, have one name.
    """
    found: dict[str, Any] = {}
    for function in library.function:
        name = function.signature.name
        if name in found:
            raise ValueError(f"Function '{name}' is not unique in the library of the GraphDef.")
        found[name] = function.signature
    same = next(iter(sorted(found.keys() & opdef.op_types())), None) if found else None
    if same is not None:
        raise ValueError(f"Cannot add function '{same}' because an op with the same name already exists.")
    return found


def called_by(node: Node) -> list[tuple[str, str]]:
    """The functions that a node calls: the attribute, and the name."""
    found = []
    for spec in node.definition.attrs.values():
        if spec.kind == "func":
            found.append((spec.name, node.attrs[spec.name].name))
        elif spec.kind == "list(func)":
            found.extend((spec.name, item.name) for item in node.attrs[spec.name])
    return found


class FunctionReader(NodeReader):
    """Reads the functions that nodes call, and those that these call."""

    def __init__(
        self, library: Any, producer_op_list: Any, allow_python: bool, signatures: Mapping[str, Any]
    ) -> None:
        super().__init__({}, producer_op_list, allow_python, signatures)
        self._messages = {function.signature.name: function for function in library.function}
        self._parameters: dict[str, Parameter] = {}  # of the function that is being read
        self._own_outputs: dict[str, list[str]] = {}  # the results of the functions that its nodes call by name

    def read_for(self, nodes: Sequence[Node], others: Iterable[str] = ()) -> dict[str, Function]:
        """The functions by name.

        Args:
          nodes: what calls them.
          others: the names of functions to read besides.

        Raises:
          ValueError: something is malformed; a function is missing, calls itself, or does not suit a node.
        """
        found: dict[str, Function] = {}
        for name in others:
            if name not in self._messages:
                raise ValueError(f"Function '{name}' is not in the library of the GraphDef.")
            found[name] = self._function(self._messages[name])
        callers: list[Sequence[Node]] = [nodes, *(function.nodes for function in found.values())]
        for inner in callers:
            for name in self._missing(inner, found):
                found[name] = self._function(self._messages[name])
                callers.append(found[name].nodes)
        _require_finite(found)
        for inner in callers:
            for node in inner:
                _check_call(node, found)
        return found

    def _missing(self, nodes: Iterable[Node], found: Mapping[str, Function]) -> Iterator[str]:
        for node in nodes:
            for _, name in called_by(node):
                if name not in self._messages:
                    raise ValueError(f"Function '{name}' is not in the library of the GraphDef; {node}")
                if name not in found:
                    yield name

    def _function(self, message: Any) -> Function:
        name = message.signature.name
        try:
            return self._read_function(message)
        except ValueError as error:
            kind = UnknownAttributeError if isinstance(error, UnknownAttributeError) else ValueError
            raise kind(f"{error} (in function '{name}' of the library)") from None

    def _read_function(self, message: Any) -> Function:
        signature = message.signature
        parameters = [_parameter(arg, index, message) for index, arg in enumerate(signature.input_arg)]
        self._parameters = {item.name: item for item in parameters}
        self._own_outputs = {
            node.name: [arg.name for arg in self._signatures[node.op].output_arg]
            for node in message.node_def
            if node.op in self._signatures
        }
        nodes = self._read_all(message.node_def)
        twice = next((item.name for item in parameters if item.name in nodes), None)
        if twice is not None or len(self._parameters) < len(parameters):
            raise ValueError(f"Argument '{twice or parameters[-1].name}' is not unique")
        connected = {item.name: item._replace(edges=[self._place(e, nodes, item) for e in item.edges])
                     for item in nodes.values()}  # fmt: skip
        results = [self._result(arg, message, nodes) for arg in signature.output_arg]
        _refuse_placeholders(connected, [edge for edge, _ in results])
        return Function(
            name=signature.name,
            parameters=parameters,
            results=results,
            must_run=[_control(message.control_ret[key], nodes) for key in sorted(message.control_ret)],
            nodes=[_within(node, nodes) for node in self._ordered(connected, self._parameters)],
        )

    # --- Edges --------------------------------------------------------------------------------------------------

    def _edge(self, text: str) -> Edge | None:
        """An edge to an argument or to `node:output:index`, which `_place` completes when all nodes are known."""
        name = text.removeprefix("^").partition(":")[0]
        return Edge(text, name, -1 if text.startswith("^") else 0) if name else None

    def _place(self, edge: Edge, nodes: Mapping[str, Node], user: Node | None) -> Edge:
        who = "" if user is None else f"Node '{user.name}': "
        if edge.maker not in nodes and edge.maker not in self._parameters:
            raise ValueError(f"{who}Unknown input node '{edge.text}'")
        if edge.is_control:
            return edge
        _, *rest = edge.text.split(":")
        if edge.maker in self._parameters:
            place = 0 if rest in ([], ["0"]) else None
        else:
            place = self._output(nodes[edge.maker], rest)
        if place is None:
            raise ValueError(f"{who}'{edge.text}' is no argument of the function and no output of one of its nodes")
        return Edge(edge.maker if place == 0 else f"{edge.maker}:{place}", edge.maker, place)

    def _output(self, node: Node, rest: Sequence[str]) -> int | None:
        """Which output of a node `output:index` is."""
        if not 1 <= len(rest) <= 2:
            return None
        label, text = rest[0], rest[1] if len(rest) == 2 else "0"
        index = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        own = self._own_outputs.get(node.name)
        if own is not None:
            return own.index(label) if label in own and index == 0 else None
        for spec, place in zip(
            node.definition.outputs, opdef.argument_slices(node.definition.outputs, node.attrs), strict=True
        ):
            if spec.name == label and index is not None:
                start, stop = (place, place + 1) if isinstance(place, int) else (place.start, place.stop)
                return start + index if start + index < stop else None
        return None

    def _result(self, arg: Any, message: Any, nodes: Mapping[str, Node]) -> tuple[Edge, DType]:
        if arg.name not in message.ret:
            raise ValueError(f"Nothing is said about the result '{arg.name}'")
        edge = self._edge(message.ret[arg.name])
        if edge is None or edge.is_control:
            raise ValueError(f"'{message.ret[arg.name]}' is no argument of the function and no output of its nodes")
        return self._place(edge, nodes, None), _dtype(arg)


def _parameter(arg: Any, index: int, message: Any) -> Parameter:
    if not is_valid_name(arg.name):
        raise ValueError(f"Argument '{arg.name}': the name contains invalid characters")
    shape = ABSENT
    known = message.arg_attr[index].attr if index in message.arg_attr else {}
    if "_output_shapes" in known and len(known["_output_shapes"].list.shape) == 1:
        shape = plain_value("shape", known["_output_shapes"].list.shape[0])
    return Parameter(arg.name, _dtype(arg), arg.is_ref, shape)


def _dtype(arg: Any) -> DType:
    if arg.type_attr or arg.number_attr or arg.type_list_attr:
        raise ValueError(f"The type of '{arg.name}' depends on attributes, which is not supported")
    dtype: DType = plain_value("type", arg.type)
    if dtype.is_ref:
        raise ValueError(f"'{arg.name}' has the reference type {dtype.short_name}")
    return dtype


def _control(name: str, nodes: Mapping[str, Node]) -> Edge:
    if name not in nodes:
        raise ValueError(f"The control output '{name}' is no node of the function")
    return Edge(f"^{name}", name, -1)


def _refuse_placeholders(nodes: Mapping[str, Node], results: Sequence[Edge]) -> None:
    """Refuses nodes that others use and that can only be fed: nothing in a function can."""
    for edge in (*results, *(edge for node in nodes.values() for edge in node.inputs)):
        if edge.maker in nodes and nodes[edge.maker].definition.must_be_fed:
            raise ValueError(f"Node '{edge.maker}' (op: '{nodes[edge.maker].type}') would have to be fed")


def _within(node: Node, nodes: Mapping[str, Node]) -> Node:
    """A node that is placed only beside nodes of its function."""
    if not node.colocation:
        return node
    return node._replace(colocation=tuple(item for item in node.colocation if item.removeprefix("loc:@") in nodes))


# --- Calls -----------------------------------------------------------------------------------------------------------


def _names(nodes: Iterable[Node]) -> Iterator[str]:
    return (name for node in nodes for _, name in called_by(node))


def _require_finite(functions: Mapping[str, Function]) -> None:
    """Refuses functions that call themselves, are nested too deep, or are too much work with all that they call.

    Raises:
      ValueError: there are such.
    """
    calls = {name: list(_names(function.nodes)) for name, function in functions.items()}
    depths: dict[str, int] = {}
    sizes: dict[str, int] = {}  # the operations of a function and of those that it calls, each as often as it does
    for start in calls:
        path = {} if start in depths else {start: iter(calls[start])}
        while path:
            name = next(reversed(path))
            callee = next(path[name], None)
            if callee is None:
                del path[name]
                depths[name] = 1 + max((depths[item] for item in calls[name]), default=0)
                sizes[name] = 1 + len(functions[name].nodes) + sum(sizes[item] for item in calls[name])
                if depths[name] > MOST_NESTED:
                    raise ValueError(f"Function '{name}': functions are nested more than {MOST_NESTED} deep.")
                if sizes[name] > _MOST_OPERATIONS:
                    raise ValueError(
                        f"Function '{name}' runs {sizes[name]} operations with the functions that it calls; at most "
                        f"{_MOST_OPERATIONS} are read."
                    )
            elif callee in path:
                raise ValueError(f"Function '{callee}' calls itself: recursive functions are not supported.")
            elif callee not in depths:
                path[callee] = iter(calls[callee])


def _check_call(node: Node, functions: Mapping[str, Function]) -> None:
    """Demands that the functions which a node calls take and give what the node says.

    Raises:
      ValueError: they do not.
    """
    for attr, name in called_by(node):
        function = functions[name]
        if node.type in LOOPS:
            taken, given = node.attrs["T"], (bool_,) if attr == "cond" else node.attrs["T"]
        else:
            taken, given = node.attrs["Tin"], node.attrs["Tout"]
        for what, wanted, found in (
            ("takes", taken, [item.dtype for item in function.parameters]),
            ("gives", given, [dtype for _, dtype in function.results]),
        ):
            if list(wanted) != found:
                raise ValueError(f"Function '{name}' {what} {_listed(found)}, not {_listed(wanted)}; {node}")


def _listed(dtypes: Sequence[DType]) -> str:
    shown = [dtype.short_name for dtype in dtypes[:8]]
    return f"({', '.join(shown)}{', …' if len(dtypes) > 8 else ''})"
