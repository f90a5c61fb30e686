"""TFRecord files: what is written is read; what is broken is found."""
from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.core import errors
from millstream.io import crc32c
from millstream.io.records import RecordReader, RecordWriter, frame

RECORDS = [b"abc", b"", b"x" * 1000, bytes(range(256))]
COMPRESSIONS = ["", "GZIP", "ZLIB"]


def written(path: Path, records: list[bytes] = RECORDS, compression: str = "") -> bytes:
    with RecordWriter(path, compression) as writer:
        for record in records:
            writer.write(record)
    return path.read_bytes()


def read(path: Path, compression: str = "") -> list[bytes]:
    with RecordReader(path, compression) as reader:
        return list(reader)


def test_the_layout(tmp_path: Path) -> None:
    data = written(tmp_path / "a", [b"abc"])
    assert data[:8] == struct.pack("<Q", 3) and data[12:15] == b"abc"
    assert data[8:12] == struct.pack("<I", crc32c.masked_crc(data[:8]))
    assert data[15:] == struct.pack("<I", crc32c.masked_crc(b"abc"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_round_trips(tmp_path: Path, compression: str) -> None:
    written(tmp_path / "a", RECORDS * 100, compression)
    assert read(tmp_path / "a", compression) == RECORDS * 100


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), max_size=20), st.sampled_from(COMPRESSIONS))
def test_any_records(tmp_path: Path, records: list[bytes], compression: str) -> None:
    written(tmp_path / "a", records, compression)
    assert read(tmp_path / "a", compression) == records


def test_standard_containers(tmp_path: Path) -> None:
    framed = b"".join(map(frame, RECORDS))
    assert gzip.decompress(written(tmp_path / "a", compression="GZIP")) == framed
    assert zlib.decompress(written(tmp_path / "b", compression="ZLIB")) == framed
    (tmp_path / "two").write_bytes(gzip.compress(frame(b"1")) + gzip.compress(frame(b"2")))
    assert read(tmp_path / "two", "GZIP") == [b"1", b"2"]


# --- Broken files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_truncation_is_found(tmp_path: Path, compression: str) -> None:
    records = [b"abc", b"defg" * 10]
    data = written(tmp_path / "a", records, compression)
    whole = {0, len(frame(records[0])), len(data)} if not compression else {0, len(data)}
    for size in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:size])
        if size in whole:
            assert len(read(tmp_path / "cut", compression)) < 2
        else:
            with pytest.raises(errors.DataLossError, match="truncated"):
                read(tmp_path / "cut", compression)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_no_changed_bit_changes_a_record(tmp_path: Path, compression: str) -> None:
    records = [b"abc", b"defg" * 10]
    data = written(tmp_path / "a", records, compression)
    harmless = 0
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << random.Random(place).randrange(8)
        (tmp_path / "broken").write_bytes(broken)
        try:
            assert read(tmp_path / "broken", compression) == records
            harmless += 1
        except errors.DataLossError as error:
            assert "broken" in error.message
    # What does not matter: in the header of GZIP the time and the system, in DEFLATE the bits after the last block.
    assert harmless <= {"": 0, "GZIP": 8, "ZLIB": 1}[compression]


@pytest.mark.parametrize("length", [1 << 20, 1 << 40, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 4])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_absurd_lengths_take_no_memory(tmp_path: Path, length: int, compression: str) -> None:
    size = struct.pack("<Q", length)
    data = size + struct.pack("<I", crc32c.masked_crc(size)) + b"x" * 100
    compress: Any = {"": bytes, "GZIP": gzip.compress, "ZLIB": zlib.compress}[compression]
    (tmp_path / "a").write_bytes(compress(data))
    tracemalloc.start()
    try:
        with pytest.raises(errors.DataLossError, match="truncated record at 0"):
            read(tmp_path / "a", compression)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_long_record_in_a_compressed_stream(tmp_path: Path) -> None:
    record = bytes(5 << 20)
    assert len(written(tmp_path / "a", [record, b"end"], "ZLIB")) < len(record) / 900
    assert read(tmp_path / "a", "ZLIB") == [record, b"end"]


