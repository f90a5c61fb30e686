"""The cells of `tf.contrib.rnn` and its wrappers of cells: their variables, a step, and sequences of steps."""
from __future__ import annotations

import numpy as np

from ..spec import Family, f32, f64, i32, noise, script

FAMILY = Family("contrib_rnn", ulps=64, near="max", unknown=False)
case = FAMILY.case
CHANCE = "eager seeds are others"
GRAPHS = "it is about graphs"
LOOP = "a loop is one While node here"
COMPARED = "the cases of single steps compare them"
COMPILED = "everything is compiled, so nothing needs to be marked"

ROWS, SEQUENCES = f64(noise(3, 4)), f64(noise(3, 5, 4))
SINGLE_ROWS, SINGLE = f32(noise(3, 4)), f32(noise(3, 5, 4))
LENGTHS = [4, 0, 2]


def numbers(tf, like=0.5):
    """A getter of variables without chance, biases included."""

    def getter(getter, name, shape=None, dtype=None, initializer=None, **kwargs):
        value = like * noise(*[int(size) for size in shape], seed=len(name))
        return getter(name, shape=shape, dtype=dtype, initializer=tf.constant_initializer(value), **kwargs)

    return getter


def states(tf, cell, batch=3, dtype="float64"):
    """A state without chance."""
    sizes = [tf.TensorShape(size).as_list() for size in tf.nest.flatten(cell.state_size)]
    parts = [tf.constant(noise(batch, *size, seed=i), dtype) for i, size in enumerate(sizes)]
    return tf.nest.pack_sequence_as(cell.state_size, parts)


CELLS = {
    "ugrnn": lambda r, tf: r.UGRNNCell(2),
    "ugrnn_relu": lambda r, tf: r.UGRNNCell(4, forget_bias=0.3, activation=tf.nn.relu),
    "intersection": lambda r, tf: r.IntersectionRNNCell(4),
    "intersection_projected": lambda r, tf: r.IntersectionRNNCell(3, 3, forget_bias=0.0, y_activation=tf.nn.softplus),
    "nas": lambda r, tf: r.NASCell(3),
    "nas_projected": lambda r, tf: r.NASCell(3, num_proj=2, use_bias=True),
    "nas_bias": lambda r, tf: r.NASCell(2, use_bias=True, name="searched"),
    "sru": lambda r, tf: r.SRUCell(4),
    "sru_named": lambda r, tf: r.SRUCell(4, activation=tf.nn.sigmoid, name="simple"),
    "ind_rnn": lambda r, tf: r.IndRNNCell(3),
    "ind_rnn_relu": lambda r, tf: r.IndRNNCell(3, activation=tf.nn.relu, name="ind"),
    "indy_gru": lambda r, tf: r.IndyGRUCell(3),
    "indy_gru_tan": lambda r, tf: r.IndyGRUCell(3, activation=tf.atan),
    "indy_lstm": lambda r, tf: r.IndyLSTMCell(3),
    "indy_lstm_bias": lambda r, tf: r.IndyLSTMCell(3, forget_bias=0.2, activation=tf.nn.softsign),
    "layer_norm": lambda r, tf: r.LayerNormBasicLSTMCell(3),
    "layer_norm_not": lambda r, tf: r.LayerNormBasicLSTMCell(3, 0.5, activation=tf.nn.relu, layer_norm=False),
    "layer_norm_gain": lambda r, tf: r.LayerNormBasicLSTMCell(3, norm_gain=2.0, norm_shift=0.3),
    "coupled": lambda r, tf: r.CoupledInputForgetGateLSTMCell(3),
    "coupled_peepholes": lambda r, tf: r.CoupledInputForgetGateLSTMCell(3, True, forget_bias=0.2, activation=tf.sin),
    "coupled_projected": lambda r, tf: r.CoupledInputForgetGateLSTMCell(3, True, num_proj=2, proj_clip=0.1),
    "coupled_joined": lambda r, tf: r.CoupledInputForgetGateLSTMCell(3, num_proj=2, state_is_tuple=False),
    "coupled_normalised": lambda r, tf: r.CoupledInputForgetGateLSTMCell(3, True, layer_norm=True, norm_gain=1.5),
    "coupled_shards": lambda r, tf: r.CoupledInputForgetGateLSTMCell(
        4, num_unit_shards=3, num_proj=2, num_proj_shards=2),
    "group": lambda r, tf: r.GLSTMCell(4, number_of_groups=2),
    "group_one": lambda r, tf: r.GLSTMCell(3, forget_bias=0.4),
    "group_projected": lambda r, tf: r.GLSTMCell(4, num_proj=2, number_of_groups=2, activation=tf.nn.relu),
    "input_projection": lambda r, tf: r.InputProjectionWrapper(r.BasicLSTMCell(2), 3),
    "input_projection_relu": lambda r, tf: r.InputProjectionWrapper(r.GRUCell(2), 3, activation=tf.nn.relu),
    "output_projection": lambda r, tf: r.OutputProjectionWrapper(r.BasicLSTMCell(2), 5),
    "output_projection_tanh": lambda r, tf: r.OutputProjectionWrapper(r.GRUCell(2), 5, activation=tf.tanh),
    "attention": lambda r, tf: r.AttentionCellWrapper(r.BasicLSTMCell(2), 3),
    "attention_sizes": lambda r, tf: r.AttentionCellWrapper(
        r.GRUCell(2), 3, attn_size=4, attn_vec_size=5, input_size=6),
    "attention_joined": lambda r, tf: r.AttentionCellWrapper(r.GRUCell(2), 2, state_is_tuple=False),
    "highway": lambda r, tf: r.HighwayWrapper(r.GRUCell(4)),
    "highway_uncoupled": lambda r, tf: r.HighwayWrapper(r.BasicRNNCell(4), False, carry_bias_init=2.0),
    "multi": lambda r, tf: r.MultiRNNCell([r.UGRNNCell(3), r.NASCell(2), r.OutputProjectionWrapper(r.GRUCell(2), 3)]),
    "projections": lambda r, tf: r.InputProjectionWrapper(r.OutputProjectionWrapper(r.GRUCell(2), 3), 5),
}  # fmt: skip


