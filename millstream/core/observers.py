"""Functions that see each operation as it is applied, for checks and logs. While there are none, they cost nothing."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import opdef
from millstream.core.dispatch import apply_op
from millstream.core.opdef import OpDef

# `observer(definition, inputs, result)` gives the result, or what is to stand for it.
Observer = Callable[[OpDef, Sequence[Any], Any], Any]

_observers: list[Observer] = []


def add(observer: Observer) -> None:
    """Has `observer` called for each operation from now on, once even if it is added twice."""
    if observer not in _observers:
        _observers.append(observer)
    opdef.APPLY[0] = _apply_observed


def remove(observer: Observer) -> None:
    """Undoes `add`."""
    if observer in _observers:
        _observers.remove(observer)
    if not _observers:
        opdef.APPLY[0] = apply_op


def _apply_observed(definition: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], name: str | None) -> Any:
    result = apply_op(definition, inputs, attrs, name)
    for observer in tuple(_observers):
        result = observer(definition, inputs, result)
    return result
