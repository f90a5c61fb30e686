"""How eager tensors, variables and what describes them print."""

from __future__ import annotations

import numpy as np

from ..spec import Family, noise

FAMILY = Family("eager_text", tensorflow=2)
case, table = FAMILY.case, FAMILY.table


def texts(value):
    return [repr(value), str(value)]


def dtype_named(tf, name):
    return tf.as_dtype(name)


# Tensors.

FLOATS = "float16 bfloat16 float32 float64".split()
INTEGERS = "int8 uint8 int16 uint16 int32 uint32 int64 uint64".split()
NARROW = {"float8_e4m3fn": "float32", "float8_e5m2": "float32", "int4": "int32", "uint4": "int32"}
COMPLEX = "complex64 complex128".split()
VALUES = {
    "scalar": 3,
    "vector": [1, 0, 7],
    "matrix": [[1, 2], [3, 4]],
    "cube": [[[1], [2]], [[3], [4]]],
    "one": [[5]],
    "empty": [],
    "empty_matrix": [[], []],
    "fractions": [1.5, -0.25, 1e-8, 12345.678],
    "extremes": [float("nan"), float("inf"), float("-inf"), -0.0],
    "large_and_small": [1e30, 1e-30, 1.0],
    "halves": 0.5,
    "third": 1 / 3,
}
WHOLE = ("scalar", "vector", "matrix", "cube", "one", "empty", "empty_matrix")
FRACTIONS = ("fractions", "extremes", "halves", "third")
for dtype in FLOATS + INTEGERS + COMPLEX:  # how a bfloat16 scalar prints depends on the version of ml_dtypes
    for label in WHOLE + (FRACTIONS if dtype in FLOATS + COMPLEX else ()):
        if dtype != "bfloat16" or label not in ("scalar", "halves", "third"):
            case(f"{dtype}/{label}", lambda tf, label=label, dtype=dtype: texts(tf.constant(VALUES[label], dtype)))
for dtype in ("float32", "float64", "complex128"):
    case(f"{dtype}/large_and_small", lambda tf, dtype=dtype: texts(tf.constant(VALUES["large_and_small"], dtype)))
for dtype, wide in NARROW.items():
    case(f"{dtype}/vector", lambda tf, dtype=dtype, wide=wide: texts(tf.cast(tf.constant([1, 0, 3], wide), dtype)))
table(
    {
        "bfloat16/scalar": lambda tf: repr(tf.constant(1 / 3, tf.bfloat16)),
        "bool/scalar": lambda tf: texts(tf.constant(True)),
        "bool/vector": lambda tf: texts(tf.constant([True, False])),
        "bool/empty": lambda tf: texts(tf.constant([], tf.bool)),
        "complex/imaginary": lambda tf: texts(tf.constant([1j, 2 - 0.5j, -1.0])),
        "string/scalar": lambda tf: texts(tf.constant("text")),
        "string/empty_text": lambda tf: texts(tf.constant("")),
        "string/bytes": lambda tf: texts(tf.constant(b"\xff\x00a")),
        "string/unicode": lambda tf: texts(tf.constant("höhe")),
        "string/quotes": lambda tf: texts(tf.constant('it\'s "so"\n')),
        "string/vector": lambda tf: texts(tf.constant(["a", "bc", ""])),
        "string/matrix": lambda tf: texts(tf.constant([["a", "long text"], ["b", "c"]])),
        "string/empty": lambda tf: texts(tf.constant([], tf.string)),
    }
)

# Long and wide ones.

table(
    {
        "long/range": lambda tf: texts(tf.range(2000)),
        "long/floats": lambda tf: texts(tf.constant(noise(2000), tf.float32)),
        "long/matrix": lambda tf: texts(tf.constant(noise(40, 30), tf.float32)),
        "long/summarised_matrix": lambda tf: texts(tf.constant(noise(50, 40), tf.float32)),
        "long/summarised_cube": lambda tf: texts(tf.reshape(tf.range(5000), [10, 5, 100])),
        "long/wide_row": lambda tf: texts(tf.constant(noise(1, 30), tf.float64)),
        "long/just_whole": lambda tf: texts(tf.range(1000)),
        "long/bools": lambda tf: texts(tf.range(1500) > 700),
        "long/bfloat16": lambda tf: texts(tf.cast(tf.range(1500), tf.bfloat16)),
        "long/high_rank": lambda tf: texts(tf.zeros([1, 1, 2, 1, 1, 2])),
        "long/zero_of_many": lambda tf: texts(tf.zeros([0, 3, 1000])),
    }
)

# Formatting.

