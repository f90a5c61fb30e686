"""Makes a stage of a plan into one XLA executable, and runs it.

`jax.jit` traces a Python function that interprets the stage's operations; it specialises by the shapes and dtypes of
what is passed. Values that shapes depend on (`Stage.statics`) are compiled in, one program for each set of values.
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import string
from millstream.core.log import millstream_logger
from millstream.core.opdef import DEAD
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.ops import list_values
from millstream.runtime import backend, devices, region_plan
from millstream.runtime.fusion import fused
from millstream.runtime.interpreter import CONSTANT_BYTES, Call, Interpreter, run_numpy
from millstream.runtime.plan import Stage, cut_anew, split_stage
from millstream.runtime.regions import HostRegion, NeedsHost, TracedRegion
from millstream.runtime.state import Key, Overlay, RowUpdate, State, StateService

if TYPE_CHECKING:
    from concurrent.futures import Future

# So many programs for different static values, then the stage runs operation by operation.
MAX_SPECIALISATIONS = 32
# So many traces of one stage are worth a line on the log.
_STORM = 16
# XLA's compile time grows faster than the length of a program: from about here on two programs are made in less time
# than one of twice the length (a chain of 400 softplus is 2,400 equations: 3.4 s whole, 1.8 s in two).
MAX_EQUATIONS = 1500
# Shorter stages need not be counted.
_MANY_OPERATIONS = 100
# A stage without inputs is interpreted with NumPy so often before it is worth compiling.
_INTERPRETED_RUNS = 2
_SLOW_COMPILATION_SECONDS = 20.0
# What refers to a variable's array that only the state holds: the state, a local name, the call of `getrefcount`.
_OWN_REFERENCES = 3


Message = str | Callable[..., str]  # with places {0}, {1} for the values, or a function of the values
_RETURNED: Any = object()  # stands for a value that the program gives back
_IN_FUNCTION = "A check failed"  # in a branch or a loop's body


class Check(NamedTuple):
    """A run-time check of a compiled stage: what to raise where its flag is false."""

    op: Operation
    error: type[errors.OpError]
    message: Message
    values: tuple[Any, ...]


class Report:
    """What tracing found out, carried as static data of the program's result: it belongs to that very trace."""

    __slots__ = ("checks", "blocks")

    def __init__(self, checks: tuple[Check, ...], blocks: tuple[int, ...]) -> None:
        self.checks = checks
        self.blocks = blocks


class TracedServices:
    """What kernels may ask for while a stage is traced."""

    step_by_step = False  # whether the values are arrays rather than tracers: the program runs operation by operation

    def __init__(
        self, variables: dict[Key, Any], streams: Any, stream_index: dict[Any, int], donates: bool
    ) -> None:
        self.variables = variables
        self.assigned: dict[Key, Any] = _Assignments(self) if donates else {}
        self.checks: list[Check] = []
        self.flags: list[Any] = []
        self.shown: list[tuple[Any, ...]] = []
        self._passed: list[Any] = []
        self.blocks = [0] * len(stream_index)
        self._streams = streams
        self._stream_index = stream_index

    def state(self, op: Operation) -> StateService:
        return StateService(self.variables, self.assigned, op)

    def stream(self, op: Operation, seed: int, seed2: int, blocks: int) -> tuple[Any, Any]:
        index = self._stream_index[op]
        self.blocks[index] = blocks
        row = self._streams[index]
        return (row[0] & 0xFFFFFFFF, row[0] >> 32), row[1:3]

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if isinstance(ok, (bool, np.bool_, np.ndarray)) and all(map(_is_concrete, values)):
            if not bool(ok):
                raise failed_check(Check(op, error, message, values), ())
            return
        known = tuple(value if _is_concrete(value) else _RETURNED for value in values)
        self.checks.append(Check(op, error, message, known))
        self.flags.append(ok)
        self.shown.append(tuple(value for value in values if not _is_concrete(value)))

    def region(self, op: Operation) -> TracedRegion:
        return TracedRegion(self, op)

    def check_region(self, op: Operation, ok: Any) -> None:
        """Notes whether the checks in an operation's functions hold; which of them fails is found out afterwards."""
        self.checks.append(Check(op, errors.InternalError, _IN_FUNCTION, ()))
        self.flags.append(ok)
        self.shown.append(())

    def current(self, key: Key) -> Any:
        """The value that a variable has now, or None."""
        return self.assigned[key] if key in self.assigned else self.variables.get(key)

    def final(self, key: Key) -> Any:
        """The value that a variable has at the end."""
        if isinstance(self.assigned, _Assignments):
            return self.assigned.final(key)
        return self.assigned.get(key, self.variables.get(key))

    def passed(self) -> Any:
        """Whether all checks so far hold."""
        from jax import numpy as jnp

        if len(self._passed) < len(self.flags):  # one more term a check, however often this is asked
            for flag in self.flags[len(self._passed) :]:
                last = self._passed[-1] if self._passed else True
                self._passed.append(jnp.logical_and(last, jnp.all(flag)))
        return self._passed[-1]

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        raise RuntimeError("Only host operations use the resources of a session.")

    def wait(self, futures: list[Future[Any]]) -> None:
        raise RuntimeError("Only host operations are asynchronous.")

    def python(self) -> AbstractContextManager[None]:
        raise RuntimeError("Only host operations run Python code.")


