"""Cells, as far as the golden tests do not go."""
from __future__ import annotations

import copy
import logging
from typing import Any

import numpy as np
import pytest

import millstream as tf2
import millstream.v1 as tf
from millstream.core import context
from millstream.platform import tf_logging
from millstream.rnn.cell import check_is_cell

rnn_cell = tf.nn.rnn_cell


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feed)


def names(things: Any) -> list[str]:
    return [thing.name for thing in things]


class Adder(rnn_cell.RNNCell):
    """output = next state = state + input · w."""

    state_size = output_size = 2

    def call(self, inputs: Any, state: Any) -> Any:
        new = state + tf.matmul(inputs, tf.get_variable("w", [2, 2], initializer=tf.ones_initializer()))
        return new, new


# --- Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    "RNNCell BasicRNNCell BasicLSTMCell LSTMCell GRUCell MultiRNNCell DropoutWrapper ResidualWrapper DeviceWrapper "
    "LSTMStateTuple".split(),
)
def test_one_class_has_all_names(name: str) -> None:
    cell = getattr(rnn_cell, name)
    assert cell is getattr(tf.contrib.rnn, name)
    assert cell is getattr(tf2.compat.v1.nn.rnn_cell, name)
    assert isinstance(cell, type) and cell.__doc__


def test_public_base_of_contrib() -> None:
    assert issubclass(rnn_cell.GRUCell, tf.contrib.rnn.LayerRNNCell)
    assert issubclass(tf.contrib.rnn.LayerRNNCell, rnn_cell.RNNCell)
    assert issubclass(rnn_cell.RNNCell, tf.layers.Layer)


# --- States ---------------------------------------------------------------------------------------------------------


def test_state_tuple() -> None:
    state = rnn_cell.LSTMStateTuple(c=1, h=2)
    assert repr(state) == "LSTMStateTuple(c=1, h=2)"
    assert state == (1, 2) and state._replace(c=3).c == 3
    doubled = tf.nest.map_structure(lambda size: 2 * size, state)
    assert type(doubled) is rnn_cell.LSTMStateTuple and doubled == (2, 4)


def test_zero_state_of_nested_sizes() -> None:
    class Nested(rnn_cell.RNNCell):
        state_size = [2, (tf.TensorShape([3, 4]), {"a": 5})]
        output_size = 2

    state = Nested().zero_state(tf.placeholder_with_default(6, []), tf.float64)
    assert [t.shape.as_list() for t in tf.nest.flatten(state)] == [[None, 2], [None, 3, 4], [None, 5]]
    assert [value.shape for value in tf.nest.flatten(run(state))] == [(6, 2), (6, 3, 4), (6, 5)]


def test_zero_state_is_kept_in_eager_execution() -> None:
    graph_cell = rnn_cell.BasicLSTMCell(4)
    assert graph_cell.zero_state(3, tf.float32) is not graph_cell.zero_state(3, tf.float32)
    with context.mode(True):
        cell = rnn_cell.BasicLSTMCell(4)
        state = cell.zero_state(3, tf.float32)
        assert cell.zero_state(3, tf.float32) is state
        assert cell.zero_state(2, tf.float32).c.shape == (2, 4)
        assert cell.zero_state(2, tf.float64).c.dtype == tf.float64


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_own_cell_in_two_scopes() -> None:
    cell, x = Adder(), tf.ones([3, 2])
    state = cell.zero_state(3, tf.float32)
    with tf.variable_scope("a"):
        one, _ = cell(x, state)
    two, _ = cell(x, one)
    assert names(tf.trainable_variables()) == ["a/adder/w:0"] == names(cell.trainable_variables)
    np.testing.assert_array_equal(run(two), np.full([3, 2], 4.0))


def test_copies_have_weights_of_their_own() -> None:
    x = tf.ones([3, 2])
    first = rnn_cell.DropoutWrapper(rnn_cell.GRUCell(2), output_keep_prob=0.5, seed=3)
    cell = rnn_cell.MultiRNNCell([first, copy.deepcopy(first)])
    cell(x, cell.zero_state(3, tf.float32))
    assert len(tf.trainable_variables()) == 8
    assert len({id(part) for part in cell._cells}) == 2


def test_keras_activations_and_initialisers_by_name() -> None:
    cell = rnn_cell.GRUCell(2, activation="relu", kernel_initializer="zeros", bias_initializer="ones")
    output, _ = cell(tf.ones([1, 2]), tf.ones([1, 2]))
    keep = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(run(output), [[keep + (1 - keep) * 1.0] * 2], rtol=1e-6)


