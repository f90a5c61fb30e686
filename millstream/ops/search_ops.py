"""Distinct elements, differences of lists, searching in sorted rows, and indices of flattened tensors."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import is_concrete
from millstream.ops.gather_ops import check_range
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape_internal

# --- Distinct elements --------------------------------------------------------------------------------------


def _distinct(x: Any) -> tuple[Any, Any, Any]:
    """The distinct elements in the order in which they come first, the place of each element, and the counts."""
    if x.ndim != 1:
        raise ValueError("unique expects a 1D vector.")
    values, first, places, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return values[order], rank[places.reshape(-1)], counts[order]


def _unique_shape(c: ShapeContext) -> Any:
    shapes.with_rank(c.shape(0), 1)
    return [(None,), c.shape(0), (None,)][: len(c.definition.outputs)]


def first_places(xp: Any, x: Any) -> Any:
    """For each element of a vector the place of the first one that equals it."""
    x = xp.asarray(x)
    order = xp.argsort(x, stable=True)
    return order[xp.searchsorted(x[order], x)]


# An attribute of `Unique` operations whose result is only used to sum rows. Compiled, such an operation gives all of
# `x`, and for each element the place of the first one that equals it: no shape depends on data, and what is summed by
# place is right where the first one stands, and zero elsewhere.
KEEPS_LENGTH = "_keeps_length"


@op(
    "Unique(x: T, *, out_idx: type{int32, int64} = int32) -> y: T, idx: out_idx",
    T=ANY,
    shape=_unique_shape,
    host=True,
)
def unique_op(xp, x, *, node):
    if xp is not np and KEEPS_LENGTH in node.attrs:
        return x, first_places(xp, x)
    return _distinct(x)[:2]


@op(
    "UniqueWithCounts(x: T, *, out_idx: type{int32, int64} = int32) -> y: T, idx: out_idx, count: out_idx",
    T=ANY,
    shape=_unique_shape,
    host=True,
)
def unique_with_counts_op(xp, x):
    return _distinct(x)


@op(
    "ListDiff(x: T, y: T, *, out_idx: type{int32, int64} = int32) -> out: T, idx: out_idx",
    T=ANY,
    shape=lambda c: [(None,), (None,)],
    host=True,
)
def list_diff_op(xp, x, y):
    kept = np.flatnonzero(~np.isin(x, y))
    return x[kept], kept


@export("unique")
def unique(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The distinct elements of a vector, in the order in which they come first.

    Args:
      x: any dtype, [n].
      out_idx: dtype of `idx`, int32 or int64.
      name: the operation's name.

    Returns:
      (y, idx): the distinct elements [m], and for each element of `x` its place in `y` [n].

    Example:
      >>> y, idx = tf.unique([1, 1, 2, 4, 4])     # y = [1, 2, 4], idx = [0, 0, 1, 2, 2]
    """
    return unique_op(x, out_idx=out_idx, name=name)


@export("unique_with_counts")
def unique_with_counts(
    x: Any, out_idx: Any = dtypes.int32, name: str | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Like `unique`, with a third result `count` [m]: how often each distinct element occurs."""
    return unique_with_counts_op(x, out_idx=out_idx, name=name)


@export(v1=["setdiff1d"])
def setdiff1d(
    x: Any, y: Any, index_dtype: Any = dtypes.int32, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The elements of `x` that are not in `y`, in their order, repetitions included.

    Args:
      x, y: vectors of one dtype.
      index_dtype: dtype of the second result, int32 or int64.
      name: the operation's name.

    Returns:
      (out, idx): the elements, and their places in `x`.

    Example:
      >>> out, idx = tf.setdiff1d([1, 2, 3, 4], [2, 4])     # out = [1, 3], idx = [0, 2]
    """
    return list_diff_op(x, y, out_idx=index_dtype, name=name)


# --- Searching ----------------------------------------------------------------------------------------------


def _bound_op(name: str, side: str) -> OpDef:
    """LowerBound or UpperBound: where values would be put into sorted rows, before or after equal elements."""

    def rule(c: ShapeContext) -> Any:
        rows, values = shapes.with_rank(c.shape(0), 2), shapes.with_rank(c.shape(1), 2)
        shapes.merge_dim(rows[0], values[0])
        return values

    @op(
        f"{name}(sorted_inputs: T, values: T, *, out_type: type{{int32, int64}} = int32) -> output: out_type",
        T=ANY,
        shape=rule,
    )
    def kernel(xp, sorted_inputs, values):
        if sorted_inputs.shape[0] != values.shape[0]:
            raise ValueError("Leading dim_size of both tensors must match.")
        if is_concrete(sorted_inputs) and is_concrete(values):
            rows = [np.searchsorted(row, wanted, side) for row, wanted in zip(sorted_inputs, values, strict=True)]
            return np.stack(rows) if rows else np.zeros(values.shape, np.int64)
        import jax

        return jax.vmap(lambda row, wanted: xp.searchsorted(row, wanted, side))(sorted_inputs, values)

    kernel.no_gradient("places do not vary smoothly")
    return kernel


lower_bound_op = _bound_op("LowerBound", "left")
upper_bound_op = _bound_op("UpperBound", "right")


@export("searchsorted")
def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Where values would have to be put into sorted rows to keep them sorted.

    Args:
      sorted_sequence: any ordered dtype, [..., n], sorted along the last dimension.
      values: the same dtype, [..., m].
      side: "left": before equal elements, "right": after them.
      out_type: int32 or int64.
      name: the operation's name.

    Returns:
      [..., m].

    Raises:
      ValueError: another `side`.

    Example:
      >>> tf.searchsorted([1, 3, 5], [3, 4])     # [1, 2]
    """
    width = shape_internal(sorted_sequence)[-1]
    count = shape_internal(values)[-1]
    rows = reshape(sorted_sequence, [-1, width])
    wanted = reshape(values, [-1, count])
    if side not in ("left", "right"):
        raise ValueError(f"side must be either 'right' or 'left'.  Saw: {side}.")
    definition = upper_bound_op if side == "right" else lower_bound_op
    return reshape(definition(rows, wanted, out_type=out_type, name=name), shape_internal(values))


# --- Flat indices -------------------------------------------------------------------------------------------


def _unravel_shape(c: ShapeContext) -> Any:
    indices, (rank,) = c.shape(0), shapes.with_rank(c.shape(1), 1)
    if indices is None:
        return None
    return (rank, shapes.num_elements(indices)) if indices else (rank,)


@op(
    "UnravelIndex(indices: Tidx, dims: Tidx) -> output: Tidx",
    Tidx="int32 int64 = int32",
    shape=_unravel_shape,
    static=("dims",),
)
def unravel_index_op(xp, indices, dims, *, check):
    sizes = tuple(int(size) for size in dims)
    check_range(check, xp, "indices", indices, int(np.prod(sizes, dtype=np.int64)))
    flat = xp.reshape(indices, (-1,)) if indices.ndim else indices
    return xp.stack(xp.unravel_index(flat, sizes))


@export("unravel_index")
def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Tensor:
    """The coordinates that flat indices have in a tensor of shape `dims`.

    Args:
      indices: int32 or int64, a scalar or [n].
      dims: the same dtype, [r].
      name: the operation's name.

    Returns:
      [r, n], or [r] for a scalar.

    Example:
      >>> tf.unravel_index([2, 5, 7], [3, 3])     # [[0, 1, 2], [2, 2, 1]]
    """
    return unravel_index_op(indices, dims, name=name)


unravel_index_op.no_gradient("places do not vary smoothly")
