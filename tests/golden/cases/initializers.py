"""Initialisers and regularisers: their numbers, their nodes, their configurations."""
from __future__ import annotations

from ..spec import Family, Run, lookup, script

FAMILY = Family("initializers", ulps=4, near="max")
case, table = FAMILY.case, FAMILY.table
REGULARIZED = "TensorFlow cannot regularise a variable that a function makes"
OP_COUNT = "op seeds count the operations of a graph"

SHAPES = ([3, 4], [5], [2, 2, 3, 2])


def calls(path, *args, **kwargs):
    """The initialiser called for a matrix, a vector and a filter."""
    return lambda tf: [lookup(tf, path)(*args, **kwargs)(shape) for shape in SHAPES]


def seeded_calls(path, shapes=SHAPES, **kwargs):
    """Initialisers of different seeds, which share no stream, called for each shape."""
    return lambda tf: [lookup(tf, path)(seed=3 + i, **kwargs)(shape) for i, shape in enumerate(shapes)]


def variable(path, *args, **kwargs):
    """The initialiser in tf.get_variable."""
    return lambda tf: tf.get_variable("w", [3, 4], initializer=lookup(tf, path)(*args, **kwargs))


SEEDED = {
    "random_uniform_initializer": [{}, {"minval": -1.0, "maxval": 2.0}],
    "random_normal_initializer": [{}, {"mean": 1.0, "stddev": 0.5}],
    "truncated_normal_initializer": [{}, {"mean": 1.0, "stddev": 0.1}],
    "glorot_uniform_initializer": [{}],
    "glorot_normal_initializer": [{}],
    "uniform_unit_scaling_initializer": [{}, {"factor": 2.0}],
    "variance_scaling_initializer": [{}, {"scale": 2.0, "mode": "fan_out"},
                                     {"mode": "fan_avg", "distribution": "uniform"},
                                     {"distribution": "untruncated_normal"}, {"distribution": "normal"}],
    "initializers.he_normal": [{}],
    "initializers.he_uniform": [{}],
    "initializers.lecun_normal": [{}],
    "initializers.lecun_uniform": [{}],
    "initializers.variance_scaling": [{}],
    "initializers.random_uniform": [{"maxval": 3.0}],
    "keras.initializers.RandomNormal": [{}, {"mean": 2.0, "stddev": 1.0}],
    "keras.initializers.RandomUniform": [{}],
    "keras.initializers.TruncatedNormal": [{}],
    "keras.initializers.VarianceScaling": [{}],
    "keras.initializers.glorot_normal": [{}],
    "keras.initializers.glorot_uniform": [{}],
    "keras.initializers.he_normal": [{}],
    "keras.initializers.he_uniform": [{}],
    "keras.initializers.lecun_normal": [{}],
    "keras.initializers.lecun_uniform": [{}],
    "contrib.layers.xavier_initializer": [{}, {"uniform": False}],
    "contrib.layers.xavier_initializer_conv2d": [{}],
    "contrib.layers.variance_scaling_initializer": [{}, {"factor": 1.0, "mode": "FAN_AVG", "uniform": True},
                                                    {"mode": "FAN_OUT"}],
}
for path, variants in SEEDED.items():
    for i, kwargs in enumerate(variants):
        label = path if i == 0 else f"{path}/{i}"
        case(label, seeded_calls(path, **kwargs))
    case(path + "/variable", variable(path, seed=3))

CONSTANT = {
    "zeros_initializer": [((), {}), ((), {"dtype": "int32"})],
    "ones_initializer": [((), {})],
    "constant_initializer": [((0.5,), {}), ((3,), {"dtype": "int32"}), (([0.1, 0.2, 0.3, 0.4],), {})],
    "initializers.zeros": [((), {})],
    "initializers.ones": [((), {})],
    "initializers.constant": [((2.0,), {})],
    "keras.initializers.Zeros": [((), {})],
    "keras.initializers.Ones": [((), {})],
    "keras.initializers.Constant": [((2.5,), {})],
}
for path, variants in CONSTANT.items():
    for i, (args, kwargs) in enumerate(variants):
        case(f"{path}/{i}", calls(path, *args, **kwargs), ulps=0)
    case(path + "/variable", variable(path, *variants[0][0], **variants[0][1]), ulps=0)

for path in "orthogonal_initializer initializers.orthogonal keras.initializers.Orthogonal".split():
    case(path, seeded_calls(path, ([3, 3], [4, 2], [2, 3, 2])), ulps=64,
         nodes="the QR of TensorFlow needs no gradient here; its values are what counts")
case("orthogonal_initializer/gain", lambda tf: tf.orthogonal_initializer(gain=2.0, seed=1)([2, 5]), ulps=64)
for path in "initializers.identity keras.initializers.Identity".split():
    case(path, lambda tf, path=path: [lookup(tf, path)()([3, 3]), lookup(tf, path)(gain=2.0)([2, 3])], ulps=0)

table({
    "dtype/double": lambda tf: [tf.glorot_uniform_initializer(seed=1)([2, 3], tf.float64),
                                tf.random_normal_initializer(seed=1, dtype=tf.float64)([2]),
                                tf.zeros_initializer()([2], dtype=tf.float64)],
    "dtype/half": lambda tf: tf.truncated_normal_initializer(seed=1)([3], dtype=tf.float16),
    "config": lambda tf: [sorted(lookup(tf, p)().get_config().items(), key=str) for p in
                          ("zeros_initializer", "glorot_uniform_initializer", "keras.initializers.he_normal",
                           "random_normal_initializer")],
    "get": lambda tf: [tf.keras.initializers.get("zeros")([2]), tf.keras.initializers.get("ones")([2])],
    "local/keras_default": lambda tf: tf.keras.initializers.glorot_uniform(seed=5)([3, 2]),
})
table({
    "default/get_variable": lambda tf: [
        tf.set_random_seed(1), tf.get_variable("f", [2, 2]), tf.get_variable("i", [2], tf.int32),
        tf.get_variable("b", [2], tf.bool)],
    "instance/without_seed": lambda tf: _graph_seed(tf),
}, eager=OP_COUNT)
case("instance/uses_its_seed_each_time", lambda tf: _twice(tf, tf.glorot_uniform_initializer(seed=1)),
     eager="equal seeds share a stream eagerly")
