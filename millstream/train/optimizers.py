"""Gradient descent, plain and with momentum, and the optimisers that keep running means: RMSProp, Adam, Adadelta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.scopes import beside, control_dependencies
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable
from millstream.ops import control_flow_ops, state_ops
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.init_ops import Ones
from millstream.ops.math_ops import cast
from millstream.train.rule_optimizer import RuleOptimizer


@export(v1=["train.GradientDescentOptimizer"])
class GradientDescentOptimizer(RuleOptimizer):
    """Gradient descent: `var -= learning_rate * grad`.

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.

    Example:
      >>> train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    """

    _rule = "GradientDescent"

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._learning_rate_tensor: Tensor | None = None

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        return [*self._like(var, self._learning_rate_tensor), *gradient]

    # Rows are subtracted one by one, so those that share an index need not be summed before.

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        (rate,) = self._like(var, self._learning_rate_tensor)
        delta = IndexedSlices(grad.values * rate, grad.indices, grad.dense_shape)
        return var.scatter_sub(delta, use_locking=self._use_locking)

    def _resource_apply_sparse_duplicate_indices(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        rate = self._call_if_callable(self._learning_rate)
        return find("ResourceScatterAdd")(handle.handle, indices, -grad * rate)


@export(v1=["train.MomentumOptimizer"])
class MomentumOptimizer(RuleOptimizer):
    """Gradient descent with momentum: `accum = momentum * accum + grad; var -= learning_rate * accum`.

    With `use_nesterov` the step is `learning_rate * (grad + momentum * accum)`: Sutskever et al., "On the importance
    of initialization and momentum in deep learning", 2013. The slot is called "momentum".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      momentum: likewise.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.
      use_nesterov: Nesterov's momentum.
    """

    _rule = "Momentum"

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._use_nesterov = use_nesterov
        self._attributes = {"use_nesterov": use_nesterov}

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")
        self._momentum_tensor = self._tensor(self._momentum, "momentum")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        rate, momentum = self._like(var, self._learning_rate_tensor, self._momentum_tensor)
        return [self.get_slot(var, "momentum"), rate, *gradient, momentum]


@export(v1=["train.RMSPropOptimizer"])
class RMSPropOptimizer(RuleOptimizer):
    """Divides the gradient by the root of a running mean of its square: Tieleman and Hinton, lecture 6.5, 2012.

        ms = decay * ms + (1 - decay) * grad**2
        mom = momentum * mom + learning_rate * grad / sqrt(ms + epsilon)
        var -= mom

    `centered` takes the square of the gradient's running mean off `ms`, so that it estimates the variance. The slots
    are called "rms", "momentum" and, where centred, "mg".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      decay, momentum: likewise.
      epsilon: keeps the root away from zero.
      use_locking: accepted for compatibility; updates are always atomic.
      centered: see above.
      name: the prefix of names.
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._decay = decay
        self._momentum = momentum
        self._epsilon = epsilon
        self._centered = centered
        self._rule = "CenteredRMSProp" if centered else "RMSProp"

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            dtype = var.dtype.base_dtype
            self._get_or_make_slot_with_initializer(var, Ones(dtype), var.shape, dtype, "rms", self._name)
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")
        self._decay_tensor = self._tensor(self._decay, "decay")
        self._momentum_tensor = self._tensor(self._momentum, "momentum")
        self._epsilon_tensor = self._tensor(self._epsilon, "epsilon")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        names = ("mg", "rms", "momentum") if self._centered else ("rms", "momentum")
        numbers = (self._learning_rate_tensor, self._decay_tensor, self._momentum_tensor, self._epsilon_tensor)
        return [*(self.get_slot(var, name) for name in names), *self._like(var, *numbers), *gradient]


