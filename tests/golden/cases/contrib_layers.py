"""`tf.contrib.layers`: what layers compute, their variables, collections, summaries, and `optimize_loss`."""
from __future__ import annotations

from ..spec import Family, Run, f16, f32, f64, i32, i64, lookup, noise, script
from .layers import first, names, slope

FAMILY = Family("contrib_layers", ulps=64, near="max")
case, table = FAMILY.case, FAMILY.table
CHANCE = "eager seeds are others"
COND = "a conditional is one If node here"
GRAPHS = "it is about graphs"
GRADIENT = "gradients are built of other nodes"
TRAINING = "it takes a training step"

ROWS, SEQUENCES = f64(noise(4, 3)), f64(noise(2, 7, 3))
IMAGES, VOLUMES = f64(noise(2, 6, 5, 3)), f64(noise(1, 4, 5, 4, 2))
FLOATS = f32(noise(2, 6, 5, 4))
PHASES = [True, False]


def collected(tf, keys=("model_variables", "trainable_variables", "regularization_losses", "update_ops")):
    """The names of what is in collections."""
    return {key: names(tf.get_collection(key)) for key in keys}


def layer(kind, *args, **kwargs):
    """A case function that applies a layer; numbers of its weights do not depend on chance."""

    def build(tf, x):
        given = dict(kwargs)
        given.setdefault("weights_initializer", slope(tf))
        if given.get("biases_initializer", 0) is not None:
            given["biases_initializer"] = slope(tf)
        for key in ("activation_fn", "normalizer_fn"):
            if isinstance(given.get(key), str):
                given[key] = lookup(tf, given[key])
        return lookup(tf, "contrib.layers." + kind)(x, *args, **given)

    return build


def plain(kind, *args, **kwargs):
    def build(tf, x):
        given = {key: lookup(tf, value) if key.endswith("_fn") and value else value for key, value in kwargs.items()}
        return lookup(tf, "contrib.layers." + kind)(x, *args, **given)

    return build


def sparse(*args):
    def build(tf, x):
        found = tf.contrib.layers.dense_to_sparse(x, *args)
        return found.indices, found.values, found.dense_shape

    return build


# --- Dense ----------------------------------------------------------------------------------------------------------

case("fully_connected", layer("fully_connected", 5), ROWS)
case("fully_connected/sequences", layer("fully_connected", 2, activation_fn="nn.tanh", scope="fc"), SEQUENCES)
case("fully_connected/no_biases", layer("fully_connected", 2, biases_initializer=None, activation_fn=None), ROWS)
case("fully_connected/normalized",
     layer("fully_connected", 3, normalizer_fn="contrib.layers.layer_norm", normalizer_params={"center": False}), ROWS,
     gradient=False)
for kind in ("linear", "relu", "relu6", "elu"):
    case(f"fully_connected/{kind}", layer(kind, 2), ROWS)
case("fully_connected/default_weights",
     lambda tf, x: (tf.set_random_seed(5), tf.contrib.layers.fully_connected(x, 4))[1], f32(noise(3, 2)), eager=GRAPHS)
case("fully_connected/outputs_not_integer", plain("fully_connected", 2.5), ROWS, raises=True)
case("fully_connected/vector", plain("fully_connected", 2), f64([1.0, 2.0]), raises=True)
case("fully_connected/reuse_without_scope", plain("fully_connected", 2, reuse=True), ROWS, raises=True)


@case("fully_connected/collections", eager=GRAPHS)
def _(tf):
    layers, x = tf.contrib.layers, tf.ones([2, 3])
    layers.fully_connected(x, 2, variables_collections={"weights": ["w"], "biases": ["b", "all"]}, scope="one",
                           outputs_collections=["out"], weights_regularizer=layers.l2_regularizer(0.1))
    layers.fully_connected(x, 2, variables_collections=["all"], outputs_collections="out", trainable=False,
                           biases_regularizer=layers.l1_regularizer(0.1))
    with tf.variable_scope("outer"):
        layers.fully_connected(x, 2, scope="inner")
    with tf.variable_scope("outer", reuse=True):
        layers.fully_connected(x, 2, scope="inner", weights_regularizer=layers.l2_regularizer(0.1))
    layers.fully_connected(x, 2, scope="one", reuse=True)
    found = collected(tf)
    return found, collected(tf, ["w", "b", "all", "out"]), [tensor.aliases for tensor in tf.get_collection("out")]


