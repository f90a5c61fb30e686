"""Regularisers: functions from weights to a penalty, a scalar that is added to the loss."""
from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import add_to_collection, get_collection, name_scope
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import multiply
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import abs as abs_of
from millstream.ops.math_ops import add_n
from millstream.ops.norm_ops import l2_loss
from millstream.ops.reduction_ops import reduce_sum

Regularizer = Callable[..., "Tensor | None"]


def _scaled(
    default_scope: str, scale: Any, scope: str | None, penalty: Callable[[Any], Tensor], dot: str
) -> Regularizer:
    """A regulariser that multiplies `penalty(weights)` with `scale`; none at all where that is 0."""
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if isinstance(scale, numbers.Real):
        if float(scale) < 0:
            raise ValueError(f"Setting a scale less than 0 on a regularizer: {float(scale):g}{dot}")
        if float(scale) == 0:
            tensorflow_logger().info("Scale of 0 disables regularizer.")
            return lambda weights, name=None: None

    def regularizer(weights: Any, name: str | None = None) -> Tensor:
        with name_scope(scope, default_scope, [weights]) as full_name:
            factor = to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return multiply(factor, penalty(weights), name=full_name)

    return regularizer


@export(v1=["contrib.layers.l1_regularizer"])
def l1_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """A function that gives `scale * sum(abs(weights))`, which drives weights to 0.

    Args:
      scale: a non-negative float, or a scalar tensor; 0.0 disables the regulariser.
      scope: the name of its operations.

    Returns:
      a function of a tensor of weights.

    Raises:
      ValueError: the scale is negative or an integer.
    """
    return _scaled("l1_regularizer", scale, scope, lambda weights: reduce_sum(abs_of(weights)), "")


@export(v1=["contrib.layers.l2_regularizer"])
def l2_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """A function that gives `scale * sum(weights ** 2) / 2`, which keeps weights small.

    Args:
      scale: a non-negative float, or a scalar tensor; 0.0 disables the regulariser.
      scope: the name of its operations.

    Returns:
      a function of a tensor of weights.

    Raises:
      ValueError: the scale is negative or an integer.

    Example:
      >>> w = tf.get_variable("w", [3, 4], regularizer=tf.contrib.layers.l2_regularizer(1e-4))
      >>> loss += tf.losses.get_regularization_loss()
    """
    return _scaled("l2_regularizer", scale, scope, l2_loss, ".")


@export(v1=["contrib.layers.l1_l2_regularizer"])
def l1_l2_regularizer(scale_l1: Any = 1.0, scale_l2: Any = 1.0, scope: str | None = None) -> Regularizer | None:
    """A function that gives the sum of an L1 and an L2 penalty.

    Args:
      scale_l1, scale_l2: their scales; 0.0 disables one of them.
      scope: the name of its operations.

    Raises:
      ValueError: a scale is negative or an integer.
    """
    for name, scale in (("scale_l1", scale_l1), ("scale_l2", scale_l2)):
        if isinstance(scale, numbers.Integral):
            raise ValueError(f"{name} cannot be an integer: {scale}")
    scope = scope or "l1_l2_regularizer"
    if isinstance(scale_l1, float) and scale_l1 == 0:
        return l2_regularizer(scale_l2, scope)
    if isinstance(scale_l2, float) and scale_l2 == 0:
        return l1_regularizer(scale_l1, scope)
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope)


@export(v1=["contrib.layers.sum_regularizer"])
def sum_regularizer(regularizer_list: Sequence[Any], scope: str | None = None) -> Regularizer | None:
    """A function that gives the sum of several regularisers' penalties.

    Args:
      regularizer_list: functions of the weights; None among them does not count.
      scope: the name of its operations.

    Returns:
      the function; None where there is nothing to add.
    """
    regularizers = [regularizer for regularizer in regularizer_list if regularizer is not None]
    if not regularizers:
        return None

    def regularizer(weights: Any) -> Tensor | None:
        with name_scope(scope, "sum_regularizer", [weights]) as full_name:
            penalties = [penalty for each in regularizers if (penalty := each(weights)) is not None]
            return add_n(penalties, name=full_name) if penalties else None

    return regularizer


@export(v1=["contrib.layers.apply_regularization"])
def apply_regularization(regularizer: Regularizer, weights_list: Sequence[Any] | None = None) -> Tensor:
    """The sum of the penalties of several weights; it is also put into `GraphKeys.REGULARIZATION_LOSSES`.

    Args:
      regularizer: a function of a tensor of weights that gives a scalar, or None.
      weights_list: the weights; default: the collection `GraphKeys.WEIGHTS`.

    Raises:
      ValueError: there are no weights, or a penalty is no scalar.
    """
    weights_list = weights_list or get_collection(GraphKeys.WEIGHTS)
    if not weights_list:
        raise ValueError("No weights to regularize.")
    with name_scope("get_regularization_penalty", values=weights_list) as scope:
        found = [regularizer(weights) for weights in weights_list]
        penalties = [constant(0.0) if penalty is None else penalty for penalty in found]
        for penalty in penalties:
            if penalty._shape != ():
                raise ValueError(
                    "regularizer must return a scalar Tensor instead of a Tensor with rank "
                    f"{penalty.get_shape().ndims}."
                )
        total = add_n(penalties, name=scope)
        add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
        return total
