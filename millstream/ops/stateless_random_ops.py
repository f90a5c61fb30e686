"""Random operations without a stream: their numbers are a function of their inputs.

Two families give the same numbers. The older takes a seed of two integers; the other (V2 and V3) takes a key and a
counter, which `StatelessRandomGetKeyCounter` makes of such a seed, and an algorithm, which is always Philox here.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millstream.core import errors, shapes
from millstream.core.dtypes import ANY
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import from_value, same_as, scalar
from millstream.ops import index_shuffle, philox, random_binomial, random_kernels, random_rejection, truncated_normals
from millstream.ops.elementwise import unbroadcast
from millstream.ops.random_kernels import output_shape
from millstream.ops.random_ops import LOGITS, multinomial_shape, random_gamma_grad_op, samples, threads

if TYPE_CHECKING:
    from millstream.core.operation import Operation
    from millstream.core.tensor import Tensor

PHILOX = 1
THREEFRY = 2
AUTO_SELECT = 3

_FLOATS = "half, bfloat16, float, double"
_INTS = "int32, int64, uint32, uint64"
_NUMBERS = "half float double int32 int64"
_SEED = {"Tseed": "int32 int64 = int64"}


# --- From seeds to keys and counters ----------------------------------------------------------------------------------


def _seed_shapes(c: ShapeContext) -> list[Any]:
    seed = c.shape(0)
    if seed is not None and not shapes.is_compatible(seed, (2,)):
        raise ValueError(f"seed must have shape [2], not {shapes.format_shape(seed)}")
    return [(1,), (2,)]


@op(
    "StatelessRandomGetKeyCounter(seed: Tseed) -> key: uint64, counter: uint64", **_SEED, shape=_seed_shapes
)
def get_key_counter_op(xp, seed):
    (low, high), counter = _from_seed(xp, seed)
    return low | (high << 32), counter


@op(
    "StatelessRandomGetKeyCounterAlg(seed: Tseed) -> key: uint64, counter: uint64, alg: int32",
    **_SEED,
    shape=lambda c: [*_seed_shapes(c), ()],
)
def get_key_counter_alg_op(xp, seed):
    (low, high), counter = _from_seed(xp, seed)
    return low | (high << 32), counter, xp.asarray(PHILOX, xp.int32)


@op("StatelessRandomGetAlg() -> alg: int32", shape=scalar, stateful=True)
def get_alg_op(xp):
    return xp.asarray(PHILOX, xp.int32)


def _from_seed(xp: Any, seed: Any) -> tuple[philox.Key, Any]:
    """The key words and the counter that a seed of shape [2] stands for."""
    if seed.shape != (2,):
        raise ValueError(f"seed must have shape [2], not {shapes.format_shape(seed.shape)}")
    return philox.stateless_key(xp, seed)


def _from_key(key: Any, counter: Any, alg: Any) -> tuple[philox.Key, Any]:
    """The key words and the counter that inputs of the V2 family hold."""
    check_algorithm(alg)
    if key.shape != (1,):
        raise ValueError(
            f"key must have shape [1], not {shapes.format_shape(key.shape)}. "
            "(Note that batched keys are not supported yet.)"
        )
    if len(counter.shape) != 1 or counter.shape[0] < 2:
        raise ValueError(
            f"counter must be a vector with length at least 2; got shape: {shapes.format_shape(counter.shape)}. "
            "(Note that batched counters are not supported yet.)"
        )
    return (key & philox.MASK, key >> 32), counter[:2]


def check_algorithm(alg: Any) -> None:
    """Raises UnimplementedError or InvalidArgumentError where the numbers of an algorithm (a scalar) are not there."""
    number = int(alg)
    if number == THREEFRY:
        raise errors.UnimplementedError(None, None, "Non-XLA devices don't support the ThreeFry algorithm.")
    if number not in (PHILOX, AUTO_SELECT):
        raise errors.InvalidArgumentError(None, None, f"Unsupported algorithm id: {number}")


# --- Independent numbers ----------------------------------------------------------------------------------------------


def _filling(name: str, name_v2: str, generate: Callable[..., Any], kinds: str, default: str) -> tuple[OpDef, OpDef]:
    """The operations of both families that fill a shape by `generate(xp, key, counter, shape, dtype)`."""

    @op(
        f"{name}(shape: T, seed: Tseed, *, dtype: type{{{kinds}}} = {default}) -> output: dtype",
        T="int32 int64 = int32" if default == "float" else "int32 int64",
        **(_SEED if default == "float" else {"Tseed": "int32 int64 uint32 uint64 = int64"}),
        shape=from_value(0),
        static=("shape",),
    )
    def kernel(xp, shape, seed, *, dtype):
        return generate(xp, *_from_seed(xp, seed), output_shape(shape), dtype.as_numpy_dtype)

    @op(
        f"{name_v2}(shape: Tshape, key: uint64, counter: uint64, alg: int32, *, dtype: type{{{kinds}}} = {default})"
        " -> output: dtype",
        Tshape="int32 int64 = int32",
        shape=from_value(0),
        static=("shape", "alg"),
    )
    def kernel_v2(xp, shape, key, counter, alg, *, dtype):
        return generate(xp, *_from_key(key, counter, alg), output_shape(shape), dtype.as_numpy_dtype)

    for definition in (kernel, kernel_v2):
        definition.no_gradient("random numbers do not depend on the seed smoothly")
    return kernel, kernel_v2


uniform_op, uniform_v2_op = _filling(
    "StatelessRandomUniform", "StatelessRandomUniformV2", random_kernels.uniform, _FLOATS, "float"
)
normal_op, normal_v2_op = _filling(
    "StatelessRandomNormal", "StatelessRandomNormalV2", random_kernels.normal, _FLOATS, "float"
)
truncated_normal_op, truncated_normal_v2_op = _filling(
    "StatelessTruncatedNormal", "StatelessTruncatedNormalV2", random_kernels.truncated_normal, _FLOATS, "float"
)
full_int_op, full_int_v2_op = _filling(
    "StatelessRandomUniformFullInt", "StatelessRandomUniformFullIntV2", random_kernels.full_int, _INTS, "uint64"
)


@op(
    "StatelessRandomUniformInt(shape: T, seed: Tseed, minval: dtype, maxval: dtype) -> output: dtype",
    dtype="int32 int64",
    T="int32 int64",
    **_SEED,
    shape=from_value(0),
    static=("shape",),
)
def uniform_int_op(xp, shape, seed, minval, maxval, *, check):
    random_kernels.check_bounds(minval, maxval, check)
    return random_kernels.uniform_int(xp, *_from_seed(xp, seed), output_shape(shape), minval.dtype, minval, maxval)


@op(
    "StatelessRandomUniformIntV2(shape: Tshape, key: uint64, counter: uint64, alg: int32, minval: dtype, maxval: dtype)"
    " -> output: dtype",
    dtype="int32 int64 uint32 uint64",
    Tshape="int32 int64 = int32",
    shape=from_value(0),
    static=("shape", "alg"),
)
def uniform_int_v2_op(xp, shape, key, counter, alg, minval, maxval, *, check):
    random_kernels.check_bounds(minval, maxval, check)
    start = _from_key(key, counter, alg)
    return random_kernels.uniform_int(xp, *start, output_shape(shape), minval.dtype, minval, maxval)


@op(
    "StatelessMultinomial(logits: T, num_samples: int32, seed: Tseed, *, output_dtype: type{int32, int64} = int64)"
    " -> output: output_dtype",
    T=LOGITS,
    **_SEED,
    shape=multinomial_shape,
    static=("num_samples",),
)
def multinomial_op(xp, logits, num_samples, seed, *, output_dtype):
    count = samples(logits, num_samples)
    return random_kernels.multinomial(xp, *_from_seed(xp, seed), logits, count, output_dtype.as_numpy_dtype)


@op(
    "StatelessShuffle(value: T, key: uint64, counter: uint64, alg: int32) -> output: T",
    T=ANY,
    shape=same_as(0),
    static=("alg",),
)
def shuffle_op(xp, value, key, counter, alg):
    return random_kernels.shuffle(xp, *_from_key(key, counter, alg), value)


# --- Numbers that depend on parameters --------------------------------------------------------------------------------


def leading_shape(shape: tuple[int, ...], parameters: tuple[int, ...]) -> tuple[int, ...]:
    """The leading dimensions of a result's shape, which must end with that of the parameters."""
    leading = len(shape) - len(parameters)
    if leading < 0 or shape[leading:] != parameters:
        raise ValueError("Shape passed in must end with broadcasted shape.")
    return shape[:leading]