case("legacy_fully_connected", lambda tf, x: (tf.contrib.layers.legacy_fully_connected(x, 2, weight_init=slope(tf)),
                                              collected(tf, ["weights", "biases", "activations"])), SEQUENCES,
     eager=GRAPHS)
case("legacy_fully_connected/relu", lambda tf, x: tf.contrib.layers.legacy_relu(
    x, 2, weight_init=slope(tf), bias_init=None, name="r", weight_regularizer=tf.contrib.layers.l2_regularizer(0.1)),
     ROWS, eager=GRAPHS)

# --- Convolutions ---------------------------------------------------------------------------------------------------

case("conv1d", layer("conv1d", 4, 3, stride=2), SEQUENCES)
case("conv2d", layer("conv2d", 4, 3), IMAGES)
case("conv2d/valid", layer("conv2d", 2, [2, 3], [2, 1], "VALID", activation_fn=None, biases_initializer=None), IMAGES)
case("conv2d/rate", layer("convolution2d", 2, 3, rate=2, scope="c"), IMAGES)
case("conv2d/normalized", layer("conv2d", 4, 3, normalizer_fn="contrib.layers.batch_norm"), FLOATS)
case("conv3d", layer("conv3d", 2, 3, stride=[1, 2, 1]), VOLUMES)
case("convolution", lambda tf, x, y: [tf.contrib.layers.convolution(value, 2, 3, weights_initializer=slope(tf))
                                      for value in (x, y)], SEQUENCES, IMAGES)
for kind, given in (("conv1d", IMAGES), ("conv2d", SEQUENCES), ("conv3d", ROWS), ("convolution", ROWS)):
    case(f"{kind}/other_rank", plain(kind, 4, 3), given, raises=True,
         **({"message": "Convolution not supported for input with rank 2"} if kind == "convolution" else {}))
case("conv2d/bad_layout", plain("conv2d", 4, 3, data_format="X"), IMAGES, raises=True)
case("conv2d/stride_and_rate", plain("conv2d", 4, 3, stride=2, rate=2), IMAGES, raises=True)
case("conv2d_transpose", layer("conv2d_transpose", 4, 3, stride=2), IMAGES)
case("conv2d_transpose/valid", layer("conv2d_transpose", 2, [2, 3], padding="VALID", biases_initializer=None), IMAGES)
case("conv3d_transpose", layer("conv3d_transpose", 2, 2, stride=[1, 2, 1]), VOLUMES)
case("conv2d_in_plane", layer("conv2d_in_plane", [3, 2], 2), IMAGES)
case("separable_conv2d", layer("separable_conv2d", 4, 3, 2), IMAGES)
case("separable_conv2d/depthwise", layer("separable_conv2d", None, [3, 2], 2, stride=2, padding="VALID"), IMAGES)
case("separable_conv2d/rate", layer("separable_convolution2d", None, 3, 1, rate=2, scope="s"), IMAGES)
case("bias_add", lambda tf, x: tf.contrib.layers.bias_add(x, tf.nn.relu, slope(tf)), IMAGES)
case("bias_add/channels_first", lambda tf, x: tf.contrib.layers.bias_add(x, None, slope(tf), data_format="NCHW"),
     first(IMAGES))
case("bias_add/bad_layout", plain("bias_add", data_format="q"), IMAGES, raises=True)


@case("convolutions/collections", eager=GRAPHS)
def _(tf):
    layers, x = tf.contrib.layers, tf.ones([2, 8, 8, 3])
    options = {"variables_collections": {"weights": ["w"], "biases": ["b"]}, "outputs_collections": "out",
               "weights_regularizer": layers.l2_regularizer(0.1)}
    layers.conv2d(x, 2, 3, **options)
    layers.conv2d_transpose(x, 2, 3, **options)
    layers.conv2d_in_plane(x, 3, **options)
    layers.separable_conv2d(x, 2, 3, 1, **options)
    layers.separable_conv2d(x, None, 3, 1, **options)
    return collected(tf), collected(tf, ["w", "b", "out"]), [tensor.aliases for tensor in tf.get_collection("out")]


# --- Pooling and forms ----------------------------------------------------------------------------------------------

