"""The queues of 1.x: `tf.FIFOQueue` and its relatives, over the operations of `data_flow_ops`."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.conversion import convert_to_tensor
from millstream.core.dtypes import DType, as_dtype, int64
from millstream.core.export import export
from millstream.core.opdef import tensors_as_list
from millstream.core.operation import Operation
from millstream.core.random_seed import get_seed
from millstream.core.scopes import name_scope
from millstream.core.shapes import TensorShape
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.data_flow_ops import (
    fifo_queue_op,
    padding_fifo_queue_op,
    priority_queue_op,
    queue_close_op,
    queue_dequeue_many_op,
    queue_dequeue_op,
    queue_dequeue_up_to_op,
    queue_enqueue_many_op,
    queue_enqueue_op,
    queue_is_closed_op,
    queue_size_op,
    random_shuffle_queue_op,
)
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import stack


@export("queue.QueueBase", v1=["QueueBase", "io.QueueBase"])
class QueueBase:
    """A queue in the graph: what its kinds have in common.

    An element is a tuple of tensors, the components. Operations that put in or take out wait while the queue is full
    or empty; meanwhile other threads may run the same session.

    Args:
      dtypes: a list of dtypes, one a component.
      shapes: a list of shapes, one a component, or None where shapes may vary.
      names: a list of names, one a component: elements are then dictionaries; or None.
      queue_ref: the queue's handle, a scalar of dtype resource.

    Raises:
      ValueError: `shapes` or `names` are not as many as `dtypes`.
    """

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Tensor) -> None:
        self._dtypes: list[DType] = dtypes
        if shapes is not None and len(shapes) != len(dtypes):
            raise ValueError("Queue shapes must have the same length as dtypes")
        self._shapes = [TensorShape(shape) for shape in ([None] * len(dtypes) if shapes is None else shapes)]
        if names is not None and len(names) != len(dtypes):
            raise ValueError("Queue names must have the same length as dtypes")
        self._names: list[str] | None = names
        self._queue_ref = queue_ref
        self._name = queue_ref.op.name.split("/")[-1]

    @staticmethod
    def from_list(index: Any, queues: Sequence[QueueBase]) -> QueueBase:
        """The queue at a place of a list, known when the graph runs.

        Args:
          index: an integer scalar tensor.
          queues: queues of the same dtypes and names.

        Raises:
          TypeError: `queues` is no list of queues, or their dtypes or names differ.
        """
        if not queues or not isinstance(queues, list) or not all(isinstance(queue, QueueBase) for queue in queues):
            raise TypeError("A list of queues expected")
        first = queues[0]
        if any(queue.dtypes != first.dtypes for queue in queues):
            raise TypeError("Queues do not have matching component dtypes.")
        if any(queue.names != first.names for queue in queues):
            raise TypeError("Queues do not have matching component names.")
        declared = [_common_shape(components) for components in zip(*(q.shapes for q in queues), strict=True)]
        handles = stack([queue.queue_ref for queue in queues])
        return QueueBase(first.dtypes, declared, first.names, gather(handles, index))

    @property
    def queue_ref(self) -> Tensor:
        """The queue's handle."""
        return self._queue_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the queue."""
        return self._queue_ref.op.name

    @property
    def dtypes(self) -> list[DType]:
        """The dtype of each component."""
        return self._dtypes

    @property
    def shapes(self) -> list[TensorShape]:
        """The static shape of each component."""
        return self._shapes

    @property
    def names(self) -> list[str] | None:
        """The name of each component, or None."""
        return self._names

    # --- Putting in ---------------------------------------------------------------------------------------------

    def enqueue(self, vals: Any, name: str | None = None) -> Operation:
        """Puts in one element; waits while the queue is full.

        Args:
          vals: a tensor, a list or tuple of tensors one a component, or a dictionary where the queue has names.
          name: the operation's name.

        Raises:
          ValueError: shapes do not suit the queue, or a dictionary is needed and not given.
          CancelledError: when it runs and the queue is closed.
        """
        with name_scope(name, f"{self._name}_enqueue", _flat_values(vals)) as scope:
            components = self._components(vals)
            for component, shape in zip(components, self._shapes, strict=True):
                component.get_shape().assert_is_compatible_with(shape)
            return queue_enqueue_op(self._queue_ref, components, name=scope)

    def enqueue_many(self, vals: Any, name: str | None = None) -> Operation:
        """Puts in several elements; waits whenever the queue is full.

        Args:
          vals: as for `enqueue`, with a dimension in front that counts the elements.
          name: the operation's name.

        Raises:
          ValueError: shapes do not suit the queue or each other.
          CancelledError: when it runs and the queue is closed.
        """
        with name_scope(name, f"{self._name}_EnqueueMany", _flat_values(vals)) as scope:
            components = self._components(vals)
            count = shapes.Dimension(None)
            for component, shape in zip(components, self._shapes, strict=True):
                found = component.get_shape().with_rank_at_least(1)
                count = count.merge_with(found[0])
                found[1:].assert_is_compatible_with(shape)
            return queue_enqueue_many_op(self._queue_ref, components, name=scope)

    def _components(self, vals: Any) -> list[Tensor]:
        """What is put in as a list of tensors of the queue's dtypes."""
        if isinstance(vals, Mapping):
            if not self._names:
                raise ValueError("Queue must have names to enqueue a dictionary")
            given, names = sorted(vals, key=str), sorted(self._names, key=str)
            if given != names:
                raise ValueError(
                    f"Keys in dictionary to enqueue do not match names of Queue.  Dictionary: ({given}), "
                    f"Queue: ({names})"
                )
            values = [vals[key] for key in self._names]
        elif self._names:
            raise ValueError("You must enqueue a dictionary in a Queue with names")
        else:
            values = list(vals) if isinstance(vals, (list, tuple)) else [vals]
        if len(values) < len(self._dtypes):
            raise ValueError(f"Queue has {len(self._dtypes)} components, received {len(values)} values to enqueue.")
        return [
            convert_to_tensor(value, dtype, name=f"component_{index}")
            for index, (value, dtype) in enumerate(zip(values, self._dtypes, strict=False))
        ]

    # --- Taking out ---------------------------------------------------------------------------------------------

    def dequeue(self, name: str | None = None) -> Any:
        """Takes out one element; waits while the queue is empty.

        Returns:
          A tensor, a list of them where an element has several components, or a dictionary where they have names.

        Raises:
          OutOfRangeError: when it runs, the queue is closed and empty.
        """
        found = queue_dequeue_op(self._queue_ref, component_types=self._dtypes, name=name or f"{self._name}_Dequeue")
        return self._result(tensors_as_list(found), lambda shape: shape)

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """Takes out `n` elements together; waits until there are as many.

        Args:
          n: how many; an int32 scalar.
          name: the operation's name.

        Returns:
          As `dequeue`, with a dimension of size `n` in front.

        Raises:
          OutOfRangeError: when it runs, the queue is closed and holds fewer than `n`.
        """
        name = name or f"{self._name}_DequeueMany"
        found = tensors_as_list(queue_dequeue_many_op(self._queue_ref, n, component_types=self._dtypes, name=name))
        count = constant_value(found[0].op.inputs[1])
        size = None if count is None else int(count)
        return self._result(found, lambda shape: TensorShape([size]).concatenate(shape))

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """Takes out `n` elements together, or those that are left in a closed queue.

        Args:
          n: how many; an int32 scalar.
          name: the operation's name.

        Returns:
          As `dequeue`, with a dimension in front.

        Raises:
          OutOfRangeError: when it runs, the queue is closed and empty.
        """
        name = name or f"{self._name}_DequeueUpTo"
        found = queue_dequeue_up_to_op(self._queue_ref, n, component_types=self._dtypes, name=name)
        return self._result(tensors_as_list(found), lambda shape: TensorShape([None]).concatenate(shape))

    def _result(self, tensors: list[Tensor], shape_of: Callable[[TensorShape], TensorShape]) -> Any:
        """What is taken out as users get it, with the shapes that the queue knows."""
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor.set_shape(shape_of(shape))
        if self._names:
            return dict(zip(self._names, tensors, strict=True))
        return tensors[0] if len(tensors) == 1 else tensors

    # --- The queue itself ---------------------------------------------------------------------------------------

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Operation:
        """Closes the queue: it takes no more elements; those in it can be taken out.

        Args:
          cancel_pending_enqueues: operations that wait to put something in fail with CancelledError; default: closing
            waits for them.
          name: the operation's name.
        """
        name = name or f"{self._name}_Close"
        return queue_close_op(self._queue_ref, cancel_pending_enqueues=cancel_pending_enqueues, name=name)

    def is_closed(self, name: str | None = None) -> Tensor:
        """Whether the queue is closed, a bool scalar."""
        return queue_is_closed_op(self._queue_ref, name=name or f"{self._name}_Is_Closed")

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements in the queue, an int32 scalar."""
        return queue_size_op(self._queue_ref, name=name or f"{self._name}_Size")


def _flat_values(vals: Any) -> list[Any]:
    if isinstance(vals, Mapping):
        return list(vals.values())
    return list(vals) if isinstance(vals, (list, tuple)) else [vals]


def _common_shape(components: Sequence[TensorShape]) -> TensorShape:
    common = shapes.as_plain(components[0])
    for shape in components[1:]:
        common = shapes.generalize(common, shapes.as_plain(shape))
    return TensorShape(common)


def _as_types(dtypes: Any) -> list[DType]:
    return [as_dtype(dtype) for dtype in (dtypes if isinstance(dtypes, (list, tuple)) else [dtypes])]


def _as_shapes(declared: Any) -> list[TensorShape] | None:
    """The shapes that users give: a list of shapes, or one shape of a single component.

    Raises:
      ValueError: one is not fully defined.
    """
    if declared is None:
        return None
    if isinstance(declared, TensorShape) or not isinstance(declared, (list, tuple)):
        declared = [declared]
    if all(item is None or isinstance(item, int) for item in declared):
        declared = [declared]
    found = [TensorShape(shape) for shape in declared]
    if any(not shape.is_fully_defined() for shape in found):
        raise ValueError(f"All shapes must be fully defined: {found}")
    return found


def _as_partial_shapes(declared: Any) -> list[TensorShape]:
    """A list of shapes that may have unknown dimensions.

    Raises:
      ValueError: it is no such list, or a rank is unknown.
    """
    listed = isinstance(declared, Sequence) and bool(declared)
    if not listed or any(item is None or isinstance(item, int) for item in declared):
        raise ValueError("When providing partial shapes, a list of shapes must be provided.")
    found = [TensorShape(shape) for shape in declared]
    if any(shape.dims is None for shape in found):
        raise ValueError(f"All shapes must have a defined rank: {found}")
    return found


def _as_names(names: Any, dtypes: list[DType]) -> list[str] | None:
    if names is None:
        return None
    found = list(names) if isinstance(names, (list, tuple)) else [names]
    if len(found) != len(dtypes):
        raise ValueError("List of names must have the same length as the list of dtypes")
    return found


@export("queue.FIFOQueue", v1=["FIFOQueue"])
class FIFOQueue(QueueBase):
    """A queue whose elements come out in the order in which they went in.

    Args:
      capacity: how many elements it holds at most; negative: any number.
      dtypes: the dtype of each component, or one dtype.
      shapes: the shape of each component, fully defined; None: shapes may vary, and `dequeue_many` cannot be used.
      names: the name of each component; elements are then dictionaries.
      shared_name: queues of one such name in a session are one queue.
      name: the operation's name.

    Raises:
      ValueError: `shapes` or `names` do not suit `dtypes`.

    Example:
      >>> queue = tf.FIFOQueue(3, tf.int32, shapes=[()])
      >>> fill, first = queue.enqueue_many([[1, 2, 3]]), queue.dequeue()
      >>> with tf.Session() as sess:
      ...   sess.run(fill)
      ...   sess.run(first)
      1
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "fifo_queue",
    ) -> None:
        dtypes, shapes = _as_types(dtypes), _as_shapes(shapes)
        names = _as_names(names, dtypes)
        handle = fifo_queue_op(
            component_types=dtypes, shapes=shapes or [], capacity=capacity, shared_name=shared_name or "", name=name
        )
        super().__init__(dtypes, shapes, names, handle)


