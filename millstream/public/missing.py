"""Names that Millstream does not have: errors that say whether TensorFlow has them, and what is close.

A `MissingNameError` works its hint out when it is printed: `hasattr(tf, "missing")` stays cheap.
"""
from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from millstream.public import names


class MissingNameError(AttributeError):
    """TensorFlow has the name, Millstream does not have it yet."""

    def __init__(self, api: int, name: str) -> None:
        super().__init__(not_yet(api, f"tf.{name}"))
        self.api = api
        self.missing = name

    def __str__(self) -> str:
        return f"{self.args[0]}.{_same_elsewhere(self.api, self.missing)} {CHECK_HINT}"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.api, self.missing)


class MissingModuleError(ImportError):
    """An import of a TensorFlow module that Millstream does not have."""


class MissingNamespace(ModuleType):
    """Stands for a namespace such as `tf.contrib.tpu`, so that an error can tell the full name."""

    def __init__(self, api: int, name: str) -> None:
        super().__init__(f"tensorflow.{name}", f"{not_yet(api, f'tf.{name}')}.")
        self.__dict__["_place"] = (api, name)

    def __getattr__(self, attribute: str) -> object:
        api, name = self.__dict__["_place"]
        return lookup(api, f"{name}.{attribute}")

    def __repr__(self) -> str:
        return f"<{self.__name__}: not yet in Millstream>"


CHECK_HINT = "`millstream check PROGRAM` lists everything that a program would miss."


def not_yet(api: int, name: str) -> str:
    return f"{name} is part of TensorFlow {api}.x but not yet of Millstream"


def lookup(api: int, name: str) -> MissingNamespace:
    """What stands for `tf.<name>`, which Millstream lacks: a placeholder for a namespace, else an error.

    Raises:
      MissingNameError: TensorFlow has the name.
      AttributeError: it has not.
    """
    actual = names.locate(api, name)
    if names.kind(*actual) is None:
        raise unknown(api, name)
    if names.is_namespace(*actual):
        return MissingNamespace(api, name)
    raise MissingNameError(api, name)


def unknown(api: int, name: str) -> AttributeError:
    """The error for a name that TensorFlow does not have."""
    namespace, _, leaf = f"tensorflow.{name}".rpartition(".")
    hint = "" if leaf.startswith("_") else _other_version(api, name) or _did_you_mean(api, name)
    return AttributeError(f"module {namespace!r} has no attribute {leaf!r}{hint}")


def _same_elsewhere(api: int, name: str) -> str:
    """A hint at what Millstream has under the same or nearly the same name."""
    from millstream.public import available

    api, name = names.locate(api, name)
    namespace, _, leaf = name.rpartition(".")
    found = sorted(n for n in available.all_names(api) if n.rpartition(".")[2] == leaf)
    if found:
        return f" There is {_listed(found)}, which may differ."
    close = _close(leaf, available.members(api, namespace) or (), namespace)
    return f" Close names that it has: {_listed(close)}." if close else ""


def _other_version(api: int, name: str) -> str:
    """For a name that only the other version has."""
    api, name = names.locate(api, name)
    other = 3 - api
    if names.kind(other, name) is None:
        return ""
    return (
        f"; it is part of TensorFlow {other}.x: tf.compat.v{other}.{name}, or `millstream run --api {other}`"
    )


def _did_you_mean(api: int, name: str) -> str:
    api, name = names.locate(api, name)
    namespace, _, leaf = name.rpartition(".")
    close = _close(leaf, names.members(api, namespace), namespace)
    return f". Did you mean {_listed(close)}?" if close else ""


def _close(leaf: str, candidates: Iterable[str], namespace: str) -> list[str]:
    import difflib

    found = difflib.get_close_matches(leaf, list(candidates), n=3, cutoff=0.75)
    return [f"{namespace}.{n}".removeprefix(".") for n in found]


def _listed(found: list[str]) -> str:
    return " or ".join(f"tf.{n}" for n in found[:3])
