"""TFRecord files, plain and compressed, and the events in them."""
from __future__ import annotations

import gzip
from collections.abc import Iterable

import support

import millstream.v1 as tf


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    for content in support.seeds("tests/summary/data/*.events"):
        yield b"\0" + content
        yield b"\1" + gzip.compress(content, mtime=0)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    path = support.place("records", data[1:])
    kind = ("", "GZIP", "ZLIB")[data[0] % 3] if data else ""
    options = tf.python_io.TFRecordOptions(getattr(tf.python_io.TFRecordCompressionType, kind or "NONE"))
    with support.ignoring_checksums():
        for read in (lambda: tf.python_io.tf_record_iterator(path, options), lambda: tf.train.summary_iterator(path)):
            with support.refusing(naming=path, saying="DecodeError: "):  # that of an event, as in TensorFlow
                for number, _ in enumerate(read()):
                    if number > len(data):
                        raise AssertionError("more records than bytes")
