"""Learning rates that fall with the global step.

Each function builds a scalar from the step; given to an optimiser, it is computed anew in each step. In eager mode
each returns a function without arguments instead, which optimisers call.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import int32, int64
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.arithmetic_ops import add, divide, minimum, multiply, pow
from millstream.ops.comparison_ops import equal, less_equal
from millstream.ops.elementwise_ops import ceil, cos, exp, floor, log, negative, sqrt
from millstream.ops.math_ops import cast
from millstream.ops.random_ops import random_normal
from millstream.ops.select_ops import where


def _schedule(build: Callable[..., Tensor]) -> Callable[..., Any]:
    """In eager mode, puts a decay off until its value is asked for."""

    @functools.wraps(build)
    def decay(*args: Any, **keywords: Any) -> Any:
        return functools.partial(build, *args, **keywords) if context.executing_eagerly() else build(*args, **keywords)

    return decay


def _initial(learning_rate: Any) -> Tensor:
    return to_tensor(learning_rate, name="initial_learning_rate")


def _cosine(fraction: Tensor) -> Tensor:
    """Half a wave, from 1 at 0 to 0 at 1."""
    return 0.5 * (1.0 + cos(constant_op.constant(math.pi) * fraction))


@export(v1=["train.exponential_decay"])
@_schedule
def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """`learning_rate * decay_rate ** (global_step / decay_steps)`.

    Args:
      learning_rate: the rate at step 0, a floating point scalar.
      global_step: the number of steps, an integer scalar.
      decay_steps: after so many steps the rate has been multiplied by `decay_rate`, a positive scalar.
      decay_rate: a scalar.
      staircase: the quotient is rounded down, so that the rate falls in steps.
      name: the scope, and the name of the result; default "ExponentialDecay".

    Returns:
      A scalar of the dtype of `learning_rate`.

    Raises:
      ValueError: there is no `global_step`.

    Example:
      >>> rate = tf.train.exponential_decay(0.1, global_step, 1000, 0.96, staircase=True)
      >>> train_op = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=global_step)
    """
    with name_scope(name, "ExponentialDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        steps, rate = cast(decay_steps, dtype), cast(decay_rate, dtype)
        fraction = cast(global_step, dtype) / steps
        return multiply(initial, pow(rate, floor(fraction) if staircase else fraction), name=scope)


@export(v1=["train.natural_exp_decay"])
@_schedule
def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """`learning_rate * exp(-decay_rate * global_step / decay_steps)`; arguments as `exponential_decay`."""
    base = exp(negative(decay_rate))
    return exponential_decay(learning_rate, global_step, decay_steps, base, staircase, name)  # type: ignore[no-any-return]


@export(v1=["train.inverse_time_decay"])
@_schedule
def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """`learning_rate / (1 + decay_rate * global_step / decay_steps)`; arguments as `exponential_decay`."""
    with name_scope(name, "InverseTimeDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        steps, rate = cast(decay_steps, dtype), cast(decay_rate, dtype)
        fraction = cast(global_step, dtype) / steps
        fraction = floor(fraction) if staircase else fraction
        one = cast(constant_op.constant(1), dtype)
        return divide(initial, add(one, multiply(rate, fraction)), name=scope)  # type: ignore[no-any-return]


@export(v1=["train.polynomial_decay"])
@_schedule
def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Tensor:
    """A fall from `learning_rate` to `end_learning_rate`, which is reached at `decay_steps` and kept.

        (learning_rate - end_learning_rate) * (1 - global_step / decay_steps) ** power + end_learning_rate

    Args:
      learning_rate: the rate at step 0, a floating point scalar.
      global_step: the number of steps, an integer scalar.
      decay_steps: how many steps the fall takes, a positive scalar.
      end_learning_rate: the lowest rate, a scalar.
      power: the power, a scalar; 1 is linear.
      cycle: after `decay_steps` the fall is stretched to the next multiple of `decay_steps`.
      name: the scope, and the name of the result; default "PolynomialDecay".

    Raises:
      ValueError: there is no `global_step`.
    """
    with name_scope(name, "PolynomialDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        end, power = cast(end_learning_rate, dtype), cast(power, dtype)
        step, steps = cast(global_step, dtype), cast(decay_steps, dtype)
        if cycle:
            is_first = equal(step, 0)
            steps = multiply(steps, where(is_first, constant_op.constant(1.0, dtype), ceil(step / decay_steps)))
        else:
            step = minimum(step, decay_steps)
        fraction = step / steps
        return add(multiply(initial - end, pow(1 - fraction, power)), end, name=scope)


@export(v1=["train.cosine_decay"])
@_schedule
def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: Any = 0.0, name: str | None = None
) -> Tensor:
    """Half a cosine wave, down to `alpha * learning_rate`: Loshchilov and Hutter, "SGDR", 2016.

    Args:
      learning_rate: the rate at step 0, a floating point scalar.
      global_step: the number of steps, an integer scalar.
      decay_steps: how many steps the fall takes, a positive scalar.
      alpha: the lowest rate, as a fraction of `learning_rate`.
      name: the scope; default "CosineDecay".

    Raises:
      ValueError: there is no `global_step`.
    """
    with name_scope(name, "CosineDecay"):
        initial = _initial(learning_rate)
        dtype = initial.dtype
        steps = cast(decay_steps, dtype)
        fraction = minimum(cast(global_step, dtype), steps) / steps
        return multiply(initial, (1 - alpha) * _cosine(fraction) + alpha)


@export(v1=["train.cosine_decay_restarts"])
@_schedule
def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Tensor:
    """Cosine falls one after the other: Loshchilov and Hutter, "SGDR", 2016.

    Args:
      learning_rate: the rate at step 0, a floating point scalar.
      global_step: the number of steps, an integer scalar.
      first_decay_steps: how many steps the first fall takes, a positive scalar.
      t_mul: each fall takes so many times as long as the one before.
      m_mul: each fall begins at so many times the rate of the one before.
      alpha: the lowest rate, as a fraction of `learning_rate`.
      name: the scope, and the name of the result; default "SGDRDecay".

    Raises:
      ValueError: there is no `global_step`.
    """
    with name_scope(name, "SGDRDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        first, alpha, t_mul, m_mul = (cast(item, dtype) for item in (first_decay_steps, alpha, t_mul, m_mul))
        falls, fraction = _restarts(cast(global_step, dtype) / first, t_mul)
        height = 0.5 * m_mul**falls
        wave = height * (1.0 + cos(constant_op.constant(math.pi) * fraction))
        return multiply(initial, (1 - alpha) * wave + alpha, name=scope)


def _restarts(completed: Tensor, t_mul: Tensor) -> tuple[Tensor, Tensor]:
    """How many falls are over, and which fraction of the present one, after `completed` lengths of the first fall."""
    is_even = equal(t_mul, 1.0)
    even = floor(completed)
    geometric = floor(log(1.0 - completed * (1.0 - t_mul)) / log(t_mul))
    before = (1.0 - t_mul**geometric) / (1.0 - t_mul)
    return where(is_even, even, geometric), where(is_even, completed - even, (completed - before) / t_mul**geometric)


@export(v1=["train.linear_cosine_decay"])
@_schedule
def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """A cosine wave under a line: Bello et al., "Neural optimizer search with reinforcement learning", 2017.

        t = global_step / decay_steps
        learning_rate * ((alpha + 1 - t) * (1 + cos(2 * pi * num_periods * t)) / 2 + beta)

    Args:
      learning_rate: the rate at step 0, a floating point scalar.
      global_step: the number of steps, an integer scalar.
      decay_steps: how many steps the fall takes, a positive scalar.
      num_periods: how many periods the wave has.
      alpha, beta: see above.
      name: the scope, and the name of the result; default "LinearCosineDecay".

    Raises:
      ValueError: there is no `global_step`.
    """
    with name_scope(name, "LinearCosineDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        steps, periods, alpha, beta = (cast(item, dtype) for item in (decay_steps, num_periods, alpha, beta))
        step = minimum(cast(global_step, dtype), steps)
        line = (steps - step) / steps
        wave = _cosine_periods(step / steps, periods)
        return multiply(initial, (alpha + line) * wave + beta, name=scope)


def _cosine_periods(completed: Tensor, periods: Tensor) -> Tensor:
    return _cosine(2.0 * periods * completed)


@export(v1=["train.noisy_linear_cosine_decay"])
@_schedule
def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    initial_variance: Any = 1.0,
    variance_decay: Any = 0.55,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """`linear_cosine_decay` with normal noise on the line.

    Args:
      initial_variance: the noise's variance at step 0, a scalar.
      variance_decay: the variance falls with this power of `1 + global_step`, a scalar.
      learning_rate, global_step, decay_steps, num_periods, alpha, beta: as for `linear_cosine_decay`.
      name: the scope, and the name of the result; default "NoisyLinearCosineDecay".

    Raises:
      ValueError: there is no `global_step`.
    """
    with name_scope(name, "NoisyLinearCosineDecay") as scope:
        initial = _initial(learning_rate)
        dtype = initial.dtype
        given = (decay_steps, initial_variance, variance_decay, num_periods, alpha, beta)
        steps, variance, forget, periods, alpha, beta = (cast(item, dtype) for item in given)
        step = minimum(cast(global_step, dtype), steps)
        line = (steps - step) / steps
        deviation = sqrt(variance / pow(1.0 + step, forget))
        noisy = line + random_normal(line.shape, stddev=deviation)
        wave = _cosine_periods(step / steps, periods)
        return multiply(initial, (alpha + noisy) * wave + beta, name=scope)


@export(v1=["train.piecewise_constant", "train.piecewise_constant_decay"])
@_schedule
def piecewise_constant(x: Any, boundaries: Sequence[Any], values: Sequence[Any], name: str | None = None) -> Tensor:
    """The first of `values` up to the first boundary (included), the second up to the second, and so on.

    Args:
      x: a scalar, usually the global step.
      boundaries: numbers in rising order, of the dtype of `x` (int32 is taken for int64).
      values: one more than there are boundaries; of one dtype.
      name: the scope; default "PiecewiseConstant".

    Raises:
      ValueError: the numbers of boundaries and values do not match, or dtypes differ.

    Example:
      >>> rate = tf.train.piecewise_constant(global_step, [10000, 20000], [0.1, 0.01, 0.001])
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    limits = [to_tensor(item) for item in boundaries]
    rates = [to_tensor(item) for item in values]
    dtype = rates[0].dtype.base_dtype
    for other in rates:
        if other.dtype.base_dtype is not dtype:
            raise ValueError(
                f"Values must have elements all with the same dtype ({dtype} vs {other.dtype.base_dtype})."
            )
    with name_scope(name, "PiecewiseConstant", [x, *limits, *rates]):
        position = to_tensor(x)
        limits = [_like_position(limit, position) for limit in limits]
        rate = rates[-1]
        for limit, before in zip(reversed(limits), reversed(rates[:-1]), strict=True):
            rate = where(less_equal(position, limit), before, rate)
        return rate


def _like_position(limit: Tensor, position: Tensor) -> Tensor:
    found, wanted = limit.dtype.base_dtype, position.dtype.base_dtype
    if found is int32 and wanted is int64:
        return cast(limit, wanted)  # type: ignore[no-any-return]
    if found is not wanted:
        raise ValueError(f"Boundaries ({found}) must have the same dtype as x ({wanted}).")
    return limit
