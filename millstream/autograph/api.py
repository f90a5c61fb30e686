"""The public functions of `tf.autograph`, and the entrance for `tf.function`."""
from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable
from typing import Any

from millstream.autograph import status
from millstream.core.export import export


@export("autograph.experimental.Feature")
class Feature(enum.Enum):
    """What AutoGraph converts besides control flow.

    Attributes:
      ALL: all of them.
      AUTO_CONTROL_DEPS: accepted; what has effects is always kept in order.
      ASSERT_STATEMENTS: `assert` of tensors; always converted.
      BUILTIN_FUNCTIONS: `print` of tensors.
      EQUALITY_OPERATORS: `==` and `!=` of tensors as `tf.equal` and `tf.not_equal`.
      LISTS: accepted; lists stay Python's.
      NAME_SCOPES: accepted.
    """

    ALL = "ALL"
    AUTO_CONTROL_DEPS = "AUTO_CONTROL_DEPS"
    ASSERT_STATEMENTS = "ASSERT_STATEMENTS"
    BUILTIN_FUNCTIONS = "BUILTIN_FUNCTIONS"
    EQUALITY_OPERATORS = "EQUALITY_OPERATORS"
    LISTS = "LISTS"
    NAME_SCOPES = "NAME_SCOPES"

    @classmethod
    def all(cls) -> tuple[Feature, ...]:
        """All features."""
        return tuple(cls)

    @classmethod
    def all_but(cls, exclude: Feature | Iterable[Feature]) -> tuple[Feature, ...]:
        """All features but some."""
        left_out = {exclude} if isinstance(exclude, Feature) else set(exclude)
        return tuple(item for item in cls if item not in left_out and item is not cls.ALL)


def convert(function: Callable[..., Any], features: Any = None) -> Callable[..., Any]:
    """The converted form of a function that is about to be traced; itself where it is not to be converted."""
    if status.is_exempt(function):
        return function
    from millstream.autograph import conversion

    return conversion.converted(function, _names(features))


def _names(features: Any) -> frozenset[str]:
    if features is None:
        return frozenset()
    return frozenset(item.name for item in ([features] if isinstance(features, Feature) else features))


@export("autograph.experimental.do_not_convert")
def do_not_convert(func: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Keeps a function, and what it calls, from being converted.

    Args:
      func: the function; without it, gives a decorator.

    Example:
      >>> @tf.autograph.experimental.do_not_convert
      ... def branch(flag, x):
      ...   return x if flag else -x
    """
    if func is None:
        return do_not_convert

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with status.disabled():
            return func(*args, **kwargs)

    return status.exempt(wrapper)


@export(v2=["autograph.experimental.set_loop_options"])
def set_loop_options(
    parallel_iterations: Any = status.UNSPECIFIED,
    swap_memory: Any = status.UNSPECIFIED,
    maximum_iterations: Any = status.UNSPECIFIED,
    shape_invariants: Any = status.UNSPECIFIED,
) -> None:
    """Says more about the loop in which it stands, as the first statement of the loop's body.

    It counts only where the loop becomes an operation.

    Args:
      parallel_iterations, swap_memory: accepted for compatibility.
      maximum_iterations: how many turns there are at most.
      shape_invariants: a list of pairs of a variable and what its shape has in common in all turns.

    Example:
      >>> @tf.function
      ... def count():
      ...   v = tf.constant([0])
      ...   for i in tf.range(3):
      ...     tf.autograph.experimental.set_loop_options(shape_invariants=[(v, tf.TensorShape([None]))])
      ...     v = tf.concat([v, [i]], 0)
      ...   return v
      >>> count().numpy()
      array([0, 0, 1, 2], dtype=int32)
    """


@export(v1=["autograph.experimental.set_loop_options"])
def set_loop_options_v1(
    parallel_iterations: Any = status.UNSPECIFIED,
    back_prop: Any = status.UNSPECIFIED,
    swap_memory: Any = status.UNSPECIFIED,
    maximum_iterations: Any = status.UNSPECIFIED,
) -> None:
    """Says more about the loop in which it stands; see `tf.autograph.experimental.set_loop_options` of 2.x.

    Args:
      parallel_iterations, back_prop, swap_memory: accepted for compatibility.
      maximum_iterations: how many turns there are at most.
    """


@export(v2=["autograph.to_graph"])
def to_graph(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> Any:
    """The converted form of a function or method, in which control flow over tensors builds operations.

    Args:
      entity: the function.
      recursive: whether functions that it calls are converted too.
      experimental_optional_features: a `Feature`, or a tuple of them.

    Raises:
      ValueError: it cannot be converted.

    Example:
      >>> f = tf.autograph.to_graph(lambda x: x if x > 0 else -x)
      >>> f(tf.constant(-2)).numpy()
      2
    """
    from millstream.autograph import conversion

    return conversion.to_graph(entity, recursive, _names(experimental_optional_features))


@export(v1=["autograph.to_graph"])
def to_graph_v1(
    entity: Any,
    recursive: bool = True,
    arg_values: Any = None,
    arg_types: Any = None,
    experimental_optional_features: Any = None,
) -> Any:
    """The converted form of a function; see `tf.autograph.to_graph` of 2.x.

    Args:
      entity, recursive, experimental_optional_features: as in 2.x.
      arg_values, arg_types: accepted for compatibility.

    Raises:
      ValueError: it cannot be converted.
    """
    return to_graph(entity, recursive, experimental_optional_features)


@export(v2=["autograph.to_code"])
def to_code(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> str:
    """The source of the converted form of a function.

    Args:
      entity, recursive, experimental_optional_features: as for `to_graph`.

    Raises:
      ValueError: it cannot be converted.
    """
    import inspect
    import textwrap

    return textwrap.dedent(inspect.getsource(to_graph(entity, recursive, experimental_optional_features)))


@export(v1=["autograph.to_code"])
def to_code_v1(
    entity: Any,
    recursive: bool = True,
    arg_values: Any = None,
    arg_types: Any = None,
    indentation: str = "  ",
    experimental_optional_features: Any = None,
) -> str:
    """The source of the converted form of a function; see `tf.autograph.to_code` of 2.x.

    Args:
      entity, recursive, experimental_optional_features: as in 2.x.
      arg_values, arg_types, indentation: accepted for compatibility.

    Raises:
      ValueError: it cannot be converted.
    """
    return to_code(entity, recursive, experimental_optional_features)


@export("autograph.set_verbosity")
def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Sets how much AutoGraph says of what it does: 0 nothing, 10 everything.

    Args:
      level: the level; the environment variable `AUTOGRAPH_VERBOSITY` is its default.
      alsologtostdout: whether it goes to standard output too.
    """
    from malt.utils import ag_logging

    ag_logging.set_verbosity(level, alsologtostdout)


@export("autograph.trace")
def trace(*args: Any) -> None:
    """Prints its arguments while the function is traced.

    Args:
      *args: what to print.
    """
    print(*args)
