"""Partitioners: functions that say into how many parts each dimension of a variable is cut.

`tf.get_variable` and `tf.variable_scope` take them, and call them with a fully known shape and the dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.dtypes import DType, float32, string
from millstream.core.export import export
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import name_scope
from millstream.core.shapes import TensorShape
from millstream.core.variable_scope import default_variable_store, variable_scope
from millstream.core.variables import Variable


@export(v1=["fixed_size_partitioner"])
def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Callable[..., list[int]]:
    """A partitioner into a number of parts.

    Args:
      num_shards: how many; a shorter dimension gives one for each row.
      axis: the dimension that is cut.

    Example:
      >>> table = tf.get_variable("table", [1000, 8], partitioner=tf.fixed_size_partitioner(4))
      >>> [part.shape[0].value for part in table]
      [250, 250, 250, 250]
    """

    def _partitioner(shape: TensorShape, **unused_args: Any) -> list[int]:
        sizes: Any = shape.as_list()
        return _cut(sizes, axis, min(num_shards, sizes[axis]))

    return _partitioner


@export(v1=["variable_axis_size_partitioner"])
def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Callable[..., list[int]]:
    """A partitioner into parts of a greatest size, as few as there can be.

    Args:
      max_shard_bytes: how many bytes a part has at most, if it has more than one row.
      axis: the dimension that is cut.
      bytes_per_string_element: how long strings are taken to be.
      max_shards: how many parts there are at most; it takes precedence.

    Raises:
      ValueError: a size is not positive; or (when called) the shape is not known.
    """
    if max_shard_bytes < 1 or bytes_per_string_element < 1:
        raise ValueError("Both max_shard_bytes and bytes_per_string_element must be positive.")
    if max_shards and max_shards < 1:
        raise ValueError("max_shards must be positive.")

    def _partitioner(shape: TensorShape, dtype: DType) -> list[int]:
        if not isinstance(shape, TensorShape):
            raise ValueError(f"shape is not a TensorShape: {shape}")
        if not shape.is_fully_defined():
            raise ValueError(f"shape is not fully defined: {shape}")
        sizes: Any = shape.as_list()
        row_bytes = _element_size(dtype, bytes_per_string_element)
        for size in (*sizes[:axis], *sizes[axis:][1:]):
            row_bytes *= size
        rows = max(1, max_shard_bytes // max(1, row_bytes))
        parts = -(-sizes[axis] // rows)
        return _cut(sizes, axis, min(parts, max_shards) if max_shards else parts)

    return _partitioner


@export(v1=["min_max_variable_partitioner"])
def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Callable[..., list[int]]:
    """A partitioner into parts of a least size, as many as there can be.

    Args:
      max_partitions: how many parts there are at most.
      axis: the dimension that is cut.
      min_slice_size: how many bytes a part has at least, but for rounding.
      bytes_per_string_element: how long strings are taken to be.

    Raises:
      ValueError: (when called) the shape has no such dimension.
    """

    def _partitioner(shape: TensorShape, dtype: DType) -> list[int]:
        sizes: Any = shape.as_list()
        if axis >= len(sizes):
            raise ValueError(f"Can not partition variable along axis {axis} when shape is only {shape}")
        total: Any = shape.num_elements()
        slices = -(-total * _element_size(dtype, bytes_per_string_element) // min_slice_size)
        return _cut(sizes, axis, max(1, min(sizes[axis], max_partitions, slices)))

    return _partitioner


def _cut(sizes: Sequence[int], axis: int, parts: int) -> list[int]:
    """The partition of a shape that is cut in one dimension."""
    partitions = [1] * len(sizes)
    partitions[axis] = parts
    return partitions


def _element_size(dtype: DType, bytes_per_string: int) -> int:
    return bytes_per_string if dtype.base_dtype is string else dtype.size


@export(v1=["create_partitioned_variables"])
def create_partitioned_variables(
    shape: Any,
    slicing: Sequence[int],
    initializer: Any,
    dtype: Any = float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> list[Variable]:
    """The parts of a variable, which is cut as given. Prefer `tf.get_variable` with a partitioner.

    Args:
      shape: the shape of the whole.
      slicing: into how many parts each dimension is cut; at most one number is greater than 1.
      initializer: see `tf.get_variable`; or a tensor or array of the whole, which is cut.
      dtype, trainable, collections: see `tf.get_variable`.
      name: the name of the whole; default "PartitionedVariable", made unique.
      reuse: see `tf.variable_scope`.

    Raises:
      ValueError: `slicing` does not fit the shape.
    """
    if len(shape) != len(slicing):
        raise ValueError(
            "The 'shape' and 'slicing' of a partitioned Variable must have the length: "
            f"shape: {shape}, slicing: {slicing}"
        )
    if len(shape) < 1:
        raise ValueError(f"A partitioned Variable must have rank at least 1: shape: {shape}")
    with variable_scope(name, "PartitionedVariable", reuse=reuse) as scope, name_scope(None):
        if scope.custom_getter is not None:
            raise ValueError(
                "Private access to _get_partitioned_variable is not allowed when a custom getter is set.  Current "
                f"custom getter: {scope.custom_getter}.  It is likely that you're using create_partitioned_variables.  "
                "If so, consider instead using get_variable with a non-empty partitioner parameter instead."
            )
        parts: PartitionedVariable = default_variable_store().get_variable(
            scope.name,
            shape=TensorShape(shape),
            trainable=trainable,
            collections=collections,
            **scope._with_defaults(
                dtype=dtype,
                initializer=initializer,
                regularizer=None,
                reuse=None,
                caching_device=None,
                partitioner=lambda **_: slicing,
                use_resource=None,
                constraint=None,
            ),
        )
        return list(parts)
