"""Random kernels against TensorFlow 1.15.5: vectors, and CRC-32 sums of long results that it computed.

The sums were recorded from the raw ops with `seed=87654321, seed2=1`, first and second run of a session with
two threads; they are of the result's bytes, so one wrong bit among 100,003 numbers fails.
"""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from millstream.ops import libm, philox, random_kernels, random_rejection
from millstream.ops.philox import advance, blocks, key, reserve, stateless_key

SEEDS = (87654321, 1)
LONG = 100_003  # not a multiple of a group, several chunks of NumPy's layout
FLOAT_OPS = {
    "uniform": random_kernels.uniform,
    "normal": random_kernels.normal,
    "truncated": random_kernels.truncated_normal,
}

FLOAT_SUMS = [
    ("uniform", "bfloat16", 0xDC2B8C9E, 0x548B97D6),
    ("uniform", "float16", 0x8A4F334E, 0x00DB9925),
    ("uniform", "float32", 0x6A34E204, 0xF8783DD9),
    ("uniform", "float64", 0xA71F85FB, 0x5F9B3E91),
    ("normal", "bfloat16", 0x3C2489BC, 0x4380FF29),
    ("normal", "float16", 0x38C6C1F4, 0xCA2680DF),
    ("normal", "float32", 0x6B1B497D, 0x91715527),
    ("normal", "float64", 0x6C30FBC3, 0x010A2259),
    ("truncated", "bfloat16", 0xC0C37D1D, 0x9AC3EC6E),
    ("truncated", "float16", 0x2202EFAD, 0xA7D90C6B),
    ("truncated", "float32", 0x45D6D39D, 0x4B7D1530),
    ("truncated", "float64", 0xB86742E7, 0x7460B872),
]
INT_SUMS = [
    ("int32", 0, 10, 0xCC727FBE, 0xFBE2F478),
    ("int32", -5, 1000, 0x0CCCF3BE, 0x37218C56),
    ("int32", -(2**31), 2**31 - 1, 0x0AD6476F, 0x99C93566),
    ("int64", -3, 10**12, 0xB241554A, 0xCE072D54),
    ("int64", -(2**63), 2**63 - 1, 0x3201F1AF, 0x2B10BC18),
]
MULTINOMIAL_SUMS = [  # batch, classes, samples
    (30, 100, 1, 0xFC2D8372, 0x1CF8CF9E),
    (60, 100, 1, 0xDB9491D6, 0xD2A56BA7),
    (200, 5, 10, 0xA659F196, 0x3FC8F465),
    (7, 37, 300, 0x7326FC48, 0xF329EB16),
    (133, 17, 9, 0x2DF2B586, 0x1ED355BC),
    (1000, 3, 1, 0x2C6D7164, 0xA22D8602),
    (4, 1000, 20, 0xA353E697, 0x58F4146B),
]
GAMMA_SUMS = [
    ("float16", 0x4AF27DAC, 0xF1AB71DA),
    ("float32", 0x3E0E218F, 0xA12B4064),
    ("float64", 0x00721842, 0xD1B983CA),
]
POISSON_SUMS = [
    ("float16", 0xD5262C18, 0x2A429E59),
    ("float32", 0x5EC17D23, 0xBBFE897E),
    ("float64", 0xF2A5A1F8, 0x4315C4F5),
    ("int32", 0x122EBE68, 0x0947520D),
    ("int64", 0x64824BD8, 0x11A34381),
]


@pytest.fixture(params=["numpy", "jax"])
def backend(request: pytest.FixtureRequest) -> tuple[Any, Callable[[Any], Any]]:
    """The array module and what compiles a function of arrays for it."""
    if request.param == "numpy":
        return np, lambda function: function
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy, jax.jit


