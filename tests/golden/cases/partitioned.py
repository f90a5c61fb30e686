"""Partitioned variables: how they are cut, named, initialised, shared, read and written."""
from __future__ import annotations

import numpy as np

from ..spec import Family, f64, i64, noise, script

FAMILY = Family("partitioned")
case, table = FAMILY.case, FAMILY.table

GRADIENTS = "gradients of concatenations are simpler"
SEEDS = "op seeds count the operations of a graph"
NAMES = "only graphs keep variables by name and in collections"
REFERENCES = "variables are resources there"
SYMBOLIC = "tf.gradients needs a graph"
RAMP = np.arange(10, dtype=np.float32).reshape(5, 2)


def ramp(tf):
    """An initialiser: each part is cut out of a ramp, by where it is in the whole."""

    def initializer(shape, dtype=None, partition_info=None):
        whole = np.arange(np.prod(partition_info.full_shape)).reshape(partition_info.full_shape)
        places = tuple(slice(start, start + size) for start, size in zip(partition_info.var_offset, shape))
        return tf.constant(whole[places], dtype)

    return initializer


def variable(tf, parts=2, name="v", shape=(5, 2), axis=0, **options):
    options.setdefault("initializer", ramp(tf))
    options["dtype"] = tf.as_dtype(options.get("dtype", "float32"))
    return tf.get_variable(name, list(shape), partitioner=tf.fixed_size_partitioner(parts, axis=axis), **options)


def described(tf, variables=None):
    """Names, shapes and slices of variables; by default, of all global ones."""
    seen = []
    for each in tf.global_variables() if variables is None else variables:
        info = each._get_save_slice_info()
        slice_ = None if info is None else [info.full_name, info.spec, list(info.full_shape), list(info.var_shape)]
        seen.append([each.name, each.shape.as_list(), each.dtype.name, slice_])
    return seen


def cut(partitioner):
    """What a partitioner says of some shapes and dtypes."""

    def build(tf):
        made = partitioner(tf)
        shapes = ([6, 4], [4, 6], [5, 3], [1, 20], [40, 1])
        return [made(shape=tf.TensorShape(s), dtype=d) for s in shapes for d in (tf.float32, tf.float64, tf.string)]

    return build


table({
    "fixed": cut(lambda tf: tf.fixed_size_partitioner(5)),
    "fixed/axis": cut(lambda tf: tf.fixed_size_partitioner(3, axis=-1)),
    "axis_size": cut(lambda tf: tf.variable_axis_size_partitioner(40)),
    "axis_size/axis": cut(lambda tf: tf.variable_axis_size_partitioner(64, axis=1, bytes_per_string_element=5)),
    "axis_size/shards": cut(lambda tf: tf.variable_axis_size_partitioner(17, max_shards=3)),
    "min_max": cut(lambda tf: tf.min_max_variable_partitioner()),
    "min_max/many": cut(lambda tf: tf.min_max_variable_partitioner(7, min_slice_size=20)),
    "min_max/axis": cut(lambda tf: tf.min_max_variable_partitioner(4, 1, 33, bytes_per_string_element=3)),
})  # fmt: skip
table({
    "axis_size/zero": lambda tf: tf.variable_axis_size_partitioner(0),
    "axis_size/scalar_strings": lambda tf: tf.variable_axis_size_partitioner(1, bytes_per_string_element=0),
    "axis_size/negative": lambda tf: tf.variable_axis_size_partitioner(1, max_shards=-1),
    "axis_size/list": lambda tf: tf.variable_axis_size_partitioner(1)([2], tf.float32),
    "axis_size/unknown": lambda tf: tf.variable_axis_size_partitioner(1)(tf.TensorShape([None]), tf.float32),
    "min_max/no_axis": lambda tf: tf.min_max_variable_partitioner(2, 2)(tf.TensorShape([3, 2]), tf.float32),
}, raises=True)  # fmt: skip

