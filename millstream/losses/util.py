"""The collections of losses, and their sums."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collection, get_collection
from millstream.core.tensor import Tensor
from millstream.ops.constant_op import constant
from millstream.ops.math_ops import add_n


@export(v1=["losses.add_loss"])
def add_loss(loss: Tensor, loss_collection: str | None = GraphKeys.LOSSES) -> None:
    """Puts a loss into a collection, from which `get_total_loss` takes it.

    Args:
      loss: a scalar tensor.
      loss_collection: the collection; None: nowhere.
    """
    if loss_collection:
        add_to_collection(loss_collection, loss)


@export(v1=["losses.get_losses"])
def get_losses(scope: str | None = None, loss_collection: str = GraphKeys.LOSSES) -> list[Any]:
    """The losses in a collection.

    Args:
      scope: only those whose names begin with it.
      loss_collection: the collection.
    """
    return get_collection(loss_collection, scope)


@export(v1=["losses.get_regularization_losses"])
def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """The penalties of regularisers, in `GraphKeys.REGULARIZATION_LOSSES`.

    Args:
      scope: only those whose names begin with it.
    """
    return get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


@export(v1=["losses.get_regularization_loss"])
def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """The sum of the penalties of regularisers, a scalar; 0 where there are none.

    Args:
      scope: only those whose names begin with it.
      name: the operation's name.
    """
    losses = get_regularization_losses(scope)
    return add_n(losses, name=name) if losses else constant(0.0)


@export(v1=["losses.get_total_loss"])
def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses that have been collected, a scalar.

    Args:
      add_regularization_losses: whether the penalties of regularisers count.
      name: the operation's name.
      scope: only those whose names begin with it.

    Raises:
      ValueError: there are no losses.
    """
    losses = get_losses(scope)
    if add_regularization_losses:
        losses += get_regularization_losses(scope)
    return add_n(losses, name=name)
