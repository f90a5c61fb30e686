"""Traces for the browser."""
from __future__ import annotations

import json

from millstream.io import proto
from millstream.runtime.timeline import Timeline


def test_trace():
    stats = proto.StepStats()
    device = stats.dev_stats.add(device="/device:CPU:0")
    device.node_stats.add(node_name="b", all_start_micros=150, all_end_rel_micros=10, timeline_label="label")
    device.node_stats.add(
        node_name="a", all_start_micros=100, all_end_rel_micros=60, timeline_label="a = MatMul(x, y)"
    )
    device.node_stats.add(node_name="c", all_start_micros=160, all_end_rel_micros=1)
    trace = json.loads(Timeline(stats).generate_chrome_trace_format(show_memory=False))
    process, a, b, c = trace["traceEvents"]
    assert process["args"]["name"] == "/device:CPU:0 Compute"
    assert a["args"] == {"name": "a", "op": "MatMul", "input0": "x", "input1": "y"}
    assert (a["ts"], a["dur"], a["tid"]) == (100, 60, 0)
    assert (b["name"], b["tid"]) == ("b", 1)  # it overlaps a
    assert c["tid"] == 0
