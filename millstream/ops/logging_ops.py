"""Printing values while the graph runs."""
from __future__ import annotations

import logging
import sys
from typing import Any

from millstream.core.dtypes import string
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.operation import Operation
from millstream.core.shape_rules import no_outputs, same_as
from millstream.core.tensor import Tensor
from millstream.ops.string_ops import string_format_op
from millstream.ops.value_text import summarize as summary

# --- Print --------------------------------------------------------------------------------------------------


@op(
    'Print(input: T, data: U[], *, message: string = "", first_n: int = -1, summarize: int = 3) -> output: T',
    T=(),
    U=0,
    shape=same_as(0),
    stateful=True,
    host=True,
)
def print_op(xp, input, data, *, message, first_n, summarize, node):
    printed = getattr(node, "_times_printed", 0)
    if first_n < 0 or printed < first_n:
        node._times_printed = printed + 1
        print(message + "".join(f"[{summary(array, summarize)}]" for array in data), file=sys.stderr, flush=True)
    return input


@print_op.gradient
def _(op, grad):
    return [grad, *([None] * (len(op.inputs) - 1))]


@export(v1=["Print"])
def Print(  # noqa: N802  (the public name)
    input_: Any,
    data: Any,
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """The same tensor; each time it is computed, values are printed to the standard error stream.

    Args:
      input_: any dtype and shape.
      data: a list of tensors to print.
      message: what is printed before them.
      first_n: prints this many times only; default: always.
      summarize: how many elements of each tensor are printed; default 3, -1: all.
      name: the operation's name.

    Example:
      >>> x = tf.Print(x, [tf.shape(x)], "shape of x: ")     # prints: shape of x: [32 784]
    """
    return print_op(
        input_,
        data,
        message=message or "",
        first_n=-1 if first_n is None else first_n,
        summarize=3 if summarize is None else summarize,
        name=name,
    )


# --- print --------------------------------------------------------------------------------------------------

_LOG_LEVELS = {"log(info)": logging.INFO, "log(warning)": logging.WARNING, "log(error)": logging.ERROR}


@op(
    'PrintV2(input: string, *, output_stream: string = "stderr", end: string = "\\n")',
    shape=no_outputs,
    stateful=True,
    host=True,
)
def print_v2_op(xp, input, *, output_stream, end):
    text = input[()].decode("utf-8", "replace") + end
    if output_stream in _LOG_LEVELS:
        logging.getLogger("tensorflow").log(_LOG_LEVELS[output_stream], text.rstrip("\n"))
    elif output_stream.startswith("file://"):
        with open(output_stream[len("file://") :], "a", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="", file=sys.stdout if output_stream == "stdout" else sys.stderr, flush=True)


print_v2_op.no_gradient("it has no outputs")


def _stream_name(stream: Any) -> str:
    """The attribute's value for what users give as `output_stream`.

    Raises:
      ValueError: it is no stream that the operation can print to.
    """
    if isinstance(stream, str):
        if stream.startswith("file://"):
            return stream
        if stream in ("stdout", "stderr", *_LOG_LEVELS):
            return stream
    elif stream is sys.stdout or stream is sys.__stdout__:
        return "stdout"
    elif stream is sys.stderr or stream is sys.__stderr__:
        return "stderr"
    elif isinstance(stream, int) and stream in _LOG_LEVELS.values():
        return next(name for name, level in _LOG_LEVELS.items() if level == stream)
    name = getattr(stream, "__name__", "")
    if name in ("info", "warning", "warn", "error"):
        return f"log({'warning' if name == 'warn' else name})"
    raise ValueError(
        f"Unsupported output stream, logging level, or file.{stream}. Supported streams are sys.stdout, sys.stderr, "
        "tf.logging.info, tf.logging.warning, tf.logging.error. File needs to be in the form of 'file://<filepath>'."
    )


class _Slot:
    """Stands for a tensor in a nested structure while that is written as text."""

    def __init__(self, placeholder: str) -> None:
        self._placeholder = placeholder

    def __repr__(self) -> str:
        return self._placeholder


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "_as_graph_element")


def _with_slots(value: Any, placeholder: str, tensors: list[Any]) -> Any:
    """`value` with a slot in place of each tensor, which is appended to `tensors`."""
    if _is_tensor(value):
        tensors.append(value)
        return _Slot(placeholder)
    if isinstance(value, dict):
        return type(value)((key, _with_slots(value[key], placeholder, tensors)) for key in sorted(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_with_slots(item, placeholder, tensors) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_with_slots(item, placeholder, tensors) for item in value)
    return value


def _template(inputs: Any, separator: str) -> tuple[str, str, list[Any]]:
    """The text with a placeholder for each tensor, the placeholder, and the tensors."""
    import pprint

    placeholder = "{}"
    while placeholder in pprint.pformat(_with_slots(list(inputs), "", [])) or placeholder in separator:
        placeholder += "9"
    tensors: list[Any] = []
    parts = []
    for value in inputs:
        marked = _with_slots(value, placeholder, tensors)
        parts.append(marked if isinstance(marked, str) else pprint.pformat(marked))
    return separator.join(parts), placeholder, tensors


@export("print")
def print_(*inputs: Any, **kwargs: Any) -> Operation | None:
    """Prints values when it runs: tensors, Python values, and structures of them.

    Args:
      *inputs: what is printed, in this order.
      output_stream: `sys.stderr` (the default), `sys.stdout`, `tf.logging.info` or another level, or
        `"file://<path>"`, which is appended to.
      summarize: how many entries at each end of a dimension are shown; default 3, -1: all.
      sep: what stands between two values; default a space.
      end: what stands after the last; default a line break.
      name: the operation's name.

    Returns:
      The operation; in a graph, put it into `tf.control_dependencies` to have it run.

    Raises:
      ValueError: another keyword argument, or an unknown stream.

    Example:
      >>> op = tf.print("x:", tf.range(8))     # prints: x: [0 1 2 ... 5 6 7]
    """
    stream = _stream_name(kwargs.pop("output_stream", sys.stderr))
    name, summarize = kwargs.pop("name", None), kwargs.pop("summarize", 3)
    separator, end = kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    format_name = f"{name}_format" if name else None
    only = inputs[0] if len(inputs) == 1 else None
    if isinstance(only, Tensor) and only._shape == () and only.dtype.base_dtype is string:
        text: Any = only
    else:
        template, placeholder, tensors = _template(inputs, separator)
        text = string_format_op(
            tensors, template=template, placeholder=placeholder, summarize=summarize, name=format_name
        )
    return print_v2_op(text, output_stream=stream, end=end, name=name)
