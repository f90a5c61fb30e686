"""What the generated namespaces under `millstream._api` have in common: names are imported on first use."""
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from millstream.public.missing import lookup


def dynamic(module: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of the generated module `millstream._api.v<api>.<namespace>`.

    Args:
      module: the module's `__name__`.
      places: public name -> where it is, "package.module" or "package.module:attribute".
    """
    version, _, namespace = module.removeprefix("millstream._api.v").partition(".")
    prefix = namespace + "." if namespace else ""

    def get(name: str) -> object:
        place = places.get(name)
        if place is None:
            # `import millstream.io.proto as p` asks the namespace `tf.io` for a module of the package of that name.
            own = sys.modules.get(f"millstream.{prefix}{name}") if prefix else None
            return lookup(int(version), prefix + name) if own is None else own
        source, _, attribute = place.partition(":")
        value: object = import_module(source)
        if attribute:
            value = getattr(value, attribute)
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return list(sys.modules[module].__all__)

    return get, names
