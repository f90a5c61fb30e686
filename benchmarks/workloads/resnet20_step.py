"""One training step of ResNet-20 on 32 images of 32×32 pixels, by gradient descent with momentum."""
from peers.networks import ResNet
from peers.training import Training, random_batches

UNIT = "ms"
REPEAT = 5

training = Training(ResNet(20), lambda: random_batches(ResNet.IMAGE, 32), rate=0.01, momentum=0.9)
graph, in_tf2, in_torch, in_jax = training.graph, training.in_tf2, training.in_torch, training.in_jax