@export(v1=["train.AdadeltaOptimizer"])
class AdadeltaOptimizer(RuleOptimizer):
    """Steps of the size of past steps: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    The slots are called "accum" and "accum_update".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one; 1 is the paper's.
      rho: how slowly the running means forget; likewise.
      epsilon: keeps the roots away from zero; likewise.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.
    """

    _rule = "Adadelta"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr = learning_rate
        self._rho = rho
        self._epsilon = epsilon

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "accum", self._name)
            self._zeros_slot(var, "accum_update", self._name)

    def _prepare(self) -> None:
        self._lr_t = self._tensor(self._lr, "lr")
        self._rho_t = self._tensor(self._rho, "rho")
        self._epsilon_t = self._tensor(self._epsilon, "epsilon")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        slots = self.get_slot(var, "accum"), self.get_slot(var, "accum_update")
        return [*slots, *self._like(var, self._lr_t, self._rho_t, self._epsilon_t), *gradient]


@export(v1=["train.AdamOptimizer"])
class AdamOptimizer(RuleOptimizer):
    """Adam: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        var -= learning_rate * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + epsilon)

    `epsilon` is the paper's "epsilon hat". The slots are called "m" and "v"; the variables `beta1_power` and
    `beta2_power` hold the powers. Where gradients are rows, the means of the other rows decay all the same.

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      beta1, beta2: how slowly the running means forget; likewise.
      epsilon: keeps the denominator away from zero; likewise.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.
    """

    _rule = "Adam"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr = learning_rate
        self._beta1 = beta1
        self._beta2 = beta2
        self._epsilon = epsilon
        self._lr_t: Tensor | None = None

    def _get_beta_accumulators(self) -> tuple[Variable | None, Variable | None]:
        """The variables that hold `beta1**t` and `beta2**t`."""
        return self._get_non_slot_variable("beta1_power"), self._get_non_slot_variable("beta2_power")

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        first = min(var_list, key=lambda var: var.name)
        self._create_non_slot_variable(self._beta1, "beta1_power", colocate_with=first)
        self._create_non_slot_variable(self._beta2, "beta2_power", colocate_with=first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _prepare(self) -> None:
        self._lr_t = self._tensor(self._lr, "learning_rate")
        self._beta1_t = self._tensor(self._beta1, "beta1")
        self._beta2_t = self._tensor(self._beta2, "beta2")
        self._epsilon_t = self._tensor(self._epsilon, "epsilon")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        numbers = (*self._get_beta_accumulators(), self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t)
        return [self.get_slot(var, "m"), self.get_slot(var, "v"), *self._like(var, *numbers), *gradient]

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        return self._apply_sparse_shared(grad.values, var, grad.indices, state_ops.scatter_add)

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        return self._apply_sparse_shared(grad, handle, indices, self._resource_scatter_add)

    def _resource_scatter_add(self, x: Any, i: Tensor, v: Tensor, use_locking: bool = False) -> Tensor:
        with control_dependencies([find("ResourceScatterAdd")(x.handle, i, v)]):
            return x.value()  # type: ignore[no-any-return]

    def _apply_sparse_shared(
        self, grad: Tensor, var: Any, indices: Tensor, scatter_add: Callable[..., Tensor]
    ) -> Operation:
        """The update by rows `grad`: all means decay, rows are added, and the whole variable moves."""
        dtype, locking = var.dtype.base_dtype, self._use_locking
        powers = [cast(power, dtype) for power in self._get_beta_accumulators()]
        rate, beta1, beta2, epsilon = self._like(var, self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t)
        rate = rate * sqrt(1 - powers[1]) / (1 - powers[0])
        means = []
        for name, beta, rows in (("m", beta1, lambda: grad), ("v", beta2, lambda: grad * grad)):
            slot, share = self.get_slot(var, name), rows() * (1 - beta)
            decayed = state_ops.assign(slot, slot * beta, use_locking=locking)
            with control_dependencies([decayed]):
                means.append(scatter_add(slot, indices, share, use_locking=locking))
        root = sqrt(means[1])
        step = state_ops.assign_sub(var, rate * means[0] / (root + epsilon), use_locking=locking)
        return control_flow_ops.group(step, *means)

    def _finish(self, update_ops: Sequence[Any], name_scope: str) -> Any:
        locking = self._use_locking
        with control_dependencies(update_ops):
            power1, power2 = self._get_beta_accumulators()
            with beside(power1):
                updates = [
                    power.assign(power * beta, use_locking=locking)
                    for power, beta in ((power1, self._beta1_t), (power2, self._beta2_t))
                ]
        return control_flow_ops.group(*update_ops, *updates, name=name_scope)
