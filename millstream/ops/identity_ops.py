"""Operations that pass a tensor on unchanged."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import op
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor


@op("Identity(input: T) -> output: T", T=ANY, shape=same_as(0), moves_data=True)
def identity_op(xp, input):
    return input


@op("Snapshot(input: T) -> output: T", T=ANY, shape=same_as(0), moves_data=True)
def snapshot_op(xp, input):
    return input


@op("RefIdentity(input: Ref(T)) -> output: Ref(T)", T=ANY, shape=same_as(0), allows_uninitialized=True)
def ref_identity_op(xp, input):
    return input


@op("DebugGradientIdentity(input: T) -> output: T", T=ANY, shape=same_as(0), allows_uninitialized=True)
def debug_gradient_identity_op(xp, input):
    return input


@identity_op.gradient
@snapshot_op.gradient
@ref_identity_op.gradient
@debug_gradient_identity_op.gradient
def _pass_gradient(op, grad):
    return grad


def _map_components(function: Any, value: Any) -> Any:
    """Applies `function` to the tensors that a sparse value or `IndexedSlices` is made of."""
    if isinstance(value, IndexedSlices):
        shape = None if value.dense_shape is None else function(value.dense_shape)
        return IndexedSlices(function(value.values), function(value.indices), shape)
    return type(value)(function(value.indices), function(value.values), function(value.dense_shape))


def is_sparse(value: Any) -> bool:
    """Whether this is a `SparseTensor` (or a named tuple of its three parts)."""
    return hasattr(value, "dense_shape") and not isinstance(value, IndexedSlices)


@export("identity")
def identity(input: Any, name: str | None = None) -> Any:
    """A tensor with the same contents, for instance to give it a name or to read a variable at this point.

    Args:
      input: a tensor of any dtype and shape, a `SparseTensor` or `IndexedSlices`.
      name: the operation's name.
    """
    if isinstance(input, IndexedSlices) or is_sparse(input):
        return _map_components(lambda part: identity_op(part, name=name), input)
    return identity_op(input, name=name)


@op("IdentityN(input: T[]) -> output: T[]", shape=lambda c: [tensor._shape for tensor in c.inputs])
def identity_n_op(xp, input):
    return input


@op("XlaOptimizationBarrier(input: T[]) -> output: T[]", shape=lambda c: [tensor._shape for tensor in c.inputs])
def optimization_barrier_op(xp, input):
    """Hides from the compiler what the tensors are, so that it does not share what is computed from them."""
    if xp is np:
        return input
    from jax import lax

    return lax.optimization_barrier(input)


@identity_n_op.gradient
@optimization_barrier_op.gradient
def _(op, *grads):
    return list(grads)


@export("identity_n")
def identity_n(input: Any, name: str | None = None) -> list[Tensor]:
    """The same tensors again, all of them available at once.

    Args:
      input: a list of tensors, of any dtypes and shapes.
      name: the operation's name.
    """
    return identity_n_op(input, name=name)


@op("StopGradient(input: T) -> output: T", T=ANY, shape=same_as(0), moves_data=True)
def stop_gradient_op(xp, input):
    return input


stop_gradient_op.no_gradient("it stops gradients")


@export("stop_gradient")
def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """The same tensor, regarded as a constant by gradients.

    Args:
      input: any dtype and shape.
      name: the operation's name.

    Example:
      >>> y = x - tf.stop_gradient(tf.reduce_mean(x))     # the mean counts as a number
    """
    return stop_gradient_op(input, name=name)


@op('PreventGradient(input: T, *, message: string = "") -> output: T', T=ANY, shape=same_as(0))
def prevent_gradient_op(xp, input):
    return input


@prevent_gradient_op.gradient
def _(op, grad):
    raise LookupError(f"Gradient explicitly disabled. Reason: {op.attrs['message']}")


def prevent_gradient(input: Any, message: str = "", name: str | None = None) -> Tensor:
    """The same tensor; asking for a gradient through it is a LookupError that gives `message`."""
    return prevent_gradient_op(input, message=message, name=name)


@op("GuaranteeConst(input: T) -> output: T", T=ANY, shape=same_as(0), stateful=True)
def guarantee_const_op(xp, input):
    return input


@export("guarantee_const")
def guarantee_const(input: Any, name: str | None = None) -> Tensor:
    """The same tensor, with the promise that its value never changes.

    Args:
      input: any dtype and shape.
      name: the operation's name.
    """
    return guarantee_const_op(input, name=name)


@op(
    "CheckNumerics(tensor: T, *, message: string) -> output: T",
    T="bfloat16 half float double",
    shape=same_as(0),
    stateful=True,
)
def check_numerics_op(xp, tensor, *, message, check):
    nan, inf = xp.any(xp.isnan(tensor)), xp.any(xp.isinf(tensor))
    for found, what in ((nan & inf, "Inf and NaN"), (inf & ~nan, "Inf"), (nan & ~inf, "NaN")):
        check(~found, errors.InvalidArgumentError, f"{message} : Tensor had {what} values")
    return tensor


@check_numerics_op.gradient
def _(op, grad):
    message = "Not a number (NaN) or infinity (Inf) values detected in gradient. " + op.attrs["message"]
    return check_numerics_op(grad, message=message)


@export("debugging.check_numerics", v1=["check_numerics"])
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The same tensor, after a check that it holds no NaN and no infinity.

    Args:
      tensor: bfloat16, float16, float32 or float64, any shape.
      message: how the error's message begins.
      name: the operation's name.

    Raises:
      InvalidArgumentError: when it runs and an element is not finite.
    """
    return check_numerics_op(tensor, message=message, name=name)
