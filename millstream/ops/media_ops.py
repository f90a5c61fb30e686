"""Encoding images as PNG and sound as WAV."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.core.tensor import Tensor
from millstream.ops import media_encoding


def _image_batch(c: ShapeContext) -> Any:
    shape = c.shape(0)
    if shape is not None and len(shape) < 3:
        raise ValueError(f"Shape must be at least rank 3 but is rank {len(shape)}")
    return None if shape is None else shape[:-3]


@op("EncodePng(image: T, *, compression: int = -1) -> contents: string", T="uint8 uint16 = uint8", shape=_image_batch,
    host=True)  # fmt: skip
def encode_png_op(xp, image, *, compression):
    if image.ndim < 3 or not 1 <= image.shape[-1] <= 4:
        raise ValueError(
            f"image must have 1, 2, 3, or 4 channels, has {image.shape[-1] if image.ndim else 0}"
            if image.ndim >= 3 else f"image must be at least 3-dimensional, has shape {list(image.shape)}"
        )  # fmt: skip
    files = np.empty(image.shape[:-3], object)
    for index in np.ndindex(files.shape):
        files[index] = media_encoding.encode_png(image[index], compression)
    return files


@export("image.encode_png", v2=["io.encode_png"])
def encode_png(image: Any, compression: int = -1, name: str | None = None) -> Tensor:
    """The PNG file of an image.

    Args:
      image: uint8 or uint16, shape [height, width, channels], 1 to 4 channels: grey, grey with alpha, RGB, RGBA; or a
        batch of them, with further dimensions in front.
      compression: 0 to 9, how hard it is tried to make it small; -1: as `zlib` has it by default.
      name: the operation's name.

    Returns:
      a string scalar; of a batch a tensor of its shape.
    """
    if isinstance(image, np.ndarray):  # of uint16 the default of the operation's type would make uint8
        image = to_tensor(image, image.dtype, name="image")
    return encode_png_op(image, compression=compression, name=name)


@op("EncodeWav(audio: float, sample_rate: int32) -> contents: string", shape=scalar, host=True)
def encode_wav_op(xp, audio, sample_rate):
    if audio.ndim != 2:
        raise ValueError(f"audio must be 2-dimensional but got shape [{','.join(map(str, audio.shape))}]")
    return media_encoding.encode_wav(audio, int(sample_rate))


@export("audio.encode_wav")
def encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> Tensor:
    """The WAV file of a clip, 16 bits a sample.

    Args:
      audio: float32 between -1 and 1, shape [frames, channels]; what lies beyond is cut off.
      sample_rate: frames a second, an int32 scalar.
      name: the operation's name.

    Returns:
      a string scalar.
    """
    return encode_wav_op(audio, sample_rate, name=name)


for _definition in (encode_png_op, encode_wav_op):
    _definition.no_gradient("a file is text")
