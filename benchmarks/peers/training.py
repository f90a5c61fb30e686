"""Training steps of a network by gradient descent, in each system: a batch from NumPy in, the loss as NumPy out."""
import itertools

import numpy as np

from peers import layers


def random_batches(shape, size, count=4):
    """Returns batches of noise with labels from 0 to 9."""
    rng = np.random.RandomState(1)
    return [(rng.normal(0, 1, (size,) + shape).astype(np.float32), rng.randint(0, 10, size).astype(np.int32))
            for _ in range(count)]


class Training:
    """The jobs: functions that train one step. All start from the same values and see the same batches."""

    def __init__(self, network, batches, rate, momentum=0.0):
        self._network, self._batches, self._rate, self._momentum = network, batches, rate, momentum

    def _optimizer(self, tf):
        train = tf.compat.v1.train
        if self._momentum:
            return train.MomentumOptimizer(self._rate, self._momentum)
        return train.GradientDescentOptimizer(self._rate)

    def graph(self, tf):
        images = tf.placeholder(tf.float32, (None,) + self._network.IMAGE)
        labels = tf.placeholder(tf.int32, [None])
        values, parts = self._network.values(), layers.TensorFlow(tf)
        logits = self._network(parts, [tf.Variable(value) for value in values.trained], images)
        loss = parts.cross_entropy(logits, labels)
        updates = [self._optimizer(tf).minimize(loss)]
        for value, batch_value in zip(values.moving, parts.statistics):
            moving = tf.Variable(value, trainable=False)
            updates.append(moving.assign_sub((1 - layers.AVERAGING) * (moving - batch_value)))
        train = tf.group(*updates)
        session, batches = tf.Session(), itertools.cycle(self._batches())
        session.run(tf.global_variables_initializer())

        def step():
            x, y = next(batches)
            return session.run([train, loss], {images: x, labels: y})[1]

        return step

    def in_tf2(self):
        import tensorflow as tf

        values, optimizer = self._network.values(), self._optimizer(tf)
        trained = [tf.Variable(value) for value in values.trained]
        moving = [tf.Variable(value, trainable=False) for value in values.moving]

        @tf.function
        def train(images, labels):
            parts = layers.TensorFlow(tf)
            with tf.GradientTape() as tape:
                loss = parts.cross_entropy(self._network(parts, trained, images), labels)
            optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained))
            for variable, batch_value in zip(moving, parts.statistics):
                variable.assign_sub((1 - layers.AVERAGING) * (variable - batch_value))
            return loss

        batches = itertools.cycle(self._batches())
        return lambda: train(*map(tf.constant, next(batches))).numpy()

    def in_torch(self):
        import torch

        values = self._network.values()
        trained = [torch.nn.Parameter(layers.Torch.tensor(value)) for value in values.trained]
        moving = [layers.Torch.tensor(value) for value in values.moving]
        optimizer = torch.optim.SGD(trained, self._rate, self._momentum)
        batches = itertools.cycle(self._batches())

        def step():
            images, labels = next(batches)
            parts = layers.Torch(moving)
            optimizer.zero_grad()
            logits = self._network(parts, trained, parts.images(images))
            loss = parts.cross_entropy(logits, torch.from_numpy(labels).long())
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def in_jax(self):
        import jax

        def total_loss(trained, images, labels):
            parts = layers.Jax()
            return parts.cross_entropy(self._network(parts, trained, images), labels), parts.statistics

        def train(trained, velocities, moving, images, labels):
            (loss, statistics), gradients = jax.value_and_grad(total_loss, has_aux=True)(trained, images, labels)
            if self._momentum:
                gradients = velocities = [self._momentum * v + g for v, g in zip(velocities, gradients)]
            trained = [value - self._rate * gradient for value, gradient in zip(trained, gradients)]
            moving = [m - (1 - layers.AVERAGING) * (m - value) for m, value in zip(moving, statistics)]
            return (trained, velocities, moving), loss

        values = self._network.values()
        velocities = [np.zeros_like(value) for value in values.trained] if self._momentum else []
        state = jax.device_put((values.trained, velocities, values.moving))
        train, batches = jax.jit(train, donate_argnums=(0, 1, 2)), itertools.cycle(self._batches())

        def step():
            nonlocal state
            state, loss = train(*state, *next(batches))
            return np.asarray(loss)

        return step
