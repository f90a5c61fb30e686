"""From what is asked for to an ordered list of steps.

`make_plan` prunes the graph to what the fetches need, orders it, and cuts it into stages: runs of device operations
that one XLA executable computes, and host operations between them. A plan knows nothing of arrays or JAX.
"""
from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import chain

from millstream.core.dtypes import resource, string, variant
from millstream.core.graph import Graph
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime import region_plan
from millstream.runtime.fresh_reads import add_fresh_reads, read_last
from millstream.runtime.host_values import passing
from millstream.runtime.variables import Access, static_inputs, variable_accesses


class Stage:
    """Device operations that are compiled together.

    Attributes:
      ops: the operations in the order in which they take effect.
      device: the device that they run on, a name of `runtime.devices`.
      inputs: tensors that come from feeds or earlier steps.
      statics: those of the inputs whose values the stage is specialised on.
      outputs: tensors that later steps or the fetches need.
      reads: variables that are only read.
      writes: variables that are written.
      folded: tensors that must be computed with NumPy while the stage is compiled.
      fresh: what operations read anew in place of an input (`fresh_reads`).
    """

    __slots__ = ("ops", "device", "inputs", "statics", "outputs", "reads", "writes", "folded", "fresh", "shared")

    def __init__(self, ops: list[Operation], device: str) -> None:
        self.ops = ops
        self.device = device
        self.inputs: list[Tensor] = []
        self.statics: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.reads: list[VariableHandle] = []
        self.writes: list[VariableHandle] = []
        self.folded: frozenset[Tensor] = frozenset()
        self.fresh: dict[Operation, list[Access]] = {}
        self.shared = False  # whether a failure later in the plan must undo this stage's assignments

    @property
    def is_host(self) -> bool:
        """Whether this runs in Python rather than as a compiled stage."""
        return False


class HostStep(Stage):
    """One operation that runs in Python on NumPy arrays, or several asynchronous ones that start together."""

    __slots__ = ()

    @property
    def is_host(self) -> bool:
        return True


class Plan:
    """The steps that compute a set of fetches from a set of feeds."""

    __slots__ = ("steps", "fetches", "feeds", "final_reads", "consumed")

    def __init__(self, steps: list[Stage], fetches: list[Tensor], feeds: frozenset[Tensor]) -> None:
        self.steps = steps
        self.fetches = fetches
        self.feeds = feeds
        self.final_reads = read_last(fetches, {handle for step in steps for handle in step.writes}, feeds)
        self.consumed = frozenset(tensor for step in steps for tensor in step.inputs)


def make_plan(
    graph: Graph,
    fetches: Sequence[Tensor],
    targets: Sequence[Operation],
    feeds: Iterable[Tensor],
    place: Callable[[Operation], str] = lambda op: "",
    concrete: frozenset[Tensor] = frozenset(),
) -> Plan:
    """Plans a run.

    Args:
      graph: the graph.
      fetches: tensors whose values are wanted.
      targets: operations that must run.
      feeds: tensors whose values are given.
      place: the device of an operation.
      concrete: feeds whose values are known when stages are compiled, where a stage needs that.

    Raises:
      ValueError: the needed part of the graph has a cycle.
    """
    fed = frozenset(feeds)
    needed = _prune(fetches, targets, fed)
    accesses = {op: variable_accesses(op, fed) for op in needed}
    ordered = _order(needed, accesses, fed, {tensor.op for tensor in fetches})
    on_host = add_fresh_reads(ordered, accesses, fed)
    on_host |= passing(ordered, accesses, fed, fetches, is_host_op)
    after = _access_order(ordered, accesses)
    steps = _cut(ordered, after, _Concreteness(fed, concrete), place, set(), on_host)
    _connect(steps, fetches, fed, accesses)
    return Plan(steps, list(fetches), fed)


def is_host_op(op: Operation) -> bool:
    """Whether an operation runs in Python: by its definition, or because a tensor of it holds strings.

    Constant strings, and checks that only show them in their message, do not keep a stage from being compiled.
    """
    if op.definition.host:
        return "_keeps_length" not in op.attrs  # `Unique` where its length does not matter
    if op.definition.calls_function and region_plan.plans_of(op) is None:
        return True
    if not any(map(_is_text, op.inputs)) and not any(map(_is_text, op.outputs)):
        return region_plan.keeps_lists_on_host(op)
    shows_text = "check" in op.definition.kernel_services and not op.outputs
    texts = [tensor.op for tensor in op.inputs if _is_text(tensor)]
    return not (_is_constant(op) or (shows_text and all(_is_constant(maker) for maker in texts)))


