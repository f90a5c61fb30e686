"""Values that are known when the graph is built: constants, and what shape arithmetic makes of them.

An operation's own kernel computes them, with NumPy, so nothing about single operations stands here. For shapes of
which some dimensions are unknown, operations that only move data (`moves_data` in their definition) are run on
integers with a stand-in for the unknown ones.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from millstream.core import errors, opdef
from millstream.core.export import export
from millstream.core.opdef import Shape
from millstream.core.shapes import HIGHEST_RANK
from millstream.core.tensor import Tensor

# Larger results are not worth computing while the graph is built.
_MAX_ELEMENTS = 4096
# Longer ways from constants to a value are not followed: no shape is computed in so many operations.
_MAX_OPERATIONS = 2000
# A default is not the value: another one may be fed.
_FEEDABLE = frozenset(("PlaceholderWithDefault",))
# Stands for an unknown entry of a shape; no real dimension is negative.
_UNKNOWN = -1


def constant_value(tensor: Tensor) -> np.ndarray[Any, Any] | None:
    """The value of `tensor` where it follows from constants and static shapes alone, else None."""
    return _evaluate(tensor, partial=False)


def computed(tensor: Tensor, inputs: list[Any]) -> np.ndarray[Any, Any] | None:
    """What the operation of a `foldable` definition gives for such inputs; None where it fails."""
    return _run_kernel(tensor.op, tensor, inputs)


def small_constant_value(tensor: Tensor) -> np.ndarray[Any, Any] | None:
    """Like `constant_value`, but None for what is too large to be a shape, axes or the like."""
    return _evaluate(tensor, partial=False) if _is_small(tensor) else None


def constant_value_as_shape(tensor: Tensor) -> Shape:
    """`tensor`, a vector of integers, read as a shape whose entries may be unknown (-1 stands for unknown).

    A tensor of which nothing but the length is known gives a shape of that many unknown dimensions.
    """
    shape = tensor._shape
    if shape is None or (len(shape) == 1 and (shape[0] or 0) > HIGHEST_RANK):
        return None
    value = partial_value(tensor)
    if value is not None and value.ndim == 1:
        return tuple(None if item < 0 else int(item) for item in value)
    return (None,) * shape[0] if len(shape) == 1 and shape[0] is not None else None


def partial_value(tensor: Tensor) -> np.ndarray[Any, Any] | None:
    """The value of a tensor of integers with -1 for the entries that are not known; None where nothing is known."""
    return _evaluate(tensor, partial=True)


_Key = tuple[Tensor, bool]  # a tensor, and whether some of its entries may be unknown
_Known = dict[_Key, Any]


def _evaluate(tensor: Tensor, partial: bool) -> np.ndarray[Any, Any] | None:
    """Computes what `tensor` depends on, then `tensor` itself; without recursion, for graphs may be deep."""
    if not isinstance(tensor, Tensor):  # a variable
        return None
    if tensor.is_eager:
        return tensor._array() if tensor.dtype.is_numpy_compatible else None  # type: ignore[attr-defined]
    wanted = (tensor, partial)
    known: _Known = {}
    entered = {wanted}
    stack = [(wanted, _sources(wanted, known))]
    while stack:
        key, sources = stack[-1]
        missing = next((item for item in sources if item not in known), None)
        if missing is None:
            known[key] = _compute(*key, known)
            stack.pop()
        elif missing in entered or len(entered) > _MAX_OPERATIONS or not _is_small(missing[0]):
            known[missing] = None  # a cycle, too far away, too large
        else:
            entered.add(missing)
            stack.append((missing, _sources(missing, known)))
    return known[wanted]


def _sources(key: _Key, known: _Known) -> Iterator[_Key]:
    """The values from which one is computed, until one of them turns out not to be known."""
    tensor, partial = key
    definition = tensor.op.definition
    if definition.reads_shape_only or not _is_computable(tensor):
        return
    static = _static_positions(tensor.op) if partial else frozenset()
    for index, source in enumerate(tensor.op.inputs):
        # An axis or a slice's begin must be known: a stand-in would be taken for a negative number.
        item = (source, partial and index not in static)
        yield item
        if known[item] is None and not (item[1] and definition.moves_data):
            return


def _is_computable(tensor: Tensor) -> bool:
    op = tensor.op
    definition = op.definition
    if not definition.foldable or definition.must_be_fed or definition.name in _FEEDABLE or tensor.dtype.is_ref:
        return False
    return not op.inputs or _is_small(tensor)


def _compute(tensor: Tensor, partial: bool, known: _Known) -> np.ndarray[Any, Any] | None:
    """The value of `tensor`, where those of its sources are known."""
    if not _is_computable(tensor):
        return None
    op = tensor.op
    definition = op.definition
    if definition.reads_shape_only:
        stand_ins = [_stand_in(source._shape, partial and definition.moves_data) for source in op.inputs]
        return None if None in stand_ins else _run_kernel(op, tensor, stand_ins)
    static = _static_positions(op) if partial else frozenset()
    inputs: list[Any] = []
    for index, source in enumerate(op.inputs):
        unknown_allowed = partial and index not in static
        value = known[source, unknown_allowed]
        if value is None and unknown_allowed and definition.moves_data:
            # What is packed to a shape are scalars, known as such or not.
            shape = () if source._shape is None and definition.name == "Pack" else source._shape
            value = _all_unknown(source, shape)
        if value is None:
            return None
        inputs.append(value)
    if partial and not definition.moves_data:
        if any(_holds_unknown(item) for index, item in enumerate(inputs) if index not in static):
            return None
    return _run_kernel(op, tensor, inputs)


def _static_positions(op: Any) -> frozenset[int]:
    """The indices of the flat inputs that the definition calls static."""
    definition = op.definition
    if not definition.static_inputs:
        return frozenset()
    found: list[int] = []
    for spec, place in zip(
        definition.inputs, opdef.argument_slices(definition.inputs, op.attrs), strict=True
    ):
        if spec.name in definition.static_inputs:
            found.extend(range(place.start, place.stop) if isinstance(place, slice) else (place,))
    return frozenset(found)


class _StandIn:
    """Something with a shape and no contents, for kernels that read only the shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)


