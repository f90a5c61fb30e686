"""Functions applied to all rows of tensors at once: what Jacobians and `tf.vectorized_map` are made of."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from millstream.core import context, opdef
from millstream.core.graph_function import Argument, GraphFunction, build, call
from millstream.core.tensor import Tensor

Body = Callable[[list[Tensor]], list[Tensor]]


def map_rows(body: Body, tensors: Sequence[Tensor], at_a_time: int = 0) -> list[Tensor]:
    """Applies a function to each row of some tensors, in one program where its operations allow that.

    Args:
      body: takes one row of each tensor, gives a list of tensors; it is called once, to build a function.
      tensors: all of the same first dimension.
      at_a_time: how many rows are computed together; 0: all.

    Returns:
      The results of all rows, stacked along a new first dimension.
    """
    if context.executing_eagerly():
        return call_body(lambda inputs: map_rows(body, inputs, at_a_time), tensors)
    rows = [
        Argument(tensor.dtype.base_dtype, None if tensor._shape is None else tensor._shape[1:]) for tensor in tensors
    ]
    function, captures = build("rows", body, rows)
    inputs = [*tensors, *captures]
    return apply(function, inputs, [index < len(tensors) for index in range(len(inputs))], at_a_time)


def apply(
    function: GraphFunction, inputs: Sequence[Tensor], mapped: Sequence[bool], at_a_time: int = 0
) -> list[Tensor]:
    """Applies a function to each row of those inputs that are `mapped`; the others it takes as they are."""
    dtypes = [tensor.dtype.base_dtype for tensor in function.outputs]
    return opdef.find("MapRows")(
        list(inputs), f=function, mapped=list(mapped), Tout=dtypes, parallel_iterations=at_a_time
    )


def call_body(body: Body, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Makes a function of a Python function over tensors and calls it: eager tensors go through one program."""
    function, captures = build("map_rows", body, [Argument.like(tensor) for tensor in tensors])
    return call(function, [*tensors, *captures])
