"""The machinery of operations that work element by element.

`unary` and `binary` make an operation out of one row of a table: its type, dtypes, public names, kernel,
derivative and documentation. The tables are in `elementwise_ops`, `arithmetic_ops`, `comparison_ops` and
`special_math_ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from millstream.core.export import export_value
from millstream.core.gradients import is_wanted
from millstream.core.opdef import OpDef, Shape, op
from millstream.core.shape_rules import broadcast, same_as
from millstream.core.tensor import Tensor
from millstream.ops import reshape_ops, shape_ops

FLOATING = "bfloat16 half float double"
COMPLEX = "complex64 complex128"
FLOATING_AND_COMPLEX = f"{FLOATING} {COMPLEX}"
SIGNED = f"{FLOATING} int32 int64 {COMPLEX}"
ARITHMETIC = f"{FLOATING} uint8 int8 uint16 int16 int32 int64 {COMPLEX}"


class UnaryFunction(Protocol):
    """A public function of one tensor."""

    definition: OpDef

    def __call__(self, x: Any, name: str | None = None) -> Tensor: ...


class BinaryFunction(Protocol):
    """A public function of two tensors."""

    definition: OpDef

    def __call__(self, x: Any, y: Any, name: str | None = None) -> Tensor: ...


def unary(
    op_type: str,
    dtypes: Any,
    *names: str,
    kernel: Callable[..., Any],
    doc: str,
    derivative: Callable[[Any, Any], Any] | None = None,
    gradient: Callable[..., Any] | None = None,
    no_gradient: str | None = None,
    out: str = "T",
    v1: Iterable[str] = (),
    v2: Iterable[str] = (),
    traced_only: bool = False,
) -> UnaryFunction:
    """Defines an operation of one tensor and its public function.

    Args:
      op_type: the operation's type.
      dtypes: the dtypes of the input, as `op` takes them.
      *names: the public names; the last part of the very first one is the function's name in its module.
      kernel: `kernel(xp, x)`.
      doc: what it computes, for the function's docstring.
      derivative: `derivative(x, y)` builds dy/dx; for complex tensors it is called with their conjugates.
      gradient: `gradient(op, grad)`, in place of `derivative`.
      no_gradient: why it is not differentiable.
      out: the dtype of the result, where it is not that of `x`.
      v1, v2: further public names of one namespace only.
      traced_only: the kernel needs JAX.
    """
    kernel.__doc__ = doc
    definition = op(f"{op_type}(x: T) -> y: {out}", T=dtypes, shape=same_as(0), traced_only=traced_only)(kernel)
    _register_gradient(definition, gradient or (derivative and _unary_gradient(derivative)), no_gradient)

    def function(x: Any, name: str | None = None) -> Tensor:
        return definition(x, name=name)

    arguments = [f"x: a tensor of any shape; {_allowed(definition)}."]
    return _publish(function, definition, names, v1, v2, arguments, "of the shape of `x`")


def binary(
    op_type: str, dtypes: Any, *names: str, v1: Iterable[str] = (), v2: Iterable[str] = (), **parts: Any
) -> BinaryFunction:
    """Defines an operation of two tensors `x` and `y` and its public function.

    Args:
      op_type, dtypes, *names, v1, v2: as for `unary`.
      **parts: what `binary_op` takes.
    """
    definition = binary_op(op_type, dtypes, **parts)

    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        return definition(x, y, name=name)

    arguments = [
        f"x: a tensor; {_allowed(definition)}.",
        "y: a tensor of the same dtype, whose shape broadcasts with that of `x`.",
    ]
    return _publish(function, definition, names, v1, v2, arguments, "of the broadcast shape")


def binary_op(
    op_type: str,
    dtypes: Any,
    *,
    kernel: Callable[..., Any],
    doc: str = "",
    gradient: Callable[..., Any] | tuple[Callable[..., Any], Callable[..., Any]] | None = None,
    no_gradient: str | None = None,
    inputs: tuple[str, str] = ("x", "y"),
    out: str = "z: T",
    commutative: bool = False,
    aggregate: bool = False,
    traced_only: bool = False,
) -> OpDef:
    """Defines an operation of two tensors that are broadcast against each other.

    Args:
      op_type, dtypes, no_gradient, traced_only: as for `unary`.
      kernel: `kernel(xp, x, y)`.
      doc: what it computes.
      gradient: `gradient(grad, x, y, z)` builds the gradients of both inputs in the broadcast shape, None
        where there is none; for complex tensors it is called with the conjugates of inputs and result. Or a pair of
        such functions, one for each input.
      inputs: the names of the inputs.
      out: name and dtype of the result.
      commutative: the order of the inputs does not matter.
      aggregate: several such operations may be summed as one.
    """
    kernel.__doc__ = doc
    first, second = inputs
    definition = op(
        f"{op_type}({first}: T, {second}: T) -> {out}",
        T=dtypes, shape=broadcast, commutative=commutative, aggregate=aggregate, traced_only=traced_only,
    )(kernel)  # fmt: skip
    _register_gradient(definition, gradient and _binary_gradient(gradient), no_gradient)
    return definition


# --- Public functions ---------------------------------------------------------------------------------------


def _publish(
    function: Any,
    definition: OpDef,
    names: tuple[str, ...],
    v1: Iterable[str],
    v2: Iterable[str],
    arguments: list[str],
    shape: str,
) -> Any:
    """Gives a function its name, its docstring and its public names."""
    function.__name__ = function.__qualname__ = (*names, *v1, *v2)[0].rpartition(".")[2]
    function.__module__ = definition.kernel.__module__
    function.definition = definition
    result = definition.outputs[0].dtype
    dtype = "the same dtype" if result is None else f"dtype {result.name}"
    lines = [
        definition.doc,
        "",
        "Args:",
        *(f"  {line}" for line in arguments),
        "  name: the operation's name.",
        "",
    ]
    function.__doc__ = "\n".join([*lines, "Returns:", f"  a tensor {shape}, of {dtype}."])
    export_value(function.__module__, function.__name__, *names, v1=v1, v2=v2)
    return function


def _allowed(definition: OpDef) -> str:
    return ", ".join(dtype.name for dtype in definition.attrs["T"].allowed or ())


# --- Gradients ----------------------------------------------------------------------------------------------


def _register_gradient(definition: OpDef, gradient: Callable[..., Any] | None, reason: str | None) -> None:
    if gradient is not None:
        definition.gradient(gradient)
    elif reason is not None:
        definition.no_gradient(reason)


def _unary_gradient(derivative: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def gradient(op: Any, grad: Any) -> Any:
        return grad * derivative(conjugate(op.inputs[0]), conjugate(op.outputs[0]))

    return gradient


def _binary_gradient(partial: Any) -> Callable[..., Any]:
    def gradient(op: Any, grad: Any) -> Any:
        x, y = op.inputs
        wanted = is_wanted(op, 0), is_wanted(op, 1)
        given = grad, conjugate(x), conjugate(y), conjugate(op.outputs[0])
        if isinstance(partial, tuple):
            grads = [by(*given) if is_of_use else None for by, is_of_use in zip(partial, wanted, strict=True)]
        else:
            grads = partial(*given)
        return unbroadcast(grads[0], x, y) if wanted[0] else None, unbroadcast(grads[1], y, x) if wanted[1] else None

    return gradient


def conjugate(x: Any) -> Any:
    """The complex conjugate of a complex tensor, any other tensor itself."""
    if not x.dtype.is_complex:
        return x
    from millstream.ops import complex_ops

    return complex_ops.conj(x)


def unbroadcast(grad: Any, operand: Any, other: Any) -> Any:
    """Sums a gradient over the axes along which broadcasting had stretched one of two operands.

    Args:
      grad: a tensor of the broadcast shape of both operands, or None.
      operand: the operand to whose shape it is summed.
      other: the operand that it was combined with.
    """
    from millstream.ops.reduction_ops import reduce_sum

    if grad is None:
        return None
    axes: Any = _stretched_axes(operand._shape, other._shape)
    if axes is None:
        axes, _ = broadcast_gradient_args_op(shape_ops.shape(operand), shape_ops.shape(other))
    elif not axes:
        return grad
    total = reduce_sum(grad, axes)
    if operand._shape is not None and total._shape is not None and len(operand._shape) == len(total._shape):
        return total  # only axes that the operand lacks were summed
    return reshape_ops.reshape(total, shape_ops.shape(operand))


def _stretched_axes(shape: Shape, other: Shape) -> list[int] | None:
    """The axes of the broadcast shape along which `shape` is stretched, or None where that is not known.

    Axes that `shape` lacks count, whatever the other's dimension there. An unknown dimension may be 1.
    """
    if shape == other and shape is not None and None not in shape:
        return []
    if shape is None or other is None:
        return [] if other == () else None
    rank = max(len(shape), len(other))
    missing = rank - len(shape)
    dims = (1,) * (rank - len(other)) + other
    axes = list(range(missing))
    for axis, dim in enumerate(shape, missing):
        if dim == 1 and dims[axis] != 1:
            axes.append(axis)
        elif dim is None and dims[axis] != 1:
            return None
    return axes


@op(
    "BroadcastGradientArgs(s0: T, s1: T) -> r0: T, r1: T",
    T="int32 int64 = int32", static=("s0", "s1"), shape=lambda c: [(None,), (None,)],
)  # fmt: skip
def broadcast_gradient_args_op(xp: Any, s0: Any, s1: Any) -> Any:
    """The axes to sum over in the gradients of two operands of these shapes."""
    rank = max(len(s0), len(s1))
    return tuple(np.flatnonzero(np.pad(shape, (rank - len(shape), 0), constant_values=1) == 1) for shape in (s0, s1))


broadcast_gradient_args_op.no_gradient("integer axes")
