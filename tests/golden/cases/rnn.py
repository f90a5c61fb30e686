"""Recurrent networks: cells, their states and variables, and the functions that apply them to sequences."""
from __future__ import annotations

import numpy as np

from ..spec import Family, f32, f64, noise, script

FAMILY = Family("rnn", ulps=64, near="max", unknown=False)
case = FAMILY.case
CHANCE = "eager seeds are others"
GRAPHS = "it is about graphs"
LOOP = "a loop is one While node here"
BRANCHES = "a conditional is one If node here"

ROWS, SEQUENCES = f64(noise(3, 2)), f64(noise(3, 5, 2))
SINGLE = f32(noise(3, 5, 2))
LENGTHS = [4, 0, 2]


def slope(tf):
    """An initialiser without chance: numbers from -1 to 1."""

    def initializer(shape, dtype=None, partition_info=None):
        size = int(np.prod(shape))
        return tf.constant(np.linspace(-1.0, 1.0, size).reshape(shape), dtype)

    return initializer


def names(things):
    return [thing.name for thing in things]


def states(tf, cell, batch=3, dtype="float64"):
    """A state without chance."""
    sizes = tf.nest.flatten(cell.state_size)
    parts = [tf.constant(noise(batch, size, seed=i), dtype) for i, size in enumerate(sizes)]
    return tf.nest.pack_sequence_as(cell.state_size, parts)


CELLS = {
    "basic": lambda r, tf: r.BasicRNNCell(4),
    "basic_relu": lambda r, tf: r.BasicRNNCell(4, activation=tf.nn.relu),
    "basic_named": lambda r, tf: r.BasicRNNCell(4, activation="softsign", name="plain"),
    "gru": lambda r, tf: r.GRUCell(4),
    "gru_initializers": lambda r, tf: r.GRUCell(
        4, kernel_initializer=slope(tf), bias_initializer=tf.constant_initializer(0.5), activation=tf.sin),
    "basic_lstm": lambda r, tf: r.BasicLSTMCell(4),
    "basic_lstm_joined": lambda r, tf: r.BasicLSTMCell(4, forget_bias=0.3, state_is_tuple=False),
    "basic_lstm_activation": lambda r, tf: r.BasicLSTMCell(3, activation=tf.nn.softplus),
    "lstm": lambda r, tf: r.LSTMCell(4),
    "lstm_joined": lambda r, tf: r.LSTMCell(4, state_is_tuple=False, forget_bias=0.0),
    "lstm_peepholes": lambda r, tf: r.LSTMCell(4, use_peepholes=True, initializer=slope(tf)),
    "lstm_projection": lambda r, tf: r.LSTMCell(4, num_proj=3),
    "lstm_clipped": lambda r, tf: r.LSTMCell(4, True, 0.7, num_proj=3, proj_clip=0.4),
    "lstm_joined_projection": lambda r, tf: r.LSTMCell(4, num_proj=3, state_is_tuple=False),
    "multi": lambda r, tf: r.MultiRNNCell([r.BasicLSTMCell(4), r.GRUCell(3), r.BasicRNNCell(2)]),
    "multi_joined": lambda r, tf: r.MultiRNNCell([r.GRUCell(4), r.BasicRNNCell(3)], state_is_tuple=False),
    "multi_of_multi": lambda r, tf: r.MultiRNNCell([r.MultiRNNCell([r.GRUCell(2)]), r.LSTMCell(3)]),
    "residual": lambda r, tf: r.ResidualWrapper(r.GRUCell(2)),
    "residual_fn": lambda r, tf: r.ResidualWrapper(r.GRUCell(2), lambda x, y: x * y - y),
    "kept": lambda r, tf: r.DropoutWrapper(r.BasicRNNCell(4), 1.0, tf.constant(1.0)),
}


def one_step(make):
    def build(tf, x):
        with tf.variable_scope("scope", initializer=slope(tf)):
            cell = make(tf.nn.rnn_cell, tf)
            return cell(x, states(tf, cell))

    return build


