"""Restoring objects from a checkpoint: those of the program are matched with its objects by their names.

A `Load` is one restoration. It goes from the root through the children that are there; for those that are not, a
`Position` waits in their parent (`core/trackable.py`). In eager execution values are assigned at once; in a graph
operations are made that a session runs.
"""
from __future__ import annotations

import itertools
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from millstream.core import context, shapes
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import device, init_scope
from millstream.core.trackable import PythonValue, Trackable
from millstream.core.variables import Variable
from millstream.io.checkpoint_reader import Reader
from millstream.ops import checkpoint_ops
from millstream.train import object_graph
from millstream.train.saveables import SaveableObject, by_device, saveables_of

_counter = itertools.count()


def next_order() -> int:
    """The number of a new restoration; what objects get later has a higher one."""
    return next(_counter)


class SlotPlace(NamedTuple):
    """A slot in a checkpoint: the numbers of its optimiser, its variable and itself, and its name."""

    optimizer: int
    variable: int
    slot: int
    name: str


class Load:
    """One restoration of a checkpoint.

    Args:
      message: the checkpoint's `TrackableObjectGraph`.
      reader: reads the checkpoint.
      prefix: the tensor that says the checkpoint's prefix.
      operations: those of earlier restorations in the same graph, by keys, which are used again.
      with_slots: whether slots are restored.
    """

    def __init__(
        self, message: Any, reader: Reader, prefix: Any, operations: dict[str, Any], with_slots: bool = True
    ) -> None:
        self.order = next_order()
        self.message = message
        self.operations = operations
        self.to_run: list[Any] = []  # what a session is to run
        self.unused: list[tuple[Any, list[str]]] = []  # objects, and their attributes that were not restored
        self.slots_of_variable: dict[int, list[SlotPlace]] = {}
        self.slots_of_optimizer: dict[int, list[tuple[SlotPlace, Any]]] = {}  # the optimiser is not there yet
        self._reader, self._prefix = reader, prefix
        self._found: dict[int, Callable[[], Any]] = {}  # objects by numbers
        for number, node in enumerate(message.nodes if with_slots else ()):
            for slot in node.slot_variables:
                place = SlotPlace(number, slot.original_variable_node_id, slot.slot_variable_node_id, slot.slot_name)
                self.slots_of_variable.setdefault(place.variable, []).append(place)
        self._farewell = _Farewell(message, self._found)

    # --- Which objects are found -----------------------------------------------------------------------------------

    def found(self, number: int) -> Any:
        """The object of the program with that number in the checkpoint, or None."""
        reference = self._found.get(number)
        return None if reference is None else reference()

    def all_found(self) -> list[Trackable]:
        """All objects that are found."""
        return [item for item in (reference() for reference in self._found.values()) if item is not None]

    def expect_partial(self) -> None:
        """Says nothing of values that were not restored when this is no longer used."""
        self._farewell.silent = True

    def bind(self, number: int, trackable: Trackable) -> bool:
        """Notes which object has a number; whether that is new."""
        known = self.found(number)
        if known is not None:
            if known is not trackable:
                tensorflow_logger().warning(
                    "Inconsistent references when loading the checkpoint into this object graph. For example, in the "
                    "saved checkpoint object, `model.layer.weight` and `model.layer_copy.weight` reference the same "
                    "variable, while in the current object these are two different variables. The referenced "
                    "variables are:(%s and %s).",
                    known,
                    trackable,
                )
            return False
        self._found[number] = _reference(trackable)
        for place, variable in self.slots_of_optimizer.pop(number, ()):
            trackable._restore_slot(Position(self, place.slot), place.name, variable)
        for place in self.slots_of_variable.pop(number, ()):
            optimizer = self.found(place.optimizer)
            if optimizer is None:
                self.slots_of_optimizer.setdefault(place.optimizer, []).append((place, trackable))
            else:
                optimizer._restore_slot(Position(self, place.slot), place.name, trackable)
        return True

    # --- Giving values ----------------------------------------------------------------------------------------------

    def restore(self, number: int, trackable: Trackable) -> None:
        """Gives an object and what is below it the values of the object with that number."""
        with init_scope():
            if not self.bind(number, trackable):
                return
            saveables: list[SaveableObject] = []
            waiting = deque([(number, trackable)])
            while waiting:
                current, item = waiting.popleft()
                if item._tracked.order < self.order:
                    item._tracked.order = self.order
                    saveables += self._saveables(current, item)
                for child in self.message.nodes[current].children:
                    there = item._lookup_dependency(child.local_name)
                    if there is None:
                        position = Position(self, child.node_id)
                        item._tracked.waiting.setdefault(child.local_name, []).append(position)
                    elif self.bind(child.node_id, there):
                        waiting.append((child.node_id, there))
            self._assign(saveables)

    def _saveables(self, number: int, trackable: Trackable) -> list[SaveableObject]:
        """What restores an object's own values. State of Python is restored at once."""
        values = trackable._checkpoint_values()
        found: list[SaveableObject] = []
        unused = []
        for attribute in self.message.nodes[number].attributes:
            value, key = values.get(attribute.name), attribute.checkpoint_key
            if value is None:
                unused.append(attribute.name)
            elif isinstance(value, PythonValue):
                value.deserialize(self._reader.read(key).item())
            elif key in self.operations and not context.executing_eagerly():
                self.to_run.append(self.operations[key])
            else:
                found.append(saveable_of(key, value))
        if unused:
            self.unused.append((trackable, unused))
        return found

    def _assign(self, saveables: list[SaveableObject]) -> None:
        """Restores variables, in a graph by an operation for each device that reads, and one for each variable."""
        saveables = sorted(saveables, key=lambda item: item.name)
        groups = [saveables] if context.executing_eagerly() else [items for _, items in by_device(saveables)]
        for items in groups:
            tensors = iter(self._read([spec for item in items for spec in item.specs]))
            for item in items:
                self._assign_one(item, [next(tensors) for _ in item.specs])

    def _assign_one(self, saveable: SaveableObject, values: list[Any]) -> None:
        check_shapes(saveable, values)
        operation = saveable.restore(values, None)
        if not context.executing_eagerly():
            self.operations[saveable.name] = operation
            self.to_run.append(operation)

    def _read(self, specs: list[Any]) -> Any:
        if not specs:
            return ()
        names, slices = [spec.name for spec in specs], [spec.slice_spec for spec in specs]
        with device("/cpu:0"):
            return checkpoint_ops.restore_v2_op(
                self._prefix, names, slices, dtypes=[spec.dtype.base_dtype for spec in specs]
            )

    def initial_value(self, number: int) -> Any:
        """The value of the object with that number if it is a variable and operations run at once, or None."""
        attributes = self.message.nodes[number].attributes
        if len(attributes) != 1 or attributes[0].name != object_graph.VARIABLE_VALUE or not context.executing_eagerly():
            return None
        entry = self._reader.found(attributes[0].checkpoint_key)
        with device("/cpu:0"):
            (value,) = checkpoint_ops.restore_v2_op(
                self._prefix, [attributes[0].checkpoint_key], [""], dtypes=[entry.dtype]
            )
        return value


