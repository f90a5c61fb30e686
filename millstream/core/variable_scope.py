"""Variable scopes: prefixes for the names of `tf.get_variable`, with defaults and rules of sharing."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from millstream.core import context, deprecation
from millstream.core.dtypes import float32
from millstream.core.export import export, export_value
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import graph_of, name_scope
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization
from millstream.core.variable_store import VariableStore

Regularizer = Callable[[Any], Any]
Getter = Callable[..., Any]


class _ReuseMode(enum.Enum):
    AUTO_REUSE = 1


AUTO_REUSE = _ReuseMode.AUTO_REUSE
export_value(__name__, "AUTO_REUSE", v1=["AUTO_REUSE"])


@export(v1=["VariableScope"])
class VariableScope:
    """A prefix for the names of variables, and defaults for `tf.get_variable`; made by `tf.variable_scope`.

    Args:
      reuse: True: variables are shared and must exist; AUTO_REUSE: shared or made; False: made.
      name: the prefix, without a final `/`.
      initializer, regularizer, caching_device, partitioner, custom_getter, dtype, use_resource, constraint:
        the defaults.
      name_scope: the name scope that belongs to it, with a final `/`.
    """

    def __init__(
        self,
        reuse: bool | _ReuseMode | None,
        name: str | None = "",
        initializer: Any = None,
        regularizer: Regularizer | None = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Getter | None = None,
        name_scope: str | None = "",
        dtype: Any = float32,
        use_resource: bool | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        self._name = name
        self._reuse = reuse
        self._initializer = initializer
        self._regularizer = regularizer
        self._caching_device = caching_device
        self._partitioner = partitioner
        self._custom_getter = custom_getter
        self._name_scope = name_scope
        self._dtype = dtype
        self._use_resource = use_resource
        self._constraint = constraint

    @property
    def name(self) -> Any:
        """The prefix."""
        return self._name

    @property
    def original_name_scope(self) -> Any:
        """The name scope that was entered when the scope was made, with a final `/`."""
        return self._name_scope

    @property
    def reuse(self) -> Any:
        """Whether variables are shared."""
        return self._reuse

    @property
    def initializer(self) -> Any:
        """The default initialiser."""
        return self._initializer

    @property
    def regularizer(self) -> Regularizer | None:
        """The default regulariser."""
        return self._regularizer

    @property
    def caching_device(self) -> Any:
        """The default caching device."""
        return self._caching_device

    @property
    def partitioner(self) -> Any:
        """The default partitioner."""
        return self._partitioner

    @property
    def custom_getter(self) -> Getter | None:
        """The default custom getter."""
        return self._custom_getter

    @property
    def dtype(self) -> Any:
        """The default dtype."""
        return self._dtype

    @property
    def use_resource(self) -> bool | None:
        """Whether variables are resource variables; None: the global default."""
        return self._use_resource

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        """The default constraint."""
        return self._constraint

    def reuse_variables(self) -> None:
        """Shares variables from here on."""
        self._reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """Sets the default initialiser."""
        self._initializer = initializer

    def set_regularizer(self, regularizer: Regularizer | None) -> None:
        """Sets the default regulariser."""
        self._regularizer = regularizer

    def set_caching_device(self, caching_device: Any) -> None:
        """Sets the default caching device."""
        self._caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        """Sets the default partitioner."""
        self._partitioner = partitioner

    def set_custom_getter(self, custom_getter: Getter | None) -> None:
        """Sets the default custom getter."""
        self._custom_getter = custom_getter

    def set_dtype(self, dtype: Any) -> None:
        """Sets the default dtype."""
        self._dtype = dtype

    def set_use_resource(self, use_resource: bool | None) -> None:
        """Sets whether variables are resource variables."""
        self._use_resource = use_resource

    def get_collection(self, name: Any) -> list[Any]:
        """What is in a collection and has a name in this scope."""
        return get_default_graph().get_collection(name, f"{self._name}/" if self._name else self._name)

    def global_variables(self) -> list[Any]:
        """The global variables of this scope."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        """The local variables of this scope."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def trainable_variables(self) -> list[Any]:
        """The trainable variables of this scope."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def get_variable(
        self,
        var_store: VariableStore,
        name: str | None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Regularizer | None = None,
        reuse: bool | _ReuseMode | None = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        custom_getter: Getter | None = None,
        constraint: Callable[[Any], Any] | None = None,
        synchronization: VariableSynchronization = VariableSynchronization.AUTO,
        aggregation: VariableAggregation = VariableAggregation.NONE,
    ) -> Any:
        """`tf.get_variable` in this scope; `var_store` holds the variables."""
        with name_scope(None):  # names of variables depend on variable scopes alone
            if dtype is not None and initializer is not None and not callable(initializer):
                _check_initializer_dtype(initializer, dtype)
            return var_store.get_variable(
                f"{self.name}/{name}" if self.name else name,  # type: ignore[arg-type]
                shape=shape,
                trainable=trainable,
                collections=collections,
                validate_shape=validate_shape,
                synchronization=synchronization,
                aggregation=aggregation,
                **self._with_defaults(
                    dtype=dtype,
                    initializer=initializer,
                    regularizer=regularizer,
                    reuse=reuse,
                    caching_device=caching_device,
                    partitioner=partitioner,
                    use_resource=use_resource,
                    custom_getter=custom_getter,
                    constraint=constraint,
                ),
            )

    def _with_defaults(self, **given: Any) -> dict[str, Any]:
        """Settings of a variable, with the scope's defaults for those that are None."""
        return {key: getattr(self, f"_{key}") if value is None else value for key, value in given.items()}

    @contextmanager
    def _unpartitioned(self) -> Iterator[None]:
        """A `with` block in which the scope has no partitioner."""
        partitioner, self._partitioner = self._partitioner, None
        try:
            yield
        finally:
            self._partitioner = partitioner

    def _copy(self, **changes: Any) -> VariableScope:
        """A copy with those settings that are not None."""
        copy = VariableScope.__new__(VariableScope)
        copy.__dict__.update(self.__dict__)
        for key, value in changes.items():
            if value is not None:
                setattr(copy, f"_{key}", value)
        return copy