def steps(make, **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", initializer=slope(tf)):
            cell = make(tf.nn.rnn_cell, tf)
            return tf.nn.dynamic_rnn(cell, x, initial_state=states(tf, cell), **kwargs)

    return build


for name, make in CELLS.items():
    case("step/" + name, one_step(make), ROWS)
    case("dynamic/" + name, steps(make), SEQUENCES, nodes=LOOP)
    case("ragged/" + name, steps(make, sequence_length=LENGTHS), SEQUENCES, nodes=LOOP)


# What cells say of themselves.


@case("cells/about", eager=GRAPHS)
def _(tf):
    seen = []
    for make in CELLS.values():
        cell = make(tf.nn.rnn_cell, tf)
        state = cell.zero_state(3, tf.float32)
        seen.append([cell.name, str(cell.state_size), cell.output_size, str([t.name for t in tf.nest.flatten(state)]),
                     str([t.shape for t in tf.nest.flatten(state)])])
    return seen


@case("cells/variables", None, ROWS, eager=GRAPHS)
def _(tf, x):
    seen = []
    for name, make in sorted(CELLS.items()):
        with tf.variable_scope(name, initializer=slope(tf)):
            cell = make(tf.nn.rnn_cell, tf)
            output, _ = cell(x, states(tf, cell))
        seen.append([output.name, [[v.name, str(v.shape), v.dtype.name] for v in cell.weights],
                     names(cell.trainable_variables)])
    return seen + [names(tf.global_variables())]


@case("cells/config")
def _(tf):
    r = tf.nn.rnn_cell
    made = [r.BasicRNNCell(4), r.GRUCell(4, bias_initializer=tf.zeros_initializer()), r.BasicLSTMCell(4, name="c"),
            r.LSTMCell(4, num_proj=2), r.DropoutWrapper(r.GRUCell(2), 0.5, seed=3),
            r.DeviceWrapper(r.GRUCell(2), "/cpu:0"), r.ResidualWrapper(r.GRUCell(2))]
    again = [type(cell).from_config(cell.get_config()) for cell in made[:4]]
    return [repr(sorted(cell.get_config().items())) for cell in made + again]


@case("zero_state/unknown_batch", None, SINGLE)
def _(tf, x):
    r = tf.nn.rnn_cell
    return r.MultiRNNCell([r.LSTMCell(4, num_proj=2), r.GRUCell(3)]).zero_state(tf.shape(x)[0], tf.float32)


case("zero_state/of_inputs", lambda tf, x: tf.nn.rnn_cell.BasicLSTMCell(4).get_initial_state(x), ROWS)
case("zero_state/of_inputs_unknown", lambda tf, x: tf.nn.rnn_cell.GRUCell(4).get_initial_state(x),
     ROWS._replace(shape=[None, 2]))
case("zero_state/wrong_batch", lambda tf, x: tf.nn.rnn_cell.GRUCell(4).get_initial_state(x, batch_size=4), ROWS,
     raises=True)
case("zero_state/wrong_dtype", lambda tf, x: tf.nn.rnn_cell.GRUCell(4).get_initial_state(x, dtype=tf.float32), ROWS,
     raises=True)
case("zero_state/no_dtype", lambda tf: tf.nn.rnn_cell.GRUCell(4).get_initial_state(batch_size=4), raises=True)
case("zero_state/no_batch", lambda tf: tf.nn.rnn_cell.GRUCell(4).zero_state(None, tf.float32), raises=True)
case("zero_state/matrix", lambda tf, x: tf.nn.rnn_cell.GRUCell(4).zero_state(x, tf.float32), ROWS, raises=True)


@case("cells/own", None, ROWS, eager=GRAPHS)
def _(tf, x):
    class Plain(tf.nn.rnn_cell.RNNCell):
        state_size = property(lambda self: tf.TensorShape([2]))
        output_size = property(lambda self: (2, {"twice": 2}))

        def call(self, inputs, state):
            w = tf.get_variable("w", [2, 2], tf.float64, initializer=slope(tf))
            b = tf.get_variable("b", [2], tf.float64, initializer=slope(tf), trainable=False)
            new = tf.matmul(inputs, w) + state + b
            return (new, {"twice": 2.0 * new}), new

    first, second = Plain(), Plain(name="other")
    state = first.zero_state(3, tf.float64)
    results = [first(x, state), first(x, state), second(x, state, scope="given"), second(x, state, scope="given")]
    with tf.variable_scope("around"):
        third = Plain()
        results.append(third(x, state))
    with tf.variable_scope("around", reuse=True):
        results.append(Plain()(x, state))
    return [results, [[names(cell.trainable_weights), names(cell.weights), cell.name, cell.scope_name]
                      for cell in (first, second, third)], names(tf.nest.flatten(results))]


@case("cells/built_in_another_scope", None, ROWS, eager=GRAPHS)
def _(tf, x):
    cell = tf.nn.rnn_cell.BasicRNNCell(2)
    with tf.variable_scope("first"):
        one, _ = cell(x, x)
    two, _ = cell(x, x, scope="second")
    with tf.variable_scope("third"):
        three, _ = cell(x, x)
    other, _ = tf.nn.rnn_cell.BasicRNNCell(2, name="basic_rnn_cell")(x, x)
    return [names([one, two, three, other]), names(tf.global_variables())]


@case("cells/reuse", None, ROWS, eager=GRAPHS)
def _(tf, x):
    r = tf.nn.rnn_cell
    r.GRUCell(2)(x, x)
    r.GRUCell(2, reuse=True)(x, x)
    for _ in range(2):
        with tf.variable_scope("auto", reuse=tf.AUTO_REUSE):
            r.GRUCell(2)(x, x)
    with tf.variable_scope("steps"):
        cell = r.MultiRNNCell([r.GRUCell(2), r.GRUCell(2)])
        cell(x, (x, x))
        tf.get_variable_scope().reuse_variables()
        cell(x, (x, x))
    return [names(tf.global_variables()), names(cell.trainable_weights)]


def twice(tf, x):
    for _ in range(2):
        with tf.variable_scope("same"):
            tf.nn.rnn_cell.GRUCell(2)(x, x)


case("cells/taken", twice, ROWS, raises=True, eager=GRAPHS, function=True)
case("cells/missing", lambda tf, x: tf.nn.rnn_cell.GRUCell(2, reuse=True)(x, x), ROWS, raises=True, eager=GRAPHS,
     function=True)
for name, build in {
    "rank": lambda tf, x: tf.nn.rnn_cell.GRUCell(2)(x[0], x),
    "integers": lambda tf, x: tf.nn.rnn_cell.GRUCell(2)(tf.cast(x, tf.int32), x),
    "integer_dtype": lambda tf, x: tf.nn.rnn_cell.BasicLSTMCell(2, dtype=tf.int32),
    "no_cells": lambda tf, x: tf.nn.rnn_cell.MultiRNNCell([]),
    "tuples_joined": lambda tf, x: tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.LSTMCell(2)], state_is_tuple=False),
    "wrapped": lambda tf, x: tf.nn.rnn_cell.DropoutWrapper(3),
    "probability": lambda tf, x: tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(2), 1.5),
    "filter": lambda tf, x: tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(2), dropout_state_filter_visitor=1),
    "noise_dtype": lambda tf, x: tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(2), variational_recurrent=True),
    "noise_size": lambda tf, x: tf.nn.rnn_cell.DropoutWrapper(
        tf.nn.rnn_cell.GRUCell(2), 0.5, variational_recurrent=True, dtype=tf.float64),
    "residual_sizes": lambda tf, x: tf.nn.rnn_cell.ResidualWrapper(tf.nn.rnn_cell.GRUCell(4))(
        x, tf.zeros([3, 4], x.dtype)),
    "argument": lambda tf, x: tf.nn.rnn_cell.GRUCell(2, colour=3),
    "state_sizes": lambda tf, x: tf.nn.rnn_cell.LSTMStateTuple(x, tf.cast(x, tf.float32)).dtype,
}.items():
    case("cells/wrong_" + name, build, ROWS, raises=True)
