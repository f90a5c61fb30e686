"""Cells and layers of `tf.contrib.rnn` that are one operation: LSTMBlockCell, GRUBlockCell, BlockLSTM."""
from __future__ import annotations

from ..spec import Family, f16, f32, i32, noise, script
from .contrib_rnn import numbers, states

FAMILY = Family("contrib_rnn_block", ulps=64, near="max", unknown=False, gradient="all")
case = FAMILY.case
CHANCE = "eager seeds are others"
GRAPHS = "it is about graphs"
LOOP = "a loop is one While node here"
KNOWN = {"eager": "shapes are known", "function": True}

ROWS, SERIES = f32(noise(3, 4)), f32(noise(5, 3, 4))
LENGTHS = [4, 0, 2]

CELLS = {
    "lstm": lambda r, **k: r.LSTMBlockCell(2, **k),
    "lstm_peepholes": lambda r, **k: r.LSTMBlockCell(2, forget_bias=0.3, use_peephole=True, **k),
    "lstm_clipped": lambda r, **k: r.LSTMBlockCell(2, cell_clip=0.5, use_peephole=True, name="clipped", **k),
    "gru": lambda r: r.GRUBlockCell(2),
    "gru_size": lambda r: r.GRUBlockCell(cell_size=3, name="older"),
    "gru_v2": lambda r: r.GRUBlockCellV2(2),
}


