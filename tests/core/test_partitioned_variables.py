"""Partitioned variables outside of 1.x graphs, and what golden cases do not reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import context
from millstream.core.partitioned_variable import PartitionedVariable, PartitionInfo, slices

RAMP = np.arange(10, dtype=np.float32).reshape(5, 2)


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def variable(parts: int = 2, name: str = "v", **options: Any) -> Any:
    value = tf.constant(RAMP)
    return tf.get_variable(name, initializer=value, partitioner=tf.fixed_size_partitioner(parts), **options)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_eager_execution(parts: int) -> None:
    with context.mode(True):
        v = variable(parts)
        assert v is not variable(parts)  # nothing is shared
        assert [part.name for part in v] == [f"v/part_{number}:0" for number in range(parts)]
        assert (v.as_tensor().numpy() == RAMP).all()
        v.assign(RAMP * 2)
        v.assign_sub([part * 0.5 for part in v])
        assert (tf.convert_to_tensor(v).numpy() == RAMP).all()
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.matmul(tf.constant([[0.0, 1.0, 2.0, 3.0, 4.0]]), v))
        grads = tape.gradient(y, list(v))
        assert (tf.concat(grads, 0).numpy() == np.arange(5)[:, None]).all()
        assert (tf.nn.embedding_lookup(v, [4, 0], "div").numpy() == RAMP[[4, 0]]).all()


def test_functions() -> None:
    with context.mode(True):
        v = variable()
        double = tf.function(lambda: tf.convert_to_tensor(v) * 2.0)
        assert (double().numpy() == 2 * RAMP).all()
        v.assign(RAMP + 1)
        assert (double().numpy() == 2 * RAMP + 2).all()


def test_layers_in_eager_execution() -> None:
    with context.mode(True), tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        layer = tf.layers.Dense(3, kernel_regularizer=tf.nn.l2_loss)
        assert layer(tf.ones([2, 4])).shape == (2, 3)
        assert [type(weight) for weight in layer.weights] == [PartitionedVariable] * 2
        cell = tf.nn.rnn_cell.LSTMCell(4, num_unit_shards=2)
        assert cell(tf.ones([2, 3]), cell.zero_state(2, tf.float32))[0].shape == (2, 4)


def test_loops_and_branches() -> None:
    v = variable()
    total = tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x + tf.reduce_sum(v)), [0, 0.0])[1]
    chosen = tf.cond(total > 1.0, lambda: tf.reduce_sum(v) + 1.0, lambda: 0.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run([total, chosen]) == [3 * 45.0, 46.0]


def test_updates() -> None:
    v = variable()
    for value in ([1.0, 2.0, 3.0], variable(3, "w")):
        with pytest.raises(ValueError, match="v has 2 parts, but 3 values are given"):
            v.assign(value)
    operations = v.assign(RAMP, read_value=False)
    assert [operation.type for operation in operations] == ["Assign", "Assign"]


def test_what_they_are_not() -> None:
    v = variable()
    assert not isinstance(v, tf.Variable) and v == v and v != variable(name="w")
    for operation in (lambda: v + 1.0, lambda: -v, lambda: v[0]):
        with pytest.raises(TypeError):
            operation()
    with pytest.raises(TypeError, match="has invalid type .*PartitionedVariable"):
        tf.Session().run(v)
    with pytest.raises(ValueError, match="requested to type 'float64' for variable of type 'float32'"):
        tf.convert_to_tensor(v, tf.float64)


def test_layers_of_keras_are_whole() -> None:
    with tf.layers.experimental.keras_style_scope():
        weight = tf.layers.Layer().add_weight("w", [4], partitioner=lambda shape, dtype: [2])
    assert isinstance(weight, tf.Variable)


@pytest.mark.parametrize("full_shape, var_offset", [(None, [0]), ([4], 4), ([4], [1, 2]), ([4, 2], [0, 5]), ([4], "0")])
def test_wrong_places(full_shape: Any, var_offset: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        PartitionInfo(full_shape, var_offset)


@pytest.mark.parametrize("size", [1, 2, 7, 12])
@pytest.mark.parametrize("parts", [1, 2, 5, 7])
def test_slices_cover_the_whole(size: int, parts: int) -> None:
    found = list(slices([3, size], [1, parts]))
    assert len(found) == parts and all(shape[0] == 3 and offset[0] == 0 for offset, shape in found)
    ends = [offset[1] + shape[1] for offset, shape in found]
    assert [offset[1] for offset, _ in found] == [0, *ends[:-1]] and ends[-1] == size
    sizes = [shape[1] for _, shape in found]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1
