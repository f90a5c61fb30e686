"""Binomial numbers of TensorFlow's kernels (NumPy only: how much is drawn depends on the values)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.ops import libm
from millstream.ops.philox import Key
from millstream.ops.random_rejection import Draws, per_sample

_REJECTION_FROM = 10  # expected successes
_GEOMETRIC_BLOCKS = 42  # from one sample to the next, where gaps are added up
# What Stirling's approximation of log(k!) lacks, for k = 0, 1, ..., 9.
_STIRLING_TAIL = np.array([
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
])  # fmt: skip


def binomial(
    key: Key, counter: Any, shape: Sequence[int], counts: np.ndarray, probs: np.ndarray, dtype: Any
) -> np.ndarray:
    """Successes in `counts` trials, of shape `shape + broadcast(counts, probs).shape`.

    Where few are expected, geometric gaps are added up; else transformed rejection is used (Hörmann, "The generation
    of binomial random variates", 1993). A probability above a half is that of the failures, turned round. A
    probability outside of [0, 1] counts as the nearer end; NaN and an infinite count give NaN.
    """

    def draw(count: np.ndarray, prob: np.ndarray) -> np.ndarray:
        turned = prob > 0.5
        rare = np.where(turned, 1 - prob, prob)
        out = np.where(np.isnan(prob) | ~np.isfinite(count), np.nan, 0.0)
        possible = (rare > 0) & (count > 0) & (count < np.inf)
        many = count * rare >= _REJECTION_FROM
        draws = Draws(key, counter, len(count), _GEOMETRIC_BLOCKS)
        _geometric(draws, count, rare, np.nonzero(possible & ~many)[0], out)
        draws = Draws(key, counter, len(count))
        _rejection(draws, count, rare, np.nonzero(possible & many)[0], out)
        return np.where(turned, np.maximum(count, 0) - out, out)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return per_sample(draw, shape, *np.broadcast_arrays(counts, probs)).astype(dtype)


def _geometric(draws: Draws, count: np.ndarray, prob: np.ndarray, active: np.ndarray, out: np.ndarray) -> None:
    """Counts the successes until their gaps exceed the number of trials."""
    passed, log_failure = np.zeros_like(count), np.log1p(-prob)
    while len(active):
        passed[active] += np.ceil(libm.log64(np, draws.uniform(active)) / log_failure[active])
        active = active[passed[active] <= count[active]]
        out[active] += 1


def _rejection(draws: Draws, count: np.ndarray, prob: np.ndarray, active: np.ndarray, out: np.ndarray) -> None:
    """Transformed rejection with a squeeze, with the constants of the paper's algorithm BTRS."""
    spread = np.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    limit, alpha = 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    while len(active):
        u, v = draws.uniform(active) - 0.5, draws.uniform(active)
        n, p, aa, ba = count[active], prob[active], a[active], b[active]
        us = 0.5 - np.abs(u)
        k = np.floor((2 * aa / us + ba) * u + (n * p + 0.5))
        accepted = (us >= 0.07) & (v <= limit[active])
        height = libm.log64(np, v * alpha[active] / (aa / (us * us) + ba))
        accepted |= (k >= 0) & (k <= n) & (height <= _log_ratio(k, n, p))
        out[active[accepted]] = k[accepted]
        active = active[~accepted]


def _log_ratio(k: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The logarithm of the probability of k successes over that of the most probable number."""
    odds, m = p / (1 - p), np.floor((n + 1) * p)
    return (
        (m + 0.5) * np.log((m + 1) / (odds * (n - m + 1)))
        + (n + 1) * np.log((n - m + 1) / (n - k + 1))
        + (k + 0.5) * np.log(odds * (n - k + 1) / (k + 1))
        + _stirling_tail(m) + _stirling_tail(n - m) - _stirling_tail(k) - _stirling_tail(n - k)
    )  # fmt: skip


def _stirling_tail(k: np.ndarray) -> np.ndarray:
    square = (k + 1) * (k + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    return np.where(k <= 9, _STIRLING_TAIL[np.clip(k, 0, 9).astype(np.int64)], series)
