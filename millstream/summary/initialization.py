"""Making the files of the writers of a graph, and finding all that writes to them."""
from __future__ import annotations

from typing import Any

from millstream.core import context, dtypes
from millstream.core.export import export
from millstream.core.graph import Graph
from millstream.core.scopes import get_collection
from millstream.core.session_stack import get_default_session
from millstream.core.tensor import Tensor
from millstream.ops import summary_writer_ops as ops
from millstream.ops.constant_op import constant, placeholder
from millstream.summary.writers import INITIALIZERS
from millstream.summary.writing import WRITES, resource, serialized_graph


@export(v1=["summary.initialize", "contrib.summary.initialize"])
def initialize(graph: Graph | None = None, session: Any = None) -> None:
    """Makes the files of the writers of the graph, and writes a graph to that of this thread's writer.

    Does nothing in eager execution: the files are there from the beginning.

    Args:
      graph: what is written, for TensorBoard to draw; default: none.
      session: runs the operations; default: the default session.

    Raises:
      RuntimeError: this thread has no writer.
      ValueError: there is no session.
    """
    if context.executing_eagerly():
        return
    writer = resource()
    if writer is None:
        raise RuntimeError("No default tf.contrib.summary.SummaryWriter found")
    session = get_default_session() if session is None else session
    if session is None:
        raise ValueError("session must be passed if no default session exists")
    session.run(summary_writer_initializer_op())
    if graph is not None:
        serialized = serialized_graph(graph)
        content = placeholder(dtypes.string)
        made = ops.write_graph_summary_op(writer, constant(0, dtypes.int64), content)
        session.run(made, feed_dict={content: serialized})


@export(v1=["contrib.summary.summary_writer_initializer_op"])
def summary_writer_initializer_op() -> list[Any]:
    """The operations that make the files of the writers of the default graph.

    Raises:
      RuntimeError: operations run at once.
    """
    if context.executing_eagerly():
        raise RuntimeError("tf.contrib.summary.summary_writer_initializer_op is only supported in graph mode.")
    return get_collection(INITIALIZERS)


@export(v1=["summary.all_v2_summary_ops", "contrib.summary.all_summary_ops"])
def all_v2_summary_ops() -> list[Tensor] | None:
    """All that writes summaries in the default graph, to be run in a session; None in eager execution.

    These are the summaries of `tf.contrib.summary` and of 2.x; those of `tf.summary` of 1.x are merged by `merge_all`.
    """
    return None if context.executing_eagerly() else get_collection(WRITES)
