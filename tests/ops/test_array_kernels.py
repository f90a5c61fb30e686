"""Kernels of the array operations give the same with NumPy and, traced, with JAX; for several dtypes."""
from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import opdef
from millstream.core.dtypes import as_dtype
from millstream.runtime import backend


class Sample(NamedTuple):
    op: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.op}-{'-'.join(str(value) for value in self.attrs.values())}"


X = np.arange(24).reshape(2, 3, 4)
M = np.arange(12).reshape(3, 4)
V = np.array([3, 1, 2])
MASKS = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)


def i32(value: Any) -> np.ndarray:
    return np.array(value, np.int32)


def index(**masks: int) -> dict[str, int]:
    return {**MASKS, **masks}


SAMPLES = [
    Sample("Identity", (X,)),
    Sample("IdentityN", ([X, M],)),
    Sample("Reshape", (X, i32([4, -1]))),
    Sample("ExpandDims", (X, i32(-2))),
    Sample("Squeeze", (X[:1, :, :1],), {"squeeze_dims": (0, -1)}),
    Sample("Squeeze", (X[:1, :, :1],), {"squeeze_dims": ()}),
    Sample("Transpose", (X, i32([2, 0, 1]))),
    Sample("ConjugateTranspose", (X, i32([2, 0, 1]))),
    Sample("BroadcastTo", (V, i32([2, 3]))),
    Sample("ZerosLike", (X,)),
    Sample("OnesLike", (X,)),
    Sample("Fill", (i32([2, 3]), np.array(7))),
    Sample("ConcatV2", ([M, M + 1], i32(-1))),
    Sample("Concat", (i32(0), [M, M + 1])),
    Sample("ConcatOffset", (i32(1), [i32([2, 3]), i32([2, 4]), i32([2, 1])])),
    Sample("Pack", ([M, M + 1],), {"axis": -1}),
    Sample("Unpack", (X,), {"num": 3, "axis": 1}),
    Sample("Split", (i32(2), X), {"num_split": 2}),
    Sample("SplitV", (X, i32([1, -1]), i32(1))),
    Sample("Slice", (X, i32([0, 1, 1]), i32([1, -1, 2]))),
    Sample("StridedSlice", (X, i32([0, -1, 3]), i32([1, -3, 0]), i32([1, -1, -2])), index()),
    Sample("StridedSlice", (X, i32([1, 0, 0]), i32([2, 0, 2]), i32([1, 1, 1])),
           index(shrink_axis_mask=1, new_axis_mask=2, ellipsis_mask=0, end_mask=4)),
    Sample("StridedSliceGrad",
           (i32([2, 3, 4]), i32([0, -1, 3]), i32([1, -3, 0]), i32([1, -1, -2]), M[:1, :4].reshape(1, 2, 2)), index()),
    Sample("StridedSliceGrad", (i32([2, 3, 4]), i32([1, 0]), i32([2, 0]), i32([1, 1]), M.reshape(1, 3, 4)),
           index(shrink_axis_mask=1, new_axis_mask=2)),
    Sample("TensorStridedSliceUpdate", (X, i32([0]), i32([1]), i32([1]), M[None]), index()),
    Sample("Pad", (M, i32([[1, 2], [0, 1]]))),
    Sample("PadV2", (M, i32([[1, 2], [0, 1]]), np.array(5))),
    Sample("MirrorPad", (M, i32([[1, 2], [0, 1]])), {"mode": "REFLECT"}),
    Sample("MirrorPad", (M, i32([[1, 3], [0, 1]])), {"mode": "SYMMETRIC"}),
    Sample("MirrorPadGrad", (M, i32([[1, 0], [1, 1]])), {"mode": "SYMMETRIC"}),
    Sample("MirrorPadGrad", (X[0].T, i32([[1, 1], [0, 1]])), {"mode": "REFLECT"}),
    Sample("Tile", (M, i32([2, 3]))),
    Sample("ReverseV2", (X, i32([-1, 0]))),
    Sample("Reverse", (M, np.array([True, False]))),
    Sample("ReverseSequence", (X, i32([2, 3])), {"seq_dim": 1, "batch_dim": 0}),
    Sample("Roll", (X, i32([1, -2]), i32([0, 2]))),
    Sample("Diag", (M,)),
    Sample("DiagPart", (np.arange(16).reshape(2, 2, 2, 2),)),
    Sample("MatrixDiag", (M,)),
    Sample("MatrixDiagPart", (X,)),
    Sample("MatrixSetDiag", (X, M[:2, :3])),
    Sample("MatrixDiagV2", (M, i32([-1, 1]), i32(-1), i32(-1), np.array(9))),
    Sample("MatrixDiagV3", (M, i32([-1, 1]), i32(-1), i32(-1), np.array(9)), {"align": "RIGHT_LEFT"}),
    Sample("MatrixDiagPartV2", (X, i32([-1, 2]), np.array(9))),
    Sample("MatrixDiagPartV3", (X, i32([-1, 2]), np.array(9)), {"align": "LEFT_RIGHT"}),
    Sample("MatrixSetDiagV2", (X, M[:2, :3], i32(1))),
    Sample("MatrixSetDiagV3", (X, M[:2, :3], i32(1)), {"align": "RIGHT_RIGHT"}),
    Sample("MatrixBandPart", (X, i32(1), i32(-1))),
    Sample("SpaceToBatchND", (X[..., None], i32([2, 2]), i32([[1, 0], [0, 2]]))),
    Sample("BatchToSpaceND", (np.arange(32).reshape(8, 2, 2), i32([2, 2]), i32([[1, 0], [0, 2]]))),
    Sample("SpaceToBatch", (np.arange(32).reshape(1, 4, 4, 2), i32([[0, 0], [1, 1]])), {"block_size": 2}),
    Sample("BatchToSpace", (np.arange(32).reshape(4, 2, 2, 2), i32([[0, 0], [1, 1]])), {"block_size": 2}),
    Sample("SpaceToDepth", (np.arange(32).reshape(1, 4, 4, 2),), {"block_size": 2, "data_format": "NHWC"}),
    Sample("SpaceToDepth", (np.arange(32).reshape(1, 2, 4, 4),), {"block_size": 2, "data_format": "NCHW"}),
    Sample("DepthToSpace", (np.arange(32).reshape(1, 2, 2, 8),), {"block_size": 2, "data_format": "NHWC"}),
    Sample("DepthToSpace", (np.arange(64).reshape(1, 4, 2, 2, 4),), {"block_size": 2, "data_format": "NCHW_VECT_C"}),
    Sample("Gather", (X, i32([[1, 0], [0, 0]]))),
    Sample("GatherV2", (X, i32([[2, 0], [1, 1]]), i32(1)), {"batch_dims": 0}),
    Sample("GatherV2", (X, i32([[2, 0], [1, 1]]), i32(-1)), {"batch_dims": 1}),
    Sample("GatherNd", (X, i32([[[1, 2]], [[0, 0]]]))),
    Sample("GatherNd", (X, np.zeros((2, 0), np.int32))),
    Sample("OneHot", (i32([[0, 5], [2, -1]]), i32(3), np.array(4), np.array(7)), {"axis": 1}),
    Sample("ScatterNd", (i32([[1], [3], [1]]), M, i32([5, 4]))),
    Sample("ScatterNdNonAliasingAdd", (M, i32([[1, 1], [1, 1]]), V[:2])),
    Sample("TensorScatterUpdate", (M, i32([[2], [0]]), M[:2] + 50)),
    Sample("TensorScatterAdd", (M, i32([[2], [2]]), M[:2])),
    Sample("TensorScatterSub", (M, i32([[2], [2]]), M[:2])),
    Sample("TensorScatterMin", (M, i32([[2], [2]]), M[:2])),
    Sample("TensorScatterMax", (M, i32([[0], [0]]), M[1:])),
    Sample("Select", (np.array([True, False, True]), M, M + 50)),
    Sample("SelectV2", (np.array([[True], [False], [True]]), M, V[2])),
    Sample("LowerBound", (np.array([[1, 3, 3, 7], [0, 0, 1, 9]]), np.array([[3, 8], [0, 5]]))),
    Sample("UpperBound", (np.array([[1, 3, 3, 7], [0, 0, 1, 9]]), np.array([[3, 8], [0, 5]]))),
    Sample("InvertPermutation", (i32([2, 0, 1]),)),
    Sample("UnravelIndex", (i32([2, 5, 7]), i32([3, 3]))),
    Sample("EnsureShape", (M,), {"shape": (3, None)}),
]  # fmt: skip

