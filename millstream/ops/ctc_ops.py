"""Connectionist temporal classification: the loss of label sequences that are not aligned with the inputs.

A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification: Labelling Unsegmented
Sequence Data with Recurrent Neural Networks, ICML 2006, pp. 369-376.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from millstream.core import dtypes, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import minimum
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, is_inf, logical_or
from millstream.ops.constant_op import constant
from millstream.ops.ctc_decoder_ops import with_last_blank
from millstream.ops.fill_ops import zeros_like
from millstream.ops.identity_ops import prevent_gradient
from millstream.ops.join_ops import stack, unstack
from millstream.ops.math_ops import range as range_of
from millstream.ops.pad_ops import pad
from millstream.ops.reshape_ops import expand_dims, reshape, transpose
from millstream.ops.select_ops import where, where_v2
from millstream.ops.shape_ops import shape as shape_of

# --- The lattice --------------------------------------------------------------------------------------------

# What the loss of dense labels is where they cannot be aligned with the inputs.
_IMPOSSIBLE = 707.0
_NEVER = -1e30  # the logarithm of probability 0, finite so that differences of it are numbers


class Lattice(NamedTuple):
    """The states of all sequences of a batch, one sequence after the other, each an array [states].

    The states of a sequence are its labels, with a blank before, between and after them. An alignment visits them in
    order: in a step it stays, goes to the next state, or skips a blank between two different labels.
    """

    sequence: Any  # which sequence it belongs to
    symbol: Any  # the class that the state emits
    offset: Any  # its number within the sequence
    stays: Any  # whether an alignment may come from the same state
    skips: Any  # whether it may come from the state before the one before
    last: Any  # [sequences] the final state, the blank after the last label


def lattice(xp: Any, sequence: Any, labels: Any, lengths: Any, blank: int, merge_repeated: bool) -> Lattice:
    """The states for `labels`, which belong to ascending `sequence` numbers, `lengths` of them to each sequence.

    Labels equal to `blank` fill up the end of a sequence, and count neither in `lengths` nor in an alignment.
    """
    batch, count = len(lengths), len(labels)
    given = xp.zeros(batch, np.int32).at[sequence].add(1)
    first = 2 * (xp.cumsum(given) - given) + xp.arange(batch, dtype=np.int32)
    of_state = xp.cumsum(xp.zeros(2 * count + batch, np.int32).at[first].set(1)) - 1
    places = 2 * xp.arange(count, dtype=np.int32) + 1 + sequence
    symbol = xp.full(2 * count + batch, blank, np.int32).at[places].set(labels)
    offset = xp.arange(2 * count + batch, dtype=np.int32) - first[of_state]
    is_blank = symbol == blank
    same = symbol == xp.roll(symbol, 2)
    skips = (offset >= 2) & ~is_blank & ~(same & merge_repeated)
    return Lattice(of_state, symbol, offset, is_blank | merge_repeated, skips, first + 2 * lengths)


def negative_log_likelihood(logits: Any, states: Lattice, input_lengths: Any) -> Any:
    """The loss of each sequence: the alignments' probabilities, summed by the forward recursion (equation 6).

    Args:
      logits: [time, sequences, classes].
      states: the labels.
      input_lengths: [sequences].

    Returns:
      [sequences]; at least -_NEVER / 2 where no alignment is possible.
    """
    import jax
    from jax import lax
    from jax import numpy as jnp

    log_probability = jnp.maximum(jax.nn.log_softmax(logits), _NEVER)
    emissions = log_probability[:, states.sequence, states.symbol]
    lengths = input_lengths[states.sequence]

    def step(alpha: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        time, emission = now
        total = jnp.where(states.stays, alpha, _NEVER)
        total = jnp.logaddexp(total, jnp.where(states.offset >= 1, jnp.roll(alpha, 1), _NEVER))
        total = jnp.logaddexp(total, jnp.where(states.skips, jnp.roll(alpha, 2), _NEVER))
        return jnp.where(time < lengths, jnp.maximum(total + emission, _NEVER), alpha), None

    # Before the first input every alignment stands at the first blank.
    start = jnp.where(states.offset == 0, 0.0, _NEVER).astype(logits.dtype)
    alpha, _ = lax.scan(step, start, (jnp.arange(len(logits)), emissions))
    at_label = jnp.where(states.offset[states.last] > 0, alpha[states.last - 1], _NEVER)
    return -jnp.logaddexp(alpha[states.last], at_label)


# --- The operation ------------------------------------------------------------------------------------------


def _loss_shapes(c: ShapeContext) -> Any:
    inputs = c.require_rank(0, 3)
    indices, values = c.require_rank(1, 2), c.require_rank(2, 1)
    shapes.merge_dim(indices[0], values[0])
    (lengths,) = c.require_rank(3, 1)
    batch = shapes.merge_dim(inputs[1], lengths)
    return [(batch,), (inputs[0], batch, inputs[2])]


def _check_lengths(xp: Any, lengths: Any, time: int, batch: int, check: Any) -> None:
    if len(lengths) != batch:
        sizes = f"len(sequence_length):  {len(lengths)} batch_size: {batch}"
        raise ValueError(f"len(sequence_length) != batch_size.  {sizes}")
    if not batch:
        raise ValueError("batch_size must not be 0")
    negative, too_long = lengths < 0, lengths > time
    check(~xp.any(negative), errors.InvalidArgumentError, "seq_len({}) < 0", xp.argmax(negative))
    message = "sequence_length({}) <= {}"
    check(~xp.any(too_long), errors.InvalidArgumentError, message, xp.argmax(too_long), np.int32(time))


def _check_labels(xp: Any, sequence: Any, labels: Any, null: Any, batch: int, check: Any) -> None:
    """Labels must be classes, and stand before the nulls that fill up their sequence."""
    if not len(labels):
        raise ValueError("Labels length is zero in batch 0")
    outside = (sequence < 0) | (sequence >= batch)
    message = "label SparseTensor is not valid: it has a label in batch {}, need 0 <= batch < {}"
    check(~xp.any(outside), errors.InvalidArgumentError, message, sequence[xp.argmax(outside)], np.int32(batch))
    empty = xp.zeros(batch, np.int32).at[sequence].add(1) == 0
    check(~xp.any(empty), errors.InvalidArgumentError, "Labels length is zero in batch {}", xp.argmax(empty))
    in_order = xp.all(sequence[1:] >= sequence[:-1])
    check(in_order, errors.InvalidArgumentError, "label SparseTensor is not valid: its indices are out of order.")
    message = "All labels must be nonnegative integers, batch: {}"
    check(xp.all(labels >= 0), errors.InvalidArgumentError, message, sequence[xp.argmax(labels < 0)])
    after = null[:-1] & ~null[1:] & (sequence[1:] == sequence[:-1])
    message = "Saw a non-null label (index >= num_classes - 1) following a null label, batch: {}"
    place = xp.argmax(after) if len(labels) > 1 else 0
    check(~xp.any(after), errors.InvalidArgumentError, message, sequence[place])


def _collapse(xp: Any, sequence: Any, labels: Any, null: int) -> Any:
    """Leaves one of equal neighbours; nulls at the end of the sequence take the place of the others."""
    same = (labels[1:] == labels[:-1]) & (sequence[1:] == sequence[:-1])
    dropped = xp.concatenate([xp.zeros(min(len(labels), 1), bool), same])
    order = xp.argsort(2 * sequence + dropped, stable=True)
    return xp.where(dropped, null, labels)[order]


def _define(op_type: str, types: str, first_is_blank: bool) -> OpDef:
    """Defines a loss operation.

    Args:
      op_type: the operation's type.
      types: the dtypes of the logits.
      first_is_blank: the blank is class 0, rather than the last one.
    """

    def kernel(
        xp, inputs, labels_indices, labels_values, sequence_length, *,
        preprocess_collapse_repeated, ctc_merge_repeated, ignore_longer_outputs_than_inputs, check,
    ):  # fmt: skip
        """The loss of each sequence, and its gradient with respect to the logits."""
        import jax

        time, batch, classes = inputs.shape
        sequence_length = xp.asarray(sequence_length)
        _check_lengths(xp, sequence_length, time, batch, check)
        sequence, labels = xp.asarray(labels_indices)[:, 0].astype(np.int32), xp.asarray(labels_values)
        blank = 0 if first_is_blank else classes - 1
        null = labels == 0 if first_is_blank else labels >= classes - 1
        _check_labels(xp, sequence, labels, null, batch, check)
        labels = xp.where(null, blank, labels)
        if preprocess_collapse_repeated:
            labels = _collapse(xp, sequence, labels, blank)
        lengths = xp.zeros(batch, np.int32).at[sequence].add(labels != blank)
        enough = lengths <= sequence_length
        if not ignore_longer_outputs_than_inputs:
            at = xp.argmin(enough)
            message = "Not enough time for target transition sequence (required: {}, available: {}){}You can turn this "
            message += "error into a warning by using the flag ignore_longer_outputs_than_inputs"
            check(xp.all(enough), errors.InvalidArgumentError, message, lengths[at], sequence_length[at], at)
        states = lattice(xp, sequence, labels, lengths, blank, ctc_merge_repeated)
        loss, pull_back = jax.vjp(lambda x: negative_log_likelihood(x, states, sequence_length), inputs)
        (gradient,) = pull_back(xp.ones_like(loss))
        impossible = loss >= -_NEVER / 2
        used = (xp.arange(time)[:, None] < sequence_length)[:, :, None]
        gradient = xp.where(impossible[:, None], used * jax.nn.softmax(inputs), gradient)
        loss = xp.where(impossible, xp.inf, loss)
        return xp.where(enough, loss, 0), xp.where(enough[:, None], gradient, 0)

    typed = "T" if " " in types else types
    return op(
        f"{op_type}(inputs: {typed}, labels_indices: int64, labels_values: int32, sequence_length: int32, *, "
        "preprocess_collapse_repeated: bool = False, ctc_merge_repeated: bool = True, "
        f"ignore_longer_outputs_than_inputs: bool = False) -> loss: {typed}, gradient: {typed}",
        shape=_loss_shapes, traced_only=True, **({"T": types} if typed == "T" else {}),
    )(kernel)  # fmt: skip


ctc_loss_op = _define("CTCLoss", "float double = float", first_is_blank=False)
ctc_loss_v2_op = _define("CTCLossV2", "float", first_is_blank=True)


@ctc_loss_op.gradient
@ctc_loss_v2_op.gradient
def _(op, grad_loss, _):
    backprop = prevent_gradient(
        op.outputs[1],
        message="Currently there is no way to take the second derivative of ctc_loss due to the fused "
        "implementation's interaction with tf.gradients()",
    )
    return reshape(grad_loss, [1, -1, 1]) * backprop, None, None, None


# --- Public functions ---------------------------------------------------------------------------------------


@export(v1=["nn.ctc_loss"])
def ctc_loss(
    labels: Any,
    inputs: Any = None,
    sequence_length: Any = None,
    preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True,
    ignore_longer_outputs_than_inputs: bool = False,
    time_major: bool = True,
    logits: Any = None,
) -> Tensor:
    """The CTC loss (Graves et al. 2006): minus the log-probability of the labels, over all their alignments.

    Args:
      labels: an int32 `SparseTensor` of shape [batch, max_label_length], in row-major order, with at least one label
        for each sequence. Class `num_classes - 1` is the blank; in labels it fills up the end.
      inputs, logits: float32 or float64, shape [time, batch, num_classes] (two names of one argument); no softmax has
        been applied to it.
      sequence_length: int32 [batch], how many inputs count.
      preprocess_collapse_repeated: makes one label of equal neighbours first.
      ctc_merge_repeated: if False, neighbouring outputs that are equal stand for several labels.
      ignore_longer_outputs_than_inputs: gives a loss of 0 where there are more labels than inputs.
      time_major: if False, `inputs` has the shape [batch, time, num_classes].
      logits: see `inputs`.

    Returns:
      [batch], of the dtype of `inputs`; infinite where the labels cannot be aligned.

    Raises:
      TypeError: `labels` is not sparse.
      InvalidArgumentError: when it runs: there are more labels than inputs, or labels that are no classes.
    """
    if not isinstance(labels, SparseTensor):
        raise TypeError("Expected labels (first argument) to be a SparseTensor")
    inputs = to_tensor(renamed("logits", logits, "inputs", inputs), name="logits")
    if not time_major:
        inputs = transpose(inputs, [1, 0, 2])
    return ctc_loss_op(
        inputs, labels.indices, labels.values, sequence_length,
        preprocess_collapse_repeated=preprocess_collapse_repeated, ctc_merge_repeated=ctc_merge_repeated,
        ignore_longer_outputs_than_inputs=ignore_longer_outputs_than_inputs,
    )[0]  # fmt: skip


@export(v1=["nn.ctc_loss_v2"], v2=["nn.ctc_loss"])
def ctc_loss_v2(
    labels: Any,
    logits: Any,
    label_length: Any,
    logit_length: Any,
    logits_time_major: bool = True,
    unique: Any = None,
    blank_index: int | None = None,
    name: str | None = None,
) -> Tensor:
    """The CTC loss (Graves et al. 2006): minus the log-probability of the labels, over all their alignments.

    Args:
      labels: integers [batch, max_label_length], or a `SparseTensor` of this shape.
      logits: float32 or float64, shape [time, batch, num_classes]; no softmax has been applied to it.
      label_length: int32 [batch], how many labels count; None where `labels` is sparse.
      logit_length: int32 [batch], how many inputs count.
      logits_time_major: if False, `logits` has the shape [batch, time, num_classes].
      unique: accepted for compatibility (what `tf.nn.ctc_unique_labels(labels)` gives).
      blank_index: the class that stands for no label, negative: from the end; default 0, for dense labels.
      name: the scope of the operations.

    Returns:
      [batch], of the dtype of `logits`; 707 where dense labels cannot be aligned, else infinite.

    Raises:
      ValueError: `blank_index` is no class, or is missing for sparse labels.

    Example:
      >>> tf.nn.ctc_loss([[1, 2]], logits, label_length=[2], logit_length=[5])          # logits: [5, 1, 3]
    """
    is_sparse = isinstance(labels, SparseTensor)
    if is_sparse and blank_index is None:
        raise ValueError("Argument `blank_index` must be provided when `labels` is a `SparseTensor`.")
    with name_scope(name, "ctc_loss"):
        logits = to_tensor(logits, name="logits")
        if not logits_time_major:
            logits = transpose(logits, [1, 0, 2])
        wide = cast(logits, dtypes.float32) if logits.dtype.size == 2 else logits
        wide, blank, last = with_last_blank(wide, blank_index or 0)
        if is_sparse:
            values = _without_blank(labels.values, blank)
            labels = SparseTensor(labels.indices, values, labels.dense_shape)
            return cast(ctc_loss(labels, wide, logit_length), logits.dtype)
        labels = _as_sparse(_without_blank(to_tensor(labels, name="labels"), blank), label_length, last)
        lengths = minimum(cast(logit_length, dtypes.int32), shape_of(logits)[0])
        loss = ctc_loss(labels, wide, lengths, ignore_longer_outputs_than_inputs=True)
        impossible = logical_or(is_inf(loss), greater(label_length, lengths))
        return cast(where_v2(impossible, constant(_IMPOSSIBLE, loss.dtype), loss), logits.dtype)


def _without_blank(labels: Tensor, blank: Any) -> Tensor:
    """The numbers of classes after the blank has been moved to the end."""
    labels = cast(labels, dtypes.int32)
    return where(labels < blank, labels, labels - 1)


def _as_sparse(labels: Tensor, label_length: Any, null: Any) -> SparseTensor:
    """Dense labels [batch, length] as sparse ones, each sequence filled up with nulls, at least one."""
    labels = pad(labels, [[0, 0], [0, 1]])
    batch, length = unstack(shape_of(labels), 2)
    column = range_of(length)
    values = where_v2(column < expand_dims(label_length, 1), labels, null)
    places = stack([expand_dims(range_of(batch), 1) + zeros_like(labels), column + zeros_like(labels)], -1)
    shape = cast(stack([batch, length]), dtypes.int64)
    return SparseTensor(cast(reshape(places, [-1, 2]), dtypes.int64), reshape(values, [-1]), shape)
