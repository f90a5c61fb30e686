"""Taking a trained matrix over to another vocabulary: rows and columns of a checkpoint in a new order."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import format_shape
from millstream.io import bundle, gfile
from millstream.io.checkpoint_reader import open_checkpoint

Array = np.ndarray[Any, Any]


def _remapping_shapes(c: ShapeContext) -> list[Any]:
    for number in range(2):
        shape = c.shape(number)
        if shape:
            raise ValueError(f"Shape must be rank 0 but is rank {len(shape)}")
    return [(c.attr("num_new_vocab"),), ()]


@op(
    "GenerateVocabRemapping(new_vocab_file: string, old_vocab_file: string, *, new_vocab_offset: int >= 0,"
    " num_new_vocab: int >= 0, old_vocab_size: int >= -1 = -1) -> remapping: int64, num_present: int32",
    shape=_remapping_shapes,
    host=True,
)
def generate_vocab_remapping_op(xp, new_vocab_file, old_vocab_file, *, new_vocab_offset, num_new_vocab, old_vocab_size):
    old = _old_ids(_text(old_vocab_file), old_vocab_size)
    words = _lines(_text(new_vocab_file), new_vocab_offset, num_new_vocab)
    remapping = np.array([old.get(word, -1) for word in words], np.int64)
    return remapping, np.int32((remapping >= 0).sum())


def _old_ids(path: str, size: int) -> dict[str, int]:
    """Line numbers by word, of the first `size` lines, or of all where that is -1."""
    words = _all_lines(path)
    if size > len(words):
        message = f"Invalid vocab_size in {path}: expected {size} but got {len(words)}"
        raise errors.InvalidArgumentError(None, None, message)
    ids: dict[str, int] = {}
    for number, word in enumerate(words if size < 0 else words[:size]):
        if ids.setdefault(word, number) != number:
            message = f"HashTable has different value for same key. Key {word} has {ids[word]} and trying to add value"
            raise errors.FailedPreconditionError(None, None, f"{message} {number}")
    return ids


def _lines(path: str, first: int, count: int) -> list[str]:
    words = _all_lines(path)
    if first + count > len(words):
        raise errors.InvalidArgumentError(
            None,
            None,
            "lookup table size must be larger than last new vocab entry's line: "
            f"{path} has {len(words)} lines, lines {first} to {first + count} are asked for",
        )
    return words[first : first + count]


def _all_lines(path: str) -> list[str]:
    with gfile.GFile(path) as file:
        words = [line.rstrip("\r\n") for line in file]
    if "" in words:
        message = f"Invalid content in {path}: empty line found at line {words.index('') + 1}."
        raise errors.InvalidArgumentError(None, None, message)
    return words


@op(
    "LoadAndRemapMatrix(ckpt_path: string, old_tensor_name: string, row_remapping: int64, col_remapping: int64,"
    " initializing_values: float, *, num_rows: int >= 0, num_cols: int >= 1, max_rows_in_memory: int = -1)"
    " -> output_matrix: float",
    shape=lambda c: (c.attr("num_rows"), c.attr("num_cols")),
    stateful=True,
    host=True,
)
def load_and_remap_matrix_op(
    xp, ckpt_path, old_tensor_name, row_remapping, col_remapping, initializing_values, *, num_rows, num_cols
):
    if len(row_remapping) != num_rows:
        message = f"Size of row_remapping is {len(row_remapping)} instead of being equal to num_rows={num_rows}"
        raise errors.InvalidArgumentError(None, None, message)
    if len(col_remapping) not in (0, num_cols):
        message = f"Provided col_remapping, but its size is {len(col_remapping)} instead of being equal to"
        raise errors.InvalidArgumentError(None, None, f"{message} num_cols={num_cols}")
    name = _text(old_tensor_name)
    old = _read_matrix(_text(ckpt_path), name)
    if not len(col_remapping):
        if old.shape[1] != num_cols:
            message = f"Tensor {name} has shape {format_shape(old.shape)}, where the size of its 2nd dimension is"
            raise errors.InvalidArgumentError(
                None, None, f"{message} {old.shape[1]} instead of being equal to num_cols={num_cols}"
            )
        col_remapping = np.arange(num_cols)
    rows, columns = _checked_ids(row_remapping, old.shape[0], "row"), _checked_ids(col_remapping, old.shape[1], "col")
    is_known = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    result = np.empty((num_rows, num_cols), np.float32)
    result[is_known] = old[np.ix_(rows[rows >= 0], columns[columns >= 0])].reshape(-1)
    result[~is_known] = _enough(initializing_values.reshape(-1), num_rows * num_cols - int(is_known.sum()))
    return result


def _read_matrix(path: str, name: str) -> Array:
    with open_checkpoint(path) as reader:
        entry = reader.found(name)
        if entry.dtype.name != "float32":
            message = f"Tensor {name} has invalid type {entry.dtype.name} instead of expected type float"
            raise errors.InvalidArgumentError(None, None, message)
        if len(entry.shape) != 2:
            message = f"Tensor {name} has shape {format_shape(entry.shape)} of invalid rank {len(entry.shape)}"
            raise errors.InvalidArgumentError(None, None, f"{message} instead of expected shape of rank 2.")
        return reader.read(name)


def _checked_ids(ids: Array, size: int, what: str) -> Array:
    """The old place of each new row or column, -1 where there is none; no old place comes twice."""
    seen: dict[int, int] = {}
    for new, old in enumerate(ids.tolist()):
        if old >= size:
            message = f"{what}_remapping[{new}] is {old}, but the old matrix has size {size} there"
            raise errors.InvalidArgumentError(None, None, message)
        if old >= 0 and seen.setdefault(old, new) != new:
            message = f"Old ID {old} is mapped to both new ID {seen[old]} and {new}, which is not supported."
            raise errors.UnimplementedError(None, None, message)
    return ids


def _enough(values: Array, count: int) -> Array:
    if len(values) < count:
        message = f"initializing_values contained {len(values)} elements, but more missing values remain."
        raise errors.InvalidArgumentError(None, None, message)
    if len(values) > count:
        message = f"initializing_values contained {len(values)} elements, but only {count} elements were used to fill"
        raise errors.InvalidArgumentError(None, None, f"{message} in missing values.")
    return values


def _text(value: Array) -> str:
    return bundle.name_of(value.item())


for _definition in (generate_vocab_remapping_op, load_and_remap_matrix_op):
    _definition.no_gradient("files have no derivative")
