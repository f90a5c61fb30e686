"""Values of tensors as text, in the two forms of TensorFlow's runtime.

`summarize` is how `tf.Print` and `tf.Assert` show the first elements: `1 2 3...`; `format_value` is how `tf.print`
shows the edges of each dimension: `[1 2 3 ... 8 9 10]`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_ESCAPES = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 39: "\\'", 92: "\\\\"}


def _number(value: Any, digits: int, enough: int) -> str:
    """A float with as few digits as C's `%g` needs to give it back."""
    short = f"{float(value):.{digits}g}"
    if type(value)(short) != value and value == value:
        short = f"{float(value):.{enough}g}"
    return short


def _escaped(value: Any, keep_high: bool) -> str:
    data = value if isinstance(value, bytes) else str(value).encode()
    plain = b"".join(
        bytes([byte])
        if byte not in _ESCAPES and (32 <= byte < 127 or (keep_high and byte > 127))
        else _ESCAPES.get(byte, f"\\{byte:03o}").encode()
        for byte in data
    )
    return plain.decode("utf-8", "replace")


def _writer(array: Any, quoted: bool) -> Callable[[Any], str]:
    """How one element of `array` is written."""
    kind = array.dtype.kind
    if kind in "OSU":
        return lambda item: f'"{_escaped(item, True)}"' if quoted else _escaped(item, False)
    if kind in "biu":
        return lambda item: str(int(item))
    if array.dtype == np.float64:
        return lambda item: _number(item, 15, 17)
    if kind == "c":
        return lambda item: "?"
    return lambda item: _number(np.float32(item), 6, 9)


def listed(array: Any, limit: int | None) -> str:
    """The first `limit` elements (default 3, negative: all) as Python writes them: `1.0, 2.0, ...`."""
    array = np.asarray(array)
    limit = 3 if limit is None else array.size if limit < 0 else limit
    texts = [str(item) for item in array.reshape(-1)[:limit]]
    return ", ".join(texts if len(texts) == array.size else [*texts, "..."])


def summarize(array: Any, limit: int) -> str:
    """The first `limit` elements of an array (-1: all), rows in brackets, and "..." where there are more."""
    array = np.asarray(array)
    write = _writer(array, quoted=False)
    limit = array.size if limit < 0 else min(limit, array.size)
    rest = "..." if array.size > limit else ""
    if array.dtype.kind == "c" or array.ndim == 0:
        return " ".join(write(item) for item in array.reshape(-1)[:limit]) + rest
    left = [limit]
    return _leading(array, write, left, outermost=True) + rest


def _leading(array: Any, write: Callable[[Any], str], left: list[int], outermost: bool) -> str:
    """The elements of one dimension while there are any `left` to show."""
    if array.ndim == 1:
        count = min(left[0], array.size)
        left[0] -= count
        rest = "..." if count < array.size and not outermost else ""
        return " ".join(write(item) for item in array[:count]) + rest
    parts = []
    for row in array:
        if left[0] <= 0:
            break
        parts.append(f"[{_leading(row, write, left, outermost=False)}]")
    return "".join(parts)


def format_value(array: Any, limit: int) -> str:
    """An array with the first and last `limit` entries of each dimension (-1: all)."""
    array = np.asarray(array)
    write = _writer(array, quoted=True)
    limit = array.size if limit < 0 else min(limit, array.size)
    if array.ndim == 0:
        return write(array[()]) if limit else "..."
    if array.dtype.kind == "c":
        return f"[{summarize(array, limit)}]"
    return _edges(array, write, limit, 0)


def _edges(array: Any, write: Callable[[Any], str], limit: int, depth: int) -> str:
    size, inner = len(array), array.ndim - 1
    gap = "\n" * inner + " " * (depth + 1) if inner else " "
    shown = [*range(min(limit, size)), *range(max(limit, size - limit), size)]
    parts = [_edges(array[index], write, limit, depth + 1) if inner else write(array[index]) for index in shown]
    if size > 2 * limit:
        parts.insert(limit, "...")
        return f"[{gap if not limit else ''}{gap.join(parts)}]"
    return f"[{gap.join(parts)}]"
