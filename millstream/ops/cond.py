"""`tf.cond`, `tf.case` and `tf.switch_case`: one of several Python functions, chosen when the graph runs."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context, nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.control_flow_ops import Assert
from millstream.ops.functional_ops import case_op, if_op, stateless_case_op, stateless_if_op
from millstream.ops.identity_ops import identity
from millstream.ops.traced_functions import TracedFunction, all_captures


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
    return _cond(pred, true_fn, false_fn, name)


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
    if isinstance(pred, bool) and not context.executing_eagerly():
        raise TypeError("pred must not be a Python bool")
    result = _cond(pred, true_fn, false_fn, name)
    return result if strict else _unpacked(result)


def _unpacked(result: Any) -> Any:
    return result[0] if isinstance(result, (list, tuple)) and len(result) == 1 else result


def _cond(pred: Any, true_fn: Any, false_fn: Any, name: str | None) -> Any:
    for function, label in ((true_fn, "true_fn"), (false_fn, "false_fn")):
        if not callable(function):
            raise TypeError(f"'{label}' must be callable.")
    if context.executing_eagerly():
        with name_scope(name or "cond"):
            return true_fn() if pred else false_fn()
    with name_scope(name, "cond", [pred] if isinstance(pred, Tensor) else []) as scope:
        condition = to_tensor(pred, name="pred")
        branches = [_traced(f"{scope[:-1]}_{label}", function, label == "true")
                    for function, label in ((true_fn, "true"), (false_fn, "false"))]  # fmt: skip
        _require_alike(branches, ("true_fn", "false_fn"), "tf.cond")
        return choose(condition, branches, scope)


def choose(condition: Tensor, branches: Sequence[TracedFunction], scope: str | None) -> Any:
    """Adds the operation for two traced functions whose results are alike; gives its results in their structure."""
    captured, (then_branch, else_branch) = _functions(branches)
    op = if_op if _has_effects([then_branch, else_branch]) else stateless_if_op
    outputs = op(
        condition, captured, Tout=_dtypes(then_branch), then_branch=then_branch, else_branch=else_branch, name=scope
    )
    return _packed(outputs, branches)


# --- Building ---------------------------------------------------------------------------------------------------------


def _traced(name: str, function: Callable[[], Any], number: Any) -> TracedFunction:
    branch = TracedFunction(name.replace("/", "_"))
    branch.trace(function, (), stands_for_operation=number)
    return branch


def _require_alike(branches: Sequence[TracedFunction], names: Sequence[str], endpoint: str) -> None:
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


def _packed(outputs: Any, branches: Sequence[TracedFunction]) -> Any:
    """The results in the structure that the branches gave; the operation where they gave nothing."""
    if isinstance(outputs, Operation):
        return outputs if not nest.is_nested(branches[0].result) else branches[0].result
    label = "Identity" if get_default_graph().building_function else "Merge"
    rest = (identity(tensor, name=label) for tensor in outputs)
    flat = [None if leaf is None else next(rest) for leaf in _leaves(branches[0])]
    return nest.pack_sequence_as(branches[0].result, flat, expand_composites=True)


# --- One of many ------------------------------------------------------------------------------------------------------


@export("switch_case")
def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case") -> Any:
    """The result of `branch_fns[branch_index]()`.

    Args:
      branch_index: an int32 scalar.
      branch_fns: a list of functions without parameters; or a dict, or list of pairs, of numbers and functions.
      default: the function for other numbers; default: the one with the highest number.
      name: the operation's name.

    Raises:
      TypeError: something is not callable, or the results differ in structure or dtypes.
      ValueError: the numbers are not 0, 1, 2, ….

    Example:
      >>> tf.switch_case(tf.constant(1), [lambda: 10, lambda: 20]).numpy()
      20
    """
    functions = _numbered(branch_fns, default)
    with name_scope(name, "switch_case", [branch_index] if isinstance(branch_index, Tensor) else []) as scope:
        if context.executing_eagerly():
            index = int(to_tensor(branch_index, name="branch_index"))
            return functions[index if 0 <= index < len(functions) else -1]()
        index = to_tensor(branch_index, name="branch_index")
        if not index.dtype.base_dtype.is_integer:
            raise TypeError(f"'branch_index' must be an integer Tensor, got {index.dtype!r}")
        if index.dtype.base_dtype.name != "int32":
            index = find("Cast")(index, DstT="int32")
        branches = [
            _traced(f"{scope[:-1]}_branch{number}", function, number) for number, function in enumerate(functions)
        ]
        _require_alike(branches, [f"branch_fns[{number}]" for number in range(len(branches))], "tf.switch_case")
        return choose_numbered(index, branches, scope)


def choose_numbered(index: Tensor, branches: Sequence[TracedFunction], scope: str | None) -> Any:
    """Adds the operation for traced functions whose results are alike; gives its results in their structure."""
    captured, traced = _functions(branches)
    op = case_op if _has_effects(traced) else stateless_case_op
    outputs = op(index, captured, Tout=_dtypes(traced[0]), branches=traced, name=scope)
    return _packed(outputs, branches)


def _numbered(branch_fns: Any, default: Any) -> list[Callable[[], Any]]:
    """The functions in the order of their numbers, the default last.

    Raises:
      TypeError, ValueError: as `switch_case` says.
    """
    if isinstance(branch_fns, dict):
        branch_fns = list(branch_fns.items())
    if not isinstance(branch_fns, (list, tuple)) or not branch_fns:
        raise TypeError("'branch_fns' must be a list, tuple, or dict")
    if all(callable(item) for item in branch_fns):
        branch_fns = list(enumerate(branch_fns))
    for item in branch_fns:
        if not isinstance(item, tuple) or len(item) != 2:
            raise TypeError(f"Each entry in 'branch_fns' must be a 2-tuple. Received {item!r}.")
        if not isinstance(item[0], int):
            raise TypeError(f"key must be a Python `int`, got {type(item[0])}")
        if not callable(item[1]):
            raise TypeError(f"fn for key {item[0]} must be callable.")
    by_number = dict(branch_fns)
    keys = sorted(by_number)
    if keys != list(range(len(keys))):
        raise ValueError(
            f"branch indices (keys) must form contiguous range of [0 to {len(keys)}) but found "
            f"{{{','.join(map(str, keys))}}}"
        )
    if default is not None and not callable(default):
        raise TypeError("'default' must be callable.")
    return [by_number[key] for key in keys] + ([default] if default is not None else [])


@export(v2=["case"])
def case_v2(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False, name: str = "case"
) -> Any:
    """The result of the first function whose condition holds.

    Args:
      pred_fn_pairs: a list of pairs of a bool scalar and a function without parameters.
      default: the function where no condition holds; without one that is an error when it runs.
      exclusive: whether it is an error, when it runs, that several conditions hold.
      strict: whether lists and tuples of one element are kept.
      name: the name scope.

    Raises:
      TypeError: something is not callable, or no bool scalar.
      InvalidArgumentError: when it runs: no condition holds and there is no default, or several are not exclusive.

    Example:
      >>> x = tf.constant(3)
      >>> tf.case([(x < 2, lambda: "small"), (x < 5, lambda: "middle")], default=lambda: "large").numpy()
      b'middle'
    """
    return _case(pred_fn_pairs, default, exclusive, strict, name, allow_python_preds=True)


@export(v1=["case"])
def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False, name: str = "case"
) -> Any:
    """The result of the first function whose condition holds; see `tf.case` of 2.x.

    Args:
      pred_fn_pairs: a list of pairs, or a dict, of bool scalar tensors and functions.
      default, exclusive, strict, name: as in 2.x.

    Raises:
      TypeError, InvalidArgumentError: as in 2.x.
    """
    return _case(pred_fn_pairs, default, exclusive, strict, name, allow_python_preds=context.executing_eagerly())


def _case(pred_fn_pairs: Any, default: Any, exclusive: bool, strict: bool, name: str, allow_python_preds: bool) -> Any:
    pairs = _pairs(pred_fn_pairs, allow_python_preds)
    if default is not None and not callable(default):
        raise TypeError(f"Argument `default` must be callable. Received {default!r}.")
    with name_scope(name, "case", [pred for pred, _ in pairs if isinstance(pred, Tensor)]):
        preds = [to_tensor(pred) for pred, _ in pairs]
        checks = [_exclusive(preds)] if exclusive and len(preds) > 1 else []
        if default is None:
            checks.append(_some(preds))
            default = pairs[-1][1]
            pairs, preds = pairs[:-1], preds[:-1]
        function = default
        for pred, (_, branch) in zip(reversed(preds), reversed(pairs), strict=True):
            function = _either(pred, branch, function)
        with get_default_graph().control_dependencies([check for check in checks if check is not None]):
            result = function()
    return result if strict else _unpacked(result)


def _either(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: _cond(pred, true_fn, false_fn, "cond")


def _pairs(pred_fn_pairs: Any, allow_python_preds: bool) -> list[tuple[Any, Callable[[], Any]]]:
    """The pairs of conditions and functions.

    Raises:
      TypeError: something is no pair, no condition, or not callable.
    """
    if isinstance(pred_fn_pairs, dict):
        pred_fn_pairs = sorted(pred_fn_pairs.items(), key=lambda item: getattr(item[0], "name", ""))
    if not isinstance(pred_fn_pairs, (list, tuple)):
        raise TypeError(f"'pred_fn_pairs' must be a list, tuple, or dict. Received {type(pred_fn_pairs)}.")
    if not pred_fn_pairs:
        raise ValueError("'pred_fn_pairs' must not be empty.")
    for item in pred_fn_pairs:
        if not isinstance(item, tuple) or len(item) != 2:
            raise TypeError(f"Each entry in 'pred_fn_pairs' must be a 2-tuple. Received {item!r}.")
        pred, function = item
        if isinstance(pred, Tensor):
            if pred.dtype.base_dtype.name != "bool":
                raise TypeError(f"pred must be Tensor of type bool: {pred}")
        elif not allow_python_preds:
            raise TypeError(f"pred must be a Tensor, got: {pred}")
        elif not isinstance(pred, bool) and type(pred).__name__ not in ("bool_", "bool"):
            raise TypeError(f"pred must be a Python bool or a bool Tensor, got: {pred}")
        if not callable(function):
            raise TypeError(f"fn for pred {pred} must be callable.")
    return list(pred_fn_pairs)


def _exclusive(preds: list[Tensor]) -> Any:
    count = find("Sum")(find("Cast")(find("Pack")(preds), DstT="int32"), 0)
    names = [getattr(pred, "_name", None) or f"condition {index}" for index, pred in enumerate(preds)]
    message = f"Input error: exclusive=True: more than 1 conditions ({', '.join(names)}) evaluated as True:"
    return Assert(find("Less")(count, 2), [message, find("Pack")(preds)], summarize=len(preds))


def _some(preds: list[Tensor]) -> Any:
    message = "None of the conditions evaluated as True. Conditions:"
    return Assert(find("Any")(find("Pack")(preds), 0), [message, find("Pack")(preds)], summarize=len(preds))
