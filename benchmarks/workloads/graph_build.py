"""Building a graph: 10,000 additions, each with a constant of its own; the figure is per addition."""

UNIT = "µs"
REPEAT = 1
PER = 10000


def graph(tf):
    def build():
        with tf.Graph().as_default() as built:
            total = tf.constant(0.)
            for _ in range(PER):
                total = tf.add(total, 1.)
        return len(built.get_operations())

    return build


def in_tf2():
    import tensorflow as tf

    return graph(tf.compat.v1)
