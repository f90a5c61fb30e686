"""The native convolutions against those of XLA, at the border of what they serve, and called amiss."""
from __future__ import annotations

import numpy as np
import pytest

from millstream import native

if not native.available():
    pytest.skip(f"no native kernels: {native.why_not()}", allow_module_level=True)

from millstream.ops import conv_kernels
from millstream.ops.windows import Geometry
from millstream.runtime import backend

jax = backend.jax()

FORWARD, BY_IMAGES, BY_FILTERS = conv_kernels.convolve, conv_kernels.image_gradient, conv_kernels.filter_gradient
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}


class Case:
    """A convolution with random images, filters and gradients."""

    def __init__(self, sizes, channels, outputs, window, **options):
        count = len(sizes)
        first = options.get("channels_first", False)
        spatial = {name: (options.get(name, 1),) * count for name in ("strides", "dilations")}
        full = {name: (1, 1, *value) if first else (1, *value, 1) for name, value in spatial.items()}
        layout = "NCDHW" if first else "NDHWC"
        layout = layout if count == 3 else layout.replace("D", "")
        self.geometry = Geometry(**full, padding=options.get("padding", "SAME"), explicit=options.get("explicit", ()),
                                 data_format=layout)  # fmt: skip
        self.groups = options.get("groups", 1)
        dtype = jax.numpy.dtype(options.get("dtype", "float32"))
        rng = np.random.RandomState(0)
        batch = options.get("batch", 2)
        dims = self.geometry.image_dims(batch, sizes, channels)
        self.images = rng.randn(*dims).astype(dtype)
        self.filters = rng.randn(*window, channels // self.groups, outputs).astype(dtype)
        result = self.geometry.output_sizes(sizes, window)
        self.grad = rng.randn(*self.geometry.image_dims(batch, result, outputs)).astype(dtype)
        self.bias = rng.randn(outputs).astype(dtype)
        self.slide = {"geometry": self.geometry, "groups": self.groups}

    def calls(self):
        """The three kernels with their arguments."""
        yield FORWARD, (self.images, self.filters), self.slide
        yield FORWARD, (self.images, self.filters, self.bias), {**self.slide, "activation": "Relu"}
        yield BY_IMAGES, (self.filters, self.grad), {**self.slide, "dims": self.images.shape}
        yield BY_FILTERS, (self.images, self.grad), {**self.slide, "dims": self.filters.shape}


def both(kernel, operands, parameters):
    """What the native kernel and XLA give, and whether the program calls the native one."""
    program = jax.jit(lambda *x: kernel(*x, **parameters)).lower(*operands)
    calls = "custom_call @millstream" in program.as_text()
    plain = jax.jit(lambda *x: kernel.fallback(*x, **parameters))(*operands)
    return jax.tree.leaves(program.compile()(*operands)), jax.tree.leaves(plain), calls


def check(case, served=True):
    for kernel, operands, parameters in case.calls():
        found, wanted, calls = both(kernel, operands, parameters)
        assert calls == served
        for a, b in zip(found, wanted, strict=True):
            a, b = (np.asarray(x, np.float64) for x in (a, b))
            assert a.shape == b.shape
            scale = max(abs(b).max(initial=0), 1e-30)
            assert abs(a - b).max(initial=0) / scale < TOLERANCE.get(case.images.dtype.name, 1e-12)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("channels, outputs", [(1, 32), (3, 7), (16, 16), (17, 1)])
@pytest.mark.parametrize("strides, dilations", [(1, 1), (2, 1), (1, 2), (4, 1), (2, 3)])
def test_two_dimensions(channels_first, padding, channels, outputs, strides, dilations):
    check(Case((13, 10), channels, outputs, (3, 2), channels_first=channels_first, padding=padding,
               strides=strides, dilations=dilations))  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels, outputs, window", [(8, 16, 3), (5, 3, 1), (32, 64, 5)])
def test_dtypes(dtype, channels, outputs, window):
    check(Case((9, 9), channels, outputs, (window, window), dtype=dtype))


@pytest.mark.parametrize("channels_first", [False, True])
def test_explicit_padding(channels_first):
    spatial = (2, 1, 0, 3)
    explicit = (0, 0, 0, 0, *spatial) if channels_first else (0, 0, *spatial, 0, 0)
    check(Case((7, 8), 4, 6, (3, 3), padding="EXPLICIT", explicit=explicit, channels_first=channels_first))


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("groups, outputs", [(2, 16), (4, 8), (8, 8), (8, 24)])
def test_groups(groups, outputs, channels_first):
    check(Case((9, 7), 8, outputs, (3, 3), groups=groups, channels_first=channels_first))


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("strides", [1, 2])
def test_three_dimensions(strides, padding, channels_first):
    check(Case((5, 6, 7), 3, 8, (3, 2, 3), strides=strides, padding=padding, channels_first=channels_first))


@pytest.mark.parametrize("batch", [8, 7, 19])
def test_pieces_of_some_images(batch):
    check(Case((28, 28), 16, 32, (3, 3), batch=batch))


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("strides, dilations, window, padding", [
    (1, 1, 3, "SAME"), (1, 1, 3, "VALID"), (1, 1, 4, "SAME"), (2, 1, 3, "SAME"), (2, 1, 5, "VALID"), (3, 1, 2, "SAME"),
    (1, 2, 3, "SAME"), (1, 3, 4, "VALID"), (2, 1, 1, "SAME"), (1, 1, 11, "SAME"),
])  # fmt: skip
def test_pieces_of_some_rows(strides, dilations, window, padding, channels_first):
    channels = 96 if window < 3 else 48
    check(Case((45, 40), channels, channels, (window, window), batch=1, strides=strides, dilations=dilations,
               padding=padding, channels_first=channels_first))  # fmt: skip


def test_pieces_of_some_slices():
    check(Case((12, 14, 13), 24, 24, (3, 3, 3), batch=1))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_dtypes_fall_back(dtype):
    case = Case((5, 5), 3, 4, (3, 3), dtype=dtype)
    assert not both(FORWARD, (case.images, case.filters), case.slide)[2]


@pytest.mark.parametrize("activation, most", [("Relu", np.inf), ("Relu6", 6)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_keep_what_is_no_number(activation, most, dtype):
    case = Case((5, 5), 3, 4, (3, 3), dtype=dtype)
    case.images[0, 2, 2, 1] = np.nan
    case.images[1] *= 5
    found, wanted, calls = both(
        FORWARD, (case.images, case.filters, case.bias), {**case.slide, "activation": activation}
    )
    found, wanted = np.asarray(found[0], np.float32), np.asarray(wanted[0], np.float32)
    assert calls and np.isnan(found).sum() == 36
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10)
    assert np.nanmin(found) == 0 and np.nanmax(found) <= most


def test_no_images_fall_back():
    case = Case((5, 5), 3, 4, (3, 3), batch=0)
    for kernel, operands, parameters in case.calls():
        found, wanted, calls = both(kernel, operands, parameters)
        assert not calls and [x.shape for x in found] == [x.shape for x in wanted]


def test_other_platforms_get_xla():
    case = Case((5, 5), 3, 4, (3, 3))
    traced = jax.jit(lambda *x: FORWARD(*x, **case.slide)).trace(case.images, case.filters)
    assert "millstream" not in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_mapped_over_rows():
    case = Case((5, 5), 3, 4, (3, 3))
    several = np.stack([case.images, case.images * 2])
    found = jax.vmap(lambda images: FORWARD(images, case.filters, **case.slide))(several)
    wanted = [FORWARD(images, case.filters, **case.slide) for images in several]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def like(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


IMAGES, FILTERS, RESULT = (2, 5, 5, 3), (3, 3, 3, 4), (2, 5, 5, 4)


@pytest.mark.parametrize("images, filters, result", [
    ((2, 5, 5, 2), FILTERS, RESULT),  # other channels
    (IMAGES, (3, 3, 3, 5), RESULT),  # other outputs
    (IMAGES, FILTERS, (2, 5, 6, 4)),  # a larger result
    (IMAGES, FILTERS, (3, 5, 5, 4)),  # another batch
    (IMAGES, (3, 3, 3), RESULT),  # another rank
    ((2, 5, 5, 3, 1), FILTERS, RESULT),
])  # fmt: skip
def test_misfitting_buffers_are_refused(images, filters, result):
    with pytest.raises(Exception, match="do not fit"):
        jax.block_until_ready(
            _raw_convolution(np.zeros(images, np.float32), np.zeros(filters, np.float32), like(*result))
        )


@pytest.mark.parametrize("changed", [
    {"groups": 0}, {"groups": 2}, {"groups": -1}, {"strides": [0, 1]}, {"strides": [1]}, {"dilations": [1, -1]},
    {"before": [-1, 0]}, {"after": [2**40, 0]},
])  # fmt: skip
def test_misfitting_attributes_are_refused(changed):
    with pytest.raises(Exception, match="do not fit"):
        jax.block_until_ready(
            _raw_convolution(np.zeros(IMAGES, np.float32), np.zeros(FILTERS, np.float32), like(*RESULT), **changed)
        )


@pytest.mark.parametrize("dtypes", [("float32", "bfloat16", "float32"), ("float64",) * 3, ("int32",) * 3])
def test_misfitting_dtypes_are_refused(dtypes):
    images, filters, result = (jax.numpy.dtype(name) for name in dtypes)
    with pytest.raises(Exception, match="do not fit"):
        jax.block_until_ready(
            _raw_convolution(np.zeros(IMAGES, images), np.zeros(FILTERS, filters), like(*RESULT, dtype=result))
        )


def _raw_convolution(images, filters, result, **changed):
    case = Case((5, 5), 3, 4, (3, 3))
    jax.block_until_ready(FORWARD(case.images, case.filters, **case.slide))  # makes the kernel known to XLA
    attributes = conv_kernels._attributes(IMAGES, FILTERS, case.geometry, 1) | {"activation": np.int64(0)}
    for name, value in changed.items():
        attributes[name] = np.array(value, np.int64) if isinstance(value, list) else value
        if isinstance(value, int) and not isinstance(value, bool):
            attributes[name] = np.int64(value)
    call = jax.ffi.ffi_call("millstream_convolution", result)
    return jax.jit(lambda *operands: call(*operands, **attributes))(images, filters)
