"""Real TensorFlow, in environments of its own, for the tests that run it; they are skipped where it is absent."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

_CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
_FOLDER = Path(os.environ.get("MILLSTREAM_ORACLES") or os.path.join(_CACHE, "millstream-oracles"))


def oracle(name: str) -> str:
    """The Python of an environment: "tf1" has TensorFlow 1.15.5, "tf2" 2.21.0. Skips the test where it is absent."""
    python = _FOLDER / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"There is no {python}.")
    return str(python)


def run_in(name: str, program: str, *arguments: object, timeout: float = 120) -> str:
    """Runs a program in such an environment; gives what it prints."""
    command = [oracle(name), "-W", "ignore", "-c", program, *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