for kind in ("max_pool2d", "avg_pool2d"):
    case(kind, plain(kind, 2), IMAGES)
    case(f"{kind}/same", plain(kind, [3, 2], [1, 2], "SAME", scope="p"), IMAGES)
    case(f"{kind}/bad_layout", plain(kind, 2, data_format="q"), IMAGES, raises=True)
for kind in ("max_pool3d", "avg_pool3d"):
    case(kind, plain(kind, 2), f32(VOLUMES.value))
case("flatten", plain("flatten"), IMAGES)
case("one_hot_encoding", plain("one_hot_encoding", 3), i32([1, 2, 0, 5]))
case("one_hot_encoding/values", plain("one_hot_encoding", 3, 2.0, -1.0), i64([1, 2]))
case("dense_to_sparse", sparse(), i32([[1, 0, 2], [0, 0, 3]]))
case("dense_to_sparse/token", sparse(2), i32([[1, 0, 2], [0, 0, 3]]))
case("images_to_sequence", plain("images_to_sequence"), IMAGES, unknown=False)
case("images_to_sequence/channels_first", plain("images_to_sequence", "NCHW"), IMAGES, unknown=False)
case("sequence_to_images", plain("sequence_to_images", 3), f64(noise(5, 6, 2)), unknown=False)
case("sequence_to_images/channels_first", plain("sequence_to_images", 3, "channels_first"), f64(noise(5, 6, 2)),
     unknown=False)
case("softmax", plain("softmax"), ROWS)
case("softmax/images", plain("softmax", scope="s"), IMAGES)
case("softmax/vector", plain("softmax"), f64([1.0, 2.0]), raises=True)
case("maxout", plain("maxout", 3), f64(noise(4, 6)), unknown=False)
case("maxout/axis", plain("maxout", 2, axis=1), IMAGES, unknown=False)
case("maxout/not_divisible", plain("maxout", 4), f64(noise(4, 6)), raises=True)
case("spatial_softmax", plain("spatial_softmax"), FLOATS)
case("spatial_softmax/temperature", plain("spatial_softmax", 2.0, "ss", data_format="NCHW"), FLOATS)
case("unit_norm", plain("unit_norm", 1), ROWS)
case("unit_norm/first", plain("unit_norm", 0, 0.5, "u"), IMAGES)
case("unit_norm/middle", plain("unit_norm", 1), SEQUENCES)
case("unit_norm/out_of_range", plain("unit_norm", 2), ROWS, raises=True)
case("dropout", plain("dropout", 0.7, seed=3), f32(noise(4, 5)), eager=CHANCE, function=True)
case("dropout/noise_shape", plain("dropout", 0.5, [4, 1], seed=3), f32(noise(4, 5)), eager=CHANCE, function=True)
case("dropout/inference", plain("dropout", 0.7, is_training=False), ROWS)
case("scale_gradient", lambda tf, x: tf.gradients(tf.square(tf.contrib.layers.scale_gradient(x, 0.25)), x)[0] * 1.0,
     f32([1.0, -3.0]), nodes="TensorFlow's operation is a function with a random name", eager=GRAPHS)


def stacked(tf, x):
    layers = tf.contrib.layers
    net = layers.stack(x, layers.fully_connected, [4, 2], weights_initializer=slope(tf), scope="fc")
    return layers.stack(net, layers.relu, [(3,), [2]], weights_initializer=slope(tf)), collected(tf)


def repeated(tf, x):
    layers = tf.contrib.layers
    net = layers.repeat(x, 2, layers.conv2d, 3, 2, weights_initializer=slope(tf))
    return layers.repeat(net, 2, layers.conv2d, 3, [1, 1], weights_initializer=slope(tf), scope="c"), collected(tf)


case("stack", stacked, ROWS, eager=GRAPHS)
case("repeat", repeated, IMAGES, eager=GRAPHS)
case("stack/no_list", lambda tf, x: tf.contrib.layers.stack(x, tf.contrib.layers.fully_connected, 3), ROWS, raises=True)

# --- Normalisation --------------------------------------------------------------------------------------------------


