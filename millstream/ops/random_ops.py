"""Random operations whose numbers come from a stream: for the same seeds those of TensorFlow.

Each operation has a Philox stream of its own in each session; a run takes the next blocks of it. How words become
numbers stands in `random_kernels` and `random_rejection`.
"""
from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import context, dtypes, random_seed, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import from_value, same_as
from millstream.core.tensor import Tensor
from millstream.ops import philox, random_kernels, random_rejection
from millstream.ops.random_kernels import output_shape

_SEEDS = "seed: int = 0, seed2: int = 0"
_FLOATS = "half, bfloat16, float, double"
LOGITS = "float double int32 uint8 int16 int8 int64 bfloat16 uint16 half uint32 uint64"


def seed_attrs(seed: int | None) -> dict[str, int]:
    """The seed attributes of an operation whose user gave `seed`."""
    graph_seed, op_seed = random_seed.get_seed(seed)
    return {"seed": graph_seed or 0, "seed2": op_seed or 0}


# --- Operations ------------------------------------------------------------------------------------------------------


def _filling(name: str, generate: Callable[..., Any]) -> OpDef:
    """An operation that fills a shape with independent floats."""

    @op(
        f"{name}(shape: T, *, {_SEEDS}, dtype: type{{{_FLOATS}}}) -> output: dtype",
        T="int32 int64",
        shape=from_value(0),
        stateful=True,
        static=("shape",),
    )
    def kernel(xp, shape, *, seed, seed2, dtype, stream):
        dims = output_shape(shape)
        key, counter = stream(seed, seed2, philox.reserve(int(np.prod(dims, dtype=np.int64))))
        return generate(xp, key, counter, dims, dtype.as_numpy_dtype)

    kernel.no_gradient("random numbers do not depend on the shape smoothly")
    return kernel


random_uniform_op = _filling("RandomUniform", random_kernels.uniform)
random_standard_normal_op = _filling("RandomStandardNormal", random_kernels.normal)
truncated_normal_op = _filling("TruncatedNormal", random_kernels.truncated_normal)


@op(
    f"RandomUniformInt(shape: T, minval: Tout, maxval: Tout, *, {_SEEDS}) -> output: Tout",
    Tout="int32 int64",
    T="int32 int64",
    shape=from_value(0),
    stateful=True,
    static=("shape",),
)
def random_uniform_int_op(xp, shape, minval, maxval, *, seed, seed2, stream, check):
    random_kernels.check_bounds(minval, maxval, check)
    dims = output_shape(shape)
    key, counter = stream(seed, seed2, philox.reserve(int(np.prod(dims, dtype=np.int64))))
    return random_kernels.uniform_int(xp, key, counter, dims, minval.dtype, minval, maxval)


@op(
    f"RandomShuffle(value: T, *, {_SEEDS}) -> output: T", T=ANY, shape=same_as(0), stateful=True
)
def random_shuffle_op(xp, value, *, seed, seed2, stream):
    key, counter = stream(seed, seed2, philox.reserve_shuffle(value.shape))
    return random_kernels.shuffle(xp, key, counter, value)


def multinomial_shape(c: ShapeContext) -> Any:
    batch = shapes.with_rank(c.shape(0), 2)[0]
    count = c.constant(1)
    if count is not None and count < 0:
        raise ValueError(f"Dimension size, given by scalar input 1, must be non-negative but is {int(count)}")
    return batch, None if count is None else int(count)


def samples(logits: Any, num_samples: Any) -> int:
    """The number of samples to draw from each row of `logits`; ValueError where that cannot be done."""
    if logits.ndim != 2:
        raise ValueError(f"logits should be a matrix, got shape {shapes.format_shape(logits.shape)}")
    if num_samples.ndim:
        raise ValueError(f"num_samples should be a scalar, got shape {shapes.format_shape(num_samples.shape)}")
    if num_samples < 0:
        raise ValueError(f"num_samples should be nonnegative, got {int(num_samples)}")
    if not logits.shape[1]:
        raise ValueError("num_classes should be positive, got 0")
    return int(num_samples)


