"""What Python and NumPy values become beside tensors: TensorFlow's conversion rules, not NumPy's promotion."""

from __future__ import annotations

import numpy as np

from ..spec import Family

FAMILY = Family("conversion", tensorflow=2)
case, table = FAMILY.case, FAMILY.table


def either(function):
    """The value, or the class of the exception: whether something works is the question."""
    try:
        return function()
    except Exception as error:
        return type(error).__name__


# Values on their own.

PYTHON = {
    "int": 1,
    "negative": -1,
    "large_int": 2**40,
    "largest": 2**63 - 1,
    "float": 1.5,
    "whole_float": 2.0,
    "bool": True,
    "complex": 1 + 2j,
    "text": "a",
    "bytes": b"a",
    "list": [1, 2],
    "list_of_floats": [1, 2.5],
    "nested": [[1], [2]],
    "bools": [True, False],
    "empty": [],
    "tuple": (1.0, 2.0),
    "range": range(3),
    "texts": ["a", b"b"],
    "int_and_large": [1, 2**40],
    "complex_and_float": [1j, 2.0],
    "nested_empty": [[], []],
}
NUMPY = {
    "float64": np.float64(1.5),
    "float32": np.float32(1.5),
    "float16": np.float16(1.5),
    "int64": np.int64(3),
    "int32": np.int32(3),
    "int8": np.int8(3),
    "uint8": np.uint8(3),
    "bool": np.bool_(True),
    "complex64": np.complex64(1j),
    "str": np.str_("a"),
    "bytes": np.bytes_(b"a"),
    "array": np.array([1, 2]),
    "float_array": np.array([1.0, 2.0]),
    "scalar_array": np.array(2.5),
    "int16_array": np.array([1], np.int16),
    "texts": np.array(["a", "bc"]),
    "objects": np.array(["a", b"b"], object),
    "empty": np.array([]),
    "matrix": np.eye(2, dtype=np.float32),
    "reversed": np.arange(4)[::-1],
    "transposed": np.arange(6).reshape(2, 3).T,
    "big_endian": np.array([1.5, 2.0], ">f4"),
    "datetime": np.datetime64("2020-01-01"),
    "list_of_scalars": [np.float32(1), np.float32(2)],
    "list_of_int64": [np.int64(1), np.int64(2)],
    "list_mixed_scalars": [np.float64(1), np.float32(2)],
    "list_of_arrays": [np.array([1.0]), np.array([2.0])],
    "list_of_arrays_and_lists": [np.array([1, 2]), [3, 4]],
    "list_int_and_numpy": [1, np.float32(2.5)],
    "list_bool": [np.bool_(True), False],
}
case("python/bool_and_int", lambda tf: [either(lambda: tf.constant([True, 2])), either(lambda: tf.constant([2, True]))])
for name, value in PYTHON.items():
    case("python/" + name, lambda tf, value=value: tf.constant(value))
for name, value in NUMPY.items():
    case("numpy/" + name, lambda tf, value=value: either(lambda: tf.constant(value)))
table(
    {
        "tensor/list": lambda tf: tf.convert_to_tensor([tf.constant(1), tf.constant(2)]),
        "tensor/list_with_python": lambda tf: tf.convert_to_tensor([tf.constant(1.0), 2, 3.5]),
        "tensor/list_with_numpy": lambda tf: tf.convert_to_tensor([tf.constant(1.0), np.float32(2)]),
        "tensor/list_with_double": lambda tf: either(lambda: tf.convert_to_tensor([tf.constant(1.0), np.float64(2)])),
        "tensor/nested": lambda tf: tf.convert_to_tensor([[tf.constant(1), 2], [3, tf.constant(4)]]),
        "tensor/variable": lambda tf: [tf.convert_to_tensor(tf.Variable(1.5)), tf.constant(tf.Variable([1, 2]))],
        "tensor/constant_of_tensor": lambda tf: tf.constant(tf.constant([1, 2])),
        "tensor/constant_casts": lambda tf: either(lambda: tf.constant(tf.constant([1, 2]), tf.float32)),
        "tensor/hint": lambda tf: [
            tf.convert_to_tensor(1, dtype_hint=tf.float64),
            tf.convert_to_tensor(1.5, dtype_hint=tf.int32),
            tf.convert_to_tensor("a", dtype_hint=tf.int32),
        ],
        "tensor/with_array_method": lambda tf: tf.convert_to_tensor(_Array()),
        "tensor/shape": lambda tf: [tf.constant(tf.TensorShape([2, 3])), tf.convert_to_tensor(tf.zeros([2, 5]).shape)],
        "tensor/dtype": lambda tf: [tf.constant(tf.float32.as_datatype_enum)],
    }
)


