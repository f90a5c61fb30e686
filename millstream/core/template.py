"""`tf.make_template`: a function whose variables are made at its first call and shared by all later ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.trackable import Trackable
from millstream.core.variable_creators import variable_creator_scope
from millstream.core.variable_scope import (
    PureVariableScope,
    VariableScope,
    unique_variable_scope,
    variable_scope,
)


@export(v1=["make_template"])
def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Template:
    """Makes a function that shares its variables (those of `tf.get_variable`) between its calls.

    Args:
      name_: the name of the variable scope, made unique.
      func_: the function.
      create_scope_now_: fixes the scope's name now rather than at the first call.
      unique_name_: a scope name that is used as it is, in place of `name_`.
      custom_getter_: a custom getter for the variables; see `tf.get_variable`.
      **kwargs: arguments of `func_` that are the same in all calls.

    Raises:
      ValueError: `name_` is None, or a later call makes a new variable.

    Example:
      >>> def scale(x):
      ...   return x * tf.get_variable("factor", [])
      >>> scaled = tf.make_template("scale", scale)
      >>> a, b = scaled(1.0), scaled(2.0)     # one variable
    """
    if kwargs:
        func_ = partial(func_, **kwargs)
    return Template(name_, func_, create_scope_now_, unique_name_, custom_getter_)


class _Active(threading.local):
    """The templates that are being called in a thread, the innermost last."""

    def __init__(self) -> None:
        self.templates: list[Template] = []


_active = _Active()


@export(v1=["contrib.checkpoint.capture_dependencies"])
@contextmanager
def capture_dependencies(template: Template) -> Iterator[None]:
    """Makes the variables of a `with` block in the scope of a template its children, and templates called in it too.

    Args:
      template: an object with a `variable_scope` that can have children.
    """
    prefix = template.variable_scope.name  # type: ignore[union-attr]

    def create(next_creator: Callable[..., Any], **keywords: Any) -> Any:
        name = keywords.get("name")
        if _active.templates[-1] is not template or name is None or not name.startswith(prefix):
            return next_creator(**keywords)
        _track_inner_templates()
        initial_value = keywords.pop("initial_value", None)
        return template._make_child(
            name[len(prefix) + 1 :],
            initial_value,
            None,
            lambda value, _: next_creator(initial_value=value, **keywords),
        )

    _active.templates.append(template)
    try:
        with variable_creator_scope(create):
            yield
    finally:
        _active.templates.pop()


def _track_inner_templates() -> None:
    """Makes each template that is being called the child of the one around it."""
    for outer, inner in zip(_active.templates, _active.templates[1:], strict=False):
        above, below = outer.variable_scope.name, inner.variable_scope.name  # type: ignore[union-attr]
        if below.startswith(f"{above}/"):
            outer._track_trackable(inner, below[len(above) + 1 :], overwrite=True)


class Template(Trackable):
    """A function that shares its variables between its calls: see `tf.make_template`."""

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        create_scope_now: bool = False,
        unique_name: str | None = None,
        custom_getter: Callable[..., Any] | None = None,
    ) -> None:
        if name is None:
            raise ValueError("name cannot be None.")
        self._func = func
        self._name = name
        self._unique_name = unique_name
        self._custom_getter = custom_getter
        self._variables_made = False
        self._variable_scope: VariableScope | None = None
        if create_scope_now:
            scope_name = unique_name or unique_variable_scope(name)
            with PureVariableScope(scope_name, custom_getter=custom_getter) as self._variable_scope:
                pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function in the template's scope."""
        if self._variable_scope is not None:
            with variable_scope(self._variable_scope, reuse=self._variables_made):
                return self._call(args, kwargs)
        with variable_scope(self._unique_name, self._name, custom_getter=self._custom_getter) as scope:
            self._variable_scope = scope
            return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._variables_made:
            with capture_dependencies(self):
                result = self._func(*args, **kwargs)
            self._variables_made = True
            return result
        graph = get_default_graph()
        before = len(graph.get_collection(GraphKeys.TRAINABLE_VARIABLES))
        result = self._func(*args, **kwargs)
        new = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)[before:]
        if new:
            raise ValueError(
                "Trainable variable created when calling a template after the first time, perhaps you used "
                f"tf.Variable when you meant tf.get_variable: {new}"
            )
        return result

    @property
    def name(self) -> str:
        """The name that it was given."""
        return self._name

    @property
    def func(self) -> Callable[..., Any]:
        """The function."""
        return self._func

    @property
    def variable_scope(self) -> VariableScope | None:
        """The variable scope; None before the first call, unless it was fixed at once."""
        return self._variable_scope

    var_scope = variable_scope

    @property
    def variable_scope_name(self) -> str | None:
        """The name of the variable scope with a final `/`; None before the first call."""
        if self._variable_scope is None:
            return None
        name = self._variable_scope.name
        return name if not name or name.endswith("/") else f"{name}/"

    @property
    def global_variables(self) -> list[Any]:
        """The global variables in the template's scope."""
        return self._collection(GraphKeys.GLOBAL_VARIABLES)

    @property
    def local_variables(self) -> list[Any]:
        """The local variables in the template's scope."""
        return self._collection(GraphKeys.LOCAL_VARIABLES)

    @property
    def trainable_variables(self) -> list[Any]:
        """The trainable variables in the template's scope."""
        return self._collection(GraphKeys.TRAINABLE_VARIABLES)

    @property
    def variables(self) -> list[Any]:
        """The global and the local variables in the template's scope."""
        return self.global_variables + self.local_variables

    trainable_weights, weights = trainable_variables, variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables in the template's scope that are not trained."""
        trained = self.trainable_variables
        return [variable for variable in self.variables if variable not in trained]

    def _collection(self, key: str) -> list[Any]:
        name = self.variable_scope_name
        return [] if name is None else get_default_graph().get_collection(key, name)
