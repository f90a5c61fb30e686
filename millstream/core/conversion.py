"""`convert_to_tensor` and the registry of conversions that types of the library (and of users) add to."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from millstream.core import convert, dtypes, opdef
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    ConversionFunction = Callable[..., Any]

_registered: list[tuple[int, int, type | tuple[type, ...], ConversionFunction]] = []
_functions_for: dict[type, tuple[ConversionFunction, ...]] = {}
# A constant of one element of these types is not made an array of its own by NumPy's slower general way.
_PYTHON_SCALARS = frozenset((int, float, bool))


@export("register_tensor_conversion_function")
def register_tensor_conversion_function(
    base_type: type | tuple[type, ...], conversion_func: Callable[..., Any], priority: int = 100
) -> None:
    """Registers how objects of `base_type` become tensors.

    Args:
      base_type: a class or a tuple of classes.
      conversion_func: `f(value, dtype=None, name=None, as_ref=False)`, gives a tensor or `NotImplemented`.
      priority: functions of lower priority are tried first.

    Raises:
      TypeError: `base_type` is no class, or `conversion_func` cannot be called.
    """
    classes = base_type if isinstance(base_type, tuple) else (base_type,)
    if not classes or not all(isinstance(item, type) for item in classes):
        raise TypeError("base_type must be a type or a tuple of types.")
    if not callable(conversion_func):
        raise TypeError("conversion_func must be callable.")
    _registered.append((priority, len(_registered), base_type, conversion_func))
    _registered.sort(key=lambda entry: entry[:2])
    _functions_for.clear()


def _functions(kind: type) -> tuple[ConversionFunction, ...]:
    functions = _functions_for.get(kind)
    if functions is None:
        functions = tuple(
            function for _, _, base, function in _registered if issubclass(kind, base)
        )
        _functions_for[kind] = functions
    return functions


def constant(graph: Graph, array: np.ndarray[Any, Any], dtype: DType, full_name: str) -> Tensor:
    """Adds a `Const` operation of that exact name. The array must belong to the graph from now on."""
    array.flags.writeable = False
    op = Operation(graph, opdef.REGISTRY["Const"], full_name, (), {"value": array, "dtype": dtype})
    graph.add_operation(op, (dtype,), (array.shape,))
    return op.outputs[0]


def convert_in_scope(
    value: Any,
    graph: Graph,
    dtype: DType | None,
    scope: str,
    name: str | None,
    as_ref: bool = False,
    preferred: DType | None = None,
) -> Tensor:
    """`value` as a tensor of `graph`; what has to be built for it is called `name` under the full scope `scope`.

    Raises:
      TypeError, ValueError: the value does not convert, or has another dtype than `dtype`.
    """
    kind = type(value)
    if kind not in _PYTHON_SCALARS:
        if isinstance(value, Tensor):
            if dtype is not None and not dtype.is_compatible_with(value.dtype):
                raise ValueError(
                    f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype {value.dtype.name}: "
                    f"{value!r}"
                )
            return value
        for function in _functions(kind):
            for wanted in (dtype,) if preferred is None or dtype is not None else (preferred, None):
                result = _call_in_scope(function, value, graph, wanted, scope, name, as_ref, wanted is preferred)
                if result is not NotImplemented:
                    return result
    if preferred is not None and dtype is None:
        try:
            array = convert.to_numpy(value, preferred)
        except (TypeError, ValueError):
            array = convert.to_numpy(value)
    else:
        array = convert.to_numpy(value, dtype)
    found = dtype.base_dtype if dtype is not None else dtypes.from_numpy(array.dtype)
    if name is not None and name.endswith("/"):  # a scope, whose name the constant takes
        return constant(graph, array, found, name[:-1])
    full_name = f"{scope}/{name or 'Const'}" if scope else name or "Const"
    return constant(graph, array, found, graph.unique_full_name(full_name))


def _call_in_scope(
    function: ConversionFunction,
    value: Any,
    graph: Graph,
    dtype: DType | None,
    scope: str,
    name: str | None,
    as_ref: bool,
    optional: bool,
) -> Any:
    """Calls a conversion function; `optional`: what it raises means that the dtype does not suit."""
    old = graph._name_stack
    graph._name_stack = scope
    try:
        with graph.as_default():
            result = function(value, dtype=dtype, name=name, as_ref=as_ref)
    except (TypeError, ValueError):
        if optional and dtype is not None:
            return NotImplemented
        raise
    finally:
        graph._name_stack = old
    if result is not NotImplemented:
        _check_converted(result, value, dtype)
    return result


def _check_converted(result: Any, value: Any, dtype: DType | None) -> None:
    if not isinstance(result, Tensor):
        raise RuntimeError(
            f"The conversion function of {type(value).__name__} gave {result!r}, which is not a Tensor."
        )
    if dtype is not None and not dtype.base_dtype.is_compatible_with(result.dtype):
        raise RuntimeError(
            f"The conversion function of {type(value).__name__} gave dtype {result.dtype.name}, "
            f"where {dtype.name} was asked for."
        )


def to_tensor(
    value: Any, dtype: Any = None, name: str | None = None, preferred: Any = None, as_ref: bool = False
) -> Any:
    """`convert_to_tensor` for use inside of the library."""
    if dtype is None and type(value) is Tensor:
        return value
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    hint = None if preferred is None else dtypes.as_dtype(preferred)
    graph = get_default_graph()
    return convert_in_scope(value, graph, wanted, graph._name_stack, name, as_ref, hint)


@export(v1=["convert_to_tensor"])
def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Any:
    """Converts a value to a tensor.

    Args:
      value: a tensor, variable, NumPy array, Python number, string, or (nested) list of these.
      dtype: the dtype wanted; default: that of the value (`int` gives int32, `float` float32).
      name: the name of the constant that is made.
      preferred_dtype, dtype_hint: used where the value converts to it; ignored otherwise.

    Raises:
      TypeError: no conversion is known for the value.
      ValueError: the value is a tensor of another dtype, None, or a ragged list.

    Example:
      >>> tf.convert_to_tensor([1, 2]).dtype
      tf.int32
    """
    return to_tensor(value, dtype, name, preferred_dtype if dtype_hint is None else dtype_hint)


@export(v1=["convert_to_tensor_or_indexed_slices"])
def convert_to_tensor_or_indexed_slices(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Like `convert_to_tensor`, but leaves an `IndexedSlices` as it is.

    Raises:
      ValueError: it has another dtype than `dtype`.
    """
    from millstream.core.indexed_slices import IndexedSlices

    if not isinstance(value, IndexedSlices):
        return to_tensor(value, dtype, name)
    if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(value.dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {dtypes.as_dtype(dtype).name} for Tensor with dtype "
            f"{value.dtype.name}: {value!r}"
        )
    return value
