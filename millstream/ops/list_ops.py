"""Lists of tensors as values of dtype `variant`: what the gradients of loops keep of each turn."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.opdef import find, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.core.tensor import Tensor
from millstream.ops.list_values import Stack

_SHAPE_TYPES = "int32 int64"


@op(
    "EmptyTensorList(element_shape: shape_type, max_num_elements: int32, *, element_dtype: type) -> handle: variant",
    shape_type=_SHAPE_TYPES,
    shape=scalar,
)
def empty_tensor_list_op(xp, element_shape, max_num_elements):
    return Stack()


empty_tensor_list_op.no_gradient("an empty list depends on nothing")


@op(
    "TensorListPushBack(input_handle: variant, tensor: element_dtype) -> output_handle: variant",
    element_dtype=dtypes.ANY,
    shape=scalar,
)
def tensor_list_push_back_op(xp, input_handle, tensor):
    return input_handle.push(tensor)


@tensor_list_push_back_op.gradient
def _(op, grad):
    return list(pop_back(grad, op.inputs[1].dtype.base_dtype, op.inputs[1]._shape))


def _popped(c: ShapeContext) -> list[Any]:
    return [(), c.constant_shape(1)]


@op(
    "TensorListPopBack(input_handle: variant, element_shape: int32, *, element_dtype: type) -> "
    "output_handle: variant, tensor: element_dtype",
    shape=_popped,
)
def tensor_list_pop_back_op(xp, input_handle, element_shape):
    return input_handle.pop()


@tensor_list_pop_back_op.gradient
def _(op, grad_list, grad):
    rest, value = (
        find("ZerosLike")(output) if given is None else given
        for output, given in zip(op.outputs, (grad_list, grad), strict=True)
    )
    return tensor_list_push_back_op(rest, value), None


def empty_list(element_dtype: Any) -> Tensor:
    """An empty list."""
    return empty_tensor_list_op(-1, -1, element_dtype=element_dtype)


def pop_back(values: Tensor, element_dtype: Any, shape: Any) -> tuple[Tensor, Tensor]:
    """A list without its last element, and that element."""
    known = -1 if shape is None else [-1 if dim is None else dim for dim in shape]
    element_shape = to_tensor(known, dtype=dtypes.int32)  # which a shape without dimensions is not by itself
    rest, value = tensor_list_pop_back_op(values, element_shape, element_dtype=element_dtype)
    value.set_shape(shape)
    return rest, value
