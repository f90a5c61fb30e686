"""`RegionGraph`: a branch or a loop's body within a 1.x graph.

TensorFlow 1 puts the operations of branches and loops in the graph itself, so a program sees one graph: names are
unique in all of it, its operations are numbered through, and it has one seed, one set of collections and variable
scopes.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from millstream.core import errors
from millstream.core.func_graph import FuncGraph
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_scopes import Scopes
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor


class RegionGraph(FuncGraph):
    """The graph of a branch, or of a loop's condition or body, within a 1.x graph.

    Operations run where the results need them, not in the order of the program.

    Args:
      name: the function's name.
      gate: what TensorFlow calls the operation through which a tensor of outside comes in: `"Switch"`, `"Enter"`.
      beside: another part of the same loop: what came into it needs no further gate.

    Attributes:
      give_out: makes a tensor of a branch a result of the operation around; set when there is one.
      run_outside: has an operation of a branch run whenever the branch does; gives the operation around.
    """

    building_function = False

    def __init__(self, name: str, gate: str, beside: RegionGraph | None = None) -> None:
        self._root = get_default_graph().root
        super().__init__(name, orders_effects=False)
        outer: Any = self.outer_graph
        self._gate = gate
        self._entered: dict[int, Any] = beside._entered if beside is not None else {}  # by identity
        self._gates: dict[Operation, Tensor] = {}  # what stands for a tensor outside, and that tensor
        self.give_out: Callable[[Tensor], Tensor] | None = None
        self.run_outside: Callable[[Operation], Operation] | None = None
        self._through_outer: dict[int, tuple[Tensor, Tensor]] = {}  # from further outside: with what stands for it
        self._lock, self._names, self._by_name = outer._lock, outer._names, outer._by_name
        self.numbering = outer.numbering
        self._gradient_overrides = outer._gradient_overrides
        self._share(outer)
        self._scopes.take(outer._scopes)
        self._scope = self._scopes.name

    # --- What belongs to the whole graph ------------------------------------------------------------------------

    @property
    def root(self) -> Graph:
        """The graph that this one is a part of."""
        return self._root

    @property
    def seed(self) -> int | None:
        """The graph-level random seed."""
        return self._root.seed

    @seed.setter
    def seed(self, seed: int | None) -> None:
        self._root.seed = seed

    def control_dependencies(self, control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
        """As of any graph; `None` leads out of all branches and loops: so variables are made outside of them."""
        return self._in_root() if control_inputs is None else super().control_dependencies(control_inputs)

    @contextmanager
    def _in_root(self) -> Iterator[None]:
        root = self._root
        before = Scopes()
        before.take(root._scopes)
        root._scopes.take(self._scopes)
        try:
            with root.as_default(), root._controlled_by([], outer=False):
                yield
        finally:
            root._scopes.take(before)

    # --- What comes from outside --------------------------------------------------------------------------------

    def capture(self, tensor: Tensor, name: str | None = None) -> Tensor:
        """A tensor of this graph for one from outside, which comes in through all the branches and loops between."""
        if tensor.op.graph is self:
            return tensor
        found = self._through_outer.get(id(tensor))
        if found is not None:
            return found[1]
        if tensor.op.graph.root is self._root and not self._is_inside(tensor.op.graph):
            return self.capture(tensor.op.graph.given_out(tensor))  # type: ignore[attr-defined]
        nearest = self.outer_graph.capture(tensor)  # type: ignore[union-attr]
        with self.numbering.stands_for(0 if id(nearest) in self._entered else 1):
            inner = super().capture(nearest, name)
        self._entered[id(nearest)] = nearest
        self._through_outer[id(tensor)] = tensor, inner
        self._gates[inner.op] = nearest
        return inner

    def came_from(self, op: Operation) -> Tensor | None:
        """The tensor outside that an operation stands for."""
        return self._gates.get(op)

    def count_entry(self, thing: Any, home: Graph) -> None:
        """Counts what TensorFlow 1 brings in from outside where nothing comes in here: an array's handle.

        Args:
          thing: stands for it.
          home: the graph in which it was made.
        """
        if home is self:
            return
        self.outer_graph.count_entry(thing, home)  # type: ignore[union-attr]
        if id(thing) not in self._entered:
            self._entered[id(thing)] = thing
            self.numbering.skip(1)

    def _label(self, tensor: Tensor) -> str:
        return f"{self._scope}/{tensor.op.name.rpartition('/')[2]}/{self._gate}"

    _constant_label = _label

    # --- What is used outside -----------------------------------------------------------------------------------

    def given_out(self, tensor: Tensor) -> Tensor:
        """A tensor of the graph around for one of this graph.

        Raises:
          LeakedTensorError: the branch is not complete yet, or this is no branch.
        """
        if self.give_out is None:
            raise self._not_outside(tensor.op)
        return self.give_out(tensor)

    def waited_for(self, op: Operation) -> Operation:
        """The operation of the graph around that runs an operation of this graph, where the branch is taken.

        Raises:
          LeakedTensorError: as `given_out`.
        """
        if self.run_outside is None:
            raise self._not_outside(op)
        return self.run_outside(op)

    def _not_outside(self, op: Operation) -> errors.LeakedTensorError:
        where = "a while loop" if self._gate == "Enter" else "a branch that is being built"
        return errors.LeakedTensorError(op.name, where)

    def _is_inside(self, graph: Graph) -> bool:
        """Whether this graph is `graph` or a part of it."""
        around: Any = self
        while isinstance(around, RegionGraph):
            if around is graph:
                return True
            around = around.outer_graph
        return around is graph

    def _reached(self, op: Operation) -> Operation:
        while op.graph.root is self._root and not self._is_inside(op.graph):
            op = op.graph.waited_for(op)  # type: ignore[attr-defined]
        return op
