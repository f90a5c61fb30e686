"""`tf.train.Saver`: saves variables in checkpoints while a program trains, and restores them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from millstream.core import context, errors
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scope_names import prepend_name_scope, strip_name_scope
from millstream.core.variable_lists import global_variables
from millstream.io import gfile
from millstream.io.atomic_files import remove_temporaries
from millstream.ops.constant_op import constant
from millstream.runtime.session import BaseSession
from millstream.train import checkpoint_management, training_util
from millstream.train.meta_graph import export_meta_graph
from millstream.train.object_based_restore import object_keys, rename
from millstream.train.saveables import saveables_of
from millstream.train.saver_builder import V1, V2, SaverBuilder

_NAMES = ("filename_tensor_name", "save_tensor_name", "restore_op_name")  # of a SaverDef


@export(v1=["train.Saver"])
class Saver:
    """Saves variables in checkpoints, of which it keeps the newest ones, and restores them.

    A checkpoint `model-100` is the files `model-100.index`, `model-100.data-00000-of-00001` and `model-100.meta` (the
    graph). The file `checkpoint` beside them says which checkpoints there are (`tf.train.latest_checkpoint`). A
    checkpoint appears whole or not at all: a program that is killed while it saves leaves those whole that are there,
    also the one that it was to replace.

    Args:
      var_list: a list of variables, which are saved under their names, or a dictionary by names; default: all global
        variables and `GraphKeys.SAVEABLE_OBJECTS`.
      reshape: whether a tensor that is restored takes on the variable's shape, where that is another one.
      sharded: whether each device writes a file of its own.
      max_to_keep: so many checkpoints are kept, older ones are deleted; None or 0: all are kept.
      keep_checkpoint_every_n_hours: one checkpoint in so many hours is kept for good.
      name: the scope of the saver's operations; default "save".
      restore_sequentially: accepted for compatibility; restoring is one operation.
      saver_def: the `SaverDef` of operations that are in the graph, in place of new ones.
      builder: makes the operations, with the interface of `SaverBuilder.build`.
      defer_build: makes no operations until `build` is called.
      allow_empty: without variables, does nothing.
      write_version: `SaverDef.V2`, or `SaverDef.V1` for the old format, which takes more memory and lacks dtypes.
      pad_step_number: writes the global step with 8 digits at least.
      save_relative_paths: writes relative paths into the file `checkpoint`, so that the folder can be moved.
      filename: the prefix that the operations use where they are run without `save` and `restore`.

    Raises:
      TypeError: `var_list` holds something that cannot be saved.
      ValueError: there is nothing to save, or two variables have one name.
      RuntimeError: there is no such `write_version`.

    Example:
      >>> saver = tf.train.Saver(max_to_keep=3)
      >>> with tf.Session() as sess:
      ...   sess.run(tf.global_variables_initializer())
      ...   for step in range(1000):
      ...     sess.run(train_op)
      ...     if step % 100 == 0:
      ...       saver.save(sess, "model/my-model", global_step=step)
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or "
                "var_list=None."
            )
        if context.executing_eagerly() and var_list is None:
            raise RuntimeError(
                "When eager execution is enabled, `var_list` must specify a list or dict of variables to save"
            )
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = sharded
        self._max_to_keep = max_to_keep or 0
        self._keep_checkpoint_every_n_hours = keep_checkpoint_every_n_hours
        self._name = name
        self._builder = builder
        self._allow_empty = allow_empty
        if write_version not in (V1, V2):
            raise RuntimeError(f"Unexpected write_version: {write_version}")
        self._version: int = write_version
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._filename = filename
        self._is_built = False
        self._is_empty = False
        self._last_checkpoints: list[tuple[str, float]] = []
        self._outdated: list[tuple[str, float]] = []  # checkpoints that are to be deleted
        self._next_kept = time.time() + keep_checkpoint_every_n_hours * 3600  # one made after this is kept for good
        self.saver_def = _checked(saver_def)
        if self.saver_def is not None:
            self._version = self.saver_def.version or V1  # files of before the new format say nothing of it
        if context.executing_eagerly():
            self._is_built = True
        elif not defer_build:
            self.build()

    # --- The operations -----------------------------------------------------------------------------------------

    def build(self) -> None:
        """Makes the operations, unless they are there.

        Raises:
          RuntimeError: operations run at once.
        """
        if context.executing_eagerly():
            raise RuntimeError("Use save/restore instead of build in eager mode.")
        if self._is_built:
            return
        self._is_built = True
        if self.saver_def is None:
            self._build_operations()
        elif self._name:
            for field in _NAMES:  # the name says where the saver's graph was imported to
                setattr(self.saver_def, field, prepend_name_scope(getattr(self.saver_def, field), self._name))
        if self.saver_def is not None:
            self._keep_checkpoint_every_n_hours = self.saver_def.keep_checkpoint_every_n_hours
            self._next_kept = time.time() + self._keep_checkpoint_every_n_hours * 3600

    def _build_operations(self) -> None:
        if self._var_list is None:
            self._var_list = global_variables() + get_default_graph().get_collection(GraphKeys.SAVEABLE_OBJECTS)
        if not self._var_list:
            if not self._allow_empty:
                raise ValueError("No variables to save")
            self._is_empty = True
            return
        builder = self._builder or self._operations()
        self.saver_def = builder.build(
            self._name, self._filename, self._max_to_keep, self._keep_checkpoint_every_n_hours
        )

    def _operations(self) -> SaverBuilder:
        return SaverBuilder(saveables_of(self._var_list), self._reshape, self._sharded, self._version)

    def _check_built(self) -> None:
        if not self._is_built:
            raise RuntimeError("`build()` should be called before save if defer_build==True")

    # --- Saving -------------------------------------------------------------------------------------------------

    def save(
        self,
        sess: Any,
        save_path: str,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Saves the variables.

        Args:
          sess: the session that has them; not used where operations run at once.
          save_path: what the files' names begin with.
          global_step: a number that is put after it: `save_path-100`. An integer, or a tensor or the name of one.
          latest_filename: the name of the file that lists the checkpoints; default "checkpoint".
          meta_graph_suffix: what the name of the graph's file ends with.
          write_meta_graph: whether that file is written.
          write_state: whether the list is, and old checkpoints are deleted.
          strip_default_attrs: leaves out of the graph's file attributes that have their default value.
          save_debug_info: accepted for compatibility.

        Returns:
          The checkpoint's prefix, for `restore`; None where there are no variables.

        Raises:
          TypeError: `sess` is no session.
          ValueError: `latest_filename` has a folder, or is the checkpoint's name; or the folder is not there.
        """
        self._check_built()
        latest = latest_filename or "checkpoint"
        save_path = os.fsdecode(save_path)
        self._check_names(save_path, global_step, latest)
        if self._version == V1:
            tensorflow_logger().warning(
                "TensorFlow's V1 checkpoint format has been deprecated. Consider switching to the more efficient V2 "
                "format: `tf.train.Saver(write_version=tf.train.SaverDef.V2)`, now on by default."
            )
        if not context.executing_eagerly() and not isinstance(sess, BaseSession):
            raise TypeError(f"'sess' must be a Session; {sess}")
        prefix = self._prefix(sess, save_path, global_step)
        remove_temporaries(prefix, [os.path.basename(save_path), latest])  # of processes that were killed
        made = None if self._is_empty else self._run_save(sess, prefix, save_path)
        if write_meta_graph and not context.executing_eagerly():
            with sess.graph.as_default():
                path = checkpoint_management.meta_graph_path(prefix, meta_graph_suffix)
                self.export_meta_graph(path, strip_default_attrs=strip_default_attrs, save_debug_info=save_debug_info)
        if write_state and made is not None:
            self._record(made)
            folder, relative = os.path.dirname(save_path), self._save_relative_paths
            checkpoint_management.write_state(folder, made, self.last_checkpoints, latest, save_relative_paths=relative)
            self._delete_outdated(meta_graph_suffix)
        return made

    def _check_names(self, save_path: str, global_step: Any, latest: str) -> None:
        if os.path.dirname(latest):
            raise ValueError("'latest_filename' must not contain path components")
        if global_step is None and os.path.basename(save_path) == latest and not self._sharded:
            raise ValueError(f"'latest_filename' collides with 'save_path': '{latest}' and '{save_path}'")

    def _prefix(self, sess: Any, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        if hasattr(global_step, "__index__") and not hasattr(global_step, "graph"):
            step = int(global_step)
        elif context.executing_eagerly():
            step = int(global_step.numpy())
        else:
            step = training_util.global_step(sess, global_step)
        return f"{save_path}-{step:08d}" if self._pad_step_number else f"{save_path}-{step}"

    def _run_save(self, sess: Any, prefix: str, save_path: str) -> str:
        try:
            return _as_asked(os.fsdecode(self._execute_save(sess, prefix)), prefix)
        except BaseException as error:
            remove_temporaries(prefix)  # of the shards that were whole
            missing = isinstance(error, (errors.FailedPreconditionError, errors.NotFoundError))
            if missing and not gfile.isdir(os.path.dirname(save_path) or "."):
                raise ValueError(f"Parent directory of {save_path} doesn't exist, can't save.") from None
            raise

    def _execute_save(self, sess: Any, prefix: str) -> Any:
        if context.executing_eagerly():
            return self._operations().save(constant(prefix)).numpy()
        return sess.run(self.saver_def.save_tensor_name, {self.saver_def.filename_tensor_name: prefix})

    # --- Restoring ----------------------------------------------------------------------------------------------

    def restore(self, sess: Any, save_path: str) -> None:
        """Gives the variables the values of a checkpoint. They need not be initialised.

        Args:
          sess: the session; not used where operations run at once.
          save_path: the checkpoint's prefix, as `save` or `tf.train.latest_checkpoint` gave it.

        Raises:
          ValueError: there is no such checkpoint.
          NotFoundError: it lacks a variable.
          InvalidArgumentError: a variable has another shape or dtype in it.
        """
        if self._is_empty:
            return
        self._check_built()
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        save_path = os.fsdecode(save_path)
        if not checkpoint_management.checkpoint_exists(save_path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {save_path}")
        tensorflow_logger().info("Restoring parameters from %s", save_path)
        try:
            if context.executing_eagerly():
                self._operations().restore(constant(save_path))
            else:
                sess.run(self.saver_def.restore_op_name, {self.saver_def.filename_tensor_name: save_path})
        except errors.NotFoundError as error:
            if not checkpoint_management.checkpoint_exists(save_path):
                message = f"The passed save_path is not a valid checkpoint: {save_path} (deleted while it was restored)"
                raise ValueError(message) from error
            if "not found in checkpoint" not in error.message:
                raise  # a file is missing, not a tensor
            keys = object_keys(save_path)
            if keys is None:
                raise _explained(error, "a Variable name or other graph key that is missing") from error
            self._restore_objects(sess, save_path, keys)
        except errors.InvalidArgumentError as error:
            raise _explained(error, "a mismatch between the current graph and the graph") from error

    def _restore_objects(self, sess: Any, path: str, keys: dict[str, str]) -> None:
        """Restores a checkpoint of objects, given the keys of its variables by their names."""
        tensorflow_logger().warning(
            "Restoring an object-based checkpoint using a name-based saver. This may be somewhat fragile, and will "
            "re-build the Saver. Instead, consider loading object-based checkpoints using tf.train.Checkpoint()."
        )
        with nullcontext() if context.executing_eagerly() else sess.graph.as_default():
            saveables = saveables_of(global_variables() if self._var_list is None else self._var_list)
            rename(saveables, keys)
            restored = SaverBuilder(saveables, self._reshape).restore(constant(path))
        if not context.executing_eagerly():
            sess.run(restored)

    # --- Old checkpoints ----------------------------------------------------------------------------------------

    @property
    def last_checkpoints(self) -> list[str]:
        """The checkpoints that have not been deleted, the oldest first; pass them to `recover_last_checkpoints`."""
        return [path for path, _ in self._last_checkpoints]

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Sets the list of checkpoints. Deprecated: `set_last_checkpoints_with_time` says when they were made too."""
        self._last_checkpoints = [(path, float("inf")) for path in last_checkpoints]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """Sets the list of checkpoints with the times when they were made, the oldest first."""
        self._last_checkpoints = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Takes over the checkpoints of an earlier run, so that they are deleted in their turn.

        Args:
          checkpoint_paths: their prefixes, the oldest first, as in `all_model_checkpoint_paths` of the file
            `checkpoint`. Those that are not there any more are left out.
        """
        times = [(path, checkpoint_management.get_checkpoint_mtimes([path])) for path in checkpoint_paths]
        self._last_checkpoints = [(path, found[0]) for path, found in times if found]

    def _record(self, path: str) -> None:
        """Adds the newest checkpoint, and finds which one is to go."""
        limit = self._max_to_keep if self.saver_def is None else self.saver_def.max_to_keep
        if limit <= 0:
            return
        self._last_checkpoints = [item for item in self._last_checkpoints if item[0] != path]
        self._last_checkpoints.append((path, time.time()))
        if len(self._last_checkpoints) > limit:
            self._outdated.append(self._last_checkpoints.pop(0))

    def _delete_outdated(self, meta_graph_suffix: str) -> None:
        while self._outdated:
            path, made = self._outdated.pop(0)
            if made > self._next_kept:
                self._next_kept += self._keep_checkpoint_every_n_hours * 3600
                continue
            try:
                checkpoint_management.remove_checkpoint(path, self._version, meta_graph_suffix)
            except errors.OpError as error:  # the new checkpoint is good all the same
                tensorflow_logger().warning("Ignoring: %s", error)

    # --- As a protocol buffer -----------------------------------------------------------------------------------

    def as_saver_def(self) -> Any:
        """The `SaverDef`: the names of the saver's operations."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The `SaverDef` with names relative to `export_scope`; None where the operations are not in it."""
        if export_scope is None:
            return self.saver_def
        if not all(getattr(self.saver_def, field).startswith(export_scope) for field in _NAMES):
            return None
        message = type(self.saver_def).FromString(self.saver_def.SerializeToString())
        for field in _NAMES:
            setattr(message, field, strip_name_scope(getattr(message, field), export_scope))
        return message

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """The saver of operations that are in the graph, below `import_scope`."""
        return Saver(saver_def=saver_def, name=import_scope)

    def export_meta_graph(
        self,
        filename: str | None = None,
        collection_list: Sequence[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """Makes the `MetaGraphDef` of the default graph with this saver, and writes it to a file.

        For the arguments see `tf.train.export_meta_graph`.
        """
        return export_meta_graph(
            filename=filename,
            saver_def=self.saver_def,
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
        )


def _checked(saver_def: Any) -> Any:
    """A copy of a `SaverDef`, or None.

    Raises:
      ValueError: it is none, or lacks the name of an operation.
    """
    if saver_def is None:
        return None
    if type(saver_def).__name__ != "SaverDef":
        raise ValueError(f"saver_def must be a saver_pb2.SaverDef: {saver_def}")
    for field in _NAMES[1:]:
        if not getattr(saver_def, field):
            raise ValueError(f"saver_def must specify the {field}: {saver_def}")
    return type(saver_def).FromString(saver_def.SerializeToString())


def _as_asked(saved: str, prefix: str) -> str:
    """What a save gives: the prefix, or the pattern of the names of its shards.

    The operations may be those of a graph from a file, and what they say they have saved is deleted in its turn.

    Raises:
      PermissionDeniedError: it is something else.
    """
    if saved != prefix and not re.fullmatch(re.escape(prefix) + r"-\?{5}-of-\d{5}", saved):
        raise errors.PermissionDeniedError(
            None, None, f"The saver was to save '{prefix}', and its operations say that they have saved '{saved}'."
        )
    return saved


def _explained(error: errors.OpError, reason: str) -> errors.OpError:
    """The error of a restore with its most likely reason."""
    message = (
        f"Restoring from checkpoint failed. This is most likely due to {reason} from the checkpoint. Please ensure "
        f"that you have not altered the graph expected based on the checkpoint. Original error:\n\n{error.message}"
    )
    return type(error)(error.node_def, error.op, message)  # type: ignore[call-arg, arg-type]
