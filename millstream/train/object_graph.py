"""The objects below a root as a checkpoint numbers and names them.

An object's number is its place in a walk, breadth first, through the children in the order in which they came; its
name is the first, hence shortest, path to it. Slots of optimisers come after all others and are named after their
variable and their optimiser. What an object has of values is saved under `<name>/.ATTRIBUTES/<attribute>`.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core import errors
from millstream.core.dtypes import string
from millstream.core.function import Function
from millstream.core.trackable import Trackable
from millstream.core.trackable_containers import Container
from millstream.core.variables import Variable
from millstream.io.checkpoint_reader import Reader

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"  # under which a checkpoint has its TrackableObjectGraph
VARIABLE_VALUE = "VARIABLE_VALUE"
_ATTRIBUTES, _SLOTS = ".ATTRIBUTES", ".OPTIMIZER_SLOT"


class Slot(NamedTuple):
    """A slot: the numbers of the optimiser, the variable that it is kept beside, and itself, and its name."""

    optimizer: int
    name: str
    variable: int
    slot: int


class Value(NamedTuple):
    """What is saved of an object under one key."""

    node: int
    attribute: str
    full_name: str  # that of the variable, by which a `Saver` finds it
    key: str
    value: Any  # a variable, a `PythonValue`, or a function that makes a saveable object of the key


def escaped(name: str) -> str:
    """A child's name as a part of a key."""
    return name.replace(".", "..").replace("/", ".S")


def children_of(trackable: Trackable, newer: bool) -> dict[str, Trackable]:
    """The children of an object that checkpoints have; 1.x's do not list functions."""
    children = trackable._trackable_children()
    return children if newer else {name: it for name, it in children.items() if not isinstance(it, Function)}


class ObjectGraph:
    """The objects below a root at one moment.

    Args:
      root: the object.
      attached: further children of the root, by name.
      newer: whether this is for 2.x.

    Raises:
      ValueError: a list or dict has been changed in a way that cannot be saved.
      NotImplementedError: a slot is the child of an object.
    """

    def __init__(
        self, root: Trackable, attached: Mapping[str, Trackable] | None = None, newer: bool = True
    ) -> None:
        self.newer = newer
        self.objects: list[Trackable] = []
        self.children: list[dict[str, int]] = []
        self.slots: list[Slot] = []
        self._names: list[str] = []
        self._numbers: dict[int, int] = {}
        self._walk(root, attached or {})
        self._add_slots()

    def _children_of(self, trackable: Trackable) -> Mapping[str, Trackable]:
        """The children of an object by their names."""
        return children_of(trackable, self.newer)

    def _walk(self, root: Trackable, attached: Mapping[str, Trackable]) -> None:
        self._add(root, "")
        waiting = deque([root])
        while waiting:
            current = waiting.popleft()
            children = self._children_of(current)
            if current is root:
                children = {**children, **attached}
            name = self._names[self._numbers[id(current)]]
            numbers: dict[str, int] = {}
            for local_name, child in children.items():
                if id(child) not in self._numbers:
                    self._add(child, f"{name}/{escaped(local_name)}" if name else escaped(local_name))
                    waiting.append(child)
                numbers[local_name] = self._numbers[id(child)]
            self.children.append(numbers)

    def _add(self, trackable: Trackable, name: str) -> int:
        number = self._numbers[id(trackable)] = len(self.objects)
        self.objects.append(trackable)
        self._names.append(name)
        return number

    def _add_slots(self) -> None:
        variables = [(number, item) for number, item in enumerate(self.objects) if isinstance(item, Variable)]
        for number, optimizer in enumerate(list(self.objects)):
            for slot_name in optimizer.get_slot_names():
                for variable_number, variable in variables:
                    slot = optimizer.get_slot(variable, slot_name)
                    if slot is not None:
                        self._add_slot(number, slot_name, variable_number, slot)

    def _add_slot(self, optimizer: int, slot_name: str, variable: int, slot: Trackable) -> None:
        if id(slot) in self._numbers:
            raise NotImplementedError(
                f"A slot variable was re-used as a dependency of a Trackable object: {slot}. This is not currently "
                "allowed."
            )
        name = f"{self._names[variable]}/{_SLOTS}/{self._names[optimizer]}/{escaped(slot_name)}"
        self.slots.append(Slot(optimizer, slot_name, variable, self._add(slot, name)))
        self.children.append({})

    def values(self) -> list[Value]:
        """What is to be saved, in the order of the objects."""
        found = []
        for node, (item, name) in enumerate(zip(self.objects, self._names, strict=True)):
            for attribute, value in item._checkpoint_values().items():
                full_name = value._shared_name if isinstance(value, Variable) else ""
                found.append(Value(node, attribute, full_name, f"{name}/{_ATTRIBUTES}/{escaped(attribute)}", value))
        return found

    def to_proto(self, values: Sequence[Value]) -> Any:
        """The `TrackableObjectGraph` that says where the values of the objects are."""
        from millstream.io import proto

        message = proto.TrackableObjectGraph()
        for children in self.children:
            node = message.nodes.add()
            for name, number in children.items():
                node.children.add(node_id=number, local_name=name)
        for value in values:
            message.nodes[value.node].attributes.add(
                name=value.attribute, full_name=value.full_name, checkpoint_key=value.key
            )
        for slot in self.slots:
            message.nodes[slot.optimizer].slot_variables.add(
                original_variable_node_id=slot.variable, slot_name=slot.name, slot_variable_node_id=slot.slot
            )
        if self.newer:
            self._mark_values(message)
        return message

    def _mark_values(self, message: Any) -> None:
        """Says of each object whether it or something below it has values."""
        above: list[list[int]] = [[] for _ in self.objects]
        for number, children in enumerate(self.children):
            for child in children.values():
                above[child].append(number)
        for slot in self.slots:
            above[slot.slot].append(slot.optimizer)
        marked = {number for number, node in enumerate(message.nodes) if node.attributes}
        waiting = list(marked)
        while waiting:
            new = [number for number in above[waiting.pop()] if number not in marked]
            marked.update(new)
            waiting.extend(new)
        for number, node in enumerate(message.nodes):
            node.has_checkpoint_values.value = number in marked


