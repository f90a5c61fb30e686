"""Operations on variables: making them, reading, assigning, and updating rows (scatter).

A 1.x variable is a `VariableV2` node whose output is a reference; a 2.x variable is a `VarHandleOp` whose output is a
resource. In kernels both arrive as a handle for `state.read(handle)` and `state.assign(handle, value)`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY, INDICES, NUMERIC, DType, int32
from millstream.core.export import export
from millstream.core.opdef import REGISTRY, OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs, scalar
from millstream.core.variable_handle import handle_data
from millstream.ops.gather_ops import check_range

# --- Making and reading --------------------------------------------------------------------------------------------


@op(
    "VariableV2(*, shape: shape, dtype: type, container: string = \"\", shared_name: string = \"\") -> ref: Ref(dtype)",
    shape=lambda c: c.attrs["shape"],
    stateful=True,
)
def variable_op(xp, *, shared_name, container, dtype, shape, state, node):
    return state.variable(container, shared_name or node.name, dtype, shape)


@op(
    "Variable(*, shape: shape, dtype: type, container: string = \"\", shared_name: string = \"\") -> ref: Ref(dtype)",
    shape=lambda c: c.attrs["shape"] or None,
    stateful=True,
)
def old_variable_op(xp, *, shared_name, container, dtype, shape, state, node):
    return state.variable(container, shared_name or node.name, dtype, shape)


@op(
    "VarHandleOp(*, container: string = \"\", shared_name: string = \"\", dtype: type, shape: shape)"
    " -> resource: resource",
    shape=scalar,
    stateful=True,
)
def var_handle_op(xp, *, shared_name, container, dtype, shape, state, node):
    return state.variable(container, shared_name or node.name, dtype, shape)


for _definition in (variable_op, old_variable_op, var_handle_op):
    _definition.no_gradient("a variable has no inputs")


def handle_attr(tensor: Any, name: str) -> Any:
    """An attribute (dtype, shape) of the variable that a resource tensor stands for, or None."""
    return getattr(handle_data(tensor), name, None)


def _variable_shape_of(handle: Any) -> Any:
    return handle_attr(handle, "shape")


def _variable_shape(c: ShapeContext) -> Any:
    return _variable_shape_of(c.inputs[0])


@op("DisableCopyOnRead(resource: resource)", stateful=True, writes=())
def disable_copy_on_read_op(xp, resource, *, state):
    """Tells TensorFlow 2 that it may share a variable's memory with who reads it; here nothing has to be done."""


disable_copy_on_read_op.no_gradient("it gives nothing")


@op("ReadVariableOp(resource: resource, *, dtype: type) -> value: dtype", shape=_variable_shape, stateful=True)
def read_variable_op(xp, resource, *, state):
    return state.read(resource)


@read_variable_op.gradient
def _(op, grad):
    return grad


@op(
    "IsVariableInitialized(ref: Ref(dtype)) -> is_initialized: bool",
    dtype=ANY,
    shape=scalar,
    host=True,
    writes=(),
    allows_uninitialized=True,
)
def is_variable_initialized_op(xp, ref, *, state):
    return xp.asarray(state.is_initialized(ref))


@op("VarIsInitializedOp(resource: resource) -> is_initialized: bool", shape=scalar, stateful=True, host=True)
def var_is_initialized_op(xp, resource, *, state):
    return xp.asarray(state.is_initialized(resource))


@op(
    "VariableShape(input: resource, *, out_type: type{int32, int64} = int32) -> output: out_type",
    shape=lambda c: (None if _variable_shape(c) is None else len(_variable_shape(c)),),
    stateful=True,
)
def variable_shape_op(xp, input, *, out_type, state):
    import numpy as np

    return np.array(state.read(input).shape, out_type.as_numpy_dtype)


def variable_shape(handle: Any, out_type: DType = int32) -> Any:
    """The shape of the variable that a handle stands for: a constant where it is known."""
    known = _variable_shape_of(handle)
    if known is None or not shapes.is_fully_defined(known):
        return variable_shape_op(handle, out_type=out_type)
    return to_tensor(known, dtype=out_type)


@op(
    "DestroyResourceOp(resource: resource, *, ignore_lookup_error: bool = True)",
    shape=no_outputs,
    stateful=True,
    host=True,
    writes=("resource",),
)
def destroy_resource_op(xp, resource, *, state):
    state.forget(resource)


