"""Assertions about values: comparisons, signs, and what is known of floats.

Each is checked at once where the values are known when the graph is built, and gives an operation that checks them
when the graph runs.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, errors, opdef
from millstream.core.context import executing_eagerly
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.scopes import name_scope
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.arithmetic_ops import subtract
from millstream.ops.comparison_ops import equal, greater, greater_equal, less, less_equal, not_equal
from millstream.ops.control_flow_ops import Assert, group, no_op, with_dependencies
from millstream.ops.identity_ops import check_numerics
from millstream.ops.rank_check_ops import begin_v1, begin_v2
from millstream.ops.reduction_ops import reduce_all
from millstream.ops.reshape_ops import reshape

# --- Comparisons --------------------------------------------------------------------------------------------


def _as_text(item: Any) -> str:
    """One part of an assertion's data, for an error raised while the graph is built."""
    if isinstance(item, Tensor):
        value = constant_value(item)
        return str(item) if value is None else str(value)
    return str(item)


def _assert_all(condition: Any, known: Any, data: list[Any], summarize: int | None) -> Any:
    """Demands of `known`, where it is not None, and then of the bool tensor `condition`, that all are true."""
    condition = reduce_all(condition)
    if known is not None and not np.all(known):
        raise errors.InvalidArgumentError(None, None, "\n".join(_as_text(item) for item in data))
    return Assert(condition, data, summarize=summarize)


def _assert_all_now(
    sign: str, holds: Tensor, x: Tensor, y: Tensor, data: Any, summarize: int | None, message: str | None
) -> None:
    """Demands, in eager execution, that all of `holds` is true."""
    if np.all(holds.numpy()):
        return
    limit = 3 if summarize is None else int(1e9) if summarize < 0 else summarize
    if data is None:
        data = _differences_shown(sign, holds.numpy(), x.numpy(), y.numpy(), limit)
    lines = [] if message is None else [message]
    lines += [_shown(item, limit) if isinstance(item, Tensor) else str(item) for item in data]
    raise errors.InvalidArgumentError(None, None, "\n".join(lines))


def _differences_shown(sign: str, holds: Any, x: Any, y: Any, limit: int) -> list[Any]:
    """What the error of a comparison shows: where it does not hold, and the first elements."""
    lines: list[Any] = [f"Condition x {sign} y did not hold."]
    x, y = np.asarray(x), np.asarray(y)
    if limit <= 0:
        return lines
    if x.shape == y.shape and x.ndim:
        places = np.argwhere(np.logical_not(holds))[:limit]
        index = tuple(places.T)
        lines += [f"Indices of first {len(places)} different values:", places]
        lines += ["Corresponding x values:", x[index], "Corresponding y values:", y[index]]
    for letter, array in (("x", x), ("y", y)):
        first = array.reshape(-1)[:limit]
        lines += [f"First {len(first)} elements of {letter}:", first]
    return lines


def _shown(tensor: Tensor, limit: int) -> str:
    """The first elements of a tensor, as eager errors show it."""
    array = tensor.numpy()
    if not np.ndim(array):
        return str(array)
    flat = array.reshape(-1)
    return str([str(item) for item in flat[:limit]] + (["..."] if flat.size > limit else []))


def _label(x: Tensor) -> str:
    """A tensor's name; in eager execution its shape and dtype."""
    return f"shape={x.shape} dtype={x.dtype.name}" if executing_eagerly() else x.name


_Compare = tuple[str, str, Callable[..., Any], Callable[..., Any]]
_COMPARISONS: dict[str, _Compare] = {
    "assert_equal": ("==", "x == y", equal, np.equal),
    "assert_none_equal": ("!=", "x != y", not_equal, np.not_equal),
    "assert_less": ("<", "x < y", less, np.less),
    "assert_less_equal": ("<=", "x <= y", less_equal, np.less_equal),
    "assert_greater": (">", "x > y", greater, np.greater),
    "assert_greater_equal": (">=", "x >= y", greater_equal, np.greater_equal),
}


