"""Marks that say under which public names an object appears.

`tools/api_gen.py` reads the marks and writes the namespaces under `millstream/_api/` as plain imports.
A name is relative to the namespace: `"math.softplus"` is `tf.math.softplus`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Mark(NamedTuple):
    """One exported object: where it is defined and its public names in both namespaces."""

    module: str
    attribute: str
    v1: tuple[str, ...]
    v2: tuple[str, ...]


MARKS: list[Mark] = []


def export(
    *names: str, v1: Iterable[str] | None = None, v2: Iterable[str] | None = None
) -> Callable[[T], T]:
    """Exports a function or class under `names` in both namespaces.

    Args:
      *names: dotted names for both versions.
      v1: further names of the 1.x namespace only.
      v2: further names of the 2.x namespace only.

    Example:
      >>> @export("math.softplus", "nn.softplus")
      ... def softplus(features, name=None): ...
    """

    def mark(target: T) -> T:
        export_value(target.__module__, target.__name__, *names, v1=v1, v2=v2)  # type: ignore[attr-defined]
        return target

    return mark


def export_value(
    module: str, attribute: str, *names: str, v1: Iterable[str] | None = None, v2: Iterable[str] | None = None
) -> None:
    """Exports `module.attribute`, whatever its kind (constants, dtypes, aliases), like `export`."""
    MARKS.append(Mark(module, attribute, (*names, *(v1 or ())), (*names, *(v2 or ()))))