def counter_of_run(seeds: tuple[int, int], run: int, reserved: int) -> tuple[Any, np.ndarray]:
    """The key words and the counter of the given run (from 1) of an op that reserves `reserved` blocks."""
    words, start = key(*seeds)
    return words, np.array(advance(start, (run - 1) * reserved), np.uint64)


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def crc(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


# The generator.

F = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("words", "counter", "expected"),
    [
        ((0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((F, F), (2**64 - 1, 2**64 - 1), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0xA4093822, 0x299F31D0),
            (0x85A308D3243F6A88, 0x0370734413198A2E),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
        ((0x05397FB1, 0), (0, 1), "ab1e98c7 cdf5cfa7 f1867731 4c3f748e"),
        ((0x05397FB1, 0), (1, 1), "00eaf265 c4836362 a50b474a 8f3a73d9"),
    ],
)
def test_known_answers(backend: Any, words: Any, counter: Any, expected: str) -> None:
    xp, compiled = backend
    block = compiled(lambda counter: blocks(xp, words, counter, 1))(np.array(counter, np.uint64))
    assert block.dtype == np.uint32
    assert " ".join(f"{word:08x}" for word in np.asarray(block)[0]) == expected


def test_counter_carries_into_its_high_half(backend: Any) -> None:
    xp, compiled = backend
    run = compiled(lambda counter: blocks(xp, (1, 2), counter, 3))
    across = np.asarray(run(np.array([2**64 - 1, 5], np.uint64)))
    beyond = np.asarray(run(np.array([0, 6], np.uint64)))
    np.testing.assert_array_equal(across[1:], beyond[:2])


def test_key_and_advance() -> None:
    assert key(87654321, 1) == ((0x05397FB1, 0), (0, 1))
    assert key(-1, -2) == ((F, F), (0, 2**64 - 2))
    assert advance((2**64 - 3, 7), 5) == (2, 8)
    assert advance((2**64 - 1, 2**64 - 1), 1) == (0, 0)


def test_reserves() -> None:
    assert reserve(6) == 1536
    shapes = ((), (1, 9), (5, 0), (2,), (5,), (6, 4))
    assert [philox.reserve_shuffle(shape) for shape in shapes] == [0, 0, 0, 1, 1, 2]
    assert philox.reserve_multinomial(2, 6) == 256 * 2 * 2 * 4 * 2


def test_a_program_serves_every_counter() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    traces = []

    def draw(counter: Any) -> Any:
        traces.append(1)
        return random_kernels.uniform(jax.numpy, (1, 2), counter, (5,), np.float32)

    compiled = jax.jit(draw)
    first, second = (np.asarray(compiled(np.array([at, 0], np.uint64))) for at in (0, 1280))
    assert len(traces) == 1
    assert not np.array_equal(first, second)


# The float functions.


def test_float32_functions_round_as_glibc() -> None:
    """Every fifth of the 2^23 arguments that Box-Muller can meet; the sums are of glibc 2.36's results."""
    k = np.arange(0, 2**23, 5)
    u = np.maximum((k * 2.0**-23).astype(np.float32), np.float32(1e-7))
    angle = (2 * np.pi * (k * 2.0**-23)).astype(np.float32)
    assert crc(libm.log32(np, u)) == 0x7183BFE6
    assert [crc(part) for part in libm.sin_cos32(np, angle)] == [0x137FCE68, 0xE57F0C9C]


def test_float32_functions_compiled() -> None:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    k = np.arange(1, 2**23, 7)
    u, angle = (k * 2.0**-23).astype(np.float32), (2 * np.pi * (k * 2.0**-23)).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(lambda x: libm.log32(jnp, x))(u), libm.log32(np, u))
    np.testing.assert_array_equal(jax.jit(lambda x: libm.sin_cos32(jnp, x))(angle), libm.sin_cos32(np, angle))


# Distributions.


def vectors() -> Iterator[Any]:
    for line in Path(__file__).with_name("philox_vectors.txt").read_text().splitlines():
        if not line.startswith("#"):
            yield pytest.param(line, id=line.split(" : ")[0])


@pytest.mark.parametrize("line", list(vectors()))
def test_vectors(backend: Any, line: str) -> None:
    xp, compiled = backend
    case, expected = line.split(" : ")
    op, dtype_name, *limits, seed, seed2, size, run = case.split()
    shape, dtype = tuple(map(int, size.split("x"))), dtype_of(dtype_name)
    count = int(np.prod(shape))
    reserved = philox.reserve_shuffle(shape) if op == "shuffle" else reserve(count)
    words, counter = counter_of_run((int(seed), int(seed2)), int(run), reserved)

    def draw(counter: Any) -> Any:
        if op == "shuffle":
            return random_kernels.shuffle(xp, words, counter, xp.arange(count, dtype=dtype))
        if op == "int":
            return random_kernels.uniform_int(xp, words, counter, shape, dtype, *map(int, limits))
        if op.startswith("stateless_"):
            stateless = stateless_key(xp, xp.asarray([int(seed), int(seed2)]))
            return FLOAT_OPS[op.removeprefix("stateless_")](xp, *stateless, shape, dtype)
        return FLOAT_OPS[op](xp, words, counter, shape, dtype)

    result = np.asarray(compiled(draw)(counter))
    assert result.dtype == dtype and result.shape == shape
    flat = result.reshape(-1)
    first, last = (np.array(list(map(dtype.type, part.split()))) for part in expected.split(" | "))
    np.testing.assert_array_equal(flat[: len(first)], first)
    np.testing.assert_array_equal(flat[-2:], last)


@pytest.mark.parametrize(("op", "dtype_name", "first", "second"), FLOAT_SUMS)
def test_long_floats(backend: Any, op: str, dtype_name: str, first: int, second: int) -> None:
    xp, compiled = backend
    words, _ = key(*SEEDS)
    draw = compiled(lambda counter: FLOAT_OPS[op](xp, words, counter, (LONG,), dtype_of(dtype_name)))
    sums = [crc(draw(counter_of_run(SEEDS, run, reserve(LONG))[1])) for run in (1, 2)]
    assert sums == [first, second]


@pytest.mark.parametrize(("dtype", "low", "high", "first", "second"), INT_SUMS)
def test_long_integers(backend: Any, dtype: str, low: int, high: int, first: int, second: int) -> None:
    xp, compiled = backend
    words, _ = key(*SEEDS)
    draw = compiled(lambda *args: random_kernels.uniform_int(xp, words, args[0], (LONG,), dtype, *args[1:]))
    limits = (np.array(low, dtype), np.array(high, dtype))
    sums = [crc(draw(counter_of_run(SEEDS, run, reserve(LONG))[1], *limits)) for run in (1, 2)]
    assert sums == [first, second]


@pytest.mark.parametrize("op", FLOAT_OPS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (3,), (2, 2, 9), (4099,)])
def test_shapes_and_chunks(op: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Any shape, compiled or cut into small chunks, holds the first elements of the same stream."""
    import jax

    jax.config.update("jax_enable_x64", True)
    words, counter = counter_of_run((3, 5), 1, 0)
    count = int(np.prod(shape))
    for dtype in (np.float32, np.float64):
        expected = FLOAT_OPS[op](np, words, counter, (8192,), dtype)[:count].reshape(shape)
        traced = jax.jit(lambda counter, dtype=dtype: FLOAT_OPS[op](jax.numpy, words, counter, shape, dtype))
        np.testing.assert_array_equal(traced(counter), expected)
        with monkeypatch.context() as patch:
            patch.setattr(random_kernels, "_CHUNK", 16)
            result = FLOAT_OPS[op](np, words, counter, shape, dtype)
        assert result.shape == shape and result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


def test_truncated_normal_stays_below_two(backend: Any) -> None:
    xp, compiled = backend
    draw = compiled(lambda counter: random_kernels.truncated_normal(xp, (9, 9), counter, (LONG,), np.float32))
    assert np.abs(draw(np.zeros(2, np.uint64))).max() < 2


def test_shuffle_moves_whole_rows(backend: Any) -> None:
    xp, compiled = backend
    words, counter = counter_of_run(SEEDS, 1, 0)
    rows = np.arange(24, dtype=np.float32).reshape(6, 4)
    shuffle = compiled(lambda counter, value: random_kernels.shuffle(xp, words, counter, value))
    order = np.asarray(shuffle(counter, np.arange(6)))
    assert sorted(order) == list(range(6))
    np.testing.assert_array_equal(shuffle(counter, rows), rows[order])


# Multinomial.


@pytest.mark.parametrize(("batch", "classes", "samples", "first", "second"), MULTINOMIAL_SUMS)
def test_multinomial(backend: Any, batch: int, classes: int, samples: int, first: int, second: int) -> None:
    xp, compiled = backend
    logits = (np.arange(batch * classes) * 7919 % 101).astype(np.float32) / np.float32(10) - 5
    logits = logits.reshape(batch, classes)
    words, _ = key(*SEEDS)

    def multinomial(counter: Any, logits: Any) -> Any:
        return random_kernels.multinomial(xp, words, counter, logits, samples, np.int64, threads=2)

    draw, reserved = compiled(multinomial), philox.reserve_multinomial(batch, samples)
    assert [crc(draw(counter_of_run(SEEDS, run, reserved)[1], logits)) for run in (1, 2)] == [first, second]


def test_multinomial_unsharded_runs(backend: Any) -> None:
    xp, _ = backend
    logits = xp.asarray([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.float32)
    for run, first, last in ((1, [3, 3, 3, 3], [0, 0]), (2, [3, 2, 2, 2], [0, 0])):
        words, counter = counter_of_run(SEEDS, run, philox.reserve_multinomial(2, 6))
        result = random_kernels.multinomial(xp, words, counter, logits, 6, np.int64)
        assert result[0, :4].tolist() == first and result[1, -2:].tolist() == last


def test_multinomial_skips_logits_that_are_not_finite(backend: Any) -> None:
    xp, _ = backend
    inf = np.inf
    logits = np.array([[0, inf, 1, 2], [np.nan, 0, -inf, 1], [-inf] * 4, [inf] * 4], np.float32)
    words, counter = counter_of_run((3, 4), 1, 0)
    result = random_kernels.multinomial(xp, words, xp.asarray(counter), xp.asarray(logits), 50, np.int64)
    assert np.asarray(result)[:, :12].tolist() == [
        [3, 3, 2, 3, 0, 2, 3, 3, 3, 2, 3, 3],
        [1, 3, 3, 1, 3, 3, 3, 3, 1, 3, 3, 3],
        [4] * 12,
        [4] * 12,
    ]


def test_rows_per_shard() -> None:
    """Measured with pools of one, two and three threads."""
    cases = {
        (30, 100, 1, 2): 30,
        (52, 100, 1, 2): 7,
        (300, 100, 1, 2): 38,
        (200, 5, 7, 2): 37,
        (200, 1000, 20, 3): 17,
        (9, 9, 9, 1): 9,
    }
    assert {case: random_kernels.rows_per_shard(*case) for case in cases} == cases


# Gamma and Poisson.


@pytest.mark.parametrize(("dtype", "first", "second"), GAMMA_SUMS)
def test_gamma(dtype: str, first: int, second: int) -> None:
    alpha = np.array([0.1, 0.5, 1.0, 1.5, 3.0, 20.0], dtype)
    streams = [counter_of_run(SEEDS, run, reserve(3000)) for run in (1, 2)]
    results = [random_rejection.gamma(*stream, (500,), alpha) for stream in streams]
    assert results[0].shape == (500, 6) and results[0].dtype == dtype
    assert [crc(result) for result in results] == [first, second]


@pytest.mark.parametrize(("dtype", "first", "second"), POISSON_SUMS)
def test_poisson(dtype: str, first: int, second: int) -> None:
    rate = np.array([0, 0.3, 3.0, 9.99, 10.0, 15.5, 100.0, 900.0])
    streams = [counter_of_run(SEEDS, run, reserve(2400)) for run in (1, 2)]
    results = [random_rejection.poisson(*stream, (300,), rate, dtype) for stream in streams]
    assert results[0].shape == (300, 8) and results[0].dtype == dtype
    assert [crc(result) for result in results] == [first, second]


def test_gamma_and_poisson_as_the_python_functions_call_them() -> None:
    words, counter = counter_of_run(SEEDS, 1, 0)
    gamma = random_rejection.gamma(words, counter, (4,), np.float32(2).reshape(()))
    np.testing.assert_array_equal(gamma, np.float32([1.2512219, 0.91444606, 0.86732966, 1.1270176]))
    poisson = random_rejection.poisson(words, counter, (6,), np.array(3.0, np.float32), np.float32)
    assert poisson.tolist() == [5, 4, 7, 7, 3, 4]


def test_gamma_and_poisson_at_the_edges() -> None:
    words, counter = counter_of_run(SEEDS, 1, 0)
    gamma = random_rejection.gamma(words, counter, (2,), np.array([0, np.inf, -1, np.nan], np.float32))
    np.testing.assert_array_equal(gamma, [[0, np.inf, np.nan, np.nan]] * 2)
    poisson = random_rejection.poisson(words, counter, (2,), np.array([-1, np.inf, np.nan]), np.float64)
    np.testing.assert_array_equal(poisson, [[0, np.nan, np.nan]] * 2)
    beyond = random_rejection.poisson(words, counter, (3,), np.array([1e12]), np.int32)
    assert beyond.tolist() == [[2**31 - 1]] * 3
    assert random_rejection.gamma(words, counter, (2, 0), np.ones((3,))).shape == (2, 0, 3)
    assert random_rejection.poisson(words, counter, (2,), np.ones((0, 3)), np.int64).shape == (2, 0, 3)