class RegionServices(TracedServices):
    """What kernels may ask for in a branch or a loop's body: what they check, and assign, is part of its result."""

    def __init__(self, variables: dict[Key, Any]) -> None:
        super().__init__(variables, None, {}, False)

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if not _is_concrete(ok) or not np.all(ok):
            self.flags.append(ok)

    def check_region(self, op: Operation, ok: Any) -> None:
        self.flags.append(ok)


class _Assignments(dict[Key, Any]):
    """What a stage assigns to variables whose arrays it takes over.

    Each value is the new one where all checks hold, else the old one: so the program can give back what it took. The
    choice is made where the variable is assigned, because what reads it afterwards then goes on from there; made at
    the end alone it costs another pass over the arrays. Only updates of rows are put off to the end, or until the
    variable is read: where a check fails they are dropped, and the array is changed in place, however large it is.
    """

    def __init__(self, services: TracedServices) -> None:
        super().__init__()
        self._services = services
        self._covered: dict[Key, int] = {}  # how many checks each value takes into account

    def __setitem__(self, key: Key, value: Any) -> None:
        old = self[key] if key in self else self._services.variables.get(key)
        super().__setitem__(key, self._restorable(key, value, old))

    def put_off(self, key: Key, update: RowUpdate) -> None:
        """Assigns an update of rows, which is made when the value is asked for."""
        super().__setitem__(key, update)

    def __getitem__(self, key: Key) -> Any:
        value = super().__getitem__(key)
        if type(value) is RowUpdate:
            del self[key]
            self[key] = value.applied()
            value = super().__getitem__(key)
        return value

    def final(self, key: Key) -> Any:
        """The value that the program gives back for a variable."""
        old = self._services.variables.get(key)
        if key not in self:
            return old
        value = super().__getitem__(key)
        if type(value) is RowUpdate and value.base is old:
            return value.applied_if(self._services.passed()) if self._services.flags else value.applied()
        if self._covered[key] == len(self._services.flags):
            return self[key]
        return self._restorable(key, self[key], old)

    def _restorable(self, key: Key, value: Any, old: Any) -> Any:
        self._covered[key] = len(self._services.flags)
        if not self._services.flags or old is None:
            return value
        if value.shape != old.shape:
            raise _CannotRestore
        from jax import numpy as jnp

        return jnp.where(self._services.passed(), value, old)


class NumpyServices:
    """What kernels may ask for when they run on NumPy arrays."""

    def __init__(self, state: State, overlay: Overlay) -> None:
        self._state = state
        self._overlay = overlay
        self._variables = _NumpyVariables(overlay)
        self._assigned = overlay.changed

    def state(self, op: Operation) -> StateService:
        return StateService(self._variables, self._assigned, op)

    def stream(self, op: Operation, seed: int, seed2: int, blocks: int) -> tuple[Any, Any]:
        stream = self._state.stream(op, seed, seed2)
        return (stream.key & 0xFFFFFFFF, stream.key >> 32), _words(stream.take(blocks))

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if not bool(ok):
            raise failed_check(Check(op, error, message, values), ())

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        return self._state.resource(key, make)

    def region(self, op: Operation) -> HostRegion:
        return HostRegion(self._state, self._overlay)

    def wait(self, futures: list[Future[Any]]) -> None:
        self._state.wait(futures, self._overlay)

    def python(self) -> AbstractContextManager[None]:
        return self._state.open_to_others(self._overlay) if self._state.seen_by_python else nullcontext()


