"""Losses averaged over the whole batch, of which a replica has a share."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.ops import shape_ops
from millstream.ops.arithmetic_ops import div_no_nan, multiply
from millstream.ops.cast_ops import cast
from millstream.ops.rank_check_ops import assert_integer_v2, assert_scalar_v2
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims, squeeze


@export("nn.compute_average_loss")
def compute_average_loss(per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None) -> Tensor:
    """The sum of the examples' losses, divided by the size of the global batch.

    Args:
      per_example_loss: a tensor of at least one dimension, the batch.
      sample_weight: a weight for each example, broadcast with the losses.
      global_batch_size: an integer scalar; default: the length of `per_example_loss`.

    Returns:
      a scalar of the dtype of `per_example_loss`; 0 where the global batch is empty.

    Raises:
      ValueError: the losses are a scalar, or the size is none.
      TypeError: the size is no integer.
    """
    per_example_loss = to_tensor(per_example_loss)
    if per_example_loss._shape == ():
        raise ValueError(
            "Invalid value passed for `per_example_loss`. Expected a tensor with at least rank 1. "
            f"Received per_example_loss={per_example_loss} with rank 0"
        )
    dtype = per_example_loss.dtype
    if not dtype.is_floating:
        dtype, per_example_loss = dtypes.float64, cast(per_example_loss, dtypes.float64)
    if sample_weight is not None:
        sample_weight = cast(to_tensor(sample_weight), dtype)
        per_example_loss = multiply(per_example_loss, _as_rank_of(per_example_loss, sample_weight))
    if global_batch_size is None:
        global_batch_size = shape_ops.shape(per_example_loss)[0]
    else:
        assert_scalar_v2(global_batch_size, message="global_batch_size must be scalar.")
        assert_integer_v2(global_batch_size, message="global_batch_size must be an integer.")
    return div_no_nan(reduce_sum(per_example_loss), cast(global_batch_size, dtype))


def _as_rank_of(losses: Tensor, weights: Tensor) -> Tensor:
    """Weights with one dimension more or less, the last one, where that makes the ranks equal."""
    if losses._shape is None or not weights._shape:
        return weights
    surplus = len(weights._shape) - len(losses._shape)
    if surplus == 1:
        return squeeze(weights, [-1])
    return expand_dims(weights, -1) if surplus == -1 else weights


@export("nn.scale_regularization_loss")
def scale_regularization_loss(regularization_loss: Any) -> Tensor:
    """The sum of a regularisation loss, divided by the number of replicas, whose losses are added up.

    Args:
      regularization_loss: a tensor of any shape.

    Returns:
      a scalar. Outside of a distribution strategy there is one replica.
    """
    loss = to_tensor(regularization_loss)
    return reduce_sum(loss if loss.dtype.is_floating else cast(loss, dtypes.float64))