class _Array:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], dtype)


# With a dtype. Python's bools become some numeric types, but not others, in TensorFlow: they have a list of their own.

DTYPES = "bool uint8 int8 int32 int64 float16 bfloat16 float32 float64 complex64 string".split()
DTYPES_OF_BOOLS = "bool int32 int64 float16 float32 float64 string".split()
case(
    "as_dtype/bool",
    lambda tf: {dtype: either(lambda dtype=dtype: tf.constant(True, dtype)) for dtype in DTYPES_OF_BOOLS},
)
for name, value in {
    "int": 3,
    "float": 1.5,
    "whole_float": 2.0,
    "large": 300,
    "negative": -1,
    "text": "a",
    "too_large": 2**40,
    "complex": 1j,
    "numpy_double": np.float64(2.5),
    "numpy_int": np.int64(3),
    "float_array": np.array([1.0, 2.0]),
    "fraction_array": np.array([1.5]),
    "int_array": np.array([1, 2]),
    "bool_array": np.array([True]),
}.items():
    case(
        "as_dtype/" + name,
        lambda tf, value=value: {dtype: either(lambda dtype=dtype: tf.constant(value, dtype)) for dtype in DTYPES},
    )

# Beside a tensor.

BESIDE = {
    "int": 2,
    "float": 2.0,
    "fraction": 0.5,
    "complex": 1j,
    "large": 2**40,
    "text": "a",
    "numpy_double": np.float64(2.0),
    "numpy_single": np.float32(2.0),
    "numpy_int64": np.int64(2),
    "numpy_int32": np.int32(2),
    "double_array": np.array([1.0, 2.0]),
    "int_array": np.array([1, 2]),
    "single_array": np.array([1, 2], np.float32),
    "list": [1, 2],
    "list_of_floats": [1.0, 2.5],
    "list_of_numpy": [np.float64(1.0), np.float64(2.0)],
}
for dtype in "int32 int64 uint8 float32 float64 bfloat16 complex64 bool".split():
    for name, value in BESIDE.items():
        case(
            f"beside_{dtype}/{name}",
            lambda tf, value=value, dtype=dtype: [
                either(lambda: tf.constant([1, 0], dtype) + value),
                either(lambda: value + tf.constant([1, 0], dtype)),
                either(lambda: tf.multiply(tf.constant([1, 0], dtype), value)),
                either(lambda: tf.multiply(value, tf.constant([1, 0], dtype))),
            ],
        )
