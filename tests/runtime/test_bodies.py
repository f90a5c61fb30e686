"""Loops that the host drives: what is compiled, what runs with NumPy, and that both give the same."""
from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

import millstream as tf
import millstream.v1 as tf1
from millstream.core import opdef
from millstream.runtime import bodies, functions, host, region_plan
from millstream.runtime.eager import STATE


def bodies_of(function: Any, *args: Any) -> list[bodies.BodyRunner]:
    """The runners of the loop bodies that the host drives when a function runs."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*args)
    concrete(*args)
    (runner,) = [item for item in concrete.function.runners.values() if isinstance(item, functions.FunctionRunner)]
    steps = [part for step in runner._steps for part in getattr(step, "_parts", ()) or [step]]
    ops = [op for step in steps if isinstance(step, host.HostStage) for op in step.stage.ops]
    return [inner.runners[STATE] for op in ops for inner in opdef.functions_of(op) if inner is op.attrs.get("body")]


def programs(body: bodies.BodyRunner) -> int:
    """How many programs were compiled for a body."""
    return sum(step.compiled._traces for step in body.steps if isinstance(step, bodies._DeviceStep))


def halved(x: Any) -> Any:
    """A host operation of known shape."""
    found = tf.numpy_function(lambda value: value * np.float32(0.5), [x], tf.float32)
    found.set_shape(x.shape)
    return found


# --- What is compiled -------------------------------------------------------------------------------------------------


def waves(size: int, n: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return i + 1, tf.sin(x) + halved(tf.cos(x))

    return tf.while_loop(lambda i, x: i < n, body, (0, tf.fill([size], 0.5)))[1]


@pytest.mark.parametrize(("size", "count"), [(3, 0), (100_000, 2)])
def test_a_body_is_compiled_once_or_not_at_all(size: int, count: int) -> None:
    """Before and behind the host operation there is one program each, whatever the number of turns."""
    (body,) = bodies_of(lambda n: waves(size, n), tf.constant(20))
    assert programs(body) == count
    x = 0.5
    for _ in range(20):
        x = np.sin(x) + 0.5 * np.cos(x)
    found = tf.function(lambda n: waves(size, n), autograph=False)(tf.constant(20)).numpy()
    np.testing.assert_allclose(found, np.full(size, x), rtol=1e-4)


def test_a_long_body_over_small_arrays_is_compiled_once() -> None:
    def loop(n: Any) -> Any:
        def body(i: Any, x: Any) -> Any:
            x = halved(x)
            for _ in range(40):
                x = tf.cos(x)
            return i + 1, x

        return tf.while_loop(lambda i, x: i < n, body, (0, tf.ones([2])))[1]

    (body,) = bodies_of(loop, tf.constant(10))
    assert programs(body) == 1


def test_a_loop_within_a_body_is_compiled_once() -> None:
    def loop(n: Any) -> Any:
        def body(i: Any, x: Any) -> Any:
            return i + 1, tf.while_loop(lambda j, y: j < i, lambda j, y: (j + 1, y + 1.0), (0, halved(x)))[1]

        return tf.while_loop(lambda i, x: i < n, body, (0, 0.0))[1]

    (body,) = bodies_of(loop, tf.constant(10))
    assert programs(body) == 1
    total = 0.0
    for turn in range(10):
        total = total / 2 + turn
    assert tf.function(loop, autograph=False)(tf.constant(10)).numpy() == total


@pytest.mark.parametrize("width", [1, 20_000])
def test_arrays_that_grow_are_not_compiled_for_each_size(width: int) -> None:
    def grow(n: Any) -> Any:
        def body(i: Any, rows: Any) -> Any:
            row = tf.fill([1, width], tf.cast(i, tf.float32))
            return i + 1, tf.concat([tf.sqrt(rows * rows), row], 0)

        shapes = (tf.TensorShape([]), tf.TensorShape([None, width]))
        return tf.while_loop(lambda i, _: i < n, body, (0, tf.zeros([0, width])), shape_invariants=shapes)[1]

    (body,) = bodies_of(grow, tf.constant(40))
    assert programs(body) <= bodies.COMPILED_AT_ONCE
    found = tf.function(grow, autograph=False)(tf.constant(40)).numpy()
    assert found[:, 0].tolist() == list(range(40))
    assert found.shape == (40, width)


# --- The same numbers -------------------------------------------------------------------------------------------------


def counted(n: Any) -> Any:
    return tf.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 0.5 + tf.cast(i, tf.float32)), (0, 1.0))


def branching(n: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return i + 1, tf.cond(x > 2.0, lambda: x - 1.5, lambda: x * 2.0 + tf.cast(i, tf.float32))

    return tf.while_loop(lambda i, x: i < n, body, (0, 0.5))


def nested(n: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return i + 1, tf.while_loop(lambda j, y: j < i, lambda j, y: (j + 1, tf.sin(y + 1.0)), (0, x))[1]

    return tf.while_loop(lambda i, x: i < n, body, (0, tf.constant([0.5, -0.5])))


def differentiated(n: Any) -> Any:
    x = tf.constant([0.5, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
    return y, tape.gradient(y, x)


def rows(n: Any) -> Any:
    table = tf.reshape(tf.range(12.0), [4, 3]) + tf.cast(n, tf.float32)
    return tf.vectorized_map(lambda x: tf.reduce_sum(x * x), table)


@pytest.mark.parametrize("function", [counted, branching, nested, differentiated, rows])
def test_the_host_gives_the_numbers_of_the_program(function: Any, monkeypatch) -> None:
    compiled = tf.nest.map_structure(np.asarray, tf.function(function, autograph=False)(tf.constant(7)))
    monkeypatch.setattr(region_plan, "plans_of", lambda op: None)
    driven = tf.nest.map_structure(np.asarray, tf.function(function, autograph=False)(tf.constant(7)))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), driven, compiled)


def test_large_and_small_variables_are_written(monkeypatch) -> None:
    monkeypatch.setattr(region_plan, "plans_of", lambda op: None)
    small, large = tf.Variable(1.0), tf.Variable(tf.ones([30_000]))

    @tf.function(autograph=False)
    def update(n: Any) -> None:
        def body(i: Any) -> Any:
            small.assign_add(tf.cast(i, tf.float32))
            large.assign(large * small)
            return (i + 1,)

        tf.while_loop(lambda i: i < n, body, (0,))

    update(tf.constant(4))
    assert small.numpy() == 7.0
    assert large.numpy()[[0, -1]].tolist() == [1 * 2 * 4 * 7] * 2


# --- What Python code does --------------------------------------------------------------------------------------------


def test_lines_come_in_the_order_of_the_turns(capfd) -> None:
    def body(i: Any, x: Any) -> Any:
        with tf.control_dependencies([tf.print("turn", i)]):
            x = x + 1.0
        with tf.control_dependencies([tf.print("value", x)]):
            return i + 1, x

    tf.function(lambda: tf.while_loop(lambda i, x: i < 3, body, (0, 0.0)), autograph=False)()
    assert capfd.readouterr().err.split("\n")[:-1] == ["turn 0", "value 1", "turn 1", "value 2", "turn 2", "value 3"]


class Counting:
    """A 1.x graph whose loop adds 1 to a variable in each turn and calls a Python function."""

    def __init__(self, function: Any) -> None:
        with tf1.Graph().as_default():
            self.variable = tf1.get_variable("v", initializer=0.0, use_resource=True)

            def body(i: Any) -> Any:
                with tf1.control_dependencies([self.variable.assign_add(1.0)]):
                    called = tf1.py_func(function, [i], tf1.int32)
                called.set_shape([])
                return called + 1

            self.loop = tf1.while_loop(lambda i: i < 5, body, (0,))
            self.session = tf1.Session()
            self.session.run(self.variable.initializer)


def test_an_error_in_python_code_is_of_its_kind_and_ends_the_loop() -> None:
    seen: list[int] = []

    def check(i: Any) -> Any:
        seen.append(int(i))
        if i == 2:
            raise ValueError("no more")
        return i

    counting = Counting(check)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no more"):
        counting.session.run(counting.loop)
    assert seen == [0, 1, 2]
    assert counting.session.run(counting.variable) == 0.0


def test_a_keyboard_interrupt_ends_the_loop_and_changes_nothing() -> None:
    interrupts = [2]

    def interrupt(i: Any) -> Any:
        if i in interrupts:
            interrupts.clear()
            signal.raise_signal(signal.SIGINT)
        return i

    counting = Counting(interrupt)
    with pytest.raises(KeyboardInterrupt):
        counting.session.run(counting.loop)
    assert counting.session.run(counting.variable) == 0.0
    assert counting.session.run(counting.loop) == 5
    assert counting.session.run(counting.variable) == 5.0
