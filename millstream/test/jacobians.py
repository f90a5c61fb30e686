"""`tf.test.compute_gradient` of 2.x: compares the derivatives of a function with differences of its values."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import context, dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradient_tape import GradientTape
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.tensor import Tensor
from millstream.test import evaluation
from millstream.test.gradient_checker import real_numbers

Array = np.ndarray[Any, Any]
_DELTA = 1 / 1024


@export(v2=["test.compute_gradient"])
def compute_gradient(
    f: Callable[..., Any], x: Sequence[Any], delta: float | None = None
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The derivatives of a function, as its gradients say and as differences of its values tell.

    Args:
      f: a function of tensors that gives a floating point or complex tensor.
      x: its arguments: floating point or complex tensors, or what becomes such.
      delta: how far the arguments are moved; default: 1/1024.

    Returns:
      Two tuples with an array [size of f's result, size of the argument] for each argument. For complex tensors, real
      and imaginary parts are numbers of their own.

    Raises:
      ValueError: `x` is no list or tuple.
      AssertionError: an argument is neither floating point nor complex.

    Example:
      >>> theoretical, numeric = tf.test.compute_gradient(lambda x: x * x, [[3.0]])
      >>> theoretical[0]
      array([[6.]], dtype=float32)
    """
    if not isinstance(x, (list, tuple)):
        raise ValueError(
            "`x` must be a list or tuple of values convertible to a Tensor (arguments to `f`), "
            f"not a {type(x)}"
        )
    arguments = [to_tensor(item) for item in x]
    for index, item in enumerate(arguments):
        if not (item.dtype.is_floating or item.dtype.is_complex):
            raise AssertionError(
                f"Cannot compute gradient for unsupported type {item.dtype.name} of argument {index}"
            )
    step = _DELTA if delta is None else delta
    numeric = (_numeric(f, arguments, index, step) for index in range(len(arguments)))
    return tuple(_theoretical(f, arguments)), tuple(numeric)


def _value(tensor: Tensor) -> Array:
    """A tensor's value, as an array of its own."""
    return np.array(evaluation.values(tensor) if context.executing_eagerly() else tensor.eval())


def _theoretical(f: Callable[..., Any], arguments: list[Tensor]) -> list[Array]:
    """By backpropagation of one unit vector after the other."""
    with GradientTape(persistent=True) as tape:
        tape.watch(arguments)
        y = f(*arguments)
    seed = np.zeros_like(_value(y))
    numbers = real_numbers(seed)
    values = [_value(item) for item in arguments]
    jacobians = [np.zeros((numbers.size, real_numbers(v).size), _real_type(v.dtype)) for v in values]
    for row in range(numbers.size):
        numbers[row] = 1
        found = tape.gradient(y, arguments, output_gradients=to_tensor(seed))
        for jacobian, gradient, value in zip(jacobians, found, values, strict=True):
            jacobian[row] = real_numbers(_dense(gradient, value))
        numbers[row] = 0
    return jacobians


def _dense(gradient: Any, value: Array) -> Array:
    """A gradient as an array like `value`; None counts as zeros."""
    dense = np.zeros_like(value)
    if isinstance(gradient, IndexedSlices):
        np.add.at(dense, _value(gradient.indices), _value(gradient.values))
    elif gradient is not None:
        dense[...] = _value(gradient)
    return dense


def _numeric(f: Callable[..., Any], arguments: list[Tensor], index: int, delta: float) -> Array:
    """By central differences in one argument."""
    moved = _value(arguments[index])
    numbers = real_numbers(moved)
    columns = []
    for number in range(numbers.size):
        original = numbers[number]
        ends = []
        for step in (delta, -delta):
            numbers[number] = original + numbers.dtype.type(step)
            argument = to_tensor(moved.copy(), arguments[index].dtype)
            ends.append(real_numbers(_value(f(*arguments[:index], argument, *arguments[index + 1 :]))))
        numbers[number] = original
        wide = np.float64 if numbers.dtype == np.float64 else np.float32  # half types are too coarse for differences
        columns.append((ends[0].astype(wide) - ends[1].astype(wide)) / (2 * delta))
    rows = columns[0].size if columns else real_numbers(_value(f(*arguments))).size
    stacked = np.stack(columns, axis=1) if columns else np.zeros((rows, 0))
    return stacked.astype(_real_type(moved.dtype))


def _real_type(dtype: Any) -> Any:
    return dtypes.as_dtype(dtype).real_dtype.as_numpy_dtype
