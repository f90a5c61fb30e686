"""Threads of tests."""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class CheckedThread:
    """A thread that keeps what its target raises, for `join` to raise."""

    def __init__(self, target: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._target = lambda: target(*args, **kwargs)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._target()
        except Exception as error:  # noqa: BLE001 - handed to whoever joins
            self._error = error

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self) -> None:
        """Waits for the thread to end.

        Raises:
          AssertionError: its target raised.
        """
        self._thread.join()
        if self._error is not None:
            raise AssertionError(f"Error in checkedThread: {self._error}") from self._error

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def check_termination(self) -> None:
        """Joins the thread, which must have ended by itself."""
        if self.is_alive():
            raise AssertionError("A checked thread was not joined before the end of the test.")
        self.join()
