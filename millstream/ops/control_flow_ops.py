"""Ordering and choosing: no-ops, groups, tuples, assertions, and the branches of 1.x's conditional graphs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import context, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.graph import as_operation, get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import DEAD, op
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs
from millstream.core.tensor import Tensor
from millstream.ops import value_text
from millstream.ops.identity_ops import identity


@op("NoOp()", shape=no_outputs)
def no_op_op(xp):
    return None


no_op_op.no_gradient("it has no inputs")


# --- Branches -----------------------------------------------------------------------------------------------
# Of the two outputs of a Switch one is DEAD when it runs. The predicate is a static input: a stage is compiled for each
# of its two values, so the branch that is not taken costs nothing and reads no variable.


def _both(c: ShapeContext) -> list[Any]:
    return [c.shape(0), c.shape(0)]


@op("Switch(data: T, pred: bool) -> output_false: T, output_true: T", T=ANY, shape=_both, static=("pred",))
def switch_op(xp, data, pred):
    return (DEAD, data) if pred else (data, DEAD)


@op(
    "RefSwitch(data: Ref(T), pred: bool) -> output_false: Ref(T), output_true: Ref(T)",
    T=ANY,
    shape=_both,
    static=("pred",),
    allows_uninitialized=True,
)
def ref_switch_op(xp, data, pred):
    return (DEAD, data) if pred else (data, DEAD)


def _merged(c: ShapeContext) -> list[Any]:
    first = c.shape(0)
    same = all(c.shape(index) == first for index in range(c.num_inputs))
    ranks = {None if c.shape(index) is None else len(c.shape(index)) for index in range(c.num_inputs)}
    if same:
        return [first, ()]
    rank = ranks.pop()
    return [None if ranks or rank is None else (None,) * rank, ()]


def _alive(inputs: Sequence[Any]) -> tuple[Any, Any]:
    for index, value in enumerate(inputs):
        if value is not DEAD:
            return value, index
    return DEAD, DEAD


@op("Merge(inputs: N*T) -> output: T, value_index: int32", T=ANY, shape=_merged)
def merge_op(xp, inputs):
    return _alive(inputs)


@op("RefMerge(inputs: Ref(N*T)) -> output: Ref(T), value_index: int32", T=ANY, shape=_merged)
def ref_merge_op(xp, inputs):
    return _alive(inputs)


@switch_op.gradient
@ref_switch_op.gradient
def _switch_gradient(op, grad_false, grad_true):
    if grad_false is None or grad_true is None:  # of a resource, which has no zeros: the branch that reads it
        grad_false = grad_true = grad_true if grad_false is None else grad_false
    return merge_op([grad_false, grad_true])[0], None


@merge_op.gradient
@ref_merge_op.gradient
def _merge_gradient(op, grad, _):
    switch = next((t.op for t in op.inputs if t.op.type in ("Switch", "RefSwitch")), None)
    predicate = None if switch is None else switch.inputs[1]
    if predicate is None:
        predicate = _predicate_of(op)
    if predicate is None or len(op.inputs) != 2:
        raise LookupError(f"No gradient defined for operation '{op.name}' (op type: Merge) outside of a conditional.")
    return list(switch_op(grad, predicate))


def _predicate_of(merge: Operation) -> Tensor | None:
    """The predicate of the conditional that a Merge ends."""
    stack, seen = [tensor.op for tensor in merge.inputs], set()
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.type in ("Switch", "RefSwitch"):
            return current.inputs[1]
        stack.extend(tensor.op for tensor in current.inputs)
        stack.extend(current._control_inputs)
    return None


# --- Assertions ---------------------------------------------------------------------------------------------


@op(
    "Assert(condition: bool, data: T[], *, T: list(type) >= 1, summarize: int = 3)",
    shape=no_outputs,
    stateful=True,
)
def assert_op(xp, condition, data, *, summarize, check):
    def message(*values: Any) -> str:
        return "assertion failed: " + " ".join(f"[{value_text.summarize(value, summarize)}]" for value in values)

    if condition.ndim:
        not_scalar = f"In[0] should be a scalar: {shapes.format_shape(condition.shape)}"
        check(xp.asarray(False), errors.InvalidArgumentError, not_scalar)
        return
    check(condition, errors.InvalidArgumentError, message, *data)


assert_op.no_gradient("it has no outputs")


@export("debugging.Assert", "Assert")
def Assert(condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None) -> Any:  # noqa: N802
    """Demands, when the graph runs, that a condition holds.

    Args:
      condition: a bool scalar.
      data: tensors that the error shows.
      summarize: how many elements of each to show; default 3.
      name: the name scope.

    Returns:
      The operation: put it into `tf.control_dependencies` to have it run. None in eager execution.

    Raises:
      InvalidArgumentError: when it runs and the condition is false.
    """
    if context.executing_eagerly():
        if not condition:
            shown = "\n".join(value_text.listed(to_tensor(item).numpy(), summarize) for item in data)
            message = f"Expected '{condition!s}' to be true. Summarized data: {shown}"
            raise errors.InvalidArgumentError(None, None, message)
        return None
    with name_scope(name, "Assert", [condition, *data]):
        # As in TensorFlow, which looks at the dtypes first: the constants count among the nodes.
        shown = [to_tensor(item) for item in data]
        summarize = 3 if summarize is None else summarize
        if all(tensor.dtype.base_dtype.name in ("string", "int32") for tensor in shown):
            return assert_op(condition, list(data), summarize=summarize, name="Assert")
        condition = to_tensor(condition, name="Condition")
        graph = get_default_graph()
        tensors = [graph.capture(item) for item in (condition, *data) if isinstance(item, Tensor)]
        with graph.numbering.stands_for(_guarded_operations(tensors, len(shown))):
            return assert_op(condition, list(data), summarize=summarize, name="Assert")


def _guarded_operations(tensors: Sequence[Tensor], shown: int) -> int:
    """How many operations an assertion is in TensorFlow 1, which puts it into a branch where the condition is false.

    Args:
      tensors: the condition, and what is a tensor of all that is shown.
      shown: how many values are shown.
    """
    switches = len({id(tensor) for tensor in tensors})
    constants = shown + 1 - len(tensors)
    return 4 + 2 + constants + 1 + switches + 2  # the condition, NoOp and its gate, …, Assert, …, its gate and Merge


# --- Ordering -----------------------------------------------------------------------------------------------


@export("no_op")
def no_op(name: str | None = None) -> Operation:
    """Does nothing; useful as a thing to put control dependencies on."""
    return no_op_op(name=name)


def with_dependencies(dependencies: Sequence[Any], output: Any, name: str | None = None) -> Any:
    """`output`, once `dependencies` have run."""
    if context.executing_eagerly():
        return output
    graph = get_default_graph()
    with name_scope(name, "control_dependency", [*dependencies, output]) as scope:
        with graph.colocate_with(output), graph.control_dependencies(dependencies):
            if not isinstance(output, IndexedSlices):
                return identity(to_tensor(output), name=scope)
            shape = output.dense_shape
            return IndexedSlices(identity(output.values, name=scope), output.indices, shape)


@export("group")
def group(*inputs: Any, **kwargs: Any) -> Any:
    """An operation that has run when all inputs have; None in eager execution.

    Args:
      *inputs: operations, tensors, variables, or (nested) lists of them.
      **kwargs: `name`.

    Raises:
      ValueError: another keyword argument.
      TypeError: an input that is no graph element.
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise ValueError("Unknown keyword arguments: " + ", ".join(kwargs))
    if context.executing_eagerly():
        return None
    graph = get_default_graph()
    operations = [as_operation(item) for item in _flatten(inputs)]
    with name_scope(name, "group_deps", operations) as scope:
        if not operations:
            return no_op(name=scope)
        by_device: dict[str, list[Operation]] = {}
        for operation in operations:
            by_device.setdefault(operation.device, []).append(operation)
        if len(by_device) == 1:
            ((device, members),) = by_device.items()
            return _gate(graph, device, members, scope)
        gates = [_gate(graph, device, by_device[device], None) for device in sorted(by_device)]
        with graph.control_dependencies(gates):
            return no_op(name=scope)


