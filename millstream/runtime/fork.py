"""What becomes of a process that is forked from one in which JAX has run.

The threads of XLA stay behind in the parent, so in the child its client is dead: whatever asks it for something waits
for ever. The child gets a client of its own, and NumPy's arrays in place of those that it inherits. XLA's compiler
cannot be had anew, since some of its threads belong to the process; the child's programs are compiled in a process
of their own (`compile_server`).
"""
from __future__ import annotations

import ctypes
import gc
import os
import threading
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from millstream.runtime import compile_server

_LOCKS = {type(make()): make for make in (threading.Lock, threading.RLock)}
# What the child must not free: that would wait for threads which are not there.
_inherited: list[Any] = []


def survive(jax: ModuleType) -> None:
    """Lets the children that this process forks from now on use JAX, too."""
    if hasattr(os, "register_at_fork"):
        # JAX warns of deadlocks, which are prevented here.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        os.register_at_fork(before=lambda: _finish(jax), after_in_child=lambda: _begin_anew(jax))


def _has_client() -> bool:
    from jax._src import xla_bridge

    return bool(xla_bridge.backends_are_initialized())


def _finish(jax: ModuleType) -> None:
    """Waits for what is being computed: in the child nobody would go on with it."""
    for array in jax.live_arrays() if _has_client() else ():
        try:
            array.block_until_ready()
        except Exception:  # who uses the array will see that its computation has failed
            continue


def _begin_anew(jax: ModuleType) -> None:
    if not _has_client():
        return
    from jax._src import xla_bridge
    from jax._src.interpreters import mlir
    from jax.extend.backend import clear_backends
    from jaxlib.mlir import ir

    _keep_for_ever((list(xla_bridge.backends().values()), jax.live_arrays(), mlir.global_thread_pool))
    mlir.global_thread_pool = ir.ThreadPool()
    fields = _fields()
    for item in gc.get_objects():
        for kind in type(item).__mro__:
            for name in fields.get(kind, ()):
                if hasattr(item, name):  # else a thread of the parent was just making it
                    setattr(item, name, _renewed(jax, getattr(item, name)))
    clear_backends()
    jax.config.update("jax_platforms", "cpu")  # what the parent has on a GPU is not the child's
    compile_server.use()


def _keep_for_ever(item: Any) -> None:
    _inherited.append(item)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))


def _fields() -> dict[type, tuple[str, ...]]:
    """Where arrays are kept, and locks that a thread may have held which is not there any more; subclasses, too."""
    from millstream.core.eager import EagerTensor
    from millstream.core.function import Function
    from millstream.core.graph import Graph
    from millstream.ops.list_values import ArrayList, ElementList, GrowingList
    from millstream.runtime.compiler import CompiledStage
    from millstream.runtime.session import BaseSession
    from millstream.runtime.state import State, Stream

    return {
        EagerTensor: ("_value",),
        ElementList: ("_store",),
        ArrayList: ("buffer",),
        GrowingList: ("buffer", "size"),
        CompiledStage: ("_constant_arrays",),
        State: ("values", "lock", "_waiting_lock"),
        Stream: ("_left",),
        Graph: ("_lock",),
        Function: ("_lock",),
        BaseSession: ("_lock",),
    }


def _renewed(jax: ModuleType, value: Any) -> Any:
    """The same value for the child."""
    if isinstance(value, dict):
        value.update((key, _renewed(jax, item)) for key, item in value.items())
    elif type(value) in (list, tuple):  # not a handle
        return type(value)(_renewed(jax, item) for item in value)
    elif type(value) in _LOCKS:
        return _unlocked(value)
    elif isinstance(value, jax.Array):
        try:
            return np.asarray(value)
        except Exception:  # it was given away, or it is on a device that the child does not have
            return value
    return value


def _unlocked(lock: Any) -> Any:
    """A lock, or another one in place of one that a thread of the parent holds."""
    if not lock.acquire(blocking=False):
        return _LOCKS[type(lock)]()
    lock.release()
    return lock
