"""One training step of mlp_step's job inside of tf.function."""
from workloads import mlp_step
from workloads.mlp_step import REPEAT, UNIT, in_jax, in_torch  # noqa: F401  (the other systems' texts)


def modern(tf):
    return mlp_step.modern_step(tf, tf.function)
