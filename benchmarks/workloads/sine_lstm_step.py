"""One training step of two LSTM layers of 30 that continue a sine wave, by Adagrad: 32 windows of ten samples.

From NumPy to NumPy: a batch goes in, the loss comes out. The 1.x text is that of examples/sine_lstm.py.
"""
import itertools

import numpy as np
from peers.recurrent import LSTM

UNIT = "ms"
REPEAT = 100
BATCH, WINDOW, UNITS = 32, 10, 30
RATE, INITIAL_ACCUMULATOR = 0.1, 0.1
lstm = LSTM(1, UNITS)


def batches():
    """Returns an endless iterator over batches of windows and the samples that follow them."""
    starts = np.random.RandomState(1).permutation(1024).reshape(-1, BATCH)
    wave = np.sin(0.01 * (starts[..., np.newaxis] + np.arange(WINDOW + 1))).astype(np.float32)
    return itertools.cycle([(samples[:, :-1, np.newaxis], samples[:, -1:]) for samples in wave])


def initial_values():
    """Returns the kernels and biases of the LSTM layers and of the output layer."""
    rng = np.random.RandomState(0)
    return lstm.values(rng) + [rng.uniform(-0.1, 0.1, (UNITS, 1)).astype(np.float32), np.zeros(1, np.float32)]


def graph(tf):
    windows = tf.placeholder(tf.float32, [None, WINDOW, 1])
    targets = tf.placeholder(tf.float32, [None, 1])
    outputs, _ = tf.nn.dynamic_rnn(lstm.cells(tf), windows, dtype=tf.float32)
    predictions = tf.contrib.layers.fully_connected(outputs[:, -1, :], 1, activation_fn=None)
    loss = tf.losses.mean_squared_error(targets, predictions)
    train = tf.contrib.layers.optimize_loss(loss, tf.train.get_or_create_global_step(), RATE, "Adagrad")

    session, endless = tf.Session(), batches()
    session.run(tf.global_variables_initializer())
    for variable, value in zip(tf.trainable_variables(), initial_values()):
        variable.load(value, session)

    def step():
        x, y = next(endless)
        return session.run(train, {windows: x, targets: y})

    return step


def in_tf2():
    import tensorflow as tf

    trained, endless = [tf.Variable(value) for value in initial_values()], batches()
    optimizer = tf.compat.v1.train.AdagradOptimizer(RATE, INITIAL_ACCUMULATOR)

    @tf.function
    def train(windows, targets):
        with tf.GradientTape() as tape:
            outputs, _ = lstm.in_tf2(tf, trained[:-2], windows, lstm.zero_state(BATCH))
            predictions = outputs[:, -1] @ trained[-2] + trained[-1]
            loss = tf.reduce_mean(tf.square(predictions - targets))
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained))
        return loss

    return lambda: train(*map(tf.constant, next(endless))).numpy()


def in_torch():
    import torch

    *values, weights, bias = initial_values()
    layers, endless = lstm.in_torch(values), batches()
    weights, bias = (torch.nn.Parameter(torch.from_numpy(value)) for value in (weights, bias))
    optimizer = torch.optim.Adagrad([*layers.parameters(), weights, bias], RATE,
                                    initial_accumulator_value=INITIAL_ACCUMULATOR)

    def step():
        windows, targets = map(torch.from_numpy, next(endless))
        optimizer.zero_grad()
        outputs, _ = layers(windows)
        loss = (outputs[:, -1] @ weights + bias - targets).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_jax():
    import jax
    import jax.numpy as jnp

    def mean_squared_error(trained, windows, targets):
        outputs, _ = lstm.in_jax(trained[:-2], windows, lstm.zero_state(BATCH))
        return jnp.square(outputs[:, -1] @ trained[-2] + trained[-1] - targets).mean()

    def train(trained, squares, windows, targets):
        loss, gradients = jax.value_and_grad(mean_squared_error)(trained, windows, targets)
        squares = [s + jnp.square(g) for s, g in zip(squares, gradients)]
        trained = [value - RATE * g / jnp.sqrt(s) for value, g, s in zip(trained, gradients, squares)]
        return (trained, squares), loss

    train, endless = jax.jit(train, donate_argnums=(0, 1)), batches()
    state = jax.device_put((initial_values(), [np.full_like(v, INITIAL_ACCUMULATOR) for v in initial_values()]))

    def step():
        nonlocal state
        state, loss = train(*state, *next(endless))
        return np.asarray(loss)

    return step
