"""Operations that make Summary messages, for TensorBoard: scalars, histograms, images, audio, tensors.

They run on the host and give serialised messages; `tf.summary`'s functions are in `millstream.summary`.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from millstream.core.dtypes import ANY, REAL_NUMERIC
from millstream.core.opdef import op
from millstream.core.shape_rules import scalar
from millstream.io import proto, tensor_proto
from millstream.ops import media_encoding

_REASON = "a message is text"
HISTOGRAM_TYPES = " ".join(dtype.short_name for dtype in REAL_NUMERIC) + " = float"
_HOST: dict[str, Any] = {"shape": scalar, "host": True}


def as_text(tag: Any) -> str:
    """The tag that a scalar string tensor holds."""
    if getattr(tag, "ndim", 0):
        raise ValueError("tags must be scalar")
    item = tag[()] if isinstance(tag, np.ndarray) else tag
    return item.decode() if isinstance(item, bytes) else str(item)


# --- Scalars ------------------------------------------------------------------------------------------------


@op("ScalarSummary(tags: string, values: T) -> summary: string", T=REAL_NUMERIC, **_HOST)
def scalar_summary_op(xp, tags, values):
    if tags.shape != values.shape and not tags.size == values.size == 1:
        raise ValueError(f"tags and values not the same shape: {list(tags.shape)} != {list(values.shape)}")
    summary = proto.Summary()
    for tag, value in zip(tags.reshape(-1), values.reshape(-1), strict=True):
        summary.value.add(tag=as_text(tag), simple_value=float(value))
    return summary.SerializeToString()


# --- Histograms ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _limits() -> np.ndarray[Any, Any]:
    """The upper ends of TensorFlow's buckets: each is 10% wider than the one before it, away from 0."""
    positive = []
    limit = 1.0e-12
    while limit < 1.0e20:
        positive.append(limit)
        limit *= 1.1
    positive.append(np.finfo(np.float64).max)
    return np.array([-item for item in reversed(positive)] + [0.0] + positive)


def histogram_proto(values: np.ndarray[Any, Any]) -> Any:
    """The HistogramProto of some numbers; runs of empty buckets are made into one.

    Args:
      values: real numbers, none of them infinite or NaN.
    """
    flat = values.reshape(-1).astype(np.float64)
    limits = _limits()
    counts = np.bincount(np.searchsorted(limits, flat, side="right"), minlength=len(limits))[: len(limits)]
    largest = float(limits[-1])
    message = proto.HistogramProto(
        min=float(flat.min()) if flat.size else largest, max=float(flat.max()) if flat.size else -largest,
        num=float(flat.size), sum=float(flat.sum()), sum_squares=float((flat * flat).sum()),
    )  # fmt: skip
    # Kept: the buckets that hold something, and of each run of empty ones the last.
    ends = (counts > 0) | np.append(counts[1:] > 0, True)
    message.bucket_limit.extend(limits[ends].tolist())
    message.bucket.extend(counts[ends].astype(np.float64).tolist())
    return message


def histogram_summary(tag: str, values: np.ndarray[Any, Any], name: str) -> bytes:
    """A serialised summary of the distribution of some numbers; `name` is the operation's.

    Raises:
      ValueError: not all of them are finite.
    """
    finite = np.isfinite(values.astype(np.float64))
    if not finite.all():
        kind = "Nan" if np.isnan(values.astype(np.float64)).any() else "Infinity"
        raise ValueError(f"{kind} in summary histogram for: {name}")
    summary = proto.Summary()
    summary.value.add(tag=tag, histo=histogram_proto(values))
    return summary.SerializeToString()


@op("HistogramSummary(tag: string, values: T) -> summary: string", T=HISTOGRAM_TYPES, **_HOST)
def histogram_summary_op(xp, tag, values, *, node):
    return histogram_summary(as_text(tag), values, node.name)


# --- Images and audio ---------------------------------------------------------------------------------------


def _numbered(tag: str, kind: str, index: int, most: int) -> str:
    return f"{tag}/{kind}/{index}" if most > 1 else f"{tag}/{kind}"


def image_summary(tag: str, tensor: np.ndarray[Any, Any], most: int, bad_color: np.ndarray[Any, Any]) -> bytes:
    """A serialised summary of the first images of a batch.

    Raises:
      ValueError: `tensor` is no batch of images with 1, 3 or 4 channels.
    """
    if tensor.ndim != 4 or tensor.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"Tensor must be 4-D with last dim 1, 3, or 4, not [{','.join(map(str, tensor.shape))}]"
        )
    summary = proto.Summary()
    height, width, channels = tensor.shape[1:]
    for index, image in enumerate(tensor[:most]):
        pixels = media_encoding.as_pixels(image, bad_color)
        value = summary.value.add(tag=_numbered(tag, "image", index, most))
        value.image.height, value.image.width, value.image.colorspace = height, width, channels
        value.image.encoded_image_string = media_encoding.encode_png(pixels)
    return summary.SerializeToString()


