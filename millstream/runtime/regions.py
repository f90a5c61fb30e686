"""The `region` service in programs: branches, loops and maps over rows are compiled into the program around."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from millstream.core.dtypes import variant
from millstream.core.operation import Operation
from millstream.ops import list_values
from millstream.ops.functional_ops import is_true
from millstream.ops.list_values import NeedsHost
from millstream.runtime import backend, loop_sums, region_plan
from millstream.runtime.traced_loop import TracedLoop
from millstream.runtime.traced_parts import (
    Alike,
    Surroundings,
    all_hold,
    as_array,
    as_arrays,
    body_of,
    failing_later,
)

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered
    from millstream.runtime.services import TracedServices


class TracedRegion:
    """Makes branches and loops a part of the program that is being traced.

    Args:
      services: those of the program around; they get what the functions assign, check and draw.
      op: the operation.

    All methods raise `NeedsHost` for what cannot be a part of a program.
    """

    def __init__(self, services: TracedServices, op: Operation) -> None:
        self._services = services
        self._op = op
        self._fixed = region_plan.fixed_inputs(op)

    # --- Branches -----------------------------------------------------------------------------------------------------

    def switch(self, index: Any, branches: Sequence[Lowered], values: Sequence[Any]) -> list[Any]:
        """The outputs of one branch. Where it is known which, the others leave no trace."""
        if not _is_traced(index):
            return body_of(branches[int(index)], self._fixed).run(self._services, values)
        around = self._around(branches)
        result = Alike()
        absent: dict[int, Any] = {}

        def arm(branch: Lowered) -> Callable[[], Any]:
            def run() -> Any:
                inner = around.inside()
                outputs = [list_values.settled(value) for value in body_of(branch, self._fixed).run(inner, values)]
                outputs = as_arrays(outputs)
                for place in _fake_outputs(branch):
                    if place in absent:
                        outputs[place] = _zeros(absent[place])
                return result.checked((outputs, around.effects(inner), all_hold(inner.flags)))

            return run

        with failing_later():
            arms = [arm(branch) for branch in branches]
            absent.update(self._absent_shapes(arms, branches, result))
            outputs, effects, passed = backend.jax().lax.switch(index, arms)
        self._check(passed, branches)
        around.take(effects)
        return outputs

    def _absent_shapes(self, arms: Sequence[Any], branches: Sequence[Lowered], result: Alike) -> dict[int, Any]:
        """The shapes of the outputs that some branches do not compute, where the graph does not tell."""
        places = {place for branch in branches for place in _fake_outputs(branch) if not _is_known(branch, place)}
        if not places:
            return {}
        found: dict[int, Any] = {}
        for arm, branch in zip(arms, branches, strict=True):
            outputs = backend.jax().eval_shape(arm)[0]
            result.forget()
            found.update((place, outputs[place]) for place in places - _fake_outputs(branch))
        return found

    # --- Loops --------------------------------------------------------------------------------------------------------

    def loop(self, condition: Lowered, body: Lowered, values: Sequence[Any]) -> list[Any]:
        """The values after the last turn of a loop."""
        if self._services.step_by_step:
            return self._python_loop(condition, body, list(values))
        sums = loop_sums.factored(condition, body)
        if sums is not None:
            with suppress(NeedsHost):
                loop = TracedLoop(self._services, self._op, sums.condition, sums.body, sums.start(values))
                return sums.finish(loop.run(sums.pays))
        return TracedLoop(self._services, self._op, condition, body, list(values)).run()

    def _python_loop(self, condition: Lowered, body: Lowered, values: list[Any]) -> list[Any]:
        """The loop over arrays rather than tracers, in a program that runs operation by operation."""
        services = self._services
        test, turn = body_of(condition, self._fixed), body_of(body, self._fixed)
        while is_true(np.asarray(test.run(services, values)[0])) and all(np.all(flag) for flag in services.flags):
            values = [
                values[index] if index in self._fixed else value
                for index, value in enumerate(turn.run(services, values))
            ]
        return values

    # --- Rows ---------------------------------------------------------------------------------------------------------

    def rows(self, function: Lowered, values: Sequence[Any], mapped: Sequence[bool], at_a_time: int) -> list[Any]:
        """The outputs for each row of the values that are mapped, stacked; so many rows at a time, or (0) all."""
        around = self._around((function,))
        body, jax = body_of(function, self._fixed), backend.jax()

        def row(slices: Sequence[Any], services: Any = None) -> Any:
            rest = iter(slices)
            current = [next(rest) if is_mapped else value for value, is_mapped in zip(values, mapped, strict=True)]
            services = services or around.inside()
            return as_arrays(body.run(services, current)), all_hold(services.flags)

        stacked = [as_array(value) for value, is_mapped in zip(values, mapped, strict=True) if is_mapped]
        if self._services.step_by_step:
            found = [row(slices, self._services)[0] for slices in zip(*stacked, strict=True)]
            return [jax.numpy.stack(outputs) for outputs in zip(*found, strict=True)]
        with failing_later():
            if around.change:
                outputs, passed = self._one_by_one(row, stacked, around)
            elif 0 < at_a_time < len(stacked[0]):
                outputs, passed = jax.lax.map(row, stacked, batch_size=at_a_time)
            else:
                outputs, passed = jax.vmap(row)(stacked)
        self._check(jax.numpy.all(passed), (function,))
        return outputs

    @staticmethod
    def _one_by_one(row: Callable[..., Any], stacked: list[Any], around: Surroundings) -> Any:
        """The rows in their order, each after what the one before it has done to variables and random streams."""
        alike = Alike()

        def turn(effects: Any, slices: Any) -> Any:
            services = around.inside(effects)
            result = row(slices, services)
            return alike.checked(around.effects(services)), result

        effects, found = backend.jax().lax.scan(turn, alike.checked(around.effects(around.inside())), stacked)
        around.take(effects)
        return found

    def _around(self, functions: Sequence[Lowered]) -> Surroundings:
        return Surroundings(self._services, functions, self._fixed)

    def _check(self, passed: Any, functions: Sequence[Lowered]) -> None:
        if any(body_of(function, self._fixed).has_checks for function in functions):
            self._services.check_region(self._op, passed)


def _fake_outputs(branch: Lowered) -> frozenset[int]:
    """The outputs that a branch does not compute."""
    return frozenset(index for index, tensor in enumerate(branch.outputs) if tensor.op.type == "FakeParam")


def _is_known(branch: Lowered, place: int) -> bool:
    tensor = branch.outputs[place]
    return tensor.dtype is not variant and tensor._shape is not None and None not in tensor._shape


def _zeros(like: Any) -> Any:
    jax = backend.jax()
    return jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), like)


def _is_traced(value: Any) -> bool:
    return isinstance(value, backend.jax().core.Tracer)
