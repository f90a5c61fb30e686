"""`tf.debugging.enable_check_numerics`: the first operation whose result is not finite raises an error."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import errors, observers, shapes
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor

# These pass on numbers that were there before, or choose among them, like those marked `moves_data`.
_SAFE = frozenset(
    "CheckNumerics CheckNumericsV2 ConcatV2 ExpandDims Fill Gather GatherV2 Identity Maximum Minimum Pack Placeholder "
    "ReadVariableOp Reshape Select SelectV2 Slice Squeeze StridedSlice StridedSliceGrad Transpose Unpack".split()
)
# What the mean and variance of an empty batch are does not matter.
_FIRST_OUTPUT_ONLY = frozenset(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"))


# --- The operation ------------------------------------------------------------------------------------------


def _flaws(xp: Any, values: Any) -> list[tuple[str, Any]]:
    """The kinds of numbers that are not finite, and where they are."""
    infinite = xp.isinf(values)
    return [("-Inf", infinite & (values < 0)), ("+Inf", infinite & (values > 0)), ("NaN", xp.isnan(values))]


def _listed(kinds: list[str]) -> str:
    """`a`, `a and b`, or `a, b, and c`."""
    if len(kinds) < 3:
        return " and ".join(kinds)
    return ", ".join(kinds[:-1]) + ", and " + kinds[-1]


@op("CheckNumericsV2(tensor: T, *, message: string) -> output: T",
    T="bfloat16 half float double", shape=same_as(0), stateful=True)  # fmt: skip
def check_numerics_v2_op(xp, tensor, *, message, check):
    """Like `CheckNumerics`, but tells positive from negative infinity."""
    found = [(kind, xp.any(where)) for kind, where in _flaws(xp, tensor)]

    def text(*present: Any) -> str:
        kinds = [kind for (kind, _), there in zip(found, present, strict=True) if there]
        return f"{message} : Tensor had {_listed(kinds)} values"

    ok = xp.all(xp.isfinite(tensor))
    check(ok, errors.InvalidArgumentError, text, *(there for _, there in found))
    return tensor


@check_numerics_v2_op.gradient
def _(op, grad):
    message = "Not a number (NaN) or infinity (Inf) values detected in gradient. " + op.attrs["message"]
    return check_numerics_v2_op(grad, message=message)


# --- The observer -------------------------------------------------------------------------------------------


class _Settings(threading.local):
    """What a thread has asked for."""

    stack_height: int | None = None  # how many calls the error shows; None: nothing is checked
    path_length: int = 50


_settings = _Settings()


@export(v2=["debugging.enable_check_numerics"])
def enable_check_numerics(stack_height_limit: int = 30, path_length_limit: int = 50) -> None:
    """Has the first operation whose result holds a NaN or an infinity raise an error, in this thread.

    Eager operations are checked as they run; functions that are traced from now on hold a check behind each
    operation. Operations that only move numbers are not checked.

    Args:
      stack_height_limit: how many calls the error shows of those that led to an operation of a function.
      path_length_limit: how many letters of a file's path it shows.

    Raises:
      InvalidArgumentError: from then on, at the operation.

    Example:
      >>> tf.debugging.enable_check_numerics()
      >>> tf.math.log(-1.)                      # InvalidArgumentError, which says: Log
    """
    _settings.stack_height, _settings.path_length = stack_height_limit, path_length_limit
    observers.add(_check)


@export(v2=["debugging.disable_check_numerics"])
def disable_check_numerics() -> None:
    """Undoes `tf.debugging.enable_check_numerics` in this thread; functions that have been traced keep their checks."""
    _settings.stack_height = None


def _check(definition: OpDef, inputs: Sequence[Any], result: Any) -> Any:
    if _settings.stack_height is None or definition.moves_data or definition.name in _SAFE:
        return result
    outputs = result if isinstance(result, (list, tuple)) else [result]
    count = len(outputs)
    checked = []
    for index, output in enumerate(outputs):
        is_float = isinstance(output, Tensor) and output.dtype.is_floating
        if is_float and not (index and definition.name in _FIRST_OUTPUT_ONLY):
            output = _checked(output, definition.name, index, count, inputs)
        checked.append(output)
    if isinstance(result, tuple):
        return type(result)(*checked) if hasattr(result, "_fields") else tuple(checked)
    return checked if isinstance(result, list) else checked[0]


def _checked(output: Tensor, op_type: str, index: int, count: int, inputs: Sequence[Any]) -> Tensor:
    if not output.is_eager:
        return check_numerics_v2_op(output, message=_message(output, "graph op", op_type, index, count, inputs))
    values = output.numpy()
    if np.all(np.isfinite(values)):
        return output
    message = _message(output, "eagerly-executing op", op_type, index, count, inputs)
    kinds = [kind for kind, where in _flaws(np, values) if np.any(where)]
    raise errors.InvalidArgumentError(None, None, f"{message} : Tensor had {_listed(kinds)} values")


# --- What the error says ------------------------------------------------------------------------------------


def _message(output: Tensor, kind: str, op_type: str, index: int, count: int, inputs: Sequence[Any]) -> str:
    lines = [
        "", "",
        f'!!! Detected Infinity or NaN in output {index} of {kind} "{op_type}" (# of outputs: {count}) !!!',
        f"  dtype: {output.dtype}",
        f"  shape: {shapes.TensorShape(output._shape)}",
    ]  # fmt: skip
    if output.is_eager:
        for flaw, where in _flaws(np, output.numpy()):
            number = int(np.sum(where))
            lines += [f"  # of {'+' if flaw == 'NaN' else ''}{flaw} elements: {number}"] if number else []
    lines += ["", *_described_inputs(inputs)]
    if not output.is_eager:
        lines += _described_place(output)
    return "\n".join([*lines, "", ""])


def _described_inputs(inputs: Sequence[Any]) -> list[str]:
    if len(inputs) == 1:
        return [f"  Input tensor: {inputs[0]!s}"]
    return [f"  Input tensors ({len(inputs)}):", *(f"         {i}: {item!s}" for i, item in enumerate(inputs))]


def _described_place(output: Tensor) -> list[str]:
    """Where in the program the operation was made, the innermost calls last."""
    frames = output.op.traceback[-(_settings.stack_height or 1) :]
    lines = ["", "  Stack trace of op's creation:"]
    for path, line, function, _ in frames:
        short = path if len(path) <= _settings.path_length else "..." + path[3 - _settings.path_length :]
        lines.append(f"    + {short} (L{line}) {function}")
    return lines