case(
    "beside/bool",
    lambda tf: [either(lambda dtype=dtype: tf.constant([1, 0], dtype) + True) for dtype in DTYPES_OF_BOOLS],
)
table(
    {
        "two/python": lambda tf: [
            tf.add(1, 2),
            either(lambda: tf.add(1, 2.5)),
            tf.add(1.5, 2),
            either(lambda: tf.add(True, 1)),
        ],
        "two/numpy": lambda tf: [
            tf.add(np.float64(1), np.float64(2)),
            tf.add(np.float32(1), 2),
            either(lambda: tf.add(np.float64(1), np.float32(2))),
            tf.add(np.int64(1), 2),
            either(lambda: tf.add(2, np.int64(1))),
            tf.add(np.array([1.0]), [2]),
        ],
        "operators/reflected": lambda tf: [
            2 - tf.constant([1, 2]),
            2.0 / tf.constant([1.0, 4.0]),
            7 // tf.constant([2, 3]),
            7 % tf.constant([4, 5]),
            2 ** tf.constant([1, 3]),
            np.array([[1.0, 2.0]]) @ tf.constant([[3.0], [4.0]], tf.float64),
        ],
        "operators/division": lambda tf: [
            tf.constant([1, 2]) / 2,
            tf.constant([1, 2]) / tf.constant([2, 4]),
            tf.constant([7, -7], tf.int8) / 2,
            tf.constant([1.0]) // 2.0,
        ],
        "operators/comparison": lambda tf: [
            tf.constant([1, 2]) == [1, 3],
            tf.constant([1, 2]) != 1,
            tf.constant(1.0) == 1,
            tf.constant([1, 2]) < 2,
            1 <= tf.constant([0, 1]),
            tf.constant(1.0) == tf.constant(1.0),
            tf.constant("a") == "a",
        ],
        "operators/equal_other_type": lambda tf: [
            either(lambda: tf.constant(1) == tf.constant(1.0)),
            either(lambda: tf.constant(1) == 1.0),
            either(lambda: tf.constant([1, 2]) == [1, 2, 3]),
            either(lambda: tf.constant([1, 2]) != tf.zeros([3], tf.int32)),
            either(lambda: tf.constant(1) == "a"),
            either(lambda: tf.constant(1) == None),  # noqa: E711
        ],
        "operators/bits": lambda tf: [
            tf.constant([True, False]) & True,
            tf.constant([5, 6]) & 3,
            tf.constant([5]) | 2,
            tf.constant([5]) ^ tf.constant([1]),
            ~tf.constant([True]),
            ~tf.constant([5]),
        ],
    }
)

# NumPy functions of tensors: NumPy's types, and NumPy's or TensorFlow's arrays.


def kind_and_value(value):
    return [type(value).__name__, value if hasattr(value, "dtype") else np.asarray(value)]


table(
    {
        "np/add_tensor_array": lambda tf: kind_and_value(np.add(tf.constant([1.0, 2.0]), np.array([1.0, 2.0]))),
        "np/add_array_tensor": lambda tf: kind_and_value(np.add(np.array([1, 2]), tf.constant([1.0, 2.0]))),
        "np/array_plus_tensor": lambda tf: kind_and_value(np.array([1.0, 2.0], np.float32) + tf.constant([1.0, 2.0])),
        "np/array_plus_tensor_types": lambda tf: either(lambda: kind_and_value(np.array([1.0]) + tf.constant([1]))),
        "np/scalar_plus_tensor": lambda tf: kind_and_value(np.float32(1) + tf.constant([1.0, 2.0])),
        "np/scalar_double_plus_tensor": lambda tf: either(
            lambda: kind_and_value(np.float64(1) + tf.constant([1.0, 2.0]))
        ),
        "np/sum": lambda tf: kind_and_value(np.sum(tf.constant([1, 2, 3]))),
        "np/exp": lambda tf: kind_and_value(np.exp(tf.constant([0.0]))),
        "np/mean": lambda tf: kind_and_value(np.mean(tf.constant([1, 2]))),
        "np/concatenate": lambda tf: kind_and_value(np.concatenate([tf.constant([1]), np.array([2])])),
        "np/array": lambda tf: [
            kind_and_value(np.array(tf.constant([1.5]))),
            kind_and_value(np.asarray(tf.constant([1]), np.float32)),
            kind_and_value(np.array([tf.constant(1), tf.constant(2)])),
        ],
        "np/index": lambda tf: kind_and_value(np.arange(5)[tf.constant([1, 3])]),
        "np/index_scalar": lambda tf: [
            int(np.arange(5)[tf.constant(2)]),
            [1, 2, 3][tf.constant(1)],
            list(range(tf.constant(3))),
        ],
        "np/shape": lambda tf: [list(np.zeros(tf.zeros([2, 3]).shape).shape), list(np.shape(tf.zeros([2, 3])))],
        "np/dot": lambda tf: kind_and_value(np.dot(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]))),
        "np/equal": lambda tf: kind_and_value(np.array([1, 2]) == tf.constant([1, 3])),
        "np/testing": lambda tf: np.testing.assert_allclose(tf.constant([1.0]), [1.0]),
    }
)

# Python's own functions of tensors.

