"""Cells along time and frequency of `tf.contrib.rnn`: `TimeFreqLSTMCell` and the grid LSTM cells."""
from __future__ import annotations

from ..spec import Family, f32, f64, noise
from .contrib_rnn import numbers, states

FAMILY = Family("contrib_rnn_grid", ulps=64, near="max", unknown=False)
case = FAMILY.case
CHANCE = "eager seeds are others"
GRAPHS = "it is about graphs"
LOOP = "a loop is one While node here"
COMPARED = "other cases of single steps compare them"

SPECTRUM, SERIES = f64(noise(2, 5)), f64(noise(2, 3, 5))


def cells(cell):
    return lambda *args, **kwargs: lambda r: getattr(r, cell)(*args, **kwargs)


time_frequency, grid, both_ways = cells("TimeFreqLSTMCell"), cells("GridLSTMCell"), cells("BidirectionalGridLSTMCell")
WINDOWS = dict(feature_size=2, frequency_skip=1, num_frequency_blocks=[4])
TWO = dict(feature_size=2, frequency_skip=1, num_frequency_blocks=[1, 2], start_freqindex_list=[0, 2],
           end_freqindex_list=[2, 5])

CELLS = {
    "plain": grid(2, **WINDOWS),
    "peepholes": grid(2, use_peepholes=True, cell_clip=0.4, **WINDOWS),
    "blocks": grid(2, use_peepholes=True, forget_bias=0.2, **TWO),
    "shared": grid(2, use_peepholes=True, share_time_frequency_weights=True, **TWO),
    "coupled": grid(2, use_peepholes=True, couple_input_forget_gates=True, **WINDOWS),
    "coupled_shared": grid(2, couple_input_forget_gates=True, share_time_frequency_weights=True, **WINDOWS),
    "joined": grid(2, state_is_tuple=False, **WINDOWS),
    "joined_blocks": grid(2, state_is_tuple=False, use_peepholes=True, couple_input_forget_gates=True, **TWO),
    "shards": grid(3, num_unit_shards=3, feature_size=3, frequency_skip=2, num_frequency_blocks=[2]),
    "both_ways": both_ways(2, **WINDOWS),
    "both_ways_blocks": both_ways(
        2, use_peepholes=True, share_time_frequency_weights=True, couple_input_forget_gates=True, **TWO),
    "both_ways_ahead": both_ways(2, backward_slice_offset=2, **TWO),
    "both_ways_behind": both_ways(2, backward_slice_offset=-1, cell_clip=0.3, **WINDOWS),
}  # fmt: skip


def one_step(make, state=states):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            cell = make(tf.contrib.rnn)
            return cell(x, state(tf, cell, batch=2))

    return build


def steps(make):
    def build(tf, x):
        with tf.variable_scope("scope", custom_getter=numbers(tf)):
            outputs, state = tf.nn.dynamic_rnn(make(tf.contrib.rnn), x, dtype=tf.float64)
        return outputs, list(tf.nest.flatten(state))

    return build


for name, make in CELLS.items():
    nodes = COMPARED if name in ("both_ways", "both_ways_ahead", "shards") else True
    case("grid/" + name, one_step(make), SPECTRUM, nodes=nodes)
for name in ("peepholes", "shared", "joined", "both_ways"):
    case("dynamic/" + name, steps(CELLS[name]), SERIES, nodes=LOOP)


@case("grid/about", eager=GRAPHS, nodes=COMPARED)
def _(tf):
    seen = []
    for _, make in sorted(CELLS.items()):
        cell = make(tf.contrib.rnn)
        kind = cell.state_tuple_type
        names = str([t.name for t in tf.nest.flatten(cell.zero_state(3, tf.float32))])
        seen.append([str(cell.state_size), cell.output_size, kind and kind.__name__, names])
    return seen


@case("grid/initial", None, SPECTRUM, eager=CHANCE, nodes=COMPARED)
def _(tf, x):
    tf.set_random_seed(3)
    for name, make in sorted(CELLS.items()):
        with tf.variable_scope(name):
            cell = make(tf.contrib.rnn)
            cell(x, states(tf, cell, batch=2))
    variables = tf.global_variables()
    return [v.read_value() for v in variables], [[v.name, v.dtype.name] for v in variables]


@case("grid/unknown_batch", None, SPECTRUM._replace(shape=[None, 5]))
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = CELLS["plain"](tf.contrib.rnn)
        return cell(x, cell.zero_state(tf.shape(x)[0], tf.float64))


@case("grid/single", None, f32(noise(2, 5)), gradient="all")
def _(tf, x):
    with tf.variable_scope("scope", custom_getter=numbers(tf)):
        cell = CELLS["blocks"](tf.contrib.rnn)
        return cell(x, states(tf, cell, batch=2, dtype="float32"))


# Along frequency only.


def series(windows):
    """The states of all windows."""
    return lambda tf, cell, batch: tf.constant(noise(batch, windows * cell.state_size), "float64")


for name, make, windows in (
        ("plain", time_frequency(2, feature_size=3, frequency_skip=2), 2),
        ("peepholes", time_frequency(2, use_peepholes=True, cell_clip=0.4, forget_bias=0.3, feature_size=2), 4),
        ("one", time_frequency(2, feature_size=5, frequency_skip=5), 1),
        ("shards", time_frequency(3, num_unit_shards=4, feature_size=4, frequency_skip=3), 1)):
    case("time_frequency/" + name, one_step(make, series(windows)), SPECTRUM)


@case("time_frequency/about", None, SPECTRUM, eager=CHANCE)
def _(tf, x):
    tf.set_random_seed(3)
    cell = tf.contrib.rnn.TimeFreqLSTMCell(2, True, feature_size=3, frequency_skip=2, num_unit_shards=2)
    cell(x, series(2)(tf, cell, 2))
    variables = tf.global_variables()
    names = [[v.name, v.dtype.name] for v in variables]
    return [v.read_value() for v in variables], names, cell.state_size, cell.output_size


# Bad arguments.


def refused(name, make, size=5, **kwargs):
    @case("refused/" + name, None, SPECTRUM._replace(shape=[2, size]), raises=True, **kwargs)
    def _(tf, x):
        cell = make(tf.contrib.rnn)
        return cell(x, states(tf, cell, batch=2))


KNOWN = {"eager": "shapes are known", "function": True}
refused("no_blocks", grid(2, feature_size=2, frequency_skip=1))
refused("too_few", grid(2, feature_size=2, frequency_skip=1, num_frequency_blocks=[3]), message="")
refused("too_many", grid(2, feature_size=2, frequency_skip=2, num_frequency_blocks=[3]), message="")
refused("ranges", grid(2, feature_size=2, frequency_skip=2, num_frequency_blocks=[1, 1]), message="")
refused("ends", grid(2, **dict(TWO, end_freqindex_list=[2])), message="")
refused("starts", grid(2, **dict(TWO, num_frequency_blocks=[3])), message="")
refused("size", grid(2, **WINDOWS), None, **KNOWN, message="")
refused("time_frequency_size", time_frequency(2, feature_size=2), None, **KNOWN, message="")
