"""`tf.gfile`: files and folders, with TensorFlow's errors. Which file systems there are says `file_systems`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from millstream.core import errors
from millstream.core.export import export, export_value
from millstream.io import file_systems
from millstream.io.file_systems import LOCAL, FileSystem, Path, find, local_path, reporting, split_scheme

__all__ = ["GFile", "FastGFile", "local_path", "reporting"]

_COPIED_AT_ONCE = 1 << 20  # bytes
_MODES = ("r", "w", "a", "r+", "w+", "a+")


class GFile:
    """A file. It is opened when it is first used.

    In text modes `read` gives `str` (UTF-8), in binary modes `bytes`; both are written in either.

    Args:
      name: the path.
      mode: "r", "w", "a", "r+", "w+" or "a+", with "b" for binary.

    Raises:
      InvalidArgumentError: another mode.
      NotFoundError: when it is used, and is not there.

    Example:
      >>> with tf.gfile.GFile("notes.txt", "w") as f:
      ...   f.write("hello")
    """

    _file: BinaryIO | None = None

    def __init__(self, name: Path, mode: str = "r") -> None:
        if mode.replace("b", "") not in _MODES:
            message = f"mode is not 'r' or 'w' or 'a' or 'r+' or 'w+' or 'a+', but {mode!r}"
            raise errors.InvalidArgumentError(None, None, message)
        self._name = name
        self._mode = mode

    @property
    def name(self) -> Path:
        """The path as it was given."""
        return self._name

    @property
    def mode(self) -> str:
        """The mode as it was given."""
        return self._mode

    def _open(self) -> BinaryIO:
        if self._file is None:
            with reporting(self._name):
                system, path = find(self._name)
                self._file = system.open(path, self._mode.replace("b", "") + "b")
        return self._file

    def _readable(self) -> BinaryIO:
        if self._mode[0] != "r" and "+" not in self._mode:
            raise errors.PermissionDeniedError(None, None, "File isn't open for reading")
        return self._open()

    def _as_text(self, content: bytes) -> Any:
        return content if "b" in self._mode else content.decode("utf-8")

    def size(self) -> int:
        """The file's size in bytes."""
        if self._file is not None:
            self._file.flush()
        return stat(self._name).length

    def read(self, n: int = -1) -> Any:
        """The next `n` bytes, or all that is left; decoded in text modes."""
        file = self._readable()
        with reporting(self._name):
            return self._as_text(file.read(n))

    def readline(self) -> Any:
        """The next line with its end; empty at the end of the file. Carriage returns are left out."""
        file = self._readable()
        with reporting(self._name):
            return self._as_text(file.readline().replace(b"\r", b""))

    def readlines(self) -> list[Any]:
        """All lines that are left, with their ends."""
        return list(self)

    def write(self, file_content: str | bytes) -> None:
        """Appends text or bytes at the current position."""
        if self._mode[0] == "r" and "+" not in self._mode:
            raise errors.PermissionDeniedError(None, None, "File isn't open for writing")
        content = file_content.encode("utf-8") if isinstance(file_content, str) else file_content
        with reporting(self._name):
            self._open().write(content)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Moves to `offset` bytes from the beginning (`whence` 0), the current position (1) or the end (2).

        `position` is the old name of `offset`.
        """
        if offset is not None and position is not None:
            raise TypeError("seek(): offset and position may not be set simultaneously.")
        offset = position if position is not None else offset
        if offset is None:
            raise TypeError("seek(): offset argument required")
        if whence not in (0, 1, 2):
            message = f"Invalid whence argument: {whence}. Valid values are 0, 1, or 2."
            raise errors.InvalidArgumentError(None, None, message)
        with reporting(self._name):
            self._open().seek(offset, whence)

    def tell(self) -> int:
        """The current position in bytes."""
        return self._open().tell()

    def seekable(self) -> bool:
        """True: the position can be changed."""
        return True

    def flush(self) -> None:
        """Makes what was written visible to others."""
        if self._file is not None:
            with reporting(self._name):
                self._file.flush()

    def close(self) -> None:
        """Closes the file; where nothing was written, a file opened for writing is made."""
        if self._file is None and self._mode[0] != "r":
            self._open()
        if self._file is not None:
            with reporting(self._name):
                self._file.close()
            self._file = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._file is not None:  # `GFile(name).read()` is a common way to read a file
            self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__


class FastGFile(GFile):
    """Old spelling of `GFile`."""


class FileStatistics(NamedTuple):
    """What `stat` tells: the length in bytes, the time of the last change in nanoseconds, whether it is a folder."""

    length: int
    mtime_nsec: int
    is_directory: bool


def exists(path: Path) -> bool:
    """Whether there is a file or folder."""
    system, rest = find(path)
    return system.exists(rest)


def isdir(path: Path) -> bool:
    """Whether there is a folder."""
    system, rest = find(path)
    return system.isdir(rest)


def stat(path: Path) -> FileStatistics:
    """Size and time of a file or folder.

    Raises:
      NotFoundError: it is not there.
    """
    system, rest = find(path)
    with reporting(path):
        found = system.info(rest)
    seconds = found.get("mtime", 0)
    return FileStatistics(found["size"] or 0, found.get("mtime_ns", int(seconds * 1e9)), system.isdir(rest))


def remove(path: Path) -> None:
    """Deletes a file.

    Raises:
      NotFoundError: it is not there.
      FailedPreconditionError: it is a folder.
    """
    system, rest = find(path)
    with reporting(path):
        system.rm_file(rest)


def rmtree(path: Path) -> None:
    """Deletes a folder with all that is in it.

    Raises:
      NotFoundError: it is not there.
    """
    if not exists(path):
        raise errors.NotFoundError(None, None, f"{path} not found")
    system, rest = find(path)
    with reporting(path):
        system.rm(rest, recursive=True)


def mkdir(path: Path) -> None:
    """Makes a folder, unless it is there.

    Raises:
      NotFoundError: the folder above it is not there.
    """
    if not isdir(path):
        system, rest = find(path)
        with reporting(path):
            system.mkdir(rest, create_parents=False)


def makedirs(path: Path) -> None:
    """Makes a folder and those above it, as far as they are not there."""
    system, rest = find(path)
    with reporting(path):
        system.makedirs(rest, exist_ok=True)


def listdir(path: Path) -> list[str]:
    """The names of what is in a folder.

    Raises:
      NotFoundError: it is not there, or is no folder.
    """
    if not isdir(path):
        raise errors.NotFoundError(None, None, f"Could not find directory {path}")
    system, rest = find(path)
    with reporting(path):
        return [_last_part(found) for found in system.ls(rest, detail=False)]


def _last_part(path: str) -> str:
    return os.path.basename(path.rstrip("/"))


def copy(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Copies a file.

    Raises:
      NotFoundError: `src` is not there.
      AlreadyExistsError: `dst` is, and `overwrite` is False.
    """
    stat(src)
    import shutil

    _refuse_existing(dst, overwrite)
    (source_system, source_path), (system, path) = find(src), find(dst)
    with reporting(src), source_system.open(source_path, "rb") as source:
        with reporting(dst), system.open(path, "wb") as target:
            shutil.copyfileobj(source, target, _COPIED_AT_ONCE)


