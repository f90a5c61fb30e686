"""`tf.summary` of 1.x: functions that build operations which give serialised Summary messages."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from millstream.core import context, dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import add_to_collection, get_collection, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import summary_ops

_NOT_IN_TAGS = re.compile(r"[^-/\w\.]")
BAD_PIXEL = np.array([255, 0, 0, 255], np.uint8)  # red, opaque: stands for pixels that are not finite


def _clean_tag(name: str | None) -> str | None:
    """A name in which characters that tags must not have are replaced by underscores."""
    if name is None:
        return None
    clean = _NOT_IN_TAGS.sub("_", name).lstrip("/")
    if clean != name:
        tensorflow_logger().info("Summary name %s is illegal; using %s instead.", name, clean)
    return clean


@contextmanager
def summary_scope(
    name: str | None, family: str | None, values: Sequence[Any], default_name: str | None = None
) -> Iterator[tuple[str, str]]:
    """Enters the scope of a summary; gives its tag, and the scope as the operation's name."""
    name, family = _clean_tag(name), _clean_tag(family)
    with name_scope(name if family is None else f"{family}/{name}", default_name, values) as scope:
        tag = scope.rstrip("/")
        yield (tag if family is None else f"{family}/{tag}"), scope


def collected(summary: Tensor, collections: Sequence[str] | None, default: Sequence[str]) -> Tensor:
    """Puts a summary into collections of the graph; in eager execution there is none."""
    if context.executing_eagerly():
        return summary
    for key in default if collections is None else collections:
        add_to_collection(key, summary)
    return summary


@export(v1=["summary.scalar"])
def scalar(name: str, tensor: Any, collections: Sequence[str] | None = None, family: str | None = None) -> Tensor:
    """A summary of one number.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: a real scalar.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      family: a prefix of the tag, by which TensorBoard groups.

    Returns:
      a string scalar: a serialised Summary.
    """
    with summary_scope(name, family, [tensor]) as (tag, scope):
        summary = summary_ops.scalar_summary_op(tag, tensor, name=scope)
        return collected(summary, collections, [GraphKeys.SUMMARIES])


@export(v1=["summary.histogram"])
def histogram(
    name: str, values: Any, collections: Sequence[str] | None = None, family: str | None = None
) -> Tensor:
    """A summary of the distribution of many numbers.

    Args:
      name: the operation's name; its full name is the tag.
      values: real numbers, any shape.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      family: a prefix of the tag, by which TensorBoard groups.

    Returns:
      a string scalar: a serialised Summary.

    Raises:
      InvalidArgumentError: when it runs and a value is not finite.
    """
    with summary_scope(name, family, [values], "HistogramSummary") as (tag, scope):
        summary = summary_ops.histogram_summary_op(tag, values, name=scope)
        return collected(summary, collections, [GraphKeys.SUMMARIES])


