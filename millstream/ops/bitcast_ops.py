"""`Bitcast`: the same bytes as another type."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor

_TYPES = (
    "bfloat16 half float double int64 int32 uint8 uint16 uint32 uint64 int8 int16 complex64 complex128 "
    "qint8 quint8 qint16 quint16 qint32"
)


def _bitcast_shape(c: ShapeContext) -> Any:
    shape, old, new = c.shape(0), c.attrs["T"].size, c.attrs["type"].size
    if shape is None or old == new:
        return shape
    if old > new:
        return (*shape, old // new)
    if not shape or shape[-1] not in (None, new // old):
        last = shape[-1] if shape else "none"
        raise ValueError(f"Cannot bitcast due to shape. {last} does not match {new // old}")
    return shape[:-1]


@op(
    f"Bitcast(input: T, *, type: type{{{_TYPES.replace(' ', ', ')}}}) -> output: type",
    T=_TYPES,
    shape=_bitcast_shape,
)
def bitcast_op(xp, input, *, type):
    target = np.dtype(type.as_numpy_dtype)
    if isinstance(input, (np.ndarray, np.generic)):
        return _bitcast_array(np.asarray(input, order="C"), target)
    return _from_bytes(xp, _as_bytes(xp, input), target)


def _bitcast_array(array: np.ndarray[Any, Any], target: np.dtype[Any]) -> np.ndarray[Any, Any]:
    old, new = array.dtype.itemsize, target.itemsize
    if old == new:
        return array.view(target)
    if old > new:
        return array.reshape(*array.shape, 1).view(target)
    return array.view(target).reshape(array.shape[:-1])


def _as_bytes(xp: Any, array: Any) -> Any:
    """A traced array as uint8, with one more dimension for the bytes of an element."""
    from jax import lax

    if array.dtype.kind == "c":  # XLA casts the bits of real types only
        array = xp.stack([xp.real(array), xp.imag(array)], -1)
        pairs = lax.bitcast_convert_type(array, np.uint8)
        return xp.reshape(pairs, (*array.shape[:-1], -1))
    data = lax.bitcast_convert_type(array, np.uint8)
    return data if data.ndim > array.ndim else data[..., None]


def _from_bytes(xp: Any, data: Any, target: np.dtype[Any]) -> Any:
    """Reads elements of type `target` from the bytes in the last dimension."""
    from jax import lax

    old, new = data.shape[-1], target.itemsize
    if old > new:
        data = xp.reshape(data, (*data.shape[:-1], old // new, new))
    elif old < new:
        data = xp.reshape(data, (*data.shape[:-2], new))
    if target.kind == "c":
        half = np.dtype(np.float32 if new == 8 else np.float64)
        parts = lax.bitcast_convert_type(xp.reshape(data, (*data.shape[:-1], 2, new // 2)), half)
        return lax.complex(parts[..., 0], parts[..., 1])
    return lax.bitcast_convert_type(data[..., 0] if new == 1 else data, target)


@export("bitcast")
def bitcast(input: Any, type: Any, name: str | None = None) -> Tensor:
    """Reads the bytes of a tensor as another type, without converting.

    Args:
      input: any numeric dtype, shape [d0, …].
      type: the new dtype. A smaller one adds a dimension at the end, a larger one takes the last one away.
      name: the operation's name.

    Raises:
      ValueError: the last dimension does not hold one element of the larger type.

    Example:
      >>> tf.bitcast(tf.constant(1., tf.float32), tf.uint32)     # 0x3f800000
    """
    return bitcast_op(input, type=type, name=name)
