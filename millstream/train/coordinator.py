"""Threads that stop together, and pass on what goes wrong."""
from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from millstream.core import errors
from millstream.core.export import export
from millstream.core.log import tensorflow_logger

# How often a waiting thread looks whether it was interrupted, and `join` whether the threads have ended.
_POLL_SECONDS = 1.0


@export("train.Coordinator")
class Coordinator:
    """Coordinates the end of a group of threads.

    Any thread calls `request_stop`; all of them call `should_stop` now and then, and end when it is true. The main
    thread waits in `join`, which raises the exception that was given to `request_stop`.

    Args:
      clean_stop_exception_types: exceptions that mean a normal end, so that `join` does not raise them; default:
        `tf.errors.OutOfRangeError`.

    Example:
      >>> coord = tf.train.Coordinator()
      >>> def work():
      ...   with coord.stop_on_exception():
      ...     while not coord.should_stop():
      ...       step()
      >>> threads = [threading.Thread(target=work) for _ in range(4)]
      >>> for thread in threads:
      ...   thread.start()
      >>> coord.join(threads)
    """

    def __init__(self, clean_stop_exception_types: tuple[type[BaseException], ...] | None = None) -> None:
        types = clean_stop_exception_types
        self._clean_stop_exception_types = (errors.OutOfRangeError,) if types is None else tuple(types)
        self._lock = threading.Lock()
        self._stop_event = threading.Event()
        self._error: BaseException | None = None
        self._joined = False
        self._registered: set[threading.Thread] = set()

    # --- Asking to stop ---------------------------------------------------------------------------------------------

    def request_stop(self, ex: Any = None) -> None:
        """Asks all threads to stop.

        Args:
          ex: the exception that is the reason, or the tuple that `sys.exc_info()` gave; `join` raises it, the first
            one where there are several.
        """
        with self._lock:
            error = self._reason(ex)
            if self._joined:
                if error is not None:  # nobody will call `join` again
                    raise error
                return
            if self._stop_event.is_set():
                return
            if error is not None:
                text = f"{error}" if isinstance(ex, tuple) else f"{type(error)}, {error}"
                tensorflow_logger().info("Error reported to Coordinator: %s", text)
                self._error = error
            self._stop_event.set()

    def _reason(self, ex: Any) -> BaseException | None:
        """The exception to pass on, or None where it means a normal end."""
        error = ex[1] if isinstance(ex, tuple) else ex
        if error is None or isinstance(error, self._clean_stop_exception_types):
            return None
        if not isinstance(error, BaseException):
            return TypeError(f"request_stop takes an exception or sys.exc_info(), received {error!r}.")
        return error

    def clear_stop(self) -> None:
        """Forgets that a stop was requested; `should_stop` is false again."""
        with self._lock:
            self._joined = False
            self._error = None
            self._stop_event.clear()

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop_event.is_set()

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """Asks to stop with whatever exception leaves the `with` block, which does not leave it further."""
        try:
            yield
        except:  # noqa: E722  (SystemExit and KeyboardInterrupt of a thread end the others too)
            self.request_stop(ex=sys.exc_info())

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop is requested, or for `timeout` seconds; gives whether one was."""
        return self._stop_event.wait(timeout)

    # --- Waiting for the end ----------------------------------------------------------------------------------------

    @property
    def joined(self) -> bool:
        """Whether `join` has come to its end."""
        return self._joined

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread to those that `join` waits for."""
        with self._lock:
            self._registered.add(thread)

    def join(
        self,
        threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Waits until a stop is requested and the threads have ended, or all have ended by themselves.

        Args:
          threads: threads to wait for besides the registered ones.
          stop_grace_period_secs: how long they may take from the request on.
          ignore_live_threads: do not complain about threads that are running after that.

        Raises:
          RuntimeError: threads were running after the grace period.
          BaseException: what was given to `request_stop`.
        """
        with self._lock:
            waited_for = list(self._registered.union(threads or ()))
        while any(thread.is_alive() for thread in waited_for) and not self.wait_for_stop(_POLL_SECONDS):
            pass
        self._wait_for_end(waited_for, stop_grace_period_secs)
        with self._lock:
            self._joined = True
            self._registered.clear()
            alive = [thread.name for thread in waited_for if thread.is_alive()]
            error = self._error
        if error is not None:
            raise error
        if not alive:
            return
        names = " ".join(alive)
        if not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {names}")
        tensorflow_logger().info("Coordinator stopped with threads still running: %s", names)

    @staticmethod
    def _wait_for_end(threads: Sequence[threading.Thread], grace_seconds: float) -> None:
        end = time.monotonic() + grace_seconds
        for thread in threads:
            while thread.is_alive() and (left := end - time.monotonic()) >= 0:
                thread.join(min(left, _POLL_SECONDS))

    def raise_requested_exception(self) -> None:
        """Raises the exception that was given to `request_stop`, if there is one."""
        with self._lock:
            error = self._error
        if error is not None:
            raise error


@export(v1=["train.LooperThread"])
class LooperThread(threading.Thread):
    """A thread that calls a function again and again until its coordinator stops.

    Args:
      coord: the coordinator; an exception of the function stops it.
      timer_interval_secs: the time between the starts of two calls; None: one call follows the other.
      target: the function; default: `run_loop`, for subclasses.
      args, kwargs: its arguments.

    Raises:
      ValueError: `coord` is no `Coordinator`.
    """

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        super().__init__(daemon=True)
        self._coord = coord
        self._timer_interval_secs = timer_interval_secs
        self._loop_target = target
        self._loop_args = () if args is None else args
        self._loop_kwargs = {} if kwargs is None else kwargs
        if target is None and (args or kwargs):
            raise ValueError("'args' and 'kwargs' argument require that you also pass 'target'")
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> LooperThread:
        """Makes and starts such a thread."""
        thread = LooperThread(coord, timer_interval_secs, target=target, args=args, kwargs=kwargs)
        thread.start()
        return thread

    def run(self) -> None:
        """The thread's work."""
        with self._coord.stop_on_exception():
            self.start_loop()
            if self._timer_interval_secs is None:
                while not self._coord.should_stop():
                    self.run_loop()
            else:
                next_time = time.time()
                while not self._coord.wait_for_stop(next_time - time.time()):
                    next_time += self._timer_interval_secs
                    self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Called before the first turn; for subclasses."""

    def stop_loop(self) -> None:
        """Called after the last turn; for subclasses."""

    def run_loop(self) -> None:
        """One turn: calls the target."""
        if self._loop_target is not None:
            self._loop_target(*self._loop_args, **self._loop_kwargs)
