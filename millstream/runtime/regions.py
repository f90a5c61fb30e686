"""The `region` service: branches, loops and maps over rows, compiled into the program around or driven by the host."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import resource, variant
from millstream.core.opdef import DEAD
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.ops import list_values
from millstream.ops.functional_ops import is_true
from millstream.runtime import backend, loop_bounds, region_plan
from millstream.runtime.fusion import fused
from millstream.runtime.interpreter import Call, Interpreter
from millstream.runtime.state import Overlay, State

if TYPE_CHECKING:
    from millstream.runtime.compiler import TracedServices
    from millstream.runtime.lowering import Lowered

# Larger arrays that a loop only reads are put on the device once, before it starts.
_LARGE_BYTES = 65536
# What a compiled loop may keep of its turns; a longer one keeps only the turns that there are.
_MOST_BYTES = 2**30


class NeedsHost(Exception):
    """A branch or loop that cannot be part of a program: the host must drive it."""


# --- Driven from the host ---------------------------------------------------------------------------------------------


class HostRegion:
    """Runs branches and loops one function at a time."""

    def __init__(self, state: State, overlay: Overlay) -> None:
        self._state = state
        self._overlay = overlay

    def switch(self, index: Any, branches: Sequence[Lowered], values: Sequence[Any]) -> list[Any]:
        """The outputs of one branch."""
        return self._runner(branches[int(index)]).run(values, self._overlay)

    def loop(self, condition: Lowered, body: Lowered, values: Sequence[Any]) -> list[Any]:
        """The values after the last turn of a loop."""
        changing = [x is not y for x, y in zip(body.inputs, body.outputs, strict=True)]
        current = [value if changes else _on_device(value) for value, changes in zip(values, changing, strict=True)]
        test, turn = self._runner(condition), self._runner(body)
        while is_true(np.asarray(test.run(current, self._overlay)[0])):
            current = turn.run(current, self._overlay)
            self._wait()
        return current

    def rows(self, function: Lowered, values: Sequence[Any], mapped: Sequence[bool], at_a_time: int) -> list[Any]:
        """The outputs for each row of the values that are mapped, stacked."""
        runner = self._runner(function)
        count = min(len(value) for value, is_mapped in zip(values, mapped, strict=True) if is_mapped)
        rows = []
        for row in range(count):
            current = [value[row, ...] if is_mapped else value for value, is_mapped in zip(values, mapped, strict=True)]
            rows.append(runner.run(current, self._overlay))
            self._wait()
        if not rows:
            return [np.zeros([0, *map(int, tensor.shape)], tensor.dtype.as_numpy_dtype) for tensor in function.outputs]
        return [np.stack([np.asarray(value) for value in values]) for values in zip(*rows, strict=True)]

    def _runner(self, function: Lowered) -> Any:
        from millstream.runtime.functions import runner_of

        return runner_of(function, self._state)

    def _wait(self) -> None:
        """Waits for the turn's programs: what they were given may be changed, and many turns would pile up."""
        for pending in self._overlay.pending:
            pending.block_until_ready()
        self._overlay.pending.clear()