def test_build_without_inputs() -> None:
    cell = rnn_cell.LSTMCell(4, num_proj=3, use_peepholes=True)
    cell.build((None, 2))
    assert cell.built and [v.shape.as_list() for v in cell.weights] == [[5, 16], [16], [4], [4], [4], [4, 3]]


def test_weights_of_a_stack_that_is_not_trained() -> None:
    cell = rnn_cell.MultiRNNCell([rnn_cell.GRUCell(2), rnn_cell.BasicRNNCell(2)])
    cell(tf.ones([1, 2]), cell.zero_state(1, tf.float32))
    assert len(cell.trainable_weights) == 6 and not cell.non_trainable_weights
    cell.trainable = False
    assert not cell.trainable_weights and len(cell.non_trainable_weights) == len(cell.weights) == 6


def test_device_wrapper() -> None:
    cell = rnn_cell.DeviceWrapper(rnn_cell.GRUCell(2), "/cpu:0")
    state = cell.zero_state(3, tf.float32)
    output, _ = cell(tf.ones([3, 2]), state)
    assert state.device == output.device == "/device:CPU:0"
    assert run(output).shape == (3, 2)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_dropout_of_all_or_nothing(probability: float) -> None:
    cell = rnn_cell.DropoutWrapper(rnn_cell.GRUCell(2), output_keep_prob=probability)
    if probability == 0.0:
        with pytest.raises(ValueError, match="rate"):
            cell(tf.ones([3, 2]), cell.zero_state(3, tf.float32))
    else:
        output, state = cell(tf.ones([3, 2]), cell.zero_state(3, tf.float32))
        assert output is state


def test_variational_dropout_keeps_its_mask_in_a_run() -> None:
    class Constant(rnn_cell.RNNCell):
        state_size = output_size = 50

        def call(self, inputs: Any, state: Any) -> Any:
            return tf.ones_like(state), state

    cell = rnn_cell.DropoutWrapper(Constant(), output_keep_prob=0.5, variational_recurrent=True, dtype=tf.float32)
    outputs, _ = tf.nn.dynamic_rnn(cell, tf.zeros([2, 4, 1]), dtype=tf.float32)
    with tf.Session() as session:
        one, two = session.run(outputs), session.run(outputs)
    for masks in one, two:
        assert (masks == masks[0, 0]).all() and set(np.unique(masks)) == {0.0, 2.0}
    assert (one != two).any()


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_a_shared_cell_is_warned_of_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf_logging, "_counts", {})
    cell = rnn_cell.GRUCell(2)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        for _ in range(2):
            rnn_cell.MultiRNNCell([cell, cell])
    (record,) = caplog.records
    assert "are the same object and will share weights." in record.getMessage()


def test_states_of_the_wrong_form() -> None:
    x = tf.ones([3, 2])
    for state in (x, (x,)):
        cell = rnn_cell.MultiRNNCell([rnn_cell.GRUCell(2), rnn_cell.GRUCell(2)])
        with pytest.raises(ValueError, match="Expected state to be a tuple of length 2, but received: "):
            cell(x, state)


def test_wrappers_need_the_cell_itself() -> None:
    config = rnn_cell.DropoutWrapper(rnn_cell.GRUCell(2), 0.5).get_config()
    with pytest.raises(ValueError, match="cannot reconstruct the wrapped cell"):
        rnn_cell.DropoutWrapper.from_config(config)
    again = rnn_cell.DropoutWrapper.from_config(config | {"cell": rnn_cell.GRUCell(2), "name": "again"})
    assert again.get_config()["input_keep_prob"] == 0.5 and again.name == "again"


def test_what_is_a_cell() -> None:
    class Like:
        state_size = output_size = 1

        def get_initial_state(self) -> None: ...

        def __call__(self) -> None: ...

    check_is_cell("cell", Like())
    del Like.get_initial_state
    with pytest.raises(TypeError, match="The argument 'cell' .* 'zero_state' or 'get_initial_state' method is req"):
        check_is_cell("cell", Like())


def test_filter_of_states_gives_nonsense() -> None:
    cell = rnn_cell.DropoutWrapper(
        rnn_cell.GRUCell(2), state_keep_prob=0.5, dropout_state_filter_visitor=lambda state: "yes"
    )
    with pytest.raises(TypeError, match="traverse_fn returned 'yes' for non-structure"):
        cell(tf.ones([3, 2]), cell.zero_state(3, tf.float32))
