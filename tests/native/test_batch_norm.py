"""The native batch normalisation against that of XLA and exact moments, at its borders, and misused."""
from __future__ import annotations

import numpy as np
import pytest

from millstream import native

if not native.available():
    pytest.skip(f"no native kernels: {native.why_not()}", allow_module_level=True)

from millstream.native import library
from millstream.ops import batch_norm_kernels as kernels
from millstream.runtime import backend

jax = backend.jax()

TOLERANCE = {"float32": 2e-5, "bfloat16": 2e-2}


class Case:
    """Random images, vectors and gradients."""

    def __init__(self, dims, channels_first=False, dtype="float32", mean=1.0):
        rng = np.random.RandomState(0)
        self.dtype = jax.numpy.dtype(dtype)
        self.axis = 1 if channels_first else 3
        self.others = tuple({0, 1, 2, 3} - {self.axis})
        self.options = {"epsilon": 1e-3, "channels_first": channels_first}
        self.x, self.side, self.dy = (
            (rng.randn(*dims) + offset).astype(self.dtype) for offset in (mean, 0.0, 0.5)
        )
        self.scale, self.offset, self.mean = rng.randn(3, dims[self.axis]).astype(np.float32)
        self.variance = rng.uniform(0.5, 2, dims[self.axis]).astype(np.float32)

    def calls(self):
        """The kernels with their arguments: (kernel, operands, parameters)."""
        affine, moments = (self.scale, self.offset), (self.mean, self.variance)
        for activation in ("", "relu"):
            for side in ((), (self.side,)):
                options = {**self.options, "activation": activation}
                yield kernels.normalize, (self.x, *affine, *side), options
                yield kernels.normalize_by, (self.x, *affine, *moments, *side), options
                for is_training in (True, False):
                    options = {**self.options, "is_training": is_training, "side": bool(side)}
                    y = (self.side,) if activation else ()
                    yield kernels.gradients, (self.dy, self.x, self.scale, *self.moments(), *y), options

    def moments(self):
        """The mean and the variance of the images, exact but for the last rounding."""
        wide = self.x.astype(np.float64)
        return wide.mean(self.others).astype(np.float32), wide.var(self.others).astype(np.float32)


def run_all(calls, form=lambda kernel: kernel):
    """What a form of the kernels gives in one program, and how often that calls native ones."""
    kernels, operands, options = zip(*calls, strict=True)

    def program(operands):
        every = zip(kernels, operands, options, strict=True)
        return [jax.tree.leaves(form(kernel)(*given, **parameters)) for kernel, given, parameters in every]

    lowered = jax.jit(program).lower(operands)
    return lowered.compile()(operands), lowered.as_text().count("custom_call @millstream")


def run(*call):
    """What a kernel gives, and whether the program calls the native one."""
    (found,), calls = run_all([call])
    return found, bool(calls)


