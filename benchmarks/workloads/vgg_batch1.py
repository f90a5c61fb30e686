"""The logits of a VGG-style network for one image of 96×96 pixels."""
from peers.inference import Inference
from peers.networks import VGG

UNIT = "ms"
REPEAT = 20

inference = Inference(VGG(), batch_size=1)
graph, in_tf2, in_torch, in_jax = inference.graph, inference.in_tf2, inference.in_torch, inference.in_jax
