"""Python values as NumPy arrays, by TensorFlow's rules.

Without a dtype the rules choose one (an `int` is int32, a `float` float32, an array keeps its own);
with one they say what may become it: Python values are never narrowed in kind (1.5 is no int32), NumPy
arrays are cast.  `to_numpy` runs for each constant of a graph, so plain Python numbers take a short way.
"""
from __future__ import annotations

import functools
import math
import numbers
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np

from millstream.core import dtypes
from millstream.core.dtypes import DType, as_dtype

_INT64 = np.iinfo(np.int64)
_UINT64 = np.iinfo(np.uint64)
_LONGEST_SHOWN = 2000
_WORTH_ALIGNING, _ALIGNMENT = 1 << 16, 64  # bytes
_MOST_NESTING = 65  # one more than NumPy's highest rank: a list that contains itself ends here


def to_numpy(value: Any, dtype: DType | None = None, shape: Iterable[Any] | None = None) -> np.ndarray:
    """Converts a Python value, a (nested) list of them or an array-like to a NumPy array.

    Args:
      value: numbers, strings, lists or tuples of these, NumPy arrays, buffers and objects with `__array__`.
      dtype: the type wanted; by default it follows from the value.
      shape: the shape wanted. Elements fill it in row-major order and the last one is repeated;
        a single element gives a read-only broadcast that takes the memory of one.

    Returns:
      An array of its own (never a view of `value`); strings are an object array of `bytes`.

    Raises:
      TypeError: the value, or an element of it, does not become `dtype`, or no dtype holds it.
      ValueError: None, ragged lists, or more elements than `shape` holds.
    """
    kind = type(value)
    if shape is None and kind in _DEFAULT_TARGETS:
        target = _DEFAULT_TARGETS[kind] if dtype is None else _target(dtype)
        if kind in target.scalars and target.low <= value <= target.high:
            return np.array(value, target.numpy)
    array = _convert(value, None if dtype is None else _target(dtype))
    return array if shape is None else fill(array, shape)


def fill(array: np.ndarray, shape: Iterable[Any]) -> np.ndarray:
    """Lays the elements of `array` out in `shape`, repeating the last; zeros where there are none."""
    dims = tuple(int(dim) for dim in shape)
    check_element_count(array.size, dims)
    size = math.prod(dims)
    if array.size == size:
        return array.reshape(dims)
    if array.size == 0:
        blank = b"" if array.dtype == object else np.zeros((), array.dtype)
        return np.broadcast_to(np.array(blank, array.dtype), dims)
    flat = array.reshape(-1)
    if flat.size == 1:
        return np.broadcast_to(flat[0:1].reshape(()), dims)
    filled = np.empty(size, array.dtype)
    filled[: flat.size] = flat
    filled[flat.size :] = flat[-1]
    return filled.reshape(dims)


def check_element_count(received: int, dims: tuple[int, ...]) -> None:
    """Raises ValueError when `received` elements are more than the shape `dims` holds (one always may)."""
    needed = math.prod(dims)
    if received > max(needed, 1) or needed < 0 or min(dims, default=0) < 0:
        raise ValueError(f"Too many elements provided. Needed at most {needed}, but received {received}")


class _Target(NamedTuple):
    """What may become one dtype."""

    dtype: DType
    numpy: np.dtype
    kind: str  # NumPy's kind letter of the elements; Q: quantised, S: string, R: resource and variant
    scalars: frozenset[type]  # Python types whose values in low..high convert as they are
    leaves: tuple[type, ...]  # types of list elements that convert
    array_kinds: str  # kinds of NumPy arrays and scalars that convert as list elements
    low: float = 0
    high: float = -1


_NUMBERS = frozenset({bool, int, float})
_ACCEPTED: dict[str, tuple[frozenset[type], tuple[type, ...], str]] = {
    "b": (frozenset({bool}), (bool, np.bool_), "b"),
    "i": (frozenset({bool, int}), (numbers.Integral, np.bool_), "biu"),
    "u": (frozenset({bool, int}), (numbers.Integral, np.bool_), "biu"),
    "f": (_NUMBERS, (numbers.Real, np.bool_), "biuf"),
    "c": (_NUMBERS, (numbers.Complex, np.bool_), "biufc"),
    "S": (frozenset(), (str, bytes), "US"),
    "Q": (frozenset(), (tuple,), "V"),
    "R": (frozenset(), (), ""),
}


