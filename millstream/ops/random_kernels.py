"""Random numbers of TensorFlow's kernels from Philox blocks, for NumPy arrays and for traced JAX arrays.

On CPU the native library draws them. Where it is not there, or a few numbers are not worth loading it, they are drawn
here: how words become numbers is written as functions of words (`Cell`), which are evaluated in two layouts:

- NumPy: whole blocks, some thousands at a time, so that temporaries stay in the processor's cache;
- traced: element by element, each element computing its own block and taking its lane. XLA makes one
  vectorised loop of that; placing a block's four words side by side would cost it more than computing them
  anew.

All give the same bits. Values of shape `shape` fill it in row-major order.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core.errors import InvalidArgumentError
from millstream.core.shapes import format_shape
from millstream.native import Like, kernel, random_numbers
from millstream.ops import libm
from millstream.ops.arguments import to_shape
from millstream.ops.philox import MASK, Array, Key, is_shuffled, words

_CHUNK = 16384
_EPSILON = 1e-7
_CUT = 2


class Cell(NamedTuple):
    """The smallest unit of a distribution: a function from `words` words of a block to `values` values."""

    function: Callable[..., tuple[Array, ...]]
    words: int
    values: int

    @property
    def per_block(self) -> int:
        return 4 // self.words * self.values


def output_shape(values: Array) -> tuple[int, ...]:
    """The `shape` input of a random operation, in a kernel.

    Raises:
      ValueError: it is not a vector, or a dimension is negative.
    """
    if np.ndim(values) != 1:
        raise ValueError(f"shape must be a vector of {{int32,int64}}, got shape {format_shape(np.shape(values))}")
    return to_shape(values)


def uniform(xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any) -> Array:
    """Uniform numbers in [0, 1) of a float dtype."""
    return _draw(xp, "uniform", key, counter, shape, dtype)


def normal(xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any) -> Array:
    """Standard normal numbers of a float dtype; half and bfloat16 are rounded from float32."""
    return _draw(xp, "normal", key, counter, shape, dtype)


def truncated_normal(xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any) -> Array:
    """Standard normal numbers of a float dtype, drawn again until their absolute value is below 2.

    A group of `per_block` outputs has blocks of its own: it keeps what is below 2 until it is full.
    """
    return _draw(xp, "truncated_normal", key, counter, shape, dtype)


def full_int(xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any) -> Array:
    """Integers of 32 or 64 bits, of which all are equally likely."""
    return _draw(xp, "full_int", key, counter, shape, dtype)


def uniform_int(
    xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any, minval: Array, maxval: Array
) -> Array:
    """Integers of 32 or 64 bits in [minval, maxval), two scalars with minval < maxval."""
    low, high = (xp.asarray(bound, dtype=dtype).astype(_unsigned(np.dtype(dtype))) for bound in (minval, maxval))
    return _draw(xp, "uniform_int", key, counter, shape, dtype, low, high - low)


def check_bounds(minval: Array, maxval: Array, check: Callable[..., None]) -> None:
    """Demands in a kernel that the bounds of `uniform_int` are scalars, and the lower one below the upper."""
    for name, bound in (("minval", minval), ("maxval", maxval)):
        if bound.ndim:
            raise ValueError(f"{name} must be 0-D, got shape {format_shape(bound.shape)}")
    check(minval < maxval, InvalidArgumentError, "Need minval < maxval, got {0} >= {1}", minval, maxval)


def _draw(
    xp: Any, distribution: str, key: Key, counter: Array, shape: Sequence[int], dtype: Any, *bounds: Array
) -> Array:
    """Numbers of a distribution; `bounds` are the lowest number and how many there are."""
    shape, dtype = tuple(shape), np.dtype(dtype)
    words = [key[0] | (key[1] << 32), counter[0], counter[1], *bounds]
    parameters = xp.stack([xp.asarray(word, dtype=xp.uint64).reshape(()) for word in words])
    if xp is not np:
        return _traced(parameters, distribution=distribution, shape=shape, dtype=dtype)
    values = random_numbers.draw(distribution, parameters, shape, dtype)
    return _drawn(np, parameters, distribution, shape, dtype) if values is None else values


@kernel(
    "millstream_random",
    results=lambda parameters, *, distribution, shape, dtype: Like(shape, dtype),
    serves=random_numbers.serves,
    attributes=random_numbers.attributes,
)
def _traced(parameters: Array, *, distribution: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Numbers of a distribution whose parameters are in one array; see `random_numbers`."""
    import jax.numpy as jnp

    return _drawn(jnp, parameters, distribution, shape, dtype)


