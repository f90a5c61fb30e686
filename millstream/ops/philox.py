"""Philox4x32-10, the counter-based generator behind every random op, laid out as TensorFlow lays it out.

A block is four 32-bit words, a function of a 64-bit key and a 128-bit counter alone. A random op's stream
has one key; block `i` of a run lies at the run's counter plus `i`, and after a run the counter moves on by
the blocks that the run reserved, used or not. So a value depends on its position only, not on threads,
chunks or devices.

Here a key is a pair of 32-bit words: Python ints where they come from an op's attributes, arrays for the
stateless ops. A counter is an array of two uint64 (low, high), an argument of a compiled program rather than
a constant, so that one program serves every run. Words are carried in uint64, where a 32-bit product keeps
its high half.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # a NumPy or a JAX array
Key = tuple[Any, Any]

ROUNDS = 10
MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_STATELESS_KEY = (0x3EC8F720, 0x02461E29)
_BLOCKS_PER_OUTPUT = 256
_FEW = 8


def key(seed: int, seed2: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The key words and the counter at which the stream of an op with these seed attributes starts."""
    seed, seed2 = seed % 2**64, seed2 % 2**64
    return (seed & MASK, seed >> 32), (0, seed2)


def stateless_key(xp: Any, seed: Array) -> tuple[Key, Array]:
    """The key and counter of a stateless op: its seed (int32 or int64 [2]) scrambled by one block."""
    m0, m1, m2, m3 = words(_STATELESS_KEY, seed.astype(xp.int64).astype(xp.uint64), xp.zeros(1, xp.uint64))
    return (m0, m1), xp.concatenate([xp.zeros(1, xp.uint64), m2 | (m3 << 32)])


def advance(counter: Sequence[int], blocks: int) -> tuple[int, int]:
    """The counter `blocks` blocks further on, as Python ints (low, high)."""
    total = int(counter[0]) + (int(counter[1]) << 64) + blocks
    return total % 2**64, (total >> 64) % 2**64


def words(key: Key, counter: Array, index: Array) -> tuple[Array, Array, Array, Array]:
    """The four words, in uint64, of the blocks `counter + index`; `index` is uint64 of any shape."""
    if isinstance(index, np.ndarray) and index.size <= _FEW:
        return _words_of_few(key, counter, index)
    low = counter[0] + index
    high = counter[1] + (low < index)
    c0, c1, c2, c3 = low & MASK, low >> 32, high & MASK, high >> 32
    for i in range(ROUNDS):
        k0, k1 = ((k + i * weyl) & MASK for k, weyl in zip(key, _WEYL, strict=True))
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
    return c0, c1, c2, c3


def _words_of_few(key: Key, counter: Array, index: np.ndarray) -> tuple[Array, Array, Array, Array]:
    """`words` with Python's integers, which for some blocks is quicker than with arrays."""
    start, keys = int(counter[0]) | int(counter[1]) << 64, [int(np.ravel(word)[0]) for word in key]
    found = np.array([_block(keys, start + i) for i in index.reshape(-1).tolist()], np.uint64)
    return tuple(found.reshape(-1, 4).T.reshape(4, *index.shape))


def _block(key: Sequence[int], counter: int) -> tuple[int, int, int, int]:
    """The four words of one block."""
    k0, k1 = key
    c0, c1, c2, c3 = (counter >> shift & MASK for shift in (0, 32, 64, 96))
    for _ in range(ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & MASK, p0 >> 32 ^ c3 ^ k1, p0 & MASK
        k0, k1 = k0 + _WEYL[0] & MASK, k1 + _WEYL[1] & MASK
    return c0, c1, c2, c3


def blocks(xp: Any, key: Key, counter: Array, n: int) -> Array:
    """The first `n` blocks from `counter` on: uint32 of shape [n, 4]."""
    index = xp.arange(n, dtype=xp.uint64)
    return xp.stack(words(key, xp.asarray(counter, dtype=xp.uint64), index), axis=-1).astype(xp.uint32)


def reserve(outputs: int) -> int:
    """Blocks that one run of an op with this many output elements reserves (not shuffle and multinomial)."""
    return _BLOCKS_PER_OUTPUT * outputs


def reserve_shuffle(shape: Sequence[int]) -> int:
    """Blocks that one shuffle of a tensor of this shape along its first dimension reserves."""
    return -(-(shape[0] - 1) // 4) if is_shuffled(shape) else 0


def reserve_multinomial(batch: int, num_samples: int) -> int:
    """Blocks that one run of Multinomial reserves for `num_samples` samples of each of `batch` rows."""
    return 256 * batch * 2 * 4 * -(-num_samples // 4)


def is_shuffled(shape: Sequence[int]) -> bool:
    """Whether RandomShuffle has anything to do, and so uses its stream, for a tensor of this shape."""
    return len(shape) > 0 and shape[0] > 1 and 0 not in shape
