"""Label sequences from the outputs of connectionist temporal classification, greedily and by beam search."""
from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np

from millstream.core import dtypes, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.ops import shape_ops
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import equal, less, logical_and, not_equal
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.join_ops import concat, stack
from millstream.ops.math_ops import argmax, cumsum
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_max, reduce_sum
from millstream.ops.reshape_ops import expand_dims
from millstream.ops.scatter_ops import scatter_nd
from millstream.ops.select_ops import boolean_mask, where, where_v2

# --- Shared by the decoders ---------------------------------------------------------------------------------


def _check_decoding(inputs: Any, lengths: Any) -> None:
    time, batch, _ = inputs.shape
    if not inputs.size:
        raise ValueError("inputs must not be empty")
    if len(lengths) != batch:
        sizes = f"len(sequence_length):  {len(lengths)} batch_size: {batch}"
        raise errors.FailedPreconditionError(None, None, f"len(sequence_length) != batch_size.  {sizes}")
    for index in np.flatnonzero(lengths > time)[:1]:
        raise errors.FailedPreconditionError(None, None, f"sequence_length({index}) <= {time}")


def _sparse(rows: list[Any]) -> tuple[Any, Any, Any]:
    """The parts of a sparse matrix whose rows are these sequences."""
    width = max(map(len, rows), default=0)
    indices = [(row, column) for row, labels in enumerate(rows) for column in range(len(labels))]
    values = [label for labels in rows for label in labels]
    shape = np.array([len(rows), width], np.int64)
    return np.array(indices, np.int64).reshape(-1, 2), np.array(values, np.int64), shape


def _without_repetitions(labels: Any) -> Any:
    labels = np.asarray(labels)
    return labels[np.append(True, labels[1:] != labels[:-1])] if len(labels) else labels


def _batch_size(c: ShapeContext) -> int | None:
    (lengths,) = c.require_rank(1, 1)
    return shapes.merge_dim(c.require_rank(0, 3)[1], lengths)


# --- Greedy -------------------------------------------------------------------------------------------------


@op(
    "CTCGreedyDecoder(inputs: T, sequence_length: int32, *, merge_repeated: bool = False)"
    " -> decoded_indices: int64, decoded_values: int64, decoded_shape: int64, log_probability: T",
    T="float double = float", shape=lambda c: [(None, 2), (None,), (2,), (_batch_size(c), 1)], host=True,
)  # fmt: skip
def ctc_greedy_decoder_op(xp, inputs, sequence_length, *, merge_repeated):
    _check_decoding(inputs, sequence_length)
    best = np.argmax(inputs, axis=2)
    rows = []
    for index, length in enumerate(sequence_length):
        labels = best[: max(length, 0), index]
        labels = _without_repetitions(labels) if merge_repeated else labels
        rows.append(labels[labels != inputs.shape[2] - 1])
    used = np.arange(len(inputs))[:, None] < sequence_length
    total = np.sum(np.max(inputs, axis=2) * used, axis=0, dtype=inputs.dtype)
    return *_sparse(rows), 0 - total[:, None]


ctc_greedy_decoder_op.no_gradient("the best labels are a choice")

Decoded = tuple[list[SparseTensor], Tensor]


@export(v1=["nn.ctc_greedy_decoder"])
def ctc_greedy_decoder(inputs: Any, sequence_length: Any, merge_repeated: bool = True) -> Decoded:
    """The labels of the most probable alignment, that of the greatest logit at each time.

    Args:
      inputs: float32 or float64 logits, shape [time, batch, num_classes]; class `num_classes - 1` is the blank.
      sequence_length: int32 [batch].
      merge_repeated: whether a class that comes several times without a blank between stands for one label.

    Returns:
      a list of one int64 `SparseTensor` [batch, max_length]; and minus the sum of the logits, [batch, 1].

    Raises:
      FailedPreconditionError: when it runs and a length is greater than the time.
    """
    indices, values, shape, negative = ctc_greedy_decoder_op(inputs, sequence_length, merge_repeated=merge_repeated)
    return [SparseTensor(indices, values, shape)], negative


