"""TensorProto: bytes as TensorFlow 1.15.5 writes them, and no trust in what is read."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from millstream.core import dtypes
from millstream.io import proto
from millstream.io.tensor_proto import from_proto, make_ndarray, make_tensor_proto, to_proto

# Arguments of make_tensor_proto, and the serialized result in TensorFlow 1.15.5.
RECORDED: list[tuple[Any, dict[str, Any], str]] = [
    (1, {}, "080312003a0101"),
    (0, {}, "080312003a0100"),
    (1.5, {}, "080112002a040000c03f"),
    (-0.0, {}, "080112002a0400000080"),
    (float("nan"), {}, "080112002a040000c07f"),
    (True, {}, "080a12005a0101"),
    ("é", {}, "080712004202c3a9"),
    (1j, {}, "0812120062100000000000000000000000000000f03f"),
    (2**40, {}, "080912005206808080808020"),
    ([1], {}, "08031204120208013a0101"),
    ([1, 2], {}, "080312041202080222080100000002000000"),
    ([1.0, 2.0], {}, "080112041202080222080000803f00000040"),
    ([True, False], {}, "080a1204120208025a020100"),
    (["a", "b"], {}, "0807120412020802420161420162"),
    ([], {}, "080112021200"),
    ([[]], {}, "08011206120208011200"),
    (np.zeros((0, 3)), {}, "08021206120012020803"),
    (np.float64(1), {}, "080212003208000000000000f03f"),
    (np.array([1.5, 2], np.float16), {}, "08131204120208026a05807c808001"),
    (np.int8(-1), {}, "080612003a0affffffffffffffffff01"),
    (np.array([-1, 2], np.int8), {}, "08061204120208022202ff02"),
    (np.array([1, 2, 3], np.uint16), {}, "08111204120208033a03010203"),
    (np.uint32(1), {}, "0816120082010101"),
    (np.array([1, 2], np.uint64), {}, "0817120412020802221001000000000000000200000000000000"),
    (np.complex64(1j), {}, "080812004a08000000000000803f"),
    ([1, 2], {"dtype": "bfloat16"}, "080e1204120208026a05807f808001"),
    ([1, 2], {"dtype": "int16"}, "0805120412020802220401000200"),
    ([1, 2], {"dtype": "complex64"}, "08081204120208024a100000803f000000000000004000000000"),
    ((1,), {"dtype": "qint8"}, "080b12003a0101"),
    ([(1,), (2,)], {"dtype": "quint8"}, "080c12041202080222020102"),
    (np.array([1, 2]), {"dtype": "qint32"}, "080d12041202080222080100000002000000"),
    ([(1,), (2,)], {"dtype": "qint16"}, "080f120412020802220401000200"),
    (7, {"shape": [2, 2]}, "0803120812020802120208023a0107"),
    ([1, 2, 3], {"shape": [2, 2]}, "0803120812020802120208023a03010203"),
    ([1, 2, 3, 4], {"shape": [2, 2]}, "080312081202080212020802221001000000020000000300000004000000"),
    (["a", "b"], {"shape": [3]}, "0807120412020803420161420162"),
    ([], {"shape": [2]}, "0801120412020802"),
    (7, {"dtype": "int32", "shape": [0]}, "080312021200"),
    (7, {"shape": [1 << 40]}, "080312091207088080808080203a0107"),
    (7, {"shape": [2, 2], "allow_broadcast": True}, "0803120812020802120208023a0107"),
    ([1, 2], {"shape": [2], "verify_shape": True}, "080312041202080222080100000002000000"),
]


@pytest.mark.parametrize(("values", "options", "wire"), RECORDED, ids=[row[2] for row in RECORDED])
def test_bytes_are_tensorflows(values: Any, options: dict[str, Any], wire: str) -> None:
    assert make_tensor_proto(values, **options).SerializeToString().hex() == wire


def test_a_proto_is_returned_as_it_is() -> None:
    tensor = make_tensor_proto([1, 2])
    assert make_tensor_proto(tensor, dtype="float32", shape=[3]) is tensor


def test_one_value_broadcast_is_written_once() -> None:
    assert to_proto(np.broadcast_to(np.int32(7), (2, 2))) == make_tensor_proto(7, shape=[2, 2])
    words = np.broadcast_to(np.array(b"a", object), (3,))
    assert to_proto(words) == make_tensor_proto("a", shape=[3])


def test_byte_order_and_layout_do_not_matter() -> None:
    expected = make_tensor_proto(np.array([[1, 3], [2, 4]], np.int32))
    assert make_tensor_proto(np.array([[1, 3], [2, 4]], ">i4")) == expected
    assert to_proto(np.array([[1, 2], [3, 4]], np.int32).T) == expected


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (None, {}, ValueError, "None values not supported."),
        ([[1], [2, 3]], {}, ValueError, "Argument must be a dense tensor: "),
        ([1, 2], {"shape": [1]}, ValueError, "Too many elements provided. Needed at most 1, but received 2"),
        (7, {"shape": [2, -1]}, ValueError, "Too many elements provided. Needed at most -2, but received 1"),
        (7, {"shape": [2, 2], "verify_shape": True}, TypeError, r"Expected Tensor's shape: \(2, 2\), got"),
        ([1, 2], {"shape": [2, 2], "allow_broadcast": True}, TypeError, r"shape: \(2, 2\), got \(2,\)."),
        (7, {"shape": [], "allow_broadcast": True, "verify_shape": True}, ValueError, "not both allowed"),
        (1.5, {"dtype": "int32"}, TypeError, "Expected int32, got 1.5 of type 'float' instead."),
        (1, {"dtype": "resource"}, TypeError, "Incompatible types: <dtype: 'resource'> vs. int64"),
    ],
)
def test_refused_values(values: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_tensor_proto(values, **options)


ARRAYS = st_numpy.arrays(
    st.sampled_from("bool i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()),
    st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)


@settings(max_examples=150, deadline=None)
@given(ARRAYS)
def test_round_trip(array: np.ndarray) -> None:
    result = make_ndarray(make_tensor_proto(array))
    assert result.dtype == array.dtype and result.flags.writeable
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"", b"a\0", "é".encode()], object).reshape(3, 1),
        np.array([1.5, -2], ml_dtypes.bfloat16),
        np.array(3, ml_dtypes.bfloat16),
        *(np.array([(1,), (2,)], dtype.as_numpy_dtype) for dtype in dtypes.QUANTIZED),
    ],
    ids=lambda array: str(array.dtype),
)
def test_round_trip_of_further_types(array: np.ndarray) -> None:
    result = make_ndarray(make_tensor_proto(array))
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


def parse(text: str) -> Any:
    return text_format.Parse(text, proto.TensorProto())


THREE = "tensor_shape { dim { size: 3 } } "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtype: DT_INT32 " + THREE, np.zeros(3, np.int32)),
        ("dtype: DT_INT32 int_val: 1 " + THREE, np.ones(3, np.int32)),
        ("dtype: DT_INT32 int_val: [1, 2] " + THREE, np.array([1, 2, 2], np.int32)),
        ("dtype: DT_INT32 int_val: 5", np.array(5, np.int32)),
        ("dtype: DT_INT32", np.array(0, np.int32)),
        ("dtype: DT_INT8 int_val: 300 " + THREE, np.full(3, 44, np.int8)),
        ("dtype: DT_UINT16 int_val: 65537 " + THREE, np.ones(3, np.uint16)),
        ("dtype: DT_UINT64 uint64_val: 18446744073709551615", np.array(2**64 - 1, np.uint64)),
        ("dtype: DT_HALF half_val: [15872, 0] " + THREE, np.array([1.5, 0, 0], np.float16)),
        ("dtype: DT_COMPLEX64 scomplex_val: [1, 2, 3, 4] " + THREE, np.array([1 + 2j, 3 + 4j, 3 + 4j], "c8")),
        ("dtype: DT_BOOL tensor_content: '\\000\\001\\002' " + THREE, np.array([False, True, True])),
        ("dtype: DT_STRING string_val: ['a', 'b'] " + THREE, np.array([b"a", b"b", b"b"], object)),
        ("dtype: DT_STRING " + THREE, np.array([b"", b"", b""], object)),
        ("dtype: DT_INT8 int_val: 9 tensor_content: 'abc' " + THREE, np.array([97, 98, 99], np.int8)),
        ("dtype: DT_INT32 tensor_shape { dim { size: 0 } }", np.zeros(0, np.int32)),
    ],
)
def test_reading(text: str, expected: np.ndarray) -> None:
    result = make_ndarray(parse(text))
    assert result.dtype == expected.dtype and result.flags.writeable
    np.testing.assert_array_equal(result, expected, strict=True)


HUGE = "tensor_shape { dim { size: 1099511627776 } } "


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("dtype: DT_INT32 int_val: [1, 2, 3, 4] " + THREE, ValueError, "holds 3 values, but int_val has 4"),
        ("dtype: DT_INT32 tensor_content: 'abcd' " + THREE, ValueError, "should have 12 bytes; received: 4"),
        ("dtype: DT_FLOAT int_val: 1 " + THREE, ValueError, "values in float_val, 1 for each element"),
        ("dtype: DT_COMPLEX64 scomplex_val: [1, 2, 3] " + THREE, ValueError, "scomplex_val, 2 for each"),
        ("dtype: DT_STRING tensor_content: 'abc' " + THREE, ValueError, "Strings cannot be read"),
        ("dtype: DT_INT32 int_val: 7 " + HUGE, ValueError, "larger than 2 GB"),
        ("dtype: DT_STRING string_val: 'a' " + HUGE, ValueError, "larger than 2 GB"),
        ("dtype: DT_INT32 int_val: [1, 2] tensor_shape { dim { size: 100000000 } }", ValueError, "by only 2"),
        ("dtype: DT_INT32 tensor_shape { dim { } dim { size: 4611686018427387904 } }", ValueError, "2 GB"),
        ("dtype: DT_INT32 tensor_shape { " + "dim { size: 1 } " * 65 + "}", ValueError, "not have rank 65"),
        ("dtype: DT_INT32 tensor_shape { dim { size: -1 } }", ValueError, "needs a known shape"),
        ("dtype: DT_INT32 tensor_shape { unknown_rank: true }", ValueError, "needs a known shape"),
        ("int_val: 1", TypeError, "Unsupported tensor type: 0"),
        ("dtype: 99", TypeError, "Unsupported tensor type: 99"),
        ("dtype: DT_FLOAT_REF", TypeError, "Unsupported tensor type: 101"),
        ("dtype: DT_RESOURCE", TypeError, "Unsupported tensor type: 20"),
    ],
)
def test_hostile_messages(text: str, error: type[Exception], message: str) -> None:
    tensor = parse(text)
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message):
            make_ndarray(tensor)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_large_repetition_takes_no_memory() -> None:
    tensor = parse("dtype: DT_FLOAT float_val: 2 tensor_shape { dim { size: 500000000 } }")
    for array in (make_ndarray(tensor), from_proto(tensor)):
        assert array.shape == (500_000_000,) and array.strides == (0,) and array[-1] == 2


SMALL = st.integers(-2, 4)
TENSORS = st.builds(
    lambda dtype, sizes, fields: proto.TensorProto(
        dtype=dtype,
        tensor_shape=proto.TensorShapeProto(dim=[proto.TensorShapeProto.Dim(size=size) for size in sizes]),
        **fields,
    ),
    st.integers(0, 25),
    st.lists(st.one_of(SMALL, st.integers(-(2**63), 2**63 - 1)), max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "tensor_content": st.binary(max_size=16),
            "float_val": st.lists(st.floats(width=32), max_size=4),
            "int_val": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
            "half_val": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
            "scomplex_val": st.lists(st.floats(width=32), max_size=4),
            "string_val": st.lists(st.binary(max_size=3), max_size=4),
            "bool_val": st.lists(st.booleans(), max_size=4),
        },
    ),
)


@settings(max_examples=300, deadline=None)
@given(TENSORS)
def test_any_message_is_read_or_refused(tensor: Any) -> None:
    try:
        array = from_proto(tensor)
    except (TypeError, ValueError):
        return
    assert array.shape == tuple(dim.size for dim in tensor.tensor_shape.dim)
