"""Layers that give vectors for integers: words, categories."""
from __future__ import annotations

from typing import Any

from millstream.contrib.framework.variables import model_variable
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.ops import embedding_sparse_ops
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import not_equal
from millstream.ops.embedding_ops import embedding_lookup
from millstream.ops.gather_ops import gather, gather_nd
from millstream.ops.join_ops import concat
from millstream.ops.reduction_ops import reduce_mean, reduce_prod
from millstream.ops.reshape_ops import reshape
from millstream.ops.search_ops import unique
from millstream.ops.select_ops import where
from millstream.ops.shape_ops import shape as shape_of


def _table(vocab_size: Any, embed_dim: Any, initializer: Any, regularizer: Any, trainable: bool) -> Any:
    """The variable `embeddings`; one that exists need not be described."""
    shape = None if vocab_size is None or embed_dim is None else [vocab_size, embed_dim]
    return model_variable(
        "embeddings", shape=shape, initializer=initializer, regularizer=regularizer, trainable=trainable
    )


@export(v1=["contrib.layers.embed_sequence"])
def embed_sequence(
    ids: Any,
    vocab_size: int | None = None,
    embed_dim: int | None = None,
    unique: bool = False,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    scope: str | None = None,
    reuse: bool | None = None,
) -> Tensor:
    """A vector for each id of sequences.

    Args:
      ids: int32 or int64, shape [batch, length].
      vocab_size, embed_dim: the shape of the table `embeddings`; needed unless it exists.
      unique: looks each id up once, however often it occurs.
      initializer, regularizer, trainable: of the table.
      scope: the variable scope; default "EmbedSequence".
      reuse: whether the table exists.

    Returns:
      a tensor [batch, length, embed_dim].

    Raises:
      ValueError: the table's shape is not known.

    Example:
      >>> vectors = tf.contrib.layers.embed_sequence(words, vocab_size=10000, embed_dim=128)
    """
    if not (reuse or (vocab_size and embed_dim)):
        raise ValueError(
            "Must specify vocab size and embedding dimension when not reusing. "
            f"Got vocab_size={vocab_size} and embed_dim={embed_dim}"
        )
    with variable_scope(scope, "EmbedSequence", [ids], reuse=reuse):
        table = _table(vocab_size, embed_dim, initializer, regularizer, trainable)
        return embedding_lookup_unique(table, ids) if unique else embedding_lookup(table, ids)


@export(v1=["contrib.layers.embedding_lookup_unique"])
def embedding_lookup_unique(
    params: Any, ids: Any, partition_strategy: str = "mod", name: str | None = None
) -> Tensor:
    """`tf.nn.embedding_lookup` that looks each id up once, however often it occurs.

    Args:
      params: the table, or a list of its partitions.
      ids: int32 or int64, any shape.
      partition_strategy: "mod" or "div"; see `tf.nn.embedding_lookup`.
      name: the scope of the operations; default "EmbeddingLookupUnique".

    Returns:
      a tensor [*ids.shape, *params.shape[1:]].
    """
    with name_scope(name, "EmbeddingLookupUnique", [params, ids]):
        ids = to_tensor(ids)
        sizes = shape_of(ids)
        distinct, positions = unique(reshape(ids, reduce_prod(sizes, keepdims=True)))
        found = embedding_lookup(params, distinct, partition_strategy)
        vectors = gather(found, positions)
        dimensions: Any = shape_of(found)
        vectors = reshape(vectors, concat([sizes, dimensions[1:]], 0))
        vectors.set_shape(ids.get_shape().concatenate(found.get_shape()[1:]))
        return vectors


@export(v1=["contrib.layers.bow_encoder"])
def bow_encoder(
    ids: Any,
    vocab_size: int,
    embed_dim: int,
    sparse_lookup: bool = True,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    scope: str | None = None,
    reuse: bool | None = None,
) -> Tensor:
    """The mean of the vectors of a sequence's ids: a bag of words.

    Args:
      ids: int32 or int64, [batch, length], a tensor or `SparseTensor`.
      vocab_size, embed_dim: the shape of the table `embeddings`.
      sparse_lookup: leaves out the zeros of a tensor; False: they are ids as all others.
      initializer, regularizer, trainable: of the table.
      scope: the variable scope; default "bow_encoder".
      reuse: whether the table exists.

    Returns:
      a tensor [batch, embed_dim].

    Raises:
      TypeError: a `SparseTensor` without `sparse_lookup`.
    """
    with variable_scope(scope, "bow_encoder", [ids], reuse=reuse):
        table = _table(vocab_size, embed_dim, initializer, regularizer, trainable)
        if sparse_lookup:
            sparse = ids if isinstance(ids, SparseTensor) else _without_zeros(ids)
            return safe_embedding_lookup_sparse([table], sparse, combiner="mean", default_id=0)
        if isinstance(ids, SparseTensor):
            raise TypeError(f"ids are expected to be dense Tensor, got: {ids}")
        return reduce_mean(embedding_lookup(table, ids), axis=1)


def _without_zeros(ids: Any) -> SparseTensor:
    with name_scope("DenseToSparseTensor"):
        ids = to_tensor(ids, name="dense_tensor")
        zero = cast(0, ids.dtype, name="ignore_value")
        indices = where(not_equal(ids, zero), name="indices")
        return SparseTensor(
            indices, gather_nd(ids, indices, name="values"), shape_of(ids, out_type="int64", name="dense_shape")
        )


@export(v1=["contrib.layers.safe_embedding_lookup_sparse"])
def safe_embedding_lookup_sparse(
    embedding_weights: Any,
    sparse_ids: SparseTensor,
    sparse_weights: SparseTensor | None = None,
    combiner: str | None = None,
    default_id: int | None = None,
    name: str | None = None,
    partition_strategy: str = "div",
    max_norm: float | None = None,
) -> Tensor:
    """`tf.nn.safe_embedding_lookup_sparse`; the combiner is the mean where none is given."""
    if combiner is None:
        tensorflow_logger().warning('The default value of combiner will change from "mean" to "sqrtn".')
        combiner = "mean"
    return embedding_sparse_ops.safe_embedding_lookup_sparse(
        embedding_weights, sparse_ids, sparse_weights, combiner, default_id, name, partition_strategy, max_norm
    )
