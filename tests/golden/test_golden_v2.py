"""Replays the golden cases of TensorFlow 2.21.0, for what is in 2.x only."""
from __future__ import annotations

import pytest

import millstream as tf

from . import calls, compare, spec
from .test_golden import recorded

CASES = [case for family in spec.families(tensorflow=2) for case in family.cases.values()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_golden(case: spec.Case) -> None:
    if case.name not in recorded(case.family):
        pytest.fail(f"{case.id} has not been recorded; see tests/golden/README.md")
    call = calls.taped(case, tf, calls.plain(case, tf))
    seen = calls.observed(case, tf, call, lambda: tf.random.set_seed(None))
    found = compare.differences_of_calls(case, recorded(case.family)[case.name], seen)
    if found:
        pytest.fail(f"{case.id}: {len(found)} difference(s) from TensorFlow 2.21.0\n"
                    + "\n".join("* " + text for text in found), pytrace=False)