def check(case, served=True):
    every = list(case.calls())
    found, calls = run_all(every)
    wanted, _ = run_all(every, lambda kernel: kernel.fallback)
    assert calls == (len(every) if served else 0)
    for call, some, others in zip(every, found, wanted, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            a, b = (np.asarray(value, np.float64) for value in (a, b))
            tolerance = TOLERANCE.get(case.dtype.name, 1e-12) * max(abs(b).max(initial=0), 1)
            np.testing.assert_allclose(a, b, atol=tolerance, rtol=0, err_msg=str(call[2]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [1, 3, 7, 8, 16, 17, 32, 41, 64, 259])
def test_channels(channels, dtype):
    check(Case((3, 9, 5, channels), dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [1, 17])
def test_channels_first(channels, dtype):
    check(Case((3, channels, 9, 5), True, dtype))


@pytest.mark.parametrize("dims, channels_first", [
    ((5, 41, 43, 16), False), ((2, 101, 67, 3), False), ((40, 7, 7, 100), False), ((1, 1, 1, 5), False),
    ((2, 3, 101, 99), True), ((7, 5, 1, 1), True), ((1, 4, 128, 64), True),
    ((200, 2, 7, 7), True), ((9, 3, 48, 49), True), ((40, 1, 30, 7), True),
])  # fmt: skip
def test_several_blocks(dims, channels_first):
    check(Case(dims, channels_first))


@pytest.mark.parametrize("dims, channels_first", [
    ((4, 33, 35, 7), False), ((3, 5, 95, 97), True), ((1, 1, 1, 9), False),
])  # fmt: skip
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_moments_are_accurate(dims, channels_first, mean):
    case = Case(dims, channels_first, mean=mean)
    (_, mean, unbiased, variance), calls = run(*next(case.calls()))
    count = case.x.size // case.scale.size
    assert calls
    for found, wanted in zip((mean, variance), case.moments(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(unbiased, variance * (count / max(count - 1, 1)), rtol=1e-6)


def test_one_far_number_first_does_not_hide_the_variance():
    case = Case((2, 32, 32, 4), mean=1000.0)
    case.x[0, 0, 0] = 0
    (_, _, _, variance), _ = run(*next(case.calls()))
    np.testing.assert_allclose(variance, case.moments()[1], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_side_and_mask(dtype):
    case = Case((4, 9, 9, 24), dtype=dtype)
    operands = (case.dy, case.x, case.scale, *case.moments(), case.side)
    options = {**case.options, "is_training": True}
    (dx, d_scale, d_offset), _ = run(kernels.gradients, operands, options)
    (*with_side, d_side), _ = run(kernels.gradients, operands, {**options, "side": True})
    np.testing.assert_array_equal(d_side, np.where(case.side > 0, case.dy, 0))
    for a, b in zip(with_side, (dx, d_scale, d_offset), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dims, channels_first", [
    ((4, 33, 35, 7), False), ((3, 40, 40, 40), False), ((30, 9, 9, 259), False), ((40, 5, 20, 20), True),
])  # fmt: skip
def test_numbers_of_threads_give_the_same(dims, channels_first):
    case, before = Case(dims, channels_first), library.library().millstream_threads()
    try:
        made = []
        for threads in (1, 2, 5):
            library.library().millstream_set_threads(threads)
            made.append(run_all(case.calls())[0])
    finally:
        library.library().millstream_set_threads(before)
    for found in made[1:]:
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(made[0]), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_stays_in_its_channel(dtype):
    case = Case((2, 9, 9, 11), dtype=dtype)
    case.x[1, 2, 3, 4] = np.nan
    every = list(case.calls())
    for (kernel, *_), (image, *_) in zip(every, run_all(every)[0], strict=True):
        nan = np.isnan(np.asarray(image, np.float32))
        where = nan.any((0, 1, 2))
        assert where[4] and where.sum() == 1
        if kernel is kernels.normalize:
            assert nan[..., 4].all()


def test_rounds_to_bfloat16_as_xla_does():
    case = Case((1, 8, 8, 8), dtype="bfloat16")
    operands = (case.x, np.float32([1] * 8), np.float32([2**-8] * 8), np.float32([0] * 8), np.float32([1] * 8))
    options = {"epsilon": 0.0, "channels_first": False}
    found, _ = run(kernels.normalize_by, operands, options)
    wanted, _ = run(kernels.normalize_by.fallback, operands, options)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("case", [
    Case((2, 4, 4, 3), dtype="float16"), Case((0, 4, 4, 3)), Case((2, 4, 0, 3)), Case((2, 4, 4, 0)),
], ids=["float16", "no_images", "no_points", "no_channels"])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value", "ignore:Degrees of freedom")
def test_falls_back(case):
    case.moments = lambda: (case.mean, case.variance)
    check(case, served=False)


def test_two_sides_fall_back():
    case = Case((2, 4, 4, 3))
    operands = (case.x, case.scale, case.offset, case.side, case.dy)
    (y, *_), calls = run(kernels.normalize, operands, case.options)
    (one, *_), _ = run(kernels.normalize, operands[:3], case.options)
    assert not calls
    np.testing.assert_allclose(y, one + case.side + case.dy, rtol=1e-5, atol=1e-5)


def test_numpy_arrays_are_for_the_function_itself():
    case = Case((2, 4, 4, 3))
    every = list(case.calls())
    for (kernel, operands, parameters), wanted in zip(every, run_all(every)[0], strict=True):
        found = jax.tree.leaves(kernel.on(np)(*operands, **parameters))
        for a, b in zip(found, wanted, strict=True):
            assert type(a) is np.ndarray
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# --- Called amiss -------------------------------------------------------------------------------------------

IMAGE, VECTOR, WIDE = ((2, 5, 4, 3), "float32"), ((3,), "float32"), ((2, 5, 4, 4), "float32")
FIRST = {"epsilon": np.float32(1e-3), "channels_first": False}
CALLS = {
    "millstream_batch_norm": ([IMAGE, VECTOR, VECTOR, IMAGE], [IMAGE, VECTOR, VECTOR, VECTOR]),
    "millstream_batch_norm_inference": ([IMAGE, *[VECTOR] * 4, IMAGE], [IMAGE]),
    "millstream_batch_norm_gradient": ([IMAGE, IMAGE, *[VECTOR] * 3, IMAGE], [IMAGE, VECTOR, VECTOR, IMAGE]),
}


@pytest.fixture(scope="module")
def known_to_xla():
    run_all(Case((1, 2, 2, 3)).calls())


def raw(target, operands, results, **changed):
    """Calls the library with buffers as they are, which may be misfits."""
    last = {"is_training": True} if target.endswith("gradient") else {"activation": np.int64(1)}
    like = [jax.ShapeDtypeStruct(shape, jax.numpy.dtype(dtype)) for shape, dtype in results]
    call = jax.ffi.ffi_call(target, like)
    given = [np.ones(shape, jax.numpy.dtype(dtype)) for shape, dtype in operands]
    return jax.block_until_ready(jax.jit(lambda *x: call(*x, **FIRST | last | changed))(*given))


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", sorted(CALLS))
def test_called_as_it_should_be(target):
    operands, results = CALLS[target]
    raw(target, operands, results)
    raw(target, operands[:-1], results[:-1] if target.endswith("gradient") else results)


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", sorted(CALLS))
@pytest.mark.parametrize("misfit", [
    WIDE, ((2, 5, 4), "float32"), ((2, 5, 4, 3), "bfloat16"), ((2, 5, 4, 3), "float64"), ((0, 5, 4, 3), "float32"),
    ((4,), "float32"), ((2,), "float32"), ((3,), "bfloat16"), ((), "float32"), ((1, 3), "float32"),
])  # fmt: skip
def test_misfitting_buffers_are_refused(target, misfit):
    operands, results = CALLS[target]
    buffers = operands + results
    # XLA makes no call whose only result is empty.
    for index in range(len(operands) if 0 in misfit[0] else len(buffers)):
        changed = [*buffers[:index], misfit, *buffers[index + 1 :]]
        with pytest.raises(Exception, match="(?i)do not fit|invalid_argument|wrong buffer"):
            raw(target, changed[: len(operands)], changed[len(operands) :])


@pytest.mark.usefixtures("known_to_xla")
@pytest.mark.parametrize("target", sorted(CALLS))
def test_other_misfits_are_refused(target):
    operands, results = CALLS[target]
    for wrong in ([*operands, IMAGE], operands[:2]):
        with pytest.raises(Exception, match="(?i)do not fit|wrong number|invalid"):
            raw(target, wrong, results)
    with pytest.raises(Exception, match="do not fit"):
        raw(target, operands, results, channels_first=True)
