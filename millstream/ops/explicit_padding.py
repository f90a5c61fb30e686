"""Paddings given in numbers, for operations that only know "SAME" and "VALID"."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import errors
from millstream.core.conversion import to_tensor
from millstream.ops.pad_ops import pad

_SIDES = (("Top", "Bottom"), ("Left", "Right"))


def pad_images(input: Any, padding: Any, fill: Any = 0) -> tuple[Any, Any]:
    """Adds explicit paddings to images.

    Args:
      input: a tensor of images, or of rows.
      padding: "SAME", "VALID", or one pair (before, after) a dimension.
      fill: what is added; None: the least number of the dtype.

    Returns:
      (the images, the padding that is left to the operation).

    Raises:
      ValueError: another number of pairs.
      InvalidArgumentError: a negative number.
    """
    if not isinstance(padding, (list, tuple)):
        return input, padding
    input = to_tensor(input, name="input")
    if input._shape is not None and len(padding) != len(input._shape):
        raise ValueError(
            f"When padding is a list, it must be of size {len(input._shape)}. Got padding of size: {len(padding)}"
        )
    if any(amount < 0 for pair in padding for amount in pair):
        raise errors.InvalidArgumentError(None, None, "All elements of explicit_paddings must be nonnegative")
    if not any(amount for pair in padding for amount in pair):
        return input, "VALID"
    if fill is None:
        fill = float("-inf") if input.dtype.is_floating else input.dtype.min
    pairs = [list(pair) for pair in padding]
    return pad(input, pairs, constant_values=to_tensor(fill, dtype=input.dtype.base_dtype) if fill else 0), "VALID"


def check_inside_windows(padding: Any, ksize: Sequence[int], space: Sequence[int]) -> None:
    """Refuses paddings that whole windows would lie in.

    Args:
      padding: "SAME", "VALID", or one pair a dimension.
      ksize: the window's size, one entry a dimension.
      space: the axes over which the window slides.

    Raises:
      InvalidArgumentError: a padding is not smaller than the window.
    """
    if not isinstance(padding, (list, tuple)):
        return
    for axis, sides in zip(space, _SIDES[-len(space) :], strict=True):
        for side, amount in zip(sides, padding[axis], strict=True):
            if amount >= ksize[axis]:
                message = f"{side} padding {amount} needs to be smaller than the window size {ksize[axis]}"
                raise errors.InvalidArgumentError(None, None, message)

