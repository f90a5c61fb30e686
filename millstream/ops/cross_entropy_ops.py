"""Cross-entropies of logits: softmax with dense and sparse labels, sigmoid; the Poisson loss."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from millstream.core import dtypes, errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import FLOATS
from millstream.core.export import export
from millstream.core.opdef import Shape, op
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.ops import reshape_ops, shape_ops
from millstream.ops.activation_ops import relu
from millstream.ops.arguments import is_concrete, renamed
from millstream.ops.arithmetic_ops import add, subtract
from millstream.ops.check_ops import assert_equal
from millstream.ops.comparison_ops import logical_and
from millstream.ops.constant_op import constant
from millstream.ops.elementwise import unbroadcast
from millstream.ops.elementwise_ops import abs as abs_of
from millstream.ops.elementwise_ops import exp, log, log1p
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.identity_ops import prevent_gradient, stop_gradient
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.select_ops import where
from millstream.ops.slice_ops import slice_
from millstream.ops.softmax_ops import log_softmax, shifted, softmax

# --- Softmax cross-entropy, labels as probabilities ---------------------------------------------------------


def _matrix_shapes(c: ShapeContext) -> Any:
    shape = shapes.broadcast(c.shape(0), c.shape(1))
    if shape is not None and len(shape) != 2:
        raise ValueError(f"Shape must be broadcasted with rank 2, but is rank {len(shape)}")
    shape = shape or (None, None)
    return [shape[:1], shape]


@op(
    "SoftmaxCrossEntropyWithLogits(features: T, labels: T) -> loss: T, backprop: T",
    T=FLOATS, shape=_matrix_shapes,
)  # fmt: skip
def softmax_cross_entropy_op(xp, features, labels):
    """The cross-entropy of each row, and its gradient with respect to the logits."""
    if not shapes.broadcasts(features.shape, labels.shape):
        sizes = [shapes.format_shape(array.shape) for array in (features, labels)]
        raise ValueError(f"logits and labels must be broadcastable: logits_size={sizes[0]} labels_size={sizes[1]}")
    less = shifted(xp, features)
    weights = xp.exp(less)
    total = xp.sum(weights, axis=-1, keepdims=True)
    return xp.sum(labels * (xp.log(total) - less), axis=-1), weights / total - labels


@softmax_cross_entropy_op.gradient
def _(op, grad_loss, grad_backprop):
    logits, labels = op.inputs
    column = reshape_ops.expand_dims(grad_loss, -1)
    grad = column * op.outputs[1]
    if not _is_zero(grad_backprop):
        probabilities = softmax(logits)
        grad = grad + (grad_backprop - reduce_sum(grad_backprop * probabilities, 1, keepdims=True)) * probabilities
    by_labels = column * -log_softmax(logits)
    return _summed_to(logits, labels, grad), _summed_to(labels, logits, by_labels)


def _is_zero(grad: Tensor | None) -> bool:
    """Whether a gradient is known to be zero: that of an output which nothing depends on."""
    if grad is None or not grad.is_eager:
        return grad is None or grad.op.type in ("ZerosLike", "Zeros")
    return not np.any(grad.numpy())


def _summed_to(operand: Tensor, other: Tensor, grad: Tensor) -> Tensor:
    """The gradient of an operand whose single row or column served for all of the other's."""
    return grad if shapes.is_compatible(operand._shape, other._shape) else unbroadcast(grad, operand, other)


def _check_named(function: str, sentinel: Any, labels: Any, logits: Any) -> None:
    """Logits and labels were exchanged once too often: they must be given by name.

    Raises:
      ValueError: they are not, or one of them is missing.
    """
    if sentinel is not None:
        raise ValueError(f"Only call `{function}` with named arguments (labels=..., logits=..., ...)")
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")


@export(v1=["nn.softmax_cross_entropy_with_logits_v2"])
def softmax_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None
) -> Tensor:
    """The cross-entropy of softmax(logits) relative to `labels`, one number a row; both are differentiated.

    Args:
      labels: probabilities that add up to 1 over `axis`, of the shape of `logits`; other dtypes are cast.
      logits: floating point, any shape of at least one dimension; no softmax has been applied to it.
      axis: the axis of the classes; default: the last one.
      name: the operation's name.
      dim: old name of `axis`.

    Returns:
      a tensor of the shape of `logits` without `axis`. Half precision is computed in float32.

    Example:
      >>> tf.nn.softmax_cross_entropy_with_logits_v2(labels=[[0., 1.]], logits=[[0., 0.]])     # [0.6931]
    """
    axis = renamed("axis", axis, "dim", dim)
    return _softmax_cross_entropy(labels, logits, -1 if axis is None else axis, name)


