"""What gradient tapes record, and the walk back over it.

A recorder belongs to the context in which it was opened: eager execution, or one graph. It sees each operation of that
context that depends on something that it tracks. A tape keeps these operations; their own gradient functions, the same
that `tf.gradients` calls, then build (or compute at once) the gradients of their inputs.
"""
from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from millstream.core.opdef import OpDef
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from millstream.core.graph import Graph


class EagerOperation:
    """What an eager operation was: the part of `Operation` that gradient functions and error messages use."""

    __slots__ = ("definition", "inputs", "outputs", "attrs", "name", "device", "__dict__")

    _control_inputs = ()
    _colocation: tuple[str, ...] = ()
    graph = None

    def __init__(
        self, definition: OpDef, inputs: Sequence[Tensor], attrs: dict[str, Any], outputs: Sequence[Tensor], name: str
    ) -> None:
        self.definition = definition
        self.inputs = inputs
        self.attrs = attrs
        self.outputs = outputs
        self.name = name
        self.device = ""

    @property
    def type(self) -> str:
        """The operation's type, for example `"MatMul"`."""
        return self.definition.name

    @property
    def defined_at(self) -> str:
        """The user's line: nothing, for what runs at once fails where it is called."""
        return ""

    def get_attr(self, name: str) -> Any:
        """The value of attribute `name`, as `Operation.get_attr` gives it."""
        from millstream.core import graph_io

        if name not in self.attrs:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return graph_io.user_attr(self, name)

    def _extend(self, **attrs: Any) -> None:
        """Runs a function that was called once more, for outputs that were not foreseen to be needed.

        Raises:
          RuntimeError: the function would give something else now, or do something again.
        """
        from millstream.core.graph_function import RUN

        (function,) = attrs.values()
        if not function.is_repeatable:
            raise RuntimeError(
                f"{function.name} was called without what derivatives of this order need, and cannot be called again "
                "because it uses variables, random numbers or has effects. Nest as many tapes as derivatives are taken."
            )
        before = len(self.outputs)
        self.attrs = {**self.attrs, **attrs}
        self.outputs = [*self.outputs, *RUN[0](function, self.inputs)[before:]]
        has_grown(self, self.outputs[before:])


# --- Recorders --------------------------------------------------------------------------------------------------------


class Recorder:
    """Sees the operations of one context that depend on certain tensors.

    Args:
      graph: the graph whose operations are seen; None: eager operations.
    """

    # Whether it computes with what it sees. Such recorders come after those that only keep what they see.
    computes = False
    # How many times what it sees may be differentiated because of it.
    orders = 1
    # By identity, for tensors are compared by their elements.
    tracked: Container[int] = ()

    def __init__(self, graph: Graph | None) -> None:
        self.graph = graph

    def inside(self, tensor: Tensor) -> Tensor:
        """The tensor as the operations of this recorder's context see it."""
        return tensor if self.graph is None else self.graph.capture(tensor)

    def wants(self, inputs: Sequence[Tensor]) -> bool:
        """Whether an operation with these inputs is to be seen."""
        tracked = self.tracked
        return any(id(tensor) in tracked for tensor in inputs)

    def add(self, op: Any) -> None:
        """Takes notice of an operation."""

    def has_grown(self, op: Any, new: Sequence[Tensor]) -> None:
        """Takes notice that an operation was given more outputs."""

    def variable_accessed(self, variable: Any) -> None:
        """Takes notice that a trainable variable is read."""


