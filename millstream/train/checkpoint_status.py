"""What `Checkpoint.restore` gives: says how much was restored, and in a graph does it in a session."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from millstream.core import context, session_stack
from millstream.core.trackable import Trackable
from millstream.core.variables import Variable
from millstream.train.checkpoint_restore import Load
from millstream.train.object_graph import Names, ObjectGraph, has_values, is_empty_container

# A way to list the objects of the program now.
View = Callable[[], ObjectGraph]

_MOST_SHOWN = 10


class LoadStatus:
    """Base of the statuses."""

    def assert_consumed(self) -> LoadStatus:
        """Raises AssertionError unless all values of the checkpoint have been restored, and all objects have values."""
        raise NotImplementedError

    def assert_existing_objects_matched(self) -> LoadStatus:
        """Raises AssertionError unless all objects of the program that are there now have got their values."""
        raise NotImplementedError

    def assert_nontrivial_match(self) -> LoadStatus:
        """Raises AssertionError unless something besides the root has been restored."""
        raise NotImplementedError

    def run_restore_ops(self, session: Any = None) -> None:
        """Restores in a session what has been matched; in eager execution that has happened already.

        Args:
          session: the session; default: the default session.
        """
        raise NotImplementedError

    def initialize_or_restore(self, session: Any = None) -> None:
        """Restores in a session, and runs the initialisers of variables that the checkpoint does not have.

        Args:
          session: the session; default: the default session.
        """
        raise NotImplementedError

    def expect_partial(self) -> LoadStatus:
        """Says nothing of values of the checkpoint that are not used."""
        return self


class CheckpointLoadStatus(LoadStatus):
    """The status of a checkpoint of objects.

    Args:
      load: the restoration.
      view: lists the objects of the program.
      feeds: what a session is to be fed.
    """

    def __init__(self, load: Load, view: View, feeds: dict[Any, Any]) -> None:
        self._load = load
        self._view = view
        self._feeds = feeds

    def assert_consumed(self) -> CheckpointLoadStatus:
        """Checks that all values of the checkpoint have been restored, and that all objects have got values.

        Raises:
          AssertionError: that is not so.
        """
        self.assert_existing_objects_matched()
        load = self._load
        counts_all = not self._view().newer  # 1.x counts objects without values too
        for number, node in enumerate(load.message.nodes):
            if load.found(number) is None and (node.attributes or counts_all):
                raise AssertionError(f"Unresolved object in checkpoint {Names(load.message)[number]}: {node}")
        if load.slots_of_variable or load.slots_of_optimizer:
            waiting = [*load.slots_of_variable.values(), *load.slots_of_optimizer.values()]
            raise AssertionError(f"Unresolved slot restorations: {waiting}")
        if load.unused:
            listed = [f"\n    {item}: {names}" for item, names in load.unused]
            raise AssertionError(
                "Unused attributes in these objects (the attributes exist in the checkpoint but were not restored): "
                + "".join(listed)
            )
        return self

    def assert_existing_objects_matched(self) -> CheckpointLoadStatus:
        """Checks that all objects of the program that are there now have got their values.

        Raises:
          AssertionError: that is not so.
        """
        load = self._load
        for number, node in enumerate(load.message.nodes):
            item = load.found(number)
            if item is not None and item._tracked.order < load.order:
                raise AssertionError(f"Object {node} not assigned a value from checkpoint.")
        graph = self._view()
        matters = has_values if graph.newer else lambda item: not is_empty_container(item)
        unmatched = [item for item in _unmatched(load, graph.objects) if matters(item)]
        if unmatched and graph.newer:
            count, shown = len(unmatched), unmatched[:_MOST_SHOWN]
            raise AssertionError(
                f"Found {count} Python objects that were not bound to checkpointed values, likely due to changes in "
                f"the Python program. Showing {len(shown)} of {count} unmatched objects: {shown}"
            )
        if unmatched:
            raise AssertionError(
                "Some Python objects were not bound to checkpointed values, likely due to changes in the Python "
                f"program: {unmatched}"
            )
        return self

    def assert_nontrivial_match(self) -> CheckpointLoadStatus:
        """Checks that something besides the root has been restored.

        Raises:
          AssertionError: that is not so.
        """
        if len(self._load.all_found()) > 1:
            return self
        objects = self._view().objects
        unmatched = _unmatched(self._load, objects)
        if unmatched:
            raise AssertionError(
                "Nothing except the root object matched a checkpointed value. Typically this means that the "
                f"checkpoint does not match the Python program. The following objects have no matching checkpointed "
                f"value: {unmatched}"
            )
        raise AssertionError(f"Nothing to load. No dependencies have been added to {objects[0]} yet.")

    def run_restore_ops(self, session: Any = None) -> None:
        """Restores in a session what has been matched so far."""
        if not context.executing_eagerly():
            session_of(session).run(self._load.to_run, self._feeds)

    def initialize_or_restore(self, session: Any = None) -> None:
        """Restores in a session, and runs the initialisers of variables that the checkpoint does not have."""
        if context.executing_eagerly():
            return
        session = session_of(session)
        matched = {id(item) for item in self._load.all_found()}
        others = [item for item in self._view().objects if id(item) not in matched]
        self.run_restore_ops(session)
        session.run(initializers_of(others, self._load.order))

    def expect_partial(self) -> CheckpointLoadStatus:
        """Says nothing of values of the checkpoint that are not used."""
        self._load.expect_partial()
        return self


def _unmatched(load: Load, objects: Iterable[Trackable]) -> list[Trackable]:
    matched = {id(item) for item in load.all_found()}
    return [item for item in objects if id(item) not in matched]


def initializers_of(objects: Iterable[Trackable], order: int) -> list[Any]:
    """The initialisers of variables that no restoration from `order` on has given a value."""
    variables = [item for item in objects if isinstance(item, Variable) and item._tracked.order < order]
    return [variable.initializer for variable in variables]


def session_of(session: Any) -> Any:
    """The session, or else the default session.

    Raises:
      ValueError: there is none.
    """
    session = session or session_stack.get_default_session()
    if session is None:
        raise ValueError("The values of a graph's variables are in a session: give one, or use `with tf.Session():`.")
    return session


class InitializationOnlyStatus(LoadStatus):
    """The status where there was no checkpoint to restore.

    Args:
      view: lists the objects of the program.
      order: the number that a restoration would have.
    """

    def __init__(self, view: View, order: int) -> None:
        self._view = view
        self._order = order

    def _fail(self) -> LoadStatus:
        raise AssertionError("No checkpoint specified (save_path=None); nothing is being restored.")

    assert_consumed = assert_existing_objects_matched = assert_nontrivial_match = _fail

    def run_restore_ops(self, session: Any = None) -> None:
        """There is nothing to restore.

        Raises:
          AssertionError: always.
        """
        raise AssertionError(
            "No checkpoint specified, so no restore ops are available (save_path=None to Saver.restore)."
        )

    def initialize_or_restore(self, session: Any = None) -> None:
        """Runs the initialisers of the variables in a session; in eager execution variables have values."""
        if not context.executing_eagerly():
            session_of(session).run(initializers_of(self._view().objects, self._order))


class NameBasedSaverStatus(LoadStatus):
    """The status of a checkpoint of a `tf.train.Saver`, which has variables by their names.

    Args:
      restoration: restores objects by names.
      view: lists the objects of the program.
    """

    def __init__(self, restoration: Any, view: View) -> None:
        self._restoration = restoration
        self._view = view
        self._optional: list[Any] = []

    def add_to_optionally_restored(self, variable: Any) -> None:
        """Says that the checkpoint need not have a variable."""
        self._optional.append(variable)

    def assert_consumed(self) -> NameBasedSaverStatus:
        """Checks that all objects of the program have got their values; what else the checkpoint has does not matter.

        Raises:
          AssertionError: that is not so.
        """
        missing = [
            (item, names)
            for item, names in self._restoration.missing(self._view().objects)
            if all(item is not other for other in self._optional)
        ]
        if missing:
            listed = [f"\n    {item}: {names}" for item, names in missing]
            raise AssertionError(f"Some objects had attributes which were not restored: {''.join(listed)}")
        return self

    assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def run_restore_ops(self, session: Any = None) -> None:
        """Restores in a session what the checkpoint has."""
        if not context.executing_eagerly():
            self._restoration.run(self._view().objects, session_of(session))

    def initialize_or_restore(self, session: Any = None) -> None:
        """Restores in a session, and runs the initialisers of variables that the checkpoint does not have."""
        if context.executing_eagerly():
            return
        objects, session = self._view().objects, session_of(session)
        session.run([item.initializer for item, _ in self._restoration.missing(objects) if isinstance(item, Variable)])
        self._restoration.run(objects, session)
