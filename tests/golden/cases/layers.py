"""`tf.layers`: what layers compute, their variables, losses and updates, and networks of them."""
from __future__ import annotations

import numpy as np

from ..spec import Family, Run, f16, f32, f64, lookup, noise, script

FAMILY = Family("layers", ulps=64, near="max")
case, table = FAMILY.case, FAMILY.table
CHANCE = "eager seeds are others"
COND = "a conditional is one If node here"
GRAPHS = "it is about graphs"
LOCAL = "TensorFlow's CPU kernel wants the channels last, so the layer moves them there and back"
RUNS = "its runs change variables one after the other"
TRAINING = "it takes a training step"

ROWS, SEQUENCES = f64(noise(4, 3)), f64(noise(2, 7, 3))
IMAGES, VOLUMES = f64(noise(2, 6, 5, 3)), f64(noise(1, 4, 5, 4, 2))


def first(value):
    """The same numbers with the channels before the space."""
    return value._replace(value=np.moveaxis(value.value, -1, 1))


def slope(tf):
    """An initialiser without chance: numbers from -1 to 1."""

    def initializer(shape, dtype=None, partition_info=None):
        size = int(np.prod(shape))
        return tf.constant(np.linspace(-1.0, 1.0, size).reshape(shape), dtype)

    return initializer


def square(tf):
    return tf.keras.regularizers.L1L2(0.0, 0.1)


def names(things):
    return [thing.name for thing in things]


def layer(kind, *args, **kwargs):
    """A case function that applies a function of `tf.layers`; numbers of its kernels do not depend on chance."""
    kernels = ("depthwise_initializer", "pointwise_initializer") if "separable" in kind else ("kernel_initializer",)

    def build(tf, x):
        given = dict(kwargs, bias_initializer=slope(tf))
        given.update((name, slope(tf)) for name in kernels)
        if "activation" in given:
            given["activation"] = lookup(tf, given["activation"])
        return lookup(tf, "layers." + kind)(x, *args, **given)

    return build


def plain(kind, *args, **kwargs):
    return lambda tf, x: lookup(tf, "layers." + kind)(x, *args, **kwargs)


# Dense, dropout, flatten.

case("dense/plain", layer("dense", 2), ROWS)
case("dense/relu", layer("dense", 5, activation="nn.relu", name="fc"), ROWS)
case("dense/without_bias",
     lambda tf, x: tf.layers.dense(x, 2, use_bias=False, kernel_initializer=slope(tf)), ROWS)
case("dense/three_dimensions", layer("dense", 4), SEQUENCES)
case("dense/four_dimensions", layer("dense", 4), IMAGES)
case("dense/half", layer("dense", 2), f16(noise(4, 3)))
case("dense/integers", layer("dense", 2), f32(noise(4, 3))._replace(dtype="int32", value=np.ones([4, 3], np.int32)),
     raises=True)
case("dense/one_dimension", layer("dense", 2), f32([1.0, 2.0]), raises=True)
case("dense/unknown_last_dimension", layer("dense", 2), ROWS._replace(shape=[None, None]), raises=True,
     eager="shapes are known", function=True)
case("flatten/images", plain("flatten"), IMAGES)
case("flatten/vector", plain("flatten"), f32([1.0, 2.0]))
case("flatten/channels_first", plain("flatten", data_format="channels_first"), IMAGES)
case("flatten/unknown_batch", plain("flatten"), IMAGES._replace(shape=[None, 6, 5, 3]))
case("dropout/off", plain("dropout", 0.4), ROWS)
case("dropout/on", plain("dropout", 0.4, seed=3, training=True), f32(noise(4, 3)), eager=CHANCE, function=True)
case("dropout/noise_shape", plain("dropout", 0.4, [None, 1], seed=3, training=True), f32(noise(4, 3)),
     eager=CHANCE, function=True)


@case("dropout/placeholder", None, f32(noise(4, 3)), nodes=COND, eager="it feeds `training`", unknown=False)
def _(tf, x):
    training = tf.placeholder_with_default(False, [])
    y = tf.layers.dropout(x, 0.5, training=training)
    count = tf.reduce_sum(tf.cast(tf.equal(y, 2.0 * x), tf.int32))
    return script(y, Run([tf.reduce_all((tf.equal(y, 0.0)) | tf.equal(y, 2.0 * x)), count < 13], feed={training: True}))


