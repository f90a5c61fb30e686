"""`tf.summary` of 2.x: scalars, histograms, images, audio and text, as the plug-ins of TensorBoard read them."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

from millstream.core import dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import minimum
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import equal, is_finite
from millstream.ops.elementwise_ops import floor
from millstream.ops.fill_ops import fill, ones_like, zeros
from millstream.ops.join_ops import concat, stack
from millstream.ops.math_ops import linspace_v2 as linspace
from millstream.ops.math_ops import saturate_cast
from millstream.ops.media_ops import encode_png, encode_wav
from millstream.ops.reduction_ops import reduce_max, reduce_min
from millstream.ops.reshape_ops import reshape
from millstream.ops.row_loops import map_fn_v2 as map_fn
from millstream.ops.segment_ops import unsorted_segment_sum_op
from millstream.ops.select_ops import where_v2 as where
from millstream.ops.shape_ops import shape, size
from millstream.ops.string_ops import as_string
from millstream.summary.writing import summary_scope, write_serialized

_BUCKETS = 30
_WAV = b"\x10\x0b"  # AudioPluginData(encoding=WAV)


@lru_cache(maxsize=1024)
def _metadata(plugin: str, description: str | None, content: bytes = b"") -> bytes:
    """Serialised metadata of a tag: who shows it, and its description in Markdown."""
    from millstream.io import proto

    data = {"plugin_name": plugin, "content": content}
    return proto.SummaryMetadata(plugin_data=data, summary_description=description or "").SerializeToString()


@export(v2=["summary.scalar"])
def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Writes a number.

    Args:
      name: the tag, within the name scopes in force.
      data: a real scalar; it is written as float32.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      description: text for TensorBoard, Markdown.

    Returns:
      Whether it was written, a boolean scalar: there is a writer, and the condition of `record_if` holds.

    Raises:
      ValueError: `data` is no scalar; there is a writer, but no step.
    """
    with summary_scope(name, "scalar_summary", [data, step]) as (tag, _):
        value = cast(data, dtypes.float32)
        if value._shape:
            raise ValueError(f"Expected scalar shape, saw shape: {value.shape}.")
        return write_serialized(tag, value, step, _metadata("scalars", description))


# --- Histograms -------------------------------------------------------------------------------------------------


@export(v2=["summary.histogram"])
def histogram(
    name: str, data: Any, step: Any = None, buckets: int | None = None, description: str | None = None
) -> Tensor:
    """Writes how numbers are distributed: how many are in each of some intervals between the least and the greatest.

    Args:
      name: the tag, within the name scopes in force.
      data: real numbers, any shape; they are counted as float64.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      buckets: how many intervals; default: 30. Where all numbers are equal, all are in the last one.
      description: text for TensorBoard, Markdown.

    Returns:
      Whether it was written, a boolean scalar: there is a writer, and the condition of `record_if` holds.

    Raises:
      ValueError: there is a writer, but no step.
    """
    count = _BUCKETS if buckets is None else buckets
    with summary_scope(name, "histogram_summary", [data, buckets, step]) as (tag, _):
        return write_serialized(tag, lambda: _buckets(data, count), step, _metadata("histograms", description))


def _buckets(data: Any, count: int) -> Tensor:
    """[left end, right end, how many] of each bucket, float64 [count, 3]."""
    if count <= 0:
        return zeros([0, 3], dtypes.float64)
    values: Any = reshape(cast(data, dtypes.float64), [-1])
    is_empty = equal(size(values), 0)
    low: Any = where(is_empty, to_tensor(0.0, dtypes.float64), reduce_min(values))
    high = where(is_empty, low, reduce_max(values))
    width: Any = (high - low) / count
    is_single = equal(low, high)
    steps: Any = floor((values - low) / where(is_single, ones_like(width), width))
    place = minimum(where(is_finite(steps), steps, fill(shape(steps), to_tensor(-1.0, dtypes.float64))), count - 1)
    place = where(is_single, fill(shape(steps), to_tensor(count - 1.0, dtypes.float64)), place)
    counts = unsorted_segment_sum_op(ones_like(values), cast(place, dtypes.int32), count)
    edges: Any = linspace(low, high, count + 1)
    return stack([edges[:-1], edges[1:], counts], axis=1)


# --- Images and audio -------------------------------------------------------------------------------------------