def batch_norm(*shape, **kwargs):
    """Runs the updates, twice; gives the averages; infers with them."""

    def build(tf, x):
        given = {"param_initializers": {"beta": slope(tf), "gamma": slope(tf)}}
        given.update(kwargs, scope="bn")
        if given.get("batch_weights") is not None:
            given["batch_weights"] = tf.constant(given["batch_weights"])
        outputs = tf.contrib.layers.batch_norm(x, **given)
        updates = tf.get_collection(given.get("updates_collections") or "none")
        averages = [v for v in tf.global_variables() if "moving" in v.op.name]
        inferred = tf.contrib.layers.batch_norm(x, **dict(given, reuse=True, is_training=False))
        feed = {x: noise(*shape, seed=7)}
        steps = [Run(updates or outputs, feed=feed, times=2), Run(averages), Run([inferred], feed=feed)]
        return script(*steps, collected(tf))

    return build


LINE, PICTURE = (4, 3), (2, 4, 3, 2)
UPDATES = {"updates_collections": "update_ops"}
for name, shape, options in (
    ("rows", LINE, UPDATES), ("rows_unfused", LINE, dict(UPDATES, fused=False, scale=True)),
    ("images", PICTURE, UPDATES),
    ("images_unfused", PICTURE, dict(UPDATES, fused=False, decay=0.5)),
    ("at_once", PICTURE, {"updates_collections": None, "decay": 0.5, "scale": True}),
    ("at_once_unfused", LINE, {"updates_collections": None, "fused": False, "decay": 0.5}),
    ("elsewhere", PICTURE, {"updates_collections": "elsewhere", "decay": 0.5}),
    ("weights", LINE, dict(UPDATES, batch_weights=[1.0, 2.0, 0.0, 1.0], decay=0.5)),
    ("zero_debias", LINE, dict(UPDATES, zero_debias_moving_mean=True, decay=0.5)),
    ("zero_debias_unfused", LINE, dict(UPDATES, zero_debias_moving_mean=True, fused=False, decay=0.5)),
    ("channels_first_unfused", (2, 3, 2, 2), {"updates_collections": None, "fused": False, "data_format": "NCHW"}),
    ("no_center", PICTURE, dict(UPDATES, center=False, scale=True, epsilon=0.01)),
    ("frozen", LINE, dict(UPDATES, trainable=False, scale=True)),
):
    case(f"batch_norm/{name}", batch_norm(*shape, **options), f32(noise(*shape)), eager=GRAPHS, unknown=False)
case("batch_norm/half", plain("batch_norm", updates_collections=None), f16(noise(4, 3)), unknown=False,
     ulps=8)


@case("batch_norm/phase", eager=GRAPHS, nodes=COND)
def _(tf):
    phase, x = tf.placeholder(tf.bool, [], name="phase"), tf.constant(noise(5, 3), tf.float32)
    outputs = [tf.contrib.layers.batch_norm(x, is_training=phase, fused=fused, decay=0.5, updates_collections=updates)
               for fused in (True, False) for updates in ("update_ops", None, "elsewhere")]
    updates = tf.get_collection("update_ops") + tf.get_collection("elsewhere")
    averages = [v for v in tf.global_variables() if "moving" in v.op.name]
    runs = [Run(fetch, feed={phase: value}) for value in PHASES + PHASES for fetch in (outputs, updates, averages)]
    return script(*runs)


case("batch_norm/unknown_channels", lambda tf: tf.contrib.layers.batch_norm(tf.placeholder(tf.float32, [2, None])),
     raises=True, eager=GRAPHS, function=True)
case("batch_norm/unknown_rank", lambda tf: tf.contrib.layers.batch_norm(
    tf.placeholder(tf.float32), updates_collections=None), raises=True, eager=GRAPHS, function=True)
case("batch_norm/renorm_elsewhere", plain("batch_norm", renorm=True, updates_collections=None), ROWS, raises=True)
case("batch_norm/bad_layout", plain("batch_norm", data_format="q"), ROWS, raises=True)

