"""Numbers as strings, joining, templates."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(tensor: tf.Tensor) -> Any:
    with tf.Session() as session:
        found = session.run(tensor)
    return found.tolist() if isinstance(found, np.ndarray) else found


@pytest.mark.parametrize(
    "value, options, wanted",
    [
        ([1.5, -0.1, 1e10, float("nan")], {}, [b"1.500000", b"-0.100000", b"10000000000.000000", b"nan"]),
        ([1.5, 2.25], {"precision": 1}, [b"1.5", b"2.2"]),
        ([1.5, 1e10], {"scientific": True}, [b"1.500000e+00", b"1.000000e+10"]),
        ([1.5, 1e10], {"shortest": True}, [b"1.5", b"1e+10"]),
        ([1, -2], {"width": 5, "fill": "0"}, [b"00001", b"-0002"]),
        ([1, -2], {"width": 5, "fill": "-"}, [b"1    ", b"-2   "]),
        ([1, -2], {"width": 5, "fill": "+"}, [b"   +1", b"   -2"]),
        ([True, False], {}, [b"true", b"false"]),
        ([1 + 2j], {}, [b"(1.000000,2.000000)"]),
    ],
)
def test_as_string(value: Any, options: dict[str, Any], wanted: list[bytes]) -> None:
    assert run(tf.as_string(value, **options)) == wanted


@pytest.mark.parametrize(
    "value, options, message",
    [
        ([1], {"precision": 2}, "precision not supported"),
        ([1], {"shortest": True}, "scientific and shortest format not supported"),
        ([1.0], {"scientific": True, "shortest": True}, "Cannot select both scientific and shortest notation"),
        ([1.0], {"fill": "x"}, 'Fill argument not supported: "x"'),
        ([1.0], {"fill": "00"}, "Fill string must be one or fewer characters"),
    ],
)
def test_as_string_refuses(value: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(tf.as_string(value, **options))


def test_string_to_number() -> None:
    words = ["1", " 2\n", "-1.5e3", "+.5", "5.", "1e400", "INF", "-inf", "0x1F"]
    assert run(tf.string_to_number(words, tf.float64)) == [1, 2, -1500, 0.5, 5, *[float("inf")] * 2, -float("inf"), 31]
    assert np.isnan(run(tf.strings.to_number(input="nan")))
    assert run(tf.string_to_number([["-3", "007"]], tf.int32)) == [[-3, 7]]
    assert run(tf.string_to_number("9223372036854775807", tf.int64)) == 2**63 - 1


@pytest.mark.parametrize(
    "word, dtype",
    [
        *[(word, tf.float32) for word in ("", "abc", "1 2", "1_000", "1e", "infinity", "0x1p3", "+-1", "1f")],
        *[(word, tf.int32) for word in ("", "1.0", "+3", "- 3", "0x10", "2147483648")],
    ],
)
def test_string_to_number_refuses(word: str, dtype: Any) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="StringToNumberOp could not correctly convert string: "):
        run(tf.string_to_number(word, dtype))


def test_join() -> None:
    assert run(tf.string_join([["a", "b"], "x"], separator="-")) == [b"a-x", b"b-x"]
    assert run(tf.string_join(["a", "x"])) == b"ax"


def test_format() -> None:
    assert run(tf.strings.format("{} of {}", [tf.constant(1), tf.constant([2, 3])])) == b"1 of [2 3]"
    with pytest.raises(ValueError, match=r"2 placeholder\(s\) in template does not match 1 tensor\(s\)"):
        tf.strings.format("{} {}", [tf.constant(1)])
