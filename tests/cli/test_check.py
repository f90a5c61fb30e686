"""`millstream check`."""
from __future__ import annotations

import subprocess
import sys

import pytest

from millstream.cli import main
from millstream.compat.lookup import judge

PROGRAM = """import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

a = tf.as_dtype(tf.float32)
b = tf.as_dtype(tf.int32)
c = tf.contrib.tpu.rewrite(tf.contrib.tpu.rewrite)
d = tf.contrib.tpu.rewrite(tf.no_such_name, tf.GraphKeys.LOSSES)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return str(path)


def test_report(program, capsys):
    assert main(["check", program]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{program}:2: tensorflow.examples.tutorials.mnist.input_data".replace("tensorflow", "tf"),
        f"{program}:4: tf.as_dtype",
        f"{program}:4: tf.float32",
        f"{program}:5: tf.int32",
        f"{program}:6: tf.contrib.tpu.rewrite is part of TensorFlow 1.x but not yet of Millstream",
        f"{program}:7: tf.GraphKeys",
        f"{program}:7: tf.contrib.tpu.rewrite is part of TensorFlow 1.x but not yet of Millstream",
        f"{program}:7: tf.no_such_name is not a name of TensorFlow 1.x",
        f"{program}: 7 names of TensorFlow 1.x, 2 lacking",
    ]


def test_only_what_is_lacking(program, capsys):
    assert main(["check", "--lacking", program]) == 1
    assert [line.split(":")[1] for line in capsys.readouterr().out.splitlines()[:-1]] == ["6", "7", "7"]


def test_nothing_lacking(tmp_path, capsys):
    path = tmp_path / "p.py"
    path.write_text("import tensorflow as tf\nprint(tf.__version__, tf.float32)\n")
    assert main(["check", "--api", "1", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: 1 names of TensorFlow 1.x, 0 lacking"


@pytest.mark.parametrize(("content", "message"), [("x =", ":1: cannot be read"), (None, ": cannot be read")])
def test_unreadable_files(tmp_path, program, capsys, content, message):
    path = tmp_path / "broken.py"
    if content is not None:
        path.write_text(content)
    assert main(["check", str(path), program]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{path}{message}") and "2 lacking" in captured.out


@pytest.mark.parametrize(
    ("api", "path", "written", "problem"),
    [
        (1, "float32", "tf.float32", None),
        (1, "dtypes.float32.name", "tf.dtypes.float32", None),
        (1, "compat.v1.float32", "tf.compat.v1.float32", None),
        (
            2,
            "compat.v1.contrib.tpu.foo",
            "tf.compat.v1.contrib.tpu.foo",
            "part of TensorFlow 1.x but not yet",
        ),
        (1, "random.set_seed", "tf.random.set_seed", "not part of TensorFlow 1.x but of 2.x"),
        (1, "python.framework.dtypes.as_dtype", "tensorflow.python.framework.dtypes.as_dtype", None),
        (
            1,
            "python.framework.dtypes.foo.bar",
            "tensorflow.python.framework.dtypes.foo",
            "not yet of Millstream",
        ),
        (1, "python.no.such", "tensorflow.python.no", "not yet of Millstream"),
        (1, "python.util.tf_inspect.signature", "tensorflow.python.util.tf_inspect.signature", None),
        (1, "core.framework.graph_pb2.GraphDef", "tensorflow.core.framework.graph_pb2.GraphDef", None),
    ],
)
def test_judgement(api, path, written, problem):
    finding = judge(api, path)
    assert finding.name == written
    assert (problem is None and finding.problem is None) or problem in finding.problem


def test_nothing_heavy_is_loaded(program):
    code = (
        "import sys; from millstream.cli import main; main(['check', sys.argv[1]]);"
        "print({'numpy', 'jax', 'google.protobuf'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code, program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
