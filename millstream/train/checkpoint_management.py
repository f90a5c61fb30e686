"""The `checkpoint` file of a folder, which says which checkpoints there are, and looking for checkpoints."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from glob import escape
from typing import Any

from millstream.core import errors
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.io import bundle, gfile
from millstream.io.atomic_files import write_file
from millstream.io.bundle_writer import remove_bundle

_STATE_FILE = "checkpoint"
_V2 = 2  # SaverDef.V2


# --- The state file --------------------------------------------------------------------------------------------------


@export(v1=["train.generate_checkpoint_state_proto"])
def generate_checkpoint_state_proto(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> Any:
    """Makes the `CheckpointState` of a folder.

    Args:
      save_dir: the folder. Where it is a relative path, so become those of the checkpoints, relative to it.
      model_checkpoint_path: the newest checkpoint.
      all_model_checkpoint_paths: all that are kept, the oldest first; the newest is added where it is missing.
      all_model_checkpoint_timestamps: when each was made, in seconds.
      last_preserved_timestamp: when the last one was made that is kept for good.

    Raises:
      ValueError: there are not as many times as paths.
    """
    from millstream.io import proto

    paths = list(all_model_checkpoint_paths or ())
    if not paths or paths[-1] != model_checkpoint_path:
        paths.append(model_checkpoint_path)
    times = all_model_checkpoint_timestamps
    if times and len(times) != len(paths):
        raise ValueError(
            "Checkpoint timestamps, if provided, must match checkpoint paths (got paths "
            f"{paths} and timestamps {list(times)})"
        )
    if not os.path.isabs(save_dir):
        paths = [path if os.path.isabs(path) else os.path.relpath(path, save_dir) for path in paths]
    return proto.CheckpointState(
        model_checkpoint_path=paths[-1],
        all_model_checkpoint_paths=paths,
        all_model_checkpoint_timestamps=times or (),
        last_preserved_timestamp=last_preserved_timestamp,
    )


@export(v1=["train.update_checkpoint_state"])
def update_checkpoint_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Writes the state file of a folder, whole or not at all.

    Args:
      save_dir, model_checkpoint_path, all_model_checkpoint_paths, all_model_checkpoint_timestamps,
        last_preserved_timestamp: see `tf.train.generate_checkpoint_state_proto`.
      latest_filename: the file's name; default "checkpoint".

    Raises:
      RuntimeError: the file has the path of the newest checkpoint.
    """
    write_state(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        latest_filename,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )


def write_state(
    save_dir: str,
    newest: str,
    paths: Sequence[str] | None,
    latest_filename: str | None = None,
    times: Sequence[float] | None = None,
    last_preserved: float | None = None,
    save_relative_paths: bool = False,
) -> None:
    """Writes the state file; with `save_relative_paths` absolute paths are written relative to the folder."""
    from google.protobuf import text_format

    path = _state_path(save_dir, latest_filename)
    if save_relative_paths:
        newest, paths = _relative(newest, save_dir), [_relative(item, save_dir) for item in paths or ()]
    state = generate_checkpoint_state_proto(save_dir, newest, paths, times, last_preserved)
    if path == state.model_checkpoint_path:
        raise RuntimeError(
            f"Save path '{newest}' conflicts with path used for checkpoint state.  Please use a different save path."
        )
    write_file(path, text_format.MessageToString(state).encode())


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder) if os.path.isabs(path) else path


def _state_path(folder: str, latest_filename: str | None) -> str:
    return os.path.join(folder, latest_filename or _STATE_FILE)


@export("train.get_checkpoint_state")
def get_checkpoint_state(checkpoint_dir: str, latest_filename: str | None = None) -> Any:
    """What the state file of a folder says.

    Args:
      checkpoint_dir: the folder.
      latest_filename: the file's name; default "checkpoint".

    Returns:
      A `CheckpointState` with paths that begin with that of the folder where they are relative; None where there is
      no such file, or none that can be read.

    Raises:
      ValueError: the file says nothing of a checkpoint.

    Example:
      >>> state = tf.train.get_checkpoint_state("model")
      >>> if state:
      ...   saver.restore(sess, state.model_checkpoint_path)
    """
    from google.protobuf import text_format

    from millstream.io import proto

    checkpoint_dir = os.fsdecode(checkpoint_dir)
    path = _state_path(checkpoint_dir, latest_filename)
    if not gfile.exists(path):
        return None
    try:
        state = text_format.Parse(gfile.GFile(path).read(), proto.CheckpointState())
    except (errors.OpError, text_format.ParseError, UnicodeDecodeError) as error:
        tensorflow_logger().warning("%s: %s", type(error).__name__, error)
        tensorflow_logger().warning("%s: Checkpoint ignored", path)
        return None
    if not state.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {checkpoint_dir}")
    state.model_checkpoint_path = os.path.join(checkpoint_dir, state.model_checkpoint_path)
    for number, item in enumerate(state.all_model_checkpoint_paths):
        state.all_model_checkpoint_paths[number] = os.path.join(checkpoint_dir, item)
    return state


