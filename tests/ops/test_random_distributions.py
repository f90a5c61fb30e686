"""Distributions of TensorFlow 2 and samplers of classes against TensorFlow 2.21's kernels.

The CRC-32 sums are of the bytes of results that it computed from the seed (11, 22) on two threads, so one wrong bit
fails.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np
import pytest

from millstream.core.errors import InternalError, InvalidArgumentError
from millstream.ops import candidate_samplers, index_shuffle, random_binomial, random_kernels, truncated_normals
from millstream.ops.philox import key, stateless_key

START = stateless_key(np, np.array([11, 22]))


def crc(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int32", 0xB2F41954), ("uint32", 0xB2F41954), ("int64", 0x27F5DE1B), ("uint64", 0x27F5DE1B)],
)
def test_full_int(dtype: str, expected: int) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    drawn = random_kernels.full_int(np, *START, (37,), dtype)
    assert drawn.dtype == dtype and crc(drawn) == expected
    words, counter = START
    compiled = jax.jit(lambda counter: random_kernels.full_int(jax.numpy, words, counter, (37,), dtype))
    np.testing.assert_array_equal(compiled(counter), drawn)


# Binomial.

COUNTS = np.array([1, 5, 10, 20, 30, 100, 1000, 1e6, 0, -3, 40, 7, 10, 10, 50, 15])
PROBS = np.array([0.5, 0.2, 0.9, 0.4, 0.05, 0.3, 0.7, 0.01, 0.3, 0.5, 0.25, 0.5, 0.0, 1.0, 0.55, -0.1])


@pytest.mark.parametrize(("dtype", "expected"), [("float32", 0x8E5B1042), ("float64", 0x096CAAA6)])
def test_binomial(dtype: str, expected: int) -> None:
    out = np.int32 if dtype == "float32" else np.float64
    drawn = random_binomial.binomial(*START, (50,), COUNTS.astype(dtype), PROBS.astype(dtype), out)
    assert drawn.shape == (50, 16) and drawn.dtype == out
    assert crc(drawn) == expected


def test_binomial_broadcasts() -> None:
    counts, probs = np.array([[10.0], [20.0], [100.0]]), np.array([0.3, 0.6])
    assert crc(random_binomial.binomial(*START, (5,), counts, probs, np.int64)) == 0xFDA61CC7


def test_binomial_of_what_is_no_number() -> None:
    counts, probs = np.array([np.nan, np.inf, 10.0, 10.0]), np.array([0.5, 0.5, np.nan, 2.0])
    drawn = random_binomial.binomial(*START, (2,), counts, probs, np.float64)
    np.testing.assert_array_equal(drawn, [[np.nan, np.nan, np.nan, 10]] * 2)


# Truncated normals with bounds of their own.

PARAMETERS = np.array([
    (0, 1, -2, 2), (0, 1, -1, 1), (0, 1, 2, 3), (0, 1, 3, 100), (1, 2, -np.inf, 0), (0, 1, 4, np.inf), (5, 1, 0, 1),
    (0, 1, -0.1, 0.1), (0, 2, -1, 50), (0, 1, 0, np.inf), (0, 1, 0.5, 0.6), (0, 1, -9, 9), (0, 1, -1.3, 3),
    (0, 1, -1.4, 3),
]).T  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "alone", "together", "sharded"),
    [
        ("float16", 0xA679323B, 0x368D19FB, 0xA6295246),
        ("float32", 0xA6E3570A, 0x78F060B4, 0xC26136F5),
        ("float64", 0xD9DD5D89, 0x05D295C5, 0x61F9A84D),
    ],
)
def test_truncated_normals(dtype: str, alone: int, together: int, sharded: int) -> None:
    columns = [[np.array(x, dtype) for x in column] for column in PARAMETERS.T]
    assert crc(np.stack([truncated_normals.draw(*START, (40,), *column, threads=2) for column in columns])) == alone
    drawn = truncated_normals.draw(*START, (5,), *PARAMETERS.astype(dtype), threads=2)
    assert drawn.shape == (5, 14) and crc(drawn) == together
    plain = [np.array(x, dtype) for x in (0, 1, -9, 9)]
    assert crc(truncated_normals.draw(*START, (6001,), *plain, threads=2)) == sharded


@pytest.mark.parametrize("bad", [(0, 0, -1, 1), (0, -1, -1, 1), (0, 1, 1, 1), (0, 1, -np.inf, np.inf)])
def test_truncated_normals_need_bounds(bad: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="Invalid parameters"):
        truncated_normals.draw(*START, (3,), *map(np.float32, bad))


def test_truncated_normals_of_what_is_no_number() -> None:
    with pytest.raises(InternalError, match="failed to accept a sample"):
        truncated_normals.draw(*START, (3,), *map(np.float32, (np.nan, 1, -1, 1)))


# Places in a permutation.


@pytest.mark.parametrize("largest", [0, 1, 10, 255, 1000])
def test_index_shuffle_permutes(largest: int) -> None:
    places = [index_shuffle.shuffled(i, (7, 8, 9), largest, 4) for i in range(largest + 1)]
    assert sorted(places) == list(range(largest + 1))


def test_index_shuffle_is_tensorflows() -> None:
    def shuffled(largest: int, seed: Any = (498247692, 11, 22), rounds: int = 4) -> list[int]:
        return [index_shuffle.shuffled(i, seed, largest, rounds) for i in range(20)]

    assert crc(np.array(shuffled(65535))) == 0x05E879C7
    assert crc(np.array(shuffled(2**20 + 3))) == 0xB2187775
    assert crc(np.array(shuffled(2**62))) == 0xDD27A51A
    assert crc(np.array([shuffled(100, (7, 8, 9), rounds) for rounds in (4, 6, 8)], np.int32)) == 0x4C859BC4
    assert crc(np.array(shuffled(2**63 + 5, (-7, 2**40, 9)), np.uint64)) == 0x48C95A92


# Samplers of classes.


def draws() -> candidate_samplers.Draws:
    return candidate_samplers.Draws(*key(5, 6))


@pytest.mark.parametrize(
    "sampler",
    [
        candidate_samplers.uniform(7),
        candidate_samplers.log_uniform(7),
        candidate_samplers.weighted(np.array([0, 1, 2, 3, 0.5, 4, 8], np.float32)),
        candidate_samplers.Learned(7).sampler(),
    ],
    ids=["uniform", "log_uniform", "weighted", "learned"],
)
def test_samplers_draw_by_their_probabilities(sampler: candidate_samplers.Sampler) -> None:
    source, count = draws(), 20_000
    seen = Counter(sampler.sample(source) for _ in range(count))
    expected = sampler.probability(np.arange(7))
    assert expected.dtype == np.float32 and expected.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose([seen[i] / count for i in range(7)], expected, atol=0.015)


def test_what_is_expected_of_unique_classes() -> None:
    sampler = candidate_samplers.log_uniform(5)
    drawn, of_true, of_drawn = candidate_samplers.draw(sampler, draws(), 5, True, np.array([[0, 4]]))
    assert sorted(drawn) == list(range(5))
    assert of_true.shape == (1, 2) and (of_true > 0).all() and (of_drawn <= 1).all()
    assert of_true[0, 0] == of_drawn[list(drawn).index(0)]
    with pytest.raises(InvalidArgumentError, match="Sampler's range is too small"):
        candidate_samplers.draw(sampler, draws(), 6, True, np.array([[0]]))


def test_learned_classes_get_likelier() -> None:
    learned = candidate_samplers.Learned(4)
    before = learned.sampler()
    learned.see(np.array([[1, 1], [3, 1]]))
    assert before.probability(np.arange(4)).tolist() == [0.25] * 4
    assert learned.sampler().probability(np.arange(4)).tolist() == [0.125, 0.5, 0.125, 0.25]


def test_unigrams() -> None:
    assert list(candidate_samplers.read_unigrams(["a,1\n", "\n", '"b,c",2.5\n', "3"])) == [1, 2.5, 3]
    with pytest.raises(InvalidArgumentError, match="Wrong vocabulary format at line: b,x"):
        candidate_samplers.read_unigrams(["a,1", "b,x"])
    assert candidate_samplers.unigram_weights([4, 9, 16], 0.5, 2, 1, 0).tolist() == [0, 0, 2, 3, 4]
    assert candidate_samplers.unigram_weights(range(6), 1.0, 0, 2, 1).tolist() == [1, 3, 5]
