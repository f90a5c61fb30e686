"""Records graphs of real TensorFlow 1.15, and what they compute, in `tests/data/tf1_graphs.json`.

    python tools/record_graphs.py            with the Python of an environment that has TensorFlow 1.15.5

`tests/core/test_graph_io.py` loads the graphs with Millstream and runs them. Each is a `GraphDef` in binary form
(deflated, base64) with a list of runs: what is fed, what is fetched, and the values.
"""

from __future__ import annotations

import base64
import json
import os
import zlib

import numpy as np
import tensorflow as tf

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "data", "tf1_graphs.json")
NOISE = np.random.RandomState(0)


def arithmetic():
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    w = tf.constant(NOISE.randn(4, 6).astype(np.float32), name="w")
    with tf.name_scope("layer"), tf.device("/cpu:0"):
        hidden = tf.tanh(tf.matmul(x, w) + tf.range(6, dtype=tf.float32) / 10.0)
    left, right = tf.split(hidden, 2, axis=1)
    picked = tf.gather(tf.concat([right, left], 1), [5, 0], axis=1)
    masked = tf.where(picked > 0.0, picked, tf.zeros_like(picked), name="masked")
    sliced = tf.identity(hidden[:, 1:-1:2, tf.newaxis], name="sliced")
    total = tf.reduce_sum(tf.tile(tf.pad(masked, [[1, 0], [0, 1]]), [1, 2]), name="total")
    best = tf.one_hot(tf.argmax(hidden, 1), 6, name="best")
    feeds = {"x:0": NOISE.randn(3, 4).astype(np.float32)}
    return [(feeds, [masked, sliced, total, best])]


def training(optimizer, use_resource=False):
    with tf.variable_scope("net", use_resource=use_resource, regularizer=tf.contrib.layers.l2_regularizer(0.01)):
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        labels = tf.placeholder(tf.int64, [None], name="labels")
        w = tf.get_variable("w", initializer=NOISE.randn(4, 3).astype(np.float32))
        b = tf.get_variable("b", [3], initializer=tf.zeros_initializer())
        logits = tf.nn.xw_plus_b(x, w, b) if not use_resource else tf.matmul(x, w) + b
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        loss = tf.add(loss, tf.losses.get_regularization_loss(), name="loss")
    train = optimizer.minimize(loss, global_step=tf.train.get_or_create_global_step(), name="train")
    init = tf.group(tf.global_variables_initializer(), name="init")
    feeds = {"net/x:0": NOISE.randn(5, 4).astype(np.float32), "net/labels:0": np.arange(5) % 3}
    return [
        ({}, [init]),
        *[(feeds, [loss, train]) for _ in range(3)],
        ({}, [tf.identity(w, name="last_w"), tf.identity(b, name="last_b")]),
    ]


def control_dependencies():
    v = tf.Variable([1.0, 2.0], name="v")
    before = tf.identity(v, name="before")
    with tf.control_dependencies([before]), tf.control_dependencies([tf.assign(v, before * 3.0)]):
        after = tf.identity(v.read_value(), name="after")
    with tf.control_dependencies([tf.Assert(tf.reduce_all(after > 0.0), [after])]):
        done = tf.no_op(name="done")
    return [({}, [v.initializer]), ({}, [after, done]), ({}, [after, done])]


def strings():
    text = tf.constant(["a", "bc"], name="text")
    joined = tf.string_join([text, tf.constant("-"), text], name="joined")
    return [({}, [joined])]


def conditional():
    predicate = tf.placeholder(tf.bool, [], name="predicate")
    x = tf.placeholder(tf.float32, [], name="x")
    y = tf.identity(tf.cond(predicate, lambda: x * 2.0, lambda: tf.square(x) + 1.0), name="y")
    return [({"predicate:0": np.array(value), "x:0": np.float32(3)}, [y]) for value in (True, False)]


def random_numbers():
    tf.set_random_seed(5)
    a = tf.random_uniform([4], name="a")
    b = tf.truncated_normal([3], stddev=2.0, seed=7, name="b")
    return [({}, [a, b]), ({}, [a, b])]


def convolution():
    x = tf.placeholder(tf.float32, [None, 6, 6, 2], name="x")
    kernel = tf.constant(NOISE.randn(3, 3, 2, 4).astype(np.float32))
    hidden = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME"), [0.1, 0.2, 0.3, 0.4]))
    pooled = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "VALID", name="pooled")
    flat = tf.reshape(pooled, [tf.shape(x)[0], 36], name="flat")
    probability = tf.nn.softmax(flat[:, :5], name="probability")
    return [({"x:0": NOISE.randn(2, 6, 6, 2).astype(np.float32)}, [pooled, probability])]


GRAPHS = {
    "arithmetic": arithmetic,
    "momentum": lambda: training(tf.train.MomentumOptimizer(0.1, 0.9)),
    "adam": lambda: training(tf.train.AdamOptimizer(0.1)),
    "resource": lambda: training(tf.train.GradientDescentOptimizer(0.1), use_resource=True),
    "control_dependencies": control_dependencies,
    "strings": strings,
    "conditional": conditional,
    "random": random_numbers,
    "convolution": convolution,
}


def as_json(value):
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind in "OS":
        return {"dtype": "string", "value": [item.decode() for item in array.reshape(-1)], "shape": array.shape}
    return {"dtype": array.dtype.name, "value": array.reshape(-1).tolist(), "shape": array.shape}


def record(build):
    with tf.Graph().as_default() as graph:
        runs = build()
        message = graph.as_graph_def()
        recorded = []
        with tf.Session() as session:
            for feeds, fetches in runs:
                recorded.append(
                    {
                        "feeds": {name: as_json(value) for name, value in feeds.items()},
                        "fetches": [fetch.name for fetch in fetches],
                        "values": [as_json(value) for value in session.run(fetches, feeds)],
                    }
                )
    content = zlib.compress(message.SerializeToString(), 9)
    return {"graph": base64.b64encode(content).decode(), "runs": recorded}


def main():
    found = {name: record(build) for name, build in GRAPHS.items()}
    with open(PATH, "w") as file:
        lines = [json.dumps(name) + ": " + json.dumps(graph) for name, graph in found.items()]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
