"""Optimisers over 20 steps, learning-rate decays, moving averages, losses and global steps."""
from __future__ import annotations

from ..spec import FRESH_SESSION, Family, Run, f32, f64, i32, lookup, noise, script

FAMILY = Family("training", ulps=64, near="max",
                nodes="gradient and update graphs may be simpler than TensorFlow's")
case, table = FAMILY.case, FAMILY.table
RESOURCES = "a function makes 2.x variables"
CALLABLE = "an optimizer of 1.x takes a function as its loss"
GRAPHS = "it is about graphs"


def names(things):
    return [thing.name for thing in things]


# Optimisers.

OPTIMIZERS = {
    "GradientDescent": [{"learning_rate": 0.1}],
    "Momentum": [{"learning_rate": 0.05, "momentum": 0.9},
                 {"learning_rate": 0.05, "momentum": 0.9, "use_nesterov": True}],
    "Adam": [{}, {"learning_rate": 0.1, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-4}],
    "RMSProp": [{"learning_rate": 0.05},
                {"learning_rate": 0.05, "momentum": 0.5, "decay": 0.8, "epsilon": 1e-3},
                {"learning_rate": 0.05, "centered": True},
                {"learning_rate": 0.02, "centered": True, "momentum": 0.9}],
    "Adagrad": [{"learning_rate": 0.3}, {"learning_rate": 0.3, "initial_accumulator_value": 0.5}],
    "AdagradDA": [{"learning_rate": 0.3},
                  {"learning_rate": 0.3, "l1_regularization_strength": 0.01,
                   "l2_regularization_strength": 0.1}],
    "Adadelta": [{"learning_rate": 1.0}, {"learning_rate": 0.5, "rho": 0.9, "epsilon": 1e-4}],
    "Ftrl": [{"learning_rate": 0.3},
             {"learning_rate": 0.3, "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.1},
             {"learning_rate": 0.3, "l2_shrinkage_regularization_strength": 0.1},
             {"learning_rate": 0.3, "learning_rate_power": -0.7}],
    "ProximalGradientDescent": [{"learning_rate": 0.1},
                                {"learning_rate": 0.1, "l1_regularization_strength": 0.1,
                                 "l2_regularization_strength": 0.2}],
    "ProximalAdagrad": [{"learning_rate": 0.3},
                        {"learning_rate": 0.3, "l1_regularization_strength": 0.1,
                         "l2_regularization_strength": 0.2}],
}


def optimizer(tf, kind, kwargs):
    """The optimiser; AdagradDA alone wants the global step."""
    if kind == "AdagradDA":
        kwargs = dict(kwargs, global_step=tf.train.get_or_create_global_step())
    return lookup(tf, "train." + kind + "Optimizer")(**kwargs)


def dense_loss(tf, use_resource=False, dtype="float32"):
    w = tf.get_variable("w", initializer=tf.constant([[0.5, -1.0], [2.0, 0.25]], dtype),
                        use_resource=use_resource)
    b = tf.get_variable("b", initializer=tf.constant([0.1, -0.2], dtype), use_resource=use_resource)
    x = tf.constant([[1.0, 2.0], [-1.0, 0.5], [0.25, -0.75]], dtype)
    return tf.reduce_mean(tf.square(tf.tanh(tf.matmul(x, w) + b) - [[0.5, -0.5]]))


def sparse_loss(tf, use_resource=False):
    table = tf.get_variable("table", initializer=tf.constant(noise(5, 2, seed=9), tf.float32),
                            use_resource=use_resource)
    rows = tf.nn.embedding_lookup(table, [3, 0, 3])
    return tf.reduce_sum(tf.square(rows - [[1.0, -1.0], [0.5, 0.5], [2.0, 0.0]]))


def trained(kind, kwargs, make_loss):
    """The variables, slots and loss after 1 and after 20 steps."""

    def build(tf):
        loss = make_loss(tf)
        made = optimizer(tf, kind, kwargs)
        step = made.minimize(loss, global_step=tf.train.get_or_create_global_step())
        state = {v.op.name: v for v in tf.global_variables()}
        return script(step, dict(state, loss=loss), Run(step, times=19), dict(state, loss=loss))

    return build


for kind, variants in OPTIMIZERS.items():
    # Ftrl takes w to nearly zero, as a difference of numbers a thousand times as large.
    ulps = 4096 if kind == "Ftrl" else None
    for i, kwargs in enumerate(variants):
        case(f"{kind}/{i}/dense", trained(kind, kwargs, dense_loss), ulps=ulps, eager=CALLABLE)
        case(f"{kind}/{i}/sparse", trained(kind, kwargs, sparse_loss), eager=CALLABLE)
    case(f"{kind}/resource_dense", trained(kind, variants[-1], lambda tf: dense_loss(tf, True)), ulps=ulps,
         eager=CALLABLE)
    case(f"{kind}/resource_sparse", trained(kind, variants[-1], lambda tf: sparse_loss(tf, True)),
         eager=CALLABLE)
for kind in ("GradientDescent", "Momentum", "Adam", "RMSProp", "Adagrad"):
    case(f"{kind}/double", trained(kind, OPTIMIZERS[kind][0], lambda tf: dense_loss(tf, dtype="float64")),
         ulps=256, eager=CALLABLE)


@case("optimizer/slots", eager=CALLABLE)
def _(tf):
    found = {}
    for kind in ("Momentum", "Adam", "RMSProp", "Adagrad", "Adadelta", "Ftrl"):
        with tf.variable_scope("scope_" + kind):
            v = tf.get_variable("v", [2])
        made = optimizer(tf, kind, OPTIMIZERS[kind][0])
        made.minimize(tf.reduce_sum(v))
        found[kind] = [made.get_slot_names(), [made.get_slot(v, name).name for name in made.get_slot_names()],
                       made.get_name(),
                       names(made.variables())]
    return [found, names(tf.global_variables()), names(tf.trainable_variables())]


@case("optimizer/two_of_a_kind", eager=CALLABLE)
def _(tf):
    v = tf.Variable([1.0])
    first, second = tf.train.AdamOptimizer(0.1), tf.train.AdamOptimizer(0.1)
    ops = [first.minimize(v * v), second.minimize(v * v)]
    return [names(tf.global_variables()), [op.name for op in ops]]


@case("optimizer/names", eager=CALLABLE)
def _(tf):
    v = tf.Variable([1.0], name="v")
    made = tf.train.GradientDescentOptimizer(0.1)
    plain = made.minimize(v * v)
    named = made.minimize(v * v, global_step=tf.train.create_global_step(), name="step")
    pairs = made.compute_gradients(v * 3.0)
    applied = made.apply_gradients(pairs, name="apply")
    return [plain.name, named.name, named.type, applied.name, [[g.dtype.name, w.name] for g, w in pairs],
            tf.get_collection(tf.GraphKeys.TRAIN_OP) == [plain, named, applied]]


@case("optimizer/compute_and_apply", eager=CALLABLE)
def _(tf):
    a, b, c = tf.Variable(1.0), tf.Variable(2.0), tf.Variable(3.0)
    made = tf.train.GradientDescentOptimizer(0.5)
    pairs = made.compute_gradients(a * a * b, [a, b, c])
    clipped = [(tf.clip_by_value(g, -1.0, 1.0) if g is not None else None, v) for g, v in pairs]
    return script([g for g, _ in pairs], made.apply_gradients(clipped), [a, b, c])


@case("optimizer/var_list", eager=CALLABLE)
def _(tf):
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(a * b, var_list=[b])
    return script(Run(step, times=3), [a, b])


@case("optimizer/tensor_rate_and_momentum", None, f32(0.1), f32(0.9), eager=CALLABLE)
def _(tf, rate, momentum):
    v = tf.Variable([1.0, -1.0])
    step = tf.train.MomentumOptimizer(rate, momentum).minimize(v * v)
    return script(Run(step, times=3), v, Run(step, feed={rate: 0.01}), v)


@case("optimizer/callable_rate", eager=CALLABLE)
def _(tf):
    v = tf.Variable([1.0, -1.0])
    step = tf.train.GradientDescentOptimizer(lambda: 0.25).minimize(v * v)
    return script(Run(step, times=3), v)


@case("optimizer/grad_loss_and_gate", eager=CALLABLE)
def _(tf):
    v = tf.Variable([1.0, -1.0])
    made = tf.train.GradientDescentOptimizer(0.1)
    step = made.minimize(v * v, grad_loss=tf.constant([1.0, 2.0]), gate_gradients=made.GATE_NONE,
                         aggregation_method=tf.AggregationMethod.ADD_N, colocate_gradients_with_ops=True)
    return script(step, v)


@case("optimizer/constraint", eager=CALLABLE)
def _(tf):
    v = tf.Variable([1.0, -1.0], constraint=lambda t: tf.clip_by_value(t, 0.0, 0.5))
    return script(Run(tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v)), times=2), v)


