"""Summaries of the form that they had before TensorFlow 1.0: the tag is given as it is to appear."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import get_collection, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import summary_ops as ops
from millstream.summary.summary import BAD_PIXEL, collected

_DEFAULT = [GraphKeys.SUMMARIES]


@export(v1=["contrib.deprecated.scalar_summary"])
def scalar_summary(
    tags: Any, values: Any, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A summary of numbers.

    Args:
      tags: the tags, a string tensor.
      values: real numbers, of the same shape.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      name: the operation's name.

    Returns:
      a string scalar: a serialised Summary.
    """
    with name_scope(name, "ScalarSummary", [tags, values]) as scope:
        return collected(ops.scalar_summary_op(tags, values, name=scope), collections, _DEFAULT)


@export(v1=["contrib.deprecated.histogram_summary"])
def histogram_summary(
    tag: Any, values: Any, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A summary of the distribution of real numbers; for the other arguments see `scalar_summary`."""
    with name_scope(name, "HistogramSummary", [tag, values]) as scope:
        return collected(ops.histogram_summary_op(tag, values, name=scope), collections, _DEFAULT)


@export(v1=["contrib.deprecated.image_summary"])
def image_summary(
    tag: Any, tensor: Any, max_images: int = 3, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A summary of images, as of `tf.summary.image`; for the other arguments see `scalar_summary`."""
    with name_scope(name, "ImageSummary", [tag, tensor]) as scope:
        made = ops.image_summary_op(tag, tensor, max_images=max_images, bad_color=BAD_PIXEL, name=scope)
        return collected(made, collections, _DEFAULT)


@export(v1=["contrib.deprecated.audio_summary"])
def audio_summary(
    tag: Any,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """A summary of audio clips, as of `tf.summary.audio`; for the other arguments see `scalar_summary`."""
    with name_scope(name, "AudioSummary", [tag, tensor]) as scope:
        rate = to_tensor(sample_rate, dtypes.float32, name="sample_rate")
        made = ops.audio_summary_op(tag, tensor, rate, max_outputs=max_outputs, name=scope)
        return collected(made, collections, _DEFAULT)


@export(v1=["contrib.deprecated.merge_summary"])
def merge_summary(inputs: Sequence[Any], collections: Sequence[str] | None = None, name: str | None = None) -> Tensor:
    """Several summaries as one; see `tf.summary.merge`."""
    with name_scope(name, "MergeSummary", inputs):
        return collected(ops.merge_summary_op(list(inputs), name=name), collections, [])


@export(v1=["contrib.deprecated.merge_all_summaries"])
def merge_all_summaries(key: str = GraphKeys.SUMMARIES) -> Tensor | None:
    """All summaries of a collection as one; None where there are none."""
    found = get_collection(key)
    return merge_summary(found) if found else None
