"""Ten million truncated-normal values, as a NumPy array."""

UNIT = "ms"
REPEAT = 3
COUNT = 10000000


def graph(tf):
    values, session = tf.truncated_normal([COUNT]), tf.Session()
    return lambda: session.run(values).shape


def in_tf2():
    import tensorflow as tf

    return lambda: tf.random.truncated_normal([COUNT]).numpy().shape


def in_torch():
    import torch

    return lambda: torch.nn.init.trunc_normal_(torch.empty(COUNT)).numpy().shape


def in_jax():
    import jax
    import numpy as np

    @jax.jit
    def draw(key):
        key, used = jax.random.split(key)
        return key, jax.random.truncated_normal(used, -2.0, 2.0, (COUNT,))

    key = jax.random.key(0)

    def job():
        nonlocal key
        key, values = draw(key)
        return np.asarray(values).shape

    return job