@export(v2=["summary.image"])
def image(
    name: str, data: Any, step: Any = None, max_outputs: Any = 3, description: str | None = None
) -> Tensor:
    """Writes images.

    Args:
      name: the tag, within the name scopes in force.
      data: shape [batch, height, width, channels], 1 to 4 channels: grey, grey with alpha, RGB, RGBA; floating point
        numbers between 0 and 1 (what lies beyond is cut off), or integers of the whole range of their dtype.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      max_outputs: how many images of the batch.
      description: text for TensorBoard, Markdown.

    Returns:
      Whether they were written, a boolean scalar: there is a writer, and the condition of `record_if` holds.

    Raises:
      ValueError: `data` has not rank 4; there is a writer, but no step.
      InvalidArgumentError: `max_outputs` is negative.
    """
    with summary_scope(name, "image_summary", [data, max_outputs, step]) as (tag, _):

        def files() -> Tensor:
            batch = _batch(data, 4, max_outputs)
            pixels = _as_pixels(batch)
            dims: Any = shape(pixels)
            sizes = as_string(stack([dims[2], dims[1]]))
            return concat([sizes, encode_png(pixels)], axis=0)

        return write_serialized(tag, files, step, _metadata("images", description))


def _batch(data: Any, rank: int, most: Any) -> Tensor:
    """The first items of a batch.

    Raises:
      ValueError: it has another rank.
      InvalidArgumentError: a negative number is asked for.
    """
    tensor: Any = to_tensor(data)
    if tensor._shape is not None and len(tensor._shape) != rank:
        raise ValueError(
            f"Tensor must have rank {rank}.  Received rank {len(tensor._shape)}, shape {tensor._shape}"
        )
    known = constant_value(to_tensor(most))
    if known is not None and known < 0:
        raise errors.InvalidArgumentError(None, None, f"Condition x >= 0 did not hold: max_outputs is {known}")
    return tensor[:most]


def _as_pixels(images: Any) -> Tensor:
    """Images as uint8: from floating point numbers between 0 and 1, or the whole range of an integer dtype."""
    dtype = images.dtype
    if dtype is dtypes.uint8:
        return images
    if dtype.is_floating:
        return saturate_cast(images * (dtypes.uint8.max + 0.5), dtypes.uint8)
    if dtype.size > 1:
        return saturate_cast(images // ((int(dtype.max) + 1) // 256), dtypes.uint8)
    halves: Any = saturate_cast(images, dtypes.uint8)  # of int8
    return halves * 2


@export(v2=["summary.audio"])
def audio(
    name: str,
    data: Any,
    sample_rate: Any,
    step: Any = None,
    max_outputs: Any = 3,
    encoding: str | None = None,
    description: str | None = None,
) -> Tensor:
    """Writes audio clips.

    Args:
      name: the tag, within the name scopes in force.
      data: float32 between -1 and 1, shape [batch, frames, channels].
      sample_rate: frames a second, an int32 scalar.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      max_outputs: how many clips of the batch.
      encoding: "wav", the only one and the default.
      description: text for TensorBoard, Markdown.

    Returns:
      Whether they were written, a boolean scalar: there is a writer, and the condition of `record_if` holds.

    Raises:
      ValueError: `data` has not rank 3; another encoding; there is a writer, but no step.
      InvalidArgumentError: `max_outputs` is negative.
    """
    if encoding not in (None, "wav"):
        raise ValueError(f"Unknown encoding: {encoding!r}")
    with summary_scope(name, "audio_summary", [data, sample_rate, max_outputs, step]) as (tag, _):

        def files() -> Tensor:
            clips = _batch(data, 3, max_outputs)
            encoded = map_fn(lambda clip: encode_wav(clip, sample_rate), clips, dtype=dtypes.string)
            return stack([encoded, fill(shape(encoded), "")], axis=1)

        return write_serialized(tag, files, step, _metadata("audio", description, _WAV))


# --- Text -------------------------------------------------------------------------------------------------------


@export(v2=["summary.text"])
def text(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Writes text, which TensorBoard reads as Markdown; a matrix becomes a table.

    Args:
      name: the tag, within the name scopes in force.
      data: a string tensor.
      step: an int64 scalar; default: what was set by `as_default(step=...)` or `set_step`.
      description: text for TensorBoard, Markdown.

    Returns:
      Whether it was written, a boolean scalar: there is a writer, and the condition of `record_if` holds.

    Raises:
      TypeError: `data` holds no strings.
      ValueError: there is a writer, but no step.
    """
    with summary_scope(name, "text_summary", [data, step]) as (tag, _):
        tensor = to_tensor(data)
        if tensor.dtype is not dtypes.string:
            raise TypeError(f"tensor must be of type tf.string; got {tensor.dtype!r}")
        return write_serialized(tag, tensor, step, _metadata("text", description))
