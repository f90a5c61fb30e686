"""Branches among the nodes of a file: which nodes run only where a predicate holds, and which merges end that.

A node's state is the list of the predicates, outermost first, on which it depends, each with a side; it comes from the
node's inputs, data and control alike, beginning with the outputs of a `Switch`. Nodes of one predicate that depend on
each other are gathered into as few choices as the order of the program allows: what lies between a choice and its
gradient depends on the one and is needed for the other, so these are two choices of the same predicate, and what the
first one computes in a branch is handed to the second.

Where merges do not pair the two sides of one predicate, its switches and merges stay operations, which run in the order
of the graph.
"""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from millstream.core import opdef
from millstream.core.functionalize import MOST_NESTED, SWITCHES, Choice, Gate, Item, Loop, in_order, names_of
from millstream.core.node_reader import MERGES, Edge, Node

_Key = tuple[str, int]  # a predicate: the tensor
# After so many attempts to tell apart which predicates are well nested, none counts as such.
_MOST_ATTEMPTS = 8


class _State:
    """Under which predicates something runs."""

    __slots__ = ("parent", "predicate", "side", "depth", "_inner")

    def __init__(self, parent: _State | None = None, predicate: _Key = ("", 0), side: int = 0) -> None:
        self.parent = parent
        self.predicate = predicate
        self.side = side
        self.depth: int = 0 if parent is None else parent.depth + 1
        self._inner: dict[tuple[_Key, int], _State] = {}

    def under(self, predicate: _Key, side: int) -> _State:
        """This state, and one side of a further predicate."""
        found = self._inner.get((predicate, side))
        if found is None:
            found = self._inner[predicate, side] = _State(self, predicate, side)
        return found

    def at(self, depth: int) -> _State:
        """The state of so many predicates around this one."""
        state: Any = self
        while state.depth > depth:
            state = state.parent
        return state

    def predicates_below(self, depth: int) -> list[_Key]:
        """The predicates but for the outermost ones."""
        state: Any = self
        found = []
        while state.depth > depth:
            found.append(state.predicate)
            state = state.parent
        return found


def _common(a: _State, b: _State) -> _State:
    """What two states have in common."""
    depth = min(a.depth, b.depth)
    a, b = a.at(depth), b.at(depth)
    while a is not b:
        a, b = a.parent, b.parent  # type: ignore[assignment]
    return a


def arranged(
    items: Sequence[Node | Loop], positions: Mapping[str, int], wanted: Sequence[Edge], whole: bool = False
) -> Sequence[Item]:
    """Nodes and loops in an order in which they can run, those of branches gathered into choices.

    Args:
      items: the nodes and loops.
      positions: of the nodes in the file.
      wanted: what must be available afterwards.
      whole: whether this is the graph itself: what nothing needs stays, and so do constants that are in no branch.
        Other constants are left out, unless effects come before them: they can be made wherever they are used.

    Raises:
      ValueError: they depend on each other in a circle, or branches are nested too deep.
    """
    ordered = in_order(items, positions)
    if not any(isinstance(item, Node) and item.type in SWITCHES for item in ordered):
        free = set() if whole else _free_constants(ordered)
        return [item for item in ordered if id(item) not in free]
    return _Branches(ordered, whole).arranged(wanted)


def _free_constants(ordered: Sequence[Node | Loop]) -> set[int]:
    """The constants, by identity, that wait for nothing that has effects."""
    free, waiting = set(), set()
    for item in ordered:
        if has_effects(item) or any(edge.maker in waiting for edge in item.edges):
            waiting.update(names_of(item))
        elif isinstance(item, Node) and item.type == "Const":
            free.add(id(item))
    return free


