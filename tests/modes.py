"""Runs functions of tensors in each of the three modes: in a graph, eagerly, and traced by a `tf.function`.

    @pytest.mark.parametrize("mode", MODES)
    def test_double(mode):
        assert run_in(mode, lambda x: x + x, [1.0, 2.0]).tolist() == [2.0, 4.0]
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from millstream.core import context

MODES = ("graph", "eager", "function")


@contextmanager
def eager_by_default() -> Iterator[None]:
    """Makes the process one that executes eagerly within a `with` block."""
    before = context.eager_by_default()
    context.set_default_mode(True)
    try:
        yield
    finally:
        context.set_default_mode(before)


@contextmanager
def callable_in(mode: str, build: Callable[..., Any], specs: Sequence[Any]) -> Iterator[Callable[..., Any]]:
    """Gives a function of arrays that computes in a mode what `build` does with tensors.

    Args:
      mode: one of MODES.
      build: a function of one tensor for each of `specs`; gives tensors, or a structure of them.
      specs: what graphs and functions know of the arrays: (dtype, shape) of each.

    Gives:
      A function of NumPy arrays that gives NumPy values, in the structure that `build` gives.
    """
    import millstream.v1 as tf
    from millstream.core.function import Function

    if mode == "graph":
        with tf.Graph().as_default(), tf.Session() as session:
            inputs = [tf.placeholder(dtype, shape) for dtype, shape in specs]
            outputs = build(*inputs)
            yield lambda *arrays: session.run(outputs, dict(zip(inputs, arrays, strict=True)))
        return
    if mode == "function":
        build = Function(build, [tf.TensorSpec(shape, dtype) for dtype, shape in specs], autograph=False)

    def call(*arrays: Any) -> Any:
        tensors = [tf.constant(array) for array in arrays]
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), build(*tensors), expand_composites=True)

    with eager_by_default():
        yield call


def run_in(mode: str, build: Callable[..., Any], *arrays: Any, shapes: Sequence[Any] | None = None) -> Any:
    """What `build` gives for these arrays in a mode, as NumPy values.

    Args:
      mode, build: see `callable_in`.
      *arrays: the values of the tensors.
      shapes: what is known of their shapes in graphs and functions; default: all.
    """
    values = [np.asarray(array) for array in arrays]
    with callable_in(mode, build, specs_of(values, shapes)) as call:
        return call(*values)


def specs_of(values: Sequence[Any], shapes: Sequence[Any] | None = None) -> list[tuple[Any, Any]]:
    """The dtypes of arrays, with their shapes or with others."""
    known = [value.shape for value in values] if shapes is None else shapes
    return [(value.dtype, shape) for value, shape in zip(values, known, strict=True)]


def gradients_of(mode: str, build: Callable[..., Any], weights: Any) -> Callable[..., Any]:
    """A function that gives the gradients of the sum of (`build(*tensors)` * weights) by each tensor.

    It uses `tf.gradients` in a graph, a tape elsewhere.
    """
    import millstream.v1 as tf

    def gradients(*inputs: Any) -> list[Any]:
        if mode == "graph":
            return tf.gradients(build(*inputs), list(inputs), tf.constant(weights))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = build(*inputs)
        return tape.gradient(output, list(inputs), tf.constant(weights))

    return lambda *inputs: [tf.convert_to_tensor(grad) for grad in gradients(*inputs)]