for _definition in (is_variable_initialized_op, var_is_initialized_op, variable_shape_op, destroy_resource_op):
    _definition.no_gradient("it does not depend on the variable's value smoothly")

# --- Assigning -----------------------------------------------------------------------------------------------------


def _assign_shape(c: ShapeContext) -> Any:
    if not c.attrs["validate_shape"]:
        return c.shape(1)
    return shapes.merge(c.shape(0), c.shape(1))


@op(
    "Assign(ref: Ref(T), value: T, *, validate_shape: bool = True, use_locking: bool = True) -> output_ref: Ref(T)",
    T=ANY,
    shape=_assign_shape,
    allows_uninitialized=True,
)
def assign_op(xp, ref, value, *, validate_shape, state, node):
    if validate_shape:
        check_variable_shape(ref.shape, value, node)
    state.assign(ref, value)
    return ref


def check_variable_shape(wanted: Any, value: Any, node: Any) -> None:
    """Refuses a value that does not have the variable's declared shape."""
    if not shapes.is_compatible(wanted, value.shape):
        raise errors.InvalidArgumentError(
            None,
            node,
            f"Assign requires shapes of both tensors to match. lhs shape= {shapes.format_shape(wanted)} "
            f"rhs shape= {shapes.format_shape(value.shape)}",
        )


def _assign_with(name: str, update: Callable[[Any, Any], Any]) -> OpDef:
    """Assign, AssignAdd and AssignSub differ in how the new value comes from the old one."""

    def merged_shape(c: ShapeContext) -> Any:
        return shapes.merge(c.shape(0), c.shape(1))

    @op(
        f"{name}(ref: Ref(T), value: T, *, use_locking: bool = False) -> output_ref: Ref(T)",
        T=NUMERIC,
        shape=merged_shape,
    )
    def kernel(xp, ref, value, *, state):
        old = state.read(ref)
        if value.shape != old.shape:
            raise ValueError("Parameters and update must be the same size")
        state.assign(ref, update(old, value))
        return ref

    kernel.no_gradient("it changes a variable")
    return kernel


assign_op.no_gradient("it changes a variable")
assign_add_op = _assign_with("AssignAdd", lambda old, value: old + value)
assign_sub_op = _assign_with("AssignSub", lambda old, value: old - value)


def _resource_assign_shape(c: ShapeContext) -> list[Any]:
    shapes.merge(_variable_shape(c), c.shape(1))
    return []


def _resource_assign(name: str, kernel: Callable[..., None], attrs: str = "") -> OpDef:
    definition = op(
        f"{name}(resource: resource, value: dtype{attrs})",
        dtype=ANY,
        shape=_resource_assign_shape,
        stateful=True,
        writes=("resource",),
    )(kernel)
    definition.no_gradient("it changes a variable")
    return definition


def _assign_variable(xp: Any, resource: Any, value: Any, *, state: Any, node: Any) -> None:
    check_variable_shape(resource.shape, value, node)
    state.assign(resource, value)


def _resource_update(update: Callable[[Any, Any], Any]) -> Callable[..., None]:
    def kernel(xp: Any, resource: Any, value: Any, *, state: Any) -> None:
        old = state.read(resource)
        if value.shape != old.shape:
            raise ValueError(
                f"Cannot update variable with shape {shapes.format_shape(old.shape)} using a Tensor with shape "
                f"{shapes.format_shape(value.shape)}, shapes must be equal."
            )
        state.assign(resource, update(old, value))

    return kernel


# The shape that was declared is demanded in any case.
assign_variable_op = _resource_assign("AssignVariableOp", _assign_variable, ", *, validate_shape: bool = False")
assign_add_variable_op = _resource_assign("AssignAddVariableOp", _resource_update(lambda old, value: old + value))
assign_sub_variable_op = _resource_assign("AssignSubVariableOp", _resource_update(lambda old, value: old - value))


@op("CountUpTo(ref: Ref(T), *, limit: int) -> output: T", T=INDICES, shape=scalar)
def count_up_to_op(xp, ref, *, limit, state, check):
    old = state.read(ref)
    check(old < limit, errors.OutOfRangeError, f"Reached limit of {limit}")
    state.assign(ref, old + xp.asarray(1, old.dtype))
    return old


count_up_to_op.no_gradient("it changes a variable")

# --- Updating rows -------------------------------------------------------------------------------------------------


