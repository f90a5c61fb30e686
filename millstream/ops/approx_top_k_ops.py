"""The greatest or least entries along an axis, found quickly where the hardware can (F. Chern et al., NeurIPS 2022)."""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import normalize_axis
from millstream.core.tensor import Tensor
from millstream.ops import reshape_ops, shape_ops
from millstream.ops.top_k_ops import scattered


def _shape(c: ShapeContext) -> Any:
    given, k, axis = c.shape(0), c.attrs["k"], c.attrs["reduction_dimension"]
    if given is None:
        return [None, None]
    along = normalize_axis(axis, len(given))
    if given[along] is not None and given[along] < k:
        raise ValueError(f"input must have at least k = {k} entries along dimension {axis}, but has {given[along]}")
    count = k if c.attrs["aggregate_to_topk"] else None
    return [(*given[:along], count, *given[along + 1 :])] * 2


@op(
    "ApproxTopK(input: T, *, k: int >= 0, reduction_dimension: int = -1, recall_target: float = 0.95, "
    "is_max_k: bool = true, reduction_input_size_override: int = -1, aggregate_to_topk: bool = true) "
    "-> values: T, indices: int32",
    T="half bfloat16 float", shape=_shape, traced_only=True,
)  # fmt: skip
def approx_top_k_op(
    xp, input, *, k, reduction_dimension, recall_target, is_max_k, reduction_input_size_override, aggregate_to_topk
):
    from jax import lax

    find = lax.approx_max_k if is_max_k else lax.approx_min_k
    return find(
        input, k, reduction_dimension, recall_target, reduction_input_size_override, aggregate_to_topk
    )


@approx_top_k_op.gradient
def _(op, grad, _):
    x = op.inputs[0]
    rank = len(shapes.with_rank_at_least(x._shape, 1) or ())
    order = list(range(rank))
    along = op.attrs["reduction_dimension"] % rank
    order[along], order[-1] = order[-1], order[along]  # an exchange is its own inverse
    grad, places, x = (reshape_ops.transpose(each, order) for each in (grad, op.outputs[1], x))
    return reshape_ops.transpose(scattered(grad, places, shape_ops.shape(x)), order)


@export(v2=["approx_top_k"])
def approx_top_k(
    input: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    is_max_k: bool = True,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The k greatest or least entries along an axis, some of which may be missed on hardware that gains by it.

    Args:
      input: float16, bfloat16 or float32, of any shape.
      k: how many.
      reduction_dimension: the axis.
      recall_target: which part of the true ones must be found on average.
      is_max_k: whether the greatest, not the least, are wanted.
      reduction_input_size_override: a size of the axis to compute the recall by, where `input` is a part of a whole.
      aggregate_to_topk: False gives more than k candidates, unsorted.
      name: the operation's name.

    Returns:
      (values, indices): of the shape of `input`, but for k along the axis; the indices are int32.
    """
    return approx_top_k_op(
        input, k=k, reduction_dimension=reduction_dimension, recall_target=recall_target, is_max_k=is_max_k,
        reduction_input_size_override=reduction_input_size_override, aggregate_to_topk=aggregate_to_topk, name=name,
    )  # fmt: skip


@export(v2=["math.approx_max_k", "nn.approx_max_k"])
def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The k greatest entries along an axis: `approx_top_k`, where the arguments are explained."""
    return approx_top_k(
        operand, k, reduction_dimension, recall_target, True, reduction_input_size_override, aggregate_to_topk, name
    )


@export(v2=["math.approx_min_k", "nn.approx_min_k"])
def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The k least entries along an axis: `approx_top_k`, where the arguments are explained."""
    return approx_top_k(
        operand, k, reduction_dimension, recall_target, False, reduction_input_size_override, aggregate_to_topk, name
    )