# --- Checkpoints -----------------------------------------------------------------------------------------------------


@export("train.latest_checkpoint")
def latest_checkpoint(checkpoint_dir: str, latest_filename: str | None = None) -> str | None:
    """The newest checkpoint of a folder, by its state file.

    Args:
      checkpoint_dir: the folder.
      latest_filename: the name of the state file; default "checkpoint".

    Returns:
      The checkpoint's prefix, for `Saver.restore`; None where there is none.
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    if checkpoint_exists(state.model_checkpoint_path):
        return state.model_checkpoint_path  # type: ignore[no-any-return]
    tensorflow_logger().error("Couldn't match files for checkpoint %s", state.model_checkpoint_path)
    return None


@export(v1=["train.checkpoint_exists"])
def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Whether there is a checkpoint with this prefix: the index of the present format, or a file of the old one."""
    return bool(_main_file(checkpoint_prefix))


def _main_file(prefix: str) -> str | None:
    """The file that makes a checkpoint one. One of the old format may be a pattern of names, but not of folders."""
    index = bundle.index_path(os.fsdecode(prefix))
    if gfile.exists(index):
        return index
    folder, name = os.path.split(os.fsdecode(prefix))
    return next(iter(gfile.glob(os.path.join(escape(folder), name))), None)


@export(v1=["train.get_checkpoint_mtimes"])
def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[str]) -> list[float]:
    """When checkpoints were written, in seconds since 1970; those that are not there are left out."""
    files = [_main_file(prefix) for prefix in checkpoint_prefixes]
    return [gfile.stat(file).mtime_nsec / 1e9 for file in files if file]


@export(v1=["train.remove_checkpoint"])
def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = _V2, meta_graph_suffix: str = "meta"
) -> None:
    """Deletes the files of a checkpoint, its graph too.

    Args:
      checkpoint_prefix: the checkpoint.
      checkpoint_format_version: `SaverDef.V2`, or `SaverDef.V1` for one of the old format.
      meta_graph_suffix: what the name of the graph's file ends with.
    """
    if checkpoint_format_version != _V2:
        for path in gfile.glob(checkpoint_prefix):
            gfile.remove(path)
    elif gfile.exists(bundle.index_path(checkpoint_prefix)):
        remove_bundle(checkpoint_prefix)
    graph = meta_graph_path(checkpoint_prefix, meta_graph_suffix)
    if gfile.exists(graph):
        gfile.remove(graph)


def meta_graph_path(prefix: str, suffix: str = "meta") -> str:
    """The file of a checkpoint's graph."""
    return f"{re.sub(r'-[0-9?]+-of-[0-9]+$', '', prefix)}.{suffix}"


@export("train.checkpoints_iterator", v1=["contrib.training.checkpoints_iterator"])
def checkpoints_iterator(
    checkpoint_dir: str,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Gives each new checkpoint of a folder as it appears, for a program that evaluates while another one trains.

    Args:
      checkpoint_dir: the folder.
      min_interval_secs: the least time between two of them.
      timeout: how many seconds to wait for one; None: for ever.
      timeout_fn: called when none came in time; the iteration ends where it gives True, or is None.
    """
    newest = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, newest, timeout=timeout)
        if found is None:
            if timeout_fn is None:
                tensorflow_logger().info("Timed-out waiting for a checkpoint.")
                return
            if timeout_fn():
                return
            continue
        began, newest = time.monotonic(), found
        yield found
        time.sleep(max(0.0, began + min_interval_secs - time.monotonic()))


@export(v1=["contrib.training.wait_for_new_checkpoint"])
def wait_for_new_checkpoint(
    checkpoint_dir: str,
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """Waits until a folder has another checkpoint.

    Args:
      checkpoint_dir: the folder.
      last_checkpoint: the one that is known already.
      seconds_to_sleep: how long to wait between two looks.
      timeout: how many seconds to wait; None: for ever.

    Returns:
      The newest checkpoint's prefix; None where the time is over.
    """
    tensorflow_logger().info("Waiting for new checkpoint at %s", checkpoint_dir)
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        found = latest_checkpoint(checkpoint_dir)
        if found not in (None, last_checkpoint):
            tensorflow_logger().info("Found new checkpoint at %s", found)
            return found
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(seconds_to_sleep, left))