def _drawn(xp: Any, parameters: Array, distribution: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """`_traced`, for NumPy arrays too."""
    key, counter = (parameters[0] & MASK, parameters[0] >> 32), parameters[1:3]
    if distribution == "truncated_normal":
        return _truncated(xp, key, counter, shape, dtype)
    return _fill(xp, key, counter, shape, dtype, _cell(distribution, dtype, parameters[3:]))


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"uint{8 * dtype.itemsize}")


def _joined(word: Array, *upper: Array) -> Array:
    """One word, or two as the halves of a number, the lower first."""
    for more in upper:
        word = word | (more << 32)
    return word


def shuffle(xp: Any, key: Key, counter: Array, value: Array) -> Array:
    """`value` with its slices along the first dimension in random order (Fisher-Yates, from the front)."""
    if not is_shuffled(value.shape):
        return value
    n = value.shape[0]
    index = xp.arange(-(-(n - 1) // 4), dtype=xp.uint64)
    drawn = xp.stack(words(key, xp.asarray(counter, dtype=xp.uint64), index), axis=-1).reshape(-1)[: n - 1]
    targets = (drawn % xp.arange(n, 1, -1, dtype=xp.uint64)).astype(xp.int64) + xp.arange(n - 1)
    order = _swapped(n, targets) if xp is np else _swapped_traced(n, targets)
    return xp.take(value, order, axis=0)


def multinomial(
    xp: Any, key: Key, counter: Array, logits: Array, num_samples: int, dtype: Any, threads: int = 1
) -> Array:
    """Class indices [batch, num_samples] of dtype `dtype`, drawn from unnormalised log-probabilities.

    Args:
      logits: [batch, classes] of any real dtype; a class whose logit is not finite is never drawn, and a row
        without a finite logit gives `classes`.
      threads: TensorFlow's kernel deals rows out to its threads and starts each share at a block of its own,
        so its numbers depend on how many threads there are (`rows_per_shard`); 1 is a single thread's order.
    """
    batch, classes = logits.shape
    row = xp.arange(batch, dtype=xp.uint64)[:, None]
    first = row - row % rows_per_shard(batch, classes, num_samples, threads)
    pair = first * (num_samples + 3) // 4 * 2 + (row - first) * num_samples
    pair = pair + xp.arange(num_samples, dtype=xp.uint64)
    w = words(key, xp.asarray(counter, dtype=xp.uint64), pair // 2)
    (drawn,) = _uniform64(xp, _select(xp, pair % 2, w[0::2]), _select(xp, pair % 2, w[1::2]))
    sums = xp.cumsum(_weights(xp, logits.astype(xp.float64)), axis=1)
    drawn = drawn * sums[:, -1:]
    if xp is np:
        places = [np.searchsorted(*row, side="right") for row in zip(sums, drawn, strict=True)]
        return np.array(places, dtype).reshape(batch, num_samples)
    from jax import vmap

    return vmap(lambda row, values: xp.searchsorted(row, values, side="right"))(sums, drawn).astype(dtype)


def rows_per_shard(batch: int, classes: int, num_samples: int, threads: int) -> int:
    """Rows of logits that one task of TensorFlow's Multinomial kernel takes on a pool of `threads` threads."""
    return task_size(batch, int(50 * (num_samples * math.log2(max(classes, 1)) + classes)), threads)


def task_size(units: int, cost: int, threads: int) -> int:
    """Units of work of one task where TensorFlow deals `units` of an estimated `cost` out to a pool of threads.

    The pool weighs the cost of a unit against the costs of starting threads and tasks.
    """
    if units <= 1 or min(threads, int((units * cost - 100_000) / 100_000 + 0.9)) <= 1:
        return max(units, 1)

    def efficiency(size: int) -> float:
        count = -(-units // size)
        return count / (-(-count // threads) * threads)

    size = min(units, max(-(-units // (4 * threads)), int(40_000 / cost)))
    most, best, count = min(units, 2 * size), efficiency(size), -(-units // size)
    while best < 1 and count > 1:
        coarser = -(-units // (count - 1))
        if coarser > most:
            break
        count = -(-units // coarser)
        if efficiency(coarser) + 0.01 >= best:
            size, best = coarser, max(best, efficiency(coarser))
    return size


def _weights(xp: Any, logits: Array) -> Array:
    """exp(logit - the row's largest), 0 where the logit is not finite."""
    finite = xp.isfinite(logits)
    peak = xp.max(xp.where(finite, logits, np.finfo(np.float64).min), axis=1, keepdims=True)
    return xp.where(finite, xp.exp(xp.where(finite, logits - peak, 0)), 0)


def _swapped(n: int, targets: np.ndarray) -> np.ndarray:
    """0..n-1 after swapping places i and targets[i], for i = 0, 1, ..."""
    order = list(range(n))
    for i, target in enumerate(targets.tolist()):
        order[i], order[target] = order[target], order[i]
    return np.array(order)


def _swapped_traced(n: int, targets: Array) -> Array:
    """`_swapped` as a compiled loop."""
    import jax.numpy as jnp
    from jax import lax

    def swap(i: Array, order: Array) -> Array:
        places = jnp.stack([i, targets[i]])
        return order.at[places].set(order[places[::-1]])  # one update: two would copy the array each time

    return lax.fori_loop(0, n - 1, swap, jnp.arange(n))


# Words to numbers.


def _unit(word: Array, bits: int, dtype: Any) -> Array:
    """The word's low `bits` bits as a float in [0, 1)."""
    return (word & (2**bits - 1)).astype(np.int32).astype(dtype) * np.dtype(dtype).type(2.0**-bits)


def _uniform16(xp: Any, word: Array) -> tuple[Array]:
    return (_unit(word, 10, np.float32),)


def _uniform_bfloat16(xp: Any, word: Array) -> tuple[Array]:
    return (_unit(word, 7, np.float32),)


def _uniform32(xp: Any, word: Array) -> tuple[Array]:
    return (_unit(word, 23, np.float32),)


def _uniform64(xp: Any, high: Array, low: Array) -> tuple[Array]:
    return (((high & 0xFFFFF) << 32 | low).astype(np.int64).astype(np.float64) * 2.0**-52,)


def _normal32(xp: Any, word: Array, angle: Array) -> tuple[Array, Array]:
    """Box and Muller's transform; the angle is a product in double precision, as in TensorFlow."""
    u = xp.maximum(_unit(word, 23, np.float32), np.float32(_EPSILON))
    radius = xp.sqrt(np.float32(-2) * libm.log32(xp, u))
    sin, cos = libm.sin_cos32(xp, (_unit(angle, 23, np.float64) * (2 * math.pi)).astype(np.float32))
    return sin * radius, cos * radius


def _normal64(xp: Any, *w: Array) -> tuple[Array, Array]:
    (u,), (turn,) = _uniform64(xp, *w[:2]), _uniform64(xp, *w[2:])
    radius = xp.sqrt(-2 * libm.log64(xp, xp.maximum(u, _EPSILON)))
    return xp.sin(turn * (2 * math.pi)) * radius, xp.cos(turn * (2 * math.pi)) * radius


UNIFORM64 = Cell(_uniform64, 2, 1)
NORMAL64 = Cell(_normal64, 4, 2)
_NORMAL32 = Cell(_normal32, 2, 2)
_UNIFORM = {
    "float16": Cell(_uniform16, 1, 1),
    "bfloat16": Cell(_uniform_bfloat16, 1, 1),
    "float32": Cell(_uniform32, 1, 1),
    "float64": UNIFORM64,
}


def _normal_cell(dtype: np.dtype[Any]) -> Cell:
    return NORMAL64 if dtype == np.float64 else _NORMAL32


def _cell(distribution: str, dtype: np.dtype[Any], bounds: Array) -> Cell:
    """How words become numbers of a distribution; `bounds` are the lowest integer and how many there are."""
    if distribution == "uniform":
        return _UNIFORM[dtype.name]
    if distribution == "normal":
        return _normal_cell(dtype)

    unsigned = _unsigned(dtype)
    low, count = bounds[:1].astype(unsigned), bounds[1:].astype(unsigned)

    def integer(xp: Any, *w: Array) -> tuple[Array]:
        drawn = _joined(*w).astype(unsigned)
        return ((drawn if distribution == "full_int" else drawn % count + low).astype(dtype),)

    return Cell(integer, dtype.itemsize // 4, 1)


# Laying the numbers out.


def _fill(xp: Any, key: Key, counter: Array, shape: Sequence[int], dtype: Any, cell: Cell) -> Array:
    """An array of the given shape and dtype whose blocks follow one another from `counter` on."""
    count, counter = math.prod(shape), xp.asarray(counter, dtype=xp.uint64)
    if xp is not np:
        element = xp.arange(count, dtype=xp.uint64 if count >= 2**32 else xp.uint32)
        block, lane = (element // cell.per_block).astype(xp.uint64), element % cell.per_block
        return _value_at(xp, key, counter, cell, block, lane).astype(dtype).reshape(shape)
    out = np.empty((-(-count // cell.per_block), cell.per_block), dtype)
    for part in _chunks(len(out)):
        out[part] = block_values(key, counter, cell, np.arange(part.start, part.stop, dtype=np.uint64)).T
    return out.reshape(-1)[:count].reshape(shape)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


def block_values(key: Key, counter: Array, cell: Cell, index: Array) -> Array:
    """All values of the blocks at `index` [n], in order: [per_block, n]."""
    w = words(key, counter, index)
    values = cell.function(np, *(np.stack(w[i :: cell.words]) for i in range(cell.words)))
    return np.stack(values, axis=1).reshape(cell.per_block, len(index))


def _value_at(xp: Any, key: Key, counter: Array, cell: Cell, index: Array, lane: Array) -> Array:
    """The `lane`-th value of the block at `index`, elementwise."""
    w = words(key, counter, index)
    chosen = (_select(xp, lane // cell.values, w[i :: cell.words]) for i in range(cell.words))
    return _select(xp, lane % cell.values, cell.function(xp, *chosen))


def _select(xp: Any, index: Array, choices: Sequence[Array]) -> Array:
    """choices[index], elementwise, without a gather."""
    result = choices[-1]
    for i, choice in enumerate(choices[:-1]):
        result = xp.where(index == i, choice, result)
    return result


def _truncated(xp: Any, key: Key, counter: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Normal numbers below the cut; see `truncated_normal`."""
    cell, count = _normal_cell(dtype), math.prod(shape)
    groups = -(-count // cell.per_block)
    by_group = _truncated_by_block if xp is np else _truncated_by_element
    return by_group(key, counter, groups, cell).reshape(-1)[:count].reshape(shape).astype(dtype)


def _group_stride(cell: Cell) -> int:
    """Blocks between the starts of two groups of a truncated normal."""
    return 64 * cell.per_block


def _truncated_by_block(key: Key, counter: Array, groups: int, cell: Cell) -> np.ndarray:
    """Truncated normals [groups, per_block] in NumPy; only groups that lack values take further blocks."""
    size = cell.per_block
    out = np.empty((groups, size), np.float64 if cell is NORMAL64 else np.float32)
    for part in _chunks(groups):
        filled, start = out[part], np.arange(part.start, part.stop, dtype=np.uint64) * _group_stride(cell)
        drawn = block_values(key, counter, cell, start)
        filled[...] = drawn.T
        lacking = np.nonzero(~(np.abs(drawn) < _CUT).all(axis=0))[0]
        drawn, start = drawn[:, lacking], start[lacking]
        while len(lacking):
            start = start + 1
            drawn = np.concatenate([drawn, block_values(key, counter, cell, start)])
            kept = np.abs(drawn) < _CUT
            kept &= np.cumsum(kept, axis=0) <= size
            full = np.count_nonzero(kept, axis=0) == size
            filled[lacking[full]] = drawn.T[(kept & full).T].reshape(-1, size)
            lacking, start, drawn = lacking[~full], start[~full], drawn[:, ~full]
    return out


def _truncated_by_element(key: Key, counter: Array, groups: int, cell: Cell) -> Array:
    """Truncated normals [groups, per_block] in JAX.

    The loop only decides which draws each group keeps: it pushes their numbers, from 1, as 16-bit fields
    into one uint64 until the first of them reaches the top field. With a single array carried a step is one
    vectorised loop; were the values carried, XLA would compute all of them once for each. They are computed
    afterwards.
    """
    import jax.numpy as jnp
    from jax import lax

    size = cell.per_block
    start = jnp.arange(groups, dtype=jnp.uint64) * _group_stride(cell)
    first_field = 16 * (size - 1)

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        block, kept = state
        w = words(key, counter, start + block)
        for i in range(0, 4, cell.words):
            for j, value in enumerate(cell.function(jnp, *w[i : i + cell.words])):
                draw = block * size + i // cell.words * cell.values + j + 1
                keep = (jnp.abs(value) < _CUT) & (kept >> first_field == 0)
                kept = jnp.where(keep, kept << 16 | draw, kept)
        return block + 1, kept

    def lacking(state: tuple[Array, Array]) -> Array:
        return jnp.any(state[1] >> first_field == 0)

    _, kept = lax.while_loop(lacking, step, (jnp.uint64(0), jnp.zeros(groups, jnp.uint64)))
    field = jnp.arange(size, dtype=jnp.uint64)[::-1] * 16
    draw = (kept[:, None] >> field & 0xFFFF) - 1
    return _value_at(jnp, key, counter, cell, start[:, None] + draw // size, draw % size)
