"""Checks of gradients against numerical differences, in float64."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_STEP = 1e-6


def gradient_error(
    build: Callable[..., Any], *arrays: Any, shapes: list[Any] | None = None, seed: int = 0
) -> list[float | None]:
    """How far the gradients of a function are from numerical ones, relative to their size.

    Args:
      build: a function of one tensor for each array.
      *arrays: where the gradients are taken.
      shapes: the static shapes of the placeholders; default: those of the arrays.
      seed: of the weights that the elements of the result are summed with.

    Returns:
      the greatest error for each array; None where there is no gradient.
    """
    import millstream.v1 as tf

    values = [np.asarray(array, np.float64) for array in arrays]
    static = [value.shape for value in values] if shapes is None else shapes
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.placeholder(tf.float64, shape) for shape in static]
        output = build(*inputs)
        feed = dict(zip(inputs, values, strict=True))
        weights = np.random.RandomState(seed).uniform(-1, 1, session.run(output, feed).shape)
        gradients = tf.gradients(output, inputs, tf.constant(weights))

        def total(index: int, value: Any) -> float:
            return float(np.sum(session.run(output, {**feed, inputs[index]: value}) * weights))

        errors: list[float | None] = []
        for index, gradient in enumerate(gradients):
            if gradient is None:
                errors.append(None)
                continue
            found = session.run(gradient, feed)
            wanted = _differences(lambda value, index=index: total(index, value), values[index])
            errors.append(float(np.max(np.abs(found - wanted) / (1 + np.abs(wanted)), initial=0)))
    return errors


def _differences(function: Callable[[Any], float], value: Any) -> Any:
    result = np.zeros_like(value)
    for place in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[place] = _STEP
        result[place] = (function(value + step) - function(value - step)) / (2 * _STEP)
    return result


def assert_gradients(build: Callable[..., Any], *arrays: Any, shapes: list[Any] | None = None) -> None:
    """Demands that the gradients by all arrays exist and agree with numerical ones."""
    errors = gradient_error(build, *arrays, shapes=shapes)
    assert all(error is not None and error < 1e-5 for error in errors), errors
