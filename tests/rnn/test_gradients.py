"""Derivatives through sequences agree with numerical ones."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from modes import MODES
from numeric import assert_gradients

import millstream.v1 as tf

CELLS = {
    "basic": lambda r: r.BasicRNNCell(2),
    "gru": lambda r: r.GRUCell(2),
    "basic_lstm": lambda r: r.BasicLSTMCell(2),
    "lstm": lambda r: r.LSTMCell(2, use_peepholes=True, num_proj=1, cell_clip=0.8),
    "multi": lambda r: r.MultiRNNCell([r.GRUCell(2), r.ResidualWrapper(r.BasicLSTMCell(2))]),
}
LENGTHS = [3, 0, 2]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def ramp(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    return tf.constant(np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape), dtype)


def joined(outputs: Any, state: Any) -> Any:
    """All numbers that a network gives, in a vector."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in [outputs, *tf.nest.flatten(state)]], 0)


def unrolled(make: Callable[[Any], Any], lengths: Any = None) -> Callable[..., Any]:
    def build(x: Any, *first: Any) -> Any:
        with tf.variable_scope("scope", initializer=ramp, reuse=tf.AUTO_REUSE, dtype=tf.float64):
            cell = make(tf.nn.rnn_cell)
            state = tf.nest.pack_sequence_as(cell.state_size, first) if first else None
            return joined(*tf.nn.dynamic_rnn(cell, x, lengths, initial_state=state, dtype=tf.float64))

    return build


def initialised(build: Callable[..., Any]) -> Callable[..., Any]:
    """As `build`, with weights that are constants, so that nothing has to be initialised."""

    def with_constants(*tensors: Any) -> Any:
        def get(getter: Any, name: str, shape: Any, initializer: Any = None, dtype: Any = None, **_: Any) -> Any:
            return (initializer or ramp)(shape, dtype)

        with tf.variable_scope("outer", custom_getter=get):
            return build(*tensors)

    return with_constants


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
def test_by_inputs_and_first_state(cell: str, lengths: Any) -> None:
    sizes = tf.nest.flatten(CELLS[cell](tf.nn.rnn_cell).state_size)
    states = [noise(3, size, seed=i + 1) for i, size in enumerate(sizes)]
    assert_gradients(initialised(unrolled(CELLS[cell], lengths)), noise(3, 3, 2), *states)


@pytest.mark.parametrize("mode", MODES)
def test_in_all_modes(mode: str) -> None:
    assert_gradients(initialised(unrolled(CELLS["lstm"], LENGTHS)), noise(3, 3, 2), mode=mode)


@pytest.mark.parametrize("cell", ["basic", "gru", "basic_lstm", "lstm"])
def test_by_weights(cell: str) -> None:
    with tf.Graph().as_default():
        made = CELLS[cell](tf.nn.rnn_cell)
        made.build(tf.TensorShape([3, 2]))
        shapes = {v.op.name: v.shape.as_list() for v in made.weights}
    weights = {name: noise(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}

    def build(*tensors: Any) -> Any:
        given = {name.partition("/")[2]: tensor for name, tensor in zip(weights, tensors, strict=True)}
        place = "rnn/" + next(iter(weights)).partition("/")[0] + "/"

        def get(getter: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            return given[name.partition(place)[2]]

        with tf.variable_scope("outer", custom_getter=get):
            return unrolled(CELLS[cell], LENGTHS)(tf.constant(noise(3, 3, 2)))

    assert_gradients(build, *weights.values())


def test_second_derivatives() -> None:
    def slope(x: Any) -> Any:
        y = initialised(unrolled(CELLS["basic_lstm"], LENGTHS))(x)
        return tf.gradients(tf.reduce_sum(tf.square(y)), x)[0]

    assert_gradients(slope, noise(3, 3, 2), shapes=[[None, None, 2]])


@pytest.mark.parametrize("kind", ["static", "bidirectional", "static_bidirectional", "raw"])
def test_other_functions(kind: str) -> None:
    def build(x: Any) -> Any:
        r = tf.nn.rnn_cell
        with tf.variable_scope("scope", initializer=ramp):
            if kind == "static":
                outputs, state = tf.nn.static_rnn(
                    r.GRUCell(2), tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=LENGTHS
                )
            elif kind == "bidirectional":
                outputs, state = tf.nn.bidirectional_dynamic_rnn(
                    r.GRUCell(2), r.BasicLSTMCell(2), x, LENGTHS, dtype=tf.float64
                )
            elif kind == "static_bidirectional":
                outputs, *state = tf.nn.static_bidirectional_rnn(
                    r.GRUCell(2), r.BasicRNNCell(2), tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=LENGTHS
                )
            else:
                outputs, state = raw(x, r.GRUCell(2))
            return joined(tf.stack(outputs), state)

    assert_gradients(initialised(build), noise(3, 3, 2))


def raw(x: Any, cell: Any) -> Any:
    def loop_fn(time: Any, output: Any, state: Any, loop_state: Any) -> Any:
        state = cell.zero_state(3, tf.float64) if output is None else state
        return time >= tf.constant(LENGTHS), x[:, tf.minimum(time, 2)], state, output, None

    arrays, state, _ = tf.nn.raw_rnn(cell, loop_fn)
    return arrays.stack(), state
