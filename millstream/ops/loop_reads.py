"""Reads of 1.x variables that a loop changes.

An `Identity` of a 1.x variable (`v/read`, which is what `v * 2` takes) shares the variable's memory. It is made once,
outside of the loop, but shows in each turn what the turns before have written. So the loop reads the variable in its
place.
"""
from __future__ import annotations

from collections.abc import Sequence

from millstream.core import tape
from millstream.core.opdef import changes_input
from millstream.core.region_graph import RegionGraph
from millstream.core.tensor import Tensor
from millstream.ops.identity_ops import identity


def read_each_turn(graphs: Sequence[RegionGraph]) -> dict[int, Tensor]:
    """Reads the variables that a loop's condition or body writes where it uses values that share their memory.

    Args:
      graphs: the graphs of condition and body.

    Returns:
      By the identity of the tensor that stood for the shared value: what is read in each turn.
    """
    written = [
        outer for graph in graphs for outer, inner in graph.captures if outer.dtype.is_ref and _is_written(inner)
    ]
    variables = {id(_origin(outer)): outer for outer in written}
    found = {}
    for graph in graphs if written else ():
        for outer, inner in graph.captures:
            source = _shared_reference(_origin(outer))
            if source is not None and id(source) in variables:
                found[id(inner)] = _replaced(graph, inner, variables[id(source)])
    return found


def _origin(tensor: Tensor) -> Tensor:
    """The tensor of the 1.x graph that stands at the beginning of what came through several loops and branches."""
    while (outer := tensor.op.graph.came_from(tensor.op)) is not None:
        tensor = outer
    return tensor


def _is_written(tensor: Tensor) -> bool:
    return any(
        changes_input(op, index) for op in tensor._consumers for index, taken in enumerate(op.inputs) if taken is tensor
    )


def _shared_reference(tensor: Tensor) -> Tensor | None:
    """The reference whose memory a value shares."""
    if tensor.op.type != "Identity" or tensor.dtype.is_ref:
        return None
    source = tensor.op.inputs[0]
    return _origin(source) if source.dtype.is_ref else None


def _replaced(graph: RegionGraph, tensor: Tensor, variable: Tensor) -> Tensor:
    users = list(tensor._consumers)
    with graph.as_default(), graph.numbering.stands_for(0), tape.recorded_by(()), graph._controlled_by([], outer=False):
        read = identity(graph.capture(variable), name="read")
    for op in dict.fromkeys(users):
        for index, taken in enumerate(op.inputs):
            if taken is tensor:
                op._update_input(index, read)
    return read
