"""The native pooling against that of XLA, at the border of what it serves, and called amiss."""
from __future__ import annotations

import numpy as np
import pytest

from millstream import native

if not native.available():
    pytest.skip(f"no native kernels: {native.why_not()}", allow_module_level=True)

from millstream.native import library
from millstream.ops import pool_kernels
from millstream.ops.windows import Geometry
from millstream.runtime import backend

jax = backend.jax()

NAN, INFINITE = np.nan, np.inf
TOLERANCE = {"float32": 1e-6, "bfloat16": 2e-2}
ALL = ("max_pool", "avg_pool", "max_pool_gradient", "relu_gradient", "avg_pool_gradient")


class Case:
    """Pooling of random images with many equal numbers, and random gradients."""

    def __init__(self, dims, window, strides=None, padding="SAME", channels_first=False, dtype="float32"):
        count = len(dims) - 2
        axes = (0, count + 1, *range(1, count + 1)) if channels_first else range(count + 2)
        layout = ("NCDHW" if channels_first else "NDHWC").replace("D", "D" if count == 3 else "")

        def full(values):
            values = values if len(values) == count + 2 else (1, *values, 1)
            return tuple(values[axis] for axis in axes)

        self.ksize = full(window)
        self.geometry = Geometry(full(strides or window), (1,) * (count + 2), padding, (), layout)
        self.slide = {"ksize": self.ksize, "geometry": self.geometry}
        self.dtype = jax.numpy.dtype(dtype)
        rng = np.random.RandomState(0)
        self.images = (rng.randn(*(dims[axis] for axis in axes)) * 2).round().astype(self.dtype)
        self.grad = rng.randn(*self.pooled_dims()).astype(self.dtype)

    def pooled_dims(self):
        sizes = enumerate(self.images.shape)
        return tuple(self.geometry.output_size(axis, size, self.ksize[axis]) for axis, size in sizes)

    def results(self, form=lambda kernel: kernel, of=ALL):
        """What a form of the kernels makes of the images and gradients, and the text of the program."""

        def program(images, grad):
            calls = {
                "max_pool": ("max_pool", [images], {}),
                "avg_pool": ("avg_pool", [images], {}),
                "max_pool_gradient": ("max_pool_gradient", [images, grad], {}),
                "relu_gradient": ("max_pool_gradient", [images, grad], {"relu": True}),
                "avg_pool_gradient": ("avg_pool_gradient", [grad], {"dims": images.shape}),
            }
            return {
                name: form(getattr(pool_kernels, kernel))(*operands, **self.slide, **options)
                for name, (kernel, operands, options) in calls.items()
                if name in of
            }

        lowered = jax.jit(program).lower(self.images, self.grad)
        return lowered.compile()(self.images, self.grad), lowered.as_text()


def check(case, native_calls=True, exact=False, of=ALL):
    found, text = case.results(of=of)
    wanted, _ = case.results(lambda kernel: kernel.fallback, of)
    assert text.count("custom_call @millstream") == (len(of) if native_calls else 0)
    tolerance = 0 if exact else TOLERANCE.get(case.dtype.name, 1e-12)
    for name in of:
        assert found[name].dtype == case.dtype
        a, b = (np.asarray(results[name], np.float64) for results in (found, wanted))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)


