"""The native local response normalisation against that of XLA, at the border of what it serves, and called amiss."""
from __future__ import annotations

import numpy as np
import pytest

from millstream import native

if not native.available():
    pytest.skip(f"no native kernels: {native.why_not()}", allow_module_level=True)

from millstream.native import library
from millstream.ops import lrn_kernels as kernels
from millstream.runtime import backend

jax = backend.jax()

TOLERANCE = {"float32": 5e-6, "bfloat16": 1e-2}
OPTIONS = {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}


def images(dims, dtype="float32"):
    """Random images, a gradient, and images that might have come out."""
    rng = np.random.RandomState(0)
    return [rng.randn(*dims).astype(jax.numpy.dtype(dtype)) for _ in range(3)]


def run(kernel, operands, **options):
    """What a kernel gives, and whether the program calls the native one."""
    program = jax.jit(lambda *x: kernel(*x, **OPTIONS | options)).lower(*operands)
    return program.compile()(*operands), "custom_call @millstream" in program.as_text()


def check(operands, served=True, **options):
    for kernel, given in ((kernels.normalize, operands[:1]), (kernels.gradient, operands)):
        found, calls = run(kernel, given, **options)
        wanted, _ = run(kernel.fallback, given, **options)
        assert calls == served and found.dtype == wanted.dtype
        tolerance = TOLERANCE.get(found.dtype.name, 1e-12)
        a, b = (np.asarray(value, np.float64) for value in (found, wanted))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [1, 3, 8, 17, 64, 96])
@pytest.mark.parametrize("depth_radius", [0, 1, 5, 1000])
def test_channels(channels, depth_radius, dtype):
    check(images((3, 5, 4, channels), dtype), depth_radius=depth_radius)


@pytest.mark.parametrize("beta", [0.25, 0.5, 0.75, 1.0])
def test_powers(beta):
    check(images((2, 6, 6, 20)), beta=beta)


@pytest.mark.parametrize("dims, options, dtype", [
    ((2, 3, 3, 5), {"beta": 0.6}, "float32"), ((2, 3, 3, 5), {"beta": 2.0}, "float32"),
    ((2, 3, 3, 5), {"beta": -0.5}, "float32"), ((2, 3, 3, 5), {}, "float16"), ((0, 3, 3, 5), {}, "float32"),
])  # fmt: skip
def test_falls_back(dims, options, dtype):
    check(images(dims, dtype), served=False, **options)


@pytest.mark.parametrize("kernel", [kernels.normalize, kernels.gradient])
def test_numbers_of_threads_give_the_same(kernel):
    operands, before = images((3, 21, 20, 37)), library.library().millstream_threads()
    operands = operands if kernel is kernels.gradient else operands[:1]
    try:
        made = []
        for threads in (1, 2, 5):
            library.library().millstream_set_threads(threads)
            made.append(run(kernel, operands)[0])
    finally:
        library.library().millstream_set_threads(before)
    for found in made[1:]:
        np.testing.assert_array_equal(found, made[0])


def test_nan_reaches_its_neighbours_only():
    x, *_ = images((1, 1, 2, 19))
    x[0, 0, 0, 9] = np.nan
    y, _ = run(kernels.normalize, [x])
    assert np.flatnonzero(np.isnan(y[0, 0, 0])).tolist() == [7, 8, 9, 10, 11] and not np.isnan(y[0, 0, 1]).any()


def test_numpy_arrays_are_for_the_function_itself():
    operands = images((2, 3, 3, 7))
    np.testing.assert_allclose(
        kernels.gradient.on(np)(*operands, **OPTIONS), run(kernels.gradient, operands)[0], rtol=1e-5, atol=1e-6
    )


# --- Called amiss -------------------------------------------------------------------------------------------

FIT = ((2, 5, 4, 3), "float32")
CALLS = {"millstream_lrn": 1, "millstream_lrn_gradient": 3}


@pytest.fixture(scope="module")
def known_to_xla():
    for kernel, count in ((kernels.normalize, 1), (kernels.gradient, 3)):
        run(kernel, images((1, 1, 1, 3))[:count])


def raw(target, *buffers, **changed):
    """Calls the library with buffers, the last for the result, and attributes as they are; they may be misfits."""
    *operands, result = (jax.ShapeDtypeStruct(shape, jax.numpy.dtype(dtype)) for shape, dtype in buffers)
    numbers = {"radius": 2, "bias": np.float32(1), "alpha": np.float32(1), "quarters": 2} | changed
    attributes = {name: np.int64(value) if isinstance(value, int) else value for name, value in numbers.items()}
    program = jax.jit(lambda *x: jax.ffi.ffi_call(target, result)(*x, **attributes))
    return jax.block_until_ready(program(*(np.ones(operand.shape, operand.dtype) for operand in operands)))


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", CALLS)
def test_called_as_it_should_be(target):
    raw(target, *[FIT] * (CALLS[target] + 1))


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", CALLS)
@pytest.mark.parametrize("misfit", [
    ((2, 5, 4, 4), "float32"), ((2, 5, 4), "float32"), ((2, 5, 4, 3), "bfloat16"), ((0, 5, 4, 3), "float32"),
    ((), "float32"), ((2, 5, 4, 3), "int32"),
])  # fmt: skip
def test_misfitting_buffers_are_refused(target, misfit):
    count = CALLS[target] + 1
    # XLA makes no call whose result is empty.
    for index in range(count - (0 in misfit[0])):
        buffers = [FIT] * count
        buffers[index] = misfit
        with pytest.raises(Exception, match="do not fit"):
            raw(target, *buffers)
    if misfit[1] == "int32":
        with pytest.raises(Exception, match="do not fit"):
            raw(target, *[misfit] * count)


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", CALLS)
@pytest.mark.parametrize("changed", [{"radius": -1}, {"quarters": 0}, {"quarters": 5}, {"quarters": -2}])
def test_misfitting_attributes_are_refused(target, changed):
    with pytest.raises(Exception, match="do not fit"):
        raw(target, *[FIT] * (CALLS[target] + 1), **changed)


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", CALLS)
def test_any_radius_is_within_bounds(target):
    raw(target, *[FIT] * (CALLS[target] + 1), radius=2**62)