@export(v2=["nn.softmax_cross_entropy_with_logits"])
def softmax_cross_entropy_with_logits_2x(
    labels: Any, logits: Any, axis: int = -1, name: str | None = None
) -> Tensor:
    """The cross-entropy of softmax(logits) relative to `labels`, both differentiated.

    Args:
      labels: probabilities that add up to 1 over `axis`, of the shape of `logits`.
      logits: floating point; no softmax has been applied to it.
      axis: the axis of the classes.
      name: the operation's name.
    """
    _check_named("softmax_cross_entropy_with_logits", None, labels, logits)
    return _softmax_cross_entropy(labels, logits, axis, name)


@export(v1=["nn.softmax_cross_entropy_with_logits"])
def softmax_cross_entropy_with_logits(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    dim: int = -1,
    name: str | None = None,
    axis: int | None = None,
) -> Tensor:
    """The cross-entropy of softmax(logits) relative to `labels`, which get no gradient.

    Args:
      _sentinel: keeps `labels` and `logits` from being given without their names.
      labels: probabilities that add up to 1 over the axis, of the shape of `logits`.
      logits: floating point; no softmax has been applied to it.
      dim, axis: the axis of the classes.
      name: the operation's name.

    Raises:
      ValueError: arguments without names, or missing.
    """
    _check_named("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "softmax_cross_entropy_with_logits_sg", [logits, labels]) as scope:
        labels = stop_gradient(labels, name="labels_stop_gradient")
        return _softmax_cross_entropy(labels, logits, dim if axis is None else axis, scope)


def _softmax_cross_entropy(labels: Any, logits: Any, axis: int, name: str | None) -> Tensor:
    with name_scope(name, "softmax_cross_entropy_with_logits", [logits, labels]) as scope:
        logits = to_tensor(logits, name="logits")
        labels = to_tensor(labels, name="labels")
        is_half = logits.dtype.base_dtype in (dtypes.float16, dtypes.bfloat16)
        precise = cast(logits, dtypes.float32) if is_half else logits
        labels = cast(labels, precise.dtype)
        rank = shape_ops.rank(precise)
        if axis != -1:
            precise, labels = (_with_last_axis(x, axis, rank) for x in (precise, labels))
        shape = shape_ops.shape(precise)
        matrices = _as_matrix(precise), _as_matrix(labels)
        cost, _ = softmax_cross_entropy_op(*matrices, name=scope)
        cost = reshape_ops.reshape(cost, slice_(shape, [0], [subtract(rank, 1)]))
        if logits._shape is not None:
            rows = list(logits._shape)
            del rows[axis]
            cost.set_shape(rows)
        return cast(cost, logits.dtype) if is_half else cost


def _with_last_axis(x: Tensor, axis: int, rank: Tensor) -> Tensor:
    """Moves an axis to the end."""
    return reshape_ops.transpose(x, concat([range_of(axis), range_of(axis + 1, rank), [axis]], 0))


def _as_matrix(x: Tensor) -> Tensor:
    """Makes all dimensions but the last one into one."""
    rank = shape_ops.rank(x)
    columns = slice_(shape_ops.shape(x), [subtract(rank, 1)], [1])
    matrix = reshape_ops.reshape(x, concat([[-1], columns], 0))
    if x._shape:
        matrix.set_shape([shapes.num_elements(x._shape[:-1]), x._shape[-1]])
    return matrix


# --- Softmax cross-entropy, labels as class numbers ---------------------------------------------------------


def _rows_and_labels(c: ShapeContext) -> Any:
    logits, labels = c.require_rank(0, 2), c.require_rank(1, 1)
    rows = shapes.merge_dim(logits[0], labels[0])
    return [(rows,), (rows, logits[1])]


@op(
    "SparseSoftmaxCrossEntropyWithLogits(features: T, labels: Tlabels) -> loss: T, backprop: T",
    T=FLOATS, Tlabels="int32 int64 = int64", shape=_rows_and_labels,
)  # fmt: skip
def sparse_softmax_cross_entropy_op(xp, features, labels, *, check):
    """The cross-entropy of each row, and its gradient with respect to the logits."""
    classes = features.shape[1]
    _check_labels(xp, labels, classes, check)
    less = shifted(xp, features)
    weights = xp.exp(less)
    total = xp.sum(weights, axis=1, keepdims=True)
    chosen = labels[:, None] == xp.arange(classes, dtype=labels.dtype)
    logit = xp.take_along_axis(less, xp.clip(labels, 0, classes - 1)[:, None], axis=1)[:, 0]
    return xp.log(total[:, 0]) - logit, weights / total - chosen.astype(features.dtype)


def _check_labels(xp: Any, labels: Any, classes: int, check: Any) -> None:
    if labels.size == 0:
        return
    if classes == 0:
        raise ValueError("Must have at least one class")
    xp = np if is_concrete(labels) else xp
    wrong = (labels < 0) | (labels >= classes)
    message = "Received a label value of {} which is outside the valid range of [0, {}).  Label values: {}"
    values = (labels[xp.argmax(wrong)], np.int32(classes), labels)
    check(~xp.any(wrong), errors.InvalidArgumentError, message, *values)


@sparse_softmax_cross_entropy_op.gradient
def _(op, grad_loss, _):
    backprop = prevent_gradient(
        op.outputs[1],
        message="Currently there is no way to take the second derivative of "
        "sparse_softmax_cross_entropy_with_logits due to the fused implementation's interaction with "
        "tf.gradients()",
    )
    return reshape_ops.expand_dims(grad_loss, -1) * backprop, None


@export(v1=["nn.sparse_softmax_cross_entropy_with_logits"])
def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """The cross-entropy of softmax(logits) for labels that are class numbers.

    Args:
      _sentinel: keeps `labels` and `logits` from being given without their names.
      labels: int32 or int64, shape [d0, ..., dn]; each in [0, classes).
      logits: floating point, shape [d0, ..., dn, classes]; no softmax has been applied to it.
      name: the scope of the operations.

    Returns:
      a tensor of the shape of `labels` and the dtype of `logits`.

    Raises:
      ValueError: arguments without names or missing; shapes that do not fit each other.
      InvalidArgumentError: when it runs and a label is no class number.

    Example:
      >>> tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=[[0., 0.]])     # [0.6931]
    """
    _check_named("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "SparseSoftmaxCrossEntropyWithLogits", [labels, logits]):
        labels, logits = to_tensor(labels), to_tensor(logits)
        is_half = logits.dtype.base_dtype is dtypes.float16
        precise = cast(logits, dtypes.float32) if is_half else logits
        labels_shape = shape_ops.shape(labels)
        known = _check_sparse_shapes(labels._shape, logits._shape)
        if logits._shape is not None and len(logits._shape) == 2:
            cost, _ = sparse_softmax_cross_entropy_op(precise, labels, name=name)
        else:
            cost = _sparse_of_any_rank(precise, labels, labels_shape, known, name)
        return cast(cost, dtypes.float16) if is_half else cost


@export(v2=["nn.sparse_softmax_cross_entropy_with_logits"])
def sparse_softmax_cross_entropy_with_logits_v2(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """The cross-entropy of softmax(logits) for labels that are class numbers.

    Args:
      labels: int32 or int64, shape [d0, ..., dn]; each in [0, classes).
      logits: floating point, shape [d0, ..., dn, classes].
      name: the scope of the operations.
    """
    return sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name=name)


def _check_sparse_shapes(labels: Shape, logits: Shape) -> bool:
    """Compares static shapes; gives whether all that has to be compared is known.

    Raises:
      ValueError: they do not fit each other.
    """
    if logits == ():
        raise ValueError(f"Logits cannot be scalars - received shape {TensorShape(logits)}.")
    if logits is not None and labels is not None and len(labels) != len(logits) - 1:
        raise ValueError(
            f"Rank mismatch: Rank of labels (received {len(labels)}) should equal rank of logits minus 1 "
            f"(received {len(logits)})."
        )
    known = logits is not None and shapes.is_fully_defined(labels) and shapes.is_fully_defined(logits[:-1])
    if known and logits is not None and labels != logits[:-1]:
        raise ValueError(
            f"Shape mismatch: The shape of labels (received {TensorShape(labels)}) should equal the shape of "
            f"logits except for the last dimension (received {TensorShape(logits)})."
        )
    return known


def _sparse_of_any_rank(
    logits: Tensor, labels: Tensor, labels_shape: Tensor, known: bool, name: str | None
) -> Tensor:
    """Works on a matrix of logits and a vector of labels, and puts the result back into the labels' shape."""
    checks = []
    if not known:
        checks.append(assert_equal(shape_ops.shape(labels), shape_ops.shape(logits)[:-1]))
    with control_dependencies(checks):
        classes = shape_ops.shape(logits)[shape_ops.rank(logits) - 1]
        matrix = reshape_ops.reshape(logits, [-1, classes])
        vector = reshape_ops.reshape(labels, [-1])
        cost, _ = sparse_softmax_cross_entropy_op(matrix, vector, name=name)
        cost = reshape_ops.reshape(cost, labels_shape)
        cost.set_shape(labels._shape)
        return cost


# --- Sigmoid cross-entropy ----------------------------------------------------------------------------------


def _check_same_shape(first: str, x: Tensor, second: str, y: Tensor) -> None:
    if not shapes.is_compatible(x._shape, y._shape):
        raise ValueError(f"{first} and {second} must have the same shape ({x.shape} vs {y.shape})")


@export(v1=["nn.sigmoid_cross_entropy_with_logits"])
def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """The cross-entropy of sigmoid(logits), elementwise: for classes that do not exclude each other.

    Computed as `max(x, 0) - x * z + log(1 + exp(-abs(x)))` for logits x and labels z, without overflow.

    Args:
      _sentinel: keeps `labels` and `logits` from being given without their names.
      labels: probabilities, of the shape and dtype of `logits`.
      logits: a floating point tensor; no sigmoid has been applied to it.
      name: the operation's name.

    Raises:
      ValueError: arguments without names or missing; shapes that differ.
    """
    _check_named("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = to_tensor(logits, name="logits")
        labels = to_tensor(labels, name="labels")
        _check_same_shape("logits", logits, "labels", labels)
        zeros = zeros_like(logits, dtype=logits.dtype)
        positive = logits >= zeros  # chosen with `where`: the gradient of max and abs at 0 would be wrong
        rectified = where(positive, logits, zeros)
        negative_abs = where(positive, -logits, logits)
        return add(rectified - logits * labels, log1p(exp(negative_abs)), name=scope)


@export(v2=["nn.sigmoid_cross_entropy_with_logits"])
def sigmoid_cross_entropy_with_logits_v2(
    labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """The cross-entropy of sigmoid(logits), elementwise.

    Args:
      labels: probabilities, of the shape and dtype of `logits`.
      logits: a floating point tensor; no sigmoid has been applied to it.
      name: the operation's name.
    """
    return sigmoid_cross_entropy_with_logits(labels=labels, logits=logits, name=name)


@export(v2=["nn.weighted_cross_entropy_with_logits"])
def weighted_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, pos_weight: Any, name: str | None = None
) -> Tensor:
    """The cross-entropy of sigmoid(logits) in which positive labels count `pos_weight` times.

    Args:
      labels: probabilities, of the shape and dtype of `logits`.
      logits: a floating point tensor; no sigmoid has been applied to it.
      pos_weight: above 1: fewer false negatives; below 1: fewer false positives.
      name: the operation's name.

    Raises:
      ValueError: the shapes differ.
    """
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = to_tensor(logits, name="logits")
        labels = to_tensor(labels, name="labels")
        _check_same_shape("logits", logits, "labels", labels)
        weight = 1 + (pos_weight - 1) * labels
        return add((1 - labels) * logits, weight * (log1p(exp(-abs_of(logits))) + relu(-logits)), name=scope)


@export(v1=["nn.weighted_cross_entropy_with_logits"])
def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """The cross-entropy of sigmoid(logits) in which positive labels count `pos_weight` times.

    Args:
      labels, logits, pos_weight, name: see the 2.x function.
      targets: old name of `labels`.
    """
    labels = renamed("labels", labels, "targets", targets)
    return weighted_cross_entropy_with_logits_v2(labels, logits, pos_weight, name)


# --- Poisson ------------------------------------------------------------------------------------------------


@export("nn.log_poisson_loss")
def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """The negative log-likelihood of Poisson distributed counts, `exp(log_input) - log_input * targets`.

    Args:
      targets: the counts, of the shape and dtype of `log_input`.
      log_input: the logarithm of the predicted rate, a floating point tensor.
      compute_full_loss: adds log(targets!), by Stirling's approximation, for targets above 1.
      name: the scope of the operations.

    Raises:
      ValueError: the shapes differ.
    """
    with name_scope(name, "log_poisson_loss", [log_input, targets]):
        log_input = to_tensor(log_input, name="log_input")
        targets = to_tensor(targets, name="targets")
        _check_same_shape("log_input", log_input, "targets", targets)
        result = exp(log_input) - log_input * targets
        if not compute_full_loss:
            return result
        half = constant(0.5, dtype=targets.dtype)
        two_pi = constant(2 * math.pi, dtype=targets.dtype)
        stirling = (targets * log(targets)) - targets + (half * log(two_pi * targets))
        zeros, ones = zeros_like(targets, dtype=targets.dtype), ones_like(targets, dtype=targets.dtype)
        small = logical_and(targets >= zeros, targets <= ones)
        return result + where(small, zeros, stirling)
