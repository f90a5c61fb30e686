"""Reading and changing elements or slices of variables, each at several indices (scatter_nd, gather_nd)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY, INDICES, NUMERIC
from millstream.core.export import export
from millstream.core.opdef import REGISTRY, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.ops import fill_ops, gather_ops, join_ops, math_ops, reshape_ops, scatter_ops, shape_ops
from millstream.ops.state_ops import handle_attr, variable_shape


def _ref_shape(c: ShapeContext) -> Any:
    scatter_ops.check_updates(c.shape(0), shapes.with_rank_at_least(c.shape(1), 1), c.shape(2))
    return c.shape(0)


def _resource_shape(c: ShapeContext) -> list[Any]:
    indices = shapes.with_rank_at_least(c.shape(1), 1)
    scatter_ops.check_updates(handle_attr(c.inputs[0], "shape"), indices, c.shape(2))
    return []


def _updated(xp: Any, what: str, array: Any, indices: Any, updates: Any, check: Any) -> Any:
    if what == "Sub":
        return scatter_ops.scatter(xp, array, indices, -updates, "add", check)
    return scatter_ops.scatter(xp, array, indices, updates, "add" if what == "Add" else "set", check)


def _define(what: str) -> None:
    """`ScatterNdAdd` and its relatives, for both kinds of variables."""
    locking = "true" if what == "Update" else "false"

    @op(
        f"ScatterNd{what}(ref: Ref(T), indices: Tindices, updates: T, *, use_locking: bool = {locking})"
        " -> output_ref: Ref(T)",
        T=ANY if what == "Update" else NUMERIC,
        Tindices=INDICES,
        shape=_ref_shape,
    )
    def ref_kernel(xp, ref, indices, updates, *, state, check):
        state.assign(ref, _updated(xp, what, state.read(ref), indices, updates, check))
        return ref

    @op(
        f"ResourceScatterNd{what}(ref: resource, indices: Tindices, updates: T, *, use_locking: bool = true)",
        T=ANY,
        Tindices=INDICES,
        shape=_resource_shape,
        stateful=True,
        writes=("ref",),
    )
    def resource_kernel(xp, ref, indices, updates, *, state, check):
        state.assign(ref, _updated(xp, what, state.read(ref), indices, updates, check))

    ref_kernel.no_gradient("it changes a variable")
    resource_kernel.no_gradient("it changes a variable")


for _what in ("Add", "Sub", "Update"):
    _define(_what)


def _gathered_shape(c: ShapeContext) -> Any:
    return gather_ops.gather_nd_shape(handle_attr(c.inputs[0], "shape"), c.shape(1))


@op(
    "ResourceGatherNd(resource: resource, indices: Tindices, *, dtype: type) -> output: dtype",
    Tindices=INDICES,
    shape=_gathered_shape,
    stateful=True,
)
def resource_gather_nd_op(xp, resource, indices, *, state, check):
    return gather_ops.gather_nd_op.kernel(xp, state.read(resource), indices, check=check)


@resource_gather_nd_op.gradient
def _(op, grad):
    handle, indices = op.inputs
    return scatter_ops.scatter_nd(indices, grad, variable_shape(handle, indices.dtype)), None


@op("ResourceCountUpTo(resource: resource, *, limit: int, T: type{int32, int64}) -> output: T",
    shape=scalar, stateful=True, writes=("resource",))  # fmt: skip
def resource_count_up_to_op(xp, resource, *, limit, state, check):
    old = state.read(resource)
    check(old < limit, errors.OutOfRangeError, f"Reached limit of {limit}")
    state.assign(resource, old + xp.asarray(1, old.dtype))
    return old


resource_count_up_to_op.no_gradient("it changes a variable")

# --- Endpoints ----------------------------------------------------------------------------------------------


def _endpoint(what: str, text: str) -> Callable[..., Any]:
    public_name = f"scatter_nd_{what.lower()}"
    ref_op, resource_op = REGISTRY["ScatterNd" + what], REGISTRY["ResourceScatterNd" + what]

    def scatter_nd(
        ref: Any, indices: Any, updates: Any, use_locking: bool = what == "Update", name: str | None = None
    ) -> Any:
        if ref.dtype.is_ref:
            return ref_op(ref, indices, updates, use_locking=use_locking, name=name)
        return ref._after(resource_op(ref.handle, indices, to_tensor(updates, ref.dtype), name=name))

    scatter_nd.__name__ = scatter_nd.__qualname__ = public_name
    scatter_nd.__doc__ = f"""{text} elements or slices of a variable; gives the variable's new value.

    Args:
      ref: a variable of rank r.
      indices: int32 or int64, [..., k] with k ≤ r: each row indexes the first k dimensions.
      updates: the variable's dtype, of shape `indices.shape[:-1] + ref.shape[k:]`.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the operation's name.

    Raises:
      InvalidArgumentError: when it runs with an index out of range.
    """
    return export(v1=[public_name])(scatter_nd)


scatter_nd_add = _endpoint("Add", "Adds to")
scatter_nd_sub = _endpoint("Sub", "Subtracts from")
scatter_nd_update = _endpoint("Update", "Replaces")


@export(v1=["batch_scatter_update"])
def batch_scatter_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Any:
    """Replaces rows of each member of a batch: `ref[b, indices[b, i]] = updates[b, i]`. Deprecated.

    Args:
      ref: a variable of shape [b1, …, n, d1, …].
      indices: int32 or int64, [b1, …, k].
      updates: the variable's dtype, of shape `indices.shape + [d1, …]`.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the name scope of the operations.

    Raises:
      ValueError: the rank of `indices` is not known.
    """
    with name_scope(name, "batch_scatter_update", [indices, updates]):
        indices = to_tensor(indices, name="indices")
        rank = indices.shape.ndims
        if rank is None:
            raise ValueError("batch_gather does not allow indices with unknown shape.")
        sizes = shape_ops.shape(indices)
        rows = reshape_ops.expand_dims(indices, axis=-1)
        columns = []
        for dimension in range(rank - 1):
            size = sizes[dimension]
            along = [size if axis == dimension else 1 for axis in range(rank + 1)]
            numbers = reshape_ops.reshape(math_ops.range(0, size, 1), along)
            columns.append(math_ops.cast(numbers, rows.dtype) * fill_ops.ones_like(rows))
        where = join_ops.concat([*columns, rows], axis=-1)
        return scatter_nd_update(ref, where, updates, use_locking=use_locking)
