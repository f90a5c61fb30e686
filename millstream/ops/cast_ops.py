"""Conversion of elements from one dtype to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY, DType
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_rules import same_as
from millstream.core.tensor import TensorLike


@op("Cast(x: SrcT, *, DstT: type, Truncate: bool = false) -> y: DstT", SrcT=ANY, shape=same_as(0))
def cast_op(xp, x, *, DstT):
    if x.dtype == object or DstT is dtypes.string:
        source = dtypes.from_numpy(np.dtype(x.dtype)).short_name
        message = f"Cast {source} to {DstT.short_name} is not supported"
        raise errors.UnimplementedError(None, None, message)
    target = np.dtype(DstT.as_numpy_dtype)
    if x.dtype.kind == "c" and target.kind != "c":
        x = xp.real(x)
    if target.kind == "b":
        return x != 0
    if target.kind in "iu" and x.dtype.kind not in "iub":
        return _float_to_integer(xp, x, target)
    return x.astype(target)


def _float_to_integer(xp: Any, x: Any, target: np.dtype[Any]) -> Any:
    """Rounds towards zero. What does not fit becomes what x86 makes of it: the least int32 or int64, cut."""
    word: Any = np.int64 if target.itemsize > 4 or target == np.uint32 else np.int32
    if target == np.uint64:
        return x.astype(target)
    if x.dtype.itemsize == 2:
        x = x.astype(np.float32)
    limit = -float(np.iinfo(word).min)
    fits = (x >= -limit) & (x < limit)
    return xp.where(fits, xp.where(fits, x, xp.zeros_like(x)).astype(word), np.iinfo(word).min).astype(target)


@cast_op.gradient
def _(op, grad):
    source, target = op.inputs[0].dtype.base_dtype, grad.dtype.base_dtype
    return cast(grad, source) if _carries_gradients(source) and _carries_gradients(target) else None


def _carries_gradients(dtype: DType) -> bool:
    return dtype.is_floating or dtype.is_complex


@export("cast", "dtypes.cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Converts the elements to another dtype.

    Floating point numbers are rounded towards zero to integers; integers keep their low bits; the imaginary
    part of complex numbers is dropped; anything but zero is true. A tensor that has the dtype already is
    returned as it is.

    Args:
      x: a tensor of numbers or truth values, or `IndexedSlices`.
      dtype: the dtype wanted.
      name: the operation's name.

    Example:
      >>> tf.cast([1.8, 2.2], tf.int32)              # [1, 2]
    """
    target = dtypes.as_dtype(dtype).base_dtype
    if isinstance(x, TensorLike) and getattr(x, "dtype", None) is target and not isinstance(x, IndexedSlices):
        return x
    with name_scope(name, "Cast", [x]) as scope:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, target, name=scope), x.indices, x.dense_shape)
        x = to_tensor(x, name="x")
        return x if x.dtype.base_dtype is target else cast_op(x, DstT=target, name=scope)


def _named_cast(function: str, default: str, dtype: DType) -> Any:
    def to_dtype(x: Any, name: str = default) -> Any:
        return cast(x, dtype, name=name)

    to_dtype.__name__ = to_dtype.__qualname__ = function
    to_dtype.__doc__ = f"""`tf.cast(x, tf.{dtype.name})`.

Args:
  x: a tensor of numbers or truth values, or `IndexedSlices`.
  name: the operation's name.
"""
    return export(v1=[function])(to_dtype)


to_float = _named_cast("to_float", "ToFloat", dtypes.float32)
to_double = _named_cast("to_double", "ToDouble", dtypes.float64)
to_int32 = _named_cast("to_int32", "ToInt32", dtypes.int32)
to_int64 = _named_cast("to_int64", "ToInt64", dtypes.int64)
to_bfloat16 = _named_cast("to_bfloat16", "ToBFloat16", dtypes.bfloat16)
to_complex64 = _named_cast("to_complex64", "ToComplex64", dtypes.complex64)
to_complex128 = _named_cast("to_complex128", "ToComplex128", dtypes.complex128)