@export(v2=["nn.ctc_greedy_decoder"])
def ctc_greedy_decoder_v2(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: int | None = None
) -> Decoded:
    """The labels of the most probable alignment, that of the greatest logit at each time.

    Args:
      inputs: float32 or float64 logits, shape [time, batch, num_classes].
      sequence_length: int32 [batch].
      merge_repeated: whether a class that comes several times without a blank between stands for one label.
      blank_index: the class that stands for no label, negative: from the end; default: the last class.

    Returns:
      a list of one int64 `SparseTensor` [batch, max_length]; and minus the sum of the logits, [batch, 1].

    Raises:
      ValueError: `blank_index` is no class.
      FailedPreconditionError: when it runs and a length is greater than the time.
    """
    if blank_index is None or blank_index == -1:
        return ctc_greedy_decoder(inputs, sequence_length, merge_repeated)
    inputs = to_tensor(inputs, name="inputs")
    inputs, blank, _ = with_last_blank(inputs, blank_index)
    (found,), negative = ctc_greedy_decoder(inputs, sequence_length, merge_repeated)
    values = where(found.values < cast(blank, dtypes.int64), found.values, found.values + 1)
    return [SparseTensor(found.indices, values, found.dense_shape)], negative


def with_last_blank(logits: Tensor, index: int) -> tuple[Tensor, Any, Any]:
    """Logits [time, batch, classes] with the blank's moved to the end, its number before, and its number now.

    Raises:
      ValueError: there is no class of that number.
    """
    known = logits._shape[2] if logits._shape else None
    if known is not None and not -known <= index < known:
        raise ValueError(f"blank_index expected to be between {-known} and {known - 1} but was {index}")
    classes = shape_ops.shape(logits)[2] if known is None else known
    blank = index + classes if index < 0 else index
    moved = concat([logits[:, :, :blank], logits[:, :, blank + 1 :], logits[:, :, blank : blank + 1]], 2)
    return moved, blank, classes - 1


# --- Beam search --------------------------------------------------------------------------------------------


class _Beam(NamedTuple):
    """Prefixes of label sequences, the most probable first, and the logarithms of their probabilities."""

    prefixes: list[tuple[int, ...]]
    with_blank: Any  # of the alignments that end in a blank
    with_label: Any  # of those that end in the last label

    @property
    def total(self) -> Any:
        return np.logaddexp(self.with_blank, self.with_label)


def _extended(beam: _Beam, log_probability: Any, width: int) -> _Beam:
    """The beam after one more input, whose last class is the blank."""
    total = beam.total
    last = np.array([prefix[-1] if prefix else -1 for prefix in beam.prefixes])
    # The probability of each prefix with each label added: after the same label there must have been a blank.
    labels = np.arange(len(log_probability) - 1)
    grown = np.where(last[:, None] == labels, beam.with_blank[:, None], total[:, None]) + log_probability[:-1]
    with_label = np.where(last >= 0, beam.with_label + log_probability[last], -np.inf)
    number = {prefix: index for index, prefix in enumerate(beam.prefixes)}
    children: list[dict[int, int]] = [{} for _ in last]  # the labels that make a prefix another one of the beam
    for index, prefix in enumerate(beam.prefixes):
        parent = number.get(prefix[:-1]) if prefix else None
        if parent is not None:
            children[parent][prefix[-1]] = index
            with_label[index] = np.logaddexp(with_label[index], grown[parent, prefix[-1]])
    with_blank = total + log_probability[-1]
    found = []
    for _, parent, label in _greatest(np.logaddexp(with_blank, with_label), total, grown, children, width):
        if label < 0:
            found.append((beam.prefixes[parent], with_blank[parent], with_label[parent]))
        else:
            found.append(((*beam.prefixes[parent], label), -np.inf, grown[parent, label]))
    prefixes, blanks, ends = zip(*found, strict=True)
    return _Beam(list(prefixes), np.array(blanks), np.array(ends))


_Candidate = tuple[float, int, int]  # its probability, the prefix, and the label that is added to it or -1


