"""Optimisers beyond what the golden tests show: subclasses, slots, constraints, stages."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.runtime.plan import make_plan


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run(train_op, fetches, steps=1):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
            session.run(train_op)
        return session.run(fetches)


class SignDescent(tf.train.Optimizer):
    """A user's optimiser, with a slot, a hyperparameter and all kinds of updates."""

    def __init__(self, rate):
        super().__init__(use_locking=False, name="SignDescent")
        self._rate = rate

    def _create_slots(self, var_list):
        for var in var_list:
            self._zeros_slot(var, "count", "Count")

    def _prepare(self):
        self._rate_t = tf.convert_to_tensor(self._call_if_callable(self._rate), name="rate")

    def _apply_dense(self, grad, var):
        count = tf.assign_add(self.get_slot(var, "count"), tf.ones_like(var))
        return tf.group(tf.assign_sub(var, self._rate_t * tf.sign(grad)), count)

    _resource_apply_dense = _apply_dense

    def _apply_sparse(self, grad, var):
        return tf.scatter_sub(var, grad.indices, self._rate_t * tf.sign(grad.values))


@pytest.mark.parametrize("use_resource", [False, True])
def test_a_users_optimizer(use_resource):
    v = tf.get_variable("v", initializer=[1.0, -1.0], use_resource=use_resource)
    optimizer = SignDescent(lambda: 0.25)
    train_op = optimizer.minimize(tf.reduce_sum(v * v), global_step=tf.train.get_or_create_global_step())
    assert optimizer.get_slot(v, "count").name == "v/Count:0"
    assert optimizer.get_slot_names() == ["count"] and optimizer.get_name() == "SignDescent"
    value, count, step = run(train_op, [v, optimizer.get_slot(v, "count"), tf.train.get_global_step()], steps=3)
    np.testing.assert_allclose(value, [0.25, -0.25])
    np.testing.assert_array_equal(count, [3.0, 3.0])
    assert step == 3


def test_a_users_optimizer_gets_each_row_once():
    v = tf.Variable([[1.0], [1.0], [1.0]])
    train_op = SignDescent(0.25).minimize(tf.reduce_sum(tf.gather(v, [2, 0, 2])))
    np.testing.assert_allclose(run(train_op, v), [[0.75], [1.0], [0.75]])


def test_what_is_not_overridden_says_so():
    v = tf.Variable(1.0)
    with pytest.raises(NotImplementedError):
        tf.train.Optimizer(False, "base").minimize(v * v)


@pytest.mark.parametrize("use_resource", [False, True])
def test_a_constraint_follows_the_update(use_resource):
    v = tf.get_variable("v", initializer=[1.0, 0.2], use_resource=use_resource, constraint=lambda t: tf.maximum(t, 0.0))
    train_op = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(v))
    np.testing.assert_allclose(run(train_op, v), [0.5, 0.0])


def test_sparse_gradients_refuse_constraints():
    v = tf.Variable([[1.0]], constraint=lambda t: t)
    with pytest.raises(RuntimeError, match="Cannot use a constraint function on a sparse variable."):
        tf.train.GradientDescentOptimizer(0.5).minimize(tf.gather(v, [0]))


@pytest.mark.parametrize("name", ["Adagrad", "Momentum", "RMSProp", "Adadelta", "Ftrl"])
def test_sparse_updates_stay_sparse(name, graph):
    v = tf.get_variable("v", initializer=tf.ones([1000, 2]))
    arguments = (0.1, 0.9) if name == "Momentum" else (0.1,)
    getattr(tf.train, name + "Optimizer")(*arguments).minimize(tf.reduce_sum(tf.gather(v, [5, 7])))
    updates = [op for op in graph.get_operations() if op.name.startswith(f"{name}/update_v/")]
    assert [op.type for op in updates][-1] == "SparseApply" + name
    gradient = updates[-1].inputs[[spec.name for spec in updates[-1].definition.inputs].index("grad")]
    assert gradient.shape.as_list() in ([None, 2], [2, 2])


def test_rows_without_gradient_are_left_alone():
    v = tf.Variable(tf.ones([4, 2]))
    optimizer = tf.train.MomentumOptimizer(0.5, 0.9)
    train_op = optimizer.minimize(tf.reduce_sum(tf.gather(v, [1, 1])))
    value, slot = run(train_op, [v, optimizer.get_slot(v, "momentum")])
    np.testing.assert_allclose(value, [[1, 1], [0, 0], [1, 1], [1, 1]])
    np.testing.assert_allclose(slot, [[0, 0], [2, 2], [0, 0], [0, 0]])


