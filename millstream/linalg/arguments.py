"""Reading the arguments of operators."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.shapes import format_tuple
from millstream.core.static_values import constant_value
from millstream.core.variables import Variable
from millstream.linalg.dimensions import Dim, static_shape

FLOATING = (dtypes.float16, dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)


def given(scope: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor, from its `locals()` before it does anything else."""
    return {name: value for name, value in scope.items() if name not in ("self", "__class__")}


def parameter(value: Any, name: str, dtype: Any = None) -> Any:
    """An argument of an operator as a tensor; a variable stays one, so that operators see what is assigned to it."""
    return value if isinstance(value, Variable) else to_tensor(value, dtype, name=name)


def numeric_parameter(value: Any, name: str, rank: int) -> Any:
    """A floating point or complex argument of at least this rank.

    Raises:
      TypeError: it is of another dtype.
      ValueError: it has fewer dimensions.
    """
    value = parameter(value, name)
    if value.dtype.base_dtype not in FLOATING:
        raise TypeError(
            f"Argument `{name}` must have dtype in [{', '.join(f'tf.{dtype.name}' for dtype in FLOATING)}]. "
            f"Received: {value.dtype!r}."
        )
    require_rank(value, name, rank)
    return value


def require_rank(value: Any, name: str, rank: int) -> None:
    """Demands that an argument has at least so many dimensions.

    Raises:
      ValueError: it has fewer.
    """
    static = static_shape(value)
    if static is not None and len(static) < rank:
        plural = "dimension" if rank == 1 else "dimensions"
        raise ValueError(f"Argument `{name}` must have at least {rank} {plural}. Received: {format_tuple(static)}.")


def square_dim(value: Any, name: str) -> None:
    """Demands that the last two dimensions of an argument may be equal."""
    static = static_shape(value)
    if static is not None and None not in static[-2:] and static[-1] != static[-2]:
        raise ValueError(f"Argument `{name}` must be square matrices. Received: {format_tuple(static)}.")


def count_parameter(value: Any, name: str) -> Dim:
    """A number of rows or columns: a Python integer if it is known, else an integer scalar tensor.

    Raises:
      TypeError: it is no integer.
      ValueError: it is no scalar, or negative.
    """
    tensor = _integers(value, name, 0, "0-D")
    known = constant_value(tensor)
    if known is None:
        return tensor
    if known < 0:
        raise ValueError(f"Argument {name} must be non-negative.  Found: {known}")
    return int(known)


def shape_parameter(value: Any, name: str) -> list[Dim]:
    """A vector of dimensions, each as in `count_parameter`.

    Raises:
      TypeError: they are no integers.
      ValueError: it is no vector, or a dimension is negative.
    """
    tensor = _integers(value, name, 1, "1-D")
    known = constant_value(tensor)
    if known is not None:
        if any(known < 0):
            raise ValueError(f"Argument {name} must be non-negative.  Found:{known}")
        return [int(dim) for dim in known]
    if tensor._shape is None or tensor._shape[0] is None:
        raise ValueError(f"The number of elements must be known of argument {name}: {tensor}.")
    return [tensor[index] for index in range(tensor._shape[0])]


def _integers(value: Any, name: str, rank: int, kind: str) -> Any:
    tensor = to_tensor(value, preferred=dtypes.int32, name=name)
    if not tensor.dtype.is_integer:
        raise TypeError(f"Argument {name} must be integer type.  Found: {tensor}")
    if tensor._shape is not None and len(tensor._shape) != rank:
        raise ValueError(f"Argument {name} must be a {kind} Tensor.  Found: {value}")
    return tensor
