"""`gather_nd` and its inverses in 2.x, where one chooses what becomes of indices that are out of range."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import opdef
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import OpDef
from millstream.core.tensor import Tensor
from millstream.ops import cast_ops, comparison_ops, fill_ops, reduction_ops, reshape_ops, shape_ops
from millstream.ops.gather_ops import gather_nd, gather_nd_op
from millstream.ops.scatter_ops import (
    scatter_nd_op,
    tensor_scatter_add_op,
    tensor_scatter_max_op,
    tensor_scatter_min_op,
    tensor_scatter_sub_op,
)
from millstream.ops.select_ops import where_v2


def _good_indices(indices: Any, dims: Any, policy: str) -> tuple[Any, Tensor | None]:
    """Applies a `bad_indices_policy`.

    Args:
      indices: [..., k].
      dims: the shape that the indices refer to.
      policy: "" and "ERROR" leave them as they are, so that the operation raises; "IGNORE" puts zeros for bad ones.

    Returns:
      The indices, and which rows of them are good: [...], None if all must be.
    """
    if policy in ("", "ERROR"):
        return indices, None
    if policy != "IGNORE":
        raise ValueError(f"Unknown bad indices handling attribute: {policy}")
    indices = to_tensor(indices, name="indices")
    limits = cast_ops.cast(dims, indices.dtype)[: shape_ops.shape(indices)[-1]]
    inside = comparison_ops.logical_and(indices >= 0, comparison_ops.less(indices, limits))
    good = reduction_ops.reduce_all(inside, axis=-1)
    safe = where_v2(reshape_ops.expand_dims(good, -1), indices, fill_ops.zeros_like(indices))
    return safe, good


def _where_good(good: Tensor, values: Tensor, instead: Tensor) -> Tensor:
    """`values` [..., *rest] where `good` [...] is true."""
    rest = len(values._shape or ()) - len(good._shape or ())
    columns = opdef.find("ConcatV2")([shape_ops.shape(good), [1] * rest], 0)
    return where_v2(reshape_ops.reshape(good, columns), values, instead)


@export(v2=["gather_nd"])
def gather_nd_v2(
    params: Any, indices: Any, batch_dims: int = 0, name: str | None = None, bad_indices_policy: str = ""
) -> Tensor:
    """Takes elements or slices of a tensor, each by several indices at once.

    Args:
      params: any dtype, shape P.
      indices: int32 or int64, [..., k]: each row indexes the first k dimensions of `params`.
      batch_dims: this many first dimensions of both are a batch, to which the indices do not refer.
      name: the operation's name.
      bad_indices_policy: "IGNORE" gives zeros for indices out of range; default: an error.

    Returns:
      Shape `indices.shape[:-1] + P[k:]`.

    Example:
      >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 0], [1, 1]])     # [1, 4]
    """
    if bad_indices_policy in ("", "ERROR"):
        return gather_nd(params, indices, name, batch_dims)
    params = to_tensor(params, name="params")
    indices, good = _good_indices(indices, shape_ops.shape(params)[batch_dims:], bad_indices_policy)
    found = gather_nd(params, indices, name, batch_dims)
    return found if good is None else _where_good(good, found, fill_ops.zeros_like(found))


@export(v2=["scatter_nd"])
def scatter_nd_v2(
    indices: Any, updates: Any, shape: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """A tensor of zeros with `updates` added at `indices`; the inverse of `gather_nd`.

    Args:
      indices: int32 or int64, [..., k]: each row indexes the first k dimensions of the result; rows may repeat.
      updates: any dtype, shape `indices.shape[:-1] + shape[k:]`.
      shape: the result's shape, a vector of the dtype of `indices`.
      bad_indices_policy: "IGNORE" leaves indices out of range out; default: an error.
      name: the operation's name.

    Example:
      >>> tf.scatter_nd([[1], [3], [1]], [10, 20, 5], [4])     # [0, 15, 0, 20]
    """
    indices, good = _good_indices(indices, shape, bad_indices_policy)
    if good is not None:
        updates = to_tensor(updates, name="updates")
        updates = _where_good(good, updates, fill_ops.zeros_like(updates))
    return scatter_nd_op(indices, updates, shape, name=name)


def _updating_function(definition: OpDef, name: str, what: str, neutral: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """A public function that combines parts of a tensor with updates.

    Args:
      definition: the operation.
      name: the public name.
      what: what is done, for the docstring.
      neutral: `neutral(updates, parts)` gives updates that change nothing, `parts` being what the indices name.
    """

    def function(
        tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "", name: str | None = None
    ) -> Tensor:
        if bad_indices_policy not in ("", "ERROR"):
            tensor = to_tensor(tensor, name="tensor")
            indices, good = _good_indices(indices, shape_ops.shape(tensor), bad_indices_policy)
            if good is not None:
                updates = to_tensor(updates, tensor.dtype.base_dtype, name="updates")
                updates = _where_good(good, updates, neutral(updates, gather_nd_op(tensor, indices)))
        return definition(tensor, indices, updates, name=name)

    function.__name__ = function.__qualname__ = name + "_v2"
    function.__doc__ = f"""A tensor with {what} some parts.

Args:
  tensor: numeric, shape S.
  indices: int32 or int64, [..., k]: each row indexes the first k dimensions; rows may repeat.
  updates: the tensor's dtype, shape `indices.shape[:-1] + S[k:]`.
  bad_indices_policy: "IGNORE" leaves indices out of range out; default: an error.
  name: the operation's name.
"""
    return export(v2=[name])(function)


def _zeros(updates: Tensor, parts: Tensor) -> Tensor:
    return fill_ops.zeros_like(updates)


def _parts(updates: Tensor, parts: Tensor) -> Tensor:
    return parts


tensor_scatter_nd_add_v2 = _updating_function(
    tensor_scatter_add_op, "tensor_scatter_nd_add", "`updates` added to", _zeros
)
tensor_scatter_nd_sub_v2 = _updating_function(
    tensor_scatter_sub_op, "tensor_scatter_nd_sub", "`updates` taken from", _zeros
)
tensor_scatter_nd_min_v2 = _updating_function(
    tensor_scatter_min_op, "tensor_scatter_nd_min", "the minimum with `updates` taken of", _parts
)
tensor_scatter_nd_max_v2 = _updating_function(
    tensor_scatter_max_op, "tensor_scatter_nd_max", "the maximum with `updates` taken of", _parts
)