table(
    {
        "format/scalar": lambda tf: [f"{tf.constant(1.23456):.2f}", f"{tf.constant(7):03d}", f"{tf.constant(7)}"],
        "format/vector": lambda tf: [f"{tf.constant([1, 2])}", f"{tf.constant([1.5])}"],
        "format/percent": lambda tf: [template % tf.constant(3) for template in ("%s", "%.1f", "%d")],
        "format/list": lambda tf: [str([tf.constant(1), tf.constant([2.0])]), str({"a": tf.constant("x")})],
        "format/numpy": lambda tf: [
            repr(tf.constant(1.5).numpy()),
            repr(tf.constant([1, 2]).numpy()),
            repr(tf.constant("a").numpy()),
            repr(tf.constant(["a"]).numpy()),
        ],
        "format/print_options": lambda tf: _with_options(tf),
    }
)


def _with_options(tf):
    with np.printoptions(precision=2, threshold=5, edgeitems=1):
        return texts(tf.constant(noise(3, 4), tf.float64))


# Variables.

table(
    {
        "variable/scalar": lambda tf: texts(tf.Variable(1.5)),
        "variable/named": lambda tf: texts(tf.Variable([1, 2], name="weights")),
        "variable/matrix": lambda tf: texts(tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="m")),
        "variable/string": lambda tf: texts(tf.Variable("text")),
        "variable/strings": lambda tf: texts(tf.Variable(["a", "b"])),
        "variable/bool": lambda tf: texts(tf.Variable(True)),
        "variable/bfloat16": lambda tf: texts(tf.Variable([1.5], dtype=tf.bfloat16)),
        "variable/not_trainable": lambda tf: texts(tf.Variable(1, trainable=False)),
        "variable/unknown_shape": lambda tf: texts(tf.Variable([1.0, 2.0], shape=tf.TensorShape(None))),
        "variable/unknown_dimension": lambda tf: texts(tf.Variable([[1.0, 2.0]], shape=[None, 2])),
        "variable/in_scope": lambda tf: _in_scope(tf),
        "variable/long": lambda tf: texts(tf.Variable(tf.zeros([3, 500]))),
        "variable/assigned": lambda tf: texts(tf.Variable(1.0).assign(2.0)),
        "variable/facts": lambda tf: _facts(tf, tf.Variable([[1.0, 2.0]], name="v")),
        "variable/list": lambda tf: str([tf.Variable(1.0), tf.Variable(2, name="b")]),
    }
)


def _in_scope(tf):
    with tf.name_scope("outer"), tf.name_scope("inner"):
        return texts(tf.Variable(1, name="v"))


def _facts(tf, v):
    return [
        v.name,
        str(v.shape),
        str(v.dtype),
        v.trainable,
        str(v.device),
        repr(v.value()),
        repr(v.read_value()),
        str(v.synchronization),
        str(v.aggregation),
    ]


# What describes tensors.

table(
    {
        "dtype": lambda tf: [
            texts(dtype_named(tf, name))
            for name in (*FLOATS, *INTEGERS, "bool", "string", "complex64", "resource", "variant", "qint8")
        ],
        "shape": lambda tf: [texts(tf.TensorShape(dims)) for dims in ([], [1], [2, 3], [None, 2], None)],
        "shape/of_tensor": lambda tf: [texts(tf.zeros(dims).shape) for dims in ([], [1], [2, 3], [0])],
        "shape/items": lambda tf: [
            repr(tf.zeros([2, 3]).shape[0]),
            repr(tf.zeros([2, 3]).shape[:1]),
            repr(tf.zeros([2, 3]).shape.as_list()),
            repr(list(tf.zeros([2, 3]).shape)),
            repr(tf.zeros([2]).shape + [3]),
            tf.zeros([2, 3]).shape == (2, 3),
            tf.zeros([2]).shape.rank,
            tf.zeros([2, 3]).shape.num_elements(),
        ],
        "spec": lambda tf: [
            texts(tf.TensorSpec([2, None], tf.float32)),
            texts(tf.TensorSpec(None, tf.string, name="s")),
            texts(tf.TensorSpec.from_tensor(tf.constant([1]))),
        ],
        "slices": lambda tf: [str(tf.IndexedSlices(tf.constant([1.0]), tf.constant([2])))],
        "facts": lambda tf: _tensor_facts(tf.constant([[1.0, 2.0]])),
    }
)


def _tensor_facts(t):
    return [
        str(t.device),
        str(t.dtype),
        repr(t.dtype),
        str(t.shape),
        t.ndim,
        len(t),
        t.shape.rank,
        t.numpy().tolist(),
        type(t).__name__,
        repr(t.get_shape()),
    ]
