"""A loop of 10,000 turns on scalars, from NumPy to NumPy: x + 1/x again and again."""
import numpy as np

UNIT = "ms"
REPEAT = 10
TURNS = 10000
ONE = np.float32(1)


def loop(tf, x):
    return tf.while_loop(lambda turn, x: turn < TURNS, lambda turn, x: (turn + 1, x + 1 / x), (0, x))[1]


def graph(tf):
    x = tf.placeholder(tf.float32, [])
    y, session = loop(tf, x), tf.Session()
    return lambda: session.run(y, {x: ONE})


def in_tf2():
    import tensorflow as tf

    run = tf.function(lambda x: loop(tf, x))
    return lambda: run(tf.constant(ONE)).numpy()


def in_jax():
    import jax

    @jax.jit
    def run(x):
        return jax.lax.while_loop(lambda carry: carry[0] < TURNS, lambda carry: (carry[0] + 1, carry[1] + 1 / carry[1]),
                                  (0, x))[1]

    return lambda: np.asarray(run(ONE))
