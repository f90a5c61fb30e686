"""The first call of function_mlp's job: tracing and compiling the training step."""
from workloads.first_step import RUNS, UNIT, figures  # noqa: F401
from workloads.function_mlp import in_jax, modern  # noqa: F401  (the systems' texts)
