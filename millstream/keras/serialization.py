"""Objects of Keras as plain data, and objects by name."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_data(value: Any) -> Any:
    """An object with a configuration as `{"class_name": …, "config": …}`, a function as its name; None stays None."""
    if value is None:
        return None
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    return value.__name__


def from_data(data: Any, known: Mapping[str, Any], custom: Mapping[str, Any] | None, kind: str) -> Any:
    """The object that `as_data` wrote, or that has this name.

    Args:
      data: what `as_data` gave, or a name.
      known: by name, classes and functions that make one; of those that are named the defaults are taken.
      custom: further ones, which come first.
      kind: what is looked for, for the message.

    Raises:
      ValueError: the name is not known.
    """
    name = data if isinstance(data, str) else data["class_name"]
    found = (custom or {}).get(name) or known.get(name)
    if found is None:
        raise ValueError(f"Unknown {kind}:{name}")
    if isinstance(data, str):
        return found()
    return found.from_config(data["config"]) if hasattr(found, "from_config") else found(**data["config"])