@op(
    "StatelessRandomGammaV2(shape: T, seed: Tseed, alpha: dtype) -> output: dtype",
    dtype="half float double",
    T="int32 int64",
    **_SEED,
    shape=from_value(0),
    host=True,
)
def gamma_v2_op(xp, shape, seed, alpha):
    repeats = leading_shape(output_shape(shape), alpha.shape)
    return random_rejection.gamma(*_from_seed(xp, seed), repeats, alpha)


@op(
    "StatelessRandomGammaV3(shape: shape_dtype, key: uint64, counter: uint64, alg: int32, alpha: dtype)"
    " -> output: dtype",
    dtype="half float double",
    shape_dtype="int32 int64 = int32",
    shape=from_value(0),
    host=True,
)
def gamma_v3_op(xp, shape, key, counter, alg, alpha):
    repeats = leading_shape(output_shape(shape), alpha.shape)
    return random_rejection.gamma(*_from_key(key, counter, alg), repeats, alpha)


@gamma_v2_op.gradient
def _(op, grad):
    return None, None, _gamma_gradient(op, op.inputs[2], grad)


@gamma_v3_op.gradient
def _(op, grad):
    return None, None, None, None, _gamma_gradient(op, op.inputs[4], grad)


def _gamma_gradient(op: Operation, alpha: Tensor, grad: Tensor) -> Tensor:
    sample = op.outputs[0]
    return unbroadcast(grad * random_gamma_grad_op(alpha, sample), alpha, sample)