def _check_initializer_dtype(initializer: Any, dtype: Any) -> None:
    from millstream.core.conversion import to_tensor
    from millstream.core.dtypes import as_dtype

    found = to_tensor(initializer).dtype.base_dtype
    if found is not as_dtype(dtype).base_dtype:
        raise ValueError(f"Initializer type '{found}' and explicit dtype '{as_dtype(dtype)}' don't match.")


# --- What a graph knows of its scopes -----------------------------------------------------------------------


class _Scopes(threading.local):
    """The variable scope that a thread is in, and how often each name has been opened as a scope."""

    def __init__(self) -> None:
        self.current = VariableScope(False)
        self.counts: dict[str, int] = {}

    def open(self, name: str) -> None:
        """Counts a scope that is entered."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def forget_inner(self, name: str) -> None:
        """Makes the names of scopes below `name` new again, as it was left."""
        self.counts = {key: count for key, count in self.counts.items() if not key.startswith(name + "/")}

    def unique(self, name: str) -> str:
        """`name`, with a suffix where the current scope had a scope of that name."""
        prefix = f"{self.current.name}/" if self.current.name else ""
        found, number = name, 0
        while self.counts.get(prefix + found, 0):
            number += 1
            found = f"{name}_{number}"
        return found


def _scopes(graph: Graph | None = None) -> _Scopes:
    extensions = (graph or get_default_graph()).extensions
    found: _Scopes | None = extensions.get("variable_scopes")
    return extensions.setdefault("variable_scopes", _Scopes()) if found is None else found


def default_variable_store() -> VariableStore:
    """The variables that `get_variable` has made in the default graph."""
    extensions = get_default_graph().extensions
    return extensions.setdefault("variable_store", VariableStore())


@export(v1=["get_variable_scope"])
def get_variable_scope() -> VariableScope:
    """The variable scope that is in force."""
    return _scopes().current


def unique_variable_scope(prefix: str) -> str:
    """`prefix`, or with a suffix where the current scope has had a scope of that name."""
    return _scopes().unique(prefix)


# --- Entering scopes ----------------------------------------------------------------------------------------


class PureVariableScope(AbstractContextManager[VariableScope]):
    """Enters a variable scope and no name scope."""

    def __init__(
        self,
        name_or_scope: str | VariableScope,
        reuse: Any = None,
        old_name_scope: str | None = None,
        **changes: Any,
    ) -> None:
        if reuse not in (None, False, True, AUTO_REUSE):
            raise ValueError("The reuse parameter must be True or False or None.")
        self._name_or_scope = name_or_scope
        self._reuse = reuse
        self._old_name_scope = old_name_scope
        self._changes = changes
        self._scopes = _scopes()

    def __enter__(self) -> VariableScope:
        scopes = self._scopes
        self._old = scopes.current
        changes = dict(self._changes)
        target = self._name_or_scope
        if isinstance(target, VariableScope):
            parent = target
            self._new_name = target.name
        else:
            parent = self._old
            self._new_name = f"{parent.name}/{target}" if parent.name else target
            changes["name"] = self._new_name
            changes["name_scope"] = target if self._old_name_scope is None else self._old_name_scope
        if changes.get("custom_getter") is not None and parent.custom_getter is not None:
            changes["custom_getter"] = _nested_getter(changes["custom_getter"], parent.custom_getter)
        scopes.open(self._new_name)
        self._old_counts = dict(scopes.counts)
        self._entered = parent._copy(reuse=self._reuse or parent.reuse, **changes)
        # The one default that TensorFlow does not hand down.
        self._entered._constraint = changes.get("constraint")
        scopes.current = self._entered
        return self._entered

    def __exit__(self, *error: Any) -> None:
        scopes = self._scopes
        if scopes.current is not self._entered:
            raise RuntimeError("Improper nesting of variable_scope.")
        if isinstance(self._name_or_scope, VariableScope):
            scopes.counts = self._old_counts
        else:
            scopes.forget_inner(self._new_name)
        scopes.current = self._old


def _nested_getter(inner: Getter, outer: Getter) -> Getter:
    """The custom getter of a scope inside a scope with one: `inner` is called first and calls `outer`."""

    def nested(getter: Getter, *args: Any, **keywords: Any) -> Any:
        return inner(partial(outer, getter), *args, **keywords)

    return nested


@export(v1=["variable_scope"])
class variable_scope(AbstractContextManager[VariableScope]):  # noqa: N801 - the public name
    """Puts a prefix before the names of `tf.get_variable` and sets defaults for it; opens a name scope too.

    Args:
      name_or_scope: the prefix, or a `VariableScope` to enter again.
      default_name: used where `name_or_scope` is None, with a suffix `_1`, `_2`, … where it was used before.
      values: tensors of the graph to build in; default: the default graph.
      initializer, regularizer, caching_device, partitioner, custom_getter, dtype, use_resource: defaults for
        variables made inside; None: those of the scope around. Custom getters nest.
      constraint: a default too, which scopes inside do not inherit.
      reuse: True: variables are shared and must exist; AUTO_REUSE: shared or made; None or False: as the
        scope around says.
      auxiliary_name_scope: False: no name scope is opened.

    Raises:
      TypeError: there is neither a name nor a default name, or it is of the wrong kind.
      ValueError: `reuse` with a default name only, or the name is not valid.

    Example:
      >>> with tf.variable_scope("layer"):
      ...   w = tf.get_variable("w", [3])
      >>> with tf.variable_scope("layer", reuse=True):
      ...   assert tf.get_variable("w", [3]) is w
    """

    def __init__(
        self,
        name_or_scope: str | VariableScope | None,
        default_name: str | None = None,
        values: Sequence[Any] | None = None,
        initializer: Any = None,
        regularizer: Regularizer | None = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Getter | None = None,
        reuse: bool | _ReuseMode | None = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Callable[[Any], Any] | None = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if name_or_scope is None and default_name is None:
            raise TypeError("If default_name is None then name_or_scope is required")
        if not isinstance(auxiliary_name_scope, bool):
            got = auxiliary_name_scope
            raise TypeError(f"The auxiliary_name_scope must be `True` or `False`, while get {got}")
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._values = values
        self._reuse = reuse
        self._auxiliary_name_scope = auxiliary_name_scope
        self._changes = {
            "initializer": initializer,
            "regularizer": regularizer,
            "caching_device": caching_device,
            "partitioner": partitioner,
            "custom_getter": custom_getter,
            "dtype": dtype,
            "use_resource": use_resource,
            "constraint": constraint,
        }

    def __enter__(self) -> VariableScope:
        target = self._name_or_scope
        if target is not None and not isinstance(target, (str, VariableScope)):
            raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
        if target is None and self._reuse:
            raise ValueError("reuse=True cannot be used without a name_or_scope")
        with ExitStack() as stack:
            if not context.executing_eagerly():
                stack.enter_context(graph_of(self._values).as_default())
            name_scope_name = self._enter_name_scope(stack)
            if target is None:
                target = unique_variable_scope(self._default_name)  # type: ignore[arg-type]
            pure = PureVariableScope(target, self._reuse, name_scope_name, **self._changes)
            entered = stack.enter_context(pure)
            self._stack = stack.pop_all()
        return entered

    def _enter_name_scope(self, stack: ExitStack) -> str | None:
        """Enters the name scope that goes with the variable scope; None where there is none (at the root)."""
        if not self._auxiliary_name_scope:
            eager = context.executing_eagerly()
            current = context.current.scope_name if eager else get_default_graph().get_name_scope()
            return f"{current}/" if current else ""
        target = self._name_or_scope
        if isinstance(target, VariableScope):
            name = target.name.split("/")[-1]
        else:
            name = self._default_name if target is None else target
        return stack.enter_context(name_scope(name)) if name else None

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


@export(v1=["variable_op_scope"])
def variable_op_scope(
    values: Sequence[Any],
    name_or_scope: str | VariableScope | None,
    default_name: str | None = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Getter | None = None,
    reuse: bool | _ReuseMode | None = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Callable[[Any], Any] | None = None,
) -> variable_scope:
    """Old spelling of `tf.variable_scope(name_or_scope, default_name, values, …)`."""
    deprecation.warn(
        "tf.variable_op_scope(values, name, default_name)",
        "Use tf.variable_scope(name, default_name, values).",
    )
    return variable_scope(
        name_or_scope, default_name, values, initializer, regularizer, caching_device, partitioner,
        custom_getter, reuse, dtype, use_resource, constraint,
    )  # fmt: skip


# --- get_variable -------------------------------------------------------------------------------------------


@export(v1=["get_variable"])
def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Getter | None = None,
    constraint: Callable[[Any], Any] | None = None,
    synchronization: VariableSynchronization = VariableSynchronization.AUTO,
    aggregation: VariableAggregation = VariableAggregation.NONE,
) -> Any:
    """The variable of that name in the current variable scope: a new one, or one that is there and shared.

    Args:
      name: the name, which the names of the variable scopes are put before.
      shape: the shape; left out where `initializer` is a tensor or a function without arguments.
      dtype: the dtype; default: the scope's (float32).
      initializer: an initialiser object or class, a function `f(shape, dtype, partition_info)`, a function
        without arguments, or a value; default: the scope's, else Glorot's uniform one for floats and zeros
        for others.
      regularizer: `f(variable)` gives a loss, which is added to `GraphKeys.REGULARIZATION_LOSSES`; default:
        the scope's.
      trainable: whether it is added to `GraphKeys.TRAINABLE_VARIABLES`; default True.
      collections: the collections that it is added to; default `[GraphKeys.GLOBAL_VARIABLES]`.
      caching_device: where reads of it are kept.
      partitioner: `f(shape=shape, dtype=dtype)` gives for each dimension into how many parts it is cut (one of them
        at most into several), as `tf.fixed_size_partitioner` does; a `PartitionedVariable` is returned then, whose
        parts are the variables "name/part_0", ... Each is initialised on its own; default: the scope's.
      validate_shape: False: the initial value's shape may be unknown.
      use_resource: True makes a `ResourceVariable`; default: the scope's.
      custom_getter: `f(getter, name, shape, dtype, …)` gives the variable instead; `getter` is the usual way.
      constraint: a function that optimisers apply to the value after an update.
      synchronization, aggregation: for variables on several devices.

    Raises:
      ValueError: it exists and is not to be shared, or the reverse; an existing one has another shape or
        dtype; the shape is not known; shape and value are both given; the partitioner's numbers do not fit, or are not
        those of an existing variable.

    Example:
      >>> w = tf.get_variable("w", [784, 10], initializer=tf.zeros_initializer())
    """
    return get_variable_scope().get_variable(
        default_variable_store(),
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=collections,
        caching_device=caching_device,
        partitioner=partitioner,
        validate_shape=validate_shape,
        use_resource=use_resource,
        custom_getter=custom_getter,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=aggregation,
    )


@export(v1=["get_local_variable"])
def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool = False,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Getter | None = None,
    constraint: Callable[[Any], Any] | None = None,
    synchronization: VariableSynchronization = VariableSynchronization.AUTO,
    aggregation: VariableAggregation = VariableAggregation.NONE,
) -> Any:
    """Like `tf.get_variable`, for a variable that goes to `GraphKeys.LOCAL_VARIABLES` and is not trained.

    `trainable` is accepted for compatibility.
    """
    return get_variable(
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=False,
        collections=[*(collections or ()), GraphKeys.LOCAL_VARIABLES],
        caching_device=caching_device,
        partitioner=partitioner,
        validate_shape=validate_shape,
        use_resource=use_resource,
        custom_getter=custom_getter,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=aggregation,
    )


@export(v1=["no_regularizer"])
def no_regularizer(_: Any) -> None:
    """A regulariser that gives no loss; it keeps a variable from taking the scope's."""
    return None
