"""`tf.cond`: one of two Python functions, chosen when the graph runs; and what it shares with `tf.switch_case`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context, nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.branch_results import let_out
from millstream.ops.functional_ops import case_op, if_op, stateless_case_op, stateless_if_op
from millstream.ops.identity_ops import identity
from millstream.ops.traced_functions import TracedFunction, all_captures, require_bool_scalar, require_callable


@export(v2=["cond"])
def cond_v2(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`.

    Eagerly that one function is called. In a graph both are traced, and one of them runs: tensors of outside may be
    used in them, and variables read and changed.

    Args:
      pred: a bool scalar.
      true_fn, false_fn: functions without parameters. They give the same nested structure of tensors of the same
        dtypes.
      name: the operation's name.

    Returns:
      What the functions give. Dimensions in which their shapes differ are unknown.

    Raises:
      TypeError: one of them is not callable, or their results differ in structure or dtypes.

    Example:
      >>> tf.cond(tf.constant(2) > 1, lambda: tf.constant("yes"), lambda: tf.constant("no")).numpy()
      b'yes'
    """
    require_callable("'{}'", true_fn=true_fn, false_fn=false_fn)
    return either(pred, true_fn, false_fn, name)


@export(v1=["cond"])
def cond(
    pred: Any,
    true_fn: Any = None,
    false_fn: Any = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Any = None,
    fn2: Any = None,
) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`; see `tf.cond` of 2.x.

    Only what the results need runs in the function that is chosen; what it uses of outside is computed beforehand.

    Args:
      pred: a bool scalar tensor.
      true_fn, false_fn: functions without parameters.
      strict: whether lists and tuples of one element are kept.
      name: the name scope.
      fn1, fn2: old names of `true_fn` and `false_fn`.

    Raises:
      TypeError: a function is missing or not callable, `pred` is a Python bool, or the results differ in structure.
    """
    for old, new, label, old_label in ((fn1, true_fn, "true_fn", "fn1"), (fn2, false_fn, "false_fn", "fn2")):
        if old is not None and new is not None:
            raise TypeError(f"cond(): {label} and {old_label} may not be set simultaneously.")
    true_fn, false_fn = true_fn if fn1 is None else fn1, false_fn if fn2 is None else fn2
    require_callable("{}", true_fn=true_fn, false_fn=false_fn)
    result = either(pred, true_fn, false_fn, name)
    return result if strict else unpacked(result)


def unpacked(result: Any) -> Any:
    """The only element of a list or tuple of one element; anything else as it is."""
    return result[0] if isinstance(result, (list, tuple)) and len(result) == 1 else result


def either(pred: Any, true_fn: Any, false_fn: Any, name: str | None) -> Any:
    """What `true_fn()` or `false_fn()` gives."""
    if context.executing_eagerly():
        return true_fn() if pred else false_fn()
    if isinstance(pred, bool):
        raise TypeError("pred must not be a Python bool")
    in_function = get_default_graph().building_function
    with name_scope(name, "cond", [pred] if isinstance(pred, Tensor) else []) as scope:
        condition = to_tensor(pred, name="pred")
        if not in_function:
            require_bool_scalar(condition, "Switch", "pred", f"{scope}Switch", 2)
        decide_on(condition)
        branches = [traced_branch(f"{scope[:-1]}_{label}", function, label == "true")
                    for function, label in ((true_fn, "true"), (false_fn, "false"))]  # fmt: skip
        if in_function:
            require_alike(branches, ("true_fn", "false_fn"), "tf.cond")
        else:
            _require_alike_in_graph(*branches)
        return choose(condition, branches, scope)


def decide_on(condition: Tensor) -> None:
    """Counts what TensorFlow 1 has for a condition before its branches: `Switch`, `switch_t`, `switch_f`, `pred_id`."""
    graph = get_default_graph()
    graph.capture(condition)
    graph.numbering.skip(4)


def choose(condition: Tensor, branches: Sequence[TracedFunction], scope: str | None) -> Any:
    """Adds the operation for two traced functions whose results are alike; gives its results in their structure."""
    captured, (then_branch, else_branch) = _functions(branches)
    op = if_op if _has_effects([then_branch, else_branch]) else stateless_if_op
    with get_default_graph().numbering.stands_for(0):
        outputs = op(
            condition, captured, Tout=_dtypes(then_branch), then_branch=then_branch, else_branch=else_branch, name=scope
        )
    let_out(_operation(outputs), ("then_branch", "else_branch"), [branch.graph for branch in branches])
    return _packed(outputs, branches, "Identity" if get_default_graph().building_function else "Merge")


def choose_numbered(index: Tensor, branches: Sequence[TracedFunction], scope: str | None) -> Any:
    """Adds the operation for traced functions whose results are alike; gives its results in their structure."""
    captured, traced = _functions(branches)
    op = case_op if _has_effects(traced) else stateless_case_op
    with get_default_graph().numbering.stands_for(1):
        outputs = op(index, captured, Tout=_dtypes(traced[0]), branches=traced, name=scope)
    let_out(_operation(outputs), ("branches",), [branch.graph for branch in branches])
    return _packed(outputs, branches, "Identity")


# --- Building ---------------------------------------------------------------------------------------------------------


def traced_branch(name: str, function: Callable[[], Any], number: Any) -> TracedFunction:
    """A branch as a graph; `number` stands for an operation among its results."""
    branch = TracedFunction(name.replace("/", "_"))
    branch.trace(function, (), stands_for_operation=number)
    return branch


def require_alike(branches: Sequence[TracedFunction], names: Sequence[str], endpoint: str) -> None:
    """Demands that all branches give the same structure of tensors of the same dtypes; the dense form of rows counts.

    Raises:
      TypeError: they do not.
    """
    first = branches[0]
    for branch, name in zip(branches[1:], names[1:], strict=True):
        try:
            _make_slices_dense(first, branch)
            nest.assert_same_structure(first.result, branch.result, expand_composites=True)
            for a, b in zip(_leaves(first), _leaves(branch), strict=True):
                _require_same_type(a, b)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{names[0]} and {name} arguments to {endpoint} must have the same number, type, and overall structure "
                f"of return values.\n\n{names[0]} output: {first.result}\n{name} output: {branch.result}\n\n"
                f"Error details:\n{error}"
            ) from None


def _require_alike_in_graph(true_branch: TracedFunction, false_branch: TracedFunction) -> None:
    """Demands of the branches in a 1.x graph what TensorFlow 1 demands.

    Raises:
      TypeError, ValueError: a branch gives nothing, or they differ in structure or dtypes.
    """
    for branch, name in ((true_branch, "true_fn"), (false_branch, "false_fn")):
        if branch.result is None:
            raise ValueError(f"{name} must have a return value.")
    nest.assert_same_structure(true_branch.result, false_branch.result)
    try:
        nest.assert_same_structure(true_branch.result, false_branch.result, expand_composites=True)
    except (TypeError, ValueError) as error:
        what = "types" if isinstance(error, TypeError) else "values"
        raise type(error)(f"Incompatible return {what} of true_fn and false_fn: {error}") from None
    if not true_branch.outputs:
        raise ValueError("true_fn and false_fn must return at least one result.")
    for a, b in zip(true_branch.outputs, false_branch.outputs, strict=True):
        if a.dtype.base_dtype is not b.dtype.base_dtype:
            raise ValueError(
                "Outputs of true_fn and false_fn must have the same type: "
                f"{a.dtype.base_dtype.name}, {b.dtype.base_dtype.name}"
            )


def _leaves(branch: TracedFunction) -> list[Any]:
    return nest.flatten(branch.result, expand_composites=True)


def _require_same_type(a: Any, b: Any) -> None:
    if (a is None) != (b is None):
        raise TypeError(f"{a} and {b} have different types")
    if a is not None and a.dtype.base_dtype is not b.dtype.base_dtype:
        raise TypeError(f"{a} and {b} have different types")


def _make_slices_dense(*branches: TracedFunction) -> None:
    """Where one branch gives a tensor and another one rows of it, both give tensors."""
    flat = [nest.flatten(branch.result) for branch in branches]
    if len({len(leaves) for leaves in flat}) > 1:
        return
    for index, leaves in enumerate(zip(*flat, strict=True)):
        if len({isinstance(leaf, IndexedSlices) for leaf in leaves}) > 1:
            for branch, leaves_of_branch in zip(branches, flat, strict=True):
                with branch.graph.as_default():
                    leaves_of_branch[index] = to_tensor(leaves_of_branch[index])
    for branch, leaves_of_branch in zip(branches, flat, strict=True):
        branch.result = nest.pack_sequence_as(branch.result, leaves_of_branch)


def _functions(branches: Sequence[TracedFunction]) -> tuple[list[Tensor], list[Any]]:
    """What the branches take from outside, and the functions of that."""
    captured = all_captures(branches)
    return captured, [branch.with_captures(captured, branch.outputs) for branch in branches]


def _has_effects(functions: Sequence[Any]) -> bool:
    return not all(function.is_repeatable for function in functions)


def _dtypes(function: Any) -> list[Any]:
    return [tensor.dtype.base_dtype for tensor in function.outputs]


def _operation(outputs: Sequence[Tensor]) -> Operation:
    """The operation just made that gave the outputs."""
    return outputs[0].op if outputs else get_default_graph()._operations[-1]


def _packed(outputs: Sequence[Tensor], branches: Sequence[TracedFunction], label: str) -> Any:
    """The results, under the name `label`, in the structure that the branches gave."""
    rest = (identity(tensor, name=label) for tensor in outputs)
    flat = [None if leaf is None else next(rest) for leaf in _leaves(branches[0])]
    return nest.pack_sequence_as(branches[0].result, flat, expand_composites=True)
