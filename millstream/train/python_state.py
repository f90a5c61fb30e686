"""State of Python in checkpoints: `tf.train.experimental.PythonState`, and NumPy arrays."""
from __future__ import annotations

import io
from typing import Any

from millstream.core.export import export
from millstream.core.trackable import PythonValue, Trackable


@export("train.experimental.PythonState", v1=["contrib.checkpoint.PythonStateWrapper"])
class PythonState(Trackable):
    """Base of objects whose state is saved in checkpoints as a string.

    Subclasses define `serialize` and `deserialize`. The state is taken when a checkpoint is saved, and given back when
    it is restored, in graphs too.

    Example:
      >>> class Position(tf.train.experimental.PythonState):
      ...   def __init__(self):
      ...     self.line = 0
      ...   def serialize(self):
      ...     return str(self.line)
      ...   def deserialize(self, string_value):
      ...     self.line = int(string_value)
      >>> checkpoint = tf.train.Checkpoint(position=Position())
    """

    def serialize(self) -> Any:
        """Gives the state as str or bytes."""
        raise NotImplementedError

    def deserialize(self, string_value: bytes) -> None:
        """Takes over a state that `serialize` gave; as bytes."""
        raise NotImplementedError

    def _checkpoint_values(self) -> dict[str, Any]:
        return {"py_state": PythonValue(self.serialize, self.deserialize)}


class ArrayState(PythonState):
    """A NumPy array in a checkpoint."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def serialize(self) -> bytes:
        """The array in NumPy's file format."""
        import numpy as np

        file = io.BytesIO()
        np.save(file, self.array, allow_pickle=False)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        """Reads an array in NumPy's file format, but for one of Python objects."""
        import numpy as np

        self.array = np.load(io.BytesIO(string_value), allow_pickle=False)
