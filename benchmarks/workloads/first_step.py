"""The first training step of mlp_step's job, its variables initialised: with tracing and compilation."""
import time

from workloads.mlp_step import graph, in_jax, in_tf2, in_torch  # noqa: F401  (the systems' texts)

UNIT = "s"
RUNS = ("cold", "warm")


def figures(step):
    start = time.perf_counter()
    step()
    return {"": time.perf_counter() - start}
