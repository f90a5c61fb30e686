"""Partitioners: functions that say how a variable is cut into parts.

Millstream holds each variable whole, so all of these are refused.
"""

from __future__ import annotations

from typing import Any, NoReturn

from millstream.core.dtypes import float32
from millstream.core.export import export

_HINT = "Leave the partitioner out: one device holds the whole variable."


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(f"tf.{name} is part of TensorFlow 1.x but not yet of Millstream. {_HINT}")


@export(v1=["fixed_size_partitioner"])
def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Any:
    """A partitioner into a number of parts. Not implemented: raises NotImplementedError."""
    _refuse("fixed_size_partitioner")


@export(v1=["variable_axis_size_partitioner"])
def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Any:
    """A partitioner into parts of a greatest size. Not implemented: raises NotImplementedError."""
    _refuse("variable_axis_size_partitioner")


@export(v1=["min_max_variable_partitioner"])
def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Any:
    """A partitioner into parts of a least size. Not implemented: raises NotImplementedError."""
    _refuse("min_max_variable_partitioner")


@export(v1=["create_partitioned_variables"])
def create_partitioned_variables(
    shape: Any,
    slicing: Any,
    initializer: Any,
    dtype: Any = float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Makes the parts of a variable. Not implemented: raises NotImplementedError."""
    _refuse("create_partitioned_variables")