# --- Making them ----------------------------------------------------------------------------------------------------

for label, options in {
    "two": {},
    "one": dict(parts=1),
    "each_row": dict(parts=9),
    "columns": dict(axis=1),
    "vector": dict(parts=3, shape=(7,)),
    "rank4": dict(parts=2, shape=(2, 1, 2, 5), axis=3),
    "int32": dict(dtype="int32"),
    "float64": dict(dtype="float64"),
}.items():
    for kind, resource in (("", False), ("/resource", True)):
        def _(tf, options=options, resource=resource):
            v = variable(tf, use_resource=resource, **options)
            facts = [v.name, v.shape.as_list(), v.get_shape().as_list(), v.dtype.name, list(v._get_partitions())]
            facts += [len(v), len(v._get_variable_list()), v._partition_axes(), described(tf, v)]
            return [facts, list(v), v.as_tensor(), tf.convert_to_tensor(v), tf.identity(v, name="copy")]

        case(f"make/{label}{kind}", _, eager=resource or REFERENCES)


@case("tensors")
def _(tf):
    v = variable(tf)
    one = variable(tf, 1, "one")
    with tf.name_scope("scope"), tf.control_dependencies([tf.no_op()]):
        read = v.as_tensor()
        outside = tf.ones([5, 2]) * one
    return [read, outside, tf.matmul(v, v, transpose_b=True), tf.stack([v, one]), tf.gather(v, [3, 0]), tf.shape(v)]


@case("collections", eager=NAMES)
def _(tf):
    variable(tf, trainable=False, collections=["mine"])
    variable(tf, name="b", collections=["mine", "variables"])
    found = [tf.global_variables(), tf.trainable_variables(), tf.get_collection("mine"), tf.local_variables()]
    local = tf.get_local_variable("c", [4], partitioner=tf.fixed_size_partitioner(2), initializer=ramp(tf))
    found += [tf.local_variables(), list(local)]
    return [[each.name for each in group] for group in found]


@case("regularizer", function="its losses are collected in another graph")
def _(tf):
    with tf.variable_scope("s", regularizer=tf.nn.l2_loss, partitioner=tf.fixed_size_partitioner(2)):
        tf.get_variable("v", [3], initializer=ramp(tf))
        tf.get_variable("free", [3], initializer=ramp(tf), regularizer=tf.no_regularizer)
    return tf.losses.get_regularization_losses()


@case("random", eager=SEEDS)
def _(tf):
    tf.set_random_seed(3)
    initializers = [
        None,
        tf.random_normal_initializer(),
        tf.random_uniform_initializer(-2.0, 3.0, seed=4),
        tf.truncated_normal_initializer(seed=1),
        tf.uniform_unit_scaling_initializer(),
        tf.uniform_unit_scaling_initializer(2.0, seed=5),
        tf.variance_scaling_initializer(),
        tf.variance_scaling_initializer(2.0, "fan_out", "uniform", seed=2),
        tf.glorot_normal_initializer,
        tf.initializers.lecun_normal(),
        tf.contrib.layers.xavier_initializer(),
    ]
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        return [list(tf.get_variable(f"v{i}", [3, 4], initializer=make)) for i, make in enumerate(initializers)]