class Tape(Recorder):
    """The operations of one context that depend on what is watched.

    Args:
      graph: as for `Recorder`.
      watches_variables: whether trainable variables are watched when they are read.
      orders: how many derivatives may be taken of what it records.
    """

    tracked: dict[int, Tensor]

    def __init__(self, graph: Graph | None, watches_variables: bool, orders: int = 1) -> None:
        super().__init__(graph)
        self.orders = orders
        self.watches_variables = watches_variables
        self.operations: list[Any] = []
        self.tracked = {}  # the tensors are kept, so that no other takes the id
        self.variables: dict[int, Any] = {}

    def watch(self, tensor: Tensor) -> None:
        """Records what depends on a tensor from now on."""
        seen = self.inside(tensor)
        self.tracked[id(seen)] = seen

    def watch_variable(self, variable: Any) -> None:
        """Records what depends on a variable from now on."""
        if id(variable) not in self.variables:
            self.variables[id(variable)] = variable
            self.watch(variable.handle)

    def add(self, op: Any) -> None:
        """Records an operation."""
        self.operations.append(op)
        for tensor in op.outputs:
            if carries_gradient(tensor):
                self.tracked[id(tensor)] = tensor

    def has_grown(self, op: Any, new: Sequence[Tensor]) -> None:
        if self.wants(op.inputs):
            self.tracked.update((id(tensor), tensor) for tensor in new if carries_gradient(tensor))

    def variable_accessed(self, variable: Any) -> None:
        if self.watches_variables and self._reaches(variable.handle):
            self.watch_variable(variable)

    def _reaches(self, tensor: Tensor) -> bool:
        """Whether a tensor can be used in this context. An argument of a function inside of it cannot."""
        graph: Any = self.graph
        while not tensor.is_eager and graph is not tensor.graph:
            if graph is None:
                return False
            graph = getattr(graph, "outer_graph", None)
        return True


class VariableWatcher(Recorder):
    """Notes which trainable variables are read."""

    orders = 0

    def __init__(self) -> None:
        super().__init__(None)
        self.variables: dict[int, Any] = {}

    def variable_accessed(self, variable: Any) -> None:
        self.variables[id(variable)] = variable


class _Current(threading.local):
    """The recorders that see what this thread does: first those that keep, then those that compute, each kind from
    the outermost to the innermost."""

    tapes: tuple[Recorder, ...] = ()


current = _Current()


def push(recorder: Recorder) -> None:
    """Has a recorder see what this thread does from now on."""
    old = current.tapes
    if recorder.computes:
        current.tapes = (*old, recorder)
    else:
        keeping = sum(not item.computes for item in old)
        current.tapes = (*old[:keeping], recorder, *old[keeping:])


def pop(recorder: Recorder) -> None:
    """Has a recorder see no more."""
    current.tapes = tuple(item for item in current.tapes if item is not recorder)


@contextmanager
def watched_by(recorder: Recorder) -> Iterator[None]:
    """Has one more recorder see what is done within a `with` block."""
    push(recorder)
    try:
        yield
    finally:
        pop(recorder)


@contextmanager
def recorded_by(tapes: tuple[Recorder, ...]) -> Iterator[None]:
    """Has only these recorders see what is done within a `with` block."""
    old = current.tapes
    current.tapes = tapes
    try:
        yield
    finally:
        current.tapes = old


def record(op: Any, graph: Graph | None) -> None:
    """Shows an operation, which was added to a graph or has run, to the recorders of that context."""
    if _is_constant_to_gradients(op.definition):
        return
    for recorder in current.tapes:
        if recorder.graph is graph and recorder.wants(op.inputs):
            recorder.add(op)


def record_eager(
    definition: OpDef, inputs: Sequence[Tensor], attrs: dict[str, Any], outputs: Sequence[Tensor], name: str | None
) -> None:
    """Shows an operation that has run to the recorders."""
    if _is_constant_to_gradients(definition):
        return
    op = None
    for recorder in current.tapes:
        if recorder.graph is None and recorder.wants(inputs):
            if op is None:
                op = EagerOperation(definition, inputs, attrs, outputs, name or definition.name)
            recorder.add(op)


def has_grown(op: Any, new: Sequence[Tensor]) -> None:
    """Tells the recorders that an operation was given more outputs."""
    for recorder in current.tapes:
        if recorder.graph is op.graph:
            recorder.has_grown(op, new)


