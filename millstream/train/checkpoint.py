"""`tf.train.Checkpoint`: saves and restores objects by the names of their attributes."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from millstream.core import context, errors
from millstream.core.dtypes import int64, string
from millstream.core.export import export
from millstream.core.scopes import beside, device
from millstream.core.tensor import Tensor
from millstream.core.trackable import AutoTrackable, Trackable
from millstream.core.variable_creators import create_v1
from millstream.io import gfile
from millstream.io.checkpoint_reader import Reader, open_checkpoint
from millstream.ops.constant_op import constant
from millstream.train import checkpoint_management
from millstream.train.checkpoint_options import CheckpointOptions
from millstream.train.checkpoint_restore import Load, next_order
from millstream.train.checkpoint_saving import GraphSaving, save_now, save_shards_of
from millstream.train.checkpoint_status import (
    CheckpointLoadStatus,
    InitializationOnlyStatus,
    LoadStatus,
    NameBasedSaverStatus,
    session_of,
)
from millstream.train.name_based_restore import NameBasedRestoration
from millstream.train.object_graph import ObjectGraph, read_graph

_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


class CheckpointBase(AutoTrackable):
    """What the checkpoints of both versions have in common."""

    _untracked_attributes = frozenset(("_attached", "_count", "_other_root", "_restoring", "_save_counter"))
    _newer = True

    def __init__(self) -> None:
        self._other_root: Trackable | None = None
        self._attached: dict[str, Trackable] = {}  # further children of the root
        self._save_counter: Any = None
        self._count: Any = None  # in a graph: adds to the counter
        self._saving = GraphSaving()
        self._restoring: dict[str, Any] = {}  # the operations that restore in a graph, by keys
        self._prefix: Tensor | None = None  # what they read

    @property
    def _root(self) -> Trackable:
        """The object whose children are saved."""
        return self if self._other_root is None else self._other_root

    def _view(self) -> ObjectGraph:
        return ObjectGraph(self._root, self._attached, self._newer)

    # --- Counting ---------------------------------------------------------------------------------------------------

    @property
    def save_counter(self) -> Any:
        """How often `save` has been called: an int64 variable."""
        self._make_save_counter()
        return self._save_counter

    def _make_save_counter(self) -> None:
        if self._save_counter is not None:
            return
        settings: dict[str, Any] = {"name": "save_counter", "dtype": int64, "trainable": False, "use_resource": True}
        with device("/cpu:0"):
            counter = self._root._make_variable("save_counter", 0, None, lambda value, _: create_v1(value, **settings))
        self._save_counter = counter
        self._track_trackable(counter, "save_counter")
        if self._root is not self:
            self._attached["save_counter"] = counter
            self._root._handle_deferred_dependencies("save_counter", counter)

    def _next_number(self, session: Any) -> int:
        """Counts a save; the new number."""
        eager, is_new = context.executing_eagerly(), self._save_counter is None
        counter = self.save_counter
        if eager:
            return int(counter.assign_add(1).numpy())
        if is_new:
            session.run(counter.initializer)
        if self._count is None:
            with beside(counter):
                self._count = counter.assign_add(1)
        return int(session.run(self._count))

    # --- Saving -----------------------------------------------------------------------------------------------------

    def _write(self, prefix: Any, session: Any) -> Any:
        graph = self._view()
        if not isinstance(prefix, Tensor):
            gfile.makedirs(os.path.dirname(prefix) or ".")
        if context.executing_eagerly():
            save_now(prefix, graph)
        elif session is None:  # in a function
            return save_shards_of(prefix, graph)
        else:
            self._saving.save(prefix, graph, session)
        return prefix

    def _save(self, file_prefix: Any, session: Any) -> str:
        prefix = f"{file_prefix}-{self._next_number(session)}"
        self._write(prefix, session)
        folder = os.path.dirname(prefix)
        checkpoint_management.write_state(folder, prefix, [prefix], save_relative_paths=True)
        return prefix

    # --- Restoring --------------------------------------------------------------------------------------------------

    def _restore(self, path: Any, options: CheckpointOptions | None = None) -> LoadStatus:
        if path is None:
            return InitializationOnlyStatus(self._view, next_order())
        if not context.executing_eagerly() and _in_function():
            raise NotImplementedError("A checkpoint cannot be restored in a function: restore it before.")
        path = os.fsdecode(path)
        reader = open_checkpoint(path)
        message = read_graph(reader, path)
        if message is None:
            return self._restore_by_names(path, reader)
        with_slots = options is None or not options.experimental_skip_slot_variables
        load = Load(message, reader, self._path_tensor(path), self._restoring, with_slots)
        load.restore(0, self._root)
        for name, child in self._attached.items():  # only this object knows them as children of the root
            self._root._handle_deferred_dependencies(name, child)
        return CheckpointLoadStatus(load, self._view, {} if context.executing_eagerly() else {self._prefix: path})

    def _path_tensor(self, path: str) -> Any:
        """The checkpoint's prefix: a constant, in a graph one that is fed."""
        if context.executing_eagerly():
            return constant(path, string)
        if self._prefix is None:
            with device("/cpu:0"):
                self._prefix = constant("model", string)
        return self._prefix

    def _restore_by_names(self, path: str, reader: Reader) -> NameBasedSaverStatus:
        restoration = NameBasedRestoration(path, reader)
        for item in (self._root, *self._attached.values()):
            restoration.restore(item)
        return NameBasedSaverStatus(restoration, self._view)

    def _restore_and_count(self, restore: Callable[[], LoadStatus]) -> LoadStatus:
        """Restores; what was saved with a counter has one from then on."""
        status = restore()
        self._make_save_counter()
        if isinstance(status, NameBasedSaverStatus):
            status.add_to_optionally_restored(self._save_counter)
        return status


