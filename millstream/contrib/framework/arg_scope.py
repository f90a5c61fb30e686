"""Argument scopes: default arguments that hold for all calls of some functions inside of a `with`."""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from millstream.core.export import export

Function = TypeVar("Function", bound=Callable[..., Any])
Scope = dict[str, dict[str, Any]]  # by key of a function: arguments

# The scopes in force, the innermost one last; all threads share them, as in TensorFlow.
_scopes: list[Scope] = [{}]
# By key of a decorated function: the names of its arguments that have defaults.
_decorated: dict[str, tuple[str, ...]] = {}


def arg_scope_func_key(op: Any) -> str:
    """What a function is called in scopes: those of a decorated function and of the plain one are the same."""
    return str(getattr(op, "_key_op", op))


@export(v1=["contrib.framework.arg_scope"])
@contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Iterator[Scope]:
    """Gives default arguments to functions that `add_arg_scope` decorates, for the calls inside of a `with`.

    What a call is given itself goes before them; scopes inside go before those around.

    Args:
      list_ops_or_scope: the functions, in a list or tuple; or the scope of another `with arg_scope(...) as scope`,
        which is put into force as it was then.
      **kwargs: the arguments; none with another scope.

    Returns:
      a context manager that gives the scope.

    Raises:
      TypeError: neither functions nor a scope.
      ValueError: a function that is not decorated, or arguments beside a scope.

    Example:
      >>> layers = tf.contrib.layers
      >>> with tf.contrib.framework.arg_scope(
      ...     [layers.conv2d, layers.fully_connected], weights_regularizer=layers.l2_regularizer(1e-4)):
      ...   net = layers.conv2d(images, 32, 5)
      ...   logits = layers.fully_connected(layers.flatten(net), 10, activation_fn=None)
    """
    _scopes.append(_scope_inside(list_ops_or_scope, kwargs))
    try:
        yield _scopes[-1]
    finally:
        _scopes.pop()


def _scope_inside(functions: Any, arguments: Mapping[str, Any]) -> Scope:
    """The scope in force, with the arguments for the functions; or the scope given instead of functions."""
    if isinstance(functions, dict):
        if arguments:
            raise ValueError("When attempting to re-use a scope by suppling a dictionary, kwargs must be empty.")
        return functions.copy()
    if not isinstance(functions, (list, tuple)):
        raise TypeError("list_ops_or_scope must either be a list/tuple or reused scope (i.e. dict)")
    scope = current_arg_scope().copy()
    for function in functions:
        key = arg_scope_func_key(function)
        if key not in _decorated:
            raise ValueError(f"{key} is not decorated with @add_arg_scope")
        scope[key] = {**scope.get(key, {}), **arguments}
    return scope


@export(v1=["contrib.framework.add_arg_scope"])
def add_arg_scope(func: Function) -> Function:
    """Decorates a function so that `arg_scope` can give it default arguments.

    Example:
      >>> @tf.contrib.framework.add_arg_scope
      ... def block(inputs, depth=16, rate=1): ...
    """
    key = arg_scope_func_key(func)

    @functools.wraps(func)
    def with_scope(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **{**current_arg_scope().get(key, {}), **kwargs})

    _decorated[key] = _names_with_defaults(func)
    with_scope._key_op = key  # type: ignore[attr-defined]
    return with_scope  # type: ignore[return-value]


def _names_with_defaults(function: Callable[..., Any]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    defaults = getattr(function, "__defaults__", None) or ()
    if code is None:
        return ()
    return tuple(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount])


@export(v1=["contrib.framework.has_arg_scope"])
def has_arg_scope(func: Any) -> bool:
    """Whether `add_arg_scope` decorates a function."""
    return arg_scope_func_key(func) in _decorated


@export(v1=["contrib.framework.arg_scoped_arguments"])
def arg_scoped_arguments(func: Any) -> tuple[str, ...]:
    """The names of those arguments of a decorated function that have defaults.

    Raises:
      ValueError: `add_arg_scope` does not decorate it.
    """
    if not has_arg_scope(func):
        raise ValueError(f"{arg_scope_func_key(func)} is not decorated with @add_arg_scope")
    return _decorated[arg_scope_func_key(func)]


@export(v1=["contrib.framework.current_arg_scope"])
def current_arg_scope() -> Scope:
    """The scope in force: by function (as text), its default arguments."""
    return _scopes[-1]
