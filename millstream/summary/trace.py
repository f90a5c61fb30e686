"""Recording which functions run, for TensorBoard to draw their graphs."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from millstream.core import context, graph_function
from millstream.core.export import export
from millstream.core.graph_function import GraphFunction
from millstream.core.log import tensorflow_logger
from millstream.core.tensor import Tensor
from millstream.summary.recording import current
from millstream.summary.writing import summary_scope, write_serialized

_PLUGIN = "graph_run_metadata_graph"
_VERSION = b"1"


class _Trace:
    """The functions that run from now on.

    Args:
      graph: whether their graphs are recorded.
      profile_folder: where a profile of the time is written; None: none is taken.
    """

    def __init__(self, graph: bool, profile_folder: str | None) -> None:
        self.graph = graph
        self.profile_folder = profile_folder
        self._bodies: dict[int, Any] = {}
        self._run = graph_function.RUN[0]
        graph_function.RUN[0] = self._run_traced
        if profile_folder is not None:
            import jax

            jax.profiler.start_trace(profile_folder)

    def _run_traced(self, function: GraphFunction, inputs: Sequence[Tensor]) -> Any:
        self._bodies.setdefault(id(function.graph), function.graph)
        return self._run(function, inputs)

    def stop(self) -> None:
        """Ends the recording, and writes the profile."""
        graph_function.RUN[0] = self._run
        if self.profile_folder is not None:
            import jax

            jax.profiler.stop_trace()

    def run_metadata(self) -> Any:
        """A `RunMetadata` with the graphs of the functions."""
        from millstream.io import proto

        metadata = proto.RunMetadata()
        for body in list(self._bodies.values()) if self.graph else ():
            metadata.function_graphs.add(pre_optimization_graph=body.as_graph_def(add_shapes=True))
        return metadata


_running: _Trace | None = None
_lock = threading.Lock()


@export(v2=["summary.trace_on"])
def trace_on(graph: bool = True, profiler: bool = False, profiler_outdir: str | None = None) -> None:
    """Records from now on which functions of `tf.function` run, until `trace_export` or `trace_off`.

    Args:
      graph: whether the graphs of the functions are recorded.
      profiler: whether it is recorded what takes how long, too.
      profiler_outdir: the folder in which that is written; needed for `profiler`.

    Example:
      >>> tf.summary.trace_on()
      >>> train_step(images, labels)
      >>> with writer.as_default():
      ...   tf.summary.trace_export("train_step", step=0)
    """
    global _running
    if not context.executing_eagerly():
        tensorflow_logger().warning("Cannot enable trace inside a tf.function.")
        return
    if profiler and profiler_outdir is None:
        tensorflow_logger().warning("No `profiler_outdir` passed to trace_on(). Profiler won't be enabled.")
    with _lock:
        if _running is not None:
            tensorflow_logger().warning("Trace already enabled")
            return
        _running = _Trace(graph, profiler_outdir if profiler else None)


@export(v2=["summary.trace_off"])
def trace_off() -> None:
    """Stops the recording, and forgets what was recorded."""
    global _running
    with _lock:
        trace, _running = _running, None
    if trace is not None:
        trace.stop()


@export(v2=["summary.trace_export"])
def trace_export(name: str, step: Any = None, profiler_outdir: str | None = None) -> None:
    """Stops the recording, and writes it with the writer of the thread.

    Args:
      name: the tag in TensorBoard.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      profiler_outdir: accepted for compatibility; it is given to `trace_on`.

    Raises:
      ValueError: nothing was recorded; there is a writer, but no step.
    """
    if not context.executing_eagerly():
        tensorflow_logger().warning("Cannot export trace inside a tf.function.")
        return
    trace = _running
    if trace is None:
        raise ValueError("Must enable trace before export through tf.summary.trace_on.")
    if trace.graph and current.writer is not None:
        _write(name, trace.run_metadata(), step)
    trace_off()


def _write(name: str, run_metadata: Any, step: Any) -> None:
    from millstream.io import proto

    metadata = proto.SummaryMetadata(plugin_data={"plugin_name": _PLUGIN, "content": _VERSION})
    with summary_scope(name, "graph_run_metadata_graph_summary", [run_metadata, step]) as (tag, _):
        write_serialized(tag, run_metadata.SerializeToString(), step, metadata.SerializeToString())
