"""`tf.contrib.eager.Saver`: saves variables by their names in eager execution."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.train.optimizer import Optimizer
from millstream.train.saver import Saver as GraphSaver


@export(v1=["contrib.eager.Saver"])
class Saver:
    """Saves variables under their names, and restores them. `tf.train.Checkpoint` is to be preferred.

    Args:
      var_list: the variables, as a list or as a dictionary by names.

    Raises:
      RuntimeError: operations do not run at once.
    """

    def __init__(self, var_list: Any) -> None:
        if not context.executing_eagerly():
            raise RuntimeError(
                "tfe.Saver can only be used when eager execution is enabled. Use tf.train.Saver when building graphs."
            )
        self._saver = GraphSaver(var_list)

    def save(self, file_prefix: str, global_step: Any = None) -> str | None:
        """Saves the variables.

        Args:
          file_prefix: what the files' names begin with.
          global_step: a number that is put after it.

        Returns:
          The checkpoint's prefix.
        """
        return self._saver.save(None, file_prefix, global_step=global_step)

    def restore(self, file_prefix: str) -> None:
        """Gives the variables the values of a checkpoint."""
        self._saver.restore(None, file_prefix)


@export(v1=["contrib.eager.get_optimizer_variables"])
def get_optimizer_variables(optimizer: Optimizer) -> Sequence[Any]:
    """The variables that an optimiser has of its own: the same as `optimizer.variables()`."""
    return optimizer.variables()
