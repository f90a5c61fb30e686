"""Importing a graph of 10,000 nodes: additions, each with a constant of its own; the figure is per node."""

UNIT = "µs"
REPEAT = 1
PER = 10000


def graph(tf):
    with tf.Graph().as_default() as built:
        total = tf.constant(0.)
        for _ in range(PER // 2):
            total = tf.add(total, 1.)
    message = tf.GraphDef.FromString(built.as_graph_def().SerializeToString())

    def read():
        with tf.Graph().as_default() as new:
            tf.import_graph_def(message, name="")
        return len(new.get_operations())

    return read


def in_tf2():
    import tensorflow as tf

    return graph(tf.compat.v1)