case("layer_norm", plain("layer_norm"), ROWS)
case("layer_norm/axes", plain("layer_norm", begin_norm_axis=2, begin_params_axis=2, activation_fn="nn.relu"), IMAGES)
case("layer_norm/no_center", plain("layer_norm", center=False), SEQUENCES)
case("layer_norm/no_scale", plain("layer_norm", scale=False, begin_norm_axis=-1), SEQUENCES)
case("layer_norm/half", plain("layer_norm"), f16(noise(4, 3)), ulps=8)
case("layer_norm/axis_out_of_range", plain("layer_norm", begin_norm_axis=2), ROWS, raises=True)
case("instance_norm", plain("instance_norm"), IMAGES)
case("instance_norm/channels_first", plain("instance_norm", scale=False, data_format="NCHW", scope="i"), IMAGES)
case("instance_norm/no_center", plain("instance_norm", center=False, epsilon=0.1, activation_fn="nn.relu"), SEQUENCES)
case("group_norm", plain("group_norm", 2), FLOATS, unknown=False)
case("group_norm/channels_first", plain("group_norm", 3, 1, (2, 3), scale=False), FLOATS, unknown=False)
case("group_norm/one_pass", plain("group_norm", 2, center=False, mean_close_to_zero=True, scope="g"), FLOATS,
     unknown=False)
case("group_norm/not_divisible", plain("group_norm", 3), FLOATS, raises=True)
case("group_norm/too_many", plain("group_norm"), FLOATS, raises=True)
case("group_norm/same_axis", plain("group_norm", 2, 1, (1, 2)), FLOATS, raises=True)

# --- Embeddings -----------------------------------------------------------------------------------------------------

IDS = i32([[1, 2, 0], [3, 3, 1]])
for unique in (False, True):
    case(f"embed_sequence/unique_{unique}", lambda tf, ids, unique=unique: tf.contrib.layers.embed_sequence(
        ids, 4, 2, unique, slope(tf)), IDS)
    case(f"bow_encoder/sparse_{unique}", lambda tf, ids, unique=unique: tf.contrib.layers.bow_encoder(
        ids, 4, 2, unique, slope(tf)), IDS)
case("embed_sequence/no_size", plain("embed_sequence"), IDS, raises=True)
case("embedding_lookup_unique", lambda tf, ids: tf.contrib.layers.embedding_lookup_unique(
    tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), ids), IDS)

# --- Summaries and optimize_loss ------------------------------------------------------------------------------------


@case("summaries", eager=GRAPHS)
def _(tf):
    layers, x = tf.contrib.layers, tf.constant([[-1.0, 2.0, 7.0]], name="x")
    made = [layers.summarize_tensor(x), layers.summarize_tensor(tf.constant(3, name="n"), "tag"),
            layers.summarize_activation(tf.nn.relu(x)), layers.summarize_activation(tf.nn.relu6(x, name="six")),
            layers.summarize_tensor(tf.constant("text"))]
    tf.add_to_collection("activations", tf.nn.relu(x, name="a/relu"))
    tf.add_to_collection("activations", tf.negative(x, name="b/minus"))
    made += [layers.summarize_activations(), layers.summarize_activations("a/"), layers.summarize_tensors([x])]
    return names(tf.get_collection("summaries")), [made[:4], made[5:]], made[4] is None


def optimized(tf, optimizer, summaries=None, **options):
    """Three steps of training; the loss of each, what is learnt, summaries, variables."""
    with tf.variable_scope("net"):
        w = tf.get_variable("w", [3, 2], initializer=slope(tf))
        b = tf.get_variable("b", [2], initializer=slope(tf))
        table = tf.get_variable("t", [4, 2], initializer=slope(tf))
    values = tf.matmul(tf.constant([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]]), w) + b + tf.gather(table, [1, 3])
    loss = tf.reduce_mean(tf.square(values), name="loss")
    step = tf.train.get_or_create_global_step()
    train = tf.contrib.layers.optimize_loss(loss, step, options.pop("learning_rate", 0.1), optimizer,
                                            summaries=summaries, **options)
    merged = tf.summary.merge_all()
    tags = [op.name for op in tf.get_default_graph().get_operations() if op.type.endswith("Summary")]
    steps = [Run(train, times=3), Run([w, b, table, step])]
    return script(*steps, (names(tf.global_variables()), tags, merged is None, train.name))


def optimize(label, optimizer, **options):
    def build(tf):
        given = {key: value(tf) if callable(value) else value for key, value in options.items()}
        return optimized(tf, optimizer(tf) if callable(optimizer) else optimizer, **given)

    case(f"optimize_loss/{label}", build, eager=TRAINING, nodes=GRADIENT)


for kind in ("Adagrad", "Adam", "Ftrl", "Momentum", "RMSProp", "SGD"):
    optimize(kind, kind)
