"""Numbers, keys of slices, and checksums."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.io import crc32c
from millstream.io.coding import decode_varint, encode_varint, slice_key

NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 300)


@given(NUMBERS, st.binary(max_size=3))
def test_varints_come_back(number: int, rest: bytes) -> None:
    data = encode_varint(number)
    assert decode_varint(b"?" + data + rest, 1, len(data) + 1 + len(rest)) == (number, len(data) + 1)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9 + b"\x7f", b"\xff" * 11])
def test_varints_must_end(data: bytes) -> None:
    with pytest.raises(ValueError, match="does not end"):
        decode_varint(data, 0, len(data))


def test_slice_key() -> None:
    """As TensorFlow 1.15.5 wrote it: rows 4 to 6 of [10, 4]."""
    assert slice_key(b"part", [(4, 3), (0, 4)]) == bytes.fromhex("00 70617274 0001 0102 84 83 80 84")
    assert slice_key(b"a\x00b\xff", [(0, -1)]) == b"\x00a\x00\xffb\xff\x00\x00\x01\x01\x01\x80\x7f"


@pytest.mark.parametrize(
    "number, code",
    [
        (63, "bf"),
        (64, "c040"),
        (8191, "dfff"),
        (8192, "e02000"),
        (1048575, "efffff"),
        (1048576, "f0100000"),
        (-64, "40"),
        (-65, "3fbf"),
    ],
)
def test_signed_numbers_in_keys(number: int, code: str) -> None:
    assert slice_key(b"", [(number, 0)])[-1 - len(code) // 2 : -1].hex() == code


EXTENTS = st.tuples(st.integers(-300, 300) | st.integers(-(2**40), 2**40), st.integers(-1, 2**40))


@given(st.lists(st.tuples(EXTENTS, EXTENTS), min_size=1, max_size=3))
def test_keys_sort_like_slices(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert (slice_key(b"x", first) < slice_key(b"x", second)) == (first < second)


def test_checksums() -> None:
    assert crc32c.extend(0, b"123456789") == 0xE3069283
    assert crc32c.extend(crc32c.extend(0, b"1234"), b"56789") == 0xE3069283
    assert crc32c.masked_crc() == 0xA282EAD8
    assert b"".join(crc32c.chunks(memoryview(bytes(3 << 20)))) == bytes(3 << 20)