def test_messages_say_where(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "a", [b"abc", b"d"]))
    data[19] ^= 1
    (tmp_path / "a").write_bytes(data)
    reader = RecordReader(tmp_path / "a")
    assert reader.read() == b"abc"
    with reader, pytest.raises(errors.DataLossError, match="corrupted record at 19 in .*/a"):
        reader.read()
    (tmp_path / "b").write_bytes(b"this is a text, and no file of records at all")
    with pytest.raises(errors.DataLossError, match="Is this even a TFRecord file?"):
        read(tmp_path / "b")
    with pytest.raises(errors.NotFoundError, match="No such file"):
        RecordReader(tmp_path / "none")
    with pytest.raises(errors.FailedPreconditionError, match="Is a directory"):
        RecordReader(tmp_path)


def test_a_file_that_grows(tmp_path: Path) -> None:
    one, two = frame(b"one"), frame(b"two" * 1000)
    path = tmp_path / "a"
    with path.open("wb", buffering=0) as file, RecordReader(path, growing=True) as reader:
        assert reader.read() is None
        file.write(one + two[:5])
        assert reader.read() == b"one"
        assert reader.read() is None
        for start in range(5, len(two) - 1, 999):
            file.write(two[start : start + 999])
            if start + 999 < len(two):
                assert reader.read() is None
        file.write(two[start + 999 :])
        assert reader.read() == b"two" * 1000
        assert reader.read() is None
        file.write(b"x" * 12)
        with pytest.raises(errors.DataLossError):
            reader.read()


# --- Public names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [None, "", "GZIP", "ZLIB", tf.io.TFRecordCompressionType.GZIP, tf.io.TFRecordCompressionType.NONE,
     tf.io.TFRecordOptions("ZLIB", compression_level=9, window_bits=-15, mem_level=9),
     tf.io.TFRecordOptions(tf.io.TFRecordCompressionType.ZLIB, flush_mode=zlib.Z_SYNC_FLUSH, output_buffer_size=10)],
)  # fmt: skip
def test_the_public_writer(tmp_path: Path, options: Any) -> None:
    path = str(tmp_path / "a")
    with tf.python_io.TFRecordWriter(path, options) as writer:
        writer.write(b"bytes")
        writer.flush()
        writer.write("text")
    assert list(tf.python_io.tf_record_iterator(path, options)) == [b"bytes", b"text"]


def test_flushed_records_can_be_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with tf.python_io.TFRecordWriter(path, tf.io.TFRecordOptions("ZLIB", flush_mode=zlib.Z_SYNC_FLUSH)) as writer:
        writer.write(b"one")
        writer.flush()
        assert next(tf.python_io.tf_record_iterator(path, "ZLIB")) == b"one"


def test_closed_writers(tmp_path: Path) -> None:
    writer = tf.io.TFRecordWriter(str(tmp_path / "a"))
    with pytest.raises(TypeError, match="expected bytes, int found"):
        writer.write(5)
    writer.close()
    writer.close()
    for call in (writer.flush, lambda: writer.write(b"x")):
        with pytest.raises(tf.errors.FailedPreconditionError, match="Writer is closed."):
            call()
    with pytest.raises(tf.errors.NotFoundError):
        tf.io.TFRecordWriter(str(tmp_path / "none" / "a"))


def test_names_of_compressions() -> None:
    name_of = tf.io.TFRecordOptions.get_compression_type_string
    assert [name_of(item) for item in (None, "", 0, 1, 2, "GZIP")] == ["", "", "", "ZLIB", "GZIP", "GZIP"]
    assert name_of(tf.io.TFRecordOptions(tf.io.TFRecordCompressionType.GZIP)) == "GZIP"
    for wrong in ("gzip", 7, "FOO"):
        with pytest.raises(ValueError, match=f'Not a valid compression_type: "{wrong}"'):
            tf.io.TFRecordOptions(wrong)
