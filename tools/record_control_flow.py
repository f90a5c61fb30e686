"""Records graphs of TensorFlow 1.15 with branches, loops and arrays, in `tests/data/tf1_control_flow.json.gz`.

    python tools/record_control_flow.py            with the Python of an environment that has TensorFlow 1.15.5

`tests/core/test_functionalize.py` loads the graphs with Millstream and runs them. The form is that of
`record_graphs.py`; besides, `shapes` has the static shapes of what is fetched as TensorFlow finds them when it reads
the graph.
"""

from __future__ import annotations

import gzip
import json

import numpy as np
import tensorflow as tf
from record_graphs import PATH, record
from tensorflow.python.ops import control_flow_util

TARGET = PATH.replace("tf1_graphs.json", "tf1_control_flow.json.gz")
NOISE = np.random.RandomState(1)


def noise(*shape):
    return NOISE.randn(*shape).astype(np.float32)


def switches():
    """A placeholder for a predicate and one for a vector, and feeds with either predicate."""
    p = tf.placeholder(tf.bool, [], name="p")
    x = tf.placeholder(tf.float32, [3], name="x")
    value = noise(3)
    return p, x, [{"p:0": np.array(side), "x:0": value} for side in (True, False)]


# --- Branches ---------------------------------------------------------------------------------------------------------


def cond():
    p, x, feeds = switches()
    a, b = tf.cond(p, lambda: (x * 2.0, x[:2]), lambda: (tf.square(x) + 1.0, x[2:] - 1.0))
    y = tf.add(a, tf.reduce_sum(b), name="y")
    return [(feed, [y, a, b]) for feed in feeds]


def cond_constants():
    p, x, feeds = switches()
    y = tf.cond(p, lambda: tf.constant([1.0, 2.0]), lambda: tf.zeros([2]))
    z = tf.cond(p, lambda: x, lambda: -x, name="other")
    text = tf.cond(p, lambda: tf.constant("yes"), lambda: tf.constant("no"), name="text")
    fetches = [tf.identity(item, name=f"result_{i}") for i, item in enumerate((y, z, text))]
    return [(feed, fetches) for feed in feeds]


def cond_effects(use_resource):
    p, x, feeds = switches()
    with tf.variable_scope("net", use_resource=use_resource):
        v = tf.get_variable("v", initializer=np.ones(3, np.float32))
        w = tf.get_variable("w", initializer=np.zeros(3, np.float32))

    def change():
        with tf.control_dependencies([tf.assign_add(v, x), tf.assign(w, [1.0, 2.0, 3.0])]):
            return tf.no_op()

    done = tf.cond(p, change, lambda: tf.no_op(), name="done")
    with tf.control_dependencies([done]):
        after = tf.identity(v.read_value() + w.read_value(), name="after")
    init = tf.group(tf.global_variables_initializer(), name="init")
    values = [tf.identity(v, name="last_v"), tf.identity(w, name="last_w")]
    return [({}, [init]), (feeds[1], [after]), ({}, values), (feeds[0], [after]), ({}, values), (feeds[0], [done])]


def cond_nested():
    p, x, feeds = switches()
    q = tf.placeholder(tf.bool, [], name="q")

    def inner():
        z = tf.reduce_sum(x)
        return tf.cond(q, lambda: x + z, lambda: tf.cond(z > 100.0, lambda: x, lambda: x * z))

    y = tf.identity(tf.cond(p, inner, lambda: tf.cond(tf.logical_not(q), lambda: x - 1.0, lambda: x / 2.0)), name="y")
    return [(dict(feed, **{"q:0": np.array(side)}), [y]) for feed in feeds for side in (True, False)]


def cond_assert():
    p, x, feeds = switches()
    with tf.control_dependencies([tf.Assert(tf.reduce_all(x > -100.0), [x])]):
        y = tf.multiply(x, 2.0, name="y")
    z = tf.where(tf.is_finite(y), y, y, name="z")
    return [(feeds[0], [y, z])]


