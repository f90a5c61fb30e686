"""One training step of three depthwise-separable blocks on 32 images of 32×32×64, by gradient descent with momentum."""
from peers.networks import Separable
from peers.training import Training, random_batches

UNIT = "ms"
REPEAT = 5

training = Training(Separable(), lambda: random_batches(Separable.IMAGE, 32), rate=0.01, momentum=0.9)
graph, in_tf2, in_torch, in_jax = training.graph, training.in_tf2, training.in_torch, training.in_jax
