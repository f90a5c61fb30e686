"""`optimize_loss`: a whole training step from a loss, with decay, noise, clipping and summaries."""
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export, export_value
from millstream.core.graph_keys import GraphKeys
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.scopes import get_collection
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import trainable_variables
from millstream.core.variable_scope import get_variable, variable_scope
from millstream.ops.arithmetic_ops import maximum, minimum
from millstream.ops.cast_ops import cast
from millstream.ops.clip_ops import clip_by_global_norm, global_norm
from millstream.ops.control_flow_ops import with_dependencies
from millstream.ops.elementwise_ops import exp, log, sqrt, square
from millstream.ops.fill_ops import ones_like
from millstream.ops.init_ops import Constant, Zeros
from millstream.ops.random_ops import truncated_normal
from millstream.ops.rank_check_ops import assert_scalar
from millstream.ops.select_ops import where
from millstream.summary.summary import histogram, scalar
from millstream.train import training_util
from millstream.train.accumulating_optimizers import AdagradOptimizer, FtrlOptimizer
from millstream.train.moving_averages import assign_moving_average
from millstream.train.optimizer import Optimizer
from millstream.train.optimizers import AdamOptimizer, GradientDescentOptimizer, MomentumOptimizer, RMSPropOptimizer

Gradients = list[tuple[Any, Any]]  # gradients, each with its variable


def _momentum(learning_rate: Any) -> Optimizer:
    return MomentumOptimizer(learning_rate, momentum=0.9)


OPTIMIZER_CLS_NAMES: dict[str, Callable[..., Optimizer]] = {
    "Adagrad": AdagradOptimizer,
    "Adam": AdamOptimizer,
    "Ftrl": FtrlOptimizer,
    "Momentum": _momentum,
    "RMSProp": RMSPropOptimizer,
    "SGD": GradientDescentOptimizer,
}
OPTIMIZER_SUMMARIES = ["learning_rate", "loss", "gradients", "gradient_norm", "global_gradient_norm"]
export_value(__name__, "OPTIMIZER_CLS_NAMES", v1=["contrib.layers.OPTIMIZER_CLS_NAMES"])
export_value(__name__, "OPTIMIZER_SUMMARIES", v1=["contrib.layers.OPTIMIZER_SUMMARIES"])

_DEFAULT_SUMMARIES = ("loss", "learning_rate", "global_gradient_norm")


