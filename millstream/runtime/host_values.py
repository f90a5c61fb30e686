"""Device operations that only pass arrays between host operations and variables, as when a checkpoint is saved or read.

They run on the host: no program has to be compiled for them, and nothing is copied.
"""
from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.runtime.variables import Access

_SAME_ELEMENTS = frozenset(("Identity", "Reshape"))
_ASSIGNMENTS = frozenset(("Assign", "AssignVariableOp"))


def passing(
    ordered: Sequence[Operation],
    accesses: dict[Operation, list[Access]],
    fed: Container[Tensor],
    fetches: Container[Tensor],
    is_host_op: Callable[[Operation], bool],
) -> set[Operation]:
    """The operations that only pass arrays on.

    Args:
      ordered: the operations, each after those that it depends on.
      accesses: the variables that each of them uses.
      fed: tensors whose values are given.
      fetches: tensors that are wanted.
      is_host_op: whether an operation runs on the host anyway.
    """
    return _to_variables(ordered, fed) | _to_host(ordered, accesses, fed, fetches, is_host_op)


def _to_variables(ordered: Sequence[Operation], fed: Container[Tensor]) -> set[Operation]:
    """The assignments of new arrays (`OpDef.new_arrays`), which variables take over, and what is between."""
    new: set[Tensor] = set()
    found: set[Operation] = set()
    for op in ordered:
        if op.definition.new_arrays:
            new.update(tensor for tensor in op.outputs if tensor not in fed)
        elif not new:
            continue
        elif op.type in _SAME_ELEMENTS and op.inputs[0] in new:
            found.add(op)
            new.update(tensor for tensor in op.outputs if tensor not in fed)
        elif op.type in _ASSIGNMENTS and op.inputs[1] in new:
            found.add(op)
    return found


def _to_host(
    ordered: Sequence[Operation],
    accesses: dict[Operation, list[Access]],
    fed: Container[Tensor],
    fetches: Container[Tensor],
    is_host_op: Callable[[Operation], bool],
) -> set[Operation]:
    """The reads of variables, which nothing writes here, for host operations alone."""
    reads = [op for op in ordered if op.type == "ReadVariableOp"]
    if not reads:
        return set()
    written = {access.handle for found in accesses.values() for access in found if access.writes}
    elsewhere: set[Tensor] = set()  # what device operations take
    used: set[Tensor] = set()
    for op in ordered:
        used.update(op.inputs)
        if not is_host_op(op):
            elsewhere.update(op.inputs)
    return {
        op
        for op in reads
        if not any(access.handle in written for access in accesses[op])
        and all(t in used and t not in elsewhere and t not in fetches and t not in fed for t in op.outputs)
    }