@op(
    "ImageSummary(tag: string, tensor: T, *, max_images: int>=1 = 3, bad_color: tensor) -> summary: string",
    T="uint8 float half double = float", **_HOST,
)  # fmt: skip
def image_summary_op(xp, tag, tensor, *, max_images, bad_color):
    return image_summary(as_text(tag), tensor, max_images, bad_color)


def audio_summary(tag: str, tensor: np.ndarray[Any, Any], sample_rate: float, most: int) -> bytes:
    """A serialised summary of the first clips of a batch.

    Raises:
      ValueError: `tensor` is no batch of clips, or the sample rate is not positive.
    """
    if tensor.ndim not in (2, 3):
        raise ValueError(f"Tensor must be 3-D or 2-D, got: [{','.join(map(str, tensor.shape))}]")
    if sample_rate <= 0:
        raise ValueError("sample_rate must be positive")
    summary = proto.Summary()
    for index, clip in enumerate(tensor.reshape(*tensor.shape[:2], -1)[:most]):
        audio = summary.value.add(tag=_numbered(tag, "audio", index, most)).audio
        audio.sample_rate = sample_rate
        audio.length_frames, audio.num_channels = clip.shape
        audio.encoded_audio_string = media_encoding.encode_wav(clip, sample_rate)
        audio.content_type = "audio/wav"
    return summary.SerializeToString()


@op(
    "AudioSummaryV2(tag: string, tensor: float, sample_rate: float, *, max_outputs: int>=1 = 3)"
    " -> summary: string",
    **_HOST,
)
def audio_summary_op(xp, tag, tensor, sample_rate, *, max_outputs):
    return audio_summary(as_text(tag), tensor, float(sample_rate), max_outputs)


@op(
    "AudioSummary(tag: string, tensor: float, *, sample_rate: float, max_outputs: int>=1 = 3)"
    " -> summary: string",
    **_HOST,
)
def old_audio_summary_op(xp, tag, tensor, *, sample_rate, max_outputs):
    """An older form of `AudioSummaryV2`, found in saved graphs."""
    return audio_summary(as_text(tag), tensor, sample_rate, max_outputs)


# --- Tensors ------------------------------------------------------------------------------------------------


@op(
    "TensorSummaryV2(tag: string, tensor: T, serialized_summary_metadata: string) -> summary: string",
    T=ANY, **_HOST,
)  # fmt: skip
def tensor_summary_op(xp, tag, tensor, serialized_summary_metadata):
    summary = proto.Summary()
    value = summary.value.add(tag=as_text(tag), tensor=tensor_proto.to_proto(np.asarray(tensor)))
    value.metadata.ParseFromString(np.asarray(serialized_summary_metadata, object)[()])
    return summary.SerializeToString()


@op(
    'TensorSummary(tensor: T, *, description: string = "", labels: list(string) = [], display_name: string = "")'
    " -> summary: string",
    T=ANY, **_HOST,
)  # fmt: skip
def old_tensor_summary_op(xp, tensor, *, node):
    """An older form of `TensorSummaryV2`, found in saved graphs."""
    summary = proto.Summary()
    summary.value.add(tag=node.name, node_name=node.name, tensor=tensor_proto.to_proto(np.asarray(tensor)))
    return summary.SerializeToString()


@op("MergeSummary(inputs: N*string) -> summary: string", **_HOST)
def merge_summary_op(xp, inputs):
    from google.protobuf.message import DecodeError

    merged = proto.Summary()
    for serialized in (item for array in inputs for item in np.asarray(array, object).reshape(-1)):
        try:
            merged.MergeFromString(serialized)
        except DecodeError:
            raise ValueError("Could not parse one of the summary inputs") from None
    tags: set[str] = set()
    for value in merged.value:
        if value.tag in tags:
            raise ValueError(f"Duplicate tag {value.tag} found in summary inputs")
        tags.add(value.tag)
    return merged.SerializeToString()


for _definition in (
    scalar_summary_op, histogram_summary_op, image_summary_op, audio_summary_op, old_audio_summary_op,
    tensor_summary_op, old_tensor_summary_op, merge_summary_op,
):  # fmt: skip
    _definition.no_gradient(_REASON)
