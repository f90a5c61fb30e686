"""Branches and loops as parts of programs, and driven from the host: the same numbers either way."""
from __future__ import annotations

from typing import Any

import pytest

import millstream as tf
from millstream.runtime import compiler, functions, region_plan


@pytest.fixture
def on_host(monkeypatch) -> list[str]:
    """The operations that turn out to need the host while they are compiled."""
    found: list[str] = []
    mark = region_plan.put_on_host

    def put_on_host(op: Any) -> None:
        found.append(op.type)
        mark(op)

    monkeypatch.setattr(region_plan, "put_on_host", put_on_host)
    return found


def steps(function: Any, *args: Any) -> list[Any]:
    """The steps in which a function runs."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*args)
    concrete(*args)
    (runner,) = [item for item in concrete.function.runners.values() if isinstance(item, functions.FunctionRunner)]
    return runner._steps


def halves(x: Any) -> Any:
    return tf.while_loop(lambda x, n: x > 1.0, lambda x, n: (x / 2.0, n + 1), (x, 0))[1]


def test_a_function_with_loops_and_branches_is_one_program() -> None:
    (step,) = steps(lambda x: tf.cond(x > 0, lambda: halves(x), lambda: 0), tf.constant(10.0))
    assert isinstance(step, compiler.CompiledStage)
    assert step._traces == 1


def test_a_derivative_of_a_counted_loop_is_one_program(on_host) -> None:
    def derivative(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
        return tape.gradient(y, x)

    (step,) = steps(derivative, tf.constant(0.5))
    assert isinstance(step, compiler.CompiledStage)
    assert not on_host


@pytest.mark.filterwarnings("ignore:Converting sparse IndexedSlices")
def test_the_number_of_turns_may_come_from_a_shape(on_host) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)], autograph=False)
    def derivative(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(lambda i, y: i < tf.size(x), lambda i, y: (i + 1, y * tf.gather(x, i)), (0, 1.0))[1]
        return tape.gradient(y, x)

    assert derivative(tf.constant([2.0, 3.0, 4.0])).numpy().tolist() == [12, 8, 6]
    assert derivative(tf.constant([2.0, 3.0])).numpy().tolist() == [3, 2]
    assert not on_host


def test_an_open_loop_keeps_its_turns_on_the_host(on_host) -> None:
    @tf.function(autograph=False)
    def double(x: Any) -> Any:
        return tf.while_loop(lambda x: tf.reduce_sum(x) < 100.0, lambda x: (x * 2.0,), (x,))[0]

    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = double(x)
    assert tape.gradient(y, x).numpy().tolist() == [64, 64]
    assert on_host
    assert double(x).numpy().tolist() == [64, 128]


def test_a_shape_that_changes_goes_to_the_host(on_host) -> None:
    @tf.function(autograph=False)
    def grow(n: Any) -> Any:
        return tf.while_loop(
            lambda i, v: i < n, lambda i, v: (i + 1, tf.concat([v, [i]], 0)), (0, tf.constant([7])),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )[1]  # fmt: skip

    assert grow(tf.constant(3)).numpy().tolist() == [7, 0, 1, 2]
    assert on_host == ["StatelessWhile"]
    assert grow(tf.constant(1)).numpy().tolist() == [7, 0]


def test_a_known_condition_leaves_one_branch() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32)], autograph=False)
    def choose(x: Any) -> Any:
        return tf.cond(tf.rank(x) > 1, lambda: tf.linalg.diag_part(x), lambda: tf.reshape(x, [-1]))

    assert choose(tf.eye(2)).numpy().tolist() == [1, 1]
    assert choose(tf.constant([1.0, 2.0])).numpy().tolist() == [1, 2]


# --- Checks -----------------------------------------------------------------------------------------------------------


def test_a_check_in_a_loop_says_what_was_wrong() -> None:
    @tf.function(autograph=False)
    def total(x: Any, n: Any) -> Any:
        return tf.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + tf.gather(x, i)), (0, 0.0))[1]

    x = tf.constant([1.0, 2.0, 3.0])
    assert total(x, tf.constant(3)).numpy() == 6.0
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices = 3 is not in \[0, 3\)"):
        total(x, tf.constant(5))


def test_a_check_in_a_branch_counts_only_where_the_branch_runs() -> None:
    @tf.function(autograph=False)
    def checked(x: Any) -> Any:
        def positive() -> Any:
            with tf.control_dependencies([tf.debugging.Assert(x < 5.0, ["too large:", x])]):
                return x * 2.0

        return tf.cond(x > 0, positive, lambda: x)

    assert checked(tf.constant(-9.0)).numpy() == -9.0
    assert checked(tf.constant(2.0)).numpy() == 4.0
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"too large:.*7"):
        checked(tf.constant(7.0))


def test_a_loop_that_fails_changes_no_variable() -> None:
    v = tf.Variable(0.0)
    w = tf.Variable([1.0, 2.0])

    @tf.function(autograph=False)
    def add(n: Any) -> None:
        def body(i: Any) -> Any:
            v.assign_add(tf.gather(w, i))
            return (i + 1,)

        tf.while_loop(lambda i: i < n, body, (0,))

    add(tf.constant(2))
    with pytest.raises(tf.errors.InvalidArgumentError):
        add(tf.constant(3))
    assert v.numpy() == 3.0
    add(tf.constant(1))
    assert v.numpy() == 4.0


def test_a_host_driven_loop_that_fails_changes_no_variable() -> None:
    v = tf.Variable(0.0)
    w = tf.Variable([1.0, 2.0])

    @tf.function(autograph=False)
    def add(n: Any) -> None:
        def body(i: Any, text: Any) -> Any:
            v.assign_add(tf.gather(w, i))
            return i + 1, tf.strings.join([text, "a"])

        tf.while_loop(lambda i, _: i < n, body, (0, ""))

    add(tf.constant(2))
    with pytest.raises(tf.errors.InvalidArgumentError):
        add(tf.constant(3))
    assert v.numpy() == 3.0


# --- Variables --------------------------------------------------------------------------------------------------------


def test_variables_keep_their_order_in_loops() -> None:
    v = tf.Variable(2.0)

    @tf.function(autograph=False)
    def update(n: Any) -> Any:
        def body(i: Any) -> Any:
            v.assign_add(1.0)
            tf.cond(v > 5.0, lambda: v.assign(v * 2.0), lambda: v.read_value())
            return (i + 1,)

        tf.while_loop(lambda i: i < n, body, (0,))
        return v.read_value()

    assert update(tf.constant(4)).numpy() == 12.0
    assert v.numpy() == 12.0


def test_random_numbers_differ_from_turn_to_turn() -> None:
    @tf.function(autograph=False)
    def draw() -> Any:
        return tf.while_loop(lambda i, a, b: i < 2, lambda i, a, b: (i + 1, b, tf.random.uniform([])), (0, 0.0, 0.0))

    _, first, second = draw()
    assert first.numpy() != second.numpy()
    assert draw()[2].numpy() != second.numpy()
