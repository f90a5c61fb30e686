"""Parts of tensors, by which checkpoints hold variables that are cut into several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]
# A slice as it is written: start and length in each dimension, or WHOLE. Keys tell a dimension that is written as
# whole from one whose length is written out.
Extents = tuple[tuple[int, int], ...]
WHOLE = (0, -1)


class TensorSlice(NamedTuple):
    """A block of a tensor: where it begins and how long it is in each dimension."""

    starts: Shape
    lengths: Shape

    @staticmethod
    def whole(shape: Sequence[int]) -> TensorSlice:
        """All of a tensor."""
        return TensorSlice((0,) * len(shape), tuple(shape))

    @staticmethod
    def of(extents: Extents, shape: Sequence[int]) -> TensorSlice:
        """The slice of a tensor of this shape.

        Raises:
          ValueError: the tensor has no such slice.
        """
        starts = tuple(start for start, _ in extents)
        ends = [size if extent == WHOLE else sum(extent) for extent, size in zip(extents, shape, strict=False)]
        lengths = tuple(end - start for start, end in zip(starts, ends, strict=False))
        found = TensorSlice(starts, lengths)
        if len(extents) != len(shape) or not found.fits(shape):
            raise ValueError(f"slice {format_extents(extents)} is not inside of shape {list(shape)}")
        return found

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.lengths)

    @property
    def ends(self) -> Shape:
        """Where it ends in each dimension."""
        return tuple(start + length for start, length in zip(self.starts, self.lengths, strict=True))

    def intersection(self, other: TensorSlice) -> TensorSlice | None:
        """What two slices of one tensor have in common; None where that is nothing."""
        starts = tuple(map(max, self.starts, other.starts))
        ends = tuple(map(min, self.ends, other.ends))
        if any(start >= end for start, end in zip(starts, ends, strict=True)):
            return None
        return TensorSlice(starts, tuple(end - start for start, end in zip(starts, ends, strict=True)))

    def within(self, outer: TensorSlice) -> tuple[slice, ...]:
        """The index by which this slice is taken from an array that holds `outer`."""
        offsets = (start - origin for start, origin in zip(self.starts, outer.starts, strict=True))
        return tuple(slice(at, at + length) for at, length in zip(offsets, self.lengths, strict=True))

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape has it."""
        return len(shape) == len(self.starts) and all(
            start >= 0 and length >= 0 and start + length <= size
            for start, length, size in zip(self.starts, self.lengths, shape, strict=True)
        )

    def __str__(self) -> str:
        return format_extents(tuple(zip(self.starts, self.lengths, strict=True)))


class Piece(NamedTuple):
    """A slice that is stored, and what reads its elements."""

    part: TensorSlice
    read: Callable[[], np.ndarray[Any, Any]]


def assemble(
    pieces: Sequence[Piece], wanted: TensorSlice, allocate: Callable[[Shape], np.ndarray[Any, Any]]
) -> np.ndarray[Any, Any]:
    """The elements of `wanted`, in an array that `allocate` makes of its shape.

    Raises:
      ValueError: some of them are in no piece, or in several.
    """
    commons = [piece.part.intersection(wanted) for piece in pieces]
    if sum(common.elements for common in commons if common is not None) != wanted.elements:
        raise ValueError(f"its slices do not hold each element of {wanted} once")
    result, filled = allocate(wanted.lengths), np.zeros(wanted.lengths, bool)
    for piece, common in zip(pieces, commons, strict=True):
        if common is None:
            continue
        target = common.within(wanted)
        if filled[target].any():
            raise ValueError("its slices overlap")
        filled[target] = True
        result[target] = piece.read()[common.within(piece.part)]
    return result


# --- How slices are written ------------------------------------------------------------------------------------------


def format_extents(extents: Extents) -> str:
    """The text form, `"4,3:-"`."""
    return ":".join("-" if extent == WHOLE else f"{extent[0]},{extent[1]}" for extent in extents)


def parse_shape_and_slice(text: str) -> tuple[Shape, Extents]:
    """Reads the form that operations take: `"10 4 4,3:-"`, the whole's shape, then each start and length (`-`: all).

    Raises:
      ValueError: it has another form, or the slice is not inside of the shape.
    """
    *sizes, slices = text.split(" ")
    try:
        shape = tuple(int(size) for size in sizes)
        extents = tuple(WHOLE if part == "-" else _parse_extent(part) for part in slices.split(":"))
        TensorSlice.of(extents, shape)
    except ValueError as error:
        message = f"Expected a shape and a slice of it, as in '10 4 4,3:-'; received: '{text}' ({error})"
        raise ValueError(message) from None
    return shape, extents


def _parse_extent(text: str) -> tuple[int, int]:
    start, length = text.split(",")
    return int(start), int(length)


def fill_proto(message: Any, extents: Extents) -> None:
    """Writes a slice into a `TensorSliceProto`."""
    for extent in extents:
        added = message.extent.add()
        if extent != WHOLE:
            added.start, added.length = extent


def from_proto(message: Any) -> Extents:
    """The slice that a `TensorSliceProto` describes."""
    return tuple(
        (extent.start, extent.length) if extent.WhichOneof("has_length") else WHOLE for extent in message.extent
    )
