"""`tf.py_function`: Python code on eager tensors as an operation, with gradients."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import context, dtypes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.eager import EagerTensor
from millstream.core.export import export
from millstream.core.gradient_tape import GradientTape
from millstream.core.graph import get_default_graph
from millstream.core.opdef import find, op
from millstream.core.operation import Operation
from millstream.core.tape import is_differentiable
from millstream.ops.script_ops import call, find_callback, register


@op(
    "EagerPyFunc(input: Tin[], *, token: string, is_async: bool = False, Tout: list(type) >= 0) -> output: Tout[]",
    Tin=0,
    shape=lambda c: [None] * len(c.attrs["Tout"]),
    stateful=True,
    host=True,
    runs_python=True,
)
def eager_py_func_op(xp, input, *, token, Tout, node):
    dtypes_in = [tensor.dtype.base_dtype for tensor in node.inputs]
    callback = find_callback(token)
    tensors = [EagerTensor(np.array(array), dtype) for array, dtype in zip(input, dtypes_in, strict=True)]
    with context.mode(True):
        if not callback.is_differentiated:
            results = call(lambda: _as_tensors(callback.function(*tensors), Tout), [])
        else:
            with GradientTape(persistent=True) as tape:
                tape.watch([tensor for tensor in tensors if is_differentiable(tensor)])
                results = call(lambda: _as_tensors(callback.function(*tensors), Tout), [])
            callback.last = tape, tensors, results
    return [np.asarray(result._value) for result in results]


def _as_tensors(result: Any, wanted: Sequence[DType]) -> list[Any]:
    """What the function gave, as tensors of the dtypes that were declared.

    Raises:
      ValueError: there are more or fewer of them.
    """
    if result is None and not wanted:
        return []
    found = list(result) if isinstance(result, (list, tuple)) else [result]
    if len(found) != len(wanted):
        raise ValueError(f"py_function returned {len(found)} values, but expects to see {len(wanted)} values.")
    return [to_tensor(item, None if hasattr(item, "dtype") else dtype) if _has_type(item, dtype) else _cast(item, dtype)
            for item, dtype in zip(found, wanted, strict=True)]  # fmt: skip


def _has_type(item: Any, dtype: DType) -> bool:
    return not hasattr(item, "dtype") or dtypes.as_dtype(item.dtype).base_dtype is dtype


def _cast(item: Any, dtype: DType) -> Any:
    from millstream.ops.cast_ops import cast

    return cast(to_tensor(item), dtype)


@eager_py_func_op.gradient
def _(op, *grads):
    """Runs the tape of the last call; where another call came in between, the function is called again."""
    callback = find_callback(op.get_attr("token").decode())
    callback.is_differentiated = True
    types = [y.dtype.base_dtype for y in op.outputs]
    count, differentiable = len(op.inputs), [index for index, x in enumerate(op.inputs) if is_differentiable(x)]

    def backward(*values: Any) -> list[Any]:
        inputs, outer = values[:count], values[count:]
        # What the last call left does not depend on these very inputs: gradients of gradients need another call.
        last = None if find_callback(token).is_differentiated else callback.last
        tape, tensors, results = _recorded(callback, last, inputs, types)
        flowing = [(result, grad) for result, grad in zip(results, outer, strict=True) if is_differentiable(result)]
        sources = [tensors[index] for index in differentiable]
        found = tape.gradient(
            [result for result, _ in flowing], sources, [grad for _, grad in flowing], unconnected_gradients="zero"
        )
        return [to_tensor(grad) for grad in found]

    token = register(op.graph, backward)
    given = [
        grad if grad is not None else find("ZerosLike")(y) if is_differentiable(y) else y
        for grad, y in zip(grads, op.outputs, strict=True)
    ]
    wanted = [op.inputs[index].dtype.base_dtype for index in differentiable]
    made = eager_py_func_op([*op.inputs, *given], token=token, Tout=wanted)
    result: list[Any] = [None] * count
    for index, grad in zip(differentiable, made, strict=True):
        grad.set_shape(op.inputs[index].shape)
        result[index] = grad
    return result


def _recorded(callback: Any, last: Any, inputs: Sequence[Any], types: Sequence[DType]) -> Any:
    """The tape, inputs and results of the call with these inputs: what the last call left, or of another call."""
    if last is not None and all(np.array_equal(a._array(), b._array()) for a, b in zip(last[1], inputs, strict=True)):
        return last
    with GradientTape(persistent=True) as tape:
        tape.watch([tensor for tensor in inputs if is_differentiable(tensor)])
        results = _as_tensors(callback.function(*inputs), types)
    return tape, list(inputs), results


@export(v1=["py_function", "contrib.eager.py_func"])
def py_function(func: Callable[..., Any], inp: Any, Tout: Any, name: str | None = None) -> Any:
    """Calls a Python function on eager tensors, also where a graph is built; gradients flow through it.

    Args:
      func: takes eager tensors and returns a tensor (or what becomes one), a list of them, or None.
      inp: a list of tensors, the arguments.
      Tout: the dtype of the result, or a list of dtypes for several; an empty list for none.
      name: the operation's name.

    Returns:
      A tensor of unknown shape, or a list of them; None, or the operation, where `Tout` is empty.

    Raises:
      ValueError: `func` is not callable.
      InvalidArgumentError: when it runs, and `func` raises ValueError or TypeError, or gives another number of
        results; other exceptions give other errors.

    Example:
      >>> @tf.function
      ... def f(x):
      ...   return tf.py_function(lambda x: x.numpy() ** 2 if x > 0 else x, [x], tf.float32)
    """
    if not callable(func):
        raise ValueError(f"Expected func to be callable. Received func={func} of type {type(func)}.")
    several = isinstance(Tout, (list, tuple))
    wanted = [dtypes.as_dtype(dtype) for dtype in (Tout if several else [Tout])]
    if context.executing_eagerly():
        results = _as_tensors(func(*[to_tensor(value) for value in inp]), wanted)
        return results if several and results else results[0] if results else None
    token = register(get_default_graph(), func)
    made = eager_py_func_op(list(inp), token=token, Tout=wanted, name=name)
    if isinstance(made, Operation) or not wanted:
        return made
    return made if several else made[0]


@export(v2=["py_function"])
def py_function_v2(func: Any = None, inp: Any = None, Tout: Any = None, name: str | None = None) -> Any:
    """Calls a Python function on eager tensors, also inside of a `tf.function`; see `tf.py_function` of 1.x."""
    return py_function(func, [] if inp is None else inp, [] if Tout is None else Tout, name)
