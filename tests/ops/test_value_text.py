"""Values as text, as TensorFlow 1.15 writes them."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from millstream.ops.value_text import format_value, summarize

FLOATS = np.array([1e10, 1e-10, np.nan, np.inf, -np.inf, 123456789.0, 0.1], np.float32)


@pytest.mark.parametrize(
    "value, limit, first, edges",
    [
        (np.float32(1.5), 3, "1.5", "1.5"),
        (np.int32(7), 0, "...", "..."),
        (np.arange(1, 6), 3, "1 2 3...", "[1 2 3 4 5]"),
        (np.arange(1, 6), 2, "1 2...", "[1 2 ... 4 5]"),
        (np.arange(1, 6), -1, "1 2 3 4 5", "[1 2 3 4 5]"),
        (np.arange(1, 6), 0, "...", "[ ...]"),
        (np.arange(6).reshape(2, 3), 2, "[0 1...]...", "[[0 1 2]\n [3 4 5]]"),
        (np.arange(10).reshape(5, 2), 3, "[0 1][2...]...", "[[0 1]\n [2 3]\n [4 5]\n [6 7]\n [8 9]]"),
        (np.arange(10).reshape(5, 2), 1, "[0...]...", "[[0 1]\n ...\n [8 9]]"),
        (np.arange(8).reshape(2, 2, 2), 1, "[[0...]]...", "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"),
        (np.zeros((0,)), 3, "", "[]"),
        (np.zeros((2, 0)), 3, "", "[\n ...]"),
        (np.array([True, False]), 3, "1 0", "[1 0]"),
        (np.array([b"a", b"it's\n"], object), 3, r"a it\'s\n", r'["a" "it\'s\n"]'),
        (np.array("é".encode(), object), 3, r"\303\251", '"é"'),
        (FLOATS, -1, "1e+10 1e-10 nan inf -inf 123456792 0.1", "[1e+10 1e-10 nan inf -inf 123456792 0.1]"),
        (np.array([1 / 3, 1234567.8]), -1, "0.33333333333333331 1234567.8", "[0.33333333333333331 1234567.8]"),
        (np.array([1.5, 2.25], np.float16), -1, "1.5 2.25", "[1.5 2.25]"),
        (np.array([1j]), 3, "?", "[?]"),
    ],
)  # fmt: skip
def test_values(value: Any, limit: int, first: str, edges: str) -> None:
    assert summarize(value, limit) == first
    assert format_value(value, limit) == edges
