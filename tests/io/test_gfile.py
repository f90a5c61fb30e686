"""Files. The errors are those of TensorFlow 1.15.5."""

from __future__ import annotations

import pytest

import millstream.v1 as tf

gfile = tf.gfile


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").write_bytes("héllo\nworld\nx".encode())
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "e").write_bytes(b"1")
    return str(tmp_path)


def test_reading(folder):
    with gfile.GFile(f"{folder}/a") as f:
        assert f.size() == 14 and f.tell() == 0
        assert f.readline() == "héllo\n" and f.tell() == 7
        assert f.readlines() == ["world\n", "x"]
        f.seek(-1, 2)
        assert f.read() == "x" and f.read() == ""
        f.seek(offset=1)
        assert f.read(2) == "é"
    assert gfile.GFile(f"{folder}/a", "rb").read(3) == b"h\xc3\xa9"
    assert list(gfile.Open(f"{folder}/a")) == ["héllo\n", "world\n", "x"]


def test_writing(folder):
    with gfile.FastGFile(f"{folder}/b", "w") as f:
        f.write("é")
        f.write(b"\xff")
        f.flush()
        assert f.size() == 3
    with gfile.GFile(f"{folder}/b", "a") as f:
        f.write("z")
    assert gfile.GFile(f"{folder}/b", "rb").read() == b"\xc3\xa9\xffz"
    gfile.GFile(f"{folder}/empty", "w").close()
    assert gfile.Stat(f"{folder}/empty").length == 0


def test_folders(folder):
    gfile.MkDir(f"{folder}/d")  # is there already
    gfile.MakeDirs(f"{folder}/x/y")
    assert sorted(gfile.ListDirectory(folder)) == ["a", "d", "x"]
    assert gfile.IsDirectory(f"{folder}/x/y") and not gfile.IsDirectory(f"{folder}/a")
    gfile.Rename(f"{folder}/x", f"{folder}/z")
    assert gfile.Exists(f"{folder}/z/y") and gfile.Exists(f"file://{folder}/z/y")
    gfile.DeleteRecursively(f"{folder}/z")
    assert not gfile.Exists(f"{folder}/z")


def test_walk(folder):
    entries = [(folder, ["d"], ["a"]), (f"{folder}/d", [], ["e"])]
    assert list(gfile.Walk(folder)) == entries
    assert list(gfile.Walk(folder, in_order=False)) == entries[::-1]
    assert list(gfile.Walk(f"{folder}/none")) == []
    seen = []
    assert list(tf.io.gfile.walk(f"{folder}/none", onerror=seen.append)) == []
    assert isinstance(seen[0], tf.errors.NotFoundError)


def test_glob(folder):
    assert gfile.Glob(f"{folder}/*") == [f"{folder}/a", f"{folder}/d"]
    assert gfile.Glob([f"{folder}/d/*", f"{folder}/[ab]"]) == [f"{folder}/d/e", f"{folder}/a"]
    assert gfile.Glob(f"{folder}/*/e") == [f"{folder}/d/e"]
    assert gfile.Glob(f"{folder}/a") == [f"{folder}/a"] and gfile.Glob(f"{folder}/none*") == []
    assert gfile.Glob(f"{folder}/*" + "/[a-d]*" * 5000) == []
    assert gfile.Glob(f"{folder}/d*/") == [f"{folder}/d/"]


def test_copy(folder):
    gfile.Copy(f"{folder}/a", f"{folder}/c")
    with pytest.raises(tf.errors.AlreadyExistsError, match="file already exists"):
        gfile.Copy(f"{folder}/d/e", f"{folder}/c")
    gfile.Copy(f"{folder}/d/e", f"{folder}/c", overwrite=True)
    assert gfile.GFile(f"{folder}/c").read() == "1"
    with pytest.raises(tf.errors.AlreadyExistsError):
        gfile.Rename(f"{folder}/a", f"{folder}/c")
    gfile.Rename(f"{folder}/a", f"{folder}/c", overwrite=True)
    assert not gfile.Exists(f"{folder}/a")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: gfile.GFile(f"{d}/none").read(), tf.errors.NotFoundError, "none; No such file or directory"),
        (lambda d: gfile.GFile(d).read(), tf.errors.FailedPreconditionError, "; Is a directory"),
        (lambda d: gfile.GFile(f"{d}/a").write("x"), tf.errors.PermissionDeniedError, "File isn't open for writing"),
        (lambda d: gfile.GFile(f"{d}/b", "w").read(), tf.errors.PermissionDeniedError, "File isn't open for reading"),
        (lambda d: gfile.GFile(f"{d}/a", "x"), tf.errors.InvalidArgumentError, "mode is not 'r' or 'w' or 'a'"),
        (lambda d: gfile.GFile(f"{d}/a").seek(0, 5), tf.errors.InvalidArgumentError, "Invalid whence argument: 5."),
        (lambda d: gfile.MkDir(f"{d}/x/y"), tf.errors.NotFoundError, "No such file or directory"),
        (lambda d: gfile.MakeDirs(f"{d}/a/y"), tf.errors.FailedPreconditionError, "Not a directory"),
        (lambda d: gfile.ListDirectory(f"{d}/a"), tf.errors.NotFoundError, "Could not find directory"),
        (lambda d: gfile.Remove(f"{d}/none"), tf.errors.NotFoundError, "No such file or directory"),
        (lambda d: gfile.Remove(f"{d}/d"), tf.errors.FailedPreconditionError, "Is a directory"),
        (lambda d: gfile.DeleteRecursively(f"{d}/none"), tf.errors.NotFoundError, "not found"),
        (lambda d: gfile.Stat(f"{d}/none"), tf.errors.NotFoundError, "No such file or directory"),
        (lambda d: gfile.Exists("zz://x"), tf.errors.UnimplementedError, "File system scheme 'zz' not implemented"),
    ],
)
def test_errors(folder, call, error, message):
    with pytest.raises(error, match=message):
        call(folder)


def test_carriage_returns_are_no_part_of_lines(folder):
    with gfile.GFile(f"{folder}/w", "w") as f:
        f.write("a\r\nb\r\n")
    assert gfile.GFile(f"{folder}/w").readlines() == ["a\n", "b\n"]
    assert gfile.GFile(f"{folder}/w").read() == "a\r\nb\r\n"


def test_offset_and_position(folder):
    with pytest.raises(TypeError, match="offset and position may not be set simultaneously."):
        gfile.GFile(f"{folder}/a").seek(1, position=2)
