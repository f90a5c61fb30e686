"""The Levenshtein distance of sequences (V. Levenshtein, Soviet Physics Doklady 10, 1966)."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.sparse_tensor import SparseTensor, SparseTensorValue
from millstream.core.tensor import Tensor


def _distances_shape(c: ShapeContext) -> Any:
    first, second = c.constant(2), c.constant(5)
    if first is None or second is None:
        return None
    if len(first) != len(second):
        raise ValueError(f"Expected both sparse tensors to have one rank, but they have {len(first)} and {len(second)}")
    return tuple(int(size) for size in np.maximum(first, second)[:-1])


def _sequences(indices: Any, values: Any) -> dict[tuple[int, ...], list[Any]]:
    """The elements of each row, a row being what has the same indices but for the last."""
    rows: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for index, value in zip(indices.tolist(), values.tolist(), strict=True):
        rows[tuple(index[:-1])].append(value)
    return rows


def levenshtein(first: Sequence[Any], second: Sequence[Any]) -> int:
    """How many elements must be put in, taken out or replaced to make one sequence the other."""
    row = list(range(len(second) + 1))
    for i, element in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (element != other))
    return row[-1]


@op(
    "EditDistance(hypothesis_indices: int64, hypothesis_values: T, hypothesis_shape: int64, truth_indices: int64, "
    "truth_values: T, truth_shape: int64, *, normalize: bool = true) -> output: float",
    T=ANY, shape=_distances_shape, host=True,
)  # fmt: skip
def edit_distance_op(
    xp, hypothesis_indices, hypothesis_values, hypothesis_shape, truth_indices, truth_values, truth_shape, *, normalize
):
    if hypothesis_shape.shape != truth_shape.shape:
        raise ValueError(
            f"Expected hypothesis_shape.NumElements == truth_shape.NumElements, but saw: "
            f"{hypothesis_shape.size} and {truth_shape.size}"
        )
    output = np.zeros(np.maximum(hypothesis_shape, truth_shape)[:-1], np.float32)
    guesses, truths = _sequences(hypothesis_indices, hypothesis_values), _sequences(truth_indices, truth_values)
    for place in guesses.keys() | truths.keys():
        guess, truth = guesses.get(place, []), truths.get(place, [])
        distance = float(levenshtein(guess, truth))
        output[place] = (distance / len(truth) if truth else np.inf) if normalize else distance
    return output


edit_distance_op.no_gradient("counts")


@export("edit_distance")
def edit_distance(hypothesis: Any, truth: Any, normalize: bool = True, name: str = "edit_distance") -> Tensor:
    """The Levenshtein distance of each sequence of `hypothesis` from that of `truth`.

    Args:
      hypothesis: a `SparseTensor` of rank r, with sequences along the last dimension.
      truth: a `SparseTensor` of that rank and dtype.
      normalize: divides by the length of the true sequence; the distance from an empty one is then infinite.
      name: the operation's name.

    Returns:
      float32 of rank r - 1.

    Raises:
      TypeError: an argument is not sparse.
    """
    for given, what in ((hypothesis, "Hypothesis"), (truth, "Truth")):
        if not isinstance(given, (SparseTensor, SparseTensorValue)):
            raise TypeError(f"{what} must be a SparseTensor.")
    return edit_distance_op(*_parts(hypothesis), *_parts(truth), normalize=normalize, name=name)


def _parts(sparse: Any) -> tuple[Any, Any, Any]:
    return sparse.indices, sparse.values, sparse.dense_shape