def _greatest(
    stays: Any, total: Any, grown: Any, children: list[dict[int, int]], width: int
) -> list[_Candidate]:
    """The `width` most probable candidates, the greatest first, chosen in TensorFlow's order.

    A prefix that has been pushed out when the prefix it grew from is looked at, is not grown itself.
    """
    heap: list[_Candidate] = [(score, index, -1) for index, score in enumerate(stays.tolist()) if score > -np.inf]
    heapq.heapify(heap)
    out: set[int] = set()
    closed: set[int] = set()
    for parent, score in enumerate(total.tolist()):
        bottom = heap[0][0] if len(heap) == width else -np.inf
        if parent in closed or score <= bottom:
            continue
        promising = set(np.flatnonzero(grown[parent] > bottom).tolist())
        for label in sorted(promising.union(children[parent])):
            child = children[parent].get(label)
            candidate = (float(grown[parent, label]), parent, label)
            if child is not None:
                closed.update({child} & out)
            elif len(heap) < width:
                heapq.heappush(heap, candidate)
            elif candidate[0] > heap[0][0]:
                _, index, added = heapq.heapreplace(heap, candidate)
                out.update({index} if added < 0 else ())
    return sorted(heap, reverse=True)


def _search(logits: Any, width: int) -> _Beam:
    """Prefix beam search over one sequence's logits [time, classes]."""
    logits = logits.astype(np.float64)
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_probability = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    beam = _Beam([()], np.zeros(1), np.full(1, -np.inf))
    with np.errstate(invalid="ignore"):
        for now in log_probability:
            beam = _extended(beam, now, width)
    return beam


def _beam_shapes(c: ShapeContext) -> Any:
    paths, batch = c.attrs["top_paths"], _batch_size(c)
    return [*[(None, 2)] * paths, *[(None,)] * paths, *[(2,)] * paths, (batch, paths)]


@op(
    "CTCBeamSearchDecoder(inputs: T, sequence_length: int32, *, beam_width: int >= 1, top_paths: int >= 1, "
    "merge_repeated: bool = True) -> decoded_indices: top_paths*int64, decoded_values: top_paths*int64, "
    "decoded_shape: top_paths*int64, log_probability: T",
    T="float double = float", shape=_beam_shapes, host=True,
)  # fmt: skip
def ctc_beam_search_decoder_op(xp, inputs, sequence_length, *, beam_width, top_paths, merge_repeated):
    _check_decoding(inputs, sequence_length)
    if top_paths > beam_width:
        raise ValueError("requested more paths than the beam width.")
    rows: list[list[Any]] = [[] for _ in range(top_paths)]
    log_probability = np.zeros((len(sequence_length), top_paths), inputs.dtype)
    for index, length in enumerate(sequence_length):
        beam = _search(inputs[: max(length, 0), index], beam_width)
        if len(beam.prefixes) < top_paths:
            raise ValueError("Less leaves in the beam search than requested.")
        log_probability[index] = beam.total[:top_paths]
        for path, prefix in zip(rows, beam.prefixes, strict=False):
            path.append(_without_repetitions(prefix) if merge_repeated else prefix)
    indices, values, dense_shapes = zip(*map(_sparse, rows), strict=True)
    return list(indices), list(values), list(dense_shapes), log_probability


ctc_beam_search_decoder_op.no_gradient("the best labels are a choice")


@export(v1=["nn.ctc_beam_search_decoder"])
def ctc_beam_search_decoder(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1, merge_repeated: bool = True
) -> Decoded:
    """The most probable label sequences, summed over their alignments, by a beam search over prefixes.

    Args:
      inputs: float32 or float64 logits, shape [time, batch, num_classes]; class `num_classes - 1` is the blank.
      sequence_length: int32 [batch].
      beam_width: how many prefixes are kept.
      top_paths: how many sequences are given, at most `beam_width`.
      merge_repeated: makes one label of equal neighbours in the result. That is hardly ever what is wanted: two equal
        labels are found only where there is a blank between them.

    Returns:
      a list of `top_paths` int64 `SparseTensor`s [batch, max_length], the most probable sequences first; and the
      logarithms of their probabilities, [batch, top_paths].

    Raises:
      InvalidArgumentError: when it runs: more paths than the beam is wide, or than there are sequences.
    """
    indices, values, dense_shapes, log_probability = ctc_beam_search_decoder_op(
        inputs, sequence_length, beam_width=beam_width, top_paths=top_paths, merge_repeated=merge_repeated
    )
    return [SparseTensor(*parts) for parts in zip(indices, values, dense_shapes, strict=True)], log_probability


