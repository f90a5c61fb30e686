"""`TensorArray`, and the loops over rows: `map_fn`, `foldl`, `foldr`, `scan`; and random seeds in and after them."""
from __future__ import annotations

from ..spec import Family, Run, f32, f64, i32, noise, script

FAMILY = Family("row_loops", nodes="an array is a list here, and a loop is one While node", ulps=16, near="max")
case = FAMILY.case
SEEDS = "eager seeds are others"
RAN = "eagerly a place that is not there is an OutOfRangeError"
SIZES = "it is about static shapes"

ROWS = f64(noise(4, 3))
NUMBERS = f64(noise(5, seed=1))


def array(tf, x, **options):
    """An array of the rows of a tensor."""
    return tf.TensorArray(x.dtype, tf.shape(x)[0], clear_after_read=False, **options).unstack(x)


# --- Arrays -----------------------------------------------------------------------------------------------------------

case("array/read", lambda tf, x: [array(tf, x).read(0), array(tf, x).read(3)], ROWS)
case("array/read/computed", lambda tf, x, i: array(tf, x).read(i), ROWS, i32(2))
case("array/write/stack", lambda tf, x: tf.TensorArray(x.dtype, 2).write(1, x[0]).write(0, x[1] * x[2]).stack(), ROWS)
case("array/write/computed", lambda tf, x, i: tf.TensorArray(x.dtype, 4).write(i, x[0]).stack(), ROWS, i32(2))
case("array/stack/unwritten", lambda tf, x: tf.TensorArray(x.dtype, 3, element_shape=[3]).write(1, x[0]).stack(), ROWS)
case("array/read/unwritten", lambda tf: tf.TensorArray(tf.float32, 3, element_shape=[2]).read(2))
case("array/gather", lambda tf, x: tf.reduce_sum(array(tf, x).gather([2, 0]), 0), ROWS)
case("array/gather/computed", lambda tf, x, i: tf.exp(tf.reduce_sum(array(tf, x).gather(i), 0)), ROWS,
     i32([3, 1, 0]))  # fmt: skip
case("array/scatter", lambda tf, x: tf.TensorArray(x.dtype, 4).scatter([2, 0, 1, 3], x).stack(), ROWS)
case("array/scatter/computed", lambda tf, x, i: tf.TensorArray(x.dtype, 4).scatter(i, x).stack(), ROWS,
     i32([1, 3, 0, 2]))  # fmt: skip
case("array/split/concat", lambda tf, x: tf.TensorArray(x.dtype, 2, infer_shape=False).split(x, [1, 3]).concat(), ROWS)
case("array/split/read", lambda tf, x: tf.TensorArray(x.dtype, 3, infer_shape=False).split(x, [1, 0, 3]).read(2), ROWS)
case("array/concat", lambda tf, x: array(tf, x).concat(), ROWS)
case("array/concat/lengths", lambda tf, x: tf.TensorArray(x.dtype, 2, infer_shape=False).write(0, x[0]).write(
    1, x[1, :2]).concat(), ROWS)  # fmt: skip
case("array/size", lambda tf, x: [array(tf, x).size(), tf.TensorArray(tf.string, 7).size()], ROWS)
case("array/grows", lambda tf, x: tf.TensorArray(x.dtype, 0, dynamic_size=True, element_shape=[3]).write(
    0, x[0]).write(2, x[1]).stack(), ROWS)  # fmt: skip
case("array/identity", lambda tf, x: array(tf, x).identity().stack(), ROWS)
case("array/strings", lambda tf: tf.TensorArray(tf.string, 2).write(1, "b").write(0, "a").stack())


@case("array/shapes", eager=SIZES)
def _(tf):
    known = tf.TensorArray(tf.float32, 3, element_shape=[None, 2])
    inferred = tf.TensorArray(tf.float32, 3).write(0, [1.0])
    loose = tf.TensorArray(tf.float32, 3, infer_shape=False).write(0, [1.0])
    grows = tf.TensorArray(tf.float32, 3, dynamic_size=True).write(0, [1.0])
    return [
        [str(item.element_shape), str(item.dtype), str(item.stack().shape)]
        for item in (known, inferred, loose, grows)
    ]