table({
    "initial/zeros": lambda tf: list(variable(tf, initializer=tf.zeros_initializer)),
    "initial/constant": lambda tf: list(variable(tf, initializer=tf.constant_initializer(3.0))),
    "initial/identity": lambda tf: variable(tf, shape=(3, 4), initializer=tf.initializers.identity(2.0)).as_tensor(),
    "initial/identity_columns":
        lambda tf: variable(tf, shape=(3, 4), axis=1, initializer=tf.initializers.identity(2.0)).as_tensor(),
    "initial/tensor": lambda tf: list(variable(tf, initializer=tf.constant(RAMP))),
    "initial/tensor_alone": lambda tf: list(
        tf.get_variable("v", initializer=tf.constant([1, 2, 3]), partitioner=tf.fixed_size_partitioner(2))),
    "initial/array": lambda tf: list(variable(tf, initializer=RAMP, axis=1)),
    "initial/string": lambda tf: list(variable(tf, dtype=tf.string, initializer=None)),
})  # fmt: skip
table({
    "initial/too_long": lambda tf: variable(tf, shape=(4,), initializer=tf.constant_initializer([1.0, 2.0, 3.0, 4.0])),
    "initial/array_alone": lambda tf: tf.get_variable(
        "v", initializer=RAMP, partitioner=tf.fixed_size_partitioner(2)),
    "initial/none_for_dtype": lambda tf: variable(tf, dtype=tf.complex64, initializer=None),
}, raises=True)  # fmt: skip


def returns(partitions, shape=(4, 3)):
    """A case function: a partitioner that returns what it should not."""
    return lambda tf: tf.get_variable("v", shape, partitioner=lambda shape, dtype: partitions)


table({
    "partitions/rank": returns([2]),
    "partitions/zero": returns([0, 1]),
    "partitions/negative": returns([-1, 2]),
    "partitions/two": returns([2, 2]),
    "partitions/number": returns(3),
    "partitions/none": returns(None),
    "partitions/many": returns([6, 1]),
    "partitions/unknown": returns([1, 2], (None, 3)),
    "partitions/no_shape": returns([1, 2], None),
    "partitions/no_function": lambda tf: tf.get_variable("v", [4], partitioner=2),
}, raises=True)  # fmt: skip


@case("partitions/scalars")
def _(tf):
    partitioner = tf.fixed_size_partitioner(2)
    return [tf.get_variable(f"v{i}", s, tf.int32, partitioner=partitioner) for i, s in enumerate(([], ()))]


@case("partition_info", function="it is traced twice")
def _(tf):
    seen = []

    def initializer(shape, dtype=None, partition_info=None):
        info = partition_info
        seen.append([shape, info.full_shape, info.var_offset, info.single_offset(shape), info.single_slice_dim(shape)])
        return tf.zeros(shape, dtype)

    variable(tf, initializer=initializer)
    variable(tf, 3, "w", (2, 4), 1, initializer=initializer)
    variable(tf, 1, "x", initializer=initializer)
    return seen


def asks(shape):
    """A case function: an initialiser asks for the slice of a shape that its part does not have."""
    return lambda tf: variable(
        tf, initializer=lambda _, dtype, partition_info: partition_info.single_slice_dim(shape))


table({
    "partition_info/rank": asks([5]),
    "partition_info/large": asks([6, 2]),
    "partition_info/two": asks([1, 1]),
    "partition_info/number": asks(3),
}, raises=True)  # fmt: skip

# --- Scopes and sharing ---------------------------------------------------------------------------------------------


@case("scopes", eager=NAMES)
def _(tf):
    two, three = tf.fixed_size_partitioner(2), tf.fixed_size_partitioner(3)
    seen = []
    with tf.variable_scope("a", partitioner=two) as a:
        with tf.variable_scope("b") as b:
            seen.append(b.partitioner is two)
            tf.get_variable("v", [5])
        with tf.variable_scope("c", partitioner=three) as c:
            seen.append(c.partitioner is three)
            tf.get_variable("v", [5])
        tf.get_variable("v", [5], partitioner=three)
        a.set_partitioner(None)
        tf.get_variable("whole", [5])
    with tf.variable_scope(a) as again:
        seen.append(again.partitioner is None)
    with tf.variable_scope(b, reuse=True):
        seen.append(tf.get_variable("v", [5]).name)
    return [seen, described(tf)]


@case("reuse", eager=NAMES)
def _(tf):
    with tf.variable_scope("s"):
        first = variable(tf)
    with tf.variable_scope("s", reuse=True):
        found = [variable(tf), tf.get_variable("v"), tf.get_variable("v", [5, 2])]
        part = tf.get_variable("v/part_1", [2, 2])
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        found += [variable(tf), variable(tf, name="new")]
    return [[each is first for each in found], part is list(first)[1], described(tf)]


