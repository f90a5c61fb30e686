"""Weighting losses and reducing them to one number."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.tensor import Tensor
from millstream.losses.util import add_loss
from millstream.ops import shape_ops
from millstream.ops.arithmetic_ops import div_no_nan, multiply
from millstream.ops.comparison_ops import equal
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.select_ops import where
from millstream.ops.weights_broadcast_ops import assert_broadcastable, broadcast_weights


@export(v1=["losses.Reduction"])
class Reduction:
    """How weighted losses become one number.

    * `NONE`: they do not.
    * `SUM`: their sum.
    * `SUM_OVER_BATCH_SIZE`: the sum, divided by the number of losses.
    * `MEAN`: the sum, divided by the sum of weights.
    * `SUM_BY_NONZERO_WEIGHTS` (the default; also `SUM_OVER_NONZERO_WEIGHTS`): the sum, divided by the number of
      weights that are not 0.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All values."""
        return (
            cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )  # fmt: skip

    @classmethod
    def validate(cls, key: str) -> None:
        """Checks that `key` is one of the values.

        Raises:
          ValueError: it is not.
        """
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}.")


@export(v1=["losses.compute_weighted_loss"])
def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Multiplies losses with weights, reduces them, and puts the result into a collection.

    Args:
      losses: a numeric tensor [batch, ...]; computed in float32.
      weights: a scalar, or a tensor of the rank of `losses` whose dimensions are those of `losses` or 1.
      scope: the scope of the operations.
      loss_collection: where the result is put; None: nowhere.
      reduction: one of `Reduction`.

    Returns:
      a scalar of the dtype of `losses`; with `NONE` a tensor of the shape of `losses`.

    Raises:
      ValueError: the weights' shape does not fit, or an unknown reduction.
    """
    Reduction.validate(reduction)
    with name_scope(scope, "weighted_loss", [losses, weights]):
        with control_dependencies([assert_broadcastable(weights, losses)]):
            losses = to_tensor(losses)
            dtype = losses.dtype
            losses, weights = cast(losses, dtypes.float32), cast(weights, dtypes.float32)
            loss = _reduced(multiply(losses, weights), losses, weights, reduction)
            loss = cast(loss, dtype)
            add_loss(loss, loss_collection)
            return loss


def _reduced(weighted: Tensor, losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    if reduction == Reduction.NONE:
        return weighted
    total = reduce_sum(weighted)
    if reduction == Reduction.MEAN:
        return _safe_mean(total, reduce_sum(ones_like(losses) * weights))
    if reduction == Reduction.SUM_BY_NONZERO_WEIGHTS:
        return _safe_mean(total, num_present(losses, weights))
    if reduction == Reduction.SUM_OVER_BATCH_SIZE:
        return _safe_mean(total, _num_elements(losses))
    return total


def _safe_mean(losses: Tensor, count: Tensor) -> Tensor:
    """The sum of `losses` divided by `count`; 0 where that is 0."""
    return div_no_nan(reduce_sum(losses), count, name="value")


def num_present(losses: Tensor, weights: Tensor, per_batch: bool = False) -> Tensor:
    """How many losses have a weight that is not 0, a float32 scalar.

    Args:
      losses: a tensor [batch, ...].
      weights: float32, broadcasts to `losses`.
      per_batch: counts for each row on its own: the result has shape [batch, 1, ...].
    """
    with name_scope(None, "num_present", [losses, weights]) as scope:
        present = where(equal(weights, 0.0), zeros_like(weights), ones_like(weights))
        present = broadcast_weights(present, losses)
        if per_batch:
            axes = range_of(1, shape_ops.rank(present))
            return reduce_sum(present, axis=axes, keepdims=True, name=scope)
        return reduce_sum(present, name=scope)


def _num_elements(losses: Tensor) -> Tensor:
    with name_scope(None, "num_elements", [losses]) as scope:
        return cast(shape_ops.size(losses, name=scope), losses.dtype)
