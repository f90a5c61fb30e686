"""Random operations in branches and loops: TensorFlow's numbers, whether XLA or the host drives."""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream as tf
import millstream.v1 as tf1
from millstream.runtime import behavior, compiler, functions, region_plan

sys.path.insert(0, str(Path(__file__).parent))
import random_regions  # noqa: E402

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "random_regions.json").read_text())


@pytest.fixture(params=["compiled", "on the host"])
def driven(request, monkeypatch) -> str:
    """Whether branches and loops are parts of programs."""
    if request.param != "compiled":
        monkeypatch.setattr(region_plan, "plans_of", lambda op: None)
    return request.param


@pytest.mark.parametrize("name", random_regions.CASES)
def test_numbers_are_those_of_tensorflow(name: str, driven: str) -> None:
    behavior.use(1)
    found = random_regions.values(tf1, name)
    for run, expected in zip(found, RECORDED[name], strict=True):
        for value, wanted in zip(run, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-6)


def stages(function: Any, *args: Any) -> list[Any]:
    """The steps in which a function runs, after a run."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*args)
    concrete(*args)
    (runner,) = [item for item in concrete.function.runners.values() if isinstance(item, functions.FunctionRunner)]
    return runner._steps


def draws(n: Any) -> Any:
    """The numbers of the last five of n turns."""

    def body(i: Any, last: Any) -> Any:
        return i + 1, tf.concat([last[1:], tf.random.uniform([1], seed=5)], 0)

    return tf.while_loop(lambda i, _: i < n, body, (0, tf.zeros(5)))[1]


def test_a_loop_that_draws_is_one_program() -> None:
    (stage,) = stages(draws, tf.constant(3))
    assert isinstance(stage, compiler.CompiledStage)
    assert stage._traces == 1


def test_a_stream_goes_on_where_the_last_run_left_it() -> None:
    tf.random.set_seed(1)
    once = tf.function(draws, autograph=False)(tf.constant(5)).numpy()
    tf.random.set_seed(1)
    function = tf.function(draws, autograph=False)
    parts = [function(tf.constant(n)).numpy()[5 - n :] for n in (2, 0, 1, 2)]
    assert np.concatenate(parts).tolist() == once.tolist()
    assert len(set(once.tolist())) == 5


def test_a_stream_is_shared_by_program_and_host(monkeypatch) -> None:
    tf.random.set_seed(1)
    expected = tf.function(draws, autograph=False)(tf.constant(4)).numpy()[1:]
    tf.random.set_seed(1)
    function = tf.function(draws, autograph=False)
    first = function(tf.constant(2)).numpy()[3:]
    function.get_concrete_function(tf.constant(2)).function.runners.clear()
    monkeypatch.setattr(region_plan, "plans_of", lambda op: None)
    second = function(tf.constant(2)).numpy()[3:]
    assert [*first, *second] == expected.tolist()


def test_rows_draw_one_after_the_other(driven: str) -> None:
    tf.random.set_seed(1)

    @tf.function(autograph=False)
    def rows() -> Any:
        return tf.vectorized_map(lambda x: x + tf.random.uniform([], seed=3), tf.zeros(4))

    first, second = rows().numpy(), rows().numpy()
    tf.random.set_seed(1)
    wanted = [tf.random.uniform([], seed=3).numpy() for _ in range(8)]
    assert [*first, *second] == wanted


def test_many_numbers_of_a_turn_are_those_of_the_host(monkeypatch) -> None:
    """So many that the native library draws them, where it is there."""

    def noisy() -> Any:
        def body(i: Any, x: Any) -> Any:
            return i + 1, x + tf.random.truncated_normal([300, 100], seed=4) * tf.random.normal([300, 100], seed=5)

        return tf.while_loop(lambda i, x: i < 3, body, (0, tf.zeros([300, 100])))[1]

    tf.random.set_seed(1)
    compiled = tf.function(noisy, autograph=False)().numpy()
    tf.random.set_seed(1)
    monkeypatch.setattr(region_plan, "plans_of", lambda op: None)
    np.testing.assert_allclose(tf.function(noisy, autograph=False)().numpy(), compiled, rtol=1e-6, atol=1e-6)


def test_a_derivative_uses_the_numbers_that_were_drawn(driven: str) -> None:
    @tf.function(autograph=False)
    def loop(x: Any) -> Any:
        return tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, tf.nn.dropout(y, 0.5) * tf.random.uniform([4])), (0, x)
        )[1]

    x = tf.ones([4])
    for _ in range(2):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = loop(x)
        np.testing.assert_allclose(tape.gradient(y, x).numpy(), y.numpy(), rtol=1e-6)


def test_a_run_that_fails_has_used_its_stream_up() -> None:
    @tf.function(autograph=False)
    def checked(n: Any) -> Any:
        def body(i: Any, x: Any) -> Any:
            with tf.control_dependencies([tf.debugging.Assert(i < 2, ["too far:", i])]):
                return i + 1, tf.random.uniform([], seed=3)

        return tf.while_loop(lambda i, x: i < n, body, (0, 0.0))[1]

    tf.random.set_seed(1)
    numbers = [tf.random.uniform([], seed=3).numpy() for _ in range(6)]
    tf.random.set_seed(1)
    assert checked(tf.constant(2)).numpy() == numbers[1]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"too far:\] \[2\]"):
        checked(tf.constant(4))
    assert checked(tf.constant(1)).numpy() in numbers[4:]