# What is an index, a size or a condition keeps its type; the rest is tried in each of these.
DTYPES = ("float32", "int32", "complex64", "bfloat16")


def check(ok: Any, error: type[Exception], message: str, *values: Any) -> None:
    """The check service, as far as it can look."""
    if isinstance(ok, (bool, np.bool_)) and not ok:
        raise ValueError(message)


class Node:
    class op:  # noqa: N801
        name = "input"

    inputs = (op,)


SERVICES = {"check": check, "node": Node}


def call(definition: opdef.OpDef, xp: Any, inputs: list[Any], attrs: dict[str, Any]) -> list[Any]:
    services = {name: SERVICES[name] for name in definition.kernel_services}
    wanted = {name: attrs[name] for name in definition.kernel_attrs}
    result = definition.kernel(xp, *inputs, **wanted, **services)
    flat: list[Any] = []
    for part in result if isinstance(result, (list, tuple)) else [result]:
        flat.extend(part if isinstance(part, (list, tuple)) else [part])
    return flat


def dynamic_inputs(definition: opdef.OpDef) -> list[int]:
    return [i for i, spec in enumerate(definition.inputs) if spec.name not in definition.static_inputs]


def run_traced(
    definition: opdef.OpDef, inputs: list[Any], attrs: dict[str, Any], dynamic: list[int] | None = None
) -> list[Any]:
    """Runs a kernel as the compiler does: some inputs are traced, the others known."""
    jax = backend.jax()
    dynamic = dynamic_inputs(definition) if dynamic is None else dynamic

    def program(*values: Any) -> list[Any]:
        given = list(inputs)
        for position, value in zip(dynamic, values, strict=True):
            given[position] = value
        return call(definition, jax.numpy, given, attrs)

    return jax.jit(program)(*(inputs[i] for i in dynamic))


