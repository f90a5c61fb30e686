"""Python's operators on tensors, in one table.

An operand that is no tensor is converted: on the right of a tensor to the tensor's dtype if it can be, on its
left strictly. In 1.x `==` and `!=` compare tensors as objects; `enable_tensor_equality` makes them
elementwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import dtypes
from millstream.core.context import executing_eagerly
from millstream.core.conversion import convert_in_scope, to_tensor
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.resource_variables import ResourceVariable
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable
from millstream.ops import arithmetic_ops, comparison_ops, elementwise_ops, matmul_ops


def _add(x: Any, y: Any, name: str | None = None) -> Tensor:
    joins = x.dtype.base_dtype is dtypes.string
    return (arithmetic_ops.add if joins else arithmetic_ops.add_v2_op)(x, y, name=name)


def _bitwise(logical: Callable[..., Tensor], bits: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of bools that in 2.x works on the bits of integers."""

    def function(x: Any, *y: Any, name: str | None = None) -> Tensor:
        return (bits if x.dtype.is_integer and _is_elementwise(x) else logical)(x, *y, name=name)

    return function


def _xor(x: Any, y: Any, name: str | None = None) -> Tensor:
    with name_scope(name, "xor", [x, y]) as scope:
        return comparison_ops.logical_xor(x, y, name=scope)


# Python's name: (the function, the name of its operation). There is a reflected operator for each.
_BINARY: dict[str, tuple[Callable[..., Tensor], str]] = {
    "add": (_add, "add"),
    "sub": (arithmetic_ops.subtract, "sub"),
    "mul": (arithmetic_ops.multiply, "mul"),
    "div": (arithmetic_ops.div, "div"),
    "truediv": (arithmetic_ops.truediv, "truediv"),
    "floordiv": (arithmetic_ops.floor_div, "floordiv"),
    "mod": (arithmetic_ops.floormod, "mod"),
    "pow": (arithmetic_ops.pow, "pow"),
    "matmul": (matmul_ops.matmul, "matmul"),
    "and": (_bitwise(comparison_ops.logical_and, comparison_ops.bitwise_and), "and"),
    "or": (_bitwise(comparison_ops.logical_or, comparison_ops.bitwise_or), "or"),
    "xor": (_bitwise(_xor, comparison_ops.bitwise_xor), "xor"),
}
_COMPARISONS: dict[str, Callable[..., Tensor]] = {
    "lt": comparison_ops.less,
    "le": comparison_ops.less_equal,
    "gt": comparison_ops.greater,
    "ge": comparison_ops.greater_equal,
}
_UNARY: dict[str, Callable[..., Tensor]] = {
    "neg": elementwise_ops.negative,
    "abs": elementwise_ops.abs,
    "invert": _bitwise(comparison_ops.logical_not, comparison_ops.invert),
}


def _forward(function: Callable[..., Tensor], name: str, reflected: str) -> Callable[[Any, Any], Any]:
    """An operator with a tensor on the left."""

    def operator(x: Any, y: Any) -> Any:
        if isinstance(y, Tensor):
            return function(x, y, name=name)
        scope = _open_scope(x, name)
        try:
            y = _operand(y, x, scope, "y", preferred=x.dtype.base_dtype)
        except TypeError:
            if hasattr(type(y), reflected):  # the other side may know what to do with a tensor
                return NotImplemented
            raise
        return function(x, y, name=scope)

    return operator


def _reflected(function: Callable[..., Tensor], name: str) -> Callable[[Any, Any], Any]:
    """An operator with a tensor on the right, and none on the left."""

    def operator(y: Any, x: Any) -> Any:
        scope = _open_scope(y, name)
        return function(_operand(x, y, scope, "x", dtype=y.dtype.base_dtype), y, name=scope)

    return operator


def _open_scope(tensor: Any, name: str) -> str | None:
    """A new scope in the tensor's graph for an operation of that name and the constant that it takes."""
    return None if executing_eagerly() else _graph_for(tensor).operation_name(name) + "/"


