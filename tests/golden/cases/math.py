"""Elementwise arithmetic, comparisons, reductions, products, casts and scans."""
from __future__ import annotations

from typing import Any

from ..spec import (
    Family,
    Input,
    array,
    bf16,
    binary,
    boolean,
    c64,
    c128,
    endpoint,
    f16,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    noise,
    pairs,
    string,
    u8,
    u16,
)

FAMILY = Family("math")
case, table = FAMILY.case, FAMILY.table

ANY = [-3.5, -1.0, -0.5, 0.25, 0.75, 1.0, 2.5]
POSITIVE = [0.01, 0.25, 0.5, 1.5, 2.0, 7.5, 40.0]
UNIT = [-0.9, -0.5, -0.125, 0.125, 0.25, 0.5, 0.9]
ABOVE_ONE = [1.125, 1.25, 1.5, 2.0, 3.0, 5.0, 20.0]
MATRIX = noise(2, 3, seed=1)
CUBE = noise(2, 3, 4, seed=2)


def floats(values: Any) -> tuple[Input, ...]:
    """The values in three precisions, then a scalar and an empty float32."""
    return f16(values), f32(values), f64(values), f32(values[-1]), f32([[], []])


# Unary functions.

EXACT = "abs negative sign square floor ceil round rint identity"
SMOOTH = "exp expm1 sigmoid tanh sin cos tan sinh cosh asinh atan erf erfc nn.softplus nn.softsign"
for name in EXACT.split():
    case("unary/" + name, endpoint(name), *floats(ANY), ulps=0)
for name in SMOOTH.split():  # 1 - y * y cancels in the gradient of tanh
    case("unary/" + name, endpoint(name), *floats(ANY), ulps=16, near="max" if name == "tanh" else "each")
for name in "sqrt rsqrt log reciprocal log_sigmoid".split():  # TensorFlow's softplus is exp(x) below a threshold
    case("unary/" + name, endpoint(name), *floats(POSITIVE), ulps=8, near="max" if name == "log_sigmoid" else "each")
case("unary/lgamma", endpoint("lgamma"), *floats(POSITIVE), ulps=64, near="max")
case("unary/digamma", endpoint("digamma"), *floats(POSITIVE), ulps=64, near="max",
     function="the derivative of a function is that of all its outputs; digamma has none in half precision")
for name in "asin acos atanh log1p".split():
    case("unary/" + name, endpoint(name), *floats(UNIT), ulps=16)
case("unary/acosh", endpoint("acosh"), *floats(ABOVE_ONE), ulps=16)
for name in "math.bessel_i0e math.bessel_i1e".split():
    case("unary/" + name, endpoint(name), f32(ANY), f64(ANY), ulps=16)

SPECIAL = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e38, -1e-30]
for name in "is_nan is_inf is_finite".split():
    case("special/" + name, endpoint(name), f16(SPECIAL[:5]), f32(SPECIAL), f64(SPECIAL))
EVERYWHERE = "abs floor round sqrt exp log tanh sigmoid square reciprocal nn.relu nn.softplus log1p"
for name in EVERYWHERE.split():
    case("special/" + name, endpoint(name), f32(SPECIAL), f64(SPECIAL), ulps=8, gradient=False)
# What maximum, minimum and sign make of NaN is an accident of the processor's instructions.
case("special/sign", endpoint("sign"), f32(SPECIAL[1:]), f64(SPECIAL[1:]), ulps=0, gradient=False)
for name in "maximum minimum".split():
    case("special/" + name, binary(name), f32(SPECIAL[1:]), f32(1.0), f32(2.0), f32(SPECIAL[1:]), ulps=0)
for name in "pow add multiply divide".split():
    case("special/" + name, binary(name), f32(SPECIAL), f32(1.0), f32(2.0), f32(SPECIAL), ulps=8)

for name in "abs negative sign square".split():
    case("unary_int/" + name, endpoint(name), i32([-3, 0, 4]), i64([-3, 0, 2**40]), i32(-7), i32([]))
case("unary_int/floor_of_float_only", lambda tf, x: tf.floor(x), i32([1]), raises=True)
case("unary_int/round", endpoint("round"), i32([-3, 0, 4]), i64([5]))
case("unary/round_half_to_even", endpoint("round"), f32([0.5, 1.5, 2.5, -0.5, -1.5]), f64([0.5, 3.5]), ulps=0)

