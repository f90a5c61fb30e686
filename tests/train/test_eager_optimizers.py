"""The optimisers of 1.x in eager execution and in functions, and moving averages of eager variables."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf

v1 = tf.compat.v1

OPTIMIZERS = {
    "descent": lambda: v1.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: v1.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda: v1.train.AdamOptimizer(0.1),
    "adagrad": lambda: v1.train.AdagradOptimizer(0.1),
    "adadelta": lambda: v1.train.AdadeltaOptimizer(1.0),
    "rmsprop": lambda: v1.train.RMSPropOptimizer(0.1, centered=True),
    "ftrl": lambda: v1.train.FtrlOptimizer(0.1),
    "proximal": lambda: v1.train.ProximalAdagradOptimizer(0.1),
}


def trained_in_a_graph(make, steps):
    with tf.Graph().as_default():
        x = v1.Variable([1.0, -2.0], use_resource=True)
        train_op = make().minimize(tf.reduce_sum(x * x * [1.0, 3.0]))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for _ in range(steps):
                session.run(train_op)
            return session.run(x)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_eager_steps_equal_those_of_a_graph(name):
    x = tf.Variable([1.0, -2.0])
    optimizer = OPTIMIZERS[name]()
    for _ in range(3):
        optimizer.minimize(lambda: tf.reduce_sum(x * x * [1.0, 3.0]))
    np.testing.assert_allclose(x.numpy(), trained_in_a_graph(OPTIMIZERS[name], 3), rtol=1e-5)
    assert all(variable.numpy() is not None for variable in optimizer.variables())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_in_a_function(name):
    x = tf.Variable([1.0, -2.0])
    optimizer = OPTIMIZERS[name]()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(x * x * [1.0, 3.0])
        optimizer.apply_gradients([(tape.gradient(loss, x), x)])

    for _ in range(3):
        step()
    np.testing.assert_allclose(x.numpy(), trained_in_a_graph(OPTIMIZERS[name], 3), rtol=1e-5)


def test_sparse_gradients_eagerly():
    table = tf.Variable(tf.ones([4, 2]))
    optimizer = v1.train.AdamOptimizer(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 1, 3]))
    grad = tape.gradient(loss, table)
    assert isinstance(grad, tf.IndexedSlices)
    optimizer.apply_gradients([(grad, table)])
    assert table.numpy()[0].tolist() == [1, 1] and (table.numpy()[[1, 3]] < 1).all()


def test_a_loss_must_be_a_function():
    x = tf.Variable(1.0)
    with pytest.raises(RuntimeError, match="should be a function when eager execution is enabled"):
        v1.train.GradientDescentOptimizer(0.1).minimize(x * x)
    with pytest.raises(ValueError, match="No variables to optimize"):
        v1.train.GradientDescentOptimizer(0.1).minimize(lambda: tf.constant(1.0))


def test_global_step():
    step, x = tf.Variable(0, dtype=tf.int64), tf.Variable(1.0)
    v1.train.GradientDescentOptimizer(0.1).minimize(lambda: x * x, global_step=step)
    assert step.numpy() == 1


def test_moving_averages():
    x = tf.Variable(0.0, name="x")
    averages = tf.train.ExponentialMovingAverage(0.5)
    averages.apply([x])
    x.assign(8.0)
    averages.apply([x])
    assert averages.average(x).numpy() == 4.0
    assert averages.average_name(x) == "x/ExponentialMovingAverage"
