"""Sums and means of rows of tables, for sparse tensors of row numbers: bags of words."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.export import export
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.static_values import constant_value_as_shape
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops, shape_ops
from millstream.ops.arithmetic_ops import div_no_nan, divide, pow
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, greater_equal, logical_and
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.embedding_ops import embedding_lookup
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import concat, stack
from millstream.ops.pad_ops import tile
from millstream.ops.reduction_ops import reduce_prod
from millstream.ops.reshape_ops import expand_dims, reshape
from millstream.ops.search_ops import unique
from millstream.ops.segment_ops import segment_sum
from millstream.ops.select_ops import where
from millstream.ops.slice_ops import slice_
from millstream.ops.sparse_rows_ops import sparse_fill_empty_rows, sparse_reshape, sparse_retain
from millstream.ops.sparse_segment_ops import sparse_segment_mean, sparse_segment_sqrt_n, sparse_segment_sum

_UNWEIGHTED = {"mean": sparse_segment_mean, "sqrtn": sparse_segment_sqrt_n, "sum": sparse_segment_sum}

# --- Lookup -------------------------------------------------------------------------------------------------


@export(v1=["nn.embedding_lookup_sparse"])
def embedding_lookup_sparse(
    params: Any,
    sp_ids: SparseTensor,
    sp_weights: SparseTensor | None,
    partition_strategy: str = "mod",
    name: str | None = None,
    combiner: str | None = None,
    max_norm: float | None = None,
) -> Tensor:
    """For each row of `sp_ids` the weighted sum or mean of the rows of a table that it names.

    Args:
      params: a tensor or variable, shape [rows, ...]; or a list of them: the table cut into partitions.
      sp_ids: an int32 or int64 `SparseTensor` [n, m], in row-major order, of rows of the table; no row may be empty.
      sp_weights: a floating point `SparseTensor` of the same indices; None: all weights are 1.
      partition_strategy: "mod" or "div", see `tf.nn.embedding_lookup`.
      name: the operation's name.
      combiner: "sum"; "mean" (default): the sum divided by the sum of the weights; "sqrtn": by the root of the sum of
        their squares.
      max_norm: rows of the table with a greater L2 norm are scaled down to it first.

    Returns:
      a tensor of shape [n, *params.shape[1:]].

    Raises:
      TypeError: `sp_ids` or `sp_weights` is not sparse.
      ValueError: another combiner.
    """
    return _lookup(params, sp_ids, sp_weights, partition_strategy, name, combiner, max_norm, divide)


@export(v2=["nn.embedding_lookup_sparse"])
def embedding_lookup_sparse_v2(
    params: Any,
    sp_ids: SparseTensor,
    sp_weights: SparseTensor | None,
    combiner: str | None = None,
    max_norm: float | None = None,
    name: str | None = None,
    allow_fast_lookup: bool = False,
) -> Tensor:
    """For each row of `sp_ids` the weighted sum or mean of the rows of a table that it names.

    Args:
      params: a tensor or variable, shape [rows, ...]; or a list of them: the table cut into partitions ("div").
      sp_ids: an int32 or int64 `SparseTensor` [n, m], in row-major order, of rows of the table.
      sp_weights: a floating point `SparseTensor` of the same indices; None: all weights are 1.
      combiner: "sum"; "mean" (default): the sum divided by the sum of the weights; "sqrtn": by the root of the sum of
        their squares. Where the divisor is 0, the result is.
      max_norm: rows of the table with a greater L2 norm are scaled down to it first.
      name: the operation's name.
      allow_fast_lookup: accepted for compatibility.

    Returns:
      a tensor of shape [n, *params.shape[1:]]; n is up to the last row that is not empty.

    Raises:
      TypeError: `sp_ids` or `sp_weights` is not sparse.
      ValueError: another combiner.

    Example:
      >>> ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [1, 3, 0], [2, 2])
      >>> tf.nn.embedding_lookup_sparse(table, ids, None)      # rows: mean of 1 and 3; 0
    """
    return _lookup(params, sp_ids, sp_weights, "div", name, combiner, max_norm, div_no_nan)


def _lookup(
    params: Any, sp_ids: Any, sp_weights: Any, strategy: str, name: str | None, combiner: str | None,
    max_norm: float | None, divided: Callable[..., Tensor],
) -> Tensor:  # fmt: skip
    """Both versions; `divided(sum, divisor, name=...)` says what comes of a division by 0."""
    combiner = "mean" if combiner is None else combiner
    if combiner not in _UNWEIGHTED:
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum', got {combiner}")
    tables = list(params) if isinstance(params, (list, PartitionedVariable)) else [params]
    _check_sparse(sp_ids, sp_weights)
    with name_scope(name, "embedding_lookup_sparse", [*tables, sp_ids]) as scope:
        segments = cast(sp_ids.indices[:, 0], dtypes.int32)
        ids, places = unique(sp_ids.values)
        rows = embedding_lookup(tables, ids, partition_strategy=strategy, max_norm=max_norm)
        dtype = rows.dtype
        if dtype.size == 2:
            rows = cast(rows, dtypes.float32)
        if sp_weights is None:
            result = _UNWEIGHTED[combiner](rows, places, segments, name=scope)
        else:
            result = _weighted(gather(rows, places), sp_weights.values, segments, combiner, scope, divided)
        return cast(result, dtype) if dtype.size == 2 else result


def _check_sparse(ids: Any, weights: Any) -> None:
    if not isinstance(ids, SparseTensor):
        raise TypeError(f"sp_ids must be SparseTensor, got {type(ids)}")
    if weights is None:
        return
    if not isinstance(weights, SparseTensor):
        raise TypeError(f"sp_weights must be either None or SparseTensor,got {type(weights)}")
    for name in ("indices", "values", "dense_shape"):
        shapes.merge(getattr(ids, name)._shape, getattr(weights, name)._shape)


def _weighted(
    rows: Tensor, weights: Tensor, segments: Tensor, combiner: str, name: str, divided: Callable[..., Tensor]
) -> Tensor:
    if weights.dtype is not rows.dtype:
        weights = cast(weights, rows.dtype)
    ones = fill_ops.fill(expand_dims(shape_ops.rank(rows) - 1, 0), 1)
    static = None if rows._shape is None else (*(weights._shape or (None,)), *(1,) * (len(rows._shape) - 1))
    weights = reshape(weights, concat([shape_ops.shape(weights), ones], 0))
    if static is not None:
        weights.set_shape(static)
    rows = rows * weights
    if combiner == "sum":
        return segment_sum(rows, segments, name=name)
    total = segment_sum(rows, segments)
    if combiner == "mean":
        return divided(total, segment_sum(weights, segments), name=name)
    return divided(total, sqrt(segment_sum(pow(weights, 2), segments)), name=name)


# --- Lookup of what may be missing --------------------------------------------------------------------------


@export(v1=["nn.safe_embedding_lookup_sparse"])
def safe_embedding_lookup_sparse(
    embedding_weights: Any,
    sparse_ids: SparseTensor,
    sparse_weights: SparseTensor | None = None,
    combiner: str = "mean",
    default_id: int | None = None,
    name: str | None = None,
    partition_strategy: str = "div",
    max_norm: float | None = None,
) -> Tensor:
    """`tf.nn.embedding_lookup_sparse` for ids some of which are invalid, and rows of which some are empty.

    Negative ids are left out, and so are weights that are not positive, unless the combiner is "sum".

    Args:
      embedding_weights: a table [rows, ...], or a list of its partitions.
      sparse_ids: an int32 or int64 `SparseTensor` [d0, ..., dn].
      sparse_weights: a floating point `SparseTensor` of the same indices; None: all weights are 1.
      combiner: "sum", "mean" or "sqrtn".
      default_id: the row of the table that stands for an empty row of ids; None: zeros do.
      name: the scope of the operations.
      partition_strategy: "mod" or "div", see `tf.nn.embedding_lookup`.
      max_norm: rows of the table with a greater L2 norm are scaled down to it first.

    Returns:
      a tensor of shape [d0, ..., dn-1, *embedding_weights.shape[1:]].

    Raises:
      ValueError: there is no table.
    """
    return _safe_lookup(
        embedding_weights, sparse_ids, sparse_weights, partition_strategy, name, combiner, max_norm, divide, default_id
    )


@export(v2=["nn.safe_embedding_lookup_sparse"])
def safe_embedding_lookup_sparse_v2(
    embedding_weights: Any,
    sparse_ids: SparseTensor,
    sparse_weights: SparseTensor | None = None,
    combiner: str = "mean",
    default_id: int | None = None,
    max_norm: float | None = None,
    name: str | None = None,
    allow_fast_lookup: bool = False,
) -> Tensor:
    """`tf.nn.embedding_lookup_sparse` for ids some of which are invalid, and rows of which some are empty.

    Negative ids are left out, and so are weights that are not positive, unless the combiner is "sum".

    Args:
      embedding_weights: a table [rows, ...], or a list of its partitions ("div").
      sparse_ids: an int32 or int64 `SparseTensor` [d0, ..., dn].
      sparse_weights: a floating point `SparseTensor` of the same indices; None: all weights are 1.
      combiner: "sum", "mean" or "sqrtn".
      default_id: the row of the table that stands for an empty row of ids; None: zeros do.
      max_norm: rows of the table with a greater L2 norm are scaled down to it first.
      name: the scope of the operations.
      allow_fast_lookup: accepted for compatibility.

    Returns:
      a tensor of shape [d0, ..., dn-1, *embedding_weights.shape[1:]].

    Raises:
      ValueError: there is no table.
    """
    return _safe_lookup(
        embedding_weights, sparse_ids, sparse_weights, "div", name, combiner, max_norm, div_no_nan, default_id
    )


def _safe_lookup(
    tables: Any, ids: SparseTensor, weights: SparseTensor | None, strategy: str, name: str | None, combiner: str,
    max_norm: float | None, divided: Callable[..., Tensor], default_id: int | None,
) -> Tensor:  # fmt: skip
    if tables is None or isinstance(tables, (list, tuple)) and not tables:
        raise ValueError(f"Missing embedding_weights {tables}.")
    tables = list(tables) if isinstance(tables, (list, tuple, PartitionedVariable)) else [tables]
    with name_scope(name, "embedding_lookup", [*tables, ids, weights]) as scope:
        original_shape = ids.dense_shape
        known = constant_value_as_shape(original_shape)
        rank = ids.dense_shape._shape[0] if ids.dense_shape._shape else None
        rank = shape_ops.size(original_shape) if rank is None else rank
        ids = _as_matrix(ids, original_shape, rank)
        if weights is not None:
            weights = SparseTensor(ids.indices, weights.values, ids.dense_shape)
        ids, weights = _without_invalid(ids, weights, combiner)
        ids, is_empty = sparse_fill_empty_rows(ids, default_id or 0)
        if weights is not None:
            weights, _ = sparse_fill_empty_rows(weights, 1.0)
        keeps_name = scope if default_id is not None else None
        result = _lookup(tables, ids, weights, strategy, keeps_name, combiner, max_norm, divided)
        if default_id is None:
            is_empty = reshape(is_empty, [-1, 1])
            is_empty = tile(is_empty, stack([1, shape_ops.shape(result)[1]]))
            result = where(is_empty, fill_ops.zeros_like(result), result, name=scope)
            if known is not None and result._shape is not None:
                result.set_shape((shapes.num_elements(known[:-1]), *result._shape[1:]))
        front = slice_(cast(original_shape, dtypes.int32), [0], [rank - 1])
        back = slice_(shape_ops.shape(result), [1], [-1])
        final = reshape(result, concat([front, back], 0))
        if known is not None and result._shape is not None:
            final.set_shape((*known[:-1], *result._shape[1:]))
        return final


def _as_matrix(ids: SparseTensor, shape: Tensor, rank: Any) -> SparseTensor:
    """Makes all dimensions but the last one into one."""
    rows = reduce_prod(slice_(shape, [0], [rank - 1]))
    return sparse_reshape(ids, [rows, gather(shape, rank - 1)])


def _without_invalid(
    ids: SparseTensor, weights: SparseTensor | None, combiner: str
) -> tuple[SparseTensor, SparseTensor | None]:
    """Leaves out negative ids, and unless they are summed, what has no positive weight."""
    valid = greater_equal(ids.values, 0)
    if weights is None:
        return sparse_retain(ids, valid), None
    valid = logical_and(valid, fill_ops.ones_like(weights.values, dtype=dtypes.bool_))
    ids, weights = sparse_retain(ids, valid), sparse_retain(weights, valid)
    if combiner == "sum":
        return ids, weights
    positive = greater(weights.values, 0)
    return sparse_retain(ids, positive), sparse_retain(weights, positive)
