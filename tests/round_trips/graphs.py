"""Graphs: with variables and collections, frozen, and as text. For Python 3.7 and newer."""
import os

import numpy as np
from round_trips.artefact import Artefact


def _numbers(shape, seed):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def _weights(tf, name, shape, seed):
    return tf.get_variable(name, initializer=_numbers(shape, seed), use_resource=seed % 2 == 0)


class MetaGraph(Artefact):
    """A model with a branch and a loop, its training operation, collections and a checkpoint: training goes on."""

    name = "meta_graph"
    title = "meta graphs that train on"
    same = ("tf1",)  # in TensorFlow 2 the global step is a resource
    feeds = {"x:0": _numbers([4, 3], 1), "y:0": _numbers([4, 2], 2)}

    def loss(self, tf):
        x, y = tf.placeholder(tf.float32, [None, 3], "x"), tf.placeholder(tf.float32, [None, 2], "y")
        hidden = tf.tanh(tf.matmul(x, _weights(tf, "hidden", [3, 4], 3)))
        hidden = tf.cond(tf.reduce_sum(x) > 0, lambda: hidden * 2.0, lambda: tf.abs(hidden))
        turns = tf.while_loop(lambda i, _: i < 3, lambda i, value: (i + 1, tf.tanh(value) * 1.5), [0, hidden])
        return tf.reduce_mean(tf.square(tf.matmul(turns[1], _weights(tf, "out", [4, 2], 4)) - y), name="loss")

    def write(self, tf, folder):
        loss = self.loss(tf)
        rate = tf.train.exponential_decay(0.1, tf.train.get_or_create_global_step(), 2, 0.9)
        train = tf.train.MomentumOptimizer(rate, 0.9).minimize(loss, tf.train.get_global_step(), name="train")
        for name, value in (("ops", loss), ("ops", train), ("number", 3), ("text", "text"), ("rate", 0.5)):
            tf.add_to_collection(name, value)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for _ in range(3):
                session.run(train, self.feeds)
            tf.train.Saver().save(session, os.path.join(folder, "trained"), write_state=False)

    def read(self, tf, folder):
        path = os.path.join(folder, "trained")
        saver = tf.train.import_meta_graph(path + ".meta", clear_devices=True)
        loss, train = tf.get_collection("ops")
        losses = []
        with tf.Session() as session:
            saver.restore(session, path)
            for _ in range(4):
                losses.append(session.run([loss, train], self.feeds)[0])
        keys = tf.get_default_graph().get_all_collection_keys()
        collections = {key: len(tf.get_collection(key)) for key in keys if not key.endswith("_context")}
        values = [tf.get_collection(name)[0] for name in ("number", "text", "rate")]
        return {"losses": losses, "collections": collections, "values": values}


class RecurrentMetaGraph(MetaGraph):
    """The same with loops that read and write tensor arrays, whose gradients are such loops, too."""

    name = "meta_graph_rnn"
    title = "the same with `dynamic_rnn`, `map_fn` and `scan`"
    same = ()
    feeds = {"x:0": _numbers([2, 5, 3], 15)}

    def loss(self, tf):
        x = tf.placeholder(tf.float32, [None, 5, 3], "x")
        outputs, state = tf.nn.dynamic_rnn(Cell(tf), x, [5, 3], dtype=tf.float32)
        scale = _weights(tf, "scale", [4], 16)
        mapped = tf.map_fn(lambda row: tf.reduce_sum(row * scale, 1), outputs)
        scanned = tf.scan(lambda total, row: total * scale + row, tf.transpose(outputs, [1, 0, 2]))
        return tf.reduce_mean(tf.square(mapped - 1.0)) + tf.reduce_mean(tf.square(scanned[-1] - state), name="loss")