def one_step(make, getter=numbers):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=getter(tf), dtype=x.dtype):
            cell = make(tf.contrib.rnn, tf)
            return cell(x, states(tf, cell, dtype=x.dtype.name))

    return build


def steps(make, **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf), dtype=x.dtype):
            cell = make(tf.contrib.rnn, tf)
            return tf.nn.dynamic_rnn(cell, x, initial_state=states(tf, cell, dtype=x.dtype.name), **kwargs)

    return build


for name, make in CELLS.items():
    case("step/" + name, one_step(make), ROWS)
    case("dynamic/" + name, steps(make), SEQUENCES, nodes=LOOP)
for name in ("intersection", "nas_projected", "attention", "coupled_joined", "highway"):
    case("ragged/" + name, steps(CELLS[name], sequence_length=LENGTHS), SEQUENCES, nodes=LOOP)
for name in ("ugrnn", "sru", "layer_norm", "group", "indy_lstm"):
    case("single/" + name, one_step(CELLS[name]), SINGLE_ROWS, gradient="all")
case("step/compiled", one_step(lambda r, tf: r.CompiledWrapper(r.GRUCell(2))), ROWS, nodes=COMPILED)


@case("half/layer_norm", None, SINGLE_ROWS, ulps=2e4)
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = tf.contrib.rnn.LayerNormBasicLSTMCell(3)
        state = states(tf, cell, dtype="float16")
        return tf.cast(cell(tf.cast(x, tf.float16), state)[0], tf.float32)


# Initial values, and what cells say of themselves.


@case("cells/initial", None, ROWS, eager=CHANCE, nodes=COMPARED)
def _(tf, x):
    tf.set_random_seed(7)
    for name, make in sorted(CELLS.items()):
        with tf.variable_scope(name, dtype=tf.float64):
            cell = make(tf.contrib.rnn, tf)
            cell(x, states(tf, cell))
    return [v.read_value() for v in tf.global_variables()]


@case("cells/initializers", None, SINGLE_ROWS, eager=CHANCE)
def _(tf, x):
    r, half = tf.contrib.rnn, tf.constant_initializer(0.5)
    for cell in (r.UGRNNCell(2, initializer=half), r.IntersectionRNNCell(4, initializer=half),
                 r.GLSTMCell(2, initializer=half), r.IndyGRUCell(2, kernel_initializer=half, bias_initializer=half),
                 r.IndyLSTMCell(2, kernel_initializer=half, bias_initializer=half)):
        cell(x, states(tf, cell, dtype="float32"))
    return [v.read_value() for v in tf.global_variables() if not v.name.endswith("kernel_u:0")]


@case("cells/variables", None, ROWS, eager=GRAPHS, nodes=COMPARED)
def _(tf, x):
    seen = []
    for name, make in sorted(CELLS.items()):
        if not name.startswith("highway"):
            with tf.variable_scope(name, custom_getter=numbers(tf), dtype=tf.float64):
                cell = make(tf.contrib.rnn, tf)
                output, _ = cell(x, states(tf, cell))
            seen.append([output.name, [[v.name, str(v.shape), v.dtype.name] for v in cell.weights],
                         [v.name for v in cell.trainable_variables]])
    return seen + [[v.name for v in tf.global_variables()]]


