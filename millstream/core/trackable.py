"""`Trackable`: objects that know their children by name. Checkpoints and saved models are graphs of such objects.

A checkpoint may be restored before all of its objects are there. What is missing waits, as a `Restoration`, in the
object that is to have it as a child, and is applied when the child comes (`_track_trackable`).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from millstream.core.export import export, export_value


class Restoration(Protocol):
    """Values of a checkpoint for one object and what is below it."""

    order: int  # of the restoration among all; a later one counts

    def restore(self, trackable: Trackable) -> None:
        """Gives the values to an object, and to its children as far as they are there."""

    def initial_value(self) -> Any:
        """The value of a variable that is about to be made, as a tensor; None where this is not for a variable."""


class PythonValue:
    """State that is no tensor: it is saved as a string.

    Args:
      serialize: gives the state as str or bytes.
      deserialize: takes over what `serialize` gave.
    """

    __slots__ = ("serialize", "deserialize")

    def __init__(self, serialize: Callable[[], Any], deserialize: Callable[[Any], None]) -> None:
        self.serialize = serialize
        self.deserialize = deserialize


@export(v1=["contrib.checkpoint.NoDependency"])
class NoDependency:
    """A value that becomes an attribute without becoming a child: `self.cache = NoDependency({})`.

    The attribute is the value itself, which is not made a tracked list or dict either.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Tracking:
    """What an object remembers of its children and of checkpoints. Copies of the object do not remember checkpoints."""

    __slots__ = ("children", "waiting", "following", "order")

    def __init__(self) -> None:
        self.children: dict[str, Trackable] = {}
        self.waiting: dict[str, list[Restoration]] = {}  # for children that are not there yet
        self.following: list[Restoration] = []  # for every new child, whatever its name
        self.order = -1  # of the restoration that the object's own values come from

    def __getstate__(self) -> Any:
        return self.children

    def __setstate__(self, children: Any) -> None:
        self.__init__()  # type: ignore[misc]
        self.children = children

    def is_waiting(self) -> bool:
        """Whether values of a checkpoint wait for new children."""
        return bool(self.waiting or self.following)


class Trackable:
    """An object with named children, which checkpoints save and restore with it."""

    __slots__ = ()

    @property
    def _tracked(self) -> Tracking:
        """What is remembered of the object's children."""
        found = self.__dict__.get("_tracking")
        if found is None:
            found = self.__dict__["_tracking"] = Tracking()
        return found

    # --- What a class may define ------------------------------------------------------------------------------------

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        """The children by name, in the order in which they came.

        Args:
          save_type: `"checkpoint"` or `"savedmodel"`.
          **kwargs: for classes that need more to list them.
        """
        tracking: Tracking | None = self.__dict__.get("_tracking")
        return {} if tracking is None else dict(tracking.children)

    def _lookup_dependency(self, name: str) -> Trackable | None:
        """The child of that name, or None."""
        tracking: Tracking | None = self.__dict__.get("_tracking")
        return None if tracking is None else tracking.children.get(name)

    def _checkpoint_values(self) -> dict[str, Any]:
        """What a checkpoint holds of the object itself, by name.

        The values are variables, `PythonValue`s, or functions that make a `SaveableObject` of the key that they are
        given.
        """
        return {}

    # What an optimiser keeps beside the variables of others is saved if both are.

    def get_slot_names(self) -> list[str]:
        """The names of the object's slots, sorted."""
        return []

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot `name` that the object keeps beside a variable, or None."""
        return None

    def _restore_slot(self, restoration: Restoration, slot_name: str, variable: Any) -> None:
        """Restores a slot of a variable, now or when it is made."""

    # --- Children ---------------------------------------------------------------------------------------------------

    def _track_trackable(self, trackable: Any, name: str, overwrite: bool = False) -> Any:
        """Makes an object a child, and gives it the values that waited for it.

        Args:
          trackable: the child.
          name: its name.
          overwrite: whether it may take the place of another child.

        Returns:
          The child.

        Raises:
          TypeError: it is not trackable.
          ValueError: there is another child of that name.
        """
        if not isinstance(trackable, Trackable):
            raise TypeError(
                "Trackable._track_trackable() can only be used to track objects of type Trackable. Got type "
                f"{type(trackable)}."
            )
        tracking = self._tracked
        known = tracking.children.get(name)
        if known is not None and known is not trackable and not overwrite:
            raise ValueError(
                f"Called Trackable._track_trackable() with name='{name}', but a Trackable with this name is already "
                "declared as a dependency. Names must be unique (or overwrite=True)."
            )
        tracking.children[name] = trackable
        if tracking.is_waiting():
            self._handle_deferred_dependencies(name, trackable)
        return trackable

    def _handle_deferred_dependencies(self, name: str, trackable: Trackable) -> None:
        """Gives a new child the values that waited for it, the latest first."""
        tracking = self._tracked
        restorations = [*tracking.waiting.pop(name, ()), *tracking.following]
        for restoration in sorted(restorations, key=lambda item: -item.order):
            restoration.restore(trackable)

    def _make_variable(self, name: str, initializer: Any, shape: Any, make: Callable[[Any, Any], Any]) -> Any:
        """Makes a variable that is to be the child `name`, with the value that waits for it if there is one.

        Args:
          name: the child's name.
          initializer, shape: what `make` is given, unless a value waits: that is the initializer then, and the shape
          None.
          make: gives the variable.
        """
        waiting = self._tracked.waiting.get(name)
        restoration = max(waiting, key=lambda item: item.order) if waiting else None
        value = None if restoration is None else restoration.initial_value()
        if value is None or restoration is None:
            return make(initializer, shape)
        variable = make(value, None)
        variable._tracked.order = restoration.order
        return variable

    def _make_child(self, name: str, initializer: Any, shape: Any, make: Callable[[Any, Any], Any]) -> Any:
        """Makes a variable, see `_make_variable`, and makes it a child."""
        variable = self._make_variable(name, initializer, shape, make)
        return self._track_trackable(variable, name, overwrite=True) if isinstance(variable, Trackable) else variable


class AutoTrackable(Trackable):
    """An object whose attributes are its children where they are trackable.

    Lists, dicts and tuples of trackable objects become tracked ones when they are made attributes
    (`trackable_containers`).
    """

    # Attributes that are never children, for the private ones of library classes.
    _untracked_attributes: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Trackable, NoDependency, list, dict, tuple)) and name not in self._untracked_attributes:
            if value is self.__dict__.get(name):
                return  # it keeps being a child, or none
            value = tracked(value)
            if isinstance(value, NoDependency):
                value = value.value
            elif isinstance(value, Trackable):
                self._track_trackable(value, name, overwrite=True)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._tracked.children.pop(name, None)
        super().__delattr__(name)


def tracked(value: Any) -> Any:
    """A list, dict or tuple as a tracked one; all else as it is."""
    from millstream.core import trackable_containers

    return trackable_containers.wrap(value)


export_value(__name__, "Trackable", v1=["contrib.checkpoint.CheckpointableBase"])
export_value(__name__, "AutoTrackable", v1=["contrib.checkpoint.Checkpointable", "contrib.eager.Checkpointable"])
