"""What the fuzzers share: where files are put, what counts as a refusal, seeds, and checksums that always agree."""
from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from millstream.core import errors
from millstream.io import crc32c, records

ROOT = Path(__file__).resolve().parents[1]

# How a reader says that it does not take a file; everything else is a bug.
REFUSALS = (
    errors.DataLossError,
    errors.InvalidArgumentError,
    errors.NotFoundError,
    errors.PermissionDeniedError,
    errors.UnimplementedError,
)

refused: list[str] = []  # what was said about inputs that were refused, for tests to look at


@contextmanager
def refusing(*kinds: type[Exception], naming: str = "", saying: str = "(?!)") -> Iterator[None]:
    """Lets a reader refuse an input within a `with` block.

    Args:
      *kinds: errors by which it may do so besides `REFUSALS`.
      naming: what these must name, a file for instance.
      saying: a pattern; other errors that begin so, type and text, are refusals too.
    """
    try:
        yield
    except Exception as error:
        text = getattr(error, "message", None) or str(error)
        said = f"{type(error).__name__}: {text}"
        if not (re.match(saying, said) or isinstance(error, (*REFUSALS, *kinds)) and naming in text):
            raise
        refused.append(said)


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


def place(name: str, content: bytes) -> str:
    """Writes a file into the folder FUZZ_FOLDER, or a temporary one of this process; gives its path."""
    path = os.path.join(os.environ.get("FUZZ_FOLDER") or _own_folder().name, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def seeds(*patterns: str, most_bytes: int = 1 << 16) -> Iterator[bytes]:
    """The contents of committed files; large ones are left out."""
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if path.stat().st_size <= most_bytes:
                yield path.read_bytes()


def joined(*parts: bytes) -> bytes:
    """Several files as one input: three bytes of length before each."""
    return b"".join(len(part).to_bytes(3, "big") + part for part in parts)


def split(data: bytes, count: int) -> list[bytes]:
    """What `joined` has put together; the last one takes what is left."""
    parts = []
    for _ in range(count - 1):
        size = int.from_bytes(data[:3], "big")
        parts.append(data[3 : 3 + size])
        data = data[3 + size :]
    return [*parts, data[3:]]


class _EqualToAll:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


class _Agreeing(_EqualToAll, int):
    """A checksum that equals every other one: mutations get past it, to what reads the content."""

    def to_bytes(self, *arguments: Any, **keywords: Any) -> bytes:
        return _AgreeingBytes(super().to_bytes(*arguments, **keywords))


class _AgreeingBytes(_EqualToAll, bytes):
    """The same as it stands in a file."""


@contextmanager
def ignoring_checksums() -> Iterator[None]:
    """Lets all checksums agree within a `with` block."""
    real = crc32c.masked

    def masked(crc: int) -> int:
        return _Agreeing(real(crc))

    with mock.patch.object(crc32c, "masked", masked), mock.patch.object(records, "masked", masked):
        yield
