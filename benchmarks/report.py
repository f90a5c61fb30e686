"""What was measured, as a Markdown table and as JSON."""
from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field

from sampling import TITLES

SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6, "MiB": 1.0}


@dataclass
class Measurement:
    """One workload's samples: figure -> system -> one value a round, in `unit`."""

    name: str
    unit: str
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, system: str, sample: dict[str, float]) -> None:
        for figure, value in sample.items():
            values = self.figures.setdefault(figure, {}).setdefault(system, [])
            values.append(value * SCALES[self.unit])


def ratio(values: list[float], reference: list[float]) -> float:
    """Returns the median, over the rounds, of how many times as much a system took as the reference."""
    return statistics.median(value / base for value, base in zip(values, reference, strict=False))


def cell(system: str, samples: dict[str, list[float]], reference: str) -> str:
    """Returns a system's median, with its ratio to the reference system in brackets."""
    if system not in samples:
        return ""
    median = f"{statistics.median(samples[system]):.3g}"
    if system == reference or reference not in samples:
        return median
    return f"{median} ({ratio(samples[system], samples[reference]):.2f}×)"


def table(measurements: list[Measurement], systems: list[str]) -> str:
    """Returns the medians as a Markdown table; ratios are to the first system."""
    rows = [["workload", "unit", *(TITLES[system] for system in systems)]]
    for measurement in measurements:
        for figure, samples in measurement.figures.items():
            title = f"{measurement.name} {figure}".strip().replace("_", " ")
            rows.append([title, measurement.unit, *(cell(system, samples, systems[0]) for system in systems)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def machine() -> dict[str, str | int | None]:
    """Returns what the figures depend on beside the systems."""
    with open("/proc/cpuinfo") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return {"processor": models[0] if models else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "system": platform.platform(), "load": round(os.getloadavg()[0], 2)}


def as_json(measurements: list[Measurement]) -> dict:
    """Returns everything that was measured, sample by sample."""
    return {"date": datetime.datetime.now().isoformat(timespec="seconds"), "machine": machine(),
            "workloads": [asdict(measurement) for measurement in measurements]}
