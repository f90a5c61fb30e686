"""Runs operations one after the other by calling their kernels.

The same loop serves the three ways in which an operation runs: over JAX tracers while a stage is compiled, over NumPy
arrays for what is known beforehand (constants, shapes, first initialisation), and over NumPy arrays for host
operations.
"""
from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from millstream.core import errors, opdef, shape_rules, shapes
from millstream.core.dtypes import DType, resource
from millstream.core.opdef import DEAD, OpDef
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.ops.list_values import NeedsHost
from millstream.runtime import region_plan
from millstream.runtime.variables import Access, make_handle, maker_of

if TYPE_CHECKING:
    from concurrent.futures import Future

# Results of more elements are not computed with NumPy while a stage is compiled: XLA makes them in place.
FOLD_ELEMENTS = 16384
# Stands for an output whose value was fed.
_IGNORED: Any = object()
# Larger constants are arguments of the executable rather than part of it.
CONSTANT_BYTES = 65536


class Services(Protocol):
    """What kernels may ask for besides their inputs."""

    def state(self, op: Operation) -> Any:
        """Reads and assigns variables."""

    def stream(self, op: Operation, seed: int, seed2: int, blocks: int) -> tuple[Any, Any]:
        """Takes `blocks` blocks of the operation's random stream."""

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Any, *values: Any) -> None:
        """Demands that `ok` holds."""

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The session's object of that key, made on first use."""

    def wait(self, futures: list[Future[Any]]) -> None:
        """Waits until all are done."""

    def region(self, op: Operation) -> Any:
        """Runs the branches or the loop of an operation."""

    def python(self) -> AbstractContextManager[None]:
        """Lets the user's Python code run within a `with` block."""


class Call:
    """An operation made ready to run: everything that does not depend on values is worked out once."""

    __slots__ = ("op", "inputs", "outputs", "kernel", "attrs", "services", "places", "derefs", "dtypes", "single",
                 "foldable", "is_merge", "elements", "fresh", "runs_python", "asynchronous")  # fmt: skip

    def __init__(self, op: Operation, given: Container[Tensor] = (), fresh: Sequence[Access] = ()) -> None:
        definition = op.definition
        self.op = op
        self.inputs = list(op.inputs)
        self.outputs = [_IGNORED if tensor in given else tensor for tensor in op.outputs]  # what is fed stays
        self.kernel = definition.kernel
        self.attrs = {name: op.attrs[name] for name in definition.kernel_attrs}
        self.services = definition.kernel_services
        grouped = any(spec.is_list for spec in definition.inputs)
        # Where each argument lies in the flat inputs; None where the inputs are the arguments.
        self.places = opdef.argument_slices(definition.inputs, op.attrs) if grouped else None
        self.derefs = _derefs(op)
        self.fresh = [(access.input, access.handle) for access in fresh if access.input is not None]
        # What branches and loops give has its dtypes already.
        self.dtypes = [None if "region" in self.services else _result_dtype(tensor) for tensor in op.outputs]
        self.single = len(op.outputs) == 1 and not definition.outputs[0].is_list
        self.is_merge = definition.name in ("Merge", "RefMerge")
        self.foldable = definition.foldable
        self.elements = most_elements(op.outputs)
        self.runs_python = definition.runs_python
        self.asynchronous = definition.asynchronous


def _derefs(op: Operation) -> tuple[int, ...]:
    """The flat inputs that are references where the operation takes a value."""
    if op.definition.calls_function or not any(tensor.dtype.is_ref for tensor in op.inputs):
        return ()  # functions get the references themselves
    found: list[int] = []
    places = opdef.argument_slices(op.definition.inputs, op.attrs)
    for spec, place in zip(op.definition.inputs, places, strict=True):
        if not spec.is_ref:
            indices = range(place.start, place.stop) if isinstance(place, slice) else (place,)
            found.extend(index for index in indices if op.inputs[index].dtype.is_ref)
    return tuple(found)


def _result_dtype(tensor: Tensor) -> np.dtype[Any] | None:
    """The NumPy dtype that a result is cast to; None for references, resources and variants."""
    if tensor.dtype.is_ref or not tensor.dtype.is_numpy_compatible or tensor.dtype is resource:
        return None
    return storage_dtype(tensor.dtype)


