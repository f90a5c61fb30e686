"""Runs single operations at once.

An operation whose inputs are all small runs its kernel with NumPy: that costs a few microseconds and no compilation.
Others run through a `jax.jit` of the same kernel, cached by operation, attributes and static inputs. What must be
concrete, moves data only, or lives on the host (strings, Python, queues) always takes the NumPy way.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from millstream.core import context, dispatch, eager, errors, opdef, random_seed, tape, traceback, variable_handle
from millstream.core.dtypes import resource
from millstream.core.eager import EagerTensor
from millstream.core.opdef import OpDef
from millstream.core.tape import EagerOperation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime import backend, devices
from millstream.runtime.compiler import own_copy, register_report
from millstream.runtime.interpreter import cast, describe_failure, flatten, storage_dtype
from millstream.runtime.services import NumpyServices, Report, TracedServices, failed_check
from millstream.runtime.state import Overlay, State, StateService, Stream

# Up to so many elements an operation runs with NumPy: starting a compiled program costs more than the work.
SMALL = 16384
# So many programs of one operation for different static values; further ones run with NumPy.
MAX_SPECIALISATIONS = 64
# An operation is compiled for so many kinds of inputs (shapes, static values) at once, for further ones when they have
# come a few times: a program whose shapes always change would do nothing but compile.
COMPILED_AT_ONCE = 8
TIMES_BEFORE_COMPILING = 5
# Inputs of more elements are worth a compilation in any case.
_LARGE = 1 << 22
# So many kinds of inputs, and sets of attributes, of one operation are kept in mind.
_MOST_KINDS = 1024
MOST_PREPARED = 256
# Large random results are drawn with NumPy so often before it is worth compiling: the numbers are the same.
_FILLS_BEFORE_COMPILING = 2

STATE = State(seen_by_python=True)  # the variables, random streams and resources of eager execution and of functions


class _Prepared:
    """An operation with its attributes, ready to run."""

    __slots__ = (
        "definition", "attrs", "kernel", "kernel_attrs", "services", "dtypes", "storage", "single", "grouped",
        "always_numpy", "static", "programs", "kinds", "fills", "shape_input", "uses_state", "draws", "places",
        "stream_name",
    )  # fmt: skip

    def __init__(self, definition: OpDef, attrs: dict[str, Any]) -> None:
        self.definition = definition
        self.attrs = attrs
        self.kernel = definition.kernel
        self.kernel_attrs = {name: attrs[name] for name in definition.kernel_attrs}
        self.services = definition.kernel_services
        self.dtypes = dispatch.output_dtypes(definition, attrs)
        self.storage = [
            storage_dtype(dtype) if dtype.is_numpy_compatible and dtype is not resource else None
            for dtype in self.dtypes
        ]
        self.single = len(self.dtypes) == 1 and not definition.outputs[0].is_list
        self.grouped = any(spec.is_list for spec in definition.inputs)
        self.always_numpy = not definition.traced_only and (
            definition.host or definition.moves_data or definition.reads_shape_only or "resource" in self.services
        )
        self.static = definition.static_inputs
        self.places = opdef.argument_slices(definition.inputs, attrs)
        self.programs: dict[Hashable, Callable[..., Any]] = {}
        self.kinds: dict[Hashable, int] = {}  # of inputs, and how often they have come
        self.fills = 0  # how often it made a large result
        self.shape_input = _shape_input(definition)
        self.uses_state = "state" in self.services
        self.draws = "stream" in self.services
        # As in TensorFlow, calls with the same attributes draw from one stream, one after the other.
        self.stream_name = f"eager {definition.name} {attrs}" if self.draws else ""


def execute(definition: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], name: str | None) -> Any:
    """Runs an operation on values of any convertible kind; see `dispatch.apply_op`."""
    type_attr = definition.single_type_attr
    if type_attr is not None and not attrs and len(definition.inputs) == len(inputs):
        flat, complete = dispatch.plain_inputs(definition, type_attr, inputs, None, "")
        key: Hashable = complete[type_attr]
    else:
        flat, complete = dispatch.general_inputs(definition, inputs, attrs, None, "")
        key = _attrs_key(complete)
    prepared = definition.prepared.get(key)
    if prepared is None:
        if definition.takes_refs:
            _refuse_reference(definition)
        prepared = _Prepared(definition, complete)
        if key is not None:
            if len(definition.prepared) >= MOST_PREPARED:  # a seed, or a message, that is another one each time
                definition.prepared.clear()
            definition.prepared[key] = prepared
    values = _run(prepared, flat, name)
    outputs = [EagerTensor(value, dtype) for value, dtype in zip(values, prepared.dtypes, strict=True)]
    if context.current.devices:
        for tensor in outputs:
            _place(tensor)
    if tape.current.tapes:
        tape.record_eager(definition, flat, complete, outputs, name)
    if prepared.single:
        return outputs[0]
    return _structured(definition, complete, outputs)


def _attrs_key(attrs: dict[str, Any]) -> Hashable:
    key = tuple(attrs.items())
    try:
        hash(key)
    except TypeError:  # an array among them
        return None
    return key


def _structured(definition: OpDef, attrs: dict[str, Any], outputs: list[EagerTensor]) -> Any:
    specs = definition.outputs
    if not specs:
        return None
    grouped = opdef.group_arguments(specs, attrs, outputs)
    return grouped[0] if len(specs) == 1 else dispatch.result_type(definition)(*grouped)


def _refuse_reference(definition: OpDef) -> None:
    raise errors.UnimplementedError(
        None, None, f"{definition.name} works on 1.x variables, which eager execution does not have. "
        "Use `tf.Variable`, or build a graph."
    )  # fmt: skip


def _run(prepared: _Prepared, flat: list[Any], name: str | None) -> list[Any]:
    """The output values for these input tensors."""
    values = [tensor._value for tensor in flat]
    try:
        if prepared.uses_state:
            with STATE.lock:
                return _run_stateful(prepared, flat, values, name)
        if prepared.draws:
            with STATE.lock:
                return _run_stateless(prepared, flat, values, name)
        return _run_stateless(prepared, flat, values, name)
    except errors.OpError as error:
        raise _with_op(error, prepared.definition) from None
    except (TypeError, ValueError, IndexError, ArithmeticError, NotImplementedError) as error:
        if prepared.definition.host and not isinstance(error, (ValueError, IndexError)):
            raise
        raise _kernel_error(prepared, flat, error) from error


def _run_stateless(prepared: _Prepared, flat: list[Any], values: list[Any], name: str | None) -> list[Any]:
    if _is_for_numpy(prepared, flat, values):
        return _run_numpy(prepared, flat, values, name)
    return _run_compiled(prepared, flat, values, name)


def _is_for_numpy(prepared: _Prepared, flat: list[Any], values: list[Any]) -> bool:
    """Whether the kernel runs with NumPy; makes the values NumPy arrays then."""
    definition = prepared.definition
    if definition.traced_only or definition.reads_shape_only:  # the latter leaves arrays where they are
        return not definition.traced_only
    whole = prepared.always_numpy
    for index, value in enumerate(values):
        if type(value) is np.ndarray:
            if value.size > SMALL and not whole and value.dtype != object:
                return False
        elif hasattr(value, "__array__"):  # a device array
            if not whole and (value.size > SMALL or not _is_on_host(value)):
                return False
            values[index] = flat[index]._value = np.asarray(value)
    return whole or not _fills_much(prepared, values)


def _is_on_host(array: Any) -> bool:
    return array.platform() == "cpu" if hasattr(array, "platform") else True


def _shape_input(definition: OpDef) -> int | None:
    """The input that is the shape of the result, which the operation fills with numbers of its own."""
    names = [spec.name for spec in definition.inputs]
    return names.index("shape") if "shape" in definition.static_inputs else None


def _fills_much(prepared: _Prepared, values: list[Any]) -> bool:
    """Whether the shape of the result, an input, makes it worth compiling, the first times excepted."""
    if prepared.shape_input is None or int(np.prod(values[prepared.shape_input], dtype=np.int64)) <= SMALL:
        return False
    prepared.fills += 1
    return prepared.fills > _FILLS_BEFORE_COMPILING


# --- With NumPy -----------------------------------------------------------------------------------------------------


def _run_numpy(prepared: _Prepared, flat: list[Any], values: list[Any], name: str | None) -> list[Any]:
    specs = prepared.definition.inputs
    arguments = opdef.group_arguments(specs, prepared.attrs, values) if prepared.grouped else values
    with np.errstate(all="ignore"):
        if not prepared.services:
            result = prepared.kernel(np, *arguments, **prepared.kernel_attrs)
        else:
            label = prepared.stream_name if prepared.draws else name or prepared.definition.name
            op = EagerOperation(prepared.definition, flat, prepared.attrs, (), label)
            overlay = Overlay(STATE.values)
            services = NumpyServices(STATE, overlay)
            result = prepared.kernel(np, *arguments, **prepared.kernel_attrs, **_arguments(prepared, services, op))
            if prepared.definition.asynchronous:
                with STATE.lock:
                    services.wait([result])
                result = result.result()
            STATE.commit(overlay)
    return _cast(prepared, result, np)


def _arguments(prepared: _Prepared, services: Any, op: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for service in prepared.services:
        if service == "node":
            found[service] = op
        elif service == "state":
            found[service] = services.state(op)
        elif service in ("resource", "within"):
            found[service] = getattr(services, service)
        else:
            found[service] = partial(getattr(services, service), op)
    return found


def _cast(prepared: _Prepared, result: Any, xp: Any) -> list[Any]:
    storage = prepared.storage
    if prepared.single:
        return [cast(result, storage[0], xp)]
    if not storage:
        return []
    return [cast(value, dtype, xp) for value, dtype in zip(flatten(result), storage, strict=True)]


# --- Compiled -------------------------------------------------------------------------------------------------------


def _run_compiled(prepared: _Prepared, flat: list[Any], values: list[Any], name: str | None) -> list[Any]:
    static = _static_values(prepared, flat, values)
    dynamic = [None if index in static else value for index, value in enumerate(values)]
    program = _program(prepared, static, (), dynamic)
    if program is None:
        return _run_numpy(prepared, flat, _on_host(values), name)
    streams = _stream_rows(prepared)
    with _on_device():
        outputs, _, report = program(dynamic, (), streams)
    _finish(prepared, report)
    return list(outputs)


def _on_host(values: list[Any]) -> list[Any]:
    """Device arrays as NumPy arrays."""
    return [np.asarray(value) if hasattr(value, "__array__") else value for value in values]


def _static_values(prepared: _Prepared, flat: list[Any], values: list[Any]) -> dict[int, np.ndarray[Any, Any]]:
    """The inputs that must be concrete, by flat index."""
    definition = prepared.definition
    if not prepared.static:
        return {}
    names = prepared.static
    if definition.static_rule is not None:
        names = definition.static_rule(EagerOperation(definition, flat, prepared.attrs, (), ""))  # type: ignore[arg-type]
    found: dict[int, Any] = {}
    for spec, place in zip(definition.inputs, prepared.places, strict=True):
        if spec.name in names:
            for index in range(place.start, place.stop) if isinstance(place, slice) else (place,):
                found[index] = np.asarray(values[index])
    return found


def _program(
    prepared: _Prepared, static: dict[int, np.ndarray[Any, Any]], handles: tuple[Any, ...], arguments: list[Any]
) -> Callable[..., Any] | None:
    """The compiled kernel for these inputs; None where it is not worth one more compilation."""
    key = tuple((index, array.tobytes(), array.shape, array.dtype.str) for index, array in static.items()), handles
    if not _is_worth_compiling(prepared, key, arguments):
        return None
    program = prepared.programs.get(key)
    if program is None:
        if len(prepared.programs) >= MAX_SPECIALISATIONS and not prepared.definition.traced_only:
            return None
        program = prepared.programs[key] = _compile(prepared, dict(static), handles)
    return program


def _is_worth_compiling(prepared: _Prepared, key: Hashable, arguments: list[Any]) -> bool:
    """Whether arguments of this kind come often, as far as one can tell. `key`: what is compiled in."""
    kind = key, tuple([getattr(value, "shape", None) for value in arguments])
    kinds, definition = prepared.kinds, prepared.definition
    times = kinds.get(kind)
    if times is None:
        if len(kinds) >= _MOST_KINDS:
            kinds.clear()
        often = len(kinds) < COMPILED_AT_ONCE and len(definition.prepared) <= MOST_PREPARED // 2
        times = TIMES_BEFORE_COMPILING if often or definition.traced_only else 0
    if times < TIMES_BEFORE_COMPILING and any(getattr(value, "size", 0) > _LARGE for value in arguments):
        times = TIMES_BEFORE_COMPILING
    kinds[kind] = times + 1
    return times >= TIMES_BEFORE_COMPILING


def _compile(prepared: _Prepared, static: dict[int, Any], handles: tuple[Any, ...]) -> Callable[..., Any]:
    """A program of (inputs, values of variables, random streams): outputs, new values of variables, report."""
    jax = backend.jax()
    register_report(jax)
    jnp = jax.numpy
    definition = prepared.definition
    op = EagerOperation(definition, (), prepared.attrs, (), definition.name)
    keys = [handle.key for handle in dict.fromkeys(handle for handle in handles if handle is not None)]

    def eager_kernel(dynamic: Any, variables: Any, streams: Any) -> Any:
        values = [static.get(index, value) for index, value in enumerate(dynamic)]
        if handles:
            values = [handle if handle is not None else value for handle, value in zip(handles, values, strict=True)]
        known = dict(zip(keys, variables, strict=True))
        services = TracedServices(known, dict.fromkeys([op], *streams), donates=False)
        arguments = opdef.group_arguments(definition.inputs, prepared.attrs, values) if prepared.grouped else values
        result = prepared.kernel(jnp, *arguments, **prepared.kernel_attrs, **_arguments(prepared, services, op))
        outputs = _cast(prepared, result, jnp)
        new = [services.final(key) for key in keys]
        flags = jnp.stack([jnp.all(flag) for flag in services.flags]) if services.flags else ()
        return outputs, new, (flags, services.shown, Report(tuple(services.checks), tuple(services.blocks.values())))

    return backend.compiled(eager_kernel)


def _stream_rows(prepared: _Prepared) -> Any:
    if "stream" not in prepared.services:
        return ()
    return (_stream_of(prepared).row,)


def _stream_of(prepared: _Prepared) -> Stream:
    op = EagerOperation(prepared.definition, (), prepared.attrs, (), prepared.stream_name)
    return STATE.stream(op, prepared.attrs.get("seed", 0), prepared.attrs.get("seed2", 0))


def _finish(prepared: _Prepared, report: Any) -> None:
    """Moves the random stream on and raises what the checks found."""
    flags, shown, facts = report
    if facts.blocks:
        _stream_of(prepared).take(facts.blocks[0])
    if not facts.checks:
        return
    passed = np.asarray(flags)
    if not passed.all():
        index = int(np.argmin(passed))
        raise failed_check(facts.checks[index], shown[index])


# --- Variables ------------------------------------------------------------------------------------------------------


def _run_stateful(prepared: _Prepared, flat: list[Any], values: list[Any], name: str | None) -> list[Any]:
    """Runs an operation that reads or writes variables; the caller holds the state's lock."""
    definition = prepared.definition
    if definition.name == "ReadVariableOp" and type(values[0]) is VariableHandle:
        return [read_variable(values[0])]
    handles = tuple(value if type(value) is VariableHandle else None for value in values)
    known = [STATE.values.get(handle.key) for handle in dict.fromkeys(handles) if handle is not None]
    large = any(value is not None and value.size > SMALL for value in (*known, *_arrays(values)))
    large = large or _fills_much(prepared, values)
    if definition.name == "AssignVariableOp":  # tensors never change: the variable takes the array as it is
        return _update_with_numpy(prepared, flat, values, handles, name)
    uninitialized = any(value is None for value in known)
    if definition.host or prepared.always_numpy or not (large or definition.traced_only) or uninitialized:
        return _update_with_numpy(prepared, flat, _on_host(values), handles, name)
    return _update_compiled(prepared, flat, values, handles, name)


