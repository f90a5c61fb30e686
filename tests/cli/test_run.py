"""`millstream run`: a program runs as under `python`, with Millstream as its `tensorflow`."""
from __future__ import annotations

import subprocess
import sys

import pytest

from millstream import __version__


def millstream(*arguments: object, cwd=None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "millstream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture
def program(tmp_path):
    def write(text: str, name: str = "program.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_runs_as_main(program):
    program("value = 42\n", "beside.py")
    path = program(
        "import sys, beside, tensorflow as tf\n"
        "print(__name__, sys.argv, sys.path[0], __file__, beside.value, tf.VERSION)\n"
        "print(sys.modules['__main__'].tf is tf)\n"
    )
    done = millstream("run", "--api", "1", path, "-v", "--api", "2", "a b")
    arguments = [str(path), "-v", "--api", "2", "a b"]
    assert done.stdout == f"__main__ {arguments} {path.parent} {path} 42 1.15.5\nTrue\n" and not done.stderr


@pytest.fixture
def package(program):
    program("import tensorflow as tf\n", "package/__init__.py")
    program("from package import tf\nimport sys\nprint(tf.float32, sys.argv[1:])\n", "package/__main__.py")
    program("import tensorflow as tf\nif 0: tf.Session\nprint(__name__, tf.VERSION)\n", "package/train.py")
    return program("", "empty.py").parent


def test_package(package):
    done = millstream("run", "-v", "-m", "package", "-x", cwd=package)
    assert done.stdout == "<dtype: 'float32'> ['-x']\n"
    assert done.stderr == "millstream: TensorFlow 2.x: it uses no name that only 1.x has\n"


def test_module(package):
    done = millstream("run", "-v", "-m", "package.train", cwd=package)
    assert done.stdout == "__main__ 1.15.5\n" and done.stderr.startswith("millstream: TensorFlow 1.x: ")


def test_absent_module(package):
    done = millstream("run", "-m", "package.no", cwd=package)
    assert done.returncode == 1 and "No module named package.no" in done.stderr


def test_says_the_version_and_why(program):
    path = program("import tensorflow as tf\nif 0: tf.Session\n")
    done = millstream("run", "-v", path)
    assert done.stderr == (
        "millstream: TensorFlow 1.x: it uses tf.Session (line 2 of program.py), which only 1.x has\n"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [("import sys; sys.exit(7)", 7), ("raise SystemExit('gone')", 1), ("pass", 0), ("1/0", 1)],
)
def test_exit_codes(program, text, code):
    assert millstream("run", program(text)).returncode == code


def test_traceback_begins_in_the_program(program):
    path = program("def f():\n    raise ValueError('no')\nf()\n")
    lines = millstream("run", path).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].strip() == f'File "{path}", line 3, in <module>'
    assert lines[-1] == "ValueError: no"


def test_syntax_error(program):
    done = millstream("run", program("x ="))
    assert done.returncode == 1 and "Traceback" not in done.stderr and "SyntaxError" in done.stderr


def test_missing_name_shows_the_users_line(program):
    path = program("import tensorflow as tf\ntf.contrib.tpu.rewrite()\n")
    stderr = millstream("run", path).stderr
    assert f'File "{path}", line 2' in stderr
    assert "tf.contrib.tpu.rewrite is part of TensorFlow 1.x but not yet of Millstream" in stderr


def test_folder_with_main(program):
    path = program("print('in a folder')", "application/__main__.py")
    assert millstream("run", path.parent).stdout == "in a folder\n"


def test_absent_program(tmp_path):
    done = millstream("run", tmp_path / "no.py")
    assert done.returncode == 2 and "can't open file" in done.stderr


def test_functions_live_until_exit(program):
    path = program("import atexit\nx = 'alive'\natexit.register(lambda: print(x))\n")
    assert millstream("run", path).stdout == "alive\n"


def test_version_and_help():
    assert millstream("--version").stdout == f"millstream {__version__}\n"
    assert "examples:" in millstream("--help").stdout
    assert millstream().returncode == 2