@functools.cache
def threads() -> int:
    """The threads that TensorFlow would use here: they decide how some kernels deal out their stream."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@op(
    f"Multinomial(logits: T, num_samples: int32, *, {_SEEDS}, output_dtype: type{{int32, int64}} = int64)"
    " -> output: output_dtype",
    T=LOGITS,
    shape=multinomial_shape,
    stateful=True,
    static=("num_samples",),
)
def multinomial_op(xp, logits, num_samples, *, seed, seed2, output_dtype, stream):
    count = samples(logits, num_samples)
    key, counter = stream(seed, seed2, philox.reserve_multinomial(logits.shape[0], count))
    return random_kernels.multinomial(
        xp, key, counter, logits, count, output_dtype.as_numpy_dtype, threads=threads()
    )


def _per_parameter_shape(c: ShapeContext) -> Any:
    return shapes.concatenate(c.constant_shape(0), c.shape(1))


@op(
    f"RandomGamma(shape: S, alpha: T, *, {_SEEDS}) -> output: T",
    S="int32 int64",
    T="half float double",
    shape=_per_parameter_shape,
    stateful=True,
    host=True,
)
def random_gamma_op(xp, shape, alpha, *, seed, seed2, stream):
    dims = output_shape(shape)
    outputs = int(np.prod(dims, dtype=np.int64)) * alpha.size
    key, counter = stream(seed, seed2, philox.reserve(outputs))
    return random_rejection.gamma(key, counter, dims, alpha)


@random_gamma_op.gradient
def _(op, grad):
    from millstream.ops import math_ops, reduction_ops, reshape_ops, shape_ops

    shape, alpha = op.inputs
    sample = op.outputs[0]
    rank = shape_ops.size(shape)
    with get_default_graph().control_dependencies([grad]):
        ones = reshape_ops.reshape(alpha, _ones_before(shape_ops.shape(alpha), rank))
    partial = random_gamma_grad_op(ones + _zeros_like(sample), sample)
    return None, reduction_ops.reduce_sum(grad * partial, axis=math_ops.range(rank))


def _ones_before(tail: Tensor, count: Tensor) -> Tensor:
    from millstream.ops import fill_ops, join_ops

    return join_ops.concat([fill_ops.fill([count], 1), tail], axis=0)


def _zeros_like(tensor: Tensor) -> Tensor:
    from millstream.ops import fill_ops

    return fill_ops.zeros_like(tensor)


@op("RandomGammaGrad(alpha: T, sample: T) -> output: T", T="float double", shape=same_as(1), traced_only=True)
def random_gamma_grad_op(xp, alpha, sample):
    from jax.lax import random_gamma_grad

    return random_gamma_grad(*xp.broadcast_arrays(alpha, sample))


random_gamma_grad_op.no_gradient("the second derivative is not known")


@op(
    f"RandomPoissonV2(shape: S, rate: R, *, {_SEEDS}, dtype: type{{half, float, double, int32, int64}} = int64)"
    " -> output: dtype",
    S="int32 int64",
    R="half float double int32 int64 = double",
    shape=_per_parameter_shape,
    stateful=True,
    host=True,
)
def random_poisson_op(xp, shape, rate, *, seed, seed2, dtype, stream):
    dims = output_shape(shape)
    outputs = int(np.prod(dims, dtype=np.int64)) * rate.size
    key, counter = stream(seed, seed2, philox.reserve(outputs))
    return random_rejection.poisson(key, counter, dims, rate, dtype.as_numpy_dtype)


for _definition in (random_uniform_int_op, random_shuffle_op, multinomial_op, random_poisson_op):
    _definition.no_gradient("random choices are not differentiable")


# --- Endpoints -------------------------------------------------------------------------------------------------------


def shape_tensor(shape: Any) -> Tensor:
    """A shape as an integer vector; a list of Python numbers is int32."""
    plain = isinstance(shape, (list, tuple)) and all(isinstance(dim, (int, np.integer)) for dim in shape)
    return to_tensor(shape, dtype=dtypes.int32 if plain else None, name="shape")


@export(v1=["random_uniform", "random.uniform"], v2=["random.uniform"])
def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniform random numbers in [minval, maxval).

    Args:
      shape: the result's shape, an integer vector.
      minval: the lower bound, a scalar or (floats only) broadcastable.
      maxval: the upper bound, exclusive; default 1 for floats; integers need it.
      dtype: half, bfloat16, float32, float64, int32 or int64.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.

    Raises:
      ValueError: another dtype, or integers without `maxval`.
      InvalidArgumentError: integers with minval >= maxval.

    Example:
      >>> tf.random.uniform([2], seed=1)        # 0.2390374, 0.92039955
    """
    return uniform_between(
        _seeded(random_uniform_op, seed), _seeded(random_uniform_int_op, seed),
        "random_uniform", shape, minval, maxval, dtype, name,
    )  # fmt: skip


