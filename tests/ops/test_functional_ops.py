"""Conditions and loops of 2.x: eager, in functions, and their derivatives."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream as tf
from millstream.core import opdef

MODES = {"eager": lambda function: function, "function": lambda function: tf.function(function, autograph=False)}


@pytest.fixture(params=MODES)
def run(request) -> Any:
    """Makes a function run eagerly, or in a graph."""
    return MODES[request.param]


# --- Values -----------------------------------------------------------------------------------------------------------


def test_cond(run) -> None:
    choose = run(lambda x: tf.cond(x > 0, lambda: x * 2.0, lambda: x - 1.0))
    assert choose(tf.constant(3.0)).numpy() == 6.0
    assert choose(tf.constant(-3.0)).numpy() == -4.0


def test_cond_gives_structures(run) -> None:
    choose = run(lambda x: tf.cond(x > 0, lambda: {"a": x, "b": (x, 1)}, lambda: {"a": -x, "b": (x, 2)}))
    found = choose(tf.constant(-3.0))
    assert found["a"].numpy() == 3.0
    assert [float(item) for item in found["b"]] == [-3.0, 2.0]


def test_cond_merges_shapes() -> None:
    @tf.function(autograph=False)
    def choose(x: Any) -> Any:
        result = tf.cond(x[0] > 0, lambda: x, lambda: x[:2])
        assert result.shape.as_list() == [None]
        return result

    assert choose(tf.constant([1.0, 2.0, 3.0])).numpy().tolist() == [1, 2, 3]
    assert choose(tf.constant([-1.0, 2.0, 3.0])).numpy().tolist() == [-1, 2]


def test_branches_change_variables(run) -> None:
    v = tf.Variable(1.0)

    def change(x: Any) -> Any:
        return tf.cond(x > 0, lambda: v.assign_add(x), lambda: v.assign(0.0))

    change = run(change)
    change(tf.constant(2.0))
    assert v.numpy() == 3.0
    change(tf.constant(-2.0))
    assert v.numpy() == 0.0


def test_a_loop_hands_on_which_variable_is_which() -> None:
    v, w = tf.Variable(tf.ones([2, 3])), tf.Variable(tf.zeros([4]))

    @tf.function(autograph=False)
    def read(turns: Any) -> Any:
        _, first, second = tf.while_loop(
            lambda i, a, b: i < turns, lambda i, a, b: (i + 1, a, b), [0, v.handle, w.handle]
        )
        shapes = [opdef.find("VariableShape")(handle) for handle in (first, second)]
        return [*shapes, opdef.find("ReadVariableOp")(second, dtype=tf.float32)]

    assert [item.numpy().tolist() for item in read(tf.constant(3))] == [[2, 3], [4], [0, 0, 0, 0]]


def test_a_branch_that_does_not_run_reads_no_uninitialised_variable() -> None:
    @tf.function(autograph=False)
    def divide(x: Any, y: Any) -> Any:
        return tf.cond(y > 0, lambda: x // y, lambda: x)

    assert divide(tf.constant(6), tf.constant(0)).numpy() == 6


def test_switch_case(run) -> None:
    choose = run(lambda i: tf.switch_case(i, [lambda: 1.0, lambda: 2.0, lambda: 3.0]))
    assert [float(choose(tf.constant(i))) for i in (0, 1, 2, 5, -1)] == [1, 2, 3, 3, 3]
    choose = run(lambda i: tf.switch_case(i, {1: lambda: 2.0, 0: lambda: 1.0}, default=lambda: 9.0))
    assert [float(choose(tf.constant(i))) for i in (0, 1, 2)] == [1, 2, 9]


def test_case(run) -> None:
    choose = run(lambda x: tf.case([(x < 2, lambda: 1), (x < 5, lambda: 2)], default=lambda: 3))
    assert [int(choose(tf.constant(x))) for x in (1, 3, 9)] == [1, 2, 3]


def test_case_demands_that_a_condition_holds(run) -> None:
    choose = run(lambda x: tf.case([(x < 2, lambda: 1), (x < 5, lambda: 2)]))
    assert int(choose(tf.constant(3))) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="None of conditions evaluated as True"):
        choose(tf.constant(9))
    exclusive = run(lambda x: tf.case([(x < 2, lambda: 1), (x < 5, lambda: 2)], lambda: 3, exclusive=True))
    assert int(exclusive(tf.constant(3))) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 1 conditions"):
        exclusive(tf.constant(1))


def test_while_loop(run) -> None:
    loop = run(lambda n: tf.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + i), (0, 0)))
    assert [int(value) for value in loop(tf.constant(5))] == [5, 10]
    assert [int(value) for value in loop(tf.constant(0))] == [0, 0]


def test_while_loop_with_a_bound(run) -> None:
    loop = run(lambda: tf.while_loop(lambda i: i < 10, lambda i: (i + 1,), (0,), maximum_iterations=3))
    assert loop()[0].numpy() == 3


def test_while_loop_over_structures(run) -> None:
    def body(i: Any, state: Any) -> Any:
        return i + 1, {"x": state["x"] * 2.0, "y": state["x"]}

    loop = run(lambda x: tf.while_loop(lambda i, _: i < 3, body, (0, {"x": x, "y": x})))
    found = loop(tf.constant(1.0))[1]
    assert (found["x"].numpy(), found["y"].numpy()) == (8.0, 4.0)


def test_a_shape_may_change_with_an_invariant(run) -> None:
    def grow(n: Any) -> Any:
        return tf.while_loop(
            lambda i, v: i < n, lambda i, v: (i + 1, tf.concat([v, [i]], 0)), (0, tf.constant([-1])),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )[1]  # fmt: skip

    assert run(grow)(tf.constant(3)).numpy().tolist() == [-1, 0, 1, 2]


def test_strings_in_a_loop(run) -> None:
    loop = run(lambda: tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, tf.strings.join([s, "a"])), (0, "x")))
    assert loop()[1].numpy() == b"xaaa"


def test_conditions_in_loops_in_conditions() -> None:
    @tf.function(autograph=False)
    def collatz(n: Any) -> Any:
        def step(n: Any, count: Any) -> Any:
            return tf.cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1), count + 1

        return tf.cond(n > 0, lambda: tf.while_loop(lambda n, _: n > 1, step, (n, 0))[1], lambda: -1)

    assert [collatz(tf.constant(n)).numpy() for n in (6, 27, -3)] == [8, 111, -1]


# --- Errors -----------------------------------------------------------------------------------------------------------

X = tf.TensorSpec([], tf.float32)


def traced(function: Any) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(X)


@pytest.mark.parametrize("other", [lambda x: (x, x), lambda x: tf.cast(x, tf.int32), lambda x: None])
def test_branches_must_be_alike(other) -> None:
    with pytest.raises(TypeError, match="true_fn and false_fn arguments to tf.cond must have the same number, type"):
        traced(lambda x: tf.cond(x > 0, lambda: x, lambda: other(x)))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x: tf.cond(x > 0, 3, lambda: x), TypeError, "'true_fn' must be callable."),
        (lambda x: tf.while_loop(3, lambda i: i, [x]), TypeError, "'cond' must be callable."),
        (lambda x: tf.while_loop(lambda i: i < 3, lambda i: tf.cast(i, tf.int32), [x]), TypeError,
         "enters the loop with"),
        (lambda x: tf.while_loop(lambda i: [i < 3, i < 4], lambda i: i, [x]), TypeError, "must be one bool scalar"),
        (lambda x: tf.while_loop(lambda i, j: i < 3, lambda i, j: i, [x, x]), ValueError, "same nested structure"),
        (lambda x: tf.while_loop(lambda i: i[0] < 3, lambda i: tf.concat([i, i], 0), [tf.stack([x])]), ValueError,
         r"enters the loop with shape \(1,\), but has shape \(2,\) after one iteration"),
        (lambda x: tf.switch_case(1, {0: lambda: x, 2: lambda: x}), ValueError, "must form contiguous range"),
        (lambda x: tf.switch_case(x, [lambda: x]), TypeError, "'branch_index' must be an integer Tensor"),
        (lambda x: tf.case([]), ValueError, "must not be empty"),
        (lambda x: tf.case([(1, lambda: x)]), TypeError, "pred must be"),
    ],
)  # fmt: skip
def test_bad_arguments(build, error, message) -> None:
    with pytest.raises(error, match=message):
        traced(build)


def test_a_tensor_of_a_branch_does_not_leave_it() -> None:
    kept = []

    def leak(x: Any) -> Any:
        tf.cond(x > 0, lambda: kept.append(x * 2.0) or x, lambda: x)
        return kept[0] + 1.0

    with pytest.raises(TypeError, match="is out of scope"):
        traced(leak)


# --- Derivatives ------------------------------------------------------------------------------------------------------


def conditional(x: Any) -> Any:
    return tf.cond(x > 0, lambda: x * x * tf.sin(x), lambda: tf.exp(x))


def nested_conditional(x: Any) -> Any:
    return tf.cond(x > 0, lambda: tf.cond(x > 1, lambda: x * tf.exp(x), lambda: x**3), lambda: tf.exp(x))


def numbered(x: Any) -> Any:
    return tf.switch_case(tf.cast(tf.abs(x), tf.int32), [lambda: x * x, lambda: tf.exp(x) * x, lambda: x])


def counted_loop(x: Any) -> Any:
    return tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y * tf.sin(x) + x * y), [0, x])[1]


def bounded_loop(x: Any) -> Any:
    return tf.while_loop(lambda i, y: True, lambda i, y: (i + 1, y * tf.sin(x) + x), [0, x], maximum_iterations=3)[1]


def open_loop(x: Any) -> Any:
    return tf.while_loop(lambda y: tf.abs(y) < 50.0, lambda y: (y * y + x,), [x + 3.0])[0]


def condition_in_loop(x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        return i + 1, tf.cond(i % 2 == 0, lambda: y * x + tf.cast(i, x.dtype), lambda: y * y)

    return tf.while_loop(lambda i, y: i < 4, body, [0, x])[1]


def nested_loop(x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        return i + 1, tf.while_loop(lambda j, z: j < 2, lambda j, z: (j + 1, z * x + tf.sin(z)), [0, y])[1]

    return tf.while_loop(lambda i, y: i < 3, body, [0, x])[1]


def loop_in_condition(x: Any) -> Any:
    return tf.cond(x > 0, lambda: counted_loop(x), lambda: x * nested_loop(x))


def host_driven_loop(x: Any) -> Any:
    def body(i: Any, y: Any, text: Any) -> Any:
        return i + 1, y * tf.sin(x), tf.strings.join([text, "a"])

    return tf.while_loop(lambda i, *_: i < 3, body, [0, x, "x"])[1]


FUNCTIONS = [
    conditional, nested_conditional, numbered, counted_loop, bounded_loop, open_loop, condition_in_loop, nested_loop,
    loop_in_condition, host_driven_loop,
]  # fmt: skip


def slope(function: Any, x: float, step: float = 1e-5) -> float:
    return float(function(tf.constant(x + step, tf.float64)) - function(tf.constant(x - step, tf.float64))) / (2 * step)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("x", [0.7, -0.6])
def test_derivatives(function, x) -> None:
    """First and second ones, by tapes around a call and by tapes inside a function, are those of differences."""
    call = tf.function(function, autograph=False)

    @tf.function(autograph=False)
    def derivative(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    at = tf.constant(x, tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(at)
        with tf.GradientTape() as inner:
            inner.watch(at)
            y = call(at)
        first = inner.gradient(y, at)
    second = outer.gradient(first, at)
    np.testing.assert_allclose(first, slope(call, x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(derivative(at), slope(call, x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(second, slope(derivative, x), rtol=1e-5, atol=1e-7)


def test_gradients_of_variables_in_loops_and_branches() -> None:
    w = tf.Variable([[0.5, -0.2], [0.1, 0.3]], dtype=tf.float64)
    x = tf.constant([[1.0, 2.0]], tf.float64)

    def unrolled(x: Any) -> Any:
        for _ in range(4):
            x = tf.tanh(tf.matmul(x, w))
        return tf.reduce_sum(x)

    @tf.function(autograph=False)
    def looped(x: Any) -> Any:
        x = tf.while_loop(lambda i, x: i < 4, lambda i, x: (i + 1, tf.tanh(tf.matmul(x, w))), [0, x])[1]
        return tf.cond(tf.reduce_sum(x) < 1e9, lambda: tf.reduce_sum(x), lambda: tf.reduce_sum(w))

    with tf.GradientTape(persistent=True) as tape:
        values = unrolled(x), looped(x)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(values[1], w), tape.gradient(values[0], w), rtol=1e-9)


def test_the_gradient_of_a_branch_whose_shapes_are_unknown() -> None:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.float64)])
    def derivative(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(x[0] > 0, lambda: tf.reduce_sum(tf.exp(x[1:]) ** 2), lambda: tf.reduce_sum(x * x))
        return tape.gradient(y, x)

    expected = [0, 2 * np.exp(1), 2 * np.exp(0.4)]
    np.testing.assert_allclose(derivative(tf.constant([1.0, 0.5, 0.2], tf.float64)), expected)
    np.testing.assert_allclose(derivative(tf.constant([-1.0, 0.5], tf.float64)), [-2, 1])


def test_a_branch_waits_for_operations_outside() -> None:
    """The batch normalisation that was written by hand before there was a layer for it."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x, training = v1.placeholder(tf.float32, []), v1.placeholder(tf.bool, [])
        v = v1.Variable(1.0)
        update = v.assign(x)

        def train() -> Any:
            with tf.control_dependencies([update]):
                return tf.identity(v) * 2.0

        y = v1.cond(training, train, lambda: tf.constant(0.0))
        with v1.Session() as session:
            session.run(v.initializer)
            assert session.run(y, {x: 3.0, training: True}) == 6.0
