"""Text: numbers as strings and back, joining, filling templates."""
from __future__ import annotations

import re
from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as, scalar
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.value_text import format_value

# --- Numbers as text ----------------------------------------------------------------------------------------


def _number_format(kind: str, precision: int, scientific: bool, shortest: bool, width: int, fill: str) -> str:
    """The printf format of numbers of NumPy kind `kind`."""
    if kind not in "fc":
        if precision > -1:
            raise ValueError("precision not supported for datatype")
        if scientific or shortest:
            raise ValueError("scientific and shortest format not supported for datatype")
    if scientific and shortest:
        raise ValueError("Cannot select both scientific and shortest notation")
    if len(fill) > 1:
        raise ValueError("Fill string must be one or fewer characters")
    if fill not in ("", " ", "+", "-", "0"):
        raise ValueError(f'Fill argument not supported: "{fill}"')
    size = f"{fill}{width}" if width > -1 else ""
    if kind not in "fc":
        return f"%{size}d"
    digits = f".{precision}" if precision > -1 else ""
    return f"%{size}{digits}{'e' if scientific else 'g' if shortest else 'f'}"


@op(
    "AsString(input: T, *, precision: int = -1, scientific: bool = false, shortest: bool = false, "
    'width: int = -1, fill: string = "") -> output: string',
    T="int8 int16 int32 int64 complex64 complex128 float double bool",
    shape=same_as(0),
    host=True,
)
def as_string_op(xp, input, *, precision, scientific, shortest, width, fill):
    kind = input.dtype.kind
    form = _number_format(kind, precision, scientific, shortest, width, fill)
    result = np.empty(input.shape, object)
    result.reshape(-1)[:] = [_text(item, kind, form).encode() for item in input.reshape(-1).tolist()]
    return result


def _text(item: Any, kind: str, form: str) -> str:
    if kind == "b":
        return "true" if item else "false"
    if kind == "c":
        return f"({form % item.real},{form % item.imag})"
    return form % item


@export("strings.as_string", v1=["as_string", "dtypes.as_string"], v2=["as_string"])
def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Tensor:
    """Each number as text.

    Args:
      input: a numeric dtype or bool, any shape.
      precision: digits after the point, for floats; -1: six.
      scientific: in scientific notation, for floats.
      shortest: whichever of the two is shorter, for floats.
      width: the least number of characters; -1: as many as it takes.
      fill: how shorter ones are filled up: "0", " ", "+" (with sign) or "-" (on the right).
      name: the operation's name.

    Returns:
      string, the shape of `input`.

    Example:
      >>> tf.as_string([3.1415926, 2.71828], precision=2)     # [b"3.14", b"2.72"]
    """
    return as_string_op(
        input, precision=precision, scientific=scientific, shortest=shortest, width=width, fill=fill, name=name
    )


# --- Text as numbers ----------------------------------------------------------------------------------------