CASES = {
    "2_by_2": ((3, 6, 8, 16), (2, 2)),
    "odd_image": ((2, 7, 5, 3), (2, 2)),
    "overlapping": ((2, 7, 6, 17), (3, 3), (2, 2)),
    "overlapping_by_one_axis": ((5, 7, 6, 32), (3, 2), (1, 2)),
    "stride_beyond_window": ((2, 8, 7, 20), (2, 2), (3, 3)),
    "stride_beyond_image": ((2, 4, 3, 8), (2, 2), (5, 5)),
    "window_is_image": ((2, 4, 5, 33), (4, 5), (1, 1)),
    "one_channel": ((40, 6, 5, 1), (2, 3), (2, 2)),
    "one_point": ((2, 3, 3, 9), (1, 1), (1, 1)),
    "many_images": ((65, 12, 8, 24), (2, 2)),
    "volumes": ((2, 5, 6, 5, 18), (2, 3, 2), (2, 1, 2)),
    "tiled_volumes": ((2, 4, 4, 4, 7), (2, 2, 2)),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize(("padding", "channels_first", "dtype"), [
    ("SAME", False, "float32"), ("VALID", False, "float32"), ("SAME", True, "float32"), ("VALID", False, "bfloat16"),
])  # fmt: skip
def test_agrees_with_xla(name, padding, channels_first, dtype):
    check(Case(*CASES[name], padding=padding, channels_first=channels_first, dtype=dtype))


def test_window_beyond_the_image():
    check(Case((2, 3, 2, 9), (5, 7), (1, 1)))


@pytest.mark.parametrize("channels_first", [False, True])
def test_explicit_padding(channels_first):
    case = Case((2, 6, 7, 9), (3, 4), (2, 3), channels_first=channels_first)
    spatial = (2, 1, 0, 3)
    explicit = (0, 0, 0, 0, *spatial) if channels_first else (0, 0, *spatial, 0, 0)
    case.geometry = case.geometry._replace(padding="EXPLICIT", explicit=explicit)
    case.slide["geometry"] = case.geometry
    case.grad = np.ones(case.pooled_dims(), np.float32)
    check(case)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("numbers", [
    [NAN, 1, 2, 0], [1, NAN, 2, 0], [1, 2, 0, NAN], [NAN] * 4, [-INFINITE] * 4, [NAN, -INFINITE, -INFINITE, -INFINITE],
    [-INFINITE, INFINITE, INFINITE, 0], [-0.0, 0.0, 0.0, -0.0], [-3, -1, -1, -2],
])  # fmt: skip
def test_numbers_out_of_order(numbers, channels):
    case = Case((1, 2, 2, channels), (2, 2))
    case.images = np.repeat(np.array(numbers, np.float32).reshape(1, 2, 2, 1), channels, 3)
    check(case, exact=True, of=ALL[:1] + ALL[2:4])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rectified_gradient_is_a_composition(dtype):
    case = Case((4, 9, 8, 19), (3, 3), (2, 2), dtype=dtype)
    case.images = np.maximum(case.images, 0)
    found, _ = case.results(of=ALL[2:4])
    passed = np.where(case.images > 0, found["max_pool_gradient"], 0)
    assert (passed != 0).any()
    np.testing.assert_array_equal(found["relu_gradient"], passed)


def test_bfloat16_gradients_are_added_in_float32():
    case = Case((1, 5, 5, 8), (3, 3), (1, 1), dtype="bfloat16")
    case.images = np.zeros_like(case.images)
    case.images[:, 2, 2] = 1
    case.grad = np.full_like(case.grad, 1 / 128)
    case.grad[:, 1, 1] = 1
    found, _ = case.results(of=["max_pool_gradient"])
    assert np.asarray(found["max_pool_gradient"], np.float32)[0, 2, 2, 0] == 1 + 8 / 128


@pytest.mark.parametrize("dims", [(1, 40, 40, 40), (9, 20, 20, 21), (30, 20, 20, 7)])
def test_numbers_of_threads_give_the_same(dims):
    case, before = Case(dims, (3, 3), (2, 2)), library.library().millstream_threads()
    try:
        made = []
        for threads in (1, 2, 5):
            library.library().millstream_set_threads(threads)
            made.append(case.results()[0])
    finally:
        library.library().millstream_set_threads(before)
    for name, wanted in made[0].items():
        for found in made[1:]:
            np.testing.assert_array_equal(found[name], wanted)


@pytest.mark.parametrize("case", [
    Case((2, 4, 4, 6), (1, 2, 2, 2)),
    Case((2, 4, 4, 6), (1, 1, 1, 1), (1, 1, 1, 2)),
    Case((2, 4, 4, 6), (2, 2), dtype="float64"),
    Case((2, 4, 4, 6), (2, 2), dtype="float16"),
    Case((0, 4, 4, 6), (2, 2)),
], ids=["channels", "stride_of_channels", "float64", "float16", "no_images"])  # fmt: skip
def test_falls_back(case):
    check(case, native_calls=False)


def test_empty_windows_fall_back():
    case = Case((2, 4, 4, 6), (2, 2), padding="VALID")
    case.geometry = case.geometry._replace(padding="EXPLICIT", explicit=(0, 0, 2, 0, 0, 0, 0, 0))
    case.slide["geometry"] = case.geometry
    case.grad = np.ones(case.pooled_dims(), np.float32)
    found, text = case.results(of=["max_pool"])
    assert "millstream" not in text
    assert np.isneginf(found["max_pool"][:, 0]).all()


def test_gradients_of_other_shapes_are_left_to_xla():
    case = Case((2, 4, 4, 8), (2, 2))
    case.grad = np.ones((2, 3, 2, 8), np.float32)
    with pytest.raises(ValueError, match="VJP"):
        case.results(of=["max_pool_gradient"])


def test_mapped_over_rows():
    case = Case((3, 4, 4, 8), (2, 2))
    found = jax.vmap(lambda image: pool_kernels.max_pool(image[None], **case.slide)[0])(case.images)
    np.testing.assert_array_equal(found, pool_kernels.max_pool(case.images, **case.slide))


# --- Called amiss -------------------------------------------------------------------------------------------

IMAGES, POOLED = (2, 6, 4, 3), (2, 3, 2, 3)


def raw(images=IMAGES, pooled=POOLED, result=IMAGES, dtypes=("float32",) * 3, **changed):
    """Calls the gradient of max pooling, 2 by 2, with buffers and attributes as they are, which may be misfits."""
    case = Case(IMAGES, (2, 2))
    case.results(of=ALL[2:3])  # makes the kernel known to XLA
    attributes = pool_kernels._attributes(IMAGES, case.ksize, case.geometry) | {"relu": False}
    for name, value in changed.items():
        attributes[name] = np.array(value, np.int64) if isinstance(value, list) else value
    images_dtype, pooled_dtype, result_dtype = map(jax.numpy.dtype, dtypes)
    call = jax.ffi.ffi_call("millstream_max_pool_gradient", jax.ShapeDtypeStruct(result, result_dtype))
    program = jax.jit(lambda *operands: call(*operands, **attributes))
    return jax.block_until_ready(program(np.zeros(images, images_dtype), np.ones(pooled, pooled_dtype)))


def test_called_as_it_should_be():
    assert raw().sum() == np.prod(POOLED)


@pytest.mark.parametrize("buffers", [
    {"images": (2, 6, 4, 2)}, {"result": (2, 6, 4, 4)}, {"result": (2, 6, 5, 3)}, {"images": (2, 6, 4)},
    {"pooled": (2, 3, 3, 3)}, {"pooled": (1, 3, 2, 3)}, {"pooled": (2, 3, 2, 4)}, {"pooled": (2, 3, 2)},
    {"pooled": (2, 0, 2, 3)}, {"pooled": (2, 3, 2, 3, 1)},
])  # fmt: skip
def test_misfitting_buffers_are_refused(buffers):
    with pytest.raises(Exception, match="do not fit"):
        raw(**buffers)


@pytest.mark.parametrize("changed", [
    {"window": [2]}, {"window": [3, 2]}, {"window": [0, 2]}, {"window": [-2, 2]}, {"window": [2**40, 2]},
    {"strides": [0, 2]}, {"strides": [-2, 2]}, {"strides": [2, 2, 2]}, {"before": [-1, 0]}, {"before": [2, 0]},
    {"before": [2**62, 0]}, {"after": [4, 0]}, {"after": [-1, 1]}, {"channels_first": True},
])  # fmt: skip
def test_misfitting_attributes_are_refused(changed):
    with pytest.raises(Exception, match="do not fit"):
        raw(**changed)


@pytest.mark.parametrize("dtypes", [
    ("float32", "bfloat16", "float32"), ("float32", "float32", "bfloat16"), ("float64",) * 3, ("int32",) * 3,
])  # fmt: skip
def test_misfitting_dtypes_are_refused(dtypes):
    with pytest.raises(Exception, match="do not fit"):
        raw(dtypes=dtypes)
