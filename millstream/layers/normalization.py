"""Batch normalisation (Ioffe and Szegedy 2015) and batch renormalisation (Ioffe 2017)."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.dtypes import as_dtype, bfloat16, float16
from millstream.core.export import export
from millstream.core.scopes import beside, control_dependencies, name_scope
from millstream.core.shapes import TensorShape
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization
from millstream.layers.arguments import ONES, ZEROS, passed_on, read_constraint, read_initializer, read_regularizer
from millstream.layers.base import BaseLayer
from millstream.layers.input_spec import InputSpec
from millstream.layers.layer import Layer, applied
from millstream.ops import batch_norm_ops
from millstream.ops.activation_ops import relu
from millstream.ops.arithmetic_ops import maximum, minimum
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.fill_ops import ones_like, zeros_like
from millstream.ops.fused_batch_norm_ops import fused_batch_norm
from millstream.ops.identity_ops import identity, stop_gradient
from millstream.ops.math_ops import cast
from millstream.ops.moments_ops import moments
from millstream.ops.reduction_ops import reduce_mean
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.smart_cond import smart_cond, smart_constant_value
from millstream.ops.state_ops import assign, assign_sub

_CLIPS = ("rmax", "rmin", "dmax")


class BatchNormalizationBase(BaseLayer):
    """What `BatchNormalization` computes."""

    _settings = (
        "axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
        "moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer",
        "beta_constraint", "gamma_constraint",
    )  # fmt: skip
    supports_masking = True

    def __init__(
        self,
        axis: int | list[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = None,
        gamma_initializer: Any = None,
        moving_mean_initializer: Any = None,
        moving_variance_initializer: Any = None,
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, Any] | None = None,
        renorm_momentum: float = 0.99,
        fused: bool | None = None,
        trainable: bool = True,
        virtual_batch_size: int | None = None,
        adjustment: Callable[[Any], Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        if not isinstance(axis, (int, list)):
            raise TypeError(f"axis must be int or list, type given: {type(axis)}")
        self.axis = list(axis) if isinstance(axis, list) else axis
        self.momentum, self.epsilon = momentum, epsilon
        self.center, self.scale = center, scale
        self.beta_initializer = read_initializer(beta_initializer)
        self.gamma_initializer = read_initializer(gamma_initializer)
        self.moving_mean_initializer = read_initializer(moving_mean_initializer)
        self.moving_variance_initializer = read_initializer(moving_variance_initializer)
        self.beta_regularizer = read_regularizer(beta_regularizer)
        self.gamma_regularizer = read_regularizer(gamma_regularizer)
        self.beta_constraint = read_constraint(beta_constraint)
        self.gamma_constraint = read_constraint(gamma_constraint)
        self.fused = True if fused is None else fused
        self.virtual_batch_size = virtual_batch_size
        self.adjustment = adjustment
        self.renorm, self.renorm_momentum = renorm, renorm_momentum
        self.renorm_clipping = renorm_clipping or {}
        if renorm and not set(self.renorm_clipping) <= set(_CLIPS):
            raise ValueError(f"renorm_clipping {renorm_clipping} contains keys not in {list(_CLIPS)}")

    # --- Building ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes `gamma`, `beta`, `moving_mean`, `moving_variance`, and what renormalisation keeps beside them."""
        shape = TensorShape(input_shape)
        if not shape.ndims:
            raise ValueError("Input has undefined rank:", shape)
        sizes = shape.as_list()
        self._settle_axes(len(sizes))
        self._check_virtual_batches()
        self.fused = bool(self.fused) and self._can_be_fused(len(sizes))
        kept = {axis: sizes[axis] for axis in self.axis}
        if None in kept.values():
            raise ValueError("Input has undefined `axis` dimension. Input shape: ", shape)
        self.input_spec = InputSpec(ndim=len(sizes), axes=kept)
        self._add_variables(self._settle_parameter_shape(kept, len(sizes)))
        self.built = True

    def _settle_axes(self, rank: int) -> None:
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        self.axis = [axis + rank if axis < 0 else axis for axis in axes]
        for axis in self.axis:
            if not 0 <= axis < rank:
                raise ValueError(f"Invalid axis: {axis}")
        if len(self.axis) != len(set(self.axis)):
            raise ValueError(f"Duplicate axis: {self.axis}")

    def _check_virtual_batches(self) -> None:
        if self.virtual_batch_size is None:
            return
        if self.virtual_batch_size <= 0:
            raise ValueError(
                "virtual_batch_size must be a positive integer that divides the true batch size of the input Tensor"
            )
        if 0 in self.axis:
            raise ValueError(
                "When using virtual_batch_size, the batch dimension must be 0 and thus axis cannot include 0"
            )
        if self.adjustment is not None:
            raise ValueError("When using virtual_batch_size, adjustment cannot be specified")

    def _can_be_fused(self, rank: int) -> bool:
        plain = not self.renorm and self.virtual_batch_size is None and self.adjustment is None
        return plain and rank == 4 and self.axis in ([1], [3])

    def _settle_parameter_shape(self, kept: dict[int, int], rank: int) -> list[int]:
        """The shape of the parameters; of virtual batches it has an axis more, and `axis` counts it from now on."""
        if len(kept) == 1 and self.virtual_batch_size is None:
            return list(kept.values())
        shape = [kept.get(axis, 1) for axis in range(rank)]
        if self.virtual_batch_size is not None:
            shape.insert(1, 1)
            self.axis = [axis + 1 for axis in self.axis]
        return shape

    def _parameter_dtype(self) -> Any:
        """The dtype of the parameters: float32 where that of the inputs is too narrow for sums."""
        dtype = as_dtype(self.dtype or "float32")
        return "float32" if dtype in (float16, bfloat16) else dtype.name

    def _add_variables(self, shape: list[int]) -> None:
        dtype = self._parameter_dtype()
        self.gamma = self._add_parameter("gamma", shape) if self.scale else None
        if self.fused and not self.scale:
            self._ones = constant(1.0, dtype, shape)
        self.beta = self._add_parameter("beta", shape) if self.center else None
        if self.fused and not self.center:
            self._zeros = constant(0.0, dtype, shape)
        with self._unpartitioned():
            self._add_averages(shape, dtype)

    def _add_averages(self, shape: list[int], dtype: Any) -> None:
        keep = partial(
            self.add_weight,
            shape=shape,
            dtype=dtype,
            trainable=False,
            synchronization=VariableSynchronization.ON_READ,
            aggregation=VariableAggregation.MEAN,
        )
        self.moving_mean = keep("moving_mean", initializer=self.moving_mean_initializer)
        self.moving_variance = keep("moving_variance", initializer=self.moving_variance_initializer)
        if self.renorm:

            def stddev(*args: Any, **kwargs: Any) -> Any:
                return sqrt(self.moving_variance_initializer(*args, **kwargs))

            with beside(self.moving_variance):
                self.moving_stddev = keep("moving_stddev", initializer=stddev)
            with beside(self.moving_mean):
                self.renorm_mean = keep("renorm_mean", initializer=self.moving_mean_initializer)
            with beside(self.moving_stddev):
                self.renorm_stddev = keep("renorm_stddev", initializer=stddev)

    # --- Calling ----------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: Any = False) -> Any:
        """Normalises with the batch's own mean and variance if `training`, a bool or a tensor, says so."""
        training = False if training is None else training
        if self.fused:
            return self._normalize_fused(inputs, training)
        if self.virtual_batch_size is None:
            return self._normalize(inputs, training)
        sizes = inputs.shape.as_list()[1:]
        split = reshape(inputs, [self.virtual_batch_size, -1, *sizes])
        return reshape(self._normalize(split, training), [-1, *sizes])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def _normalize_fused(self, inputs: Any, training: Any) -> Any:
        """One operation for images."""
        gamma = self._ones if self.gamma is None else self.gamma
        beta = self._zeros if self.beta is None else self.beta
        data_format = "NCHW" if self.axis == [1] else "NHWC"
        fuse = partial(fused_batch_norm, inputs, gamma, beta, epsilon=self.epsilon, data_format=data_format)
        outputs, mean, variance = smart_cond(
            training, fuse, partial(fuse, mean=self.moving_mean, variance=self.moving_variance, is_training=False)
        )
        known = smart_constant_value(training)
        if known is None:
            momentum = smart_cond(training, lambda: self.momentum, lambda: 1.0)
        else:
            momentum = to_tensor(self.momentum)
        if known is not False:
            self.add_update(lambda: _move(self.moving_mean, mean, momentum))
            self.add_update(lambda: _move(self.moving_variance, variance, momentum))
        return outputs

    def _normalize(self, inputs: Any, training: Any) -> Any:
        """A composition of operations, for whatever is not fused."""
        rank = inputs.shape.ndims
        reduced = [axis for axis in range(rank) if axis not in self.axis]
        if self.virtual_batch_size is not None:
            del reduced[1]  # each virtual batch has a mean of its own
        broadcast_shape = [1] * rank
        broadcast_shape[self.axis[0]] = inputs.shape.as_list()[self.axis[0]]

        def broadcast(value: Any) -> Any:
            needed = value is not None and value.shape.ndims != rank and reduced != list(range(rank - 1))
            return reshape(value, broadcast_shape) if needed else value

        scale, offset = broadcast(self.gamma), broadcast(self.beta)
        if smart_constant_value(training) is False:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            if self.adjustment is not None:
                scale, offset = _composed(*self._adjust(inputs, training), scale, offset)
            mean, variance = self._moments(inputs, training, reduced)
            new_mean, new_variance = mean, variance
            if self.virtual_batch_size is not None:
                new_mean, new_variance = (reduce_mean(value, axis=1, keepdims=True) for value in (mean, variance))
            if self.renorm:
                r, d, new_mean, new_variance = self._renormalize(new_mean, new_variance, training)
                r, d = broadcast(stop_gradient(r, "renorm_r")), broadcast(stop_gradient(d, "renorm_d"))
                scale, offset = _composed(r, d, scale, offset)
            self._add_moving_updates(new_mean, new_variance, training)
        mean, variance, offset, scale = (
            None if value is None else cast(value, inputs.dtype) for value in (mean, variance, offset, scale)
        )
        outputs = batch_norm_ops.batch_normalization(
            inputs, broadcast(mean), broadcast(variance), offset, scale, self.epsilon
        )
        outputs.set_shape(inputs.shape)
        return outputs

    def _adjust(self, inputs: Any, training: Any) -> tuple[Any, Any]:
        """A scale and an offset from the user's function; in inference they change nothing."""
        scale, offset = self.adjustment(shape_of(inputs))
        return (
            smart_cond(training, lambda: scale, lambda: ones_like(scale)),
            smart_cond(training, lambda: offset, lambda: zeros_like(offset)),
        )

    def _moments(self, inputs: Any, training: Any, reduced: list[int]) -> tuple[Any, Any]:
        """Mean and variance to normalise with: the batch's, or the moving ones."""
        keep = self.virtual_batch_size is not None or len(self.axis) > 1
        mean, variance = moments(cast(inputs, self._parameter_dtype()), reduced, keep_dims=keep)
        return (
            smart_cond(training, lambda: mean, lambda: to_tensor(self.moving_mean)),
            smart_cond(training, lambda: variance, lambda: to_tensor(self.moving_variance)),
        )

    def _renormalize(self, mean: Any, variance: Any, training: Any) -> tuple[Any, Any, Any, Any]:
        """The corrections r and d from the batch's moments to the moving ones, and the moments to keep."""
        stddev = sqrt(variance + self.epsilon)
        kept_stddev = maximum(self.renorm_stddev, sqrt(self.epsilon))
        r = stddev / kept_stddev
        d = (mean - self.renorm_mean) / kept_stddev
        with control_dependencies([r, d]):  # both see the moments of the steps before
            mean, stddev = identity(mean), identity(stddev)
        rmax, rmin, dmax = (self.renorm_clipping.get(key) for key in _CLIPS)
        r = r if rmin is None else maximum(r, rmin)
        r = r if rmax is None else minimum(r, rmax)
        d = d if dmax is None else minimum(maximum(d, -dmax), dmax)
        r = smart_cond(training, lambda: r, lambda: ones_like(r))
        d = smart_cond(training, lambda: d, lambda: zeros_like(d))

        def updated(kept: Any, value: Any) -> Any:
            value = identity(value)
            return smart_cond(training, lambda: _move(kept, value, self.renorm_momentum), lambda: identity(kept))

        with control_dependencies([updated(self.renorm_mean, mean), updated(self.renorm_stddev, stddev)]):
            return r, d, identity(mean), identity(variance)

    def _add_moving_updates(self, mean: Any, variance: Any, training: Any) -> None:
        def move_variance() -> Any:
            if not self.renorm:
                return _move(self.moving_variance, variance, self.momentum)
            stddev = _move(self.moving_stddev, sqrt(variance + self.epsilon), self.momentum)
            variance_without_epsilon = relu(stddev * stddev - self.epsilon)
            with name_scope("AssignNewValue") as scope, beside(self.moving_variance):
                return assign(self.moving_variance, variance_without_epsilon, name=scope)

        def updates(move: Callable[[], Any], kept: Any) -> Callable[[], Any]:
            return lambda: smart_cond(training, move, lambda: kept)

        self.add_update(updates(lambda: _move(self.moving_mean, mean, self.momentum), self.moving_mean))
        self.add_update(updates(move_variance, self.moving_variance))


