"""Graphs with their collections, as a Saver writes them beside a checkpoint."""
from __future__ import annotations

from collections.abc import Iterable

import support

import millstream.v1 as tf

MESSAGE = tf.MetaGraphDef


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    with tf.Graph().as_default():
        v = tf.get_variable("v", [3])
        tf.get_variable("r", [2], use_resource=True)
        tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v), tf.train.get_or_create_global_step())
        tf.train.Saver()
        yield tf.train.export_meta_graph().SerializeToString(deterministic=True)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    import_file(support.place("graph.meta", data))


def import_file(path: str) -> None:
    """Adds the graph of a file to a new one."""
    with tf.Graph().as_default(), support.refusing(ValueError, naming=path):
        tf.train.import_meta_graph(path)
