"""Makes operations that call functions of a file's loops and branches."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core import dispatch
from millstream.core.conversion import to_tensor
from millstream.core.functionalize import Choice, Loop
from millstream.core.functionalize_build import Builder, Scope, captured_in, check_inputs, inside
from millstream.core.functionalize_lists import Storage
from millstream.core.graph_function import GraphFunction
from millstream.core.node_reader import Node
from millstream.core.opdef import Shape, find
from millstream.core.operation import Operation
from millstream.core.shapes import generalize
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data

_Key = tuple[str, int]
# The place, beside a node's outputs, of what says that the node has run.
_DONE = -1


def add_choice(builder: Builder, choice: Choice, scope: Scope) -> None:
    """Adds an `If` for a choice."""
    _ChoiceBuilder(builder, choice, scope).build()


def add_loop(builder: Builder, loop: Loop, scope: Scope) -> None:
    """Adds a `While` for a loop."""
    _LoopBuilder(builder, loop, scope).build()


def _functions(
    scopes: Sequence[Scope], outputs: Sequence[Sequence[Tensor]]
) -> tuple[list[Tensor], list[GraphFunction]]:
    """Functions of the arguments of each and of all that any of them captures; and what they capture."""
    captured = {id(tensor): tensor for scope in scopes for tensor in _body(scope).external_captures}
    made = []
    for scope, results in zip(scopes, outputs, strict=True):
        graph = _body(scope)
        inputs = [*scope.arguments, *(graph.capture(tensor) for tensor in captured.values())]
        made.append(GraphFunction(graph, inputs, results, graph.control_outputs))
    return list(captured.values()), made


def _body(scope: Scope) -> Any:
    return scope.graph


def _take_lists(scopes: Sequence[Scope], outer: Scope) -> list[Storage]:
    """Gives all of the functions the lists that any of them uses as further arguments."""
    storages = list(dict.fromkeys(storage for scope in scopes for storage in scope.list_inputs))
    for scope in scopes:
        scope.arguments.extend(_list_input(scope, storage) for storage in storages)
    for storage in storages:
        outer.list_of(storage)
    return storages


def _list_input(scope: Scope, storage: Storage) -> Tensor:
    scope.list_of(storage)
    return scope.list_inputs[storage]


class _ChoiceBuilder:
    """Makes an `If` of a choice."""

    def __init__(self, builder: Builder, choice: Choice, scope: Scope) -> None:
        self._builder = builder
        self._choice = choice
        self._scope = scope
        first = choice.merges[0][0].name if choice.merges else choice.predicate.maker
        self._name = builder.name_of_region(first, scope)

    def build(self) -> None:
        """Adds the operation, and names its results."""
        choice, scope, builder = self._choice, self._scope, self._builder
        branches = [Scope.of_function(f"{self._name}_{label}", scope) for label in ("false", "true")]
        for branch, items in zip(branches, choice.branches, strict=True):
            builder.add(items, branch)
        results = self._results(branches)
        outputs = [[pair[side] for pair in results.values()] for side in (0, 1)]
        storages = _take_lists(branches, scope)
        changed = [item for item in storages if any(item in branch.changed_lists for branch in branches)]
        for branch, tensors in zip(branches, outputs, strict=True):
            tensors.extend(branch.lists[storage] for storage in changed)
        self._finish(branches, outputs, list(results), storages, changed)

    def _finish(
        self, branches: list[Scope], outputs: list[list[Tensor]], keys: list[_Key], storages: list[Storage],
        changed: list[Storage],
    ) -> None:  # fmt: skip
        choice, scope, builder = self._choice, self._scope, self._builder
        merges = {merge.name: merge for merge, _, _ in choice.merges}
        captured, (else_branch, then_branch) = _functions(branches, outputs)
        pure = else_branch.is_repeatable and then_branch.is_repeatable
        inputs = [*(scope.lists[storage] for storage in storages), *(captured_in(tensor, scope) for tensor in captured)]
        predicate = builder.tensor(choice.predicate, scope)
        controls = builder.controls([edge for merge in merges.values() for edge in merge.edges], scope)
        attrs = {
            "Tcond": predicate.dtype.base_dtype, "Tin": tuple(tensor.dtype.base_dtype for tensor in inputs),
            "Tout": tuple(tensor.dtype.base_dtype for tensor in outputs[0]),
            "then_branch": then_branch, "else_branch": else_branch,
        }  # fmt: skip
        op_type = "StatelessIf" if pure else "If"
        op = _region_operation(scope, op_type, self._name, [predicate, *inputs], attrs, controls)
        for (name, index), tensor in zip(keys, op.outputs, strict=False):
            if name in merges and index == 0:
                tensor = builder.named_identity(tensor, merges[name], scope)
            scope.values[name, index] = tensor
        for storage, tensor in zip(changed, op.outputs[len(keys) :], strict=True):
            scope.lists[storage] = tensor
        for name in merges:
            result = scope.values.get((name, 0))
            scope.operations[name] = (result.op,) if isinstance(result, Tensor) else (op,)
        for name, index in keys:
            if index == _DONE:  # an operation of its own: the choice itself may run for the sake of other results
                done = inside(scope, find("Identity"), scope.values.pop((name, index)), name=f"{self._name}/Done")
                scope.operations[name] = (done.op,)

    def _results(self, branches: list[Scope]) -> dict[_Key, list[Tensor]]:
        """What each branch gives for each result. Handles are no results: both branches give the same."""
        found: dict[_Key, list[Tensor]] = {}
        builder, scope = self._builder, self._scope
        for merge, *edges in self._choice.merges:
            values = [builder.value(edge, branch) for edge, branch in zip(edges, branches, strict=True)]
            if isinstance(values[0], Storage) and values[0] is values[1]:
                scope.values[merge.name, 0] = values[0]
            else:
                found[merge.name, 0] = [
                    builder.tensor(edge, branch) for edge, branch in zip(edges, branches, strict=True)
                ]
                _require_same_dtype(merge, found[merge.name, 0])
            if (merge.name, 1) in builder.used:
                places = [merge.inputs.index(edge) for edge in edges]
                found[merge.name, 1] = [
                    inside(branch, to_tensor, place, dtype="int32")
                    for branch, place in zip(branches, places, strict=True)
                ]
        for edge, side in self._choice.exports:
            if edge.is_control:
                done, absent = _done(branches[side], edge.maker), inside(branches[1 - side], to_tensor, False)
                found[edge.maker, _DONE] = [absent, done] if side else [done, absent]
                continue
            value = builder.value(edge, branches[side])
            if isinstance(value, Storage):
                scope.values[edge.maker, edge.output] = value
                continue
            tensor = builder.tensor(edge, branches[side])
            dtype, shape = tensor.dtype.base_dtype, tensor._shape
            absent = inside(branches[1 - side], find("FakeParam"), dtype=dtype, shape=shape)
            found[edge.maker, edge.output] = [absent, tensor] if side else [tensor, absent]
        return found


def _done(branch: Scope, name: str) -> Tensor:
    """A tensor of a branch that is there when a node of it has run."""
    graph = _body(branch)
    with graph.control_dependencies([op for op in branch.waited_for(name) if op.graph is graph]):
        done: Tensor = inside(branch, find("Identity"), inside(branch, to_tensor, True))
    return done


def _require_same_dtype(merge: Node, values: Sequence[Tensor]) -> None:
    dtype = merge.attrs["T"]
    for value in values:
        if value.dtype.base_dtype is not dtype:
            raise ValueError(
                f"Node '{merge.name}' (op: '{merge.type}') was passed {value.dtype.short_name} from {value.name} "
                f"incompatible with expected {dtype.short_name}."
            )


def _region_operation(
    scope: Scope, op_type: str, name: str, inputs: list[Tensor], attrs: dict[str, Any], controls: list[Operation]
) -> Operation:
    op = dispatch.create_named(scope.graph, find(op_type), name, inputs, attrs)
    op._control_inputs = tuple(dict.fromkeys((*controls, *op._control_inputs)))
    return op


class _LoopBuilder:
    """Makes a `While` of a loop."""

    def __init__(self, builder: Builder, loop: Loop, scope: Scope) -> None:
        self._builder = builder
        self._loop = loop
        self._scope = scope
        self._name = builder.name_of_region(loop.condition.name, scope)
        self._constants = {enter.name: builder.value(enter.inputs[0], scope, enter) for enter in loop.constants}
        initial = [builder.value(variable.enter.inputs[0], scope, variable.enter) for variable in loop.variables]
        # The handle of a stack or array does not change: it is no variable of the loop.
        self._handles = {index: value for index, value in enumerate(initial) if isinstance(value, Storage)}
        self._places = [index for index in range(len(initial)) if index not in self._handles]
        self._initial = [builder.tensor(loop.variables[index].enter.inputs[0], scope) for index in self._places]
        for place, tensor in zip(self._places, self._initial, strict=True):
            _require_same_dtype(loop.variables[place].merge, [tensor])

    def build(self) -> None:
        """Adds the operation, and names its results."""
        builder = self._builder
        shapes: list[Shape] = [tensor._shape if builder.may_repeat else None for tensor in self._initial]
        for attempt in range(3):
            parts, results = self._parts(shapes)
            found = [generalize(shape, y._shape) for shape, y in zip(shapes, results, strict=True)]
            if found == shapes:
                break
            # A turn changes shapes: let them be whatever they have in common, or else anything.
            shapes = found if attempt == 0 and builder.may_repeat else [None] * len(shapes)
        self._finish(parts, results, shapes)

    def _parts(self, shapes: Sequence[Shape]) -> tuple[list[Scope], list[Tensor]]:
        """The condition and the body; and what the body gives."""
        loop, builder = self._loop, self._builder
        test, turn = (Scope.of_function(f"{self._name}_{label}", self._scope) for label in ("cond", "body"))
        for scope in (test, turn):
            self._let_in(scope, shapes)
        builder.add(loop.test, test)
        builder.add(loop.body, turn)
        for index, storage in self._handles.items():
            variable = loop.variables[index]
            if builder.value(variable.next_iteration.inputs[0], turn) is not storage:
                raise ValueError(f"Node '{variable.merge.name}': a turn changes which stack or array it is.")
        results = [builder.tensor(loop.variables[index].next_iteration.inputs[0], turn) for index in self._places]
        for place, tensor in zip(self._places, results, strict=True):
            _require_same_dtype(loop.variables[place].merge, [tensor])
        for variable in loop.variables:
            _body(turn).control_outputs.extend(builder.controls(variable.next_iteration.edges, turn))
        return [test, turn], results

    def _let_in(self, scope: Scope, shapes: Sequence[Shape]) -> None:
        """Makes the inputs of the condition or of the body, and has the nodes of the loop's border stand for them."""
        loop = self._loop
        current: dict[int, Any] = dict(self._handles)
        for place, tensor, shape in zip(self._places, self._initial, shapes, strict=True):
            name = loop.variables[place].merge.name.rpartition("/")[2]
            graph = _body(scope)
            scope.arguments.append(graph.add_input(tensor.dtype.base_dtype, shape, name, handle_data(tensor)))
            current[place] = scope.arguments[-1]
        for index, variable in enumerate(loop.variables):
            scope.values[variable.merge.name, 0] = current[index]
        for switch, index in loop.switches:
            scope.values[switch.name, 1] = current[index]
        scope.values.update({(name, 0): value for name, value in self._constants.items()})

    def _finish(self, parts: list[Scope], results: list[Tensor], shapes: Sequence[Shape]) -> None:
        loop, scope, builder = self._loop, self._scope, self._builder
        test, turn = parts
        goes_on = builder.tensor(loop.condition.inputs[0], test)
        check_inputs(loop.condition, loop.name, [goes_on])
        storages = _take_lists(parts, scope)
        outputs = [*results, *(turn.lists[storage] for storage in storages)]
        graph = _body(turn)
        captured = {id(tensor): tensor for part in parts for tensor in _body(part).external_captures}.values()
        outputs.extend(graph.capture(tensor) for tensor in captured)
        taken, (condition, body) = _functions(parts, [[goes_on], outputs])
        inputs = [*self._initial, *(scope.lists[storage] for storage in storages)]
        inputs.extend(captured_in(tensor, scope) for tensor in taken)
        attrs = {
            "T": tuple(tensor.dtype.base_dtype for tensor in inputs), "cond": condition, "body": body,
            "output_shapes": tuple(tensor._shape for tensor in body.inputs),
            "parallel_iterations": max([1, *(item.enter.attrs["parallel_iterations"] for item in loop.variables)]),
        }  # fmt: skip
        pure = condition.is_repeatable and body.is_repeatable
        controls = builder.controls(loop.edges, scope)
        op = _region_operation(scope, "StatelessWhile" if pure else "While", self._name, inputs, attrs, controls)
        for storage, tensor in zip(storages, op.outputs[len(results) :], strict=False):
            scope.lists[storage] = tensor
        final = {**self._handles, **dict(zip(self._places, op.outputs, strict=False))}
        self._let_out(final, op)

    def _let_out(self, final: Mapping[int, Any], op: Operation) -> None:
        """Computes the results from the variables after the last turn, and names them."""
        loop, scope, builder = self._loop, self._scope, self._builder
        for index, variable in enumerate(loop.variables):
            scope.values[variable.merge.name, 0] = final[index]
        for switch, index in loop.switches:
            scope.values[switch.name, 0] = final[index]
            scope.operations[switch.name] = (op,)
        scope.values.update({(name, 0): value for name, value in self._constants.items()})
        builder.add(loop.after, scope)
        for exit in loop.exits:
            value = builder.value(exit.inputs[0], scope, exit)
            if isinstance(value, Tensor):
                value = builder.named_identity(builder.tensor(exit.inputs[0], scope), exit, scope)
            scope.values[exit.name, 0] = value
            scope.operations[exit.name] = (value.op if isinstance(value, Tensor) else op,)
