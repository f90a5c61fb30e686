"""One training step of a word-level language model (Zaremba et al., 2014, the small one), its state carried on.

An embedding of 10,000 words, two LSTM layers of 200, batches of 20 sequences of 20 words, gradient descent with
gradients clipped by their global norm. Words come in and the loss goes out as NumPy. All systems see the same random
text.
"""
import itertools

import numpy as np
from peers.recurrent import LSTM

UNIT = "ms"
REPEAT = 5
BATCH, STEPS, UNITS, WORDS = 20, 20, 200, 10000
RATE, LARGEST_NORM = 1.0, 5.0
lstm = LSTM(UNITS, UNITS)


def batches():
    """Returns an endless iterator over batches of words and the words that follow them."""
    text = np.random.RandomState(1).randint(0, WORDS, (4, BATCH, STEPS + 1)).astype(np.int32)
    return itertools.cycle([(words[:, :-1], words[:, 1:]) for words in text])


def initial_values():
    """Returns the embedding, the kernels and biases of the LSTM layers, and those of the output layer."""
    rng = np.random.RandomState(0)

    def uniform(*shape):
        return rng.uniform(-0.1, 0.1, shape).astype(np.float32)

    return [uniform(WORDS, UNITS)] + lstm.values(rng) + [uniform(UNITS, WORDS), np.zeros(WORDS, np.float32)]


def graph(tf):
    words = tf.placeholder(tf.int32, [BATCH, STEPS])
    targets = tf.placeholder(tf.int32, [BATCH, STEPS])
    embedding = tf.get_variable("embedding", [WORDS, UNITS])
    cells = lstm.cells(tf)
    first_state = cells.zero_state(BATCH, tf.float32)
    inputs = tf.nn.embedding_lookup(embedding, words)
    outputs, last_state = tf.nn.dynamic_rnn(cells, inputs, initial_state=first_state)
    weights, bias = tf.get_variable("weights", [UNITS, WORDS]), tf.get_variable("bias", [WORDS])
    logits = tf.matmul(tf.reshape(outputs, [-1, UNITS]), weights) + bias
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, [-1]), logits=logits)
    loss = tf.reduce_sum(cross_entropy) / BATCH
    variables = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), LARGEST_NORM)
    train = tf.train.GradientDescentOptimizer(RATE).apply_gradients(zip(gradients, variables))

    session, endless = tf.Session(), batches()
    session.run(tf.global_variables_initializer())
    for variable, value in zip(variables, initial_values()):
        variable.load(value, session)
    state = session.run(first_state)

    def step():
        nonlocal state
        x, y = next(endless)
        _, loss_value, state = session.run([train, loss, last_state], {words: x, targets: y, first_state: state})
        return loss_value

    return step


def in_tf2():
    import tensorflow as tf

    variables, endless = [tf.Variable(value) for value in initial_values()], batches()
    embedding, *trained, weights, bias = variables
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(RATE)

    @tf.function
    def train(words, targets, state):
        with tf.GradientTape() as tape:
            outputs, state = lstm.in_tf2(tf, trained, tf.nn.embedding_lookup(embedding, words), state)
            logits = tf.reshape(outputs, [-1, UNITS]) @ weights + bias
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(targets, [-1]), logits)
            loss = tf.reduce_sum(cross_entropy) / BATCH
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), LARGEST_NORM)
        optimizer.apply_gradients(zip(gradients, variables))
        return loss, state

    state = list(map(tf.constant, lstm.zero_state(BATCH)))

    def step():
        nonlocal state
        loss, state = train(*map(tf.constant, next(endless)), state)
        return loss.numpy()

    return step


def in_torch():
    import torch
    from torch.nn import functional as F

    embedding, *values, weights, bias = initial_values()
    layers, endless = lstm.in_torch(values), batches()
    embedding, weights, bias = (torch.nn.Parameter(torch.from_numpy(v)) for v in (embedding, weights.T, bias))
    trained = [embedding, *(p for p in layers.parameters() if p.requires_grad), weights, bias]
    optimizer = torch.optim.SGD(trained, RATE)
    state = tuple(torch.zeros(2, BATCH, UNITS) for _ in "hc")

    def step():
        nonlocal state
        words, targets = (torch.from_numpy(array).long() for array in next(endless))
        optimizer.zero_grad()
        outputs, last_state = layers(F.embedding(words, embedding), state)
        logits = F.linear(outputs.flatten(0, 1), weights, bias)
        loss = F.cross_entropy(logits, targets.flatten(), reduction="sum") / BATCH
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, LARGEST_NORM)
        optimizer.step()
        state = tuple(part.detach() for part in last_state)
        return loss.item()

    return step


def in_jax():
    import jax
    import jax.numpy as jnp

    def cost(trained, words, targets, state):
        embedding, *trained, weights, bias = trained
        outputs, state = lstm.in_jax(trained, embedding[words], state)
        logits = jax.nn.log_softmax(outputs.reshape(-1, UNITS) @ weights + bias)
        return -logits[jnp.arange(logits.shape[0]), targets.ravel()].sum() / BATCH, state

    def train(trained, state, words, targets):
        (loss, state), gradients = jax.value_and_grad(cost, has_aux=True)(trained, words, targets, state)
        norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients))
        scale = RATE * LARGEST_NORM / jnp.maximum(norm, LARGEST_NORM)
        return ([value - scale * gradient for value, gradient in zip(trained, gradients)], state), loss

    train, endless = jax.jit(train, donate_argnums=(0, 1)), batches()
    carried = jax.device_put((initial_values(), lstm.zero_state(BATCH)))

    def step():
        nonlocal carried
        carried, loss = train(*carried, *next(endless))
        return np.asarray(loss)

    return step
