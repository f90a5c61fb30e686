"""A short run of each fuzzer (`fuzz/`) without atheris: seeds, changed at random but always in the same way."""
from __future__ import annotations

import importlib
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.io import tensor_proto

FUZZ = Path(__file__).parent.parent / "fuzz"
TARGETS = sorted(path.stem for path in (FUZZ / "targets").glob("*.py"))
# How many mutations of each seed are tried, 200 where none is named: those that build graphs take longer.
MUTATIONS = {
    "graph_def_text": 100, "index_entry": 100, "meta_graph_text": 50, "object_graph": 40, "saved_model": 40,
    "saved_model_text": 10,
}  # fmt: skip
MOST_SECONDS = 10.0  # for one input
MOST_BYTES = 32 << 20  # that one input takes at a time, beyond what was taken before


def load(name: str) -> Any:
    return module("run").load(name)


def module(name: str) -> Any:
    """A module of the fuzzers'."""
    sys.path.insert(0, str(FUZZ))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FUZZ))


def mutations(target: Any, seed: bytes, count: int, source: random.Random) -> Iterator[bytes]:
    return (module("mutation").mutated(seed, target, source) for _ in range(count))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_seeds(name: str) -> None:
    target, source = load(name), random.Random(name)
    mutation, refused = module("mutation"), module("support").refused
    tried = parsed = accepted = 0
    for seed in target.SEEDS():
        for data in (seed, b"", *mutations(target, seed, MUTATIONS.get(name, 200), source)):
            refused.clear()
            start = time.process_time()
            target.TestOneInput(data)
            assert time.process_time() - start < MOST_SECONDS
            if hasattr(target, "MESSAGE"):
                is_message = mutation.parsed(data, target.MESSAGE, getattr(target, "TEXT", False)) is not None
                tried, parsed, accepted = tried + 1, parsed + is_message, accepted + (is_message and not refused)
    assert parsed >= tried * 3 / 4  # else the readers behind the parser are not tried
    assert accepted >= tried / 4


@pytest.mark.parametrize("name", TARGETS)
def test_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_proto, "_LARGEST_FILL", 1 << 23)  # the one limit that is higher
    target, source = load(name), random.Random(f"{name} memory")
    for seed in target.SEEDS():
        target.TestOneInput(seed)  # what is loaded at the first call does not count
        inputs = list(mutations(target, seed, 8, source))
        tracemalloc.start()
        try:
            for data in inputs:
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                target.TestOneInput(data)
                assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES
        finally:
            tracemalloc.stop()
