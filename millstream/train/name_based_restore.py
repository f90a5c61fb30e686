"""Restoring objects from a checkpoint of `tf.train.Saver`, by the names of their variables."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.core import context
from millstream.core.trackable import Trackable
from millstream.core.variables import Variable
from millstream.io.checkpoint_reader import Reader
from millstream.ops.constant_op import constant
from millstream.train.checkpoint_restore import next_order, saveable_of
from millstream.train.object_graph import ObjectGraph
from millstream.train.saveables import SaveableObject
from millstream.train.saver_builder import SaverBuilder


class NameBasedRestoration:
    """One restoration of a checkpoint that has variables by their names.

    It also restores what becomes a child of a restored object later.

    Args:
      path: the checkpoint's prefix.
      reader: reads it.
    """

    def __init__(self, path: str, reader: Reader) -> None:
        self.order = next_order()
        self._path = path
        self._reader = reader

    def restore(self, trackable: Trackable) -> None:
        """Restores an object and what is below it, and what will be; in a graph `run` does it."""
        if not context.executing_eagerly():
            return
        objects = ObjectGraph(trackable).objects
        for item in objects:
            if self not in item._tracked.following:
                item._tracked.following.append(self)
        saveables = self._saveables(objects)
        if saveables:
            SaverBuilder(saveables).restore(constant(self._path))

    def initial_value(self) -> Any:
        """None: it is not known which name a variable will have that is about to be made."""
        return None

    def run(self, objects: Iterable[Trackable], session: Any) -> None:
        """Restores objects in a session."""
        saveables = self._saveables(objects)
        if saveables:
            session.run(SaverBuilder(saveables).restore(constant(self._path)))

    def missing(self, objects: Iterable[Trackable]) -> list[tuple[Trackable, list[str]]]:
        """The objects, with the names of their variables, that the checkpoint does not have."""
        missing = []
        for item in objects:
            names = [name for name in _names(item) if not self._has(name)]
            if names:
                missing.append((item, names))
        return missing

    def _saveables(self, objects: Iterable[Trackable]) -> list[SaveableObject]:
        named = [(name, value) for item in objects for name, value in _names(item).items()]
        return [saveable_of(name, value) for name, value in named if self._has(name)]

    def _has(self, name: str) -> bool:
        return self._reader.entry(name) is not None


def _names(trackable: Trackable) -> dict[str, Any]:
    """What an object has of values by the names that a `Saver` gives them."""
    values = trackable._checkpoint_values().values()
    return {value._shared_name: value for value in values if isinstance(value, Variable)}
