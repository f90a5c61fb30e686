"""The lists of a graph's variables."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys


@export(v1=["global_variables"])
def global_variables(scope: str | None = None) -> list[Any]:
    """The variables that are shared by all parts of a program: by default, all that are made.

    Args:
      scope: only those whose name matches this from the beginning (`re.match`).
    """
    return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


@export(v1=["all_variables"])
def all_variables() -> list[Any]:
    """Old spelling of `tf.global_variables()`."""
    return global_variables()


@export(v1=["local_variables"])
def local_variables(scope: str | None = None) -> list[Any]:
    """The variables of one process, such as counters, which are not saved. `scope` as for `global_variables`."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


@export(v1=["trainable_variables"])
def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables that optimisers change by default. `scope` as for `global_variables`."""
    return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


@export(v1=["model_variables"])
def model_variables(scope: str | None = None) -> list[Any]:
    """The variables in `GraphKeys.MODEL_VARIABLES`. `scope` as for `global_variables`."""
    return get_default_graph().get_collection(GraphKeys.MODEL_VARIABLES, scope)


@export(v1=["moving_average_variables"])
def moving_average_variables(scope: str | None = None) -> list[Any]:
    """The variables that have moving averages. `scope` as for `global_variables`."""
    return get_default_graph().get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)
