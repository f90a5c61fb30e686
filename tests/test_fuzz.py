"""A short run of each fuzzer (`fuzz/`) without atheris: seeds, changed at random but always in the same way."""
from __future__ import annotations

import random
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).parent.parent / "fuzz"
# How many mutations of each seed are tried, 200 where none is named: those that build graphs take longer.
MUTATIONS = {"graph_def": 60, "meta_graph": 25, "object_graph": 40, "saved_model": 8}
MOST_SECONDS = 10.0  # for one input
MOST_BYTES = 256 << 20  # that one input takes at a time


def load(name: str) -> Any:
    sys.path.insert(0, str(FUZZ))
    try:
        import run

        return run.load(name)
    finally:
        sys.path.remove(str(FUZZ))


def mutated(seed: bytes, source: random.Random) -> bytes:
    """A seed with some bytes changed, left out or put in, or the rest cut off."""
    data = bytearray(seed)
    for _ in range(source.choice([1, 1, 2, 5])):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << source.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = source.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del data[place : place + source.randrange(1, 9)]
        elif kind == 3:
            data[place:place] = source.randbytes(source.randrange(1, 9))
        elif source.randrange(8) == 0:
            del data[place:]
        else:
            start = source.randrange(len(data) + 1)
            data[place:place] = data[start : start + source.randrange(1, 40)]
    return bytes(data)


@pytest.mark.parametrize("name", sorted(path.stem for path in (FUZZ / "targets").glob("*.py")))
def test_mutated_seeds(name: str) -> None:
    target, source = load(name), random.Random(name)
    for seed in target.SEEDS():
        for data in (seed, b"", *(mutated(seed, source) for _ in range(MUTATIONS.get(name, 200)))):
            start = time.process_time()
            target.TestOneInput(data)
            assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize("name", ["bundle", "index_entry", "records", "sorted_table", "tensor_proto", "v1_checkpoint"])
def test_memory(name: str) -> None:
    target, source = load(name), random.Random(name)
    for seed in target.SEEDS():
        target.TestOneInput(seed)  # what is loaded at the first call does not count
        tracemalloc.start()
        try:
            for _ in range(20):
                target.TestOneInput(mutated(seed, source))
            assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
        finally:
            tracemalloc.stop()
