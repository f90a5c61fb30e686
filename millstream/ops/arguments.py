"""Reading arguments that many endpoints share."""
from __future__ import annotations

from typing import Any


def renamed(new_name: str, new: Any, old_name: str, old: Any) -> Any:
    """The value of an argument that has an old name too.

    Raises:
      ValueError: both names are given.
    """
    if old is None:
        return new
    if new is not None:
        raise ValueError(f"Cannot specify both '{old_name}' and '{new_name}'")
    return old


def invalid(message: str) -> ValueError:
    """What a kernel raises for values that it cannot work with: the runtime makes it an InvalidArgumentError."""
    return ValueError(message)


def is_traced(value: Any) -> bool:
    """Whether a kernel's input is known only when the compiled stage runs."""
    return not is_concrete(value)


def is_concrete(value: Any) -> bool:
    """Whether a kernel's input is known now, rather than when the compiled stage runs."""
    import numpy as np

    return isinstance(value, (np.ndarray, np.generic))


def to_ints(values: Any) -> list[int]:
    """A scalar or vector of integers as Python ints."""
    import numpy as np

    return [int(item) for item in np.asarray(values).reshape(-1)]


def to_shape(values: Any) -> tuple[int, ...]:
    """A vector of dimensions as a shape, in a kernel.

    Raises:
      ValueError: one is negative.
    """
    dims = tuple(to_ints(values))
    for dim in dims:
        if dim < 0:
            raise ValueError(f"Dimension {dim} must be >= 0")
    return dims


def axis_in_range(axis: int, rank: int) -> int:
    """An axis counted from the front, in a kernel.

    Raises:
      ValueError: it is not in [-rank, rank).
    """
    if not -rank <= axis < rank:
        raise ValueError(f"Expected dimension in the range [{-rank}, {rank}), but got {axis}")
    return axis % rank