case("array/error/read", lambda tf, x, i: array(tf, x).read(i), ROWS, i32(4), raises=True, eager=RAN)
case("array/error/read/negative", lambda tf, x, i: array(tf, x).read(i), ROWS, i32(-1), raises=True, eager=RAN)
case("array/error/gather", lambda tf, x: array(tf, x).gather([0, 9]), ROWS, raises=True)
case("array/error/shape", lambda tf: tf.TensorArray(tf.float32, 3).write(0, [1.0]).write(1, [1.0, 2.0]), raises=True)
case("array/error/no_size", lambda tf: tf.TensorArray(tf.float32), raises=True, eager="the message is another one")
case("array/error/scatter", lambda tf, x: tf.TensorArray(x.dtype, 4).scatter([0, 1], x).stack(), ROWS,
     raises=True, message="Dimensions must be equal, but are 4 and 2")  # fmt: skip


# --- Arrays in loops --------------------------------------------------------------------------------------------------


@case("array/loop", None, ROWS)
def _(tf, x):
    n = tf.shape(x)[0]
    source = array(tf, x)

    def turn(i, result, total):
        total = total * source.read(i) + 1.0
        return i + 1, result.write(i, total), total

    start = (0, tf.TensorArray(tf.float64, n), tf.zeros([3], tf.float64))
    _, result, total = tf.while_loop(lambda i, *_: i < n, turn, start)
    return [result.stack(), total]


@case("array/loop/earlier", None, NUMBERS)
def _(tf, x):
    result = tf.TensorArray(tf.float64, 6, clear_after_read=False, element_shape=[]).write(0, x[0]).write(1, x[1])

    def turn(i, result):
        return i + 1, result.write(i, tf.sin(result.read(i - 1)) * result.read(i - 2))

    return tf.while_loop(lambda i, _: i < 6, turn, (2, result))[1].stack()


@case("array/loop/backwards", None, ROWS)
def _(tf, x):
    source, result = array(tf, x), tf.TensorArray(tf.float64, 4)
    turn = lambda i, result: (i - 1, result.write(3 - i, source.read(i) * source.read(0)))  # noqa: E731
    return tf.while_loop(lambda i, _: i >= 0, turn, (3, result))[1].stack()


@case("array/loop/some", None, ROWS)
def _(tf, x):
    """Only what was asked for has a gradient."""
    source, result = array(tf, x), tf.TensorArray(tf.float64, 4, clear_after_read=False, element_shape=[3])
    turn = lambda i, result: (i + 2, result.write(i, tf.exp(source.read(i))))  # noqa: E731
    result = tf.while_loop(lambda i, _: i < 3, turn, (0, result))[1]
    return [result.read(2), tf.reduce_sum(result.gather([0, 0]), 0)]


@case("array/loop/grows", None, ROWS)
def _(tf, x):
    source, result = array(tf, x), tf.TensorArray(tf.float64, 0, dynamic_size=True, element_shape=[3])
    turn = lambda i, result: (i + 1, result.write(i, source.read(i) ** 2.0))  # noqa: E731
    return tf.while_loop(lambda i, _: i < tf.shape(x)[0], turn, (0, result))[1].stack()


@case("array/loop/nested", None, ROWS)
def _(tf, x):
    source = array(tf, x)

    def turn(i, result):
        inner = lambda j, total: (j + 1, total + source.read(j) * source.read(i))  # noqa: E731
        return i + 1, result.write(i, tf.while_loop(lambda j, _: j <= i, inner, (0, tf.zeros([3], tf.float64)))[1])

    return tf.while_loop(lambda i, _: i < 4, turn, (0, tf.TensorArray(tf.float64, 4)))[1].stack()


