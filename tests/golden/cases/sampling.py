"""Samplers of classes, the losses that use them, and generators whose state is a variable."""
from __future__ import annotations

from ..spec import FRESH_SESSION, Family, Run, f64, i32, i64, noise, script

FAMILY = Family("sampling")
case, table = FAMILY.case, FAMILY.table

TRUE = i64([[1, 5], [3, 0], [7, 9]])
LEARNS = "what it has learned belongs to the session"
VARIABLE = "it makes a variable at each call"


def sampler(name, runs=2, **kwargs):
    """A case function: the first runs of a sampler in one session, the first again in another one."""

    def build(tf, true_classes):
        drawn = getattr(tf.nn, name + "_candidate_sampler")(true_classes, 2, seed=3, **kwargs)
        return script(Run(drawn, times=runs), FRESH_SESSION, drawn)

    return build


WEIGHTS = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
for unique in (True, False):
    label = "unique" if unique else "repeating"
    for name, kwargs in {
        "uniform": dict(num_sampled=6, range_max=10),
        "uniform/power_of_two": dict(num_sampled=6, range_max=16),
        "uniform/huge": dict(num_sampled=30, range_max=2**40 + 3),
        "log_uniform": dict(num_sampled=6, range_max=10),
        "log_uniform/many": dict(num_sampled=300, range_max=100000),
        "fixed_unigram": dict(num_sampled=6, range_max=10, unigrams=WEIGHTS, distortion=0.75),
        "fixed_unigram/reserved": dict(num_sampled=3, range_max=10, unigrams=WEIGHTS[2:], num_reserved_ids=2),
    }.items():
        case(name + "/" + label, sampler(name.split("/")[0], unique=unique, **kwargs), TRUE)
    case("learned_unigram/" + label,
         sampler("learned_unigram", runs=5, unique=unique, num_sampled=6, range_max=10), TRUE, eager=LEARNS)
    case("all/" + label, sampler("all", unique=unique, num_sampled=10), TRUE)

case("fixed_unigram/shard", sampler("fixed_unigram", unique=True, num_sampled=3, range_max=5, unigrams=WEIGHTS,
                                    num_shards=2, shard=1), i64([[1, 4], [3, 0]]))
case("fixed_unigram/neither", sampler("fixed_unigram", unique=True, num_sampled=3, range_max=5), TRUE, raises=True)
case("fixed_unigram/shape", lambda tf, y: tf.nn.uniform_candidate_sampler(y, 1, 3, True, 5), i64([1, 2]), raises=True)


@case("uniform/seeds", eager="op seeds count the operations of a graph")
def _(tf):
    tf.set_random_seed(7)
    y = tf.zeros([2, 1], tf.int64)
    return [tf.nn.uniform_candidate_sampler(y, 1, 4, True, 10), tf.nn.log_uniform_candidate_sampler(y, 1, 4, True, 10)]


table({
    "hits": lambda tf, y, drawn: tf.nn.compute_accidental_hits(y, drawn, 2),
    "hits/num_true": lambda tf, y, drawn: tf.nn.compute_accidental_hits(y, drawn, 1),
}, TRUE, i64([5, 0, 1, 7, 2, 9, 9]))  # fmt: skip
FAMILY.cases["hits/num_true"] = FAMILY.cases["hits/num_true"]._replace(raises=True)

# Losses. Their values are sums of float32 logarithms.

LOSS = [noise(10, 4, seed=1), noise(10, seed=2), noise(3, 4, seed=3)]


def loss(name, **kwargs):
    """A case function of float64 weights, which the samplers' float32 makes float32 ones."""

    def build(tf, weights, biases, inputs, labels):
        weights, biases, inputs = (tf.cast(x, tf.float32) for x in (weights, biases, inputs))
        return getattr(tf.nn, name)(weights, biases, labels, inputs, num_sampled=4, num_classes=10, **kwargs)

    return build


def fixed_values(name, **kwargs):
    """The same with classes that are given."""

    def build(tf, weights, biases, inputs, labels):
        values = tf.constant([2, 5, 1, 8], tf.int64), tf.fill([3, 1], 0.5), tf.constant([0.2, 0.3, 0.4, 0.1])
        return loss(name, sampled_values=values, **kwargs)(tf, weights, biases, inputs, labels)

    return build


