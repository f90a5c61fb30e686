"""`tf.case` and `tf.switch_case`: one of several Python functions, chosen when the graph runs."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.opdef import find
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops.cond import choose_numbered, either, require_alike, traced_branch, unpacked
from millstream.ops.control_flow_ops import Assert
from millstream.ops.traced_functions import TracedFunction, require_callable


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
    if context.executing_eagerly():
        index = int(to_tensor(branch_index, name="branch_index"))
        return functions[index if 0 <= index < len(functions) else -1]()
    with name_scope(name, "switch_case", [branch_index] if isinstance(branch_index, Tensor) else []) as scope:
        index = to_tensor(branch_index, name="branch_index")
        if not index.dtype.base_dtype.is_integer:
            raise TypeError(f"'branch_index' must be an integer Tensor, got {index.dtype!r}")
        if index.dtype.base_dtype.name != "int32":
            index = find("Cast")(index, DstT="int32")
        with name_scope("indexed_case") as inner:
            branches = [_branch(f"{scope}indexed_case", number, function) for number, function in enumerate(functions)]
            require_alike(branches, [f"branch_fns[{number}]" for number in range(len(branches))], "tf.switch_case")
            return choose_numbered(index, branches, inner)


def _branch(name: str, number: int, function: Callable[[], Any]) -> TracedFunction:
    """A branch, which is a function with a numbering of its own in TensorFlow 1 too."""
    with get_default_graph().numbering.restarted():
        return traced_branch(f"{name}_branch{number}", function, number)


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
    require_callable("'{}'" if allow_python_preds else "{}", false_fn=pairs[-1][1] if default is None else default)
    with name_scope(name, "case", [pred for pred, _ in pairs if isinstance(pred, Tensor)]):
        if default is None:
            default, pairs = _last_function(pairs), pairs[:-1]
        function = default
        for pred, branch in reversed(pairs):
            function = _either(pred, branch, function)
        if not exclusive:
            result = function()
        else:
            check = _at_most(1, [pred for pred, _ in pairs], "Input error: exclusive=True")
            with get_default_graph().control_dependencies(_some(check)):
                result = function()
    return result if strict else unpacked(result)


def _either(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: either(to_tensor(pred), true_fn, false_fn, "cond")


def _last_function(pairs: Sequence[tuple[Any, Callable[[], Any]]]) -> Callable[[], Any]:
    """The last function as the default, which demands that its condition holds and no other one."""
    *others, last = [pred for pred, _ in pairs]
    function = pairs[-1][1]

    def default() -> Any:
        preds = find("Pack")([*others, last], name="preds_c")
        wrong = f"Implementation error: selected default action #{len(others)} was called, but some of other predicates"
        none = _at_most(0, others, f"{wrong} are True: ")
        some = Assert(last, ["Input error: None of conditions evaluated as True:", preds])
        with get_default_graph().control_dependencies([*_some(none), *_some(some)]):
            return function()

    return default


def _some(check: Any) -> list[Any]:
    """An assertion as a control dependency; eagerly there is none."""
    return [] if check is None else [check]


def _at_most(count: int, preds: Sequence[Any], message: str) -> Any:
    """Demands that no more than `count` conditions hold."""
    stacked = find("Pack")(list(preds), name="preds_c") if preds else to_tensor([], dtype="bool", name="preds_c")
    trues = find("Sum")(find("Cast")(stacked, DstT="int32"), to_tensor([0], name="Const"), name="num_true_conds")
    few = find("LessEqual")(trues, to_tensor(count, name="n_true_conds"))
    names = ", ".join(getattr(pred, "name", "?") for pred in preds)
    text = f"{message}: more than {count} conditions ({names}) evaluated as True:"
    return Assert(few, [text, stacked], summarize=len(preds))


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
                raise TypeError(f"pred must be Tensor of type bool: {getattr(pred, 'name', pred)}")
        elif not allow_python_preds:
            raise TypeError(f"pred must be a Tensor, got: {pred}")
        elif not isinstance(pred, bool) and type(pred).__name__ not in ("bool_", "bool"):
            raise TypeError(f"pred must be a Python bool or a bool Tensor, got: {pred}")
        if not callable(function):
            raise TypeError(f"fn for pred {getattr(pred, 'name', pred)} must be callable.")
    return list(pred_fn_pairs)
