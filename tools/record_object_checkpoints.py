"""Records checkpoints of objects that real TensorFlow writes, in `tests/train/data/objects/`.

    python tools/record_object_checkpoints.py     with the Python of an environment that has TensorFlow 1.15.5, or
    2.21.0

Each version writes a folder of its own. `values.json` has what the variables are after more steps of training.
"""

import json
import os
import shutil
import sys

import tensorflow as tf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "train"))

import object_programs as programs  # noqa: E402 - found by the line above

v1 = tf.compat.v1
IS_1 = tf.__version__.startswith("1.")
FOLDER = os.path.join(ROOT, "tests", "train", "data", "objects", "tf1" if IS_1 else "tf2")
STEPS = 3


def path(name):
    return os.path.join(FOLDER, name)


def numbers(variables):
    return {name: variable.numpy().tolist() for name, variable in variables.items()}


def eager():
    tf.train.Checkpoint(**programs.structure(tf, v1)).write(path("structure"))
    objects, train = programs.training(tf, v1)
    checkpoint = tf.train.Checkpoint(**objects)
    for _ in range(STEPS):
        train()
    checkpoint.save(path("training"))
    saved = numbers({"w": objects["w"], "b": objects["b"]})
    for _ in range(STEPS):
        train()
    after = numbers({"w": objects["w"], "b": objects["b"]})
    state, number = programs.python_state(tf, "read so far: 12"), tf.Variable(3, name="number")
    tf.train.Checkpoint(number=number, state=state).write(path("state"))
    saver = v1.train.Saver({"w": objects["w"], "b": objects["b"], "step": objects["step"]})
    saver.save(None, path("names"), write_state=False)
    return {"saved": saved, "after": after}


def eager_1():
    tf.train.Checkpoint(**programs.layers(tf)[0]).write(path("layers"))
    arrays = tf.contrib.checkpoint.NumpyState()
    import numpy as np

    arrays.matrix, arrays.number = np.arange(6.0).reshape(2, 3), np.array(4)
    tf.train.Checkpoint(arrays=arrays).write(path("arrays"))


def graph():
    with tf.Graph().as_default(), tf.Session() as session:
        objects, step = programs.graph_training(tf)
        checkpoint = tf.train.Checkpoint(**objects)
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            session.run(step)
        checkpoint.save(path("graph"))
        saved = session.run([objects["w"], objects["b"]])
        for _ in range(STEPS):
            session.run(step)
        after = session.run([objects["w"], objects["b"]])
    pairs = (("saved", saved), ("after", after))
    return {"graph_" + key: {"w": w.tolist(), "b": b.tolist()} for key, (w, b) in pairs}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    values = {}
    if IS_1:
        values.update(graph())
        v1.enable_eager_execution()
    values.update(eager())
    if IS_1:
        eager_1()
    if os.path.exists(path("checkpoint")):
        os.remove(path("checkpoint"))
    with open(path("values.json"), "w") as file:
        json.dump(values, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