def _compare(
    scope: str, x: Any, y: Any, data: Any, summarize: int | None, message: str | None, name: str | None
) -> Any:
    sign, _, compare, compare_known = _COMPARISONS[scope]
    with name_scope(name, scope, [x, y, data]):
        x = conversion.to_tensor(x, name="x")
        y = conversion.to_tensor(y, name="y")
        if executing_eagerly():
            return _assert_all_now(sign, compare(x, y), x, y, data, summarize, message)
        if data is None:
            rule = f"Condition x {sign} y did not hold element-wise:"
            data = [rule, f"x ({_label(x)}) = ", x, f"y ({_label(y)}) = ", y]
        if message is not None:
            data = [message, *data]
        known_x, known_y = constant_value(x), constant_value(y)
        condition = compare(x, y)
        known = None if known_x is None or known_y is None else compare_known(known_x, known_y)
        return _assert_all(condition, known, list(data), summarize)


def _publish_comparison(scope: str, top_level: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    rule = _COMPARISONS[scope][1]

    def endpoint(
        x: Any,
        y: Any,
        data: Any = None,
        summarize: int | None = None,
        message: str | None = None,
        name: str | None = None,
    ) -> Any:
        if scope == "assert_equal":
            with name_scope(name, scope, [x, y, data]):  # as in TensorFlow, a scope of its own for this question
                if x is y:
                    return no_op()
        return _compare(scope, x, y, data, summarize, message, name)

    def endpoint_v2(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> Any:
        return endpoint(x, y, summarize=summarize, message=message, name=name)

    endpoint.__name__ = endpoint.__qualname__ = scope
    endpoint.__doc__ = f"""Demands that `{rule}` holds for each pair of elements.

    Args:
      x, y: tensors of one dtype, of shapes that broadcast.
      data: what the error shows; default: the condition and both tensors.
      summarize: how many elements of each are shown; default 3.
      message: what the error begins with.
      name: the name scope.

    Returns:
      The operation that checks: put it into `tf.control_dependencies` to have it run.

    Raises:
      InvalidArgumentError: it does not hold: at once where the values are known, else when it runs.
    """
    endpoint_v2.__name__ = endpoint_v2.__qualname__ = scope + "_v2"
    endpoint_v2.__doc__ = f"""Demands that `{rule}` holds for each pair of elements.

    Args:
      x, y: tensors of one dtype, of shapes that broadcast.
      message: what the error begins with.
      summarize: how many elements the error shows; default 3, negative: all.
      name: the name scope.

    Returns:
      None in eager execution, else the operation that checks.

    Raises:
      InvalidArgumentError: it does not hold: at once where the values are known, else when the function runs.
    """
    export(v1=[f"debugging.{scope}", scope])(endpoint)
    if scope != "assert_none_equal":
        export(v2=[f"debugging.{scope}", *([scope] if top_level else [])])(endpoint_v2)
    return endpoint, endpoint_v2


assert_equal, assert_equal_v2 = _publish_comparison("assert_equal", True)
assert_none_equal, _ = _publish_comparison("assert_none_equal", False)
assert_less, assert_less_v2 = _publish_comparison("assert_less", True)
assert_less_equal, assert_less_equal_v2 = _publish_comparison("assert_less_equal", False)
assert_greater, assert_greater_v2 = _publish_comparison("assert_greater", True)
assert_greater_equal, assert_greater_equal_v2 = _publish_comparison("assert_greater_equal", False)



@export(v2=["debugging.assert_none_equal"])
def assert_none_equal_v2(
    x: Any, y: Any, summarize: int | None = None, message: str | None = None, name: str | None = None
) -> Any:
    """Demands that `x != y` holds for each pair of elements (see `tf.assert_none_equal` of 1.x)."""
    return assert_none_equal(x, y, summarize=summarize, message=message, name=name)


# --- Signs --------------------------------------------------------------------------------------------------

# For each: the comparison of 0 and x that it is, whether 0 stands first in it, and the rule.
_SIGNS: dict[str, tuple[Callable[..., Any], bool, str]] = {
    "assert_negative": (assert_less, False, "x < 0"),
    "assert_positive": (assert_less, True, "x > 0"),
    "assert_non_negative": (assert_less_equal, True, "x >= 0"),
    "assert_non_positive": (assert_less_equal, False, "x <= 0"),
}


def _publish_sign(scope: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    compare, zero_first, rule = _SIGNS[scope]

    def check(x: Any, data: Any, summarize: int | None, begin: str, name: str | None) -> Any:
        with name_scope(name, scope, [x, data]):
            x = conversion.to_tensor(x, name="x")
            if data is None:
                parts = [f"Condition {rule} did not hold element-wise:", f"x ({_label(x)}) = "]
                if scope == "assert_non_positive":  # one string in TensorFlow
                    parts = ["".join(parts)]
                data = [begin, *parts, x]
            zero = constant_op.constant(0, dtype=x.dtype.base_dtype)
            first, second = (zero, x) if zero_first else (x, zero)
            return compare(first, second, data=data, summarize=summarize)

    def endpoint(
        x: Any, data: Any = None, summarize: int | None = None, message: str | None = None, name: str | None = None
    ) -> Any:
        return check(x, data, summarize, begin_v1(message).data, name)

    def endpoint_v2(
        x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> Any:
        return check(x, None, summarize, begin_v2(message).data, name)

    endpoint.__name__ = endpoint.__qualname__ = scope
    endpoint.__doc__ = f"""Demands that `{rule}` holds for each element.

    Args:
      x: a numeric tensor.
      data: what the error shows; default: the condition and the tensor.
      summarize: how many elements of it are shown; default 3.
      message: what the error begins with.
      name: the name scope.

    Returns:
      The operation that checks: put it into `tf.control_dependencies` to have it run.

    Raises:
      InvalidArgumentError: it does not hold: at once where the value is known, else when it runs.
    """
    endpoint_v2.__name__ = endpoint_v2.__qualname__ = scope + "_v2"
    endpoint_v2.__doc__ = f"""Demands that `{rule}` holds for each element.

    Args:
      x: a numeric tensor.
      message: what the error begins with.
      summarize: how many elements of it are shown; default 3, negative: all.
      name: the name scope.

    Returns:
      None in eager execution, else the operation that checks.

    Raises:
      InvalidArgumentError: it does not hold: at once where the value is known, else when the function runs.
    """
    export(v1=[f"debugging.{scope}", scope])(endpoint)
    export(v2=[f"debugging.{scope}"])(endpoint_v2)
    return endpoint, endpoint_v2


assert_negative, assert_negative_v2 = _publish_sign("assert_negative")
assert_positive, assert_positive_v2 = _publish_sign("assert_positive")
assert_non_negative, assert_non_negative_v2 = _publish_sign("assert_non_negative")
assert_non_positive, assert_non_positive_v2 = _publish_sign("assert_non_positive")

# --- Nearness -----------------------------------------------------------------------------------------------


@export(v1=["debugging.assert_near", "assert_near"])
def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """Demands that `|x - y| < atol + rtol * |y|` holds for each pair of elements.

    Args:
      x, y: tensors of one floating dtype, of shapes that broadcast.
      rtol, atol: the tolerances; default: ten times the dtype's epsilon each.
      data: what the error shows; default: the tolerances and both tensors.
      summarize: how many elements of each are shown; default 3.
      message: what the error begins with.
      name: the name scope.

    Returns:
      The operation that checks: put it into `tf.control_dependencies` to have it run.

    Raises:
      InvalidArgumentError: when it runs and the condition does not hold.
    """
    return _assert_near(x, y, rtol, atol, data, summarize, begin_v1(message).data, name)


def _assert_near(
    x: Any, y: Any, rtol: Any, atol: Any, data: Any, summarize: int | None, begin: str, name: str | None
) -> Any:
    with name_scope(name, "assert_near", [x, y, rtol, atol, data]):
        x = conversion.to_tensor(x, name="x")
        y = conversion.to_tensor(y, dtype=x.dtype.base_dtype, name="y")
        least = 10 * _epsilon(x.dtype.base_dtype)
        rtol = conversion.to_tensor(least if rtol is None else rtol, x.dtype.base_dtype, name="rtol")
        atol = conversion.to_tensor(least if atol is None else atol, x.dtype.base_dtype, name="atol")
        if data is None:
            tolerances = f"x and y not equal to tolerance rtol = {rtol!s}, atol = {atol!s}"
            data = [begin, tolerances, f"x ({_label(x)}) = ", x, f"y ({_label(y)}) = ", y]
        absolute = opdef.find("Abs")
        tolerance = atol + rtol * absolute(y)
        distance = absolute(subtract(x, y, name="sub"))
        return Assert(reduce_all(less(distance, tolerance)), data, summarize=summarize)


def _epsilon(dtype: dtypes.DType) -> float:
    kind = dtype.real_dtype.as_numpy_dtype
    if issubclass(kind, np.floating):
        return float(np.finfo(kind).eps)
    import ml_dtypes

    return float(ml_dtypes.finfo(kind).eps)


@export(v2=["debugging.assert_near"])
def assert_near_v2(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: str | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Any:
    """Demands that `|x - y| < atol + rtol * |y|` holds for each pair of elements.

    Args:
      x, y: tensors of one floating dtype, of shapes that broadcast.
      rtol, atol: the tolerances; default: ten times the dtype's epsilon each.
      message: what the error begins with.
      summarize: how many elements of each are shown; default 3, negative: all.
      name: the name scope.

    Returns:
      None in eager execution, else the operation that checks.

    Raises:
      InvalidArgumentError: it does not hold: at once in eager execution, else when the function runs.
    """
    return _assert_near(x, y, rtol, atol, None, summarize, begin_v2(message).data, name)


# --- Order --------------------------------------------------------------------------------------------------


def _differences(x: Any) -> Tensor:
    """The differences of neighbours in the flattened tensor; none where it has fewer than two elements."""
    flat = reshape(x, [-1])
    return flat[1:] - flat[:-1]


@export("math.is_non_decreasing", v1=["debugging.is_non_decreasing", "is_non_decreasing"])
def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether the elements, in row-major order, never decrease: a bool scalar.

    Args:
      x: a numeric tensor, any shape; true of none and of one element.
      name: the name scope.
    """
    with name_scope(name, "is_non_decreasing", [x]):
        steps = _differences(x)
        return reduce_all(less_equal(constant_op.constant(0, steps.dtype), steps))


@export("math.is_strictly_increasing", v1=["debugging.is_strictly_increasing", "is_strictly_increasing"])
def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether each element, in row-major order, is greater than the one before: a bool scalar.

    Args:
      x: a numeric tensor, any shape; true of none and of one element.
      name: the name scope.
    """
    with name_scope(name, "is_strictly_increasing", [x]):
        steps = _differences(x)
        return reduce_all(less(constant_op.constant(0, steps.dtype), steps))


# --- Finite numbers -----------------------------------------------------------------------------------------


@export(v1=["debugging.assert_all_finite", "verify_tensor_all_finite"])
def verify_tensor_all_finite(
    t: Any = None, msg: str | None = None, name: str | None = None, x: Any = None, message: str | None = None
) -> Tensor:
    """The same tensor, after a check that it holds no NaN and no infinity.

    Args:
      t, x: a floating tensor (two names of one argument).
      msg, message: how the error's message begins (two names of one argument).
      name: the name scope.

    Raises:
      InvalidArgumentError: when it runs and an element is not finite.
    """
    return verify_tensor_all_finite_v2(t if x is None else x, (message if msg is None else msg) or "", name)


@export(v2=["debugging.assert_all_finite"])
def verify_tensor_all_finite_v2(x: Any, message: str, name: str | None = None) -> Tensor:
    """The same tensor, after a check that it holds no NaN and no infinity (`message` begins the error)."""
    with name_scope(name, "VerifyFinite", [x]):
        x = conversion.to_tensor(x, name="x")
        if executing_eagerly():
            return check_numerics(x, message=message)
        with get_default_graph().colocate_with(x):
            return with_dependencies([check_numerics(x, message=message)], x)


@export(v1=["add_check_numerics_ops"])
def add_check_numerics_ops() -> Any:
    """Adds a check to each floating tensor of the default graph; gives one operation that runs them all.

    Raises:
      InvalidArgumentError: when it runs and a tensor holds a NaN or an infinity.
    """
    checks: list[Any] = []
    graph = get_default_graph()
    for operation in graph.get_operations():
        for output in operation.outputs:
            if output.dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
                with graph.control_dependencies(checks):
                    checks = [check_numerics(output, message=f"{operation.name}:{output.value_index}")]
    return group(*checks)
