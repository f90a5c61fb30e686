"""The modules that `import tensorflow...` gives: each looks its names up in Millstream when they are used."""
from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from millstream.compat.private_modules import SOURCES
from millstream.core.versions import COMPILER_VERSION, VERSIONS
from millstream.public import available, names
from millstream.public.missing import lookup, unknown

_ABSENT = object()
RAW_OPS = "raw_ops"
_VERSION_SUFFIX = re.compile(r"(\w+?)_?[vV]([12])")
_RAW_OPS_MODULE = re.compile(r"python\.(ops|training)\.gen_\w+_ops")
_PARENTS = frozenset(
    ".".join(path.split(".")[:length]) for path in SOURCES for length in range(1, path.count(".") + 1)
)


@functools.cache
def sources(api: int, path: str) -> tuple[str, ...] | None:
    """Where the names of the module `tensorflow.<path>` are looked up; None: Millstream has no such module.

    Each is a public namespace ("tf.nn"), a module ("millstream.core.graph"), "raw_ops", or one name that
    is called otherwise ("MakeNdarray=tf.make_ndarray").
    """
    if _public(api, path):
        return (f"tf.{path}".rstrip("."),)
    if path in SOURCES:
        return tuple(SOURCES[path].replace("*", "").split())
    if _RAW_OPS_MODULE.fullmatch(path):
        return (RAW_OPS,)
    parent, _, leaf = path.rpartition(".")
    above = SOURCES.get(parent) or ""
    if above.endswith("*") and _public(api, f"{above[3:-1]}.{leaf}"):
        return (f"{above[:-1]}.{leaf}",)
    return () if path in _PARENTS else None


def _public(api: int, path: str) -> bool:
    return available.file_of(*names.locate(api, path)) is not None


@functools.cache
def _namespace(api: int, place: str) -> ModuleType | None:
    """The public namespace "tf.nn", None when Millstream does not have it."""
    api, path = names.locate(api, place.removeprefix("tf").removeprefix("."))
    return import_module(f"millstream._api.v{api}.{path}".rstrip(".")) if _public(api, path) else None


def fill(module: ModuleType, api: int) -> None:
    """Makes an empty module `tensorflow[.path]` look its names up in Millstream."""
    path = module.__name__.partition(".")[2]
    places = sources(api, path) or ()

    def get(name: str) -> object:
        if name == "__all__":
            return sorted(_names(api, path, places))
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        below = f"{path}.{name}".lstrip(".")
        if sources(api, below) is not None:
            return import_module(f"tensorflow.{below}")
        value = find(api, places, name)
        if value is _ABSENT:
            # An import asks first whether the attribute is there. Told no, it imports, and that tells more.
            importing = sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap"
            return not_there(api, path, name, placeholders=not importing)
        setattr(module, name, value)
        return value

    module.__getattr__ = get  # type: ignore[method-assign]
    module.__dir__ = lambda: sorted({*module.__dict__, *_names(api, path, places)})  # type: ignore[method-assign]
    if (file := available.file_of(*names.locate(api, path))) is not None:
        module.__file__ = file
    if not path:
        module.__dict__.update(
            __version__=VERSIONS[api], __git_version__="", __compiler_version__=COMPILER_VERSION
        )


def find(api: int, places: Iterable[str], name: str) -> object:
    """The value of `name` in the first of `places` that has it, else `_ABSENT`."""
    for place in places:
        renamed, equals, target = place.partition("=")
        if equals:
            container, _, leaf = target.rpartition(".")
            value = _look_in(api, container, leaf) if renamed == name else _ABSENT
        else:
            value = _look_in(api, place, name)
        if value is not _ABSENT:
            return value
    if match := _VERSION_SUFFIX.fullmatch(name):
        return find(int(match[2]), [place for place in places if _is_public(place)], match[1])
    return _ABSENT


def _look_in(api: int, place: str, name: str) -> object:
    if place == RAW_OPS:
        from millstream.public import raw_ops

        return raw_ops.by_snake_case(name) or _ABSENT
    if not _is_public(place):
        return getattr(import_module(place), name, _ABSENT)
    namespace = _namespace(api, place)
    return getattr(namespace, name) if namespace is not None and name in namespace.__all__ else _ABSENT


def _is_public(place: str) -> bool:
    return place.partition(".")[0] == "tf"


def _names(api: int, path: str, places: Iterable[str]) -> set[str]:
    """The names that a module has, for `dir` and `import *`."""
    found: set[str] = set()
    for place in places:
        renamed, equals, _ = place.partition("=")
        if equals:
            found.add(renamed)
        elif _is_public(place) and (namespace := _namespace(api, place)) is not None:
            found.update(namespace.__all__)
    return found


def not_there(api: int, path: str, name: str, placeholders: bool) -> object:
    """What a name that Millstream lacks gives: an error, or a placeholder for a namespace of TensorFlow."""
    if not names.is_namespace(*names.locate(api, path)):
        raise AttributeError(
            f"tensorflow.{path}.{name}, private to TensorFlow, is not yet part of Millstream"
        )
    below = f"{path}.{name}".lstrip(".")
    if not placeholders and names.is_namespace(*names.locate(api, below)):
        raise unknown(api, below)
    return lookup(api, below)
