"""A network's logits of one batch of images, in each system, from NumPy to NumPy."""
import numpy as np

from peers import layers


class Inference:
    """The jobs: functions that compute the logits of a batch and return those of its first image."""

    def __init__(self, network, batch_size):
        self._network, self._shape = network, (batch_size,) + network.IMAGE

    def _images(self):
        return np.random.RandomState(1).normal(0, 1, self._shape).astype(np.float32)

    def graph(self, tf):
        images = tf.placeholder(tf.float32, (None,) + self._network.IMAGE)
        trained = [tf.Variable(value) for value in self._network.values().trained]
        logits = self._network(layers.TensorFlow(tf), trained, images)
        session, batch = tf.Session(), self._images()
        session.run(tf.global_variables_initializer())
        return lambda: session.run(logits, {images: batch})[0]

    def in_tf2(self):
        import tensorflow as tf

        trained = [tf.Variable(value) for value in self._network.values().trained]
        infer = tf.function(lambda images: self._network(layers.TensorFlow(tf), trained, images))
        batch = self._images()
        return lambda: infer(tf.constant(batch)).numpy()[0]

    def in_torch(self):
        import torch

        trained = [layers.Torch.tensor(value) for value in self._network.values().trained]
        parts, batch = layers.Torch(), self._images()

        def infer():
            with torch.inference_mode():
                return self._network(parts, trained, parts.images(batch)).numpy()[0]

        return infer

    def in_jax(self):
        import jax

        infer = jax.jit(lambda trained, images: self._network(layers.Jax(), trained, images))
        trained, batch = jax.device_put(self._network.values().trained), self._images()
        return lambda: np.asarray(infer(trained, batch))[0]
