"""Graphs that are imported."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf.message import DecodeError

import millstream.v1 as tf


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        tf.nn.softmax(tf.matmul(x, tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])) + [1.0, 2.0], name="y")
        yield graph.as_graph_def().SerializeToString()
    with tf.Graph().as_default() as graph:
        tf.while_loop(lambda i: i < 10, lambda i: i + 1, [0])
        tf.cond(tf.placeholder(tf.bool, []), lambda: tf.constant(1), lambda: tf.constant(2))
        yield graph.as_graph_def().SerializeToString()


def TestOneInput(data: bytes) -> None:  # noqa: N802
    try:
        message = tf.GraphDef.FromString(data)
    except DecodeError:
        return
    with tf.Graph().as_default():
        try:
            tf.import_graph_def(message, name="")
        except (ValueError, TypeError, *support.REFUSALS):
            pass
