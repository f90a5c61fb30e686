"""Makes operations of a file's nodes: in a graph, and in the functions of loops and branches."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from millstream.core import device, dispatch, traceback
from millstream.core.dtypes import variant
from millstream.core.func_graph import FuncGraph
from millstream.core.functionalize import MOST_NESTED, Choice, Gate, Item, Loop
from millstream.core.functionalize_lists import Storage, gradient_list, is_list_operation, translate
from millstream.core.graph import Graph, as_operation
from millstream.core.node_reader import Edge, Node, canonical, input_dtypes
from millstream.core.opdef import find, functions_of
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from millstream.core.function_library import FunctionLibrary

_Key = tuple[str, int]
# A loop is made again with less specific shapes where a turn changes them. Where an import has added so many times the
# nodes of the file, loops begin with unknown shapes.
_MOST_TIMES = 5


class Scope:
    """A graph into which nodes go: the one of the import, or the body of a function within it.

    Attributes:
      graph: the graph.
      values: tensors of this graph or of those around it, and storages, by the maker's name and the output.
      operations: what one waits for who waits for a node.
      lists: the present list of each storage.
      arguments: the function's inputs, but for what it captures.
      list_inputs: the list of each storage as it comes in from outside.
    """

    def __init__(self, graph: Graph, parent: Scope | None = None) -> None:
        self.graph = graph
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.values: dict[_Key, Any] = {}
        self.operations: dict[str, tuple[Operation, ...]] = {}
        self.lists: dict[Storage, Tensor] = {}
        self.arguments: list[Tensor] = []
        self.list_inputs: dict[Storage, Tensor] = {}

    @classmethod
    def of_function(cls, name: str, parent: Scope) -> Scope:
        """The body of a new function.

        Raises:
          ValueError: functions are nested too deep.
        """
        if parent.depth >= MOST_NESTED:
            raise ValueError(f"'{name}': loops and branches are nested more than {MOST_NESTED} deep.")
        with parent.graph.as_default():
            return cls(FuncGraph(name.replace("/", "_"), orders_effects=False), parent)

    def find(self, key: _Key) -> Any:
        """A value by name, of this graph or one around it; None where there is none."""
        scope: Scope | None = self
        while scope is not None:
            if key in scope.values:
                return scope.values[key]
            scope = scope.parent
        return None

    def waited_for(self, name: str) -> tuple[Operation, ...]:
        """What one waits for who waits for a node."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.operations:
                return scope.operations[name]
            scope = scope.parent
        return ()

    def list_of(self, storage: Storage) -> Tensor:
        """The present list of a storage; it comes in from outside if it was made there."""
        if storage not in self.lists:
            if self.parent is None or (storage.gradient_of is not None and self._owns(storage)):
                if storage.gradient_of is None:
                    raise ValueError(f"'{storage.name}' is used outside of the loop or branch in which it is made.")
                self.lists[storage] = gradient_list(self, storage, storage.gradient_of)
            else:
                inner = self.graph.add_input(variant, (), storage.name.rpartition("/")[2])  # type: ignore[attr-defined]
                self.lists[storage] = self.list_inputs[storage] = inner
        return self.lists[storage]

    def _owns(self, storage: Storage) -> bool:
        """Whether the array whose gradients a storage has was made in this graph."""
        made: Any = storage
        while made.gradient_of is not None:
            made = made.gradient_of
        return made in self.lists and made not in self.list_inputs

    @property
    def changed_lists(self) -> list[Storage]:
        """The storages from outside of which there is another list now."""
        return [storage for storage, before in self.list_inputs.items() if self.lists[storage] is not before]