def scatter_rows(xp: Any, method: str, array: Any, indices: Any, updates: Any) -> Any:
    """`array` with rows `indices` combined with `updates` by `method`: set add subtract multiply divide min max."""
    if hasattr(array, "at"):  # a JAX array or tracer
        rows = array.at[indices]
        if method == "subtract":
            return rows.add(-updates)
        return getattr(rows, method)(updates)
    import numpy as np

    result = np.array(array)
    ufuncs = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
              "min": np.minimum, "max": np.maximum}  # fmt: skip
    if method == "set":
        result[indices] = updates
    else:
        ufuncs[method].at(result, indices, updates)
    return result


def _check_rows(check: Any, xp: Any, array: Any, indices: Any, updates: Any) -> None:
    """Demands that `indices` are rows of `array` and that `updates` are a row for each, or a scalar."""
    if not array.ndim:
        raise ValueError("params must be at least 1-D, got shape []")
    if updates.ndim and updates.shape != (*indices.shape, *array.shape[1:]):
        raise ValueError(
            "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got "
            f"updates.shape {shapes.format_shape(updates.shape)}, indices.shape {shapes.format_shape(indices.shape)}, "
            f"params.shape {shapes.format_shape(array.shape)}"
        )
    check_range(check, xp, "indices", indices, array.shape[0])


def _merge_rows(whole: Any, indices: Any, updates: Any) -> None:
    """Demands the same of static shapes."""
    if whole and indices is not None and updates != ():
        shapes.merge(updates, (*indices, *whole[1:]))


def _scatter_shape(c: ShapeContext) -> Any:
    _merge_rows(c.shape(0), c.shape(1), c.shape(2))
    return c.shape(0)


def _resource_scatter_shape(c: ShapeContext) -> list[Any]:
    _merge_rows(_variable_shape(c), c.shape(1), c.shape(2))
    return []


def _scatter(name: str, method: str, types: Any) -> OpDef:
    @op(
        f"{name}(ref: Ref(T), indices: Tindices, updates: T, *, use_locking: bool = "
        f"{'true' if method == 'set' else 'false'}) -> output_ref: Ref(T)",
        T=types,
        Tindices=INDICES,
        shape=_scatter_shape,
    )
    def kernel(xp, ref, indices, updates, *, state, check):
        array = state.read(ref)
        _check_rows(check, xp, array, indices, updates)
        state.assign_rows(ref, method, indices, updates)
        return ref

    kernel.no_gradient("it changes a variable")
    return kernel


def _resource_scatter(name: str, method: str, types: Any) -> OpDef:
    @op(
        f"{name}(resource: resource, indices: Tindices, updates: dtype)",
        dtype=types,
        Tindices=INDICES,
        shape=_resource_scatter_shape,
        stateful=True,
        writes=("resource",),
    )
    def kernel(xp, resource, indices, updates, *, state, check):
        array = state.read(resource)
        _check_rows(check, xp, array, indices, updates)
        state.assign_rows(resource, method, indices, updates)

    kernel.no_gradient("it changes a variable")
    return kernel


_MIN_MAX_TYPES = "half bfloat16 float double int32 int64"
_METHODS: dict[str, tuple[str, Any]] = {
    "Update": ("set", ANY),
    "Add": ("add", NUMERIC),
    "Sub": ("subtract", NUMERIC),
    "Mul": ("multiply", NUMERIC),
    "Div": ("divide", NUMERIC),
    "Min": ("min", _MIN_MAX_TYPES),
    "Max": ("max", _MIN_MAX_TYPES),
}
for _suffix, (_method, _types) in _METHODS.items():
    _scatter("Scatter" + _suffix, _method, _types)
    _resource_scatter("ResourceScatter" + _suffix, _method, NUMERIC if _suffix in ("Min", "Max") else _types)


@op(
    "ResourceGather(resource: resource, indices: Tindices, *, batch_dims: int = 0, validate_indices: bool = True, "
    "dtype: type) -> output: dtype",
    Tindices=INDICES,
    shape=lambda c: shapes.concatenate(c.shape(1), (_variable_shape(c) or (None,))[1:] if _variable_shape(c) else None),
    stateful=True,
)
def resource_gather_op(xp, resource, indices, *, state, check):
    array = state.read(resource)
    check_range(check, xp, "indices", indices, array.shape[0])
    return xp.take(array, indices, axis=0)


