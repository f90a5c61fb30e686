"""Random functions of 2.x in programs: seeds that are tensors, large results, generators in functions.

The numbers themselves are recorded in tests/expressions/random.txt.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import millstream as tf

SEED = [3, 2**33 + 1]
FUNCTIONS = {
    "uniform": lambda shape, seed: tf.random.stateless_uniform(shape, seed),
    "uniform_int": lambda shape, seed: tf.random.stateless_uniform(shape, seed, -5, 50, tf.int64),
    "full_int": lambda shape, seed: tf.random.stateless_uniform(shape, seed, None, None, tf.uint32),
    "normal": lambda shape, seed: tf.random.stateless_normal(shape, seed, dtype=tf.float64),
    "truncated_normal": lambda shape, seed: tf.random.stateless_truncated_normal(shape, seed, dtype=tf.float16),
    "categorical": lambda shape, seed: tf.random.stateless_categorical([[0.1, 0.5, 0.3]], shape[0], seed),
    "shuffle": lambda shape, seed: tf.random.experimental.stateless_shuffle(tf.range(shape[0]), seed),
    "gamma": lambda shape, seed: tf.random.stateless_gamma(shape, seed, 0.5),
    "poisson": lambda shape, seed: tf.random.stateless_poisson(shape, seed, 3.0),
    "binomial": lambda shape, seed: tf.random.stateless_binomial(shape, seed, 10.0, 0.3),
    "bounded_normal": lambda shape, seed: tf.random.stateless_parameterized_truncated_normal(shape, seed),
    "split": lambda shape, seed: tf.random.split(seed, shape[0]),
    "fold_in": lambda shape, seed: tf.random.fold_in(seed, shape[0]),
    "index": lambda shape, seed: tf.random.experimental.index_shuffle(1, seed, shape[0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("count", [5, 20_000])
def test_the_same_numbers_in_functions(name: str, count: int) -> None:
    """A function that does not know the seed when it is traced draws what eager execution draws."""
    if count > 5 and name in ("binomial", "bounded_normal", "gamma", "poisson"):
        pytest.skip("always drawn by NumPy")
    draw = FUNCTIONS[name]
    traced = tf.function(lambda seed: draw([count], seed))
    seed = tf.constant(SEED, tf.int64)
    np.testing.assert_array_equal(traced(seed).numpy(), draw([count], seed).numpy())
    np.testing.assert_array_equal(traced(seed + 1).numpy(), draw([count], [4, 2**33 + 2]).numpy())
    assert traced.experimental_get_tracing_count() == 1


def test_shapes_that_are_known_late() -> None:
    traced = tf.function(lambda shape: tf.random.stateless_normal(shape, [1, 2]))
    shape = tf.constant([2, 3])
    np.testing.assert_array_equal(traced(shape).numpy(), tf.random.stateless_normal([2, 3], [1, 2]).numpy())


def test_threefry_has_no_numbers() -> None:
    with pytest.raises(tf.errors.UnimplementedError, match="ThreeFry"):
        tf.random.stateless_normal([2], [1, 2], alg=tf.random.Algorithm.THREEFRY)


# Generators.


def test_a_generator_in_a_function_moves_on() -> None:
    inside, outside = (tf.random.Generator.from_seed(5) for _ in range(2))

    draw = tf.function(lambda: three_draws(inside))
    for _ in range(2):
        for ours, theirs in zip(draw(), three_draws(outside), strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_array_equal(inside.state.numpy(), outside.state.numpy())


def three_draws(generator: Any) -> Any:
    return generator.normal([2]), generator.uniform([3], 0, 100, tf.int32), generator.make_seeds(2)


def test_a_generator_of_large_results() -> None:
    g = tf.random.Generator.from_seed(1)
    large = g.normal([30_000])
    assert g.state.numpy().tolist() == [1 + 256 * 30_000, 0, 0]
    np.testing.assert_array_equal(large[:3].numpy(), tf.random.Generator.from_seed(1).normal([3]).numpy())


def test_a_failed_draw_leaves_the_state() -> None:
    g = tf.random.Generator.from_seed(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Need minval < maxval"):
        g.uniform([2], 5, 5, tf.int32)
    assert g.state.numpy().tolist() == [1, 0, 0]


def test_generators_that_were_split_differ() -> None:
    first, second = tf.random.Generator.from_seed(1).split(2)
    assert not np.array_equal(first.normal([4]).numpy(), second.normal([4]).numpy())
    assert first.algorithm == 1


@pytest.mark.parametrize("options", [{}, {"state": [1, 2, 3]}, {"alg": "philox"}])
def test_a_generator_needs_state_and_algorithm(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs `state` and `alg`"):
        tf.random.Generator(**options)


def test_a_copy_goes_its_own_way() -> None:
    g = tf.random.Generator.from_seed(1)
    copy = tf.random.Generator(copy_from=g)
    copy.normal([2])
    assert g.state.numpy().tolist() == [1, 0, 0] and copy.state.numpy().tolist() == [513, 0, 0]
    with pytest.raises(ValueError, match="not both"):
        tf.random.Generator(copy_from=g, alg="philox")


def test_the_state_has_a_shape() -> None:
    g = tf.random.Generator.from_seed(1)
    with pytest.raises(ValueError, match=r"Shapes \(2,\) and \[3\] are incompatible"):
        g.reset([1, 2])
    with pytest.raises(ValueError, match=r"Shapes \(1,\) and \[2\] are incompatible"):
        g.reset_from_key_counter(1, [2])


def test_global_generator() -> None:
    assert tf.random.get_global_generator() is tf.random.get_global_generator()
    mine = tf.random.Generator.from_seed(1)
    tf.random.set_global_generator(mine)
    assert tf.random.experimental.get_global_generator() is mine


def test_states_from_the_system_differ() -> None:
    states = [tf.random.Generator.from_non_deterministic_state().state.numpy() for _ in range(2)]
    assert not np.array_equal(*states)


# The global seed.


def test_threads_share_the_seed() -> None:
    tf.random.set_seed(1)
    expected = [tf.random.normal([2]).numpy() for _ in range(2)]
    tf.random.set_seed(1)
    found = [tf.random.normal([2]).numpy()]
    thread = threading.Thread(target=lambda: found.append(tf.random.normal([2]).numpy()))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found, expected)


def test_functions_count_their_random_operations() -> None:
    tf.random.set_seed(3)
    traced = tf.function(lambda: [tf.random.uniform([]), tf.random.uniform([], seed=9), tf.random.normal([])])
    drawing = [op for op in traced.get_concrete_function().graph.get_operations() if "seed" in op.node_def.attr]
    seeds = [(op.get_attr("seed"), op.get_attr("seed2")) for op in drawing]
    assert seeds == [(3, 0), (3, 9), (3, 1)]


def test_a_graph_keeps_the_rules_of_1x() -> None:
    with tf.Graph().as_default() as graph:
        tf.random.set_seed(3)
        drawn = tf.random.uniform([2])
        assert graph.seed == 3
    assert drawn.op.inputs[0].op.type == "Mul"
    assert graph.get_operation_by_name("random_uniform/RandomUniform").get_attr("seed2") == 3


def test_a_seed_starts_samplers_again() -> None:
    def sample() -> Any:
        return tf.random.learned_unigram_candidate_sampler([[1, 5]], 2, 4, True, 10, seed=3)

    tf.random.set_seed(1)
    first, second = ([part.numpy() for part in sample()] for _ in range(2))
    assert not np.array_equal(first[1], second[1])
    tf.random.set_seed(1)
    for ours, theirs in zip(sample(), first, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
