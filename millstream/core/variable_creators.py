"""Who makes a variable: the functions of `tf.variable_creator_scope`, and at the end the default."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization

Creator = Callable[..., Any]

_resource_by_default = False


class _Creators(threading.local):
    """The creators in force in a thread, the outermost first."""

    def __init__(self) -> None:
        self.functions: tuple[Creator, ...] = ()


def _creators(graph: Graph) -> _Creators:
    return graph.extensions.setdefault("variable_creators", _Creators())


@export("variable_creator_scope")
@contextmanager
def variable_creator_scope(variable_creator: Creator) -> Iterator[None]:
    """Has a function make the variables of a `with` block, or change how they are made.

    Args:
      variable_creator: `f(next_creator, **kwargs)` gives the variable; `kwargs` are all arguments of
        `tf.Variable`, and `next_creator(**kwargs)` goes on with the scope around this one.

    Example:
      >>> def constant_shape(next_creator, **kwargs):
      ...   return next_creator(**dict(kwargs, trainable=False))
      >>> with tf.variable_creator_scope(constant_shape):
      ...   v = tf.Variable(1.0)
    """
    creators = _creators(get_default_graph())
    old = creators.functions
    creators.functions = (*old, variable_creator)
    try:
        yield
    finally:
        creators.functions = old


def create_v1(
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
    use_resource: bool | None = None,
    synchronization: VariableSynchronization | None = VariableSynchronization.AUTO,
    aggregation: VariableAggregation | None = VariableAggregation.NONE,
    shape: Any = None,
) -> Any:
    """`tf.Variable(…)` of the 1.x namespace: see `VariableV1`."""
    return _create(
        _default_v1,
        initial_value=initial_value,
        trainable=trainable,
        collections=collections,
        validate_shape=validate_shape,
        caching_device=caching_device,
        name=name,
        variable_def=variable_def,
        dtype=dtype,
        expected_shape=expected_shape,
        import_scope=import_scope,
        constraint=constraint,
        use_resource=use_resource,
        synchronization=synchronization,
        aggregation=VariableAggregation.NONE if aggregation is None else aggregation,
        shape=shape,
    )


def create_v2(
    initial_value: Any = None,
    trainable: bool | None = None,
    validate_shape: bool = True,
    caching_device: Any = None,
    name: str | None = None,
    variable_def: Any = None,
    dtype: Any = None,
    import_scope: str | None = None,
    constraint: Callable[[Any], Any] | None = None,
    synchronization: VariableSynchronization | None = VariableSynchronization.AUTO,
    aggregation: VariableAggregation | None = VariableAggregation.NONE,
    shape: Any = None,
    experimental_enable_variable_lifting: bool = True,
) -> Any:
    """`tf.Variable(…)` of the 2.x namespace: always a resource variable.

    `experimental_enable_variable_lifting` is accepted; functions always make their variables outside of their graphs.
    """
    return _create(
        _default_v2,
        initial_value=initial_value,
        trainable=trainable,
        validate_shape=validate_shape,
        caching_device=caching_device,
        name=name,
        variable_def=variable_def,
        dtype=dtype,
        import_scope=import_scope,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=VariableAggregation.NONE if aggregation is None else aggregation,
        shape=shape,
    )


def _create(default: Creator, **keywords: Any) -> Any:
    create = default
    if _is_lifted():
        create = partial(get_default_graph().extensions["lifted_variables"].create, create)
    for function in _creators(get_default_graph()).functions:
        create = partial(function, create)
    return create(**keywords)


def _is_lifted() -> bool:
    """Whether a `tf.function` is being traced, which makes its variables outside of its graph."""
    return not context.executing_eagerly() and "lifted_variables" in get_default_graph().extensions


def _default_v1(use_resource: bool | None = None, expected_shape: Any = None, **keywords: Any) -> Any:
    from millstream.core.resource_variables import ResourceVariable
    from millstream.core.variable_scope import get_variable_scope
    from millstream.core.variables import RefVariable

    if use_resource is None and keywords["variable_def"] is not None:
        use_resource = keywords["variable_def"].is_resource
    if use_resource is None:
        use_resource = get_variable_scope().use_resource
    if use_resource is None:
        use_resource = _resource_by_default
    if use_resource or context.executing_eagerly() or _is_lifted():
        return ResourceVariable(**keywords)
    return RefVariable(**keywords)


def _default_v2(**keywords: Any) -> Any:
    from millstream.core.resource_variables import ResourceVariable

    return ResourceVariable(**keywords)


@export(v1=["enable_resource_variables"])
def enable_resource_variables() -> None:
    """Makes `tf.Variable` and `tf.get_variable` create resource variables where nothing else is said."""
    global _resource_by_default
    _resource_by_default = True


@export(v1=["disable_resource_variables"])
def disable_resource_variables() -> None:
    """Makes `tf.Variable` and `tf.get_variable` create 1.x variables, the default, where nothing else is said."""
    global _resource_by_default
    _resource_by_default = False


@export(v1=["resource_variables_enabled"])
def resource_variables_enabled() -> bool:
    """Whether resource variables are the default."""
    return _resource_by_default
