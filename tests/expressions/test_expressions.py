"""What TensorFlow 2.21 gives for the expressions in this folder's text files. The README tells how to add one."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import millstream as tf

from .evaluate import Case, differences, evaluate, read

FILES = sorted(Path(__file__).parent.glob("*.txt"))
CASES = [pytest.param(case, id=f"{path.stem}/{case.expression}") for path in FILES for case in read(path)]


# Values that a function can give back: tensors, and no plain Python or NumPy values.
TENSORS = re.compile(r"[a-z]+\d*\[[\d,]*\]( |$)")


@pytest.mark.parametrize("case", CASES)
def test_eager(case: Case):
    assert not list(differences(case, evaluate(tf, case.expression)))


@pytest.mark.parametrize("case", CASES)
def test_in_function(case: Case):
    if not all(map(TENSORS.match, case.result)) or "eager" in case.remark or "tf.Variable" in case.expression:
        pytest.skip("not the same in a function")
    assert not list(differences(case, evaluate(tf, case.expression, lambda compute: tf.function(compute)())))