@case("optimizer/fed_batches", None, f32(noise(2, 3), [None, 3]), gradient=False, unknown=False, eager=CALLABLE)
def _(tf, x):
    w = tf.Variable(tf.random_normal([3, 1], seed=1))
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
    step = tf.train.AdamOptimizer(0.1).minimize(loss)
    return script(Run([loss, step], times=3), Run([loss, step], feed={x: noise(4, 3, seed=5)}), w,
                  FRESH_SESSION, w)


@case("optimizer/repeated_sparse_indices", eager=CALLABLE)
def _(tf):
    v = tf.Variable([[1.0], [2.0], [3.0]])
    made = tf.train.AdagradOptimizer(0.5)
    gradient = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([2, 0, 2]),
                                tf.constant([3, 1]))
    return script(Run(made.apply_gradients([(gradient, v)]), times=2), [v, made.get_slot(v, "accumulator")])


@case("optimizer/regularized_mlp", ulps=256, eager=CALLABLE)
def _(tf):
    """Two layers, L2 penalties in a collection, exponential decay, moving averages: as MNIST programs do."""
    x, labels = tf.constant(noise(6, 4, seed=1), tf.float32), tf.constant([0, 1, 2, 0, 1, 2])
    w1 = tf.Variable(tf.truncated_normal([4, 5], stddev=0.1, seed=1))
    w2 = tf.Variable(tf.truncated_normal([5, 3], stddev=0.1, seed=2))
    b = tf.Variable(tf.zeros([3]))
    for w in (w1, w2):
        tf.add_to_collection("losses", tf.contrib.layers.l2_regularizer(0.001)(w))
    logits = tf.matmul(tf.nn.relu(tf.matmul(x, w1)), w2) + b
    tf.add_to_collection("losses",
                         tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels,
                                                                                       logits=logits)))
    loss = tf.add_n(tf.get_collection("losses"))
    step = tf.Variable(0, trainable=False)
    averages = tf.train.ExponentialMovingAverage(0.99, step)
    rate = tf.train.exponential_decay(0.5, step, 5, 0.9, staircase=True)
    train = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=step)
    with tf.control_dependencies([train, averages.apply(tf.trainable_variables())]):
        op = tf.no_op(name="train")
    return script(Run([op, loss], times=2), Run(op, times=18),
                  [loss, step, rate, b, averages.average(b), w2, averages.average(w2)])


