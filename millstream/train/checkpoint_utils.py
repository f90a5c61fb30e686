"""Looking into checkpoints, and initialising variables from them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import DType, string
from millstream.core.export import export
from millstream.core.scopes import control_dependencies, device
from millstream.core.variable_scope import default_variable_store
from millstream.core.variables import Variable
from millstream.io import gfile
from millstream.io.bundle_reader import BundleReader, Entry
from millstream.ops import checkpoint_ops
from millstream.train.checkpoint_management import latest_checkpoint
from millstream.train.saveables import saveables_of


class CheckpointReader:
    """Reads the tensors of a checkpoint, without a graph or a session.

    Args:
      filename: the checkpoint's prefix.

    Raises:
      NotFoundError: there is no such checkpoint.
      DataLossError: it is damaged.

    Example:
      >>> reader = tf.train.load_checkpoint("model/model.ckpt-100")
      >>> {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    """

    def __init__(self, filename: str) -> None:
        self._reader = BundleReader(os.fsdecode(filename))
        self._entries: dict[str, Entry] = {entry.name: entry for entry in self._reader.entries()}

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes of the tensors by name."""
        return {name: list(entry.shape) for name, entry in self._entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The dtypes of the tensors by name."""
        return {name: entry.dtype for name, entry in self._entries.items()}

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is a tensor of that name."""
        return tensor_str in self._entries

    def get_tensor(self, tensor_str: str) -> Any:
        """A tensor as an array, or as a NumPy scalar; one that is stored in parts is put together.

        Raises:
          NotFoundError: there is none of that name.
          DataLossError: it is damaged.
        """
        value = self._reader.read(tensor_str)
        dtype = self._entries[tensor_str].dtype
        if dtype is string:
            return value if value.ndim else value.item()
        return value.view(np.dtype(dtype.as_numpy_dtype))[()]

    def debug_string(self) -> bytes:
        """Names, dtypes and shapes as text, a line a tensor."""
        from millstream.io import proto

        lines = []
        for name, entry in self._entries.items():
            dtype = proto.DataType.Name(entry.dtype.as_datatype_enum)
            lines.append(f"{name} ({dtype}) [{','.join(map(str, entry.shape))}]\n")
        return "".join(lines).encode()


@export(v1=["train.NewCheckpointReader"])
def NewCheckpointReader(filepattern: str) -> CheckpointReader:  # noqa: N802 - TensorFlow's name
    """A reader of the checkpoint with the prefix `filepattern`; see `tf.train.load_checkpoint`."""
    return CheckpointReader(filepattern)


@export("train.load_checkpoint")
def load_checkpoint(ckpt_dir_or_file: str) -> CheckpointReader:
    """A reader of a checkpoint.

    Args:
      ckpt_dir_or_file: the checkpoint's prefix, or a folder, of which the newest checkpoint is taken.

    Returns:
      An object with the methods `get_tensor(name)`, `has_tensor(name)`, `get_variable_to_shape_map()` and
      `get_variable_to_dtype_map()`.

    Raises:
      ValueError: the folder has no checkpoint.
      NotFoundError: there is no such checkpoint.
    """
    return CheckpointReader(_prefix(ckpt_dir_or_file))


@export("train.load_variable")
def load_variable(ckpt_dir_or_file: str, name: str) -> Any:
    """The value of one variable in a checkpoint, as an array.

    Args:
      ckpt_dir_or_file: as for `tf.train.load_checkpoint`.
      name: the variable's name, with or without `:0`.
    """
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


@export("train.list_variables")
def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """Names and shapes of the variables in a checkpoint, sorted by name.

    Args:
      ckpt_dir_or_file: as for `tf.train.load_checkpoint`.
    """
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def _prefix(folder_or_prefix: str) -> str:
    if not gfile.isdir(folder_or_prefix):
        return folder_or_prefix
    found = latest_checkpoint(folder_or_prefix)
    if found is None:
        raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {folder_or_prefix}")
    return found


# --- Initial values from checkpoints ---------------------------------------------------------------------------------


@export(v1=["train.init_from_checkpoint"])
def init_from_checkpoint(ckpt_dir_or_file: str, assignment_map: Mapping[str, Any]) -> None:
    """Makes the initializers of variables read their values from a checkpoint.

    Args:
      ckpt_dir_or_file: as for `tf.train.load_checkpoint`.
      assignment_map: which tensors go where:
        `"name": variable` (or its name, or the list of its parts): one variable;
        `"scope/": "other/"`: the variables in the variable scope `other`, by the names after the scope; `"/"` stands
        for no scope.

    Raises:
      ValueError: the checkpoint lacks a tensor, or has it in another shape.

    Example:
      >>> tf.train.init_from_checkpoint("pretrained/model.ckpt", {"conv/": "encoder/conv/"})
      >>> sess.run(tf.global_variables_initializer())
    """
    prefix = _prefix(ckpt_dir_or_file)
    known = load_checkpoint(prefix).get_variable_to_shape_map()
    for source, target in sorted(assignment_map.items()):
        for name, parts in _pairs(source, target):
            if name not in known:
                found = ", ".join(sorted(known))
                raise ValueError(f"Tensor {name} is not found in {ckpt_dir_or_file} checkpoint, which has: {found}")
            for variable in parts:
                _check_shape(variable, name, known[name])
                _initialize_from(prefix, name, variable)


def _pairs(source: str, target: Any) -> list[tuple[str, list[Variable]]]:
    """Tensors of the checkpoint and the variables (or parts of one) for them, by one entry of an assignment map."""
    if isinstance(target, Variable):
        return [(source, [target])]
    if isinstance(target, (list, tuple)):
        return [(source, list(target))]
    made = default_variable_store()._vars
    if target in made:
        return [(source, [made[target]])]
    scope = target.rpartition("/")[0]
    if not source.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {scope} should map to scope only {source}. Should be 'scope/': "
            "'other_scope/'."
        )
    below = f"{scope}/" if scope else ""
    return [
        (source.removeprefix("/") + name.removeprefix(below), [variable])
        for name, variable in sorted(made.items())
        if name.startswith(below)
    ]


def _check_shape(variable: Variable, name: str, stored: Sequence[int]) -> None:
    info = variable._get_save_slice_info()
    own = tuple(info.full_shape) if info is not None else shapes.as_plain(variable.shape)
    if not shapes.is_compatible(own, tuple(stored)):
        raise ValueError(
            f"Shape of variable {variable.name} ({variable.shape}) doesn't match with shape of tensor {name} "
            f"({list(stored)}) from checkpoint reader."
        )


def _initialize_from(prefix: str, name: str, variable: Variable) -> None:
    """Replaces a variable's initializer by one that restores it."""
    info = variable._get_save_slice_info()
    (saveable,) = saveables_of({name: variable if info is None else [variable]})
    with control_dependencies(None):
        with device(variable.device), device("/cpu:0"):
            (value,) = checkpoint_ops.restore_v2_op(
                prefix,
                [name],
                ["" if info is None else info.spec],
                dtypes=[variable.dtype.base_dtype],
                name="checkpoint_initializer",
            )
        restored = saveable.restore([value], None)
    value.set_shape(variable.shape)
    variable._initializer_op = getattr(restored, "op", restored)
    variable._initial_value = value