@case("reuse/parts_that_are_there", eager=NAMES)
def _(tf):
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        tf.get_variable("v/part_0", [3, 2])
        tf.get_variable("v/part_1", [2, 2])
        return [variable(tf).name, described(tf)]


def again(second, reuse=None, first=variable):
    """A case function: the second variable does not go with the first one."""

    def build(tf):
        with tf.variable_scope("s"):
            first(tf)
        with tf.variable_scope("s", reuse=tf.AUTO_REUSE if reuse == "auto" else reuse):
            return second(tf)

    return build


def whole(tf):
    return tf.get_variable("v", [5, 2])


table({
    "reuse/again": again(variable),
    "reuse/whole_again": again(whole),
    "reuse/auto_whole": again(whole, "auto"),
    "reuse/parts_of_whole": again(variable, None, whole),
    "reuse/shape": again(lambda tf: variable(tf, shape=(6, 2)), True),
    "reuse/dtype": again(lambda tf: variable(tf, dtype=tf.float64), True),
    "reuse/partitions": again(lambda tf: variable(tf, 3), "auto"),
    "reuse/no_shape": again(lambda tf: tf.get_variable("v", partitioner=tf.fixed_size_partitioner(2)), True),
    "reuse/missing": again(lambda tf: variable(tf, name="w"), True),
    "reuse/part_missing": again(variable, "auto", lambda tf: tf.get_variable("v/part_0", [3, 2])),
    "reuse/part_too_many": again(
        variable, "auto", lambda tf: [tf.get_variable(f"v/part_{i}", [2, 2]) for i in range(3)]),
}, raises=True, eager=NAMES, function=True)  # fmt: skip


@case("custom_getter")
def _(tf):
    seen = []

    def getter(getter, name, *args, **kwargs):
        seen.append([name, kwargs["partitioner"] is not None, args])
        found = getter(name, *args, **kwargs)
        return tf.identity(found, name="gotten")

    with tf.variable_scope("s", custom_getter=getter, partitioner=tf.fixed_size_partitioner(2)):
        return [tf.get_variable("v", [3], initializer=ramp(tf)), seen]


@case("create", eager=NAMES)
def _(tf):
    create, zeros = tf.create_partitioned_variables, tf.zeros_initializer()
    with tf.variable_scope("s", regularizer=tf.nn.l2_loss):
        made = create([5, 2], [2, 1], ramp(tf)) + create([5, 2], [1, 2], zeros) + create((4,), [3], zeros, name="n")
        made += create([3], [2], [1.0, 2.0, 3.0], name="values", collections=["mine", "variables"])
        made += create([3], [2], tf.constant([1.0, 2.0, 3.0]), tf.float32, False, name="tensor")
        made += create([4], [3], zeros, name="n", reuse=True)
    trained = [each.name for each in tf.trainable_variables()]
    return [described(tf, made), trained, tf.losses.get_regularization_losses()]


table({
    "create/length": lambda tf: tf.create_partitioned_variables([5, 2], [2], RAMP),
    "create/scalar": lambda tf: tf.create_partitioned_variables([], [], 1.0),
    "create/two": lambda tf: tf.create_partitioned_variables([4, 4], [2, 2], tf.zeros_initializer()),
    "create/many": lambda tf: tf.create_partitioned_variables([4, 4], [5, 1], tf.zeros_initializer()),
}, raises=True)  # fmt: skip


@case("create/again", raises=True, eager=NAMES, function=True)
def _(tf):
    return [tf.create_partitioned_variables([4], [2], tf.zeros_initializer(), name="n") for _ in range(2)]


