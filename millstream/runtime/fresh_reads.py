"""Which operations read a 1.x variable anew, although they take a value that was read before.

In TensorFlow 1.x an `Identity` of a reference copies nothing: it shares the variable's memory. `v * 2` takes such an
identity, `v/read`, which is made with the variable; made under `control_dependencies([update])`, it shows the updated
value, although `v/read` itself waits for nothing.
"""
from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime.variables import Access, handle_of, static_inputs

# What these give shares the memory of their first input.
_SHARING = frozenset(
    "Identity Snapshot StopGradient PreventGradient PlaceholderWithDefault GuaranteeConst CheckNumerics EnsureShape "
    "Reshape ExpandDims Squeeze Switch".split()
)


def add_fresh_reads(
    ordered: Sequence[Operation], accesses: dict[Operation, list[Access]], fed: Container[Tensor]
) -> set[Operation]:
    """Adds to `accesses` what operations read anew; gives those that need it to be concrete: they run on the host.

    An operation that takes an identity of a variable reads the variable itself where it depends, over data or control
    edges, on a write of it on which the identity does not depend. Else it takes what the identity has read.

    Args:
      ordered: the operations, each after those that it depends on.
      accesses: the variables that each of them uses.
      fed: tensors whose values are given.
    """
    behind = _Writes()
    on_host: set[Operation] = set()
    for op in ordered:
        seen = behind.before(op, fed) if behind.found else 0
        for index, tensor in enumerate(op.inputs) if seen else ():
            handle = behind.unseen(tensor, seen, fed)
            if handle is not None:
                accesses[op].append(Access(handle, writes=False, input=index))
                if tensor in frozenset(static_inputs(op)):
                    on_host.add(op)
        if accesses[op]:
            seen |= behind.add(op, accesses[op])
        if seen:
            behind.found[op] = seen
    return on_host


class _Writes:
    """The writes of 1.x variables that operations depend on: sets of them, one bit each."""

    def __init__(self) -> None:
        self.found: dict[Operation, int] = {}  # what an operation depends on, or writes
        self._of: dict[VariableHandle, int] = {}
        self._shared: dict[Tensor, VariableHandle | None] = {}
        self._count = 0

    def before(self, op: Operation, fed: Container[Tensor]) -> int:
        """The writes that an operation depends on."""
        seen, found = 0, self.found
        for tensor in op.inputs:
            if tensor.op in found and tensor not in fed:
                seen |= found[tensor.op]
        for other in op._control_inputs:
            if other in found:
                seen |= found[other]
        return seen

    def unseen(self, tensor: Tensor, seen: int, fed: Container[Tensor]) -> VariableHandle | None:
        """The variable whose memory a value shares, if there is a write of it that only the taker has seen."""
        if tensor.dtype.is_ref or (tensor.op.type not in _SHARING and tensor not in fed):
            return None
        if tensor not in self._shared:
            self._shared[tensor] = shared_variable(tensor, fed)
        handle = self._shared[tensor]
        unseen = handle in self._of and self._of[handle] & seen & ~self.found.get(tensor.op, 0)
        return handle if unseen else None

    def add(self, op: Operation, accesses: Iterable[Access]) -> int:
        """Notes what an operation writes through references; gives it as a set."""
        added = 0
        for access in accesses:
            if access.writes and any(tensor.dtype.is_ref for tensor in op.inputs):
                bit = 1 << self._count
                self._count += 1
                self._of[access.handle] = self._of.get(access.handle, 0) | bit
                added |= bit
        return added


def shared_variable(tensor: Tensor, fed: Container[Tensor] = ()) -> VariableHandle | None:
    """The variable whose memory a value shares; None where there is none."""
    while not tensor.dtype.is_ref:
        if tensor in fed:
            return tensor.op.attrs.get("_shares")  # an input of a branch or a loop's body
        if tensor.op.type not in _SHARING:
            return None
        tensor = tensor.op.inputs[0]
    return None if tensor in fed else handle_of(tensor)


def read_last(
    fetches: Iterable[Tensor], written: Container[VariableHandle], fed: Container[Tensor]
) -> dict[Tensor, VariableHandle | None]:
    """The fetches that show a variable as it is when all has run: references, and identities of what the run writes."""
    shared = {tensor: shared_variable(tensor, fed) for tensor in fetches if tensor not in fed}
    return {tensor: handle for tensor, handle in shared.items() if tensor.dtype.is_ref or handle in written}
