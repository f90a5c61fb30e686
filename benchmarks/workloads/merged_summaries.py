"""Computing three scalar summaries in a session and writing them to an event file, 1,000 times; per run."""
import tempfile

import numpy as np
from peers import summaries

UNIT = "µs"
PER = 1000


def graph(tf):
    folder, built = tempfile.TemporaryDirectory(), tf.Graph()
    with built.as_default():
        x = tf.placeholder(tf.float32, [8])
        for name in ("loss", "accuracy", "rate"):
            tf.summary.scalar(name, tf.reduce_mean(x * x))
        merged = tf.summary.merge_all()
        writer = tf.summary.FileWriter(folder.name)
    session = tf.Session(graph=built)
    values = np.arange(8, dtype=np.float32)

    def write():
        for step in range(PER):
            writer.add_summary(session.run(merged, {x: values}), step)
        writer.flush()

    return folder, write


def figures(prepared):
    return summaries.figures(*prepared, events=PER)
