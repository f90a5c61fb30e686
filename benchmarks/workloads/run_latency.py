"""The smallest useful call: x + 1 for two floats, from NumPy to NumPy."""
import numpy as np

UNIT = "µs"
REPEAT = 2000
X = np.array([1, 2], np.float32)


def graph(tf):
    x = tf.placeholder(tf.float32, [2])
    y = x + 1.
    session = tf.Session()
    return lambda: session.run(y, {x: X})


def in_tf2():
    import tensorflow as tf

    add_one = tf.function(lambda x: x + 1.)
    return lambda: add_one(X).numpy()


def in_torch():
    import torch

    return lambda: (torch.from_numpy(X) + 1.).numpy()


def in_jax():
    import jax

    add_one = jax.jit(lambda x: x + 1.)
    return lambda: np.asarray(add_one(X))