_SPACE = b" \t\n\v\f\r"
_INTEGER = re.compile(rb"-?\d+")
_HEXADECIMAL = re.compile(rb"[+-]?0x[0-9a-f]+", re.IGNORECASE)
_DECIMAL = re.compile(rb"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.IGNORECASE)


@op(
    "StringToNumber(string_tensor: string, *, out_type: type{float, double, int32, int64} = float)"
    " -> output: out_type",
    shape=same_as(0),
    host=True,
)
def string_to_number_op(xp, string_tensor, *, out_type):
    numbers = [_number(text, out_type) for text in string_tensor.reshape(-1).tolist()]
    wide = np.float64 if out_type.is_floating else np.int64
    return np.array(numbers, wide).astype(out_type.as_numpy_dtype).reshape(string_tensor.shape)


def _number(text: bytes, dtype: dtypes.DType) -> float:
    """The number that `text` stands for; ValueError where it is none of this dtype."""
    word = text.strip(_SPACE)
    if dtype.is_floating:
        if _DECIMAL.fullmatch(word):
            return float(word)
        if _HEXADECIMAL.fullmatch(word):
            return float(int(word, 16))
    elif _INTEGER.fullmatch(word) and dtype.min <= int(word) <= dtype.max:
        return int(word)
    raise ValueError(f"StringToNumberOp could not correctly convert string: {text.decode(errors='replace')}")


@export(v1=["strings.to_number", "string_to_number"])
def string_to_number(
    string_tensor: Any = None, out_type: Any = dtypes.float32, name: str | None = None, input: Any = None
) -> Tensor:
    """The numbers that strings stand for.

    Args:
      string_tensor: strings, any shape: "12", "-1.5e3", "inf", "nan", for floats also "0x1F"; spaces around do not
        matter.
      out_type: float32, float64, int32 or int64.
      name: the operation's name.
      input: the new name of `string_tensor`.

    Returns:
      `out_type`, the shape of the strings.

    Raises:
      InvalidArgumentError: when it runs, a string is no number, or does not fit `out_type`.

    Example:
      >>> tf.string_to_number(["1.5", "-2"])     # [1.5, -2.]
    """
    strings = renamed("input", input, "string_tensor", string_tensor)
    return string_to_number_op(strings, out_type=out_type, name=name)


@export(v2=["strings.to_number"])
def string_to_number_v2(input: Any, out_type: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """The numbers that strings stand for (see `tf.string_to_number` of 1.x)."""
    return string_to_number_op(input, out_type=out_type, name=name)


# --- Joining ------------------------------------------------------------------------------------------------


def _join_shape(c: ShapeContext) -> Any:
    merged: Any = ()
    for tensor in c.inputs:
        if tensor._shape is None:
            return None
        if tensor._shape:
            merged = shapes.merge(merged or tensor._shape, tensor._shape)
    return merged


@op('StringJoin(inputs: N*string, *, separator: string = "") -> output: string', shape=_join_shape, host=True)
def string_join_op(xp, inputs, *, separator):
    shape = next((array.shape for array in inputs if array.ndim), ())
    columns = []
    for array in inputs:
        if array.ndim and array.shape != shape:
            raise ValueError(
                f"Input shapes do not match: {shapes.format_shape(shape)} vs. {shapes.format_shape(array.shape)}"
            )
        columns.append(np.broadcast_to(array, shape).reshape(-1).tolist())
    result = np.empty(shape, object)
    result.reshape(-1)[:] = [separator.encode().join(parts) for parts in zip(*columns, strict=True)]
    return result


@export("strings.join", v1=["string_join"])
def string_join(inputs: Any, separator: str = "", name: str | None = None) -> Tensor:
    """Joins strings element by element.

    Args:
      inputs: a list of string tensors, of one shape or scalars.
      separator: what stands between them.
      name: the operation's name.

    Example:
      >>> tf.strings.join([["a", "b"], "x"], "-")     # [b"a-x", b"b-x"]
    """
    return string_join_op(inputs, separator=separator, name=name)


# --- Templates ----------------------------------------------------------------------------------------------


@op(
    'StringFormat(inputs: T[], *, template: string = "%s", placeholder: string = "%s", summarize: int = 3)'
    " -> output: string",
    T=0,
    shape=scalar,
    host=True,
)
def string_format_op(xp, inputs, *, template, placeholder, summarize):
    pieces = template.split(placeholder)
    if len(pieces) != len(inputs) + 1:
        raise ValueError(
            f"num placeholders in template and num inputs must match: {len(pieces) - 1} vs. {len(inputs)}"
        )
    text = pieces[0]
    for array, piece in zip(inputs, pieces[1:], strict=True):
        text += format_value(array, summarize) + piece
    return np.array(text.encode(), object)


@export("strings.format")
def string_format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Tensor:
    """Fills the values of tensors into a text.

    Args:
      template: the text, with a placeholder for each tensor.
      inputs: a list of tensors, or one.
      placeholder: what is replaced.
      summarize: how many entries at each end of a dimension are shown; -1: all.
      name: the operation's name.

    Returns:
      A string scalar.

    Raises:
      ValueError: there are not as many placeholders as tensors.

    Example:
      >>> tf.strings.format("x = {}", tf.range(8))     # b"x = [0 1 2 ... 5 6 7]"
    """
    tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    count = template.count(placeholder)
    if count != len(tensors):
        raise ValueError(
            f"{count} placeholder(s) in template does not match {len(tensors)} tensor(s) provided as input"
        )
    return string_format_op(tensors, template=template, placeholder=placeholder, summarize=summarize, name=name)


for _definition in (as_string_op, string_to_number_op, string_join_op, string_format_op):
    _definition.no_gradient("text has no derivative")


# --- Patterns -----------------------------------------------------------------------------------------------


@op("StaticRegexFullMatch(input: string, *, pattern: string) -> output: bool", shape=same_as(0), host=True)
def static_regex_full_match_op(xp, input, *, pattern):
    """Whether strings match a pattern as a whole: graphs that save ask so whether they save to a remote place."""
    matcher = re.compile(pattern.encode("utf-8", "surrogateescape"))
    found = [matcher.fullmatch(item) is not None for item in input.reshape(-1)]
    return np.array(found, np.bool_).reshape(input.shape)


static_regex_full_match_op.no_gradient("strings have no gradient")
