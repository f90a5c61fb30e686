"""Writing to the writer of the thread: whole tensors, messages and graphs, where the condition in force holds."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.scopes import add_to_collection, control_dependencies, device, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import summary_writer_ops as ops
from millstream.ops.constant_op import constant
from millstream.ops.identity_ops import identity
from millstream.ops.smart_cond import smart_cond
from millstream.summary.recording import condition_tensor, current, given_step, holds_now
from millstream.summary.writers import ResourceWriter

WRITES = "_SUMMARY_V2"  # the collection of the results of all that writes
_NOT_IN_SCOPES = re.compile(r"[^-/\w.]")


@export(v2=["summary.experimental.summary_scope"])
@contextmanager
def summary_scope(
    name: str | None, default_name: str = "summary", values: Sequence[Any] | None = None
) -> Iterator[tuple[str, str]]:
    """The scope of a summary: gives its tag, which is `name` within the scopes in force, and the name scope.

    Args:
      name: the summary's name; empty or None: `default_name`.
      default_name: see `name`.
      values: tensors of the graph to build in; default: the default graph.
    """
    name = name or default_name
    outer = scope_in_force()
    tag = f"{outer}/{name}" if outer else name
    clean = _NOT_IN_SCOPES.sub("", name).lstrip("/")
    with name_scope(clean or None, default_name, values) as scope:
        yield tag, scope


def scope_in_force() -> str:
    """The full name of the name scope in force, without a final `/`."""
    return context.current.scope_name if context.executing_eagerly() else get_default_graph().get_name_scope()


def conditional(record: Callable[[], Tensor], default: bool, name: str | None) -> Tensor:
    """Records a summary where the condition in force holds; gives whether it does, a boolean scalar.

    Args:
      record: writes; gives `written(...)`.
      default: the condition where none was set.
      name: of the conditional, if one is built.
    """
    if context.executing_eagerly():
        return record() if holds_now(default) else constant(False)
    with device("cpu:0"):
        result: Tensor = smart_cond(condition_tensor(default), record, lambda: constant(False), name=name)
    add_to_collection(WRITES, result)
    return result


def written(operation: Any) -> Tensor:
    """True, once an operation has run; in eager execution it has."""
    if operation is None:
        return constant(True)
    with control_dependencies([operation]):
        return constant(True)


def resource() -> Tensor | None:
    """The handle of the thread's writer; None where nothing is written."""
    writer = current.writer
    return writer.resource if isinstance(writer, ResourceWriter) else None


@export(v2=["summary.write"])
def write(tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: str | None = None) -> Tensor:
    """Writes a tensor; which plug-in of TensorBoard shows it is in `metadata`.

    Args:
      tag: its name in TensorBoard.
      tensor: any dtype and shape; or a function without arguments that gives it, called only where it is written.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      metadata: a `SummaryMetadata` message.
      name: the name of the operations.

    Returns:
      Whether it was written, a boolean scalar.

    Raises:
      ValueError: there is a writer, but no step.
    """
    return write_serialized(tag, tensor, step, b"" if metadata is None else metadata.SerializeToString(), name)


def write_serialized(tag: Any, tensor: Any, step: Any, metadata: bytes, name: str | None = None) -> Tensor:
    """As `write`, with metadata that are serialised."""
    handle = resource()
    if context.executing_eagerly():
        if handle is None:
            return constant(False)
        chosen = given_step(step)

        def write_now() -> Tensor:
            value = tensor() if callable(tensor) else tensor
            return written(ops.write_summary_op(handle, chosen, value, tag, metadata))

        return conditional(write_now, True, None)
    with name_scope(name, "write_summary") as scope:
        if handle is None:
            return constant(False)
        chosen = given_step(step)

        def record() -> Any:
            value = tensor() if callable(tensor) else identity(tensor)
            return written(ops.write_summary_op(handle, chosen, value, tag, metadata, name=scope))

        return conditional(record, True, "summary_cond")


@export(v2=["summary.experimental.write_raw_pb"])
def write_raw_pb(tensor: Any, step: Any = None, name: str | None = None) -> Tensor:
    """Writes serialised `Summary` messages.

    Args:
      tensor: a string tensor of them.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      name: the name of the operations.

    Returns:
      Whether they were written, a boolean scalar.

    Raises:
      ValueError: there is a writer, but no step.
    """
    with name_scope(name, "write_raw_pb") as scope:
        handle = resource()
        if handle is None:
            return constant(False)
        chosen = given_step(step)
        return conditional(
            lambda: written(ops.write_raw_proto_summary_op(handle, chosen, tensor, name=scope)), True, "summary_cond"
        )


@export(v2=["summary.graph"])
def graph(graph_data: Any) -> Tensor:
    """Writes a graph, which TensorBoard draws.

    Args:
      graph_data: a `tf.Graph`, such as that of a concrete function, or a `GraphDef`.

    Returns:
      Whether it was written, a boolean scalar.

    Raises:
      RuntimeError: it is called inside of a graph or function.
      ValueError: it is no graph.
    """
    if not context.executing_eagerly():
        raise RuntimeError("summary.graph() cannot be invoked inside a graph context.")
    handle = resource()
    if handle is None:
        return constant(False)
    serialized = serialized_graph(graph_data)
    if serialized is None:
        raise ValueError(
            "Argument 'graph_data' is not tf.Graph or tf.compat.v1.GraphDef. "
            f"Received graph_data={graph_data} of type {type(graph_data).__name__}."
        )
    return conditional(lambda: written(ops.write_graph_summary_op(handle, 0, serialized)), True, None)


def serialized_graph(graph_data: Any) -> bytes | None:
    """The `GraphDef` of a graph, with the shapes of its tensors, or a `GraphDef` itself; None for anything else."""
    if isinstance(graph_data, Graph):
        return graph_data.as_graph_def(add_shapes=True).SerializeToString()
    descriptor = getattr(graph_data, "DESCRIPTOR", None)
    if descriptor is None or descriptor.name != "GraphDef":
        return None
    return graph_data.SerializeToString()

