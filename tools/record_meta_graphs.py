"""Records meta graphs of real TensorFlow with checkpoints and numbers in `tests/train/data/meta_graphs/`.

    python tools/record_meta_graphs.py       with the Python of an environment that has TensorFlow 1.15.5

Each program trains for some steps, saves, and trains on; the losses of the second half are recorded. A zip file has the
meta graph, the checkpoint, `numbers.json`, and the graph with constants in the place of variables, `frozen.pb`, with
what it gives. `tests/train/test_tensorflow_meta_graphs.py` imports them and trains on.
"""

import json
import os
import shutil
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow  # noqa: E402

tf = tensorflow.compat.v1
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests", "train", "data", "meta_graphs")
STEPS = 3


def data(shape, seed):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def placeholders(x_shape, y_shape):
    return (
        tf.placeholder(tf.float32, [None] + x_shape, name="x"),
        tf.placeholder(tf.float32, [None] + y_shape, name="y"),
    )


def dense(x, size, name):
    shape = [x.shape[-1].value, size]
    with tf.variable_scope(name):
        w = tf.get_variable("w", shape, initializer=tf.constant_initializer(data(shape, 7)))
        b = tf.get_variable("b", [size], initializer=tf.zeros_initializer())
        return tf.matmul(x, w) + b


def finish(loss, optimizer):
    """What all programs have: a step counter, a training operation and a summary in collections."""
    step = tf.train.get_or_create_global_step()
    train = optimizer.minimize(loss, global_step=step, name="train")
    tf.add_to_collection(tf.GraphKeys.TRAIN_OP, train)
    tf.add_to_collection("my_loss", loss)
    tf.add_to_collection("numbers", 3)
    tf.add_to_collection("texts", "text")
    tf.add_to_collection("rates", 0.5)
    tf.summary.scalar("loss", loss)


def momentum():
    x, y = placeholders([3], [2])
    with tf.device("/cpu:0"):
        out = dense(tf.nn.relu(dense(x, 4, "a")), 2, "out")
    rate = tf.train.exponential_decay(0.1, tf.train.get_or_create_global_step(), 2, 0.9)
    tf.add_to_collection("losses", 0.01 * tf.nn.l2_loss(tf.trainable_variables()[0]))
    loss = tf.reduce_mean(tf.square(out - y)) + tf.add_n(tf.get_collection("losses"))
    finish(loss, tf.train.MomentumOptimizer(rate, 0.9))


def adam_resource():
    tf.get_variable_scope().set_use_resource(True)
    x, y = placeholders([3], [2])
    out = dense(tf.tanh(dense(x, 4, "a")), 2, "out")
    finish(tf.reduce_mean(tf.square(out - y)), tf.train.AdamOptimizer(0.05))


def batch_norm():
    x, y = placeholders([4, 4, 2], [2])
    training = tf.placeholder_with_default(True, [], name="training")
    kernel = tf.get_variable("kernel", [3, 3, 2, 3], initializer=tf.constant_initializer(data([3, 3, 2, 3], 8)))
    net = tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME")
    net = tf.layers.batch_normalization(net, training=training, momentum=0.9)
    net = tf.reduce_mean(tf.nn.relu(net), [1, 2])
    loss = tf.reduce_mean(tf.square(dense(net, 2, "out") - y))
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        finish(loss, tf.train.GradientDescentOptimizer(0.1))


def recurrent():
    x, y = placeholders([4, 3], [2])
    cell = tf.nn.rnn_cell.BasicLSTMCell(5)
    with tf.variable_scope("rnn", initializer=tf.constant_initializer(data([8, 20], 9))):
        outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    loss = tf.reduce_mean(tf.square(dense(outputs[:, -1], 2, "out") - y))
    finish(loss, tf.train.AdagradOptimizer(0.1))


def branches():
    x, y = placeholders([3], [2])
    out = dense(x, 2, "a")
    out = tf.cond(tf.reduce_sum(x) > 0, lambda: out * 2.0, lambda: tf.abs(out), name="choice")
    _, out = tf.while_loop(lambda i, _: i < 3, lambda i, value: (i + 1, tf.tanh(value) * 1.5), [0, out], name="turns")
    out = dense(out, 2, "out")
    finish(tf.reduce_mean(tf.square(out - y)), tf.train.RMSPropOptimizer(0.01))


def queue():
    x, y = placeholders([3], [2])
    buffer = tf.FIFOQueue(16, [tf.float32], [[2, 3]], name="buffer")
    rows = buffer.enqueue(tf.constant(data([2, 3], 4)), name="fill")
    tf.train.add_queue_runner(tf.train.QueueRunner(buffer, [rows]))
    out = dense(x + tf.reduce_sum(buffer.dequeue(name="take"), 0), 2, "out")
    finish(tf.reduce_mean(tf.square(out - y)), tf.train.GradientDescentOptimizer(0.05))


def sharded():
    x, y = placeholders([3], [2])
    with tf.variable_scope("parts", partitioner=tf.fixed_size_partitioner(2)):
        table = tf.get_variable("table", [4, 3], initializer=tf.constant_initializer(data([2, 3], 5)))
    with tf.device("/job:localhost/replica:0/task:0/device:CPU:0"):
        out = dense(x + tf.nn.embedding_lookup(table, [0, 3, 1, 2]), 2, "out")
    finish(tf.reduce_mean(tf.square(out - y)), tf.train.AdamOptimizer(0.01))


PROGRAMS = [momentum, adam_resource, batch_norm, recurrent, branches, queue, sharded]


def feeds(graph):
    shapes = {name: [4] + graph.get_tensor_by_name(name).shape.as_list()[1:] for name in ("x:0", "y:0")}
    return {name: data(shapes[name], seed).tolist() for seed, name in enumerate(("x:0", "y:0"))}


def freeze(session, fed):
    """The graph of the outputs with constants, and what it gives."""
    graph_def = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["out/add"])
    if "training" in [node.name for node in graph_def.node]:
        fed = dict(fed, **{"training:0": False})
    return graph_def, session.run("out/add:0", {name: fed[name] for name in fed if name != "y:0"}).tolist()


def record(program):
    folder = tempfile.mkdtemp()
    with tf.Graph().as_default() as graph, tf.Session() as session:
        program()
        saver = tf.train.Saver(sharded=program is sharded)
        session.run(tf.global_variables_initializer())
        if tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
            for _ in range(16):
                session.run("fill")
        fed = feeds(graph)
        train, loss = tf.get_collection(tf.GraphKeys.TRAIN_OP)[0], tf.get_collection("my_loss")[0]
        for _ in range(STEPS):
            session.run(train, fed)
        saver.save(session, os.path.join(folder, "model"))
        frozen, output = freeze(session, fed)
        losses = []
        for _ in range(STEPS):
            losses.append(float(session.run(loss, fed)))
            session.run(train, fed)
        losses.append(float(session.run(loss, fed)))
        collections = {key: len(graph.get_collection(key)) for key in graph.get_all_collection_keys()}
    with open(os.path.join(folder, "frozen.pb"), "wb") as file:
        file.write(frozen.SerializeToString())
    numbers = {"output": output, "feeds": fed, "losses": losses, "collections": collections}
    numbers.update(loss=loss.name, train=train.name)
    with zipfile.ZipFile(os.path.join(FOLDER, program.__name__ + ".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        contents = {name: open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))}
        contents["numbers.json"] = json.dumps(numbers, sort_keys=True).encode()
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), contents[name], zipfile.ZIP_DEFLATED)
    shutil.rmtree(folder)


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    for each in PROGRAMS:
        record(each)
        print(each.__name__)
