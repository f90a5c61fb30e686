"""Python values to arrays: dtypes, values and messages as measured in TensorFlow 1.15.5."""

from __future__ import annotations

import array as stdlib_array
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from millstream.core.convert import to_numpy
from millstream.core.dtypes import as_dtype


class Opaque:
    def __repr__(self) -> str:
        return "Opaque"


class Index:
    def __index__(self) -> int:
        return 3


class ArrayLike:
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array([1, 2], np.int64)


INFERRED = [
    (1, "int32", 1),
    (-(2**31), "int32", -(2**31)),
    (2**31, "int64", 2**31),
    (-(2**63), "int64", -(2**63)),
    (2**63, "uint64", 2**63),
    (2**64 - 1, "uint64", 2**64 - 1),
    (1.0, "float32", 1),
    (1e40, "float32", np.inf),
    (True, "bool", True),
    (1j, "complex128", 1j),
    ("é", "string", "é".encode()),
    (b"a\0", "string", b"a\0"),
    ([1, 2.0], "float32", [1, 2]),
    ([True, 1], "int32", [1, 1]),
    ([1.0, True], "float32", [1, 1]),
    ([1, 2**31], "int64", [1, 2**31]),
    ([2**63], "uint64", [2**63]),
    ([-1, 2**63], "float32", [-1, 2**63]),
    ([1, 1j], "complex128", [1, 1j]),
    ([], "float32", []),
    ([[], []], "float32", [[], []]),
    ([np.float64(1)], "float32", [1]),
    ([np.float16(1)], "float16", [1]),
    ([np.float16(1), 1.5], "float32", [1, 1.5]),
    ([np.int64(1)], "int32", [1]),
    ([np.uint8(1)], "uint8", [1]),
    ([np.array(1)], "int32", [1]),
    (["a", b"b\0"], "string", [b"a", b"b\0"]),
    ([(1, 2), [3, 4]], "int32", [[1, 2], [3, 4]]),
    ([[True, 2], [3, 4.5]], "float32", [[1, 2], [3, 4.5]]),
    (np.float64(1), "float64", 1),
    (np.array([1, 2], np.uint32), "uint32", [1, 2]),
    (np.array([1, 2], ">i4"), "int32", [1, 2]),
    (np.array(["a", "bb"]), "string", [b"a", b"bb"]),
    (np.array(["é"], object), "string", ["é".encode()]),
    (np.array([1.5], ml_dtypes.bfloat16), "bfloat16", [1.5]),
    (np.zeros((0, 3)), "float64", np.zeros((0, 3))),
    (bytearray(b"a"), "uint8", [97]),
    (memoryview(b"ab"), "uint8", [97, 98]),
    (stdlib_array.array("i", [1, 2]), "int32", [1, 2]),
    (ArrayLike(), "int64", [1, 2]),
    # Later versions take these, 1.15 refuses them.
    (range(3), "int32", [0, 1, 2]),
    ([np.array([1.0, 2.0]), [3, 4]], "float32", [[1, 2], [3, 4]]),
]

REQUIRED = [
    (1, "float32", 1),
    (True, "float32", 1),
    (2**24 + 1, "float32", 2**24),
    (1e40, "float32", np.inf),
    (float("nan"), "float32", np.nan),
    (2**70, "float64", 2.0**70),
    (70000.0, "float16", np.inf),
    (1.00390625, "bfloat16", 1),
    ([1.5, 2], "bfloat16", [1.5, 2]),
    (True, "int32", 1),
    (300, "uint8", 44),
    (-1, "uint8", 255),
    (70000, "int16", 4464),
    (2**31, "int32", -(2**31)),
    (-1, "uint64", 2**64 - 1),
    ([1, 2**40], "int32", [1, 0]),
    ([-1, 2**63], "uint64", [2**64 - 1, 2**63]),
    ([2**70, 1], "float64", [2.0**70, 1]),
    ([np.int64(1)], "float32", [1]),
    ([1, 1j], "complex64", [1, 1j]),
    (1, "complex64", 1),
    ([[]], "int32", np.zeros((1, 0))),
    ([], "string", []),
    (["a\0", b"b"], "string", [b"a\0", b"b"]),
    (Index(), "int32", 3),
    ([Index(), 2], "int64", [3, 2]),
    (np.array([1.5]), "int32", [1]),
    (np.array([-1.5, 300.0]), "uint8", [255, 44]),
    (np.array([np.nan, 0]), "bool", [True, False]),
    (np.array([1 + 2j]), "float32", [1]),
    (np.array(["1"]), "float32", [1]),
    (np.array([1, 2], object), "int32", [1, 2]),
    (np.int64(3), "bool", True),
    (1.5, "float32_ref", 1.5),
]


