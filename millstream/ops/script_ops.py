"""Python functions as operations."""
from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from millstream.core import context, dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.opdef import OpDef, op
from millstream.core.tensor import Tensor

# --- The functions of a graph -------------------------------------------------------------------------------

_EXTENSION = "py_funcs"
_numbers = itertools.count()


class Callback:
    """A Python function that operations call. It lives as long as the graph that it was made for."""

    __slots__ = ("function", "is_differentiated", "last", "__weakref__")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.is_differentiated = False  # whether calls leave something for gradients
        self.last: Any = None  # what the last call left


_callbacks: WeakValueDictionary[str, Callback] = WeakValueDictionary()


def register(graph: Graph, function: Callable[..., Any]) -> str:
    """Keeps a function with a graph; gives the token by which operations refer to it."""
    token = f"pyfunc_{next(_numbers)}"
    callback = _callbacks[token] = Callback(function)
    graph.extensions.setdefault(_EXTENSION, []).append(callback)
    return token


def find_callback(token: str) -> Callback:
    """The function that a token stands for.

    Raises:
      ValueError: there is none: the graph comes from a file.
    """
    callback = _callbacks.get(token)
    if callback is None:
        raise ValueError(f"callback {token} is not found")
    return callback


# --- Calling them -------------------------------------------------------------------------------------------

_ERRORS: tuple[tuple[type[Exception], type[errors.OpError]], ...] = (
    (NotImplementedError, errors.UnimplementedError),
    (TypeError, errors.InvalidArgumentError),
    (ValueError, errors.InvalidArgumentError),
    (StopIteration, errors.OutOfRangeError),
    (MemoryError, errors.ResourceExhaustedError),
)


def _as_argument(array: Any) -> Any:
    """What the function receives: a NumPy array that it may write to, or a NumPy scalar (bytes for a string)."""
    return array[()] if array.ndim == 0 else np.array(array)


def _as_result(value: Any) -> Any:
    array = np.asarray(value)
    if array.base is not None or array is value:
        array = array.copy()  # the caller goes on using his
    if array.dtype.kind in "US":
        encoded = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1).tolist()]
        array = np.empty(array.shape, object)
        array.reshape(-1)[:] = encoded
    elif array.dtype == object and not all(isinstance(item, (bytes, str)) for item in array.reshape(-1)):
        kind = type(value if array.ndim == 0 else array.reshape(-1)[0]).__name__
        raise errors.InternalError(None, None, f"Unsupported object type {kind}")
    return array


def call(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """Calls the user's function; what it raises becomes the OpError of that kind, with its traceback."""
    try:
        return function(*arguments)
    except Exception as error:
        kind = next((ours for theirs, ours in _ERRORS if isinstance(error, theirs)), errors.UnknownError)
        stack = "".join(traceback.format_tb(error.__traceback__.tb_next if error.__traceback__ else None))
        message = f"{type(error).__name__}: {error}\nTraceback (most recent call last):\n{stack}"
        raise kind(None, None, message) from error


def _as_results(result: Any) -> list[Any]:
    if result is None:
        return []
    return [_as_result(item) for item in (result if isinstance(result, (list, tuple)) else [result])]


def checked(token: str, results: list[Any], wanted: Any) -> list[Any]:
    """The results, whose number and dtypes must be those declared."""
    if len(results) != len(wanted):
        raise ValueError(f"{token} returns {len(results)} values, but expects to see {len(wanted)} values.")
    for index, (array, dtype) in enumerate(zip(results, wanted, strict=True)):
        found = dtypes.from_numpy(array.dtype)
        if found is not dtype:
            raise ValueError(
                f"{index}-th value returned by {token} is {found.short_name}, but expects {dtype.short_name}"
            )
    return results


def _py_func_op(name: str, stateful: bool) -> OpDef:
    @op(
        f"{name}(input: Tin[], *, token: string, Tout: list(type) >= 0) -> output: Tout[]",
        Tin=0,
        shape=lambda c: [None] * len(c.attrs["Tout"]),
        stateful=stateful,
        host=True,
        runs_python=True,
    )
    def kernel(xp, input, *, token, Tout):
        arguments = [_as_argument(np.asarray(array)) for array in input]
        return checked(token, _as_results(call(find_callback(token).function, arguments)), Tout)

    kernel.no_gradient("a Python function tells no derivative")
    return kernel


py_func_op = _py_func_op("PyFunc", stateful=True)
stateless_py_func_op = _py_func_op("PyFuncStateless", stateful=False)


@export(v1=["py_func"])
def py_func(
    func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """Calls a Python function each time the graph runs.

    Args:
      func: takes NumPy arrays (scalars as NumPy scalars, strings as bytes) and returns an array or a list of them.
      inp: a list of tensors, the arguments.
      Tout: the dtype of the result, or a list of dtypes for several.
      stateful: False: calls with the same arguments may be left out.
      name: the operation's name.

    Returns:
      A tensor of unknown shape, or a list of them; the operation (eagerly None) where `Tout` is empty.

    Raises:
      ValueError: `func` is not callable.
      InvalidArgumentError: when it runs and the results are not of the number and dtypes declared, or `func`
        raises ValueError or TypeError; other exceptions give other errors. Eagerly, what `func` raises passes
        as it is, and other results than those declared are a ValueError.

    Example:
      >>> tf.py_func(lambda x: np.sinh(x), [x], tf.float32)
    """
    if not callable(func):
        raise ValueError(f"Expected func to be callable, got func of type {type(func)}")
    several = isinstance(Tout, (list, tuple))
    if context.executing_eagerly():
        arguments = [_as_argument(to_tensor(value).numpy()) for value in inp]
        wanted = [dtypes.as_dtype(dtype) for dtype in (Tout if several else [Tout])]
        made = [to_tensor(array) for array in checked(_name_of(func), _as_results(func(*arguments)), wanted)]
        return (made or None) if several else made[0]
    graph = _graph_of(inp)
    definition = py_func_op if stateful else stateless_py_func_op
    token = register(graph, func)
    results = definition(list(inp), token=token, Tout=list(Tout) if several else [Tout], name=name)
    if not several:
        return results[0]
    return results if Tout else _operation_of(graph)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _graph_of(values: Any) -> Graph:
    """The graph in which a function of these arguments is put."""
    default = get_default_graph()
    if default.is_body:
        return default
    return next((value.graph.root for value in values if isinstance(value, Tensor)), default)


def _operation_of(graph: Graph) -> Any:
    """The operation just made, which has no outputs."""
    return graph._operations[-1]


@export(v1=["numpy_function"])
def numpy_function(func: Callable[..., Any], inp: Any, Tout: Any, name: str | None = None) -> Any:
    """Calls a Python function of NumPy arrays each time the graph runs; as `tf.py_func`.

    Args:
      func: takes NumPy arrays and returns an array or a list of them.
      inp: a list of tensors, the arguments.
      Tout: the dtype of the result, or a list of dtypes for several.
      name: the operation's name.
    """
    return py_func(func, inp, Tout, stateful=True, name=name)


@export(v2=["numpy_function"])
def numpy_function_v2(
    func: Any = None, inp: Any = None, Tout: Any = None, stateful: bool = True, name: str | None = None
) -> Any:
    """Calls a Python function of NumPy arrays each time the graph runs (see `tf.py_func` of 1.x)."""
    return py_func(func, inp, Tout, stateful, name)
