"""`tf.train.CheckpointManager`: keeps the newest checkpoints of a folder, and deletes older ones."""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.train import checkpoint_management, training_util
from millstream.train.checkpoint_options import CheckpointOptions
from millstream.train.checkpoint_status import session_of

_SECONDS = 3600.0  # of an hour


@export(v1=["train.CheckpointManager", "contrib.checkpoint.CheckpointManager"])
class CheckpointManagerV1:
    """Saves checkpoints in a folder, and deletes older ones.

    The folder's file `checkpoint` says which ones there are, so that a program that starts again goes on with them.

    Args:
      checkpoint: the `tf.train.Checkpoint` to save.
      directory: the folder.
      max_to_keep: so many checkpoints are kept, older ones are deleted; None: all are kept.
      keep_checkpoint_every_n_hours: one checkpoint in so many hours is kept for good.
      checkpoint_name: what the files' names begin with.

    Raises:
      ValueError: `max_to_keep` is no positive number.

    Example:
      >>> manager = tf.train.CheckpointManager(checkpoint, "/tmp/model", max_to_keep=3)
      >>> status = checkpoint.restore(manager.latest_checkpoint)
      >>> for _ in range(100):
      ...   train()
      ...   manager.save()
    """

    def __init__(
        self,
        checkpoint: Any,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
    ) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}.")
        self._checkpoint = checkpoint
        self._directory = os.fsdecode(directory)
        self._max_to_keep = max_to_keep
        self._keep_every = keep_checkpoint_every_n_hours
        self._prefix = os.path.join(self._directory, checkpoint_name)
        self._latest_checkpoint: str | None = None
        self._kept: dict[str, float] = {}  # when the checkpoints were made that may be deleted, the oldest first
        self._recover()

    def _recover(self) -> None:
        """Goes on with the checkpoints that the folder has."""
        now = time.time()
        state = checkpoint_management.get_checkpoint_state(self._directory)
        if state is None:
            self._last_preserved = now - 1.0  # a checkpoint of the same moment is newer
            return
        self._latest_checkpoint = state.model_checkpoint_path
        self._last_preserved = state.last_preserved_timestamp
        if now < self._last_preserved:
            tensorflow_logger().warning(
                "time.time() returned a value %f seconds behind the last preserved checkpoint timestamp.",
                self._last_preserved - now,
            )
            self._last_preserved = now
        paths = state.all_model_checkpoint_paths
        times = state.all_model_checkpoint_timestamps or [self._last_preserved] * len(paths)
        for path, made in zip(paths, times, strict=False):
            made = min(made, now)
            if made > self._last_preserved:
                self._kept[path] = made

    @property
    def latest_checkpoint(self) -> str | None:
        """The newest checkpoint's prefix, for `Checkpoint.restore`; None where there is none."""
        return self._latest_checkpoint

    @property
    def checkpoints(self) -> list[str]:
        """The prefixes of the checkpoints that may be deleted later, the oldest first; not those kept for good."""
        return list(self._kept)

    def save(self, checkpoint_number: Any = None) -> str | None:
        """Saves a checkpoint, and deletes what is too old.

        Args:
          checkpoint_number: the number after the name, an integer or a variable; default: the checkpoint's save
          counter.

        Returns:
          The prefix.
        """
        return self._save(checkpoint_number)

    def _save(self, checkpoint_number: Any, **options: Any) -> str:
        session = None if context.executing_eagerly() else session_of(None)
        number = self._checkpoint._next_number(session)
        if checkpoint_number is not None:
            number = _evaluated(checkpoint_number, session)
        path: str = self._checkpoint.write(f"{self._prefix}-{number}", **options)
        self._kept.pop(path, None)
        self._kept[path] = time.time()
        self._latest_checkpoint = path
        # The file names the new checkpoint before any is deleted, and then no longer those that are.
        self._record()
        self._sweep()
        self._record()
        return path

    def _sweep(self) -> None:
        """Deletes the oldest checkpoints, but for those that are kept for good."""
        while self._max_to_keep is not None and len(self._kept) > self._max_to_keep:
            path = next(iter(self._kept))
            made = self._kept.pop(path)
            if self._keep_every and made - self._keep_every * _SECONDS >= self._last_preserved:
                self._last_preserved = made
            else:
                checkpoint_management.remove_checkpoint(path)

    def _record(self) -> None:
        checkpoint_management.write_state(
            self._directory,
            self._latest_checkpoint or "",
            list(self._kept),
            times=list(self._kept.values()),
            last_preserved=self._last_preserved,
            save_relative_paths=True,
        )