def label(argument: Any) -> str:
    """A test id that does not depend on addresses."""
    return type(argument).__name__ if " at 0x" in repr(argument) else repr(argument)


def check(result: np.ndarray, dtype: str, expected: Any) -> None:
    assert result.dtype == np.dtype(as_dtype(dtype).base_dtype.as_numpy_dtype)
    if dtype == "string":
        assert result.tolist() == expected
    else:
        np.testing.assert_array_equal(result, np.array(expected).astype(result.dtype), strict=True)


@pytest.mark.parametrize(("value", "dtype", "expected"), INFERRED, ids=label)
@pytest.mark.filterwarnings("ignore:overflow")
def test_chosen_dtype(value: Any, dtype: str, expected: Any) -> None:
    check(to_numpy(value), dtype, expected)


@pytest.mark.parametrize(("value", "dtype", "expected"), REQUIRED, ids=label)
def test_wanted_dtype(value: Any, dtype: str, expected: Any) -> None:
    check(to_numpy(value, as_dtype(dtype)), dtype, expected)


def test_quantized() -> None:
    qint8 = as_dtype("qint8")
    expected = np.array([(1,), (44,)], qint8.as_numpy_dtype)
    for value in (np.array([1, 300]), [(1,), (44,)], expected):
        result = to_numpy(value, qint8)
        assert result.dtype == expected.dtype and (result == expected).all()
    assert to_numpy((1,), qint8).shape == ()


def failed(value: Any) -> str:
    return (
        f"Failed to convert object of type {type(value)} to Tensor. Contents: {value}. "
        "Consider casting elements to a supported type."
    )


