"""Complex numbers: putting them together and taking them apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_rules import broadcast, same_as
from millstream.core.tensor import Tensor
from millstream.ops.fill_ops import zeros_like

_TO_REAL = {"T": "complex64 complex128 = complex64", "shape": same_as(0)}


@op(
    "Complex(real: T, imag: T, *, Tout: type{complex64,complex128} = complex64) -> out: Tout",
    T="float double = float", shape=broadcast,
)  # fmt: skip
def complex_op(xp, real, imag, *, Tout):
    real, imag = xp.broadcast_arrays(real, imag)
    if xp is not np:
        from jax import lax

        return lax.complex(real, imag)
    result = np.empty(real.shape, Tout.as_numpy_dtype)
    result.real, result.imag = real, imag  # real + 1j * imag would make a NaN of an infinite part
    return result


@complex_op.gradient
def _(op, grad):
    from millstream.ops.elementwise import unbroadcast

    x, y = op.inputs
    return unbroadcast(real(grad), x, y), unbroadcast(imag(grad), y, x)


@op("Real(input: T, *, Tout: type{float,double} = float) -> output: Tout", **_TO_REAL)
def real_op(xp, input):
    return xp.real(input)


@real_op.gradient
def _(op, grad):
    return complex(grad, _zero(grad))


@op("Imag(input: T, *, Tout: type{float,double} = float) -> output: Tout", **_TO_REAL)
def imag_op(xp, input):
    return xp.imag(input)


@imag_op.gradient
def _(op, grad):
    return complex(_zero(grad), grad)


@op("Angle(input: T, *, Tout: type{float,double} = float) -> output: Tout", **_TO_REAL)
def angle_op(xp, input):
    return xp.angle(input)


@angle_op.gradient
def _(op, grad):
    x = op.inputs[0]
    return -complex(grad, _zero(grad)) / complex(imag(x), real(x))


@op("ComplexAbs(x: T, *, Tout: type{float,double} = float) -> y: Tout", **_TO_REAL)
def complex_abs_op(xp, x):
    return xp.abs(x)


@complex_abs_op.gradient
def _(op, grad):
    from millstream.ops.elementwise_ops import sign

    return complex(grad, _zero(grad)) * sign(op.inputs[0])


@op("Conj(input: T) -> output: T", T="complex64 complex128 variant = complex64", shape=same_as(0))
def conj_op(xp, input):
    return xp.conj(input)


@conj_op.gradient
def _(op, grad):
    return conj(grad)


def _zero(x: Any) -> Tensor:
    return to_tensor(0, x.dtype.base_dtype)


@export("complex", "dtypes.complex")
def complex(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """Complex numbers from real and imaginary parts.

    Args:
      real: a float32 or float64 tensor.
      imag: a tensor of the same dtype and shape.
      name: the operation's name.

    Returns:
      complex64 or complex128.

    Raises:
      TypeError: the parts are not both float32 or both float64.

    Example:
      >>> tf.complex([2.25, 3.25], [4.75, 5.75])     # [2.25+4.75j, 3.25+5.75j]
    """
    real = to_tensor(real, name="real")
    imag = to_tensor(imag, name="imag")
    with name_scope(name, "Complex", [real, imag]) as scope:
        parts = real.dtype.base_dtype, imag.dtype.base_dtype
        if parts not in ((dtypes.float32, dtypes.float32), (dtypes.float64, dtypes.float64)):
            raise TypeError(f"real and imag have incorrect types: {parts[0].name} {parts[1].name}")
        result = dtypes.complex64 if parts[0] is dtypes.float32 else dtypes.complex128
        return complex_op(real, imag, Tout=result, name=scope)


@export("math.real", v1=["real"])
def real(input: Any, name: str | None = None) -> Tensor:
    """The real part of a complex tensor, elementwise; a real tensor itself.

    Args:
      input: a numeric tensor.
      name: the operation's name.
    """
    with name_scope(name, "Real", [input]) as scope:
        input = to_tensor(input, name="input")
        return real_op(input, Tout=input.dtype.real_dtype, name=scope) if input.dtype.is_complex else input


@export("math.imag", v1=["imag"])
def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part of a complex tensor, elementwise; zeros for a real tensor.

    Args:
      input: a numeric tensor.
      name: the operation's name.
    """
    with name_scope(name, "Imag", [input]) as scope:
        input = to_tensor(input, name="input")
        return imag_op(input, Tout=input.dtype.real_dtype, name=scope) if input.dtype.is_complex else zeros_like(input)


@export(v1=["math.angle", "angle"])
def angle(input: Any, name: str | None = None) -> Tensor:
    """The argument of each complex number, atan2(imaginary part, real part), in radians.

    Args:
      input: a tensor; for a real one the result is zero, as in TensorFlow 1.x.
      name: the operation's name.
    """
    with name_scope(name, "Angle", [input]) as scope:
        input = to_tensor(input, name="input")
        return angle_op(input, Tout=input.dtype.real_dtype, name=scope) if input.dtype.is_complex else zeros_like(input)


@export("math.conj", v1=["conj"])
def conj(x: Any, name: str | None = None) -> Tensor:
    """The complex conjugate, elementwise; a real tensor itself.

    Args:
      x: a numeric or variant tensor.
      name: the operation's name.

    Raises:
      TypeError: `x` is not numeric.
    """
    if isinstance(x, Tensor) and (x.dtype.is_floating or x.dtype.is_integer):
        return x
    with name_scope(name, "Conj", [x]) as scope:
        x = to_tensor(x, name="x")
        if x.dtype.is_complex or x.dtype.base_dtype is dtypes.variant:
            return conj_op(x, name=scope)
        if x.dtype.is_floating or x.dtype.is_integer:
            return x
        raise TypeError(f"Expected numeric or variant tensor, got dtype {x.dtype!r}")
