"""Branches and loops as TensorFlow 1 wrote them, found in the nodes of a file: a program with structure.

TensorFlow 1 has no functions in its graphs. A loop is a *frame* of nodes between `Enter` and `Exit`; its variables are
merges of what enters and of what the turn before handed on, and a switch on the loop's condition sends each of them
into another turn or out. A branch is what depends on one output of a `Switch`; a `Merge` ends it.

Here they become `Loop` and `Choice`. Nothing is built: `functionalize_build` does that.
"""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from millstream.core.node_reader import MERGES, NEXT_ITERATIONS, Edge, Node

ENTERS = frozenset(("Enter", "RefEnter"))
EXITS = frozenset(("Exit", "RefExit"))
SWITCHES = frozenset(("Switch", "RefSwitch"))
CONTROL_FLOW = frozenset((*ENTERS, *EXITS, *SWITCHES, *MERGES, *NEXT_ITERATIONS, "LoopCond"))
# How deep loops and branches may be nested.
MOST_NESTED = 50


class LoopVariable(NamedTuple):
    """What changes from turn to turn."""

    merge: Node
    enter: Node
    next_iteration: Node


class Loop:
    """A frame of nodes that are repeated.

    Attributes:
      condition: the `LoopCond`.
      variables: what changes from turn to turn.
      switches: the nodes that send a variable into another turn or out; with the index of the variable.
      constants: the nodes through which tensors come in that are the same in all turns.
      exits: the nodes that are the loop's results.
      test, body: what computes the condition, and what a turn computes.
      after: what is computed of the variables when they leave.
      has_effects: whether any of that does something besides giving values.
    """

    def __init__(self, condition: Node) -> None:
        self.condition = condition
        self.variables: list[LoopVariable] = []
        self.switches: list[tuple[Node, int]] = []
        self.constants: list[Node] = []
        self.exits: list[Node] = []
        self.test: Sequence[Item] = ()
        self.body: Sequence[Item] = ()
        self.after: Sequence[Item] = ()
        self.has_effects = False

    @property
    def name(self) -> str:
        """The condition's name, for messages."""
        return self.condition.name

    @property
    def edges(self) -> list[Edge]:
        """What comes in from outside."""
        enters = [*(variable.enter for variable in self.variables), *self.constants]
        return [edge for enter in enters for edge in enter.edges]


class Choice(NamedTuple):
    """Two branches.

    Attributes:
      predicate: which of them is taken.
      merges: the nodes that are results: with what they are in the false and in the true branch.
      exports: what else is used outside, and in which branch it is computed; control edges: what else must run.
      branches: what the false and the true branch compute.
    """

    predicate: Edge
    merges: list[tuple[Node, Edge, Edge]]
    exports: list[tuple[Edge, int]]
    branches: tuple[Sequence[Item], Sequence[Item]]


class Gate(NamedTuple):
    """A switch that a choice stands for: what uses one of its outputs is in a branch and takes the input."""

    node: Node


Item = Node | Loop | Choice | Gate


def names_of(item: Node | Loop) -> list[str]:
    """The names by which others refer to what an item gives."""
    return [exit.name for exit in item.exits] if isinstance(item, Loop) else [item.name]


def structured(nodes: Sequence[Node], wanted: Sequence[Edge]) -> Sequence[Item]:
    """The nodes of a file, each after what it uses, as a program of operations, loops and choices.

    Args:
      nodes: the nodes.
      wanted: what must be available afterwards.

    Raises:
      ValueError: frames are malformed, or nested too deep.
    """
    if not any(node.type in CONTROL_FLOW for node in nodes):
        return nodes
    from millstream.core.functionalize_conds import arranged
    from millstream.core.functionalize_loops import without_loops

    positions = {node.name: index for index, node in enumerate(nodes)}
    return arranged(without_loops(nodes, positions), positions, wanted, whole=True)


def in_order(items: Iterable[Node | Loop], positions: Mapping[str, int]) -> list[Node | Loop]:
    """The items so that each comes after those that it uses, otherwise in the order of the file.

    Raises:
      ValueError: they use each other.
    """
    given = list(items)
    maker = {name: index for index, item in enumerate(given) for name in names_of(item)}
    waiting, followers = [], [[] for _ in given]  # type: ignore[var-annotated]
    for index, item in enumerate(given):
        before = {maker[edge.maker] for edge in item.edges if edge.maker in maker}
        waiting.append(len(before))
        for other in before:
            followers[other].append(index)
    ready = [(_position(given[index], positions), index) for index, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, index = heapq.heappop(ready)
        ordered.append(given[index])
        for follower in followers[index]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (_position(given[follower], positions), follower))
    if len(ordered) != len(given):
        stuck = [item.name for item, count in zip(given, waiting, strict=True) if count]
        raise ValueError(f"{len(stuck)} nodes in a cycle: {', '.join(stuck[:5])}")
    return ordered


def _position(item: Node | Loop, positions: Mapping[str, int]) -> int:
    return min((positions[name] for name in names_of(item)), default=0)
