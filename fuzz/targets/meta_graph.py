"""Graphs with their collections, as a Saver writes them beside a checkpoint."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf.message import DecodeError

import millstream.v1 as tf


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    with tf.Graph().as_default():
        v = tf.get_variable("v", [3])
        tf.get_variable("r", [2], use_resource=True)
        tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v), tf.train.get_or_create_global_step())
        tf.train.Saver()
        yield tf.train.export_meta_graph().SerializeToString()


def TestOneInput(data: bytes) -> None:  # noqa: N802
    try:
        message = tf.MetaGraphDef.FromString(data)
    except DecodeError:
        return
    with tf.Graph().as_default():
        try:
            tf.train.import_meta_graph(message)
        except (ValueError, TypeError, KeyError, *support.REFUSALS):
            pass