def _on_device(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object and value.nbytes > _LARGE_BYTES:
        return backend.jax().device_put(value)
    return value


# --- Compiled ---------------------------------------------------------------------------------------------------------


class _Body:
    """A function made ready to be interpreted as a part of a program."""

    def __init__(self, function: Lowered, fixed: frozenset[int]) -> None:
        plan = region_plan.plan_of(function, fixed)
        if plan is None:
            raise NeedsHost
        self._function = function
        self._given = [
            (index, tensor)
            for index, (tensor, handle) in enumerate(zip(function.inputs, function.handles, strict=True))
            if handle is None
        ]
        self._folded = plan.folded
        self._calls = [Call(op, {tensor for _, tensor in self._given}, plan.fresh.get(op, ())) for op in plan.ops]
        self._fused = fused(self._calls, (*function.outputs, *function.inputs, *plan.folded))
        self.has_checks = plan.has_checks

    def values(self, services: Any, values: Sequence[Any]) -> dict[Tensor, Any]:
        """The values of all tensors."""
        return self._interpret(self._calls, services, values)

    def run(self, services: Any, values: Sequence[Any]) -> list[Any]:
        """The values of the outputs; None for handles."""
        found = self._interpret(self._fused, services, values)
        return [None if tensor.dtype is resource else found[tensor] for tensor in self._function.outputs]

    def _interpret(self, calls: Sequence[Call], services: Any, values: Sequence[Any]) -> dict[Tensor, Any]:
        interpreter = Interpreter(backend.jax().numpy, services, self._folded)
        interpreter.values.update((tensor, values[index]) for index, tensor in self._given)
        interpreter.run(calls)
        return interpreter.values


def _body_of(function: Lowered, fixed: frozenset[int]) -> _Body:
    key = "body", fixed
    found = function.runners.get(key)
    if found is None:
        found = function.runners[key] = _Body(function, fixed)
    return found  # type: ignore[return-value]


class TracedRegion:
    """Makes branches and loops a part of the program that is being traced.

    Args:
      services: those of the program around; they get what the functions assign and check.
      op: the operation.
    """

    def __init__(self, services: TracedServices, op: Operation) -> None:
        self._services = services
        self._op = op
        self._fixed = region_plan.fixed_inputs(op)

    def switch(self, index: Any, branches: Sequence[Lowered], values: Sequence[Any]) -> list[Any]:
        """The outputs of one branch. Where it is known which, the others leave no trace."""
        return self._or_on_host(lambda: self._switch(index, branches, values))

    def loop(self, condition: Lowered, body: Lowered, values: Sequence[Any]) -> list[Any]:
        """The values after the last turn of a loop."""
        if self._services.step_by_step:
            return self._or_on_host(lambda: self._python_loop(condition, body, list(values)))
        return self._or_on_host(lambda: self._loop(condition, body, list(values)))

    def _or_on_host(self, make: Callable[[], list[Any]]) -> list[Any]:
        try:
            return make()
        except NeedsHost:
            region_plan.put_on_host(self._op)
            raise NeedsHost from None

    # --- Branches -----------------------------------------------------------------------------------------------------

    def _switch(self, index: Any, branches: Sequence[Lowered], values: Sequence[Any]) -> list[Any]:
        if not _is_traced(index):
            return _body_of(branches[int(index)], self._fixed).run(self._services, values)
        known, written = self._variables(branches)
        result = _Alike()
        absent: dict[int, Any] = {}

        def arm(branch: Lowered) -> Callable[[], Any]:
            def run() -> Any:
                inner = self._inside(known)
                outputs = _arrays(_body_of(branch, self._fixed).run(inner, values))
                for place in _fake_outputs(branch):
                    if place in absent:
                        outputs[place] = _zeros(absent[place])
                return result.checked((outputs, [inner.final(key) for key in written], _all_hold(inner.flags)))

            return run

        with _failing_later():
            arms = [arm(branch) for branch in branches]
            absent.update(self._absent_shapes(arms, branches, result))
            outputs, new, passed = backend.jax().lax.switch(index, arms)
        self._hand_out(written, new, passed, branches)
        return outputs

    def _absent_shapes(self, arms: Sequence[Any], branches: Sequence[Lowered], result: _Alike) -> dict[int, Any]:
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

    def _loop(self, condition: Lowered, body: Lowered, values: list[Any]) -> list[Any]:
        """The loop's state is what changes: the values, the variables that are written, and whether checks hold.

        A condition that checks or writes something is part of the turn before it; its result is part of the state.
        """
        changing = [index for index in range(len(values)) if index not in self._fixed]
        known, written = self._variables((condition, body))
        test, turn = _body_of(condition, self._fixed), _body_of(body, self._fixed)
        pure_test = not test.has_checks and not any(access.writes for access in region_plan.variables_of(condition))

        def inside(new: Sequence[Any]) -> Any:
            return self._inside({**known, **dict(zip(written, new, strict=True))})

        def with_changed(changed: Sequence[Any]) -> list[Any]:
            current = list(values)
            for index, value in zip(changing, changed, strict=True):
                current[index] = value
            return current

        def tested(services: Any, current: list[Any]) -> Any:
            return is_true(_array(test.run(services, current)[0]))

        def state(services: Any, current: list[Any], passed: Any) -> Any:
            go_on = () if pure_test else tested(services, current)
            passed = _and(passed, _all_hold(services.flags))
            return (
                [_array(current[index]) for index in changing],
                [services.final(key) for key in written],
                passed,
                go_on,
            )

        def goes_on(carry: Any) -> Any:
            changed, new, passed, go_on = carry
            if pure_test:
                go_on = tested(inside(new), with_changed(changed))
            return _and(passed, go_on)

        def one_turn() -> list[Any]:
            services = self._inside(known)
            return turn.run(services, values)

        alike = _Alike()

        def next_state(carry: Any) -> Any:
            changed, new, passed, _ = carry
            services = inside(new)
            return alike.checked(state(services, turn.run(services, with_changed(changed)), passed))

        first = self._inside(known)
        with _failing_later():
            self._make_room(values, self._bound(condition, body, test, values, known), one_turn)
            start = alike.checked(state(first, values, True))
            changed, new, passed, _ = backend.jax().lax.while_loop(goes_on, next_state, start)
        self._hand_out(written, new, passed, (condition, body))
        return with_changed(changed)

    def _bound(
        self, condition: Lowered, body: Lowered, test: _Body, values: list[Any], known: dict[Any, Any]
    ) -> int | None:
        """How many turns the loop has at most, where that is known."""
        return loop_bounds.turns(condition, body, values, lambda: test.values(self._inside(known), values))

    @staticmethod
    def _make_room(values: list[Any], turns: int | None, one_turn: Callable[[], list[Any]]) -> None:
        """Gives the lists that are empty at the start of a loop room for an element a turn.

        Raises:
          NeedsHost: nobody knows how many turns there are, or it would take too much memory.
        """
        places = [index for index, value in enumerate(values) if isinstance(value, list_values.Stack)]
        if not places:
            return
        if turns is None or any(values[index].size for index in places):
            raise NeedsHost
        after = backend.jax().eval_shape(one_turn)
        for index in places:
            if after[index].size != 1:
                raise NeedsHost
            element = after[index].pop()[1]
            leaves = backend.jax().tree.leaves(element)
            if turns * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) > _MOST_BYTES:
                raise NeedsHost
            values[index] = list_values.empty_array_stack(element, max(turns, 1))

    def _python_loop(self, condition: Lowered, body: Lowered, values: list[Any]) -> list[Any]:
        """The loop over arrays rather than tracers, in a program that runs operation by operation."""
        services = self._services
        test, turn = _body_of(condition, self._fixed), _body_of(body, self._fixed)
        while is_true(np.asarray(test.run(services, values)[0])) and all(np.all(flag) for flag in services.flags):
            values = [
                values[index] if index in self._fixed else value
                for index, value in enumerate(turn.run(services, values))
            ]
        return values

    # --- Rows ---------------------------------------------------------------------------------------------------------

    def rows(self, function: Lowered, values: Sequence[Any], mapped: Sequence[bool], at_a_time: int) -> list[Any]:
        """The outputs for each row of the values that are mapped, stacked; so many rows at a time, or (0) all."""
        return self._or_on_host(lambda: self._rows(function, values, mapped, at_a_time))

    def _rows(self, function: Lowered, values: Sequence[Any], mapped: Sequence[bool], at_a_time: int) -> list[Any]:
        known, written = self._variables((function,))
        if written:
            raise NeedsHost
        body, jax = _body_of(function, self._fixed), backend.jax()

        def row(slices: Sequence[Any], services: Any = None) -> Any:
            rest = iter(slices)
            current = [next(rest) if is_mapped else value for value, is_mapped in zip(values, mapped, strict=True)]
            services = services or self._inside(known)
            return _arrays(body.run(services, current)), _all_hold(services.flags)

        stacked = [_array(value) for value, is_mapped in zip(values, mapped, strict=True) if is_mapped]
        if self._services.step_by_step:
            found = [row(slices, self._services)[0] for slices in zip(*stacked, strict=True)]
            return [jax.numpy.stack(outputs) for outputs in zip(*found, strict=True)]
        with _failing_later():
            if 0 < at_a_time < len(stacked[0]):
                outputs, passed = jax.lax.map(row, stacked, batch_size=at_a_time)
            else:
                outputs, passed = jax.vmap(row)(stacked)
        self._hand_out([], [], jax.numpy.all(passed), (function,))
        return outputs

    # --- Variables and checks -----------------------------------------------------------------------------------------

    def _variables(self, functions: Sequence[Lowered]) -> tuple[dict[Any, Any], list[Any]]:
        """The present values of the variables that some functions use, and the keys of those that they write."""
        accesses = [access for function in functions for access in region_plan.variables_of(function)]
        known = {access.handle.key: self._services.current(access.handle.key) for access in accesses}
        return known, list(dict.fromkeys(access.handle.key for access in accesses if access.writes))

    def _inside(self, known: dict[Any, Any]) -> Any:
        from millstream.runtime.compiler import RegionServices

        return RegionServices(known)

    def _hand_out(self, written: list[Any], new: list[Any], passed: Any, functions: Sequence[Lowered]) -> None:
        if any(_body_of(function, self._fixed).has_checks for function in functions):
            self._services.check_region(self._op, passed)
        for key, value in zip(written, new, strict=True):
            self._services.assigned[key] = value


