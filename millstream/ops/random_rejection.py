"""Gamma and Poisson numbers of TensorFlow's kernels (NumPy only: how much is drawn depends on the values).

Each output sample owns 256 blocks of the run, so samples are independent and are computed side by side: a
step of the rejection method is taken for all the samples that are still without a value.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from millstream.ops import libm
from millstream.ops.philox import Key, reserve
from millstream.ops.random_kernels import NORMAL64, UNIFORM64, Cell, block_values

_KNUTH_BELOW = 10


def gamma(key: Key, counter: Any, shape: Sequence[int], alpha: np.ndarray) -> np.ndarray:
    """Gamma(alpha, 1) numbers of shape `shape + alpha.shape` and alpha's dtype (half, float32 or float64).

    A negative alpha gives NaN. Marsaglia and Tsang, "A simple method for generating gamma variables", ACM
    TOMS 26 (2000); below 1, alpha is raised by one and the result scaled by u^(1 / alpha).
    """

    def draw(alpha: np.ndarray) -> np.ndarray:
        draws = Draws(key, counter, len(alpha))
        out = np.full(len(alpha), np.nan)
        plain = np.nonzero(alpha == 1)[0]
        out[plain] = -libm.log64(np, 1 - draws.uniform(plain))
        _marsaglia_tsang(draws, alpha, np.nonzero((alpha >= 0) & (alpha != 1))[0], out)
        return out

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return per_sample(draw, shape, alpha).astype(alpha.dtype)


def poisson(key: Key, counter: Any, shape: Sequence[int], rate: np.ndarray, dtype: Any) -> np.ndarray:
    """Poisson numbers of shape `shape + rate.shape` and dtype `dtype`; an infinite rate or NaN gives NaN.

    Below a rate of 10 products of uniforms (Knuth), else transformed rejection with a squeeze (Hörmann, "The
    transformed rejection method for generating Poisson random variables", 1993).
    """
    dtype = np.dtype(dtype)
    limit = float(np.finfo(dtype).max if dtype.kind == "f" else np.nextafter(np.iinfo(dtype).max + 1.0, 0))

    def draw(rate: np.ndarray) -> np.ndarray:
        draws = Draws(key, counter, len(rate))
        out = np.where(rate < np.inf, 0.0, np.nan)
        _knuth(draws, rate, np.nonzero(rate < _KNUTH_BELOW)[0], out)
        _hoermann(draws, rate, np.nonzero((rate >= _KNUTH_BELOW) & (rate < np.inf))[0], limit, out)
        return out

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return per_sample(draw, shape, rate).astype(dtype)


class Draws:
    """The uniform and normal numbers of many samples, of which each has `blocks` blocks of the run for itself.

    Both kinds come two to a block and are handed out last first; a sample takes a fresh block whenever it
    asks for a number of a kind of which it has none left.
    """

    def __init__(self, key: Key, counter: Any, samples: int, blocks: int = reserve(1)):
        self._key, self._counter = key, np.asarray(counter, np.uint64)
        self._next = np.arange(samples, dtype=np.uint64) * np.uint64(blocks)
        self._held = {kind: np.empty((2, samples)) for kind in (UNIFORM64, NORMAL64)}
        self._left = {kind: np.zeros(samples, np.int8) for kind in (UNIFORM64, NORMAL64)}

    def uniform(self, samples: np.ndarray) -> np.ndarray:
        """The next uniform number in [0, 1) of each of `samples` (indices)."""
        return self._take(UNIFORM64, samples)

    def normal(self, samples: np.ndarray) -> np.ndarray:
        """The next standard normal number of each of `samples` (indices)."""
        return self._take(NORMAL64, samples)

    def _take(self, kind: Cell, samples: np.ndarray) -> np.ndarray:
        held, left = self._held[kind], self._left[kind]
        empty = samples[left[samples] == 0]
        held[:, empty] = block_values(self._key, self._counter, kind, self._next[empty])
        self._next[empty] += np.uint64(1)
        left[empty] = 2
        left[samples] -= 1
        taken: np.ndarray = held[left[samples], samples]
        return taken


def per_sample(draw: Callable[..., np.ndarray], shape: Sequence[int], *parameters: np.ndarray) -> np.ndarray:
    """`draw` of the parameters of every sample: they have one shape, and `shape` leads the result's.

    One parameter's samples are neighbours in the stream, not in the result.
    """
    count, first = math.prod(shape), parameters[0]
    repeated = [np.repeat(parameter.reshape(-1).astype(np.float64), count) for parameter in parameters]
    return draw(*repeated).reshape(first.size, count).T.reshape(tuple(shape) + first.shape)


def _marsaglia_tsang(draws: Draws, alpha: np.ndarray, active: np.ndarray, out: np.ndarray) -> None:
    """Fills `out` at the indices `active`, where alpha is not 1."""
    boosted = alpha < 1
    d = alpha + np.where(boosted, 2 / 3, -1 / 3)
    c = 1 / 3 / np.sqrt(d)
    while len(active):
        x = draws.normal(active)
        v = 1 + c[active] * x
        positive = v > 0
        tried, x, v = active[positive], x[positive], v[positive]
        v = v * v * v
        u, dt = draws.uniform(tried), d[tried]
        accepted = (u < 1 - 0.0331 * (x * x) * (x * x)) | (np.log(u) < 0.5 * x * x + dt * (1 - v + np.log(v)))
        done = tried[accepted]
        out[done] = dt[accepted] * v[accepted]
        low = done[boosted[done]]
        out[low] *= libm.pow64(draws.uniform(low), 1 / alpha[low])
        active = np.concatenate([active[~positive], tried[~accepted]])


def _knuth(draws: Draws, rate: np.ndarray, active: np.ndarray, out: np.ndarray) -> None:
    """Counts how many uniforms it takes until their product falls to exp(-rate)."""
    product, limit = np.ones_like(rate), np.exp(-rate)
    while len(active):
        product[active] *= draws.uniform(active)
        active = active[product[active] > limit[active]]
        out[active] += 1


def _hoermann(draws: Draws, rate: np.ndarray, active: np.ndarray, limit: float, out: np.ndarray) -> None:
    """Transformed rejection, with the constants of the paper's algorithm PTRS.

    Numbers above `limit`, the dtype's largest, are rejected. Where the rate itself is far above it, that
    would never end: a sample that has used up its blocks gets `limit`.
    """
    out[active] = limit
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    for _ in range(reserve(1)):
        if not len(active):
            break
        u, v = draws.uniform(active) - 0.5, draws.uniform(active)
        ra, aa, ba, inv = rate[active], a[active], b[active], inverse_alpha[active]
        us = 0.5 - np.abs(u)
        k = np.floor((2 * aa / us + ba) * u + ra + 0.43)
        squeezed = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (ba - 2))
        tested = ~squeezed & (k >= 0) & ((us >= 0.013) | (v <= us)) & (k <= limit)
        t = np.full_like(k, -np.inf)
        t[tested] = -ra[tested] + k[tested] * np.log(ra[tested]) - libm.lgamma64(k[tested] + 1)
        accepted = (squeezed & (k <= limit)) | (tested & (np.log(v * inv / (aa / (us * us) + ba)) <= t))
        out[active[accepted]] = k[accepted]
        active = active[~accepted]
