"""Initialising 60 truncated-normal convolution kernels of differing shapes: a first and a later run."""
import time

UNIT = "s"


def graph(tf):
    for i in range(60):
        tf.Variable(tf.truncated_normal([3, 3, 64, 64 + i], stddev=0.1))
    initialize = tf.global_variables_initializer()
    session = tf.Session()
    return lambda: session.run(initialize)


def figures(initialize):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        initialize()
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "later": min(seconds[1:])}
