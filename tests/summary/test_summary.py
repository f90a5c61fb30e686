"""`tf.summary`: tags, collections, and the messages that the operations give."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from summary.png import decode_png

import millstream.v1 as tf
from millstream.core import context


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def value_of(summary: Any, feed: dict[Any, Any] | None = None) -> list[Any]:
    with tf.Session() as session:
        serialized = session.run(summary, feed)
    assert isinstance(serialized, bytes)
    return list(tf.Summary.FromString(serialized).value)


def test_tags_and_families() -> None:
    with tf.name_scope("layer"):
        plain = tf.summary.scalar("loss", 3.5)
    family = tf.summary.scalar("my loss/x", 1, family="group", collections=["mine"])
    assert [(v.tag, v.simple_value) for v in value_of(plain)] == [("layer/loss", 3.5)]
    assert value_of(family)[0].tag == "group/group/my_loss/x"
    assert family.op.name == "group/my_loss/x"
    assert tf.get_collection(tf.GraphKeys.SUMMARIES) == [plain]
    assert tf.get_collection("mine") == [family]


def test_merge_all() -> None:
    assert tf.summary.merge_all() is None
    tf.summary.scalar("a", 1.0)
    with tf.name_scope("s"):
        tf.summary.scalar("b", 2.0)
    assert [v.tag for v in value_of(tf.summary.merge_all())] == ["a", "s/b"]
    assert [v.tag for v in value_of(tf.summary.merge_all(scope="s"))] == ["s/b"]


def test_merging_a_tag_twice_is_refused() -> None:
    one = tf.summary.scalar("a", 1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Duplicate tag a found in summary inputs"):
        value_of(tf.summary.merge([one, one]))


def test_merging_what_is_no_summary_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse one of the summary inputs"):
        value_of(tf.summary.merge(["zz"]))


def test_histogram() -> None:
    numbers = tf.constant([-1.5, 0.0, 0.0, 2.0, 2.05], tf.float64)
    histogram = value_of(tf.summary.histogram("h", numbers))[0].histo
    assert (histogram.min, histogram.max, histogram.num) == (-1.5, 2.05, 5)
    np.testing.assert_allclose([histogram.sum, histogram.sum_squares], [2.55, 1.5**2 + 2.0**2 + 2.05**2])
    limits, counts = np.array(histogram.bucket_limit), list(histogram.bucket)
    # As TensorFlow 1.15.5 gives it: empty buckets between the others are one.
    assert counts == [0, 1, 0, 2, 0, 2, 0]
    ends = [-1.624957930213695, -1.47723448201245, 0.0, 1e-12, 1.9661990955585713, 2.1628190051144287]
    np.testing.assert_array_equal(limits, [*ends, np.finfo(np.float64).max])


def test_histogram_of_nothing_and_of_nan() -> None:
    histogram = value_of(tf.summary.histogram("empty", np.zeros([0], np.float32)))[0].histo
    assert (histogram.num, list(histogram.bucket)) == (0, [0])
    x = tf.placeholder(tf.float32)
    summary = tf.summary.histogram("bad", x)
    for bad, word in ((np.nan, "Nan"), (np.inf, "Infinity")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{word} in summary histogram for: bad"):
            value_of(summary, {x: [1.0, bad]})


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images(channels: int) -> None:
    pixels = np.arange(2 * 2 * 3 * channels, dtype=np.uint8).reshape(2, 2, 3, channels)
    values = value_of(tf.summary.image("im", tf.constant(pixels)))
    assert [value.tag for value in values] == ["im/image/0", "im/image/1"]
    assert (values[0].image.height, values[0].image.width, values[0].image.colorspace) == (2, 3, channels)
    for value, wanted in zip(values, pixels, strict=True):
        np.testing.assert_array_equal(decode_png(value.image.encoded_image_string), wanted)
    assert [value.tag for value in value_of(tf.summary.image("one", pixels, max_outputs=1))] == ["one/image"]


def test_floating_point_images_fill_the_range() -> None:
    images = np.array([[[0.0], [0.5]], [[1.0], [np.nan]]], np.float32)[None]
    found = decode_png(value_of(tf.summary.image("im", images))[0].image.encoded_image_string)
    assert found.reshape(-1).tolist() == [0, 127, 255, 255]
    found = decode_png(value_of(tf.summary.image("im", images - 0.5))[0].image.encoded_image_string)
    assert found.reshape(-1).tolist() == [1, 128, 255, 255]


def test_audio() -> None:
    clip = np.array([[[0.0, 0.5], [-1.0, 2.0]]], np.float32)
    audio = value_of(tf.summary.audio("a", clip, 8000.0))[0].audio
    assert (audio.sample_rate, audio.num_channels, audio.length_frames) == (8000, 2, 2)
    assert np.frombuffer(audio.encoded_audio_string[44:], "<i2").tolist() == [0, 16384, -32768, 32767]


def test_text() -> None:
    value = value_of(tf.summary.text("t", tf.constant(["a", "b"])))[0]
    assert value.metadata.plugin_data.plugin_name == "text"
    assert list(value.tensor.string_val) == [b"a", b"b"]
    with pytest.raises(ValueError, match="dtype string"):
        tf.summary.text("t", tf.constant(1.0))


def test_in_eager_execution() -> None:
    with context.mode(True):
        summary = tf.summary.scalar("a", 2.5)
        assert [(v.tag, v.simple_value) for v in tf.Summary.FromString(summary.numpy()).value] == [("a", 2.5)]
        for merge in (tf.summary.merge_all, lambda: tf.summary.merge([summary])):
            with pytest.raises(RuntimeError, match="not compatible with eager execution"):
                merge()
    assert tf.get_collection(tf.GraphKeys.SUMMARIES) == []