ERRORS = {
    "apply_nothing": lambda tf: tf.train.GradientDescentOptimizer(0.1).apply_gradients([]),
    "apply_none": lambda tf:
        tf.train.GradientDescentOptimizer(0.1).apply_gradients([(None, tf.Variable(1.0))]),
    "global_step_dtype": lambda tf: tf.train.assert_global_step(tf.Variable(1.0)),
    "global_step_twice": lambda tf: [tf.train.create_global_step(), tf.train.create_global_step()],
    "average_of_nothing": lambda tf: tf.train.ExponentialMovingAverage(0.9).apply([tf.Variable(1)]),
}
for name, build in ERRORS.items():
    shows_a_variable = name in ("apply_none", "global_step_dtype")
    case("error/" + name, build, raises=True, function=RESOURCES if shows_a_variable else True)
LOSS_ERRORS = {
    "no_variables": lambda tf: tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0)),
    "no_gradient": lambda tf: _no_gradient(tf),
    "int_loss": lambda tf: tf.train.GradientDescentOptimizer(0.1).minimize(tf.Variable(1) * 2),
    "var_is_tensor": lambda tf:
        tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0), var_list=[tf.constant(1.0)]),
    "gate": lambda tf:
        tf.train.GradientDescentOptimizer(0.1).compute_gradients(tf.Variable(1.0) * 1.0, gate_gradients=5),
}
for name, build in LOSS_ERRORS.items():
    case("error/" + name, build, raises=True, eager=CALLABLE)
