"""Reads sizes that layers take, and those of their inputs."""
from __future__ import annotations

from typing import Any

from millstream.core.shapes import TensorShape


def pair_of(value: Any) -> tuple[int, int]:
    """Two integers from one, which stands for both, or from two.

    Raises:
      ValueError: something else.
    """
    if isinstance(value, int):
        return value, value
    if not isinstance(value, (list, tuple, TensorShape)):
        raise ValueError("Must be an int, a list with 2 elements or a TensorShape of length 2")
    sizes = tuple(value)
    if len(sizes) != 2:
        raise ValueError(f"Must be a list with 2 elements: {value}")
    return int(sizes[0]), int(sizes[1])


def known_dimension(inputs: Any, axis: int, min_rank: int = 1) -> int:
    """The static size of an axis.

    Raises:
      ValueError: it is not known, or the inputs have fewer axes.
    """
    shape = inputs.get_shape()
    if shape.ndims is None:
        raise ValueError(f"dimension {axis} of shape must be known but is None: {shape}")
    if shape.ndims < min_rank:
        raise ValueError(f"rank of shape must be at least {min_rank} not: {shape.ndims}")
    size = shape.as_list()[axis]
    if size is None:
        raise ValueError(f"dimension {axis} of shape must be known but is None: {shape}")
    return size


def check_layout(data_format: Any, *known: str) -> None:
    """Refuses a data format that is not one of the two known ones.

    Raises:
      ValueError: it is another one.
    """
    if data_format not in known:
        raise ValueError(f"data_format has to be either {' or '.join(known)}.")


def layout_of(data_format: str | None) -> str:
    """What `tf.layers` calls a data format; None is the default, with the channels last."""
    return "channels_first" if data_format and data_format.startswith("NC") else "channels_last"
