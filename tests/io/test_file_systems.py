"""A file system that is not the operating system's, behind `tf.gfile`."""
from __future__ import annotations

import io
from typing import Any

import pytest

import millstream.v1 as tf
from millstream.io import file_systems

gfile = tf.gfile


class _MemoryFile(io.BytesIO):
    """Puts what was written into the file system when it is closed or flushed."""

    def __init__(self, files: dict[str, bytes], path: str, content: bytes) -> None:
        super().__init__(content)
        self._files, self._path = files, path

    def flush(self) -> None:
        self._files[self._path] = self.getvalue()

    def close(self) -> None:
        if not self.closed:
            self.flush()
        super().close()


class Memory:
    """Files in a dictionary, with the methods of an fsspec file system."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()

    def open(self, path: str, mode: str = "rb") -> Any:
        if mode.startswith("r") and path not in self.files:
            raise FileNotFoundError(path)
        file = _MemoryFile(self.files, path, b"" if mode.startswith("w") else self.files.get(path, b""))
        if mode.startswith("a"):
            file.seek(0, 2)
        return file

    def exists(self, path: str) -> bool:
        return path in self.files or self.isdir(path)

    def isdir(self, path: str) -> bool:
        return path in self.folders

    def info(self, path: str) -> dict[str, Any]:
        if not self.exists(path):
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.files.get(path, b"")), "type": "file"}

    def ls(self, path: str, detail: bool = True) -> list[str]:
        assert not detail
        found = [*self.files, *self.folders]
        return sorted(name for name in found if name.rpartition("/")[0] == path.rstrip("/"))

    def rm_file(self, path: str) -> None:
        del self.files[path]

    def rm(self, path: str, recursive: bool = False) -> None:
        self.files = {name: content for name, content in self.files.items() if not name.startswith(f"{path}/")}
        self.folders = {name for name in self.folders if name != path and not name.startswith(f"{path}/")}

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        self.folders.add(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        parts = path.split("/")
        self.folders.update("/".join(parts[: count + 1]) for count in range(len(parts)))

    def mv(self, path1: str, path2: str) -> None:
        self.files[path2] = self.files.pop(path1)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(file_systems, "_file_systems", dict(file_systems._file_systems))
    system = Memory()
    file_systems.register_file_system("memory", system)
    return system


def test_files(memory, tmp_path):
    gfile.MakeDirs("memory://a/b")
    with gfile.GFile("memory://a/b/one", "w") as f:
        f.write("hello\nworld\n")
    assert memory.files == {"a/b/one": b"hello\nworld\n"}
    assert gfile.GFile("memory://a/b/one").readlines() == ["hello\n", "world\n"]
    assert gfile.Stat("memory://a/b/one").length == 12 and gfile.Stat("memory://a/b").is_directory
    gfile.Copy("memory://a/b/one", str(tmp_path / "copy"))
    gfile.Copy(str(tmp_path / "copy"), "memory://a/two")
    assert memory.files["a/two"] == b"hello\nworld\n"
    gfile.Rename("memory://a/two", "memory://a/three")
    assert sorted(gfile.ListDirectory("memory://a")) == ["b", "three"]
    assert gfile.Glob("memory://a/*") == ["memory://a/b", "memory://a/three"]
    assert gfile.Glob(["memory://a/*/o?e", str(tmp_path / "c*")]) == ["memory://a/b/one", str(tmp_path / "copy")]
    assert list(gfile.Walk("memory://a")) == [
        ("memory://a", ["b"], ["three"]),
        ("memory://a/b", [], ["one"]),
    ]
    gfile.Remove("memory://a/three")
    gfile.DeleteRecursively("memory://a/b")
    assert memory.files == {} and not gfile.Exists("memory://a/b") and gfile.IsDirectory("memory://a")


def test_errors(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match="memory://none"):
        gfile.GFile("memory://none").read()
    with pytest.raises(tf.errors.UnimplementedError, match="Renaming memory://x to .* not implemented"):
        gfile.Rename("memory://x", str(tmp_path / "x"))
    with pytest.raises(tf.errors.UnimplementedError, match="File system scheme 'other' not implemented"):
        gfile.GFile("other://none").read()
    with pytest.raises(tf.errors.UnimplementedError, match="Only local files can be used here, received 'memory://x'"):
        file_systems.local_path("memory://x")
    with pytest.raises(ValueError, match="The scheme 'file' is that of local files."):
        file_systems.register_file_system("file", Memory())
    assert file_systems.registered_schemes() == ["", "file", "memory"]
