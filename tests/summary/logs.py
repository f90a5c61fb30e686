"""Writes summaries of all kinds, for the tests to show them in TensorBoard.

    python logs.py v1|v2 FOLDER
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 8


def images() -> np.ndarray[Any, Any]:
    """Two images of 16 by 24 pixels, RGB between 0 and 1: a ramp from left to right, and one from top to bottom."""
    ramp = np.zeros([2, 16, 24, 3], np.float32)
    ramp[0, :, :, 0] = np.linspace(0, 1, 24)
    ramp[1, :, :, 2] = np.linspace(0, 1, 16)[:, None]
    return ramp


def tone() -> np.ndarray[Any, Any]:
    """A tenth of a second of 440 Hz at 8,000 frames a second: one clip of one channel."""
    return np.sin(np.arange(800) * 2 * np.pi * 440 / 8000).astype(np.float32).reshape(1, 800, 1)


def write_v1(folder: Path) -> None:
    """A training run of 1.x: a network with scopes, its summaries, run metadata of one step, a session log."""
    import millstream.v1 as tf

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        with tf.name_scope("hidden"):
            w = tf.get_variable("w", [4, 5], initializer=tf.random_normal_initializer(seed=1))
            hidden = tf.nn.relu(tf.matmul(x, w), name="relu")
        with tf.name_scope("train"):
            loss = tf.reduce_mean(tf.square(hidden), name="loss")
            step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        with tf.name_scope("summaries"):
            tf.summary.scalar("loss", loss)
            tf.summary.histogram("weights", w)
            tf.summary.image("ramps", tf.constant(images()))
            tf.summary.audio("tone", tf.constant(tone()), 8000.0)
            tf.summary.text("note", tf.constant("**bold** words"))
        merged = tf.summary.merge_all()
        values = np.arange(8, dtype=np.float32).reshape(2, 4) / 8
        with tf.summary.FileWriter(str(folder), graph) as writer, tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for number in range(STEPS):
                options, metadata = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), tf.RunMetadata()
                summary, _ = session.run([merged, step], {x: values}, options, metadata)
                writer.add_summary(summary, number)
                if number == 2:
                    writer.add_run_metadata(metadata, "step2", number)
            writer.add_session_log(tf.SessionLog(status=tf.SessionLog.STOP), STEPS)


def write_v2(folder: Path) -> None:
    """Summaries of 2.x, eager and in a function, and the trace of that function."""
    import millstream as tf

    weight = tf.Variable(2.0, name="weight")

    @tf.function
    def train_step(step: Any) -> None:
        with tf.name_scope("model"):
            loss = tf.square(weight, name="square")
        tf.summary.scalar("loss", loss, step=step, description="what is minimised")
        with tf.summary.record_if(step % 2 == 0):
            tf.summary.histogram("numbers", tf.linspace(0.0, loss, 100), step=step)
        weight.assign_sub(0.1 * weight)

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        tf.summary.trace_on(graph=True)
        for number in range(STEPS):
            train_step(tf.constant(number, tf.int64))
            if number == 0:
                tf.summary.trace_export("train_step", step=0)
        tf.summary.image("ramps", images(), step=1, max_outputs=2)
        tf.summary.audio("tone", tone(), 8000, step=1)
        tf.summary.text("note", "a *word* and\n\n| a | table |\n|---|---|\n| 1 | 2 |", step=1)
    writer.close()


if __name__ == "__main__":
    {"v1": write_v1, "v2": write_v2}[sys.argv[1]](Path(sys.argv[2]))
