"""Where an index goes in a random permutation, computed without the permutation.

A block cipher of the Simon family permutes the numbers of an even count of bits. Encrypting again until the result is
small enough ("cycle walking") makes that a permutation of 0..max_index.

Sources: Beaulieu et al., "The SIMON and SPECK families of lightweight block ciphers", 2013; Black and Rogaway, "Ciphers
with arbitrary finite domains", CT-RSA 2002.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

_CONSTANT = 0xFFFFFFFC
_SEQUENCE = 0x7369F885192C0EF5
_FEWEST_BITS = 16


def shuffled(index: int, seed: Sequence[int], max_index: int, rounds: int) -> int:
    """The place of `index`, of 0..max_index; `seed` is three integers, `rounds` an even number from 4 on.

    As in TensorFlow, a `max_index` that is 4^8 or a higher power of four has a bit more than the cipher: its own place
    is that of 0.
    """
    half = (max(_FEWEST_BITS, math.ceil(math.log2(max(max_index, 1)))) + 1) // 2
    keys = _round_keys(seed, rounds, half)
    found = _encrypted(index, keys, half)
    while found > max_index:
        found = _encrypted(found, keys, half)
    return found


def _round_keys(seed: Sequence[int], rounds: int, bits: int) -> list[int]:
    mask = 2**bits - 1
    keys = [word & 0xFFFFFFFF & mask for word in seed]
    for i in range(rounds - 3):
        mixed = _rotated(keys[-1], -3, bits) ^ _rotated(keys[-1], -4, bits)
        keys.append((_CONSTANT & mask) ^ (_SEQUENCE >> i & 1) ^ keys[i] ^ mixed)
    return keys


def _encrypted(value: int, keys: Sequence[int], bits: int) -> int:
    mask = 2**bits - 1
    left, right = value >> bits & mask, value & mask
    for i in range(0, len(keys), 2):
        left ^= _mixed(right, bits) ^ keys[i]
        right ^= _mixed(left, bits) ^ keys[i + 1]
    return left << bits | right


def _mixed(word: int, bits: int) -> int:
    return (_rotated(word, 1, bits) & _rotated(word, 8, bits)) ^ _rotated(word, 2, bits)


def _rotated(word: int, by: int, bits: int) -> int:
    """The word rotated to the left."""
    by %= bits
    return (word << by | word >> (bits - by)) & (2**bits - 1)