def case():
    x = tf.placeholder(tf.float32, [], name="x")
    pairs = [(x < 1.0, lambda: x + 10.0), (x < 2.0, lambda: x * 20.0)]
    y = tf.case(pairs, default=lambda: tf.constant(-1.0), name="case")
    z = tf.case(pairs, exclusive=True, default=lambda: -x, name="exclusive")
    outputs = [tf.identity(y, name="y"), tf.identity(z, name="z")]
    return [({"x:0": np.float32(value)}, outputs[:1]) for value in (0.5, 1.5, 2.5)] + [
        ({"x:0": np.float32(value)}, outputs) for value in (1.5, 2.5)
    ]


# --- Loops ------------------------------------------------------------------------------------------------------------


def while_loop():
    n = tf.placeholder(tf.int32, [], name="n")
    w = tf.constant(noise(3, 3), name="w")
    i, x = tf.while_loop(lambda i, _: i < n, lambda i, x: (i + 1, tf.tanh(tf.matmul(x, w))), (0, tf.ones([2, 3])))
    y = tf.identity(x, name="y")
    return [({"n:0": np.int32(count)}, [i, x, y]) for count in (0, 1, 5)]


def while_growing():
    n = tf.placeholder(tf.int32, [], name="n")
    start = tf.zeros([1, 2])
    _, x = tf.while_loop(
        lambda i, _: i < n,
        lambda i, x: (i + 1, tf.concat([x, tf.fill([1, 2], tf.cast(i, tf.float32))], 0)),
        (0, start), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 2])),
    )  # fmt: skip
    y = tf.multiply(x, 2.0, name="y")
    return [({"n:0": np.int32(count)}, [y]) for count in (0, 3)]


def while_nested():
    n = tf.placeholder(tf.int32, [], name="n")
    scale = tf.placeholder(tf.float32, [2], name="scale")

    def row(i, total):
        _, part = tf.while_loop(lambda j, _: j <= i, lambda j, s: (j + 1, s * scale + tf.cast(j, tf.float32)),
                                (0, tf.ones([2])))  # fmt: skip
        return i + 1, total + part

    i, total = tf.while_loop(lambda i, _: i < n, row, (0, tf.zeros([2])))
    return [({"n:0": np.int32(4), "scale:0": noise(2)}, [i, tf.identity(total, name="total")])]


def while_effects():
    v = tf.get_variable("v", initializer=np.float32(1.0), use_resource=True)
    u = tf.get_variable("u", initializer=np.float32(1.0), use_resource=False)

    def body(i):
        with tf.control_dependencies([v.assign_add(2.0), tf.assign_add(u, tf.cast(i, tf.float32))]):
            return i + 1

    i = tf.while_loop(lambda i: i < 5, body, [0])
    with tf.control_dependencies([i]):
        after = [tf.identity(v.read_value(), name="after_v"), tf.identity(u.read_value(), name="after_u")]
    init = tf.group(tf.global_variables_initializer(), name="init")
    return [({}, [init]), ({}, [i] + after), ({}, after)]


def cond_in_while_in_cond():
    p, x, feeds = switches()
    n = tf.placeholder(tf.int32, [], name="n")

    def loop():
        def body(i, y):
            return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: y * 2.0 + x, lambda: y - tf.cast(i, tf.float32))

        return tf.while_loop(lambda i, _: i < n, body, (0, x))[1]

    y = tf.identity(tf.cond(p, loop, lambda: x * 100.0), name="y")
    return [(dict(feed, **{"n:0": np.int32(5)}), [y]) for feed in feeds]


def while_in_cond():
    p, x, feeds = switches()
    y = tf.cond(
        p,
        lambda: tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) < 50.0, lambda y: y * 1.5, [x]),
        lambda: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y + x), (0, x))[1],
    )
    return [(feed, [tf.identity(y, name=f"y_{i}")]) for i, feed in enumerate(feeds)]


