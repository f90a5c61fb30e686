"""`Graph`: operations in creation order, their names, scopes and collections."""
from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from millstream.core import context
from millstream.core import device as devices
from millstream.core.export import export
from millstream.core.graph_scopes import Controller, Scopes
from millstream.core.numbering import Numbering
from millstream.core.opdef import OpDef, functions_of
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor

_VALID_ROOT_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*$")
_VALID_INNER_NAME = re.compile(r"[A-Za-z0-9_.\-/]*$")

@export("Graph")
class Graph:
    """A program: operations, the tensors between them, and named collections of things.

    Operations are added to the default graph (`graph.as_default()`). A graph may be built in several threads.

    Example:
      >>> g = tf.Graph()
      >>> with g.as_default():
      ...   c = tf.constant(30.0)
      >>> c.graph is g
      True
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._scopes = Scopes()
        self._operations: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names: dict[str, int] = {}
        self._next_id = 0
        self.numbering = Numbering()
        self._collections: dict[Any, list[Any]] = {}
        self._seed: int | None = None
        self._finalized = False
        self._structure_version = 0
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Tensor | Operation] = set()
        self._gradient_overrides: dict[str, str] = {}
        self._producer_version = 134
        # Where parts of the library keep what belongs to this graph (variable scopes, losses' helpers, functions).
        self.extensions: dict[str, Any] = {}

    # --- Operations ---------------------------------------------------------------------------------------------

    def add_operation(self, op: Operation, output_dtypes: Sequence[Any], output_shapes: Sequence[Any]) -> None:
        """Puts a new operation, whose inputs are set, under the scopes in force; makes its outputs."""
        scopes = self._scopes
        if scopes.controllers or scopes.colocation or scopes.devices or scopes.container:
            self._apply_scopes(op, scopes)
        if self._gradient_overrides:
            override = self._gradient_overrides.get(op.definition.name)
            if override is not None:
                op.attrs = {**op.attrs, "_gradient_op_type": override.encode()}
        if op.definition.calls_function:
            self._wait_for_captured(op)
        if self._finalized:
            self._check_not_finalized(op)
        self.adopt(op, output_dtypes, output_shapes)

    def adopt(self, op: Operation, output_dtypes: Sequence[Any], output_shapes: Sequence[Any]) -> None:
        """Puts a new operation in the graph as it is; makes its outputs.

        Raises:
          ValueError: another operation has its name.
        """
        if op.name in self._by_name:
            raise ValueError(f"Duplicate node name in graph: '{op.name}'")
        for tensor in op.inputs:
            tensor._consumers.append(op)
        op.outputs = [
            Tensor(op, index, dtype, shape)
            for index, (dtype, shape) in enumerate(zip(output_dtypes, output_shapes, strict=True))
        ]
        with self._lock:
            self._next_id += 1
            op._id = self._next_id
            self.numbering.last += 1
            self._by_name[op.name] = op
            self._operations.append(op)

    def _wait_for_captured(self, op: Operation) -> None:
        """Has an operation wait for what the functions that it calls wait for outside of them."""
        found = [other for function in functions_of(op) for other in function.graph.control_captures]
        ours = [other for other in dict.fromkeys(found) if other.graph is self and other not in op._control_inputs]
        op._control_inputs = (*op._control_inputs, *ours)
        if self.is_body:
            self.control_captures.update((other, None) for other in found if other.graph is not self)  # type: ignore[attr-defined]

    def _check_not_finalized(self, op: Operation | None = None) -> None:
        if self._finalized:
            what = f" Operation {op.name!r} (type {op.type}) was to be added." if op is not None else ""
            where = f" Attempted at: {op.defined_at}." if op is not None and op.defined_at else ""
            raise RuntimeError(f"Graph is finalized and cannot be modified.{what}{where}")

    def _apply_scopes(self, op: Operation, scopes: Scopes) -> None:
        if scopes.controllers:
            op._control_inputs = self._control_inputs_for(op, scopes.controllers)
        if scopes.colocation:
            groups: list[str] = []
            for other in scopes.colocation:
                if isinstance(other, str):
                    groups.append(f"loc:@{other}")
                    continue
                groups.extend(other._colocation or (f"loc:@{other.name}",))
                op.device = other.device or op.device
            op._colocation = tuple(sorted(set(groups)))
        for scope in reversed(scopes.devices):
            if scope is None:
                break
            if callable(scope):  # what a function says replaces what inner scopes said
                op.device = devices.canonical_name(scope(op))
            elif scope:
                op.device = devices.merge(scope, op.device)
        if scopes.container and op.definition.stateful and op.attrs.get("container") == "":
            op.attrs = {**op.attrs, "container": scopes.container}

    @staticmethod
    def _control_inputs_for(op: Operation, controllers: list[Controller]) -> tuple[Operation, ...]:
        """The control inputs in force, less those that an input made in the same block already waits for."""
        makers = {tensor.op for tensor in op.inputs}
        needed: dict[Operation, None] = dict.fromkeys(op._control_inputs)
        blocks: list[list[Operation]] = []
        for controller in reversed(controllers):
            if makers.isdisjoint(controller.seen):
                blocks.append(controller.operations)
            controller.seen.add(op)
            if not controller.outer:
                break
        for operations in reversed(blocks):  # the outermost block's first
            needed.update((other, None) for other in operations if other not in makers)
        return tuple(needed)

    def create_op(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        dtypes: Any = None,
        input_types: Any = None,
        name: str | None = None,
        attrs: dict[str, Any] | None = None,
        op_def: Any = None,
        compute_shapes: bool = True,
        compute_device: bool = True,
    ) -> Operation:
        """Adds an operation of a registered type. Prefer the functions that build operations.

        Args:
          op_type: the registered type, for example `"MatMul"`.
          inputs: the flat list of input tensors.
          name: the operation's name; default: the type.
          attrs: attributes, plain values or `AttrValue` protocol buffers.
          dtypes, input_types, op_def, compute_shapes, compute_device: accepted for compatibility, and derived.
        """
        from millstream.core import dispatch, graph_io

        plain = {key: graph_io.plain_attr(value) for key, value in (attrs or {}).items()}
        with self.as_default():
            return dispatch.create_flat(self, op_type, list(inputs), plain, name)

    def get_operations(self) -> list[Operation]:
        """All operations, in creation order."""
        with self._lock:
            return list(self._operations)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation called `name`.

        Raises:
          KeyError: there is none.
          ValueError, TypeError: `name` is not the name of an operation.
        """
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        return self.as_graph_element(name, allow_tensor=False, allow_operation=True)

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor called `name` (`"op:0"`).

        Raises:
          KeyError: there is none.
          ValueError, TypeError: `name` is not the name of a tensor.
        """
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        return self.as_graph_element(name, allow_tensor=True, allow_operation=False)

    def as_graph_element(self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The tensor or operation of this graph that `obj` names or stands for.

        Raises:
          KeyError: a name that is not in the graph.
          TypeError: `obj` is no graph element at all.
          ValueError: an element of another graph, or of a kind that is not allowed.
        """
        convert = getattr(obj, "_as_graph_element", None)
        if convert is not None:
            obj = convert()
        if isinstance(obj, bytes):
            obj = obj.decode()
        if isinstance(obj, str):
            return self._element_by_name(obj, allow_tensor, allow_operation)
        if isinstance(obj, Tensor) and allow_tensor:
            if obj.graph.root is not self.root:
                raise ValueError(f"Tensor {obj} is not an element of this graph.")
            return obj
        if isinstance(obj, Operation) and allow_operation:
            if obj.graph.root is not self.root:
                raise ValueError(f"Operation {obj!r} is not an element of this graph.")
            return obj
        wanted = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {wanted}.")

    def _element_by_name(self, name: str, allow_tensor: bool, allow_operation: bool) -> Any:
        if ":" not in name:
            op = self._by_name.get(name)
            if allow_operation:
                if op is None:
                    raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
                return op
            if op is not None:
                raise ValueError(
                    f"The name {name!r} refers to an Operation, not a Tensor. Perhaps you meant '{name}:0'? "
                    'Tensor names must be of the form "<op_name>:<output_index>".'
                )
            raise ValueError(
                f"The name {name!r} looks like an (invalid) Operation name, not a Tensor. "
                'Tensor names must be of the form "<op_name>:<output_index>".'
            )
        if not allow_tensor:
            raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a Operation.")
        op_name, _, index_text = name.rpartition(":")
        if not index_text.isdigit():
            raise ValueError(
                f"The name {name!r} looks a like a Tensor name, but is not a valid one. "
                'Tensor names must be of the form "<op_name>:<output_index>".'
            )
        op = self._by_name.get(op_name)
        missing = f"The name {name!r} refers to a Tensor which does not exist. The operation, {op_name!r}, "
        if op is None:
            raise KeyError(missing + "does not exist in the graph.")
        if int(index_text) >= len(op.outputs):
            raise KeyError(missing + f"exists but only has {len(op.outputs)} outputs.")
        return op.outputs[int(index_text)]

    def structure_changed(self) -> None:
        """Tells that existing operations were rewired, so that plans made before are out of date."""
        with self._lock:
            self._structure_version += 1

    # --- Names --------------------------------------------------------------------------------------------------

    @property
    def _name_stack(self) -> str:
        return self._scopes.name

    @_name_stack.setter
    def _name_stack(self, value: str) -> None:
        self._scopes.name = value

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` under the current name scope, with a suffix `_1`, `_2`, … where it is taken.

        Names are compared without regard to case.
        """
        return self.unique_full_name(f"{self._scopes.name}/{name}" if self._scopes.name else name, mark_as_used)

    def unique_full_name(self, name: str, mark_as_used: bool = True) -> str:
        """Like `unique_name`, for a name that holds its scope already."""
        key = name.lower()
        names = self._names
        with self._lock:
            count = names.get(key, 0)
            if mark_as_used:
                names[key] = count + 1
            if count == 0:
                return name
            base = key
            while key in names:
                key = f"{base}_{count}"
                count += 1
            if mark_as_used:
                names[key] = 1
        return f"{name}_{count - 1}"

    def operation_name(self, name: str) -> str:
        """The full name of a new operation: unique, or exactly `name` where it ends with `/` (a scope to re-enter)."""
        if name.endswith("/"):
            return name[:-1]
        valid = _VALID_INNER_NAME if self._scopes.name else _VALID_ROOT_NAME
        if not valid.match(name):
            raise ValueError(f"'{name}' is not a valid scope name")
        return self.unique_name(name)

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Puts `name/` before the names of what is made inside; gives the scope's full name with a final `/`.

        `None` or `""` goes back to the root; a name ending with `/` re-enters that very scope.

        Raises:
          ValueError: `name` is no valid scope name.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"A name scope is a string or None, not {type(name).__name__}: {name!r}.")
        scopes = self._scopes
        old = scopes.name
        scopes.name = self.operation_name(name) if name else ""
        try:
            yield scopes.name + "/" if scopes.name else ""
        finally:
            scopes.name = old

    @contextmanager
    def in_scope(self, scope: str) -> Iterator[None]:
        """Makes `scope` the whole name scope within a `with` block."""
        scopes = self._scopes
        old = scopes.name
        scopes.name = scope
        try:
            yield
        finally:
            scopes.name = old

    def get_name_scope(self) -> str:
        """The current name scope, without a final `/`."""
        return self._scopes.name

    # --- Devices, control dependencies, colocation ----------------------------------------------------------------

    @contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """Asks that what is made inside runs on a device (see `tf.device`)."""
        scope = device_name_or_function
        if scope is not None and not callable(scope):
            scope = devices.canonical_name(scope if isinstance(scope, str) else scope.to_string())
        scopes = self._scopes
        old = scopes.devices
        scopes.devices = [*old, scope]
        try:
            yield
        finally:
            scopes.devices = old

    def control_dependencies(self, control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
        """What is made inside runs after `control_inputs`; `None` puts outer blocks out of force.

        Raises:
          TypeError: an element is no tensor or operation.
        """
        operations = list(dict.fromkeys(self._reached(as_operation(item, self)) for item in control_inputs or ()))
        return self._controlled_by(operations, outer=control_inputs is not None)

    def _reached(self, op: Operation) -> Operation:
        """What there is to wait for outside of a branch so that an operation of it has run."""
        while op.graph is not self and op.graph.root is self:
            op = op.graph.waited_for(op)  # type: ignore[attr-defined]
        return op

    @contextmanager
    def _controlled_by(self, operations: list[Operation], outer: bool) -> Iterator[None]:
        scopes = self._scopes
        old = scopes.controllers
        scopes.controllers = [*old, Controller(operations, outer)]
        try:
            yield
        finally:
            scopes.controllers = old

    @contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        """Asks that what is made inside is placed beside `op`; outer device scopes do not count inside.

        `None` with `ignore_existing` puts outer blocks out of force.
        """
        other = None if op is None else as_operation(op, self)
        scopes = self._scopes
        old_colocation, old_devices = scopes.colocation, scopes.devices
        outer: list[Operation | str] = []
        if not ignore_existing:
            outer.extend(item for item in old_colocation if not isinstance(item, str))
        scopes.colocation = outer if other is None else [*outer, other]
        scopes.devices = []
        try:
            yield
        finally:
            scopes.colocation, scopes.devices = old_colocation, old_devices

    @contextmanager
    def colocate_with_name(self, name: str) -> Iterator[None]:
        """Asks that what is made inside is placed beside the operation `name`, which need not be there yet.

        Device scopes stay in force, and `colocate_with` inside replaces it.
        """
        scopes = self._scopes
        old = scopes.colocation
        if not old or isinstance(old[0], str):
            scopes.colocation = [name]
        try:
            yield
        finally:
            scopes.colocation = old

    @contextmanager
    def container(self, container_name: str) -> Iterator[str]:
        """Sets the resource container of the stateful operations that are made inside."""
        old = self._scopes.container
        self._scopes.container = container_name
        try:
            yield container_name
        finally:
            self._scopes.container = old

    def switch_to_thread_local(self) -> None:
        """Scopes already belong to the thread that opened them; kept for compatibility."""

    # --- Collections --------------------------------------------------------------------------------------------

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Appends `value` to the collection `name`."""
        self._check_not_finalized()
        with self._lock:
            self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Appends `value` to each collection of `names` (one name or several)."""
        for name in dict.fromkeys((names,) if isinstance(names, str) else names):
            self.add_to_collection(name, value)

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """A copy of a collection; with `scope`, only the items whose name matches it (`re.match`)."""
        with self._lock:
            items = list(self._collections.get(name, ()))
        if scope is None:
            return items
        pattern = re.compile(scope)
        return [item for item in items if hasattr(item, "name") and pattern.match(item.name)]

    def get_collection_ref(self, name: Any) -> list[Any]:
        """The collection itself; changes to the list change the collection."""
        with self._lock:
            return self._collections.setdefault(name, [])

    def clear_collection(self, name: Any) -> None:
        """Empties a collection."""
        self._check_not_finalized()
        with self._lock:
            self._collections.pop(name, None)

    def get_all_collection_keys(self) -> list[Any]:
        """The names of all collections; keys that are no strings are left out."""
        with self._lock:
            return [key for key in self._collections if isinstance(key, str)]

    @property
    def collections(self) -> list[Any]:
        """The names of all collections."""
        return list(self._collections)

    # --- The graph as a whole -----------------------------------------------------------------------------------

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Makes this the default graph of the thread within a `with` block, where operations build graphs."""
        _stack.enter(self)
        try:
            yield self
        finally:
            _stack.leave(self)

    def finalize(self) -> None:
        """Makes the graph read-only."""
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    @property
    def finalized(self) -> bool:
        """Whether the graph is read-only."""
        return self._finalized

    @property
    def seed(self) -> int | None:
        """The graph-level random seed, from `tf.set_random_seed`."""
        return self._seed

    @seed.setter
    def seed(self, seed: int | None) -> None:
        self._seed = seed

    @property
    def version(self) -> int:
        """A number that grows with each operation that is added: the id of the last one."""
        return self._next_id

    @property
    def _last_id(self) -> int:
        return self.numbering.last

    # Whether this graph is the body of a function: operations with effects run in the order of the program.
    building_function = False
    # Whether its operations may take tensors of the graphs around it: a function's body, a branch or a loop's body.
    is_body = False

    @property
    def root(self) -> Graph:
        """The graph that this one is a part of: itself, but for branches and loops' bodies of a 1.x graph."""
        return self

    def count_entry(self, thing: Any, home: Graph) -> None:
        """Counts what comes into a branch or loop of a 1.x graph: into others nothing does."""

    def capture(self, tensor: Tensor) -> Tensor:
        """A tensor that operations of this graph may take for `tensor`: itself, if it is of this graph.

        A tensor of a branch is a further result of the branch then.

        Raises:
          RuntimeError: it is an eager tensor, whose value a graph does not know.
          ValueError: it is of another graph, or of a loop.
        """
        if tensor.is_eager:
            raise RuntimeError(
                f"{tensor!r}: Attempting to capture an EagerTensor without building a function. "
                "A graph made by hand does not take eager tensors; pass `tensor.numpy()`."
            )
        if tensor.op.graph is self:
            return tensor
        if tensor.op.graph.root is self:
            return self.capture(tensor.op.graph.given_out(tensor))  # type: ignore[attr-defined]
        raise ValueError(f"{tensor} must be from the same graph as the operation that takes it.")

    def came_from(self, op: Operation) -> Tensor | None:
        """The tensor outside that an operation of a branch or a loop's body stands for."""
        return None

    @property
    def graph_def_versions(self) -> Any:
        """The `VersionDef` of this graph's `GraphDef`."""
        from millstream.io import proto

        return proto.VersionDef(producer=self._producer_version)

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The graph as a `GraphDef` protocol buffer.

        Args:
          from_version: only the operations added after this `version`.
          add_shapes: adds an attribute `_output_shapes` to each node.
        """
        from millstream.core import graph_io

        return graph_io.graph_def(self, from_version, add_shapes)

    def prevent_feeding(self, tensor: Tensor) -> None:
        """Marks a tensor that must not be fed."""
        self._unfeedable.add(tensor)

    def is_feedable(self, tensor: Tensor) -> bool:
        """Whether `tensor` may be fed."""
        return tensor.graph is self and tensor not in self._unfeedable

    def prevent_fetching(self, op: Tensor | Operation) -> None:
        """Marks an element that must not be fetched."""
        self._unfetchable.add(op)

    def is_fetchable(self, tensor_or_op: Tensor | Operation) -> bool:
        """Whether `tensor_or_op` may be fetched."""
        return tensor_or_op.graph is self and tensor_or_op not in self._unfetchable

    @contextmanager
    def gradient_override_map(self, op_type_map: dict[str, str]) -> Iterator[None]:
        """Operations of the given types made inside use the gradients registered under other names.

        Raises:
          TypeError: the map is no dict of strings.
        """
        if not isinstance(op_type_map, dict):
            raise TypeError("op_type_map must be a dictionary mapping strings to strings")
        for key, value in op_type_map.items():
            if not (isinstance(key, str) and isinstance(value, str)):
                raise TypeError("op_type_map must be a dictionary mapping strings to strings")
        old = self._gradient_overrides
        self._gradient_overrides = {**old, **op_type_map}
        try:
            yield
        finally:
            self._gradient_overrides = old

    def find_definition(self, op_type: str) -> OpDef:
        """The definition of an operation type that this graph may use."""
        from millstream.core import opdef

        return opdef.find(op_type)


def is_valid_name(name: str) -> bool:
    """Whether `name` may be the full name of an operation."""
    return bool(_VALID_ROOT_NAME.fullmatch(name))


def as_operation(item: Any, graph: Graph | None = None) -> Operation:
    """The operation that `item` (tensor, operation, variable, IndexedSlices) is or comes from.

    Raises:
      TypeError: `item` is no graph element.
    """
    if isinstance(item, Operation):
        return item
    if isinstance(item, Tensor):
        return item.op
    inner = getattr(item, "op", None)
    if isinstance(inner, Operation):  # of a resource variable: its handle, of an assignment: that, and no read
        return inner
    convert = getattr(item, "_as_graph_element", None)
    if convert is not None:
        return as_operation(convert())
    if isinstance(item, str) and graph is not None:
        return as_operation(graph.as_graph_element(item))
    raise TypeError(f"Can not convert a {type(item).__name__} into a Tensor or Operation.")


class _GraphStack(threading.local):
    """The default graphs of a thread: those entered with `as_default`, over a global one.

    They may be left in any order, as interactive sessions are.
    """

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self._modes: list[bool | None] = []  # what the thread did before each was entered

    def enter(self, graph: Graph) -> None:
        self.graphs.append(graph)
        self._modes.append(context.current.eager)
        context.current.eager = False

    def leave(self, graph: Graph) -> None:
        for position in range(len(self.graphs) - 1, -1, -1):
            if self.graphs[position] is graph:
                del self.graphs[position]
                mode = self._modes.pop(position)
                if position == len(self.graphs):
                    context.current.eager = mode
                else:
                    self._modes[position] = mode
                return


_stack = _GraphStack()
_global_graph: Graph = Graph()


@export(v1=["get_default_graph"])
def get_default_graph() -> Graph:
    """The graph that new operations go to: the innermost `as_default` of this thread, or the global graph."""
    graphs = _stack.graphs
    return graphs[-1] if graphs else _global_graph


def has_default_operations() -> bool:
    """Whether the global default graph has any operations."""
    return bool(_global_graph._operations)


def outermost_context() -> Graph | None:
    """The graph around all functions that this thread is building; None where that is eager execution."""
    for graph in reversed(_stack.graphs):
        if not graph.is_body:
            return graph
    return None if context.eager_by_default() else _global_graph


@export(v1=["reset_default_graph"])
def reset_default_graph() -> None:
    """Replaces the global default graph by an empty one.

    Raises:
      AssertionError: called inside `graph.as_default()` or a session's `with` block over another graph.
    """
    global _global_graph
    if _stack.graphs:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared graph, "
            "exit the nesting and create a new graph."
        )
    _global_graph = Graph()