# Convolutions.

case("conv1d/plain", layer("conv1d", 4, 3, activation="tanh"), SEQUENCES)
case("conv1d/strides", layer("conv1d", 4, 3, strides=2, padding="same"), SEQUENCES)
case("conv1d/dilated", layer("conv1d", 4, 2, dilation_rate=2), SEQUENCES)
case("conv1d/causal", lambda tf, x: tf.layers.Conv1D(
    4, 3, padding="causal", kernel_initializer=slope(tf), dilation_rate=2)(x), SEQUENCES,
     nodes="the padding stands before the dilation rate")
case("conv2d/plain", layer("conv2d", 4, 3, activation="nn.relu"), IMAGES)
case("conv2d/same_strides", layer("conv2d", 4, [3, 2], strides=(2, 1), padding="same"), IMAGES)
case("conv2d/dilated", layer("conv2d", 2, 2, dilation_rate=(2, 3)), IMAGES)
case("conv2d/dilated_same", layer("conv2d", 2, 2, dilation_rate=2, padding="SAME", name="c"), IMAGES)
case("conv2d/unknown_space", layer("conv2d", 4, 3), IMAGES._replace(shape=[None, None, None, 3]))
for name, args in {"strides_and_dilation": dict(strides=2, dilation_rate=2), "padding": dict(padding="wide"),
                   "causal": dict(padding="causal"), "data_format": dict(data_format="NHWC")}.items():
    case("conv2d/wrong_" + name, layer("conv2d", 4, 3, **args), IMAGES, raises=True)
case("conv2d/wrong_kernel_size", layer("conv2d", 4, (3, 3, 3)), IMAGES, raises=True)
case("conv2d/wrong_rank", layer("conv2d", 4, 3), ROWS, raises=True)
case("conv2d/too_small", layer("conv2d", 4, 9), IMAGES, raises=True, message="")
case("conv3d/plain", layer("conv3d", 3, 2), VOLUMES)
case("conv3d/same_strides", layer("conv3d", 3, [2, 3, 1], strides=2, padding="same", activation="nn.relu"), VOLUMES)
case("conv2d_transpose/valid", layer("conv2d_transpose", 2, 3, strides=2), IMAGES)
case("conv2d_transpose/same", layer("conv2d_transpose", 2, 3, strides=(2, 1), padding="same"), IMAGES)
case("conv2d_transpose/wide_strides", layer("conv2d_transpose", 2, 2, strides=3, activation="nn.relu"), IMAGES)
case("conv2d_transpose/channels_first",
     layer("conv2d_transpose", 2, 3, strides=2, data_format="channels_first"), first(IMAGES), nodes=LOCAL,
     unknown=False)
case("conv3d_transpose/valid", layer("conv3d_transpose", 2, 2, strides=2), VOLUMES)
case("conv3d_transpose/same", layer("conv3d_transpose", 2, 3, strides=(2, 1, 1), padding="same"), VOLUMES)
case("separable_conv1d/plain", layer("separable_conv1d", 4, 3, activation="nn.relu"), SEQUENCES)
case("separable_conv1d/dilated", layer("separable_conv1d", 4, 2, dilation_rate=2, depth_multiplier=2), SEQUENCES)
case("separable_conv2d/plain", layer("separable_conv2d", 4, 3), IMAGES)
case("separable_conv2d/multiplier",
     layer("separable_conv2d", 4, 2, strides=2, padding="same", depth_multiplier=2, activation="nn.relu"), IMAGES)
case("separable_conv2d/dilated", layer("separable_conv2d", 4, 2, dilation_rate=2), IMAGES)

# Pooling.

for kind in ("max", "average"):
    case(kind + "_pooling1d/plain", plain(kind + "_pooling1d", 3, 2), SEQUENCES)
    case(kind + "_pooling1d/channels_first", plain(kind + "_pooling1d", 2, 2, data_format="channels_first"),
         first(SEQUENCES))
    case(kind + "_pooling2d/plain", plain(kind + "_pooling2d", 2, 2), IMAGES)
    case(kind + "_pooling2d/same", plain(kind + "_pooling2d", (3, 2), (2, 1), "same", name="pool"), IMAGES)
    case(kind + "_pooling3d/plain", plain(kind + "_pooling3d", 2, 2), VOLUMES._replace(dtype="float32"))
    case(kind + "_pooling3d/channels_first", plain(kind + "_pooling3d", 2, 2, data_format="channels_first"),
         first(VOLUMES._replace(dtype="float32")))
