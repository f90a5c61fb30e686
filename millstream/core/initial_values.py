"""Initial values that do not depend on the order in which variables are initialised.

`guard` rewrites an initial value that reads other variables so that it reads their `initialized_value`
instead: the variable's value if it has one by then, else its own initial value. That choice is a conditional
  of `Switch` and
`Merge` operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millstream.core.dispatch import create_flat
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scopes import device, init_scope, name_scope
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from millstream.core.variables import Variable

_VARIABLES = frozenset(("Variable", "VariableV2", "VarHandleOp"))
# These do not need an initialised variable, or cannot be rewritten.
_LEFT_ALONE = frozenset(("IsVariableInitialized", "VarIsInitializedOp", "ReadVariableOp"))


def initialized_value(variable: Variable) -> Tensor:
    """The value of a variable if it has one when it runs, else its initial value."""
    source = variable._source
    is_resource = not source.dtype.is_ref
    with init_scope():
        initialized = find("VarIsInitializedOp" if is_resource else "IsVariableInitialized")(source)
        with name_scope("cond"):
            switch, identity = find("Switch"), find("Identity")
            not_taken, taken = switch(initialized, initialized)
            identity(taken, name="switch_t")
            identity(not_taken, name="switch_f")
            predicate = identity(initialized, name="pred_id")
            read = _switched_resource_read if is_resource else _switched_read
            value = read(source, variable, predicate)
            initial = variable.initial_value
            with get_default_graph().colocate_with(initial, ignore_existing=True):
                otherwise = switch(initial, predicate)[0]
            return find("Merge")([otherwise, value])[0]


def _switched_read(ref: Tensor, variable: Variable, predicate: Tensor) -> Tensor:
    """A read of a 1.x variable that happens only where `predicate` holds."""
    read = find("Identity")(ref, name="read")
    return _only_if(predicate, read, "RefSwitch")


def _switched_resource_read(handle: Tensor, variable: Variable, predicate: Tensor) -> Tensor:
    """A read of a resource variable that happens only where `predicate` holds."""
    with name_scope("Read"), device(handle.device):
        read = find("ReadVariableOp")(handle, dtype=variable.dtype)
        _only_if(predicate, read, "Switch")
    return find("Identity")(read)


def _only_if(predicate: Tensor, tensor: Tensor, switch_type: str) -> Tensor:
    """Puts a switch before the only input of the operation that gives `tensor`."""
    source = tensor.op.inputs[0]
    graph = tensor.graph
    with graph.name_scope(tensor.op.name + "/"), graph.colocate_with(source, ignore_existing=True):
        taken = find(switch_type)(source, predicate, name="Switch")[1]
    tensor.op._update_input(0, taken)
    return tensor


def guard(variable_name: str, initial_value: Tensor) -> Tensor:
    """`initial_value` with every variable that it reads replaced by that variable's `initialized_value`.

    The operations between are copied, with `variable_name` after their names. A value on a cycle of the graph
    (in a loop) stays as it is.
    """
    order = _ancestors(initial_value.op)
    if order is None:
        return initial_value
    replaced: dict[Operation, Operation] = {}

    def current(tensor: Tensor) -> Tensor:
        maker = replaced.get(tensor.op)
        return tensor if maker is None else maker.outputs[tensor.value_index]

    for op in order:
        if op.type in _VARIABLES:
            variable = _variable_of(op)
            if variable is not None:
                replaced[op] = initialized_value(variable).op
        elif op.type not in _LEFT_ALONE:
            inputs = [current(tensor) for tensor in op.inputs]
            if any(new is not old for new, old in zip(inputs, op.inputs, strict=True)):
                replaced[op] = _copy(op, inputs, f"{op.name}_{variable_name}")
    return current(initial_value)


def _copy(op: Operation, inputs: list[Tensor], name: str) -> Operation:
    """A copy of an operation, with other inputs, at the root of the graph's names."""
    kind = "Switch" if op.type == "RefSwitch" else op.type
    with op.graph.name_scope(None):
        copy = create_flat(op.graph, kind, inputs, dict(op.attrs), name)
    copy._colocation = op._colocation or copy._colocation
    return copy


def _variable_of(op: Operation) -> Variable | None:
    """The variable that `op` stands for, among the global and local variables."""
    name = op.outputs[0].name
    for key in (GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES):
        for variable in op.graph.get_collection(key):
            if variable.name in (name, op.name):
                return variable
    return None


def _ancestors(op: Operation) -> list[Operation] | None:
    """What `op` is computed from, inputs before users and `op` last; None where that has a cycle."""
    order: list[Operation] = []
    done: dict[Operation, bool] = {}  # False: being visited
    pending: list[tuple[Operation, bool]] = [(op, False)]
    while pending:
        current, inputs_are_done = pending.pop()
        if inputs_are_done:
            done[current] = True
            order.append(current)
        elif current in done:
            if not done[current]:
                return None
        else:
            done[current] = False
            pending.append((current, True))
            if current.type not in _LEFT_ALONE:
                makers = [tensor.op for tensor in reversed(current.inputs)]
                pending.extend((maker, False) for maker in makers if not done.get(maker))
    return order