def same_dtype(definition: opdef.OpDef, inputs: list[Any], dtype: Any) -> list[Any]:
    """The inputs with those of the main type attribute cast to `dtype`."""
    cast = []
    for spec, value in zip(definition.inputs, inputs, strict=True):
        main = spec.type_attr in ("T", "Tparams") or spec.list_attr is not None
        convert = functools.partial(np.asarray, dtype=dtype) if main else np.asarray
        cast.append([convert(item) for item in value] if isinstance(value, list) else convert(value))
    return cast


def allowed(definition: opdef.OpDef, name: str) -> bool:
    attr = definition.attrs.get("T") or definition.attrs.get("Tparams")
    return attr is None or attr.allowed is None or as_dtype(name) in attr.allowed


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_numpy_and_jax_agree(sample: Sample) -> None:
    definition = opdef.find(sample.op)
    fixed = "T" not in definition.attrs and "Tparams" not in definition.attrs
    for name in ("int32",) if fixed else DTYPES:
        if not allowed(definition, name):
            continue
        dtype = as_dtype(name).as_numpy_dtype
        inputs = same_dtype(definition, list(sample.inputs), dtype)
        wanted = call(definition, np, inputs, sample.attrs)
        found = run_traced(definition, inputs, sample.attrs)
        assert len(wanted) == len(found)
        for a, b in zip(wanted, found, strict=True):
            assert np.asarray(a).dtype == b.dtype or np.asarray(a).dtype.kind in "iu", name
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=name)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_each_input_may_be_known_or_not(sample: Sample) -> None:
    definition = opdef.find(sample.op)
    inputs = same_dtype(definition, list(sample.inputs), np.int32)
    wanted = call(definition, np, inputs, sample.attrs)
    dynamic = dynamic_inputs(definition)
    for traced in dynamic if len(dynamic) > 1 else ():
        for a, b in zip(wanted, run_traced(definition, inputs, sample.attrs, [traced]), strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=definition.inputs[traced].name)


def test_kernels_leave_their_inputs_alone() -> None:
    for sample in SAMPLES:
        definition = opdef.find(sample.op)
        inputs = [
            [item.copy() for item in value] if isinstance(value, list) else value.copy() for value in sample.inputs
        ]
        call(definition, np, inputs, sample.attrs)
        for before, after in zip(sample.inputs, inputs, strict=True):
            for a, b in zip(*([x] if not isinstance(x, list) else x for x in (before, after)), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=sample.op)


BIT_TYPES = ["float32", "int64", "complex64", "complex128", "uint8", "bfloat16"]


@pytest.mark.parametrize("source", BIT_TYPES)
@pytest.mark.parametrize("target", BIT_TYPES)
def test_bitcast_keeps_the_bytes(source: str, target: str) -> None:
    definition, new = opdef.find("Bitcast"), as_dtype(target)
    old = np.dtype(as_dtype(source).as_numpy_dtype)
    ratio = max(new.size // old.itemsize, 1)
    raw = np.random.RandomState(0).randint(0, 120, 6 * ratio * old.itemsize).astype(np.uint8)
    values = raw.view(old).reshape(2, 3, ratio) if ratio > 1 else raw.view(old).reshape(2, 3)
    wanted = call(definition, np, [values], {"type": new})[0]
    (found,) = run_traced(definition, [values], {"type": new})
    assert wanted.tobytes() == values.tobytes() == np.asarray(found).tobytes()
    assert wanted.shape == found.shape
    assert tuple(tf.bitcast(tf.placeholder(source, values.shape), target).shape.as_list()) == wanted.shape


@pytest.mark.parametrize("begin", [[0, 0], [1, 2], [2, 1]])
def test_a_slice_may_begin_where_only_the_run_knows(begin: list[int]) -> None:
    definition, jax = opdef.find("Slice"), backend.jax()
    sizes = i32([1, 2])
    found = jax.jit(lambda x, start: definition.kernel(jax.numpy, x, start, sizes, check=check))(M, i32(begin))
    np.testing.assert_array_equal(found, M[begin[0] : begin[0] + 1, begin[1] : begin[1] + 2])


@pytest.mark.parametrize("position", [0, 2, -1])
def test_an_index_may_be_what_only_the_run_knows(position: int) -> None:
    jax = backend.jax()
    one = i32([1])
    take, give = opdef.find("StridedSlice"), opdef.find("StridedSliceGrad")
    attrs = index(shrink_axis_mask=1)
    found = jax.jit(lambda x, i: take.kernel(jax.numpy, x, i, i + 1, one, **attrs, check=check))(M, i32([position]))
    np.testing.assert_array_equal(found, M[position])
    wanted = np.zeros_like(M)
    wanted[position] = M[0]
    shape = i32(M.shape)
    back = jax.jit(lambda i, dy: give.kernel(jax.numpy, shape, i, i + 1, one, dy, **attrs))(i32([position]), M[0])
    np.testing.assert_array_equal(back, wanted)
