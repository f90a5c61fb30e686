"""Reads the arguments that layers share: sizes of windows, layouts, and what may be given by name."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.provided import Provided
from millstream.ops.init_ops import Ones, Zeros

# Defaults of initialisers.
ZEROS, ONES = Zeros(), Ones()

# Keras knows the names.
_initializer_named = Provided("millstream.keras.initializers:get")
_regularizer_named = Provided("millstream.keras.regularizers:get")
_constraint_named = Provided("millstream.keras.constraints:get")
_activation_named = Provided("millstream.keras.activations:get")

# (layout, rank) -> TensorFlow's data format
_DATA_FORMATS = {
    ("channels_last", 3): "NWC", ("channels_last", 4): "NHWC", ("channels_last", 5): "NDHWC",
    ("channels_first", 3): "NCW", ("channels_first", 4): "NCHW", ("channels_first", 5): "NCDHW",
}  # fmt: skip


def passed_on(local: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor, from its `locals()`, as keyword arguments for the constructor that it extends."""
    own = {name: value for name, value in local.items() if name not in ("self", "__class__", "kwargs")}
    return own | local.get("kwargs", {})


# --- What may be given by name --------------------------------------------------------------------------------------


def linear(x: Any) -> Any:
    """The activation that changes nothing."""
    return x


def read_activation(given: Any) -> Callable[[Any], Any]:
    """The function for an activation, which may be given by name; None is `linear`."""
    if given is None:
        return linear
    return given if callable(given) else _activation_named(given)


def read_initializer(given: Any) -> Any:
    """The initialiser, which may be given by name or configuration; None stays None."""
    return given if given is None or callable(given) and not isinstance(given, type) else _initializer_named(given)


def read_regularizer(given: Any) -> Any:
    """The regulariser, which may be given by name or configuration; None stays None."""
    return given if given is None or callable(given) else _regularizer_named(given)


def read_constraint(given: Any) -> Any:
    """The constraint, which may be given by name or configuration; None stays None."""
    return given if given is None or callable(given) else _constraint_named(given)


# --- Windows --------------------------------------------------------------------------------------------------------


def read_sizes(value: Any, count: int, name: str) -> tuple[int, ...]:
    """One integer a spatial dimension; a single one stands for all of them.

    Raises:
      ValueError: other than `count` integers.
    """
    if isinstance(value, int):
        return (value,) * count
    message = f"The `{name}` argument must be a tuple of {count} integers. Received: {value}"
    try:
        sizes = tuple(value)
    except TypeError:
        raise ValueError(message) from None
    if len(sizes) != count:
        raise ValueError(message)
    for size in sizes:
        try:
            int(size)
        except (ValueError, TypeError):
            raise ValueError(f"{message} including element {size} of type {type(size)}") from None
    return sizes


def read_padding(value: Any) -> Any:
    """ "valid", "same" or "causal", in lower case.

    Raises:
      ValueError: another word.
    """
    if isinstance(value, (list, tuple)):
        return value
    padding = value.lower()
    if padding not in ("valid", "same", "causal"):
        raise ValueError(
            'The `padding` argument must be a list/tuple or one of "valid", "same" '
            f'(or "causal", only for `Conv1D). Received: {padding}'
        )
    return padding


def read_layout(value: str | None) -> str:
    """ "channels_last" (the default) or "channels_first", in lower case.

    Raises:
      ValueError: another word.
    """
    layout = "channels_last" if value is None else value.lower()
    if layout not in ("channels_first", "channels_last"):
        raise ValueError(
            f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {value}'
        )
    return layout


def format_of(layout: str, rank: int) -> str:
    """What operations call a layout: "NHWC" for the layout "channels_last" of images."""
    return _DATA_FORMATS[layout, rank]


def slid_length(length: Any, window: int, padding: str, stride: int, dilation: int = 1) -> Any:
    """How many windows there are along a dimension; None where its length is not known."""
    if length is None:
        return None
    covered = length - (window - 1) * dilation if padding == "valid" else length
    return (covered + stride - 1) // stride


def unslid_length(length: Any, window: int, padding: str, stride: int) -> Any:
    """How long the dimension is that `length` windows cover, for transposed convolutions; a number, tensor or None."""
    if length is None:
        return None
    covered = length * stride
    return covered + max(window - stride, 0) if padding == "valid" else covered
