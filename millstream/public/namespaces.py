"""What the generated namespaces under `millstream._api` have in common: names that load on first use."""
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from millstream.public.missing import lookup

_NONE: Mapping[str, str] = {}


def dynamic(
    module: str, lazy: Mapping[str, str] = _NONE
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of the generated module `millstream._api.v<api>.<namespace>`.

    Args:
      module: the module's `__name__`.
      lazy: public name -> where it is, "package.module" or "package.module:attribute"; imported when used.
    """
    version, _, namespace = module.removeprefix("millstream._api.v").partition(".")
    prefix = namespace + "." if namespace else ""

    def get(name: str) -> object:
        place = lazy.get(name)
        if place is None:
            return lookup(int(version), prefix + name)
        source, _, attribute = place.partition(":")
        value: object = import_module(source)
        if attribute:
            value = getattr(value, attribute)
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return list(sys.modules[module].__all__)

    return get, names
