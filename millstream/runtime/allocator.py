"""How the C library hands out memory."""
from __future__ import annotations

import ctypes
import os
import sys

# Parameters of mallopt, numbered as in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_LARGE = 1 << 30


def keep_memory() -> None:
    """Lets this process keep memory that it has freed, up to 1 GiB, rather than give it back to the system at once.

    XLA takes the memory for all temporary values of a program as one block, in each run anew. The C library of GNU
    would fetch a block of more than 32 MiB from the system each time, and each of its pages costs a page fault: a third
    of the time of a training step. What the user has said by `MALLOC_` variables or `GLIBC_TUNABLES` stays.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_TRIM_THRESHOLD, _LARGE)
    if not mallopt(_MMAP_THRESHOLD, _LARGE):  # older versions refuse: then nothing is fetched apart from the heap
        mallopt(_MMAP_MAX, 0)
    mallopt(_ARENA_MAX, 1)  # the heaps of other threads than the first take 64 MiB at most
