"""Protocol buffers in files, binary or text."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from millstream.io import gfile

Message = TypeVar("Message")


def read_message(path: str | os.PathLike[str], kind: type[Message], binary: bool | None = None) -> Message:
    """Reads a message from a file.

    Args:
      path: the file.
      kind: the type of the message.
      binary: whether the file is binary; None: it is found out.

    Raises:
      OpError: the file cannot be read.
      ValueError: it has no such message.
    """
    with gfile.GFile(os.fsdecode(path), "rb") as file:
        content = file.read()
    message: Any = kind()
    name = message.DESCRIPTOR.name
    problem: Exception | None = None
    if binary is not False:
        problem = _parse_binary(content, message)
        if problem is None:
            return message
        message.Clear()
    if binary is not True:
        reason = _parse_text(content, message)
        if reason is None:
            return message
        problem = problem if problem is not None and _looks_binary(content) else reason
    raise ValueError(f"{os.fsdecode(path)}: Error parsing message of type {name}: {problem}")


def _parse_binary(content: bytes, message: Any) -> Exception | None:
    """Fills a message; gives what is wrong, or None."""
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(content)
    except DecodeError as error:
        return error
    return None


def _parse_text(content: bytes, message: Any) -> Exception | None:
    from google.protobuf import text_format

    from millstream.io import proto

    try:
        text_format.Parse(content.decode(), message, descriptor_pool=proto.pool())
    except (text_format.ParseError, ValueError, RecursionError) as error:  # ValueError: a number out of range
        return error
    return None


def _looks_binary(content: bytes) -> bool:
    return b"\0" in content or not content[:512].isascii()
