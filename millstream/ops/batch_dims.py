"""Operations of images for tensors with several batch dimensions."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.join_ops import concat
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape as shape_of


def over_batches(input: Any, rank: int, op: Callable[..., Tensor], name: str | None = None) -> Tensor:
    """Applies an operation to images that have one batch dimension or more.

    Args:
      input: a tensor [*batch, *image].
      rank: the rank of `image`.
      op: `op(images, name=...)` of a tensor [batch, *image] gives one [batch, *result], of the same rank.
      name: the operation's name.

    Returns:
      a tensor [*batch, *result].
    """
    input = to_tensor(input, name="input")
    if input._shape is None or len(input._shape) <= rank + 1:
        return op(input, name=name)
    with name_scope(name, "squeeze_batch_dims", [input]):
        sizes = shape_of(input)
        result = op(reshape(input, concat([[-1], sizes[-rank:]], 0)), name=None)
        return reshape(result, concat([sizes[:-rank], shape_of(result)[-rank:]], 0))
