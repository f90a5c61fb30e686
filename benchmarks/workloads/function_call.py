"""Calling a compiled function that adds two scalars."""

UNIT = "µs"
REPEAT = 2000


def modern(tf):
    add = tf.function(lambda x, y: x + y)
    x, y = tf.constant(1.0), tf.constant(2.0)
    return lambda: add(x, y)


def in_jax():
    import jax
    import jax.numpy as jnp

    add = jax.jit(lambda x, y: x + y)
    x, y = jnp.float32(1.0), jnp.float32(2.0)
    return lambda: add(x, y)
