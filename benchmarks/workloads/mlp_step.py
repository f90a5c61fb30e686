"""One training step of the 784-500-10 digit classifier, from NumPy to NumPy.

A batch of 100 goes in, loss and step come out. Softmax cross-entropy with L2 terms, gradient descent with a
decaying rate, moving averages of the weights. All systems start from the same weights and see the same
digits, so that their losses can be compared.
"""
import gzip
import itertools
import os

import numpy as np

UNIT = "ms"
REPEAT = 100
BATCH = 100
RATE, RATE_DECAY, L2, AVERAGING = 0.8, 0.99, 1e-4, 0.99
DATA = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "data", "mnist10k")


def read_idx(name, header):
    with gzip.open(os.path.join(DATA, name)) as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


def batches():
    """Returns the training digits in batches: a list of (images, labels), and an endless iterator over it."""
    images = read_idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255
    labels = read_idx("train-labels-idx1-ubyte.gz", 8).astype(np.int32)
    listed = [(images[i:i + BATCH], labels[i:i + BATCH]) for i in range(0, len(labels), BATCH)]
    return listed, itertools.cycle(listed)


def initial_values():
    """Returns weights and biases of both layers."""
    rng = np.random.RandomState(0)

    def normal(*shape):
        return rng.normal(0, 0.1, shape).astype(np.float32)

    return [normal(784, 500), np.full(500, 0.1, np.float32), normal(500, 10), np.full(10, 0.1, np.float32)]


def graph(tf):
    listed, endless = batches()
    images = tf.placeholder(tf.float32, [None, 784])
    labels = tf.placeholder(tf.int32, [None])
    weights1, biases1, weights2, biases2 = [tf.Variable(value) for value in initial_values()]
    hidden = tf.nn.relu(tf.matmul(images, weights1) + biases1)
    logits = tf.matmul(hidden, weights2) + biases2
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    for weights in (weights1, weights2):
        tf.add_to_collection("losses", L2 * tf.nn.l2_loss(weights))
    loss = tf.add_n([tf.reduce_mean(cross_entropy)] + tf.get_collection("losses"))

    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(RATE, global_step, len(listed), RATE_DECAY)
    descend = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=global_step)
    average = tf.train.ExponentialMovingAverage(AVERAGING, global_step).apply(tf.trainable_variables())
    with tf.control_dependencies([descend, average]):
        train_op = tf.no_op()

    session = tf.Session()
    session.run(tf.global_variables_initializer())

    def step():
        x, y = next(endless)
        _, loss_value, step_value = session.run([train_op, loss, global_step], {images: x, labels: y})
        return loss_value, step_value

    return step


def modern_step(tf, decorate):
    """The 2.x text: `decorate` is `tf.function`, or gives its argument back for eager execution."""
    listed, endless = batches()
    variables = [tf.Variable(value) for value in initial_values()]
    averages = [tf.Variable(value) for value in initial_values()]
    global_step = tf.Variable(0, dtype=tf.int32)
    weights1, biases1, weights2, biases2 = variables

    @decorate
    def train(images, labels):
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(images @ weights1 + biases1) @ weights2 + biases2
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(cross_entropy) + L2 * (tf.nn.l2_loss(weights1) + tf.nn.l2_loss(weights2))
        count = tf.cast(global_step, tf.float32)
        rate = RATE * RATE_DECAY ** (count / len(listed))
        decay = tf.minimum(AVERAGING, (1 + count) / (10 + count))
        for variable, average, gradient in zip(variables, averages, tape.gradient(loss, variables)):
            variable.assign_sub(rate * gradient)
            average.assign_sub((1 - decay) * (average - variable))
        return loss, global_step.assign_add(1)

    def step():
        images, labels = next(endless)
        loss, count = train(tf.constant(images), tf.constant(labels))
        return loss.numpy(), count.numpy()

    return step


def in_tf2():
    import tensorflow as tf

    return modern_step(tf, tf.function)


def in_torch():
    import torch
    from torch.nn import functional as F

    listed, endless = batches()
    parameters = [torch.nn.Parameter(torch.from_numpy(value)) for value in initial_values()]
    averages = [parameter.detach().clone() for parameter in parameters]
    weights1, biases1, weights2, biases2 = parameters
    optimizer = torch.optim.SGD(parameters, RATE)
    count = 0

    def step():
        nonlocal count
        images, labels = map(torch.from_numpy, next(endless))
        optimizer.param_groups[0]["lr"] = RATE * RATE_DECAY ** (count / len(listed))
        optimizer.zero_grad()
        logits = torch.relu(images @ weights1 + biases1) @ weights2 + biases2
        squares = weights1.square().sum() + weights2.square().sum()
        loss = F.cross_entropy(logits, labels.long()) + L2 / 2 * squares
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - min(AVERAGING, (1 + count) / (10 + count)))
        count += 1
        return loss.item(), count

    return step


def in_jax():
    import jax
    import jax.numpy as jnp

    listed, endless = batches()

    def total_loss(parameters, images, labels):
        weights1, biases1, weights2, biases2 = parameters
        logits = jax.nn.relu(images @ weights1 + biases1) @ weights2 + biases2
        cross_entropy = -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]
        return cross_entropy.mean() + L2 / 2 * (jnp.square(weights1).sum() + jnp.square(weights2).sum())

    def train(state, images, labels):
        parameters, averages, step = state
        loss, gradients = jax.value_and_grad(total_loss)(parameters, images, labels)
        count = step.astype(jnp.float32)
        rate = RATE * RATE_DECAY ** (count / len(listed))
        decay = jnp.minimum(AVERAGING, (1 + count) / (10 + count))
        parameters = [p - rate * g for p, g in zip(parameters, gradients)]
        averages = [a - (1 - decay) * (a - p) for a, p in zip(averages, parameters)]
        return (parameters, averages, step + 1), loss, step + 1

    train = jax.jit(train, donate_argnums=0)
    state = jax.device_put((initial_values(), initial_values(), np.int32(0)))

    def step():
        nonlocal state
        state, loss, count = train(state, *next(endless))
        return np.asarray(loss), np.asarray(count)

    return step
