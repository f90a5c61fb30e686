"""Random streams: for the same seeds the same numbers, run after run."""
from __future__ import annotations

from ..spec import FRESH_SESSION, Family, Run, i32, script

FAMILY = Family("random", ulps=0)
case, table = FAMILY.case, FAMILY.table

# Normal numbers pass through log, sin and cos: a few units in the last place may differ.
NORMAL = {"ulps": 8, "near": "max"}
RESTARTS = "setting the seed at each call starts the streams again"
OP_COUNT = "op seeds count the operations of a graph"
SHARED = "equal seeds share a stream eagerly"
SEEDS = {"op1": (None, 1), "op42": (None, 42), "graph0_op7": (0, 7), "graph1234_op5": (1234, 5),
         "largest": (2**31 - 2, 2**31 - 2)}


def streams(make, graph_seed, runs=2, **kwargs):
    """A case function: the first runs of `make(tf)` in one session, the first again in another one."""

    def build(tf):
        if graph_seed is not None:
            tf.set_random_seed(graph_seed)
        drawn = make(tf, **kwargs)
        return script(Run(drawn, times=runs), FRESH_SESSION, drawn)

    return build


RAW = {
    "uniform": (lambda tf, seed: tf.random_uniform([2, 3], seed=seed), {}),
    "normal": (lambda tf, seed: tf.random_normal([2, 3], seed=seed), NORMAL),
    "truncated_normal": (lambda tf, seed: tf.truncated_normal([2, 3], seed=seed), NORMAL),
    "uniform_int": (lambda tf, seed: tf.random_uniform([2, 3], 0, 10, tf.int32, seed=seed), {}),
    "shuffle": (lambda tf, seed: tf.random_shuffle(tf.range(8), seed=seed), {}),
}
for op, (make, options) in RAW.items():
    for label, (graph_seed, op_seed) in SEEDS.items():
        case(f"stream/{op}/{label}", streams(make, graph_seed, seed=op_seed),
             eager=True if graph_seed is None else RESTARTS, function=True, **options)