def loop_condition_with_cond():
    x = tf.placeholder(tf.float32, [], name="x")

    def goes_on(i, y):
        return tf.cond(i < 3, lambda: y < 100.0, lambda: tf.logical_and(i < 6, y < 20.0))

    i, y = tf.while_loop(goes_on, lambda i, y: (i + 1, y * x), (0, 1.0))
    return [({"x:0": np.float32(value)}, [tf.identity(i, name=f"i_{k}"), tf.identity(y, name=f"y_{k}")])
            for k, value in enumerate((1.5, 2.0, 50.0))]  # fmt: skip


# --- Arrays -----------------------------------------------------------------------------------------------------------


def arrays():
    x = tf.placeholder(tf.float32, [4, 2], name="x")
    array = tf.TensorArray(tf.float32, size=4, clear_after_read=False).unstack(x)
    doubled = tf.TensorArray(tf.float32, size=0, dynamic_size=True, clear_after_read=False)
    _, doubled = tf.while_loop(lambda i, _: i < 4, lambda i, d: (i + 1, d.write(i, array.read(i) * 2.0)), (0, doubled))
    parts = tf.TensorArray(tf.float32, size=3, infer_shape=False, clear_after_read=False).split(x, [1, 0, 3])
    fetches = [
        tf.identity(doubled.stack(), name="stacked"),
        tf.identity(doubled.size(), name="size"),
        tf.identity(array.gather([3, 1]), name="gathered"),
        tf.identity(parts.concat(), name="joined"),
        tf.identity(parts.read(2), name="part"),
    ]
    return [({"x:0": noise(4, 2)}, fetches)]


def functional():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    fetches = [
        tf.map_fn(lambda row: tf.reduce_sum(row) * row, x),
        tf.scan(lambda a, row: a * 0.5 + row, x),
        tf.foldl(lambda a, row: a * 0.9 + row, x),
        tf.foldr(lambda a, row: a - row, x),
        tf.map_fn(lambda row: tf.map_fn(lambda e: e * e, row), x),
    ]
    return [({"x:0": noise(4, 3)}, [tf.identity(item, name=f"result_{i}") for i, item in enumerate(fetches)])]


def cell(size, kind=tf.nn.rnn_cell.LSTMCell):
    return kind(size, initializer=tf.initializers.random_uniform(-0.5, 0.5, seed=3))


def rnn(build, batch=3):
    x = tf.placeholder(tf.float32, [batch, 5, 4], name="x")
    lengths = tf.placeholder(tf.int32, [batch], name="lengths")
    outputs = tf.contrib.framework.nest.flatten(build(x, lengths))
    fetches = [tf.identity(item, name=f"result_{i}") for i, item in enumerate(outputs)]
    feeds = {"x:0": noise(3, 5, 4), "lengths:0": np.array([5, 0, 3], np.int32)}
    return [(feeds, fetches)]


def dynamic_rnn():
    return rnn(lambda x, _: tf.nn.dynamic_rnn(cell(6), x, dtype=tf.float32))


def dynamic_rnn_lengths():
    return rnn(lambda x, lengths: tf.nn.dynamic_rnn(cell(6), x, lengths, dtype=tf.float32))


def dynamic_rnn_any_batch():
    return rnn(lambda x, lengths: tf.nn.dynamic_rnn(cell(6), x, lengths, dtype=tf.float32), batch=None)


def bidirectional():
    def build(x, lengths):
        return tf.nn.bidirectional_dynamic_rnn(cell(4), cell(5), x, lengths, dtype=tf.float32)

    return rnn(build)


def stacked_rnn():
    def build(x, lengths):
        with tf.variable_scope("a"):
            first, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), x, lengths, dtype=tf.float32)
        with tf.variable_scope("b"):
            return tf.nn.dynamic_rnn(cell(3), tf.transpose(first, [1, 0, 2]), dtype=tf.float32, time_major=True)

    tf.set_random_seed(3)
    return rnn(build)


