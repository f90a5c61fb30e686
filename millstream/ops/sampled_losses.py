"""Losses over many classes that look at the true ones and some drawn ones only."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import fill_ops, join_ops, reshape_ops, shape_ops
from millstream.ops.arithmetic_ops import multiply
from millstream.ops.candidate_sampling_ops import Sampled, compute_accidental_hits, log_uniform_candidate_sampler
from millstream.ops.cross_entropy_ops import sigmoid_cross_entropy_with_logits, softmax_cross_entropy_with_logits_v2
from millstream.ops.elementwise_ops import log
from millstream.ops.embedding_ops import embedding_lookup
from millstream.ops.identity_ops import stop_gradient
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul
from millstream.ops.slice_ops import slice_
from millstream.ops.sparse_to_dense_ops import sparse_to_dense


@export(v1=["nn.nce_loss"])
def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Sampled | None = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation: telling the true classes of an example from drawn ones.

    Args:
      weights: [num_classes, dim], or a list of parts of it, or a partitioned variable.
      biases: [num_classes].
      labels: int64 [batch, num_true], the true classes.
      inputs: [batch, dim], the activations below.
      num_sampled: how many classes to draw, for the whole batch.
      num_classes: the number of classes.
      num_true: how many true classes an example has.
      sampled_values: what a candidate sampler gave; by default `tf.random.log_uniform_candidate_sampler` draws.
      remove_accidental_hits: whether drawn classes that are true ones are left out.
      partition_strategy: how `weights` is cut, "mod" or "div".
      name: the name scope.

    Returns:
      a loss for each example, [batch].

    Source: Gutmann and Hyvärinen, "Noise-contrastive estimation", AISTATS 2010.
    """
    logits, targets = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        partition_strategy, name, None,
    )  # fmt: skip
    losses = sigmoid_cross_entropy_with_logits(labels=targets, logits=logits, name="sampled_losses")
    return _sum_rows(losses)


@export(v2=["nn.nce_loss"])
def nce_loss_v2(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Sampled | None = None,
    remove_accidental_hits: bool = False,
    name: str = "nce_loss",
) -> Tensor:
    """`nce_loss` of 1.x with partitions cut by the "div" strategy."""
    return nce_loss(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        "div", name,
    )  # fmt: skip


@export(v1=["nn.sampled_softmax_loss"])
def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Sampled | None = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss",
    seed: int | None = None,
) -> Tensor:
    """Softmax cross entropy over the true and some drawn classes, corrected for how likely these were drawn.

    For training only: it estimates the full softmax's loss from below. Arguments and result as for `nce_loss`, and
    `seed` of the default sampler.

    Source: Jean et al., "On using very large target vocabulary for neural machine translation", ACL 2015.
    """
    logits, targets = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        partition_strategy, name, seed,
    )  # fmt: skip
    targets = stop_gradient(targets, name="labels_stop_gradient")
    return softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits)


@export(v2=["nn.sampled_softmax_loss"])
def sampled_softmax_loss_v2(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Sampled | None = None,
    remove_accidental_hits: bool = True,
    seed: int | None = None,
    name: str = "sampled_softmax_loss",
) -> Tensor:
    """`sampled_softmax_loss` of 1.x with partitions cut by the "div" strategy."""
    return sampled_softmax_loss(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        "div", name, seed,
    )  # fmt: skip


def _sampled_logits(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int, num_true: int,
    sampled_values: Sampled | None, remove_accidental_hits: bool, partition_strategy: str, name: str, seed: int | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Logits of the true and the drawn classes, less the logarithm of how often each is drawn; and their labels.

    Returns:
      two tensors [batch, num_true + num_sampled].
    """
    tables = list(weights) if isinstance(weights, (list, tuple, PartitionedVariable)) else [weights]
    with name_scope(name, "compute_sampled_logits", [*tables, biases, inputs, labels]):
        inputs = to_tensor(inputs)
        labels = cast(labels, dtypes.int64)
        flat = reshape_ops.reshape(labels, [-1])
        if sampled_values is None:
            sampled_values = log_uniform_candidate_sampler(labels, num_true, num_sampled, True, num_classes, seed)
        drawn, true_expected, drawn_expected = (stop_gradient(value) for value in sampled_values)
        drawn = cast(drawn, dtypes.int64)
        ids = join_ops.concat([flat, drawn], 0)
        rows = cast(embedding_lookup(tables, ids, partition_strategy), inputs.dtype)
        true_rows = slice_(rows, [0, 0], join_ops.stack([shape_ops.shape(flat)[0], -1]))
        drawn_rows = slice_(rows, join_ops.stack([shape_ops.shape(flat)[0], 0]), [-1, -1])
        drawn_logits = matmul(inputs, drawn_rows, transpose_b=True)
        offsets = cast(embedding_lookup(biases, ids, partition_strategy), inputs.dtype)
        true_offsets = slice_(offsets, [0], shape_ops.shape(flat))
        drawn_offsets = slice_(offsets, shape_ops.shape(flat), [-1])
        true_logits = _dots(inputs, true_rows, num_true)
        true_logits = true_logits + reshape_ops.reshape(true_offsets, [-1, num_true])
        drawn_logits = drawn_logits + drawn_offsets
        if remove_accidental_hits:
            drawn_logits = drawn_logits + _hits(labels, drawn, num_true, num_sampled, inputs.dtype)
        true_logits = true_logits - log(cast(true_expected, inputs.dtype))
        drawn_logits = drawn_logits - log(cast(drawn_expected, inputs.dtype))
        logits = join_ops.concat([true_logits, drawn_logits], 1)
        shares = [fill_ops.ones_like(true_logits) / num_true, fill_ops.zeros_like(drawn_logits)]
        return logits, join_ops.concat(shares, 1)


def _dots(inputs: Tensor, rows: Tensor, num_true: int) -> Tensor:
    """The product of each of `inputs` [batch, dim] with its own `num_true` of `rows` [batch * num_true, dim]."""
    dim = shape_ops.shape(rows)[1:2]
    own_rows = join_ops.concat([[-1, num_true], dim], 0)
    products = multiply(reshape_ops.expand_dims(inputs, 1), reshape_ops.reshape(rows, own_rows))
    products = reshape_ops.reshape(products, join_ops.concat([[-1], dim], 0))
    return reshape_ops.reshape(_sum_rows(products), [-1, num_true])


def _hits(labels: Tensor, drawn: Tensor, num_true: int, num_sampled: int, dtype: DType) -> Tensor:
    """[batch, num_sampled]: the lowest float where a drawn class is a true one, else 0."""
    examples, places, weights = compute_accidental_hits(labels, drawn, num_true)
    examples = reshape_ops.reshape(examples, [-1, 1])
    columns = reshape_ops.reshape(cast(places, dtypes.int32), [-1, 1])
    at = join_ops.concat([examples, columns], 1, "sparse_indices")
    shape = join_ops.concat([shape_ops.shape(labels)[:1], reshape_ops.expand_dims(num_sampled, 0)], 0)
    return sparse_to_dense(at, shape, cast(weights, dtype), default_value=0.0, validate_indices=False)


def _sum_rows(x: Tensor) -> Tensor:
    """The sum of each row, by a product with ones, whose gradient is one as well."""
    columns = shape_ops.shape(x)[1]
    ones = fill_ops.ones(join_ops.stack([columns, 1]), x.dtype)
    return reshape_ops.reshape(matmul(x, ones), [-1])
