"""Losses, each weighted, reduced to a scalar and put into a collection. They are computed in float32."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.tensor import Tensor
from millstream.losses.util import add_loss
from millstream.losses.weighting import Reduction, compute_weighted_loss, num_present
from millstream.ops import shape_ops
from millstream.ops.activation_ops import relu
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import add, div_no_nan, maximum, minimum, multiply, squared_difference, subtract
from millstream.ops.comparison_ops import greater
from millstream.ops.cross_entropy_ops import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)
from millstream.ops.elementwise_ops import abs as abs_of
from millstream.ops.elementwise_ops import log, square
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.identity_ops import stop_gradient
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import reshape, squeeze
from millstream.ops.select_ops import where
from millstream.ops.weights_broadcast_ops import assert_broadcastable

_DEFAULT = Reduction.SUM_BY_NONZERO_WEIGHTS


def _check_given(**arguments: Any) -> None:
    for name, value in arguments.items():
        if value is None:
            raise ValueError(f"{name} must not be None.")


def _as_floats(labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Both as float32, of one shape.

    Raises:
      ValueError: their static shapes differ.
    """
    predictions, labels = cast(predictions, dtypes.float32), cast(labels, dtypes.float32)
    predictions.get_shape().assert_is_compatible_with(labels.get_shape())
    return labels, predictions


# --- Of predictions -----------------------------------------------------------------------------------------


@export(v1=["losses.absolute_difference"])
def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """abs(predictions - labels).

    Args:
      labels, predictions: numeric tensors of one shape.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "absolute_difference", [predictions, labels, weights]) as scope:
        labels, predictions = _as_floats(labels, predictions)
        losses = abs_of(subtract(predictions, labels))
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.mean_squared_error"])
def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """(predictions - labels) ** 2.

    Args:
      labels, predictions: numeric tensors of one shape.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_squared_error", [predictions, labels, weights]) as scope:
        labels, predictions = _as_floats(labels, predictions)
        losses = squared_difference(predictions, labels)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.huber_loss"])
def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """Half the squared error up to `delta`, and linear beyond it (Huber 1964).

    Args:
      labels, predictions: numeric tensors of one shape.
      delta: the error at which the loss becomes linear.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "huber_loss", [predictions, labels, weights]) as scope:
        labels, predictions = _as_floats(labels, predictions)
        error = abs_of(subtract(predictions, labels))
        quadratic = minimum(error, delta)
        linear = subtract(error, quadratic)
        half = to_tensor(0.5, quadratic.dtype)
        losses = add(multiply(half, multiply(quadratic, quadratic)), multiply(delta, linear))
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.log_loss"])
def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """The cross-entropy of probabilities, `-labels * log(p) - (1 - labels) * log(1 - p)`.

    Args:
      labels, predictions: tensors of one shape, with values between 0 and 1.
      epsilon: added inside of the logarithms.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "log_loss", [predictions, labels, weights]) as scope:
        labels, predictions = _as_floats(labels, predictions)
        if_true = -multiply(labels, log(predictions + epsilon))
        losses = if_true - multiply(1 - labels, log(1 - predictions + epsilon))
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.hinge_loss"])
def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """max(0, 1 - y * logits), with y = -1 where the label is 0 and y = 1 where it is 1.

    Args:
      labels: 0 or 1, a tensor of the shape of `logits`.
      logits: unbounded predictions, of which 0 is the boundary.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, logits=logits)
    with name_scope(scope, "hinge_loss", [logits, labels, weights]) as scope:
        labels, logits = _as_floats(labels, logits)
        ones = ones_like(labels)
        signs = subtract(2 * labels, ones)
        losses = relu(subtract(ones, multiply(signs, logits)))
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.cosine_distance"])
def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: int | None = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
    dim: int | None = None,
) -> Tensor:
    """1 minus the cosine of the angle between vectors of length 1.

    Args:
      labels, predictions: tensors of one shape, normalised to length 1 over `axis`.
      axis: the axis of the vectors.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
      dim: old name of `axis`.

    Raises:
      ValueError: no axis, or the shapes differ.
    """
    axis = renamed("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("You must specify 'axis'.")
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "cosine_distance_loss", [predictions, labels, weights]) as scope:
        labels, predictions = _as_floats(labels, predictions)
        losses = 1 - reduce_sum(multiply(predictions, labels), axis=(axis,), keepdims=True)
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.mean_pairwise_squared_error"])
def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
) -> Tensor:
    """How much the differences between pairs of predictions of one row differ from those of the labels.

    For a row with errors d it is the mean of `(d[i] - d[j]) ** 2` over the pairs of elements; then the sum over rows.

    Args:
      labels, predictions: tensors of one shape [batch, d0, ...].
      weights: a scalar, or a tensor [batch, 1, ...].
      scope: the scope of the operations.
      loss_collection: where the result is put.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_pairwise_squared_error", [predictions, labels, weights]):
        weights, labels = cast(weights, dtypes.float32), cast(labels, dtypes.float32)
        with control_dependencies([assert_broadcastable(weights, labels)]):
            labels, predictions = _as_floats(labels, predictions)
            errors = subtract(predictions, labels)
            axes = range_of(1, shape_ops.rank(errors))
            squares = reduce_sum(square(errors), axis=axes, keepdims=True)
            count = num_present(errors, weights, per_batch=True)
            mean_square = 2.0 * div_no_nan(squares, maximum(count - 1, 0), name="value")
            total = reduce_sum(errors, axis=axes, keepdims=True)
            product = square(total)
            pairs = maximum(multiply(count, count - 1), 0)
            mean_product = 2.0 * div_no_nan(product, pairs, name="value")
            loss = reduce_sum(multiply(mean_square - mean_product, weights))
            loss = where(greater(reduce_sum(count), 0), loss, zeros_like(loss), name="value")
            add_loss(loss, loss_collection)
            return loss


