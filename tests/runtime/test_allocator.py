"""Memory that a program takes in each run stays with the process."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, resource, threading
import numpy as np
import millstream.v1 as tf

x = tf.placeholder(tf.float32, [10, 1 << 20])
y = tf.reduce_sum(tf.cumsum(x * 2.0, 1) + tf.cumsum(x * 3.0, 1))  # blocks of 40 MiB
feeds = {x: np.ones((10, 1 << 20), np.float32)}
with tf.Session() as session:
    for _ in range(8):  # until there is room for all
        session.run(y, feeds)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        session.run(y, feeds)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 3)
"""


def faults(**environment):
    """The page faults of a run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM],
        capture_output=True, text=True, timeout=120, check=False, env={**kept, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="this is not the C library of GNU"
)
def test_runs_do_not_fetch_memory_anew():
    # By itself the C library fetches four blocks of 10,240 pages; a busy machine may make it fetch some all the same.
    assert faults() < 0.7 * faults(MALLOC_ARENA_TEST="8")
