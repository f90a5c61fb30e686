"""`tf.contrib.checkpoint.NumpyState`: an object whose attributes are NumPy arrays."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.export import export
from millstream.core.trackable import Trackable
from millstream.train.python_state import ArrayState


@export(v1=["contrib.checkpoint.NumpyState"])
class NumpyState(Trackable):
    """An object whose attributes are NumPy arrays, which are saved in checkpoints.

    Attributes that the object does not have yet are made when they are restored.

    Example:
      >>> arrays = tf.contrib.checkpoint.NumpyState()
      >>> checkpoint = tf.train.Checkpoint(arrays=arrays)
      >>> arrays.x = np.zeros([3])
      >>> path = checkpoint.save("/tmp/model/ckpt")
    """

    def _lookup_dependency(self, name: str) -> Trackable | None:
        # A checkpoint that is being restored asks; what it asks for is an array.
        found = super()._lookup_dependency(name)
        return self._track_trackable(ArrayState(np.array([])), name) if found is None else found

    def __getattribute__(self, name: str) -> Any:
        tracking = object.__getattribute__(self, "__dict__").get("_tracking")
        child = None if tracking is None else tracking.children.get(name)
        return child.array if isinstance(child, ArrayState) else object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, (np.ndarray, np.generic)):
            raise NotImplementedError(
                f"Assigned {value} to the {name} property of {self}, which is not a NumPy array. Currently mixing "
                "NumPy arrays and other trackable objects is not supported. File a feature request if this limitation "
                "bothers you."
            )
        child = self._tracked.children.get(name)
        if child is None:
            self._track_trackable(ArrayState(value), name)
        else:
            child.array = value  # type: ignore[attr-defined]
