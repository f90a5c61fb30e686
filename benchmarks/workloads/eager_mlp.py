"""One training step of mlp_step's job in eager execution, operation by operation, with a gradient tape."""
from workloads import mlp_step
from workloads.mlp_step import REPEAT, UNIT, in_torch  # noqa: F401  (PyTorch is eager anyway)


def modern(tf):
    return mlp_step.modern_step(tf, lambda function: function)