@export(v2=["train.Checkpoint"])
class Checkpoint(CheckpointBase):
    """Saves and restores the variables of objects: layers, optimisers, modules, lists and dicts of them.

    Objects are matched by the names of attributes, not by the names of variables. What is restored before its
    variables are made gets its values when they are made.

    Args:
      root: the object to save; default: one that has only `kwargs` as children.
      **kwargs: objects that become attributes and are saved with the root.

    Raises:
      ValueError: an argument is not trackable, or the root has another child of that name.

    Example:
      >>> checkpoint = tf.train.Checkpoint(model=model, step=step)
      >>> path = checkpoint.save("/tmp/model/ckpt")
      >>> status = checkpoint.restore(tf.train.latest_checkpoint("/tmp/model"))
      >>> status.assert_consumed()
    """

    def __init__(self, root: Trackable | None = None, **kwargs: Any) -> None:
        super().__init__()
        if root is not None:
            _check_trackable(root, "root")
            self._other_root = root
            kwargs["root"] = root
        for name, value in sorted(kwargs.items()):
            setattr(self, name, value)
            child = getattr(self, name)
            _check_trackable(child, name)
            if root is not None:
                self._attach(name, child)

    def _attach(self, name: str, child: Trackable) -> None:
        known = self._root._lookup_dependency(name)
        if known is None:
            self._attached[name] = child
        elif known is not child:
            raise ValueError(f"Cannot create a Checkpoint with keyword argument {name} if root.{name} already exists.")

    def write(self, file_prefix: Any, options: CheckpointOptions | None = None) -> Any:
        """Writes a checkpoint under a name; neither counted nor listed in the file `checkpoint`.

        Args:
          file_prefix: what the files' names begin with.
          options: a `tf.train.CheckpointOptions`.

        Returns:
          The prefix; in a function a string tensor.
        """
        if not isinstance(file_prefix, Tensor):
            file_prefix = os.fsdecode(file_prefix)
        in_graph = not context.executing_eagerly() and not _in_function()
        written = self._write(file_prefix, session_of(None) if in_graph else None)
        _call_back(options, file_prefix)
        return written

    def save(self, file_prefix: Any, options: CheckpointOptions | None = None) -> str:
        """Saves a checkpoint `<file_prefix>-<number>`, of which the file `checkpoint` says that it is the newest.

        Args:
          file_prefix: what the files' names begin with; the number counts the saves.
          options: a `tf.train.CheckpointOptions`.

        Returns:
          The checkpoint's prefix, for `restore`.

        Raises:
          NotImplementedError: in a function.
        """
        if not context.executing_eagerly() and _in_function():
            raise NotImplementedError(
                "Calling tf.train.Checkpoint.save() from a function is not supported, as save() modifies saving "
                "metadata in ways not supported by TensorFlow Operations. Consider using tf.train.Checkpoint.write(), "
                "a lower-level API which does not update metadata. tf.train.latest_checkpoint and related APIs will "
                "not see this checkpoint."
            )
        path = self._save(os.fsdecode(file_prefix), None if context.executing_eagerly() else session_of(None))
        _call_back(options, path)
        return path

    def read(self, save_path: Any, options: CheckpointOptions | None = None) -> LoadStatus:
        """Restores a checkpoint that `write` has written; see `restore`."""
        try:
            return self._restore(save_path, options)
        except errors.NotFoundError as error:
            raise errors.NotFoundError(
                error.node_def,
                error.op,
                f"Error when restoring from checkpoint or SavedModel at {os.fsdecode(save_path)}: "
                f"{error.message}\nPlease double-check that the path is correct. You may be missing the checkpoint "
                "suffix (e.g. the '-1' in 'path/to/ckpt-1').",
            ) from None

    def restore(self, save_path: Any, options: CheckpointOptions | None = None) -> LoadStatus:
        """Restores a checkpoint of this class, of a `tf.train.Saver`, or in a SavedModel.

        What the checkpoint has for objects that are not there yet is kept until they are made.

        Args:
          save_path: the checkpoint's prefix, or the folder of a SavedModel; None: nothing is restored.
          options: a `tf.train.CheckpointOptions`.

        Returns:
          A status, which can say whether everything was restored: `assert_consumed()`,
          `assert_existing_objects_matched()`, `expect_partial()`; in a graph `run_restore_ops(session)` or
          `initialize_or_restore(session)` restores.

        Raises:
          NotFoundError: there is no such checkpoint.
          ValueError: a variable has another shape in it.
        """
        if save_path is not None and _is_saved_model(save_path):
            save_path = os.path.join(os.fsdecode(save_path), "variables", "variables")
        return self._restore_and_count(lambda: self.read(save_path, options))

    def sync(self) -> None:
        """Waits until saves are done, which they always are."""


