"""Seeds of random operations: how the global and the operation's own seed become the two seeds of a kernel.

The global seed belongs to the graph, or to the process in eager execution. Three rules say what an operation without
a seed of its own takes beside it:

- eager: the next number of a generator that starts when the global seed is set;
- in a function's graph: how many such operations the graph had before;
- in any other graph: how many operations of any kind it has, as in TensorFlow 1.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from millstream.core import config_state, context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph

# TensorFlow's global seed where only the operation has one.
DEFAULT_GRAPH_SEED = 87654321
_MODULUS = 2**31 - 1
# Called when the eager seed is set: the runtime starts its random streams again.
ON_SET_SEED: list[Callable[[], Any]] = []


class _EagerSeed:
    """The global seed of eager execution, and the generator of seeds for operations without one."""

    __slots__ = ("value", "generator")

    def __init__(self, value: int | None = None) -> None:
        self.value = value
        self.generator = random.Random(value)


_eager = _EagerSeed()
_unseeded_in: WeakKeyDictionary[Graph, int] = WeakKeyDictionary()  # for functions' graphs


def global_seed() -> int | None:
    """The global seed in force: that of eager execution or of the default graph. A function's graph starts with it."""
    return _eager.value if context.executing_eagerly() else get_default_graph().seed


@export(v1=["get_seed", "random.get_seed"])
def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds for an operation whose own seed is `op_seed`.

    Both None: the operation draws different numbers each time. With a global seed alone, the second seed depends on
    what was called before.

    Raises:
      RuntimeError: both are None, and `tf.config.experimental.enable_op_determinism` was called.
    """
    outer = global_seed()
    if outer is None:
        if op_seed is None:
            if config_state.deterministic_ops:
                raise RuntimeError(
                    "Random ops require a seed to be set when determinism is enabled. Please set a seed before running "
                    "the op, e.g. by calling tf.random.set_seed(1)."
                )
            return None, None
        outer = DEFAULT_GRAPH_SEED
    elif op_seed is None:
        op_seed = _next_op_seed()
    seeds = outer % _MODULUS, op_seed % _MODULUS
    return (0, _MODULUS) if seeds == (0, 0) else seeds


def _next_op_seed() -> int:
    """The seed of an operation that has none of its own, under a global seed."""
    if context.executing_eagerly():
        return _eager.generator.randint(0, _MODULUS)
    graph = get_default_graph()
    if not graph.building_function:
        return graph._last_id
    before = _unseeded_in.get(graph, 0)
    _unseeded_in[graph] = before + 1
    return before


@export(v1=["set_random_seed", "random.set_random_seed"], v2=["random.set_seed"])
def set_random_seed(seed: int | None) -> None:
    """Sets the global random seed: that of the default graph, or of the process in eager execution.

    Operations called afterwards without a seed of their own take one that depends on it and on what was called
    before, so that the same program gives the same numbers. In eager execution the streams of all random operations
    start again, and so do those of functions.

    Example:
      >>> tf.random.set_seed(1)
      >>> a, b = tf.random.normal([2]), tf.random.normal([2])    # they differ
      >>> tf.random.set_seed(1)
      >>> c = tf.random.normal([2])                              # the numbers of a
    """
    global _eager
    if not context.executing_eagerly():
        get_default_graph().seed = seed
        return
    _eager = _EagerSeed(seed)
    for restart in ON_SET_SEED:
        restart()
