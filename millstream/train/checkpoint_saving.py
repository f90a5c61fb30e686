"""Writing the values of an `ObjectGraph` into a checkpoint: at once, or by operations that a session runs."""
from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import Any

from millstream.core import context
from millstream.core import device as devices
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import string
from millstream.core.graph import get_default_graph
from millstream.core.scopes import control_dependencies, device
from millstream.core.tensor import Tensor
from millstream.core.trackable import PythonValue
from millstream.ops import checkpoint_ops
from millstream.ops.constant_op import constant
from millstream.ops.identity_ops import identity
from millstream.ops.string_ops import string_join
from millstream.train.checkpoint_restore import saveable_of
from millstream.train.object_graph import GRAPH_KEY, ObjectGraph, Value
from millstream.train.saveables import SaveableObject, SaveSpec, by_device

_CPU = "/cpu:0"


class PythonSaveable(SaveableObject):
    """A string that is fed when a session saves: the state of a Python object, or the object graph.

    Args:
      value: gives the state.
      key: its key.
    """

    def __init__(self, value: PythonValue, key: str) -> None:
        self.state = value
        with device(_CPU):
            self.tensor = constant(value.serialize() if _runs_soon() else "", string)
        super().__init__(self.tensor, [SaveSpec(self.tensor, "", key, string)], key)


def _runs_soon() -> bool:
    """Whether what is saved is known now: not in a 1.x graph, which a session runs any time."""
    return context.executing_eagerly() or get_default_graph().building_function


def make_saveables(values: Sequence[Value]) -> list[SaveableObject]:
    """The saveable objects of values."""
    return [_saveable(item.key, item.value) for item in values]


def _saveable(key: str, value: Any) -> SaveableObject:
    return PythonSaveable(value, key) if isinstance(value, PythonValue) else saveable_of(key, value)


def save_now(prefix: Any, graph: ObjectGraph) -> None:
    """Writes a checkpoint of what the objects have now."""
    write_bundle(prefix, [spec for item in _all_saveables(graph) for spec in item.specs])


def save_shards_of(prefix: Any, graph: ObjectGraph) -> Any:
    """Adds operations to a function that write a checkpoint; gives its prefix when that is done."""
    return save_shards(to_tensor(prefix, string), _all_saveables(graph))


def _all_saveables(graph: ObjectGraph) -> list[SaveableObject]:
    """What is saved of objects, and the graph of the objects."""
    values = graph.values()
    message = graph.to_proto(values).SerializeToString(deterministic=True)
    with device(_CPU):
        tensor = constant(message, string)
    return [*make_saveables(values), SaveableObject(tensor, [SaveSpec(tensor, "", GRAPH_KEY)], GRAPH_KEY)]


def write_bundle(prefix: Any, specs: Sequence[SaveSpec]) -> Any:
    """Writes tensors as one bundle; the operation that does it."""
    names, slices = [spec.name for spec in specs], [spec.slice_spec for spec in specs]
    return checkpoint_ops.save_v2_op(prefix, names, slices, [spec.tensor for spec in specs])


class GraphSaving:
    """The operations by which a session saves an object graph, made once for as long as the objects stay the same."""

    def __init__(self) -> None:
        self._message: Any = None
        self._graph_tensor: Tensor | None = None
        self._prefix: Tensor | None = None
        self._saved: Tensor | None = None
        self._python: list[PythonSaveable] = []

    def save(self, prefix: str, graph: ObjectGraph, session: Any) -> None:
        """Writes a checkpoint of the values that a session has."""
        values = graph.values()
        message = graph.to_proto(values)
        if self._graph_tensor is None:
            with device(_CPU):
                self._graph_tensor, self._prefix = constant("", string), constant("model")
        if message != self._message:
            self._build(values)
            self._message = message
        feeds: dict[Any, Any] = {item.tensor: item.state.serialize() for item in self._python}
        feeds[self._graph_tensor] = message.SerializeToString(deterministic=True)
        feeds[self._prefix] = prefix
        session.run(self._saved, feeds)

    def _build(self, values: Sequence[Value]) -> None:
        saveables = make_saveables(values)
        self._python = [item for item in saveables if isinstance(item, PythonSaveable)]
        graph_spec = SaveSpec(self._graph_tensor, "", GRAPH_KEY)  # type: ignore[arg-type]
        saveables.append(SaveableObject(self._graph_tensor, [graph_spec], GRAPH_KEY))
        self._saved = save_shards(self._prefix, saveables)


def save_shards(prefix: Any, saveables: Sequence[SaveableObject]) -> Any:
    """Saves what each device has in a bundle of its own, and makes one of them; gives the prefix when that is done."""
    shards = by_device(saveables)
    hosts = [devices.merge(place, "/device:CPU:0") for place, _ in shards]
    with device(hosts[0]):
        temporary = string_join([prefix, f"_temp_{uuid.uuid4().hex}{os.sep}part"])
    num_shards = constant(len(shards), name="num_shards")
    prefixes, saved = [], []
    for number, (host, (_, items)) in enumerate(zip(hosts, shards, strict=True)):
        with device(host):
            prefixes.append(checkpoint_ops.sharded_filename_op(temporary, number, num_shards))
            saved.append(write_bundle(prefixes[-1], [spec for item in items for spec in item.specs]))
    with device(hosts[-1]):
        with control_dependencies(saved):
            merged = checkpoint_ops.merge_v2_checkpoints_op(prefixes, prefix, delete_old_dirs=True)
        with control_dependencies([merged]):
            return identity(prefix)