@export(v2=["train.CheckpointManager"])
class CheckpointManager(CheckpointManagerV1):
    """Saves checkpoints in a folder, and deletes older ones.

    The folder's file `checkpoint` says which ones there are, so that a program that starts again goes on with them.

    Args:
      checkpoint: the `tf.train.Checkpoint` to save.
      directory: the folder.
      max_to_keep: so many checkpoints are kept, older ones are deleted; None: all are kept.
      keep_checkpoint_every_n_hours: one checkpoint in so many hours is kept for good.
      checkpoint_name: what the files' names begin with.
      step_counter: a variable that counts steps.
      checkpoint_interval: `save` does nothing before so many steps have gone by since the last one.
      init_fn: what `restore_or_initialize` calls where there is no checkpoint.
      last_checkpoint_step: the step of the last checkpoint; default: the first `save` saves.

    Raises:
      ValueError: `max_to_keep` is no positive number, or there is an interval without a counter.

    Example:
      >>> manager = tf.train.CheckpointManager(
      ...   checkpoint, "/tmp/model", max_to_keep=3, step_counter=step, checkpoint_interval=100)
      >>> manager.restore_or_initialize()
      >>> for batch in batches:
      ...   train_step(batch)
      ...   manager.save()
    """

    def __init__(
        self,
        checkpoint: Any,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], Any] | None = None,
        last_checkpoint_step: int | None = None,
    ) -> None:
        super().__init__(checkpoint, directory, max_to_keep, keep_checkpoint_every_n_hours, checkpoint_name)
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("`step_counter` should be passed if `checkpoint_interval` is not None.")
        self._step_counter = step_counter
        self._checkpoint_interval = checkpoint_interval
        self._init_fn = init_fn
        self._last_checkpoint_step = last_checkpoint_step

    @property
    def directory(self) -> str:
        """The folder."""
        return self._directory

    @property
    def checkpoint(self) -> Any:
        """The `tf.train.Checkpoint`."""
        return self._checkpoint

    @property
    def checkpoint_interval(self) -> int | None:
        """How many steps there are between two checkpoints."""
        return self._checkpoint_interval

    def save(
        self, checkpoint_number: Any = None, check_interval: bool = True, options: CheckpointOptions | None = None
    ) -> str | None:
        """Saves a checkpoint, and deletes what is too old.

        Args:
          checkpoint_number: the number after the name, an integer or a variable; default: the checkpoint's save
          counter.
          check_interval: whether `checkpoint_interval` counts.
          options: a `tf.train.CheckpointOptions`.

        Returns:
          The prefix; None where not enough steps have gone by.
        """
        if self._checkpoint_interval is not None:
            step, last = self._step(), self._last_checkpoint_step
            if check_interval and last is not None and step < last + self._checkpoint_interval:
                return None
            self._last_checkpoint_step = step
        return self._save(checkpoint_number, options=options)

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint; where there is none, calls `init_fn`.

        Returns:
          The checkpoint's prefix, or None.
        """
        if self._latest_checkpoint is not None:
            self._checkpoint.restore(self._latest_checkpoint)
            if self._checkpoint_interval is not None:
                self._last_checkpoint_step = self._step()
            return self._latest_checkpoint
        if self._init_fn is not None:
            self._init_fn()
            tensorflow_logger().info("Customized initialization is done through the passed `init_fn`.")
        return None

    def _step(self) -> int:
        return _evaluated(self._step_counter, None if context.executing_eagerly() else session_of(None))

    def sync(self) -> None:
        """Waits until saves are done, which they always are."""


def _evaluated(number: Any, session: Any) -> int:
    """The value of an integer, a variable or a tensor."""
    if isinstance(number, int):
        return number
    if session is None:
        return int(number)
    return training_util.global_step(session, number)