WIDTHS = {
    "uniform/double": (lambda tf: tf.random_uniform([5], dtype=tf.float64, seed=1), {}),
    "uniform/half": (lambda tf: tf.random_uniform([5], dtype=tf.float16, seed=1), {}),
    "normal/double": (lambda tf: tf.random_normal([5], dtype=tf.float64, seed=1), NORMAL),
    "normal/half": (lambda tf: tf.random_normal([5], dtype=tf.float16, seed=1), {"ulps": 1}),
    "truncated/double": (lambda tf: tf.truncated_normal([5], dtype=tf.float64, seed=1), NORMAL),
    "truncated/half": (lambda tf: tf.truncated_normal([5], dtype=tf.float16, seed=1), {"ulps": 1}),
    "uniform/int64": (lambda tf: tf.random_uniform([5], -3, 10**12, tf.int64, seed=1), {}),
    "uniform/large": (lambda tf: tf.random_uniform([100, 157], seed=1), {}),
    "normal/large": (lambda tf: tf.random_normal([100, 157], seed=1), NORMAL),
    "truncated/large": (lambda tf: tf.truncated_normal([100, 157], seed=1), NORMAL),
    "uniform_int/large": (lambda tf: tf.random_uniform([100, 157], maxval=1000, dtype=tf.int32, seed=1), {}),
    "shuffle/large": (lambda tf: tf.random_shuffle(tf.range(15001), seed=1), {}),
    "shuffle/rows": (lambda tf: tf.random_shuffle(tf.reshape(tf.range(12), [6, 2]), seed=1), {}),
    "shuffle/one": (lambda tf: tf.random_shuffle([5], seed=1), {}),
    "multinomial": (lambda tf: tf.multinomial([[0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]], 6, seed=1), {}),
    "multinomial/int32": (lambda tf: tf.multinomial([[0.0, 1.0]], 5, seed=1, output_dtype=tf.int32), {}),
    "multinomial/double": (lambda tf: tf.multinomial(tf.constant([[0.5, 1.0, 0.1]], tf.float64), 5, seed=2),
                           {}),
    "multinomial/categorical": (lambda tf: tf.random.categorical([[0.0, 1.0, 2.0]], 6, seed=5), {}),
    "gamma/vector": (lambda tf: tf.random_gamma([4], 2.0, seed=1), NORMAL),
    "gamma/small_alpha": (lambda tf: tf.random_gamma([3], [0.5, 1.0], seed=2), NORMAL),
    "gamma/beta": (lambda tf: tf.random_gamma([2], alpha=[3.0], beta=[[0.5], [2.0]], seed=3), NORMAL),
    "gamma/double": (lambda tf: tf.random_gamma([3], 1.5, dtype=tf.float64, seed=1), NORMAL),
    "poisson/small": (lambda tf: tf.random_poisson(3.0, [6], seed=1), {}),
    "poisson/large": (lambda tf: tf.random_poisson([30.0, 0.5], [3], seed=1), {}),
    "poisson/int": (lambda tf: tf.random_poisson(2.0, [4], dtype=tf.int32, seed=4), {}),
    "crop": (lambda tf: tf.random_crop(tf.reshape(tf.range(24), [4, 6]), [2, 3], seed=1), {}),
    "empty": (lambda tf: [tf.random_uniform([0], seed=1), tf.random_normal([2, 0], seed=1)], {}),
    "scalar": (lambda tf:
        [tf.random_uniform([], seed=1), tf.random_uniform([], maxval=9, dtype=tf.int32, seed=1)], {}),
    "uniform/limits": (lambda tf:
        [tf.random_uniform([3], -2.0, 5.0, seed=1), tf.random_uniform([3], maxval=[1.0, 2.0, 3.0], seed=2)],
                       {"ulps": 1}),
    "uniform_int/negative": (lambda tf: tf.random_uniform([6], -5, 5, tf.int32, seed=4), {}),
    "normal/mean_stddev": (lambda tf: tf.random_normal([4], mean=10.0, stddev=0.5, seed=1), NORMAL),
    "normal/broadcast": (lambda tf: tf.random_normal([2, 2], mean=[1.0, -1.0], stddev=[[0.5], [2.0]], seed=1),
                         NORMAL),
    "truncated/mean_stddev": (lambda tf: tf.truncated_normal([784, 10], stddev=0.1, seed=3), NORMAL),
    "xavier": (lambda tf: tf.contrib.layers.xavier_initializer(seed=1)([3, 4]), {"ulps": 1, "near": "max"}),
}
for name, (make, options) in WIDTHS.items():
    case("width/" + name, streams(make, None), **options)

# The functions of random.md, section 8, with the node count deciding the second seed.

PYTHON = {
    "uniform": (lambda tf: tf.random_uniform([6]), {}),
    "normal": (lambda tf: tf.random_normal([6]), NORMAL),
    "truncated_normal": (lambda tf: tf.truncated_normal([6]), NORMAL),
    "uniform_int": (lambda tf: tf.random_uniform([6], 2, 91, tf.int32), {}),
    "shuffle": (lambda tf: tf.random_shuffle(tf.range(6)), {}),
    "multinomial": (lambda tf: tf.multinomial([[0.0, 1.0, 2.0, 3.0]], 6), {}),
    "gamma": (lambda tf: tf.random_gamma([4], 2.0), NORMAL),
    "poisson": (lambda tf: tf.random_poisson(3.0, [6]), {}),
    "dropout": (lambda tf: tf.nn.dropout(tf.ones([6]), keep_prob=0.7), {"ulps": 1}),
    "crop": (lambda tf: tf.random_crop(tf.range(10), [4]), {}),
    "tensor_shape": (lambda tf: tf.random_uniform(tf.constant([6])), {}),
    "shape_of": (lambda tf: tf.random_normal(tf.shape(tf.zeros([2, 3]))), NORMAL),
    "variable": (lambda tf: tf.Variable(tf.random_normal([6])), NORMAL),
    "get_variable": (lambda tf: tf.get_variable("w", [2, 3]), {"ulps": 1}),
    "two_variables": (lambda tf: [tf.get_variable("a", [3]), tf.get_variable("b", [2, 2])], {"ulps": 1}),
    "resource_variable": (lambda tf: tf.get_variable("w", [2, 3], use_resource=True), {"ulps": 1}),
    "equal_calls": (lambda tf: [tf.random_uniform([2]), tf.random_uniform([2]), tf.random_uniform([2])], {}),
    "same_op_seed": (lambda tf: [tf.random_uniform([2], seed=5), tf.random_uniform([2], seed=5)],
                     {"function": True}),
    "in_scope": (lambda tf: _in_scope(tf), {}),
    "negative_op_seed": (lambda tf: tf.random_uniform([3], seed=-1), {"function": True}),
}
for name, (make, options) in PYTHON.items():
    case("graph_seed/" + name, streams(make, 42), eager=OP_COUNT, **options)


