"""Expressions that make arrays, such as `np.ones((2, 3)) * 0.5`, evaluated without running any other code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

_FUNCTIONS = frozenset(
    """
    abs arange array asarray atleast_1d atleast_2d atleast_3d concatenate diag exp expand_dims eye full identity
    linspace log logspace ones ones_like random.normal random.rand random.randint random.randn random.random
    random.random_sample random.uniform repeat reshape sqrt squeeze stack tile transpose zeros zeros_like
    bool_ bytes_ complex64 complex128 float16 float32 float64 int8 int16 int32 int64 str_ uint8 uint16 uint32 uint64
    """.split()
)
_VALUES = frozenset("e inf nan newaxis pi".split())
_METHODS = frozenset("astype flatten ravel repeat reshape squeeze swapaxes transpose".split())
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def evaluate(expression: str) -> Any:
    """The value of an expression.

    There are Python's literals, `+ - * / // %`, the functions of `np` that make arrays, and the methods of arrays that
    give them another dtype or shape. Everything else is refused.

    Raises:
      RuntimeError: it is no such expression, or cannot be computed.
    """
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except _RefusedError as error:
        raise RuntimeError(f'Expression "{expression}" is refused: {error}.') from None
    except (SyntaxError, RecursionError) as error:
        raise RuntimeError(f'Expression "{expression}" is not a valid python literal. {error}') from None
    except Exception as error:  # NumPy may find anything wrong with what it is given
        raise RuntimeError(f'Expression "{expression}" cannot be computed: {error}') from None


class _RefusedError(Exception):
    """An expression has something in it that is not for arrays."""


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.UnaryOp(op=kind, operand=operand) if type(kind) in _UNARY:
            return _UNARY[type(kind)](_number(operand))
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _BINARY:
            return _BINARY[type(kind)](_number(left), _number(right))
        case ast.Call(func=function, args=arguments, keywords=keywords):
            given = {item.arg: _value(item.value) for item in keywords if item.arg is not None}
            if len(given) != len(keywords):
                raise _RefusedError("no ** in calls")
            return _function(function)(*(_value(item) for item in arguments), **given)
        case ast.Attribute():
            return _attribute(node)
    raise _RefusedError(f"{ast.unparse(node)!r} is neither a literal nor made by np")


def _number(node: ast.expr) -> Any:
    """A number or array: texts and lists could be multiplied to any length."""
    value = _value(node)
    if not isinstance(value, (int, float, complex, np.ndarray, np.generic)):
        raise _RefusedError(f"there is no arithmetic with {ast.unparse(node)!r}")
    return value


def _function(node: ast.expr) -> Callable[..., Any]:
    name = _numpy_name(node)
    if name in _FUNCTIONS:
        return _named(name)
    if name is None and isinstance(node, ast.Attribute) and node.attr in _METHODS:
        return getattr(np.asarray(_value(node.value)), node.attr)
    raise _RefusedError(f"{ast.unparse(node)!r} is no function that makes arrays")


def _attribute(node: ast.Attribute) -> Any:
    name = _numpy_name(node)
    if name in _VALUES or (name in _FUNCTIONS and isinstance(_named(name), type)):
        return _named(name)
    if name is None and node.attr == "T":
        return np.asarray(_value(node.value)).T
    raise _RefusedError(f"{ast.unparse(node)!r} is no number and no dtype")


def _numpy_name(node: ast.expr) -> str | None:
    """The part after `np.` of a dotted name; None for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join(parts) if isinstance(node, ast.Name) and node.id in ("np", "numpy") else None


def _named(name: str) -> Any:
    return operator.attrgetter(name)(np)
