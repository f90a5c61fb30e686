"""TFRecord framing: records with their lengths and checksums one after the other, the whole perhaps compressed.

A record is its length (8 bytes), the masked checksum of these, its bytes, and their masked checksum. There is no
header. What is read is believed only as far as it is there: memory is taken for bytes that a file has, not for those
that it claims to have.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Any, BinaryIO

import google_crc32c

from millstream.core import errors
from millstream.io.crc32c import masked
from millstream.io.gfile import local_path, reporting

_LENGTH = Struct("<Q")
_CHECKSUM = Struct("<I")
_HEADER = Struct("<QI")
_PIECE = 1 << 20  # bytes that are read of a long record at a time
_BUFFER = 1 << 16  # bytes that are read of a file at a time
_MOST_DEFLATED = 1032  # bytes at most that DEFLATE makes of one

# `zlib`'s wbits for each kind of compression.
WINDOW_BITS = {"GZIP": 31, "ZLIB": 15}


def frame(record: bytes) -> bytes:
    """A record as it stands in a file."""
    length = _LENGTH.pack(len(record))
    header = length + _CHECKSUM.pack(masked(google_crc32c.value(length)))
    return header + record + _CHECKSUM.pack(masked(google_crc32c.value(record)))


class RecordReader:
    """Reads the records of a file in order.

    Args:
      path: the file.
      compression: "", "GZIP" or "ZLIB".
      window_bits: `zlib`'s wbits where it is not what `compression` says.
      growing: the file is being written: a record that is there in part is none yet, and is read once it is whole.
      buffer_size: how many bytes of the file are read at a time; default: 64 kB.

    Raises:
      NotFoundError: there is no such file.
      DataLossError: when it is read, and is truncated or corrupted.

    Example:
      >>> with RecordReader("a.tfrecord") as records:
      ...   for record in records: ...
    """

    def __init__(
        self,
        path: Any,
        compression: str = "",
        window_bits: int | None = None,
        growing: bool = False,
        buffer_size: int | None = None,
    ) -> None:
        self._path = local_path(path)
        self._growing = growing
        self.position = 0  # of the next record, in the uncompressed stream
        if os.path.isdir(self._path):  # opening one succeeds, reading it would not
            raise errors.FailedPreconditionError(None, None, f"{path}; Is a directory")
        with reporting(path):
            file = open(self._path, "rb", buffering=buffer_size or _BUFFER)  # noqa: SIM115 - closed by `close`
        self._file: BinaryIO = file
        self._stream: BinaryIO = file
        self._factor = 1
        if compression:
            inflating = _Inflating(file, window_bits or WINDOW_BITS[compression])
            self._stream = io.BufferedReader(inflating, buffer_size or _BUFFER)
            self._factor = _MOST_DEFLATED

    def read(self) -> bytes | None:
        """The next record; None at the end.

        Raises:
          DataLossError: the file is truncated or corrupted.
        """
        try:
            record = self._read()
        except (zlib.error, EOFError) as error:
            raise self._data_loss(f"inflate() failed: {error}; record at {self.position}") from None
        except OSError:
            with reporting(self._path):
                raise
        if record is not None:
            self.position += len(record) + 16
        return record

    def _read(self) -> bytes | None:
        header = self._stream.read(12)
        if len(header) < 12:
            self._check_end(header)
            return None
        length, checksum = _HEADER.unpack(header)
        if masked(google_crc32c.value(header[:8])) != checksum:
            raise self._corrupted()
        body = self._take(length + 4)
        if body is None:
            self._check_end(header)
            return None
        record = body[:-4]
        if masked(google_crc32c.value(record)) != _CHECKSUM.unpack_from(body, length)[0]:
            raise self._corrupted()
        return record

    def _take(self, size: int) -> bytes | None:
        """The next bytes; None where there are not so many. Takes no more memory than there are bytes."""
        if size <= _PIECE:
            data = self._stream.read(size)
            return data if len(data) == size else None
        left = os.fstat(self._file.fileno()).st_size - (self._file.tell() if self._factor == 1 else 0)
        if size > left * self._factor:
            return None
        if self._factor == 1:
            data = self._stream.read(size)
            return data if len(data) == size else None
        pieces = io.BytesIO()
        while pieces.tell() < size:
            piece = self._stream.read(min(size - pieces.tell(), _PIECE))
            if not piece:
                return None
            pieces.write(piece)
        return pieces.getvalue()

    def _check_end(self, header: bytes) -> None:
        """What is left is no whole record: nothing at the end, or of a file that grows; else an error is raised."""
        if self._growing:
            if self._factor == 1:  # a compressed stream has no place to go back to
                self._file.seek(self.position)
        elif header:
            raise self._data_loss(f"truncated record at {self.position}")

    def _corrupted(self) -> errors.DataLossError:
        hint = " (Is this even a TFRecord file?)" if self.position == 0 else ""
        return self._data_loss(f"corrupted record at {self.position}{hint}")

    def _data_loss(self, what: str) -> errors.DataLossError:
        return errors.DataLossError(None, None, f"{what} in {self._path}")

    def __iter__(self) -> Iterator[bytes]:
        while (record := self.read()) is not None:
            yield record

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Inflating(io.RawIOBase):
    """What a compressed file holds; GZIP files may be several, one after the other."""

    def __init__(self, file: BinaryIO, window_bits: int) -> None:
        super().__init__()
        self._file = file
        self._window_bits = window_bits
        self._inflate = zlib.decompressobj(window_bits)
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer, at least in part; 0 at the end.

        Raises:
          EOFError: the stream is cut off.
        """
        while True:
            data = self._inflate.unconsumed_tail or self._inflate.unused_data or self._file.read(_BUFFER)
            if not data:
                if self._begun and not self._inflate.eof:
                    raise EOFError("the stream is truncated")
                return 0
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(self._window_bits)
            self._begun = True
            found = self._inflate.decompress(data, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)


