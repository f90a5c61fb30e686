"""For which TensorFlow a program was written."""
from __future__ import annotations

import pytest

from millstream.cli.choose_api import choose

TF = "import tensorflow as tf\n"


@pytest.mark.parametrize(
    ("source", "api", "reason"),
    [
        (TF + "tf.placeholder", 1, "it uses tf.placeholder (line 2 of program.py), which only 1.x has"),
        (TF + "tf.contrib.slim.conv2d", 1, "it uses tf.contrib.slim.conv2d (line 2 of program.py)"),
        (TF + "tf.GraphKeys.LOSSES", 1, "it uses tf.GraphKeys (line 2 of program.py)"),
        ("from tensorflow.examples.tutorials.mnist import x", 1, "it uses tf.examples.tutorials.mnist"),
        (TF + "tf.random.set_seed", 2, "it uses tf.random.set_seed (line 2 of program.py)"),
        (TF + "tf.random.set_seed\ntf.Session\ntf.placeholder", 1, "it uses tf.Session (line 3"),
        (TF + "tf.random.set_seed\ntf.random.Generator\ntf.Session", 2, "it uses tf.Session"),
        ("import tensorflow.compat.v1 as tf\ntf.Session", 1, "it uses tf.compat.v1.Session (line 2"),
        (TF + "tf.compat.v1.Session\ntf.function", 2, "it uses tf.function (line 3 of program.py) beside tf.compat"),
        (TF + "tf.compat.v1.disable_v2_behavior()\ntf.function", 1, "it uses tf.compat.v1.disable_v2_behavior"),
        (TF + "tf.compat.v1.Session\ntf.random.set_seed", 2, "it uses tf.random.set_seed"),
        (TF + "print(tf.constant(1))", 2, "it uses no name that only 1.x has"),
        ("print 1", 2, "it uses no name that only 1.x has"),
    ],
)  # fmt: skip
def test_choice(tmp_path, source, api, reason):
    program = tmp_path / "program.py"
    program.write_text(source)
    choice = choose(str(program))
    assert choice.api == api and choice.reason.startswith(reason)


def test_modules_beside_the_program_count(tmp_path):
    (tmp_path / "program.py").write_text("import model.net\nimport os\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "__init__.py").write_text("")
    (tmp_path / "model" / "net.py").write_text("from .parts import f\n")
    (tmp_path / "model" / "parts.py").write_text(TF + "def f():\n  return tf.get_variable('v')\n")
    choice = choose(str(tmp_path / "program.py"))
    assert choice == (1, "it uses tf.get_variable (line 3 of parts.py), which only 1.x has")


def test_modules_that_import_each_other(tmp_path):
    (tmp_path / "a.py").write_text("import b")
    (tmp_path / "b.py").write_text("import a")
    assert choose(str(tmp_path / "a.py")).api == 2
