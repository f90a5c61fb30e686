"""On how many threads a program computes: those of XLA's pool, which the native kernels use too."""
from __future__ import annotations

import os
from pathlib import Path

from millstream.native import library

# What XLA reads when it makes its pool of threads.
_SIZE_OF_POOL = "NPROC"
_CGROUPS = Path("/sys/fs/cgroup")

_chosen = 0


def choose(number: int) -> None:
    """Sets the number of threads, 0: as many as are right for the machine. XLA takes it when it is first used."""
    global _chosen
    _chosen = number
    tell_kernels()


def count() -> int:
    """The number of threads: what was chosen, else what `OMP_NUM_THREADS` says, else one for each processor."""
    return _chosen or _from_openmp() or available()


def available() -> int:
    """The number of processors that this process may use, by its affinity and by its share of their time."""
    return max(1, min(_in_affinity(), _in_cgroup() or _in_affinity()))


def tell_kernels() -> None:
    """Hands the number to the native kernels, where they are loaded already."""
    loaded = library.loaded()
    if loaded is not None:
        loaded.millstream_set_threads(count())


def tell_xla() -> None:
    """Hands the number to XLA, before it starts its threads, where it would take another one."""
    if _chosen:
        os.environ[_SIZE_OF_POOL] = str(_chosen)
    elif count() != _in_affinity():
        os.environ.setdefault(_SIZE_OF_POOL, str(count()))


def _from_openmp() -> int:
    """The first number of `OMP_NUM_THREADS`, which may have one for each level of nested teams; 0: there is none."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _in_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_cgroup() -> int:
    """The processors that a container's share of their time amounts to, rounded up; 0: all of them."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((_CGROUPS / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota.isdecimal() and int(period) > 0:  # neither "max" nor -1
            return -(-int(quota) // int(period))
    return 0
