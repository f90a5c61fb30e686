"""The logits of a VGG-style network for 32 images of 96×96 pixels."""
from peers.inference import Inference
from peers.networks import VGG

UNIT = "ms"
REPEAT = 3

inference = Inference(VGG(), batch_size=32)
graph, in_tf2, in_torch, in_jax = inference.graph, inference.in_tf2, inference.in_torch, inference.in_jax
