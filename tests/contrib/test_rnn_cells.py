"""The cells of `tf.contrib.rnn`, as far as the golden tests do not go."""
from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.platform import tf_logging

rnn = tf.contrib.rnn


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feed)


CELLS = {
    "UGRNNCell": lambda: rnn.UGRNNCell(3),
    "IntersectionRNNCell": lambda: rnn.IntersectionRNNCell(4),
    "NASCell": lambda: rnn.NASCell(3, num_proj=2),
    "SRUCell": lambda: rnn.SRUCell(3),
    "IndyLSTMCell": lambda: rnn.IndyLSTMCell(3),
    "LayerNormBasicLSTMCell": lambda: rnn.LayerNormBasicLSTMCell(3),
    "CoupledInputForgetGateLSTMCell": lambda: rnn.CoupledInputForgetGateLSTMCell(4, True, num_unit_shards=2),
    "GLSTMCell": lambda: rnn.GLSTMCell(4, number_of_groups=2),
    "GridLSTMCell": lambda: rnn.GridLSTMCell(2, feature_size=2, frequency_skip=2, num_frequency_blocks=[2]),
    "AttentionCellWrapper": lambda: rnn.AttentionCellWrapper(rnn.GRUCell(3), 2),
    "HighwayWrapper": lambda: rnn.HighwayWrapper(rnn.GRUCell(4)),
    "OutputProjectionWrapper": lambda: rnn.OutputProjectionWrapper(rnn.UGRNNCell(3), 2),
    "LSTMBlockCell": lambda: rnn.LSTMBlockCell(3),
    "GRUBlockCell": lambda: rnn.GRUBlockCell(3),
}


@pytest.mark.parametrize("name", CELLS)
def test_steps_in_a_loop_and_in_a_row_agree(name: str) -> None:
    """Values, states and gradients by all variables of `dynamic_rnn` and of `static_rnn`."""
    x = tf.constant(np.random.RandomState(0).uniform(-1, 1, [5, 3, 4]).astype(np.float32))
    results = []
    for dynamic, reuse in ((True, False), (False, True)):
        with tf.variable_scope("net", reuse=reuse, initializer=tf.random_uniform_initializer(-0.5, 0.5, seed=2)):
            fused = rnn.FusedRNNCellAdaptor(CELLS[name](), use_dynamic_rnn=dynamic)
            outputs, state = fused(x, dtype=tf.float32, sequence_length=[5, 2, 0])
            gradients = tf.gradients([outputs, *tf.nest.flatten(state)], tf.trainable_variables())
            results.append([outputs, *tf.nest.flatten(state), *gradients])
    assert None not in [type(value) for value in results[0]]
    for one, two in zip(*run(results), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_cell_is_used_in_many_places_with_one_set_of_weights() -> None:
    cell = rnn.UGRNNCell(3)
    with tf.variable_scope("first"):
        cell(tf.zeros([2, 4]), tf.zeros([2, 3]))
    with tf.variable_scope("second"):
        cell(tf.zeros([2, 4]), tf.zeros([2, 3]))
    assert [v.name for v in tf.global_variables()] == ["first/ugrnn_cell/kernel:0", "first/ugrnn_cell/bias:0"]


def test_frequencies_of_a_batch_of_unknown_size() -> None:
    """TensorFlow's cell asks for the size."""
    x = tf.placeholder(tf.float32, [None, 4])
    cell = rnn.TimeFreqLSTMCell(2, feature_size=2, frequency_skip=2)
    output, _ = cell(x, tf.zeros([tf.shape(x)[0], 8]))
    assert run(output, {x: np.ones([3, 4])}).shape == (3, 4)


def test_inputs_of_another_rank() -> None:
    cell = tf.contrib.rnn.NASCell(2)
    with pytest.raises(ValueError, match=r"Shape \(3,\) must have rank 2"):
        cell(tf.placeholder(tf.float32, [3]), cell.zero_state(3, tf.float32))


def test_phase_keeps_its_unit_closed() -> None:
    """A unit whose period has not come keeps its state, but for the leak."""
    cell = rnn.PhasedLSTMCell(2, leak=0.0, ratio_on=0.1)
    state = rnn.LSTMStateTuple(tf.ones([1, 2]), tf.ones([1, 2]))
    output, new = cell((tf.constant([[50.0]]), tf.ones([1, 3])), state)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        variables = {v.op.name.rpartition("/")[2]: v for v in tf.global_variables()}
        variables["period"].load(np.array([100.0, 100.0]), session)
        variables["phase"].load(np.array([0.0, 45.0]), session)
        found = session.run(new)
    assert found.c[0, 0] == 1.0 and found.c[0, 1] != 1.0


def test_warnings_of_unused_arguments(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf_logging, "_counts", {})
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        rnn.LayerNormBasicLSTMCell(2, input_size=3)
        rnn.AttentionCellWrapper(rnn.SRUCell(2), 3, state_is_tuple=False)
    texts = [record.getMessage() for record in caplog.records]
    assert "The input_size parameter is deprecated." in texts[0] and "Use state_is_tuple=True." in texts[1]


def test_examples_of_the_documentation() -> None:
    """Each example runs, and prints what it says."""
    import doctest
    import importlib

    import millstream.contrib.rnn as package

    failed = []
    for path in sorted(Path(inspect.getfile(package)).parent.glob("*.py")):
        module = importlib.import_module(f"millstream.contrib.rnn.{path.stem}")
        for test in doctest.DocTestFinder().find(module, extraglobs={"tf": tf}):
            with tf.Graph().as_default():
                if doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=failed.append).failed:
                    failed.append(test.name)
    assert failed == []