case("cells/wrong_one_cell", lambda tf, x: tf.nn.rnn_cell.MultiRNNCell(tf.nn.rnn_cell.GRUCell(2)), ROWS, raises=True,
     message="cells must be a list or tuple, but saw: <")
case("cells/wrong_depth", lambda tf, x: tf.nn.rnn_cell.GRUCell(2)(x, tf.zeros([3, 2], x.dtype)),
     ROWS._replace(shape=[3, None]), raises=True, eager=GRAPHS, function=True)
case("cells/wrong_state", lambda tf, x: tf.nn.rnn_cell.GRUCell(4)(x, x), ROWS, raises=True, message="")
case("cells/wrong_batch", lambda tf, x: tf.nn.rnn_cell.GRUCell(2)(x, x[1:]), ROWS, raises=True, message="")


# Chance: initialisers and dropout.


def dropped(**kwargs):
    def build(tf, x):
        tf.set_random_seed(9)
        cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.BasicLSTMCell(4), **kwargs)
        outputs, state = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32)
        return script([outputs, state], [outputs[-1]])

    return build


for name, given in {
    "input": {"input_keep_prob": 0.5}, "output": {"output_keep_prob": 0.4, "seed": 3},
    "state": {"state_keep_prob": 0.6, "seed": 3}, "all": {"input_keep_prob": 0.5, "output_keep_prob": 0.4,
                                                          "state_keep_prob": 0.7, "seed": 1},
    "variational": {"input_keep_prob": 0.5, "output_keep_prob": 0.4, "state_keep_prob": 0.7,
                    "variational_recurrent": True, "input_size": 2, "dtype": np.float32},
    "variational_seed": {"input_keep_prob": 0.5, "output_keep_prob": 0.4, "state_keep_prob": 0.7, "seed": 4,
                         "variational_recurrent": True, "input_size": 2, "dtype": np.float32},
    "filter": {"state_keep_prob": 0.5, "seed": 3, "dropout_state_filter_visitor": lambda state: True},
}.items():
    case("dropout/" + name, dropped(**given), SINGLE, eager=CHANCE)