table({
    "default/scope": lambda tf: _scope_initializer(tf),
    "function/as_initializer": lambda tf: tf.get_variable("w", [2, 3],
                                                          initializer=lambda shape, dtype, partition_info:
                                                              tf.ones(shape, dtype) * 3.0),
    "tensor/as_initializer": lambda tf: tf.get_variable("w", initializer=tf.constant([1.0, 2.0])),
    "number/as_initializer": lambda tf: [tf.get_variable("w", initializer=2.5),
                                         tf.get_variable("n", initializer=3),
                                         tf.get_variable("l", initializer=[1.0, 2.0])],
    "class/as_initializer": lambda tf: tf.get_variable("w", [2], initializer=tf.ones_initializer),
})


def _scope_initializer(tf):
    with tf.variable_scope("a", initializer=tf.constant_initializer(0.25)):
        first = tf.get_variable("w", [2])
        with tf.variable_scope("b"):
            second = tf.get_variable("w", [2])
    return [first, second]


def _twice(tf, initializer):
    return [initializer([2, 3]), initializer([2, 3]), tf.get_variable("w", [2, 3], initializer=initializer)]


def _graph_seed(tf):
    tf.set_random_seed(11)
    initializer = tf.glorot_uniform_initializer()
    return [initializer([2, 2]), initializer([2, 2]), tf.get_variable("w", [2, 2]),
            tf.get_variable("v", [2, 2], initializer=initializer)]


# Regularisers.

REGULARIZERS = {
    "l1": lambda tf: tf.contrib.layers.l1_regularizer(0.1),
    "l2": lambda tf: tf.contrib.layers.l2_regularizer(0.1),
    "l1_l2": lambda tf: tf.contrib.layers.l1_l2_regularizer(0.1, 0.2),
    "l1_l2_scope": lambda tf:
        tf.contrib.layers.l1_l2_regularizer(scale_l1=1.0, scale_l2=0.5, scope="penalty"),
    "sum": lambda tf:
        tf.contrib.layers.sum_regularizer([tf.contrib.layers.l1_regularizer(0.5),
                                           tf.contrib.layers.l2_regularizer(0.5)]),
    "keras_l2": lambda tf: tf.keras.regularizers.l2(0.1),
    "keras_l1": lambda tf: tf.keras.regularizers.l1(0.1),
    "keras_l1_l2": lambda tf: tf.keras.regularizers.l1_l2(0.1, 0.2),
}
for name, make in REGULARIZERS.items():
    case("regularizer/" + name, lambda tf, make=make: make(tf)(tf.constant([[1.0, -2.0], [0.5, 3.0]])))
    case(f"regularizer/{name}/get_variable", lambda tf, make=make: _regularized(tf, make(tf)),
         function=REGULARIZED)


def _regularized(tf, regularizer):
    w = tf.get_variable("w", initializer=tf.constant([1.0, -2.0]), regularizer=regularizer)
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    return [w, losses, tf.losses.get_regularization_loss()]


table({
    "regularizer/zero_scale": lambda tf: [tf.contrib.layers.l1_regularizer(0.0)(tf.constant([1.0])),
                                          tf.contrib.layers.l2_regularizer(0.0)(tf.constant([1.0]))],
    "regularizer/apply": lambda tf: tf.contrib.layers.apply_regularization(
        tf.contrib.layers.l2_regularizer(0.1), [tf.constant([1.0, 2.0]), tf.constant([3.0])]),
})
table({
    "regularizer/in_a_collection": lambda tf: _collection_of_losses(tf),
})
case("regularizer/scope_default", lambda tf: _scope_regularizer(tf), eager="it finds losses by their names")
case("regularizer/apply_to_weights", lambda tf: _apply_to_collection(tf),
     eager="eager variables are in no collection")


def _apply_to_collection(tf):
    tf.get_variable("w", initializer=[1.0, 2.0],
                    collections=[tf.GraphKeys.WEIGHTS, tf.GraphKeys.GLOBAL_VARIABLES])
    return tf.contrib.layers.apply_regularization(tf.contrib.layers.l1_regularizer(0.5))


def _scope_regularizer(tf):
    with tf.variable_scope("layer", regularizer=tf.contrib.layers.l2_regularizer(0.5)):
        tf.get_variable("w", initializer=[1.0, 2.0])
        tf.get_variable("b", initializer=[1.0], regularizer=tf.contrib.layers.l1_regularizer(2.0))
    with tf.variable_scope("layer", reuse=True):
        tf.get_variable("w", [2])
    return [tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES),
            tf.losses.get_regularization_losses("layer"),
            tf.losses.get_regularization_loss()]


def _collection_of_losses(tf):
    w = tf.Variable([1.0, -3.0])
    tf.add_to_collection("losses", tf.contrib.layers.l2_regularizer(0.1)(w))
    tf.add_to_collection("losses", tf.constant(2.0))
    return script(Run(tf.add_n(tf.get_collection("losses"))))
