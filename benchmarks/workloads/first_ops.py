"""The first eager execution of thirty different small operations, in a fresh process that has imported the library."""
import time

UNIT = "s"
RUNS = ("cold", "warm")


def modern(tf):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    v = tf.constant([0.5, 1.5, 2.5])
    i = tf.constant([2, 0, 1])
    return [
        lambda: x + 1.0, lambda: x * x, lambda: x - v[:2], lambda: x / 2.0, lambda: x @ x,
        lambda: tf.exp(x), lambda: tf.math.log(x), lambda: tf.sqrt(x), lambda: tf.tanh(x), lambda: tf.sigmoid(x),
        lambda: tf.nn.relu(x), lambda: tf.nn.softmax(x), lambda: tf.reduce_sum(x), lambda: tf.reduce_max(x, 0),
        lambda: tf.reduce_mean(x, 1), lambda: tf.transpose(x), lambda: tf.reshape(x, [4]), lambda: tf.concat([x, x], 0),
        lambda: tf.stack([v, v]), lambda: tf.gather(v, i), lambda: tf.one_hot(i, 3), lambda: tf.cast(x, tf.int32),
        lambda: tf.argmax(x, 1), lambda: tf.where(x > 2.0, x, -x), lambda: tf.maximum(x, 2.0), lambda: tf.cumsum(v),
        lambda: tf.sort(v), lambda: tf.pad(x, [[1, 1], [0, 0]]), lambda: tf.tile(v, [2]), lambda: tf.abs(-x),
    ]  # fmt: skip


def figures(operations):
    start = time.perf_counter()
    for operation in operations:
        operation().numpy()
    return {"": time.perf_counter() - start}