optimize("class", lambda tf: tf.train.AdamOptimizer)
optimize("object", lambda tf: tf.train.GradientDescentOptimizer(0.2), learning_rate=None)
optimize("function", lambda tf: lambda rate: tf.train.MomentumOptimizer(rate, 0.5),
         learning_rate=lambda tf: tf.constant(0.1))
optimize("clipped", "SGD", clip_gradients=0.5)
optimize("clipped_by_function", "SGD",
         clip_gradients=lambda tf: lambda pairs: [(tf.clip_by_norm(grad, 0.1), variable) for grad, variable in pairs])
optimize("decay", "SGD", name="opt",
         learning_rate_decay_fn=lambda tf: lambda rate, step: tf.train.exponential_decay(rate, step, 1, 0.5))
optimize("multipliers", "SGD", gradient_multipliers=lambda tf: {"net/w:0": 2.0, "net/t:0": 3.0})
optimize("all_summaries", "SGD", summaries=lambda tf: tf.contrib.layers.OPTIMIZER_SUMMARIES, clip_gradients=1.0)
optimize("no_summaries", "SGD", summaries=[])
optimize("no_increment", "SGD", increment_global_step=False)


@case("optimize_loss/updates_and_variables", eager=TRAINING, nodes=GRADIENT)
def _(tf):
    v, w, count = tf.Variable(2.0, name="v"), tf.Variable(3.0, name="w"), tf.Variable(0, name="n", trainable=False)
    loss = tf.square(v) + tf.square(w)
    options = {"learning_rate": 0.1, "optimizer": "SGD", "variables": [w]}
    given = tf.contrib.layers.optimize_loss(loss, None, update_ops=[count.assign_add(10)], **options)
    tf.add_to_collection("update_ops", count.assign_add(1))
    collection = tf.contrib.layers.optimize_loss(loss, None, **options)
    return script(Run(given.op, times=2), Run(collection.op, times=2), [v, w, count], names(tf.global_variables()))


for name, args, options in (
    ("negative_rate", (-1.0, "SGD"), {}), ("integer_rate", (1, "SGD"), {}), ("unknown_name", (0.1, "sgd"), {}),
    ("no_rate", (None, "SGD"), {}), ("no_optimizer", (0.1, 3), {}), ("summary", (0.1, "SGD"), {"summaries": ["x"]}),
    ("clip", (0.1, "SGD"), {"clip_gradients": 3}), ("other_result", (0.1, lambda rate: 4), {}),
    ("decay_without_step", (0.1, "SGD"), {"learning_rate_decay_fn": lambda rate, step: rate}),
    ("no_gradients", (0.1, "SGD"), {"variables": [], "gradient_multipliers": {}}),
):
    case(f"optimize_loss/error/{name}", lambda tf, args=args, options=options: tf.contrib.layers.optimize_loss(
        tf.square(tf.Variable(1.0)), None, *args, **options), raises=True, eager=TRAINING,
         **({"message": "Invalid learning_rate -1.0."} if name == "negative_rate" else {}))
case("optimize_loss/error/vector", lambda tf: tf.contrib.layers.optimize_loss(tf.zeros([2]), None, 0.1, "SGD"),
     raises=True, eager=TRAINING)

# --- Whole networks -------------------------------------------------------------------------------------------------


@case("network", eager=TRAINING, nodes=GRADIENT, ulps=512)
def _(tf):
    """Random initial weights agree because the operations are counted alike."""
    tf.set_random_seed(11)
    layers, framework = tf.contrib.layers, tf.contrib.framework
    images = tf.constant(noise(4, 8, 8, 1), tf.float32)
    with framework.arg_scope([layers.conv2d, layers.fully_connected], weights_regularizer=layers.l2_regularizer(0.01)):
        net = layers.conv2d(images, 4, 3, normalizer_fn=layers.batch_norm)
        net = layers.max_pool2d(net, 2)
        net = layers.flatten(layers.repeat(net, 2, layers.conv2d, 4, 3))
        net = layers.dropout(layers.fully_connected(net, 8), 0.8)
        logits = layers.linear(net, 3, weights_initializer=layers.variance_scaling_initializer())
    tf.losses.sparse_softmax_cross_entropy([0, 1, 2, 0], logits)
    train = layers.optimize_loss(tf.losses.get_total_loss(), tf.train.get_or_create_global_step(), 0.05, "Adam")
    return script(Run(train, times=3), (names(tf.global_variables()), collected(tf)))