case("error/decay_without_step", lambda tf: tf.train.exponential_decay(0.1, None, 10, 0.5), raises=True,
     eager="eagerly a decay is a function of nothing", function=True)


def _no_gradient(tf):
    v = tf.Variable(1.0, name="v")
    return tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0), var_list=[v])


# Learning rates; the nodes are those of TensorFlow.

DECAY_IS_FUNCTION = "eagerly a decay is a function of nothing"

DECAYS = {
    "exponential": lambda tf, s: tf.train.exponential_decay(0.1, s, 10, 0.96),
    "exponential_staircase": lambda tf, s: tf.train.exponential_decay(0.1, s, 10, 0.96, staircase=True),
    "natural_exp": lambda tf, s: tf.train.natural_exp_decay(0.1, s, 10, 0.5),
    "natural_exp_staircase": lambda tf, s: tf.train.natural_exp_decay(0.1, s, 10, 0.5, staircase=True),
    "inverse_time": lambda tf, s: tf.train.inverse_time_decay(0.1, s, 10, 0.5),
    "inverse_time_staircase": lambda tf, s: tf.train.inverse_time_decay(0.1, s, 10, 0.5, staircase=True),
    "polynomial": lambda tf, s: tf.train.polynomial_decay(0.1, s, 20, 0.01, power=0.5),
    "polynomial_cycle": lambda tf, s: tf.train.polynomial_decay(0.1, s, 20, 0.01, cycle=True),
    "cosine": lambda tf, s: tf.train.cosine_decay(0.1, s, 20, alpha=0.1),
    "cosine_restarts": lambda tf, s: tf.train.cosine_decay_restarts(0.1, s, 5),
    "linear_cosine": lambda tf, s: tf.train.linear_cosine_decay(0.1, s, 20),
}
for name, make in DECAYS.items():
    has_cond = name in ("polynomial_cycle", "cosine_restarts")
    case("decay/" + name, lambda tf, s, make=make: _over_steps(make(tf, s), s), i32(0),
         nodes="it has a cond, which is one If node here" if has_cond else True, eager=DECAY_IS_FUNCTION,
         function=True)
case("decay/piecewise",
     lambda tf, s: _over_steps(tf.train.piecewise_constant(s, [5, 12], [1.0, 0.5, 0.1]), s), i32(0),
     unknown=False, eager=DECAY_IS_FUNCTION, function=True)
case("decay/noisy_linear_cosine",
     lambda tf: tf.train.noisy_linear_cosine_decay(0.1, tf.constant(3), 20).dtype.name, eager=DECAY_IS_FUNCTION,
     function=True)


def _over_steps(rate, step):
    return script(*[Run(rate, feed={step: s}) for s in (0, 1, 5, 9, 10, 13, 20, 45)])


# Moving averages.


@case("average/variables", eager=GRAPHS)
def _(tf):
    v, w = tf.Variable(1.0, name="v"), tf.Variable([2.0, 3.0], name="w", trainable=False)
    averages = tf.train.ExponentialMovingAverage(0.9)
    update = averages.apply([v, w])
    bump = tf.group(v.assign_add(1.0), w.assign(w * 2.0))
    return script(update, [averages.average(v), averages.average(w)], bump, update, bump, update,
                  [averages.average(v), averages.average(w), averages.average_name(v),
                   averages.average(w).name,
                   sorted(averages.variables_to_restore()), names(tf.global_variables()),
                   names(tf.get_collection(tf.GraphKeys.MOVING_AVERAGE_VARIABLES))])


