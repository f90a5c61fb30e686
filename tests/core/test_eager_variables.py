"""`tf.Variable` in eager execution."""
from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

import millstream as tf
from millstream.runtime.eager import STATE


def test_facts():
    v = tf.Variable([[1.0, 2.0]], name="w")
    assert (v.name, v.shape, v.dtype, v.trainable) == ("w:0", (1, 2), tf.float32, True)
    assert v.device == "/job:localhost/replica:0/task:0/device:CPU:0"
    assert repr(v) == "<tf.Variable 'w:0' shape=(1, 2) dtype=float32, numpy=array([[1., 2.]], dtype=float32)>"
    assert tf.Variable(1).name == "Variable:0" and tf.Variable(1, trainable=False).trainable is False
    with tf.name_scope("outer"), tf.name_scope("inner"):
        assert tf.Variable(1, name="x").name == "outer/inner/x:0"


def test_initial_values():
    assert tf.Variable(lambda: tf.ones([2])).numpy().tolist() == [1, 1]
    assert tf.Variable(1, dtype=tf.int64).dtype is tf.int64
    assert tf.Variable("text").numpy() == b"text"
    assert tf.Variable(tf.Variable(3.0)).numpy() == 3
    for bad in ((), (None,)):
        with pytest.raises(ValueError, match="initial_value must be specified"):
            tf.Variable(*bad)
    with pytest.raises(ValueError, match="is not compatible with the explicitly supplied `shape`"):
        tf.Variable([1, 2], shape=[3])


def test_assignments():
    v = tf.Variable(1.0)
    assert v.assign(5.0).numpy() == 5 and v.assign_add(1.0).numpy() == 6 and v.assign_sub(2.0).numpy() == 4
    assert repr(v.assign_add(1.0)) == "<tf.Variable 'UnreadVariable' shape=() dtype=float32, numpy=5.0>"
    assert v.assign(0.0, read_value=False) is None
    with pytest.raises(ValueError, match="Shape mismatch.The variable shape .., and the assigned value shape .1,. are"):
        v.assign([1.0])
    with pytest.raises(TypeError, match="Cannot convert 'a' to EagerTensor of dtype float"):
        v.assign("a")
    assert v.numpy() == 0


def test_slices_can_be_assigned():
    v = tf.Variable(tf.zeros([2, 3]))
    v[0, 0].assign(42.0)
    v[1:].assign([[1.0, 2.0, 3.0]])
    v[:, 2].assign([1.0, 4.0])
    assert v.numpy().tolist() == [[42, 0, 1], [1, 2, 4]]
    assert v[0, 0].numpy() == 42
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        v[0].assign([1.0, 2.0])


def test_scatter():
    v = tf.Variable([1.0, 2.0, 3.0])
    rows = tf.IndexedSlices(tf.constant([10.0, 20.0]), tf.constant([0, 2]))
    assert v.scatter_add(rows).numpy().tolist() == [11, 2, 23]
    assert v.scatter_sub(rows).numpy().tolist() == [1, 2, 3]
    assert v.scatter_mul(rows).numpy().tolist() == [10, 2, 60]
    assert v.scatter_div(rows).numpy().tolist() == [1, 2, 3]
    assert v.scatter_max(rows).numpy().tolist() == [10, 2, 20]
    assert v.scatter_min(tf.IndexedSlices(tf.constant([1.0]), tf.constant([1]))).numpy().tolist() == [10, 1, 20]
    assert v.scatter_update(rows).numpy().tolist() == [10, 1, 20]
    assert v.scatter_nd_update([[1]], [7.0]).numpy().tolist() == [10, 7, 20]
    assert v.scatter_nd_add([[1]], [1.0]).numpy().tolist() == [10, 8, 20]
    assert v.gather_nd([[0]]).numpy().tolist() == [10] and v.sparse_read([2]).numpy().tolist() == [20]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"is not in \[0, 3\)"):
        v.scatter_add(tf.IndexedSlices(tf.constant([1.0]), tf.constant([5])))
    assert v.numpy().tolist() == [10, 8, 20]


def test_shapes_that_are_not_known_yet():
    v = tf.Variable(tf.zeros([0]), shape=tf.TensorShape(None))
    assert v.shape.rank is None
    v.assign(tf.ones([2, 3]))
    assert v.numpy().shape == (2, 3)
    w = tf.Variable(tf.zeros([1, 2]), shape=[None, 2])
    w.assign(tf.ones([5, 2]))
    with pytest.raises(ValueError):
        w.assign(tf.ones([5, 3]))
    total = tf.function(lambda: tf.reduce_sum(v))
    assert total().numpy() == 6
    v.assign(tf.ones([4]))
    assert total().numpy() == 4


def test_variables_count_as_tensors():
    v = tf.Variable([1.0, 2.0])
    assert (v + 1).numpy().tolist() == [2, 3] and (2 * v).numpy().tolist() == [2, 4]
    assert (-v).numpy().tolist() == [-1, -2] and v[1].numpy() == 2
    assert tf.reduce_sum(v).numpy() == 3 and np.array(v).tolist() == [1, 2]
    assert float(tf.Variable(2.5)) == 2.5 and int(tf.Variable(2)) == 2
    assert (v == v).numpy().tolist() == [True, True] and (v != 1.0).numpy().tolist() == [False, True]
    with pytest.raises(TypeError, match="Variable is unhashable. Instead, use variable.ref"):
        hash(v)
    assert v.ref() in {v.ref()}


def test_values_read_before_an_update_do_not_change():
    v = tf.Variable(tf.ones([200, 200]))
    before = v.read_value()
    view = np.from_dlpack(v.value())
    for _ in range(3):
        v.assign_add(tf.ones([200, 200]))
    tf.function(lambda: v.assign_add(tf.ones([200, 200])))()
    assert before.numpy().sum() == view.sum() == 40000 and v.numpy().sum() == 200000


def test_copies_and_pickles():
    v = tf.Variable([1.0, 2.0], name="w", trainable=False)
    for again in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        again.assign([5.0, 6.0])
        assert (again.name, again.trainable) == ("w:0", False)
    assert v.numpy().tolist() == [1, 2]


def test_memory_is_freed_with_the_variable():
    v = tf.Variable(tf.ones([100]))
    key = v.handle._value.key
    assert key in STATE.values
    del v
    gc.collect()
    assert key not in STATE.values


def test_constraints_and_settings():
    v = tf.Variable(1.0, constraint=tf.nn.relu, synchronization=tf.VariableSynchronization.ON_READ,
                    aggregation=tf.VariableAggregation.SUM)  # fmt: skip
    assert v.constraint is tf.nn.relu and v.trainable is False
    assert v.aggregation == tf.VariableAggregation.SUM


def test_creator_scopes():
    made = []

    def creator(next_creator, **kwargs):
        made.append(kwargs["name"])
        return next_creator(**{**kwargs, "trainable": False})

    with tf.variable_creator_scope(creator):
        v = tf.Variable(1.0, name="a")
    assert made == ["a"] and v.trainable is False


def test_variables_are_sequences():
    v = tf.Variable([1.0, 2.0])
    assert [float(item) for item in v] == [1.0, 2.0]
    assert 2.0 in v and 3.0 not in v


def test_assignments_with_operators_are_refused():
    v = tf.Variable(1.0)
    with pytest.raises(RuntimeError, match=r"Use `variable.assign_add\(value\)` to modify the variable"):
        v += 1.0
    with pytest.raises(RuntimeError, match=r"Use `var.assign\(var \* value\)`"):
        v *= 2.0
