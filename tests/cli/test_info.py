"""`millstream info`: what Millstream would run on."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from millstream import __version__, native


def info(*arguments: str, **variables: object) -> str:
    command = [sys.executable, "-P", "-m", "millstream", "info", *arguments]
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert not done.stderr
    return done.stdout


def test_table(tmp_path):
    (tmp_path / "entry").write_bytes(bytes(3 << 20))
    lines = info(MILLSTREAM_CACHE_DIR=tmp_path, MILLSTREAM_NATIVE="off", JAX_PLATFORMS="cpu").splitlines()
    assert lines[0] == f"millstream      {__version__}"
    assert f"jaxlib          {version('jaxlib')}" in lines
    assert "devices         CPU:0" in lines
    assert "native kernels  no: the environment variable MILLSTREAM_NATIVE turns them off" in lines
    assert f"cache           {tmp_path} (3.0 MiB)" in lines


@pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")
def test_native_kernels():
    found = json.loads(info("--json", MILLSTREAM_CACHE_DIR="off", OMP_NUM_THREADS=1))
    assert found["native_kernels"].pop("instruction_set")
    assert found["native_kernels"] == {"available": True, "onednn": "3.2.0", "threads": 1}
    assert found["cache"] is None
    assert found["devices"]["CPU:0"] == "cpu"


def test_broken_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise RuntimeError('jaxlib is too old')")
    out = info(MILLSTREAM_CACHE_DIR="off", MILLSTREAM_NATIVE=tmp_path / "no.so", PYTHONPATH=tmp_path)
    assert "devices         unknown (RuntimeError: jaxlib is too old)\n" in out
    assert "native kernels  no: they cannot be loaded ([Errno 2] No such file or directory: " in out
    assert "cache           off\n" in out
