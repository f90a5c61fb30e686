"""Samplers of classes for losses over many of them (NumPy only), with TensorFlow's numbers.

A sampler draws classes 0 <= id < range one by one from the words of a Philox stream and knows the probability of each.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core.errors import InvalidArgumentError
from millstream.ops import libm
from millstream.ops.philox import Key, words

_CHUNK = 256  # blocks that are computed at once
_MOST_WEIGHT = 2**31 - 1


class Draws:
    """Numbers from a stream, word by word."""

    def __init__(self, key: Key, counter: Any) -> None:
        self._words = _words(key, np.asarray(counter, np.uint64))

    def word(self) -> int:
        """The next 32 bits."""
        return next(self._words)

    def below(self, n: int, size: int = 1) -> int:
        """An integer in [0, n), from `size` words; words that would favour some of them are passed over."""
        number = self._number(size)
        if n & (n - 1) == 0:
            return number & (n - 1)
        unfair = 2 ** (32 * size) % n
        while number < unfair:
            number = self._number(size)
        return number % n

    def _number(self, size: int) -> int:
        return sum(self.word() << 32 * i for i in range(size))

    def float32(self) -> float:
        """A number in [0, 1) of 23 bits."""
        return (self.word() & 0x7FFFFF) * 2.0**-23

    def float64(self) -> float:
        """A number in [0, 1) of 52 bits."""
        return ((self.word() & 0xFFFFF) << 32 | self.word()) * 2.0**-52


def _words(key: Key, counter: np.ndarray) -> Iterator[int]:
    start = 0
    while True:
        index = np.arange(start, start + _CHUNK, dtype=np.uint64)
        yield from np.stack(words(key, counter, index), axis=-1).reshape(-1).tolist()
        start += _CHUNK


class Sampler(NamedTuple):
    """A distribution over the classes 0, …, range - 1."""

    range: int
    sample: Callable[[Draws], int]
    probability: Callable[[np.ndarray], np.ndarray]  # of classes, in float32


def uniform(range_: int) -> Sampler:
    """All classes are equally likely."""
    return Sampler(
        range_, lambda draws: draws.below(range_, 2), lambda ids: np.full(ids.shape, 1 / range_, np.float32)
    )


def log_uniform(range_: int) -> Sampler:
    """P(class) = log((class + 2) / (class + 1)) / log(range + 1), nearly Zipf's law."""
    log_range = math.log1p(range_)

    def probability(ids: np.ndarray) -> np.ndarray:
        return (np.log((ids + 2.0) / (ids + 1.0)) / log_range).astype(np.float32)

    return Sampler(range_, lambda draws: (int(math.exp(draws.float64() * log_range)) - 1) % range_, probability)


def weighted(weights: np.ndarray) -> Sampler:
    """P(class) is as its weight, a float32. By Walker's alias method: two words for a draw."""
    n = len(weights)
    share, other = _alias_table(weights)
    total = np.float32(0)
    for weight in weights:
        total += weight

    def sample(draws: Draws) -> int:
        fraction = draws.float32()
        index = draws.below(n)
        return index if fraction < share[index] else other[index]

    return Sampler(n, sample, lambda ids: weights[ids] / total)


def _alias_table(weights: np.ndarray) -> tuple[list[float], list[int]]:
    """For each column how much of it is its own class, and whose the rest is."""
    n, total = len(weights), math.fsum(weights.tolist())
    share = [float(weight) * n / total for weight in weights]
    other = list(range(n))
    small = [i for i in range(n) if share[i] < 1]
    large = [i for i in range(n) if not share[i] < 1]
    while small and large:
        low, high = small.pop(), large.pop()
        other[low] = high
        share[high] -= 1 - share[low]
        (small if share[high] < 1 else large).append(high)
    for i in small + large:  # full columns, but for rounding
        share[i] = 1.0
    return np.array(share, np.float32).tolist(), other


class Learned:
    """P(class) is as how often it was seen, plus one."""

    def __init__(self, range_: int) -> None:
        self.counts = np.ones(range_, np.int64)

    def sampler(self) -> Sampler:
        """The distribution now."""
        counts = self.counts.copy()
        sums = np.cumsum(counts)

        def sample(draws: Draws) -> int:
            return int(np.searchsorted(sums, draws.below(int(sums[-1])), side="right"))

        def probability(ids: np.ndarray) -> np.ndarray:
            return counts[ids].astype(np.float32) / np.float32(sums[-1])

        return Sampler(len(counts), sample, probability)

    def see(self, ids: np.ndarray) -> None:
        """Counts classes that were met."""
        room = _MOST_WEIGHT - int(self.counts.sum())
        np.add.at(self.counts, ids.reshape(-1)[:room], 1)


def draw(
    sampler: Sampler, draws: Draws, count: int, unique: bool, true_classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws `count` classes, each at most once if `unique`.

    Returns:
      the classes, int64 [count]; how often each of `true_classes`, and each class drawn, is expected among them.

    Raises:
      InvalidArgumentError: there are not so many classes.
    """
    if unique and count > sampler.range:
        raise InvalidArgumentError(None, None, "Sampler's range is too small.")
    tries, sample = count, sampler.sample
    if unique:
        found: dict[int, None] = {}
        tries = 0
        while len(found) < count:
            found[sample(draws)] = None
            tries += 1
        drawn = np.array(list(found), np.int64)
    else:
        drawn = np.array([sample(draws) for _ in range(count)], np.int64)
    of_true, of_drawn = (_expected(sampler.probability(ids), count, tries) for ids in (true_classes, drawn))
    return drawn, of_true, of_drawn


def _expected(probability: np.ndarray, count: int, tries: int) -> np.ndarray:
    """How often classes of these probabilities are expected among `count` that took `tries` draws."""
    if tries == count:
        return probability * np.float32(count)
    return -libm.expm1_32(np.float32(tries) * libm.log1p32(-probability))


def unigram_weights(
    unigrams: Iterable[float], distortion: float, num_reserved_ids: int, num_shards: int, shard: int
) -> np.ndarray:
    """The weights of the classes of one shard, float32: none for reserved ones, then `unigram ** distortion`."""
    weights = [0.0] * num_reserved_ids
    for word_id, unigram in enumerate(unigrams, num_reserved_ids):
        if word_id % num_shards == shard:
            weights.append(float(np.float32(unigram)) ** distortion)
    return np.array(weights, np.float32)


def read_unigrams(lines: Iterable[str]) -> Sequence[float]:
    """The last column of lines of comma-separated values."""
    found = []
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            continue
        try:
            found.append(float(line.rpartition(",")[2]))
        except ValueError:
            raise InvalidArgumentError(None, None, f"Wrong vocabulary format at line: {line}") from None
    return found
