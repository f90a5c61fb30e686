"""Seeds of random operations: how the graph's and the operation's seed become the two seeds of a kernel."""
from __future__ import annotations

from millstream.core.export import export
from millstream.core.graph import get_default_graph

# TensorFlow's graph seed where only the operation has one.
DEFAULT_GRAPH_SEED = 87654321
_MODULUS = 2**31 - 1


@export(v1=["get_seed", "random.get_seed"])
def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds for an operation whose own seed is `op_seed`.

    Both None: the operation draws different numbers each time. With a graph seed alone, the second seed is the number
    of operations in the graph, so it depends on all that was built before.
    """
    graph = get_default_graph()
    graph_seed = graph.seed
    if graph_seed is None:
        if op_seed is None:
            return None, None
        seeds = DEFAULT_GRAPH_SEED, op_seed % _MODULUS
    else:
        seeds = graph_seed % _MODULUS, (graph._last_id if op_seed is None else op_seed) % _MODULUS
    return (0, _MODULUS) if seeds == (0, 0) else seeds


@export(v1=["set_random_seed", "random.set_random_seed"])
def set_random_seed(seed: int | None) -> None:
    """Sets the graph-level seed of the default graph.

    Operations made afterwards without a seed of their own take one that depends on it and on their place in the
    graph, so the same program gives the same numbers.
    """
    get_default_graph().seed = seed
