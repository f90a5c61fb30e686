"""Queues: elements go in and out of them while other parts of the graph run."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from millstream.core import errors, shapes
from millstream.core.dtypes import DType, int64
from millstream.core.opdef import OpDef, op
from millstream.core.operation import Operation
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs, scalar
from millstream.core.shapes import Shape

if TYPE_CHECKING:
    from millstream.ops.host_queues import Attempt, Element, HostQueue

# --- The queues of a session --------------------------------------------------------------------------------

_numbers = itertools.count()


class QueueHandle(NamedTuple):
    """What a queue operation gives: which queue of the session it is, and how to make it."""

    container: str
    shared_name: str
    node: Operation
    kind: str  # the class in `host_queues`
    dtypes: tuple[DType, ...]
    shapes: tuple[Shape, ...]
    capacity: int
    options: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The place among the session's resources; a queue without `shared_name` is its node's own."""
        return "queue", self.container, self.shared_name, "" if self.shared_name else self.node.name

    def create(self) -> tuple[HostQueue, QueueHandle]:
        """A new, empty queue, and who made it."""
        from millstream.ops import host_queues

        name = self.shared_name or f"_{next(_numbers)}_{self.node.name}"
        make = getattr(host_queues, self.kind)
        return make(name, self.capacity, self.shapes or None, *self.options), self


def _find(resource: Callable[..., Any], handle: QueueHandle) -> HostQueue:
    """The session's queue.

    Raises:
      InvalidArgumentError: another operation made it under that name, with other properties.
    """
    queue, made = resource(handle.key, handle.create)
    if made.node is not handle.node:
        _check_shared(made, handle)
    found: HostQueue = queue
    return found


def _check_shared(made: QueueHandle, wanted: QueueHandle) -> None:
    """Raises InvalidArgumentError where two queues of one shared name differ."""
    shared = f"Shared queue '{wanted.shared_name}' has"
    if made.kind != wanted.kind:
        sentence = f"Expected {made.node.type.removesuffix('V2')}, found {wanted.node.type}"
    elif made.capacity != wanted.capacity:
        sentence = f"{shared} capacity {made.capacity} but requested capacity was {wanted.capacity}"
    elif made.dtypes != wanted.dtypes:
        sentence = (
            f"{shared} component types {_names(made.dtypes)} but requested component types were "
            f"{_names(wanted.dtypes)}"
        )
    elif made.shapes != wanted.shapes:
        sentence = (
            f"{shared} component shapes {_formatted(made.shapes)} but requested component shapes were "
            f"{_formatted(wanted.shapes)}"
        )
    else:
        return
    raise errors.InvalidArgumentError(None, wanted.node, sentence)


def _names(dtypes: Sequence[DType]) -> str:
    return ", ".join(dtype.short_name for dtype in dtypes)


def _formatted(declared: Sequence[Shape]) -> str:
    return "[" + ",".join(shapes.format_shape(shape) for shape in declared) + "]"


# --- Operations ---------------------------------------------------------------------------------------------


def _queue_op(signature: str, **keywords: Any) -> Callable[[Callable[..., Any]], OpDef]:
    """Declares an operation twice: with the suffix V2 on resources, and as old graphs have it on references.

    Gives the former. `{0}` in the signature is the suffix, `{1}` the type of the handle.
    """

    def declare(kernel: Callable[..., Any]) -> OpDef:
        makes_handle = "-> handle" in signature
        old = op(signature.format("", "Ref(string)"), host=True, stateful=makes_handle, **keywords)(kernel)
        new = op(signature.format("V2", "resource"), host=True, stateful=True, **keywords)(kernel)
        for definition in (old, new):
            definition.no_gradient("what comes out of a queue is no function of the tensors of one run")
        return new

    return declare


_COMPONENTS = "component_types: list(type) >= 1, shapes: list(shape) >= 0 = []"
_NAMES = 'container: string = "", shared_name: string = ""'
_HANDLE = "-> handle: {1}"


@_queue_op(f"FIFOQueue{{0}}(*, {_COMPONENTS}, capacity: int = -1, {_NAMES}) {_HANDLE}", shape=scalar)
def fifo_queue_op(xp, *, component_types, shapes, capacity, container, shared_name, node):
    return QueueHandle(container, shared_name, node, "HostQueue", component_types, shapes, capacity)


@_queue_op(f"PaddingFIFOQueue{{0}}(*, {_COMPONENTS}, capacity: int = -1, {_NAMES}) {_HANDLE}", shape=scalar)
def padding_fifo_queue_op(xp, *, component_types, shapes, capacity, container, shared_name, node):
    return QueueHandle(container, shared_name, node, "PaddingQueue", component_types, shapes, capacity)


@_queue_op(
    "PriorityQueue{0}(*, component_types: list(type) >= 0 = [], shapes: list(shape) >= 0, capacity: int = -1, "
    f"{_NAMES}) {_HANDLE}",
    shape=scalar,
)
def priority_queue_op(xp, *, component_types, shapes, capacity, container, shared_name, node):
    dtypes, declared = (int64, *component_types), ((), *shapes)
    return QueueHandle(container, shared_name, node, "SortedQueue", dtypes, declared, capacity)


@_queue_op(
    f"RandomShuffleQueue{{0}}(*, {_COMPONENTS}, capacity: int = -1, min_after_dequeue: int = 0, seed: int = 0, "
    f"seed2: int = 0, {_NAMES}) {_HANDLE}",
    shape=scalar,
)
def random_shuffle_queue_op(
    xp, *, component_types, shapes, capacity, min_after_dequeue, seed, seed2, container, shared_name, node
):
    options = (min_after_dequeue, seed, seed2)
    return QueueHandle(container, shared_name, node, "ShuffleQueue", component_types, shapes, capacity, options)