def _update_with_numpy(
    prepared: _Prepared, flat: list[Any], values: list[Any], handles: tuple[Any, ...], name: str | None
) -> list[Any]:
    """Runs an operation on variables with NumPy; large variables then move to where the programs that use them run."""
    outputs = _run_numpy(prepared, flat, values, name)
    for handle in handles if prepared.definition.writes else ():
        value = None if handle is None else STATE.values.get(handle.key)
        if type(value) is np.ndarray and value.size > SMALL and value.dtype != object:
            with _on_device():
                STATE.values[handle.key] = own_copy(value)
    return outputs


def _arrays(values: list[Any]) -> list[Any]:
    return [value for value in values if hasattr(value, "size")]


def read_variable(handle: VariableHandle) -> Any:
    """A variable's value, which nothing will change in place: a writer copies an array that others hold."""
    value = STATE.values.get(handle.key)
    if value is None:
        return StateService(STATE.values, {}, None).read(handle)  # type: ignore[arg-type] # raises
    return value


def _update_compiled(
    prepared: _Prepared, flat: list[Any], values: list[Any], handles: tuple[Any, ...], name: str | None
) -> list[Any]:
    static = _static_values(prepared, flat, values)
    distinct = list(dict.fromkeys(handle for handle in handles if handle is not None))
    # One program serves all variables of a kind: inside of it they are called by their number.
    numbers = {
        handle: VariableHandle("", str(index), handle.dtype, handle.shape) for index, handle in enumerate(distinct)
    }
    inner = tuple(None if handle is None else numbers[handle] for handle in handles)
    dynamic = [None if index in static or handles[index] is not None else value for index, value in enumerate(values)]
    variables = [STATE.values[handle.key] for handle in distinct]
    program = _program(prepared, static, inner, [*dynamic, *variables])
    if program is None:
        return _update_with_numpy(prepared, flat, _on_host(values), handles, name)
    with _on_device():
        outputs, new, report = program(dynamic, variables, _stream_rows(prepared))
    _finish(prepared, report)
    writes = prepared.definition.writes
    if writes:
        STATE.values.update((handle.key, value) for handle, value in zip(distinct, new, strict=True))
    return list(outputs)