def rename(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Renames or moves a file or folder.

    Raises:
      NotFoundError: `src` is not there.
      AlreadyExistsError: `dst` is, and `overwrite` is False.
      UnimplementedError: they are in different file systems.
    """
    _refuse_existing(dst, overwrite)
    (source_system, source_path), (system, path) = find(src), find(dst)
    if source_system is not system:
        raise errors.UnimplementedError(None, None, f"Renaming {src} to {dst} not implemented")
    with reporting(src):
        system.mv(source_path, path)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if not overwrite and exists(path):
        raise errors.AlreadyExistsError(None, None, "file already exists")


def glob(pattern: Path | Iterable[Path]) -> list[str]:
    """The paths that match a pattern, or any of several, sorted.

    `*` and `?` stand for characters of one name, `[ab]` for one of these; names that begin with a dot match too.
    """
    patterns = [pattern] if isinstance(pattern, str | bytes | os.PathLike) else list(pattern)
    found: list[str] = []
    for item in patterns:
        (system, rest), (prefix, _) = find(item), split_scheme(item)
        prefix = "" if system is LOCAL else prefix
        found += (f"{prefix}{path}" for path in sorted(_matching(system, rest)))
    return found


def _matching(system: FileSystem, pattern: str) -> list[str]:
    """The paths that match one pattern, folder by folder."""
    names, folder = [], pattern
    while _has_wildcard(folder):
        folder, name = os.path.split(folder)
        names.append(name)
    found = [folder] if names or system.exists(folder) else []
    for name in reversed(names):
        found = [path for parent in found for path in _inside(system, parent, name)]
    return found


def _inside(system: FileSystem, folder: str, name: str) -> Iterator[str]:
    """The paths in a folder whose last part matches a pattern."""
    from fnmatch import fnmatchcase

    if not _has_wildcard(name):
        names = [name] if system.exists(os.path.join(folder, name)) else []
    else:
        names = []
        with suppress(PermissionError):  # then nothing is found there
            inside = system.ls(folder or ".", detail=False) if system.isdir(folder or ".") else []
            names = [_last_part(path) for path in inside]
    return (os.path.join(folder, found) for found in names if fnmatchcase(found, name))


def _has_wildcard(text: str) -> bool:
    return any(letter in text for letter in "*?[")


def walk(
    top: Path, topdown: bool = True, onerror: Callable[[errors.OpError], Any] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """For a folder and all below it: (its path, names of folders in it, names of files in it).

    Args:
      top: the folder; nothing is given where it is not there.
      topdown: True: a folder comes before those in it.
      onerror: called with the error where a folder cannot be listed.
    """
    folder = os.fsdecode(top)
    try:
        names = listdir(top)
    except errors.OpError as error:
        if onerror is not None:
            onerror(error)
        return
    folders = [name for name in names if isdir(os.path.join(folder, name))]
    entry = folder, folders, [name for name in names if name not in folders]
    if topdown:
        yield entry
    for name in folders:
        yield from walk(os.path.join(folder, name), topdown, onerror)
    if not topdown:
        yield entry


@export(v1=["gfile.Walk"])
def walk_v1(top: Path, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """Old spelling of `tf.io.gfile.walk`; `in_order`: a folder comes before those in it."""
    return walk(top, topdown=in_order)


# The old functions differ from the new ones in the names of their parameters only.


@export(v1=["gfile.Exists"])
def exists_v1(filename: Path) -> bool:
    """Whether there is a file or folder."""
    return exists(filename)


@export(v1=["gfile.IsDirectory"])
def isdir_v1(dirname: Path) -> bool:
    """Whether there is a folder."""
    return isdir(dirname)


@export(v1=["gfile.Stat"])
def stat_v1(filename: Path) -> FileStatistics:
    """Size and time of a file or folder: see `tf.io.gfile.stat`."""
    return stat(filename)


@export(v1=["gfile.Remove"])
def remove_v1(filename: Path) -> None:
    """Deletes a file: see `tf.io.gfile.remove`."""
    remove(filename)


@export(v1=["gfile.DeleteRecursively"])
def rmtree_v1(dirname: Path) -> None:
    """Deletes a folder with all that is in it: see `tf.io.gfile.rmtree`."""
    rmtree(dirname)


@export(v1=["gfile.MkDir"])
def mkdir_v1(dirname: Path) -> None:
    """Makes a folder: see `tf.io.gfile.mkdir`."""
    mkdir(dirname)


@export(v1=["gfile.MakeDirs"])
def makedirs_v1(dirname: Path) -> None:
    """Makes a folder and those above it: see `tf.io.gfile.makedirs`."""
    makedirs(dirname)


@export(v1=["gfile.ListDirectory"])
def listdir_v1(dirname: Path) -> list[str]:
    """The names of what is in a folder: see `tf.io.gfile.listdir`."""
    return listdir(dirname)


@export(v1=["gfile.Glob"])
def glob_v1(filename: Path | Iterable[Path]) -> list[str]:
    """The paths that match a pattern: see `tf.io.gfile.glob`."""
    return glob(filename)


@export(v1=["gfile.Copy"])
def copy_v1(oldpath: Path, newpath: Path, overwrite: bool = False) -> None:
    """Copies a file: see `tf.io.gfile.copy`."""
    copy(oldpath, newpath, overwrite)


@export(v1=["gfile.Rename"])
def rename_v1(oldname: Path, newname: Path, overwrite: bool = False) -> None:
    """Renames or moves a file or folder: see `tf.io.gfile.rename`."""
    rename(oldname, newname, overwrite)


@export(v2=["io.gfile.join"])
def join(path: Path, *paths: Path) -> str:
    """The path made of several parts."""
    return os.path.join(os.fsdecode(path), *map(os.fsdecode, paths))


@export(v2=["io.gfile.get_registered_schemes"])
def get_registered_schemes() -> list[str]:
    """The schemes that paths may have."""
    return file_systems.registered_schemes()


export_value(__name__, "GFile", "io.gfile.GFile", v1=["gfile.GFile", "gfile.Open"])
export_value(__name__, "FastGFile", v1=["gfile.FastGFile"])
for _name in "copy exists glob isdir listdir makedirs mkdir remove rename rmtree stat walk".split():
    export_value(__name__, _name, f"io.gfile.{_name}")
