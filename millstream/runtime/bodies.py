"""The `region` service on the host: branches, loops and maps over rows run one turn after the other.

Host operations and those on small arrays run with NumPy one by one, as in eager execution; a longer row of operations,
or one on larger arrays, is compiled once and called in each turn. Where shapes change from turn to turn NumPy does all.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import resource, variant
from millstream.core.tensor import Tensor
from millstream.ops.functional_ops import is_true
from millstream.runtime import backend, devices
from millstream.runtime.compiler import CompiledStage, to_numpy
from millstream.runtime.eager import COMPILED_AT_ONCE, SMALL, TIMES_BEFORE_COMPILING
from millstream.runtime.file_names import check_file_names, users_of_files
from millstream.runtime.interpreter import Call, Interpreter, most_elements
from millstream.runtime.lowering import Lowered
from millstream.runtime.plan import Stage, make_plan
from millstream.runtime.services import NumpyServices
from millstream.runtime.state import Overlay, State

# What calling a program costs, and what an operation with NumPy costs before it does anything, in elements of a simple
# operation: a program pays from about 25 operations on scalars on.
_COST_OF_PROGRAM = 120_000
_COST_OF_OPERATION = 5_000
# So many kinds of inputs are kept in mind.
_MOST_KINDS = 1024
# Larger arrays that a loop only reads are put on the device once, before it starts.
_LARGE_BYTES = 65536


class HostRegion:
    """Runs branches and loops one function at a time."""

    def __init__(self, state: State, overlay: Overlay) -> None:
        self._state = state
        self._overlay = overlay

    def switch(self, index: Any, branches: Sequence[Lowered], values: Sequence[Any]) -> list[Any]:
        """The outputs of one branch."""
        return self._runner_of(branches[int(index)]).run(values, self._overlay)

    def loop(self, condition: Lowered, body: Lowered, values: Sequence[Any]) -> list[Any]:
        """The values after the last turn of a loop."""
        changing = [x is not y for x, y in zip(body.inputs, body.outputs, strict=True)]
        current = [value if changes else _on_device(value) for value, changes in zip(values, changing, strict=True)]
        test, turn = self._runner_of(condition), self._runner_of(body)
        while is_true(np.asarray(test.run(current, self._overlay)[0])):
            new = turn.run(current, self._overlay)
            current = [value if changes else old for value, old, changes in zip(new, current, changing, strict=True)]
            self._wait()
        return current

    def rows(self, function: Lowered, values: Sequence[Any], mapped: Sequence[bool], at_a_time: int) -> list[Any]:
        """The outputs for each row of the values that are mapped, stacked."""
        runner = self._runner_of(function)
        count = min(len(value) for value, is_mapped in zip(values, mapped, strict=True) if is_mapped)
        rows = []
        for row in range(count):
            current = [value[row, ...] if is_mapped else value for value, is_mapped in zip(values, mapped, strict=True)]
            rows.append(runner.run(current, self._overlay))
            self._wait()
        if not rows:
            return [np.zeros([0, *map(int, tensor.shape)], tensor.dtype.as_numpy_dtype) for tensor in function.outputs]
        return [np.stack([np.asarray(value) for value in values]) for values in zip(*rows, strict=True)]

    def _runner_of(self, function: Lowered) -> BodyRunner:
        """The runner of a branch or a loop's body; made once."""
        found = function.runners.get(self._state)
        if found is None:
            found = function.runners[self._state] = BodyRunner(function, self._state)
        return found  # type: ignore[return-value]

    def _wait(self) -> None:
        """Waits for the turn's programs: what they were given may be changed, and many turns would pile up."""
        for pending in self._overlay.pending:
            pending.block_until_ready()
        self._overlay.pending.clear()


