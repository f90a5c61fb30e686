"""Random operations on the state of a generator, an int64 variable: a counter of two numbers, then the key.

Each use takes its blocks of the stream and moves the counter on.
"""
from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core.opdef import OpDef, op
from millstream.core.shape_rules import from_value, no_outputs
from millstream.ops import philox, random_binomial, random_kernels
from millstream.ops.random_kernels import output_shape
from millstream.ops.stateless_random_ops import check_algorithm, leading_shape

STATE_SIZE = 3
_RESOURCE = "resource: resource"


def _take(xp: Any, state: Any, resource: Any, algorithm: Any, blocks: Any) -> tuple[Any, philox.Key, Any]:
    """The state of a generator, its key and its counter; moves the counter on by `blocks`, or back."""
    check_algorithm(algorithm)
    value = state.read(resource)
    if value.dtype != np.int64:
        raise ValueError(f"dtype of RNG state variable must be int64, not {value.dtype.name}")
    if value.shape[0] < STATE_SIZE:
        raise ValueError(
            f"For the Philox algorithm, the size of state must be at least {STATE_SIZE}; got {value.shape[0]}"
        )
    words, moved = value.astype(xp.uint64), xp.asarray(blocks, xp.int64)
    low = words[0] + moved.astype(xp.uint64)
    high = words[1] + (low < moved.astype(xp.uint64)) + (moved >> 63).astype(xp.uint64)
    after = xp.concatenate([xp.stack([low, high]), words[2:]])
    state.assign(resource, after.astype(xp.int64))
    return value, (words[2] & philox.MASK, words[2] >> 32), words[:2]


def _outputs(shape: Sequence[int]) -> int:
    return philox.reserve(math.prod(shape))


@op(
    f"RngSkip({_RESOURCE}, algorithm: int64, delta: int64)",
    shape=no_outputs, stateful=True, writes=("resource",), static=("algorithm",),
)  # fmt: skip
def rng_skip_op(xp, resource, algorithm, delta, *, state):
    _take(xp, state, resource, algorithm, delta * _outputs(()))


@op(
    f"RngReadAndSkip({_RESOURCE}, alg: int32, delta: uint64) -> value: int64",
    shape=lambda c: (None,), stateful=True, writes=("resource",), static=("alg",),
)  # fmt: skip
def rng_read_and_skip_op(xp, resource, alg, delta, *, state):
    value, _, _ = _take(xp, state, resource, alg, delta.astype(xp.int64) * _outputs(()))
    return value


def _filling(name: str, generate: Callable[..., Any], default: str) -> OpDef:
    """An operation that fills a shape by `generate(xp, key, counter, shape, dtype)`."""

    @op(
        f"{name}({_RESOURCE}, algorithm: int64, shape: shape_dtype, *, dtype: type = {default}) -> output: dtype",
        shape_dtype="= int64",
        shape=from_value(2),
        stateful=True,
        writes=("resource",),
        static=("algorithm", "shape"),
    )
    def kernel(xp, resource, algorithm, shape, *, dtype, state):
        dims = output_shape(shape)
        _, *start = _take(xp, state, resource, algorithm, _outputs(dims))
        return generate(xp, *start, dims, dtype.as_numpy_dtype)

    kernel.no_gradient("random numbers do not depend on a generator's state smoothly")
    return kernel


standard_normal_op = _filling("StatefulStandardNormalV2", random_kernels.normal, "float")
truncated_normal_op = _filling("StatefulTruncatedNormal", random_kernels.truncated_normal, "float")
uniform_op = _filling("StatefulUniform", random_kernels.uniform, "float")
full_int_op = _filling("StatefulUniformFullInt", random_kernels.full_int, "uint64")


@op(
    f"StatefulUniformInt({_RESOURCE}, algorithm: int64, shape: shape_dtype, minval: dtype, maxval: dtype)"
    " -> output: dtype",
    dtype="= int64",
    shape_dtype="= int64",
    shape=from_value(2),
    stateful=True,
    writes=("resource",),
    static=("algorithm", "shape"),
)
def uniform_int_op(xp, resource, algorithm, shape, minval, maxval, *, state, check):
    random_kernels.check_bounds(minval, maxval, check)
    dims = output_shape(shape)
    _, *start = _take(xp, state, resource, algorithm, _outputs(dims))
    return random_kernels.uniform_int(xp, *start, dims, minval.dtype, minval, maxval)


@op(
    f"StatefulRandomBinomial({_RESOURCE}, algorithm: int64, shape: S, counts: T, probs: T,"
    " *, dtype: type{half, float, double, int32, int64} = int64) -> output: dtype",
    S="int32 int64",
    T="half float double int32 int64 = double",
    shape=from_value(2),
    stateful=True,
    host=True,
    writes=("resource",),
)
def binomial_op(xp, resource, algorithm, shape, counts, probs, *, dtype, state):
    parameters = xp.broadcast_shapes(counts.shape, probs.shape)
    repeats = leading_shape(output_shape(shape), parameters)
    reserved = math.prod(parameters) * 2 * 100 * (math.prod(repeats) + 3) // 4
    _, *start = _take(xp, state, resource, algorithm, philox.reserve(reserved))
    return random_binomial.binomial(*start, repeats, counts, probs, dtype.as_numpy_dtype)


@op(
    "NonDeterministicInts(shape: shape_dtype, *, dtype: type = int64) -> output: dtype",
    shape_dtype="= int64",
    shape=from_value(0),
    stateful=True,
    host=True,
)
def non_deterministic_ints_op(xp, shape, *, dtype):
    dims, kind = output_shape(shape), xp.dtype(dtype.as_numpy_dtype)
    return xp.frombuffer(secrets.token_bytes(math.prod(dims) * kind.itemsize), kind).reshape(dims).copy()


for _definition in (uniform_int_op, binomial_op, rng_skip_op, rng_read_and_skip_op, non_deterministic_ints_op):
    _definition.no_gradient("random choices are not differentiable")