def _seeded(definition: OpDef, seed: int | None) -> Callable[..., Tensor]:
    """`definition` with the seeds that it would be given when it is called."""
    return lambda *inputs, **options: definition(*inputs, **options, **seed_attrs(seed))


def uniform_between(
    draw: Callable[..., Tensor],
    draw_int: Callable[..., Tensor],
    default_name: str,
    shape: Any,
    minval: Any,
    maxval: Any,
    dtype: Any,
    name: str | None,
) -> Tensor:
    """Uniform numbers: `draw(shape, dtype)` scaled, or for integers `draw_int(shape, minval, maxval, name)`."""
    wanted = dtypes.as_dtype(dtype)
    allowed = (*dtypes.FLOATS, dtypes.int32, dtypes.int64)
    if wanted not in allowed:
        raise ValueError(f"Invalid dtype {wanted!r}: expected one of {', '.join(item.name for item in allowed)}.")
    if maxval is None:
        if wanted.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {wanted!r}")
        maxval = 1
    unit = type(minval) is type(maxval) is int and (minval, maxval) == (0, 1) and not wanted.is_integer
    with name_scope(name, default_name, [shape, minval, maxval]) as scope:
        dims = shape_tensor(shape)
        if unit and not in_plain_graph():
            return draw(dims, dtype=wanted, name=scope)
        low = to_tensor(minval, dtype=wanted, name="min")
        high = to_tensor(maxval, dtype=wanted, name="max")
        if wanted.is_integer:
            return draw_int(dims, low, high, name=scope)
        return _add(draw(dims, dtype=wanted) * (high - low), low, scope)


def in_plain_graph() -> bool:
    """Whether operations go into a graph that is not a function's: there they are TensorFlow 1's, one by one."""
    return not context.executing_eagerly() and not get_default_graph().building_function


def _add(x: Tensor, y: Tensor, scope: str) -> Tensor:
    from millstream.ops import arithmetic_ops

    return arithmetic_ops.add(x, y, name=scope)


def scaled(
    draw: Callable[[Tensor], Tensor], default_name: str, shape: Any, mean: Any, stddev: Any, dtype: Any,
    name: str | None,
) -> Tensor:  # fmt: skip
    """`draw(shape)` times `stddev` plus `mean`."""
    with name_scope(name, default_name, [shape, mean, stddev]) as scope:
        dims = shape_tensor(shape)
        mean = to_tensor(mean, dtype=dtype, name="mean")
        stddev = to_tensor(stddev, dtype=dtype, name="stddev")
        return _add(draw(dims) * stddev, mean, scope)


@export(v1=["random_normal", "random.normal"], v2=["random.normal"])
def random_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normally distributed random numbers.

    Args:
      shape: the result's shape, an integer vector.
      mean, stddev: of `dtype`, broadcastable to the shape.
      dtype: half, bfloat16, float32 or float64.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.
    """
    draw = _seeded(random_standard_normal_op, seed)
    return scaled(lambda dims: draw(dims, dtype=dtype), "random_normal", shape, mean, stddev, dtype, name)


@export(v1=["truncated_normal", "random.truncated_normal"], v2=["random.truncated_normal"])
def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal random numbers, of which those more than two standard deviations from the mean are drawn again.

    Args:
      shape: the result's shape, an integer vector.
      mean, stddev: of `dtype`, broadcastable; those of the distribution before the cut.
      dtype: half, bfloat16, float32 or float64.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.
    """
    draw = _seeded(truncated_normal_op, seed)
    return scaled(lambda dims: draw(dims, dtype=dtype), "truncated_normal", shape, mean, stddev, dtype, name)


@export(v1=["random_shuffle", "random.shuffle"], v2=["random.shuffle"])
def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A tensor's slices along dimension 0 in random order.

    Args:
      value: any dtype, of shape [n, …].
      seed: with the global seed, makes the order repeatable.
      name: the operation's name.
    """
    return random_shuffle_op(value, **seed_attrs(seed), name=name)


@export(v1=["multinomial", "random.multinomial"])
def multinomial(
    logits: Any, num_samples: Any, seed: int | None = None, name: str | None = None, output_dtype: Any = None
) -> Tensor:
    """Draws classes from categorical distributions.

    Args:
      logits: [batch, classes], unnormalised log-probabilities.
      num_samples: how many to draw for each row, a scalar.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.
      output_dtype: int64 (default) or int32.

    Returns:
      [batch, num_samples] class indices.
    """
    return _draw_classes(name, "multinomial", logits, num_samples, output_dtype, seed)


@export("random.categorical")
def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Draws classes from categorical distributions; see `tf.multinomial`.

    Args:
      logits: [batch, classes], unnormalised log-probabilities.
      num_samples: how many to draw for each row.
      dtype: of the result, int64 (default) or int32.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.
    """
    return _draw_classes(name, "categorical", logits, num_samples, dtype, seed)


