"""1.x graphs with random operations in branches and loops, for TensorFlow 1.15 and for Millstream.

    python tests/runtime/random_regions.py tests/data/random_regions.json    # with TensorFlow 1.15.5: records them

TensorFlow may draw for several turns at once; here each turn waits for the numbers of the one before it.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

RUNS = 3  # of each graph, in one session


def _turns(tf: Any, draw: Callable[[], Any], shape: tuple[int, ...] = (2,)) -> Any:
    """The sum of three draws, and the last of them."""

    def body(i: Any, total: Any, last: Any) -> Any:
        with tf.control_dependencies([last]):
            drawn = draw()
        return i + 1, total + drawn, drawn

    return tf.while_loop(lambda i, *_: i < 3, body, (0, tf.zeros(shape), tf.zeros(shape)), parallel_iterations=1)


def _open_turns(tf: Any) -> Any:
    def body(total: Any, n: Any) -> Any:
        return total + tf.random_uniform([], seed=9), n + 1

    return tf.while_loop(lambda total, n: total < 2.0, body, (0.0, 0), parallel_iterations=1)


def _dropout(tf: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return i + 1, tf.nn.dropout(x * 1.1, keep_prob=0.5, seed=8)

    return tf.while_loop(lambda i, x: i < 3, body, (0, tf.ones([8])), parallel_iterations=1)


def _drawn_condition(tf: Any) -> Any:
    def condition(n: Any) -> Any:
        with tf.control_dependencies([n]):
            return tf.random_uniform([], seed=19) < 0.8

    return [tf.while_loop(condition, lambda n: n + 1, (0,), parallel_iterations=1)]


def _branches(tf: Any) -> Any:
    count = tf.Variable(0.0)
    with tf.control_dependencies([count.assign_add(1.0)]):
        is_even = tf.equal(tf.floormod(count.read_value(), 2.0), 0.0)
    return [tf.cond(is_even, lambda: tf.random_uniform([2], seed=10), lambda: tf.random_normal([2], seed=11))]


def _branches_in_loop(tf: Any) -> Any:
    def body(i: Any, total: Any) -> Any:
        drawn = tf.cond(
            tf.equal(i % 2, 0),
            lambda: tf.random_uniform([], seed=12) + 0.0 * total,
            lambda: tf.random_normal([], seed=13) + 0.0 * total,
        )
        return i + 1, total * 2.0 + drawn

    return tf.while_loop(lambda i, total: i < 5, body, (0, 0.0), parallel_iterations=1)


def _loop_in_loop(tf: Any) -> Any:
    def outer(i: Any, a: Any, b: Any) -> Any:
        def inner(j: Any, a: Any) -> Any:
            return j + 1, a + tf.random_uniform([], seed=14)

        _, a = tf.while_loop(lambda j, a: j < i, inner, (0, a), parallel_iterations=1)
        return i + 1, a, b + a * tf.random_normal([], seed=15)

    return tf.while_loop(lambda i, a, b: i < 4, outer, (0, 0.0, 0.0), parallel_iterations=1)


def _gradient(tf: Any) -> Any:
    x = tf.constant(2.0)

    def body(i: Any, y: Any) -> Any:
        return i + 1, y * tf.random_uniform([], seed=16) * x

    y = tf.while_loop(lambda i, y: i < 3, body, (0, x), parallel_iterations=1)[1]
    return [y, *tf.gradients(y, x)]


CASES: dict[str, Callable[[Any], Any]] = {
    "uniform": lambda tf: _turns(tf, lambda: tf.random_uniform([2], seed=3)),
    "normal": lambda tf: _turns(tf, lambda: tf.random_normal([2], seed=4)),
    "truncated": lambda tf: _turns(tf, lambda: tf.truncated_normal([2], seed=5)),
    "integers": lambda tf: _turns(
        tf, lambda: tf.cast(tf.random_uniform([2], maxval=1000, dtype=tf.int32, seed=6), tf.float32)
    ),
    "shuffle": lambda tf: _turns(tf, lambda: tf.random_shuffle(tf.constant([1.0, 2.0, 3.0, 4.0]), seed=6), (4,)),
    "multinomial": lambda tf: _turns(
        tf,
        lambda: tf.cast(tf.multinomial(tf.log([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), 1, seed=17), tf.float32),
        (2, 1),
    ),
    "gamma": lambda tf: _turns(tf, lambda: tf.random_gamma([2], 1.5, seed=18)),
    "open_turns": _open_turns,
    "dropout": _dropout,
    "drawn_condition": _drawn_condition,
    "branches": _branches,
    "branches_in_loop": _branches_in_loop,
    "loop_in_loop": _loop_in_loop,
    "gradient": _gradient,
}


def values(tf: Any, name: str) -> list[list[Any]]:
    """What a case gives in each run, as nested lists."""
    with tf.Graph().as_default():
        tf.set_random_seed(7)
        fetches = CASES[name](tf)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return [[value.tolist() for value in session.run(fetches)] for _ in range(RUNS)]


if __name__ == "__main__":
    import tensorflow

    with open(sys.argv[1], "w") as file:
        lines = (f"{json.dumps(name)}: {json.dumps(values(tensorflow, name))}" for name in CASES)
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
