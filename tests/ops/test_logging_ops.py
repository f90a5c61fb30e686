"""What tf.Print and tf.print write."""
from __future__ import annotations

import collections
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


X = np.array([[1, 2], [3, 4]], np.int32)


@pytest.mark.parametrize(
    "data, options, line",
    [
        ([X, ["a", "b"], 2.5], {"message": "m: "}, "m: [[1 2][3...]...][a b][2.5]"),
        ([X], {"summarize": 10}, "[[1 2][3 4]]"),
        ([], {}, ""),
    ],
)
def test_print_node(data: list[Any], options: dict[str, Any], line: str, capfd: Any) -> None:
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(tf.Print(tf.constant(X), data, **options)), X)
    assert capfd.readouterr() == ("", line + "\n")


def test_print_only_a_few_times(capfd: Any) -> None:
    printed = tf.Print(tf.constant(1.0), [1], "first ", first_n=2)
    (gradient,) = tf.gradients(printed * 3.0, printed)
    with tf.Session() as session:
        for _ in range(4):
            assert session.run(printed) == 1.0
        assert session.run(gradient) == 3.0
    assert capfd.readouterr().err == "first [1]\n" * 2


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    "inputs, options, text",
    [
        (("a", X, 3), {}, "a [[1 2]\n [3 4]] 3\n"),
        (([X[0], {"b": X[1], "c": "s", "d": 2.5}],), {}, "[[1 2], {'b': [3 4], 'c': 's', 'd': 2.5}]\n"),
        ((Pair(X[0], "x"), b"bb", None), {}, "Pair(a=[1 2], b='x') b'bb' None\n"),
        (("x", [1, "a"]), {"sep": "", "end": "|"}, "x[1, 'a']|"),
        ((np.arange(10),), {"summarize": 2}, "[0 1 ... 8 9]\n"),
        (("{}", X[0]), {"sep": " {} "}, "{} {} [1 2]\n"),
        ((), {}, "\n"),
    ],
)
def test_print_function(inputs: Any, options: dict[str, Any], text: str, capfd: Any) -> None:
    def as_tensors(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return tf.constant(value)
        if isinstance(value, dict):
            return {key: as_tensors(item) for key, item in value.items()}
        if isinstance(value, Pair):
            return Pair(*map(as_tensors, value))
        return [as_tensors(item) for item in value] if isinstance(value, list) else value

    with tf.Session() as session:
        session.run(tf.print(*map(as_tensors, inputs), **options))
    assert capfd.readouterr() == ("", text)


def test_streams(capfd: Any, tmp_path: Path) -> None:
    target = tmp_path / "log"
    with tf.Session() as session:
        session.run(tf.print("out", output_stream=sys.stdout))
        session.run(tf.print(tf.constant("direct"), output_stream="file://" + str(target)))
        session.run(tf.print("more", output_stream="file://" + str(target)))
    assert capfd.readouterr() == ("out\n", "")
    assert target.read_text() == "direct\nmore\n"
    with pytest.raises(ValueError, match="Unsupported output stream, logging level, or file.3.5"):
        tf.print("a", output_stream=3.5)
    with pytest.raises(ValueError, match="Unrecognized keyword arguments for tf.print: {'foo': 1}"):
        tf.print("a", foo=1)
