"""One training step of a LeNet-style network on 100 digits, by gradient descent.

It leaves dropout out, so that the systems' losses can be compared.
"""
from peers.networks import LeNet
from peers.training import Training

from workloads import mlp_step

UNIT = "ms"
REPEAT = 10


def batches():
    """Returns the training digits in batches, as images of 28×28 pixels."""
    return [(images.reshape((-1,) + LeNet.IMAGE), labels) for images, labels in mlp_step.batches()[0]]


training = Training(LeNet(), batches, rate=0.05)
graph, in_tf2, in_torch, in_jax = training.graph, training.in_tf2, training.in_torch, training.in_jax
