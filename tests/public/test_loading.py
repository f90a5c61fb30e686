"""What importing the package loads: little, and the rest when it is used."""
from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("program", ["import millstream.v1", "import millstream as tf; tf.float32"])
def test_importing_is_cheap(program):
    dear = "{'jax', 'ml_dtypes', 'google.protobuf', 'malt', 'logging', 'inspect', 'pathlib', 'secrets'}"
    loaded = f"set(sys.modules) & {dear}"
    assert run(f"import sys, numpy; before = {loaded}\n{program}\nprint({loaded} - before or '')") == ""


@pytest.mark.parametrize("version", [1, 2])
def test_every_name_loads(version):
    """Each public name is where its namespace looks for it, in whatever order names are used."""
    assert run(
        "import importlib, pkgutil\n"
        f"import millstream._api.v{version} as root\n"
        "names = [root.__name__, *(m.name for m in pkgutil.walk_packages(root.__path__, root.__name__ + '.'))]\n"
        "for module in map(importlib.import_module, names):\n"
        "    for name in module.__all__:\n"
        "        assert getattr(module, name) is vars(module)[name], name\n"
        "print('all')"
    ) == "all"  # fmt: skip


def test_operations_load_when_they_are_looked_up():
    program = (
        "import sys, millstream.v1\n"
        "from millstream._api.operations import MODULES\n"
        "from millstream.core import opdef\n"
        "assert len(opdef.REGISTRY) < len(MODULES) / 2\n"
        "assert all(opdef.find(name).name == name for name in reversed(MODULES))\n"
        "assert opdef.op_types() == set(MODULES) == set(opdef.REGISTRY)\n"
        "print('all')"
    )
    assert run(program) == "all"


def test_an_operation_that_nothing_imported():
    assert run("import millstream as tf; print(tf.raw_ops.Erf(x=0.0).numpy())") == "0.0"
