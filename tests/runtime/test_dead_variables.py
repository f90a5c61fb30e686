"""Variables of loops and results of branches that a run does not need."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import opdef
from millstream.runtime import region_plan
from millstream.runtime.lowering import flattened


def loops_of(*fetches: Any) -> list[Any]:
    """The loops that a run of some tensors has."""
    part = flattened(tf.get_default_graph(), fetches, [], [])
    return [op for op in part.graph._operations if op.type in region_plan.LOOPS]


def doubled() -> tuple[Any, Any]:
    """A loop of which nobody knows how often it turns, and its derivative."""
    x = tf.placeholder_with_default(1.5, [])
    y = tf.while_loop(lambda y: y < 100.0, lambda y: y * x, (x,))
    return y, tf.gradients(y, x)[0]


def test_what_derivatives_need_is_kept_for_them_alone() -> None:
    with tf.Graph().as_default():
        y, gradient = doubled()
        (alone,) = loops_of(y)
        assert len(alone.outputs) == 2  # the variable, and x
        assert len(loops_of(y, gradient)[0].outputs) > 2
        with tf.Session() as session:
            turns = np.ceil(np.log(100 / 1.5) / np.log(1.5))
            np.testing.assert_allclose(session.run(y), 1.5 ** (turns + 1), rtol=1e-5)
            np.testing.assert_allclose(session.run(gradient), (turns + 1) * 1.5**turns, rtol=1e-5)


def test_an_open_loop_is_compiled_where_its_turns_are_not_kept(monkeypatch) -> None:
    driven: list[str] = []
    mark = region_plan.put_on_host
    monkeypatch.setattr(region_plan, "put_on_host", lambda op: (driven.append(op.name), mark(op)))
    with tf.Graph().as_default(), tf.Session() as session:
        y, gradient = doubled()
        session.run(y)
        assert not driven
        session.run(gradient)
        assert driven


def test_what_a_needed_variable_or_the_condition_depends_on_is_needed() -> None:
    def body(i: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return i + 1, a + b, b * 2.0, c + a, d + c

    with tf.Graph().as_default(), tf.Session() as session:
        loop = tf.while_loop(lambda i, *_: i < 5, body, (0, 0.0, 1.0, 0.0, 0.0))
        for number, count in enumerate((1, 3, 2, 4, 5)):
            assert len(loops_of(loop[number].op.inputs[0])[0].outputs) == count
        assert session.run(list(loop)) == [session.run(variable) for variable in loop] == [5, 31.0, 32.0, 26.0, 16.0]


def test_what_a_run_does_not_need_does_not_run() -> None:
    seen: list[int] = []

    def note(i: Any) -> Any:
        seen.append(int(i))
        return i

    with tf.Graph().as_default(), tf.Session() as session:
        loop = tf.while_loop(lambda i, _: i < 3, lambda i, j: (i + 1, tf.py_func(note, [i], tf.int32)), (0, 0),
                             shape_invariants=(tf.TensorShape([]), tf.TensorShape(None)))  # fmt: skip
        assert session.run(loop[0]) == 3
        assert not seen
        assert session.run(loop[1]) == 2
        assert seen == [0, 1, 2]


def test_effects_stay() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=0.0, use_resource=True)

        def body(i: Any, x: Any) -> Any:
            with tf.control_dependencies([v.assign_add(x)]):
                return i + 1, x * 2.0

        i, _ = tf.while_loop(lambda i, _: i < 4, body, (0, 1.0))
        session.run(v.initializer)
        assert session.run(i) == 4
        assert session.run(v) == 15.0


def test_a_random_stream_is_the_same_whatever_a_run_needs() -> None:
    def body(i: Any, x: Any, y: Any) -> Any:
        return i + 1, tf.random_uniform([], seed=1), y * 2.0

    with tf.Graph().as_default():
        tf.set_random_seed(1)
        loop = tf.while_loop(lambda i, *_: i < 1, body, (0, 0.0, 1.0))
        with tf.Session() as session:
            expected = [session.run(loop[1]) for _ in range(3)]
        with tf.Session() as session:
            assert [session.run(loop[1]), session.run(loop)[1], session.run(loop[1])] == expected


def test_functions_are_made_once_for_the_same_variables() -> None:
    with tf.Graph().as_default():
        i, _ = tf.while_loop(lambda i, _: i < 4, lambda i, x: (i + 1, x * 2.0), (0, 1.0))
        assert opdef.functions_of(loops_of(i)[0]) == opdef.functions_of(loops_of(i)[0])


# --- Branches ---------------------------------------------------------------------------------------------------------


def in_cond(p: Any, x: Any, y: Any) -> Any:
    return tf.cond(p, lambda: (x * 2.0, y * 2.0), lambda: (x, y))


def in_case(p: Any, x: Any, y: Any) -> Any:
    third = (p, lambda: (x * 2.0, y * 2.0))
    return tf.case([(p & (x > 100.0), lambda: (x - 1.0, y)), third], default=lambda: (x, y))


def in_switch_case(p: Any, x: Any, y: Any) -> Any:
    return tf.switch_case(tf.cast(p, tf.int32), [lambda: (x, y), lambda: (x * 2.0, y * 2.0)])


def in_a_cond_in_a_loop(p: Any, x: Any, y: Any) -> Any:
    def body(i: Any, a: Any, b: Any) -> Any:
        return i + 1, *tf.cond(p, lambda: (a + x, b + y), lambda: (a * 1.0, b * y))

    return tf.while_loop(lambda i, *_: i < 2, body, (0, x * 0.0, 0.0))[1:]


@pytest.mark.parametrize("build", [in_cond, in_case, in_switch_case, in_a_cond_in_a_loop])
def test_what_only_other_results_use_need_not_be_fed(build) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        p, x, y = (tf.placeholder(dtype, []) for dtype in (tf.bool, tf.float32, tf.float32))
        first, second = build(p, x, y)
        assert session.run(first, {p: True, x: 3.0}) == 6.0
        assert session.run([first, second], {p: True, x: 3.0, y: 4.0}) == [6.0, 8.0]
        with pytest.raises(tf.errors.InvalidArgumentError, match="You must feed a value for placeholder"):
            session.run(second, {p: True, x: 3.0})


def test_a_result_does_not_bring_the_effects_of_others() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(0.0)
        p = tf.placeholder(tf.bool, [])
        first, second = tf.cond(p, lambda: (tf.constant(1.0), tf.assign_add(v, 1.0)), lambda: (2.0, 3.0))
        session.run(v.initializer)
        assert session.run(first, {p: True}) == 1.0
        assert session.run(v) == 0.0
        assert session.run(second, {p: True}) == session.run(v) == 1.0


def test_what_is_awaited_in_a_branch_runs_only_for_who_waits() -> None:
    updates = []

    def update() -> Any:
        updates.append(tf.assign_add(v, 1.0).op)
        return tf.constant(1.0)

    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(0.0)
        p = tf.placeholder(tf.bool, [])
        y = tf.cond(p, update, lambda: tf.constant(2.0))
        with tf.control_dependencies(updates):
            after = tf.identity(y)
        session.run(v.initializer)
        assert session.run(y, {p: True}) == 1.0
        assert session.run(v) == 0.0
        assert session.run(after, {p: True}) == session.run(v) == 1.0