@case("average/num_updates", eager=GRAPHS)
def _(tf):
    v, step = tf.Variable(0.0), tf.Variable(0, trainable=False)
    averages = tf.train.ExponentialMovingAverage(0.99, step)
    update = averages.apply([v])
    return script(v.assign(5.0), update, [v, averages.average(v)], step.assign(10000), v.assign(10.0), update,
                  [v, averages.average(v)], Run(update, times=2), averages.average(v))


@case("average/tensor_zero_debias", eager=GRAPHS)
def _(tf):
    x = tf.placeholder_with_default(3.0, [], name="x")
    averages = tf.train.ExponentialMovingAverage(0.5, zero_debias=True)
    update = averages.apply([x])
    return script(update, averages.average(x), Run(update, feed={x: 7.0}),
                  [averages.average(x), averages.average(x).name])


@case("average/tensor", eager=GRAPHS)
def _(tf):
    x = tf.placeholder_with_default(3.0, [], name="x")
    averages = tf.train.ExponentialMovingAverage(0.5)
    update = averages.apply([x])
    return script(update, averages.average(x), Run(update, feed={x: 7.0}),
                  [averages.average(x), averages.average(tf.constant(1.0))])


@case("average/default_is_trainable_variables", eager=GRAPHS)
def _(tf):
    tf.Variable(1.0, name="a")
    tf.Variable(1.0, name="b", trainable=False)
    averages = tf.train.ExponentialMovingAverage(0.9, name="EMA")
    averages.apply()
    return [names(tf.global_variables()), sorted(averages.variables_to_restore()), averages.name]


@case("average/applied_twice", eager=GRAPHS)
def _(tf):
    v, averages = tf.Variable(1.0, name="v"), tf.train.ExponentialMovingAverage(0.8)
    updates = [averages.apply([v]), averages.apply([v])]
    return script(v.assign(2.0), Run(updates[0], times=2), [v, averages.average(v)], updates[1],
                  averages.average(v))


# Global steps.


@case("global_step/functions", eager="eager variables are in no collection")
def _(tf):
    before = tf.train.get_global_step()
    created = tf.train.get_or_create_global_step()
    return [before, created.name, created.dtype.name, tf.train.get_global_step() is created,
            created.trainable, str(created.shape),
            names(tf.get_collection(tf.GraphKeys.GLOBAL_STEP)), names(tf.global_variables())]


@case("global_step/eval", nodes="the session's own helpers", eager="it is about sessions")
def _(tf):
    step = tf.Variable(7, name="global_step")
    with tf.Session() as session:
        session.run(step.initializer)
        return int(tf.train.global_step(session, step))


# Losses.

PREDICTIONS, LABELS, WEIGHTS = noise(3, 2, seed=1), noise(3, 2, seed=2), [[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]]
BINARY = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
LOSSES = {
    "absolute_difference": lambda tf, y, p, **k: tf.losses.absolute_difference(y, p, **k),
    "mean_squared_error": lambda tf, y, p, **k: tf.losses.mean_squared_error(y, p, **k),
    "huber_loss": lambda tf, y, p, **k: tf.losses.huber_loss(y, p, delta=0.75, **k),
    "hinge_loss": lambda tf, y, p, **k: tf.losses.hinge_loss(tf.cast(y > 0.0, tf.float64), p, **k),
    "log_loss": lambda tf, y, p, **k: tf.losses.log_loss(tf.sigmoid(y), tf.sigmoid(p), **k),
    "sigmoid_cross_entropy": lambda tf, y, p, **k:
        tf.losses.sigmoid_cross_entropy(tf.sigmoid(y), p, label_smoothing=0.1, **k),
}
FED_LOSS = (f64(LABELS), f64(PREDICTIONS))
IN_FLOAT32 = 16 * 2**29  # tf.losses computes in float32 whatever comes in: ulps of float64 for 16 of float32
for name, loss in LOSSES.items():
    table({
        f"loss/{name}/default": lambda tf, y, p, loss=loss:
            [loss(tf, y, p), tf.losses.get_losses(), tf.losses.get_total_loss()],
        f"loss/{name}/weights": lambda tf, y, p, loss=loss: [
            loss(tf, y, p, weights=2.0), loss(tf, y, p, weights=[[1.0], [0.0], [2.0]]),
            loss(tf, y, p, weights=WEIGHTS)],
        f"loss/{name}/reductions": lambda tf, y, p, loss=loss: [
            loss(tf, y, p, weights=WEIGHTS, reduction=how) for how in
            ("none", "weighted_sum", "weighted_mean", "weighted_sum_over_batch_size",
             "weighted_sum_by_nonzero_weights")],
    }, *FED_LOSS, unknown=False, ulps=IN_FLOAT32)
