"""Which names a program's text uses."""
from __future__ import annotations

import pytest

from millstream.cli.usage import Import, read_program


def names(source: str) -> list[str]:
    program = read_program(source, "program.py", {"nn": ["relu", "tanh"]}.get)
    return [use.name for use in program.uses]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import tensorflow as tf\ntf.nn.relu(tf.x)", ["nn.relu", "x"]),
        ("import tensorflow\ntensorflow.nn.relu", ["nn.relu"]),
        ("import tensorflow.contrib.slim as slim\nslim.conv2d", ["contrib.slim", "contrib.slim.conv2d"]),
        ("import tensorflow.nn\ntensorflow.x", ["nn", "x"]),
        ("from tensorflow import nn as n, keras\nn.relu", ["keras", "nn", "nn.relu"]),
        ("from tensorflow.python.ops import a\na.add", ["python.ops.a", "python.ops.a.add"]),
        ("from tensorflow.nn import *\nrelu(1)", ["nn.relu"]),
        ("import tensorflow as tf\ns = tf.contrib.slim\ns.conv2d", ["contrib.slim", "contrib.slim.conv2d"]),
        ("import tensorflow as tf\ntf = tf.compat.v1\ntf.Session", ["compat.v1", "compat.v1.Session"]),
        ("import tensorflow as tf\nlayers = tf.layers\nlayers = 1\nlayers.dense", ["layers"]),
        ("try:\n  import tensorflow as tf\nexcept ImportError:\n  tf = None\ntf.x", ["x"]),
        ("import tensorflow as tf\ndef f(tf):\n  tf.x", []),
        ("def f():\n  tf.x\nimport tensorflow as tf", ["x"]),
        ("import tensorflow as tf\ndef f(a=tf.x, *, b: tf.y = tf.z) -> tf.w: pass", ["w", "x", "y", "z"]),
        ("def f():\n  global tf\n  import tensorflow as tf\ndef g():\n  tf.x", ["x"]),
        ("import tensorflow as tf\nclass A(tf.B):\n  c = tf.C\n  def f(s): tf.d + s.c.e", ["B", "C", "d"]),
        ("import tensorflow as tf\nf = lambda x, y=tf.a: tf.b + x.c", ["a", "b"]),
        ("import tensorflow as tf\nasync def f():\n  async with tf.a as b: b.c", ["a"]),
        ("import tensorflow as tf\nprint(f'{tf.a:{tf.b}}', [tf.c for x in tf.d])", ["a", "b", "c", "d"]),
        ("import numpy as tf\ntf.array", []),
        ("from .tensorflow import x\nx.y", []),
        ("import tensorflow_hub as hub\nhub.load", []),
    ],
)  # fmt: skip
def test_names(source, expected):
    assert sorted(names(source)) == expected


def test_lines():
    program = read_program("import tensorflow as tf\n\ntf.b(\n  tf.a)", "p", {}.get)
    assert [(use.line, use.name) for use in program.uses] == [(3, "b"), (4, "a")]


def test_other_imports():
    program = read_program("import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g", "p", {}.get)
    assert program.imports == [
        Import("a.b", 0), Import("c", 0), Import("c.d", 0), Import("e", 1), Import("f", 2), Import("f.g", 2),
    ]  # fmt: skip


def test_not_python():
    with pytest.raises(SyntaxError):
        read_program("print 1", "p", {}.get)
