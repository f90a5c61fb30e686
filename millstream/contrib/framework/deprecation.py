"""Decorators that warn of what a library has deprecated."""
from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from millstream.core.export import export
from millstream.core.log import tensorflow_logger

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]


def _check(date: str | None, instructions: str) -> None:
    if date is not None and not re.match(r"20\d\d-[01]\d-[0123]\d", date):
        raise ValueError("Date must be YYYY-MM-DD.")
    if not instructions:
        raise ValueError("Don't deprecate things without conversion instructions!")


class _Warning:
    """Logs a warning, once or each time."""

    def __init__(self, date: str | None, instructions: str, once: bool) -> None:
        _check(date, instructions)
        self._when = "in a future version" if date is None else f"after {date}"
        self._instructions = instructions
        self._once = once
        self._given: set[str] = set()

    def give(self, function: Callable[..., Any], what: str) -> None:
        """`what` says what is deprecated, as "calling f (from module) with a=1"."""
        if what in self._given and self._once:
            return
        self._given.add(what)
        tensorflow_logger().warning(
            "%s (from %s) %s deprecated and will be removed %s.\nInstructions for updating:\n%s",
            function.__qualname__, function.__module__, what, self._when, self._instructions,
        )  # fmt: skip


@export(v1=["contrib.framework.deprecated"])
def deprecated(date: str | None, instructions: str, warn_once: bool = True) -> Decorator[Any]:
    """Decorates a function that is deprecated: calls log a warning.

    Args:
      date: when it is removed, as "2020-12-31"; None: in a future version.
      instructions: what to use instead.
      warn_once: warns of the first call only.

    Raises:
      ValueError: the date is written otherwise, or there are no instructions.
    """
    warning = _Warning(date, instructions, warn_once)

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def warned(*args: Any, **kwargs: Any) -> Any:
            warning.give(function, "is")
            return function(*args, **kwargs)

        warned.__doc__ = f"{function.__doc__ or function.__name__}\n\nDeprecated. Instead: {instructions}"
        return warned  # type: ignore[return-value]

    return decorate


@export(v1=["contrib.framework.deprecated_args"])
def deprecated_args(
    date: str | None, instructions: str, *deprecated_arg_names_or_tuples: Any, **kwargs: Any
) -> Decorator[Any]:
    """Decorates a function of which some arguments are deprecated: calls that give them log a warning.

    Args:
      date, instructions: as for `deprecated`.
      *deprecated_arg_names_or_tuples: names of arguments, or pairs of a name and a value that does not count as given.
      **kwargs: `warn_once`.

    Raises:
      ValueError: no arguments, or the function has none of such a name.
    """
    warning = _Warning(date, instructions, kwargs.pop("warn_once", True))
    if not deprecated_arg_names_or_tuples:
        raise ValueError("Specify which argument is deprecated.")
    given = deprecated_arg_names_or_tuples
    harmless = {name: values for name, *values in ([item] if isinstance(item, str) else item for item in given)}

    def is_deprecated(name: str, value: Any) -> bool:
        return name in harmless and not any(value is same or value == same for same in harmless[name])

    return _warning_of_arguments(warning, list(harmless), is_deprecated)


@export(v1=["contrib.framework.deprecated_arg_values"])
def deprecated_arg_values(
    date: str | None, instructions: str, warn_once: bool = True, **deprecated_kwargs: Any
) -> Decorator[Any]:
    """Decorates a function of which some values of arguments are deprecated: calls with these log a warning.

    Args:
      date, instructions, warn_once: as for `deprecated`.
      **deprecated_kwargs: by name of an argument, the value that is deprecated.

    Raises:
      ValueError: no values.
    """
    warning = _Warning(date, instructions, warn_once)
    if not deprecated_kwargs:
        raise ValueError("Specify which argument values are deprecated.")

    def is_deprecated(name: str, value: Any) -> bool:
        return name in deprecated_kwargs and deprecated_kwargs[name] == value

    return _warning_of_arguments(warning, [], is_deprecated)


def _warning_of_arguments(
    warning: _Warning, needed: list[str], is_deprecated: Callable[[str, Any], bool]
) -> Decorator[Any]:
    """A decorator that warns of calls with certain arguments; the function must have those in `needed`."""

    def decorate(function: Function) -> Function:
        import inspect

        signature = inspect.signature(function)
        takes_all = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())
        missing = [name for name in needed if name not in signature.parameters and not takes_all]
        if missing:
            raise ValueError(
                f"The following deprecated arguments are not present in the function signature: {missing}. "
                f"Found next arguments: {list(signature.parameters)}."
            )

        @functools.wraps(function)
        def warned(*args: Any, **kwargs: Any) -> Any:
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                if is_deprecated(name, value):
                    warning.give(function, f"with the argument {name}={value!r} is")
            return function(*args, **kwargs)

        return warned  # type: ignore[return-value]

    return decorate