def _move(variable: Any, value: Any, momentum: Any) -> Any:
    """Moves a variable towards a value: it keeps the share `momentum` of its own."""
    with name_scope("AssignMovingAvg") as scope, beside(variable):
        dtype = variable.dtype.base_dtype
        decay = cast(to_tensor(1.0 - momentum, name="decay"), dtype)
        return assign_sub(variable, (variable - cast(value, dtype)) * decay, name=scope)


def _composed(scale: Any, offset: Any, then_scale: Any, then_offset: Any) -> tuple[Any, Any]:
    """Scale and offset of two such transformations, one after the other; None in the second one changes nothing."""
    if then_scale is not None:
        scale, offset = scale * then_scale, offset * then_scale
    return scale, offset if then_offset is None else offset + then_offset


@export(v1=["layers.BatchNormalization"])
class BatchNormalization(BatchNormalizationBase, Layer):
    """Normalises its inputs with the moments of the batch; see `batch_normalization` for the arguments."""

    def __init__(
        self, axis: int | list[int] = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Any = ZEROS, gamma_initializer: Any = ONES,
        moving_mean_initializer: Any = ZEROS, moving_variance_initializer: Any = ONES,
        beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
        gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: dict[str, Any] | None = None,
        renorm_momentum: float = 0.99, fused: bool | None = None, trainable: bool = True,
        virtual_batch_size: int | None = None, adjustment: Callable[[Any], Any] | None = None,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**passed_on(locals()))


