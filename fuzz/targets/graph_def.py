"""Graphs that are imported."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import support
from google.protobuf.message import DecodeError

import millstream.v1 as tf

MESSAGE = tf.GraphDef


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        tf.nn.softmax(tf.matmul(x, tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])) + [1.0, 2.0], name="y")
        yield graph.as_graph_def().SerializeToString(deterministic=True)
    with tf.Graph().as_default() as graph:
        tf.while_loop(lambda i: i < 10, lambda i: i + 1, [0])
        tf.cond(tf.placeholder(tf.bool, []), lambda: tf.constant(1), lambda: tf.constant(2))
        yield graph.as_graph_def().SerializeToString(deterministic=True)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    try:
        message = MESSAGE.FromString(data)
    except DecodeError:
        return
    import_graph(message)


def import_graph(message: Any) -> None:
    """Adds a graph to a new one."""
    with tf.Graph().as_default(), support.refusing(ValueError):
        tf.import_graph_def(message, name="")
