"""Python functions as operations: what they receive, what they may give, and what becomes of their errors."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(function: Any, inputs: list[Any], types: Any, **options: Any) -> Any:
    with tf.Session() as session:
        return session.run(tf.py_func(function, inputs, types, **options))


def test_what_a_function_receives() -> None:
    seen: list[Any] = []

    def look(*values: Any) -> np.float32:
        seen.extend(values)
        return np.float32(1)

    run(look, [1.0, [1, 2], "a", ["b", "c"], True, [[1.5]]], tf.float32)
    assert [type(value) for value in seen] == [np.float32, np.ndarray, bytes, np.ndarray, np.bool_, np.ndarray]
    assert seen[2] == b"a" and seen[3].dtype == object and seen[3].tolist() == [b"b", b"c"]


def test_a_function_may_write_to_its_arguments() -> None:
    fed = np.array([1.0, 2.0], np.float32)
    x = tf.placeholder(tf.float32, [2])

    def clear(array: Any) -> Any:
        array[:] = 0
        return array

    with tf.Session() as session:
        np.testing.assert_array_equal(session.run([tf.py_func(clear, [x], tf.float32), x], {x: fed})[0], [0, 0])
    np.testing.assert_array_equal(fed, [1, 2])


@pytest.mark.parametrize(
    "value, types, wanted",
    [
        ("abc", tf.string, b"abc"),
        (["abc", b"d"], [tf.string, tf.string], [b"abc", b"d"]),
        (b"xyz", [tf.string], [b"xyz"]),
        ((np.float32(1), 2), [tf.float32, tf.int64], [1.0, 2]),
        ([[1.0, 2.0]], tf.float64, [1.0, 2.0]),
        (None, [], None),
    ],
)
def test_results(value: Any, types: Any, wanted: Any) -> None:
    found = run(lambda: value, [], types)
    if isinstance(found, np.ndarray):
        found = found.tolist()
    assert found == wanted


@pytest.mark.parametrize(
    "value, types, message",
    [
        (1.0, tf.float32, "0-th value returned by pyfunc_[0-9]+ is double, but expects float"),
        ((1.0, 2.0), [tf.float64], "pyfunc_[0-9]+ returns 2 values, but expects to see 1 values."),
        (None, [tf.float32], "pyfunc_[0-9]+ returns 0 values, but expects to see 1 values."),
        (1.0, [], "pyfunc_[0-9]+ returns 1 values, but expects to see 0 values."),
    ],
)
def test_results_of_another_kind(value: Any, types: Any, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(lambda: value, [], types)


def test_results_that_are_no_arrays() -> None:
    with pytest.raises(tf.errors.InternalError, match="Unsupported object type dict"):
        run(lambda: {}, [], tf.float32)


@pytest.mark.parametrize(
    "error, kind",
    [
        (ValueError, tf.errors.InvalidArgumentError),
        (TypeError, tf.errors.InvalidArgumentError),
        (StopIteration, tf.errors.OutOfRangeError),
        (MemoryError, tf.errors.ResourceExhaustedError),
        (NotImplementedError, tf.errors.UnimplementedError),
        (KeyError, tf.errors.UnknownError),
    ],
)
def test_errors_of_the_function(error: type[Exception], kind: type[Exception]) -> None:
    def fail() -> None:
        raise error("boo")

    with pytest.raises(kind, match=f"^{error.__name__}: '?boo") as caught:
        run(fail, [], tf.float32)
    assert isinstance(caught.value.__cause__, error) and "in fail" in str(caught.value)


def test_a_function_must_be_callable() -> None:
    with pytest.raises(ValueError, match="Expected func to be callable, got func of type <class 'int'>"):
        tf.py_func(3, [], tf.float32)


def test_functions_stay_with_their_graph() -> None:
    outer = tf.py_func(lambda: np.float32(1), [], tf.float32)
    with tf.Graph().as_default() as other:
        inner = tf.py_func(lambda: np.float32(2), [], tf.float32)
    assert outer.op.attrs["token"] not in other.extensions["py_funcs"]
    with tf.Session() as session, tf.Session(graph=other) as second:
        assert (session.run(outer), second.run(inner)) == (1, 2)
