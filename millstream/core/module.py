"""`tf.Module`: an object that finds the variables and modules among its attributes."""
from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from millstream.core import nest
from millstream.core.export import export
from millstream.core.scopes import name_scope_v2
from millstream.core.trackable import AutoTrackable
from millstream.core.variables import Variable

Method = TypeVar("Method", bound=Callable[..., Any])

_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<!^)(?=[A-Z][a-z])")


@export("Module")
class Module(AutoTrackable):
    """Base of objects that hold variables and other modules: layers, models, optimizers.

    Variables and modules are found in the instance's attributes and in lists, tuples and dicts there, in the order of
    the attributes' names and each once.

    Args:
      name: the name, an identifier; default: the class's in snake case.

    Raises:
      ValueError: the name is no identifier.

    Example:
      >>> class Dense(tf.Module):
      ...   def __init__(self, inputs, outputs):
      ...     super().__init__()
      ...     self.w = tf.Variable(tf.random.normal([inputs, outputs]), name="w")
      ...   def __call__(self, x):
      ...     return tf.nn.relu(x @ self.w)
      >>> len(Dense(2, 3).trainable_variables)
      1
    """

    _TF_MODULE_IGNORED_PROPERTIES = frozenset(("_tracking",))  # attributes that are not looked into

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = _WORD_BEGINS.sub("_", type(self).__name__).lower()
        elif not name.isidentifier():
            raise ValueError(
                f"{name!r} is not a valid module name. "
                "Module names must be valid Python identifiers (e.g. a valid class name)."
            )
        self._name = name
        with name_scope_v2(name) as scope:
            self._name_scope = name_scope_v2(scope)

    @property
    def name(self) -> str:
        """The name, as given or made from the class's; several modules may have the same."""
        return self._name

    @property
    def name_scope(self) -> name_scope_v2:
        """The name scope of this module, to be entered by `with`."""
        return self._name_scope

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of this module and its submodules."""
        return tuple(self._flatten(predicate=_is_variable, expand_composites=True))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """The trainable variables of this module and its submodules."""
        return tuple(self._flatten(predicate=_is_trainable, expand_composites=True))

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        """The variables of this module and its submodules that are not trainable."""
        return tuple(self._flatten(predicate=_is_not_trainable, expand_composites=True))

    @property
    def submodules(self) -> tuple[Module, ...]:
        """The modules among the attributes of this module, of these modules, and so on."""
        return tuple(self._flatten(predicate=_is_module))

    def _flatten(
        self,
        recursive: bool = True,
        predicate: Callable[[Any], bool] | None = None,
        attribute_traversal_key: Callable[[str], Any] | None = None,
        with_path: bool = False,
        expand_composites: bool = False,
    ) -> Iterator[Any]:
        """The leaves of the attributes, those of the submodules after a module's own.

        Args:
          recursive: whether to go into submodules.
          predicate: which leaves to give; default: all.
          attribute_traversal_key: sorts the attributes by the key that it makes of their names.
          with_path: gives `(path, leaf)`, a leaf once for each path to it rather than once; a path is a tuple of names
            of attributes, indices and keys.
          expand_composites: takes sparse tensors and their like apart too.
        """
        walk = _Walk(recursive, predicate or _is_anything, attribute_traversal_key, with_path, expand_composites)
        return walk.leaves(self)

    @classmethod
    def with_name_scope(cls, method: Method) -> Method:
        """Decorates a method to run in the module's name scope.

        Example:
          >>> @tf.Module.with_name_scope
          ... def __call__(self, x): ...
        """

        @functools.wraps(method)
        def in_name_scope(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return in_name_scope  # type: ignore[return-value]


class _Walk:
    """One search through a module."""

    def __init__(
        self,
        recursive: bool,
        predicate: Callable[[Any], bool],
        attribute_key: Callable[[str], Any] | None,
        with_path: bool,
        expand_composites: bool,
    ) -> None:
        self.recursive = recursive
        self.predicate = predicate
        self.attribute_key = attribute_key
        self.with_path = with_path
        self.expand_composites = expand_composites
        self.seen: set[int] = set()  # ids, since variables may compare elementwise

    def leaves(self, module: Module) -> Iterator[Any]:
        self.seen.add(id(module))
        return self._leaves(module, (), ())

    def _leaves(self, module: Module, path: tuple[Any, ...], above: Sequence[Module]) -> Iterator[Any]:
        """The leaves of one module; `above` are the modules on the way to it."""
        submodules = []
        for leaf_path, leaf in self._attributes(module):
            if not self.with_path:
                if id(leaf) in self.seen:
                    continue
                self.seen.add(id(leaf))
            if self.predicate(leaf):
                yield (path + leaf_path, leaf) if self.with_path else leaf
            if isinstance(leaf, Module):
                submodules.append((path + leaf_path, leaf))
        if not self.recursive or any(module is other for other in above):
            return
        for leaf_path, submodule in submodules:
            yield from self._leaves(submodule, leaf_path, (*above, module))

    def _attributes(self, module: Module) -> Iterator[tuple[tuple[Any, ...], Any]]:
        attributes: dict[str, Any] = vars(module)
        ignored: Collection[str] = module._TF_MODULE_IGNORED_PROPERTIES
        for key in sorted(attributes, key=self.attribute_key):
            if key in ignored:
                continue
            try:
                found = list(nest.flatten_with_paths(attributes[key], self.expand_composites))
            except Exception as error:
                raise ValueError(f"Error processing property {key!r} of {attributes[key]!r}") from error
            for path, leaf in found:
                yield (key, *path), leaf


def _is_anything(value: Any) -> bool:
    return True


def _is_variable(value: Any) -> bool:
    return isinstance(value, Variable)


def _is_trainable(value: Any) -> bool:
    return isinstance(value, Variable) and bool(value.trainable)


def _is_not_trainable(value: Any) -> bool:
    return isinstance(value, Variable) and not value.trainable


def _is_module(value: Any) -> bool:
    return isinstance(value, Module)
