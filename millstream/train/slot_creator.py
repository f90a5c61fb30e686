"""Slots: variables that an optimiser or a moving average keeps beside a variable, of its shape and named after it."""

from __future__ import annotations

from typing import Any

from millstream.core.resource_variables import is_resource_variable
from millstream.core.scopes import beside
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import get_variable, get_variable_scope, variable_scope
from millstream.core.variable_settings import SaveSliceInfo
from millstream.core.variables import Variable
from millstream.ops import fill_ops, shape_ops
from millstream.ops.init_ops import Zeros


def create_slot(primary: Any, val: Tensor, name: str, colocate_with_primary: bool = True) -> Variable:
    """A slot whose initial value is a tensor.

    Args:
      primary: the variable, or a tensor, that the slot belongs to.
      val: the initial value.
      name: what follows the primary's name: `w/Momentum`.
      colocate_with_primary: places it where the primary is.
    """
    settings = {"initializer": val, "validate_shape": val.shape.is_fully_defined()}
    return _create(primary, name, colocate_with_primary, settings)


def create_slot_with_initializer(
    primary: Any, initializer: Any, shape: Any, dtype: Any, name: str, colocate_with_primary: bool = True
) -> Variable:
    """A slot whose initial value an initialiser makes from `shape` and `dtype`; other arguments as `create_slot`."""
    settings = {
        "initializer": initializer,
        "shape": shape,
        "dtype": dtype,
        "validate_shape": TensorShape(shape).is_fully_defined(),
    }
    return _create(primary, name, colocate_with_primary, settings)


def create_zeros_slot(primary: Any, name: str, dtype: Any = None, colocate_with_primary: bool = True) -> Variable:
    """A slot of zeros with the primary's shape and, by default, dtype; other arguments as `create_slot`."""
    dtype = primary.dtype if dtype is None else dtype
    shape = primary.shape
    if shape.is_fully_defined():
        return create_slot_with_initializer(primary, Zeros(dtype), shape, dtype, name, colocate_with_primary)
    source = primary.initialized_value() if isinstance(primary, Variable) else primary
    zeros = fill_ops.zeros(shape_ops.shape(source), dtype=dtype)
    return create_slot(primary, zeros, name, colocate_with_primary)


def _create(primary: Any, name: str, colocate: bool, settings: dict[str, Any]) -> Variable:
    """Makes the variable in a variable scope of its own, below the primary's name."""
    is_variable = isinstance(primary, Variable)
    prefix = primary._shared_name if is_variable else primary.op.name
    with variable_scope(None, f"{prefix}/{name}"):
        if not colocate:
            return _variable(primary, is_variable, settings)
        with beside(primary):
            return _variable(primary, is_variable, settings)


def _variable(primary: Any, is_variable: bool, settings: dict[str, Any]) -> Variable:
    use_resource = is_resource_variable(primary) if is_variable else None
    with get_variable_scope()._unpartitioned():
        slot = get_variable("", trainable=False, use_resource=use_resource, **settings)
    if is_variable and primary._get_save_slice_info():
        slot._set_save_slice_info(_part_of_slot(primary, slot))
    return slot  # type: ignore[no-any-return]


def _part_of_slot(primary: Any, slot: Any) -> SaveSliceInfo:
    """What a slot of a part of a variable is part of: the same rows of the whole variable's slot."""
    info = primary._get_save_slice_info()
    name = slot.op.name[len(primary.op.name + "/") :].removesuffix("/part_0")
    return SaveSliceInfo(f"{info.full_name}/{name}", list(info.full_shape), list(info.var_offset), list(info.var_shape))
