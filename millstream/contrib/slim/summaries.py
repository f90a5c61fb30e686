"""`tf.contrib.slim.summaries`: summaries of tensors by the names of these."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collection
from millstream.core.tensor import Tensor
from millstream.ops.dropout_ops import zero_fraction
from millstream.ops.logging_ops import Print
from millstream.summary import summary


def _name(tensor: Any, name: str | None, prefix: str | None, end: str = "") -> str:
    base = (name or tensor.op.name) + end
    return f"{prefix}/{base}" if prefix else base


@export(v1=["contrib.slim.summaries.add_histogram_summary"])
def add_histogram_summary(tensor: Any, name: str | None = None, prefix: str | None = None) -> Tensor:
    """A histogram of a tensor.

    Args:
      tensor: real numbers.
      name: the summary's name; default: the tensor's.
      prefix: stands before the name.

    Returns:
      a string scalar: a serialised Summary.
    """
    return summary.histogram(_name(tensor, name, prefix), tensor)


@export(v1=["contrib.slim.summaries.add_image_summary"])
def add_image_summary(
    tensor: Any, name: str | None = None, prefix: str | None = None, print_summary: bool = False
) -> Tensor:
    """A summary of images; `print_summary`: prints the tensor each time, too. See `add_histogram_summary`."""
    full = _name(tensor, name, prefix)
    return _shown(summary.image(full, tensor, collections=[]), tensor, full, print_summary)


@export(v1=["contrib.slim.summaries.add_scalar_summary"])
def add_scalar_summary(
    tensor: Any, name: str | None = None, prefix: str | None = None, print_summary: bool = False
) -> Tensor:
    """A summary of a scalar; `print_summary`: prints it each time, too. See `add_histogram_summary`."""
    full = _name(tensor, name, prefix)
    return _shown(summary.scalar(full, tensor, collections=[]), tensor, full, print_summary)


def _shown(made: Tensor, tensor: Any, name: str, print_summary: bool) -> Tensor:
    if print_summary:
        made = Print(made, [tensor], name)
    add_to_collection(GraphKeys.SUMMARIES, made)
    return made


@export(v1=["contrib.slim.summaries.add_zero_fraction_summary"])
def add_zero_fraction_summary(
    tensor: Any, name: str | None = None, prefix: str | None = None, print_summary: bool = False
) -> Tensor:
    """A summary of the share of zeros in a tensor; see `add_scalar_summary`."""
    full = _name(tensor, name, prefix, "/Fraction of Zero Values")
    return add_scalar_summary(zero_fraction(tensor), full, print_summary=print_summary)


@export(v1=["contrib.slim.summaries.add_histogram_summaries"])
def add_histogram_summaries(tensors: Iterable[Any], prefix: str | None = None) -> list[Tensor]:
    """A histogram of each tensor."""
    return [add_histogram_summary(tensor, prefix=prefix) for tensor in tensors]


@export(v1=["contrib.slim.summaries.add_image_summaries"])
def add_image_summaries(tensors: Iterable[Any], prefix: str | None = None) -> list[Tensor]:
    """A summary of the images of each tensor."""
    return [add_image_summary(tensor, prefix=prefix) for tensor in tensors]


@export(v1=["contrib.slim.summaries.add_scalar_summaries"])
def add_scalar_summaries(
    tensors: Iterable[Any], prefix: str | None = None, print_summary: bool = False
) -> list[Tensor]:
    """A summary of each scalar."""
    return [add_scalar_summary(tensor, prefix=prefix, print_summary=print_summary) for tensor in tensors]


@export(v1=["contrib.slim.summaries.add_zero_fraction_summaries"])
def add_zero_fraction_summaries(tensors: Iterable[Any], prefix: str | None = None) -> list[Tensor]:
    """A summary of the share of zeros in each tensor."""
    return [add_zero_fraction_summary(tensor, prefix=prefix) for tensor in tensors]
