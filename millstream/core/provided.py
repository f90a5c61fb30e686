"""What the core takes from the layers above it, found by name when it is first needed.

So nothing above the core is imported before a program uses it, and the core imports nothing above itself.
"""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class Provided:
    """A function that a module above the core provides; calling it imports that module first.

    Args:
      place: where the function is, "package.module:attribute".
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._function: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        function = self._function
        if function is None:
            module, _, attribute = self._place.partition(":")
            function = self._function = getattr(import_module(module), attribute)
        return function(*args, **keywords)