COMPLEX = [0.5 + 1j, -1.0 + 0.25j, 2.0 - 0.5j]
for name in ("abs negative square exp log sin cos tanh sigmoid sqrt reciprocal conj real imag angle "
             "sinh cosh tan asinh log1p expm1 rsqrt").split():
    case("complex/" + name, endpoint(name), c64(COMPLEX), c128(COMPLEX), ulps=32)
table({
    "complex/make": lambda tf, a, b: tf.complex(a, b),
    "complex/sum_of_made": lambda tf, a, b: tf.abs(tf.complex(a, b) + tf.complex(b, a)),
    "complex/conj_of_real": lambda tf, a, b: tf.conj(a),
    "complex/real_of_real": lambda tf, a, b: tf.real(a),
}, f64([1.0, -2.0]), f64([0.5, 4.0]))
for name in "add subtract multiply divide pow".split():
    case("complex/" + name, binary(name), c64(COMPLEX), c64([1j, 2.0, 0.5 + 0.5j]), c128(COMPLEX),
         c128(2 - 1j),
         ulps=64)


# Binary functions.

LEFT = [[1.5, -2.0, 3.25], [-0.5, 4.0, 7.0]]
RIGHT = [[0.5, 3.0, -1.25], [2.0, -4.0, 7.0]]
PAIRS = (f16(LEFT), f16(RIGHT), f32(LEFT), f32(RIGHT), f64(LEFT), f64(RIGHT),  # then broadcasting
         f64(LEFT), f64([2.0, -1.0, 0.5]), f64(3.0), f64(RIGHT), f64([[1.0], [-2.0]]), f64([[0.5, 4.0]]),
         f32([]), f32(2.0))
INTEGERS = (i32([7, -7, 7, -7, 0]), i32([3, 3, -3, -3, 5]), i64([[2**40], [-9]]), i64([2, -4]),
            i8([100, -100]), i8([3, 7]), u8([200, 7]), u8([3, 2]))
for name in "add subtract multiply divide maximum minimum squared_difference realdiv".split():
    case("binary/" + name, binary(name), *PAIRS, ulps=2)
for name in "floordiv floormod mod truncatemod div truediv".split():
    case("binary/" + name, binary(name), *PAIRS, ulps=4,
         gradient=name in ("div", "truediv", "floormod", "mod"))
case("binary/atan2", binary("atan2"), *PAIRS[:6], f32(LEFT), f32([2.0, -1.0, 0.5]), ulps=16)
case("binary/div_no_nan", binary("div_no_nan"), f32([1.0, 2.0]), f32([0.0, 4.0]), f64([1.0, 2.0]),
     f64([0.0, 4.0]))
for name in "math.xdivy math.xlogy".split():
    case("binary/" + name, binary(name), f32([0.0, 2.0, 3.0]), f32([0.0, 0.5, 4.0]), f64([0.0, 2.0]),
         f64([0.5, 4.0]),
         ulps=8)
case("binary/multiply_no_nan", binary("math.multiply_no_nan"), f32([1.0, float("inf")]), f32([2.0, 0.0]),
     f64([1.0, 2.0]), f64([0.0, 4.0]))
case("binary/pow", binary("pow"), f16(ABOVE_ONE), f16(0.5), f32(POSITIVE), f32(-1.5), f64(POSITIVE), f64(3.0),
     f64([[2.0], [0.5]]), f64([1.0, -2.0]), f32([-2.0, 0.0]), f32([3.0, 2.0]), ulps=16)
case("binary/nextafter", binary("math.nextafter"), f64([1.0, 2.0]), f64([2.0, 0.0]), ulps=0)
for name in "igamma igammac zeta".split():
    case("binary/" + name, binary(name), f32([1.5, 2.0]), f32([0.5, 3.0]), f64([1.5, 2.5]), f64([0.5, 3.0]),
         ulps=128, gradient=False)
case("binary/betainc", lambda tf, a, b, x: tf.betainc(a, b, x), f32([1.5]), f32([2.5]), f32([0.25]), ulps=128)
case("binary/polygamma", binary("polygamma"), f32([1.0, 2.0]), f32([1.5, 2.5]), ulps=128)