@export(v1=["contrib.layers.optimize_loss"])
def optimize_loss(
    loss: Any,
    global_step: Any,
    learning_rate: Any,
    optimizer: Any,
    gradient_noise_scale: float | None = None,
    gradient_multipliers: Mapping[Any, Any] | None = None,
    clip_gradients: Any = None,
    learning_rate_decay_fn: Callable[[Any, Any], Any] | None = None,
    update_ops: Sequence[Any] | None = None,
    variables: Sequence[Any] | None = None,
    name: str | None = None,
    summaries: Sequence[str] | None = None,
    colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Tensor:
    """A training step: a tensor that trains when it is run, and gives the loss.

    Args:
      loss: a floating point scalar.
      global_step: the variable that counts steps; None: the graph's, if it has one.
      learning_rate: a float, which becomes a variable; a scalar tensor; or None where the optimiser has its own.
      optimizer: the name of one of `OPTIMIZER_CLS_NAMES`; a class or function that is called with the learning rate
        (without arguments where there is none); or an optimiser.
      gradient_noise_scale: adds normal noise of this scale, truncated, to the gradients.
      gradient_multipliers: by variable or its name, what a gradient is multiplied with.
      clip_gradients: a float: the greatest global norm of the gradients; or a function from pairs (gradient, variable)
        to such pairs.
      learning_rate_decay_fn: a function of learning rate and global step that gives the learning rate.
      update_ops: operations that run before the loss is computed; default: `GraphKeys.UPDATE_OPS`.
      variables: what is trained; default: `GraphKeys.TRAINABLE_VARIABLES`.
      name: the variable scope; default "OptimizeLoss".
      summaries: which of `OPTIMIZER_SUMMARIES` are made; default: loss, learning rate (where it decays) and the global
        norm of the gradients.
      colocate_gradients_with_ops: whether gradients are on the devices of their operations.
      increment_global_step: False: the global step is not changed.

    Raises:
      ValueError: learning rate, optimiser, summaries or `clip_gradients` of a wrong kind, or there is no gradient.

    Example:
      >>> train = tf.contrib.layers.optimize_loss(
      ...     loss, tf.train.get_or_create_global_step(), learning_rate=0.1, optimizer="Adagrad")
    """
    loss = to_tensor(loss)
    assert_scalar(loss)
    if global_step is None:
        global_step = training_util.get_global_step()
    else:
        training_util.assert_global_step(global_step)
    with variable_scope(name, "OptimizeLoss", [loss, global_step]):
        updates = set(get_collection(GraphKeys.UPDATE_OPS)) if update_ops is None else update_ops
        if updates:
            loss = with_dependencies(list(updates), loss)
        rate = _learning_rate(learning_rate)
        wanted = _checked_summaries(summaries)
        if learning_rate is not None and learning_rate_decay_fn is not None:
            rate = _decayed(rate, learning_rate_decay_fn, global_step)
            if "learning_rate" in wanted:
                scalar("learning_rate", rate)
        chosen = _optimizer(optimizer, rate)
        gradients = chosen.compute_gradients(
            loss,
            trainable_variables() if variables is None else variables,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        if gradient_noise_scale is not None:
            gradients = _noisy(gradients, gradient_noise_scale)
        if gradient_multipliers is not None:
            gradients = _multiplied(gradients, gradient_multipliers)
        gradients = _clipped_and_summarized(gradients, clip_gradients, loss, wanted)
        step = global_step if increment_global_step else None
        train = chosen.apply_gradients(gradients, global_step=step, name="train")
        return with_dependencies([train], loss)


# --- Learning rate and optimiser --------------------------------------------------------------------------------------


def _learning_rate(given: Any) -> Any:
    if given is None or isinstance(given, Tensor) and given.get_shape().ndims == 0:
        return given
    if not isinstance(given, float):
        raise ValueError(f"Learning rate should be 0d Tensor or float. Got {given} of type {type(given)}")
    if given < 0.0:
        raise ValueError(f"Invalid learning_rate {given}.")
    return get_variable("learning_rate", [], trainable=False, initializer=Constant(given))


def _decayed(rate: Any, decay: Callable[[Any, Any], Any], global_step: Any) -> Any:
    if global_step is None:
        raise ValueError("global_step is required for learning_rate_decay_fn.")
    return decay(rate, global_step)


def _checked_summaries(given: Sequence[str] | None) -> Sequence[str]:
    if given is None:
        return _DEFAULT_SUMMARIES
    for summary in given:
        if summary not in OPTIMIZER_SUMMARIES:
            raise ValueError(f"Summaries should be one of [{', '.join(OPTIMIZER_SUMMARIES)}], you provided {summary}.")
    return given


def _optimizer(given: Any, rate: Any) -> Optimizer:
    """The optimiser itself, whatever form it is given in."""
    is_class = isinstance(given, type) and issubclass(given, Optimizer)
    if rate is None and (is_class or isinstance(given, str)):
        form = "class" if is_class else "string"
        raise ValueError(f"Learning rate is None, but should be specified if optimizer is {form} ({given}).")
    if isinstance(given, str):
        if given not in OPTIMIZER_CLS_NAMES:
            known = ", ".join(OPTIMIZER_CLS_NAMES)
            raise ValueError(f"Optimizer name should be one of [{known}], you provided {given}.")
        return OPTIMIZER_CLS_NAMES[given](learning_rate=rate)
    if is_class:
        return given(learning_rate=rate)
    if isinstance(given, Optimizer):
        return given
    if not callable(given):
        raise ValueError(
            "Unrecognized optimizer: should be string, subclass of Optimizer, instance of subclass of Optimizer or "
            f"function with one argument. Got {given}."
        )
    made = given() if rate is None else given(rate)
    if not isinstance(made, Optimizer):
        raise ValueError(f"Unrecognized optimizer: function should return subclass of Optimizer. Got {made}.")
    return made


# --- Gradients --------------------------------------------------------------------------------------------------------


def _with_values(gradient: Any, compute: Callable[[Any], Any]) -> Any:
    """A gradient whose numbers are `compute(numbers)`; None stays None."""
    if gradient is None:
        return None
    if isinstance(gradient, IndexedSlices):
        return IndexedSlices(compute(gradient.values), gradient.indices, gradient.dense_shape)
    return compute(gradient)


def _noisy(gradients: Gradients, scale: Any) -> Gradients:
    def noisy(gradient: Any) -> Any:
        if gradient is None:
            return None
        shape = gradient.dense_shape if isinstance(gradient, IndexedSlices) else gradient.get_shape()
        return gradient + truncated_normal(shape) * scale

    return [(noisy(gradient), variable) for gradient, variable in gradients]


def _multiplied(gradients: Gradients, multipliers: Mapping[Any, Any]) -> Gradients:
    def multiplied(gradient: Any, variable: Any) -> Any:
        key = variable if variable in multipliers else variable.name
        if key not in multipliers:
            return gradient
        return _with_values(gradient, lambda values: values * cast(multipliers[key], values.dtype))

    result = [(multiplied(gradient, variable), variable) for gradient, variable in gradients]
    if not result:
        raise ValueError(
            "Empty list of (gradient, var) pairs encountered. This is most likely to be caused by an improper value of "
            "gradient_multipliers."
        )
    return result


def _clipped_and_summarized(gradients: Gradients, clip: Any, loss: Tensor, summaries: Collection[str]) -> Gradients:
    """The gradients as `clip` wants them, with the summaries of what they were and are, and of the loss."""
    norms = "global_gradient_norm" in summaries or "gradient_norm" in summaries
    if norms:
        scalar("global_norm/gradient_norm", _norm(gradients))
    gradients = _clipped(gradients, clip)
    if "loss" in summaries:
        scalar("loss", loss)
    for gradient, variable in gradients:
        values = gradient.values if isinstance(gradient, IndexedSlices) else gradient
        if values is None:
            continue
        label = variable.name.replace(":", "_")
        if "gradients" in summaries:
            histogram(f"gradients/{label}", values)
        if "gradient_norm" in summaries:
            scalar(f"gradient_norm/{label}", global_norm([values]))
    if clip is not None and norms:
        scalar("global_norm/clipped_gradient_norm", _norm(gradients))
    return gradients


def _norm(gradients: Gradients) -> Tensor:
    return global_norm([gradient for gradient, _ in gradients])


def _clipped(gradients: Gradients, clip: Any) -> Gradients:
    if clip is None:
        return gradients
    if isinstance(clip, float):
        clipped, _ = clip_by_global_norm([gradient for gradient, _ in gradients], clip)
        return list(zip(clipped, (variable for _, variable in gradients), strict=True))
    if callable(clip):
        return clip(gradients)
    raise ValueError(f"Unknown type {type(clip)} for clip_gradients")


# --- Adaptive clipping ------------------------------------------------------------------------------------------------


def adaptive_clipping_fn(
    std_factor: float = 2.0,
    decay: float = 0.95,
    static_max_norm: float | None = None,
    global_step: Any = None,
    report_summary: bool = False,
    epsilon: float = 1e-8,
    name: str | None = None,
) -> Callable[[Gradients], Gradients]:
    """A `clip_gradients` for `optimize_loss` that learns which norms are usual.

    It keeps moving averages of the logarithm of the global norm and of its square. Gradients whose norm is more than
    `std_factor` standard deviations above the average are scaled down to the average.

    Args:
      std_factor: how many standard deviations.
      decay: of the moving averages.
      static_max_norm: a norm that is never exceeded.
      global_step: with it the averages adapt more quickly at the beginning.
      report_summary: whether the greatest norm is summarised as "global_norm/adaptive_max_gradient_norm".
      epsilon: keeps logarithms finite.
      name: the variable scope; default "AdaptiveMaxNorm".
    """

    def clip(grads_and_vars: Gradients) -> Gradients:
        grads = [gradient for gradient, _ in grads_and_vars]
        norm: Any = global_norm(grads)
        max_norm, log_mean = _usual_norm(norm, std_factor, decay, global_step, epsilon, name)
        if report_summary:
            scalar("global_norm/adaptive_max_gradient_norm", max_norm)
        factor = where(norm < max_norm, ones_like(norm), exp(log_mean) / norm)
        if static_max_norm is not None:
            factor = minimum(static_max_norm / norm, factor)
        clipped = [_with_values(gradient, lambda values: values * factor) for gradient in grads]
        return list(zip(clipped, (variable for _, variable in grads_and_vars), strict=True))

    return clip


def _usual_norm(
    norm: Any, std_factor: float, decay: Any, global_step: Any, epsilon: float, name: str | None
) -> tuple[Any, Any]:
    """The greatest norm that is usual, and the average logarithm of the norms."""
    with variable_scope(name, "AdaptiveMaxNorm", [norm]):
        log_norm: Any = log(norm + epsilon)
        if global_step is not None:
            step = cast(global_step, "float32")
            decay = minimum(decay, step / (step + 1.0))

        def average(name: str, value: Tensor) -> Any:
            kept = get_variable(
                name, shape=value.get_shape(), dtype=value.dtype, initializer=Zeros(), trainable=False
            )
            return assign_moving_average(kept, value, decay, zero_debias=False)

        mean = average("mean", log_norm)
        mean_of_squares = average("sq_mean", square(log_norm))
        deviation: Any = sqrt(maximum(epsilon, mean_of_squares - square(mean)))
        return exp(mean + std_factor * deviation), mean