def _in_scope(tf):
    tf.constant(0)
    with tf.name_scope("block"):
        return tf.random_uniform([3], name="noise")


table({
    "one_run/two_consumers_share": lambda tf: _two_consumers(tf),
    "one_run/name": lambda tf: [tf.random_uniform([1], seed=1, name="u"),
                                tf.random_normal([1], seed=1, name="n")],
    "one_run/int_scalar": lambda tf: tf.random_uniform((), 0, 2, dtype=tf.int32, seed=3),
    "seed/zero_zero": lambda tf: _zero_seeds(tf),
}, **NORMAL)
case("seed/get_seed", lambda tf: _seeds(tf), eager=OP_COUNT)
case("seed/set_later", lambda tf: _seed_set_between(tf), eager=OP_COUNT, **NORMAL)


def _two_consumers(tf):
    noise = tf.random_uniform([3], seed=1)
    return [noise, noise + 1.0, noise - noise]


def _seeds(tf):
    """The pairs of seeds for all ways of setting them."""
    pairs = [tf.get_seed(None), tf.get_seed(5), tf.get_seed(-1), tf.get_seed(2**31 - 1),
             tf.get_seed(2**31 + 5)]
    for graph_seed in (0, 3, -1, 2**31 - 1):
        tf.set_random_seed(graph_seed)
        pairs += [tf.get_seed(None), tf.get_seed(0), tf.get_seed(7)]
        tf.constant(0)
    return pairs


def _seed_set_between(tf):
    tf.set_random_seed(1)
    first = tf.random_uniform([2])
    tf.set_random_seed(2)
    return [first, tf.random_uniform([2]), tf.random_uniform([2], seed=1)]


def _zero_seeds(tf):
    tf.set_random_seed(0)
    return [tf.random_uniform([2], seed=0), tf.get_seed(0)]


@case("interleaved_runs", eager=SHARED)
def _(tf):
    a, b = tf.random_uniform([2], seed=1), tf.random_uniform([2], seed=1)
    return script(a, a, b, [a, b], b)


@case("fed_shape", None, i32([2, 2]), **NORMAL)
def _(tf, shape):
    drawn = [tf.random_uniform(shape, seed=1), tf.random_normal(shape, seed=1),
             tf.truncated_normal(shape, seed=2),
             tf.random_uniform(shape, maxval=9, dtype=tf.int32, seed=1)]
    return script(Run(drawn), Run(drawn, feed={shape: [3, 1]}), Run(drawn, feed={shape: [0, 1]}), Run(drawn))


STATELESS = {
    "uniform": (lambda tf, seed: tf.random.stateless_uniform([5], seed), {}),
    "normal": (lambda tf, seed: tf.random.stateless_normal([5], seed), NORMAL),
    "truncated_normal": (lambda tf, seed: tf.random.stateless_truncated_normal([5], seed), NORMAL),
    "uniform_int": (lambda tf, seed: tf.random.stateless_uniform([5], seed, 0, 100, tf.int32), {}),
    "categorical": (lambda tf, seed: tf.random.stateless_categorical([[0.0, 1.0, 2.0]], 5, seed), {}),
}
for name, (make, options) in STATELESS.items():
    case("stateless/" + name, lambda tf, make=make: [make(tf, [1, 2]), make(tf, [-5, 7])], **options)


@case("seeds_programs/three_layers", ulps=64, near="max")
def _(tf):
    """A forward pass with weights from two seeds."""
    w1 = tf.Variable(tf.random_normal([2, 3], stddev=1, seed=1))
    w2 = tf.Variable(tf.random_normal([3, 1], stddev=1, seed=2))
    x = tf.constant([[0.7, 0.9], [0.1, 0.4], [0.5, 0.8]])
    return [tf.matmul(tf.matmul(x, w1), w2), w1, w2]