def _is_text(tensor: Tensor) -> bool:
    return tensor.dtype.base_dtype is string


def _is_constant(op: Operation) -> bool:
    return not op.inputs and op.definition.foldable and not op.definition.must_be_fed


def _prune(fetches: Sequence[Tensor], targets: Sequence[Operation], fed: frozenset[Tensor]) -> set[Operation]:
    """What the fetches need, over data and control edges, stopping at fed tensors."""
    stack = [tensor.op for tensor in fetches if tensor not in fed]
    stack.extend(targets)
    needed: set[Operation] = set()
    while stack:
        op = stack.pop()
        if op in needed:
            continue
        needed.add(op)
        stack.extend(tensor.op for tensor in op.inputs if tensor not in fed)
        stack.extend(waited_for(op, fed))
    return needed


def waited_for(op: Operation, fed: Container[Tensor]) -> list[Operation]:
    """The control inputs of an operation but those that are there before anything runs: fed placeholders."""
    return [
        other
        for other in op._control_inputs
        if not (other.definition.must_be_fed and all(tensor in fed for tensor in other.outputs))
    ]


def _predecessors(op: Operation, fed: frozenset[Tensor]) -> set[Operation]:
    before = {tensor.op for tensor in op.inputs if tensor not in fed}
    before.update(waited_for(op, fed))
    return before


