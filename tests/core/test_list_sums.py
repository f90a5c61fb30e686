"""Gradients of reads from lists, in files: TensorFlow adds lists of equal length only (`core/list_sums.py`)."""
from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import list_sums
from millstream.core.list_sums import GROWS

X = np.random.RandomState(0).uniform(-1, 1, [4, 3]).astype(np.float32)


def once(x: Any, w: Any) -> Any:
    return tf.map_fn(lambda row: row * w, x)


def several(x: Any, w: Any) -> Any:
    rows = tf.TensorArray(tf.float32, 4, clear_after_read=False).unstack(x * w)

    def step(i: Any, total: Any) -> Any:
        return i + 1, total + rows.read(i) * rows.read(i + 1) * rows.read(0)

    return tf.while_loop(lambda i, _: i < 3, step, [0, tf.zeros([3])])[1]


def nested(x: Any, w: Any) -> Any:
    return tf.map_fn(lambda row: tf.map_fn(lambda each: each * w + tf.reduce_sum(row), row), x)


def loop_in_loop(x: Any, w: Any) -> Any:
    rows = tf.TensorArray(tf.float32, 4, clear_after_read=False).unstack(x * w)

    def inner(start: Any) -> Any:
        return tf.while_loop(lambda i, _: i < 2, lambda i, total: (i + 1, total + rows.read(i)), [0, start])[1]

    def step(i: Any, total: Any) -> Any:
        return i + 1, total + rows.read(i) * inner(rows.read(i + 1))

    return tf.while_loop(lambda i, _: i < 3, step, [0, tf.zeros([3])])[1]


def reads_what_it_writes(x: Any, w: Any) -> Any:
    rows = tf.TensorArray(tf.float32, 4, clear_after_read=False).write(0, x[0] * w)

    def step(i: Any, rows: Any) -> Any:
        return i + 1, rows.write(i + 1, rows.read(i) * w)

    return tf.while_loop(lambda i, _: i < 3, step, [0, rows])[1].stack()


def without_loop(x: Any, w: Any) -> Any:
    rows = tf.TensorArray(tf.float32, 4, clear_after_read=False).unstack(x * w)
    return rows.read(0) * rows.read(1) + rows.read(2) * rows.read(0)


@pytest.mark.parametrize("build", [once, several, nested, loop_in_loop, reads_what_it_writes, without_loop])
def test_no_list_grows(build: Any) -> None:
    """What is written can be computed by TensorFlow 1.15; read again, it gives the same gradients."""
    x, w = tf.constant(X, name="x"), tf.constant(1.5, name="w")
    grads = tf.gradients(tf.reduce_sum(tf.square(build(x, w))), [x, w])
    graph_def = tf.get_default_graph().as_graph_def()
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    assert not any(GROWS in node.attr and node.attr[GROWS].b for node in nodes)
    names = [node.name for node in graph_def.node]
    assert len(set(names)) == len(names)
    with tf.Session() as session:
        wanted = session.run(grads)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(tf.import_graph_def(graph_def, return_elements=[grad.name for grad in grads], name=""))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_results_of_a_function_are_kept() -> None:
    """Also a list of one element that is a result beside the sum of which it is a part."""
    x = tf.constant(X, name="x")
    tf.gradients(tf.reduce_sum(tf.square(without_loop(x, 2.0))), x)
    with mock.patch.object(list_sums, "write_in_place"):
        nodes = tf.get_default_graph().as_graph_def().node
    growing = [node.name for node in nodes if node.op == "TensorListSetItem" and GROWS in node.attr]
    list_sums.write_in_place(nodes, results=[f"{growing[0]}:output_handle:0"])
    assert [name for name in growing if name in {node.name for node in nodes}] == growing[:1]
    assert {edge.split(":")[0].lstrip("^") for node in nodes for edge in node.input} <= {node.name for node in nodes}


def test_other_lists_keep_their_form() -> None:
    """A program's own list that grows is written as such."""
    rows = tf.TensorArray(tf.float32, 0, dynamic_size=True).write(2, [1.0])
    graph_def = tf.get_default_graph().as_graph_def()
    assert [node.attr[GROWS].b for node in graph_def.node if node.op == "TensorListSetItem"] == [True]
    assert rows.flow.op.name in [node.name for node in graph_def.node]