def _stand_in(shape: Shape, partial: bool) -> _StandIn | None:
    if shape is None or (not partial and None in shape):
        return None
    return _StandIn(tuple(_UNKNOWN if dim is None else dim for dim in shape))


def _run_kernel(op: Any, tensor: Tensor, inputs: list[Any]) -> np.ndarray[Any, Any] | None:
    definition = op.definition
    arguments = opdef.group_arguments(definition.inputs, op.attrs, inputs)
    attrs = {name: op.attrs[name] for name in definition.kernel_attrs}
    if definition.kernel_services:
        attrs["check"] = _check
    try:
        with np.errstate(all="ignore"):
            result = definition.kernel(np, *arguments, **attrs)
    except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError, errors.OpError):
        return None  # an error of the values is reported when the operation runs
    if len(definition.outputs) > 1 or definition.outputs[0].is_list:
        result = list(result)
        if definition.outputs[0].is_list and len(definition.outputs) == 1:
            result = result[tensor.value_index]
        else:
            return None
    return np.asarray(result, tensor.dtype.as_numpy_dtype)


def _check(ok: Any, error_class: Any, message: str, *values: Any) -> None:
    if not ok:
        raise ValueError(message)


def _is_small(tensor: Tensor) -> bool:
    size = 1
    for dim in tensor._shape or ():
        size *= dim or 1
    return size <= _MAX_ELEMENTS


def _all_unknown(tensor: Tensor, shape: Shape) -> np.ndarray[Any, Any] | None:
    """Stand-ins for an integer tensor of that static shape and of unknown contents."""
    if shape is None or None in shape or not tensor.dtype.base_dtype.is_integer or not _is_small(tensor):
        return None
    if tensor.dtype.base_dtype.is_unsigned:
        return None
    return np.full(shape, _UNKNOWN, tensor.dtype.as_numpy_dtype)


def _holds_unknown(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "i" and bool((value == _UNKNOWN).any())


@export("get_static_value", v1=["contrib.util.constant_value"])
def get_static_value(tensor: Any, partial: bool = False) -> np.ndarray[Any, Any] | None:
    """The value of a tensor where it is known when the graph is built, else None.

    Args:
      tensor: the tensor; anything else is returned itself.
      partial: accepted for compatibility.
    """
    return constant_value(tensor) if isinstance(tensor, Tensor) else tensor
