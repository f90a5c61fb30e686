"""Operators for expressions and assertions over tensors: `and`, `or`, `not`, `==`, `x if c else y`, `assert`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.tensor import Tensor
from millstream.ops.comparison_ops import equal, logical_not
from millstream.ops.cond import cond_v2
from millstream.ops.control_flow_ops import Assert

__all__ = ["and_", "assert_stmt", "eq", "if_exp", "not_", "not_eq", "or_"]


def is_symbolic(value: Any) -> bool:
    """Whether a value is known only when the graph runs."""
    return isinstance(value, Tensor) and not value.is_eager


def not_(value: Any) -> Any:
    """`not value`."""
    return logical_not(value) if is_symbolic(value) else not value


def and_(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """`first and second`; the second is computed only where the first holds."""
    value = first()
    return cond_v2(value, second, lambda: value) if is_symbolic(value) else value and second()


def or_(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """`first or second`; the second is computed only where the first does not hold."""
    value = first()
    return cond_v2(value, lambda: value, second) if is_symbolic(value) else value or second()


def eq(first: Any, second: Any) -> Any:
    """`first == second`, elementwise where one of them is a tensor."""
    if isinstance(first, Tensor) or isinstance(second, Tensor):
        return equal(first, second)
    return first == second


def not_eq(first: Any, second: Any) -> Any:
    """`first != second`."""
    return not_(eq(first, second))


def if_exp(condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any], text: str) -> Any:
    """`if_true if condition else if_false`."""
    if not is_symbolic(condition):
        return if_true() if condition else if_false()
    return cond_v2(condition, if_true, if_false)


def assert_stmt(condition: Any, message: Callable[[], Any]) -> None:
    """`assert condition, message`."""
    if not is_symbolic(condition):
        if not condition:
            raise AssertionError(message())
        return
    data = message()
    Assert(condition, [data if isinstance(data, Tensor) else str(data)])