table({
    "loss/softmax_cross_entropy": lambda tf, y, p: [
        tf.losses.softmax_cross_entropy(BINARY, p),
        tf.losses.softmax_cross_entropy(BINARY, p, weights=[1.0, 0.0, 2.0]),
        tf.losses.softmax_cross_entropy(BINARY, p, label_smoothing=0.2),
        tf.losses.softmax_cross_entropy(BINARY, p, reduction="none")],
    "loss/sparse_softmax_cross_entropy": lambda tf, y, p: [
        tf.losses.sparse_softmax_cross_entropy([0, 1, 1], p),
        tf.losses.sparse_softmax_cross_entropy([[0], [1], [1]], p),
        tf.losses.sparse_softmax_cross_entropy([0, 1, 1], p, weights=[1.0, 0.0, 2.0])],
    "loss/cosine_distance": lambda tf, y, p: [
        tf.losses.cosine_distance(tf.nn.l2_normalize(y, 1), tf.nn.l2_normalize(p, 1), axis=1),
        tf.losses.cosine_distance(y, p, dim=1, weights=[[1.0], [2.0], [0.0]])],
    "loss/mean_pairwise_squared_error": lambda tf, y, p: tf.losses.mean_pairwise_squared_error(
        tf.cast(y, tf.float32), tf.cast(p, tf.float32)),
    "loss/compute_weighted": lambda tf, y, p: [tf.losses.compute_weighted_loss(y),
                                               tf.losses.compute_weighted_loss(y, WEIGHTS)],
    "loss/zero_weights": lambda tf, y, p: tf.losses.mean_squared_error(y, p, weights=0.0),
}, *FED_LOSS, unknown=False, ulps=IN_FLOAT32)
case("loss/collections", lambda tf, y, p: _loss_collections(tf, y, p), *FED_LOSS, unknown=False,
     ulps=IN_FLOAT32, eager="it asks for a name", function=True)


def _loss_collections(tf, y, p):
    with tf.name_scope("task"):
        a = tf.losses.mean_squared_error(y, p, scope="mine")
    b = tf.losses.absolute_difference(y, p, loss_collection="other")
    tf.losses.add_loss(tf.cast(tf.reduce_sum(p), tf.float32))
    tf.losses.add_loss(tf.constant(1.0), tf.GraphKeys.REGULARIZATION_LOSSES)
    return [len(tf.losses.get_losses()), len(tf.losses.get_losses("task")), len(tf.get_collection("other")),
            a.name.split("/")[0], b,
            tf.losses.get_regularization_losses(), tf.losses.get_total_loss(add_regularization_losses=False),
            tf.losses.get_total_loss()]


case("loss/shape_mismatch", lambda tf: tf.losses.mean_squared_error(tf.zeros([2]), tf.zeros([3])),
     raises=True)
case("loss/none_labels", lambda tf: tf.losses.mean_squared_error(None, tf.zeros([3])), raises=True)
case("loss/bad_reduction", lambda tf: tf.losses.mean_squared_error([1.0], [2.0], reduction="sum"),
     raises=True)
case("loss/bad_weights",
     lambda tf: tf.losses.mean_squared_error(tf.zeros([2, 3]), tf.zeros([2, 3]), weights=tf.zeros([5, 3])),
     raises=True)
