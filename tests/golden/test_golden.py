"""Replays the golden cases on Millstream and compares with the recorded TensorFlow 1.15.5."""
from __future__ import annotations

import functools
import json
import os
from typing import Any

import pytest

from . import compare, observe, spec

DATA_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


@functools.lru_cache(maxsize=None)
def recorded(family: str) -> dict[str, Any]:
    with open(os.path.join(DATA_FOLDER, family + ".json"), encoding="utf-8") as file:
        return json.load(file)["cases"]


ALL_CASES = [case for name in spec.family_names() for case in spec.load(name).cases.values()]


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.id)
def test_golden(case: spec.Case) -> None:
    import millstream.v1 as tf

    if case.name not in recorded(case.family):
        pytest.fail(f"{case.id} has not been recorded; see tests/golden/README.md")
    found = compare.differences(case, recorded(case.family)[case.name], observe.observe(case, tf))
    if found:
        pytest.fail(f"{case.id}: {len(found)} difference(s) from TensorFlow 1.15.5\n"
                    + "\n".join("* " + text for text in found), pytrace=False)


@pytest.mark.parametrize("family", spec.family_names())
def test_recording_has_no_leftovers(family: str) -> None:
    assert set(recorded(family)) == set(spec.load(family).cases)