class _Branches:
    """The branches of a graph, or of a loop's condition or body."""

    def __init__(self, ordered: Sequence[Node | Loop], whole: bool) -> None:
        self._ordered = ordered
        self._whole = whole
        self._root = _State()
        self._maker = {name: item for item in ordered for name in names_of(item)}
        self._loose: set[_Key] = set()  # the predicates that are not well nested
        self._all_loose = False
        self._state: dict[int, _State] = {}
        self._state_of_maker: dict[str, _State] = {}  # by name
        self._switches = {item.name for item in ordered if isinstance(item, Node) and item.type in SWITCHES}
        # Merges that end a choice: the state outside, the predicate, what they are in the false and the true branch.
        self._ends: dict[str, tuple[_State, _Key, Edge, Edge]] = {}
        self._predicates: dict[_Key, Edge] = {}
        self._memo: dict[str, _Key] = {}

    def arranged(self, wanted: Sequence[Edge]) -> Sequence[Item]:
        """The items in order, with choices in place of the branches."""
        attempts = 0
        while True:
            known = len(self._loose)
            self._find_states()
            if self._whole and len(self._loose) == known:
                self._loosen_unfinished(wanted)
            if len(self._loose) == known:
                break
            attempts += 1
            self._all_loose = attempts >= _MOST_ATTEMPTS
        free = _free_constants(self._ordered)
        if self._whole:
            free = {key for key in free if self._state[key] is not self._root}
        items = [item for item in self._ordered if id(item) not in free]
        self._maker = {name: item for item in items for name in names_of(item)}
        return self._gathered(items, self._root, wanted)

    # --- States -------------------------------------------------------------------------------------------------

    def _find_states(self) -> None:
        self._state.clear()
        self._state_of_maker.clear()
        self._ends.clear()
        for item in self._ordered:
            state = self._state_of(item)
            if state.depth > MOST_NESTED:
                raise ValueError(f"Node '{item.name}': branches are nested more than {MOST_NESTED} deep.")
            self._state[id(item)] = state
            self._state_of_maker.update(dict.fromkeys(names_of(item), state))

    def _state_of(self, item: Node | Loop) -> _State:
        if isinstance(item, Node) and item.type in MERGES:
            return self._merged(item, [self._state_of_edge(edge) for edge in item.edges])
        states = dict.fromkeys(map(self._state_of_edge, item.edges))
        result = next(iter(states), self._root)
        waits_for_either = isinstance(item, Node) and item.type == "ControlTrigger"
        for state in states:
            common = _common(result, state)
            if waits_for_either:
                result = common
            elif common is result or common is state:
                result = state if common is result else result
            else:
                self._loosen(common.depth, result, state)
                result = common
        return result

    def _state_of_edge(self, edge: Edge) -> _State:
        state = self._state_of_maker.get(edge.maker, self._root)
        if edge.maker in self._switches and edge.output >= 0:
            item: Any = self._maker[edge.maker]
            if edge.output > 1:
                raise ValueError(
                    f"Connecting to invalid output {edge.output} of source node {item.name} which has 2 outputs."
                )
            key = self._predicate(item.inputs[1])
            if not self._all_loose and key not in self._loose:
                self._predicates.setdefault(key, item.inputs[1])
                return state.under(key, edge.output)
        return state

    def _predicate(self, edge: Edge) -> _Key:
        """What a predicate is an identity of."""
        chain = []
        while True:
            item = self._maker.get(edge.maker)
            if not isinstance(item, Node) or item.type != "Identity" or edge.maker in self._memo:
                break
            chain.append(edge.maker)
            edge = item.inputs[0]
        key = self._memo.get(edge.maker, (edge.maker or edge.text, edge.output))
        self._memo.update(dict.fromkeys(chain, key))
        return key

    def _merged(self, merge: Node, states: Sequence[_State]) -> _State:
        """The state of a merge: without the predicate of which it has both sides."""
        a, b = (states[0], states[1]) if len(merge.inputs) == 2 else (self._root, self._root)
        if a.parent is not None and a.parent is b.parent and a.predicate == b.predicate and a.side != b.side:
            either = merge.inputs[::-1] if a.side else merge.inputs
            self._ends[merge.name] = a.parent, a.predicate, either[0], either[1]
            result = a.parent
        else:
            result = states[0]
            for state in states[1:]:
                result = _common(result, state)
            self._loosen(result.depth, *states)
        return result

    def _loosen(self, depth: int, *states: _State) -> None:
        for state in states:
            self._loose.update(state.predicates_below(depth))

    def _loosen_unfinished(self, wanted: Sequence[Edge]) -> None:
        """Loosens the predicates of branches with effects that lead to no merge: whoever names these may run them."""
        needed: set[int] = set()
        stack: list[Any] = [item for item in self._ordered if self._state[id(item)] is self._root]
        stack.extend(self._maker[edge.maker] for edge in wanted if edge.maker in self._maker)
        while stack:
            item = stack.pop()
            if id(item) not in needed:
                needed.add(id(item))
                stack.extend(self._maker[edge.maker] for edge in item.edges if edge.maker in self._maker)
        for item in self._ordered:
            state = self._state[id(item)]
            if state is not self._root and id(item) not in needed and has_effects(item):
                self._loosen(0, state)

    # --- Choices ------------------------------------------------------------------------------------------------

    def _gathered(self, items: Sequence[Node | Loop], base: _State, wanted: Sequence[Edge]) -> Sequence[Item]:
        """Items that run under `base`, the deeper ones gathered into choices."""
        predicates = {id(item): self._next_predicate(item, base) for item in items}
        if not any(predicates.values()):
            return [self._finished(item) for item in items]
        ends = {id(item) for item in items if self._is_end(item, base)}
        steps: list[tuple[_Key | None, Sequence[Node | Loop]]] = []
        for key, together in _Schedule(items, predicates, ends).steps():
            steps.extend((key, part) for part in (self._connected(together) if key else [together]))
        group_of = {id(item): index for index, (key, members) in enumerate(steps) if key for item in members}
        exports = self._exports(items, group_of, ends, wanted)
        found: list[Item] = []
        for index, (key, members) in enumerate(steps):
            if key is None:
                found.extend(map(self._finished, members))
            else:
                choice = self._choice(base, key, members, exports.get(index, ()))
                found.extend([choice] if choice.merges or choice.exports else [])
        return found

    def _connected(self, members: Sequence[Node | Loop]) -> list[list[Node | Loop]]:
        """The parts of a group that depend on each other: a run may need one choice of a predicate and not another."""
        neighbours: dict[int, list[Node | Loop]] = {id(item): [] for item in members}
        for item in members:
            for edge in self._uses(item):
                maker = self._maker.get(edge.maker)
                if maker is not None and id(maker) in neighbours:
                    neighbours[id(item)].append(maker)
                    neighbours[id(maker)].append(item)
        part_of: dict[int, int] = {}
        for number, item in enumerate(members):
            stack = [item]
            while stack:
                other = stack.pop()
                if id(other) not in part_of:
                    part_of[id(other)] = number
                    stack.extend(neighbours[id(other)])
        parts: dict[int, list[Node | Loop]] = {}
        for item in members:
            parts.setdefault(part_of[id(item)], []).append(item)
        return list(parts.values())

    def _uses(self, item: Node | Loop) -> list[Edge]:
        """The edges of an item, and the predicates under which it runs."""
        return [*item.edges, *(self._predicates[key] for key in self._state[id(item)].predicates_below(0))]

    def _finished(self, item: Node | Loop) -> Item:
        """An item as it is built."""
        if not isinstance(item, Node) or item.type not in SWITCHES or self._all_loose:
            return item
        return item if self._predicate(item.inputs[1]) in self._loose else Gate(item)

    def _next_predicate(self, item: Node | Loop, base: _State) -> _Key | None:
        """The outermost predicate under `base` on which an item depends, or which it ends."""
        if self._is_end(item, base):
            return self._ends[item.name][1]
        state = self._state[id(item)]
        return None if state is base else state.at(base.depth + 1).predicate

    def _exports(
        self, items: Sequence[Node | Loop], group_of: Mapping[int, int], ends: set[int], wanted: Sequence[Edge]
    ) -> dict[int, dict[Edge, None]]:
        """What is used outside of each group of nodes that depend on a predicate, but for the merges."""
        found: dict[int, dict[Edge, None]] = {}
        grouped = (item for item in items if id(item) in group_of and id(item) not in ends)
        group_of_maker = {name: group_of[id(item)] for item in grouped for name in names_of(item)}

        def use(edges: Iterable[Edge], user: int | None) -> None:
            for edge in edges:
                group = group_of_maker.get(edge.maker)
                if group is not None and group != user:
                    found.setdefault(group, {})[edge._replace(text="")] = None

        for item in items:
            use(self._uses(item), group_of.get(id(item)))
        use(wanted, None)
        return found

    def _choice(self, base: _State, key: _Key, members: Sequence[Node | Loop], exports: Any) -> Choice:
        merges: list[Any] = [(item, *self._ends[item.name][2:]) for item in members if self._is_end(item, base)]
        sided = [(edge, self._state[id(self._maker[edge.maker])].at(base.depth + 1).side) for edge in exports]
        branches = []
        for side in (0, 1):
            wanted = [merge[1 + side] for merge in merges] + [edge for edge, place in sided if place == side]
            inner = base.under(key, side)
            own = [
                item for item in members
                if not self._is_end(item, base) and self._state[id(item)].at(base.depth + 1) is inner
            ]  # fmt: skip
            branches.append(self._gathered(self._needed(own, wanted), inner, wanted))
        return Choice(self._predicates[key], merges, sided, (branches[0], branches[1]))

    def _is_end(self, item: Node | Loop, base: _State) -> bool:
        """Whether an item is a merge that ends a choice under `base`."""
        return isinstance(item, Node) and item.name in self._ends and self._ends[item.name][0] is base

    def _needed(self, items: Sequence[Node | Loop], wanted: Sequence[Edge]) -> list[Node | Loop]:
        """Those of the items on which what is wanted depends."""
        own = {id(item) for item in items}
        needed: set[int] = set()
        stack = list(wanted)
        while stack:
            item = self._maker.get(stack.pop().maker)
            if item is not None and id(item) in own and id(item) not in needed:
                needed.add(id(item))
                stack.extend(self._uses(item))
        return [item for item in items if id(item) in needed]


