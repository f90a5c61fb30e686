"""Host steps of a plan: operations that run in Python, on NumPy arrays."""
from __future__ import annotations

from typing import Any

from millstream.core.tensor import Tensor
from millstream.runtime.compiler import CompiledStage, to_numpy
from millstream.runtime.interpreter import Call, run_numpy
from millstream.runtime.plan import Stage
from millstream.runtime.services import NumpyServices
from millstream.runtime.state import Overlay, State


class HostStage:
    """The host operations of a step."""

    def __init__(self, stage: Stage, state: State) -> None:
        self.stage = stage
        self._state = state
        self._calls = [Call(op, frozenset(stage.inputs), stage.fresh.get(op, ())) for op in stage.ops]

    def run(self, values: dict[Tensor, Any], overlay: Overlay) -> None:
        """Runs the operations on NumPy arrays."""
        given = {tensor: to_numpy(values[tensor]) for tensor in self.stage.inputs}
        made = run_numpy(self._calls, given, NumpyServices(self._state, overlay))
        for tensor in self.stage.outputs:
            values[tensor] = made[tensor]


def ready(stage: Stage, state: State) -> HostStage | CompiledStage:
    """A step of a plan, ready to run."""
    return HostStage(stage, state) if stage.is_host else CompiledStage(stage, state)
