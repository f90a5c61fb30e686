"""`tf.logging`: messages of the program, on Python's logger `tensorflow`."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from millstream.core.export import export, export_value
from millstream.core.log import tensorflow_logger

# Python's own levels, written out so that importing this module does not import `logging`.
DEBUG = 10
INFO = 20
WARN = 30
ERROR = 40
FATAL = 50

for _name in ("DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
    export_value(__name__, _name, v1=[f"logging.{_name}"])

# How often each place in a program has logged, for `log_every_n` and `log_first_n`.
_counts: dict[tuple[str, int], int] = {}


@export(v1=["logging.log"])
def log(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at a level: `tf.logging.DEBUG`, `INFO`, `WARN`, `ERROR` or `FATAL`."""
    tensorflow_logger().log(level, msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.debug"])
def debug(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at level DEBUG."""
    tensorflow_logger().debug(msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.info"])
def info(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at level INFO, which is not shown by default: see `set_verbosity`."""
    tensorflow_logger().info(msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.warn", "logging.warning"])
def warning(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at level WARN."""
    tensorflow_logger().warning(msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.error"])
def error(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at level ERROR."""
    tensorflow_logger().error(msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.fatal"])
def fatal(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at level FATAL. The program goes on."""
    tensorflow_logger().critical(msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.TaskLevelStatusMessage"])
def TaskLevelStatusMessage(msg: Any) -> None:  # noqa: N802 - the public name
    """Logs `msg` at level ERROR."""
    tensorflow_logger().error(msg, stacklevel=2)


@export(v1=["logging.vlog"])
def vlog(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at a numeric level."""
    tensorflow_logger().log(level, msg, *args, stacklevel=2, **kwargs)


@export(v1=["logging.log_if"])
def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    """Logs `msg % args` at a level if `condition` holds."""
    if condition:
        tensorflow_logger().log(level, msg, *args, stacklevel=2)


@export(v1=["logging.log_every_n"])
def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Logs `msg % args` at a level at the first call from this line of the program, and at every n-th after it."""
    if _count() % n == 0:
        tensorflow_logger().log(level, msg, *args, stacklevel=2)


@export(v1=["logging.log_first_n"])
def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Logs `msg % args` at a level at the first `n` calls from this line of the program."""
    if _count() < n:
        tensorflow_logger().log(level, msg, *args, stacklevel=2)


def _count() -> int:
    """How often the line that called our caller has been here before."""
    frame = sys._getframe(2)
    place = frame.f_code.co_filename, frame.f_lineno
    before = _counts.get(place, 0)
    _counts[place] = before + 1
    return before


@export(v1=["logging.flush"])
def flush() -> NoReturn:
    """Not available, as in TensorFlow.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError()


@export(v1=["logging.get_verbosity"])
def get_verbosity() -> int:
    """The level from which on messages are shown."""
    return tensorflow_logger().getEffectiveLevel()


@export(v1=["logging.set_verbosity"])
def set_verbosity(v: int | str) -> None:
    """Shows messages from a level on.

    Example:
      >>> tf.logging.set_verbosity(tf.logging.INFO)
    """
    tensorflow_logger().setLevel(v)
