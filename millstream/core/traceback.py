"""Where the user's program made an operation.

Taking a position must cost next to nothing, so a frame is kept as its code object and bytecode offset, one after the
other in one flat tuple, which is no work for the garbage collector. File, line and source text are worked out only
when an error or the user asks.
"""
from __future__ import annotations

import linecache
import os
import sys
from types import CodeType
from typing import Any

Positions = tuple[CodeType | int, ...]  # code, offset, code, offset, …: innermost frame first

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ours: dict[CodeType, bool] = {}


def _is_ours(code: CodeType) -> bool:
    name = code.co_filename
    ours = _ours[code] = name.startswith(_PACKAGE) or name.startswith("<frozen ")
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


def describe(positions: Positions) -> str:
    """`train.py:46, in build_model` for the innermost frame of the user's program, or an empty string."""
    if not positions:
        return ""
    code, line = frames(positions[:2])[0]
    return f"{os.path.basename(code.co_filename)}:{line}, in {code.co_name}"


def as_list(positions: Positions) -> list[tuple[str, int, str, str]]:
    """(file, line, function, source text) of each frame, outermost first, as `traceback.extract_stack` gives it."""
    entries = []
    for code, number in reversed(frames(positions)):
        text = linecache.getline(code.co_filename, number).strip()
        entries.append((code.co_filename, number, code.co_name, text))
    return entries
