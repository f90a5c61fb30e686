"""What Python's own functions do with tensors in converted code."""
from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from millstream.autograph.expressions import is_symbolic
from millstream.core.opdef import find
from millstream.core.tensor import Tensor
from millstream.ops.cast_ops import cast
from millstream.ops.logging_ops import print_
from millstream.ops.math_ops import range as tensor_range
from millstream.ops.shape_ops import shape
from millstream.ops.sort_ops import sort


def _abs(x: Any) -> Any:
    return find("Abs")(x) if is_symbolic(x) else builtins.abs(x)


def _float(x: Any = 0.0) -> Any:
    return cast(x, "float32") if is_symbolic(x) else builtins.float(x)


def _int(x: Any = 0, *base: Any) -> Any:
    return cast(x, "int32") if is_symbolic(x) else builtins.int(x, *base)


def _len(x: Any) -> Any:
    if not is_symbolic(x):
        return builtins.len(x)
    if x._shape is None:
        return shape(x)[0]
    if not x._shape:
        raise ValueError(f"len requires a non-scalar tensor, got one of shape {x.shape}")
    return shape(x)[0] if x._shape[0] is None else x._shape[0]


def _range(*limits: Any) -> Any:
    return tensor_range(*limits) if any(isinstance(limit, Tensor) for limit in limits) else builtins.range(*limits)


def _max(*values: Any, **options: Any) -> Any:
    if len(values) > 1 and any(map(is_symbolic, values)):
        return _reduced("Maximum", values)
    return builtins.max(*values, **options)


def _min(*values: Any, **options: Any) -> Any:
    if len(values) > 1 and any(map(is_symbolic, values)):
        return _reduced("Minimum", values)
    return builtins.min(*values, **options)


def _reduced(operation: str, values: tuple[Any, ...]) -> Any:
    found = values[0]
    for value in values[1:]:
        found = find(operation)(found, value)
    return found


def _sorted(x: Any, **options: Any) -> Any:
    if not is_symbolic(x) or options.get("key") is not None:
        return builtins.sorted(x, **options)
    return sort(x, direction="DESCENDING" if options.get("reverse") else "ASCENDING")


def _print(*values: Any, **options: Any) -> None:
    if not any(map(is_symbolic, values)):
        builtins.print(*values, **options)
        return
    print_(*values, **{key: value for key, value in options.items() if key in ("sep", "end")})


OPERATORS: dict[Any, Callable[..., Any]] = {
    builtins.abs: _abs,
    builtins.float: _float,
    builtins.int: _int,
    builtins.len: _len,
    builtins.max: _max,
    builtins.min: _min,
    builtins.print: _print,
    builtins.range: _range,
    builtins.sorted: _sorted,
}
