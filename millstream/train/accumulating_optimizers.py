"""Optimisers that sum squared gradients, and those that pull variables to zero: Adagrad, Ftrl, proximal steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.scopes import beside
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, fill_ops, shape_ops
from millstream.ops.identity_ops import identity
from millstream.ops.init_ops import Constant
from millstream.ops.math_ops import cast
from millstream.train.rule_optimizer import RuleOptimizer


def _require_positive(name: str, value: Any) -> None:
    if value <= 0.0:
        raise ValueError(f"{name} must be positive: {value}")


@export(v1=["train.AdagradOptimizer"])
class AdagradOptimizer(RuleOptimizer):
    """Adagrad: Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", 2011.

        accum += grad**2
        var -= learning_rate * grad / sqrt(accum)

    The slot is called "accumulator".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      initial_accumulator_value: where `accum` begins, a positive number.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.

    Raises:
      ValueError: `initial_accumulator_value` is not positive.
    """

    _rule = "Adagrad"

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        _require_positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_accumulator_value = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            dtype = var.dtype.base_dtype
            initial = self._initial_value(var)
            self._get_or_make_slot_with_initializer(var, initial, var.shape, dtype, "accumulator", self._name)

    def _initial_value(self, var: Any) -> Any:
        """An initialiser, or where the static shape is not known a function that fills the shape at run time."""
        value, dtype = self._initial_accumulator_value, var.dtype.base_dtype
        if var.shape.is_fully_defined():
            return Constant(value, dtype=dtype)
        return lambda: cast(fill_ops.fill(shape_ops.shape(var), value), dtype)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        return [self.get_slot(var, "accumulator"), *self._like(var, self._learning_rate_tensor), *gradient]


@export(v1=["train.AdagradDAOptimizer"])
class AdagradDAOptimizer(RuleOptimizer):
    """Adagrad with dual averaging, for models that are to be sparse; the paper is that of `AdagradOptimizer`.

        g += grad; gg += grad**2; t = global_step + 1
        var = -sign(g) * learning_rate * max(|g| - l1 * t, 0) / (l2 * t * learning_rate + sqrt(gg))

    The slots are called "gradient_accumulator" and "gradient_squared_accumulator".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      global_step: the int64 scalar variable that counts the steps.
      initial_gradient_squared_accumulator_value: where `gg` begins, a positive number.
      l1_regularization_strength, l2_regularization_strength: numbers, at least 0.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.

    Raises:
      ValueError: `initial_gradient_squared_accumulator_value` is not positive.
    """

    _rule = "AdagradDA"

    def __init__(
        self,
        learning_rate: Any,
        global_step: Any,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:
        initial = initial_gradient_squared_accumulator_value
        _require_positive("initial_gradient_squared_accumulator_value", initial)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._global_step = global_step
        self._initial_gradient_squared_accumulator_value = initial
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            with beside(var):
                shape, dtype = var.shape, var.dtype.base_dtype
                zeros = constant_op.constant(0.0, shape=shape, dtype=dtype)
                initial = constant_op.constant(
                    self._initial_gradient_squared_accumulator_value, shape=shape, dtype=dtype
                )
            self._get_or_make_slot(var, zeros, "gradient_accumulator", self._name)
            self._get_or_make_slot(var, initial, "gradient_squared_accumulator", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")
        with beside(self._learning_rate_tensor):
            self._global_step_on_worker = identity(self._global_step) + 1

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        slots = self.get_slot(var, "gradient_accumulator"), self.get_slot(var, "gradient_squared_accumulator")
        step = identity(self._global_step_on_worker)
        penalties = self._l1_regularization_strength, self._l2_regularization_strength
        return [*slots, *gradient, *self._like(var, self._learning_rate_tensor, *penalties), step]


@export(v1=["train.ProximalGradientDescentOptimizer"])
class ProximalGradientDescentOptimizer(RuleOptimizer):
    """Gradient descent with penalties: Duchi and Singer, "Efficient learning using forward-backward splitting", 2009.

        p = var - learning_rate * grad
        var = sign(p) * max(|p| - learning_rate * l1, 0) / (1 + learning_rate * l2)

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      l1_regularization_strength, l2_regularization_strength: numbers or scalars, at least 0.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.
    """

    _rule = "ProximalGradientDescent"

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._tensor(self._learning_rate, "learning_rate")
        self._l1_regularization_strength_tensor = self._tensor(
            self._l1_regularization_strength, "l1_regularization_strength"
        )
        self._l2_regularization_strength_tensor = self._tensor(
            self._l2_regularization_strength, "l2_regularization_strength"
        )

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        penalties = self._l1_regularization_strength_tensor, self._l2_regularization_strength_tensor
        return [*self._like(var, self._learning_rate_tensor, *penalties), *gradient]


@export(v1=["train.ProximalAdagradOptimizer"])
class ProximalAdagradOptimizer(ProximalGradientDescentOptimizer):
    """Adagrad with penalties: like `ProximalGradientDescentOptimizer` with `learning_rate / sqrt(accum)` for the rate.

    The slot is called "accumulator".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      initial_accumulator_value: where `accum` begins, a positive number.
      l1_regularization_strength, l2_regularization_strength: numbers or scalars, at least 0.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.

    Raises:
      ValueError: `initial_accumulator_value` is not positive.
    """

    _rule = "ProximalAdagrad"

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        _require_positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(learning_rate, l1_regularization_strength, l2_regularization_strength, use_locking, name)
        self._initial_accumulator_value = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            with beside(var):
                initial = constant_op.constant(
                    self._initial_accumulator_value, shape=var.shape, dtype=var.dtype.base_dtype
                )
            self._get_or_make_slot(var, initial, "accumulator", self._name)

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        return [self.get_slot(var, "accumulator"), *super()._inputs(var, gradient)]


@export(v1=["train.FtrlOptimizer"])
class FtrlOptimizer(RuleOptimizer):
    """Follow the regularised leader: McMahan et al., "Ad click prediction: a view from the trenches", 2013.

    The slots are called "accum" and "linear".

    Args:
      learning_rate: a number, a floating point scalar, or a function that gives one.
      learning_rate_power: how the rate falls with the sum of squares, at most 0; 0 keeps it fixed.
      initial_accumulator_value: where `accum` begins, at least 0.
      l1_regularization_strength, l2_regularization_strength: at least 0.
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of names.
      accum_name, linear_name: what the slots' own names end with; default: `name`.
      l2_shrinkage_regularization_strength: a penalty on the size of the variable that is part of the gradient,
        at least 0; unlike `l2_regularization_strength`, it also acts where gradients are zero.

    Raises:
      ValueError: a number is of the wrong sign.
    """

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:
        super().__init__(use_locking, name)
        if learning_rate_power > 0.0:
            raise ValueError(f"learning_rate_power {learning_rate_power:f} needs to be negative or zero")
        self._learning_rate = learning_rate
        self._learning_rate_power = learning_rate_power
        self._initial_accumulator_value = initial_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        for attribute in ("initial_accumulator_value", *_FTRL_PENALTIES):
            value = getattr(self, "_" + attribute)
            if value < 0.0:
                raise ValueError(f"{attribute} {value:f} needs to be positive or zero")
        self._accum_name = accum_name
        self._linear_name = linear_name
        self._rule = "FtrlV2" if l2_shrinkage_regularization_strength > 0.0 else "Ftrl"

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            with beside(var):
                initial = constant_op.constant(
                    self._initial_accumulator_value, dtype=var.dtype.base_dtype, shape=var.shape
                )
            self._get_or_make_slot(var, initial, "accum", self._accum_name or self._name)
            self._zeros_slot(var, "linear", self._linear_name or self._name)

    def _prepare(self) -> None:
        for attribute in ("learning_rate", *_FTRL_PENALTIES, "learning_rate_power"):
            setattr(self, f"_{attribute}_tensor", self._tensor(getattr(self, "_" + attribute), attribute))

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        penalties = _FTRL_PENALTIES if self._rule == "FtrlV2" else _FTRL_PENALTIES[:2]
        names = ("learning_rate", *penalties, "learning_rate_power")
        numbers = self._like(var, *(getattr(self, f"_{name}_tensor") for name in names))
        return [self.get_slot(var, "accum"), self.get_slot(var, "linear"), *gradient, *numbers]


_FTRL_PENALTIES = (
    "l1_regularization_strength",
    "l2_regularization_strength",
    "l2_shrinkage_regularization_strength",
)
