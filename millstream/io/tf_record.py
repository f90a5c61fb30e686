"""`tf.io.TFRecordWriter` and its relatives: the public names of `records`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millstream.core.export import export
from millstream.io.records import RecordReader, RecordWriter


@export(v1=["io.TFRecordCompressionType", "python_io.TFRecordCompressionType"])
class TFRecordCompressionType:
    """How a file of records is compressed."""

    NONE = 0
    ZLIB = 1
    GZIP = 2


_NAMES = {TFRecordCompressionType.ZLIB: "ZLIB", TFRecordCompressionType.GZIP: "GZIP", TFRecordCompressionType.NONE: ""}


@export("io.TFRecordOptions", v1=["python_io.TFRecordOptions"])
class TFRecordOptions:
    """How records are compressed. What is None is as `zlib` has it by default.

    Args:
      compression_type: "GZIP", "ZLIB", "" or a `TFRecordCompressionType`; None: not compressed.
      flush_mode: `zlib.Z_SYNC_FLUSH` has `flush` write all records so far so that they can be read.
      input_buffer_size, output_buffer_size: bytes that are read or written at a time.
      window_bits: the base-two logarithm of the window, in `zlib`'s form, which says the container too.
      compression_level: 0 to 9.
      compression_method: 8, DEFLATE.
      mem_level: 1 to 9, how much memory is used.
      compression_strategy: one of `zlib`'s.

    Raises:
      ValueError: there is no such compression type.

    Example:
      >>> with tf.io.TFRecordWriter("a.tfrecord.gz", tf.io.TFRecordOptions("GZIP")) as writer:
      ...   writer.write(b"a record")
    """

    compression_type_map = _NAMES

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: int | None = None,
        input_buffer_size: int | None = None,
        output_buffer_size: int | None = None,
        window_bits: int | None = None,
        compression_level: int | None = None,
        compression_method: int | None = None,
        mem_level: int | None = None,
        compression_strategy: int | None = None,
    ) -> None:
        self.get_compression_type_string(compression_type)
        self.compression_type = compression_type
        self.flush_mode = flush_mode
        self.input_buffer_size = input_buffer_size
        self.output_buffer_size = output_buffer_size
        self.window_bits = window_bits
        self.compression_level = compression_level
        self.compression_method = compression_method
        self.mem_level = mem_level
        self.compression_strategy = compression_strategy

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """The compression's name, "GZIP", "ZLIB" or "".

        Args:
          options: options, a name, a `TFRecordCompressionType` or None.

        Raises:
          ValueError: there is no such compression type.
        """
        if isinstance(options, TFRecordOptions):
            return cls.get_compression_type_string(options.compression_type)
        if options is None:
            return ""
        if options in _NAMES.values():
            return options
        if options in _NAMES:
            return _NAMES[options]
        raise ValueError(f'Not a valid compression_type: "{options}"')

    def _for_zlib(self) -> dict[str, int]:
        """The arguments of `zlib.compressobj` that are given."""
        given = {
            "level": self.compression_level, "method": self.compression_method, "wbits": self.window_bits,
            "memLevel": self.mem_level, "strategy": self.compression_strategy,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


def _as_options(options: Any) -> TFRecordOptions:
    return options if isinstance(options, TFRecordOptions) else TFRecordOptions(options)


@export("io.TFRecordWriter", v1=["python_io.TFRecordWriter"])
class TFRecordWriter(RecordWriter):
    """Writes records to a new file.

    Args:
      path: the file; one that is there is replaced.
      options: `TFRecordOptions`, a compression's name, a `TFRecordCompressionType`, or None: not compressed.

    Raises:
      ValueError: there is no such compression.
      OpError: the file cannot be made.

    Example:
      >>> with tf.io.TFRecordWriter("a.tfrecord") as writer:
      ...   writer.write(example.SerializeToString())
    """

    def __init__(self, path: Any, options: Any = None) -> None:
        chosen = _as_options(options)
        compression = TFRecordOptions.get_compression_type_string(chosen)
        settings = chosen._for_zlib() if compression else {}
        super().__init__(path, compression, chosen.flush_mode, chosen.output_buffer_size, **settings)

    def write(self, record: bytes) -> None:
        """Appends a record: bytes, or text, which is written as UTF-8.

        Raises:
          TypeError: it is neither.
          FailedPreconditionError: the writer is closed.
        """
        if isinstance(record, str):
            record = record.encode()
        if not isinstance(record, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes, {type(record).__name__} found")
        super().write(bytes(record))


@export(v1=["io.tf_record_iterator", "python_io.tf_record_iterator"])
def tf_record_iterator(path: Any, options: Any = None) -> Iterator[bytes]:
    """The records of a file, in order.

    Args:
      path: the file.
      options: as those of `TFRecordWriter`.

    Raises:
      NotFoundError: there is no such file.
      DataLossError: it is truncated or corrupted.

    Example:
      >>> for record in tf.io.tf_record_iterator("a.tfrecord"):
      ...   print(tf.train.Example.FromString(record))
    """
    chosen = _as_options(options)
    compression = TFRecordOptions.get_compression_type_string(chosen)
    return iter(_opened(path, compression, chosen))


def _opened(path: Any, compression: str, options: TFRecordOptions) -> Iterator[bytes]:
    with RecordReader(path, compression, options.window_bits, buffer_size=options.input_buffer_size) as records:
        yield from records