@case("dropout/placeholder", None, SINGLE, eager=CHANCE)
def _(tf, x):
    keep = tf.placeholder_with_default(0.5, [])
    cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(4), keep, keep, keep, seed=3)
    tf.set_random_seed(9)
    return cell(x[:, 0], cell.zero_state(3, tf.float32))


@case("dropout/in_a_loop", None, SINGLE, nodes=LOOP, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(9)
    r = tf.nn.rnn_cell
    cell = r.MultiRNNCell([r.DropoutWrapper(r.BasicLSTMCell(4), 0.6, 0.6, 0.6, seed=i) for i in range(2)])
    # TensorFlow draws for the steps in another order if it computes several at a time.
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, parallel_iterations=1)
    return script([outputs, state], outputs)


@case("seeds/after_a_loop", None, SINGLE, nodes=LOOP, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(9)
    r = tf.nn.rnn_cell
    outputs, _ = tf.nn.dynamic_rnn(r.MultiRNNCell([r.BasicLSTMCell(4), r.GRUCell(3)]), x, dtype=tf.float32)
    more, _ = tf.nn.dynamic_rnn(r.BasicRNNCell(2), outputs, sequence_length=LENGTHS, dtype=tf.float32, scope="more")
    return outputs, more, tf.random_uniform([2])


@case("seeds/unknown_sizes", None, SINGLE._replace(shape=[None, None, 2]), nodes=LOOP, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(9)
    r = tf.nn.rnn_cell
    lengths = tf.placeholder_with_default(np.array(LENGTHS, np.int64), [None])
    outputs, _ = tf.nn.bidirectional_dynamic_rnn(r.BasicLSTMCell(4), r.GRUCell(3), x, lengths, dtype=tf.float32)
    return outputs, tf.random_uniform([2])


# Sequences.


def given_cells(build):
    """A case of a function that also takes `tf.nn.rnn_cell`; kernels do not depend on chance."""

    def with_cells(tf, x):
        with tf.variable_scope("scope", initializer=slope(tf)):
            return build(tf, x, tf.nn.rnn_cell)

    return with_cells


def again(tf, x, cell, **kwargs):
    with tf.variable_scope("scope", initializer=slope(tf)):
        return tf.nn.dynamic_rnn(cell, x, dtype=x.dtype, **kwargs)


case("dynamic/time_major", lambda tf, x: again(tf, x, tf.nn.rnn_cell.GRUCell(4), time_major=True), SEQUENCES,
     nodes=LOOP)
case("ragged/time_major", lambda tf, x: again(
    tf, x, tf.nn.rnn_cell.GRUCell(4), time_major=True, sequence_length=[1, 3, 0, 2, 9]), SEQUENCES, nodes=LOOP)
case("ragged/negative", lambda tf, x: again(tf, x, tf.nn.rnn_cell.GRUCell(4), sequence_length=[-1, -2, 0]), SEQUENCES,
     nodes=LOOP)
case("ragged/unknown_sizes", lambda tf, x: again(tf, x, tf.nn.rnn_cell.GRUCell(4), sequence_length=LENGTHS),
     SEQUENCES._replace(shape=[None, None, 2]), nodes=LOOP)
case("dynamic/no_steps", lambda tf, x: again(tf, x[:, :0], tf.nn.rnn_cell.GRUCell(4)), SINGLE, nodes=LOOP)
case("dynamic/no_sequences", lambda tf, x: again(tf, x[:0], tf.nn.rnn_cell.GRUCell(4)), SINGLE, nodes=LOOP)


@case("dynamic/names", None, SINGLE, nodes=LOOP, eager=GRAPHS)
def _(tf, x):
    r = tf.nn.rnn_cell
    seen = []
    cell = r.MultiRNNCell([r.BasicLSTMCell(4), r.LSTMCell(3, use_peepholes=True)])
    for kwargs in ({}, {"scope": "other"}, {"sequence_length": LENGTHS, "time_major": False}):
        outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, **kwargs)
        seen.append([outputs.name, str(outputs.shape), [str(t.shape) for t in tf.nest.flatten(state)]])
    with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
        for _ in range(2):
            tf.nn.dynamic_rnn(r.GRUCell(2), x, dtype=tf.float32)
    (one, two), _ = tf.nn.bidirectional_dynamic_rnn(r.GRUCell(2), r.GRUCell(2), x, dtype=tf.float32)
    return [seen, one.name, two.name, names(tf.global_variables()), names(cell.trainable_weights)]


@case("dynamic/structures", None, SEQUENCES, nodes=LOOP)
def _(tf, x):
    class Pair(tf.nn.rnn_cell.RNNCell):
        state_size = property(lambda self: {"sum": 2, "last": (2, tf.TensorShape([2]))})
        output_size = property(lambda self: (2, {"outer": tf.TensorShape([2, 2])}))

        def call(self, inputs, state):
            one, two = inputs["one"], inputs["two"]
            new = {"sum": state["sum"] + one, "last": (tf.tanh(two), state["last"][0])}
            return (new["sum"] * two, {"outer": one[:, None] * state["sum"][:, :, None]}), new

    inputs = {"one": x, "two": tf.sin(x)}
    return [tf.nn.dynamic_rnn(Pair(), inputs, lengths, dtype=tf.float64) for lengths in (None, LENGTHS)]


for name, build in {
    "bidirectional": lambda tf, x, r: tf.nn.bidirectional_dynamic_rnn(
        r.GRUCell(4), r.BasicLSTMCell(3), x, dtype=x.dtype),
    "bidirectional_ragged": lambda tf, x, r: tf.nn.bidirectional_dynamic_rnn(
        r.GRUCell(4), r.BasicLSTMCell(3), x, LENGTHS, dtype=x.dtype),
    "bidirectional_time_major": lambda tf, x, r: tf.nn.bidirectional_dynamic_rnn(
        r.GRUCell(4), r.GRUCell(3), x, [1, 0, 3, 2, 2], dtype=x.dtype, time_major=True),
}.items():
    case("dynamic/" + name, given_cells(build), SEQUENCES, nodes=LOOP)


for name, lengths in {"negative": [-1, 2, 3], "long": [9, 2, 3]}.items():
    case("dynamic/bidirectional_" + name, given_cells(lambda tf, x, r, given=lengths: tf.nn.bidirectional_dynamic_rnn(
        r.GRUCell(2), r.GRUCell(2), x, tf.placeholder_with_default(given, [3]), dtype=tf.float32)), SINGLE,
         raises=True, eager=GRAPHS, function=True)
case("dynamic/wrong_number_of_lengths", lambda tf, x: tf.nn.dynamic_rnn(
    tf.nn.rnn_cell.GRUCell(2), x, tf.placeholder_with_default([1, 2], [None]), dtype=tf.float32), SINGLE, raises=True,
     eager=GRAPHS, function=True)


@case("static/all", None, SEQUENCES)
def _(tf, x):
    r = tf.nn.rnn_cell
    with tf.variable_scope("scope", initializer=slope(tf)):
        one = tf.nn.static_rnn(r.BasicLSTMCell(4), tf.unstack(x, axis=1), dtype=tf.float64)
        two = tf.nn.static_bidirectional_rnn(r.GRUCell(4), r.GRUCell(3), tf.unstack(x, axis=1), dtype=tf.float64)
    return one, two


@case("static/ragged", None, SEQUENCES, nodes=BRANCHES)
def _(tf, x):
    r = tf.nn.rnn_cell
    with tf.variable_scope("scope", initializer=slope(tf)):
        one = tf.nn.static_rnn(r.BasicLSTMCell(4), tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=LENGTHS)
        two = tf.nn.static_bidirectional_rnn(
            r.GRUCell(4), r.GRUCell(3), tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=LENGTHS)
    return one, two


@case("static/names", None, SINGLE._replace(shape=[None, 5, 2]), nodes=BRANCHES, eager=GRAPHS)
def _(tf, x):
    r = tf.nn.rnn_cell
    tf.set_random_seed(9)
    rows = tf.unstack(x, axis=1)
    seen = [tf.nn.static_rnn(r.GRUCell(4), rows, dtype=tf.float32),
            tf.nn.static_rnn(r.BasicLSTMCell(4), rows, dtype=tf.float32, sequence_length=LENGTHS, scope="ragged"),
            tf.nn.static_bidirectional_rnn(r.GRUCell(4), r.GRUCell(3), rows, dtype=tf.float32)]
    flat = tf.nest.flatten(seen)
    return [seen, names(flat), [str(t.shape) for t in flat], names(tf.global_variables()), tf.random_uniform([2])]


@case("static/state_saving", None, SINGLE, eager=GRAPHS)
def _(tf, x):
    class Saver:
        def __init__(self):
            self.saved = {name: tf.get_variable(name, [3, 2], initializer=tf.ones_initializer()) for name in "ch"}

        def state(self, name):
            return self.saved[name]

        def save_state(self, name, value):
            return tf.assign(self.saved[name], value)

    with tf.variable_scope("scope", initializer=slope(tf)):
        outputs, state = tf.nn.static_state_saving_rnn(
            tf.nn.rnn_cell.BasicLSTMCell(2), tf.unstack(x, axis=1)[:2], Saver(), ("c", "h"))
    return script(outputs[-1], outputs[-1], [state.c, state.h])


def raw(tf, x, unstack, emit=None):
    """Applies a cell by `raw_rnn` to sequences of lengths 5, 2 and 3."""
    cell = tf.nn.rnn_cell.LSTMCell(2)
    rows = tf.TensorArray(x.dtype, 5, clear_after_read=False).unstack(tf.transpose(x, [1, 0, 2])) if unstack else None

    def loop_fn(time, output, state, loop_state):
        finished = time >= tf.constant([5, 2, 3])
        row = rows.read(tf.minimum(time, 4)) if unstack else x[:, 0]
        if output is None:
            return finished, row, cell.zero_state(3, x.dtype), emit, tf.constant([1.0]) if emit else None
        if emit:
            return finished, row, state, {"y": output, "time": tf.fill([3], time)}, 2.0 * loop_state
        return finished, row, state, output, None

    with tf.variable_scope("scope", initializer=slope(tf)):
        arrays, state, loop_state = tf.nn.raw_rnn(cell, loop_fn)
    return [tf.nest.map_structure(lambda array: array.stack(), arrays), state] + ([loop_state] if emit else [])


case("raw/plain", lambda tf, x: raw(tf, x, True), SEQUENCES, nodes=LOOP)
case("raw/emits", lambda tf, x: raw(tf, x, False, {"y": tf.zeros([2], x.dtype), "time": tf.zeros([], tf.int32)}),
     SEQUENCES, nodes=LOOP)


# What goes wrong.

for name, build in {
    "no_dtype": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), x),
    "lengths_rank": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), x, [[1, 2, 3]], dtype=tf.float32),
    "lengths_scalar": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), x, 3, dtype=tf.float32),
    "rank_2": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), x[0], dtype=tf.float32),
    "time_steps": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), (x, x[:, 1:]), dtype=tf.float32),
    "batches": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), (x, x[1:]), dtype=tf.float32),
    "cell": lambda tf, x, r: tf.nn.dynamic_rnn(3, x, dtype=tf.float32),
    "cell_bw": lambda tf, x, r: tf.nn.bidirectional_dynamic_rnn(r.GRUCell(2), 3, x, dtype=tf.float32),
    "dtypes": lambda tf, x, r: tf.nn.dynamic_rnn(
        r.BasicLSTMCell(2), x, initial_state=(tf.zeros([3, 2]), tf.zeros([3, 2], tf.float64))),
    "integers": lambda tf, x, r: tf.nn.dynamic_rnn(r.GRUCell(2), tf.cast(x, tf.int32), dtype=tf.int32),
    "static_inputs": lambda tf, x, r: tf.nn.static_rnn(r.GRUCell(2), x, dtype=tf.float32),
    "static_empty": lambda tf, x, r: tf.nn.static_rnn(r.GRUCell(2), [], dtype=tf.float32),
    "static_dtype": lambda tf, x, r: tf.nn.static_rnn(r.GRUCell(2), [x[:, 0]]),
    "static_batches": lambda tf, x, r: tf.nn.static_rnn(r.GRUCell(2), [x[:, 0], x[1:, 0]], dtype=tf.float32),
    "static_lengths": lambda tf, x, r: tf.nn.static_rnn(r.GRUCell(2), [x[:, 0]], None, tf.float32, [[1, 2, 3]]),
    "bidirectional_empty": lambda tf, x, r: tf.nn.static_bidirectional_rnn(
        r.GRUCell(2), r.GRUCell(2), [], dtype=x.dtype),
    "names_type": lambda tf, x, r: tf.nn.static_state_saving_rnn(r.BasicLSTMCell(2), [x[:, 0]], None, "s"),
    "names_number": lambda tf, x, r: tf.nn.static_state_saving_rnn(r.BasicLSTMCell(2), [x[:, 0]], None, ("s",)),
    "loop_fn": lambda tf, x, r: tf.nn.raw_rnn(r.GRUCell(2), 3),
    "raw_cell": lambda tf, x, r: tf.nn.raw_rnn(None, lambda: 3),
}.items():
    case("wrong/" + name, given_cells(build), SINGLE, raises=True)
