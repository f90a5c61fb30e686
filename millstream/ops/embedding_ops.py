"""Looking up rows of tables that may be cut into several partitions."""
from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.conversion import convert_to_tensor_or_indexed_slices, to_tensor
from millstream.core.export import export
from millstream.core.opdef import Shape
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import beside, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import reshape_ops, shape_ops
from millstream.ops.arithmetic_ops import maximum
from millstream.ops.clip_ops import clip_by_norm
from millstream.ops.constant_op import constant
from millstream.ops.gather_ops import gather
from millstream.ops.identity_ops import identity
from millstream.ops.join_ops import concat, stack
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.select_ops import dynamic_partition, parallel_dynamic_stitch_op, where


@export(v1=["nn.embedding_lookup"])
def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: float | None = None,
) -> Tensor:
    """The rows `ids` of a table: `params[ids]`.

    Args:
      params: a tensor or variable, shape [rows, ...]; a list of them, or a partitioned variable: a table in parts.
      ids: int32 or int64, any shape.
      partition_strategy: how rows are dealt to several partitions: "mod": row i to partition i % n; "div": in
        order, the first partitions one row longer where the division has a remainder.
      name: the operation's name.
      validate_indices: accepted for compatibility: indices are always checked.
      max_norm: rows with a greater L2 norm are scaled down to it.

    Returns:
      a tensor of shape [*ids.shape, *params.shape[1:]]; its gradient by a single table is an `IndexedSlices`.

    Raises:
      ValueError: no table, or an unknown strategy.

    Example:
      >>> tf.nn.embedding_lookup(tf.constant([[1., 2.], [3., 4.]]), [1, 1, 0])
    """
    if params is None:
        raise ValueError("params must be specified")
    if isinstance(params, (list, tuple)) and not params:
        raise ValueError("Need at least one param")
    tables = list(params) if isinstance(params, (list, tuple, PartitionedVariable)) else [params]
    with name_scope(name, "embedding_lookup", [*tables, ids]) as scope:
        if not any(_is_resource(table) for table in tables):  # reading a resource variable here would copy it
            tables = [
                convert_to_tensor_or_indexed_slices(table, name=f"params_{index}")
                for index, table in enumerate(tables)
            ]
        ids = to_tensor(ids, name="ids")
        if len(tables) > 1:
            return _partitioned_lookup(tables, ids, partition_strategy, max_norm, scope)
        with _beside(tables[0]):
            rows = _clipped(gather(tables[0], ids, name=scope), ids, max_norm)
        return identity(rows)


@export(v2=["nn.embedding_lookup"])
def embedding_lookup_v2(
    params: Any, ids: Any, max_norm: float | None = None, name: str | None = None
) -> Tensor:
    """The rows `ids` of a table, which may be a list of partitions cut by the "div" strategy.

    Args:
      params: a tensor or variable, shape [rows, ...], or a list of them.
      ids: int32 or int64, any shape.
      max_norm: rows with a greater L2 norm are scaled down to it.
      name: the operation's name.
    """
    return embedding_lookup(params, ids, "div", name, max_norm=max_norm)


def _is_resource(params: Any) -> bool:
    return getattr(getattr(params, "handle", None), "dtype", None) is dtypes.resource


def _beside(table: Any) -> AbstractContextManager[None]:
    """Asks that what is made inside is placed where the table is."""
    return beside(table.handle if _is_resource(table) else table)


def _partitioned_lookup(
    tables: list[Any], ids: Tensor, strategy: str, max_norm: float | None, scope: str
) -> Tensor:
    """Sends each id to its partition, looks up there, and stitches the rows together again."""
    flat = reshape_ops.reshape(ids, [-1])
    places = range_of(shape_ops.size(flat))
    partition, row = _assign(tables, flat, strategy)
    partition = cast(partition, dtypes.int32)
    rows_of = dynamic_partition(row, partition, len(tables))
    places_of = dynamic_partition(places, partition, len(tables))
    found = []
    for table, rows in zip(tables, rows_of, strict=True):
        with _beside(table):
            found.append(gather(table, rows))
    result = parallel_dynamic_stitch_op(places_of, found, name=scope)
    row_shape = _static_row_shape(tables)
    result = reshape_ops.reshape(result, concat([shape_ops.shape(ids), _row_shape(tables, row_shape)], 0))
    result.set_shape(shapes.concatenate(ids._shape, row_shape))
    return _clipped(result, ids, max_norm)


def _static_row_shape(tables: list[Any]) -> Shape:
    row: Shape = None
    for table in tables:
        shape = table.get_shape()._plain
        row = shapes.merge(row, None if shape is None else shape[1:])
    return row


def _row_shape(tables: list[Any], known: Shape) -> Any:
    if known is not None and shapes.is_fully_defined(known):
        return list(known)
    with _beside(tables[0]):
        return shape_ops.shape(tables[0])[1:]


def _assign(tables: list[Any], ids: Tensor, strategy: str) -> tuple[Tensor, Tensor]:
    """The partition of each id, and its row there.

    Raises:
      ValueError: an unknown strategy.
    """
    count = len(tables)
    if strategy == "mod":
        return ids % count, ids // count
    if strategy != "div":
        raise ValueError("Unrecognized partition strategy: " + strategy)
    total = _total_rows(tables, ids.dtype)
    short, longer = total // count, total % count  # the first `longer` partitions have `short` + 1 rows
    partition = maximum(ids // (short + 1), (ids - longer) // short)
    return partition, where(partition < longer, ids % (short + 1), (ids - longer) % short)


def _total_rows(tables: list[Any], dtype: Any) -> Tensor:
    """The number of rows of all partitions together, from static shapes where they are known."""
    known = [table.get_shape()._plain for table in tables]
    dims = [None if not shape else shape[0] for shape in known]
    if None not in dims:
        return constant(sum(dim or 0 for dim in dims), dtype)
    rows: list[Any] = []
    for table, dim in zip(tables, dims, strict=True):
        if dim is not None:
            rows.append(dim)
            continue
        with _beside(table):
            rows.append(shape_ops.shape(table)[0])
    return reduce_sum(cast(stack(rows), dtype))


def _clipped(rows: Tensor, ids: Tensor, max_norm: float | None) -> Tensor:
    """Scales down the rows that are longer than `max_norm`."""
    if max_norm is None:
        return rows
    if ids._shape and rows._shape:
        axes: Any = list(range(len(ids._shape), len(rows._shape)))
    else:
        axes = range_of(shape_ops.rank(ids), shape_ops.rank(rows))
    return clip_by_norm(rows, max_norm, axes=axes)
