"""The first two variables of a loop in TensorFlow's files: how many turns it has had, and how many it may have.

TensorFlow differentiates a loop by them. Loops here do without; they get them when their function is written.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import int32
from millstream.core.function_reader import LOOPS
from millstream.core.graph_io import encode_attr
from millstream.core.operation import Operation

FIRST = (("loop_counter", 0), ("maximum_iterations", -1))  # -1: any number
COUNT = len(FIRST)
_INT32 = int32.as_datatype_enum


def is_without(op: Operation) -> bool:
    """Whether an operation is a loop that was not read from a file, where it had these variables."""
    return op.type in LOOPS and op.attrs["body"].saved_name is None


def add_to_node(node: Any, first: Sequence[str]) -> None:
    """Gives the node of a loop these variables.

    Args:
      node: its `NodeDef`.
      first: the nodes of their values before the first turn.
    """
    node.input[:] = [*(f"{name}:output:0" for name in first), *node.input]
    types = node.attr["T"].list.type
    types[:] = [_INT32] * COUNT + list(types)
    for key in ("output_shapes", "_output_shapes"):
        if key in node.attr and node.attr[key].list.shape:
            others = type(node.attr[key]).FromString(node.attr[key].SerializeToString())
            node.attr[key].Clear()
            encode_attr(node.attr[key], "list(shape)", [()] * COUNT)
            node.attr[key].MergeFrom(others)


def fill_constant(node: Any, name: str, value: int) -> None:
    """Fills the `NodeDef` of an int32 scalar."""
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = _INT32
    encode_attr(node.attr["value"], "tensor", np.array(value, np.int32))


def add_to_function(message: Any, is_body: bool, unique: Callable[[str], str]) -> None:
    """Lets the condition or body of a loop take these variables; the body also gives them.

    Args:
      message: its `FunctionDef`.
      is_body: whether it is the body.
      unique: makes a name that is not taken in the function.
    """
    names = [unique(name) for name, _ in FIRST]
    _put_first(message.signature.input_arg, names)
    known = {index: message.arg_attr[index].SerializeToString() for index in message.arg_attr}
    message.arg_attr.clear()
    for index, attrs in known.items():
        message.arg_attr[index + COUNT].MergeFromString(attrs)
    for index in range(COUNT):
        encode_attr(message.arg_attr[index].attr["_output_shapes"], "list(shape)", [()])
    if is_body:
        one, turn = unique("one"), unique("next_turn")
        fill_constant(message.node_def.add(), one, 1)
        add = message.node_def.add(op="AddV2", name=turn, input=[names[0], f"{one}:output:0"])
        add.attr["T"].type = _INT32
        results = [unique("next_turn"), unique(names[1])]
        _put_first(message.signature.output_arg, results)
        message.ret[results[0]], message.ret[results[1]] = f"{turn}:z:0", names[1]


def _put_first(args: Any, names: list[str]) -> None:
    """Puts int32 arguments before those of a signature."""
    others = [type(arg).FromString(arg.SerializeToString()) for arg in args]
    del args[:]
    for name in names:
        args.add(name=name, type=_INT32)
    args.extend(others)
