"""Makes a stage of a plan into one XLA executable, and runs it.

`jax.jit` traces a Python function that interprets the stage's operations; it specialises by the shapes and dtypes of
what is passed. Values that shapes depend on (`Stage.statics`) are compiled in, one program for each set of values.
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import string
from millstream.core.log import millstream_logger
from millstream.core.opdef import DEAD
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.ops import list_values
from millstream.ops.list_values import NeedsHost
from millstream.runtime import backend, devices, region_plan
from millstream.runtime.fusion import fused
from millstream.runtime.interpreter import CONSTANT_BYTES, Call, Interpreter, run_numpy
from millstream.runtime.plan import Stage, cut_anew, split_stage
from millstream.runtime.services import (
    IN_FUNCTION,
    CannotRestore,
    NumpyServices,
    Report,
    TracedServices,
    failed_check,
)
from millstream.runtime.state import Key, Overlay, State, Stream

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


def _is_array(value: Any) -> bool:
    return value is not None and not isinstance(value, list_values.LISTS)


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
        self._stream_ops = [op for op in stage.ops if "stream" in op.definition.kernel_services]
        # Branches and loops draw as often as they run: the program itself knows how far their streams have come.
        self._inner_streams = region_plan.inner_streams(stage.ops)
        self._has_report = bool(self._stream_ops or self._inner_streams) or any(map(region_plan.has_checks, stage.ops))
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
        self._deterministic = self._no_inputs and not self._stream_ops and not self._has_effects()
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
        except CannotRestore:
            self._donates = False
            self._programs.clear()
            result = self._call_program(values, arguments)
        outputs, new = result[0], result[1]
        overlay.pending.append(next(filter(_is_array, (result[2], *outputs))))
        if self._has_report:
            self._finish_report(result[3:], values, arguments, new, overlay)
        overlay.changed.update(zip(self._write_keys, new, strict=True))
        for tensor, value in zip(self._outputs, outputs, strict=True):
            values[tensor] = DEAD if value is None else list_values.outside(value)
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
        return inputs, written, read, self._streams_argument(), self._constants_argument()

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
        return backend.compiled(program, donated=(1,) if self._donates else ())

    def _make_program(self, statics: dict[Tensor, Any], step_by_step: bool = False) -> Callable[..., Any]:
        """The function that is traced; or that is called as it is, and runs operation by operation."""
        jnp = backend.jax().numpy

        def millstream_stage(inputs: Any, written: Any, read: Any, streams: Any, constants: Any) -> Any:
            self._traces += 1
            self._timer = _warn_when_slow(len(self._calls))
            variables = dict(zip((*self._write_keys, *self._read_keys), (*written, *read), strict=True))
            services = TracedServices(variables, self._stream_rows(streams), self._donates)
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
            report = Report(tuple(services.checks), tuple(services.blocks.get(op, 0) for op in self._stream_ops))
            left = [services.streams[op] for op in self._inner_streams]
            flags: Any = ()
            if services.flags:
                flags = jnp.stack([jnp.all(flag) for flag in services.flags])
            return outputs, new, done, flags, services.shown, left, report

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

    def _streams_argument(self) -> tuple[Any, list[Any]]:
        """Where the streams are: the stage's own ones in one array, those of its branches and loops each by itself."""
        own = np.stack([self._stream(op).row for op in self._stream_ops]) if self._stream_ops else ()
        return own, [self._stream(op).row for op in self._inner_streams]

    def _stream(self, op: Operation) -> Stream:
        return self._state.stream(op, op.attrs.get("seed", 0), op.attrs.get("seed2", 0))

    def _stream_rows(self, streams: tuple[Any, list[Any]]) -> dict[Operation, Any]:
        """The streams of an argument by operation."""
        own, inner = streams
        rows = {op: own[index] for index, op in enumerate(self._stream_ops)}
        return {**rows, **dict(zip(self._inner_streams, inner, strict=True))}

    def _finish_report(
        self, found: Any, values: dict[Tensor, Any], arguments: tuple[Any, ...], new: Any, overlay: Overlay
    ) -> None:
        flags, shown, left, report = found
        for op, blocks in zip(self._stream_ops, report.blocks, strict=True):
            self._stream(op).take(blocks)
        for op, row in zip(self._inner_streams, left, strict=True):
            self._stream(op).leave(row)
        if not report.checks:
            return
        passed = np.asarray(flags)
        if passed.all():
            return
        if self._donates:  # the old arrays are gone; the program gave their contents back
            kept = zip(self._write_keys, new, strict=True)
            overlay.base.update((key, value) for key, value in kept if overlay.base.get(key) is not None)
        index = int(np.argmin(passed))
        if report.checks[index].message == IN_FUNCTION:
            report, shown, index = self._find_failure(values, arguments, new)
        raise failed_check(report.checks[index], shown[index])

    def _find_failure(self, values: dict[Tensor, Any], arguments: tuple[Any, ...], new: Any) -> tuple[Report, Any, int]:
        """Which check in a branch or a loop's body fails: runs the stage once more, operation by operation."""
        inputs, written, *rest = arguments
        program = _run_eagerly(self._make_program(self._static_values(values), step_by_step=True))
        *_, flags, shown, _, report = program(inputs, new if self._donates else written, *rest)
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


def _run_eagerly(program: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a program operation by operation; nothing that it gives shares memory with what the user fed."""
    jax = backend.jax()

    def own(value: Any) -> Any:
        return jax.numpy.array(value, copy=True) if isinstance(value, np.ndarray) else value

    def run(inputs: Any, *rest: Any) -> Any:
        with np.errstate(all="ignore"):
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