@export(v1=["summary.image"])
def image(
    name: str,
    tensor: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """A summary of images. Floating point images are scaled to fill the range of pixels.

    Args:
      name: the operation's name; tags are its full name with `/image` or `/image/0`, `/image/1`, ...
      tensor: uint8, float16, float32 or float64, shape [batch, height, width, channels], 1, 3 or 4 channels.
      max_outputs: how many images of the batch.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      family: a prefix of the tag, by which TensorBoard groups.

    Returns:
      a string scalar: a serialised Summary.
    """
    with summary_scope(name, family, [tensor]) as (tag, scope):
        options = {"max_images": max_outputs, "bad_color": BAD_PIXEL}
        summary = summary_ops.image_summary_op(tag, tensor, name=scope, **options)
        return collected(summary, collections, [GraphKeys.SUMMARIES])


@export(v1=["summary.audio"])
def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """A summary of audio clips.

    Args:
      name: the operation's name; tags are its full name with `/audio` or `/audio/0`, `/audio/1`, ...
      tensor: float32 between -1 and 1, shape [batch, frames] or [batch, frames, channels].
      sample_rate: frames a second, a float32 scalar.
      max_outputs: how many clips of the batch.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      family: a prefix of the tag, by which TensorBoard groups.

    Returns:
      a string scalar: a serialised Summary.
    """
    with summary_scope(name, family, [tensor]) as (tag, scope):
        sample_rate = to_tensor(sample_rate, dtypes.float32, name="sample_rate")
        summary = summary_ops.audio_summary_op(tag, tensor, sample_rate, max_outputs=max_outputs, name=scope)
        return collected(summary, collections, [GraphKeys.SUMMARIES])


@export(v1=["summary.text"])
def text(name: str, tensor: Any, collections: Sequence[str] | None = None) -> Tensor:
    """A summary of text, which TensorBoard reads as Markdown; a matrix of strings becomes a table.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: a string tensor.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.

    Returns:
      a string scalar: a serialised Summary.

    Raises:
      ValueError: `tensor` holds no strings.
    """
    from millstream.io import proto

    if tensor.dtype != dtypes.string:
        raise ValueError(f"Expected tensor {tensor.name} to have dtype string, got {tensor.dtype}")
    metadata = proto.SummaryMetadata(plugin_data={"plugin_name": "text"})
    return tensor_summary(name, tensor, collections=collections, summary_metadata=metadata)


@export(v1=["summary.tensor_summary"])
def tensor_summary(
    name: str,
    tensor: Any,
    summary_description: Any = None,
    collections: Sequence[str] | None = None,
    summary_metadata: Any = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Tensor:
    """A summary that holds a whole tensor, for plug-ins of TensorBoard.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: any dtype and shape.
      summary_description: a SummaryDescription message, kept in the metadata.
      collections: where the summary is put; default: `GraphKeys.SUMMARIES`.
      summary_metadata: a SummaryMetadata message, which says which plug-in shows it.
      family: a prefix of the tag, by which TensorBoard groups.
      display_name: what TensorBoard shows in place of the tag.

    Returns:
      a string scalar: a serialised Summary.
    """
    from millstream.io import proto

    metadata = proto.SummaryMetadata() if summary_metadata is None else summary_metadata
    if summary_description is not None:
        metadata.summary_description = summary_description
    if display_name is not None:
        metadata.display_name = display_name
    with summary_scope(name, family, [tensor]) as (tag, scope):
        summary = summary_ops.tensor_summary_op(tag, tensor, metadata.SerializeToString(), name=scope)
        return collected(summary, collections, [GraphKeys.SUMMARIES])


@export(v1=["summary.merge"])
def merge(inputs: Sequence[Any], collections: Sequence[str] | None = None, name: str | None = None) -> Tensor:
    """Several summaries as one.

    Args:
      inputs: string tensors, each a serialised Summary.
      collections: where the result is put; default: nowhere.
      name: the scope of the operation.

    Returns:
      a string scalar: a serialised Summary.

    Raises:
      RuntimeError: operations run at once.
      InvalidArgumentError: when it runs and a tag appears twice.
    """
    _check_mode()
    with name_scope(name, "Merge", inputs):
        return collected(summary_ops.merge_summary_op(list(inputs), name=name), collections, [])


@export(v1=["summary.merge_all"])
def merge_all(key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None) -> Tensor | None:
    """All summaries of a collection as one.

    Args:
      key: the collection.
      scope: only those whose names begin with it.
      name: the scope of the operation.

    Returns:
      a string scalar: a serialised Summary; None where there are none.

    Raises:
      RuntimeError: operations run at once.
    """
    _check_mode()
    found = get_collection(key, scope)
    return merge(found, name=name) if found else None


def _check_mode() -> None:
    if context.executing_eagerly():
        raise RuntimeError(
            "Merging tf.summary.* ops is not compatible with eager execution. Use tf.contrib.summary instead."
        )
