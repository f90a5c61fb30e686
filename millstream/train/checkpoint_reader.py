"""Looking into checkpoints, without a graph or a session."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from millstream.core.dtypes import DType, string
from millstream.core.export import export
from millstream.io import gfile
from millstream.io.bundle import Entry
from millstream.io.checkpoint_reader import open_checkpoint
from millstream.train.checkpoint_management import latest_checkpoint


class CheckpointReader:
    """Reads the tensors of a checkpoint, without a graph or a session.

    Args:
      filename: the checkpoint's prefix; for one of the old format "V1" the path of its file, or a pattern for several.

    Raises:
      NotFoundError: there is no such checkpoint.
      DataLossError: it is damaged.

    Example:
      >>> reader = tf.train.load_checkpoint("model/model.ckpt-100")
      >>> {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    """

    def __init__(self, filename: str) -> None:
        self._reader = open_checkpoint(os.fsdecode(filename))
        self._all: list[Entry] | None = None

    @property
    def _entries(self) -> list[Entry]:
        """All tensors, read when they are first asked for: who wants one of them does not wait for the others."""
        if self._all is None:
            self._all = list(self._reader.entries())
        return self._all

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes of the tensors by name."""
        return {entry.name: list(entry.shape) for entry in self._entries}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The dtypes of the tensors by name."""
        return {entry.name: entry.dtype for entry in self._entries}

    def has_tensor(self, tensor_str: str | bytes) -> bool:
        """Whether there is a tensor of that name."""
        return self._reader.entry(os.fsdecode(tensor_str)) is not None

    def get_tensor(self, tensor_str: str | bytes) -> Any:
        """A tensor as an array, or as a NumPy scalar; one that is stored in parts is put together.

        Raises:
          NotFoundError: there is none of that name.
          DataLossError: it is damaged.
        """
        name = os.fsdecode(tensor_str)
        value, dtype = self._reader.read(name), self._reader.found(name).dtype
        if dtype is string:
            return value if value.ndim else value.item()
        return value.view(np.dtype(dtype.as_numpy_dtype))[()]

    def debug_string(self) -> bytes:
        """Names, dtypes and shapes as text, a line a tensor, which says how many slices there are if not one."""
        from millstream.io import proto

        lines = []
        for entry in self._entries:
            dtype, slices = proto.DataType.Name(entry.dtype.as_datatype_enum), entry.slices
            more = f", {len(slices)} slices" if len(slices) > 1 else ""
            lines.append(f"{entry.name} ({dtype}) [{','.join(map(str, entry.shape))}]{more}\n")
        return "".join(lines).encode("utf-8", "surrogateescape")


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
    return CheckpointReader(checkpoint_prefix(ckpt_dir_or_file))


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


def checkpoint_prefix(folder_or_prefix: str) -> str:
    """The checkpoint's prefix, or that of the newest checkpoint of a folder."""
    if not gfile.isdir(folder_or_prefix):
        return folder_or_prefix
    found = latest_checkpoint(folder_or_prefix)
    if found is None:
        raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {folder_or_prefix}")
    return found
