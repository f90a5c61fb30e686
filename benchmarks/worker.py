"""One system's side of a measurement, started by run.py under that system's own Python (3.7 or newer).

    python worker.py WORKLOAD SYSTEM

Answers are JSON lines. A fresh-process workload answers once, with its figures. A repeated one first answers
that it is ready; from then on each line read is a number of calls, answered with the seconds that they took.
"""
import gc
import importlib
import json
import os
import sys
import time
import warnings

import numpy as np
import workloads

WARM_UP_CALLS = 200


def versions(system):
    """Returns what runs here, as in "numpy 2.0.0, Python 3.11.7"."""
    name = "tensorflow" if system in ("tf1", "tf2") else system
    version = importlib.import_module(name).__version__
    return f"{name} {version}, Python {sys.version.split()[0]}"


def numbers(values):
    """Returns a job's result as a flat list of floats."""
    if isinstance(values, (tuple, list)):
        return [number for value in values for number in numbers(value)]
    return [float(number) for number in np.asarray(values).ravel()]


def seconds_of(job, calls):
    gc.collect()
    start = time.perf_counter()
    for _ in range(calls):
        job()
    return time.perf_counter() - start


def main():
    name, system = sys.argv[1:]
    # What the libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def answer(message):
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    workload = workloads.load(name)
    job = workloads.prepare(workload, system)
    if hasattr(workload, "figures"):
        answer({"figures": workload.figures(job), "versions": versions(system)})
        return
    for _ in range(min(WARM_UP_CALLS, 2 * workload.REPEAT)):
        result = job()
    answer({"result": numbers(result), "versions": versions(system)})
    for line in sys.stdin:
        answer({"seconds": seconds_of(job, int(line))})


if __name__ == "__main__":
    main()
