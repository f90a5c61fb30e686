"""`tf.contrib.checkpoint.List`, `Mapping` and `UniqueNameTracker`: containers of trackable objects that only grow."""
from __future__ import annotations

from collections import abc
from collections.abc import Iterable, Iterator
from typing import Any

from millstream.core.export import export
from millstream.core.trackable import Trackable, tracked
from millstream.core.variables import Variable
from millstream.layers.base import BaseLayer


class Container(Trackable):
    """What the containers have in common: they collect the weights of the layers that they hold, and variables."""

    _trainable = True

    def _add(self, name: str, value: Any) -> Any:
        """Makes a value a child.

        Raises:
          ValueError: it is not trackable.
        """
        value = tracked(value)
        if not isinstance(value, Trackable):
            raise ValueError(
                f"Only trackable objects (such as Layers or Optimizers) may be stored in a {type(self).__name__} "
                f"object. Got {value}, which does not inherit from Trackable."
            )
        return self._track_trackable(value, name)

    def _held(self) -> Iterable[Any]:
        """What the container holds."""
        raise NotImplementedError

    def _of_layers(self, attribute: str) -> list[Any]:
        return [item for layer in self.layers for item in getattr(layer, attribute)]

    def _own_variables(self) -> list[Variable]:
        return [value for value in self._held() if isinstance(value, Variable)]

    @property
    def trainable(self) -> bool:
        """Whether what the container holds is trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self.layers:
            layer.trainable = value

    @property
    def layers(self) -> list[Any]:
        """The layers, those of containers that it holds too."""
        found = []
        for value in self._held():
            if isinstance(value, BaseLayer):
                found.append(value)
            elif isinstance(value, Container):
                found.extend(value.layers)
        return found

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that are trained."""
        if not self._trainable:
            return []
        return self._of_layers("trainable_weights") + [v for v in self._own_variables() if v.trainable]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that are not trained."""
        own = [v for v in self._own_variables() if not (self._trainable and v.trainable)]
        frozen = [] if self._trainable else self._of_layers("trainable_weights")
        return frozen + self._of_layers("non_trainable_weights") + own

    @property
    def weights(self) -> list[Any]:
        """All weights, those that are trained first."""
        return self.trainable_weights + self.non_trainable_weights

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    @property
    def updates(self) -> list[Any]:
        """The operations of the layers to run in each training step."""
        return self._of_layers("updates")

    @property
    def losses(self) -> list[Any]:
        """The penalties of the layers."""
        return self._of_layers("losses")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@export(v1=["contrib.checkpoint.List"])
class List(Container, abc.Sequence):  # type: ignore[type-arg]
    """A list of trackable objects that only grows. Lists, dicts in it become tracked ones.

    Args:
      *args: nothing, or an iterable of the elements.

    Example:
      >>> layers = tf.contrib.checkpoint.List([tf.layers.Dense(3), tf.layers.Dense(4)])
      >>> checkpoint = tf.train.Checkpoint(layers=layers)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._elements: list[Any] = []
        self.extend(list(*args, **kwargs))

    def _held(self) -> Iterable[Any]:
        return self._elements

    def append(self, value: Any) -> None:
        """Adds an object at the end."""
        self._elements.append(self._add(str(len(self._elements)), value))

    def extend(self, values: Iterable[Any]) -> None:
        """Adds objects at the end."""
        for value in values:
            self.append(value)

    def copy(self) -> List:
        """Another list of the same objects."""
        return type(self)(self._elements)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> List:
        import copy

        copied = memo[id(self)] = type(self)()
        copied.extend(copy.deepcopy(value, memo) for value in self._elements)
        return copied

    def __iadd__(self, values: Iterable[Any]) -> List:  # type: ignore[misc]
        self.extend(values)
        return self

    def __add__(self, other: Any) -> List:
        return type(self)([*self, *other])

    def __radd__(self, other: Any) -> List:
        return type(self)([*other, *self])

    def __mul__(self, n: int) -> List:
        return type(self)(self._elements * n)

    __rmul__ = __mul__

    def __imul__(self, y: int) -> List:
        if y <= 0:
            raise ValueError(f"List only supports append, multiplying in place by {y} removes elements.")
        self.extend(self._elements * (y - 1))
        return self

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, key: Any) -> Any:
        return self._elements[key]

    def __repr__(self) -> str:
        return f"List({self._elements!r})"


@export(v1=["contrib.checkpoint.Mapping"])
class Mapping(Container, abc.Mapping):  # type: ignore[type-arg]
    """A dict of trackable objects by strings that only grows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._elements: dict[str, Any] = {}
        self.update(*args, **kwargs)

    def _held(self) -> Iterable[Any]:
        return [self._elements[key] for key in sorted(self._elements)]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"Mapping accepts only string keys, but got a key {key!r}.")
        known = self._elements.get(key)
        if known is None:
            self._elements[key] = self._add(key, value)
        elif known is not value:
            raise ValueError(
                f"Mappings are an append-only data structure. Tried to overwrite the key {key!r} with value {value}, "
                f"but it already contains {known}"
            )

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Adds objects, given as for `dict`."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __copy__(self) -> Mapping:
        return type(self)(self._elements)

    def __deepcopy__(self, memo: dict[int, Any]) -> Mapping:
        import copy

        copied = memo[id(self)] = type(self)()
        copied.update({key: copy.deepcopy(value, memo) for key, value in self._elements.items()})
        return copied

    def __getitem__(self, key: str) -> Any:
        return self._elements[key]

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[str]:
        return iter(self._elements)

    def __repr__(self) -> str:
        return f"Mapping({self._elements!r})"


@export(v1=["contrib.checkpoint.UniqueNameTracker"])
class UniqueNameTracker(Container):
    """Tracks objects under names that it makes unique.

    Example:
      >>> slots = tf.contrib.checkpoint.UniqueNameTracker()
      >>> a = slots.track(tf.Variable(3.), "x")     # the child "x"
      >>> b = slots.track(tf.Variable(4.), "x")     # the child "x_1"
    """

    def __init__(self) -> None:
        self._elements: list[Any] = []
        self._counts: dict[str, int] = {}

    def _held(self) -> Iterable[Any]:
        return self._elements

    def track(self, trackable: Any, base_name: str) -> Any:
        """Makes an object a child.

        Args:
          trackable: the object.
          base_name: its name, to which a number is added where there is such a child.

        Returns:
          The object.

        Raises:
          ValueError: it is not trackable.
        """
        if not isinstance(trackable, Trackable):
            raise ValueError(
                f"Expected a trackable value, got {trackable} which does not inherit from tf.track.Trackable."
            )
        name, number = base_name, self._counts.get(base_name, 0)
        while self._lookup_dependency(name) is not None:
            number += 1
            name = f"{base_name}_{number}"
        self._counts[base_name] = number
        self._elements.append(self._add(name, trackable))
        return trackable