case("max_pooling2d/no_strides", plain("max_pooling2d", 2, None), IMAGES, raises=True)
case("max_pooling2d/wrong_rank", plain("max_pooling2d", 2, 2), SEQUENCES, raises=True)

# Batch normalisation.


def normalized(**kwargs):
    """The outputs in training, and the variables after the updates of two steps; then the outputs in inference."""

    def build(tf, x):
        made = tf.layers.BatchNormalization(momentum=0.7, gamma_initializer=slope(tf), **kwargs)
        y = made(x, training=True)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        return script(y, Run(updates, times=2), {v.op.name: v for v in made.variables}, made(x), names(updates),
                      names(made.trainable_variables), names(made.non_trainable_variables))

    return build


IMAGES_32 = f32(noise(4, 3, 2, 3))
for name, given in {
    "fused": {}, "composed": {"fused": False}, "axis_1": {"axis": 1, "fused": False}, "two_axes": {"axis": [1, 3]},
    "without_parameters": {"center": False, "scale": False}, "not_trained": {"trainable": False},
    "virtual_batches": {"virtual_batch_size": 2}, "renorm": {"renorm": True, "renorm_momentum": 0.8},
    "renorm_clipped": {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.5}},
    "epsilon": {"epsilon": 0.3},
}.items():
    case("batch_normalization/" + name, normalized(**given), IMAGES_32, eager=RUNS, unknown=False)
case("batch_normalization/matrix", normalized(), ROWS, eager=RUNS)
case("batch_normalization/half", normalized(), f16(noise(4, 3, 2, 3)), eager=RUNS, unknown=False)
case("batch_normalization/volumes", normalized(), VOLUMES, eager=RUNS, unknown=False)
case("batch_normalization/training", plain("batch_normalization", training=True), ROWS)
case("batch_normalization/inference", plain("batch_normalization"), IMAGES_32)
case("batch_normalization/adjustment", lambda tf, x: tf.layers.batch_normalization(
    x, training=True, adjustment=lambda shape: (2.0 * tf.ones([1, shape[1]], tf.float64), tf.cast([0.5], tf.float64))),
     ROWS, unknown=False)
for name, given in {"axis": {"axis": 2}, "axis_type": {"axis": (1,)}, "axes": {"axis": [1, -1]},
                    "clipping": {"renorm": True, "renorm_clipping": {"rmean": 1.0}},
                    "virtual_batches": {"virtual_batch_size": 0}}.items():
    case("batch_normalization/wrong_" + name, plain("batch_normalization", **given), ROWS, raises=True)


@case("batch_normalization/placeholder", None, IMAGES_32, nodes=COND, eager=RUNS, unknown=False)
def _(tf, x):
    outputs = []
    training = tf.placeholder_with_default(True, [])
    for given in ({}, {"fused": False}, {"renorm": True}):
        outputs.append(tf.layers.batch_normalization(x, training=training, momentum=0.7, **given))
    updates = tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))
    moving = {v.op.name: v for v in tf.global_variables()}
    off = {training: False}
    return script(outputs, updates, moving, Run(outputs, feed=off), Run(updates, feed=off), moving)


# Variables, losses, updates, names.


@case("variables/names", eager=GRAPHS)
def _(tf):
    x = tf.zeros([2, 3])
    with tf.variable_scope("outer"):
        with tf.name_scope("inner"):
            y = tf.layers.dense(tf.layers.dense(x, 3), 3)
    with tf.variable_scope("outer", reuse=tf.AUTO_REUSE):
        y = tf.layers.dense(y, 3)
        y = tf.layers.dense(tf.layers.dense(y, 3, name="fc"), 3, name="fc")
    made = [tf.layers.Dense(3), tf.layers.Dense(3, name="fc"), tf.layers.Dense(3, _scope="fc", _reuse=False)]
    scopes = [(one(y).name, one.name, one.scope_name) for one in made]
    return [y.name, [list(each) for each in scopes], names(tf.global_variables()), names(tf.trainable_variables())]