_ENQUEUE = "(handle: {1}, components: Tcomponents[], *, timeout_ms: int = -1)"
_DEQUEUE = "component_types: list(type) >= 1, timeout_ms: int = -1) -> components: component_types[]"


def _mismatch(index: int, expected: Shape, found: Shape) -> errors.OpError:
    expected_text, found_text = shapes.format_shape(expected), shapes.format_shape(found)
    message = f"Shape mismatch in tuple component {index}. Expected {expected_text}, got {found_text}"
    return errors.InvalidArgumentError(None, None, message)


@_queue_op("QueueEnqueue{0}" + _ENQUEUE, shape=no_outputs, asynchronous=True)
def queue_enqueue_op(xp, handle, components, *, resource):
    queue = _find(resource, handle)
    for index, (declared, array) in enumerate(zip(queue.shapes or (), components, strict=False)):
        if not shapes.is_compatible(declared, array.shape):
            raise _mismatch(index, declared, array.shape)
    # Copies: the caller may overwrite what he fed as soon as the run is over.
    return queue.enqueue([tuple(np.array(array) for array in components)])


@_queue_op("QueueEnqueueMany{0}" + _ENQUEUE, shape=no_outputs, asynchronous=True)
def queue_enqueue_many_op(xp, handle, components, *, resource):
    queue = _find(resource, handle)
    count = components[0].shape[0] if components[0].ndim else None
    for index, array in enumerate(components):
        declared = queue.shapes[index] if queue.shapes else None
        expected = None if declared is None else (count, *declared)
        if not array.ndim or not shapes.is_compatible(expected, array.shape):
            raise _mismatch(index, expected, array.shape)
        if len(array) != count:
            sentence = (
                f"All input tensors must have the same size in the 0th dimension. Component {index} has {len(array)}, "
                f"and should have {count}"
            )
            raise errors.InvalidArgumentError(None, None, sentence)
    batches = [np.array(array) for array in components]
    return queue.enqueue([tuple(batch[row, ...] for batch in batches) for row in range(count or 0)])


@_queue_op("QueueDequeue{0}(handle: {1}, *, " + _DEQUEUE, asynchronous=True)
def queue_dequeue_op(xp, handle, *, resource):
    return _find(resource, handle).dequeue(1, False, lambda elements: list(elements[0]))


def _count_shapes(c: ShapeContext) -> list[Shape]:
    """Checks `n`; what shapes the components have only the queue's Python object knows."""
    count = c.constant(1)
    if count is not None and count.ndim == 0 and count < 0:
        raise ValueError(f"Input 'n' must be >= 0, but is {count}")
    return [None] * len(c.attr("component_types"))


@_queue_op("QueueDequeueMany{0}(handle: {1}, n: int32, *, " + _DEQUEUE, shape=_count_shapes, asynchronous=True)
def queue_dequeue_many_op(xp, handle, n, *, resource, node):
    return _dequeue_several(node, _find(resource, handle), n, allow_fewer=False)


@_queue_op("QueueDequeueUpTo{0}(handle: {1}, n: int32, *, " + _DEQUEUE, shape=_count_shapes, asynchronous=True)
def queue_dequeue_up_to_op(xp, handle, n, *, resource, node):
    return _dequeue_several(node, _find(resource, handle), n, allow_fewer=True)


def _dequeue_several(node: Operation, queue: HostQueue, n: Any, allow_fewer: bool) -> Attempt:
    op_name = "DequeueUpToOp" if allow_fewer else "DequeueManyOp"
    if n.ndim:
        raise ValueError(f"Input 'n' to {op_name} must be a scalar, but has shape {shapes.format_shape(n.shape)}")
    if n < 0:
        raise ValueError(f"{op_name} requested {n} < 0 elements")
    if queue.shapes is None:
        raise ValueError(
            f"{queue.kind}'s DequeueMany and DequeueUpTo require the components to have specified shapes."
        )
    declared = queue.shapes
    dtypes = [np.dtype(tensor.dtype.as_numpy_dtype) for tensor in node.outputs]

    def assemble(elements: list[Element]) -> list[Any]:
        return [
            _batch([element[index] for element in elements], dtype, declared[index])
            for index, dtype in enumerate(dtypes)
        ]

    return queue.dequeue(int(n), allow_fewer, assemble)


def _batch(column: list[np.ndarray[Any, Any]], dtype: np.dtype[Any], declared: Shape) -> np.ndarray[Any, Any]:
    """Arrays stacked; smaller ones are padded with zeros or empty strings."""
    if shapes.is_fully_defined(declared) or not column:
        shape = tuple(size or 0 for size in declared or ())
    else:
        shape = tuple(max(sizes) for sizes in zip(*(array.shape for array in column), strict=True))
    batch = np.full((len(column), *shape), b"" if dtype.kind == "O" else 0, dtype)
    for row, array in enumerate(column):
        place: Any = (row, *map(slice, array.shape), ...)
        batch[place] = array
    return batch


@_queue_op(
    "QueueClose{0}(handle: {1}, *, cancel_pending_enqueues: bool = False)", shape=no_outputs, asynchronous=True
)
def queue_close_op(xp, handle, *, cancel_pending_enqueues, resource):
    return _find(resource, handle).close(cancel_pending_enqueues)


@_queue_op("QueueSize{0}(handle: {1}) -> size: int32", shape=scalar)
def queue_size_op(xp, handle, *, resource):
    return _find(resource, handle).size()


@_queue_op("QueueIsClosed{0}(handle: {1}) -> is_closed: bool", shape=scalar)
def queue_is_closed_op(xp, handle, *, resource):
    return _find(resource, handle).is_closed()