@case("create/getter", message="Private access to _get_partitioned_variable is not allowed", raises=True)
def _(tf):
    with tf.variable_scope("s", custom_getter=lambda getter, *args, **kwargs: getter(*args, **kwargs)):
        return tf.create_partitioned_variables([4], [2], tf.zeros_initializer())


# --- Updates and gradients ------------------------------------------------------------------------------------------

for kind, resource in (("", False), ("/resource", True)):
    def _(tf, resource=resource):
        v = variable(tf, use_resource=resource)
        other = variable(tf, name="other", use_resource=resource)
        return script(
            v.assign(2.0 * RAMP), v.as_tensor(),
            v.assign_add(tf.ones([5, 2]), name="more"), v.as_tensor(),
            v.assign_sub([tf.ones([3, 2]), tf.ones([2, 2])]), v.as_tensor(),
            v.assign(other), v.as_tensor(),
            tf.assign(v, RAMP + 1.0), v.as_tensor(),
        )  # fmt: skip

    case("assign" + kind, _, eager="assignments give the variable, which is read at the end")
    case("assign/columns" + kind, lambda tf, resource=resource: (
        lambda v: script(v.assign(2.0 * RAMP), v.as_tensor()))(variable(tf, axis=1, use_resource=resource)))
case("assign/one", lambda tf: (lambda v: script(v.assign(2.0 * RAMP), v.as_tensor()))(variable(tf, 1)))
case("assign/shape", lambda tf: variable(tf).assign(tf.ones([4, 2])), raises=True)
case("assign/dtype", lambda tf: variable(tf).assign(tf.ones([5, 2], tf.int32)), raises=True, function=REFERENCES)


@case("gradients", nodes=GRADIENTS, eager=SYMBOLIC, function=True)
def _(tf):
    v, w = variable(tf), variable(tf, 3, "w", use_resource=True)
    y = tf.reduce_sum(tf.square(tf.matmul(v, w, transpose_b=True)))
    looked = tf.reduce_sum(tf.square(tf.nn.embedding_lookup(v, [0, 4, 0])))
    return [tf.gradients(y, list(v) + list(w)), [tf.convert_to_tensor(g) for g in tf.gradients(looked, list(v))]]


case("gradients/whole", lambda tf: (lambda v: tf.gradients(tf.matmul(v, v, transpose_b=True), v))(variable(tf)),
     raises=True, eager=SYMBOLIC, function=True)

for name, optimizer in {
    "momentum": lambda tf: tf.train.MomentumOptimizer(0.1, 0.9),
    "adam": lambda tf: tf.train.AdamOptimizer(0.1),
    "adagrad": lambda tf: tf.train.AdagradOptimizer(0.1),
    "rmsprop": lambda tf: tf.train.RMSPropOptimizer(0.1),
    "ftrl": lambda tf: tf.train.FtrlOptimizer(0.1),
}.items():
    def _(tf, optimizer=optimizer):
        with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
            v = tf.get_variable("v", [5, 2], initializer=ramp(tf))
            w = tf.get_variable("w", [3], initializer=ramp(tf), use_resource=True)
        v, w = v.as_tensor(), w.as_tensor()
        step = optimizer(tf).minimize(tf.reduce_sum(tf.square(v)) + tf.reduce_sum(tf.square(w - 1.0)))
        return script(step, step, v, w, [each for each in tf.global_variables() if "/part_1/" in each.name])

    case(f"optimizers/{name}", _, nodes=GRADIENTS, ulps=16, eager=NAMES)
    case(f"slots/{name}", lambda tf, build=_: [build(tf), described(tf)][1:], nodes=GRADIENTS, eager=NAMES)


@case("slots/scope", nodes=GRADIENTS, eager=NAMES)
def _(tf):
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        v = tf.get_variable("v", [5, 2], initializer=ramp(tf))
        tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.square(v.as_tensor())))
    return described(tf)