def ragged(value: Any, got: list[int], wanted: list[int]) -> str:
    return f"Argument must be a dense tensor: {value} - got shape {got}, but wanted {wanted}."


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (None, ValueError, "None values not supported."),
        *((value, TypeError, failed(value)) for value in (2**64, {1, 2}, {"a": 1}, Opaque(), Index(), ...)),
        *((value, TypeError, failed(value)) for value in ([None], [1, "a"], ["a", 1], [True, "a"], [1, [2]])),
        *((value, TypeError, failed(value)) for value in ([[1, None]], [Opaque()], [2**64])),
        ([[1], [2, 3]], ValueError, ragged([[1], [2, 3]], [2], [2, 1])),
        ([[1], 2], ValueError, ragged([[1], 2], [2], [2, 1])),
        ([[], 1], ValueError, ragged([[], 1], [2], [2, 0])),
        ([[[1]], [[2, 3]]], ValueError, ragged([[[1]], [[2, 3]]], [2, 1], [2, 1, 1])),
        (np.array([b"a", 1], object), TypeError, "Expected binary or unicode string, got 1"),
        (np.zeros(1, "M8[s]"), TypeError, "Cannot convert value dtype('<M8[s]') to a TensorFlow DType."),
    ],
    ids=label,
)
def test_no_tensor(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        to_numpy(value)
    assert str(caught.value) == message


UNEVEN = "setting an array element with a sequence: [1, [2]] has uneven depths."


def expected(dtype: str, got: str, kind: str) -> str:
    return f"Expected {dtype}, got {got} of type '{kind}' instead."


@pytest.mark.parametrize(
    ("value", "dtype", "error", "message"),
    [
        (1.5, "int32", TypeError, expected("int32", "1.5", "float")),
        (2.0, "int64", TypeError, expected("int64", "2.0", "float")),
        (1, "bool", TypeError, expected("bool", "1", "int")),
        (1, "string", TypeError, expected("string", "1", "int")),
        ("a", "float32", TypeError, expected("float32", "'a'", "str")),
        (1j, "float32", TypeError, expected("float32", "1j", "complex")),
        (1, "qint8", TypeError, expected("qint8", "1", "int")),
        (Opaque(), "int32", TypeError, expected("int32", "Opaque", "Opaque")),
        ([1, 1.5], "int32", TypeError, expected("int32", "1.5", "float")),
        ([[1, 2], 3.5], "int32", TypeError, expected("int32", "3.5", "float")),
        ([np.float64(1)], "int32", TypeError, expected("int32", "1.0", "float64")),
        ([1, None], "int32", TypeError, expected("int32", "None", "NoneType")),
        ([1, b"a"], "string", TypeError, expected("string", "1", "int")),
        ([True, 1], "bool", TypeError, expected("bool", "1", "int")),
        (None, "float32", ValueError, "None values not supported."),
        ([[1], [2, 3]], "int32", ValueError, ragged([[1], [2, 3]], [2], [2, 1])),
        ([1, [2]], "int32", ValueError, UNEVEN),
        (np.array([1.5]), "string", TypeError, "Expected binary or unicode string, got 1.5"),
        (2**63, "int64", OverflowError, "Python integer 9223372036854775808 is too large for int64"),
        ([2**63], "int32", OverflowError, "Python integer 9223372036854775808 is too large for int32"),
        (1, "variant", TypeError, "Incompatible types: <dtype: 'variant'> vs. int64. Value is 1"),
    ],
    ids=label,
)
def test_wrong_kind(value: Any, dtype: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        to_numpy(value, as_dtype(dtype))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        (7, [2, 2], [[7, 7], [7, 7]]),
        (7, np.array([2]), [7, 7]),
        ([7], [], 7),
        ([1, 2, 3], [2, 2], [[1, 2], [3, 3]]),
        ([[1, 2], [3, 4]], [4], [1, 2, 3, 4]),
        ([[1, 2], [3, 4]], [2, 3], [[1, 2, 3], [4, 4, 4]]),
        ([], [2], [0, 0]),
        (7, [0], []),
        (["a", "b"], [3], [b"a", b"b", b"b"]),
    ],
)
def test_shape(value: Any, shape: Any, expected: Any) -> None:
    assert to_numpy(value, shape=shape).tolist() == expected


@pytest.mark.parametrize(
    ("value", "shape", "needed", "received"),
    [([1, 2, 3, 4, 5], [2, 2], 4, 5), ([7, 8], [], 1, 2), (7, [2, -1], -2, 1), (7, [-1], -1, 1)],
)
def test_too_many_elements(value: Any, shape: Any, needed: int, received: int) -> None:
    message = f"Too many elements provided. Needed at most {needed}, but received {received}"
    with pytest.raises(ValueError, match=message):
        to_numpy(value, shape=shape)


def test_results_are_copies() -> None:
    source = np.zeros(3, np.float32)
    result = to_numpy(source, as_dtype("float32"))
    source[0] = 1
    assert result[0] == 0


def test_one_element_fills_any_shape_without_memory() -> None:
    assert to_numpy(7, shape=[1 << 40]).strides == (0,)


def test_long_values_are_shortened_in_messages() -> None:
    with pytest.raises(TypeError) as caught:
        to_numpy("x" * 100_000, as_dtype("int32"))
    assert len(str(caught.value)) < 3000