@case("array/cond", None, ROWS, i32(3))
def _(tf, x, n):
    source = array(tf, x)
    return tf.cond(n > 2, lambda: source.read(0) * x[1], lambda: source.stack()[1])


# --- map_fn -----------------------------------------------------------------------------------------------------------

case("map_fn", lambda tf, x: tf.map_fn(lambda row: tf.reduce_sum(row * row), x), ROWS)
case("map_fn/dtype", lambda tf, x: tf.map_fn(lambda row: tf.cast(10.0 * row[0], tf.int32), x, dtype=tf.int32), ROWS)
case("map_fn/several", lambda tf, x, y: tf.map_fn(lambda p: p[0] * p[1], (x, y), dtype=tf.float64), NUMBERS,
     f64(noise(5, seed=2)))  # fmt: skip
case("map_fn/structure", lambda tf, x: tf.map_fn(lambda p: {"b": p["a"] + 1.0, "c": (p["a"],)}, {"a": x}, dtype={
    "b": tf.float64, "c": (tf.float64,)}), NUMBERS)  # fmt: skip
case("map_fn/nested", lambda tf, x: tf.map_fn(lambda r: tf.map_fn(lambda v: v * r[0], r), x), ROWS)
case("map_fn/captured", lambda tf, x, y: tf.map_fn(lambda v: tf.sin(v) * y, x), NUMBERS, f64(0.7))
case("map_fn/strings", lambda tf: tf.map_fn(lambda s: tf.string_join([s, "!"]), tf.constant(["a", "b"])),
     function="a loop with strings", eager=True)  # fmt: skip
case("map_fn/no_rows", lambda tf: tf.map_fn(lambda row: 2.0 * row, tf.zeros([0, 2])),
     eager="eagerly nobody says which shape a result would have", function=True)  # fmt: skip
case("map_fn/cond", lambda tf, x: tf.map_fn(lambda v: tf.cond(v > 0.0, lambda: v * v, lambda: -v), x), NUMBERS)
case("map_fn/error/fn", lambda tf, x: tf.map_fn(3, x), NUMBERS, raises=True)
case("map_fn/error/scalar", lambda tf: tf.map_fn(lambda v: v, tf.constant(1.0)), raises=True)
case("map_fn/error/rows", lambda tf, x, y: tf.map_fn(lambda p: p[0], (x, y), dtype=tf.float64), NUMBERS, ROWS,
     raises=True, unknown=False)  # fmt: skip
case("map_fn/error/structure", lambda tf, x: tf.map_fn(lambda v: (v, v), x), NUMBERS, raises=True)


@case("map_fn/shapes", None, ROWS, eager=SIZES)
def _(tf, x):
    maps = [tf.map_fn(lambda row: row[:2], x), tf.map_fn(lambda row: row[:2], x, infer_shape=False)]
    return [str(found.shape) for found in maps]


# --- Folds and scans --------------------------------------------------------------------------------------------------

for NAME in ("foldl", "foldr", "scan"):

    def fold(tf, name=NAME):
        return getattr(tf, name)

    case(NAME, lambda tf, x, fold=fold: fold(tf)(lambda a, v: tf.sin(a) + v * a, x), NUMBERS)
    case(f"{NAME}/initializer", lambda tf, x, fold=fold: fold(tf)(lambda a, v: a * v + 1.0, x, initializer=x[2]),
         NUMBERS)  # fmt: skip
    case(f"{NAME}/rows", lambda tf, x, fold=fold: fold(tf)(lambda a, v: a * v - a, x), ROWS)
    case(f"{NAME}/other_dtype", lambda tf, x, fold=fold: fold(tf)(
        lambda n, v: n + tf.cast(v > 0.0, tf.int32), x, initializer=0), NUMBERS)  # fmt: skip
    case(f"{NAME}/structure", lambda tf, x, y, fold=fold: fold(tf)(
        lambda a, v: (a[0] * v["p"], a[1] + v["q"]), {"p": x, "q": y},
        initializer=(tf.ones([], tf.float64), tf.zeros([3], tf.float64))), f64(noise(4)), ROWS)  # fmt: skip
    case(f"{NAME}/no_rows", lambda tf, fold=fold: fold(tf)(lambda a, v: a + v, tf.zeros([0]), initializer=3.0))
    case(f"{NAME}/error/no_rows", lambda tf, x, fold=fold: fold(tf)(lambda a, v: a + v, x), f32([]), raises=True,
         eager=RAN)  # fmt: skip
    case(f"{NAME}/error/fn", lambda tf, x, fold=fold: fold(tf)(None, x), NUMBERS, raises=True)