# --- Of logits ----------------------------------------------------------------------------------------------


@export(v1=["losses.sigmoid_cross_entropy"])
def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """The cross-entropy of sigmoid(logits), for classes that do not exclude each other.

    Args:
      multi_class_labels: 0 or 1, a tensor of the shape of `logits`.
      logits: floating point, shape [batch, classes].
      label_smoothing: how far labels are moved towards 1/2: 1 moves them all the way.
      weights, scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(multi_class_labels=multi_class_labels, logits=logits)
    with name_scope(scope, "sigmoid_cross_entropy_loss", [logits, multi_class_labels, weights]) as scope:
        logits = to_tensor(logits)
        labels = cast(multi_class_labels, logits.dtype)
        logits.get_shape().assert_is_compatible_with(labels.get_shape())
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        losses = sigmoid_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.softmax_cross_entropy"])
def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """The cross-entropy of softmax(logits) relative to labels that are probabilities.

    Args:
      onehot_labels: probabilities, a tensor of the shape of `logits`; gets no gradient.
      logits: floating point, shape [batch, classes].
      label_smoothing: how far labels are moved towards 1 / classes.
      weights: a scalar or a vector [batch].
      scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(onehot_labels=onehot_labels, logits=logits)
    with name_scope(scope, "softmax_cross_entropy_loss", [logits, onehot_labels, weights]) as scope:
        logits = to_tensor(logits)
        labels = cast(onehot_labels, logits.dtype)
        logits.get_shape().assert_is_compatible_with(labels.get_shape())
        if label_smoothing > 0:
            classes = cast(shape_ops.shape(labels)[-1], logits.dtype)
            negatives = label_smoothing / classes
            labels = labels * (1.0 - label_smoothing) + negatives
        labels = stop_gradient(labels, name="labels_stop_gradient")
        losses = softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@export(v1=["losses.sparse_softmax_cross_entropy"])
def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:
    """The cross-entropy of softmax(logits) for labels that are class numbers.

    Args:
      labels: int32 or int64, shape [batch, ...], perhaps with one more dimension of size 1.
      logits: floating point, shape [batch, ..., classes].
      weights: a scalar or a tensor of the shape of `labels`.
      scope, loss_collection, reduction: see `compute_weighted_loss`.
    """
    _check_given(labels=labels, logits=logits)
    with name_scope(scope, "sparse_softmax_cross_entropy_loss", [logits, labels, weights]) as scope:
        labels, logits, weights = _without_last_dimension(labels, logits, weights)
        losses = sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


def _without_last_dimension(labels: Any, logits: Any, weights: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Takes off the last dimension, of size 1, that labels and weights may have too many."""
    with name_scope("remove_squeezable_dimensions"):
        logits, labels = to_tensor(logits), to_tensor(labels)
        if labels._shape is None:
            labels = reshape(labels, shape_ops.shape(logits)[:-1])
        elif logits._shape is not None and len(labels._shape) == len(logits._shape):
            if labels._shape[-1] in (1, None):
                labels = squeeze(labels, [-1])
    weights = to_tensor(weights)
    if weights._shape is not None and labels._shape is not None:
        if len(weights._shape) == len(labels._shape) + 1:
            weights = squeeze(weights, [-1])
    return labels, logits, weights