@case("training", nodes=GRADIENTS, ulps=16, eager=NAMES)
def _(tf):
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        v = tf.get_variable("v", [5, 2], initializer=ramp(tf))
        out = tf.layers.dense(tf.nn.embedding_lookup(v, [0, 3, 3]), 3, kernel_initializer=ramp(tf), name="dense")
    step = tf.train.MomentumOptimizer(0.01, 0.9).minimize(tf.reduce_mean(tf.square(out - 1.0)))
    return script(step, step, tf.trainable_variables())


@case("moving_average", eager=NAMES)
def _(tf):
    v = variable(tf)
    average = tf.train.ExponentialMovingAverage(0.5)
    update = average.apply(list(v))
    names = [average.average_name(part) for part in v]
    return [names, described(tf), sorted(average.variables_to_restore()), update]


# --- What uses them -------------------------------------------------------------------------------------------------

IDS = i64([[0, 9, 3], [4, 5, 9]])
for strategy in ("mod", "div"):
    def _(tf, ids, strategy=strategy):
        table = variable(tf, 3, "table", (10, 2))
        resource = variable(tf, 4, "resource", (10, 2), use_resource=True)
        one = variable(tf, 1, "one", (10, 2))
        return [
            tf.nn.embedding_lookup(each, ids, strategy, max_norm=norm)
            for each, norm in ((table, None), (resource, 2.0), (one, None), (list(table), None))
        ]

    case(f"embedding_lookup/{strategy}", _, IDS)

    def _(tf, some, strategy=strategy):
        table = variable(tf, 3, "table", (10, 2))
        ids = tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [9, 1, 4], [3, 2])
        weights = tf.SparseTensor(ids.indices, [1.0, 2.0, 0.5], ids.dense_shape)
        return [
            tf.nn.embedding_lookup_sparse(table, ids, weights, strategy, combiner="sum"),
            tf.nn.embedding_lookup_sparse(table, ids, None, strategy),
            tf.nn.safe_embedding_lookup_sparse(table, ids, weights, partition_strategy=strategy),
            tf.contrib.layers.embedding_lookup_unique(table, some, strategy),
        ]

    case(f"embedding_lookup_sparse/{strategy}", _, IDS)

    def _(tf, inputs, strategy=strategy):
        tf.set_random_seed(1)
        weights = variable(tf, 3, "weights", (10, 2), initializer=tf.constant_initializer(0.1))
        biases = variable(tf, 2, "biases", (10,), initializer=tf.constant_initializer(0.2))
        labels = tf.constant([[1], [9], [4]], tf.int64)
        inputs = tf.cast(inputs, tf.float32)
        return [
            tf.nn.nce_loss(weights, biases, labels, inputs, 4, 10, partition_strategy=strategy),
            tf.nn.sampled_softmax_loss(weights, biases, labels, inputs, 4, 10, partition_strategy=strategy, seed=2),
        ]

    case(f"sampled_losses/{strategy}", _, f64(noise(3, 2, seed=3)), ulps=16, near="max", gradient=False, eager=SEEDS)


@case("layers", eager=NAMES)
def _(tf):
    x = tf.ones([2, 4, 4, 2])
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2, axis=-1)):
        y = tf.layers.conv2d(x, 4, 3, kernel_initializer=ramp(tf), kernel_regularizer=tf.nn.l2_loss, name="conv")
        y = tf.layers.batch_normalization(y, training=True, name="norm")
        layer = tf.layers.Dense(3, kernel_initializer=ramp(tf), kernel_regularizer=tf.nn.l2_loss, name="dense")
        y = layer(y)
        tf.layers.dense(y, 3, kernel_initializer=ramp(tf), kernel_regularizer=tf.nn.l2_loss, name="other")
        z = tf.layers.dense(y, 3, kernel_regularizer=tf.nn.l2_loss, name="other", reuse=True)
    weights = [layer.weights, layer.trainable_weights, layer.non_trainable_weights]
    facts = [[[each.name for each in group] for group in weights], layer.count_params(), described(tf)]
    return [facts, y, z, tf.losses.get_regularization_losses()]


