"""Variables of a SavedModel."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from millstream.core import context, opdef, shapes
from millstream.core.dtypes import DType
from millstream.core.resource_variables import ResourceVariable
from millstream.core.scopes import device as device_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import HandleTensor


class UninitializedVariable(ResourceVariable):
    """A variable that has no value until something is assigned."""

    def _build_eager(self, initial_value: Any, name: str | None, dtype: Any, shape: Any) -> None:
        self._name = name or "Variable"
        self._dtype, self._shape = dtype, shapes.as_plain(shape)
        self._handle = HandleTensor(self._name, self._dtype, self._shape, None)


def restored_variable(
    read: Callable[[], Tensor] | None,
    place: tuple[str, str | None],
    dtype: DType,
    shape: shapes.Shape,
    device: str,
    name: str | None,
    **settings: Any,
) -> ResourceVariable:
    """A variable with its value of a checkpoint.

    Args:
      read: reads the value; None: the variable has none.
      place: the checkpoint and the key in it, for variables of graphs.
      dtype: the variable's dtype.
      shape: what is known of its shape.
      device: where it is; empty: anywhere.
      name: its name.
      **settings: further arguments of `tf.Variable`.
    """
    eager = context.executing_eagerly()
    with device_scope(device) if device else nullcontext():
        if read is None:
            make, value = (UninitializedVariable if eager else ResourceVariable), _zeros(dtype, shape)
        else:
            make, value = ResourceVariable, read if eager else lambda: _restore(place, dtype, shape)
        return make(value, dtype=dtype, shape=shape, name=name, **settings)


def _zeros(dtype: DType, shape: shapes.Shape) -> Callable[[], Tensor]:
    return lambda: opdef.find("Fill")([size or 0 for size in shape or ()], np.zeros((), dtype.as_numpy_dtype))


def _restore(place: tuple[str, str | None], dtype: DType, shape: shapes.Shape) -> Tensor:
    """The operation that reads a value when the variable is initialised."""
    prefix, key = place
    value = opdef.find("RestoreV2")(prefix, [key], [""], dtypes=[dtype])[0]
    value.set_shape(shape)
    return value
