"""The confusion matrix of a classification."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import maximum
from millstream.ops.check_ops import assert_less, assert_non_negative
from millstream.ops.control_flow_ops import with_dependencies
from millstream.ops.fill_ops import ones_like
from millstream.ops.join_ops import stack
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_max
from millstream.ops.reshape_ops import squeeze
from millstream.ops.scatter_ops import scatter_nd


def _without_extra_axis(labels: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
    """Drops a last dimension of size 1 that only one of the two has."""
    if labels._shape is None or predictions._shape is None:
        return labels, predictions
    difference = len(predictions._shape) - len(labels._shape)
    if difference == 1 and predictions._shape[-1] in (None, 1):
        predictions = squeeze(predictions, [-1])
    elif difference == -1 and labels._shape[-1] in (None, 1):
        labels = squeeze(labels, [-1])
    return labels, predictions


def _not_negative(values: Tensor, name: str) -> Tensor:
    check = assert_non_negative(values, message=f"`{name}` contains negative values")
    return with_dependencies([check], values)


def _below(values: Tensor, limit: Tensor, name: str) -> Tensor:
    check = assert_less(values, limit, message=f"`{name}` out of bound")
    return with_dependencies([check], values)


@export(v2=["math.confusion_matrix"])
def confusion_matrix_v2(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    weights: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """How often each class was predicted for each class.

    Args:
      labels: [n], the classes, integers from 0 on.
      predictions: [n], the predicted classes.
      num_classes: how many classes there are; default: one more than the greatest of the numbers.
      weights: [n], what each prediction counts; default: 1.
      dtype: the dtype of the result.
      name: the scope of the operations.

    Returns:
      [num_classes, num_classes]: a row for each class, a column for each prediction.

    Raises:
      InvalidArgumentError: a number is negative, or not below `num_classes`.

    Example:
      >>> tf.math.confusion_matrix([1, 2, 4], [2, 2, 4], num_classes=5)
    """
    with name_scope(name, "confusion_matrix", [predictions, labels, num_classes, weights]):
        labels, predictions = _without_extra_axis(
            to_tensor(labels, name="labels"), to_tensor(predictions, name="predictions")
        )
        predictions, labels = cast(predictions, dtypes.int64), cast(labels, dtypes.int64)
        labels = _not_negative(labels, "labels")
        predictions = _not_negative(predictions, "predictions")
        if num_classes is None:
            num_classes = maximum(reduce_max(predictions), reduce_max(labels)) + 1
        else:
            num_classes = cast(num_classes, dtypes.int64)
            labels = _below(labels, num_classes, "labels")
            predictions = _below(predictions, num_classes, "predictions")
        counted = ones_like(predictions, dtype=dtype) if weights is None else cast(weights, dtype)
        return scatter_nd(stack([labels, predictions], axis=1), counted, stack([num_classes, num_classes]))


@export(v1=["math.confusion_matrix", "confusion_matrix"])
def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
    weights: Any = None,
) -> Tensor:
    """How often each class was predicted for each class.

    Args:
      labels: [n], the classes, integers from 0 on.
      predictions: [n], the predicted classes.
      num_classes: how many classes there are; default: one more than the greatest of the numbers.
      dtype: the dtype of the result.
      name: the scope of the operations.
      weights: [n], what each prediction counts; default: 1.

    Returns:
      [num_classes, num_classes]: a row for each class, a column for each prediction.

    Raises:
      InvalidArgumentError: a number is negative, or not below `num_classes`.
    """
    return confusion_matrix_v2(labels, predictions, num_classes, weights, dtype, name)
