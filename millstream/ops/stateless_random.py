"""`tf.random.stateless_*` and functions of seeds: numbers that depend on nothing but the arguments.

Where both versions have a function, the first draws with the operations of 1.x, from a seed; the second with those of
2.x, from a key and a counter. The numbers are the same.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.opdef import OpDef
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import stateless_random_ops as definitions
from millstream.ops.random_algorithms import algorithm_id
from millstream.ops.random_ops import scaled, shape_tensor, uniform_between

_V2_UNIFORM = (*dtypes.FLOATS, dtypes.int32, dtypes.int64, dtypes.uint32, dtypes.uint64)


def _from_key(definition: OpDef, seed: Any, alg: Any) -> Callable[..., Tensor]:
    """`definition`, one of the V2 family, as a function of (shape, further inputs)."""

    def draw(shape: Any, *inputs: Any, **options: Any) -> Tensor:
        key, counter = definitions.get_key_counter_op(seed)
        return definition(shape, key, counter, algorithm_id(alg), *inputs, **options)

    return draw


# --- Independent numbers ----------------------------------------------------------------------------------------------


@export(v1=["random.stateless_uniform"])
def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Uniform random numbers in [minval, maxval) that depend on nothing but the arguments.

    Args:
      shape: the result's shape.
      seed: two integers, int32 or int64 of shape [2].
      minval, maxval: the bounds; `maxval` is 1 by default for floats, integers need it.
      dtype: half, bfloat16, float32, float64, int32 or int64.
      name: the name scope.

    Raises:
      ValueError: another dtype, or integers without `maxval`.
    """

    def draw(shape: Tensor, *bounds: Tensor, **options: Any) -> Tensor:
        definition = definitions.uniform_int_op if bounds else definitions.uniform_op
        return definition(shape, seed, *bounds, **options)

    return uniform_between(draw, draw, "stateless_random_uniform", shape, minval, maxval, dtype, name)