class Builder:
    """Adds the items of a file to a graph.

    Args:
      names: the names of the operations in the graph, by those in the file.
      mapped: what stands in the place of tensors of the file.
      constants: the constants of the file: those of loops and branches are made where they are used.
      used: the tensors of the file that something uses.
      library: the functions of the file.
      frames: where the program imports the file.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        mapped: Mapping[str, Any],
        constants: Mapping[str, Node],
        used: set[_Key],
        library: FunctionLibrary,
        frames: traceback.Positions | None = None,
    ) -> None:
        self._names = names
        self._mapped = mapped
        self._constants = constants
        self.used = used
        self._library = library
        self._frames = frames
        self._added = 0

    def add(self, items: Iterable[Item], scope: Scope) -> None:
        """Adds items, each after what it uses."""
        for item in items:
            if isinstance(item, (Loop, Choice)):
                from millstream.core.functionalize_regions import add_choice, add_loop

                add_loop(self, item, scope) if isinstance(item, Loop) else add_choice(self, item, scope)
            elif isinstance(item, Gate):
                data, predicate = (self._found(edge, scope, item.node) for edge in item.node.inputs)
                check_inputs(item.node, self._names[item.node.name], [data, predicate])
                self._alias(item.node, scope, [data, data])
            else:
                self._add_node(item, scope)

    @property
    def may_repeat(self) -> bool:
        """Whether loops may be made again to find their shapes."""
        return self._added < _MOST_TIMES * len(self._names)

    def name_in(self, scope: Scope, name: str) -> str:
        """The name in a graph of an operation of the file: its own in the graph of the import."""
        return self._names[name] if scope.parent is None else scope.graph.unique_full_name(self._names[name])

    def name_of_region(self, first: str, scope: Scope) -> str:
        """A name for the operation in whose place a node stands: the scope that the node is in."""
        name = self._names.get(first, first)
        return scope.graph.unique_full_name(name.rpartition("/")[0] or name)

    def named_identity(self, tensor: Tensor, node: Node, scope: Scope) -> Tensor:
        """A tensor by the name of a node whose output it is."""
        attrs = {"T": tensor.dtype.base_dtype}
        op = dispatch.create_named(scope.graph, find("Identity"), self.name_in(scope, node.name), [tensor], attrs)
        op.device = node.device
        return op.outputs[0]

    # --- Nodes --------------------------------------------------------------------------------------------------

    def _add_node(self, node: Node, scope: Scope) -> None:
        self._added += 1
        inputs = [self.value(edge, scope, node) for edge in node.edges if edge.output >= 0]
        check_inputs(node, self._names[node.name], inputs)
        if is_list_operation(node):
            with scope.graph.as_default(), scope.graph.control_dependencies(self.controls(node.edges, scope)):
                self._alias(node, scope, translate(scope, node, inputs, self.name_in(scope, node.name)))
        elif node.type == "LoopCond" or _is_nothing_else(node, inputs, scope):
            self._alias(node, scope, inputs)
        elif not any(isinstance(value, Storage) for value in inputs):
            self._create(node, scope, inputs)
        else:
            raise ValueError(f"Node '{node.name}' (op: '{node.type}') cannot take the handle of a stack or array.")

    def _alias(self, node: Node, scope: Scope, outputs: Sequence[Any]) -> None:
        """Has values stand for a node's outputs."""
        scope.values.update({(node.name, index): value for index, value in enumerate(outputs)})
        makers = [value.op for value in outputs if isinstance(value, Tensor) and value.op.type != "Placeholder"]
        scope.operations[node.name] = tuple(dict.fromkeys((*makers, *self.controls(node.edges, scope))))

    def _create(self, node: Node, scope: Scope, inputs: list[Tensor]) -> None:
        """Adds an operation like a node."""
        graph = scope.graph
        name = self.name_in(scope, node.name)
        definition = find("NoOp") if node.type == "ControlTrigger" else node.definition
        attrs = node.attrs
        if definition.calls_function:
            for index, tensor in enumerate(inputs):
                if tensor.dtype.is_ref and self._library.changes(node, index):
                    inputs[index] = inside(scope, find("Identity"), tensor)
            attrs = self._library.attrs_of(node, inputs)
        if node.private:
            attrs = {**attrs, **node.private}
        try:
            op = dispatch.create_checked(graph, definition, name, inputs, attrs, self._frames)
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"{error}\nReceived: {node}") from None
        controls = self.controls(node.edges, scope)
        if controls:
            op._control_inputs = tuple(dict.fromkeys((*controls, *op._control_inputs)))
        op.device = device.merge(op.device, node.device) if op.device else node.device
        if node.colocation and scope.parent is None:
            op._colocation = tuple(self._group(item) for item in node.colocation)
        for index, tensor in enumerate(op.outputs):
            scope.values[node.name, index] = tensor
        scope.operations[node.name] = (op,)

    def _group(self, text: str) -> str:
        name = text.removeprefix("loc:@")
        return f"loc:@{self._names[name]}" if name in self._names else text

    # --- Edges --------------------------------------------------------------------------------------------------

    def value(self, edge: Edge, scope: Scope, user: Node | None = None) -> Any:
        """What is at the other end of an edge: a tensor of the scope's graph, or a storage."""
        return captured_in(self._found(edge, scope, user), scope)

    def _found(self, edge: Edge, scope: Scope, user: Node | None) -> Any:
        """Like `value`, or a tensor of a graph around that of the scope."""
        if not edge.maker:
            return as_graph_element(scope, self._mapped[canonical(edge.text)], allow_operation=False)
        key = edge.maker, edge.output
        found = scope.find(key)
        if found is None and edge.output == 0 and edge.maker in self._constants:
            self._create(self._constants[edge.maker]._replace(edges=[]), scope, [])
            found = scope.find(key)
        if found is None:
            user_name = "" if user is None else f"Node '{user.name}': "
            count = sum((edge.maker, index) in scope.values for index in range(edge.output))
            raise ValueError(
                f"{user_name}Connecting to invalid output {edge.output} of source node {edge.maker} which has {count} "
                "outputs."
            )
        return found

    def tensor(self, edge: Edge, scope: Scope) -> Tensor:
        """What is at the other end of an edge, which must be a tensor; the value where it is a variable."""
        found = self.value(edge, scope)
        if isinstance(found, Storage):
            raise ValueError(f"The handle '{edge.text or edge.maker}' of a stack or array cannot be a value.")
        if found.dtype.is_ref:
            return inside(scope, find("Identity"), found)
        return found

    def controls(self, edges: Iterable[Edge], scope: Scope) -> list[Operation]:
        """What the control edges among some edges lead to in the scope's graph; the rest the function waits for."""
        found: list[Operation] = []
        for edge in edges:
            if edge.output < 0:
                found.extend(scope.operations.get(edge.maker) or self._waited_for(edge, scope))
        if not found:
            return found
        inside = [op for op in found if op.graph is scope.graph]
        if isinstance(scope.graph, FuncGraph):
            scope.graph.control_captures.update((op, None) for op in found if op.graph is not scope.graph)
        return list(dict.fromkeys(inside))

    def _waited_for(self, edge: Edge, scope: Scope) -> Sequence[Operation]:
        if edge.maker:
            return scope.waited_for(edge.maker)
        element = self._mapped[canonical(edge.text)]
        return [as_operation(as_graph_element(scope, element, allow_operation=True))]


