"""`convert_to_tensor` and the registry of conversions that types of the library (and of users) add to."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from millstream.core import context, convert, dtypes, eager_values, errors, opdef
from millstream.core.dtypes import DType
from millstream.core.eager import EagerTensor
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
    graph: Graph | None,
    dtype: DType | None,
    scope: str,
    name: str | None,
    as_ref: bool = False,
    preferred: DType | None = None,
) -> Tensor:
    """`value` as a tensor of `graph`; what has to be built for it is called `name` under the full scope `scope`.

    Without a graph it becomes an eager tensor.

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
            if graph is None:
                return value if value.is_eager else _refuse_leaked(value)
            return value if not value.is_eager and value.op.graph is graph else graph.capture(value)
        for function in _functions(kind):
            for wanted in (dtype,) if preferred is None or dtype is not None else (preferred, None):
                result = _call_in_scope(function, value, graph, wanted, scope, name, as_ref, wanted is preferred)
                if result is not NotImplemented:
                    # A 1.x variable stands for tensors of its own graph.
                    return graph.capture(result) if graph is not None and graph.is_body else result
    read = convert.to_numpy if graph is not None else eager_values.to_numpy
    if preferred is not None and dtype is None:
        try:
            array = read(value, preferred)
        except (TypeError, ValueError):
            array = read(value)
    else:
        array = read(value, dtype)
    found = dtype.base_dtype if dtype is not None else dtypes.from_numpy(array.dtype)
    if graph is None:
        return EagerTensor(array, found)
    if name is not None and name.endswith("/"):  # a scope, whose name the constant takes
        return constant(graph, array, found, name[:-1])
    full_name = f"{scope}/{name or 'Const'}" if scope else name or "Const"
    return constant(graph, array, found, graph.unique_full_name(full_name))


def _refuse_leaked(tensor: Tensor) -> NoReturn:
    """A tensor of a graph cannot be used where operations run at once."""
    message = errors.format_message(
        f"{tensor!r} is out of scope and cannot be used here. Use return values, explicit Python locals or "
        "TensorFlow collections to access it.",
        received=f"It is a tensor of {tensor.graph!r}, used in eager execution.",
        defined_at=tensor.op.defined_at,
        hint="Return it from the function that made it.",
    )
    raise errors.InaccessibleTensorError(message)


def _call_in_scope(
    function: ConversionFunction,
    value: Any,
    graph: Graph | None,
    dtype: DType | None,
    scope: str,
    name: str | None,
    as_ref: bool,
    optional: bool,
) -> Any:
    """Calls a conversion function; `optional`: what it raises means that the dtype does not suit."""
    try:
        if graph is None:
            result = function(value, dtype=dtype, name=name, as_ref=as_ref)
        else:
            with graph.as_default(), graph.in_scope(scope):
                result = function(value, dtype=dtype, name=name, as_ref=as_ref)
    except (TypeError, ValueError):
        if optional and dtype is not None:
            return NotImplemented
        raise
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
    eager = context.executing_eagerly()
    if dtype is None and type(value) is (EagerTensor if eager else Tensor):
        if eager or value.op.graph is get_default_graph():
            return value
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    hint = None if preferred is None else dtypes.as_dtype(preferred)
    if eager:
        return convert_in_scope(value, None, wanted, "", name, as_ref, hint)
    graph = get_default_graph()
    if type(value) is Tensor and not graph.building_function:
        # In a branch or a loop's body what is from outside stays as it is until an operation takes it.
        graph = value.op.graph if graph.is_body else value.op.graph.root
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


@export(v2=["convert_to_tensor"])
def convert_to_tensor_v2(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """Converts a value to a tensor.

    Args:
      value: a tensor, variable, NumPy array, Python number, string, or (nested) list of these.
      dtype: the dtype wanted; default: that of the value (`int` gives int32, `float` float32, arrays keep their own).
      dtype_hint: used where the value converts to it; ignored otherwise.
      name: the name of the constant that is made in a graph.

    Raises:
      TypeError: the value does not become `dtype`.
      ValueError: the value is a tensor of another dtype, None, or a ragged list.

    Example:
      >>> tf.convert_to_tensor([1, 2], dtype_hint=tf.float32)
      <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>
    """
    return to_tensor(value, dtype, name, dtype_hint)


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