@export(v1=["nn.ctc_beam_search_decoder_v2"], v2=["nn.ctc_beam_search_decoder"])
def ctc_beam_search_decoder_v2(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> Decoded:
    """The most probable label sequences, summed over their alignments, by a beam search over prefixes.

    Args:
      inputs: float32 or float64 logits, shape [time, batch, num_classes]; class `num_classes - 1` is the blank.
      sequence_length: int32 [batch].
      beam_width: how many prefixes are kept.
      top_paths: how many sequences are given, at most `beam_width`.

    Returns:
      a list of `top_paths` int64 `SparseTensor`s [batch, max_length], the most probable sequences first; and the
      logarithms of their probabilities, [batch, top_paths].

    Raises:
      InvalidArgumentError: when it runs: more paths than the beam is wide, or than there are sequences.
    """
    return ctc_beam_search_decoder(inputs, sequence_length, beam_width, top_paths, merge_repeated=False)


# --- Label sequences ----------------------------------------------------------------------------------------


@export("nn.collapse_repeated")
def collapse_repeated(labels: Any, seq_length: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Makes one label of equal neighbours.

    Args:
      labels: integers [batch, length].
      seq_length: integers [batch], how many labels of each sequence count.
      name: the scope of the operations.

    Returns:
      the labels, [batch, new length], filled up with 0; and how many labels each sequence has, of the dtype of
      `seq_length`.

    Example:
      >>> tf.nn.collapse_repeated([[3, 3, 4, 3]], [4])          # [[3, 4, 3]], [3]
    """
    with name_scope(name, "collapse_repeated_labels", [labels, seq_length]):
        labels = to_tensor(labels, name="labels")
        seq_length = to_tensor(seq_length, name="seq_length")
        batch, length = shape_ops.shape(labels)[0], shape_ops.shape(labels)[1]
        changes = concat([ones_like(labels[:, :1], dtypes.bool_), not_equal(labels[:, 1:], labels[:, :-1])], 1)
        column = range_of(length)
        kept = logical_and(changes, less(cast(column, seq_length.dtype), expand_dims(seq_length, 1)))
        count = reduce_sum(cast(kept, dtypes.int32), 1)
        place = cumsum(cast(kept, dtypes.int32), 1, exclusive=True)
        row = expand_dims(range_of(batch), 1) + zeros_like(place)
        indices = boolean_mask(stack([row, place], -1), kept)
        width = reduce_max(concat([count, [0]], 0))
        collapsed = scatter_nd(indices, boolean_mask(labels, kept), stack([batch, width]))
        return collapsed, cast(count, seq_length.dtype)


@export("nn.ctc_unique_labels")
def ctc_unique_labels(labels: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The distinct labels of each sequence, in the order in which they come, for `tf.nn.ctc_loss`.

    Args:
      labels: integers [batch, length], filled up with 0.
      name: the scope of the operations.

    Returns:
      the distinct labels, int64 [batch, length], filled up with 0; and for each label its place among these, int32.

    Example:
      >>> tf.nn.ctc_unique_labels([[3, 4, 4, 3]])               # [[3, 4, 0, 0]], [[0, 1, 1, 0]]
    """
    with name_scope(name, "ctc_unique_labels", [labels]):
        labels = to_tensor(labels, name="labels")
        column = range_of(shape_ops.shape(labels)[1])
        equal_pairs = equal(expand_dims(labels, 2), expand_dims(labels, 1))
        first = argmax(cast(equal_pairs, dtypes.int32), 2, output_type=dtypes.int32)
        is_first = equal(first, column)
        place = cumsum(cast(is_first, dtypes.int32), 1, exclusive=True)
        at_first = equal(expand_dims(first, 2), column)
        index = reduce_sum(where_v2(at_first, expand_dims(place, 1), 0), 2)
        chosen = logical_and(expand_dims(is_first, 2), equal(expand_dims(place, 2), column))
        distinct = reduce_sum(where_v2(chosen, expand_dims(cast(labels, dtypes.int64), 2), np.int64(0)), 1)
        return distinct, index
