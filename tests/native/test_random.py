"""The native random numbers against those that NumPy and XLA draw, bit for bit, and called amiss."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from millstream import native

if not native.available():
    pytest.skip(f"no native kernels: {native.why_not()}", allow_module_level=True)

from millstream.native import library, random_numbers
from millstream.ops import philox, random_kernels
from millstream.runtime import backend

jax = backend.jax()

KEY = (0xDEADBEEF, 0x12345678)
START = (0, 1)
# A group more or less than whole vectors, batches, and shares of threads.
COUNTS = (1, 3, 5, 64, 2046, 2049, 20_011)
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int32", "uint32", "int64", "uint64")
CASES = [(name, dtype) for name in ("uniform", "normal", "truncated_normal") for dtype in FLOATS]
CASES += [(name, dtype) for name in ("full_int", "uniform_int") for dtype in INTEGERS]


def dtype_of(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def parameters(*bounds, counter=START):
    return np.array([KEY[0] | KEY[1] << 32, *counter, *bounds], np.uint64)


def of_case(distribution, **options):
    return parameters(*((2**64 - 5, 1000) if distribution == "uniform_int" else ()), **options)


def by_numpy(given, distribution, count, dtype):
    """The numbers drawn without the library."""
    return random_kernels._drawn(np, given, distribution, (count,), dtype_of(dtype))


def compiled(given, distribution, shape, dtype):
    """The numbers of a compiled program, and its text."""
    draw = jax.jit(
        lambda x: random_kernels._traced(x, distribution=distribution, shape=shape, dtype=dtype_of(dtype))
    ).lower(given)
    return np.asarray(draw.compile()(given)), draw.as_text()


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(params=[1, 3])
def threads(request):
    library.library().millstream_set_threads(request.param)
    yield request.param
    library.library().millstream_set_threads(0)


@pytest.mark.parametrize("distribution, dtype", CASES)
def test_same_as_numpy(distribution, dtype, threads):
    given = of_case(distribution)
    for count in COUNTS:
        drawn = random_numbers.draw(distribution, given, (count,), dtype_of(dtype))
        assert same(drawn, by_numpy(given, distribution, count, dtype)), count


@pytest.mark.parametrize("distribution, dtype", CASES)
def test_compiled(distribution, dtype):
    given = of_case(distribution)
    values, text = compiled(given, distribution, (31, 3), dtype)
    assert "custom_call @millstream_random" in text
    assert same(values, by_numpy(given, distribution, 93, dtype).reshape(31, 3))


@pytest.mark.parametrize("distribution, dtype", [("truncated_normal", "float32"), ("uniform_int", "int64")])
def test_form_for_other_devices(distribution, dtype):
    given = of_case(distribution)
    draw = jax.jit(
        lambda x: random_kernels._traced.fallback(x, distribution=distribution, shape=(93,), dtype=dtype_of(dtype))
    )
    assert same(np.asarray(draw(given)), by_numpy(given, distribution, 93, dtype))


@pytest.mark.parametrize("counter", [(2**64 - 9, 7), (2**64 - 5000, 2**64 - 1)])
@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal"])
def test_counter_that_overflows(distribution, counter):
    given = parameters(counter=counter)
    drawn = random_numbers.draw(distribution, given, (4099,), dtype_of("float32"))
    assert same(drawn, by_numpy(given, distribution, 4099, "float32"))


@pytest.mark.parametrize("distribution, dtype", [("normal", "float32"), ("normal", "float16"), ("normal", "bfloat16")])
def test_many_normals(distribution, dtype):
    """Logarithm, sine and cosine at a large part of the arguments that there are, rounded to each type."""
    count = 1 << 22 if dtype == "float32" else 1 << 20
    drawn = random_numbers.draw(distribution, parameters(), (count,), dtype_of(dtype))
    assert same(drawn, by_numpy(parameters(), distribution, count, dtype))


@pytest.mark.parametrize("low, count", [(0, 1), (-(2**31), 2**32 - 1), (7, 2**31 + 1), (-3, 3 * 2**30), (0, 2**16)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_ranges(low, count, dtype):
    given = parameters(low % 2**64, count)
    drawn = random_numbers.draw("uniform_int", given, (10_001,), dtype_of(dtype))
    assert same(drawn, by_numpy(given, "uniform_int", 10_001, dtype))


def test_operations_share_it():
    """The functions that operations call draw the same with NumPy and compiled, from keys that are arrays too."""
    key, counter = philox.stateless_key(np, np.array([11, 22]))
    wanted = random_kernels.uniform_int(np, key, counter, (9,), np.int32, np.int32(-5), np.int32(50))
    draw = jax.jit(
        lambda k0, k1, c: random_kernels.uniform_int(
            jax.numpy, (k0, k1), c, (9,), np.int32, jax.numpy.int32(-5), jax.numpy.int32(50)
        )
    )
    np.testing.assert_array_equal(draw(*key, counter), wanted)


def test_mapped():
    seeds = np.stack([parameters(), parameters(counter=(5, 5))])
    draw = jax.vmap(lambda x: random_kernels._traced(x, distribution="normal", shape=(7,), dtype=dtype_of("float32")))
    wanted = [by_numpy(given, "normal", 7, "float32") for given in seeds]
    np.testing.assert_array_equal(draw(seeds), np.stack(wanted))


def test_nothing():
    values, text = compiled(parameters(), "uniform", (0, 4), "float32")
    assert values.shape == (0, 4) and "custom_call @millstream" not in text


@pytest.mark.parametrize(
    "given, distribution, dtype",
    [
        (parameters()[:2], 0, "float32"),
        (parameters(1), 0, "float32"),
        (parameters(), 4, "int32"),
        (parameters(1, 2), 3, "int32"),
        (parameters(), 5, "float32"),
        (parameters(), -1, "float32"),
        (parameters(), 0, "int32"),
        (parameters(), 3, "float64"),
        (parameters(), 0, "complex64"),
        (parameters(), 3, "int16"),
        (parameters().astype(np.float64), 0, "float32"),
    ],
)
def test_misfits(given, distribution, dtype):
    compiled(parameters(), "uniform", (3,), "float32")  # registers the target
    call = jax.ffi.ffi_call("millstream_random", jax.ShapeDtypeStruct((5,), np.dtype(dtype)))
    with pytest.raises(jax.errors.JaxRuntimeError):
        jax.block_until_ready(jax.jit(lambda x: call(x, distribution=np.int64(distribution)))(given))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_empty_range(dtype):
    """What a program computes before it finds that the bounds are wrong."""
    compiled(parameters(), "uniform", (3,), "float32")
    drawn, _ = compiled(parameters(5, 0), "uniform_int", (9,), dtype)
    assert drawn.shape == (9,)
