"""Warnings about what TensorFlow has deprecated: one line on the `tensorflow` logger, once a name."""

from __future__ import annotations

_warned: set[str] = set()


def warn(name: str, instead: str) -> None:
    """Logs, the first time for this `name`, that it is deprecated and what to use instead."""
    if name in _warned:
        return
    _warned.add(name)
    import logging

    text = "%s is deprecated and will be removed in a future version. %s"
    logging.getLogger("tensorflow").warning(text, name, instead)