class Position:
    """An object of a checkpoint that waits for the object of the program."""

    __slots__ = ("_load", "_number")

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = number

    @property
    def order(self) -> int:
        """Which of all restorations this belongs to."""
        return self._load.order

    def restore(self, trackable: Trackable) -> None:
        """Gives the values to an object and what is below it."""
        self._load.restore(self._number, trackable)

    def initial_value(self) -> Any:
        """The value of a variable that is about to be made, as a tensor; None in graphs, or for something else."""
        return self._load.initial_value(self._number)


def saveable_of(key: str, value: Any) -> SaveableObject:
    """The saveable object of a value under a key."""
    if isinstance(value, (Variable, SaveableObject)):
        return saveables_of({key: value})[0]
    return value(key)  # type: ignore[no-any-return]


def check_shapes(saveable: SaveableObject, values: Iterable[Any]) -> None:
    """Refuses a value of another shape than the variable's.

    Raises:
      ValueError: it has one.
    """
    variable = saveable.op
    if not isinstance(variable, Variable):
        return
    for value in values:
        if not shapes.is_compatible(shapes.as_plain(variable.shape), value._shape):
            raise ValueError(
                f"Received incompatible tensor with shape {value.shape} when attempting to restore variable with shape "
                f"{variable.shape} and name {variable.name}."
            )


def _reference(item: Any) -> Callable[[], Any]:
    """A weak reference where there can be one."""
    try:
        return weakref.ref(item)
    except TypeError:
        return lambda: item


class _Farewell:
    """Warns of values that were not restored, when a load and all that wait for it are gone."""

    def __init__(self, message: Any, matched: dict[int, Any]) -> None:
        self.message = message
        self.matched = matched
        self.silent = False

    def __del__(self) -> None:
        if self.silent or sys.is_finalizing():
            return
        missing = [
            number
            for number, node in enumerate(self.message.nodes)
            if node.attributes and number not in self.matched
        ]
        if not missing:
            return
        names = object_graph.Names(self.message)
        warn = tensorflow_logger().warning
        warn(
            "Detecting that an object or model or tf.train.Checkpoint is being deleted with unrestored values. See the "
            "following logs for the specific values in question. To silence these warnings, use "
            "`status.expect_partial()`. See https://www.tensorflow.org/api_docs/python/tf/train/Checkpoint#restorefor "
            "details about the status object returned by the restore function."
        )
        for number in missing:
            warn("Value in checkpoint could not be found in the restored object: %s", names[number])
