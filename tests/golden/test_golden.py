"""Replays the golden cases on Millstream, in three modes, and compares with the recorded TensorFlow 1.15.5."""
from __future__ import annotations

import functools
import json
import os
from typing import Any

import pytest

from . import compare, observe, replay, spec

DATA_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


@functools.lru_cache(maxsize=None)
def recorded(family: str) -> dict[str, Any]:
    with open(os.path.join(DATA_FOLDER, family + ".json"), encoding="utf-8") as file:
        return json.load(file)["cases"]


ALL_CASES = [case for family in spec.families(tensorflow=1) for case in family.cases.values()]


def differences_in_graph(case: spec.Case, expected: dict[str, Any], tf: Any) -> list[str]:
    return compare.differences(case, expected, observe.observe(case, tf))


MODES = {
    "graph": differences_in_graph,
    "eager": replay.differences_eagerly,
    "function": replay.differences_in_function,
}
RUNS = [pytest.param(mode, case, id=f"{mode}-{case.id}") for case in ALL_CASES for mode in MODES
        if case.runs_in(mode)]


@pytest.mark.filterwarnings("ignore:Converting sparse IndexedSlices to a dense Tensor of unknown shape")
@pytest.mark.parametrize(("mode", "case"), RUNS)
def test_golden(mode: str, case: spec.Case) -> None:
    import millstream.v1 as tf

    if case.name not in recorded(case.family):
        pytest.fail(f"{case.id} has not been recorded; see tests/golden/README.md")
    found = MODES[mode](case, recorded(case.family)[case.name], tf)
    if found:
        pytest.fail(f"{case.id} ({mode}): {len(found)} difference(s) from TensorFlow 1.15.5\n"
                    + "\n".join("* " + text for text in found), pytrace=False)


@pytest.mark.parametrize("family", spec.family_names())
def test_recording_has_no_leftovers(family: str) -> None:
    assert set(recorded(family)) == set(spec.load(family).cases)


@pytest.mark.parametrize(("mode", "share"), [("eager", 0.75), ("function", 0.75)])
def test_most_cases_run_in_a_mode(mode: str, share: float) -> None:
    assert sum(case.runs_in(mode) for case in ALL_CASES) >= share * len(ALL_CASES)
