"""Python's operators on tensors: conversion of the other operand, names, other classes, equality."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import context
from millstream.ops import operators


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize(
    ("expression", "dtype"),
    [
        ("f + 1", "float32"), ("1 + f", "float32"), ("f + True", "float32"), ("c + 1.0", "complex64"),
        ("h + 1.5", "float16"), ("f + [1, 2]", "float32"), ("i + np.array([1.5, 2.5])", "int32"),
        ("np.array([1.5, 2.5]) * i", "int32"), ("i / i", "float64"), ("b8 / b8", "float32"), ("i // 2", "int32"),
        ("i % 2", "int32"), ("i ** 2", "int32"), ("2 - f", "float32"), ("f > 1", "bool"), ("1 >= f", "bool"),
        ("b & True", "bool"), ("True | b", "bool"), ("b ^ b", "bool"), ("~b", "bool"), ("-f", "float32"),
        ("abs(c)", "float32"), ("s + 'b'", "string"), ("'b' + s", "string"), ("m @ [[1.0], [2.0]]", "float32"),
        ("[[1.0, 2.0]] @ m", "float32"),
    ],
)  # fmt: skip
def test_the_other_operand_takes_the_tensors_dtype(expression: str, dtype: str) -> None:
    tensors = {
        "f": tf.constant([1.0, 2.0]), "i": tf.constant([1, 2]), "c": tf.constant([1j, 2], tf.complex64),
        "h": tf.constant([1.0, 2.0], tf.float16), "b": tf.constant([True, False]), "s": tf.constant("a"),
        "b8": tf.constant([1, 2], tf.int8), "m": tf.constant([[1.0, 2.0], [3.0, 4.0]]),
    }  # fmt: skip
    assert eval(expression, {"np": np, **tensors}).dtype.name == dtype


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        ("f + i", TypeError, "Input 'y' of 'AddV2' Op has type int32 that does not match type float32"),
        ("i + 1.5", TypeError, "Input 'y' of 'AddV2' Op has type float32 that does not match type int32"),
        ("1.5 + i", TypeError, "Expected int32, got 1.5 of type 'float' instead."),
        ("f + None", ValueError, "None values not supported."),
        ("b + b", TypeError, "Value passed to parameter 'x' has DataType bool not in list of allowed values"),
        ("-b", TypeError, "Value passed to parameter 'x' has DataType bool not in list of allowed values"),
        ("i & i", TypeError, "Input 'x' of 'LogicalAnd' Op has type int32 that does not match expected type"),
        ("f / i", TypeError, "x and y must have the same dtype, got tf.float32 != tf.int32"),
        ("f + [1, 2, 3]", ValueError, "Dimensions must be equal, but are 2 and 3 for 'add' (op: 'AddV2')"),
    ],
)
def test_operands_that_do_not_fit(expression: str, error: type[Exception], message: str) -> None:
    tensors = {"f": tf.constant([1.0, 2.0]), "i": tf.constant([1, 2]), "b": tf.constant([True, False])}
    with pytest.raises(error) as raised:
        eval(expression, tensors)
    assert str(raised.value).startswith(message)


def test_names_of_nodes(graph: Any) -> None:
    x = tf.constant(1.0, name="x")
    _ = (x + 1.0, 2.0 * x, x / x, x < 3.0, x**x, x == x)
    assert [op.name for op in graph.get_operations()] == [
        "x", "add/y", "add", "mul/x", "mul", "truediv", "Less/y", "Less", "pow",
    ]  # fmt: skip


def test_operators_build_in_the_graph_of_their_tensor(graph: Any) -> None:
    x = tf.constant(1.0)
    with tf.Graph().as_default() as other:
        assert (x + 1.0).graph is graph
        assert (2.0 / x).graph is graph
        assert not other.get_operations()


def test_the_right_operand_may_take_over() -> None:
    class Right:
        def __radd__(self, other: Any) -> str:
            return "mine"

    assert tf.constant(1.0) + Right() == "mine"


def test_other_classes_get_the_operators() -> None:
    class Box:
        def __init__(self, value: Any) -> None:
            self.value = value

    operators.install(Box, lambda box: tf.constant(box.value))
    with tf.Session() as session:
        found = session.run([Box(2.0) + 1.0, 1.0 - Box(2.0), -Box(2.0), Box(2.0) < 3.0, abs(Box(-2.0))])
    assert found == [3.0, -1.0, -2.0, True, 2.0]


def test_equality_is_identity_in_graphs_made_by_hand() -> None:
    x, y = tf.constant([1, 2]), tf.constant([1, 3])
    assert x == x and x != y and not x == y  # noqa: SIM201 - the operators are what is tested
    tf.enable_tensor_equality()
    try:
        assert x == x and (x == y) is False and (x != y) is True
        with context.mode(True):
            a, b = tf.constant([1, 2]), tf.constant([1, 3])
            assert (a == b).numpy().tolist() == [True, False] and (a != 1).numpy().tolist() == [False, True]
            assert (a == None) is False and (a != None) is True  # noqa: E711
    finally:
        tf.disable_tensor_equality()
    assert (x == y) is False