def _graph_for(tensor: Any) -> Graph:
    """The graph that an operation on `tensor` belongs to."""
    default = get_default_graph()
    return default if default.is_body or tensor.is_eager else tensor.op.graph.root


def _operand(value: Any, tensor: Any, scope: str | None, name: str, dtype: Any = None, preferred: Any = None) -> Any:
    """The other operand as a tensor."""
    if scope is None:
        return to_tensor(value, dtype, name, preferred)
    return convert_in_scope(value, _graph_for(tensor), dtype, scope[:-1], name, preferred=preferred)


def _comparison(function: Callable[..., Tensor]) -> Callable[[Any, Any], Any]:
    def operator(x: Any, y: Any) -> Any:
        return function(x, y)

    return operator


def _make_operators() -> dict[str, Callable[..., Any]]:
    """Python's special methods."""
    made: dict[str, Callable[..., Any]] = {}
    for short, (function, name) in _BINARY.items():
        made[f"__{short}__"] = _forward(function, name, f"__r{short}__")
        made[f"__r{short}__"] = _reflected(function, name)
    for short, function in _COMPARISONS.items():
        made[f"__{short}__"] = _comparison(function)
    for short, function in _UNARY.items():
        made[f"__{short}__"] = lambda x, function=function: function(x)
    for special, operator in made.items():
        operator.__name__ = operator.__qualname__ = special
    return made


OPERATORS = _make_operators()


def install(cls: type, as_tensor: Callable[[Any], Tensor]) -> None:
    """Gives another class the operators of tensors (variables, for example).

    Args:
      cls: the class.
      as_tensor: gives the tensor that stands for an object of the class, as the operand on its side.
    """
    for special, operator in OPERATORS.items():

        def method(self: Any, *other: Any, operator: Callable[..., Any] = operator) -> Any:
            return operator(as_tensor(self), *other)

        method.__name__ = method.__qualname__ = special
        setattr(cls, special, method)


for _special, _operator in OPERATORS.items():
    setattr(Tensor, _special, _operator)

# --- Equality -----------------------------------------------------------------------------------------------


def _is_elementwise(x: Any) -> bool:
    """Whether operators mean what they do in 2.x: in eager execution and in functions, not in graphs made by hand."""
    return x.is_eager or x.op.graph.building_function


def _elementwise_equal(x: Any, y: Any) -> Any:
    if not _is_elementwise(x):
        return x is y
    return False if y is None else comparison_ops.equal_op(x, y, incompatible_shape_error=False)


def _elementwise_not_equal(x: Any, y: Any) -> Any:
    if not _is_elementwise(x):
        return x is not y
    return True if y is None else comparison_ops.not_equal_op(x, y, incompatible_shape_error=False)


def _variable_equal(x: Any, y: Any) -> Any:
    return _elementwise_equal(x.value(), y) if x.is_eager else x is y


def _variable_not_equal(x: Any, y: Any) -> Any:
    return _elementwise_not_equal(x.value(), y) if x.is_eager else x is not y


def _set_equality(cls: type, equal: Any, not_equal: Any) -> None:
    cls.__eq__ = equal  # type: ignore[assignment]
    cls.__ne__ = not_equal  # type: ignore[assignment]


@export(v1=["enable_tensor_equality"])
def enable_tensor_equality() -> None:
    """Lets `==` and `!=` compare the elements of tensors, as in 2.x."""
    _set_equality(Tensor, _elementwise_equal, _elementwise_not_equal)
    _set_equality(ResourceVariable, _variable_equal, _variable_not_equal)


@export(v1=["disable_tensor_equality"])
def disable_tensor_equality() -> None:
    """Lets `==` and `!=` compare tensors as Python objects, as in 1.x."""
    _set_equality(Tensor, object.__eq__, object.__ne__)
    _set_equality(ResourceVariable, Variable.__eq__, Variable.__ne__)