class _Alike:
    """Requires that results have the same structure, shapes and dtypes as the first one: a program has one type."""

    def __init__(self) -> None:
        self._first: Any = None

    def checked(self, result: Any) -> Any:
        """`result` itself.

        Raises:
          NeedsHost: it differs from an earlier one.
        """
        leaves, structure = backend.jax().tree.flatten(result)
        found = structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
        if self._first is None:
            self._first = found
        elif found != self._first:
            raise NeedsHost
        return result

    def forget(self) -> None:
        """Starts anew."""
        self._first = None


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


def _array(value: Any) -> Any:
    """A value as the program holds it: an array, or None for a handle."""
    if value is None or isinstance(value, list_values.LISTS):
        return value
    if value is DEAD:
        raise NeedsHost
    return backend.jax().numpy.asarray(value)


def _arrays(values: Sequence[Any]) -> list[Any]:
    return [_array(value) for value in values]


def _all_hold(flags: Sequence[Any]) -> Any:
    """Whether all flags are true."""
    jnp = backend.jax().numpy
    return jnp.all(jnp.stack([jnp.all(flag) for flag in flags])) if flags else jnp.asarray(True)


def _and(first: Any, second: Any) -> Any:
    return second if first is True else backend.jax().numpy.logical_and(first, second)


@contextmanager
def _failing_later() -> Iterator[None]:
    """What fails while a branch or body is traced fails only if it runs: the host finds that out."""
    try:
        yield
    except errors.OpError:
        raise NeedsHost from None