class _NumpyVariables(dict[Key, Any]):
    """A view of an overlay that hands out NumPy arrays."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay

    def get(self, key: Key, default: Any = None) -> Any:
        value = self._overlay.get(key)
        return default if value is None else np.asarray(value)


def _words(counter: int) -> np.ndarray[Any, Any]:
    return np.array([counter & ((1 << 64) - 1), counter >> 64], np.uint64)


def failed_check(check: Check, returned: Sequence[Any]) -> errors.OpError:
    """The error of a run-time check that did not hold, with the values that the program gave back."""
    rest = iter(returned)
    values = [next(rest) if value is _RETURNED else value for value in check.values]
    if callable(check.message):
        sentence = check.message(*(np.asarray(value) for value in values))
    else:
        sentence = check.message.format(*(_brief(value) for value in values)) if values else check.message
    op = check.op
    text = errors.format_message(
        sentence, received=f"node {op.name} (op: {op.type})", defined_at=op.defined_at
    )
    return check.error(None, op, text)  # type: ignore[call-arg]  # each kind of error knows its code


def _is_array(value: Any) -> bool:
    return value is not None and not isinstance(value, list_values.LISTS)


def _is_concrete(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, int, float, str, bytes))


def _brief(value: Any) -> str:
    array = np.asarray(value)
    if array.size <= 10:
        return " ".join(str(item) for item in array.reshape(-1).tolist()) if array.ndim else str(array.item())
    return " ".join(str(item) for item in array.reshape(-1)[:3].tolist()) + "..."


class CompiledStage:
    """A device stage of a plan, ready to run in one session."""

    def __init__(self, stage: Stage, state: State) -> None:
        self.stage = stage
        self._state = state
        big = [op for op in stage.ops if op.type == "Const" and op.attrs["value"].nbytes > CONSTANT_BYTES]
        given = frozenset(stage.inputs)
        self._constants = [op.outputs[0] for op in big if op.outputs[0] not in stage.folded | given]
        self._constant_arrays: tuple[Any, ...] | None = None
        hoisted = {tensor.op for tensor in self._constants}
        self._calls = [Call(op, given, stage.fresh.get(op, ())) for op in stage.ops if op not in hoisted]
        # Constant strings never enter a program: they are there for the messages of checks, or for later steps.
        self._texts = [tensor for tensor in stage.inputs if tensor.dtype is string]
        self._outputs = [tensor for tensor in stage.outputs if tensor.dtype is not string]
        static = {*stage.statics, *self._texts}
        self._dynamic = [tensor for tensor in stage.inputs if tensor not in static]
        self._write_keys = [handle.key for handle in stage.writes]
        self._read_keys = [handle.key for handle in stage.reads]
        streams = [op for op in stage.ops if "stream" in op.definition.kernel_services]
        self._stream_ops = streams
        self._stream_index = {op: index for index, op in enumerate(streams)}
        self._has_report = bool(streams) or any(map(region_plan.has_checks, stage.ops))
        self._donates = not stage.shared and bool(self._write_keys)
        self._parts: list[Any] = []  # in place of this stage, where it is too long for one program
        self._programs: dict[Any, Callable[..., Any]] = {}
        self._traces = 0
        self._timer: threading.Timer | None = None  # runs while a trace or compilation goes on
        self._runs = 0
        self._moves_only = all(
            op.definition.moves_data or op.definition.reads_shape_only or not op.inputs for op in stage.ops
        )
        traced_only = any(op.definition.traced_only for op in stage.ops)
        reads = any(handle for handle in stage.reads) or self._reads_what_it_writes()
        self._no_inputs = not stage.inputs and not reads and not traced_only
        self._interpretable = not traced_only
        self._deterministic = self._no_inputs and not streams and not self._has_effects()
        self._folded_outputs: list[Any] | None = None

    def _has_effects(self) -> bool:
        services = frozenset(("check",))  # a check that once passed on constants always does
        return any(op.definition.stateful or op.definition.kernel_services - services for op in self.stage.ops)

    def _reads_what_it_writes(self) -> bool:
        """Whether an operation uses the old value of a variable, as `AssignAdd` does and `Assign` does not."""
        return bool(self.stage.fresh) or any(
            tensor.dtype.is_ref and not call.op.definition.allows_uninitialized
            for call in self._calls
            for tensor in call.op.inputs
            if call.op.definition.writes or call.derefs
        ) or any("state" in call.services and not call.op.definition.writes and call.op.inputs for call in self._calls)

    def run(self, values: dict[Tensor, Any], overlay: Overlay) -> None:
        """Runs the stage: takes its inputs from `values`, puts its outputs there, variables go to `overlay`.

        The caller holds the session's state lock.
        """
        self._runs += 1
        if self._parts:
            for part in self._parts:
                part.run(values, overlay)
        elif self._deterministic:
            self._run_folded(values, overlay)
        elif self._moves_only and self._interpretable and not self._write_keys:
            self._run_numpy(values, overlay)
        elif self._no_inputs and self._runs <= _INTERPRETED_RUNS:
            self._run_numpy(values, overlay)
        elif self.stage.device:
            with devices.running_on(self.stage.device):
                self._run_compiled(values, overlay)
        else:
            self._run_compiled(values, overlay)

    # --- With NumPy -------------------------------------------------------------------------------------------------

    def _run_folded(self, values: dict[Tensor, Any], overlay: Overlay) -> None:
        """A stage of constants gives the same each time: computed once."""
        if self._folded_outputs is None:
            local: dict[Tensor, Any] = {}
            self._run_numpy(local, overlay)
            self._folded_outputs = [local[tensor] for tensor in self.stage.outputs]
        values.update(zip(self.stage.outputs, self._folded_outputs, strict=True))

    def _run_numpy(self, values: dict[Tensor, Any], overlay: Overlay) -> None:
        given = {tensor: to_numpy(values[tensor]) for tensor in self.stage.inputs}
        for tensor in self._constants:
            given[tensor] = tensor.op.attrs["value"]
        made = run_numpy(self._calls, given, NumpyServices(self._state, overlay))
        for tensor in self.stage.outputs:
            values[tensor] = made[tensor]

    # --- Compiled ---------------------------------------------------------------------------------------------------

    def _run_compiled(self, values: dict[Tensor, Any], overlay: Overlay) -> None:
        arguments = self._arguments(values, overlay)
        try:
            result = self._call_program(values, arguments)
        except _TooLong as too_long:
            self._run_in_parts(split_stage(self.stage, too_long.parts), values, overlay)
            return
        except NeedsHost:
            self._run_in_parts(cut_anew(self.stage), values, overlay)
            return
        except _CannotRestore:
            self._donates = False
            self._programs.clear()
            result = self._call_program(values, arguments)
        outputs, new = result[0], result[1]
        overlay.pending.append(next(filter(_is_array, (result[2], *outputs))))
        if self._has_report:
            self._finish_report(result, values, arguments, overlay)
        overlay.changed.update(zip(self._write_keys, new, strict=True))
        for tensor, value in zip(self._outputs, outputs, strict=True):
            values[tensor] = DEAD if value is None else value
        for tensor in self.stage.outputs if len(self._outputs) < len(self.stage.outputs) else ():
            if tensor.dtype is string:
                values[tensor] = tensor.op.attrs["value"]

    def _run_in_parts(self, parts: Sequence[Stage], values: dict[Tensor, Any], overlay: Overlay) -> None:
        """Runs parts of the stage in its place, from now on."""
        from millstream.runtime.host import ready

        self._parts = [ready(part, self._state) for part in parts]
        for part in self._parts:
            part.run(values, overlay)

    def _arguments(self, values: dict[Tensor, Any], overlay: Overlay) -> tuple[Any, ...]:
        written = tuple([self._device_array(overlay, key, self._donates) for key in self._write_keys])
        # To JAX a dead value is an empty tree: the program is traced anew for it.
        inputs = tuple([None if (value := values[tensor]) is DEAD else value for tensor in self._dynamic])
        read = tuple([self._device_array(overlay, key) for key in self._read_keys])
        streams = self._stream_argument() if self._stream_ops else ()
        return inputs, written, read, streams, self._constants_argument()

    def _call_program(self, values: dict[Tensor, Any], arguments: tuple[Any, ...]) -> Any:
        try:
            program = self._program(values)
            if self._traces == 0 and len(self._calls) >= _MANY_OPERATIONS:
                _require_short(program, arguments)
            return program(*arguments)
        finally:
            if self._timer is not None:
                self._after_trace()

    def _program(self, values: dict[Tensor, Any]) -> Callable[..., Any]:
        """The compiled program for the present static values."""
        key: Any = None
        if self.stage.statics:
            arrays = [to_numpy(values[tensor]) for tensor in self.stage.statics]
            key = tuple(
                DEAD if array is DEAD else (array.tobytes(), array.shape, array.dtype.str) for array in arrays
            )
        found = self._programs.get(key)
        if found is None:
            statics = self._static_values(values)
            if len(self._programs) >= MAX_SPECIALISATIONS:
                return _run_eagerly(self._make_program(statics, step_by_step=True))
            found = self._programs[key] = self._jit(statics)
        return found

    def _static_values(self, values: dict[Tensor, Any]) -> dict[Tensor, Any]:
        """What is compiled into a program."""
        return {
            **{tensor: to_numpy(values[tensor]) for tensor in self.stage.statics},
            **{tensor: values[tensor] for tensor in self._texts},
        }

    def _jit(self, statics: dict[Tensor, Any]) -> Callable[..., Any]:
        jax = backend.jax()
        register_report(jax)
        program = self._make_program(statics)
        return jax.jit(program, donate_argnums=(1,) if self._donates else ())

    def _make_program(self, statics: dict[Tensor, Any], step_by_step: bool = False) -> Callable[..., Any]:
        """The function that is traced; or that is called as it is, and runs operation by operation."""
        jnp = backend.jax().numpy

        def millstream_stage(inputs: Any, written: Any, read: Any, streams: Any, constants: Any) -> Any:
            self._traces += 1
            self._timer = _warn_when_slow(len(self._calls))
            variables = dict(zip((*self._write_keys, *self._read_keys), (*written, *read), strict=True))
            services = TracedServices(variables, streams, self._stream_index, self._donates)
            services.step_by_step = step_by_step
            interpreter = Interpreter(jnp, services, self.stage.folded)
            interpreter.values.update(statics)
            for tensor, value in zip(self._dynamic, inputs, strict=True):
                interpreter.values[tensor] = DEAD if value is None else value
            interpreter.values.update(zip(self._constants, constants, strict=True))
            interpreter.run(fused(self._calls, (*self.stage.outputs, *self.stage.inputs, *self.stage.folded)))
            found = [interpreter.values[tensor] for tensor in self._outputs]
            new = [services.final(key) for key in self._write_keys]
            outputs, new = _distinct(found, new, (*inputs, *written, *read, *constants))
            # Something to wait for. A variable's array would not do: the next run may take it over.
            done = None if any(map(_is_array, outputs)) else jnp.zeros((), bool)
            if not self._has_report:
                return outputs, new, done
            report = Report(tuple(services.checks), tuple(services.blocks))
            flags: Any = ()
            if services.flags:
                flags = jnp.stack([jnp.all(flag) for flag in services.flags])
            return outputs, new, done, flags, services.shown, report

        return millstream_stage

    def _device_array(self, overlay: Overlay, key: Key, owned: bool = False) -> Any:
        """A variable's array as one that XLA owns; `owned`: which nobody else holds, so that it can be donated."""
        value = overlay.get(key)
        if value is None:
            return None
        if isinstance(value, np.ndarray) or owned and sys.getrefcount(value) > _OWN_REFERENCES:
            value = own_copy(value)
            target = overlay.changed if key in overlay.changed else overlay.base
            target[key] = value
        return value

    def _constants_argument(self) -> tuple[Any, ...]:
        if self._constant_arrays is None:
            put = backend.jax().device_put if self._constants else None
            self._constant_arrays = tuple(put(tensor.op.attrs["value"]) for tensor in self._constants)  # type: ignore[misc]
        return self._constant_arrays

    def _stream_argument(self) -> np.ndarray[Any, Any]:
        rows = np.empty((len(self._stream_ops), 3), np.uint64)
        for row, op in zip(rows, self._stream_ops, strict=True):
            stream = self._state.stream(op, op.attrs.get("seed", 0), op.attrs.get("seed2", 0))
            row[0] = stream.key
            row[1] = stream.counter & ((1 << 64) - 1)
            row[2] = stream.counter >> 64
        return rows

    def _finish_report(
        self, result: Any, values: dict[Tensor, Any], arguments: tuple[Any, ...], overlay: Overlay
    ) -> None:
        _, new, _, flags, shown, report = result
        for op, blocks in zip(self._stream_ops, report.blocks, strict=True):
            self._state.stream(op, 0, 0).take(blocks)
        if not report.checks:
            return
        passed = np.asarray(flags)
        if passed.all():
            return
        if self._donates:  # the old arrays are gone; the program gave their contents back
            kept = zip(self._write_keys, new, strict=True)
            overlay.base.update((key, value) for key, value in kept if overlay.base.get(key) is not None)
        index = int(np.argmin(passed))
        if report.checks[index].message == _IN_FUNCTION:
            report, shown, index = self._find_failure(values, arguments, new)
        raise failed_check(report.checks[index], shown[index])

    def _find_failure(self, values: dict[Tensor, Any], arguments: tuple[Any, ...], new: Any) -> tuple[Report, Any, int]:
        """Which check in a branch or a loop's body fails: runs the stage once more, operation by operation."""
        inputs, written, *rest = arguments
        program = _run_eagerly(self._make_program(self._static_values(values), step_by_step=True))
        *_, flags, shown, report = program(inputs, new if self._donates else written, *rest)
        return report, shown, int(np.argmin(np.asarray(flags)))

    def _after_trace(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._traces == _STORM:
            millstream_logger().warning(
                "A stage of %d operations (%s, …) has been compiled %d times for different shapes or static values; "
                "feed batches of one size to avoid this.",
                len(self._calls), self._calls[0].op.name, self._traces,
            )  # fmt: skip


class _TooLong(Exception):
    """A stage is too long for one program; `parts` would be short enough."""

    def __init__(self, parts: int) -> None:
        super().__init__(parts)
        self.parts = parts


def _require_short(program: Any, arguments: tuple[Any, ...]) -> None:
    """Raises `_TooLong` where a program traced for these arguments has too many equations."""
    equations = _count_equations(program.trace(*arguments).jaxpr)
    if equations > MAX_EQUATIONS:
        raise _TooLong(-(-equations // MAX_EQUATIONS))


def _count_equations(jaxpr: Any) -> int:
    """The equations of a traced program, those of nested programs included."""
    count = 0
    for equation in jaxpr.eqns:
        nested = [value for value in equation.params.values() if hasattr(value, "eqns") or hasattr(value, "jaxpr")]
        count += sum(_count_equations(getattr(value, "jaxpr", value)) for value in nested) or 1
    return count


class _CannotRestore(Exception):
    """A variable changes its shape in a stage that checks something: its old value cannot be chosen at the end."""


def _run_eagerly(program: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a program operation by operation; nothing that it gives shares memory with what the user fed."""
    jax = backend.jax()

    def own(value: Any) -> Any:
        return jax.numpy.array(value, copy=True) if isinstance(value, np.ndarray) else value

    def run(inputs: Any, *rest: Any) -> Any:
        return jax.block_until_ready(jax.tree.map(own, program(tuple(map(own, inputs)), *rest)))

    return run


def to_numpy(value: Any) -> Any:
    """An array as a NumPy array; what is no array (DEAD, a list of tensors) as it is."""
    return np.asarray(value) if hasattr(value, "__array__") else value


def own_copy(value: Any) -> Any:
    """A copy of an array as one that XLA owns, made without a program: there would be one for each shape."""
    # What `device_put` makes of a NumPy array may share its memory, whatever it is asked.
    private = value.copy() if isinstance(value, np.ndarray) else value
    return backend.jax().device_put(private, may_alias=False)


def _distinct(outputs: list[Any], new: list[Any], arguments: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """Makes each result a buffer of its own: none is an argument, or another result, passed through.

    An array that two variables share, or that the user's fed array shares, could not be donated later.
    """
    seen = {id(argument) for argument in arguments}

    def own(value: Any) -> Any:
        if value is DEAD or value is None:
            return None
        if isinstance(value, list_values.LISTS):
            return backend.jax().tree.map(own, value)
        if id(value) in seen:
            return backend.jax().numpy.copy(value)
        seen.add(id(value))
        return value

    return [own(value) for value in outputs], [own(value) for value in new]


def _warn_when_slow(length: int) -> threading.Timer:
    """Says once on the log that compiling a stage takes long; the caller cancels it."""
    say = millstream_logger().warning
    message = "Compiling a stage of %d operations is taking long."
    timer = threading.Timer(_SLOW_COMPILATION_SECONDS, say, (message, length))
    timer.daemon = True
    timer.start()
    return timer


_registered = False


def register_report(jax: Any) -> None:
    global _registered
    if not _registered:
        _registered = True
        jax.tree_util.register_static(Report)
        list_values.register(jax)
