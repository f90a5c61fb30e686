"""The smallest eager operation: a sum of two vectors of three floats."""
import numpy as np

UNIT = "µs"
REPEAT = 5000
X, Y = np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32)


def modern(tf):
    x, y = tf.constant(X), tf.constant(Y)
    return lambda: x + y


def in_torch():
    import torch

    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    return lambda: x + y


def in_jax():
    import jax.numpy as jnp

    x, y = jnp.asarray(X), jnp.asarray(Y)
    return lambda: x + y
