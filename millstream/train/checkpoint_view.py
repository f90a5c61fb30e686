"""`tf.train.TrackableView` and `tf.train.CheckpointView`: looking at objects, in a program and in a checkpoint."""
from __future__ import annotations

import os
from collections import deque
from typing import Any

from millstream.core.export import export
from millstream.core.trackable import Trackable
from millstream.io.checkpoint_reader import open_checkpoint
from millstream.train.object_graph import GRAPH_KEY, read_graph


@export(v2=["train.TrackableView"])
class TrackableView:
    """The objects below one.

    Args:
      root: the object.

    Example:
      >>> tf.train.TrackableView(checkpoint).descendants()
    """

    def __init__(self, root: Trackable) -> None:
        self._root = root

    @property
    def root(self) -> Trackable:
        """The object at the top."""
        return self._root

    @classmethod
    def children(cls, obj: Trackable, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        """The children of an object by name.

        Args:
          obj: the object.
          save_type: `"checkpoint"` or `"savedmodel"`.
          **kwargs: what the object may need to list its children.
        """
        return obj._trackable_children(save_type, **kwargs)

    def descendants(self) -> list[Trackable]:
        """All objects, the root first, breadth first."""
        found, waiting, seen = [], deque([self._root]), {id(self._root)}
        while waiting:
            current = waiting.popleft()
            found.append(current)
            for child in self.children(current).values():
                if id(child) not in seen:
                    seen.add(id(child))
                    waiting.append(child)
        return found


@export(v2=["train.CheckpointView"])
class CheckpointView:
    """The objects of a checkpoint, by their numbers.

    Args:
      save_path: the checkpoint's prefix.

    Raises:
      NotFoundError: there is no such checkpoint.
      ValueError: it is one of a `tf.train.Saver`.

    Example:
      >>> view = tf.train.CheckpointView(path)
      >>> view.match(checkpoint)          # numbers, and the objects of the program that have their places
    """

    def __init__(self, save_path: Any) -> None:
        path = os.fsdecode(save_path)
        with open_checkpoint(path) as reader:
            self._message = read_graph(reader, path)
        if self._message is None:
            raise ValueError(
                f'The specified checkpoint "{path}" does not appear to be object-based (saved with TF2) since it is '
                f'missing the key "{GRAPH_KEY}". Likely it was created with the TF1 name-based saver and does not '
                "contain an object dependency graph."
            )

    def children(self, node_id: int) -> dict[str, int]:
        """The numbers of the children of an object by name."""
        return {child.local_name: child.node_id for child in self._message.nodes[node_id].children}

    def descendants(self) -> list[int]:
        """The numbers of all objects, but for slots of optimisers: the root first, breadth first."""
        found, waiting, seen = [], deque([0]), {0}
        while waiting:
            number = waiting.popleft()
            found.append(number)
            new = [child for child in self.children(number).values() if child not in seen]
            seen.update(new)
            waiting.extend(dict.fromkeys(new))
        return found

    def match(self, obj: Trackable) -> dict[int, Trackable]:
        """The objects below `obj` that have places in the checkpoint, by numbers."""
        matched, waiting = {0: obj}, deque([0])
        while waiting:
            number = waiting.popleft()
            there = TrackableView.children(matched[number])
            for name, child in self.children(number).items():
                if name in there and child not in matched:
                    matched[child] = there[name]
                    waiting.append(child)
        return matched

    def diff(self, obj: Trackable) -> tuple[dict[int, Trackable], list[int], list[Trackable]]:
        """What matches, the numbers of what only the checkpoint has, and the objects that only the program has."""
        matched = self.match(obj)
        known = {id(item) for item in matched.values()}
        only_program = [item for item in TrackableView(obj).descendants() if id(item) not in known]
        return matched, [number for number in self.descendants() if number not in matched], only_program