def _draw_classes(name: Any, default_name: str, logits: Any, num_samples: Any, dtype: Any, seed: Any) -> Tensor:
    with name_scope(name, default_name, [logits]):
        logits = to_tensor(logits, name="logits")
        wanted = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64
        return multinomial_op(logits, num_samples, output_dtype=wanted, **seed_attrs(seed))


@export(v1=["random_gamma", "random.gamma"], v2=["random.gamma"])
def random_gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Gamma-distributed random numbers, differentiable with respect to `alpha` and `beta`.

    Args:
      shape: how many to draw for each parameter, an integer vector.
      alpha: the shape parameter, of `dtype`.
      beta: the inverse scale, broadcastable with `alpha`; default 1.
      dtype: half, float32 or float64.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.

    Returns:
      `shape + broadcast(alpha, beta).shape` numbers.

    Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
    """
    from millstream.ops import arithmetic_ops, fill_ops

    wanted = dtypes.as_dtype(dtype)
    with name_scope(name, "random_gamma", [shape, alpha, beta]):
        dims = to_tensor(shape, dtype=dtypes.int32, name="shape")
        alpha = to_tensor(alpha, dtype=wanted, name="alpha")
        beta = to_tensor(1 if beta is None else beta, dtype=wanted, name="beta")
        spread = alpha + fill_ops.zeros_like(beta)
        tiny = float(np.finfo(wanted.as_numpy_dtype).tiny)
        drawn = random_gamma_op(dims, spread, **seed_attrs(seed))
        return arithmetic_ops.maximum(np.array(tiny, wanted.as_numpy_dtype), drawn / beta)


@export(v1=["random_poisson", "random.poisson"])
def random_poisson(
    lam: Any, shape: Any, dtype: Any = dtypes.float32, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Poisson-distributed random numbers.

    Args:
      lam: the rates, a float or integer tensor.
      shape: how many to draw for each rate, an integer vector.
      dtype: half, float32, float64, int32 or int64.
      seed: with the global seed, makes the numbers repeatable.
      name: the name scope.

    Returns:
      `shape + lam.shape` numbers.
    """
    with name_scope(name, "random_poisson", [lam, shape]):
        dims = to_tensor(shape, dtype=dtypes.int32, name="shape")
        return random_poisson_op(dims, lam, dtype=dtypes.as_dtype(dtype), **seed_attrs(seed))


@export(v2=["random.poisson"])
def random_poisson_v2(
    shape: Any, lam: Any, dtype: Any = dtypes.float32, seed: int | None = None, name: str | None = None
) -> Tensor:
    """Poisson-distributed random numbers: 2.x's order of the arguments of `tf.random_poisson`."""
    return random_poisson(lam, shape, dtype, seed, name)


@export(v1=["random_crop", "image.random_crop"], v2=["image.random_crop"])
def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A slice of shape `size` at a random, uniformly chosen offset.

    Args:
      value: the tensor to crop.
      size: the slice's shape, a vector of `value`'s rank.
      seed: with the global seed, makes the offset repeatable.
      name: the name scope.

    Raises:
      InvalidArgumentError: when it runs and `size` is larger than `value` somewhere.
    """
    from millstream.ops import comparison_ops, control_flow_ops, shape_ops, slice_ops

    with name_scope(name, "random_crop", [value, size]) as scope:
        value = to_tensor(value, name="value")
        size = to_tensor(size, dtype=dtypes.int32, name="size")
        whole = shape_ops.shape(value)
        fits = control_flow_ops.Assert(
            _all(comparison_ops.greater_equal(whole, size)),
            ["Need value.shape >= size, got ", whole, size],
            summarize=1000,
        )
        whole = control_flow_ops.with_dependencies([fits], whole)
        limit = whole - size + 1
        largest = np.iinfo(np.int32).max
        offset = random_uniform(shape_ops.shape(limit), dtype=dtypes.int32, maxval=largest, seed=seed) % limit
        return slice_ops.slice_(value, offset, size, name=scope)


def _all(condition: Tensor) -> Tensor:
    from millstream.ops import reduction_ops

    return reduction_ops.reduce_all(condition)