def storage_dtype(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype that values of `dtype` have inside the runtime: quantised types are plain integers here."""
    found = np.dtype(dtype.as_numpy_dtype)
    return found[0] if found.names else found


def most_elements(tensors: Iterable[Tensor]) -> int | None:
    """The elements of the largest of some tensors, or None where a static shape is not known."""
    largest = 0
    for tensor in tensors:
        size = 1
        for dim in (None,) if tensor._shape is None else tensor._shape:
            if dim is None:
                return None
            size *= dim
        largest = max(largest, size)
    return largest


class Interpreter:
    """Runs calls over a set of values.

    Args:
      xp: the array module for inputs that are not concrete: `numpy`, or `jax.numpy` while a stage is traced.
      services: what kernels may ask for.
      folded: tensors that must stay concrete.
    """

    def __init__(self, xp: ModuleType, services: Services, folded: frozenset[Tensor] = frozenset()) -> None:
        self.values: dict[Tensor, Any] = {}
        self._xp = xp
        self._traced = xp is not np
        self._services = services
        self._folded = folded
        self._started: list[tuple[Call, Future[Any]]] = []  # asynchronous operations

    def run(self, calls: Iterable[Call]) -> None:
        """Runs `calls` in order.

        Raises:
          OpError: an operation failed; the error names it and the user's line.
        """
        for call in calls:
            try:
                self._run(call)
            except errors.OpError as error:
                if error._op is None:
                    error._op = call.op
                raise
            except NeedsHost:
                region_plan.put_on_host(call.op)
                raise
            except (TypeError, ValueError, IndexError, ArithmeticError, NotImplementedError) as error:
                if call.op.definition.host and not isinstance(error, (ValueError, IndexError)):
                    raise
                raise self._kernel_error(call.op, error) from error

    def finish(self) -> None:
        """Waits for the asynchronous operations that `run` started.

        Raises:
          OpError: one failed, or the session was closed.
        """
        if not self._started:
            return
        self._services.wait([future for _, future in self._started])
        # When one fails the others are cancelled; the reason is what the user must see.
        for call, future in sorted(self._started, key=lambda item: _was_cancelled(item[1])):
            try:
                self._store(call, future.result(), np)
            except errors.OpError as error:
                if error._op is None:
                    error._op = call.op
                raise
        self._started.clear()

    def _run(self, call: Call) -> None:
        op, values = call.op, self.values
        inputs: list[Any] = []
        dead = False
        for tensor in call.inputs:
            value = values.get(tensor)
            if value is None:
                value = self._missing(tensor)
            elif value is DEAD:
                dead = True
            inputs.append(value)
        if dead and not call.is_merge:
            for tensor in call.outputs:
                values[tensor] = DEAD
            return
        if call.derefs:
            state = self._services.state(op)
            for index in call.derefs:
                if type(inputs[index]) is VariableHandle:  # neither fed nor dead
                    inputs[index] = state.read(inputs[index])
        for index, handle in call.fresh:
            inputs[index] = renewed(inputs[index], self._services.state(op).read(handle))
        xp = self._module(call, inputs) if self._traced else np
        arguments = inputs if call.places is None else [inputs[place] for place in call.places]
        if call.runs_python:
            with self._services.python():
                result = call.kernel(xp, *arguments, **call.attrs, **self._service_arguments(call))
        elif call.services:
            result = call.kernel(xp, *arguments, **call.attrs, **self._service_arguments(call))
        else:
            result = call.kernel(xp, *arguments, **call.attrs)
        if call.asynchronous:
            self._started.append((call, result))
        else:
            self._store(call, result, xp)

    def _missing(self, tensor: Tensor) -> Any:
        """A reference or resource made outside of this stage: its handle can be made anywhere."""
        maker: Any = maker_of(tensor)
        value = self.values[tensor] = make_handle(maker)
        return value

    def _module(self, call: Call, inputs: list[Any]) -> ModuleType:
        """NumPy where all inputs are concrete and the result is small enough to be computed here."""
        if not call.foldable or not all(isinstance(value, (np.ndarray, np.generic)) for value in inputs):
            if not (call.foldable and call.op.definition.reads_shape_only):
                return self._xp
        elements = call.elements
        if elements is not None and elements <= FOLD_ELEMENTS:
            return np
        if any(tensor in self._folded for tensor in call.op.outputs):
            return np
        if elements is None and all(getattr(value, "size", 1) <= FOLD_ELEMENTS for value in inputs):
            return np if call.op.definition.moves_data else self._xp
        return self._xp

    def _service_arguments(self, call: Call) -> dict[str, Any]:
        services, op = self._services, call.op
        arguments: dict[str, Any] = {}
        for name in call.services:
            if name == "state":
                arguments[name] = services.state(op)
            elif name == "stream":
                arguments[name] = partial(services.stream, op)
            elif name == "check":
                arguments[name] = partial(services.check, op)
            elif name in ("resource", "within"):
                arguments[name] = getattr(services, name)
            elif name == "region":
                arguments[name] = services.region(op)
            else:
                arguments[name] = op
        return arguments

    def _store(self, call: Call, result: Any, xp: ModuleType) -> None:
        values, outputs = self.values, call.outputs
        if call.single:
            values[outputs[0]] = cast(result, call.dtypes[0], xp)
            return
        if not outputs:
            return
        flat = flatten(result)
        if len(flat) != len(outputs):
            raise RuntimeError(f"The kernel of {call.op.type} gave {len(flat)} results for {len(outputs)} outputs.")
        for tensor, value, dtype in zip(outputs, flat, call.dtypes, strict=True):
            values[tensor] = cast(value, dtype, xp)

    def _kernel_error(self, op: Operation, error: Exception) -> errors.OpError:
        """An error that a kernel raised about its inputs, as TensorFlow's class with the node and the user's line."""
        kind = errors.UnimplementedError if isinstance(error, NotImplementedError) else errors.InvalidArgumentError
        found = [getattr(self.values.get(tensor), "shape", None) for tensor in op.inputs]
        received = [
            f"{tensor.name} {tensor.dtype.name}{'' if shape is None else shapes.format_shape(shape)}"
            for tensor, shape in zip(op.inputs, found, strict=True)
        ]
        message = errors.format_message(
            describe_failure(op.definition, found, error),
            received=f"node {op.name} (op: {op.type}) with {', '.join(received) or 'no inputs'}",
            defined_at=op.defined_at,
        )
        return kind(None, op, message)


def describe_failure(definition: OpDef, found: list[Any], error: Exception) -> str:
    """What a kernel complains about, in one sentence; `found` are the shapes of its inputs."""
    if definition.shape_rule is shape_rules.broadcast:
        try:  # in kernels of this kind NumPy or JAX finds it out, each in its own words
            shapes.check_broadcast(*found)
        except ValueError as mismatch:
            error = mismatch
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def renewed(value: Any, variable: Any) -> Any:
    """What a value that shares a variable's memory is, now that the variable has another value.

    A value of another size is another piece of memory.
    """
    if value is DEAD or value.size != variable.size:
        return value
    return variable if variable.shape == value.shape else variable.reshape(value.shape)


def cast(value: Any, dtype: np.dtype[Any] | None, xp: ModuleType) -> Any:
    if dtype is None or value is DEAD:
        return value
    if xp is np:
        if isinstance(value, np.ndarray) and value.dtype == dtype:
            return value
        if dtype.kind == "O":
            return _object_array(value)
        return np.asarray(value, dtype)
    if not hasattr(value, "dtype"):
        return xp.asarray(value, dtype)
    return value if value.dtype == dtype else value.astype(dtype)


def _object_array(value: Any) -> np.ndarray[Any, Any]:
    """Strings as an object array, whatever a kernel gave: bytes, str, or a list of them."""
    if isinstance(value, (bytes, str)):
        array = np.empty((), object)
        array[()] = value
        return array
    return np.asarray(value, object)


def _was_cancelled(future: Future[Any]) -> bool:
    return isinstance(future.exception(), errors.CancelledError)


def flatten(result: Any) -> list[Any]:
    """What a kernel gave, one value an output; handles of variables and queues are named tuples."""
    if not isinstance(result, (tuple, list)) or isinstance(result, VariableHandle):
        return [] if result is None else [result]
    flat: list[Any] = []
    for item in result:
        if type(item) in (list, tuple):
            flat.extend(item)
        else:
            flat.append(item)
    return flat


def run_numpy(calls: Iterable[Call], values: dict[Tensor, Any], services: Services) -> dict[Tensor, Any]:
    """Runs calls over NumPy arrays; gives all values."""
    interpreter = Interpreter(np, services)
    interpreter.values.update(values)
    with np.errstate(all="ignore"):
        interpreter.run(calls)
        interpreter.finish()
    return interpreter.values


Runner = Callable[[list[Any]], list[Any]]