@op(
    "StatelessRandomPoisson(shape: T, seed: Tseed, lam: Rtype, *, dtype: type{half, float, double, int32, int64})"
    " -> output: dtype",
    Rtype=_NUMBERS,
    T="int32 int64",
    **_SEED,
    shape=from_value(0),
    host=True,
)
def poisson_op(xp, shape, seed, lam, *, dtype):
    repeats = leading_shape(output_shape(shape), lam.shape)
    return random_rejection.poisson(*_from_seed(xp, seed), repeats, lam, dtype.as_numpy_dtype)


@op(
    "StatelessRandomBinomial(shape: S, seed: Tseed, counts: T, probs: T,"
    " *, dtype: type{half, float, double, int32, int64} = int64) -> output: dtype",
    S="int32 int64",
    T=f"{_NUMBERS} = double",
    **_SEED,
    shape=from_value(0),
    host=True,
)
def binomial_op(xp, shape, seed, counts, probs, *, dtype):
    repeats = leading_shape(output_shape(shape), xp.broadcast_shapes(counts.shape, probs.shape))
    return random_binomial.binomial(*_from_seed(xp, seed), repeats, counts, probs, dtype.as_numpy_dtype)


@op(
    "StatelessParameterizedTruncatedNormal(shape: S, seed: Tseed, means: dtype, stddevs: dtype, minvals: dtype,"
    " maxvals: dtype) -> output: dtype",
    dtype="half float double",
    S="int32 int64",
    **_SEED,
    shape=from_value(0),
    host=True,
)
def parameterized_truncated_normal_op(xp, shape, seed, means, stddevs, minvals, maxvals):
    parameters = xp.broadcast_arrays(means, stddevs, minvals, maxvals)
    repeats = leading_shape(output_shape(shape), parameters[0].shape)
    return truncated_normals.draw(*_from_seed(xp, seed), repeats, *parameters, threads=threads())