class RecordWriter:
    """Writes records to a new file.

    Args:
      path: the file; one that is there is replaced.
      compression: "", "GZIP" or "ZLIB".
      flush_mode: what `flush` asks of `zlib` (`zlib.Z_SYNC_FLUSH`); default: nothing, readers see records when the
        compressed ones fill a block, or at the end.
      buffer_size: how many bytes are written to the file at a time; default: 64 kB.
      **settings: arguments of `zlib.compressobj`.

    Raises:
      OpError: the file cannot be made.
    """

    def __init__(
        self,
        path: Any,
        compression: str = "",
        flush_mode: int | None = None,
        buffer_size: int | None = None,
        **settings: int,
    ) -> None:
        self._path = path
        self._flush_mode = flush_mode or 0
        self._deflate = None
        if compression:
            settings.setdefault("wbits", WINDOW_BITS[compression])
            self._deflate = zlib.compressobj(**settings)  # type: ignore[arg-type]  # the last parameter is no number
        with reporting(path):
            self._file = open(local_path(path), "wb", buffering=buffer_size or _BUFFER)  # noqa: SIM115 - see `close`

    def write(self, record: bytes) -> None:
        """Appends a record.

        Raises:
          FailedPreconditionError: the writer is closed.
        """
        self._append(frame(record))

    def _append(self, data: bytes) -> None:
        self._check_open()
        with reporting(self._path):
            self._file.write(data if self._deflate is None else self._deflate.compress(data))

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        self._check_open()
        with reporting(self._path):
            if self._deflate is not None and self._flush_mode:
                self._file.write(self._deflate.flush(self._flush_mode))
            self._file.flush()

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        if self._file.closed:
            return
        with reporting(self._path):
            try:
                if self._deflate is not None:
                    self._file.write(self._deflate.flush())
            finally:
                self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):  # else it could not be opened
            self.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise errors.FailedPreconditionError(None, None, "Writer is closed.")

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
