"""Checks of shapes, and small helpers with tensors."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.comparison_ops import equal, logical_and, logical_or
from millstream.ops.control_flow_ops import Assert
from millstream.ops.identity_ops import identity
from millstream.ops.math_ops import add_n
from millstream.ops.pad_ops import pad
from millstream.ops.reduction_ops import reduce_all, reduce_sum
from millstream.ops.reshape_ops import squeeze
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.shape_ops import size


@export(v1=["contrib.framework.with_same_shape"])
def with_same_shape(expected_tensor: Any, tensor: Any) -> Tensor:
    """`tensor`, once it is checked that it has the shape of `expected_tensor`; see `with_shape`."""
    with name_scope(f"{tensor.op.name}/"):
        expected = expected_tensor.get_shape()
        known = expected.as_list() if expected.is_fully_defined() else shape_of(expected_tensor, name="expected_shape")
        return with_shape(known, tensor)


@export(v1=["contrib.framework.with_shape"])
def with_shape(expected_shape: Any, tensor: Any) -> Tensor:
    """`tensor`, once it is checked that it has a shape: now where its shape is known, else when it runs.

    Args:
      expected_shape: a list of integers, -1 for any size, or an integer tensor.
      tensor: a tensor.

    Raises:
      ValueError: its static shape is another one.
    """
    known: Any = constant_value(expected_shape) if isinstance(expected_shape, Tensor) else expected_shape
    static: Any = None if known is None else tuple(None if size == -1 else int(size) for size in known)
    if static is not None and tensor.get_shape().is_fully_defined():
        if not tensor.get_shape().is_compatible_with(static):
            raise ValueError(
                f"Invalid shape for tensor {tensor.name}, expected {list(known)}, got {tensor.get_shape()}."
            )
        return tensor
    with name_scope(f"{tensor.op.name}/"):
        with control_dependencies([_check_when_run(expected_shape, tensor)]):
            checked = identity(tensor)
        checked.set_shape(shapes.merge(tensor._shape, static) if tensor._shape is not None else static)
        return checked


def _check_when_run(expected_shape: Any, tensor: Tensor) -> Any:
    with name_scope("assert_shape"):
        actual = shape_of(tensor, name="actual")
        expected = to_tensor(expected_shape, actual.dtype)
        count = size(expected)
        padded: Any = pad(actual, [[0, count]], constant_values=-1)  # so that ranks which differ can be compared
        fits = reduce_all(logical_or(equal(expected, -1), equal(expected, padded[:count])))
        same = logical_and(equal(size(actual), count), fits)
        return Assert(same, [f"Wrong shape for {tensor.name} [expected] [actual].", expected, actual])


@export(v1=["contrib.framework.assert_scalar_int"])
def assert_scalar_int(tensor: Any, name: str | None = None) -> Tensor:
    """The value as a tensor, which must be an integer scalar.

    Raises:
      ValueError: it is something else.
    """
    with name_scope(name, "assert_scalar_int", [tensor]):
        tensor = to_tensor(tensor)
        if not tensor.dtype.base_dtype.is_integer:
            raise ValueError(f"Expected integer type for {tensor.name}, received type: {tensor.dtype!r}.")
        if tensor._shape != ():
            raise ValueError(f"Expected scalar shape for {tensor.name}, saw shape: {tensor.get_shape()}.")
        return tensor


@export(v1=["contrib.framework.reduce_sum_n"])
def reduce_sum_n(tensors: Sequence[Any], name: str | None = None) -> Tensor:
    """The sum of all elements of several tensors, a scalar.

    Raises:
      ValueError: there are no tensors.
    """
    if not tensors:
        raise ValueError("No tensors provided.")
    with name_scope(name, "reduce_sum_n", tensors) as scope:
        sums = [reduce_sum(tensor, name=f"{tensor.op.name}/sum") for tensor in tensors]
        return sums[0] if len(sums) == 1 else add_n(sums, name=scope)


@export(v1=["contrib.framework.remove_squeezable_dimensions"])
def remove_squeezable_dimensions(predictions: Any, labels: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Takes away the last dimension of what has one more than the other, if its size is 1.

    Args:
      predictions, labels: tensors.
      name: the scope of the operations.

    Returns:
      both of them, one perhaps squeezed.
    """
    with name_scope(name, "remove_squeezable_dimensions", [predictions, labels]):
        predictions, labels = to_tensor(predictions), to_tensor(labels)
        ranks = predictions.get_shape().ndims, labels.get_shape().ndims
        if None in ranks:
            return predictions, labels
        if ranks[0] == ranks[1] + 1:
            return squeeze(predictions, [-1]), labels
        if ranks[1] == ranks[0] + 1:
            return predictions, squeeze(labels, [-1])
        return predictions, labels
