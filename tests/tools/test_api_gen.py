"""`tools/api_gen.py`: the public namespaces from the marks."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OPS = """
from millstream.core.export import export, export_value

@export("math.softplus", "nn.softplus")
def softplus(features): return features

@export(v1=["random_normal"], v2=["random.normal"])
def normal(shape): return shape

pi = 3
export_value(__name__, "pi", v1=["nn.rnn_cell.LSTMCell", "contrib.tpu.pi"])
"""


@pytest.fixture
def tree(tmp_path):
    """A small package with its own operations; its `__init__` must not be run."""
    package = tmp_path / "millstream"
    for folder in ("core", "io/proto", "ops", "cli"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").write_text("")
    (package / "io" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("raise SystemExit('the package was imported')\n")
    (package / "cli" / "__init__.py").write_text("raise SystemExit('not to be walked')\n")
    (package / "core" / "opdef.py").write_text(
        "def kernel(): ...\nclass OpDef: kernel = kernel\nREGISTRY = {'MatMul': OpDef}\nREQUIRED = None\n"
    )
    shutil.copy(ROOT / "millstream" / "core" / "export.py", package / "core")
    shutil.copytree(ROOT / "millstream" / "public", package / "public")
    messages = "def public_names(api): return {'train.Example': 'tensorflow.Example'}\nclass Example: pass\n"
    (package / "io" / "proto" / "__init__.py").write_text(messages)
    (package / "ops" / "some_ops.py").write_text(OPS)
    return tmp_path


def generate(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "api_gen.py", "--root", tree, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def import_from(tree: Path, code: str) -> str:
    (tree / "millstream" / "__init__.py").write_text("")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tree, check=False)
    return done.stdout.strip() or done.stderr.splitlines()[-1]


def test_namespaces(tree):
    done = generate(tree)
    assert done.returncode == 0, done.stderr
    text = (tree / "millstream" / "_api" / "v1" / "nn" / "__init__.py").read_text()
    assert "    from millstream._api.v1.nn import rnn_cell as rnn_cell\n" in text  # for type checkers
    assert "    from millstream.ops.some_ops import softplus as softplus\n" in text
    assert '        "rnn_cell": "millstream._api.v1.nn.rnn_cell",\n' in text
    assert '        "softplus": "millstream.ops.some_ops:softplus",\n' in text
    assert text.endswith('__all__ = [\n    "rnn_cell",\n    "softplus",\n]\n')
    assert (tree / "millstream" / "_api" / "v2" / "random" / "__init__.py").exists()


def test_operations(tree):
    generate(tree)
    code = "from millstream._api import operations; print(operations.MODULES)"
    assert import_from(tree, code) == "{'MatMul': 'millstream.core.opdef'}"


def test_names_load_on_first_use(tree):
    generate(tree)
    code = (
        "import sys, millstream._api.v1 as tf; before = 'millstream._api.v1.contrib' in sys.modules;"
        "print(before, tf.contrib.tpu.pi, tf.train.Example.__name__, tf.compat.v1 is tf);"
        "print('contrib' in dir(tf))"
    )
    assert import_from(tree, code) == "False 3 Example True\nTrue"


def test_missing_names(tree):
    generate(tree)
    message = import_from(tree, "import millstream._api.v1 as tf; tf.nn.relu")
    assert "tf.nn.relu is part of TensorFlow 1.x but not yet of Millstream" in message


def test_check(tree):
    generate(tree)
    assert generate(tree, "--check").returncode == 0
    operations = tree / "millstream" / "ops" / "some_ops.py"
    operations.write_text(OPS.replace('"nn.softplus"', '"nn.relu"').replace(', "contrib.tpu.pi"', ""))
    done = generate(tree, "--check")
    assert done.returncode == 1
    assert "millstream/_api/v1/nn/__init__.py is stale" in done.stdout
    assert "millstream/_api/v1/contrib/tpu/__init__.py is stale" in done.stdout
    generate(tree)
    assert not (tree / "millstream" / "_api" / "v1" / "contrib" / "tpu" / "__init__.py").exists()
    assert generate(tree, "--check").returncode == 0


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (
            'export_value(__name__, "pi", "nn.softplus")',
            "tf.nn.softplus is exported twice: millstream.ops.some_ops",
        ),
        ('export_value(__name__, "pi", "nn.sotfplus")', "TensorFlow 1.x has no tf.nn.sotfplus"),
        ('export_value(__name__, "pi", "random_normal")', "TensorFlow 2.x has no tf.random_normal"),
        ('export_value(__name__, "pi", "nn")', "tf.nn of version 1 is a namespace and a name"),
        ('export_value(__name__, "pi", "nn.lambda")', "'nn.lambda' is not a possible name"),
    ],
)
def test_wrong_marks(tree, mark, message):
    (tree / "millstream" / "ops" / "some_ops.py").write_text(f"{OPS}\n{mark}\n")
    done = generate(tree)
    assert done.returncode == 1 and message in done.stderr


def test_the_namespaces_are_up_to_date():
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
