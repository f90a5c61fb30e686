"""Checks of gradients against numerical differences, in float64."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from modes import callable_in, gradients_of, specs_of

_STEP = 1e-6


def gradient_error(
    build: Callable[..., Any], *arrays: Any, shapes: list[Any] | None = None, seed: int = 0, mode: str = "graph"
) -> list[float]:
    """How far the gradients of a function are from numerical ones, relative to their size.

    Args:
      build: a function of one tensor for each array.
      *arrays: where the gradients are taken.
      shapes: what is known of the shapes in graphs and functions; default: those of the arrays.
      seed: of the weights that the elements of the result are summed with.
      mode: where the gradients are computed, one of `modes.MODES`.

    Returns:
      the greatest error for each array.
    """
    values = [np.asarray(array, np.float64) for array in arrays]
    specs = specs_of(values, shapes)
    with callable_in(mode, build, specs) as call:
        weights = np.random.RandomState(seed).uniform(-1, 1, call(*values).shape)

        def total(index: int, value: Any) -> float:
            return float(np.sum(call(*values[:index], value, *values[index + 1 :]) * weights))

        wanted = [
            _differences(lambda value, index=index: total(index, value), value) for index, value in enumerate(values)
        ]
    with callable_in(mode, gradients_of(mode, build, weights), specs) as differentiate:
        found = differentiate(*values)
    return [float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0)) for a, b in zip(found, wanted, strict=True)]


def _differences(function: Callable[[Any], float], value: Any) -> Any:
    result = np.zeros_like(value)
    for place in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[place] = _STEP
        result[place] = (function(value + step) - function(value - step)) / (2 * _STEP)
    return result


def assert_gradients(
    build: Callable[..., Any], *arrays: Any, shapes: list[Any] | None = None, mode: str = "graph"
) -> None:
    """Demands that the gradients by all arrays exist and agree with numerical ones."""
    errors = gradient_error(build, *arrays, shapes=shapes, mode=mode)
    assert all(error < 1e-5 for error in errors), errors