def _is_nothing_else(node: Node, inputs: Sequence[Any], scope: Scope) -> bool:
    """Whether a node is the same as its input, and nobody can ask for it by its name."""
    if node.type != "Identity":
        return False
    if isinstance(inputs[0], Storage):
        return True
    return scope.parent is not None and len(node.edges) == 1 and not inputs[0].dtype.is_ref


def as_graph_element(scope: Scope, element: Any, allow_operation: bool) -> Any:
    """An element of the graph of the import that an input map has given."""
    while scope.parent is not None:
        scope = scope.parent
    return scope.graph.as_graph_element(element, allow_operation=allow_operation)


def inside(scope: Scope, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Calls a function that makes a tensor, in a scope's graph."""
    with scope.graph.as_default(), scope.graph.in_scope(""):
        return function(*args, **keywords)


def captured_in(value: Any, scope: Scope) -> Any:
    """A tensor of a scope's graph for one of a graph around it; a storage as it is."""
    if isinstance(value, Storage) or value.op.graph is scope.graph:
        return value
    return scope.graph.capture(value)


def stamp(ops: Iterable[Operation], frames: traceback.Positions) -> None:
    """Says of operations, and of those of the functions that they call, where the program imported them."""
    waiting = list(ops)
    seen: set[Graph] = set()
    while waiting:
        op = waiting.pop()
        op._frames = frames
        for function in functions_of(op):
            if function.graph not in seen:
                seen.add(function.graph)
                waiting.extend(function.graph._operations)


def check_inputs(node: Node, name: str, inputs: Sequence[Any]) -> None:
    """Demands that a node's inputs are tensors of the dtypes that it takes; storages pass.

    Raises:
      ValueError: one is not.
    """
    for index, (tensor, (dtype, is_ref)) in enumerate(zip(inputs, input_dtypes(node), strict=True)):
        if isinstance(tensor, Storage) or (tensor.dtype is dtype and not is_ref):
            continue
        if tensor.dtype.base_dtype is not dtype or (is_ref and not tensor.dtype.is_ref):
            wanted = f"{dtype.short_name}{'_ref' if is_ref else ''}"
            raise ValueError(
                f"Input {index} of node {name} was passed {tensor.dtype.short_name} from {tensor.name} incompatible "
                f"with expected {wanted}."
            )
