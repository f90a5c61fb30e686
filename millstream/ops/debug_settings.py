"""What the process logs and shows for debugging."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from millstream.core import observers
from millstream.core.export import export
from millstream.core.opdef import OpDef
from millstream.core.tensor import Tensor


class _Settings:
    log_device_placement = False
    traceback_filtering = True


# --- Placement ----------------------------------------------------------------------------------------------


@export("debugging.get_log_device_placement")
def get_log_device_placement() -> bool:
    """Whether `tf.debugging.set_log_device_placement` is in force."""
    return _Settings.log_device_placement


@export("debugging.set_log_device_placement")
def set_log_device_placement(enabled: bool) -> None:
    """Says for each eager operation, on standard error, which device it ran on.

    Args:
      enabled: whether to.
    """
    _Settings.log_device_placement = bool(enabled)
    (observers.add if enabled else observers.remove)(_log_placement)


def _log_placement(definition: OpDef, inputs: Sequence[Any], result: Any) -> Any:
    first = result[0] if isinstance(result, (list, tuple)) and result else result
    if isinstance(first, Tensor) and first.is_eager:
        print(f"Executing op {definition.name} in device {first.device}", file=sys.stderr)
    return result


# --- Stack traces -------------------------------------------------------------------------------------------


@export(v2=["debugging.is_traceback_filtering_enabled"])
def is_traceback_filtering_enabled() -> bool:
    """Whether `tf.debugging.enable_traceback_filtering` was called last, as it is at first."""
    return _Settings.traceback_filtering


@export(v2=["debugging.enable_traceback_filtering"])
def enable_traceback_filtering() -> None:
    """Accepted for compatibility: errors name the user's line, and Python's stack traces stay whole, in either case."""
    _Settings.traceback_filtering = True


@export(v2=["debugging.disable_traceback_filtering"])
def disable_traceback_filtering() -> None:
    """Accepted for compatibility, see `tf.debugging.enable_traceback_filtering`."""
    _Settings.traceback_filtering = False