@resource_gather_op.gradient
def _(op, grad):
    from millstream.core.indexed_slices import IndexedSlices
    from millstream.ops import join_ops, reshape_ops

    handle, indices = op.inputs
    shape = variable_shape(handle)
    rows = reshape_ops.reshape(grad, join_ops.concat([[-1], shape[1:]], 0))
    known = _variable_shape_of(handle)
    if known is not None:
        rows.set_shape((shapes.num_elements(indices._shape), *known[1:]))
    return IndexedSlices(rows, reshape_ops.reshape(indices, [-1]), shape), None


# --- Endpoints -----------------------------------------------------------------------------------------------------


def _is_resource(ref: Any) -> bool:
    return not hasattr(ref, "op") or not getattr(ref.dtype, "is_ref", False)


@export(v1=["assign"])
def assign(
    ref: Any,
    value: Any,
    validate_shape: bool | None = None,
    use_locking: bool | None = None,
    name: str | None = None,
) -> Any:
    """Assigns `value` to a variable; gives the variable's new value (a reference to it).

    Args:
      ref: a variable.
      value: the new value, of the variable's dtype and shape.
      validate_shape: False: the value may have another shape, which the variable takes on.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the operation's name.

    Raises:
      TypeError: the dtypes differ.
      ValueError: the static shapes differ.
    """
    if _is_resource(ref):
        return ref.assign(value, name=name)
    return assign_op(
        ref,
        value,
        validate_shape=True if validate_shape is None else validate_shape,
        use_locking=True if use_locking is None else use_locking,
        name=name,
    )


@export(v1=["assign_add"])
def assign_add(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """Adds `value` to a variable; gives the variable's new value."""
    if _is_resource(ref):
        return ref.assign_add(value)
    return assign_add_op(ref, value, use_locking=bool(use_locking), name=name)


@export(v1=["assign_sub"])
def assign_sub(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """Subtracts `value` from a variable; gives the variable's new value."""
    if _is_resource(ref):
        return ref.assign_sub(value)
    return assign_sub_op(ref, value, use_locking=bool(use_locking), name=name)


@export(v1=["count_up_to"])
def count_up_to(ref: Any, limit: int, name: str | None = None) -> Any:
    """Adds 1 to an integer scalar variable and gives the value before.

    Raises:
      OutOfRangeError: when it runs and the variable has reached `limit`.
    """
    if _is_resource(ref):
        return REGISTRY["ResourceCountUpTo"](ref.handle, limit=limit, T=ref.dtype, name=name)
    return count_up_to_op(getattr(ref, "_variable", ref), limit=limit, name=name)


@export(v1=["is_variable_initialized"])
def is_variable_initialized(variable: Any, name: str | None = None) -> Any:
    """Whether a variable has a value: a bool scalar."""
    if _is_resource(variable):
        return var_is_initialized_op(variable.handle, name=name)
    return is_variable_initialized_op(variable, name=name)


def _scatter_endpoint(suffix: str, what: str) -> Callable[..., Any]:
    public_name = f"scatter_{suffix.lower()}"
    ref_op, resource_op = REGISTRY["Scatter" + suffix], REGISTRY["ResourceScatter" + suffix]
    locking = suffix == "Update"
    repeated = "one of the updates stays" if locking else "all updates count"

    def scatter(ref: Any, indices: Any, updates: Any, use_locking: bool = locking, name: str | None = None) -> Any:
        if not _is_resource(ref):
            return ref_op(ref, indices, updates, use_locking=use_locking, name=name)
        return ref._after(resource_op(ref.handle, indices, to_tensor(updates, ref.dtype), name=name))

    scatter.__name__ = scatter.__qualname__ = public_name
    scatter.__doc__ = f"""{what} rows of a variable; gives the variable's new value.

    Args:
      ref: a variable of shape [n, d1, …].
      indices: int32 or int64, of any shape; where an index repeats, {repeated}.
      updates: the variable's dtype, of shape `indices.shape + ref.shape[1:]`, or a scalar.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the operation's name.

    Raises:
      InvalidArgumentError: when it runs with an index outside of [0, n).
    """
    return export(v1=[public_name])(scatter)


scatter_update = _scatter_endpoint("Update", "Replaces")
scatter_add = _scatter_endpoint("Add", "Adds to")
scatter_sub = _scatter_endpoint("Sub", "Subtracts from")
scatter_mul = _scatter_endpoint("Mul", "Multiplies")
scatter_div = _scatter_endpoint("Div", "Divides")
scatter_min = _scatter_endpoint("Min", "Takes the minimum with")
scatter_max = _scatter_endpoint("Max", "Takes the maximum with")