@case("cells/about", eager=GRAPHS)
def _(tf):
    seen = []
    for _, make in sorted(CELLS.items()):
        cell = make(tf.contrib.rnn, tf)
        state = tf.nest.flatten(cell.zero_state(3, tf.float32))
        names, shapes = str([t.name for t in state]), str([t.shape for t in state])
        seen.append([str(cell.state_size), cell.output_size, names, shapes])
    return seen


@case("cells/twice", None, ROWS, eager=GRAPHS, nodes=COMPARED)
def _(tf, x):
    """A second call uses the same variables."""
    seen = []
    for name, make in sorted(CELLS.items()):
        if not name.startswith("highway"):
            with tf.variable_scope(name, custom_getter=numbers(tf), dtype=tf.float64):
                cell = make(tf.contrib.rnn, tf)
                state = cell(x, states(tf, cell))[1]
            with tf.variable_scope(name, custom_getter=numbers(tf), dtype=tf.float64, reuse=tf.AUTO_REUSE):
                seen.append(cell(x, state)[0])
    return seen + [len(tf.global_variables())]


@case("cells/shards", None, ROWS, eager=GRAPHS)
def _(tf, x):
    cell = CELLS["coupled_shards"](tf.contrib.rnn, tf)
    first = cell(x, states(tf, cell))[0]
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        cell(x, states(tf, cell))
    return [t.name for t in tf.get_collection(tf.GraphKeys.CONCATENATED_VARIABLES)] + [first.name]


# Cells that need other inputs.


def embedded(cell, dtype="int32", **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            wrapped = tf.contrib.rnn.EmbeddingWrapper(cell(tf.contrib.rnn), 7, 3, **kwargs)
            return wrapped(tf.cast(x, dtype), states(tf, wrapped, dtype="float32"))

    return build


case("embedding/gru", embedded(lambda r: r.GRUCell(2)), i32([[5], [0], [6]]))
case("embedding/lstm", embedded(lambda r: r.BasicLSTMCell(2), "int64"), i32([1, 1, 2]))


@case("embedding/initial", None, i32([[5], [0], [6]]), eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(3)
    r = tf.contrib.rnn
    for scope, cell in (("a", r.EmbeddingWrapper(r.GRUCell(2), 7, 3)),
                        ("b", r.EmbeddingWrapper(r.GRUCell(2), 7, 3, initializer=tf.ones_initializer()))):
        with tf.variable_scope(scope):
            cell(x, states(tf, cell, dtype="float32"))
    return [v.read_value() for v in tf.global_variables()]


def phased(times, **kwargs):
    def build(tf, t, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf, 0.7)):
            cell = tf.contrib.rnn.PhasedLSTMCell(3, **kwargs)
            return cell((t, x), states(tf, cell, dtype="float32"))

    return build


TIMES = [[0.0], [1.25], [7.5]]
case("phased/single", phased(TIMES), f32(TIMES), SINGLE_ROWS, gradient="all")
case("phased/double_time", phased(TIMES, use_peepholes=True, leak=0.1), f64(TIMES), SINGLE_ROWS,
     gradient=False)


@case("phased/initial", None, f32(TIMES), SINGLE_ROWS, eager=CHANCE)
def _(tf, t, x):
    tf.set_random_seed(5)
    cell = tf.contrib.rnn.PhasedLSTMCell(3, ratio_on=0.3, trainable_ratio_on=False, period_init_max=4.0)
    output, _ = cell((t, x), states(tf, cell, dtype="float32"))
    return [v.read_value() for v in tf.global_variables()] + [output, [v.name for v in cell.trainable_variables]]


@case("phased/dynamic", None, f32(np.cumsum(noise(3, 5, 1, low=0.0), 1)), SINGLE, nodes=LOOP)
def _(tf, t, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        return tf.nn.dynamic_rnn(tf.contrib.rnn.PhasedLSTMCell(3), (t, x), dtype=tf.float32)


@case("dropout/layer_norm", None, SINGLE_ROWS, eager=CHANCE)
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = tf.contrib.rnn.LayerNormBasicLSTMCell(6, dropout_keep_prob=0.5, dropout_prob_seed=3)
        return cell(x, states(tf, cell, dtype="float32"))


@case("dropout/tensor", None, SINGLE_ROWS, f32(0.7), eager=CHANCE)
def _(tf, x, keep):
    tf.set_random_seed(2)
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = tf.contrib.rnn.LayerNormBasicLSTMCell(6, dropout_keep_prob=keep)
        return cell(x, states(tf, cell, dtype="float32"))


# Convolutions.

CONVOLUTIONS = {
    "one": (lambda r: r.Conv1DLSTMCell(input_shape=[4, 2], output_channels=3, kernel_shape=[3]), noise(3, 4, 2)),
    "one_without_bias": (lambda r: r.Conv1DLSTMCell(
        input_shape=[4, 2], output_channels=3, kernel_shape=[2], use_bias=False, forget_bias=0.1), noise(3, 4, 2)),
    "two": (lambda r: r.Conv2DLSTMCell(
        input_shape=[4, 5, 2], output_channels=2, kernel_shape=[3, 2], name="images"), noise(3, 4, 5, 2)),
    "three": (lambda r: r.Conv3DLSTMCell(
        input_shape=[2, 3, 2, 1], output_channels=1, kernel_shape=[1, 2, 2]), noise(3, 2, 3, 2, 1)),
    "any": (lambda r: r.ConvLSTMCell(2, [4, 5, 2], 2, [1, 1]), noise(3, 4, 5, 2)),
}  # fmt: skip


def convolved(make):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            cell = make(tf.contrib.rnn)
            return cell(x, states(tf, cell, dtype=x.dtype.name))

    return build


for name, (make, value) in CONVOLUTIONS.items():
    case("conv/" + name, convolved(make), f64(value) if "three" not in name else f32(value))


@case("conv/skip", None, f64(noise(3, 4, 5, 2)))
def _(tf, x):
    """The skip connection joins the inputs to the output, which is the state too."""
    cell = tf.contrib.rnn.Conv2DLSTMCell(
        input_shape=[4, 5, 2], output_channels=3, kernel_shape=[2, 2], skip_connection=True)
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        output, state = cell(x, states(tf, cell))
    return output, state, str(cell.state_size), str(cell.output_size)


@case("conv/dynamic", None, f64(noise(2, 3, 4, 5, 2)), nodes=LOOP)
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = tf.contrib.rnn.ConvLSTMCell(2, [4, 5, 2], 3, [3, 3])
        return tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)


# A training step through variables.


@case("training/nas", None, f64(noise(3, 5, 4)), nodes=LOOP, eager=GRAPHS)
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        outputs, _ = tf.nn.dynamic_rnn(tf.contrib.rnn.NASCell(3, use_bias=True), x, dtype=tf.float64)
    train = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(outputs ** 2))
    return script(outputs, train, [v.read_value() for v in tf.global_variables()], outputs)