def _on_device(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object and value.nbytes > _LARGE_BYTES:
        return backend.jax().device_put(value)
    return value


class BodyRunner:
    """A branch or a loop's body in one state: values of its inputs in, values of its outputs out."""

    def __init__(self, function: Lowered, state: State) -> None:
        fed = [tensor for tensor, handle in zip(function.inputs, function.handles, strict=True) if handle is None]
        placer = devices.Placer(soft=True, log_placement=False)
        plan = make_plan(function.graph, function.outputs, function.targets, fed, placer)
        check_file_names(users_of_files(plan.steps), (), denied=frozenset(function.inputs))
        self._inputs = function.inputs
        self._outputs = function.outputs
        self._state = state
        self._constants = {
            op.outputs[0]: op.attrs["value"] for step in plan.steps for op in step.ops if op.type == "Const"
        }
        self.steps: list[_Step] = []
        for step in plan.steps:
            step.shared = True  # when something fails later, all is as it was before the run
            self.steps.append(_Step(step) if step.is_host else _DeviceStep(step, state))

    def run(self, values: Sequence[Any], overlay: Overlay) -> list[Any]:
        """Runs once, as a part of a host operation of another plan."""
        interpreter = Interpreter(np, NumpyServices(self._state, overlay))
        known = interpreter.values
        known.update(self._constants)
        known.update(zip(self._inputs, values, strict=True))
        for step in self.steps:
            step.run(interpreter, overlay)
        return [known[tensor] for tensor in self._outputs]


class _Step:
    """Operations that always run with NumPy."""

    def __init__(self, stage: Stage) -> None:
        self._inputs = stage.inputs
        given = frozenset(stage.inputs)
        calls = [Call(op, given, stage.fresh.get(op, ())) for op in stage.ops if op.type != "Const"]
        self._calls = calls

    def run(self, interpreter: Interpreter, overlay: Overlay) -> None:
        """Runs the operations on the interpreter's values."""
        values = interpreter.values
        for tensor in self._inputs:
            value = values[tensor]
            if type(value) is not np.ndarray:
                values[tensor] = to_numpy(value)
        interpreter.run(self._calls)
        interpreter.finish()


class _DeviceStep(_Step):
    """A stage that can be compiled."""

    def __init__(self, stage: Stage, state: State) -> None:
        super().__init__(stage)
        self.compiled = CompiledStage(stage, state)
        self._statics = stage.statics
        self._variables = [handle.key for handle in (*stage.reads, *stage.writes)]
        definitions = [call.op.definition for call in self._calls]
        # The host can drive branches and loops in turn; what else is written for XLA is compiled.
        self._is_interpretable = not stage.device and all(
            kind.calls_function or not kind.traced_only for kind in definitions
        )
        sizes = [most_elements(t for t in (*call.inputs, *call.op.outputs) if _is_array(t)) for call in self._calls]
        known = [size for size in sizes if size is not None]
        left = _COST_OF_PROGRAM - _COST_OF_OPERATION * len(sizes) - sum(known)
        unknown = len(sizes) - len(known)
        self._small = min(SMALL, left // unknown) if unknown else SMALL  # what an array of unknown size may have
        self._may_be_small = (
            left >= 0 and max(known, default=0) <= SMALL and not any(kind.calls_function for kind in definitions)
        )
        self._unsized = frozenset(tensor for tensor in stage.inputs if most_elements([tensor]) is None)
        self._kinds: dict[Hashable, int] = {}  # of inputs, and how often they have come

    def run(self, interpreter: Interpreter, overlay: Overlay) -> None:
        if self._is_for_numpy(interpreter.values, overlay):
            super().run(interpreter, overlay)
        else:
            self.compiled.run(interpreter.values, overlay)

    def _is_for_numpy(self, values: dict[Any, Any], overlay: Overlay) -> bool:
        if not self._is_interpretable:
            return False
        if self._may_be_small and self._are_small(values, overlay):
            return True
        statics = [to_numpy(values[tensor]) for tensor in self._statics]
        kind = (
            tuple([getattr(values[tensor], "shape", None) for tensor in self._inputs]),
            tuple([value.tobytes() if hasattr(value, "tobytes") else None for value in statics]),
        )
        times = self._kinds.get(kind)
        if times is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            times = TIMES_BEFORE_COMPILING if len(self._kinds) < COMPILED_AT_ONCE else 0
        self._kinds[kind] = times + 1
        return times < TIMES_BEFORE_COMPILING

    def _are_small(self, values: dict[Any, Any], overlay: Overlay) -> bool:
        """Whether the inputs are arrays on the host, and small where that is not known beforehand."""
        for tensor in self._inputs:
            value = values[tensor]
            if type(value) is not np.ndarray and not _is_on_host(value):
                return False
            if tensor in self._unsized and getattr(value, "size", 0) > self._small:
                return False
        return all(getattr(overlay.get(key), "size", 0) <= SMALL for key in self._variables)


def _is_array(tensor: Tensor) -> bool:
    """Whether a tensor is an array, rather than a handle or a list."""
    return tensor.dtype is not resource and tensor.dtype is not variant and not tensor.dtype.is_ref


def _is_on_host(value: Any) -> bool:
    return value.platform() == "cpu" if hasattr(value, "platform") else True