def frozen(build):
    """A graph with constants in place of its variables."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        runs = build()
        session.run(tf.global_variables_initializer())
        names = [fetch.op.name for _, fetches in runs for fetch in fetches]
        message = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)
    tf.import_graph_def(message, name="")
    named = tf.get_default_graph().get_tensor_by_name
    known = {node.name for node in message.node}
    return [({name: value for name, value in feeds.items() if name[:-2] in known},
             [named(fetch.name) for fetch in fetches]) for feeds, fetches in runs]  # fmt: skip


# --- Gradients --------------------------------------------------------------------------------------------------------


def with_training(build, use_resource=False):
    """The runs of three steps of gradient descent on a loss of feeds and a variable."""
    with tf.variable_scope("net", use_resource=use_resource):
        feeds, loss = build()
    loss = tf.identity(loss, name="loss")
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    pairs = [(grad, v) for grad, v in optimizer.compute_gradients(loss) if grad is not None]
    grads = [tf.identity(tf.convert_to_tensor(grad), name=f"grad_{i}") for i, (grad, _) in enumerate(pairs)]
    train = optimizer.apply_gradients(pairs, name="train")
    init = tf.group(tf.global_variables_initializer(), name="init")
    return [({}, [init])] + [(feeds, [loss] + grads), (feeds, [train]), (feeds, [loss, train]), (feeds, [loss] + grads)]


def gradient_of_x(y, feeds):
    x = tf.get_default_graph().get_tensor_by_name("x:0")
    grad = tf.gradients(y, x)[0]
    return [(feed, [tf.identity(y, name=f"y_{i}"), tf.identity(grad, name=f"grad_{i}")])
            for i, feed in enumerate(feeds)]  # fmt: skip


def grad_cond():
    p, x, feeds = switches()
    y = tf.cond(p, lambda: tf.reduce_sum(tf.tanh(x) * x), lambda: tf.reduce_sum(tf.exp(x[:2])))
    return gradient_of_x(tf.square(y), feeds)


def grad_cond_nested():
    p, x, feeds = switches()
    first = tf.cond(p, lambda: tf.cond(x[0] > 0.0, lambda: x * x, lambda: tf.sin(x)), lambda: 3.0 * x)
    y = tf.cond(tf.reduce_sum(first) > 0.0, lambda: tf.reduce_sum(first * x), lambda: tf.reduce_sum(tf.exp(first)))
    return gradient_of_x(y, feeds)


def grad_while():
    _, x, feeds = switches()
    n = tf.placeholder(tf.int32, [], name="n")
    y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x + y * y * 0.1), (0, x))[1]
    return gradient_of_x(y, [{"x:0": feeds[0]["x:0"], "n:0": np.int32(n)} for n in (0, 1, 4)])


def grad_while_any_shape():
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    b = tf.placeholder(tf.float32, [2], name="b")
    y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y) * x + b), (0, x))[1]
    return gradient_of_x(y, [{"x:0": noise(3, 2), "b:0": noise(2)}])


def grad_while_nested():
    _, x, feeds = switches()

    def row(i, y):
        return i + 1, tf.while_loop(lambda j, _: j <= i, lambda j, z: (j + 1, tf.sin(z) + x), (0, y))[1] * y

    y = tf.while_loop(lambda i, _: i < 3, row, (0, x))[1]
    return gradient_of_x(y, [{"x:0": feeds[0]["x:0"]}])


def grad_cond_in_while():
    _, x, feeds = switches()

    def body(i, y):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: tf.sin(y) * x, lambda: y * y + x)

    y = tf.while_loop(lambda i, _: i < 5, body, (0, x))[1]
    return gradient_of_x(y, [{"x:0": feeds[0]["x:0"]}])


def grad_while_in_cond():
    p, x, feeds = switches()
    y = tf.cond(p, lambda: tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1],
                lambda: tf.exp(x))  # fmt: skip
    return gradient_of_x(y, feeds)


def grad_functional():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    y = tf.scan(lambda a, row: tf.sin(a) * row + row, tf.map_fn(lambda row: tf.tanh(row) * row, x))
    return gradient_of_x(tf.reduce_sum(tf.square(y)), [{"x:0": noise(4, 3)}])


def train_rnn(lengths_given, use_resource=False, batch=3):
    def build():
        x = tf.placeholder(tf.float32, [batch, 5, 4], name="x")
        lengths = tf.placeholder(tf.int32, [batch], name="lengths")
        outputs, state = tf.nn.dynamic_rnn(cell(6), x, lengths if lengths_given else None, dtype=tf.float32)
        last = tf.layers.dense(state.h, 1, kernel_initializer=tf.initializers.random_uniform(-1, 1, seed=4))
        loss = tf.reduce_mean(tf.square(last - 1.0)) + tf.reduce_mean(tf.square(outputs))
        return {"net/x:0": noise(3, 5, 4), "net/lengths:0": np.array([5, 1, 3], np.int32)}, loss

    return with_training(build, use_resource)


def train_while(use_resource=False):
    def build():
        x = tf.placeholder(tf.float32, [2, 3], name="x")
        w = tf.get_variable("w", initializer=noise(3, 3))
        b = tf.get_variable("b", initializer=noise(3))
        y = tf.while_loop(lambda i, _: i < 4, lambda i, y: (i + 1, tf.tanh(tf.matmul(y, w) + b)), (0, x))[1]
        return {"net/x:0": noise(2, 3)}, tf.reduce_sum(tf.square(y))

    return with_training(build, use_resource)


GRAPHS = {
    "cond": cond,
    "cond_constants": cond_constants,
    "cond_effects_ref": lambda: cond_effects(False),
    "cond_effects_resource": lambda: cond_effects(True),
    "cond_nested": cond_nested,
    "cond_assert": cond_assert,
    "case": case,
    "while_loop": while_loop,
    "while_growing": while_growing,
    "while_nested": while_nested,
    "while_effects": while_effects,
    "cond_in_while_in_cond": cond_in_while_in_cond,
    "while_in_cond": while_in_cond,
    "loop_condition_with_cond": loop_condition_with_cond,
    "arrays": arrays,
    "functional": functional,
    "dynamic_rnn": lambda: frozen(dynamic_rnn),
    "dynamic_rnn_lengths": lambda: frozen(dynamic_rnn_lengths),
    "dynamic_rnn_any_batch": lambda: frozen(dynamic_rnn_any_batch),
    "bidirectional": lambda: frozen(bidirectional),
    "stacked_rnn": lambda: frozen(stacked_rnn),
    "grad_cond": grad_cond,
    "grad_cond_nested": grad_cond_nested,
    "grad_while": grad_while,
    "grad_while_any_shape": grad_while_any_shape,
    "grad_while_nested": grad_while_nested,
    "grad_cond_in_while": grad_cond_in_while,
    "grad_while_in_cond": grad_while_in_cond,
    "grad_functional": grad_functional,
    "train_while": train_while,
    "train_while_resource": lambda: train_while(True),
    "train_rnn": lambda: train_rnn(False),
    "train_rnn_lengths": lambda: train_rnn(True),
    "train_rnn_resource": lambda: train_rnn(True, True),
    "train_rnn_any_batch": lambda: train_rnn(True, batch=None),
}


def shapes_of(found, names):
    """The static shapes that TensorFlow finds when it reads the graph."""
    import base64
    import zlib

    message = tf.GraphDef.FromString(zlib.decompress(base64.b64decode(found["graph"])))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
        shapes = {}
        for name in names:
            shape = graph.get_tensor_by_name(name).shape
            shapes[name] = None if shape.ndims is None else shape.as_list()
        return shapes


def main():
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = False
    lines = []
    for name, build in GRAPHS.items():
        tf.reset_default_graph()
        found = record(build)
        names = {fetch for run in found["runs"] for fetch in run["fetches"] if ":" in fetch}
        found["shapes"] = shapes_of(found, sorted(names))
        lines.append(json.dumps(name) + ": " + json.dumps(found))
    with open(TARGET, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


if __name__ == "__main__":
    main()
