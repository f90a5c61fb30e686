"""The times of a run's stages, for `RunMetadata`."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from millstream.runtime.plan import Stage

PART_OF = "part of "  # how the label begins of an operation whose time is that of another one


class RunTrace:
    """Records when each step of one run began and ended.

    Args:
      start: the time of the run's beginning, seconds since 1970.
    """

    def __init__(self, start: float) -> None:
        self._offset = start - time.perf_counter()
        self._spans: list[tuple[Stage, float, float]] = []

    @contextmanager
    def step(self, stage: Stage) -> Iterator[None]:
        """Records the step that runs within the `with` block."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._spans.append((stage, begin, time.perf_counter()))

    def write(self, run_metadata: Any) -> None:
        """Fills a `RunMetadata` protocol buffer.

        The last operation of each step stands for it, with its time and a label: the operations of a step are one
        program. The others have a microsecond each, for TensorBoard takes one without any for one that has not run.
        """
        by_device: dict[str, list[tuple[Stage, float, float]]] = {}
        for span in self._spans:
            by_device.setdefault(span[0].device or "CPU:0", []).append(span)
        for device, spans in by_device.items():
            stats = run_metadata.step_stats.dev_stats.add(device=f"/job:localhost/replica:0/task:0/device:{device}")
            for stage, begin, end in spans:
                start = int((begin + self._offset) * 1e6)
                part = f"{PART_OF}{stage.ops[-1].name}"
                for op in stage.ops[:-1]:
                    node = stats.node_stats.add(node_name=op.name, all_start_micros=start, timeline_label=part)
                    node.op_end_rel_micros = node.all_end_rel_micros = 1
                node = stats.node_stats.add(node_name=stage.ops[-1].name, all_start_micros=start)
                node.op_end_rel_micros = node.all_end_rel_micros = max(int((end - begin) * 1e6), 1)
                node.timeline_label = " ".join(f"{op.name} = {op.type}" for op in stage.ops[:50])