table(
    {
        "builtins/numbers": lambda tf: [
            int(tf.constant(3)),
            int(tf.constant([7])) if np.__version__ < "2" else 7,
            float(tf.constant(1.5)),
            bool(tf.constant(0)),
            complex(tf.constant(1.0)) == 1,
            bool(tf.constant("")),
            bool(tf.constant([[1]])),
        ],
        "builtins/sequences": lambda tf: [
            len(tf.zeros([3, 2])),
            [int(v) for v in tf.constant([1, 2])],
            sum(tf.constant([1, 2, 3])),
            max(tf.constant([1, 5, 3])),
            list(map(float, tf.constant([1.0, 2.0]))),
            2 in tf.constant([1, 2]),
            list(reversed([tf.constant(1), tf.constant(2)])),
            list(tf.zeros([2, 0])),
        ],
        "builtins/rounding": lambda tf: [
            round(float(tf.constant(2.567)), 1),
            abs(tf.constant(-2)),
            divmod(7, 2)[0],
            pow(tf.constant(2), 3),
        ],
        "builtins/isinstance": lambda tf: [
            isinstance(tf.constant(1), tf.Tensor),
            isinstance(tf.Variable(1), tf.Tensor),
            isinstance(tf.Variable(1), tf.Variable),
            tf.is_tensor(tf.Variable(1)),
            tf.is_tensor(np.array(1)),
            tf.is_tensor(1),
        ],
        "builtins/unpacking": lambda tf: _unpacked(tf),
        "builtins/dict_by_ref": lambda tf: _by_ref(tf),
    }
)


def _unpacked(tf):
    a, (b, c) = tf.constant(1), tf.constant([2, 3])
    first, *rest = tf.constant([4, 5, 6])
    return [a, b, c, first, rest]


def _by_ref(tf):
    a, b = tf.constant(1), tf.constant(1)
    known = {a.ref(): "a"}
    return [known.get(a.ref()), known.get(b.ref()), a.ref() == a.ref(), a.ref().deref() is a]


# dtypes.

table(
    {
        "dtype/of_python": lambda tf: [
            either(lambda kind=kind: tf.as_dtype(kind).name) for kind in (int, float, bool, complex, str, bytes, list)
        ],
        "dtype/of_numpy": lambda tf: [
            tf.as_dtype(kind).name
            for kind in (np.float32, np.int8, np.bool_, np.dtype("uint16"), np.complex128, np.object_, "half")
        ],
        "dtype/equality": lambda tf: [
            tf.float32 == "float32",
            tf.float32 == np.float32,
            tf.float32 == tf.float64,
            tf.int32 != np.int64,
            tf.string == str,  # noqa: E721
            tf.as_dtype("float") is tf.float32,
            {tf.float32: 1}[tf.as_dtype("float32")],
        ],
        "dtype/limits": lambda tf: [
            tf.int8.min,
            tf.int8.max,
            tf.uint8.max,
            float(tf.float16.max),
            float(tf.bfloat16.max),
            list(tf.uint8.limits),
            tf.int32.size,
            tf.complex64.size,
        ],
        "dtype/kinds": lambda tf: [
            [d.is_floating, d.is_integer, d.is_unsigned, d.is_complex, d.is_bool, d.is_quantized, d.is_numpy_compatible]
            for d in (
                tf.float32,
                tf.bfloat16,
                tf.int8,
                tf.uint8,
                tf.complex64,
                tf.bool,
                tf.string,
                tf.qint8,
                tf.resource,
            )
        ],
        "dtype/as_numpy": lambda tf: [
            d.as_numpy_dtype.__name__ for d in (tf.float32, tf.bfloat16, tf.int8, tf.complex64, tf.bool, tf.string)
        ],
        "dtype/result": lambda tf: [
            (tf.constant(1, tf.uint8) + tf.constant(255, tf.uint8)),
            tf.reduce_mean([1, 2, 4]),
            tf.reduce_sum(tf.constant([200, 100], tf.uint8)),
            tf.argmax([1, 2]),
            tf.shape([1]),
            tf.size([1]),
            tf.range(3),
            tf.range(3.0),
            tf.one_hot([0], 2),
            tf.linspace(0.0, 1.0, 3),
            tf.zeros([1]),
            tf.ones([1], "int64"),
            tf.eye(1),
            tf.fill([1], 2),
            tf.cast(1.9, tf.int32),
            tf.cast([True], float),
        ],
    }
)
