"""The values of a SavedModel's variables: which tensor of its checkpoint each object has."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from millstream.core import errors, shapes
from millstream.core.dtypes import DType
from millstream.io import proto
from millstream.io.bundle_reader import BundleReader

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"


class SavedValues:
    """Reads the values of variables.

    Args:
      prefix: what the names of the checkpoint's files begin with.
      nodes: the objects of the model, `SavedObject`s.

    Raises:
      NotFoundError, DataLossError, InvalidArgumentError: the checkpoint is missing or damaged.
    """

    def __init__(self, prefix: str, nodes: Any) -> None:
        self._reader = BundleReader(prefix)
        self._keys = dict(_keys(nodes, self._object_graph().nodes))

    def _object_graph(self) -> Any:
        from google.protobuf.message import DecodeError

        content = self._reader.read(OBJECT_GRAPH_KEY)
        try:
            return proto.TrackableObjectGraph.FromString(content.item())
        except (DecodeError, TypeError, ValueError):
            message = f"The object graph of the checkpoint {self._reader.prefix} cannot be parsed"
            raise errors.DataLossError(None, None, message) from None

    def key(self, node_id: int) -> str | None:
        """The key in the checkpoint of a variable; None if it has none."""
        key = self._keys.get(node_id)
        return key if key is not None and self._reader.entry(key) is not None else None

    def read(self, key: str, dtype: DType, shape: shapes.Shape) -> np.ndarray[Any, Any]:
        """The value of a variable.

        Raises:
          InvalidArgumentError: it has another dtype or shape.
        """
        entry = self._reader.found(key)
        if entry.dtype is not dtype or not shapes.is_compatible(entry.shape, shape):
            wanted = f"{dtype.name} {shapes.format_shape(shape)}"
            message = f"{key} is {entry.dtype.name} {list(entry.shape)} in the checkpoint, the variable is {wanted}"
            raise errors.InvalidArgumentError(None, None, f"{message} ({self._reader.prefix})")
        return self._reader.read(key)

    def close(self) -> None:
        """Closes the checkpoint."""
        self._reader.close()


def _keys(nodes: Any, stored: Any) -> Iterator[tuple[int, str]]:
    """(object, key) for each variable; paths of equal names lead to the same object in model and checkpoint."""
    pairs = _pairs(nodes, stored)
    for node_id, stored_id in pairs.items():
        for attribute in stored[stored_id].attributes:
            if attribute.name == VALUE:
                yield node_id, attribute.checkpoint_key


def _pairs(nodes: Any, stored: Any) -> dict[int, int]:
    """The object of the checkpoint for each object of the model."""
    found: dict[int, int] = {0: 0} if len(nodes) and len(stored) else {}
    waiting = list(found.items())
    while waiting:
        node_id, stored_id = waiting.pop()
        for child, stored_child in _children(nodes[node_id], stored[stored_id], found):
            if child in range(len(nodes)) and stored_child in range(len(stored)) and child not in found:
                found[child] = stored_child
                waiting.append((child, stored_child))
    return found


def _children(node: Any, stored: Any, found: dict[int, int]) -> Iterator[tuple[int, int]]:
    by_name = {child.local_name: child.node_id for child in stored.children}
    for child in node.children:
        if child.local_name in by_name:
            yield child.node_id, by_name[child.local_name]
    slots = {(item.original_variable_node_id, item.slot_name): item.slot_variable_node_id
             for item in stored.slot_variables}  # fmt: skip
    for item in node.slot_variables:
        place = found.get(item.original_variable_node_id, -1), item.slot_name
        if place in slots:
            yield item.slot_variable_node_id, slots[place]