def has_values(trackable: Trackable) -> bool:
    """Whether an object has something of its own that is saved."""
    return bool(trackable._checkpoint_values())


def is_empty_container(trackable: Trackable) -> bool:
    """Whether an object is a list or dict without children."""
    return isinstance(trackable, Container) and not trackable._trackable_children()


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_graph(reader: Reader, path: str) -> Any:
    """The `TrackableObjectGraph` of a checkpoint; None where it has none.

    Raises:
      DataLossError: it is damaged.
    """
    from google.protobuf.message import DecodeError

    from millstream.io import proto

    entry = reader.entry(GRAPH_KEY)
    if entry is None:
        return None
    if entry.dtype is not string or entry.shape != ():
        raise errors.DataLossError(None, None, f"{path}: the object graph is no string")
    try:
        message = proto.TrackableObjectGraph.FromString(reader.read(GRAPH_KEY).item())
    except DecodeError as error:
        raise errors.DataLossError(None, None, f"{path}: the object graph cannot be read: {error}") from None
    count = len(message.nodes)
    for node in message.nodes:
        numbers = [child.node_id for child in node.children]
        for slot in node.slot_variables:
            numbers += [slot.original_variable_node_id, slot.slot_variable_node_id]
        if any(not 0 <= number < count for number in numbers):
            raise errors.DataLossError(None, None, f"{path}: the object graph refers to objects that it does not have")
    if not count:
        raise errors.DataLossError(None, None, f"{path}: the object graph has no objects")
    return message


class Names:
    """The names of the objects of a `TrackableObjectGraph` for people: `(root).layer.kernel`."""

    def __init__(self, message: Any) -> None:
        self._parents: dict[int, tuple[int, str]] = {}
        self._slots: dict[int, Slot] = {}
        waiting, seen = deque([0]), {0}
        while waiting:
            number = waiting.popleft()
            for child in message.nodes[number].children:
                if child.node_id not in seen:
                    seen.add(child.node_id)
                    self._parents[child.node_id] = number, child.local_name
                    waiting.append(child.node_id)
            for slot in message.nodes[number].slot_variables:
                variable, itself = slot.original_variable_node_id, slot.slot_variable_node_id
                self._slots.setdefault(itself, Slot(number, slot.slot_name, variable, itself))

    def __getitem__(self, number: int) -> str:
        slot = self._slots.get(number)
        if slot is not None and number not in self._parents:
            return f"{self._path(slot.optimizer)}'s state '{slot.name}' for {self._path(slot.variable)}"
        return self._path(number)

    def _path(self, number: int) -> str:
        parts = []
        while number in self._parents:
            number, name = self._parents[number]
            parts.append(name)
        return ".".join(["(root)" if number == 0 else "(unknown)", *reversed(parts)])


def keys_by_full_name(message: Any) -> dict[str, str]:
    """The keys of the variables by their full names."""
    return {item.full_name: item.checkpoint_key for node in message.nodes for item in node.attributes}
