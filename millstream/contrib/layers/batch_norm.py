"""`batch_norm`: the layer of `tf.layers`, and what that cannot do: weights, updates elsewhere, means without bias."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.framework.variables import model_variable
from millstream.contrib.layers.scopes import (
    Activation,
    Collections,
    collect_variable,
    collections_of,
    finished,
    layer_scope,
)
from millstream.contrib.layers.sizes import check_layout, layout_of
from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collections, control_dependencies
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import get_variable_scope, variable_scope
from millstream.layers.arguments import ONES, ZEROS
from millstream.layers.normalization import BatchNormalization
from millstream.ops.batch_norm_ops import batch_normalization
from millstream.ops.constant_op import constant
from millstream.ops.fused_batch_norm_ops import fused_batch_norm
from millstream.ops.identity_ops import identity
from millstream.ops.moments_ops import moments, weighted_moments
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.smart_cond import smart_cond, smart_constant_value
from millstream.train.moving_averages import assign_moving_average

_INITIALIZERS = {"beta": ZEROS, "gamma": ONES, "moving_mean": ZEROS, "moving_variance": ONES}


@export(v1=["contrib.layers.batch_norm"])
@add_arg_scope
def batch_norm(
    inputs: Any, decay: float = 0.999, center: bool = True, scale: bool = False, epsilon: float = 0.001,
    activation_fn: Activation = None, param_initializers: dict[str, Any] | None = None,
    param_regularizers: dict[str, Any] | None = None, updates_collections: Any = GraphKeys.UPDATE_OPS,
    is_training: Any = True, reuse: bool | None = None, variables_collections: Collections = None,
    outputs_collections: Any = None, trainable: bool = True, batch_weights: Any = None, fused: bool | None = None,
    data_format: str = "NHWC", zero_debias_moving_mean: bool = False, scope: Any = None, renorm: bool = False,
    renorm_clipping: dict[str, Any] | None = None, renorm_decay: float = 0.99,
    adjustment: Callable[[Any], Any] | None = None,
) -> Any:  # fmt: skip
    """Batch normalisation (Ioffe and Szegedy 2015): `gamma * (inputs - mean) / sqrt(variance + epsilon) + beta`.

    In training the mean and variance are the batch's, in inference moving averages of them. Operations that update the
    averages go to `updates_collections`: the training step must run those in `GraphKeys.UPDATE_OPS`, which
    `optimize_loss` does.

    Args:
      inputs: floating point, shape [batch, ..., channels], at least two dimensions.
      decay: the share that a moving average keeps at each update.
      center, scale: whether there is a beta, and a gamma.
      epsilon: keeps the divisor from being 0.
      activation_fn: a function that is applied to the result; None: none.
      param_initializers, param_regularizers: by "beta", "gamma", and initialisers also by "moving_mean" and
        "moving_variance".
      updates_collections: the collections of the updates; None: they run with the layer itself.
      is_training: whether this is training: a bool or a scalar tensor.
      reuse, variables_collections, outputs_collections, trainable, scope: as for `fully_connected`; the kinds of
        variables are those of `param_initializers`, the scope is "BatchNorm".
      batch_weights: [batch], how much each element counts in the mean and variance.
      fused: whether one operation may do it; default True.
      data_format: "NHWC", or "NCHW" where the channels come second.
      zero_debias_moving_mean: makes up for the moving mean's start at zero.
      renorm, renorm_clipping, renorm_decay: batch renormalisation (Ioffe 2017); see `tf.layers.batch_normalization`.
      adjustment: as for `tf.layers.batch_normalization`.

    Raises:
      ValueError: the rank or the number of channels is not known, or options exclude each other.

    Example:
      >>> net = tf.contrib.layers.conv2d(
      ...     net, 64, 3, normalizer_fn=tf.contrib.layers.batch_norm, normalizer_params={"is_training": is_training})
    """
    settings = dict(locals())
    inputs = settings["inputs"] = to_tensor(inputs)
    rank = inputs.get_shape().ndims
    plain_updates = updates_collections is GraphKeys.UPDATE_OPS and not zero_debias_moving_mean
    can_be_fused = batch_weights is None and not renorm and rank in (2, 4) and adjustment is None
    if fused is not False and can_be_fused and (rank == 2 or not plain_updates):
        return _own_layer(_fused, **settings)
    check_layout(data_format, "NCHW", "NHWC")
    if plain_updates and batch_weights is None:
        return _core_layer(**settings)
    if renorm:
        raise ValueError(
            "renorm is not supported with batch_weights, updates_collections or zero_debias_moving_mean"
        )
    return _own_layer(_composed, **settings)


def _core_layer(
    *, inputs: Any, decay: float, center: bool, scale: bool, epsilon: float, activation_fn: Activation,
    param_initializers: Any, param_regularizers: Any, is_training: Any, reuse: bool | None,
    variables_collections: Collections, outputs_collections: Any, trainable: bool, fused: bool | None, data_format: str,
    scope: Any, renorm: bool, renorm_clipping: Any, renorm_decay: float, adjustment: Any, **_: Any,
) -> Any:  # fmt: skip
    """The layer of `tf.layers`."""
    initializers = {f"{name}_initializer": value for name, value in _initializers(param_initializers).items()}
    regularizers = param_regularizers or {}
    with layer_scope(scope, "BatchNorm", inputs, reuse) as entered:
        layer = BatchNormalization(
            axis=1 if layout_of(data_format) == "channels_first" else -1,
            momentum=decay,
            epsilon=epsilon,
            center=center,
            scale=scale,
            **initializers,
            beta_regularizer=regularizers.get("beta"),
            gamma_regularizer=regularizers.get("gamma"),
            trainable=trainable,
            renorm=renorm,
            renorm_clipping=renorm_clipping,
            renorm_momentum=renorm_decay,
            adjustment=adjustment,
            name=entered.name,
            _scope=entered,
            _reuse=reuse,
            fused=fused,
        )
        outputs = layer(inputs, training=is_training)
        for kind in ("moving_mean", "moving_variance", "beta", "gamma"):
            collect_variable(getattr(layer, kind), variables_collections, kind)
        return finished(outputs, activation_fn, outputs_collections, entered.name)


def _initializers(given: dict[str, Any] | None) -> dict[str, Any]:
    return {kind: (given or {}).get(kind, default) for kind, default in _INITIALIZERS.items()}


# --- Beyond tf.layers -------------------------------------------------------------------------------------------------


def _own_layer(
    compute: Callable[..., Any], *, inputs: Any, activation_fn: Activation, reuse: bool | None,
    outputs_collections: Any, scope: Any, **settings: Any,
) -> Any:  # fmt: skip
    """Checks the inputs, computes in a scope, and finishes."""
    check_layout(settings["data_format"], "NCHW", "NHWC")
    # As in TensorFlow, what is composed makes variables of models of all that it makes, also beside a moving mean.
    if compute is _composed:
        chosen = layer_scope(scope, "BatchNorm", inputs, reuse)
    else:
        chosen = variable_scope(scope, "BatchNorm", [inputs], reuse=reuse)
    with chosen as entered:
        shape = inputs.get_shape()
        if shape.ndims is None:
            raise ValueError(f"Inputs {inputs.name} has undefined rank.")
        outputs = compute(inputs, **settings)
        outputs.set_shape(shape)
        return finished(outputs, activation_fn, outputs_collections, entered.name)


def _parameter(
    kind: str, shape: Any, dtype: Any, settings: dict[str, Any], regularizer: Any = None, trainable: bool = False
) -> Any:
    """One of the layer's variables."""
    return model_variable(
        kind,
        shape=shape,
        dtype=dtype,
        initializer=_initializers(settings["param_initializers"])[kind],
        regularizer=regularizer,
        collections=collections_of(settings["variables_collections"], kind),
        trainable=trainable,
    )