@export("queue.PaddingFIFOQueue", v1=["PaddingFIFOQueue", "io.PaddingFIFOQueue"])
class PaddingFIFOQueue(QueueBase):
    """A queue of elements of different sizes: those taken out together are padded to the largest.

    Numbers are padded with zeros, strings with empty strings, at the end of each dimension that is None in `shapes`.

    Args:
      capacity: how many elements it holds at most; negative: any number.
      dtypes: the dtype of each component, or one dtype.
      shapes: a list of shapes, one a component, of known rank; dimensions may be None.
      names: the name of each component; elements are then dictionaries.
      shared_name: queues of one such name in a session are one queue.
      name: the operation's name.

    Raises:
      ValueError: `shapes` is no such list, or it or `names` does not suit `dtypes`.
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ) -> None:
        dtypes, shapes = _as_types(dtypes), _as_partial_shapes(shapes)
        names = _as_names(names, dtypes)
        if len(dtypes) != len(shapes):
            raise ValueError(
                f"Shapes must be provided for all components, but received {len(dtypes)} dtypes and {len(shapes)} "
                "shapes."
            )
        handle = padding_fifo_queue_op(
            component_types=dtypes, shapes=shapes, capacity=capacity, shared_name=shared_name or "", name=name
        )
        super().__init__(dtypes, shapes, names, handle)


@export("queue.PriorityQueue", v1=["PriorityQueue", "io.PriorityQueue"])
class PriorityQueue(QueueBase):
    """A queue that gives the element of the lowest number first.

    An element's first component is that number, an int64 scalar; the others are those of `types`.

    Args:
      capacity: how many elements it holds at most; negative: any number.
      types: the dtype of each component after the first.
      shapes: the shape of each component after the first, fully defined.
      names: the name of each component, the first one included.
      shared_name: queues of one such name in a session are one queue.
      name: the operation's name.

    Raises:
      TypeError: there are no `shapes`.
      ValueError: `shapes` or `names` do not suit `types`.
    """

    def __init__(
        self,
        capacity: int,
        types: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "priority_queue",
    ) -> None:
        dtypes, shapes = _as_types(types), _as_shapes(shapes)
        if shapes is None:
            raise TypeError("Expected list for 'shapes' argument to 'priority_queue_v2' Op, not None.")
        handle = priority_queue_op(
            component_types=dtypes, shapes=shapes, capacity=capacity, shared_name=shared_name or "", name=name
        )
        super().__init__([int64, *dtypes], [TensorShape([]), *shapes], names, handle)


@export("queue.RandomShuffleQueue", v1=["RandomShuffleQueue", "io.RandomShuffleQueue"])
class RandomShuffleQueue(QueueBase):
    """A queue that gives a random element each time.

    Args:
      capacity: how many elements it holds at most; negative: any number.
      min_after_dequeue: so many elements stay in the queue until it is closed, for good mixing.
      dtypes: the dtype of each component, or one dtype.
      shapes: the shape of each component, fully defined; None: shapes may vary, and `dequeue_many` cannot be used.
      names: the name of each component; elements are then dictionaries.
      seed: with the graph's seed, fixes the order.
      shared_name: queues of one such name in a session are one queue.
      name: the operation's name.

    Raises:
      ValueError: `shapes` or `names` do not suit `dtypes`.
    """

    def __init__(
        self,
        capacity: int,
        min_after_dequeue: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        seed: int | None = None,
        shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ) -> None:
        dtypes, shapes = _as_types(dtypes), _as_shapes(shapes)
        names = _as_names(names, dtypes)
        first, second = _seeds(seed, shared_name)
        handle = random_shuffle_queue_op(
            component_types=dtypes,
            shapes=shapes or [],
            capacity=capacity,
            min_after_dequeue=min_after_dequeue,
            seed=first,
            seed2=second,
            shared_name=shared_name or "",
            name=name,
        )
        super().__init__(dtypes, shapes, names, handle)


def _seeds(seed: int | None, shared_name: str | None) -> tuple[int, int]:
    """The two seeds; where only the graph has one, queues of one shared name must get the same."""
    first, second = get_seed(seed)
    if first is None or second is None:
        return 0, 0
    if seed is None and shared_name is not None:
        digest = hashlib.md5((str(first) + shared_name).encode(), usedforsecurity=False).hexdigest()
        second = int(digest[:8], 16) & 0x7FFFFFFF
    return first, second
