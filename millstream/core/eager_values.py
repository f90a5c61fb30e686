"""Python values as NumPy arrays, by the rules of eager TensorFlow 2.

They differ from those of graphs (`convert`) in lists without a dtype, where the first element says what the list is:
`[np.float64(1), 2]` is float64, `[1, np.float64(2)]` float32, and `[True, 1]` an error. And the messages are others.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import convert, dtypes
from millstream.core.dtypes import DType

_INT32 = np.iinfo(np.int32)
_TOO_LARGE = "Can't convert Python sequence with out-of-range integer to Tensor."
_TOO_LARGE_FLOAT = "Can't convert Python sequence with a value out of range for a double-precision float."
# The kinds of arrays that a list may be, by the kind of its first element.
_FOLLOWERS = {"b": "b", "i": "biuf", "f": "biuf", "c": "biufc"}


def to_numpy(value: Any, dtype: DType | None = None) -> np.ndarray[Any, Any]:
    """Converts a Python value, a (nested) list of them or an array-like to a NumPy array.

    Args:
      value: as for `convert.to_numpy`.
      dtype: the type wanted; by default it follows from the value.

    Raises:
      TypeError: the value does not become `dtype`.
      ValueError: the value is no tensor: None, ragged or mixed lists, objects, numbers out of range.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_array(value, dtype)
    try:
        if dtype is not None or not isinstance(value, (list, tuple, range)) or not len(value):
            array = convert.to_numpy(value, dtype)
            return _in_range(value, array) if dtype is None else array
        return _from_sequence(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refusal(value, dtype, error) from None


def _from_array(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "mM":
        kind = "NPY_DATETIME" if array.dtype.kind == "M" else "NPY_TIMEDELTA"
        raise ValueError(f"Failed to convert a NumPy array to a Tensor (Unsupported numpy type: {kind}).")
    wanted_string = dtype is not None and dtype.base_dtype is dtypes.string
    if array.dtype == object or (wanted_string and array.dtype.kind not in "USO"):
        for element in array.ravel().tolist():
            if not isinstance(element, (str, bytes)):
                kind = type(element).__name__
                raise ValueError(f"Failed to convert a NumPy array to a Tensor (Unsupported object type {kind}).")
    return convert.to_numpy(value, dtype)


def _in_range(value: Any, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Refuses Python numbers that their default dtype does not hold."""
    if array.dtype == np.uint64 and isinstance(value, int):
        raise ValueError(_TOO_LARGE)
    if isinstance(value, float) and np.isinf(array) and not np.isinf(value):
        raise ValueError(_TOO_LARGE_FLOAT)
    return array


# --- Lists --------------------------------------------------------------------------------------------------


def _from_sequence(value: Any) -> np.ndarray[Any, Any]:
    """A list that is not empty, of the dtype that its first element suggests."""
    first = _first(value)
    array = np.array(value)
    if isinstance(first, (str, bytes)):
        return convert.to_numpy(value, dtypes.string)
    kind = _kind_of(first)
    if array.dtype.kind not in _FOLLOWERS.get(kind, ""):
        raise TypeError(f"{array.dtype} after {first!r}")
    if kind == "c":
        return array.astype(np.complex128)
    if array.dtype.kind == "f":
        return _floats(array, first)
    return _integers(array) if kind == "i" else array.astype(first.dtype if kind == "f" else np.bool_)


def _first(value: Any) -> Any:
    """The first element, however deep it lies; a float where there is none."""
    while isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim):
        if not len(value):
            return 0.0
        value = value[0]
    return value[()] if isinstance(value, np.ndarray) else value


def _kind_of(element: Any) -> str:
    """NumPy's letter of a number's kind, "i" for unsigned integers too; "" of what is no number."""
    for kind, types in (
        ("b", (bool, np.bool_)),
        ("i", (int, np.integer)),
        ("f", (float, np.floating)),
        ("c", (complex, np.complexfloating)),
    ):
        if isinstance(element, types):
            return kind
    return ""


def _floats(array: np.ndarray[Any, Any], first: Any) -> np.ndarray[Any, Any]:
    wanted = first.dtype if isinstance(first, np.floating) else np.dtype(np.float32)
    with np.errstate(over="ignore"):
        result = array.astype(wanted)
    if result.dtype != array.dtype and (np.isinf(result) & ~np.isinf(array)).any():
        raise OverflowError(_TOO_LARGE_FLOAT)
    return result


def _integers(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """int32 if that holds all elements, else int64."""
    if array.size and array.dtype.kind != "b" and not (_INT32.min <= array.min() and array.max() <= _INT32.max):
        if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
            raise OverflowError(_TOO_LARGE)
        return array.astype(np.int64)
    return array.astype(np.int32)


# --- Errors -------------------------------------------------------------------------------------------------


def _refusal(value: Any, dtype: DType | None, error: Exception) -> Exception:
    """What eager TensorFlow raises where a conversion fails with `error`."""
    text = str(error)
    if text in (_TOO_LARGE, _TOO_LARGE_FLOAT):
        return ValueError(text)
    if value is None:
        return ValueError(_unsupported(value))
    sequence = isinstance(value, (list, tuple))
    if sequence and _is_ragged(value):
        return ValueError("Can't convert non-rectangular Python sequence to Tensor.")
    if dtype is not None and (sequence or isinstance(value, (bool, int, float, complex, str, bytes, range))):
        return TypeError(f"Cannot convert {value!r} to EagerTensor of dtype {dtype.base_dtype.short_name}")
    if isinstance(value, int):
        return ValueError(_TOO_LARGE)
    if sequence and (_kind_of(_first(value)) or isinstance(_first(value), (str, bytes))):
        return ValueError("Can't convert Python sequence with mixed types to Tensor.")
    return ValueError(_unsupported(_first(value) if sequence else value))


def _unsupported(value: Any) -> str:
    return f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) to a Tensor."


def _is_ragged(value: Any) -> bool:
    """Whether lists that stand side by side differ in length, or elements stand beside lists."""
    level = [value]
    while level and isinstance(level[0], (list, tuple)):
        if any(not isinstance(part, (list, tuple)) or len(part) != len(level[0]) for part in level):
            return True
        level = [element for part in level for element in part]
    return False
