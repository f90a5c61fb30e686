"""Functions of `tf.contrib.rnn` for whole sequences: stacked layers in both directions, and layers made of cells."""
from __future__ import annotations

from ..spec import Family, f32, f64, noise
from .contrib_rnn import numbers

FAMILY = Family("contrib_rnn_layers", ulps=64, near="max", unknown=False)
case = FAMILY.case
BRANCHES = "a conditional is one If node here"
GRAPHS = "it is about graphs"
LOOP = "a loop is one While node here"

SEQUENCES, SERIES = f64(noise(3, 5, 2)), f64(noise(5, 3, 2))
LENGTHS = [4, 0, 2]


def cells(tf, *sizes):
    return [tf.nn.rnn_cell.GRUCell(size) for size in sizes]


def named(tf, value):
    """A value, and the names of all variables."""
    return value, [v.name for v in tf.global_variables()]


def applied(function):
    """A case function with variables without chance."""

    def build(tf, x):
        with tf.variable_scope("outer", custom_getter=numbers(tf)):
            return function(tf, tf.contrib.rnn, x)

    return build


# Stacked layers.


def stacked(**kwargs):
    return applied(lambda tf, r, x: r.stack_bidirectional_dynamic_rnn(
        cells(tf, 3, 2), cells(tf, 2, 4), x, dtype=tf.float64, **kwargs))


def stacked_steps(**kwargs):
    return applied(lambda tf, r, x: r.stack_bidirectional_rnn(
        cells(tf, 3, 2), cells(tf, 2, 4), tf.unstack(x), dtype=tf.float64, **kwargs))


case("stack/dynamic", stacked(), SEQUENCES, nodes=LOOP)
case("stack/dynamic_lengths", stacked(sequence_length=LENGTHS, scope="layers"), SEQUENCES, nodes=LOOP)
case("stack/dynamic_time_major", stacked(time_major=True), SERIES, nodes=LOOP)
case("stack/static", stacked_steps(), SERIES)
case("stack/static_lengths", stacked_steps(sequence_length=LENGTHS, scope="layers"), SERIES, nodes=BRANCHES)


@case("stack/dynamic_states", None, SEQUENCES, f64(noise(3, 3)), f64(noise(3, 2)), nodes=LOOP)
def _(tf, x, first, second):
    with tf.variable_scope("outer", custom_getter=numbers(tf)):
        return tf.contrib.rnn.stack_bidirectional_dynamic_rnn(
            cells(tf, 3, 2), cells(tf, 3, 2), x, initial_states_fw=[first, second], initial_states_bw=[-first, second])


@case("stack/static_states", None, SERIES, f64(noise(3, 3)))
def _(tf, x, first):
    with tf.variable_scope("outer", custom_getter=numbers(tf)):
        return tf.contrib.rnn.stack_bidirectional_rnn(
            cells(tf, 3), cells(tf, 3), tf.unstack(x), initial_states_fw=[first], initial_states_bw=[first])


@case("stack/names", None, SEQUENCES, SERIES, nodes=LOOP, eager=GRAPHS)
def _(tf, x, y):
    r = tf.contrib.rnn
    outputs, _, last = r.stack_bidirectional_dynamic_rnn(cells(tf, 3, 2), cells(tf, 3, 2), x, dtype=tf.float64)
    r.stack_bidirectional_rnn(cells(tf, 3), cells(tf, 3), tf.unstack(y), dtype=tf.float64, scope="steps")
    return outputs.shape.as_list(), len(last), [[v.name, str(v.shape)] for v in tf.global_variables()]


# Cells as layers.


def adapted(dynamic, listed=False, turned=False, **kwargs):
    def function(tf, r, x):
        layer = r.FusedRNNCellAdaptor(tf.nn.rnn_cell.BasicLSTMCell(3), use_dynamic_rnn=dynamic)
        if turned:
            layer = r.TimeReversedFusedRNN(layer)
        return layer(tf.unstack(x) if listed else x, dtype=tf.float64, **kwargs)

    return applied(function)


case("adaptor/static", adapted(False), SERIES)
case("adaptor/static_list", adapted(False, True, scope="layer"), SERIES)
case("adaptor/static_lengths", adapted(False, sequence_length=LENGTHS), SERIES, nodes=BRANCHES)
case("adaptor/dynamic", adapted(True), SERIES, nodes=LOOP)
case("adaptor/dynamic_list", adapted(True, True), SERIES, nodes=LOOP)
case("adaptor/dynamic_lengths", adapted(True, sequence_length=LENGTHS), SERIES, nodes=LOOP)
case("reversed/static", adapted(False, turned=True), SERIES)
case("reversed/static_list", adapted(False, True, turned=True), SERIES)
case("reversed/dynamic_lengths", adapted(True, turned=True, sequence_length=LENGTHS), SERIES, nodes=LOOP)
case("adaptor/state", applied(lambda tf, r, x: r.FusedRNNCellAdaptor(tf.nn.rnn_cell.GRUCell(3))(
    x, initial_state=tf.ones([3, 3], tf.float64))), SERIES)

# Wrapped cells in static networks, whose variables are shared by the steps.

for name, make in {
        "highway": lambda r: r.HighwayWrapper(r.BasicRNNCell(2)),
        "attention": lambda r: r.AttentionCellWrapper(r.GRUCell(3), 2),
        "projection": lambda r: r.OutputProjectionWrapper(r.GRUCell(3), 2),
        "coupled_shards": lambda r: r.CoupledInputForgetGateLSTMCell(3, num_unit_shards=2),
        "layer_norm": lambda r: r.LayerNormBasicLSTMCell(3),
}.items():
    def build(tf, x, make=make):
        with tf.variable_scope("outer", custom_getter=numbers(tf), dtype=tf.float64):
            outputs, last = tf.nn.static_rnn(make(tf.contrib.rnn), tf.unstack(x), dtype=tf.float64)
            return outputs, last, [v.name for v in tf.global_variables()]
    case("static/" + name, build, SERIES, nodes="the cases of single steps compare them", eager="it lists variables")

# Bad arguments.

ONE = f32(noise(2, 1, 2))


def refused(name, layers):
    @case("refused/dynamic_" + name, None, ONE, raises=True)
    def _(tf, x):
        both, options = layers(tf)
        return tf.contrib.rnn.stack_bidirectional_dynamic_rnn(*both, x, **options)

    @case("refused/static_" + name, None, ONE, raises=True)
    def _(tf, x):
        both, options = layers(tf)
        return tf.contrib.rnn.stack_bidirectional_rnn(*both, tf.unstack(x), **options)


TYPED = dict(dtype="float32")
refused("no_forward", lambda tf: ((None, cells(tf, 2)), TYPED))
refused("no_backward", lambda tf: ((cells(tf, 2), []), TYPED))
refused("one_forward", lambda tf: ((cells(tf, 2)[0], cells(tf, 2)), TYPED))
refused("one_backward", lambda tf: ((cells(tf, 2), cells(tf, 2)[0]), TYPED))
refused("depth", lambda tf: ((cells(tf, 2), cells(tf, 2, 2)), TYPED))
refused("state_forward", lambda tf: ((cells(tf, 2), cells(tf, 2)), dict(initial_states_fw=tf.zeros([1, 2]))))
refused("states_backward", lambda tf: ((cells(tf, 2), cells(tf, 2)), dict(initial_states_bw=[0, 0])))
case("refused/fused", lambda tf: tf.contrib.rnn.FusedRNNCell(), raises=True, message="Can't instantiate abstract class")
