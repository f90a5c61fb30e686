"""Questions about where code runs and what tensors are."""
from __future__ import annotations

from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.tensor import Tensor


@export(v2=["get_current_name_scope"])
def get_current_name_scope() -> str:
    """The name scope in force, without a final slash; "" outside of all scopes."""
    if context.executing_eagerly():
        return context.current.scope_name.rstrip("/")
    return get_default_graph()._name_stack or ""


@export(v2=["inside_function"])
def inside_function() -> bool:
    """Whether the code that asks is being traced by a `tf.function`."""
    return not context.executing_eagerly() and get_default_graph().building_function


@export(v2=["is_symbolic_tensor"])
def is_symbolic_tensor(tensor: Any) -> bool:
    """Whether `tensor` belongs to a graph, and has no value of its own; False for eager tensors and variables."""
    return isinstance(tensor, Tensor) and not tensor.is_eager