case("scan/reverse", lambda tf, x: tf.scan(lambda a, v: a * v + 1.0, x, reverse=True), NUMBERS)
case("scan/reverse/initializer", lambda tf, x: tf.scan(
    lambda a, v: a + v, x, initializer=tf.ones([3], tf.float64), reverse=True), ROWS)  # fmt: skip
case("scan/several", lambda tf, x: tf.scan(lambda a, v: (a[0] + v, a[0] * a[1]), x, initializer=(
    tf.ones([], tf.float64), tf.ones([], tf.float64))), NUMBERS)  # fmt: skip
case("scan/error/shape", lambda tf, x: tf.scan(lambda a, v: tf.ones([2], tf.float64), x), NUMBERS, raises=True)


# --- Seeds ------------------------------------------------------------------------------------------------------------


def seeded(tf, build):
    """Random numbers without seeds of their own, in a loop and after it: their seeds count all operations before."""
    tf.set_random_seed(7)
    found = build(lambda shape=(): tf.random_uniform(shape))
    return script(Run([found, tf.random_uniform([2])], times=2))


SEEDED = {
    "map_fn": lambda tf, draw: tf.map_fn(lambda v: v + draw(), tf.constant([1.0, 2.0])),
    "map_fn/several": lambda tf, draw: tf.map_fn(
        lambda p: (p[1], p[0] + draw()), (tf.ones([2]), tf.zeros([2]))),
    "map_fn/nested": lambda tf, draw: tf.map_fn(
        lambda r: tf.map_fn(lambda v: v * draw(), r, parallel_iterations=1) + draw(), tf.ones([2, 3]),
        parallel_iterations=1),
    "foldl": lambda tf, draw: tf.foldl(lambda a, v: a * v + draw(), tf.constant([1.0, 2.0, 3.0])),
    "foldl/initializer": lambda tf, draw: tf.foldl(lambda a, v: a + v * draw(), tf.ones([3]), initializer=1.0),
    "foldr": lambda tf, draw: tf.foldr(lambda a, v: a * v + draw(), tf.constant([1.0, 2.0, 3.0])),
    "scan": lambda tf, draw: tf.scan(lambda a, v: a * v + draw(), tf.constant([1.0, 2.0, 3.0])),
    "scan/reverse": lambda tf, draw: tf.scan(
        lambda a, v: a * v + draw(), tf.ones([3]), initializer=tf.constant(2.0), reverse=True),
}  # fmt: skip
for NAME, BUILD in SEEDED.items():
    case(f"seeds/{NAME}", lambda tf, build=BUILD: seeded(tf, lambda draw: build(tf, draw)), eager=SEEDS)


@case("seeds/array", None, eager=SEEDS)
def _(tf):
    def build(draw):
        x = tf.TensorArray(tf.float32, 4, clear_after_read=False).unstack(tf.ones([4, 2]))
        y = tf.TensorArray(tf.float32, 4).write(0, draw([2])).scatter([3], tf.ones([1, 2]))

        def turn(i, y):
            value = x.read(i) + draw([2])
            other = tf.cond(i > 1, lambda: x.read(0) * draw([2]), lambda: value)
            return i + 1, y.write(i, other)

        y = tf.while_loop(lambda i, _: i < 3, turn, (1, y), maximum_iterations=9)[1]
        return [y.stack(), y.size(), draw()]

    return seeded(tf, build)
