"""Compares gradients with differences of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core.export import export
from millstream.core.gradients import gradients
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.session_stack import get_default_session
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.identity_ops import identity

Jacobians = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class _Checker:
    """The derivatives of one `y` by one `x`.

    A complex number counts as two real ones, so that all numbers here are real.
    """

    def __init__(
        self, x: Tensor, x_shape: Sequence[int], y: Tensor, y_shape: Sequence[int], feeds: dict[Any, Any]
    ) -> None:
        self.x, self.y = x, y
        self.x_shape, self.y_shape = tuple(x_shape), tuple(y_shape)
        self.feeds = feeds
        self.session = get_default_session()
        ones = constant_op.constant(1.0, shape=y_shape, dtype=y.dtype)
        self.seed = identity(ones)  # fed with one unit vector after the other
        self.grad = gradients(y, x, self.seed)[0]

    def theoretical(self, x_data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """By the graph's gradients: [numbers of x, numbers of y]."""
        rows = real_numbers(x_data).size
        seed = np.zeros(self.y_shape, self.y.dtype.as_numpy_dtype)
        numbers = real_numbers(seed)
        jacobian = np.zeros((rows, numbers.size), _real_type(self.x))
        for column in range(numbers.size):
            numbers[column] = 1
            jacobian[:, column] = real_numbers(self._gradient(x_data, seed))
            numbers[column] = 0
        return jacobian

    def _gradient(self, x_data: np.ndarray[Any, Any], seed: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self.grad is None:
            return np.zeros_like(x_data)
        found = self.session.run(self.grad, {**self.feeds, self.x: x_data, self.seed: seed})
        if not isinstance(self.grad, IndexedSlices):
            return np.ascontiguousarray(found, x_data.dtype)
        dense = np.zeros_like(x_data)
        np.add.at(dense, found.indices, found.values)
        return dense

    def numeric(self, x_data: np.ndarray[Any, Any], delta: float) -> np.ndarray[Any, Any]:
        """By central differences: [numbers of x, numbers of y]."""
        moved = np.array(x_data)
        numbers = real_numbers(moved)
        columns = real_numbers(np.zeros(self.y_shape, self.y.dtype.as_numpy_dtype)).size
        jacobian = np.zeros((numbers.size, columns), _real_type(self.x))
        step = numbers.dtype.type(delta)
        for row in range(numbers.size):
            original = numbers[row]
            numbers[row] = original + step
            above = self._value(moved)
            numbers[row] = original - step
            below = self._value(moved)
            numbers[row] = original
            jacobian[row] = (above - below) / (2 * delta)
        return jacobian

    def _value(self, x_data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return real_numbers(np.ascontiguousarray(self.session.run(self.y, {**self.feeds, self.x: x_data})))


def real_numbers(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The real numbers of a contiguous array, as a flat view."""
    flat = array.reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _real_type(tensor: Tensor) -> Any:
    return tensor.dtype.real_dtype.as_numpy_dtype


def _jacobians(
    x: Tensor,
    x_shape: Sequence[int],
    y: Tensor,
    y_shape: Sequence[int],
    x_init_value: Any,
    delta: float,
    feeds: dict[Any, Any],
) -> Jacobians:
    dtype = x.dtype.base_dtype
    if not (dtype.is_floating or dtype.is_complex):
        raise TypeError(f"Gradients can be checked for floating point and complex tensors, not for {dtype.name}: {x}")
    if x_init_value is None:
        x_init_value = np.random.random_sample(tuple(x_shape))
        if dtype.is_complex:
            x_init_value = x_init_value + 1j * np.random.random_sample(tuple(x_shape))
    x_data = np.array(x_init_value, dtype.as_numpy_dtype)
    if x_data.shape != tuple(x_shape):
        raise ValueError(f"x_init_value has shape {x_data.shape}, which is not x_shape {tuple(x_shape)}")
    checker = _Checker(x, x_shape, y, y_shape, feeds)
    return checker.theoretical(x_data), checker.numeric(x_data, delta)


@export(v1=["test.compute_gradient"])
def compute_gradient(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Sequence[int],
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: dict[Any, Any] | None = None,
) -> Any:
    """The derivatives of `y` by `x`, as the graph computes them and as differences tell. Needs a default session.

    Args:
      x: a floating point or complex tensor, or a list of them.
      x_shape: its shape, or a list of shapes.
      y: a floating point or complex tensor.
      y_shape: its shape.
      x_init_value: where to differentiate: an array or a list of them; default: random numbers.
      delta: how far `x` is moved.
      init_targets: operations to run before.
      extra_feed_dict: values for further placeholders.

    Returns:
      Two arrays [size of x, size of y], or a list of such pairs where `x` is a list. For complex tensors, real and
      imaginary parts are numbers of their own.
    """
    feeds = dict(extra_feed_dict or {})
    if init_targets is not None:
        get_default_session().run(init_targets, feeds)
    if not isinstance(x, list):
        return _jacobians(x, x_shape, y, y_shape, x_init_value, delta, feeds)
    values = [None] * len(x) if x_init_value is None else x_init_value
    found = []
    for index, (item, shape) in enumerate(zip(x, x_shape, strict=True)):
        others = {o: v for i, (o, v) in enumerate(zip(x, values, strict=True)) if i != index and v is not None}
        found.append(_jacobians(item, shape, y, y_shape, values[index], delta, {**feeds, **others}))
    return found


@export(v1=["test.compute_gradient_error"])
def compute_gradient_error(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Sequence[int],
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: dict[Any, Any] | None = None,
) -> float:
    """The largest difference between the two results of `compute_gradient`; arguments as there.

    Example:
      >>> with tf.Session():
      ...   tf.test.compute_gradient_error(x, [2, 3], tf.tanh(x), [2, 3])     # about 1e-4
    """
    found = compute_gradient(x, x_shape, y, y_shape, x_init_value, delta, init_targets, extra_feed_dict)
    pairs = found if isinstance(found, list) else [found]
    return float(max((np.abs(one - other).max() for one, other in pairs if one.size), default=0.0))
