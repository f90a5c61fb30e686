"""Helpers with graphs and names, conditionals that may be decided now, and calls of Python."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from millstream.core import nest
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.scopes import graph_of
from millstream.core.tensor import Tensor
from millstream.ops import script_ops
from millstream.ops import smart_cond as decided
from millstream.ops.case import case
from millstream.ops.fill_ops import zeros
from millstream.ops.state_ops import assign

# --- Graphs and names -------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.get_graph_from_inputs"])
def get_graph_from_inputs(op_input_list: Sequence[Any], graph: Graph | None = None) -> Graph:
    """The graph of some inputs.

    Args:
      op_input_list: tensors, operations and other values.
      graph: the graph that they must belong to; default: that of the first of them, or the default graph.

    Raises:
      ValueError: they belong to different graphs.
    """
    if graph is None:
        return graph_of(op_input_list)
    for value in op_input_list:
        if getattr(value, "graph", graph) is not graph:
            raise ValueError(f"{value} is not from the passed-in graph.")
    return graph


@export(v1=["contrib.framework.get_placeholders"])
def get_placeholders(graph: Graph) -> list[Tensor]:
    """The placeholders of a graph."""
    return [operation.outputs[0] for operation in graph.get_operations() if operation.type == "Placeholder"]


@export(v1=["contrib.framework.get_name_scope"])
def get_name_scope() -> str:
    """The name scope that is in force, "" at the root."""
    return get_default_graph().get_name_scope()


@export(v1=["contrib.framework.zero_initializer"])
def zero_initializer(ref: Any, use_locking: bool = True, name: str = "zero_initializer") -> Any:
    """Sets a variable to zero.

    Args:
      ref: a variable of a known shape.
      use_locking: accepted; assignments are always whole.
      name: the operation's name.
    """
    return assign(ref, zeros(ref.get_shape(), ref.dtype.base_dtype), name=name)


# --- Conditionals -----------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.smart_cond"])
def smart_cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: str | None = None,
) -> Any:
    """Calls one of two functions where the predicate is known now, else builds `tf.cond`.

    Args:
      pred: a bool, 0, 1, or a boolean scalar tensor.
      true_fn, false_fn: functions without parameters.
      name: of the conditional, if one is built.

    Raises:
      TypeError: `pred` is something else, or a function is none.
    """
    for argument, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise TypeError(f"`{argument}` must be callable.")
    return decided.smart_cond(pred, true_fn, false_fn, name)


@export(v1=["contrib.framework.smart_constant_value"])
def smart_constant_value(pred: Any) -> bool | None:
    """The predicate's value where it is known without running anything, else None.

    Raises:
      TypeError: `pred` is neither a bool, 0, 1 nor a tensor.
    """
    return decided.smart_constant_value(pred)


@export(v1=["contrib.framework.smart_case"])
def smart_case(
    pred_fn_pairs: Any, default: Callable[[], Any] | None = None, exclusive: bool = False, name: str = "smart_case"
) -> Any:
    """`tf.case`, decided now as far as the predicates are known.

    Args:
      pred_fn_pairs: a list of pairs, or a dictionary, of boolean scalars and functions without parameters.
      default: the function where none of them holds.
      exclusive: checks that no more than one holds, of those that are not known now.
      name: of the conditional, if one is built.

    Raises:
      ValueError: none of them holds, and there is no default.
    """
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    open_pairs = []
    for pred, function in pairs:
        known = decided.smart_constant_value(pred)
        if known:
            default = function
            break
        if known is None:
            open_pairs.append((pred, function))
    if open_pairs:
        return case(open_pairs, default=default, exclusive=exclusive, name=name)
    if default is None:
        raise ValueError("None of the predicates of smart_case holds, and there is no default.")
    return default()


# --- Python -----------------------------------------------------------------------------------------------------------


@export(v1=["contrib.framework.py_func"])
def py_func(
    func: Callable[..., Any],
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    output_types: Any = None,
    output_shapes: Any = None,
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """`tf.py_func` with keyword arguments and with structures of results.

    Args:
      func: takes NumPy arrays, in structures as in `args` and `kwargs`, and gives a structure as `output_types` is.
      args, kwargs: its arguments: structures of tensors.
      output_types: a structure of dtypes.
      output_shapes: the shapes of the results, a structure likewise; default: they are not known.
      stateful: False: calls with the same arguments may be left out.
      name: the operation's name.

    Returns:
      a structure of tensors.
    """
    given = (tuple(args), kwargs or {})
    tensors = script_ops.py_func(
        partial(_call, func, given), nest.flatten(given), nest.flatten(output_types), stateful, name
    )
    if output_shapes is not None:
        for tensor, shape in zip(tensors, nest.flatten(output_shapes), strict=True):
            tensor.set_shape(shape)
    return nest.pack_sequence_as(output_types, tensors)


def _call(func: Callable[..., Any], structure: Any, *arrays: Any) -> list[Any]:
    args, kwargs = nest.pack_sequence_as(structure, arrays)
    return nest.flatten(func(*args, **kwargs))