class Frozen(Artefact):
    """A graph with constants in the place of variables, as `convert_variables_to_constants` makes it."""

    shape = []
    as_text = False

    def write(self, tf, folder):
        x = tf.placeholder(tf.float32, [None] + self.shape, name="x")
        tf.identity(self.network(tf, x), name="out")
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            graph_def = session.graph.as_graph_def()
            frozen = tf.graph_util.convert_variables_to_constants(session, graph_def, ["out"])
        tf.train.write_graph(frozen, folder, "frozen.pb", as_text=self.as_text)

    def read(self, tf, folder):
        with open(os.path.join(folder, "frozen.pb"), "rb") as file:
            graph_def = self.parse(tf, file.read())
        (out,) = tf.import_graph_def(graph_def, name="net", return_elements=["out:0"])
        with tf.Session() as session:
            return session.run(out, {"net/x:0": _numbers([2] + self.shape, 9)})

    def parse(self, tf, content):
        return tf.GraphDef.FromString(content)


class FrozenConvolutions(Frozen):
    """A convolutional network with batch normalisation and pooling."""

    name = "frozen_convolutions"
    title = "frozen graphs: a convolutional network"
    same = ("tf1", "tf2")
    shape = [8, 8, 1]

    def network(self, tf, x):
        net = tf.nn.conv2d(x, _weights(tf, "kernel", [3, 3, 1, 4], 5), [1, 1, 1, 1], "SAME")
        net = tf.nn.relu(tf.nn.bias_add(net, _weights(tf, "bias", [4], 6)))
        mean, variance = _weights(tf, "mean", [4], 7), tf.abs(_weights(tf, "variance", [4], 8))
        one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
        net, _, _ = tf.nn.fused_batch_norm(net, one, zero, mean, variance, is_training=False)
        net = tf.nn.depthwise_conv2d(net, _weights(tf, "depthwise", [3, 3, 4, 1], 10), [1, 2, 2, 1], "VALID")
        net = tf.nn.max_pool(net, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
        net = tf.reshape(net, [-1, 16])
        return tf.nn.softmax(tf.nn.xw_plus_b(net, _weights(tf, "w", [16, 3], 11), _weights(tf, "b", [3], 12)))


class Cell:
    """A recurrent cell that needs nothing but operations: TensorFlow 2.21 has no cells of 1.x any more."""

    output_size = state_size = 4

    def __init__(self, tf):
        self.tf = tf

    def zero_state(self, batch_size, dtype):
        return self.tf.zeros([batch_size, self.state_size], dtype)

    def __call__(self, inputs, state, scope=None):
        joined = self.tf.concat([inputs, state], 1)
        output = self.tf.tanh(self.tf.matmul(joined, _weights(self.tf, "w", [3 + self.state_size, 4], 13)))
        return output, output


class FrozenLoop(Frozen):
    """`dynamic_rnn` with lengths: a while loop over tensor arrays."""

    name = "frozen_dynamic_rnn"
    title = "frozen graphs: a `dynamic_rnn`"
    shape = [5, 3]

    def network(self, tf, x):
        lengths = tf.minimum(tf.range(tf.shape(x)[0]) + 4, 5)
        outputs, state = tf.nn.dynamic_rnn(Cell(tf), x, lengths, dtype=tf.float32)
        return tf.concat([outputs[:, -1], state], 1)


class TextGraph(Frozen):
    """A graph in protocol buffer's text format."""

    name = "graph_text"
    title = "graphs in text format"
    same = ("tf1", "tf2")
    shape = [2]
    as_text = True

    def network(self, tf, x):
        return tf.nn.elu(x * _weights(tf, "scale", [2], 14)) + tf.constant([[0.25, -1e-7]])

    def parse(self, tf, content):
        from google.protobuf import text_format

        return text_format.Parse(content.decode(), tf.GraphDef())


class PythonFunction(Frozen):
    """A Python function is not in the file: nobody reads it."""

    name = "python_function"
    title = "graphs with `tf.py_func`"
    shape = [2]
    cannot = {"millstream": "runs Python code", "tf1": "pyfunc_", "tf2": "pyfunc_"}

    def network(self, tf, x):
        return tf.py_func(lambda value: value + 1, [x], tf.float32, stateful=False)


ARTEFACTS = (MetaGraph(), RecurrentMetaGraph(), FrozenConvolutions(), FrozenLoop(), TextGraph(), PythonFunction())