SHORT_INTEGERS = (i16([-300]), i16(7), u16([60000]), u16([7]))
FOR_INTEGERS = "add subtract multiply floordiv floormod mod maximum minimum squared_difference div truediv"
for name in FOR_INTEGERS.split():
    inputs = {"truediv": INTEGERS + SHORT_INTEGERS, "add": INTEGERS, "multiply": INTEGERS}.get(name,
                                                                                               INTEGERS[:4])
    case("binary_int/" + name, binary(name), *inputs, ulps=2)
case("binary_int/truncatediv", binary("truncatediv"), *INTEGERS, *SHORT_INTEGERS)
case("binary_int/truncatemod", binary("truncatemod"), *INTEGERS[:4])
case("binary_int/pow", binary("pow"), i32([2, -3, 5]), i32([10, 3, 0]), i64([3]), i64([30]))
for name in "bitwise.bitwise_and bitwise.bitwise_or bitwise.bitwise_xor".split():
    case("binary_int/" + name, binary(name), *INTEGERS, *SHORT_INTEGERS)
for name in "bitwise.left_shift bitwise.right_shift".split():
    case("binary_int/" + name, binary(name), i32([5, -5]), i32([2, 1]), u8([200]), u8([3]), i64([2**40]),
         i64([3]))
case("binary_int/invert", endpoint("bitwise.invert"), i32([5, -5]), u8([200]), i64([0]))

case("bfloat16/arithmetic", lambda tf, x, y: [x + y, x - y, x * y, x / y, tf.maximum(x, y), tf.abs(x), -x],
     bf16([1.0, 2.5, 300.0]), bf16([0.5, -3.0, 7.0]))
case("bfloat16/cast", lambda tf, x: [tf.cast(x, "bfloat16"), tf.cast(tf.cast(x, tf.bfloat16), tf.float32)],
     f32([1.00390625, 1.01171875, 3.14159, -0.1, 1e38]), ulps=0)

