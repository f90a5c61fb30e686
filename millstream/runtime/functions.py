"""Runs functions at once: a `GraphFunction` becomes a plan, as a part of a graph does in a session."""
from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from millstream.core import errors, graph_function, opdef, variable_handle
from millstream.core.eager import EagerTensor
from millstream.core.graph_function import GraphFunction
from millstream.core.opdef import DEAD
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime import devices, host
from millstream.runtime.eager import STATE
from millstream.runtime.file_names import check_file_names, users_of_files
from millstream.runtime.lowering import Lowered, lowered
from millstream.runtime.plan import make_plan
from millstream.runtime.state import Overlay, State


class FunctionRunner:
    """A flat graph in one state: values of its inputs in, values of its outputs out.

    Args:
      function: the flat graph.
      state: the variables and random streams.
    """

    def __init__(self, function: Lowered, state: State) -> None:
        placer = devices.Placer(soft=True, log_placement=False)
        fed = [
            tensor for tensor, handle in zip(function.inputs, function.handles, strict=True) if handle is None
        ]
        plan = make_plan(function.graph, function.outputs, function.targets, fed, placer)
        self._inputs = function.inputs
        self._outputs = function.outputs
        self._state = state
        self._steps = [host.ready(step, state) for step in plan.steps]
        self._users_of_files = users_of_files(plan.steps)

    def check_file_names(self, inputs: Sequence[Tensor]) -> None:
        """Refuses inputs that came from a file as names of the files that the function uses.

        Raises:
          PermissionDeniedError: it would use a file whose name does not come from the program.
        """
        if self._users_of_files:
            pairs = list(zip(self._inputs, inputs, strict=True))
            denied = frozenset(inner for inner, outer in pairs if getattr(outer, "from_file", False))
            check_file_names(self._users_of_files, frozenset(self._inputs) - denied, denied)

    def run(self, values: Sequence[Any], overlay: Overlay) -> list[Any]:
        """Runs the plan; the caller holds the state's lock and commits what it assigns."""
        known: dict[Tensor, Any] = dict(zip(self._inputs, values, strict=True))
        for step in self._steps:
            step.run(known, overlay)
        return [known[tensor] for tensor in self._outputs]


def run(function: GraphFunction, inputs: Sequence[Tensor]) -> list[EagerTensor]:
    """Runs a function on eager tensors.

    Raises:
      OpError: an operation of it failed; variables are as they were before.
    """
    values = [tensor._value for tensor in inputs]  # type: ignore[attr-defined]
    handles = tuple(value if type(value) is VariableHandle else None for value in values)
    runner = function.runners.get(handles)
    if runner is None:
        runner = function.runners[handles] = FunctionRunner(lowered(function, handles), STATE)
        for handle in filter(None, handles):
            _users.setdefault(handle, []).append(weakref.ref(function))
    runner.check_file_names(inputs)
    with STATE.lock:
        overlay = Overlay(STATE.values)
        results = runner.run(values, overlay)
        STATE.commit(overlay)
    return [_result(tensor, value) for tensor, value in zip(function.outputs, results, strict=True)]


# For each variable the functions that have been made ready for it.
_users: dict[VariableHandle, list[weakref.ref[GraphFunction]]] = {}


def _forget(handle: VariableHandle) -> None:
    """Frees what functions keep for a variable, which is no longer used."""
    for reference in _users.pop(handle, ()):
        function = reference()
        if function is not None:
            _forget_in(function, handle)


def _forget_in(function: GraphFunction, handle: VariableHandle) -> None:
    for key in list(function.runners):
        parts = key if type(key) is tuple else ()
        if handle in parts or any(type(part) is tuple and handle in part for part in parts):
            function.runners.pop(key, None)
        elif isinstance(function.runners.get(key), GraphFunction):  # the function with some of its variables
            _forget_in(function.runners[key], handle)
    for op in list(function.graph._operations):
        for inner in opdef.functions_of(op):
            _forget_in(inner, handle)


def _result(tensor: Tensor, value: Any) -> EagerTensor:
    if value is DEAD:
        raise errors.InvalidArgumentError(None, tensor.op, f"{tensor.name} is on the branch that was not taken.")
    return EagerTensor(value, tensor.dtype.base_dtype)


graph_function.RUN.append(run)
variable_handle.FORGET.append(_forget)
