"""`tf.raw_ops`: one function an operation, `raw_ops.MatMul(a=x, b=y, transpose_a=False, name=None)`.

The private modules `tensorflow.python.ops.gen_*_ops` have the same functions under names like `mat_mul`.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from millstream.core import opdef
from millstream.core.opdef import REQUIRED, OpDef
from millstream.public.names import snake_case


@functools.cache
def function(op_type: str) -> Callable[..., Any]:
    """A function that applies the operation and takes inputs and attributes by name, or in the OpDef's order.

    Raises:
      NotFoundError: no operation of that type is defined.
    """
    definition = opdef.find(op_type)
    inputs = [spec.name for spec in definition.inputs]
    parameters = [*inputs, *_explicit_attributes(definition), "name"]

    def apply(*args: Any, **keywords: Any) -> Any:
        given = dict(zip(parameters, args, strict=False))
        twice = given.keys() & keywords.keys()
        if twice or len(args) > len(parameters):
            raise TypeError(
                f"{op_type}({', '.join(parameters)}): got {len(args)} positional arguments and {keywords}"
            )
        given |= keywords
        absent = [name for name in inputs if name not in given]
        if absent:
            raise TypeError(f"{op_type}({', '.join(parameters)}) is missing {', '.join(absent)}")
        return definition(*[given.pop(name) for name in inputs], **given)

    apply.__name__ = apply.__qualname__ = op_type
    apply.__doc__ = f"{definition.signature}\n\n{definition.doc or ''}".strip()
    return apply


def _explicit_attributes(definition: OpDef) -> list[str]:
    """The attributes that no input implies: required ones first, as TensorFlow's functions have them."""
    implied = {a for spec in definition.inputs for a in (spec.type_attr, spec.number_attr, spec.list_attr)}
    explicit = [attr for attr in definition.attrs.values() if attr.name not in implied]
    return [attr.name for attr in sorted(explicit, key=lambda attr: attr.default is not REQUIRED)]


@functools.cache
def _op_types() -> dict[str, str]:
    return {snake_case(op_type): op_type for op_type in opdef.op_types()}


def by_snake_case(name: str) -> Callable[..., Any] | None:
    """The function that TensorFlow generates under `name`, None when there is no such operation.

    Functions of operations that are hidden in TensorFlow begin with an underscore there (`_max`).
    """
    op_type = _op_types().get(name.removeprefix("_"))
    return function(op_type) if op_type else None


def __getattr__(name: str) -> Callable[..., Any]:
    if name in opdef.op_types():
        return function(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