@parameterized_truncated_normal_op.gradient
def _(op, grad):
    """By implicit reparameterisation. Like TensorFlow's, as though the bounds moved with the mean and the deviation."""
    from millstream.ops.elementwise_ops import exp, square

    sample, (mean, stddev, low, high) = op.outputs[0], op.inputs[2:]
    x, low_x, high_x = ((value - mean) / stddev for value in (sample, low, high))
    below = _share_below(x, low_x, high_x)
    by_low = grad * exp((square(x) - square(low_x)) / 2) * (1 - below)
    by_high = grad * exp((square(x) - square(high_x)) / 2) * below
    partials = zip((grad, grad * x, by_low, by_high), op.inputs[2:], strict=True)
    return None, None, *(unbroadcast(partial, parameter, sample) for partial, parameter in partials)


def _share_below(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How much of the normal distribution between `low` and `high` is below `x`, computed in the thinner tail."""
    from millstream.ops.select_ops import where_v2
    from millstream.ops.special_math_ops import erfc

    in_right = low + high > 0
    at_x, at_low, at_high = (erfc(math.sqrt(0.5) * where_v2(in_right, value, -value)) for value in (x, low, high))
    return (at_x - at_low) / (at_high - at_low)


# --- Places in a permutation ------------------------------------------------------------------------------------------


def _index_shuffle_shape(c: ShapeContext) -> Any:
    index, seed, largest = c.shape(0), c.shape(1), c.shape(2)
    if index is None or seed is None or largest is None:
        return None
    if len(index) > 1 or len(largest) > 1 or not (seed[-1:] in ((3,), (None,)) and len(seed) <= 2):
        return None  # the kernel says what is wrong
    return shapes.broadcast(shapes.broadcast(index, seed[:-1]), largest)


@op(
    "RandomIndexShuffle(index: dtype, seed: Tseed, max_index: dtype, *, rounds: int = 4) -> output: dtype",
    dtype="int32 uint32 int64 uint64",
    Tseed="int32 uint32 int64 uint64",
    shape=_index_shuffle_shape,
    host=True,
)
def random_index_shuffle_op(xp, index, seed, max_index, *, rounds):
    _check_index_shuffle(index, seed, max_index)
    index, largest, *words = xp.broadcast_arrays(index, max_index, *(seed[..., i] for i in range(3)))
    for at, most in zip(index.flat, largest.flat, strict=True):
        _check_index(int(at), int(most))
    places = [
        index_shuffle.shuffled(int(at), [int(word) for word in key], int(most), rounds)
        for at, most, *key in zip(index.flat, largest.flat, *(word.flat for word in words), strict=True)
    ]
    return xp.array(places, index.dtype).reshape(index.shape)


def _check_index_shuffle(index: Any, seed: Any, max_index: Any) -> None:
    for name, value in (("Index", index), ("max_index", max_index)):
        if value.ndim > 1:
            raise ValueError(f"{name} must be a scalar or vector.")
    rows = max(index.size, max_index.size)
    if seed.shape != (3,) and (seed.ndim != 2 or seed.shape[1] != 3 or rows not in (1, seed.shape[0])):
        got = shapes.format_shape(seed.shape)
        raise ValueError(f"Seed must be a vector of size [3] or a matrix of size [{rows}, 3] but got {got}.")


def _check_index(index: int, most: int) -> None:
    if index < 0:
        raise ValueError(f"index must be >= 0 but was {index}")
    if most < 0:
        raise ValueError(f"max_index must be >= 0 but was {most}")
    if most < index:
        raise ValueError(f"max_index must be >= index, but {most} < {index}")


for _definition in (
    uniform_int_op, uniform_int_v2_op, multinomial_op, shuffle_op, poisson_op, binomial_op, random_index_shuffle_op,
    get_key_counter_op, get_key_counter_alg_op, get_alg_op,
):  # fmt: skip
    _definition.no_gradient("random choices are not differentiable")
