"""The table of types, and what names them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from millstream.core import dtypes
from millstream.core.dtypes import as_dtype

ALL = [as_dtype(number) for number in range(1, 24)]
EXTENSIONS = [as_dtype(number) for number in range(24, 34)]

# number, name, short name, bytes, kinds: as measured in TensorFlow 1.15.5
TABLE = [
    (1, "float32", "float", 4, "floating"),
    (2, "float64", "double", 8, "floating"),
    (3, "int32", "int32", 4, "integer"),
    (4, "uint8", "uint8", 1, "integer unsigned"),
    (5, "int16", "int16", 2, "integer"),
    (6, "int8", "int8", 1, "integer"),
    (7, "string", "string", 8, ""),
    (8, "complex64", "complex64", 8, "complex"),
    (9, "int64", "int64", 8, "integer"),
    (10, "bool", "bool", 1, "bool"),
    (11, "qint8", "qint8", 1, "quantized"),
    (12, "quint8", "quint8", 1, "quantized"),
    (13, "qint32", "qint32", 4, "quantized"),
    (14, "bfloat16", "bfloat16", 2, "floating"),
    (15, "qint16", "qint16", 2, "quantized"),
    (16, "quint16", "quint16", 2, "quantized"),
    (17, "uint16", "uint16", 2, "integer unsigned"),
    (18, "complex128", "complex128", 16, "complex"),
    (19, "float16", "half", 2, "floating"),
    (20, "resource", "resource", 1, ""),
    (21, "variant", "variant", 1, ""),
    (22, "uint32", "uint32", 4, "integer unsigned"),
    (23, "uint64", "uint64", 8, "integer unsigned"),
]


@pytest.mark.parametrize(("number", "name", "short_name", "size", "kinds"), TABLE)
def test_table(number, name, short_name, size, kinds):
    dtype = as_dtype(name)
    assert as_dtype(number) is dtype
    assert (dtype.as_datatype_enum, dtype.size) == (number, size)
    assert (dtype.name, dtype.short_name) == (name, short_name)
    for kind in ("integer", "unsigned", "floating", "complex", "bool", "quantized"):
        assert getattr(dtype, f"is_{kind}") == (kind in kinds.split())
    assert dtype.is_numpy_compatible == (name not in ("resource", "variant"))
    assert (str(dtype), repr(dtype)) == (f"<dtype: '{name}'>", f"tf.{name}")
    assert dtypes.by_short_name(short_name) is dtype
    assert hash(dtype) == int(dtype) == number


@pytest.mark.parametrize("dtype", ALL + EXTENSIONS, ids=str)
def test_ref_type(dtype):
    ref = dtype._as_ref
    assert ref is as_dtype(dtype.name + "_ref") is as_dtype(dtype.as_datatype_enum + 100)
    assert ref.is_ref and ref._is_ref_dtype and not dtype.is_ref
    assert ref.base_dtype is dtype.base_dtype is dtype
    assert ref._as_ref is ref
    assert ref != dtype
    assert dtype.is_compatible_with(ref) and not ref.is_compatible_with(dtype)
    assert ref.is_floating == dtype.is_floating


@pytest.mark.parametrize("dtype", ALL + EXTENSIONS, ids=str)
def test_is_one_object(dtype):
    for other in (dtype, dtype._as_ref):
        assert pickle.loads(pickle.dumps(other)) is other
        assert copy.deepcopy(other) is other
        assert copy.copy(other) is other
        assert dtypes.DType(other.as_datatype_enum) is other


@pytest.mark.parametrize("dtype", [d for d in ALL + EXTENSIONS if d.is_numpy_compatible], ids=str)
def test_numpy_round_trip(dtype):
    numpy_type = np.dtype(dtype.as_numpy_dtype)
    assert numpy_type.itemsize == dtype.size
    assert as_dtype(numpy_type) is dtype
    assert as_dtype(dtype.as_numpy_dtype) is dtype
    assert dtypes.from_numpy(numpy_type) is dtype
    assert np.dtype(dtype._as_ref.as_numpy_dtype) == numpy_type


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("float", "float32"), ("double", "float64"), ("half", "float16"), ("half_ref", "float16_ref"),
        ("float_ref", "float32_ref"), (float, "float32"), (bool, "bool"), (object, "string"),
        (np.str_, "string"), (np.bytes_, "string"), (np.dtype("U5"), "string"), (np.dtype("S5"), "string"),
        (np.dtype(">f4"), "float32"), (np.intp, "int64"), (np.longlong, "int64"), (np.int32(3), "int32"),
        (dtypes.int8, "int8"), (101, "float32_ref"), (1.0, "float32"),
    ],
)  # fmt: skip
def test_as_dtype(value, name):
    assert as_dtype(value).name == name


@pytest.mark.parametrize(
    "value",
    [
        "nope", "int", "str", "object", "complex", None, 0, 99, 100, 134, int, str, bytes, complex,
        b"float32", [], {}, 1.5, np.array([1.0]), np.dtype("datetime64[s]"), np.dtype([("a", "i4")]),
        np.generic, np.floating, type, object(),
    ],
)  # fmt: skip
def test_as_dtype_rejects(value):
    with pytest.raises(TypeError, match="Cannot convert value .* to a TensorFlow DType"):
        as_dtype(value)


def test_as_dtype_reads_jax_types():
    jnp = pytest.importorskip("jax.numpy")
    assert as_dtype(jnp.float32) is dtypes.float32
    assert as_dtype(jnp.bfloat16) is dtypes.bfloat16


def test_equality_with_other_kinds():
    float32 = dtypes.float32
    assert float32 == "float32" and float32 == np.float32 and float32 == 1 and float32 == np.dtype("float32")
    assert float32 != "nope" and float32 != object() and float32 != []
    assert not float32 == None and float32 != None  # noqa: E711
    assert not float32 != "float32"


def test_number_of_an_unknown_type():
    for number in (0, 500):
        with pytest.raises(TypeError, match=f"type_enum is not a valid types_pb2.DataType: {number}"):
            dtypes.DType(number)
    with pytest.raises(TypeError, match="'flaot' is not a type name"):
        dtypes.by_short_name("flaot")


def test_real_dtype():
    assert dtypes.complex64.real_dtype is dtypes.complex64._as_ref.real_dtype is dtypes.float32
    assert dtypes.complex128.real_dtype is dtypes.float64
    assert dtypes.int32.real_dtype is dtypes.int32
    assert dtypes.float32._as_ref.real_dtype is dtypes.float32._as_ref


@pytest.mark.parametrize("dtype", [d for d in ALL if d.is_integer], ids=str)
def test_extremes_of_integers(dtype):
    info = np.iinfo(dtype.as_numpy_dtype)
    assert (dtype.min, dtype.max) == (info.min, info.max)
    assert dtype.limits == (0, info.max)


def test_extremes_of_floats():
    for dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
        assert dtype.max == np.finfo(dtype.as_numpy_dtype).max == -dtype.min
    assert dtypes.float32._as_ref.min == dtypes.float32.min
    assert float(dtypes.bfloat16.max) == -float(dtypes.bfloat16.min) == float.fromhex("0x1.FEp127")
    assert (int(dtypes.int4.min), int(dtypes.int4.max)) == (-8, 7)
    assert dtypes.float32.limits == dtypes.float64.limits == (0, 1)
    assert dtypes.bool_.limits == (0, True)


@pytest.mark.parametrize("name", "string bool complex64 qint8 resource variant".split())
def test_no_extremes(name):
    dtype = as_dtype(name)
    with pytest.raises(TypeError, match=f"Cannot find minimum value of <dtype: '{name}'>."):
        _ = dtype.min
    with pytest.raises(TypeError, match=f"Cannot find maximum value of <dtype: '{name}'>."):
        _ = dtype.max
    if name != "bool":
        with pytest.raises(ValueError, match="does not have defined limits"):
            _ = dtype.limits


def test_types_unknown_to_numpy():
    for dtype in (dtypes.resource, dtypes.variant._as_ref):
        with pytest.raises(TypeError, match="NumPy has no type"):
            _ = dtype.as_numpy_dtype
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = dtypes.float32.nope


def test_compatible_with_what_names_a_type():
    assert dtypes.float32.is_compatible_with("float32")
    with pytest.raises(TypeError, match="Cannot convert value None"):
        dtypes.float32.is_compatible_with(None)


def test_groups():
    assert len(dtypes.QUANTIZED_DTYPES) == 10 and dtypes.qint8._as_ref in dtypes.QUANTIZED_DTYPES
    assert len(dtypes.NUMERIC) == 17 and len(dtypes.REAL_NUMERIC) == 12
    assert all(d.is_floating for d in dtypes.FLOATS) and all(d.is_integer for d in dtypes.INTEGERS)
    assert set(dtypes.REAL_NUMERIC) < set(dtypes.NUMERIC) == {d for d in ALL if d.is_numeric} - {
        dtypes.qint16, dtypes.quint16,
    }  # fmt: skip


def test_import_loads_neither_ml_dtypes_nor_jax():
    program = "import sys, millstream.core.dtypes; print(*{'jax', 'ml_dtypes'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.strip() == b""
