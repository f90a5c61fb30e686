"""Runs the fuzzers, one after the other, each in a process of its own.

    python fuzz/run.py                          all of them, a minute each
    python fuzz/run.py --seconds 600 bundle     one of them
    python fuzz/run.py --replay FILE bundle     one input, such as a crash that was found

Exit code 1: one has found something. The input lies in fuzz/found/ then; README.md says what to do with it.
"""
from __future__ import annotations

import argparse
import importlib
import logging
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOUND = HERE / "found"
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.py"))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where files are quick
LIMITS = ["-rss_limit_mb=2048", "-timeout=20", "-max_len=65536"]  # libFuzzer's


def load(name: str) -> object:
    """The module of a fuzzer."""
    sys.path[:0] = [path for path in (str(HERE), str(HERE / "targets")) if path not in sys.path]
    return importlib.import_module(f"targets.{name}")


def fuzz(name: str, seconds: int, seed: int) -> None:
    """Fuzzes in this process, which it ends."""
    import atheris

    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)  # readers warn of thousands of files
    corpus = Path(os.environ["FUZZ_FOLDER"]) / "corpus"
    corpus.mkdir()
    with atheris.instrument_imports(include=["millstream"]):
        target = load(name)
        for number, data in enumerate(target.SEEDS()):
            (corpus / str(number)).write_bytes(data)
            target.TestOneInput(data)  # imports what is imported on first use
    FOUND.mkdir(exist_ok=True)
    limits = [*LIMITS, f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={FOUND}/{name}-"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], target.TestOneInput, **_mutator(target))
    atheris.Fuzz()


def _mutator(target: Any) -> dict[str, Any]:
    """How atheris changes inputs that are messages: as such, or one time in two as other inputs."""
    if not hasattr(target, "MESSAGE"):
        return {}
    import atheris
    import mutation

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        source = random.Random(seed)
        if source.randrange(2):
            changed = mutation.mutated(data, target, source)
            if len(changed) <= most_bytes:
                return changed
        return bytes(atheris.Mutate(data, most_bytes))

    return {"custom_mutator": mutate}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="which ones (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="how long each runs (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs each time (default: 0, others each time)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input instead")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    arguments = parser.parse_args()
    names = arguments.targets or TARGETS
    if arguments.replay:
        for name in names:
            load(name).TestOneInput(arguments.replay.read_bytes())
        return 0
    if arguments.here:
        fuzz(names[0], arguments.seconds, arguments.seed)
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        options = [f"--seconds={arguments.seconds}", f"--seed={arguments.seed}"]
        command = [sys.executable, __file__, "--here", *options, name]
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY) as folder:
            done = subprocess.run(command, check=False, env={**os.environ, "FUZZ_FOLDER": folder})
        if done.returncode:
            failed.append(name)
    print("found something: " + ", ".join(failed) if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
