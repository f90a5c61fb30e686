"""`tf.compat`: text and bytes, groups of number types, and the horizon of forward compatibility."""
from __future__ import annotations

import codecs
import datetime
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from millstream.core.export import export, export_value

bytes_or_text_types = (bytes, str)
complex_types = (numbers.Complex, np.number)
integral_types = (numbers.Integral, np.integer)
real_types = (numbers.Real, np.integer, np.floating)

for _name in ("bytes_or_text_types", "complex_types", "integral_types", "real_types"):
    export_value(__name__, _name, f"compat.{_name}")


@export("compat.as_bytes")
def as_bytes(bytes_or_text: bytes | bytearray | str, encoding: str = "utf-8") -> bytes:
    """Text as bytes; bytes pass.

    Raises:
      TypeError: it is neither.

    Example:
      >>> tf.compat.as_bytes("é")
      b'\\xc3\\xa9'
    """
    encoding = codecs.lookup(encoding).name
    if isinstance(bytes_or_text, bytearray):
        return bytes(bytes_or_text)
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_text")
def as_text(bytes_or_text: bytes | str, encoding: str = "utf-8") -> str:
    """Bytes as text; text passes.

    Raises:
      TypeError: it is neither.
    """
    encoding = codecs.lookup(encoding).name
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_str")
def as_str(bytes_or_text: bytes | str, encoding: str = "utf-8") -> str:
    """The same as `tf.compat.as_text`."""
    return as_text(bytes_or_text, encoding)


@export("compat.as_str_any")
def as_str_any(value: Any, encoding: str = "utf-8") -> str:
    """Bytes as text, and anything else as `str` shows it."""
    return as_str(value, encoding) if isinstance(value, bytes) else str(value)


@export("compat.path_to_str")
def path_to_str(path: Any) -> Any:
    """A path object as text; anything else passes."""
    return as_str_any(path.__fspath__()) if hasattr(path, "__fspath__") else path


_horizon = [datetime.date(2026, 1, 16)]


@export("compat.forward_compatible")
def forward_compatible(year: int, month: int, day: int) -> bool:
    """Whether what programs write may need a reader that is newer than a date.

    Example:
      >>> tf.compat.forward_compatible(2019, 8, 1)
      True
    """
    return _horizon[-1] > datetime.date(year, month, day)


@export("compat.forward_compatibility_horizon")
@contextmanager
def forward_compatibility_horizon(year: int, month: int, day: int) -> Iterator[None]:
    """Moves the date that `forward_compatible` compares with, within a `with` block: for tests."""
    _horizon.append(datetime.date(year, month, day))
    try:
        yield
    finally:
        _horizon.pop()