@pytest.mark.parametrize("index", [-1, 4])
def test_a_row_out_of_range_changes_nothing(index):
    v = tf.Variable(tf.ones([4, 2]))
    indices = tf.placeholder(tf.int32, [1])
    optimizer = tf.train.AdagradOptimizer(0.5)
    train_op = optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), indices), v)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"indices\[0\] = {index} is not in"):
            session.run(train_op, {indices: [index]})
        np.testing.assert_array_equal(session.run(v), np.ones([4, 2]))


def test_a_training_step_is_one_stage(graph):
    x = tf.placeholder(tf.float32, [None, 3])
    w, step = tf.Variable(tf.ones([3, 2])), tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 100, 0.9, staircase=True)
    train_op = tf.train.AdamOptimizer(rate).minimize(tf.reduce_mean(tf.square(tf.matmul(x, w))), global_step=step)
    assert len(make_plan(graph, [], [train_op], [x]).steps) == 1


@pytest.mark.parametrize("name", ["GradientDescent", "Adagrad", "Adam"])
def test_a_step_with_a_lookup_is_one_stage_too(name, graph):
    rows = tf.placeholder(tf.int32, [None])
    table = tf.Variable(tf.ones([10, 2]))
    optimizer = getattr(tf.train, name + "Optimizer")(0.1)
    train_op = optimizer.minimize(tf.reduce_sum(tf.square(tf.nn.embedding_lookup(table, rows))))
    assert len(make_plan(graph, [], [train_op], [rows]).steps) == 1


def test_hyperparameters_may_be_variables_and_tensors():
    rate = tf.Variable(0.5, trainable=False)
    v = tf.Variable([4.0])
    train_op = tf.train.MomentumOptimizer(rate, tf.constant(0.0)).minimize(v * v / 2)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train_op)
        assert session.run(v) == [2.0]
        session.run(rate.assign(0.25))
        session.run(train_op)
        assert session.run(v) == [1.5]


def test_variables_of_several_dtypes():
    single, double = tf.Variable(1.0), tf.Variable(tf.constant(1.0, tf.float64))
    loss = tf.square(single) + tf.cast(tf.square(double), tf.float32)
    train_op = tf.train.AdamOptimizer(0.1).minimize(loss)
    values = run(train_op, [single, double])
    np.testing.assert_allclose(values, [0.9, 0.9], rtol=1e-6)
    assert [value.dtype for value in values] == [np.float32, np.float64]


def test_loss_may_be_a_function():
    v = tf.Variable(3.0)
    (pair,) = tf.train.GradientDescentOptimizer(0.1).compute_gradients(lambda: v * v)
    assert pair[1] is v and run(tf.no_op(), pair[0]) == 6.0


def test_gating_the_graph_computes_all_gradients_first(graph):
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    pairs = tf.train.GradientDescentOptimizer(0.1).compute_gradients(
        a * b, gate_gradients=tf.train.Optimizer.GATE_GRAPH
    )
    assert [grad.op.type for grad, _ in pairs] == ["Identity", "Identity"]
    assert pairs[0][0].op.control_inputs == pairs[1][0].op.control_inputs != []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o, v: o.apply_gradients([(1.0, "x")]), NotImplementedError, "Trying to optimize unsupported type"),
        (lambda o, v: o.apply_gradients([([1.0, 2.0], v)]), ValueError, "Shapes must be equal rank, but are 0 and 1"),
        (lambda o, v: o.apply_gradients([(object(), v)]), TypeError, "Gradient must be convertible to a Tensor"),
        (lambda o, v: o.apply_gradients([(1.0, tf.constant(1.0))]), NotImplementedError, "Trying to update a Tensor"),
        (lambda o, v: o.minimize(v, var_list=[]), ValueError, "No variables to optimize."),
        (lambda o, v: o.minimize(tf.cast(v, tf.int32)), ValueError, "Invalid type tf.int32 for Cast:0, expected"),
        (lambda o, v: tf.train.Optimizer(False, ""), ValueError, "Must specify the optimizer name"),
        (
            lambda o, v: tf.train.AdagradOptimizer(0.1, 0.0),
            ValueError,
            "initial_accumulator_value must be positive: 0.0",
        ),
        (
            lambda o, v: tf.train.FtrlOptimizer(0.1, 1.0),
            ValueError,
            "learning_rate_power 1.000000 needs to be negative",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make(tf.train.GradientDescentOptimizer(0.1), tf.Variable(1.0))
