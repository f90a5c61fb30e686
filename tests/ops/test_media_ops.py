"""Encoding images and sound."""
from __future__ import annotations

import struct

import numpy as np
import pytest
from summary.png import decode_png

import millstream as tf


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(dtype: type, channels: int) -> None:
    pixels = (np.arange(3 * 5 * channels) * 977 % 65536).astype(dtype).reshape(3, 5, channels)
    np.testing.assert_array_equal(decode_png(tf.io.encode_png(pixels).numpy()), pixels)
    np.testing.assert_array_equal(decode_png(tf.image.encode_png(pixels, compression=0).numpy()), pixels)


def test_batches_of_png() -> None:
    pixels = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 1, 2, 3, 1)
    files = tf.io.encode_png(pixels)
    assert files.shape == [2, 1]
    np.testing.assert_array_equal(decode_png(files.numpy()[1, 0]), pixels[1, 0])
    encode = tf.function(tf.io.encode_png, input_signature=[tf.TensorSpec([None, None, None, 1], tf.uint8)])
    np.testing.assert_array_equal(decode_png(encode(pixels[0]).numpy()[0]), pixels[0, 0])
    assert tf.io.encode_png(np.zeros([0, 2, 2, 3], np.uint8)).shape == [0]


def test_wrong_images() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have 1, 2, 3, or 4 channels, has 5"):
        tf.io.encode_png(np.zeros([2, 2, 5], np.uint8))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="at least"):
        tf.io.encode_png(np.zeros([2, 2], np.uint8))


def test_wav() -> None:
    samples = np.array([[0.0, 0.5], [-1.0, 2.0], [1.0, -2.0]], np.float32)
    data = tf.audio.encode_wav(samples, 8000).numpy()
    assert data[:4] == b"RIFF" and struct.unpack("<HHIIHH", data[20:36]) == (1, 2, 8000, 32000, 4, 16)
    assert np.frombuffer(data[44:], "<i2").tolist() == [0, 16384, -32768, 32767, 32767, -32768]
    with pytest.raises(tf.errors.InvalidArgumentError, match="audio must be 2-dimensional"):
        tf.audio.encode_wav(samples[0], 8000)
