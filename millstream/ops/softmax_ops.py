"""Softmax and its logarithm over one axis."""
from __future__ import annotations

from typing import Any

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import FLOATS
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import floormod, subtract
from millstream.ops.elementwise_ops import exp
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import transpose
from millstream.ops.shape_ops import rank

# --- Operations, over the last axis -------------------------------------------------------------------------


def _at_least_vector(c: ShapeContext) -> Any:
    return shapes.with_rank_at_least(c.shape(0), 1)


def shifted(xp: Any, logits: Any) -> Any:
    """Logits with the greatest of each row taken off, so that their exponentials do not overflow."""
    initial = {} if logits.size else {"initial": -float("inf")}
    return logits - xp.max(logits, axis=-1, keepdims=True, **initial)


@op("Softmax(logits: T) -> softmax: T", T=FLOATS, shape=_at_least_vector)
def softmax_op(xp, logits):
    weights = xp.exp(shifted(xp, logits))
    return weights / xp.sum(weights, axis=-1, keepdims=True)


@softmax_op.gradient
def _(op, grad):
    probabilities = op.outputs[0]
    return (grad - reduce_sum(grad * probabilities, -1, keepdims=True)) * probabilities


@op("LogSoftmax(logits: T) -> logsoftmax: T", T=FLOATS, shape=_at_least_vector)
def log_softmax_op(xp, logits):
    less = shifted(xp, logits)
    return less - xp.log(xp.sum(xp.exp(less), axis=-1, keepdims=True))


@log_softmax_op.gradient
def _(op, grad):
    return grad - reduce_sum(grad, -1, keepdims=True) * exp(op.outputs[0])


# --- Public functions, over any axis ------------------------------------------------------------------------


def _over_axis(definition: OpDef, logits: Any, axis: Any, name: str | None) -> Tensor:
    """Applies an operation that works on the last axis to another axis, which is swapped with the last one.

    Raises:
      InvalidArgumentError: there is no such axis.
    """
    logits = to_tensor(logits)
    shape = logits._shape
    known_rank = None if shape is None else len(shape)
    known_axis = constant_value(axis) if isinstance(axis, Tensor) else axis
    if known_axis is not None:
        known_axis = int(known_axis)
        if known_axis == -1 or known_rank is not None and known_axis == known_rank - 1:
            return definition(logits, name=name)
        if known_rank is not None and not -known_rank <= known_axis < known_rank:
            message = f"Dimension ({known_axis}) must be in the range [{-known_rank}, {known_rank}) where "
            message += f"{known_rank} is the number of dimensions in the input."
            raise errors.InvalidArgumentError(None, None, message)
    count = rank(logits)
    if known_axis is not None and known_axis < 0:
        axis = known_axis + count
    last_rank = rank(logits)
    axis = floormod(axis, last_rank) if known_rank is None else axis % known_rank
    output = definition(_swap_axes(logits, axis, subtract(last_rank, 1)))
    output = _swap_axes(output, axis, subtract(last_rank, 1), name)
    output.set_shape(shape)
    return output


def _swap_axes(x: Tensor, axis: Any, last: Tensor, name: str | None = None) -> Tensor:
    order = concat([range_of(axis), [last], range_of(axis + 1, last), [axis]], 0)
    return transpose(x, order, **({} if name is None else {"name": name}))


@export(v1=["nn.softmax", "math.softmax"])
def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """exp(logits), divided by their sum over one axis: positive numbers that add up to 1.

    Args:
      logits: a floating point tensor of at least one dimension.
      axis: the axis of the classes; default: the last one.
      name: the operation's name.
      dim: old name of `axis`.

    Raises:
      InvalidArgumentError: there is no such axis.

    Example:
      >>> tf.nn.softmax([1., 2., 3.])                 # [0.0900, 0.2447, 0.6652]
    """
    axis = renamed("axis", axis, "dim", dim)
    return _over_axis(softmax_op, logits, -1 if axis is None else axis, name)


@export(v2=["nn.softmax", "math.softmax"])
def softmax_v2(logits: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """exp(logits), divided by their sum over `axis` (default: the last one)."""
    return _over_axis(softmax_op, logits, -1 if axis is None else axis, name)


@export(v1=["nn.log_softmax", "math.log_softmax"])
def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """The logarithm of `softmax`, `logits - log(sum(exp(logits)))`, without overflow.

    Args:
      logits: a floating point tensor of at least one dimension.
      axis: the axis of the classes; default: the last one.
      name: the operation's name.
      dim: old name of `axis`.

    Raises:
      InvalidArgumentError: there is no such axis.
    """
    axis = renamed("axis", axis, "dim", dim)
    return _over_axis(log_softmax_op, logits, -1 if axis is None else axis, name)


@export(v2=["nn.log_softmax", "math.log_softmax"])
def log_softmax_v2(logits: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """The logarithm of `softmax` over `axis` (default: the last one)."""
    return _over_axis(log_softmax_op, logits, -1 if axis is None else axis, name)
