"""`tf.experimental`'s scopes about how operations run. Execution is asynchronous of itself, so they change nothing."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from millstream.core.export import export


@export(v2=["experimental.async_scope"])
@contextmanager
def async_scope() -> Iterator[None]:
    """Accepted for compatibility: results are waited for where they are needed, inside and outside of the scope."""
    yield


@export(v2=["experimental.async_clear_error"])
def async_clear_error() -> None:
    """Accepted for compatibility: an error is raised where it happens, and none stays behind."""


@export("experimental.function_executor_type")
@contextmanager
def function_executor_type(executor_type: str) -> Iterator[None]:
    """Accepted for compatibility: a function is one XLA executable.

    Args:
      executor_type: a name such as `"SINGLE_THREADED_EXECUTOR"`.
    """
    yield


@export(v2=["experimental.register_filesystem_plugin"])
def register_filesystem_plugin(plugin_location: str) -> None:
    """Not available: plugins are made for TensorFlow's C++ runtime.

    Raises:
      FileNotFoundError: there is no such file.
      NotImplementedError: there is.
    """
    if not os.path.exists(plugin_location):
        raise FileNotFoundError(2, "The file to load file system plugin from does not exist.", plugin_location)
    raise NotImplementedError(
        f"{plugin_location} is a plugin for TensorFlow's C++ runtime, which Millstream has not. "
        "Mount the file system, or copy the files."
    )
