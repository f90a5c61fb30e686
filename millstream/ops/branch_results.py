"""Tensors of a branch that a 1.x program uses outside of it: summaries, losses, updates.

In TensorFlow 1 they are tensors of the one graph, without a value where the branch does not run. Here they become
further results of the operation, each with a flag that says whether it was computed.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import tape
from millstream.core.conversion import to_tensor
from millstream.core.graph_function import GraphFunction
from millstream.core.operation import Operation
from millstream.core.region_graph import RegionGraph
from millstream.core.tensor import Tensor
from millstream.ops.functional_ops import as_attributes, branches_of, fake_param_op, taken_value_op
from millstream.ops.identity_ops import identity


def let_out(op: Operation, attributes: Sequence[str], graphs: Sequence[Any]) -> None:
    """Lets what the branches of a new operation compute be used outside.

    Args:
      op: the operation.
      attributes: the attributes that are branches, in the order of `graphs`; or the one that is a list of them.
      graphs: the branches' graphs.
    """
    for number, graph in enumerate(graphs):
        if isinstance(graph, RegionGraph):
            further = _FurtherResults(op, attributes, number)
            graph.give_out, graph.run_outside = further.tensor, further.operation


class _FurtherResults:
    """What is used outside of branch `number` of an operation although the branch does not give it."""

    def __init__(self, op: Operation, attributes: Sequence[str], number: int) -> None:
        self._op = op
        self._attributes = attributes
        self._number = number
        self._known: dict[int, tuple[Tensor | Operation, Tensor]] = {}  # by identity

    def tensor(self, tensor: Tensor) -> Tensor:
        """The tensor outside that has the value of a tensor of the branch, where that runs.

        Raises:
          InvalidArgumentError: when it runs: another branch ran.
        """
        return self._outside(tensor, lambda: tensor, lambda value, taken: taken_value_op(value, taken, name="Value"))

    def operation(self, operation: Operation) -> Operation:
        """What to wait for outside so that an operation of the branch has run, where that branch runs."""

        def done() -> Tensor:
            with operation.graph.as_default(), operation.graph._controlled_by([operation], outer=False):
                return identity(True, name="Done")

        return self._outside(operation, done, lambda value, taken: identity(value, name="Done")).op

    def _outside(
        self, thing: Tensor | Operation, inside: Callable[[], Tensor], stand_in: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """What stands outside for something of the branch, given how both are made."""
        op = self._op
        if id(thing) not in self._known:
            with tape.recorded_by(()), op.graph.numbering.stands_for(0):
                tensor = inside()
                _extend(op, self._attributes, lambda function, index: _wider(function, tensor, index == self._number))
                with op.graph.as_default(), op.graph.in_scope(op.name), op.graph._controlled_by([], outer=False):
                    self._known[id(thing)] = thing, stand_in(*op.outputs[-2:])
        return self._known[id(thing)][1]


def _extend(op: Operation, attributes: Sequence[str], change: Callable[[GraphFunction, int], GraphFunction]) -> None:
    changed = [change(function, index) for index, function in enumerate(branches_of(op, attributes))]
    op._extend(**as_attributes(attributes, changed))


def _wider(function: GraphFunction, tensor: Tensor, computes: bool) -> GraphFunction:
    """A branch with the tensor, or what stands for it, and whether it computes it as further outputs."""
    with function.graph.as_default():
        if not computes:
            more = [fake_param_op(dtype=tensor.dtype.base_dtype, shape=tensor._shape), to_tensor(False)]
        elif tensor.op.type == "TakenValue":  # of a branch inside: who uses it demands that it was computed
            more = list(tensor.op.inputs)
        else:
            more = [tensor, to_tensor(True)]
    outputs = [*function.outputs, *more]
    return GraphFunction(function.graph, function.inputs, outputs, function.control_outputs, function.levels)