for name, build in {
    "depth": lambda tf, x, r: tf.nn.dynamic_rnn(
        r.GRUCell(2), tf.placeholder(tf.float32, [3, 5, None]), dtype=tf.float32),
    "state_structure": lambda tf, x, r: tf.nn.dynamic_rnn(
        r.BasicLSTMCell(2), x, LENGTHS, initial_state=[tf.zeros([3, 2]), tf.zeros([3, 2])]),
    "static_depth": lambda tf, x, r: tf.nn.static_rnn(
        r.GRUCell(2), [tf.placeholder(tf.float32, [3, None])], None, x.dtype),
}.items():
    case("wrong/" + name, given_cells(build), SINGLE, raises=True, eager=GRAPHS, function=True)


def misbehaving(step):
    """`dynamic_rnn` of a cell whose step gives what it should not."""

    def build(tf, x):
        class Wrong(tf.nn.rnn_cell.RNNCell):
            state_size = output_size = property(lambda self: 2)

            def call(self, inputs, state):
                return step(tf, inputs, state)

        return tf.nn.dynamic_rnn(Wrong(), x, dtype=tf.float32)

    return build


for name, step in {
    "state": lambda tf, x, s: (x, (s, s)),
    "output_size": lambda tf, x, s: (x[:, :1], s),
    "state_size": lambda tf, x, s: (x, s[:, :1]),
}.items():
    case("wrong/cell_" + name, misbehaving(step), SINGLE, raises=True, eager=GRAPHS, function=True,
         message="Input tensor" if name == "state_size" else None)