def _moving_averages(shape: Any, dtype: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    # The scope is entered once more, as TensorFlow does: it decides the names of what follows.
    with variable_scope(get_variable_scope()) as scope, scope._unpartitioned():
        return _parameter("moving_mean", shape, dtype, settings), _parameter("moving_variance", shape, dtype, settings)


def _fused(inputs: Any, **settings: Any) -> Any:
    """One operation; vectors are images of one point to it."""
    channels_first = settings["data_format"] == "NCHW"
    images = inputs
    if inputs.get_shape().ndims == 2:
        channels = inputs.get_shape().as_list()[-1]
        if channels is None:
            raise ValueError("`C` dimension must be known but is None")
        images = reshape(inputs, [-1, channels, 1, 1] if channels_first else [-1, 1, 1, channels])
    dtype = inputs.dtype.base_dtype
    if dtype in (dtypes.float16, dtypes.bfloat16):
        dtype = dtypes.float32
    shape = images.get_shape()[1:2] if channels_first else images.get_shape()[-1:]
    if not shape.is_fully_defined():
        raise ValueError(f"Inputs {inputs.name} has undefined `C` dimension {shape}.")

    def parameter(kind: str, wanted: bool, otherwise: float) -> Any:
        if not wanted:
            return constant(otherwise, dtype, shape.as_list())
        regularizer = (settings["param_regularizers"] or {}).get(kind)
        return _parameter(kind, shape, dtype, settings, regularizer, settings["trainable"])

    beta = parameter("beta", settings["center"], 0.0)
    gamma = parameter("gamma", settings["scale"], 1.0)
    averages = _moving_averages(shape, dtype, settings)
    fuse = partial(
        fused_batch_norm, images, gamma, beta, epsilon=settings["epsilon"], data_format=settings["data_format"]
    )
    outputs, mean, variance = smart_cond(
        settings["is_training"], fuse, lambda: fuse(mean=averages[0], variance=averages[1], is_training=False)
    )
    (outputs,) = _with_updates(averages, (mean, variance), (outputs,), lambda: (outputs,), settings)
    return outputs if images is inputs else reshape(outputs, shape_of(inputs))


def _composed(inputs: Any, **settings: Any) -> Any:
    """A composition of operations, for whatever is not fused."""
    rank = inputs.get_shape().ndims
    channels_first = settings["data_format"] == "NCHW"
    axes = [0, *range(2, rank)] if channels_first else list(range(rank - 1))
    weights = settings["batch_weights"]
    if weights is not None:
        weights = to_tensor(weights)
        inputs.get_shape()[0:1].assert_is_compatible_with(weights.get_shape())
        weights = reshape(weights, [-1] + [1] * (rank - 1))
    shape = inputs.get_shape()[1:2] if channels_first else inputs.get_shape()[-1:]
    if not shape.is_fully_defined():
        raise ValueError(f"Inputs {inputs.name} has undefined channels dimension {shape}.")
    dtype = inputs.dtype.base_dtype

    def parameter(kind: str, wanted: bool) -> Any:  # without its regulariser, as in TensorFlow
        return _parameter(kind, shape, dtype, settings, trainable=settings["trainable"]) if wanted else None

    beta, gamma = parameter("beta", settings["center"]), parameter("gamma", settings["scale"])
    averages = _moving_averages(shape, dtype, settings)
    mean, variance = averages
    if smart_constant_value(settings["is_training"]) is not False:
        batch = _moments(inputs, axes, weights, channels_first)
        mean, variance = _with_updates(averages, batch, batch, lambda: averages, settings)
    if channels_first:
        broadcast = [1, shape.as_list()[0]] + [1] * (rank - 2)
        mean, variance, beta, gamma = (
            None if value is None else reshape(value, broadcast) for value in (mean, variance, beta, gamma)
        )
    return batch_normalization(inputs, mean, variance, beta, gamma, settings["epsilon"])


def _moments(inputs: Any, axes: list[int], weights: Any, channels_first: bool) -> tuple[Tensor, Tensor]:
    """Mean and variance of the batch, one number for each channel."""
    take = moments if weights is None else partial(weighted_moments, frequency_weights=weights)
    if not channels_first:
        return take(inputs, axes)
    mean, variance = take(inputs, axes, keep_dims=True)
    return reshape(mean, [-1]), reshape(variance, [-1])


def _with_updates(
    averages: tuple[Any, Any],
    batch: tuple[Any, Any],
    trained: tuple[Any, ...],
    otherwise: Callable[[], tuple[Any, ...]],
    settings: dict[str, Any],
) -> tuple[Any, ...]:
    """What training and inference give, with the updates of the moving averages.

    Args:
      averages: the variables of mean and variance.
      batch: their values for the batch.
      trained: what training gives.
      otherwise: makes what inference gives.
      settings: those of the layer.
    """
    is_training, collections = settings["is_training"], settings["updates_collections"]
    if smart_constant_value(is_training) is False:
        return otherwise()

    def update() -> tuple[Any, Any]:
        decay, debias = settings["decay"], settings["zero_debias_moving_mean"]
        return (
            assign_moving_average(averages[0], batch[0], decay, zero_debias=debias),
            assign_moving_average(averages[1], batch[1], decay, zero_debias=False),
        )

    def updated_and_trained() -> tuple[Any, ...]:
        with control_dependencies(update()):
            return tuple(identity(value) for value in trained)

    if collections is None:
        chosen = smart_cond(is_training, updated_and_trained, otherwise)
        # A conditional unpacks a single result.
        return tuple(chosen) if isinstance(chosen, (list, tuple)) else (chosen,)
    for made in smart_cond(is_training, update, lambda: averages):
        add_to_collections(collections, made)
    if len(trained) == 1:  # it has been chosen already
        return trained
    return smart_cond(is_training, lambda: trained, otherwise)
