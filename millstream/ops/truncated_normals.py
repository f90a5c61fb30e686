"""Normal numbers between bounds of their own, as TensorFlow's kernel draws them (NumPy only).

The samples of one parameter follow one another in the stream and take as many blocks as their rejections need. How to
draw depends on where the bounds lie: from the normal distribution itself where they leave much of it, else by rejection
from a uniform or, for a far tail, an exponential distribution.

Source: Robert, "Simulation of truncated normal variables", 1995.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.ops import libm
from millstream.ops.philox import Array, Key, advance
from millstream.ops.random_kernels import normal, task_size, uniform

# Bounds as far as this on one side, and on the other side of the mean, leave enough to draw normals.
_NORMALS_BEYOND = 1.3
_ELEMENTS_PER_OUTPUT = 2000  # by which the places of the kernel's tasks in the stream differ
_COST = {np.dtype(np.float16): 214, np.dtype(np.float32): 187, np.dtype(np.float64): 257}  # of one output
_FEWEST_GROUPS = 256  # that are drawn at once: with none of them kept the parameters make no sense
_MOST_GROUPS = 16384


def draw(
    key: Key,
    counter: Any,
    shape: Sequence[int],
    means: Array,
    stddevs: Array,
    minvals: Array,
    maxvals: Array,
    threads: int = 1,
) -> Array:
    """Truncated normals of shape `shape + means.shape`; the parameters have one shape and a float dtype.

    Args:
      threads: TensorFlow's kernel deals samples out to its threads, and each task starts at a place of its own.

    Raises:
      InvalidArgumentError: a standard deviation is not positive, or a lower bound not below the upper one, or both
        are infinite.
      InternalError: a parameter is not a number.
    """
    parameters = [array.reshape(-1) for array in (means, stddevs, minvals, maxvals)]
    _check(*parameters)
    repeats = int(np.prod(shape, dtype=np.int64))
    out = np.empty((means.size, repeats), means.dtype)
    flat, per_task = out.reshape(-1), task_size(out.size, _COST[means.dtype], threads)
    with np.errstate(all="ignore"):
        for start in range(0, out.size, per_task):
            stop = min(start + per_task, out.size)
            source = _Source(key, counter, start, means.dtype)
            while start < stop:
                index = start // repeats
                end = min(stop, (index + 1) * repeats)
                flat[start:end] = _samples(source, end - start, *(array[index] for array in parameters))
                start = end
    return out.T.reshape(tuple(shape) + means.shape)


def _check(means: Array, stddevs: Array, minvals: Array, maxvals: Array) -> None:
    finite = np.isfinite(minvals) | np.isfinite(maxvals)
    if not np.all((stddevs > 0) & (minvals < maxvals) & finite):
        raise errors.InvalidArgumentError(None, None, "Invalid parameters")


class _Source:
    """Groups of uniform or normal numbers, one group a block, from a place in the stream on."""

    def __init__(self, key: Key, counter: Any, output: int, dtype: np.dtype[Any]) -> None:
        self.group = 2 if dtype == np.float64 else 4
        self._key, self._dtype = key, dtype
        self._counter = advance(counter, output * _ELEMENTS_PER_OUTPUT // self.group)

    def draw(self, kind: Callable[..., Array], count: int) -> Array:
        """The next `count` groups of a kind, [count, group]; they stay in the stream."""
        shape = (count, self.group)
        return kind(np, self._key, np.array(self._counter, np.uint64), shape, self._dtype)

    def take(self, count: int) -> None:
        """Moves on by `count` groups."""
        self._counter = advance(self._counter, count)


def _samples(source: _Source, count: int, mean: Any, stddev: Any, low: Any, high: Any) -> Array:
    """The next `count` samples for one set of parameters."""
    if (np.isinf(low) and low < 0) or high < mean:  # turned round: the bounds get nearer to 0 or above it
        low, high, stddev = high, low, -stddev
    low, high = (low - mean) / stddev, (high - mean) / stddev
    sampler = _sampler(low, high)
    found: list[Array] = []
    while count:
        groups = min(max(count, _FEWEST_GROUPS), _MOST_GROUPS)
        values, kept, blocks = sampler(source, low, high, groups)
        places = np.nonzero(kept.reshape(-1))[0][:count]
        if not len(places):
            raise errors.InternalError(None, None, "TruncatedNormal rejection sampler failed to accept a sample.")
        found.append(values.reshape(-1)[places])
        count -= len(places)
        source.take((groups if count else int(places[-1]) // values.shape[1] + 1) * blocks)
    return np.concatenate(found) * stddev + mean


def _sampler(low: Any, high: Any) -> Callable[..., tuple[Array, Array, int]]:
    """How to draw: gives values [groups, n], whether to keep each, and the blocks for a group."""
    two, four = type(low)(2), type(low)(4)
    root = np.sqrt(low * low + four)
    if (low < -_NORMALS_BEYOND and high >= 0) or (high > _NORMALS_BEYOND and low <= 0):
        return _normals
    narrow = two * np.exp(type(low)(0.5) + low * (low - root) / four) / (low + root)
    return _uniforms if high - low < narrow else _exponentials


def _normals(source: _Source, low: Any, high: Any, groups: int) -> tuple[Array, Array, int]:
    values = source.draw(normal, groups)
    return values, (values >= low) & (values <= high), 1


def _uniforms(source: _Source, low: Any, high: Any, groups: int) -> tuple[Array, Array, int]:
    """A block for the values, and a block for whether they are kept."""
    nearest = low * low if low >= 0 else type(low)(0)
    drawn = source.draw(uniform, 2 * groups)
    values = drawn[0::2] * (high - low) + low
    return values, drawn[1::2] <= np.exp((nearest - values * values) / type(low)(2)), 2


def _exponentials(source: _Source, low: Any, high: Any, groups: int) -> tuple[Array, Array, int]:
    """Pairs of neighbours in a block: a value, and whether it is kept."""
    rate = (low + np.sqrt(low * low + type(low)(4))) / type(low)(2)
    drawn = source.draw(uniform, groups)
    values = -_log(drawn[:, 0::2]) / rate + low
    from_peak = rate - values if low < rate else low - rate
    return values, (drawn[:, 1::2] <= np.exp(-from_peak * from_peak / type(low)(2))) & (values < high), 1


def _log(x: Array) -> Array:
    """The logarithm of numbers in [0, 1)."""
    log, kind = (libm.log64, np.float64) if x.dtype == np.float64 else (libm.log32, np.float32)
    return np.where(x > 0, log(np, np.where(x > 0, x, x.dtype.type(0.5)).astype(kind)), -np.inf).astype(x.dtype)