def _order(
    needed: set[Operation], accesses: dict[Operation, list[Access]], fed: frozenset[Tensor], fetched: set[Operation]
) -> list[Operation]:
    """A topological order in which readers of a variable come before writers that do not depend on them.

    Among the operations that are ready the one made first goes first, but a writer waits while there is anything else,
    and what reads a resource variable only to fetch it comes last of all.
    """
    waiting: dict[Operation, int] = {}
    followers: dict[Operation, list[Operation]] = {}

    def turn(op: Operation) -> tuple[int, int, Operation]:
        if _writes(accesses[op]):
            return 1, op._id, op
        last = op in fetched and op not in followers and "state" in op.definition.kernel_services
        return 2 if last else 0, op._id, op

    for op in needed:
        before = _predecessors(op, fed)
        waiting[op] = len(before)
        for other in before:
            followers.setdefault(other, []).append(op)
    ready = [turn(op) for op, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    ordered: list[Operation] = []
    while ready:
        op = heapq.heappop(ready)[2]
        ordered.append(op)
        for follower in followers.get(op, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, turn(follower))
    if len(ordered) != len(needed):
        stuck = sorted(op.name for op, count in waiting.items() if count > 0)
        raise ValueError(f"The graph has a cycle through {', '.join(stuck[:5])}.")
    return ordered


def _writes(accesses: list[Access]) -> bool:
    return any(access.writes for access in accesses)


def _access_order(
    ordered: list[Operation], accesses: dict[Operation, list[Access]]
) -> dict[Operation, list[Operation]]:
    """What each operation must wait for so that every access to a variable keeps its place in the order."""
    after: dict[Operation, list[Operation]] = {}
    last_write: dict[VariableHandle, Operation] = {}
    readers: dict[VariableHandle, list[Operation]] = {}
    for op in ordered:
        for access in accesses[op]:
            handle = access.handle
            if last_write.get(handle, op) is not op:
                after.setdefault(op, []).append(last_write[handle])
            if access.writes:
                after.setdefault(op, []).extend(other for other in readers.pop(handle, ()) if other is not op)
                last_write[handle] = op
            else:
                readers.setdefault(handle, []).append(op)
    return after


# --- Cutting ---------------------------------------------------------------------------------------------------------


class _Concreteness:
    """Which tensors a stage can compute with NumPy while it is compiled: constants, shapes and what follows."""

    def __init__(self, fed: frozenset[Tensor], given: frozenset[Tensor] = frozenset()) -> None:
        self.fed = fed
        self._given = given  # those of the fed tensors whose values are known then
        self._known: dict[Operation, bool] = {}

    def of(self, tensor: Tensor) -> bool:
        """Whether `tensor` is known when its stage is compiled."""
        return tensor in self._given or (tensor not in self.fed and self._of_op(tensor.op))

    def _of_op(self, op: Operation) -> bool:
        stack = [op]
        known = self._known
        while stack:
            current = stack[-1]
            if current in known:
                stack.pop()
                continue
            definition = current.definition
            if is_host_op(current) or definition.must_be_fed or not definition.foldable:
                known[current] = False
            elif definition.reads_shape_only:
                known[current] = True
            else:
                missing = [t.op for t in current.inputs if t not in self.fed and t.op not in known]
                if missing:
                    stack.extend(missing)
                    continue
                known[current] = all(
                    t in self._given or (t not in self.fed and known[t.op]) for t in current.inputs
                )
            stack.pop()
        return known[op]


def _cut(
    ordered: list[Operation],
    after: dict[Operation, list[Operation]],
    concrete: _Concreteness,
    place: Callable[[Operation], str],
    done: set[Operation],
    on_host: Container[Operation] = (),
) -> list[Stage]:
    """Greedily: every device operation that is ready, then every host operation that is ready, and again.

    Asynchronous operations wait until nothing else is left to do, and then start together: one may wait for another.
    Those `on_host` run in Python whatever they are.
    """
    fed = concrete.fed
    remaining = ordered
    steps: list[Stage] = []
    while remaining:
        stage_ops, rest = _take_device_ops(remaining, after, concrete, done, place, on_host)
        if stage_ops:
            steps.append(_new_stage(stage_ops, concrete, place))
            done.update(stage_ops)
        remaining = []
        asynchronous = []
        taken_host = False
        for op in rest:
            if not (is_host_op(op) or op in on_host) or not all(other in done for other in _all_before(op, after, fed)):
                remaining.append(op)
            elif op.definition.asynchronous:
                asynchronous.append(op)
            else:
                steps.append(HostStep([op], ""))
                done.add(op)
                taken_host = True
        if stage_ops or taken_host:
            remaining = [op for op in rest if op not in done]
        elif asynchronous:
            steps.append(HostStep(asynchronous, ""))
            done.update(asynchronous)
        else:
            raise RuntimeError(f"No step is ready, {len(remaining)} operations are left: {remaining[0].name}, …")
    return steps


def _all_before(
    op: Operation, after: dict[Operation, list[Operation]], fed: frozenset[Tensor]
) -> Iterable[Operation]:
    makers = [tensor.op for tensor in op.inputs if tensor not in fed]
    return chain(makers, waited_for(op, fed), after.get(op, ()))


def _take_device_ops(
    remaining: list[Operation],
    after: dict[Operation, list[Operation]],
    concrete: _Concreteness,
    done: set[Operation],
    place: Callable[[Operation], str],
    on_host: Container[Operation],
) -> tuple[list[Operation], list[Operation]]:
    """Splits `remaining` into a stage and the rest. A stage runs on one device: that of its first operation."""
    fed = concrete.fed
    taken: list[Operation] = []
    taken_set: set[Operation] = set()
    rest: list[Operation] = []
    device: str | None = None
    for op in remaining:
        ready = all(other in done or other in taken_set for other in _all_before(op, after, fed))
        if not ready or op in on_host or is_host_op(op):
            rest.append(op)
            continue
        # A value that the stage is specialised on must be there before the stage is compiled.
        if any(t not in fed and t.op in taken_set and not concrete.of(t) for t in static_inputs(op)):
            rest.append(op)
            continue
        wanted = place(op)
        if device is None:
            device = wanted
        elif wanted != device:
            rest.append(op)
            continue
        taken.append(op)
        taken_set.add(op)
    return taken, rest


def split_stage(stage: Stage, parts: int) -> list[Stage]:
    """Cuts a stage into `parts` stages of about the same length that run one after the other.

    What is concrete (constants, shapes) is computed anew in each part that needs it.
    """
    given = frozenset(stage.inputs)
    concrete = _Concreteness(given)
    moving = [op for op in stage.ops if not op.outputs or not concrete.of(op.outputs[0])]
    size = -(-len(moving) // parts)
    chunks = [set(moving[start : start + size]) for start in range(0, len(moving), size)]
    wanted = {tensor.op for tensor in stage.outputs}
    chunks[-1].update(op for op in stage.ops if op in wanted and op not in moving)
    steps = []
    for chunk in chunks:
        members = chunk | _concrete_sources(chunk, given, concrete)
        steps.append(_new_stage([op for op in stage.ops if op in members], concrete, lambda op: stage.device))
    accesses = _accesses_in(stage, given)
    _connect(steps, stage.outputs, given, accesses)
    return steps


def _accesses_in(stage: Stage, given: frozenset[Tensor]) -> dict[Operation, list[Access]]:
    return {op: variable_accesses(op, given) + stage.fresh.get(op, []) for op in stage.ops}


def cut_anew(stage: Stage) -> list[Stage]:
    """Cuts a stage of which operations have turned out to need the host."""
    given = frozenset(stage.inputs)
    accesses = _accesses_in(stage, given)
    after = _access_order(stage.ops, accesses)
    earlier = {other for op in stage.ops for other in _predecessors(op, given)}.difference(stage.ops)
    steps = _cut(stage.ops, after, _Concreteness(given), lambda op: stage.device, earlier)
    _connect(steps, stage.outputs, given, accesses)
    for step in steps:
        step.shared = step.shared or stage.shared
    return steps


def _concrete_sources(
    chunk: set[Operation], given: frozenset[Tensor], concrete: _Concreteness
) -> set[Operation]:
    """The concrete operations that a part of a stage depends on."""
    found: set[Operation] = set()
    stack = [tensor for op in chunk for tensor in op.inputs]
    while stack:
        tensor = stack.pop()
        if tensor in given or tensor.op in found or tensor.op in chunk or not concrete.of(tensor):
            continue
        found.add(tensor.op)
        if not tensor.op.definition.reads_shape_only:
            stack.extend(tensor.op.inputs)
    return found


def _new_stage(ops: list[Operation], concrete: _Concreteness, place: Callable[[Operation], str]) -> Stage:
    stage = Stage(ops, place(ops[0]))
    inside = set(ops)
    folded: set[Tensor] = set()
    statics: dict[Tensor, None] = {}
    stack = [tensor for op in ops for tensor in static_inputs(op)]
    while stack:
        tensor = stack.pop()
        if tensor in folded or tensor in statics:
            continue
        if tensor.op in inside and concrete.of(tensor):
            folded.add(tensor)
            if not tensor.op.definition.reads_shape_only:
                stack.extend(tensor.op.inputs)
        elif tensor.dtype is not variant:  # how long a list is belongs to its type
            statics[tensor] = None
    stage.folded = frozenset(folded)
    stage.statics = list(statics)
    return stage


def _connect(
    steps: list[Stage],
    fetches: Sequence[Tensor],
    fed: frozenset[Tensor],
    accesses: dict[Operation, list[Access]],
) -> None:
    """Works out what each step takes from before it and must hand on."""
    needed_later = {tensor for tensor in fetches if not tensor.dtype.is_ref}
    for step in reversed(steps):
        inside = set(step.ops)
        made = [tensor for op in step.ops for tensor in op.outputs]
        step.outputs = [t for t in made if t in needed_later and t not in fed and not _is_handle(t)]
        inputs: dict[Tensor, None] = {}
        for op in step.ops:
            for tensor in op.inputs:
                if tensor in fed or (tensor.op not in inside and not _is_handle(tensor)):
                    inputs[tensor] = None
        step.inputs = list(inputs)
        needed_later.update(step.inputs)
        _collect_variables(step, accesses)
    for step in steps:
        step.shared = len(steps) > 1


def _is_handle(tensor: Tensor) -> bool:
    """References and resources are not values: each step finds its variables by itself."""
    return tensor.dtype.is_ref or tensor.dtype is resource


def _collect_variables(step: Stage, accesses: dict[Operation, list[Access]]) -> None:
    written: dict[VariableHandle, None] = {}
    read: dict[VariableHandle, None] = {}
    for op in step.ops:
        for access in accesses[op]:
            (written if access.writes else read)[access.handle] = None
            if access.input is not None:
                step.fresh.setdefault(op, []).append(access)
    step.writes = list(written)
    step.reads = [handle for handle in read if handle not in written]


def check_plan(plan: Plan) -> None:
    """An executable specification of a plan, used by tests.

    Raises:
      ValueError: a value is used before it is made, an operation stands twice, or a stage mixes devices.
    """
    available: set[Tensor] = set(plan.feeds)
    seen: set[Operation] = set()
    for step in plan.steps:
        for tensor in step.inputs:
            if tensor not in available:
                raise ValueError(f"{tensor.name} is used before it is made.")
        for tensor in step.statics:
            if tensor not in available:
                raise ValueError(f"The static value {tensor.name} is not known before its stage.")
        inside: set[Tensor] = set(step.inputs)
        for op in step.ops:
            if op in seen:
                raise ValueError(f"{op.name} runs twice.")
            seen.add(op)
            for tensor in op.inputs:
                if not _is_handle(tensor) and tensor not in inside:
                    raise ValueError(f"{op.name} uses {tensor.name} before it is made.")
            for other in waited_for(op, plan.feeds):
                if other not in seen:
                    raise ValueError(f"{op.name} runs before {other.name}, on which it waits.")
            inside.update(op.outputs)
        available.update(step.outputs)
    for tensor in plan.fetches:
        if not tensor.dtype.is_ref and tensor not in available:
            raise ValueError(f"The fetch {tensor.name} is not made.")
