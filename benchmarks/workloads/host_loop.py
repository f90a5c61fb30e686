"""A loop that the host must drive, as its body calls Python: 1,000 turns; the figure is per turn."""
import numpy as np

UNIT = "µs"
REPEAT = 3
PER = 1000
ONE = np.float32(1)


def loop(tf, call, x):
    """x + 1/x again and again, where Python takes the inverse: `call` makes an operation of a Python function."""

    def advance(turn, x):
        inverse = call(lambda value: np.reciprocal(value), [x], tf.float32)
        inverse.set_shape([])
        return turn + 1, x + inverse

    return tf.while_loop(lambda turn, x: turn < PER, advance, (0, x))[1]


def graph(tf):
    x = tf.placeholder(tf.float32, [])
    y, session = loop(tf, tf.py_func, x), tf.Session()
    return lambda: session.run(y, {x: ONE})


def in_tf2():
    import tensorflow as tf

    run = tf.function(lambda x: loop(tf, tf.numpy_function, x))
    return lambda: run(tf.constant(ONE)).numpy()
