"""Which variable a reference or resource stands for, and what an operation does with it."""
from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from millstream.core import errors, opdef
from millstream.core.dtypes import DType, resource
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime import region_plan


class Access(NamedTuple):
    """One use of a variable by an operation; `input`: the input in whose place it is read anew (`fresh_reads`)."""

    handle: VariableHandle
    writes: bool
    input: int | None = None


class _HandleMaker:
    """The `state` service for kernels that only make a handle."""

    @staticmethod
    def variable(container: str, name: str, dtype: DType, shape: Any) -> VariableHandle:
        return VariableHandle(container, name, dtype, shape)


def handle_of(tensor: Tensor) -> VariableHandle | None:
    """The variable that a reference or resource tensor stands for; None where it is some other resource."""
    op = maker_of(tensor)
    return make_handle(op) if op is not None and "state" in op.definition.kernel_services else None


def maker_of(tensor: Tensor) -> Operation | None:
    """The operation without inputs that a reference or resource comes from; None where there is no such."""
    op = tensor.op
    while op.inputs:
        if op.type in region_plan.LOOPS:  # in a loop each stays in its place
            source: Tensor | None = op.inputs[tensor.value_index]
        else:
            source = next((t for t in op.inputs if t.dtype.is_ref or t.dtype is resource), None)
        if source is None:
            return None
        tensor, op = source, source.op
    return op


def make_handle(op: Operation) -> VariableHandle:
    """The handle that a `VariableV2` or `VarHandleOp` node makes; made once for its attributes."""
    attrs, handle = op.__dict__.get("_handle", (None, None))
    if attrs is not op.attrs:
        handle = _new_handle(op)
        op.__dict__["_handle"] = op.attrs, handle
    return handle


def _new_handle(op: Operation) -> VariableHandle:
    definition = op.definition
    attrs = {name: op.attrs[name] for name in definition.kernel_attrs}
    services = {"state": _HandleMaker, "node": op}
    return definition.kernel(None, **attrs, **{name: services[name] for name in definition.kernel_services})


def static_inputs(op: Operation) -> list[Tensor]:
    """The inputs that must be concrete when the operation is compiled."""
    if op.definition.calls_function:
        return region_plan.static_operands(op)
    names = op.definition.static_names(op)
    if not names:
        return []
    found: list[Tensor] = []
    places = opdef.argument_slices(op.definition.inputs, op.attrs)
    for spec, place in zip(op.definition.inputs, places, strict=True):
        if spec.name in names:
            found.extend(op.inputs[place] if isinstance(place, slice) else (op.inputs[place],))
    return found


def variable_accesses(op: Operation, fed: Container[Tensor] = ()) -> list[Access]:
    """The variables that an operation reads or writes, other than through fed tensors.

    Raises:
      InvalidArgumentError: a fed value stands where the operation takes the variable itself.
    """
    found: list[Access] = []
    if not any(tensor.dtype.is_ref or tensor.dtype is resource for tensor in op.inputs):
        return found
    definition = op.definition
    if definition.calls_function:
        return region_plan.merged_accesses(
            access for function in opdef.functions_of(op) for access in region_plan.variables_of(function)
        )
    places = opdef.argument_slices(definition.inputs, op.attrs)
    for spec, place in zip(definition.inputs, places, strict=True):
        for tensor in op.inputs[place] if isinstance(place, slice) else (op.inputs[place],):
            if tensor in fed:
                _check_fed(op, tensor, spec.is_ref)
            elif tensor.dtype.is_ref or tensor.dtype is resource:
                handle = handle_of(tensor)
                if handle is not None:
                    found.append(Access(handle, spec.name in definition.writes))
    return found


def _check_fed(op: Operation, tensor: Tensor, takes_ref: bool) -> None:
    if takes_ref:
        name = tensor.dtype.base_dtype.short_name
        message = errors.format_message(
            f"Input {op.inputs.index(tensor)} of node {op.name} was passed {name} from {tensor.name} incompatible with "
            f"expected {name}_ref.",
            defined_at=op.defined_at,
            hint="A value was fed for a variable that this operation changes.",
        )
        raise errors.InvalidArgumentError(None, op, message)


def uninitialized(handle: VariableHandle, node: Operation | None) -> errors.OpError:
    """The error for reading a variable that has no value."""
    sentence = f"Attempting to use uninitialized value {handle.name}"
    if node is not None and any(tensor.dtype is resource for tensor in node.inputs):
        sentence = (
            f"Error while reading resource variable {handle.name} from Container: {handle.container or 'localhost'}. "
            "This could mean that the variable was uninitialized."
        )
    message = errors.format_message(
        sentence,
        received=f"Read by {node.name} (op: {node.type})." if node is not None else "",
        defined_at=node.defined_at if node is not None else "",
        hint="Run its initializer first, for example `sess.run(tf.global_variables_initializer())`.",
    )
    return errors.FailedPreconditionError(None, node, message)