@export(v2=["random.stateless_uniform"])
def stateless_uniform_v2(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32, name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:  # fmt: skip
    """Uniform random numbers in [minval, maxval) that depend on nothing but the arguments.

    Args:
      shape: the result's shape.
      seed: two integers, int32 or int64 of shape [2].
      minval, maxval: the bounds; `maxval` is 1 by default for floats. For integers both are given, or both are None:
        then all values of the dtype are drawn.
      dtype: half, bfloat16, float32, float64, int32, int64; without bounds uint32 and uint64, too.
      name: the name scope.
      alg: the generator, see `tf.random.Algorithm`.

    Raises:
      ValueError: the dtype does not go with the bounds.

    Example:
      >>> tf.random.stateless_uniform([2], seed=[1, 2])        # 0.8440604, 0.19204533
    """
    wanted = dtypes.as_dtype(dtype)
    _check_uniform(wanted, minval, maxval)
    if wanted.is_integer and minval is None:
        with name_scope(name, "stateless_random_uniform", [shape, seed]) as scope:
            draw = _from_key(definitions.full_int_v2_op, seed, alg)
            return draw(shape_tensor(shape), dtype=wanted, name=scope)
    return uniform_between(
        _from_key(definitions.uniform_v2_op, seed, alg), _from_key(definitions.uniform_int_v2_op, seed, alg),
        "stateless_random_uniform", shape, minval, maxval, wanted, name,
    )  # fmt: skip


def _check_uniform(dtype: DType, minval: Any, maxval: Any) -> None:
    if dtype not in _V2_UNIFORM:
        accepted = ", ".join(map(repr, _V2_UNIFORM))
        raise ValueError(f"Argument `dtype` got invalid value {dtype}. Accepted dtypes are ({accepted}).")
    if not dtype.is_integer:
        return
    if (minval is None) != (maxval is None):
        raise ValueError(
            f"For integer `dtype` argument {dtype}, argument `minval` and `maxval` must be both None or not None. "
            f"Got `minval`={minval} and `maxval`={maxval}."
        )
    if minval is not None and dtype in (dtypes.uint32, dtypes.uint64):
        raise ValueError(
            f"Argument `dtype` got invalid value {dtype} when argument `minval` is not None. "
            "Please don't use unsigned integers in this case."
        )


@export(v1=["random.stateless_normal"])
def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Normal random numbers that depend on nothing but the arguments; see `tf.random.stateless_uniform`."""
    return scaled(
        lambda dims: definitions.normal_op(dims, seed, dtype=dtype),
        "stateless_random_normal", shape, mean, stddev, dtype, name,
    )  # fmt: skip


@export(v2=["random.stateless_normal"])
def stateless_normal_v2(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:  # fmt: skip
    """Normal random numbers that depend on nothing but the arguments.

    Args:
      shape: the result's shape.
      seed: two integers, int32 or int64 of shape [2].
      mean, stddev: of `dtype`, broadcastable to the shape.
      dtype: half, bfloat16, float32 or float64.
      name: the name scope.
      alg: the generator, see `tf.random.Algorithm`.
    """
    draw = _from_key(definitions.normal_v2_op, seed, alg)
    return scaled(
        lambda dims: draw(dims, dtype=dtype), "stateless_random_normal", shape, mean, stddev, dtype, name
    )  # fmt: skip


@export(v1=["random.stateless_truncated_normal"])
def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Truncated normal random numbers that depend on nothing but the arguments; see `tf.truncated_normal`."""
    return scaled(
        lambda dims: definitions.truncated_normal_op(dims, seed, dtype=dtype),
        "stateless_truncated_normal", shape, mean, stddev, dtype, name,
    )  # fmt: skip


@export(v2=["random.stateless_truncated_normal"])
def stateless_truncated_normal_v2(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32, name: str | None = None,
    alg: Any = "auto_select",
) -> Tensor:  # fmt: skip
    """Normal random numbers at most two standard deviations from the mean, that depend on nothing but the arguments.

    See `tf.random.stateless_normal` for the arguments.
    """
    draw = _from_key(definitions.truncated_normal_v2_op, seed, alg)
    return scaled(
        lambda dims: draw(dims, dtype=dtype), "stateless_truncated_normal", shape, mean, stddev, dtype, name
    )  # fmt: skip


@export(v1=["random.stateless_multinomial"])
def stateless_multinomial(
    logits: Any, num_samples: Any, seed: Any, output_dtype: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """Draws classes as `tf.multinomial` does, depending on nothing but the arguments."""
    return _draw_classes(name, "stateless_multinomial", logits, num_samples, seed, output_dtype)


@export("random.stateless_categorical")
def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """Draws classes as `tf.random.categorical` does, depending on nothing but the arguments.

    Args:
      logits: [batch, classes], unnormalised log-probabilities.
      num_samples: how many to draw for each row.
      seed: two integers, int32 or int64 of shape [2].
      dtype: of the result, int64 or int32.
      name: the name scope.
    """
    return _draw_classes(name, "stateless_categorical", logits, num_samples, seed, dtype)


def _draw_classes(name: Any, default_name: str, logits: Any, num_samples: Any, seed: Any, dtype: Any) -> Tensor:
    with name_scope(name, default_name, [logits, seed]):
        logits = to_tensor(logits, name="logits")
        return definitions.multinomial_op(logits, num_samples, seed, output_dtype=dtypes.as_dtype(dtype))


# --- Numbers that depend on parameters --------------------------------------------------------------------------------


@export(v2=["random.stateless_gamma"])
def stateless_gamma(
    shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = dtypes.float32, name: str | None = None
) -> Tensor:
    """Gamma-distributed numbers that depend on nothing but the arguments, differentiable by `alpha` and `beta`.

    Args:
      shape: the result's shape; it ends with that of `alpha` and `beta`, broadcast.
      seed: two integers, int32 or int64 of shape [2].
      alpha: the shape parameter, of `dtype`.
      beta: the inverse scale, broadcastable with `alpha`; default 1.
      dtype: half, float32 or float64.
      name: the name scope.

    Raises:
      InvalidArgumentError: the shape does not end with that of the parameters.
    """
    from millstream.ops import arithmetic_ops, reshape_ops, shape_ops

    wanted = dtypes.as_dtype(dtype)
    with name_scope(name, "stateless_random_gamma", [shape, seed, alpha, beta]):
        dims = shape_tensor(shape)
        alpha = to_tensor(alpha, dtype=wanted, name="alpha")
        beta = to_tensor(1 if beta is None else beta, dtype=wanted, name="beta")
        common = shape_ops.broadcast_dynamic_shape(shape_ops.shape(alpha), shape_ops.shape(beta))
        key, counter = definitions.get_key_counter_op(seed)
        spread = reshape_ops.broadcast_to(alpha, common)
        drawn = definitions.gamma_v3_op(dims, key, counter, definitions.AUTO_SELECT, spread)
        tiny = np.array(np.finfo(wanted.as_numpy_dtype).tiny)
        return arithmetic_ops.maximum(tiny, drawn / beta)


@export(v2=["random.stateless_poisson"])
def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Poisson-distributed numbers that depend on nothing but the arguments.

    Args:
      shape: the result's shape; it ends with that of `lam`.
      seed: two integers, int32 or int64 of shape [2].
      lam: the rates, a float or integer tensor.
      dtype: half, float32, float64, int32 or int64.
      name: the name scope.

    Raises:
      InvalidArgumentError: the shape does not end with that of the rates.
    """
    with name_scope(name, "stateless_random_poisson", [shape, seed, lam]):
        return definitions.poisson_op(shape_tensor(shape), seed, lam, dtype=dtypes.as_dtype(dtype))


@export(v2=["random.stateless_binomial"])
def stateless_binomial(
    shape: Any, seed: Any, counts: Any, probs: Any, output_dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Binomially distributed numbers that depend on nothing but the arguments.

    Args:
      shape: the result's shape; it ends with that of `counts` and `probs`, broadcast.
      seed: two integers, int32 or int64 of shape [2].
      counts: the numbers of trials, of the dtype of `probs`.
      probs: the probabilities of success.
      output_dtype: half, float32, float64, int32 or int64.
      name: the name scope.

    Raises:
      InvalidArgumentError: the shape does not end with that of the parameters.
    """
    with name_scope(name, "stateless_random_binomial", [shape, seed, counts, probs]):
        dims = shape_tensor(shape)
        probs = to_tensor(probs, name="probs")
        counts = to_tensor(counts, dtype=probs.dtype, name="counts")
        return definitions.binomial_op(dims, seed, counts, probs, dtype=dtypes.as_dtype(output_dtype))


@export(v2=["random.stateless_parameterized_truncated_normal"])
def stateless_parameterized_truncated_normal(
    shape: Any, seed: Any, means: Any = 0.0, stddevs: Any = 1.0, minvals: Any = -2.0, maxvals: Any = 2.0,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers between bounds, that depend on nothing but the arguments and are differentiable by them.

    Args:
      shape: the result's shape; it ends with that of the parameters, broadcast.
      seed: two integers, int32 or int64 of shape [2].
      means, stddevs: those of the distribution before it is cut; half, float32 or float64.
      minvals, maxvals: the bounds, of the same dtype; one of the two may be infinite.
      name: the name scope.

    Raises:
      InvalidArgumentError: the parameters make no sense, or the shape does not end with theirs.

    Source: Robert, "Simulation of truncated normal variables", 1995.
    """
    with name_scope(
        name, "stateless_parameterized_truncated_normal", [shape, means, stddevs, minvals, maxvals]
    ):
        parameters = zip(
            ("means", "stddevs", "minvals", "maxvals"), (means, stddevs, minvals, maxvals), strict=True
        )
        dims = shape_tensor(shape)
        tensors = [to_tensor(value, name=label) for label, value in parameters]
        return definitions.parameterized_truncated_normal_op(dims, seed, *tensors)


# --- Seeds and orders -------------------------------------------------------------------------------------------------


@export(v2=["random.split", "random.experimental.stateless_split"])
def split(seed: Any, num: Any = 2, alg: Any = "auto_select") -> Tensor:
    """Several new seeds from one.

    Args:
      seed: two integers, int32 or int64 of shape [2].
      num: how many.
      alg: the generator, see `tf.random.Algorithm`.

    Returns:
      [num, 2] of the dtype of `seed`.
    """
    seed = to_tensor(seed)
    return stateless_uniform_v2([num, 2], seed, None, None, seed.dtype, alg=alg)


@export(v2=["random.fold_in", "random.experimental.stateless_fold_in"])
def fold_in(seed: Any, data: Any, alg: Any = "auto_select") -> Tensor:
    """A new seed from a seed and a number, such as that of a step or of a replica.

    Args:
      seed: two integers, int32 or int64 of shape [2].
      data: an int32 or int64 scalar.
      alg: the generator, see `tf.random.Algorithm`.

    Returns:
      two integers of the dtype of `data`.
    """
    from millstream.ops.join_ops import stack

    data = to_tensor(data)
    return stack([stateless_uniform_v2([], seed, None, None, data.dtype, alg=alg), data])


@export(v2=["random.experimental.stateless_shuffle"])
def stateless_shuffle(value: Any, seed: Any, alg: Any = "auto_select", name: str | None = None) -> Tensor:
    """A tensor's slices along dimension 0 in an order that depends on nothing but the arguments.

    Args:
      value: any dtype, of shape [n, …].
      seed: two integers, int32 or int64 of shape [2].
      alg: the generator, see `tf.random.Algorithm`.
      name: the name scope.
    """
    with name_scope(name, "stateless_shuffle", [value, seed]):
        key, counter = definitions.get_key_counter_op(seed)
        return definitions.shuffle_op(value, key, counter, algorithm_id(alg))


@export(v2=["random_index_shuffle"])
def random_index_shuffle(index: Any, seed: Any, max_index: Any, rounds: int = 4, name: str | None = None) -> Tensor:
    """Where `index` goes in a random permutation of 0..max_index; `index_shuffle` with all parameters of the operation.

    Args:
      index: int32, int64, uint32 or uint64; a scalar or a vector.
      seed: three integers, or a row of three for each index.
      max_index: the greatest index, of the dtype of `index`.
      rounds: how often the bits are mixed; an even number from 4 on.
      name: the operation's name.
    """
    return definitions.random_index_shuffle_op(index, seed, max_index, rounds=rounds, name=name)


@export(v2=["random.experimental.index_shuffle"])
def index_shuffle(index: Any, seed: Any, max_index: Any) -> Tensor:
    """Where `index` is put in a random order of 0, 1, …, `max_index`, computed without the whole order.

    Args:
      index: integers in [0, max_index], a scalar or vector.
      seed: two integers, or one such pair for each index.
      max_index: the largest index, of the dtype of `index`.

    Raises:
      InvalidArgumentError: an index is out of range.

    Example:
      >>> [int(tf.random.experimental.index_shuffle(i, [1, 2], 4)) for i in range(5)]    # 0 to 4 in some order

    Source: Beaulieu et al., "The SIMON and SPECK families of lightweight block ciphers", 2013.
    """
    from millstream.ops.pad_ops import pad_v2

    seed = to_tensor(seed)
    rank = 1 if seed._shape is None else max(len(seed._shape), 1)
    keyed = pad_v2(seed, [[1, 0]] + [[0, 0]] * (rank - 1), constant_values=_INDEX_SHUFFLE_WORD)
    return definitions.random_index_shuffle_op(index, keyed, max_index)


_INDEX_SHUFFLE_WORD = 498247692  # the operation's key has three words: the first is always this