@export(v1=["layers.batch_normalization"])
def batch_normalization(
    inputs: Any, axis: int | list[int] = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True, beta_initializer: Any = ZEROS, gamma_initializer: Any = ONES,
    moving_mean_initializer: Any = ZEROS, moving_variance_initializer: Any = ONES, beta_regularizer: Any = None,
    gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, training: Any = False,
    trainable: bool = True, name: str | None = None, reuse: bool | None = None, renorm: bool = False,
    renorm_clipping: dict[str, Any] | None = None, renorm_momentum: float = 0.99, fused: bool | None = None,
    virtual_batch_size: int | None = None, adjustment: Callable[[Any], Any] | None = None,
) -> Any:  # fmt: skip
    """Batch normalisation (Ioffe and Szegedy 2015): `gamma * (inputs - mean) / sqrt(variance + epsilon) + beta`.

    In training the mean and variance are the batch's, and moving averages of them are updated by operations in
    `GraphKeys.UPDATE_OPS`, which the training step must run. In inference they are the moving averages.

    Args:
      inputs: a floating point tensor.
      axis: the axis of the features, or a list of axes; moments are taken over all others.
      momentum: the share that a moving average keeps at each update.
      epsilon: keeps the divisor from being 0.
      center, scale: whether there is a beta, and a gamma.
      beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: of the variables.
      beta_regularizer, gamma_regularizer: functions from a variable to a penalty.
      beta_constraint, gamma_constraint: functions that optimisers apply to the values after an update.
      training: whether this is training: a bool or a scalar tensor, such as a placeholder.
      trainable: whether gamma and beta are trained.
      name: the layer's name and variable scope; default: "batch_normalization", with a number where that is taken.
      reuse: whether the variables of that name exist already.
      renorm: batch renormalisation (Ioffe 2017): training normalises nearly as inference does.
      renorm_clipping: the limits "rmax", "rmin" and "dmax" of its corrections; what is missing is unlimited.
      renorm_momentum: the momentum of its moving averages.
      fused: whether one operation may do it for images; default True.
      virtual_batch_size: normalises parts of the batch of that size, each by itself.
      adjustment: a function from the shape of the inputs to a scale and an offset, applied in training only, to what is
        normalised, before gamma and beta.

    Raises:
      ValueError: an axis that is wrong or whose size is not known, or options that exclude each other.

    Example:
      >>> net = tf.layers.batch_normalization(net, training=training)
      >>> with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
      ...   train = optimizer.minimize(loss)
    """
    return applied(BatchNormalization, **locals())
