"""Conditionals that are decided when the graph is built, where the predicate is known then."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable
from millstream.ops.cond import cond


def smart_cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: Any = None,
) -> Any:
    """Calls one of two functions when the predicate is known now, else builds `tf.cond`.

    Args:
      pred: a bool, 0, 1, or a boolean scalar tensor or variable.
      true_fn, false_fn: functions without parameters.
      name: of the conditional, if one is built.
    """
    known = smart_constant_value(pred)
    if known is None:
        return cond(pred, true_fn=true_fn, false_fn=false_fn, name=name)
    function = true_fn if known else false_fn
    if function is None:
        raise TypeError(f"smart_cond needs a function for a predicate that is {known}.")
    return function()


def smart_constant_value(pred: Any) -> bool | None:
    """The predicate's value where it is known without running anything, else None.

    Raises:
      TypeError: `pred` is neither a bool, 0, 1, nor a tensor or variable.
    """
    if isinstance(pred, Variable):
        return None
    if isinstance(pred, Tensor):
        value = constant_value(pred)
        return None if value is None else bool(value)
    if isinstance(pred, (int, np.bool_)) and pred in (0, 1):
        return bool(pred)
    raise TypeError(f"`pred` must be a Tensor, or a Python bool, or 1 or 0. Found instead: {pred!r}")
