"""Discrete Fourier transforms of complex numbers over the last one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_prod
from millstream.ops.shape_ops import shape


def _define(rank: int, inverse: bool) -> OpDef:
    """The operation of one transform: `FFT`, `IFFT2D`, ..."""

    def kernel(xp, input):  # type: ignore[no-untyped-def]
        transform = xp.fft.ifftn if inverse else xp.fft.fftn
        return transform(input, axes=tuple(range(-rank, 0)))

    def same_shape(c: ShapeContext) -> Any:
        return shapes.with_rank_at_least(c.shape(0), rank)

    name = ("IFFT" if inverse else "FFT") + ("" if rank == 1 else f"{rank}D")
    signature = f"{name}(input: Tcomplex) -> output: Tcomplex"
    return op(signature, Tcomplex="complex64 complex128 = complex64", shape=same_shape)(kernel)


_FFT, _IFFT = ({rank: _define(rank, inverse) for rank in (1, 2, 3)} for inverse in (False, True))
fft_op, fft2d_op, fft3d_op = _FFT.values()
ifft_op, ifft2d_op, ifft3d_op = _IFFT.values()


def _register_gradients(rank: int) -> None:
    """The transforms are symmetric: the gradient of one is the other one, but for its factor 1 / N."""

    @_FFT[rank].gradient
    def _(op, grad):
        return _IFFT[rank](grad) * _points(grad, rank)

    @_IFFT[rank].gradient
    def _(op, grad):
        return _FFT[rank](grad) / _points(grad, rank)


def _points(x: Any, rank: int) -> Any:
    """How many numbers are transformed at a time, as a scalar of the dtype of `x`."""
    if x._shape is not None and None not in x._shape[-rank:]:
        return np.array(np.prod(x._shape[-rank:]), x.dtype.as_numpy_dtype)
    return cast(reduce_prod(shape(x)[-rank:]), x.dtype)


for _rank in _FFT:
    _register_gradients(_rank)


# --- Public functions ---------------------------------------------------------------------------------------

_DOC = """The {inverse}discrete Fourier transform over the {dims}.

    {formula}

    Args:
      input: complex64 or complex128, {shape}.
      name: the operation's name.

    Returns:
      a tensor of the dtype and shape of `input`.
    """
_FORMULAS = (
    "`output[k] = sum(input[n] * exp(-2 pi i k n / N) for n in range(N))`, along each dimension.",
    "`output[n] = sum(input[k] * exp(2 pi i k n / N) for k in range(N)) / N`, along each dimension.",
)
_DIMS = {1: "last dimension", 2: "last two dimensions", 3: "last three dimensions"}
_SHAPES = {1: "[..., N]", 2: "[..., M, N]", 3: "[..., L, M, N]"}


def _publish(definition: OpDef, rank: int, inverse: bool) -> Callable[..., Tensor]:
    """The public function of one transform."""

    def transform(input: Any, name: str | None = None) -> Tensor:
        return definition(input, name=name)

    leaf = definition.name.lower()
    transform.__name__ = transform.__qualname__ = leaf
    transform.__doc__ = _DOC.format(
        inverse="inverse " if inverse else "", dims=_DIMS[rank], formula=_FORMULAS[inverse], shape=_SHAPES[rank]
    )
    return export(f"signal.{leaf}", v1=[leaf, f"spectral.{leaf}"])(transform)


fft, fft2d, fft3d = (_publish(_FFT[rank], rank, inverse=False) for rank in _FFT)
ifft, ifft2d, ifft3d = (_publish(_IFFT[rank], rank, inverse=True) for rank in _IFFT)