def orders(inputs: Sequence[Tensor], graph: Graph | None) -> int:
    """How often what an operation with these inputs computes may be differentiated, as far as recorders tell."""
    present = [recorder for recorder in current.tapes if recorder.graph is graph]
    return sum(recorder.orders for recorder in present) if any(recorder.wants(inputs) for recorder in present) else 0


def is_followed(inputs: Sequence[Tensor], graph: Graph) -> bool:
    """Whether a recorder computes with what an operation with these inputs gives."""
    return any(item.computes and item.graph is graph and item.wants(inputs) for item in current.tapes)


def variable_accessed(variable: Any) -> None:
    """Has the tapes watch a trainable variable that is read."""
    for recorder in current.tapes:
        recorder.variable_accessed(variable)


def _is_constant_to_gradients(definition: OpDef) -> bool:
    return definition.gradient_function is None and definition.gradient_reason is not None


def source_of(value: Any) -> Tensor | None:
    """What gradients are taken with respect to: the tensor itself, a variable's handle; None if it is neither."""
    if isinstance(value, Tensor):
        return value
    found = getattr(value, "handle", None)
    if not isinstance(found, Tensor):
        found = getattr(value, "_snapshot_tensor", None)  # of a 1.x variable what its readers take
    return found if isinstance(found, Tensor) else None


def carries_gradient(tensor: Tensor) -> bool:
    """Whether a gradient can flow through a tensor: it has real or complex elements, or stands for a variable."""
    return is_differentiable(tensor) or tensor.dtype.base_dtype.name in ("resource", "variant")


def is_differentiable(tensor: Tensor) -> bool:
    """Whether a tensor has real or complex elements."""
    base = tensor.dtype.base_dtype
    return base.is_floating or base.is_complex


# --- The walk back ----------------------------------------------------------------------------------------------------


def walk_back(
    operations: Sequence[Any], targets: Sequence[Tensor], given: Sequence[Any], sources: Sequence[Tensor]
) -> list[Any]:
    """The gradients of recorded operations. Whatever is of no more use on the way is let go.

    Args:
      operations: in the order in which they ran.
      targets: the tensors to differentiate.
      given: the gradients that flow into the targets; None where nothing does.
      sources: the tensors to differentiate with respect to.

    Returns:
      A tensor, an `IndexedSlices` or None for each source.
    """
    from millstream.core import gradients

    relevant = _relevant(operations, sources)
    operations = ()
    arrived: dict[int, list[Any]] = {}
    for tensor, grad in zip(targets, given, strict=True):
        if grad is not None:
            arrived.setdefault(id(tensor), []).append(grad)
    kept = {id(tensor) for tensor in sources}
    while relevant:
        op, wanted = relevant.pop()
        grads = []
        for tensor in op.outputs:
            parts = arrived.get(id(tensor))
            grads.append(gradients.aggregate(parts) if parts else None)
            if parts and id(tensor) not in kept:
                del arrived[id(tensor)]
        if all(grad is None for grad in grads):
            continue
        for index, grad in gradients.input_gradients(op, grads, wanted):
            arrived.setdefault(id(op.inputs[index]), []).append(grad)
    found = [arrived.get(id(tensor)) for tensor in sources]
    return [gradients.aggregate(parts) if parts else None for parts in found]


def _relevant(operations: Sequence[Any], sources: Sequence[Tensor]) -> list[tuple[Any, frozenset[int]]]:
    """The operations that depend on a source, each with the inputs through which it does."""
    reached = {id(tensor) for tensor in sources}
    found = []
    for op in operations:
        wanted = frozenset(index for index, tensor in enumerate(op.inputs) if id(tensor) in reached)
        if wanted:
            found.append((op, wanted))
            reached.update(id(tensor) for tensor in op.outputs if carries_gradient(tensor))
    return found
