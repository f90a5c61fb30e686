"""Resources that are neither variables nor tables and need to be initialised: the collections that hold them.

Whatever makes such an operation calls `register_resource`; `tf.train.Scaffold` initialises what was registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.operation import Operation
from millstream.core.scopes import device, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import comparison_ops, constant_op, control_flow_ops, join_ops, select_ops


class Resource(NamedTuple):
    """The handle of a resource, the operation that makes it, and a bool scalar that says whether it was made."""

    handle: Tensor
    create: Operation
    is_initialized: Tensor


def register_resource(
    handle: Tensor, create_op: Operation, is_initialized_op: Tensor, is_shared: bool = True
) -> None:
    """Puts a resource into `GraphKeys.RESOURCES`, or into `GraphKeys.LOCAL_RESOURCES` unless `is_shared`."""
    key = GraphKeys.RESOURCES if is_shared else GraphKeys.LOCAL_RESOURCES
    get_default_graph().add_to_collection(key, Resource(handle, create_op, is_initialized_op))


def shared_resources() -> list[Resource]:
    """The resources of all parts of a program."""
    return get_default_graph().get_collection(GraphKeys.RESOURCES)


def local_resources() -> list[Resource]:
    """The resources of one process."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_RESOURCES)


def initialize_resources(resource_list: Sequence[Resource], name: str = "init") -> Operation:
    """An operation that makes the resources."""
    if resource_list:
        return control_flow_ops.group(*[resource.create for resource in resource_list], name=name)
    return control_flow_ops.no_op(name=name)


def report_uninitialized_resources(
    resource_list: Sequence[Resource] | None = None, name: str = "report_uninitialized_resources"
) -> Tensor:
    """The names of the resources that were not made yet: a string vector. Default: shared and local ones."""
    resources = shared_resources() + local_resources() if resource_list is None else resource_list
    with name_scope(name), device("/cpu:0"):
        if not resources:
            return constant_op.constant([], dtype="string")
        missing = comparison_ops.logical_not(join_ops.stack([resource.is_initialized for resource in resources]))
        names = constant_op.constant([resource.handle.name for resource in resources])
        return select_ops.boolean_mask(names, missing)
