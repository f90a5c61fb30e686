"""The folder of a SavedModel: where its parts are, and its main file, `saved_model.pb` or `saved_model.pbtxt`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from millstream.core.export import export
from millstream.io import gfile
from millstream.io.atomic_files import write_file
from millstream.saved_model import constants

Path = str | bytes | os.PathLike[Any]


@export(
    "saved_model.contains_saved_model",
    v1=["saved_model.maybe_saved_model_directory", "saved_model.loader.maybe_saved_model_directory"],
)
def contains_saved_model(export_dir: Path) -> bool:
    """Whether there is a SavedModel in a folder: a file `saved_model.pb` or `saved_model.pbtxt`.

    Args:
      export_dir: the folder, which need not exist.
    """
    return _main_file(os.fsdecode(export_dir)) is not None


def variables_folder(export_dir: Path) -> str:
    """The folder of the checkpoint."""
    return os.path.join(os.fsdecode(export_dir), constants.VARIABLES_DIRECTORY)


def variables_prefix(export_dir: Path) -> str:
    """What the names of the checkpoint's files begin with."""
    return os.path.join(variables_folder(export_dir), constants.VARIABLES_FILENAME)


def assets_folder(export_dir: Path) -> str:
    """The folder of the assets."""
    return os.path.join(os.fsdecode(export_dir), constants.ASSETS_DIRECTORY)


def make_export_folder(export_dir: Path) -> None:
    """Makes the folder for a new SavedModel.

    Raises:
      AssertionError: there is something in it.
      NotFoundError: it is a file.
    """
    if gfile.exists(export_dir) and gfile.listdir(export_dir):
        raise AssertionError(
            "Export directory already exists, and isn't empty. Please choose a different export directory, or delete "
            f"all the contents of the specified directory: {os.fsdecode(export_dir)}"
        )
    gfile.makedirs(export_dir)


# --- The main file ---------------------------------------------------------------------------------------------------


def _main_file(export_dir: str) -> str | None:
    for name in (constants.SAVED_MODEL_FILENAME_PB, constants.SAVED_MODEL_FILENAME_PBTXT):
        path = os.path.join(export_dir, name)
        if gfile.exists(path):
            return path
    return None


def parse_saved_model(export_dir: Path) -> Any:
    """Reads the `SavedModel` of a folder; the binary file where there are two.

    Raises:
      OSError: there is none, or it cannot be parsed.
    """
    from millstream.io import proto
    from millstream.io.message_files import read_message

    folder = os.fsdecode(export_dir)
    path = _main_file(folder)
    if path is None:
        names = f"{{{constants.SAVED_MODEL_FILENAME_PBTXT}|{constants.SAVED_MODEL_FILENAME_PB}}}"
        raise OSError(f"SavedModel file does not exist at: {folder}{os.path.sep}{names}")
    try:
        return read_message(path, proto.SavedModel, binary=path.endswith(constants.SAVED_MODEL_FILENAME_PB))
    except ValueError as error:
        raise OSError(f"Cannot parse file {error}") from None


def write_saved_model(export_dir: Path, message: Any, as_text: bool = False) -> str:
    """Writes the `SavedModel` of a folder, whole or not at all: the last of all files, for it is what makes the folder
    a SavedModel. Gives the file's path.
    """
    if as_text:
        from google.protobuf import text_format

        name, content = constants.SAVED_MODEL_FILENAME_PBTXT, text_format.MessageToString(message).encode()
    else:
        name, content = constants.SAVED_MODEL_FILENAME_PB, message.SerializeToString(deterministic=True)
    gfile.makedirs(export_dir)
    path = os.path.join(os.fsdecode(export_dir), name)
    write_file(path, content)
    return path


# --- Tags ------------------------------------------------------------------------------------------------------------


def tag_sets(saved_model: Any) -> list[list[str]]:
    """The tags of each graph of a `SavedModel`."""
    return [list(message.meta_info_def.tags) for message in saved_model.meta_graphs]


def find_meta_graph(saved_model: Any, tags: Iterable[str]) -> Any:
    """The graph that has exactly these tags, in whichever order; None where there is none."""
    wanted = set(tags)
    return next((item for item in saved_model.meta_graphs if set(item.meta_info_def.tags) == wanted), None)
