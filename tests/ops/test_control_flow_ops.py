"""Branches made of Switch and Merge, gates, and assertions."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.ops.control_flow_ops import merge_op, switch_op, with_dependencies


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def _conditional(pred: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
    otherwise, then = switch_op(x, pred)
    return merge_op([otherwise - 1.0, then * 10.0])


def test_only_the_chosen_branch_runs() -> None:
    pred, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [2])
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda array: calls.append(name) or array

    otherwise, then = switch_op(x, pred)
    result, which = merge_op(
        [tf.py_func(note("false"), [otherwise], tf.float32), tf.py_func(note("true"), [then], tf.float32)]
    )
    with tf.Session() as session:
        assert session.run(which, {pred: True, x: [1.0, 2.0]}) == 1
        assert session.run(which, {pred: False, x: [1.0, 2.0]}) == 0
    assert calls == ["true", "false"]
    assert result.dtype is tf.float32


def test_the_value_and_gradient_of_a_conditional() -> None:
    pred, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [2])
    result, _ = _conditional(pred, x)
    (gradient,) = tf.gradients(result, x)
    with tf.Session() as session:
        for choice, value, slope in ((True, [10, 20], 10), (False, [0, 1], 1)):
            found, derivative = session.run([result, gradient], {pred: choice, x: [1.0, 2.0]})
            np.testing.assert_array_equal(found, value)
            np.testing.assert_array_equal(derivative, [slope, slope])


def test_merged_shapes() -> None:
    a, b = tf.placeholder(tf.float32, [2, 3]), tf.placeholder(tf.float32, [2, 4])
    assert merge_op([a, a])[0].shape.as_list() == [2, 3]
    assert merge_op([a, b])[0].shape.ndims == 2
    assert merge_op([a, tf.placeholder(tf.float32)])[0].shape.ndims is None


def test_a_gate_holds_back_values() -> None:
    v = tf.Variable(1.0, dtype=tf.float32)
    assigned = tf.assign(v, 5.0)
    late = with_dependencies([assigned.op], tf.constant(2.0))
    both = tf.tuple([tf.constant(1.0), None], control_inputs=[assigned])
    with tf.Session() as session:
        session.run(v.initializer)
        assert session.run(late) == 2.0 and session.run(v) == 5.0
        session.run(v.initializer)
        assert both[1] is None and session.run(both[0]) == 1.0 and session.run(v) == 5.0


def test_group_flattens_and_refuses() -> None:
    x = tf.constant(1.0)
    joined = tf.group([x, {"a": (tf.identity(x),)}])
    assert {op.name for op in joined.control_inputs} == {"Const", "Identity"}
    with pytest.raises(TypeError, match="Expected tf.group"):
        tf.group(3)
    with pytest.raises(ValueError, match="Unknown keyword arguments"):
        tf.group(x, nam="x")


@pytest.mark.parametrize(
    "data, summarize, shown",
    [
        (["x is", [1, 2, 3, 4]], None, "[x is] [1 2 3...]"),
        ([[[1, 2], [3, 4]]], 3, "[[1 2][3...]...]"),
        ([["it's", "b"]], -1, r"[it\'s b]"),
        ([1.0 / 3, True], None, "[0.333333343] [1]"),
    ],
)
def test_the_message_of_a_failed_assertion(data: list[Any], summarize: int | None, shown: str) -> None:
    ok = tf.placeholder(tf.bool, [])
    check = tf.Assert(ok, data, summarize=summarize)
    with tf.Session() as session:
        session.run(check, {ok: True})
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(check, {ok: False})
    assert str(caught.value).splitlines()[0] == f"assertion failed: {shown}"
