"""Counted fail points: where tests let the process that saves die, or its disk be full.

Whatever writes files says so before each step by `reached`. The environment variable `MILLSTREAM_FAIL_POINT`, for
tests only, says what happens at which step: `kill 3` kills the process (as `kill -9` does) when it reaches the fourth.
"""

from __future__ import annotations

import errno
import os

_ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO}
_action = ""
_left = 0  # steps that are still let pass


def arm(setting: str) -> None:
    """Takes a setting: `kill N`, `full N` (the disk), `broken N` (the disk), or nothing."""
    global _action, _left
    action, _, count = setting.partition(" ")
    if action and action != "kill" and action not in _ERRORS:
        raise ValueError(f"MILLSTREAM_FAIL_POINT is 'kill N', 'full N' or 'broken N'; received: {setting!r}")
    _action, _left = action, int(count or 0)


def has_failed() -> bool:
    """Whether a step has failed since the last call of `arm`."""
    return _left < 0


def reached() -> None:
    """A step of a write comes next. Does nothing in programs that are not tests.

    Raises:
      OSError: a test wants it.
    """
    if _action:
        _count()


def _count() -> None:
    global _left
    _left -= 1
    if _left >= 0:
        return
    if _action == "kill":
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    if _left == -1:  # the disk has room again for what comes after, such as a log
        raise OSError(_ERRORS[_action], os.strerror(_ERRORS[_action]))


arm(os.environ.get("MILLSTREAM_FAIL_POINT", ""))
