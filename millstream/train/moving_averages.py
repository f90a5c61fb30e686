"""Moving averages of variables and tensors, which forget exponentially."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.operation import Operation
from millstream.core.scopes import beside, init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import global_variables, moving_average_variables, trainable_variables
from millstream.core.variable_scope import get_variable, get_variable_scope, variable_scope
from millstream.core.variables import Variable
from millstream.ops import control_flow_ops, state_ops
from millstream.ops.arithmetic_ops import div, minimum, pow, truediv
from millstream.ops.init_ops import Zeros
from millstream.ops.math_ops import cast
from millstream.train import slot_creator

_AVERAGED_DTYPES = (dtypes.bfloat16, dtypes.float16, dtypes.float32, dtypes.float64)
_VARIABLE_TYPES = ("Variable", "VariableV2", "VarHandleOp")


def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Any:
    """`variable = variable * decay + value * (1 - decay)`.

    Args:
      variable: the variable.
      value: a tensor of the variable's shape and dtype.
      decay: a floating point scalar, usually a little less than 1.
      zero_debias: makes up for the variable's start at zero: two more variables, `biased` and `local_step`, below the
        variable's name hold the plain average of all values so far and their number, and the variable is
        `biased / (1 - decay ** local_step)`. Kingma and Ba, "Adam", 2015, section 3.
      name: the scope, and the name of the result; default "AssignMovingAvg".

    Returns:
      The variable's new value.
    """
    with name_scope(name, "AssignMovingAvg", [variable, value, decay]) as scope:
        weight = to_tensor(1.0 - decay, name="decay")
        if weight.dtype is not variable.dtype.base_dtype:
            weight = cast(weight, variable.dtype.base_dtype)
        if zero_debias:
            return _assign_without_bias(variable, value, weight, scope)
        return state_ops.assign_sub(variable, (variable - value) * weight, name=scope)


def _assign_without_bias(variable: Any, value: Any, weight: Tensor, name: str) -> Any:
    prefix = variable.name.removesuffix(":0")
    with variable_scope(prefix, values=[variable, value, weight], auxiliary_name_scope=False):
        with beside(variable):
            names = _unused("biased"), _unused("local_step")
            biased = get_variable(names[0], initializer=Zeros(), shape=variable.shape, dtype=variable.dtype,
                                  trainable=False)  # fmt: skip
            count = get_variable(names[1], initializer=Zeros(), shape=[], dtype=variable.dtype, trainable=False)
    average = state_ops.assign_sub(biased, (biased - value) * weight)
    steps = count.assign_add(1)
    return state_ops.assign(variable, average / (1 - pow(1.0 - weight, steps)), name=name)


def _unused(name: str) -> str:
    """`name`, with a suffix where the present variable scope has a variable of that name."""
    scope = get_variable_scope()
    if scope.reuse:
        return name
    known = {variable._shared_name for variable in global_variables()}
    found, count = name, 0
    while f"{scope.name}/{found}" in known:
        count += 1
        found = f"{name}_{count}"
    return found


def weighted_moving_average(
    value: Tensor,
    decay: Any,
    weight: Tensor,
    truediv: bool = True,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """The moving average of `value * weight` divided by that of `weight`.

    Args:
      value: a numeric tensor.
      decay: a floating point scalar.
      weight: a tensor whose shape broadcasts to that of `value`; keeps its own count where it is a scalar.
      truediv: False: integers are divided as integers.
      collections: the collections of the two variables; default: the global variables.
      name: the variable scope; default "WeightedMovingAvg".
    """
    with variable_scope(name, "WeightedMovingAvg", [value, weight, decay]) as scope:
        settings = {"initializer": Zeros(), "trainable": False, "collections": collections}
        products = get_variable("value_x_weight", shape=value.shape, dtype=value.dtype, **settings)
        weights = get_variable("weight", shape=weight.shape, dtype=weight.dtype, **settings)
        numerator = assign_moving_average(products, value * weight, decay, zero_debias=False)
        denominator = assign_moving_average(weights, weight, decay, zero_debias=False)
        return (_true_quotient if truediv else div)(numerator, denominator, name=scope.name)


_true_quotient = truediv


@export("train.ExponentialMovingAverage")
class ExponentialMovingAverage:
    """Keeps moving averages of trained variables, which often evaluate better than the last values.

    The averages are variables, `w/ExponentialMovingAverage`; that of a variable begins at its initial value, that of a
    tensor at zero.

    Args:
      decay: how much of the average is kept at each update, a little less than 1.
      num_updates: the number of updates so far: `min(decay, (1 + num_updates) / (10 + num_updates))` is used
        then, so that the average moves faster at first.
      zero_debias: makes up for the start at zero of averages of tensors.
      name: what the averages' names end with.

    Example:
      >>> averages = tf.train.ExponentialMovingAverage(decay=0.9999)
      >>> with tf.control_dependencies([train_op]):
      ...   train_op = averages.apply(tf.trainable_variables())
      >>> saver = tf.train.Saver(averages.variables_to_restore())
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay = decay
        self._num_updates = num_updates
        self._zero_debias = zero_debias
        self._name = name
        self._averages: dict[Any, Variable] = {}  # by what they are averages of
        self._debiased: set[Any] = set()

    @property
    def name(self) -> str:
        """What the averages' names end with."""
        return self._name

    def apply(self, var_list: Sequence[Any] | None = None) -> Operation:
        """The operation that updates the averages; makes those that are not there yet.

        Args:
          var_list: variables or tensors, floating point; default: the trainable variables.

        Raises:
          TypeError: an element is of another dtype.
        """
        variables = trainable_variables() if var_list is None else var_list
        for var in variables:
            if var.dtype.base_dtype not in _AVERAGED_DTYPES:
                raise TypeError(f"The variables must be half, float, or double: {var.name}")
            if var.ref() not in self._averages:
                with init_scope():
                    self._averages[var.ref()] = self._make_average(var)
        with name_scope(self._name) as scope:
            decay = self._decay_now()
            updates = []
            for var in variables:
                average = self._averages[var.ref()]
                debiased = average.ref() in self._debiased
                updates.append(assign_moving_average(average, var, decay, zero_debias=debiased))
            return control_flow_ops.group(*updates, name=scope)

    def _make_average(self, var: Any) -> Variable:
        if isinstance(var, Variable):
            if var.is_eager:
                return slot_creator.create_slot(var, var.read_value(), self._name)
            average = slot_creator.create_slot(var, var.initialized_value(), self._name)
            get_default_graph().add_to_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, var)
            return average
        is_variable = not var.is_eager and var.op.type in _VARIABLE_TYPES
        average = slot_creator.create_zeros_slot(var, self._name, colocate_with_primary=is_variable)
        if self._zero_debias:
            self._debiased.add(average.ref())
        return average

    def _decay_now(self) -> Tensor:
        decay: Tensor = to_tensor(self._decay, name="decay")
        if self._num_updates is None:
            return decay
        count = cast(self._num_updates, dtypes.float32, name="num_updates")
        return minimum(decay, (1.0 + count) / (10.0 + count))

    def average(self, var: Any) -> Variable | None:
        """The variable that holds the average of `var`, or None."""
        return self._averages.get(var.ref())

    def average_name(self, var: Any) -> str:
        """The name of the average of `var`: as it is, or as it would be."""
        if var.ref() in self._averages:
            return self._averages[var.ref()]._shared_name
        name = var._shared_name if isinstance(var, Variable) else var.op.name
        return get_default_graph().unique_name(f"{name}/{self._name}", mark_as_used=False)

    def variables_to_restore(self, moving_avg_variables: Iterable[Variable] | None = None) -> dict[str, Variable]:
        """Names in a checkpoint by which a `Saver` restores averages into the variables themselves.

        Args:
          moving_avg_variables: the variables that get their averages; default: the trainable variables and those
            that have averages. All other global variables keep their names.
        """
        if moving_avg_variables is None:
            moving_avg_variables = trainable_variables() + moving_average_variables()
        averaged = list({id(var): var for var in moving_avg_variables}.values())
        restored = {self.average_name(var): var for var in averaged}
        names = {var.name for var in averaged}
        for var in global_variables():
            if var.name not in names and var._shared_name not in restored:
                restored[var._shared_name] = var
        return restored