def _kind(dtype: np.dtype) -> str:
    """NumPy's kind letter; bfloat16 and its like, to NumPy an opaque 'V', count as what they are."""
    if dtype.kind != "V" or dtype.names is not None:
        return dtype.kind
    return "i" if as_dtype(dtype).is_integer else "f"


@functools.cache
def _target(dtype: DType) -> _Target:
    base = as_dtype(dtype).base_dtype
    if not base.is_numpy_compatible:
        return _Target(base, np.dtype(object), "R", *_ACCEPTED["R"])
    numpy = np.dtype(base.as_numpy_dtype)
    kind = "S" if numpy.hasobject else "Q" if base.is_quantized else _kind(numpy)
    target = _Target(base, numpy, kind, *_ACCEPTED[kind])
    if kind == "b":
        return target._replace(low=False, high=True)
    if kind in "iu":
        return target._replace(low=base.min, high=base.max)
    if kind in "fc":
        largest = float(base.real_dtype.max)
        return target._replace(low=-largest, high=largest)
    return target


def _convert(value: Any, target: _Target | None) -> np.ndarray:
    if value is None:
        raise ValueError("None values not supported.")
    if isinstance(value, np.ndarray | np.generic):
        return _cast(np.asarray(value), target)
    if isinstance(value, range):
        value = list(value)
    elif not isinstance(value, list | tuple | numbers.Number | str | bytes) and _is_array_like(value):
        return _cast(np.asarray(value), target)
    return _infer(value) if target is None else _require(value, target)


def _is_array_like(value: Any) -> bool:
    """True of other libraries' arrays and of buffers (bytearray, memoryview, array.array)."""
    if isinstance(value, type):
        return False
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return True
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def _cast(array: np.ndarray, target: _Target | None) -> np.ndarray:
    """A copy of `array` in the target's type, in native byte order; the C rules of casting apply."""
    if target is None:
        target = _target(dtypes.from_numpy(array.dtype))
    if target.kind == "R":
        _refuse_opaque(array, target)
    if target.kind == "S":
        return _strings(array)
    if array.dtype.kind == "c" and target.kind != "c":
        array = array.real
    with np.errstate(all="ignore"):
        if target.kind == "Q" and array.dtype.names is None:
            fields = target.numpy.fields
            storage = next(iter(fields.values()))[0] if fields else target.numpy
            return array.astype(storage, order="C", subok=False).view(target.numpy)
        return _copied(array, target.numpy)


