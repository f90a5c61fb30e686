"""Errors about what was read from files, which nobody may trust: of few types, and with the file's name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from millstream.core import errors

# What content that does not fit together may lead to, deep inside of the library.
_MISFITS = (
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    UnicodeError,
)


@contextmanager
def checking_content() -> Iterator[None]:
    """Makes errors such as `KeyError` an `InvalidArgumentError`, within a `with` block that uses what was read.

    `ValueError`, `RuntimeError`, `OpError` and those derived from them stay what they are.
    """
    try:
        yield
    except _MISFITS as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error  # without quotation marks
        raise errors.InvalidArgumentError(None, None, str(text)) from error


@contextmanager
def naming_file(path: str | bytes | os.PathLike[Any]) -> Iterator[None]:
    """Lets a `ValueError` or `OpError` within a `with` block begin with a file's name, unless it names it already."""
    name = os.fsdecode(path)
    try:
        yield
    except errors.OpError as error:
        if name not in error.message:
            error._message = f"{name}: {error.message}"
            error.args = (error._message, *error.args[1:])
        raise
    except ValueError as error:
        if name not in str(error):
            error.args = (f"{name}: {error}",)
        raise
