"""`tf.train.CheckpointOptions`: how a checkpoint is written and restored."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.export import export


@export(v2=["train.CheckpointOptions"])
class CheckpointOptions:
    """How `tf.train.Checkpoint` and `tf.saved_model` write and restore.

    Args:
      experimental_io_device: accepted; files are written by the host.
      experimental_enable_async_checkpoint, enable_async: accepted; a checkpoint is written when `save` returns.
      experimental_write_callbacks: functions that are called after a checkpoint was written, with its prefix if they
      take an
        argument.
      experimental_skip_slot_variables: leaves out the slots of optimisers.
      experimental_sharding_callback: None: checkpoints are written as one shard.

    Raises:
      NotImplementedError: a sharding callback.
    """

    def __init__(
        self,
        experimental_io_device: str | None = None,
        experimental_enable_async_checkpoint: bool = False,
        experimental_write_callbacks: Sequence[Callable[..., Any]] | None = None,
        enable_async: bool = False,
        experimental_skip_slot_variables: bool = False,
        experimental_sharding_callback: Any = None,
    ) -> None:
        if experimental_sharding_callback is not None:
            raise NotImplementedError("Checkpoints have one shard: experimental_sharding_callback must be None.")
        self.experimental_io_device = experimental_io_device
        self.enable_async = enable_async or experimental_enable_async_checkpoint
        self.experimental_write_callbacks = experimental_write_callbacks
        self.experimental_skip_slot_variables = experimental_skip_slot_variables
        self.experimental_sharding_callback = experimental_sharding_callback

    @property
    def experimental_enable_async_checkpoint(self) -> bool:
        """The same as `enable_async`."""
        return self.enable_async

    @experimental_enable_async_checkpoint.setter
    def experimental_enable_async_checkpoint(self, value: bool) -> None:
        self.enable_async = value

    def __copy__(self) -> CheckpointOptions:
        copied = CheckpointOptions()
        copied.__dict__.update(self.__dict__)
        return copied
