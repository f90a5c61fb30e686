"""Where the user's program made an operation.

Taking a position must cost next to nothing, so a frame is kept as its code object and bytecode offset, one after the
other in one flat tuple, which is no work for the garbage collector. File, line and source text are worked out only
when an error or the user asks.
"""
from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

Positions = tuple[CodeType | int, ...]  # code, offset, code, offset, …: innermost frame first


class ImportPositions(tuple[Any, ...]):
    """Where the program imported a graph from a file that is not trusted: what its operations have as positions."""

    __slots__ = ()


# Generated code: for each file the user's (file, line, function, source text) by line. What has none is left out.
ORIGINS: dict[str, dict[int, tuple[str, int, str, str]]] = {}
# Directories of libraries whose frames are none of the user's program: those through which users' code is called.
LIBRARIES: list[str] = []

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ours: dict[CodeType, bool] = {}


def _is_ours(code: CodeType) -> bool:
    name = code.co_filename
    ours = _ours[code] = name.startswith((_PACKAGE, "<frozen ", *LIBRARIES))
    return ours


def capture() -> Positions:
    """The frames of the running program outside of this package, innermost first."""
    positions: list[CodeType | int] = []
    frame = sys._getframe(2)
    ours = _ours
    while frame is not None:
        code = frame.f_code
        known = ours.get(code)
        if known is None:
            known = _is_ours(code)
        if not known:
            positions.append(code)
            positions.append(frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(positions)


def frames(positions: Positions) -> list[tuple[CodeType, int]]:
    """(code, line) of each frame, innermost first."""
    pairs: Any = zip(positions[::2], positions[1::2], strict=True)
    return [(code, _line_number(code, offset)) for code, offset in pairs]


def _line_number(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def _entries(positions: Positions) -> Iterator[tuple[str, int, str, str]]:
    """(file, line, function, source text) of each frame, innermost first; the user's lines for generated code."""
    for code, line in frames(positions):
        generated = ORIGINS.get(code.co_filename)
        if generated is None:
            yield code.co_filename, line, code.co_name, linecache.getline(code.co_filename, line).strip()
        elif line in generated:
            yield generated[line]


def describe(positions: Positions) -> str:
    """`train.py:46, in build_model` for the innermost frame of the user's program, or an empty string."""
    for file, line, name, _ in _entries(positions):
        return f"{os.path.basename(file)}:{line}, in {name}"
    return ""


def as_list(positions: Positions) -> list[tuple[str, int, str, str]]:
    """(file, line, function, source text) of each frame, outermost first, as `traceback.extract_stack` gives it."""
    return list(_entries(positions))[::-1]
