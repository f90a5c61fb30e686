"""Summaries of tensors, activations and collections: scalars for scalars, histograms for all others."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import get_collection
from millstream.core.tensor import Tensor
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, less
from millstream.ops.reduction_ops import reduce_mean
from millstream.summary.summary import histogram, scalar

Summarizer = Callable[[Any], Any]

_MODULES = ("layers", "layers.summaries", "slim")


@export(v1=[f"contrib.{module}.summarize_tensor" for module in _MODULES])
def summarize_tensor(tensor: Any, tag: str | None = None) -> Tensor | None:
    """A summary of numbers: of a scalar its value, else a histogram.

    Args:
      tensor: a tensor or variable.
      tag: the name; default: the tensor's, with "_summary".

    Returns:
      the summary; None where the tensor does not hold real numbers.
    """
    if not (tensor.dtype.is_integer or tensor.dtype.is_floating):
        return None
    name = tag or f"{tensor.op.name}_summary"
    return scalar(name, tensor) if tensor.get_shape().ndims == 0 else histogram(name, tensor)


@export(v1=[f"contrib.{module}.summarize_activation" for module in _MODULES])
def summarize_activation(op: Any) -> Tensor:
    """A histogram of a layer's output; of a ReLU also the share of zeros, and of a ReLU6 that of sixes.

    Args:
      op: the tensor that the layer gives.
    """
    name, kind = op.op.name, op.op.type
    if kind in ("Relu", "Softplus", "Relu6"):
        _add_share(f"{name}/zeros", less, op.op.inputs[0], 0.0)
    if kind == "Relu6":
        _add_share(f"{name}/sixes", greater, op.op.inputs[0], 6.0)
    return histogram(f"{name}/activation", op)


def _add_share(name: str, compare: Callable[[Any, Any], Any], values: Any, limit: float) -> None:
    """A scalar summary of how many values are beyond a limit."""
    beyond = compare(values, cast(limit, values.dtype))
    scalar(name, reduce_mean(cast(beyond, "float32", name="ToFloat")))


@export(v1=[f"contrib.{module}.summarize_tensors" for module in _MODULES])
def summarize_tensors(tensors: Iterable[Any], summarizer: Summarizer = summarize_tensor) -> list[Any]:
    """The summaries of some tensors, each made by `summarizer`."""
    return [summarizer(tensor) for tensor in tensors]


@export(v1=[f"contrib.{module}.summarize_collection" for module in _MODULES])
def summarize_collection(
    collection: str, name_filter: str | None = None, summarizer: Summarizer = summarize_tensor
) -> list[Any]:
    """The summaries of the tensors of a collection.

    Args:
      collection: its name.
      name_filter: a regular expression for the beginning of the tensors' names; default: all.
      summarizer: a function from a tensor to its summary.
    """
    there = get_collection(collection)
    chosen = [each for each in there if name_filter is None or re.match(name_filter, each.op.name)]
    return summarize_tensors(chosen, summarizer)


@export(v1=[f"contrib.{module}.summarize_activations" for module in _MODULES])
def summarize_activations(name_filter: str | None = None, summarizer: Summarizer = summarize_activation) -> list[Any]:
    """The summaries of the collection `GraphKeys.ACTIVATIONS`; see `summarize_collection`."""
    return summarize_collection(GraphKeys.ACTIVATIONS, name_filter, summarizer)
