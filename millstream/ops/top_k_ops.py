"""The greatest entries of rows, and whether a class is among them."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.dtypes import REAL_NUMERIC
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import to_ints
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_prod
from millstream.ops.reshape_ops import reshape
from millstream.ops.scatter_ops import scatter_nd
from millstream.ops.shape_ops import shape

# --- top_k --------------------------------------------------------------------------------------------------


def _leading(c: ShapeContext, k: int | None) -> Any:
    given = c.shape(0)
    if given is None:
        return [None, None]
    if not given:
        raise ValueError("Shape must be at least rank 1 but is rank 0")
    columns = given[-1]
    if k is not None and columns is not None and columns < k:
        raise ValueError(f"input must have last dimension >= k = {k} but is {columns}")
    return [(*given[:-1], k)] * 2


def _top_k_shape(c: ShapeContext) -> Any:
    k = c.constant(1)
    if k is None:
        return _leading(c, None)
    if k.ndim:
        raise ValueError(f"Shape must be rank 0 but is rank {k.ndim}")
    if k < 0:
        raise ValueError(f"Dimension size, given by scalar input 1, must be non-negative but is {int(k)}")
    return _leading(c, int(k))


def _greatest(xp: Any, x: Any, k: int) -> Any:
    """The k greatest of each row and their places, the first ones of equals."""
    if x.ndim < 1:
        raise ValueError(f"input must be >= 1-D, got shape {shapes.format_shape(x.shape)}")
    if not 0 <= k <= x.shape[-1]:
        raise ValueError("input must have at least k columns" if k >= 0 else f"Need k >= 0, got {k}")
    if xp is not np:
        from jax import lax

        return lax.top_k(x, k)
    # Ascending, from back to front: then the first ones of equals come last.
    order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")
    places = order[..., ::-1][..., :k]
    return np.take_along_axis(x, places, axis=-1), places


@op(
    "TopKV2(input: T, k: int32, *, sorted: bool = true) -> values: T, indices: int32",
    T=REAL_NUMERIC, shape=_top_k_shape, static=("k",),
)  # fmt: skip
def top_k_op(xp, input, k):
    (count,) = to_ints(k)
    return _greatest(xp, input, count)


@op(
    "TopK(input: T, *, k: int >= 0, sorted: bool = true) -> values: T, indices: int32",
    T=REAL_NUMERIC, shape=lambda c: _leading(c, c.attrs["k"]),
)  # fmt: skip
def old_top_k_op(xp, input, *, k):
    """An older form of `TopKV2`, found in saved graphs."""
    return _greatest(xp, input, k)


def scattered(grad: Any, places: Any, x_shape: Any) -> Tensor:
    """The gradients of entries found at `places` of the last axis, put back where these had been found."""
    columns = x_shape[-1]
    matrix = reshape(places, [-1, shape(places)[-1]])
    rows = reshape(range_of(shape(matrix)[0]), [-1, 1])
    flat = reshape(matrix + rows * columns, [-1, 1])
    return reshape(scatter_nd(flat, reshape(grad, [-1]), [reduce_prod(x_shape)]), x_shape)


@top_k_op.gradient
def _(op, grad, _):
    return scattered(grad, op.outputs[1], shape(op.inputs[0])), None


@old_top_k_op.gradient
def _(op, grad, _):
    return scattered(grad, op.outputs[1], shape(op.inputs[0]))


@export(v1=["math.top_k", "nn.top_k"])
def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> Any:
    """The k greatest entries along the last axis, in descending order, and their indices.

    Args:
      input: a tensor of real numbers, shape [..., n].
      k: how many, an int32 scalar of at most n.
      sorted: accepted for compatibility: the result is always sorted.
      name: the operation's name.

    Returns:
      a named tuple: `values`, shape [..., k], and `indices`, int32, of the same shape. Of equal entries the
      one with the lower index comes first.

    Raises:
      ValueError: n is known to be less than k.

    Example:
      >>> tf.nn.top_k([1, 9, 4], 2)        # values [9, 4], indices [1, 2]
    """
    return top_k_op(input, k, sorted=sorted, name=name)


@export(v2=["math.top_k", "nn.top_k"])
def top_k_v2(
    input: Any, k: Any = 1, sorted: bool = True, index_type: Any = dtypes.int32, name: str | None = None
) -> Any:
    """`top_k` with indices of `index_type` (int32, int64, int16)."""
    found = top_k_op(input, k, sorted=sorted, name=name)
    wanted = dtypes.as_dtype(index_type)
    return found if wanted is dtypes.int32 else found._replace(indices=cast(found.indices, wanted))


# --- in_top_k -----------------------------------------------------------------------------------------------


def _one_a_row(c: ShapeContext) -> Any:
    predictions, targets = c.require_rank(0, 2), c.require_rank(1, 1)
    return (shapes.merge_dim(predictions[0], targets[0]),)


def _among_first(xp: Any, predictions: Any, targets: Any, k: Any) -> Any:
    """Whether fewer than k predictions are greater than the target's; False in rows that are not finite."""
    rows, classes = predictions.shape
    if len(targets) != rows:
        raise ValueError(f"First dimension of predictions {rows} must match length of targets {len(targets)}")
    if classes == 0:
        return xp.zeros(targets.shape, bool)
    known = (targets >= 0) & (targets < classes)
    column = xp.clip(targets, 0, classes - 1)[:, None]
    greater = xp.sum(predictions > xp.take_along_axis(predictions, column, axis=1), axis=1)
    return known & xp.all(xp.isfinite(predictions), axis=1) & (greater < k)


@op(
    "InTopKV2(predictions: float, targets: T, k: T) -> precision: bool",
    T="int32 int64 = int32", shape=_one_a_row,
)  # fmt: skip
def in_top_k_op(xp, predictions, targets, k):
    return _among_first(xp, predictions, targets, k)


@op(
    "InTopK(predictions: float, targets: T, *, k: int) -> precision: bool",
    T="int32 int64 = int32", shape=_one_a_row,
)  # fmt: skip
def old_in_top_k_op(xp, predictions, targets, *, k):
    """An older form of `InTopKV2`, found in saved graphs."""
    return _among_first(xp, predictions, targets, k)


in_top_k_op.no_gradient("a truth value")
old_in_top_k_op.no_gradient("a truth value")


@export(v1=["math.in_top_k", "nn.in_top_k"])
def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether each row's target class is among its k greatest predictions; classes that tie for k-th are.

    Args:
      predictions: float32, shape [batch, classes].
      targets: int32 or int64, shape [batch].
      k: a scalar of the dtype of `targets`.
      name: the scope of the operation.

    Returns:
      a bool vector [batch]; False where a row has numbers that are not finite, or a target is no class.
    """
    with name_scope(name, "in_top_k"):
        return in_top_k_op(predictions, targets, k, name=name)


@export(v2=["math.in_top_k", "nn.in_top_k"])
def in_top_k_v2(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Tensor:
    """`in_top_k` with the arguments in the order of 2.x."""
    return in_top_k(predictions, targets, k, name)
