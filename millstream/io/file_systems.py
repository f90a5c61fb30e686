"""The file systems behind `tf.gfile`, by the scheme of a path: `file://` and none are the local one.

To add another: `register_file_system("memory", fs)`, where `fs` has the methods of `FileSystem`. These are a part of
the interface of fsspec's file systems, so one of those can be registered as it is:

    register_file_system("memory", fsspec.filesystem("memory"))

Then `tf.gfile` takes paths such as `memory://notes.txt`. What maps files into memory or replaces them atomically
(checkpoints, event files, records) needs files of the operating system: it asks `local_path`, which refuses others.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

from millstream.core import errors

Path = Any  # str, bytes or os.PathLike


class FileSystem(Protocol):
    """What a file system must have. Paths come without their scheme; errors are OSErrors."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        """Opens a file in a binary mode: "rb", "wb", "ab", and with "+"."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""

    def info(self, path: str) -> dict[str, Any]:
        """What is known of a file or folder: `size` in bytes, and `mtime` in seconds, where there is one."""

    def ls(self, path: str, detail: bool = True) -> list[Any]:
        """The paths of what is in a folder; called with `detail=False`."""

    def rm_file(self, path: str) -> None:
        """Deletes a file."""

    def rm(self, path: str, recursive: bool = False) -> None:
        """Deletes a folder with all that is in it; called with `recursive=True`."""

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        """Makes a folder; called with `create_parents=False`."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Makes a folder and those above it; called with `exist_ok=True`."""

    def mv(self, path1: str, path2: str) -> None:
        """Renames a file or folder; what is at `path2` is replaced."""


class LocalFileSystem:
    """The files of the operating system."""

    def open(self, path: str, mode: str = "rb") -> BinaryIO:
        if "b" not in mode:
            raise ValueError(f"files are opened in binary modes, received {mode!r}")
        return open(path, mode)  # type: ignore[return-value]  # noqa: SIM115 - the caller closes it

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def isdir(self, path: str) -> bool:
        return os.path.isdir(path)

    def info(self, path: str) -> dict[str, Any]:
        found = os.stat(path)
        return {"size": found.st_size, "mtime": found.st_mtime, "mtime_ns": found.st_mtime_ns}

    def ls(self, path: str, detail: bool = True) -> list[Any]:
        return [os.path.join(path, name) for name in os.listdir(path)]

    def rm_file(self, path: str) -> None:
        os.remove(path)

    def rm(self, path: str, recursive: bool = False) -> None:
        import shutil

        shutil.rmtree(path)

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        os.mkdir(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        os.makedirs(path, exist_ok=exist_ok)

    def mv(self, path1: str, path2: str) -> None:
        os.replace(path1, path2)


LOCAL = LocalFileSystem()
_file_systems: dict[str, FileSystem] = {"": LOCAL, "file": LOCAL}


def register_file_system(scheme: str, file_system: FileSystem) -> None:
    """Makes `tf.gfile` take paths of a scheme.

    Args:
      scheme: what stands before `://`.
      file_system: an object with the methods of `FileSystem`.

    Raises:
      ValueError: the scheme is that of local files.
    """
    if _file_systems.get(scheme) is LOCAL:
        raise ValueError(f"The scheme {scheme!r} is that of local files.")
    _file_systems[scheme] = file_system


def registered_schemes() -> list[str]:
    """The schemes that paths may have."""
    return list(_file_systems)


def split_scheme(path: Path) -> tuple[str, str]:
    """The scheme with its `://`, or an empty string, and the rest of a path.

    Raises:
      TypeError: it is no path.
    """
    text = os.fsdecode(path)
    scheme, separator, rest = text.partition("://")
    return (f"{scheme}{separator}", rest) if separator else ("", text)


def find(path: Path) -> tuple[FileSystem, str]:
    """The file system of a path, and the path in it.

    Raises:
      UnimplementedError: the path has a scheme that is not registered.
      TypeError: it is no path.
    """
    prefix, rest = split_scheme(path)
    found = _file_systems.get(prefix.removesuffix("://"))
    if found is None:
        scheme, text = prefix.removesuffix("://"), os.fsdecode(path)
        message = f"File system scheme '{scheme}' not implemented (file: '{text}')"
        raise errors.UnimplementedError(None, None, message)
    return found, rest


def local_path(path: Path) -> str:
    """The path in the operating system, for what needs a file of its own there.

    Raises:
      UnimplementedError: the path belongs to another file system.
      TypeError: it is no path.
    """
    found, rest = find(path)
    if found is not LOCAL:
        raise errors.UnimplementedError(None, None, f"Only local files can be used here, received '{path}'")
    return rest


# --- Errors ----------------------------------------------------------------------------------------------------------

_ERRORS: dict[int, type[errors.OpError]] = {
    errno.ENOENT: errors.NotFoundError,
    errno.EEXIST: errors.AlreadyExistsError,
    errno.EACCES: errors.PermissionDeniedError,
    errno.EPERM: errors.PermissionDeniedError,
    errno.EROFS: errors.PermissionDeniedError,
    errno.ENOTDIR: errors.FailedPreconditionError,
    errno.EISDIR: errors.FailedPreconditionError,
    errno.ENOTEMPTY: errors.FailedPreconditionError,
    errno.ENOSPC: errors.ResourceExhaustedError,
    errno.EDQUOT: errors.ResourceExhaustedError,
    errno.EFBIG: errors.ResourceExhaustedError,
    errno.EMFILE: errors.ResourceExhaustedError,
    errno.EINVAL: errors.InvalidArgumentError,
    errno.ENAMETOOLONG: errors.InvalidArgumentError,
}
# Errors of file systems that know no numbers.
_KINDS: dict[type[OSError], type[errors.OpError]] = {
    FileNotFoundError: errors.NotFoundError,
    FileExistsError: errors.AlreadyExistsError,
    PermissionError: errors.PermissionDeniedError,
    NotADirectoryError: errors.FailedPreconditionError,
    IsADirectoryError: errors.FailedPreconditionError,
}


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turns what the operating system reports into TensorFlow's errors."""
    try:
        yield
    except OSError as error:
        kind: Any = _ERRORS.get(error.errno or 0) or _KINDS.get(type(error), errors.UnknownError)
        raise kind(None, None, f"{path}; {error.strerror or error}") from None
