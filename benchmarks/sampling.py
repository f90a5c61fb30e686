"""Taking one sample of a workload on one system, for each kind of workload (see workloads/__init__.py)."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import workloads

T = TypeVar("T")

HERE = Path(__file__).parent
TITLES = {"millstream": "Millstream", "jax": "JAX", "tf1": "TF 1.15", "tf2": "TF 2.21", "torch": "PyTorch",
          "numpy": "NumPy"}
CACHING = {"millstream", "jax"}  # the systems that keep compiled programs on disk
TIME_LIMIT = 300.0


class SampleError(Exception):
    """A system failed on a workload."""


def interpreter(system: str) -> str | None:
    """Returns the Python to run a system with, or None where it is not installed."""
    if system in ("millstream", "jax", "numpy"):
        return sys.executable
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    oracles = os.environ.get("MILLSTREAM_ORACLES") or Path(cache) / "millstream-oracles"
    python = Path(oracles) / system / "bin" / "python"
    return str(python) if python.exists() else None


def worker(name: str, system: str) -> list[str]:
    """Returns the command that runs a system's side of a workload."""
    return [interpreter(system), str(HERE / "worker.py"), name, system]


def environment(cache: str) -> dict[str, str]:
    """Returns the environment for a process whose compiled programs are kept in `cache`."""
    settings = {
        "MILLSTREAM_CACHE_DIR": cache,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # PYTHONPATH and its like belong to the Python that runs this, not to those of the other systems.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**inherited, **settings}


class Process:
    """A child process that is ended at the latest after TIME_LIMIT, and whose error output is kept."""

    def __init__(self, command: list[str], cache: str):
        self._errors = tempfile.TemporaryFile("w+")
        self._child = subprocess.Popen(command, env=environment(cache), text=True, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=self._errors)

    def ask(self, line: str) -> Any:
        """Writes a line to the child and returns its answer."""
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """Returns the child's next answer."""
        return json.loads(self._guarded(self._child.stdout.readline) or self._fail())

    def finish(self) -> None:
        """Waits for the child's end."""
        self._guarded(self._child.communicate)
        if self._child.returncode:
            self._fail()

    def close(self) -> None:
        """Ends the child if it still runs."""
        self._child.kill()
        self._child.communicate()
        self._errors.close()

    def _guarded(self, wait: Callable[[], T]) -> T:
        watch = threading.Timer(TIME_LIMIT, self._child.kill)
        watch.start()
        try:
            return wait()
        finally:
            watch.cancel()

    def _fail(self) -> NoReturn:
        self._child.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or [f"exit status {self._child.returncode}"]
        raise SampleError(lines[-1])


class Repeated:
    """A process that holds the prepared job and does it again and again."""

    def __init__(self, name: str, system: str, workload: ModuleType):
        self._workload = workload
        self._cache = tempfile.TemporaryDirectory()
        self._process = Process(worker(name, system), self._cache.name)
        ready = self._process.answer()
        self.versions, self.result = ready["versions"], ready["result"]

    def sample(self) -> dict[str, float]:
        calls = self._workload.REPEAT
        return {"": self._process.ask(str(calls))["seconds"] / calls / getattr(self._workload, "PER", 1)}

    def close(self) -> None:
        self._process.close()
        self._cache.cleanup()


class Fresh:
    """A new process for each sample: once, or cold and then warm, with a compilation cache of its own."""

    versions = result = None

    def __init__(self, name: str, system: str, workload: ModuleType):
        self._name, self._system, self._workload = name, system, workload
        runs = getattr(workload, "RUNS", ("",))
        self._runs = runs if system in CACHING else runs[:1]

    def sample(self) -> dict[str, float]:
        figures = {}
        with tempfile.TemporaryDirectory() as cache:
            for run in self._runs:
                for label, value in self._run(cache).items():
                    figures[f"{run} {label}".strip()] = value
        return figures

    def close(self) -> None:
        pass

    def _run(self, cache: str) -> dict[str, float]:
        if not hasattr(self._workload, "PROGRAMS"):
            return self._worker_figures(cache)
        command = [interpreter(self._system), "-c", self._workload.PROGRAMS[self._system]]
        start = time.perf_counter()
        with closing(Process(command, cache)) as process:
            process.finish()
            return {"": time.perf_counter() - start}

    def _worker_figures(self, cache: str) -> dict[str, float]:
        with closing(Process(worker(self._name, self._system), cache)) as process:
            answer = process.answer()
        self.versions = answer["versions"]
        return answer["figures"]


def sampler(name: str, system: str) -> Repeated | Fresh:
    """Returns what takes samples of a workload on a system."""
    workload = workloads.load(name)
    fresh = hasattr(workload, "PROGRAMS") or hasattr(workload, "figures")
    return (Fresh if fresh else Repeated)(name, system, workload)