ONE, TWO = i64([[1], [5], [0]]), i64([[1, 5], [3, 3], [7, 9]])
for name, build, labels in (
    ("sampled_softmax", loss("sampled_softmax_loss", seed=2), ONE),
    ("sampled_softmax/two", loss("sampled_softmax_loss", seed=2, num_true=2), TWO),
    ("sampled_softmax/keep_hits", loss("sampled_softmax_loss", seed=2, remove_accidental_hits=False), ONE),
    ("sampled_softmax/int32", loss("sampled_softmax_loss", seed=2), i32([[1], [5], [0]])),
    ("sampled_softmax/given", fixed_values("sampled_softmax_loss"), ONE),
    ("nce/given", fixed_values("nce_loss"), ONE),
    ("nce/given_without_hits", fixed_values("nce_loss", remove_accidental_hits=True), ONE),
):
    case(name, build, *map(f64, LOSS), labels, ulps=16, near="max", gradient=False)


@case("nce/partitions", None, *map(f64, LOSS), ONE, ulps=16, near="max", gradient=False,
      eager="op seeds count the operations of a graph")
def _(tf, weights, biases, inputs, labels):
    tf.set_random_seed(1)
    parts = [tf.cast(weights[:5], tf.float32), tf.cast(weights[5:], tf.float32)]
    biases, inputs = tf.cast(biases, tf.float32), tf.cast(inputs, tf.float32)
    return [tf.nn.nce_loss(parts, biases, labels, inputs, 4, 10, partition_strategy=s) for s in ("mod", "div")]


# One value into many places.

table({
    "sparse_to_dense/matrix": lambda tf, v, rest: tf.sparse_to_dense([[0, 1], [1, 0]], [2, 2], v, rest),
    "sparse_to_dense/column": lambda tf, v, rest: tf.sparse_to_dense([[1], [3]], [5], v, rest),
}, f64([7.0, 8.0]), f64(1.0))  # fmt: skip
table({
    "sparse_to_dense/vector": lambda tf: tf.sparse_to_dense([1, 3], [5], [7, 8]),
    "sparse_to_dense/last_counts": lambda tf: tf.sparse_to_dense([1, 1], [5], [7, 8], validate_indices=False),
    "sparse_to_dense/one": lambda tf: tf.sparse_to_dense([1, 3], [5], 7),
    "sparse_to_dense/strings": lambda tf: tf.sparse_to_dense(1, [2], "a", "b"),
})
table({
    "sparse_to_dense/outside": lambda tf: tf.sparse_to_dense([1, 7], [5], [7, 8]),
    "sparse_to_dense/order": lambda tf: tf.sparse_to_dense([3, 1], [5], [7, 8]),
    "sparse_to_dense/repeated": lambda tf: tf.sparse_to_dense([1, 1], [5], [7, 8]),
    "sparse_to_dense/count": lambda tf: tf.sparse_to_dense([1, 2], [5], [7, 8, 9]),
}, raises=True)  # fmt: skip

# Generators.


def generator(draw, times=2):
    """A case function: runs of what a generator draws, and its state afterwards."""

    def build(tf):
        g = tf.random.experimental.Generator.from_seed(1, alg=1)
        return script(Run(draw(tf, g), times=times), g.state)

    return build


table({
    "generator/" + name: generator(draw) for name, draw in {
        "normal": lambda tf, g: g.normal([3]),
        "normal/scaled": lambda tf, g: g.normal([2, 2], [1.0, 2.0], 0.5),
        "normal/double": lambda tf, g: g.normal([3], dtype=tf.float64),
        "truncated_normal": lambda tf, g: g.truncated_normal([5]),
        "uniform": lambda tf, g: g.uniform([3], -1.0, 2.0),
        "uniform/int64": lambda tf, g: g.uniform([3], -5, 10, tf.int64),
        "full_int": lambda tf, g: g.uniform_full_int([3]),
        "full_int/int32": lambda tf, g: g.uniform_full_int([3], tf.int32),
        "make_seeds": lambda tf, g: g.make_seeds(2),
    }.items()
}, eager=VARIABLE)  # fmt: skip


@case("generator/state", eager=VARIABLE)
def _(tf):
    g = tf.random.experimental.Generator.from_key_counter(7, [1, 2], 1)
    other = tf.random.experimental.Generator.from_state([3, 4, 5], 1)
    return [g.state, g.key, other.state, str(g.algorithm)]