@case("contrib_layers", nodes="sums of penalties", eager=NAMES)
def _(tf):
    layers, framework = tf.contrib.layers, tf.contrib.framework
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        y = layers.fully_connected(tf.ones([2, 4]), 4, weights_initializer=ramp(tf), variables_collections=["mine"],
                                   weights_regularizer=layers.l2_regularizer(0.1), normalizer_fn=layers.batch_norm)
        y = layers.layer_norm(y)
        framework.model_variable("m", [3], initializer=ramp(tf), collections=["mine"])
    framework.variable("v", [3], initializer=ramp(tf), partitioner=tf.fixed_size_partitioner(3))
    groups = [tf.get_collection("mine"), tf.model_variables(), framework.get_variables("v"), tf.trainable_variables()]
    named = framework.get_variable_full_name(tf.get_collection("mine")[0])
    return [y, [[each.name for each in group] for group in groups], named, described(tf)]


for name, make in {
    "basic": lambda tf: tf.nn.rnn_cell.BasicRNNCell(4),
    "gru": lambda tf: tf.nn.rnn_cell.GRUCell(4),
    "basic_lstm": lambda tf: tf.nn.rnn_cell.BasicLSTMCell(4),
    "lstm": lambda tf: tf.nn.rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3),
    "ugrnn": lambda tf: tf.contrib.rnn.UGRNNCell(4),
    "coupled": lambda tf: tf.contrib.rnn.CoupledInputForgetGateLSTMCell(4),
    "layer_norm": lambda tf: tf.contrib.rnn.LayerNormBasicLSTMCell(4),
    "projection": lambda tf: tf.contrib.rnn.OutputProjectionWrapper(tf.nn.rnn_cell.GRUCell(4), 3),
}.items():
    def _(tf, make=make):
        initializer = tf.constant_initializer(0.1)
        with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2), initializer=initializer):
            cell = make(tf)
            output, _ = cell(tf.ones([2, 4]), cell.zero_state(2, tf.float32))
        return [output, [each.name for each in cell.weights], described(tf)]

    case(f"cells/{name}", _, ulps=16, eager=NAMES)


@case("cells/shards", ulps=16, eager=NAMES)
def _(tf):
    seen = []
    for shards in (1, 2):
        with tf.variable_scope(f"s{shards}", initializer=tf.constant_initializer(0.1)):
            cell = tf.nn.rnn_cell.LSTMCell(4, num_unit_shards=shards, num_proj=3, num_proj_shards=shards)
            seen.append(cell(tf.ones([2, 4]), cell.zero_state(2, tf.float32))[0])
    return [seen, described(tf)]


@case("template", eager=NAMES, function=True)
def _(tf):
    template = tf.make_template("t", lambda: variable(tf))
    first, second = template(), template()
    return [first is second, first.as_tensor()]


@case("saver", eager=NAMES)
def _(tf):
    v, w = variable(tf), variable(tf, 3, "w", use_resource=True)
    found = []
    for given in (None, [v], {"x": v, "y": list(w)}, list(w), {"z": list(v)[1]}):
        found.append(tf.train.Saver(given).saver_def.restore_op_name)
    return found


table({
    "saver/twice": lambda tf: tf.train.Saver((lambda v: [v, *v])(variable(tf))),
    "saver/two_names": lambda tf: tf.train.Saver((lambda v: {"a": v, "b": list(v)})(variable(tf))),
}, raises=True, eager=NAMES, function=True)  # fmt: skip


@case("meta_graph", eager=NAMES)
def _(tf):
    with tf.variable_scope("s"):
        variable(tf)
        variable(tf, 3, "w", use_resource=True, trainable=False)
    exported = tf.train.export_meta_graph()
    with tf.Graph().as_default():
        tf.train.import_meta_graph(exported, import_scope="k")
        return [described(tf), [each.name for each in tf.trainable_variables()]]
