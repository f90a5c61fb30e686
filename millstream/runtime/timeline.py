"""`tensorflow.python.client.timeline`: the steps of a traced run, for the browser's trace viewer."""
from __future__ import annotations

import json
from typing import Any

from millstream.runtime.trace import PART_OF


class Timeline:
    """The step statistics of a run as a trace, one process a device.

    Args:
      step_stats: the `StepStats` message of a `RunMetadata`.
      graph: unused.

    Example:
      >>> metadata = tf.RunMetadata()
      >>> session.run(y, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=metadata)
      >>> trace = Timeline(metadata.step_stats).generate_chrome_trace_format()
    """

    def __init__(self, step_stats: Any, graph: Any = None) -> None:
        self._step_stats = step_stats

    def generate_chrome_trace_format(self, show_dataflow: bool = True, show_memory: bool = False) -> str:
        """The trace as JSON, for chrome://tracing or https://ui.perfetto.dev.

        Args:
          show_dataflow: unused, there are no arrows between the steps.
          show_memory: unused.
        """
        events: list[dict[str, Any]] = []
        for process, device in enumerate(self._step_stats.dev_stats):
            name = {"name": f"{device.device} Compute"}
            events.append({"name": "process_name", "ph": "M", "pid": process, "args": name})
            lanes: list[int] = []  # when the last event of each lane ends
            steps = (node for node in device.node_stats if not node.timeline_label.startswith(PART_OF))
            for node in sorted(steps, key=lambda node: node.all_start_micros):
                events.append(_event(process, node, lanes))
        return json.dumps({"traceEvents": events}, indent=4)


def _event(process: int, node: Any, lanes: list[int]) -> dict[str, Any]:
    """One step as a complete event, in the first lane that is free when it begins."""
    start, duration = node.all_start_micros, node.all_end_rel_micros
    lane = next((index for index, end in enumerate(lanes) if end <= start), len(lanes))
    lanes[lane : lane + 1] = [start + duration]
    name, operation, inputs = _read_label(node.timeline_label, node.node_name)
    return {
        "ph": "X",
        "cat": "Op",
        "name": operation,
        "pid": process,
        "tid": lane,
        "ts": start,
        "dur": duration,
        "args": {"name": name, "op": operation, **{f"input{i}": source for i, source in enumerate(inputs)}},
    }


def _read_label(label: str, node_name: str) -> tuple[str, str, list[str]]:
    """Reads "name = Type(input, input)"; other labels leave the node's name."""
    name, equals, rest = label.partition(" = ")
    operation, parenthesis, inputs = rest.partition("(")
    if not equals or not parenthesis or not inputs.endswith(")"):
        return node_name, node_name, []
    return name, operation, [i.strip() for i in inputs[:-1].split(",") if i.strip()]
