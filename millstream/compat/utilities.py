"""Small helpers of TensorFlow's private modules that programs use around their own code."""
from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


class tf_export:
    """`@tf_export("name")`: marks a public name of TensorFlow; here it changes nothing."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.names = names

    def __call__(self, target: T) -> T:
        return target

    def export_constant(self, module_name: str, name: str) -> None:
        """Does nothing."""


keras_export = estimator_export = tf_export


def deprecated(date: str | None, instructions: str, warn_once: bool = True) -> Callable[[T], T]:
    """Marks a function as deprecated: its docstring says so, and the first call warns.

    Args:
      date: when it may be removed ("2030-01-31"), or None for some day.
      instructions: what to use instead.
      warn_once: warn at the first call only.
    """

    def decorate(function: Any) -> Any:
        warned: list[bool] = []

        @functools.wraps(function)
        def wrapper(*args: Any, **keywords: Any) -> Any:
            if not (warned and warn_once):
                import logging

                warned.append(True)
                logging.getLogger("tensorflow").warning(
                    "%s is deprecated and will be removed %s: %s",
                    function.__qualname__,
                    f"after {date}" if date else "in a future version",
                    instructions,
                )
            return function(*args, **keywords)

        wrapper.__doc__ = f"DEPRECATED: {instructions}\n\n{function.__doc__ or ''}"
        return wrapper

    return decorate


def _unchanged(*_: Any, **__: Any) -> Callable[[T], T]:
    return lambda function: function


deprecated_args = deprecated_arg_values = deprecated_endpoints = _unchanged


@contextmanager
def silence() -> Iterator[None]:
    """Runs the block without deprecation warnings."""
    import logging

    logger = logging.getLogger("tensorflow")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def remove_undocumented(
    module_name: str, allowed_exception_list: Any = None, doc_string_modules: Any = None
) -> None:
    """Does nothing: a module keeps its names."""


class LazyLoader(ModuleType):
    """A module that is imported when one of its attributes is first used."""

    def __init__(self, local_name: str, parent_module_globals: dict[str, Any], name: str) -> None:
        super().__init__(name)
        self.__dict__["_home"] = (local_name, parent_module_globals)

    def __getattr__(self, attribute: str) -> Any:
        local_name, home = self.__dict__["_home"]
        home[local_name] = module = importlib.import_module(self.__name__)
        return getattr(module, attribute)