# --- Devices --------------------------------------------------------------------------------------------------------


_nowhere = nullcontext()  # no device is asked for


def _on_device() -> Any:
    """Where compiled programs run: the device of the innermost scope."""
    if not context.current.devices:
        return _nowhere
    found = devices.eager_device()
    return _nowhere if found is None else backend.jax().default_device(found)


def _place(tensor: EagerTensor) -> None:
    """Marks where a result is, under a device scope."""
    name = devices.eager_device_name()
    if name is not None:
        tensor._device = name


# --- Errors ---------------------------------------------------------------------------------------------------------


def _with_op(error: errors.OpError, definition: OpDef) -> errors.OpError:
    sentence, _, rest = error.message.partition("\n")
    if "[Op:" in sentence:
        return error
    where = traceback.describe(traceback.capture())
    lines = f"{sentence} [Op:{definition.name}]", rest, f"Called at: {where}" if where else ""
    return type(error)(None, None, "\n".join(filter(None, lines)))  # type: ignore[call-arg]


def _kernel_error(prepared: _Prepared, flat: list[Tensor], error: Exception) -> errors.OpError:
    """What a kernel raised about its inputs, as TensorFlow's class."""
    definition = prepared.definition
    kind = errors.UnimplementedError if isinstance(error, NotImplementedError) else errors.InvalidArgumentError
    sentence = describe_failure(definition, [tensor._shape for tensor in flat], error)
    message = errors.format_message(
        f"{sentence} [Op:{definition.name}]",
        received=", ".join(f"{tensor.dtype.name}{list(tensor._shape or ())}" for tensor in flat) or "no inputs",
        hint=f"Called at: {traceback.describe(traceback.capture())}",
    )
    return kind(None, None, message)


_installing = threading.Lock()


def install() -> None:
    """Lets `apply_op` run operations at once in eager mode."""
    with _installing:
        if not context.EAGER_EXECUTOR:
            context.EAGER_EXECUTOR.append(execute)
            eager.DEVICE_OF.append(devices.device_of)
            eager.JAX.append(backend.jax)
            variable_handle.FORGET.append(_forget)
            random_seed.ON_SET_SEED.append(STATE.restart_streams)


def _forget(handle: VariableHandle) -> None:
    STATE.values.pop(handle.key, None)


install()
