"""`ResourceVariable`: a variable behind a handle, read and written exactly where the program says.

2.x variables are of this kind; in 1.x `use_resource=True` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from millstream.core import context, deprecation, errors, shapes, tape
from millstream.core.conversion import register_tensor_conversion_function, to_tensor
from millstream.core.dtypes import DType
from millstream.core.eager import shown
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scope_names import prepend_name_scope
from millstream.core.scopes import control_dependencies, device, init_scope, name_scope
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import HandleTensor
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization
from millstream.core.variables import (
    VariableV1,
    check_indexed_slices,
    check_requested_dtype,
    initial_tensor,
    require_outside,
)


def _refused(expression: str, update: str, result: str) -> Callable[[Any, Any], Any]:
    """What stands for an assignment with an operator, which would make a tensor of the name of a variable."""

    def refuse(self: Any, value: Any) -> Any:
        raise RuntimeError(
            f"`{expression}` with `tf.Variable`s is not supported. Use `{update}` to modify the variable, or "
            f"`out = {result}` if you need to get a new output Tensor."
        )

    return refuse


class ResourceVariable(VariableV1):
    """A variable behind a resource handle. Arguments as for `tf.Variable`.

    Each use reads the value anew, after the control dependencies in force. `assign` and its relatives give a
    variable-like object whose reads happen after the assignment.
    """

    _handle: Any
    is_argument = False  # whether it stands for the argument of a function

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        dtype: Any = None,
        variable_def: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Any], Any] | None = None,
        synchronization: VariableSynchronization | None = None,
        aggregation: VariableAggregation | None = None,
        shape: Any = None,
    ) -> None:
        self._cached_value: Tensor | None = None
        if variable_def is None:
            groups = self._take_settings(
                initial_value, trainable, collections, constraint, synchronization, aggregation, name
            )
            self._build(initial_value, groups, caching_device, name, dtype, shape)
        elif initial_value is not None:
            raise ValueError("variable_def and initial_value are mutually exclusive.")
        else:
            self._restore(variable_def, import_scope)

    def _build(
        self,
        initial_value: Any,
        collections: list[Any],
        caching_device: Any,
        name: str | None,
        dtype: Any,
        shape: Any,
    ) -> None:
        """Gives the variable its value, or adds its operations to the graph."""
        with init_scope():
            if context.executing_eagerly():
                self._build_eager(initial_value, name, dtype, shape)
                if GraphKeys.GLOBAL_STEP in collections:  # the only collection of eager variables
                    get_default_graph().add_to_collection(GraphKeys.GLOBAL_STEP, self)
            else:
                self._build_in_graph(initial_value, collections, caching_device, name, dtype, shape)

    def _build_eager(self, initial_value: Any, name: str | None, dtype: Any, shape: Any) -> None:
        scope = context.current.scope_name
        base = "Variable" if name is None else name.rstrip("/")
        self._name = f"{scope}/{base}" if scope else base
        with name_scope("Initializer"):
            value = initial_tensor(initial_value, dtype)
        self._dtype = value.dtype
        self._shape = value._shape if shape is None else shapes.as_plain(shape)
        self._check_initial_shape(value)
        self._handle = HandleTensor(self._name, self._dtype, self._shape, value._device)  # type: ignore[attr-defined]
        find("AssignVariableOp")(self._handle, value)

    def _check_initial_shape(self, value: Tensor) -> None:
        if not shapes.is_compatible(self._shape, value._shape):
            raise ValueError(
                f"The initial value's shape ({value.shape}) is not compatible with the explicitly "
                f"supplied `shape` argument ({TensorShape(self._shape)})."
            )

    def _build_in_graph(
        self,
        initial_value: Any,
        collections: list[Any],
        caching_device: Any,
        name: str | None,
        dtype: Any,
        shape: Any,
    ) -> None:
        from millstream.core import initial_values

        values = [] if callable(initial_value) else [initial_value]
        with name_scope(name, "Variable", values) as scope:
            graph = get_default_graph()
            full_name = scope[:-1]
            require_outside(initial_value, scope)
            with graph.colocate_with_name(full_name):
                with name_scope("Initializer"), device(None):
                    value = initial_tensor(initial_value, dtype)
                self._dtype = value.dtype.base_dtype
                self._shape = value._shape if shape is None else shapes.as_plain(shape)
                self._handle = find("VarHandleOp")(
                    dtype=self._dtype, shape=self._shape, shared_name=full_name, name=scope
                )
            self._check_initial_shape(value)
            self._initial_value = value
            with name_scope("IsInitialized"):
                self._is_initialized_op = find("VarIsInitializedOp")(self._handle)
            with name_scope("Assign") as assign, self._on_its_device():
                guarded = initial_values.guard(full_name, value)
                self._initializer_op = find("AssignVariableOp")(self._handle, guarded, name=assign)
            with name_scope("Read"):
                self._graph_element = self._read()
                if caching_device is not None:
                    with device(caching_device):
                        self._cached_value = find("Identity")(self._graph_element)
            graph.add_to_collections(collections, self)

    def _restore(self, definition: Any, import_scope: str | None) -> None:
        """Takes the operations that a `VariableDef` names from the default graph."""
        if not definition.is_resource:
            raise ValueError("Trying to restore Variable as ResourceVariable.")
        graph = get_default_graph()
        self._handle = graph.as_graph_element(prepend_name_scope(definition.variable_name, import_scope))
        self._dtype = self._handle.op.attrs["dtype"]
        self._shape = self._handle.op.attrs["shape"]
        if definition.snapshot_name:
            snapshot = graph.as_graph_element(prepend_name_scope(definition.snapshot_name, import_scope))
            self._graph_element = snapshot
            if snapshot.op.type != "ReadVariableOp":
                self._cached_value = snapshot
        else:
            self._graph_element = self.read_value()
        self._restore_common(definition, import_scope, graph)

    # --- Properties -----------------------------------------------------------------------------------------

    @property
    def is_eager(self) -> bool:  # type: ignore[override]
        """Whether the variable has its value at once, outside of all graphs."""
        return self._handle.is_eager

    @property
    def _key(self) -> Any:
        return self._handle._value.key if self.is_eager else super()._key

    @property
    def name(self) -> str:
        """The name, `"w:0"`."""
        return f"{self._name}:0" if self.is_eager or self.is_argument else self._handle.name

    @property
    def device(self) -> str:
        """The device that holds the value; in a graph what was asked for."""
        return self._handle.device if not self.is_eager else self._read().device

    @property
    def handle(self) -> Tensor:
        """The handle by which operations reach the variable: a resource scalar."""
        return self._handle

    @property
    def _source(self) -> Tensor:
        return self._handle

    @property
    def _snapshot_tensor(self) -> Tensor:
        return self._graph_element if self._cached_value is None else self._cached_value

    def _as_graph_element(self) -> Tensor:
        return self._read() if self.is_eager else self._graph_element

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._dtype

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return TensorShape(self._shape)

    def set_shape(self, shape: Any) -> None:
        """Not possible for resource variables."""
        raise NotImplementedError("ResourceVariable does not implement set_shape()")

    @property
    def create(self) -> Operation:
        """The operation that gives the variable its initial value."""
        return self.initializer

    def is_initialized(self, name: str | None = None) -> Tensor:
        """Whether the variable has a value: a bool scalar."""
        return find("VarIsInitializedOp")(self._handle, name=name)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """A `VariableDef` that names the variable's operations; None where it is not in `export_scope`."""
        definition = super().to_proto(export_scope)
        if definition is not None:
            definition.is_resource = True
        return definition

    @staticmethod
    def from_proto(variable_def: Any, import_scope: str | None = None) -> ResourceVariable:
        """The variable whose operations a `VariableDef` names; they must be in the default graph."""
        return ResourceVariable(variable_def=variable_def, import_scope=import_scope)

    # --- Reads ----------------------------------------------------------------------------------------------

    def _read(self) -> Tensor:
        self._watch()
        return find("ReadVariableOp")(self._handle, dtype=self._dtype)

    def _watch(self) -> None:
        """Tells the tapes, and the function that is being traced, that the variable is used."""
        if self._trainable and tape.current.tapes:
            tape.variable_accessed(self)
        self._note_use()

    def _note_use(self) -> None:
        if not context.executing_eagerly():
            graph = get_default_graph()
            if graph.building_function:
                graph.add_variable(self)  # type: ignore[attr-defined]

    def bound_to(self, handle: Tensor) -> ResourceVariable:
        """This variable as an argument of a function, where `handle` stands for it."""
        bound = ResourceVariable.__new__(ResourceVariable)
        bound.__dict__.update(self.__dict__)
        bound._handle = handle
        bound._cached_value = None
        bound.is_argument = True
        return bound

    @contextmanager
    def _on_its_device(self) -> Iterator[None]:
        """Where the handle is, whatever the scopes in force say."""
        if self.is_eager:
            yield
            return
        with self._handle.graph.colocate_with(None, ignore_existing=True), device(self._handle.device):
            yield

    def value(self) -> Tensor:
        """The value, read anew after the control dependencies in force (or the cached value)."""
        if self.is_eager:
            return self._read()
        if self._cached_value is not None:
            return self._cached_value
        with self._on_its_device():
            return self._read()

    def numpy(self) -> Any:
        """The value as a NumPy array of the caller's own, or as a NumPy scalar.

        Raises:
          NotImplementedError: the variable is used in a graph.
        """
        if context.executing_eagerly():
            return self._read().numpy()  # type: ignore[attr-defined]
        raise NotImplementedError("numpy() is only available when eager execution is enabled.")

    def read_value(self) -> Tensor:
        """The value, read anew after the control dependencies in force."""
        if self.is_eager:
            return find("Identity")(self._read())
        with name_scope("Read"), device(self._handle.device):
            value = self._read()
        # The identity keeps what is done with the result off the variable's own device.
        return find("Identity")(value)

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """The rows `indices`, read without reading the whole.

        Args:
          indices: int32 or int64, of any shape.
          name: the operation's name.
        """
        self._watch()
        with name_scope("Gather" if name is None else name) as scope:
            value = find("ResourceGather")(self._handle, indices, dtype=self._dtype, name=scope)
        return find("Identity")(value)

    def gather_nd(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements or slices at `indices` ([..., k]: each k numbers index the first k dimensions)."""
        self._watch()
        with name_scope("GatherNd" if name is None else name) as scope:
            value = find("ResourceGatherNd")(self._handle, indices, dtype=self._dtype, name=scope)
        return find("Identity")(value)

    def count_up_to(self, limit: int) -> Tensor:
        """Adds 1 and gives the value before; running it fails with OutOfRangeError at `limit`. Deprecated."""
        deprecation.warn("Variable.count_up_to", "Prefer Dataset.range instead.")
        count = find("ResourceCountUpTo")
        return count(self._handle, limit=limit, T=self._dtype)

    # --- Python's protocols ---------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if not (self.is_eager and context.executing_eagerly()):
            return super().__repr__()
        facts = f"'{self.name}' shape={self.shape} dtype={self.dtype.name}"
        if not find("VarIsInitializedOp")(self._handle):
            return f"<tf.Variable {facts}, numpy=<uninitialized>>"
        with tape.recorded_by(()):
            return f"<tf.Variable {facts}, numpy={shown(self._read())}>"  # type: ignore[arg-type]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._as_eager("__array__").__array__(dtype, copy)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.read_value()) if self.is_eager else super().__iter__()

    __iadd__ = _refused("variable += value", "variable.assign_add(value)", "variable + value")
    __isub__ = _refused("variable -= value", "variable.assign_sub(value)", "variable - value")
    __imul__ = _refused("var *= value", "var.assign(var * value)", "var * value")
    __itruediv__ = _refused("var /= value", "var.assign(var / value)", "var / value")
    __ipow__ = _refused("var **= value", "var.assign(var ** value)", "var ** value")

    def __bool__(self) -> bool:
        return bool(self.value())

    def __int__(self) -> int:
        return int(self._as_eager("int"))

    def __float__(self) -> float:
        return float(self._as_eager("float"))

    def __complex__(self) -> complex:
        return complex(self._as_eager("complex"))

    def __index__(self) -> int:
        return self._as_eager("index").__index__()

    def __jax_array__(self) -> Any:
        return self._as_eager("__jax_array__").__jax_array__()

    def _as_eager(self, use: str) -> Any:
        """The value, for what needs one at once."""
        value = self.value()
        if not value.is_eager:
            raise NotImplementedError(f"A variable of a graph has no value for {use}; read it with a session.")
        return value

    def __deepcopy__(self, memo: dict[int, Any]) -> ResourceVariable:
        if not self.is_eager:
            raise NotImplementedError("__deepcopy__() is only available when eager execution is enabled.")
        copied = ResourceVariable(
            self.read_value(), self._trainable, name=self._name, dtype=self._dtype, constraint=self._constraint,
            synchronization=self._synchronization, aggregation=self._aggregation, shape=self._shape,
        )  # fmt: skip
        memo[id(self)] = copied
        return copied

    def __reduce__(self) -> Any:
        return restore, (self.numpy(), self._trainable, self._name, self._dtype.name)

    # --- Updates --------------------------------------------------------------------------------------------

    def _after(self, update: Operation | None) -> UnreadVariable:
        """The variable as it is after `update`, which is None where it has happened."""
        return UnreadVariable(self, update)

    def _update(self, op_type: str, value: Any, use_locking: bool, name: str | None, read_value: bool) -> Any:
        tensor = to_tensor(value, self._dtype)
        if not shapes.is_compatible(self._shape, tensor._shape):
            if self.is_eager and op_type == "Assign":
                raise ValueError(
                    f"Cannot assign value to variable ' {self.name}': Shape mismatch.The variable shape {self.shape}, "
                    f"and the assigned value shape {tensor.shape} are incompatible."
                )
            if context.executing_eagerly():
                own, given = shapes.format_shape(self._shape), shapes.format_shape(tensor._shape)
                sentence = f"Cannot update variable with shape {own} using a Tensor with shape {given}"
                raise errors.InvalidArgumentError(None, None, f"{sentence}, shapes must be equal.")
            raise ValueError(f"Shapes {TensorShape(self._shape)} and {tensor.shape} are incompatible")
        self._note_use()
        update = find(op_type + "VariableOp")(self._handle, tensor, name=name)
        return self._after(update) if read_value else update

    def _scatter(self, what: str, delta: Any, use_locking: bool, name: str | None) -> Any:
        check_indexed_slices(delta)
        values = to_tensor(delta.values, self._dtype)
        return self._after(find("ResourceScatter" + what)(self._handle, delta.indices, values, name=name))

    def _scatter_nd(self, what: str, indices: Any, updates: Any, name: str | None) -> Any:
        values = to_tensor(updates, self._dtype)
        return self._after(find("ResourceScatterNd" + what)(self._handle, indices, values, name=name))


class UnreadVariable(ResourceVariable):
    """What an assignment gives: the variable, read only where it is used, and then after the assignment.

    In eager execution the assignment has happened, and there is none to wait for.
    """

    def __init__(self, variable: ResourceVariable, update: Operation | None) -> None:
        self.__dict__.update(variable.__dict__)
        self._cached_value = None
        self._parent = update
        if update is not None:
            self._graph_element = self._read()

    @property
    def name(self) -> str:
        """The name of the assignment."""
        return "UnreadVariable" if self._parent is None else self._parent.name

    @property
    def op(self) -> Operation:
        """The assignment."""
        return self._handle.op if self._parent is None else self._parent

    @property
    def graph(self) -> Graph:
        """The graph that holds the assignment."""
        return self.op.graph

    def _read(self) -> Tensor:
        with self._after_parent():
            return super()._read()

    def read_value(self) -> Tensor:
        """The value, read anew after the assignment."""
        return self._read()

    def _after_parent(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._parent is None else control_dependencies([self._parent])

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """The rows `indices`, read after the assignment."""
        with self._after_parent():
            return super().sparse_read(indices, name)

    def gather_nd(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements or slices at `indices`, read after the assignment."""
        with self._after_parent():
            return super().gather_nd(indices, name)


def restore(value: Any, trainable: bool, name: str, dtype: str) -> ResourceVariable:
    """The variable that was pickled."""
    return ResourceVariable(value, trainable, name=name, dtype=dtype)


def is_resource_variable(value: Any) -> bool:
    """Whether `value` is a resource variable."""
    return isinstance(value, ResourceVariable)


def _resource_variable_to_tensor(
    variable: ResourceVariable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Tensor:
    check_requested_dtype(variable, dtype)
    if as_ref and not variable.is_eager:
        return variable.read_value().op.inputs[0]
    return variable.value()


register_tensor_conversion_function(ResourceVariable, _resource_variable_to_tensor)