def one_step(make, **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            cell = make(tf.contrib.rnn, **kwargs)
            return cell(x, states(tf, cell, dtype=x.dtype.name))

    return build


def steps(make, **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            cell = make(tf.contrib.rnn)
            return tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, time_major=True, **kwargs)

    return build


for name, make in CELLS.items():
    case("step/" + name, one_step(make), ROWS)
    case("dynamic/" + name, steps(make), SERIES, nodes=LOOP)
case("ragged/lstm", steps(CELLS["lstm"], sequence_length=LENGTHS), SERIES, nodes=LOOP)
case("step/half", one_step(CELLS["lstm_clipped"], dtype="float16"), f16(noise(3, 4)), gradient=False)


@case("step/initial", None, ROWS, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(4)
    for name, make in sorted(CELLS.items()):
        with tf.variable_scope(name):
            cell = make(tf.contrib.rnn)
            cell(x, states(tf, cell, dtype="float32"))
    return [v.read_value() for v in tf.global_variables()], [v.name for v in tf.trainable_variables()]


# Whole sequences.


def fused(layer=None, **kwargs):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            made = tf.contrib.rnn.LSTMBlockFusedCell(2, **(layer or {}))
            return made(x, **dict(kwargs, dtype=tf.float32))

    return build


PEEPHOLES = dict(forget_bias=0.2, use_peephole=True, cell_clip=0.6)
case("fused/plain", fused(), SERIES)
case("fused/peepholes", fused(PEEPHOLES), SERIES)
case("fused/named", fused(dict(name="layer", cell_clip=2.0)), SERIES)
case("fused/lengths", fused(PEEPHOLES, sequence_length=LENGTHS), SERIES)
case("fused/lengths_shorter", fused(sequence_length=[1, 2, 2]), SERIES)
case("fused/unknown", fused(PEEPHOLES), SERIES._replace(shape=[None, None, 4]))
case("fused/unknown_lengths", fused(sequence_length=LENGTHS), SERIES._replace(shape=[None, None, 4]))


@case("fused/state", None, SERIES, f32(noise(3, 2)), f32(noise(3, 2, seed=1)))
def _(tf, x, c, h):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        return tf.contrib.rnn.LSTMBlockFusedCell(2, **PEEPHOLES)(x, initial_state=(c, h), sequence_length=LENGTHS)


@case("fused/lengths_fed", None, SERIES, i32(LENGTHS))
def _(tf, x, lengths):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        layer = tf.contrib.rnn.LSTMBlockFusedCell(2)
        return layer(x, dtype=tf.float32, sequence_length=lengths)


@case("fused/reversed", None, SERIES, i32(LENGTHS))
def _(tf, x, lengths):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        layer = tf.contrib.rnn.TimeReversedFusedRNN(tf.contrib.rnn.LSTMBlockFusedCell(2))
        return layer(x, dtype=tf.float32), layer(x, dtype=tf.float32, sequence_length=lengths)


@case("fused/initial", None, SERIES, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(4)
    layer = tf.contrib.rnn.LSTMBlockFusedCell(2, use_peephole=True)
    outputs, _ = layer(x, dtype=tf.float32)
    return [v.read_value() for v in tf.global_variables()], [[v.name, str(v.shape)] for v in layer.weights], outputs


@case("fused/training", None, SERIES, eager=GRAPHS, nodes="graphs of gradients are simpler here")
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        outputs, last = tf.contrib.rnn.LSTMBlockFusedCell(2, **PEEPHOLES)(
            x, dtype=tf.float32, sequence_length=tf.constant(LENGTHS))
    gradients = tf.gradients([outputs, last.c], tf.trainable_variables())
    return script([g + 0.0 for g in gradients])


@case("fused/as_cell", None, SERIES)
def _(tf, x):
    """The layer, and the cell in a loop with the same variables."""
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        outputs, last = tf.contrib.rnn.LSTMBlockFusedCell(2, name="lstm_cell")(x, dtype=tf.float32)
        steps, state = tf.nn.static_rnn(
            tf.contrib.rnn.LSTMBlockCell(2, name="lstm_cell"), tf.unstack(x), dtype=tf.float32, scope="lstm")
    return outputs, tf.stack(steps), last, state


# The operations themselves.


def weights(tf, cells=2, inputs=4):
    sizes = [[inputs + cells, 4 * cells], [cells], [cells], [cells], [4 * cells]]
    return [tf.constant(noise(*size, seed=i), tf.float32) for i, size in enumerate(sizes)]


def block(tf, length, x, c, h, **attrs):
    w, wci, wcf, wco, b = weights(tf)
    return tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(length, tf.int64), x=x, cs_prev=c, h_prev=h, w=w, wci=wci, wcf=wcf, wco=wco, b=b, **attrs)


STATE = f32(noise(3, 2)), f32(noise(3, 2, seed=1))


@case("op/block_lstm", None, SERIES, *STATE)
def _(tf, x, c, h):
    found = block(tf, 5, x, c, h, use_peephole=True)
    return list(found)[:2], found.h


@case("op/block_lstm_all", None, SERIES, *STATE, gradient=False)
def _(tf, x, c, h):
    return list(block(tf, 5, x, c, h, cell_clip=0.3, forget_bias=-0.5))


@case("op/block_lstm_short", None, SERIES, *STATE)
def _(tf, x, c, h):
    """From the third step on the states and the outputs are 0."""
    found = block(tf, 2, x, c, h)
    return found.cs, found.h


@case("op/block_lstm_length_fed", None, SERIES, i32(3), *STATE)
def _(tf, x, length, c, h):
    found = block(tf, length, x, c, h, use_peephole=True)
    return found.cs, found.h


@case("op/block_lstm_v2", None, SERIES, *STATE, gradient=False)
def _(tf, x, c, h):
    """TensorFlow's gradient of this one takes the gates in another order on CPU."""
    w, wci, wcf, wco, b = weights(tf)
    return list(tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.constant(5, tf.int64), x=x, cs_prev=c, h_prev=h, w=w, wci=wci, wcf=wcf, wco=wco, b=b,
        use_peephole=True, cell_clip=0.5))


@case("op/lstm_cell", None, ROWS, *STATE)
def _(tf, x, c, h):
    w, wci, wcf, wco, b = weights(tf)
    found = tf.raw_ops.LSTMBlockCell(x=x, cs_prev=c, h_prev=h, w=w, wci=wci, wcf=wcf, wco=wco, b=b, use_peephole=True)
    return found.cs, found.h


@case("op/gru_cell", None, ROWS, STATE[0])
def _(tf, x, h):
    w, _, _, _, b = weights(tf)
    return tf.raw_ops.GRUBlockCell(x=x, h_prev=h, w_ru=w[:, :4], w_c=w[:, 4:6], b_ru=b[:4], b_c=b[4:6]).h


# Bad arguments.


@case("refused/lstm_op", None, ROWS, STATE[0], f32(noise(2, 2)), raises=True)
def _(tf, x, c, h):
    w, wci, wcf, wco, b = weights(tf)
    return tf.raw_ops.LSTMBlockCell(x=x, cs_prev=c, h_prev=h, w=w, wci=wci, wcf=wcf, wco=wco, b=b).h


@case("refused/bias", None, SERIES, *STATE, raises=True)
def _(tf, x, c, h):
    w, wci, wcf, wco, b = weights(tf)
    return tf.raw_ops.BlockLSTM(seq_len_max=tf.constant(5, tf.int64), x=x, cs_prev=c, h_prev=h, w=w, wci=wci, wcf=wcf,
                                wco=wco, b=b[:7]).h


@case("refused/weights", None, SERIES, *STATE, raises=True)
def _(tf, x, c, h):
    w, wci, wcf, wco, b = weights(tf)
    return tf.raw_ops.BlockLSTM(seq_len_max=tf.constant(5, tf.int64), x=x, cs_prev=c, h_prev=h, w=w[1:], wci=wci,
                                wcf=wcf, wco=wco, b=b).h


case("refused/rank", lambda tf, x, c, h: block(tf, 5, x, c, h).h, ROWS, *STATE, raises=True)
case("refused/second", lambda tf, x, c, h: tf.gradients(tf.gradients(block(tf, 5, x, c, h).h, x), x), SERIES, *STATE,
     raises=True, eager=GRAPHS, message="No gradient defined for operation")
case("refused/no_dtype", lambda tf, x: tf.contrib.rnn.LSTMBlockFusedCell(2)(x), SERIES, raises=True, message="")
case("refused/state", lambda tf, x, c: tf.contrib.rnn.LSTMBlockFusedCell(2)(x, initial_state=(c,)), SERIES, STATE[0],
     raises=True, message="")
case("refused/rank_of_layer", fused(), ROWS, raises=True)
case("refused/list", lambda tf, x: tf.contrib.rnn.LSTMBlockFusedCell(2)([x, x], dtype=tf.float32), ROWS, raises=True,
     message="Layer lstm_fused_cell expects 1 inputs, but it received 2 input tensors.")
case("refused/lstm_state", lambda tf, x, c: tf.contrib.rnn.LSTMBlockCell(2)(x, (c,)), ROWS, STATE[0], raises=True,
     message="")
case("refused/lstm_size", one_step(CELLS["lstm"]), ROWS._replace(shape=[3, None]), raises=True, **KNOWN)
case("refused/gru_size", one_step(CELLS["gru"]), ROWS._replace(shape=[3, None]), raises=True, **KNOWN)
case("refused/gru_no_units", lambda tf: tf.contrib.rnn.GRUBlockCell(), raises=True)
case("refused/gru_two_units", lambda tf: tf.contrib.rnn.GRUBlockCellV2(2, cell_size=2), raises=True)
case("refused/wrapper", lambda tf: tf.contrib.rnn.LSTMBlockWrapper(), raises=True,
     message="Can't instantiate abstract class")
