#!/usr/bin/env python3
"""Measures Millstream beside TensorFlow 1.15, TensorFlow 2, PyTorch and hand-written JAX.

    python benchmarks/run.py [--quick] [--only WORKLOAD]... [--systems millstream,tf1,...] [--json FILE]

The systems take turns, one sample each a round, so that whatever else the machine does falls on all of them
alike. Prints a Markdown table of medians; README.md beside this file says how to read it.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import workloads
from report import Measurement, as_json, table
from sampling import TITLES, Fresh, Repeated, SampleError, interpreter, sampler

REPEATED_ROUNDS, FRESH_ROUNDS, QUICK_ROUNDS = 15, 7, 3
RESULT_TOLERANCE = 0.01


def same(first: list[float], second: list[float]) -> bool:
    """Tells whether two results are equal to within what training steps in float32 drift apart."""
    return len(first) == len(second) and all(
        abs(a - b) <= RESULT_TOLERANCE * max(abs(a), abs(b)) for a, b in zip(first, second, strict=True))


def check_results(samplers: dict[str, Repeated | Fresh], measurement: Measurement) -> None:
    """Fails the systems whose job gives another result than the first one's: they do other work."""
    results = {system: taker.result for system, taker in samplers.items() if taker.result is not None}
    reference = next(iter(results.values()), None)
    for system, result in results.items():
        if not same(result, reference):
            measurement.failures[system] = f"gives {result}, not {reference}"


@contextmanager
def failure_noted(measurement: Measurement, system: str) -> Iterator[None]:
    try:
        yield
    except SampleError as error:
        measurement.failures[system] = str(error)


def measure(name: str, systems: list[str], quick: bool) -> Measurement:
    """Samples the systems on one workload in turn."""
    workload = workloads.load(name)
    measurement = Measurement(name, workload.UNIT)
    samplers: dict[str, Repeated | Fresh] = {}
    with ExitStack() as stack:
        for system in systems:
            if system in workloads.participants(workload):
                with failure_noted(measurement, system):
                    samplers[system] = stack.enter_context(closing(sampler(name, system)))
        check_results(samplers, measurement)
        repeated = any(isinstance(taker, Repeated) for taker in samplers.values())
        for _ in range(QUICK_ROUNDS if quick else REPEATED_ROUNDS if repeated else FRESH_ROUNDS):
            for system, taker in samplers.items():
                if system not in measurement.failures:
                    with failure_noted(measurement, system):
                        measurement.add(system, taker.sample())
        measurement.versions = {system: taker.versions for system, taker in samplers.items()}
    return measurement


def parse_arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds only")
    parser.add_argument("--only", action="append", choices=workloads.NAMES, metavar="WORKLOAD",
                        help="one of " + ", ".join(workloads.NAMES))
    parser.add_argument("--systems", default=",".join(TITLES), metavar="LIST",
                        help="of " + ", ".join(TITLES) + "; ratios are to the first one")
    parser.add_argument("--json", metavar="FILE", help="also write every sample to FILE")
    arguments = parser.parse_args()
    arguments.systems = arguments.systems.split(",")
    if unknown := set(arguments.systems) - set(TITLES):
        parser.error("unknown systems: " + ", ".join(sorted(unknown)))
    return arguments


def main() -> int:
    arguments = parse_arguments()
    systems = [system for system in arguments.systems if interpreter(system)]
    for system in set(arguments.systems) - set(systems):
        print(f"{TITLES[system]} is not installed (see README.md)", file=sys.stderr)

    measurements = []
    for name in arguments.only or workloads.NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        measurements.append(measure(name, systems, arguments.quick))
        for system, reason in measurements[-1].failures.items():
            print(f"{name} failed on {TITLES[system]}: {reason}", file=sys.stderr)
    print(table(measurements, systems))
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump(as_json(measurements), f, indent=1)
    return 1 if any(measurement.failures for measurement in measurements) else 0


if __name__ == "__main__":
    sys.exit(main())
