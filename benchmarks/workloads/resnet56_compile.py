"""The first training step of ResNet-56, its graph built and its variables initialised: with tracing and compilation."""
from peers.networks import ResNet
from peers.training import Training, random_batches

from workloads.first_step import RUNS, UNIT, figures  # noqa: F401

training = Training(ResNet(56), lambda: random_batches(ResNet.IMAGE, 32, count=1), rate=0.01, momentum=0.9)
graph, in_tf2, in_torch, in_jax = training.graph, training.in_tf2, training.in_torch, training.in_jax