class _Schedule:
    """An order of items in which those of one predicate come together as far as possible."""

    def __init__(
        self,
        items: Sequence[Node | Loop],
        predicates: Mapping[int, _Key | None],
        ends: set[int],
    ) -> None:
        self._items = items
        self._ends = ends
        place = {name: index for index, item in enumerate(items) for name in names_of(item)}
        self._predicate = [predicates[id(item)] for item in items]
        self._waiting: list[int] = []
        self._followers: list[list[int]] = [[] for _ in items]
        for index, item in enumerate(items):
            before = {place[edge.maker] for edge in item.edges if edge.maker in place}
            self._waiting.append(len(before))
            for other in before:
                self._followers[other].append(index)
        self._plain: list[int] = []
        self._ready: dict[_Key, list[int]] = {}
        self._first: list[tuple[int, _Key]] = []  # the predicates by the first of their items that is ready

    def steps(self) -> Iterator[tuple[_Key | None, list[Node | Loop]]]:
        """Items that depend on no predicate, and groups of items that depend on one."""
        self._release(index for index, count in enumerate(self._waiting) if not count)
        while self._plain or self._first:
            plain = []
            while self._plain:
                index = heapq.heappop(self._plain)
                plain.append(self._items[index])
                self._release(self._freed(index))
            if plain:
                yield None, plain
            while self._first and not self._ready.get(self._first[0][1]):
                heapq.heappop(self._first)
            if self._first:
                key = self._first[0][1]
                yield key, self._group(key)

    def _group(self, key: _Key) -> list[Node | Loop]:
        """All items of a predicate that can run without anything else being run in between."""
        ready, members, held = self._ready[key], [], []
        after: set[int] = set()  # what uses the choice's results
        while ready:
            index = heapq.heappop(ready)
            members.append(self._items[index])
            if id(self._items[index]) in self._ends:
                after.update(self._followers[index])
            for other in self._freed(index):
                if self._predicate[other] == key and other not in after:
                    heapq.heappush(ready, other)
                else:
                    held.append(other)
        self._release(held)
        return members

    def _freed(self, index: int) -> Iterator[int]:
        for other in self._followers[index]:
            self._waiting[other] -= 1
            if not self._waiting[other]:
                yield other

    def _release(self, indices: Any) -> None:
        for index in indices:
            key = self._predicate[index]
            if key is None:
                heapq.heappush(self._plain, index)
            else:
                ready = self._ready.setdefault(key, [])
                heapq.heappush(ready, index)
                heapq.heappush(self._first, (index, key))


def has_effects(item: Node | Loop) -> bool:
    """Whether running something may be wanted for its own sake."""
    if isinstance(item, Loop):
        return item.has_effects
    definition = item.definition
    return bool(definition.writes) or definition.calls_function or opdef.has_other_effects(item)