@export(v1=["train.Checkpoint", "contrib.eager.Checkpoint"])
class CheckpointV1(CheckpointBase):
    """Saves and restores the variables of objects: layers, optimisers, lists and dicts of them.

    Objects are matched by the names of attributes, not by the names of variables. What is restored before its
    variables are made gets its values when they are made; in a graph when the status' `initialize_or_restore(session)`
    is called.

    Args:
      **kwargs: the objects, which become attributes.

    Raises:
      ValueError: one is not trackable.

    Example:
      >>> checkpoint = tf.train.Checkpoint(optimizer=optimizer, model=model)
      >>> status = checkpoint.restore(tf.train.latest_checkpoint("/tmp/model"))
      >>> with tf.Session() as session:
      ...   status.initialize_or_restore(session)
      ...   checkpoint.save("/tmp/model/ckpt")
    """

    _newer = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        for name, value in sorted(kwargs.items()):
            setattr(self, name, value)
            if not isinstance(getattr(self, name), Trackable):
                raise ValueError(
                    "`Checkpoint` was expecting a trackable object (an object derived from `TrackableBase`), got "
                    f"{value}. If you believe this object should be trackable (i.e. it is part of the TensorFlow "
                    "Python API and manages state), please open an issue."
                )

    def write(self, file_prefix: Any, session: Any = None) -> Any:
        """Writes a checkpoint under a name; neither counted nor listed in the file `checkpoint`.

        Args:
          file_prefix: what the files' names begin with.
          session: the session that has the values, in a graph; default: the default session.

        Returns:
          The prefix.
        """
        return self._write(os.fsdecode(file_prefix), None if context.executing_eagerly() else session_of(session))

    def save(self, file_prefix: Any, session: Any = None) -> str:
        """Saves a checkpoint `<file_prefix>-<number>`, of which the file `checkpoint` says that it is the newest.

        Args:
          file_prefix: what the files' names begin with; the number counts the saves.
          session: the session that has the values, in a graph; default: the default session.

        Returns:
          The checkpoint's prefix, for `restore`.
        """
        return self._save(os.fsdecode(file_prefix), None if context.executing_eagerly() else session_of(session))

    def restore(self, save_path: Any) -> LoadStatus:
        """Restores a checkpoint: one that `save` has written, or one of a `tf.train.Saver`.

        Args:
          save_path: the checkpoint's prefix; None: nothing is restored.

        Returns:
          A status, which can say whether everything was restored: `assert_consumed()`,
          `assert_existing_objects_matched()`; in a graph `run_restore_ops(session)` or
          `initialize_or_restore(session)` restores.

        Raises:
          NotFoundError: there is no such checkpoint.
          ValueError: a variable has another shape in it.
        """
        return self._restore_and_count(lambda: self._restore(save_path))


def _check_trackable(item: Any, name: str) -> None:
    if not isinstance(item, Trackable):
        raise ValueError(
            f"`Checkpoint` was expecting {name} to be a trackable object (an object derived from `Trackable`), got "
            f"{item}. If you believe this object should be trackable (i.e. it is part of the TensorFlow Python API "
            "and manages state), please open an issue."
        )


def _in_function() -> bool:
    from millstream.core.graph import get_default_graph

    return get_default_graph().building_function


def _is_saved_model(path: Any) -> bool:
    folder = os.fsdecode(path)
    return gfile.isdir(folder) and any(gfile.exists(os.path.join(folder, name)) for name in _SAVED_MODEL_FILES)


def _call_back(options: CheckpointOptions | None, path: str) -> None:
    """Calls the functions that are to be called after a checkpoint was written."""
    for function in (options.experimental_write_callbacks if options is not None else None) or ():
        try:
            import inspect

            takes_path = bool(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            takes_path = False
        function(path) if takes_path else function()
