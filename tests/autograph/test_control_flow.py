"""Statements and expressions over tensors in functions."""
from __future__ import annotations

from typing import Any

import pytest

import millstream as tf


def function(python_function: Any) -> Any:
    """The function as a graph, which gives what the Python function gives where no tensor is symbolic."""
    return tf.function(python_function)


def signs(x: Any) -> Any:
    if x > 0:
        y = x * 2.0
    elif x < -1:
        y = -x
    else:
        y = x
    return y


def early_returns(x: Any) -> Any:
    if x > 10:
        return x
    if x > 5:
        return x * 2.0
    return -x


def halvings(x: Any) -> Any:
    n = 0
    while x > 1:
        x = x / 2.0
        n += 1
    return x, n


def breaks_and_continues(x: Any) -> Any:
    total = 0.0
    for i in tf.range(10):
        if i % 2 == 0:
            continue
        if i > 6:
            break
        total += x * tf.cast(i, tf.float32)
    return total


def returns_from_a_loop(x: Any) -> Any:
    for i in tf.range(5):
        x = x + 1.0
        if x > 5.0:
            return x * 100.0 + tf.cast(i, tf.float32)
    return -x


def returns_from_a_while(x: Any) -> Any:
    while x < 5.0:
        x = x + 1.0
        if x > 3.5:
            return x
    return -x


def rows(x: Any) -> Any:
    total = 0.0
    for row in tf.stack([[x, 1.0], [2.0, x], [3.0, 3.0]]):
        total = total * 2.0 + tf.reduce_sum(row)
    return total


def nested_loops(x: Any) -> Any:
    for i in tf.range(3):
        for j in range(2):
            if tf.equal(i, j):
                x += 1.0
        k = 0
        while k < i:
            x += 10.0
            k += 1
    return x


def logic(x: Any) -> Any:
    return (x > 0 and x < 5) or not x < 100


def chosen(x: Any) -> Any:
    return x if 0 < x < 5 else -x


def helper(x: Any) -> Any:
    if x > 0:
        return x
    return -x


def calls_others(x: Any) -> Any:
    def inner(y: Any) -> Any:
        while y < 10:
            y = y * 2.0
        return y

    double = lambda y: y * 2.0 if y > 0 else y  # noqa: E731
    return double(helper(x)) + inner(helper(x) + 1.0)


class Accumulator:
    def __init__(self) -> None:
        self.total: Any = 0.0


def changes_attributes(x: Any) -> Any:
    accumulator = Accumulator()
    for _ in tf.range(3):
        if x > 0:
            accumulator.total = accumulator.total + x
        x = x - 1.0
    return accumulator.total


def python_loops(x: Any) -> Any:
    for weight, name in zip([1.0, 2.0], ["a", "b"], strict=True):
        if name == "b":
            x = x * weight
    return x


def open_ended(x: Any) -> Any:
    while True:
        x = x * 2.0 + 1.0
        if x > 20.0:
            break
    return x


def builtins(x: Any) -> Any:
    return float(int(abs(x))) + float(len([1, 2])) + max(x, 0.0) + min(x, 0.0)


@pytest.mark.parametrize(
    "case",
    [
        signs, early_returns, halvings, breaks_and_continues, returns_from_a_loop, returns_from_a_while, rows,
        nested_loops, logic, chosen, calls_others, changes_attributes, python_loops, builtins,
    ],
    ids=lambda case: case.__name__,
)  # fmt: skip
@pytest.mark.parametrize("x", [-7.5, -0.5, 0.5, 2.5, 7.0, 12.0])
def test_a_function_gives_what_python_gives(case, x) -> None:
    expected = tf.nest.map_structure(float, case(tf.constant(x)))
    found = tf.nest.map_structure(float, function(case)(tf.constant(x)))
    assert found == expected


def test_a_loop_that_only_a_tensor_ends() -> None:
    assert function(open_ended)(tf.constant(1.0)).numpy() == 31.0


def test_loops_become_operations() -> None:
    graph = function(halvings).get_concrete_function(tf.TensorSpec([], tf.float32)).graph
    assert "StatelessWhile" in [op.type for op in graph.get_operations()]


def test_ranges_of_tensors_and_of_numbers() -> None:
    seen = []

    @tf.function
    def count(n: Any) -> Any:
        total = 0
        for i in range(3):
            seen.append(i)
            total += i
        for i in tf.range(n):
            seen.append("tensor")
            total += i
        for i in range(n):
            total += i
        for i in tf.range(10, 0, -3):
            total += i
        return total

    assert count(tf.constant(4)).numpy() == 3 + 6 + 6 + 10 + 7 + 4 + 1
    assert seen == [0, 1, 2, "tensor"]


def test_methods_and_variables() -> None:
    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(0)

        @tf.function
        def up_to(self, n: Any) -> Any:
            while self.count < n:
                self.count.assign_add(1)
            return self.count.read_value()

    counter = Counter()
    assert counter.up_to(tf.constant(5)).numpy() == 5
    assert counter.up_to(tf.constant(3)).numpy() == 5
    assert counter.count.numpy() == 5


def test_super_in_converted_methods() -> None:
    class Base:
        def scale(self, x: Any) -> Any:
            if x > 0:
                return x * 2.0
            return x

    class Derived(Base):
        @tf.function
        def scale(self, x: Any) -> Any:
            return super().scale(x) + 1.0

    assert Derived().scale(tf.constant(3.0)).numpy() == 7.0


def test_gradients_through_statements() -> None:
    @tf.function
    def power(x: Any, n: Any) -> Any:
        result = tf.constant(1.0)
        for i in tf.range(n):
            if i % 2 == 0:
                result *= x
            else:
                result *= 2.0 * x
        return result

    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = power(x, tf.constant(4))
    assert y.numpy() == 4 * 81
    assert tape.gradient(y, x).numpy() == 4 * 4 * 27


def test_assertions() -> None:
    @tf.function
    def positive(x: Any) -> Any:
        assert x > 0, f"{x.dtype.name} must be positive"
        return x

    assert positive(tf.constant(1.0)).numpy() == 1.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32 must be positive"):
        positive(tf.constant(-1.0))


def test_variables_that_only_a_loop_defines() -> None:
    @tf.function
    def last(n: Any) -> Any:
        for i in tf.range(n):
            y = i * 2
        return y, i

    assert [item.numpy() for item in last(tf.constant(3))] == [4, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="loop must iterate at least once to initialize"):
        last(tf.constant(0))


def test_loop_options() -> None:
    @tf.function
    def grow(n: Any) -> Any:
        v = tf.constant([0])
        for i in tf.range(n):
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[(v, tf.TensorShape([None]))], maximum_iterations=2
            )
            v = tf.concat([v, [i]], 0)
        return v

    assert grow(tf.constant(9)).numpy().tolist() == [0, 0, 1]