@case("training/attention", None, f64(noise(3, 5, 4)), nodes=LOOP, eager=GRAPHS)
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf), dtype=tf.float64):
        cell = tf.contrib.rnn.AttentionCellWrapper(tf.contrib.rnn.GRUCell(3), 2)
        outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64, sequence_length=LENGTHS)
    train = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(outputs ** 2))
    return script(outputs, train, [v.read_value() for v in tf.global_variables()], outputs)


# Bad arguments.


def refused(name, make, size=4, **kwargs):
    @case("refused/" + name, None, f32(noise(3, 4))._replace(shape=[3, size]), raises=True, **kwargs)
    def _(tf, x):
        cell = make(tf.contrib.rnn, tf)
        return cell(x, states(tf, cell, dtype="float32"))


KNOWN = {"eager": "shapes are known", "function": True}
refused("ugrnn_size", lambda r, tf: r.UGRNNCell(2), None, **KNOWN, message="")
refused("nas_size", lambda r, tf: r.NASCell(2), None, **KNOWN)
refused("sru_size", lambda r, tf: r.SRUCell(2), None, **KNOWN)
refused("indy_size", lambda r, tf: r.IndyLSTMCell(2), None, **KNOWN)
refused("intersection", lambda r, tf: r.IntersectionRNNCell(3), message="")
refused("shards", lambda r, tf: r.CoupledInputForgetGateLSTMCell(2, num_unit_shards=9), message="")
refused("group_inputs", lambda r, tf: r.GLSTMCell(6, number_of_groups=3), message="")
refused("group_units", lambda r, tf: r.GLSTMCell(4, number_of_groups=3))
refused("group_projection", lambda r, tf: r.GLSTMCell(4, num_proj=3, number_of_groups=2))
refused("projection_cell", lambda r, tf: r.InputProjectionWrapper(None, 3))
refused("output_size", lambda r, tf: r.OutputProjectionWrapper(r.GRUCell(3), 0))
refused("embedding", lambda r, tf: r.EmbeddingWrapper(r.GRUCell(3), 4, -1))
refused("attention_length", lambda r, tf: r.AttentionCellWrapper(r.GRUCell(3), 0))
refused("attention_state", lambda r, tf: r.AttentionCellWrapper(r.BasicLSTMCell(3), 2, state_is_tuple=False))
refused("highway", lambda r, tf: r.HighwayWrapper(r.GRUCell(3)))
refused("conv_shape", lambda r, tf: r.ConvLSTMCell(2, [4, 2], 3, [3]))
refused("conv_rank", lambda r, tf: r.Conv1DLSTMCell(input_shape=[4, 2], output_channels=3, kernel_shape=[3]),
        message="")
