"""Loops among the nodes of a file: frames, and what is repeated in them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core.functionalize import (
    CONTROL_FLOW,
    ENTERS,
    EXITS,
    MOST_NESTED,
    SWITCHES,
    Loop,
    LoopVariable,
    in_order,
)
from millstream.core.functionalize_conds import arranged, has_effects
from millstream.core.node_reader import MERGES, NEXT_ITERATIONS, Edge, Node

_OF_LOOPS = CONTROL_FLOW - SWITCHES - MERGES


class _Frame:
    """What `Enter` opens: nodes that run once a turn. The outermost one is the graph itself."""

    def __init__(self, name: str, parent: _Frame | None) -> None:
        self.name = name
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.inner: dict[str, _Frame] = {}
        self.conditions: list[Node] = []

    def entered(self, node: Node) -> _Frame:
        """The frame that an `Enter` in this one opens.

        Raises:
          ValueError: that would be nested too deep.
        """
        name = node.attrs["frame_name"]
        if name not in self.inner:
            if self.depth >= MOST_NESTED:
                raise ValueError(f"Node '{node.name}': loops are nested more than {MOST_NESTED} deep.")
            self.inner[name] = _Frame(name, self)
        return self.inner[name]


def without_loops(nodes: Sequence[Node], positions: Mapping[str, int]) -> list[Node | Loop]:
    """The nodes that are in no loop, and the outermost loops.

    Raises:
      ValueError: loops are malformed.
    """
    if not any(node.type in _OF_LOOPS for node in nodes):
        return list(nodes)
    return _Loops(nodes, positions).outermost()


class _Loops:
    """The loops of a file."""

    def __init__(self, nodes: Sequence[Node], positions: Mapping[str, int]) -> None:
        self._positions = positions
        self._nodes = {node.name: node for node in nodes}
        self._root = _Frame("", None)
        self._frames: dict[str, _Frame] = {}  # of each node: of an `Enter` the one inside, of an `Exit` the one outside
        self._owner: dict[str, Loop] = {}  # of nodes that are repeated, and of `Exit`
        self._variables: dict[str, tuple[Node, Node]] = {}  # what enters and what is handed on, by the merge
        self._switches: dict[str, list[Node]] = {}  # by the name of the `LoopCond` that they depend on
        self._exits: dict[str, list[Node]] = {}  # by the name of the `LoopCond`
        for node in nodes:
            self._place(node)
        for node in nodes:
            self._note(node)

    def outermost(self) -> list[Node | Loop]:
        """The nodes that are in no loop, and the outermost loops."""
        frames = {id(frame): frame for frame in self._frames.values() if frame is not self._root}
        found: list[Node | Loop] = []
        for frame in sorted(frames.values(), key=lambda frame: -frame.depth):
            if not frame.conditions:
                enter = next(name for name, other in self._frames.items() if other is frame)
                raise ValueError(f"Node '{enter}' enters the loop '{frame.name}', which has no LoopCond.")
            loops = [self._loop(condition, frame) for condition in frame.conditions]
            if frame.parent is self._root:
                found.extend(loops)
        self._check_complete()
        outside = [
            node for node in self._nodes.values() if self._frames[node.name] is self._root and node.type not in EXITS
        ]
        return outside + found

    # --- Frames -------------------------------------------------------------------------------------------------

    def _place(self, node: Node) -> None:
        """Finds the frame of a node, those of its inputs being known."""
        first, frame = None, self._root
        for edge in node.edges:
            found = self._frames.get(edge.maker)  # none: of another graph, or handed on by the turn before
            if found is None:
                continue
            if first is None:
                first, frame = edge, found
            elif found is not frame:
                raise ValueError(
                    f"The node '{node.name}' has inputs from different frames. The input '{first.text}' is in frame "
                    f"'{frame.name}'. The input '{edge.text}' is in frame '{found.name}'."
                )
        if node.type in ENTERS:
            frame = frame.entered(node)
        elif node.type in EXITS:
            if frame.parent is None:
                raise ValueError(f"Node '{node.name}' (op: '{node.type}') leaves a loop, but is in none.")
            frame = frame.parent
        self._frames[node.name] = frame

    def _note(self, node: Node) -> None:
        """Notes what a node of a frame is there for."""
        if node.type in MERGES:
            self._note_variable(node)
        elif node.type in NEXT_ITERATIONS and self._frames[node.name] is self._root:
            raise ValueError(f"Node '{node.name}' (op: '{node.type}') is in no loop that could have a next turn.")
        elif node.type == "LoopCond":
            if self._frames[node.name] is self._root:
                raise ValueError(f"Node '{node.name}' is the condition of a loop, but is in none.")
            self._frames[node.name].conditions.append(node)
        elif node.type in SWITCHES:
            condition = self._nodes.get(node.inputs[1].maker)
            if condition is not None and condition.type == "LoopCond":
                self._switches.setdefault(condition.name, []).append(node)
        elif node.type in EXITS:
            self._exits.setdefault(self._left_by(node), []).append(node)

    def _left_by(self, exit: Node) -> str:
        """The condition of the loop whose result an `Exit` is.

        Raises:
          ValueError: none of its inputs leads out of a loop.
        """
        stack, seen = [exit.inputs[0]], set()
        while stack:
            edge = stack.pop()
            node = self._nodes.get(edge.maker)
            if node is None or node.name in seen or edge.is_control:
                continue
            seen.add(node.name)
            if self._is_loop_switch(edge):
                return node.inputs[1].maker
            if node.type not in CONTROL_FLOW:
                stack.extend(node.edges)
        raise ValueError(
            f"Node '{exit.name}' (op: '{exit.type}') must take the first output of a Switch on the loop's condition, "
            f"not '{exit.inputs[0].text}'."
        )

    def _note_variable(self, merge: Node) -> None:
        makers = [self._nodes.get(edge.maker) for edge in merge.inputs]
        following = [node for node in makers if node is not None and node.type in NEXT_ITERATIONS]
        if not following:
            return
        entering = [node for node in makers if node is not None and node.type in ENTERS]
        if len(makers) != 2 or not entering or entering[0].attrs["is_constant"]:
            raise ValueError(
                f"Node '{merge.name}' (op: '{merge.type}') must merge what an Enter lets in, not as a constant, with "
                "what a NextIteration hands on."
            )
        if self._frames[following[0].name] is not self._frames[merge.name]:
            raise ValueError(f"Node '{merge.name}': '{following[0].name}' is in another loop.")
        self._variables[merge.name] = entering[0], following[0]

    def _is_loop_switch(self, edge: Edge) -> bool:
        switch = self._nodes.get(edge.maker)
        if switch is None or switch.type not in SWITCHES:
            return False
        condition = self._nodes.get(switch.inputs[1].maker)
        return condition is not None and condition.type == "LoopCond"

    # --- Loops --------------------------------------------------------------------------------------------------

    def _loop(self, condition: Node, frame: _Frame) -> Loop:
        loop = Loop(condition)
        reach = _Reach(self, loop, frame)
        for switch in self._switches.get(condition.name, ()):
            index = reach.variable(self._variable_of(switch), switch)
            loop.switches.append((switch, index))
        loop.exits = self._exits.get(condition.name, [])
        self._owner.update((exit.name, loop) for exit in loop.exits)
        if not loop.exits:
            raise ValueError(f"The loop with the condition '{condition.name}' is never left: it has no Exit.")
        test = reach.items([condition.inputs[0]])
        body: dict[int, Node | Loop] = {}
        done = 0
        while done < len(loop.variables):  # further ones are found on the way
            body.update(reach.items(loop.variables[done].next_iteration.edges, body))
            done += 1
        leaving = [exit.inputs[0] for exit in loop.exits]
        after = reach.items(leaving, outwards=True)
        for item in (*body.values(), *after.values()):
            if sum(id(item) in part for part in (test, body, after)) > 1 and _has_state(item):
                raise ValueError(f"Node '{item.name}' must be in one part of a loop: condition, body, or what follows.")
        loop.has_effects = any(has_effects(item) for part in (test, body, after) for item in part.values())
        handed = [edge for variable in loop.variables for edge in variable.next_iteration.edges]
        loop.test = arranged(in_order(test.values(), self._positions), self._positions, [condition.inputs[0]])
        loop.body = arranged(in_order(body.values(), self._positions), self._positions, handed)
        loop.after = arranged(in_order(after.values(), self._positions), self._positions, leaving)
        return loop

    def _variable_of(self, switch: Node) -> str:
        merge = switch.inputs[0].maker
        if merge not in self._variables or switch.inputs[0].output != 0:
            raise ValueError(
                f"Node '{switch.name}' (op: '{switch.type}') must take a loop's variable, which is a Merge of an Enter "
                f"and a NextIteration, not '{switch.inputs[0].text}'."
            )
        return merge

    def _check_complete(self) -> None:
        for name in self._variables:
            if name not in self._owner:
                raise ValueError(f"Node '{name}' is a variable of a loop without a LoopCond.")


class _Reach:
    """What a loop repeats, found by going back from what it needs."""

    def __init__(self, loops: _Loops, loop: Loop, frame: _Frame) -> None:
        self._loops = loops
        self._loop = loop
        self._frame = frame
        self._index: dict[str, int] = {}  # of the variables
        self._constants: set[str] = set()

    def variable(self, merge: str, user: Node) -> int:
        """The index of a variable of the loop."""
        loops = self._loops
        if merge not in self._index:
            if loops._owner.setdefault(merge, self._loop) is not self._loop:
                raise ValueError(f"Node '{user.name}' uses a variable of another loop: '{merge}'.")
            self._index[merge] = len(self._loop.variables)
            self._loop.variables.append(LoopVariable(loops._nodes[merge], *loops._variables[merge]))
        return self._index[merge]

    def items(
        self, edges: Sequence[Edge], known: Mapping[int, Any] | None = None, outwards: bool = False
    ) -> dict[int, Node | Loop]:
        """The nodes and inner loops that some edges depend on, in this frame, but for those that are known.

        Args:
          edges: the edges.
          known: nodes that are known, by identity.
          outwards: whether they lead out of the loop rather than into the next turn.
        """
        found: dict[int, Node | Loop] = {}
        stack = list(edges)
        while stack:
            edge = stack.pop()
            node = self._loops._nodes.get(edge.maker)
            item = None if node is None else self._item(node, edge, outwards)
            if item is not None and id(item) not in found and id(item) not in (known or ()):
                found[id(item)] = item
                stack.extend(item.edges)
        return found

    def _item(self, node: Node, edge: Edge, outwards: bool) -> Node | Loop | None:
        """What is repeated to compute an edge; None where it is given."""
        loops = self._loops
        if node.type in ENTERS:
            self._add_constant(node)
            return None
        if node.name in loops._variables:
            self.variable(node.name, node)
            return None
        if node.type in NEXT_ITERATIONS:
            raise ValueError(f"Only a Merge may take what '{node.name}' (op: '{node.type}') hands on.")
        if node.type in SWITCHES and loops._is_loop_switch(edge):
            self._check_switch(node, edge, outwards)
            return None
        if node.type in EXITS:
            return loops._owner[node.name]
        if loops._owner.setdefault(node.name, self._loop) is not self._loop:
            raise ValueError(f"Node '{node.name}' is a part of two loops.")
        return node

    def _add_constant(self, enter: Node) -> None:
        if not enter.attrs["is_constant"]:
            raise ValueError(
                f"Node '{enter.name}' (op: '{enter.type}') lets a variable into a loop, which a Merge must take."
            )
        if enter.name not in self._constants:
            self._constants.add(enter.name)
            self._loop.constants.append(enter)

    def _check_switch(self, switch: Node, edge: Edge, outwards: bool) -> None:
        if switch.inputs[1].maker != self._loop.condition.name:
            raise ValueError(f"Node '{switch.name}' depends on the condition of another loop.")
        if not edge.is_control and edge.output != (0 if outwards else 1):
            side = "for the next turn" if outwards else "out of the loop"
            raise ValueError(f"'{edge.text}' leads {side}, but is used where the other output of that Switch belongs.")


def _has_state(item: Node | Loop) -> bool:
    return isinstance(item, Loop) or item.definition.stateful