def _gate(graph: Any, device: str, members: list[Operation], name: str | None) -> Operation:
    with graph.control_dependencies(members):
        if not device:
            return no_op(name=name)
        with graph.device(device):
            return no_op(name=name)


def _flatten(items: Any) -> list[Any]:
    flat: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            flat.extend(_flatten(item[key] for key in sorted(item)))
        elif isinstance(item, (list, tuple)) and not hasattr(item, "device"):
            flat.extend(_flatten(item))
        elif not hasattr(item, "device"):
            raise TypeError(
                f"Expected tf.group() expected Tensor arguments not '{item}' with type '{type(item)}'"
            )
        else:
            flat.append(item)
    return flat


@export(v1=["tuple"])
def tuple_(tensors: Sequence[Any], name: str | None = None, control_inputs: Sequence[Any] | None = None) -> list[Any]:
    """The tensors, each of which is available only when all of them are.

    Args:
      tensors: tensors, `IndexedSlices` or None; None stays None.
      name: the name scope.
      control_inputs: further operations or tensors to wait for.

    Raises:
      ValueError: there is neither a tensor nor an `IndexedSlices`.
      TypeError: a control input that is no graph element.
    """
    with name_scope(name, "tuple", list(tensors)):
        tensors = [
            item if item is None or isinstance(item, (Tensor, IndexedSlices, Operation)) else to_tensor(item)
            for item in tensors
        ]
        if context.executing_eagerly():  # all of them are there
            return tensors
        gates = [as_operation(item) for item in tensors if item is not None]
        gates.extend(_control_input(item) for item in control_inputs or ())
        if not gates:
            raise ValueError(f"Must have at least one Tensor: {tensors}")
        gates = sorted(dict.fromkeys(gates), key=lambda operation: operation._id)
        gate = group(*gates)
        return [
            item if item is None or isinstance(item, Operation) else with_dependencies([gate], item)
            for item in tensors
        ]


def _control_input(item: Any) -> Operation:
    try:
        return as_operation(item)
    except TypeError:
        raise TypeError(f"Control input must be Operation or Tensor: {item}") from None


@export(v2=["tuple"])
def tuple_v2(tensors: Sequence[Any], control_inputs: Sequence[Any] | None = None, name: str | None = None) -> list[Any]:
    """The tensors, each of which is available only when all of them are; see 1.x's `tf.tuple`."""
    return tuple_(tensors, name, control_inputs)