@case("variables/reuse", eager=GRAPHS)
def _(tf):
    tf.set_random_seed(7)
    x = tf.ones([2, 3])
    one = tf.layers.Dense(3, name="fc")
    outputs = [one(x), one(one(x)), tf.layers.dense(x, 3, name="gc"), tf.layers.dense(x, 3, name="gc", reuse=True)]
    return outputs + [names(outputs), names(tf.global_variables()), one.count_params()]


case("variables/missing", lambda tf: tf.layers.dense(tf.ones([2, 3]), 3, name="fc", reuse=True), raises=True,
     eager=GRAPHS, function=True)


@case("variables/taken", raises=True, eager=GRAPHS, function=True)
def _(tf):
    for _ in range(2):
        tf.layers.dense(tf.ones([2, 3]), 3, name="fc")


@case("variables/resource", eager=GRAPHS)
def _(tf):
    with tf.variable_scope("scope", use_resource=True):
        y = tf.layers.batch_normalization(tf.layers.conv2d(tf.ones([1, 4, 4, 1]), 2, 3, name="c"), training=True)
    return [str(y.shape), names(tf.global_variables()), names(tf.get_collection(tf.GraphKeys.UPDATE_OPS))]


@case("variables/custom_getter")
def _(tf):
    def frozen(getter, *args, **kwargs):
        kwargs["trainable"] = False
        return getter(*args, **kwargs)

    with tf.variable_scope("scope", custom_getter=frozen, initializer=tf.constant_initializer(2.0)):
        one = tf.layers.Dense(2)
        y = one(tf.ones([1, 3]))
    return [y, names(one.trainable_weights), names(one.non_trainable_weights), names(tf.trainable_variables())]


@case("variables/not_trainable")
def _(tf):
    one = tf.layers.Dense(2, trainable=False, dtype=tf.float64)
    one(tf.ones([1, 3], tf.float64))
    seen = [one.dtype, names(one.weights), names(one.trainable_weights), names(tf.trainable_variables())]
    one.trainable = True
    return seen + [names(one.trainable_weights), names(one.non_trainable_weights)]


@case("losses/all_kinds", None, f32(noise(4, 3)), eager=GRAPHS, unknown=False)
def _(tf, x):
    one = tf.layers.Dense(2, kernel_initializer=slope(tf), kernel_regularizer=square(tf),
                          activity_regularizer=square(tf))
    one(x), one(2.0 * x)
    collected = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    return [collected, names(collected), len(one.losses), names(one.get_losses_for(x)),
            len(one.get_losses_for(None)), tf.losses.get_regularization_loss()]


@case("losses/of_a_scope", eager=GRAPHS)
def _(tf):
    with tf.variable_scope("scope", regularizer=square(tf), initializer=tf.ones_initializer()):
        tf.layers.conv1d(tf.ones([1, 4, 2]), 3, 2, bias_regularizer=square(tf), name="c")
        tf.layers.conv1d(tf.ones([1, 4, 2]), 3, 2, bias_regularizer=square(tf), name="c", reuse=True)
    collected = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    return [collected, names(collected)]


@case("updates/of_inputs", eager=GRAPHS)
def _(tf):
    x, y = tf.ones([2, 3]), tf.zeros([2, 3])
    one = tf.layers.BatchNormalization()
    one(x, training=True), one(y, training=True)
    return [names(one.updates), names(one.get_updates_for(x)), names(one.get_updates_for(y)),
            names(one.get_updates_for(None)), names(tf.get_collection(tf.GraphKeys.UPDATE_OPS))]


@case("layer/own_class", None, ROWS, eager=GRAPHS, unknown=False)
def _(tf, x):
    seen = []

    class Scale(tf.layers.Layer):
        def build(self, input_shape):
            seen.extend([type(input_shape).__name__, str(input_shape)])
            self.factor = self.add_weight("factor", [3], initializer=slope(tf), regularizer=square(tf))
            self.built = True

        def call(self, inputs, training=None, scope=None):
            seen.extend([training, scope.name])
            self.add_loss(tf.reduce_sum(inputs), inputs=inputs)
            return inputs * self.factor

    class Outer(tf.layers.Layer):
        def call(self, inputs, training=None):
            return Scale(name="inside")(inputs) if tf.reduce_sum(inputs) is not None else inputs

    y = Scale()(Outer()(x, training=True))
    return [y, seen, names(tf.global_variables()), names(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))]


