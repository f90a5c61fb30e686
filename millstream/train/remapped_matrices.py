"""Initialisers that take a matrix from a checkpoint over to other vocabularies of its rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.ops.init_ops import TruncatedNormal, Zeros
from millstream.ops.join_ops import concat
from millstream.ops.remap_ops import generate_vocab_remapping_op, load_and_remap_matrix_op

Initializer = Callable[..., Tensor]


class Axis(NamedTuple):
    """The rows or the columns of a matrix.

    Attributes:
      size: how many entries the vocabulary has.
      oov_buckets: how many follow for what is not in the vocabulary; they have no counterpart in the checkpoint.
      new_file: the vocabulary, a word a line; None: the entries are those of the checkpoint.
      old_file: the vocabulary of the checkpoint.
      old_size: how many entries of it count; -1: all.
    """

    size: int
    oov_buckets: int = 0
    new_file: str | None = None
    old_file: str | None = None
    old_size: int = -1

    def remapping(self, first: int, count: int) -> tuple[Any, Any]:
        """Where `count` entries from `first` on are in the checkpoint (-1: nowhere), and how many are there."""
        if self.new_file is None:
            return np.arange(first, first + count), count
        return generate_vocab_remapping_op(
            self.new_file,
            self.old_file,
            new_vocab_offset=first,
            num_new_vocab=count,
            old_vocab_size=self.old_size,
        )


def remapped_matrix(
    ckpt_path: str,
    old_tensor_name: str,
    rows: Axis,
    columns: Axis,
    initializer: Initializer | None,
    shape: Sequence[int],
    first_row: int = 0,
    max_rows_in_memory: int = -1,
) -> Tensor:
    """A matrix, float32 [rows, columns] with those for words outside of the vocabulary last, or some of its rows.

    Args:
      ckpt_path: the checkpoint.
      old_tensor_name: the matrix in it, float32.
      rows, columns: the vocabularies.
      initializer: gives values, by shape, for what the checkpoint does not have; None: zeros.
      shape: the shape of what is wanted: as many rows as it says, from `first_row` on.
      first_row: the first row that is wanted.
      max_rows_in_memory: accepted for compatibility.

    Raises:
      ValueError: there are not so many rows, or another number of columns.
    """
    fill = Zeros() if initializer is None else initializer
    count, width = (int(size) for size in shape)
    _check_shape(rows, columns, count, width, first_row)
    oov_rows = min(count, max(0, first_row + count - rows.size))
    count -= oov_rows
    row_ids, known_rows = rows.remapping(first_row, count)
    if columns.new_file is None:
        column_ids, known_columns = np.empty(0, np.int64), columns.size  # columns stay as they are
    else:
        column_ids, known_columns = columns.remapping(0, columns.size)
    missing = count * columns.size - known_rows * known_columns
    matrix = load_and_remap_matrix_op(
        ckpt_path,
        old_tensor_name,
        row_ids,
        column_ids,
        fill([missing, 1]),
        num_rows=count,
        num_cols=columns.size,
        max_rows_in_memory=max_rows_in_memory,
    )
    if oov_rows:
        matrix = concat([matrix, fill([oov_rows, columns.size])], 0)
    if columns.oov_buckets:
        matrix = concat([matrix, fill([count + oov_rows, columns.oov_buckets])], 1)
    return matrix


def _check_shape(rows: Axis, columns: Axis, count: int, width: int, first_row: int) -> None:
    if width != columns.size + columns.oov_buckets:
        raise ValueError(
            f"Unexpected value for shape[1]: expected new_col_vocab_size ({columns.size}) + num_col_oov_buckets "
            f"({columns.oov_buckets}), received {width}"
        )
    height = rows.size + rows.oov_buckets
    if first_row + count > height:
        raise ValueError(
            f"Trying to initialize {count} additional rows after {first_row} rows have already been initialized, which "
            f"would exceed expected total row count of new_row_vocab_size ({rows.size}) + num_row_oov_buckets "
            f"({rows.oov_buckets}) = {height}."
        )


@export(v1=["contrib.framework.load_and_remap_matrix_initializer"])
def load_and_remap_matrix_initializer(
    ckpt_path: str,
    old_tensor_name: str,
    new_row_vocab_size: int,
    new_col_vocab_size: int,
    old_row_vocab_size: int = -1,
    old_row_vocab_file: str | None = None,
    new_row_vocab_file: str | None = None,
    old_col_vocab_file: str | None = None,
    new_col_vocab_file: str | None = None,
    num_row_oov_buckets: int = 0,
    num_col_oov_buckets: int = 0,
    initializer: Initializer | None = None,
    max_rows_in_memory: int = -1,
) -> Initializer:
    """An initialiser that takes a matrix from a checkpoint over to other vocabularies of its rows and columns.

    Args:
      ckpt_path: the checkpoint.
      old_tensor_name: the matrix in it, float32.
      new_row_vocab_size, new_col_vocab_size: how many entries the new vocabularies have.
      old_row_vocab_size: how many entries of the old vocabulary of the rows count; -1: all.
      old_row_vocab_file, new_row_vocab_file: the vocabularies of the rows, a word a line; None: rows stay as they are.
      old_col_vocab_file, new_col_vocab_file: those of the columns.
      num_row_oov_buckets, num_col_oov_buckets: how many rows and columns follow for words outside of the vocabulary.
      initializer: gives values for what the checkpoint does not have; default: zeros.
      max_rows_in_memory: accepted for compatibility.

    Returns:
      A function `f(shape, dtype, partition_info)`.

    Raises:
      ValueError: a vocabulary is given for one of the checkpoint and the new matrix only.
      TypeError: `initializer` is no function.
    """
    rows = Axis(
        new_row_vocab_size, num_row_oov_buckets, new_row_vocab_file, old_row_vocab_file, old_row_vocab_size
    )
    columns = Axis(new_col_vocab_size, num_col_oov_buckets, new_col_vocab_file, old_col_vocab_file)
    for what, axis in (("row", rows), ("col", columns)):
        if (axis.new_file is None) != (axis.old_file is None):
            raise ValueError(f"old_{what}_vocab_file and new_{what}_vocab_file must either both be specified or both "
                             "be left unspecified.")  # fmt: skip
    if initializer is not None and not callable(initializer):
        raise TypeError(f"initializer must be callable, instead of being {initializer} of type {type(initializer)}.")

    def initialize(shape: Sequence[int], dtype: Any = dtypes.float32, partition_info: Any = None) -> Tensor:
        if dtypes.as_dtype(dtype).base_dtype is not dtypes.float32:
            raise ValueError(f"Currently, only float32 is supported. Received dtype: {dtype}")
        first_row = 0 if partition_info is None else partition_info.single_offset(shape=shape)
        return remapped_matrix(
            ckpt_path, old_tensor_name, rows, columns, initializer, shape, first_row, max_rows_in_memory
        )

    return initialize


@export(v1=["contrib.framework.load_embedding_initializer"])
def load_embedding_initializer(
    ckpt_path: str,
    embedding_tensor_name: str,
    new_vocab_size: int,
    embedding_dim: int,
    old_vocab_file: str,
    new_vocab_file: str,
    old_vocab_size: int = -1,
    num_oov_buckets: int = 0,
    initializer: Initializer | None = None,
    max_rows_in_memory: int = -1,
) -> Initializer:
    """An initialiser of embeddings [new_vocab_size + num_oov_buckets, embedding_dim] from those of another vocabulary.

    For the arguments see `load_and_remap_matrix_initializer`; `initializer` is by default a truncated normal
    distribution with the standard deviation 1 / sqrt(embedding_dim).
    """
    if initializer is None:
        initializer = TruncatedNormal(stddev=embedding_dim**-0.5)
    return load_and_remap_matrix_initializer(
        ckpt_path,
        embedding_tensor_name,
        new_vocab_size,
        embedding_dim,
        old_row_vocab_size=old_vocab_size,
        old_row_vocab_file=old_vocab_file,
        new_row_vocab_file=new_vocab_file,
        num_row_oov_buckets=num_oov_buckets,
        initializer=initializer,
        max_rows_in_memory=max_rows_in_memory,
    )
