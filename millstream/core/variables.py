"""`Variable`: a tensor whose value lasts from run to run, and the 1.x kind of it, `RefVariable`.

A variable is a few operations of the graph: one that stands for it, one that initialises it, one that reads
  it.
Calling `tf.Variable` runs the variable creators in force; the last of them makes a `RefVariable` or a
`ResourceVariable`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from millstream.core import deprecation, shapes
from millstream.core.conversion import register_tensor_conversion_function, to_tensor
from millstream.core.dtypes import DType, as_dtype
from millstream.core.export import export_value
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scope_names import prepend_name_scope, strip_name_scope
from millstream.core.scopes import device, init_scope, name_scope
from millstream.core.tensor import Reference, Tensor, TensorLike
from millstream.core.trackable import Trackable
from millstream.core.variable_settings import SaveSliceInfo as SliceInfo
from millstream.core.variable_settings import (
    VariableAggregation,
    VariableSynchronization,
    check_settings,
)

if TYPE_CHECKING:
    from millstream.core.shapes import TensorShape


class VariableMeta(type):
    """Makes `tf.Variable(…)` go through the variable creators in force."""

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        if cls is not VariableV1 and cls is not Variable:
            return super().__call__(*args, **keywords)
        from millstream.core import variable_creators

        create = variable_creators.create_v1 if cls is VariableV1 else variable_creators.create_v2
        return create(*args, **keywords)

    @property
    def __signature__(cls) -> Any:
        """The arguments of `tf.Variable(…)`, for `inspect` and `help`."""
        import inspect

        from millstream.core import variable_creators

        if cls is VariableV1:
            return inspect.signature(variable_creators.create_v1)
        return inspect.signature(variable_creators.create_v2) if cls is Variable else None


class Variable(TensorLike, Trackable, metaclass=VariableMeta):
    """A tensor whose value lasts from run to run of a session and which operations can change.

    In a graph it has no value until its `initializer` has run, for example by
    `sess.run(tf.global_variables_initializer())`. It can be used wherever a tensor can.

    Subclasses set `_initial_value`, `_initializer_op` and the settings, and define how to read and update.

    Example:
      >>> w = tf.Variable([[1.0, 2.0]], name="w")
      >>> update = w.assign_add([[1.0, 1.0]])
    """

    _is_dense_tensor_like = True  # lists that hold one become a tensor

    SaveSliceInfo = SliceInfo
    __array_priority__ = 100

    _initial_value: Tensor | None = None
    _initializer_op: Operation | None = None
    _constraint: Callable[[Any], Any] | None = None
    _trainable = True
    _synchronization = VariableSynchronization.AUTO
    _aggregation = VariableAggregation.NONE
    _save_slice_info: SliceInfo | None = None
    _in_graph_mode = True

    # --- What a kind of variable defines --------------------------------------------------------------------

    @property
    def _source(self) -> Tensor:
        """The tensor that stands for the variable: a reference or a resource."""
        raise NotImplementedError

    @property
    def dtype(self) -> DType:
        """The element type; a ref type for a 1.x variable."""
        raise NotImplementedError

    def value(self) -> Any:
        """The value when it was last read: a tensor."""
        raise NotImplementedError

    def read_value(self) -> Any:
        """A new read of the value, which happens after the control dependencies in force."""
        raise NotImplementedError

    def _update(self, op_type: str, value: Any, use_locking: bool, name: str | None, read_value: bool) -> Any:
        """Applies `"Assign"`, `"AssignAdd"` or `"AssignSub"`; gives the new value, or the operation."""
        raise NotImplementedError

    def _scatter(self, what: str, delta: Any, use_locking: bool, name: str | None) -> Any:
        """Updates the rows `delta.indices` by `delta.values`; `what` is the end of the operation's type."""
        raise NotImplementedError

    def _scatter_nd(self, what: str, indices: Any, updates: Any, name: str | None) -> Any:
        """Updates single elements or slices; `what` is the end of the operation's type."""
        raise NotImplementedError

    # --- Properties -----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name, `"w:0"`."""
        return self._source.name

    @property
    def op(self) -> Operation:
        """The operation that stands for the variable."""
        return self._source.op

    @property
    def graph(self) -> Graph:
        """The graph that holds the variable."""
        return self._source.graph

    @property
    def device(self) -> str:
        """The device that was asked for, or the empty string."""
        return self._source.device

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._source.shape

    def get_shape(self) -> TensorShape:
        """The static shape, as `shape`."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Merges `shape` into the static shape.

        Raises:
          ValueError: the two shapes contradict each other.
        """
        self._source.set_shape(shape)
        self.value().set_shape(shape)

    @property
    def initializer(self) -> Operation:
        """The operation that gives the variable its initial value."""
        return self._initializer_op  # type: ignore[return-value]

    @property
    def initial_value(self) -> Tensor:
        """The tensor that `initializer` assigns."""
        return self._initial_value  # type: ignore[return-value]

    @property
    def trainable(self) -> bool:
        """Whether optimisers change it by default."""
        return self._trainable

    @property
    def synchronization(self) -> VariableSynchronization:
        """When copies on several devices are brought together."""
        return self._synchronization

    @property
    def aggregation(self) -> VariableAggregation:
        """How updates from several replicas are combined."""
        return self._aggregation

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        """The function that optimisers apply to the value after an update, or None."""
        return self._constraint

    # --- Updates --------------------------------------------------------------------------------------------

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """Assigns `value`, of the variable's dtype and shape.

        Args:
          value: the new value.
          use_locking: accepted for compatibility; updates are always atomic.
          name: the operation's name.
          read_value: True: returns what reads the new value; False: the operation.

        Raises:
          TypeError: the dtypes differ.
          ValueError: the static shapes differ.
        """
        return self._update("Assign", value, use_locking, name, read_value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Adds `delta`; arguments and errors as for `assign`."""
        return self._update("AssignAdd", delta, use_locking, name, read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtracts `delta`; arguments and errors as for `assign`."""
        return self._update("AssignSub", delta, use_locking, name, read_value)

    def scatter_add(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Adds `sparse_delta.values` to the rows `sparse_delta.indices`; where an index repeats, all count.

        Raises:
          TypeError: `sparse_delta` is no `IndexedSlices`.
        """
        return self._scatter("Add", sparse_delta, use_locking, name)

    def scatter_sub(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Subtracts rows; see `scatter_add`."""
        return self._scatter("Sub", sparse_delta, use_locking, name)

    def scatter_mul(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Multiplies rows; see `scatter_add`."""
        return self._scatter("Mul", sparse_delta, use_locking, name)

    def scatter_div(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Divides rows; see `scatter_add`."""
        return self._scatter("Div", sparse_delta, use_locking, name)

    def scatter_min(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Takes the minimum of rows and updates; see `scatter_add`."""
        return self._scatter("Min", sparse_delta, use_locking, name)

    def scatter_max(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Takes the maximum of rows and updates; see `scatter_add`."""
        return self._scatter("Max", sparse_delta, use_locking, name)

    def scatter_update(self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None) -> Any:
        """Replaces rows; see `scatter_add`."""
        return self._scatter("Update", sparse_delta, use_locking, name)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Adds `updates` to the elements or slices at `indices`.

        Args:
          indices: [..., k] of int32 or int64: each k numbers index the first k dimensions.
          updates: of shape `indices.shape[:-1] + self.shape[k:]`.
          name: the operation's name.
        """
        return self._scatter_nd("Add", indices, updates, name)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtracts elements or slices; see `scatter_nd_add`."""
        return self._scatter_nd("Sub", indices, updates, name)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Replaces elements or slices; see `scatter_nd_add`."""
        return self._scatter_nd("Update", indices, updates, name)

    # --- Values in a session --------------------------------------------------------------------------------

    def eval(self, session: Any = None) -> Any:
        """The value in `session` or in the default session, as an array.

        Raises:
          ValueError: there is no session.
        """
        return self._as_graph_element().eval(session=session)

    def load(self, value: Any, session: Any = None) -> None:
        """Gives the variable the value of an array in a session, without adding to the graph. Deprecated.

        Raises:
          ValueError: there is no session.
        """
        from millstream.core.session_stack import get_default_session

        deprecation.warn("Variable.load", "Prefer Variable.assign which has equivalent behavior in 2.X.")
        session = session or get_default_session()
        if session is None:
            raise ValueError("Either session argument should be provided or default session should be established")
        session.run(self.initializer, {self.initializer.inputs[1]: value})

    def initialized_value(self) -> Tensor:
        """The value if the variable has one when it runs, else its initial value."""
        from millstream.core import initial_values

        return initial_values.initialized_value(self)

    def _as_graph_element(self) -> Tensor:
        """The tensor that is fetched or fed in the variable's place."""
        raise NotImplementedError

    # --- Saving ---------------------------------------------------------------------------------------------

    def _checkpoint_values(self) -> dict[str, Any]:
        return {"VARIABLE_VALUE": self}

    def _set_save_slice_info(self, save_slice_info: SliceInfo) -> None:
        self._save_slice_info = save_slice_info

    def _get_save_slice_info(self) -> SliceInfo | None:
        return self._save_slice_info

    @property
    def _shared_name(self) -> str:
        """The name without `:0`."""
        return self.name.partition(":")[0]

    @property
    def _key(self) -> Any:
        """What identifies the variable, hashable: several objects may stand for one variable."""
        return self.op.graph, self.op.name

    def experimental_ref(self) -> Reference:
        """A hashable reference to this variable."""
        return Reference(self)

    ref = experimental_ref

    # --- Python's protocols ---------------------------------------------------------------------------------

    def __iter__(self) -> Any:
        raise TypeError("'Variable' object is not iterable.")

    def __hash__(self) -> int:
        if type(self).__eq__ is not Variable.__eq__:
            raise TypeError(f"Variable is unhashable. Instead, use variable.ref() as the key. (Variable: {self!r})")
        return id(self)

    # By identity, as for any object; `enable_tensor_equality` gives `==` another meaning.
    def __eq__(self, other: object) -> Any:
        return self is other

    def __ne__(self, other: object) -> Any:
        return self is not other

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


class VariableV1(Variable):
    """A tensor whose value lasts from run to run of a session.

    Args:
      initial_value: what the initializer assigns: a tensor or a value convertible to one, or a function
        without arguments that gives it (`dtype` is needed then where the function's result has another one).
      trainable: whether it is added to `GraphKeys.TRAINABLE_VARIABLES`; default True.
      collections: the collections that it is added to; default `[GraphKeys.GLOBAL_VARIABLES]`.
      validate_shape: False: the initial value's shape may be unknown, and values of other shapes may be
        assigned.
      caching_device: where reads of it are kept.
      name: the name; default "Variable", made unique.
      variable_def: a `VariableDef` of operations that are in the graph already, in place of an initial value.
      dtype: the dtype that the initial value is converted to.
      expected_shape: ignored.
      import_scope: a name scope to put before the names in `variable_def`.
      constraint: a function that optimisers apply to the value after an update.
      use_resource: True makes a `ResourceVariable`, False the 1.x kind; default: what the variable scope
        says.
      synchronization, aggregation: for variables on several devices.
      shape: the variable's shape; default that of the initial value.

    Raises:
      ValueError: there is no initial value, or its shape is not known and `validate_shape` is True.

    Example:
      >>> tf.Variable([[1., 2., 3.]], name="w")
      <tf.Variable 'w:0' shape=(1, 3) dtype=float32_ref>
    """

    def count_up_to(self, limit: int) -> Tensor:
        """Adds 1 and gives the value before; running it fails with OutOfRangeError at `limit`. Deprecated."""
        deprecation.warn("Variable.count_up_to", "Prefer Dataset.range instead.")
        return find("CountUpTo")(self._source, limit=limit)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """A `VariableDef` that names the variable's operations; None where it is not in `export_scope`."""
        from millstream.io import proto

        if export_scope is not None and not self.name.startswith(export_scope):
            return None
        definition = proto.VariableDef(
            variable_name=strip_name_scope(self._source.name, export_scope),
            initializer_name=strip_name_scope(self.initializer.name, export_scope),
            snapshot_name=strip_name_scope(self._snapshot_tensor.name, export_scope),
            trainable=self.trainable,
            synchronization=self.synchronization.value,
            aggregation=self.aggregation.value,
        )
        if self._initial_value is not None:
            definition.initial_value_name = strip_name_scope(self._initial_value.name, export_scope)
        if self._save_slice_info is not None:
            definition.save_slice_info_def.CopyFrom(self._save_slice_info.to_proto(export_scope))
        return definition

    @staticmethod
    def from_proto(variable_def: Any, import_scope: str | None = None) -> VariableV1:
        """The variable whose operations a `VariableDef` names; they must be in the default graph."""
        from millstream.core.variable_creators import create_v1

        return create_v1(variable_def=variable_def, import_scope=import_scope)

    @property
    def _snapshot_tensor(self) -> Tensor:
        """The read that `to_proto` records."""
        raise NotImplementedError

    def _restore_common(self, definition: Any, import_scope: str | None, graph: Graph) -> None:
        """Takes from a `VariableDef` what all kinds of variables have."""

        def element(name: str) -> Any:
            return graph.as_graph_element(prepend_name_scope(name, import_scope))

        self._initializer_op = element(definition.initializer_name)
        if definition.initial_value_name:
            self._initial_value = element(definition.initial_value_name)
        self._trainable = definition.trainable
        self._synchronization = VariableSynchronization(definition.synchronization)
        self._aggregation = VariableAggregation(definition.aggregation)
        if definition.HasField("save_slice_info_def"):
            self._save_slice_info = SliceInfo(
                save_slice_info_def=definition.save_slice_info_def, import_scope=import_scope
            )

    def _take_settings(
        self,
        initial_value: Any,
        trainable: bool | None,
        collections: Any,
        constraint: Any,
        synchronization: VariableSynchronization | None,
        aggregation: VariableAggregation | None,
        name: str | None,
    ) -> list[Any]:
        """Checks and keeps the settings of a new variable; gives the collections that it goes to."""
        self._synchronization, self._aggregation, self._trainable = check_settings(
            synchronization, aggregation, trainable, name
        )
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if collections is None:
            collections = [GraphKeys.GLOBAL_VARIABLES]
        if not isinstance(collections, (list, tuple, set)):
            raise ValueError(
                "collections argument to Variable constructor must be a list, tuple, or set. "
                f"Got {collections} of type {type(collections)}"
            )
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        if name == "":
            raise ValueError("'' is not a valid node name")
        self._constraint = constraint
        if self._trainable and GraphKeys.TRAINABLE_VARIABLES not in collections:
            return [*collections, GraphKeys.TRAINABLE_VARIABLES]
        return list(collections)


export_value(__name__, "VariableV1", v1=["Variable"])
export_value(__name__, "Variable", v2=["Variable"])


def initial_tensor(initial_value: Any, dtype: Any) -> Tensor:
    """The initial value as a tensor called `initial_value`."""
    value = initial_value() if callable(initial_value) else initial_value
    return to_tensor(value, None if dtype is None else as_dtype(dtype), name="initial_value")


def require_outside(initial_value: Any, scope: str) -> None:
    """Demands that an initial value is no tensor of a branch or a loop's body: variables are made outside of them.

    Raises:
      ValueError: it is one.
    """
    if not isinstance(initial_value, Tensor) or initial_value.is_eager:
        return
    if initial_value.graph.root is not initial_value.graph:
        raise ValueError(
            f"Initializer for variable {scope} is from inside a control-flow construct, such as a loop or conditional. "
            "When creating a variable inside a loop or conditional, use a lambda as the initializer."
        )


class RefVariable(VariableV1):
    """The 1.x kind of variable: operations take a reference to it. `tf.Variable` makes these by default.

    Arguments as for `VariableV1`.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Any], Any] | None = None,
        synchronization: VariableSynchronization | None = None,
        aggregation: VariableAggregation | None = None,
        shape: Any = None,
    ) -> None:
        if variable_def is None:
            groups = self._take_settings(
                initial_value, trainable, collections, constraint, synchronization, aggregation, name
            )
            self._build(initial_value, groups, validate_shape, caching_device, name, dtype, shape)
        elif initial_value is not None:
            raise ValueError("variable_def and initial_value are mutually exclusive.")
        else:
            self._restore(variable_def, import_scope)

    def _build(
        self,
        initial_value: Any,
        collections: list[Any],
        validate_shape: bool,
        caching_device: Any,
        name: str | None,
        dtype: Any,
        shape: Any,
    ) -> None:
        """Adds the variable's operations to the graph."""
        from millstream.core import initial_values

        values = [] if callable(initial_value) else [initial_value]
        with init_scope(), name_scope(name, "Variable", values) as scope:
            graph = get_default_graph()
            full_name = scope[:-1]
            require_outside(initial_value, scope)
            if callable(initial_value):
                with graph.colocate_with_name(full_name):
                    with name_scope("Initializer"), device(None):
                        value = initial_tensor(initial_value, dtype)
                    variable = self._variable_op(value, validate_shape, shape, scope)
            else:
                value = initial_tensor(initial_value, dtype)
                variable = self._variable_op(value, validate_shape, shape, scope)
            if validate_shape and not shapes.is_fully_defined(value._shape):
                raise ValueError(f"initial_value must have a shape specified: {value}")
            self._initial_value = value
            self._variable = variable
            guarded = initial_values.guard(full_name, value)
            self._initializer_op = find("Assign")(variable, guarded, validate_shape=validate_shape).op
            with self._reads_at(caching_device):
                self._snapshot: Tensor = find("Identity")(variable, name="read")
            graph.add_to_collections(collections, self)

    @staticmethod
    def _variable_op(value: Tensor, validate_shape: bool, shape: Any, scope: str) -> Tensor:
        if shape is None and validate_shape:
            shape = value.shape
        return find("VariableV2")(shape=shape, dtype=value.dtype.base_dtype, name=scope)

    def _reads_at(self, caching_device: Any) -> AbstractContextManager[Any]:
        if caching_device is not None:
            return device(caching_device)
        return get_default_graph().colocate_with(self._variable.op)

    def _restore(self, definition: Any, import_scope: str | None) -> None:
        """Takes the operations that a `VariableDef` names from the default graph."""
        graph = get_default_graph()
        self._variable = graph.as_graph_element(prepend_name_scope(definition.variable_name, import_scope))
        self._snapshot = graph.as_graph_element(prepend_name_scope(definition.snapshot_name, import_scope))
        self._restore_common(definition, import_scope, graph)

    @property
    def _source(self) -> Tensor:
        return self._variable

    @property
    def _snapshot_tensor(self) -> Tensor:
        return self._snapshot

    def _ref(self) -> Tensor:
        """The reference, which operations that change the variable take."""
        return self._variable

    def _as_graph_element(self) -> Tensor:
        return self._variable

    @property
    def dtype(self) -> DType:
        """The element type, a ref type."""
        return self._variable.dtype

    def value(self) -> Tensor:
        """The value as the operation `read` gives it."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """A new read of the value, which happens after the control dependencies in force."""
        return find("Identity")(self._variable, name="read")

    def _update(self, op_type: str, value: Any, use_locking: bool, name: str | None, read_value: bool) -> Any:
        updated = find(op_type)(self._variable, value, use_locking=use_locking, name=name)
        return updated if read_value else updated.op

    def _scatter(self, what: str, delta: Any, use_locking: bool, name: str | None) -> Any:
        check_indexed_slices(delta)
        scatter = find("Scatter" + what)
        return scatter(self._variable, delta.indices, delta.values, use_locking=use_locking, name=name)

    def _scatter_nd(self, what: str, indices: Any, updates: Any, name: str | None) -> Any:
        return find("ScatterNd" + what)(self._variable, indices, updates, use_locking=True, name=name)


def check_indexed_slices(delta: Any) -> None:
    """Refuses a sparse update that is no `IndexedSlices`."""
    if not isinstance(delta, IndexedSlices):
        raise TypeError(f"sparse_delta is not IndexedSlices: {delta}")


def check_requested_dtype(variable: Variable, dtype: Any) -> None:
    """Refuses to convert a variable to a tensor of another dtype."""
    if dtype is not None and not as_dtype(dtype).is_compatible_with(variable.dtype):
        raise ValueError(
            f"Incompatible type conversion requested to type '{as_dtype(dtype).name}' "
            f"for variable of type '{variable.dtype.name}'"
        )


def _ref_variable_to_tensor(
    variable: RefVariable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Tensor:
    check_requested_dtype(variable, dtype)
    return variable._ref() if as_ref else variable.value()


register_tensor_conversion_function(RefVariable, _ref_variable_to_tensor)