table({
    "operator/tensor_tensor": lambda tf, x, y: [x + y, x - y, x * y, x / y, x // y, x % y, x ** y],
    "operator/tensor_number": lambda tf, x, y: [x + 1, x - 1.5, x * 2, x / 4, x // 2, x % 2, x ** 2],
    "operator/number_tensor": lambda tf, x, y: [1 + x, 1.5 - x, 2 * x, 4 / y, 2 // y, 7 % y, 2 ** y],
    "operator/unary": lambda tf, x, y: [-x, abs(x), x < y, x <= y, x > y, x >= y, x > 1, 2 <= y],
    "operator/names_in_scope": lambda tf, x, y: _in_scopes(tf, x, y),
}, f64([1.5, 2.0, -3.0]), f64([2.0, 0.5, 3.0]), ulps=8, gradient=False)
case("operator/int", lambda tf, x, y: [x + y, x - 2, 3 * x, x / y, x // y, x % y, x ** 2, -x, abs(x), 7 // y],
     i32([7, -8, 9]), i32([2, 3, -4]))
case("operator/small_int_truediv", lambda tf, x, y: [x / x, y / y], i8([7, 3]), u16([7, 3]))
case("operator/bool", lambda tf, x, y: [x & y, x | y, x ^ y, ~x], boolean([True, False, True]),
     boolean([True, True, False]))
case("operator/matmul", lambda tf, x, y: x @ y, f64(noise(2, 3)), f64(noise(3, 2, seed=4)))
case("operator/numpy",
     lambda tf, x: [x + array("float64", [1.0, 2.0]).value, array("int32", [3, 4]).value * x],
     f32([0.5, 0.25]))


def _in_scopes(tf: Any, x: Any, y: Any) -> list:
    with tf.name_scope("a"):
        first = x + y
        with tf.name_scope("b"):
            second = first * 2.0
    with tf.name_scope("a"):
        third = tf.add(x, y, name="sum")
        with tf.name_scope(""):
            fourth = tf.add(third, second, name="top")
    return [first, second, third, fourth, tf.add(x, y, name="a/sum")]


# Comparisons and logic.

for name in "equal not_equal less less_equal greater greater_equal".split():
    case("compare/" + name, binary(name), f32(LEFT), f32(RIGHT), f64(LEFT), f64([1.5, -2.0, 7.0]),
         i32([1, 2, 3]), i32(2),
         f16([1.0, float("nan")]), f16([1.0, float("nan")]), i64([[1], [2]]), i64([1, 2]), u8([1, 255]),
         u8([255, 1]))
for name in "equal not_equal".split():
    case("compare/" + name + "_other", binary(name), boolean([True, False]), boolean([True, True]),
         string([b"a", b"b"]), string(b"a"), c64([1j, 1.0]), c64([1j, 2.0]))
for name in "logical_and logical_or logical_xor".split():
    case("logic/" + name, binary(name), boolean([[True], [False]]), boolean([True, False]))
case("logic/logical_not", endpoint("logical_not"), boolean([True, False]), boolean([]))


# Reductions.

AXES = {"all": {}, "axis0": {"axis": 0}, "last_keep": {"axis": -1, "keepdims": True}, "two": {"axis": [0, 2]},
        "none_of_them": {"axis": []}}
FLOAT_REDUCTIONS = "sum mean max min prod logsumexp euclidean_norm".split()


def reduction(name: str, arguments: dict) -> Any:
    path = "math.reduce_euclidean_norm" if name == "euclidean_norm" else "reduce_" + name
    return endpoint(path, **arguments)


for name in FLOAT_REDUCTIONS:
    for label, arguments in AXES.items():
        if (name, label) == ("euclidean_norm", "none_of_them"):
            continue  # TensorFlow returns its input there, signs and all
        case(f"reduce_{name}/{label}", reduction(name, arguments), f16(CUBE), f32(CUBE), f64(CUBE), ulps=8,
             near="max",
             gradient=name != "euclidean_norm")
for name in "sum mean max min prod".split():
    case(f"reduce_{name}/int", reduction(name, {"axis": 1}), i32([[1, 2], [3, -9]]), i64([[2**40, 1]]),
         u8([[200, 7]]))
    case(f"reduce_{name}/empty", reduction(name, {"axis": 0}), f32([[], []]), f32(noise(0, 2)), ulps=2)
    case(f"reduce_{name}/scalar", reduction(name, {}), f32(2.5), i32(3))
for name in "any all".split():
    for label, arguments in AXES.items():
        if label != "two":
            case(f"reduce_{name}/{label}", reduction(name, arguments),
                 boolean([[True, False], [False, False]]),
                 boolean([[True, True]]), boolean([[], []]))
table({
    "reduce/keep_dims": lambda tf, x: tf.reduce_sum(x, 1, keep_dims=True),
    "reduce/reduction_indices": lambda tf, x: tf.reduce_mean(x, reduction_indices=[0]),
    "reduce/axis_tensor": lambda tf, x: tf.reduce_sum(x, tf.constant([0, 1])),
    "reduce/axis_tuple": lambda tf, x: tf.reduce_max(x, (0, -1)),
    "reduce/variance": lambda tf, x: [tf.math.reduce_variance(x), tf.math.reduce_variance(x, 1)],
    "reduce/std": lambda tf, x: [tf.math.reduce_std(x), tf.math.reduce_std(x, 0, keepdims=True)],
    "reduce/count_nonzero": lambda tf, x: [tf.count_nonzero(x), tf.count_nonzero(x, 1, dtype=tf.int32)],
    "reduce/ties_share_the_gradient": lambda tf, x: tf.reduce_max(tf.minimum(x, 0.5), 1),
    "reduce/norm": lambda tf, x: [tf.norm(x), tf.norm(x, axis=1), tf.norm(x, 1, 0), tf.norm(x, float("inf")),
                                  tf.norm(x, 3, axis=1, keepdims=True)],
    "reduce/named": lambda tf, x: [tf.reduce_sum(x, name="total"), tf.reduce_mean(x), tf.reduce_mean(x)],
    "reduce/add_n": lambda tf, x: [tf.add_n([x, x * 2.0, x]), tf.add_n([x])],
    "reduce/accumulate_n": lambda tf, x: tf.accumulate_n([x, x * 2.0]),
}, f64(MATRIX), ulps=16, near="max")
case("reduce_prod/zeros", lambda tf, x: tf.reduce_prod(x, 1),
     f64([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [2.0, 3.0, 4.0]]))

for name in "segment_sum segment_mean segment_max segment_min segment_prod".split():
    case("segment/" + name, lambda tf, x, y, name=name: [getattr(tf, name)(v, [0, 0, 2]) for v in (x, y)],
         f64(noise(3, 2)), i32([5, 6, 7]), gradient=name != "segment_prod")
for name in "sum max min prod mean sqrt_n".split():
    case("segment/unsorted_" + name,
         lambda tf, x, name=name: getattr(tf, "unsorted_segment_" + name)(x, [2, 0, 2], 4),
         f64(noise(3, 2)), ulps=8)


# Products.

for a, b in (("", ""), ("t", ""), ("", "t"), ("t", "t")):
    case(f"matmul/transpose_{a or 'n'}{b or 'n'}",
         lambda tf, *x, a=a, b=b: [tf.matmul(p, q, bool(a), bool(b)) for p, q in pairs(x)],
         *(make(noise(*shape, seed=seed)) for make in (f32, f64)
           for seed, shape in enumerate([(3, 2) if a else (2, 3), (4, 3) if b else (3, 4)])),
         ulps=16, near="max")
    case(f"matmul/batch_{a or 'n'}{b or 'n'}",
         lambda tf, p, q, a=a, b=b: tf.matmul(p, q, transpose_a=bool(a), transpose_b=bool(b)),
         f64(noise(*((2, 3, 2) if a else (2, 2, 3)))), f64(noise(*((2, 2, 3) if b else (2, 3, 2)), seed=5)),
         ulps=16, near="max")
table({
    "matmul/adjoint": lambda tf, p, q: tf.matmul(p, q, adjoint_a=True, adjoint_b=True),
    "matmul/adjoint_one": lambda tf, p, q: tf.matmul(p, p, adjoint_b=True),
}, c64([[1 + 2j, 3j]]), c64([[2.0], [1j]]))
case("matmul/broadcast_batch", lambda tf, p, q: tf.matmul(p, q), f64(noise(2, 1, 2, 3)),
     f64(noise(2, 3, 1, seed=6)),
     ulps=16, near="max")
case("matmul/int", lambda tf, p, q: tf.matmul(p, q), i32([[1, 2], [3, 4]]), i32([[5, 6], [7, 8]]))
case("matmul/half", lambda tf, p, q: tf.matmul(p, q), f16([[1, 2], [3, 4]]), f16([[5, 6], [7, 8]]))
case("matmul/empty", lambda tf, p, q: tf.matmul(p, q), f32(noise(2, 0)), f32(noise(0, 3)))
case("matmul/sparse_hint", lambda tf, p, q: tf.matmul(p, q, a_is_sparse=True), f32([[1, 0], [0, 4]]),
     f32([[5, 6], [7, 8]]))
PRODUCT = (f64(noise(2, 3, 4)), f64(noise(4, 3, seed=7)))
table({
    "tensordot/one_axis": lambda tf, x, y: tf.tensordot(x, y, 1),
    "tensordot/lists": lambda tf, x, y: tf.tensordot(x, y, [[1, 2], [1, 0]]),
    "tensordot/outer": lambda tf, x, y: tf.tensordot(x[0, 0], y[0], 0),
    "tensordot/ints": lambda tf, x, y: tf.tensordot(x, y, axes=[1, 1]),
    "einsum/matmul": lambda tf, x, y: tf.einsum("bij,jk->bik", x, y),
    "einsum/reduce": lambda tf, x, y: tf.einsum("bij->b", x),
    "einsum/transpose": lambda tf, x, y: tf.einsum("bij->jib", x),
    "einsum/two_shared": lambda tf, x, y: tf.einsum("bij,ji->b", x, y),
    "matvec": lambda tf, x, y: tf.linalg.matvec(x, y[:, 0]),
    "scalar_mul": lambda tf, x, y: tf.scalar_mul(2.5, x),
    "cross": lambda tf, x, y: tf.cross(y, y * y),
}, *PRODUCT, ulps=16, near="max", unknown=False)


# Casts.

CAST_FROM = {"float32": [-2.5, -0.5, 0.0, 0.5, 1.9, 100.7], "float64": [-1.9, 0.0, 2.5, 1e10],
             "int32": [-1, 0, 300, 2],
             "int64": [2**32 + 5, -1, 0], "bool": [True, False], "uint8": [0, 200], "float16": [1.5, -2.75],
             "complex64": [1.5 + 2j, -1j], "int16": [-300, 5], "int8": [-3, 5], "uint16": [65535, 1]}
for source, values in CAST_FROM.items():
    targets = "float16 float32 float64 int32 int64 uint8 int8 int16 uint16 bool complex64 complex128".split()
    signed = any(v < 0 for v in values) if "complex" not in source and source != "bool" else False
    undefined = {"float64": ("int32",), "float32": ()}.get(source, ())
    if "float" in source and signed:
        undefined += ("uint8", "uint16")
    if source in ("float64",):
        undefined += ("int8", "int16", "uint8", "uint16", "float16")
    kept = [t for t in targets if t not in undefined]
    case("cast/" + source, lambda tf, x, kept=kept: {t: tf.cast(x, t) for t in kept}, array(source, values),
         ulps=0)
table({
    "cast/named_functions": lambda tf, x: [tf.to_float(x), tf.to_double(x), tf.to_int32(x), tf.to_int64(x),
                                           tf.to_complex64(x)],
    "cast/saturate": lambda tf, x: [tf.saturate_cast(x * 200.0, tf.uint8), tf.saturate_cast(x, tf.int8)],
    "cast/dtype_kinds": lambda tf, x: [tf.cast(x, float), tf.cast(x, "int32"),
                                       tf.cast(x, tf.as_dtype("half"))],
    "cast/bitcast": lambda tf, x: [tf.bitcast(x, tf.int64), tf.bitcast(x, tf.int32)],
    "cast/literal": lambda tf, x: [tf.cast(1.7, tf.int32), tf.cast([True, False], tf.float32)],
}, f64([1.75, -0.5, 2.0]), ulps=0)
case("cast/same_dtype_is_no_op", lambda tf, x: [tf.cast(x, tf.float64), tf.cast(x, tf.float64).op.type],
     f64([1.75, -0.5, 2.0]), ulps=0, eager="it asks for the operation", function=True)


# Scans, orders, ranges, clips.

for name in "cumsum cumprod".split():
    for exclusive, reverse in ((False, False), (True, False), (False, True), (True, True)):
        label = f"{name}/{'exclusive' if exclusive else 'inclusive'}{'_reverse' if reverse else ''}"
        case(label, endpoint(name, axis=1, exclusive=exclusive, reverse=reverse), f32(MATRIX), f64(MATRIX),
             i32([[1, 2, 3]]),
             ulps=8)
    case(name + "/default_axis", endpoint(name), f64(MATRIX), i64([1, 2, 3]), f16([1.0, 2.0]))
case("cumsum/negative_axis", endpoint("cumsum", axis=-1), f64(CUBE), ulps=8, near="max")

ORDER = [[3.0, 1.0, 3.0, -2.0], [0.0, 5.0, -1.0, 5.0]]
table({
    "argmax/default": lambda tf, x, y: [tf.argmax(x), tf.argmax(y)],
    "argmax/axis": lambda tf, x, y: [tf.argmax(x, 1), tf.argmax(y, axis=-1), tf.argmax(x, dimension=0)],
    "argmax/int32": lambda tf, x, y: tf.argmax(x, 1, output_type=tf.int32),
    "argmin/axis": lambda tf, x, y: [tf.argmin(x, 1), tf.argmin(y, 0)],
    "top_k/two": lambda tf, x, y: [tf.nn.top_k(x, 2), tf.nn.top_k(y, 2)],
    "top_k/default": lambda tf, x, y: tf.nn.top_k(x),
    "top_k/unsorted_all": lambda tf, x, y: tf.nn.top_k(x, k=4, sorted=True),
    "top_k/zero": lambda tf, x, y: tf.nn.top_k(x, 0),
    "sort/ascending": lambda tf, x, y: [tf.sort(x), tf.sort(y, axis=0)],
    "sort/descending": lambda tf, x, y: tf.sort(x, direction="DESCENDING"),
    "sort/argsort": lambda tf, x, y: [tf.argsort(x), tf.argsort(y, direction="DESCENDING")],
    "bincount": lambda tf, x, y: [tf.math.bincount(tf.nn.relu(y)), tf.math.bincount([1, 1, 3], minlength=6),
                                  tf.math.bincount([1, 1], weights=[0.5, 1.0], maxlength=3)],
    "histogram_fixed_width": lambda tf, x, y: tf.histogram_fixed_width(x, [-2.0, 5.0], nbins=4),
}, f32(ORDER), i32([[3, 1, 3], [0, 5, 7]]))
case("confusion_matrix", lambda tf: [tf.confusion_matrix([0, 1, 2, 1], [0, 2, 2, 1]),
                                     tf.confusion_matrix([0, 1], [1, 1], num_classes=3)],
     nodes="its assertions hold a cond, which is one If node here")

table({
    "linspace": lambda tf: [tf.linspace(0.0, 1.0, 5), tf.linspace(10.0, 10.0, 3), tf.lin_space(-1.0, 2.0, 1)],
    "linspace_double": lambda tf: tf.linspace(tf.constant(0.0, tf.float64), tf.constant(1.0, tf.float64), 4),
    "range/int": lambda tf: [tf.range(5), tf.range(2, 8), tf.range(1, 10, 3), tf.range(5, 0, -2),
                             tf.range(0)],
    "range/float": lambda tf: [tf.range(3.0), tf.range(0, 1, 0.25), tf.range(1.0, 0.0, -0.5)],
    "range/dtype": lambda tf: [tf.range(4, dtype=tf.float64), tf.range(4, dtype=tf.int64),
                               tf.range(tf.constant(3, tf.int64))],
    "range/mixed": lambda tf: [tf.range(tf.constant(1, tf.int32), tf.constant(5, tf.int64))],
}, ulps=1)
case("range/of_tensor", lambda tf, n: [tf.range(n), tf.range(1, n, 2)], i32(6))
case("linspace/of_tensors", lambda tf, a, b, n: tf.linspace(a, b, n), f32(1.0), f32(2.0), i32(5), ulps=1)

table({
    "clip/by_value": lambda tf, x: tf.clip_by_value(x, -1.0, 1.0),
    "clip/by_value_tensors": lambda tf, x: tf.clip_by_value(x, tf.constant([-1.0, -0.5, 0.0], tf.float64),
                                                            1.5),
    "clip/by_norm": lambda tf, x: [tf.clip_by_norm(x, 1.0), tf.clip_by_norm(x, 100.0),
                                   tf.clip_by_norm(x, 1.0, axes=[1])],
    "clip/by_global_norm": lambda tf, x: tf.clip_by_global_norm([x, None, x * 2.0], 1.5),
    "clip/by_global_norm_given": lambda tf, x:
        tf.clip_by_global_norm([x], 1.5, use_norm=tf.constant(2.0, tf.float64)),
    "clip/global_norm": lambda tf, x: tf.global_norm([x, x * 0.5]),
    "special/lbeta": lambda tf, x: tf.lbeta(tf.abs(x) + 0.5),
    "special/truncate": lambda tf, x: [tf.math.floormod(x, 0.75), tf.math.ceil(x), tf.math.rint(x * 10.0)],
    "special/softmax_name": lambda tf, x: tf.math.softmax(x, name="probabilities"),
    "special/log_softmax": lambda tf, x: tf.math.log_softmax(x),
    "special/polyval": lambda tf, x: tf.math.polyval([x, 2.0 * x, x], x),
    "special/reduced_chain": lambda tf, x:
        tf.sqrt(tf.reduce_mean(tf.square(x - tf.reduce_mean(x, 1, keepdims=True)))),
}, f64(MATRIX), ulps=64, near="max")
case("clip/by_average_norm", lambda tf, x: tf.clip_by_average_norm(x, 0.25), f32(MATRIX))
case("clip/by_value_int", lambda tf, x: tf.clip_by_value(x, 0, 5), i32([-3, 2, 9]))
case("clip/by_norm_zero", lambda tf, x: tf.clip_by_norm(x, 1.0), f64([0.0, 0.0]))