def _copied(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy in another type. A large one lies in memory so that XLA takes it as it is, without one more copy."""
    length = array.size * dtype.itemsize
    if length < _WORTH_ALIGNING:
        return array.astype(dtype, order="C", subok=False)
    room = np.empty(length + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    copy = room[start : start + length].view(dtype).reshape(array.shape)
    np.copyto(copy, array, casting="unsafe")
    return copy


def _strings(array: np.ndarray) -> np.ndarray:
    """The elements of `array` as an object array of bytes."""
    encoded = [_as_bytes(element) for element in array.ravel().tolist()]
    result = np.empty(len(encoded), object)
    result[:] = encoded
    return result.reshape(array.shape)


def _as_bytes(element: Any) -> bytes:
    if isinstance(element, bytes):
        return bytes(element)
    if isinstance(element, str):
        return element.encode("utf-8")
    raise TypeError(f"Expected binary or unicode string, got {element!r}")


def _infer(value: Any) -> np.ndarray:
    """Converts Python values, choosing the dtype."""
    readable = isinstance(value, list | tuple | int | float | complex | str | bytes)
    array = _try_array(value) if readable else None
    if array is None:
        _refuse(value)
    kind = _kind(array.dtype)
    if kind in "USO":
        elements = np.array(value, dtype=object)
        if not all(isinstance(element, str | bytes) for element in elements.ravel().tolist()):
            _refuse(value)
        return _strings(elements)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if array.dtype == np.int64:
        narrow = array.astype(np.int32)
        return narrow if (narrow == array).all() else array
    if kind not in "biufc":
        _refuse(value)
    return array.astype(as_dtype(array.dtype).as_numpy_dtype, copy=False)


def _require(value: Any, target: _Target) -> np.ndarray:
    """Converts Python values to the target's dtype; TypeError names the first that does not fit its kind."""
    if target.kind == "R":
        _refuse_opaque(value, target)
    array = _try_array(value) if target.kind in "biufc" else None
    if array is not None and _kind(array.dtype) in target.array_kinds and _is_exact(array, target):
        return _cast(array, target)
    for leaf in _leaves(value, target):
        if not _accepts(target, leaf):
            shown = _shown(repr(leaf.item() if isinstance(leaf, np.generic) else leaf))
            kind = type(leaf).__name__
            raise TypeError(f"Expected {target.dtype.name}, got {shown} of type '{kind}' instead.")
    return _from_elements(value, target)


def _is_exact(array: np.ndarray, target: _Target) -> bool:
    """False where Python integers need a second look: beyond int64 they overflow and do not wrap."""
    return target.kind not in "iu" or array.dtype != np.uint64 or target.numpy == np.uint64


def _from_elements(value: Any, target: _Target) -> np.ndarray:
    """Converts element by element, for what NumPy has no common type for; the elements are checked."""
    if target.kind == "Q":
        return np.array(value, dtype=target.numpy)
    elements = _try_array(value, object)
    if elements is None or any(isinstance(element, list | tuple) for element in elements.ravel().tolist()):
        _refuse_ragged(value)
        raise ValueError(f"setting an array element with a sequence: {_shown(value)} has uneven depths.")
    if target.kind == "S":
        return _strings(elements)
    if target.kind in "iu":
        return _wrapped_integers(elements, target)
    with np.errstate(all="ignore"):
        return elements.astype(np.complex128 if target.kind == "c" else np.float64).astype(target.numpy)


def _wrapped_integers(elements: np.ndarray, target: _Target) -> np.ndarray:
    """Integers that fit 64 bits (signed ones unless the target is uint64), wrapped to the target's bits."""
    highest = _UINT64.max if target.numpy == np.uint64 else _INT64.max
    words = []
    for element in elements.ravel().tolist():
        number = operator.index(element)
        if not _INT64.min <= number <= highest:
            raise OverflowError(f"Python integer {number} is too large for {target.dtype.name}")
        words.append(number & int(_UINT64.max))
    return np.array(words, np.uint64).astype(target.numpy).reshape(elements.shape)


def _try_array(value: Any, dtype: Any = None) -> np.ndarray | None:
    """NumPy's own reading of `value`; None where it has none (ragged lists, objects that refuse)."""
    try:
        return np.array(value, dtype)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None


def _leaves(value: Any, target: _Target, depth: int = 0) -> Iterator[Any]:
    """The elements of nested lists and tuples (a quantised element is itself a tuple)."""
    if not isinstance(value, list | tuple) or (target.kind == "Q" and _is_element(value)):
        yield value
    elif depth < _MOST_NESTING:
        for element in value:
            yield from _leaves(element, target, depth + 1)


def _is_element(value: Any) -> bool:
    return isinstance(value, tuple) and not any(isinstance(part, list | tuple) for part in value)


def _accepts(target: _Target, leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray | np.generic):
        return _kind(leaf.dtype) in target.array_kinds
    return isinstance(leaf, target.leaves) or (target.kind in "iu" and hasattr(leaf, "__index__"))


def _refuse(value: Any) -> NoReturn:
    """Raises the error for a value that is no tensor: ragged lists, or elements without a common type."""
    _refuse_ragged(value)
    raise TypeError(
        f"Failed to convert object of type {type(value)} to Tensor. Contents: {_shown(value)}. "
        "Consider casting elements to a supported type."
    )


def _refuse_ragged(value: Any) -> None:
    """Raises ValueError when the shape that the first elements suggest is not the shape of all."""
    wanted: list[int] = []
    first = value
    while isinstance(first, list | tuple) and len(wanted) < _MOST_NESTING:
        wanted.append(len(first))
        first = first[0] if first else None
    got = _common_shape(value)
    if got != wanted:
        raise ValueError(
            f"Argument must be a dense tensor: {_shown(value)} - got shape {got}, but wanted {wanted}."
        )


def _common_shape(value: Any) -> list[int]:
    """The longest shape that all parts of nested lists have in common."""
    shape: list[int] = []
    level = [value]
    while len(shape) < _MOST_NESTING and level and all(isinstance(part, list | tuple) for part in level):
        lengths = {len(part) for part in level}
        if len(lengths) != 1:
            break
        shape.append(lengths.pop())
        level = [element for part in level for element in part]
    return shape


def _refuse_opaque(value: Any, target: _Target) -> NoReturn:
    """Raises the error for a value given where a resource or variant is wanted."""
    found = getattr(_try_array(value), "dtype", type(value).__name__)
    raise TypeError(f"Incompatible types: {target.dtype} vs. {found}. Value is {_shown(value)}")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


_DEFAULT_TARGETS: dict[type, _Target] = {
    bool: _target(dtypes.bool_), int: _target(dtypes.int32), float: _target(dtypes.float32),
}  # fmt: skip
