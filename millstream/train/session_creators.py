"""Who makes the session of a monitored session: the program that initialises the model, or one that waits for it."""

from __future__ import annotations

import abc
from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.train.scaffold import Scaffold
from millstream.train.session_manager import SessionManager


@export(v1=["train.SessionCreator"])
class SessionCreator(abc.ABC):
    """Makes sessions, at the beginning and after each recovery."""

    @abc.abstractmethod
    def create_session(self) -> Any:
        """A session in which the model is ready."""


class _ScaffoldedCreator(SessionCreator):
    """What both creators share: a scaffold, finalised before each session."""

    def __init__(self, scaffold: Scaffold | None, master: str, config: Any) -> None:
        self._scaffold = Scaffold() if scaffold is None else scaffold
        self._session_manager: SessionManager | None = None
        self._master = master
        self._config = config

    def _get_session_manager(self) -> SessionManager:
        self._scaffold.finalize()
        if self._session_manager is None:
            self._session_manager = SessionManager(
                local_init_op=self._scaffold.local_init_op,
                ready_op=self._scaffold.ready_op,
                ready_for_local_init_op=self._scaffold.ready_for_local_init_op,
                graph=get_default_graph(),
            )
        return self._session_manager


@export(v1=["train.ChiefSessionCreator"])
class ChiefSessionCreator(_ScaffoldedCreator):
    """Makes sessions by restoring the model, or initialising it where there is no checkpoint.

    Args:
      scaffold: what initialises and restores; default: a new one.
      master: the session's target: "".
      config: its `ConfigProto`.
      checkpoint_dir: the folder whose newest checkpoint is restored.
      checkpoint_filename_with_path: the checkpoint, in place of a folder.
    """

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        super().__init__(scaffold, master, config)
        self._checkpoint_dir = checkpoint_dir
        self._checkpoint_filename_with_path = checkpoint_filename_with_path

    def create_session(self) -> Any:
        """A session in which the model is restored or initialised."""
        return self._get_session_manager().prepare_session(
            self._master,
            saver=self._scaffold.saver,
            checkpoint_dir=self._checkpoint_dir,
            checkpoint_filename_with_path=self._checkpoint_filename_with_path,
            config=self._config,
            init_op=self._scaffold.init_op,
            init_feed_dict=self._scaffold.init_feed_dict,
            init_fn=self._scaffold.init_fn,
        )


@export(v1=["train.WorkerSessionCreator"])
class WorkerSessionCreator(_ScaffoldedCreator):
    """Makes sessions in which somebody else has made the model ready.

    Args:
      scaffold: says when it is ready; default: a new one.
      master: the session's target.
      config: its `ConfigProto`.
      max_wait_secs: how long to wait at most.
    """

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        max_wait_secs: float = 30 * 60,
    ) -> None:
        super().__init__(scaffold, master, config)
        self._max_wait_secs = max_wait_secs

    def create_session(self) -> Any:
        """A session in which the model is ready.

        Raises:
          DeadlineExceededError: it was not in time.
        """
        return self._get_session_manager().wait_for_session(
            self._master, config=self._config, max_wait_secs=self._max_wait_secs
        )
