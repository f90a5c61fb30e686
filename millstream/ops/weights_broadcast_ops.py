"""Weights of losses and metrics: they may be scalars, or have 1 where the values have any dimension."""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.operation import Operation
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import shape_ops
from millstream.ops.arithmetic_ops import multiply
from millstream.ops.comparison_ops import equal, equal_op, logical_and, logical_or
from millstream.ops.control_flow_ops import assert_op, no_op
from millstream.ops.fill_ops import ones_like
from millstream.ops.reduction_ops import reduce_all

_MESSAGE = "weights can not be broadcast to values."


def assert_broadcastable(weights: Any, values: Any) -> Operation:
    """Demands that `weights` broadcast to `values`: a scalar, or the same rank with dimensions equal or 1.

    Args:
      weights: a tensor.
      values: a tensor.

    Returns:
      an operation that checks what is not known statically; for `tf.control_dependencies`.

    Raises:
      ValueError: the static shapes do not fit.
      InvalidArgumentError: when it runs and the shapes do not fit.
    """
    with name_scope(None, "assert_broadcastable", [weights, values]) as scope:
        with name_scope(None, "weights", [weights]) as weights_scope:
            weights = to_tensor(weights, name=weights_scope)
            weights_shape = shape_ops.shape(weights, name="shape")
            weights_rank = shape_ops.rank(weights, name="rank")
        with name_scope(None, "values", [values]) as values_scope:
            values = to_tensor(values, name=values_scope)
            values_shape = shape_ops.shape(values, name="shape")
            values_rank = shape_ops.rank(values, name="rank")
        checked = _check_static_shapes(weights, values)
        if checked is not None:
            return no_op(name=checked)
        is_scalar = equal(0, weights_rank, name="is_scalar")
        fits = logical_or(equal(weights_shape, 1), _equal_if_comparable(weights_shape, values_shape))
        valid = logical_or(is_scalar, logical_and(equal(weights_rank, values_rank), reduce_all(fits)))
        shown = [_MESSAGE, "weights.shape=", weights.name, weights_shape, "values.shape=", values.name, values_shape]
        return assert_op(valid, [*shown, "is_scalar=", is_scalar], name=scope)


def _equal_if_comparable(x: Tensor, y: Tensor) -> Tensor:
    return equal_op(x, y, incompatible_shape_error=False)


def _check_static_shapes(weights: Tensor, values: Tensor) -> str | None:
    """Says which static check has been passed; None where too little is known.

    Raises:
      ValueError: the shapes do not fit.
    """
    if weights._shape is None or values._shape is None:
        return None
    if not weights._shape:
        return "static_scalar_check_success"
    if len(weights._shape) != len(values._shape):
        raise ValueError(
            f"{_MESSAGE} values.rank={len(values._shape)}. weights.rank={len(weights._shape)}. "
            f"values.shape={values.shape}. weights.shape={weights.shape}."
        )
    if not (shapes.is_fully_defined(weights._shape) and shapes.is_fully_defined(values._shape)):
        return None
    for axis, (weight, value) in enumerate(zip(weights._shape, values._shape, strict=True)):
        if weight not in (1, value):
            raise ValueError(
                f"{_MESSAGE} Mismatch at dim {axis}. values.shape={_vector(values._shape)} "
                f"weights.shape={_vector(weights._shape)}."
            )
    return "static_dims_check_success"


def _vector(shape: Any) -> str:
    return f"[{' '.join(map(str, shape))}]"


def broadcast_weights(weights: Any, values: Any) -> Tensor:
    """Weights in the shape of the values.

    Args:
      weights: a tensor that broadcasts to `values` as `assert_broadcastable` demands.
      values: a tensor.

    Raises:
      ValueError: the static shapes do not fit.
    """
    with name_scope(None, "broadcast_weights", [weights, values]) as scope:
        values = to_tensor(values, name="values")
        weights = to_tensor(weights, values.dtype.base_dtype, name="weights")
        if shapes.is_fully_defined(weights._shape) and weights._shape == values._shape:
            return weights
        with control_dependencies([assert_broadcastable(weights, values)]):
            return multiply(weights, ones_like(values), name=scope)
