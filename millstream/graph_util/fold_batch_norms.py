"""Makes batch normalisations a part of the convolutions before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from millstream.graph_util.frozen_nodes import constant_node
from millstream.graph_util.nodes import check_graph_def, copy_of, forget_lost_groups, like, node_name, output_index

_CONVOLUTIONS = frozenset(("Conv2D", "DepthwiseConv2dNative"))
_FUSED = frozenset(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"))
_OLD = "BatchNormWithGlobalNormalization"
_ADDITIONS = frozenset(("BiasAdd", "Add", "AddV2"))


class _Match(NamedTuple):
    """A convolution, perhaps with a bias, and its normalisation: `result * scale + offset` for each channel."""

    convolution: Any
    bias: Any  # the node of an addition, or None
    scale: np.ndarray[Any, Any]
    offset: np.ndarray[Any, Any] | None


def fold_batch_norms(input_graph_def: Any, protected_nodes: Collection[str] = ()) -> Any:
    """Makes batch normalisations with constant parameters a part of the convolutions before them.

    `conv * scale + offset` is a convolution with scaled weights and a bias. The normalisation's node becomes the
    addition of that bias, and a product by a constant for each channel, such as batch normalisation that is written
    out has, an identity.

    Args:
      input_graph_def: a `GraphDef` without variables.
      protected_nodes: nodes whose values are wanted: a convolution among them stays as it is.

    Returns:
      A new `GraphDef`.
    """
    check_graph_def(input_graph_def, "input_graph_def")
    graph = _Graph(input_graph_def, protected_nodes)
    replaced: dict[str, list[Any]] = {}
    for node in input_graph_def.node:
        match = graph.match(node)
        if match is not None and match.convolution.name not in replaced:
            replaced.update(_folded(node, match, graph))
    nodes = [new for node in input_graph_def.node for new in replaced.get(node.name, [copy_of(node)])]
    forget_lost_groups(nodes)
    return like(input_graph_def, nodes)


class _Graph:
    """The nodes by name, and how often their outputs are used."""

    def __init__(self, graph_def: Any, protected: Collection[str]) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._uses = Counter(node_name(text) for node in graph_def.node for text in node.input)
        self._outputs = {(node_name(text), output_index(text)) for node in graph_def.node for text in node.input}
        self._protected = protected

    def match(self, node: Any) -> _Match | None:
        """What a normalisation can be joined with."""
        if node.op in _FUSED and not node.attr["is_training"].b:
            if any((node.name, index) in self._outputs for index in range(1, 6)):
                return None
            gamma, beta, mean, variance = (self.constant(text) for text in node.input[1:5])
            epsilon = node.attr["epsilon"].f if "epsilon" in node.attr else 1e-4
        elif node.op == _OLD:
            mean, variance, beta, gamma = (self.constant(text) for text in node.input[1:5])
            gamma = gamma if node.attr["scale_after_normalization"].b or gamma is None else np.ones_like(gamma)
            epsilon = node.attr["variance_epsilon"].f
        elif node.op == "Mul":
            return self._product(node)
        else:
            return None
        if gamma is None or beta is None or mean is None or variance is None:
            return None
        scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        return self._with_convolution(node.input[0], scale, beta - mean * scale)

    def _product(self, node: Any) -> _Match | None:
        """A convolution times a constant for each channel, the last dimension."""
        for index in range(2):
            factor = self.constant(node.input[1 - index])
            found = None if factor is None else self._with_convolution(node.input[index], np.squeeze(factor), None)
            if found is None or factor is None or factor.ndim not in (1, 4) or factor.size != factor.shape[-1]:
                continue
            if found.bias is None and found.convolution.attr["data_format"].s in (b"", b"NHWC"):
                return found
        return None

    def _with_convolution(self, text: str, scale: Any, offset: Any) -> _Match | None:
        if output_index(text) != 0:
            return None
        node = self._nodes.get(node_name(text))
        bias = None
        if node is not None and self._is_bias(node):
            bias, node = node, self._nodes.get(node_name(node.input[0]))
        if node is None or node.op not in _CONVOLUTIONS or not self._alone(node):
            return None
        weights = self.constant(node.input[1])
        channels = 0 if weights is None else _channels(node, weights)
        terms = [item for item in (scale, offset, None if bias is None else self.bias(bias)) if item is not None]
        if not channels or any(term.shape != (channels,) for term in terms):
            return None
        return _Match(node, bias, scale, offset)

    def _is_bias(self, node: Any) -> bool:
        return node.op in _ADDITIONS and self._alone(node) and self.constant(node.input[1]) is not None

    def _alone(self, node: Any) -> bool:
        """Whether a node's result is used once, and nobody asks for it."""
        return self._uses[node.name] == 1 and node.name not in self._protected

    def constant(self, text: str) -> np.ndarray[Any, Any] | None:
        """The value of an input that is a constant."""
        from millstream.io.tensor_proto import from_proto

        node = self._nodes.get(node_name(text))
        while node is not None and node.op == "Identity" and len(node.input) == 1:
            node = self._nodes.get(node_name(node.input[0]))
        if node is None or node.op != "Const" or text.startswith("^"):
            return None
        return from_proto(node.attr["value"].tensor)

    def bias(self, node: Any) -> np.ndarray[Any, Any]:
        """The constant that an addition adds, flat."""
        value = self.constant(node.input[1])
        return np.zeros(0) if value is None or value.size != max(value.shape, default=1) else value.reshape(-1)


def _channels(node: Any, weights: np.ndarray[Any, Any]) -> int:
    if weights.ndim != 4:
        return 0
    return weights.shape[3] if node.op == "Conv2D" else weights.shape[2] * weights.shape[3]


def _folded(node: Any, match: _Match, graph: _Graph) -> dict[str, list[Any]]:
    """The nodes in whose place a normalisation, its convolution and the bias between them stand."""
    convolution = copy_of(match.convolution)
    weights: Any = graph.constant(convolution.input[1])
    scale = match.scale.reshape(weights.shape[-1:] if convolution.op == "Conv2D" else weights.shape[-2:])
    scaled = constant_node(f"{convolution.name}_weights", (weights * scale).astype(weights.dtype))
    convolution.input[1] = scaled.name
    replaced = {match.convolution.name: [scaled, convolution]}
    new = type(node)(name=node.name, op="Identity" if match.offset is None else "BiasAdd", device=node.device)
    new.attr["T"].CopyFrom(convolution.attr["T"])
    new.input.append(convolution.name)
    if match.offset is None:
        return {**replaced, node.name: [new]}
    offset = match.offset
    if match.bias is not None:
        offset = offset + graph.bias(match.bias) * match.scale
        replaced[match.bias.name] = []
    added = constant_node(f"{convolution.name}_bn_offset", offset.astype(weights.dtype))
    new.input.append(added.name)
    new.input.extend(text for text in node.input if text.startswith("^"))
    new.attr["data_format"].s = convolution.attr["data_format"].s or b"NHWC"
    return {**replaced, node.name: [added, new]}