@case("layer/keras_style", eager=GRAPHS)
def _(tf):
    x = tf.ones([2, 3])
    with tf.layers.experimental.keras_style_scope():
        made = [tf.layers.Dense(3), tf.layers.Dense(3, name="fc", kernel_regularizer=square(tf)),
                tf.layers.Dense(3, name="fc"), tf.layers.BatchNormalization()]
        outputs = names([one(x) for one in made])
    return [outputs, names(tf.global_variables()), names(made[1].losses), names(tf.trainable_variables())]


@case("layer/config")
def _(tf):
    made = [tf.layers.Dense(4, activation=tf.nn.relu), tf.layers.Conv2D(4, 3), tf.layers.MaxPooling2D(2, 2),
            tf.layers.Conv1D(4, 3, activation="tanh"), tf.layers.BatchNormalization(), tf.layers.Dropout(0.3),
            tf.layers.Flatten()]
    return [sorted(one.get_config().items(), key=str) == sorted(
        type(one).from_config(one.get_config()).get_config().items(), key=str) for one in made] + [
            repr(sorted(one.get_config().items())) for one in made]


@case("layer/output_shapes")
def _(tf):
    images, deep = [None, 9, 8, 3], [None, 3, 9, 8, 7]
    made = [
        (tf.layers.Dense(2), [None, 4, 3]), (tf.layers.Conv1D(2, 3, padding="causal"), [None, 9, 3]),
        (tf.layers.Conv2D(2, 3, strides=2, dilation_rate=2), images), (tf.layers.Flatten(), images),
        (tf.layers.Conv2DTranspose(2, 3, 2), images), (tf.layers.SeparableConv2D(2, 3, 2, "same"), images),
        (tf.layers.MaxPooling2D(2, 2, "same"), images), (tf.layers.AveragePooling1D(3, 2), [None, None, 3]),
        (tf.layers.Conv3D(2, 3, data_format="channels_first"), deep),
        (tf.layers.Conv3DTranspose(2, 3, 2, "same", data_format="channels_first"), deep),
        (tf.layers.MaxPooling3D(2, 2, data_format="channels_first"), deep),
    ]
    return [str(one.compute_output_shape(shape)) for one, shape in made]


# Networks: the first values of the variables, and losses step by step.


def network(tf, x, labels, training, use_bn):
    net = tf.layers.conv2d(x, 4, 3, padding="same", use_bias=not use_bn, activation=None if use_bn else tf.nn.relu)
    if use_bn:
        net = tf.nn.relu(tf.layers.batch_normalization(net, training=training))
    net = tf.layers.max_pooling2d(net, 2, 2)
    net = tf.layers.separable_conv2d(net, 6, 3, padding="same", activation=tf.nn.relu)
    net = tf.layers.conv2d_transpose(net, 3, 2, strides=2, activation=tf.tanh)
    net = tf.layers.average_pooling2d(net, 2, 2)
    net = tf.layers.dropout(tf.layers.flatten(net), 0.3, training=training)
    logits = tf.layers.dense(net, 3, kernel_regularizer=square(tf), name="logits")
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    return loss + tf.losses.get_regularization_loss()


def training(use_bn):
    def build(tf):
        tf.set_random_seed(1)
        x = tf.constant(noise(6, 8, 8, 2), tf.float32)
        loss = network(tf, x, [0, 1, 2, 0, 1, 2], True, use_bn)
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            step = tf.train.MomentumOptimizer(0.05, 0.9).minimize(loss)
        variables = {v.op.name: v for v in tf.trainable_variables()}
        return script(variables, *[step, loss] * 4, {v.op.name: v for v in tf.global_variables()})

    return build


case("network/convolutions", training(False), eager=TRAINING, nodes="gradients build their own nodes", ulps=4096)
case("network/batch_normalization", training(True), eager=TRAINING, nodes="gradients build their own nodes", ulps=4096)


@case("network/forward", eager=TRAINING)
def _(tf):
    tf.set_random_seed(1)
    x = tf.constant(noise(6, 8, 8, 2), tf.float32)
    return script({"loss": network(tf, x, [0, 1, 2, 0, 1, 2], True, True)},
                  {v.op.name: v for v in tf.global_variables()})
