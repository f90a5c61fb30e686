"""The files that a SavedModel brings with it: copied to its folder, and found there again when it is loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from millstream.core import dtypes, errors
from millstream.core.graph import get_default_graph
from millstream.core.log import tensorflow_logger
from millstream.core.scope_names import prepend_name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.io import gfile
from millstream.io.atomic_files import StagedFiles
from millstream.saved_model import constants
from millstream.saved_model.folders import Path, assets_folder

_MESSAGE = "tensorflow.AssetFileDef"
_TYPE_URL = f"type.googleapis.com/{_MESSAGE}"

# --- Writing ---------------------------------------------------------------------------------------------------------


class AssetFiles:
    """The files that go into a SavedModel, each under a name of its own."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # by path
        self._copied: set[str] = set()

    def add(self, path: str) -> str:
        """The name of a file in the folder of the assets: its own one, with a number where another file has that."""
        name = self._names.get(path)
        if name is None:
            wanted = name = os.path.basename(path)
            taken, count = set(self._names.values()), 0
            while name in taken:
                count += 1
                name = f"{wanted}_{count}"
            self._names[path] = name
        return name

    def copy_to(self, export_dir: Path) -> None:
        """Copies the files that were added since to the folder of a SavedModel, whole or not at all.

        Raises:
          NotFoundError: a file is not there.
        """
        names = {path: name for path, name in self._names.items() if path not in self._copied}
        if not names:
            tensorflow_logger().info("No assets to write.")
            return
        folder = assets_folder(export_dir)
        gfile.makedirs(folder)
        with StagedFiles() as files:
            for path, name in names.items():
                file = files.open(os.path.join(folder, name))
                with gfile.reporting(path), open(gfile.local_path(path), "rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            files.commit()
        self._copied.update(names)
        tensorflow_logger().info("Assets written to: %s", folder)


def asset_file_defs(tensors: Sequence[Any] | None, files: AssetFiles) -> list[Any]:
    """Notes the files whose paths are the values of tensors.

    Args:
      tensors: constants, string scalars.
      files: to which the files are added.

    Returns:
      An `AssetFileDef` for each tensor.

    Raises:
      TypeError: a tensor is no constant string.
      ValueError: its value is no path of a file.
    """
    from millstream.io import proto

    if tensors is None:
        tensorflow_logger().info("No assets to save.")
        return []
    messages = []
    for tensor in tensors:
        message = proto.AssetFileDef(filename=files.add(_path_of(tensor)))
        message.tensor_info.name = tensor.name
        messages.append(message)
    tensorflow_logger().info("Assets added to graph.")
    return messages


def _path_of(tensor: Any) -> str:
    """The path that is a constant's value."""
    if not isinstance(tensor, Tensor):
        raise TypeError("Asset path tensor must be a Tensor.")
    if tensor.op.type != "Const":
        raise TypeError("Asset path tensor must be of type constant.")
    if tensor.dtype != dtypes.string:
        raise TypeError("Asset path tensor must be of dtype string.")
    value = constant_value(tensor)
    if value is None or value.shape:
        raise TypeError("Asset path tensor must be a scalar.")
    path = os.fsdecode(value.item())
    if not os.path.basename(path):
        raise ValueError(f"Invalid asset filepath tensor {tensor}")
    return path


def add_to_collection(messages: Sequence[Any]) -> None:
    """Adds `AssetFileDef` messages to the default graph's collection of them, which is written with the graph."""
    from millstream.io import proto

    for message in messages:
        packed = proto.Any(type_url=_TYPE_URL, value=message.SerializeToString())
        get_default_graph().add_to_collection(constants.ASSETS_KEY, packed)


# --- Reading ---------------------------------------------------------------------------------------------------------


def get_asset_tensors(
    export_dir: Path, meta_graph_def_to_load: Any, import_scope: str | None = None
) -> dict[str, str]:
    """The paths of the assets of a SavedModel, by the names of the tensors that are to have them.

    Args:
      export_dir: the folder of the SavedModel.
      meta_graph_def_to_load: its graph, a `MetaGraphDef`.
      import_scope: the name scope into which the graph is imported.

    Raises:
      InvalidArgumentError: an asset would be a file outside of that folder, or is malformed.
    """
    folder = assets_folder(export_dir)
    return {
        prepend_name_scope(message.tensor_info.name, import_scope): asset_path(folder, message.filename)
        for message in _asset_file_defs(meta_graph_def_to_load)
    }


def _asset_file_defs(meta_graph_def: Any) -> list[Any]:
    """The `AssetFileDef` messages of a graph, which are in a collection where the 1.x builder wrote it."""
    if meta_graph_def.asset_file_def:
        return list(meta_graph_def.asset_file_def)
    if constants.ASSETS_KEY not in meta_graph_def.collection_def:
        return []
    packed = meta_graph_def.collection_def[constants.ASSETS_KEY].any_list.value
    return [_unpacked(item.value) for item in packed if item.type_url.rpartition("/")[2] == _MESSAGE]


def _unpacked(content: bytes) -> Any:
    from google.protobuf.message import DecodeError

    from millstream.io import proto

    try:
        return proto.AssetFileDef.FromString(content)
    except DecodeError as error:
        raise errors.InvalidArgumentError(
            None, None, f"An asset in the SavedModel's collection {constants.ASSETS_KEY} cannot be parsed: {error}"
        ) from None


def asset_path(folder: str, name: str) -> str:
    """The path of an asset, by its name in the folder of assets.

    Raises:
      InvalidArgumentError: it would be outside of that folder.
    """
    if os.path.isabs(name) or "\0" in name or not name or ".." in name.replace(os.sep, "/").split("/"):
        raise errors.InvalidArgumentError(
            None, None, f"The SavedModel names an asset {name!r}, which is not in its folder {folder}."
        )
    return os.path.join(folder, name)
