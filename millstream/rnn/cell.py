"""`tf.nn.rnn_cell.RNNCell`: what computes one step of a recurrent network."""
from __future__ import annotations

from typing import Any

from millstream.core import context, nest
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import as_dtype
from millstream.core.export import export
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import name_scope
from millstream.core.shapes import as_plain
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import trainable_variables
from millstream.core.variable_scope import get_variable_scope, variable_scope
from millstream.layers.layer import Layer
from millstream.ops.shape_ops import shape as shape_of
from millstream.rnn.shapes import zero_states


@export(v1=["nn.rnn_cell.RNNCell", "contrib.rnn.RNNCell"])
class RNNCell(Layer):
    """Base of the cells: `output, next_state = cell(input, state)` computes one step for a batch of sequences.

    A subclass has the properties `state_size` and `output_size` and a method `call(inputs, state)`. Its variables come
    from `tf.get_variable` in `call`, or from `self.add_variable` in `build(inputs_shape)`, which sets
    `self.built` then.

    Args:
      trainable: whether the variables are trained.
      name: the name; default: the class's in snake case, with a number.
      dtype: the dtype of the variables; default: that of the first input.
      **kwargs: as of `tf.layers.Layer`.

    Example:
      >>> class Sum(tf.nn.rnn_cell.RNNCell):
      ...   state_size = output_size = 2
      ...   def call(self, inputs, state):
      ...     return inputs + state, inputs + state
      >>> outputs, last = tf.nn.dynamic_rnn(Sum(), tf.ones([1, 3, 2]), dtype=tf.float32)
      >>> tf.Session().run(outputs).tolist()
      [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]
    """

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype, **kwargs)
        self._around: variable_scope | None = None  # the scope in which it was called first
        self._last_zero_state: tuple[Any, ...] | None = None

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """Computes one step.

        Args:
          inputs: a tensor [batch, ...], mostly of rank 2, or a structure of them.
          state: a structure of tensors like `state_size`, each [batch, *size].
          scope: the variable scope, or its name, for the cell's variables; default: one named after the cell.

        Returns:
          the output, a structure like `output_size`, and the next state.
        """
        if scope is not None:
            with variable_scope(scope, custom_getter=self._get_variable) as entered:
                return super().__call__(inputs, state, scope=entered)
        if self._around is None:
            self._around = variable_scope(get_variable_scope(), custom_getter=self._get_variable)
        with self._around:
            return super().__call__(inputs, state)

    def _get_variable(self, getter: Any, *args: Any, **kwargs: Any) -> Any:
        """Gets a variable for the cell and lists it."""
        variable = getter(*args, **kwargs)
        first = list(variable)[0] if isinstance(variable, PartitionedVariable) else variable
        if context.executing_eagerly():
            trained = first.trainable
        else:
            trained = any(first is other for other in trainable_variables())
        known = self._trainable_weights if trained else self._non_trainable_weights
        if all(variable is not other for other in known):
            known.append(variable)
        return variable

    @property
    def state_size(self) -> Any:
        """The size of the state without the batch: an int, a `TensorShape`, or a structure of them."""
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        """The size of the output without the batch: an int, a `TensorShape`, or a structure of them."""
        raise NotImplementedError("Abstract method")

    def build(self, _: Any) -> None:
        """Makes the variables; this one makes none."""
        self.built = True

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """The state to begin with: zeros.

        Args:
          inputs: a tensor [batch, ...] that says the batch size and the dtype.
          batch_size: an int or a scalar tensor, needed without `inputs`.
          dtype: needed without `inputs`.

        Raises:
          ValueError: neither is given, or they disagree.
        """
        if inputs is not None:
            inputs = to_tensor(inputs, name="inputs")
            batch_size, dtype = _of_inputs(inputs, batch_size, dtype)
        if batch_size is None or dtype is None:
            raise ValueError(
                "batch_size and dtype cannot be None while constructing initial state: "
                f"batch_size={batch_size}, dtype={dtype}"
            )
        return self.zero_state(batch_size, dtype)

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros.

        In eager execution the last one is kept, and given again for the same arguments.

        Args:
          batch_size: an int or a scalar int32 tensor.
          dtype: the dtype of all tensors.

        Returns:
          a structure like `state_size` of tensors [batch_size, *size].
        """
        size, eager = self.state_size, context.executing_eagerly()
        if eager and self._last_zero_state is not None:
            *made_for, state = self._last_zero_state
            if made_for == [size, batch_size, dtype]:
                return state
        with name_scope(f"{type(self).__name__}ZeroState", None, [batch_size]):
            state = zero_states(size, batch_size, dtype)
        if eager:
            self._last_zero_state = (size, batch_size, dtype, state)
        return state

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain data."""
        config = super().get_config()
        return {key.removeprefix("_"): value for key, value in config.items()}


def _of_inputs(inputs: Any, batch_size: Any, dtype: Any) -> tuple[Any, Any]:
    """The batch size and the dtype of inputs, which must agree with those that were given."""
    shape = inputs._shape
    known = shape[0] if shape else None
    if batch_size is not None:
        given = constant_value(batch_size) if isinstance(batch_size, Tensor) else batch_size
        if given is not None and known is not None and given != known:
            raise ValueError(
                "batch size from input tensor is different from the input param. "
                f"Input tensor batch: {known}, batch_size: {batch_size}"
            )
    if dtype is not None and inputs.dtype is not as_dtype(dtype):
        raise ValueError(
            "dtype from input tensor is different from the input param. "
            f"Input tensor dtype: <dtype: {inputs.dtype.name!r}>, dtype: <dtype: {as_dtype(dtype).name!r}>"
        )
    return (shape_of(inputs)[0] if known is None else known), inputs.dtype


class StateIsOutput:
    """What cells have in common of which `num_units` numbers are both the state and the output."""

    _num_units: int

    @property
    def state_size(self) -> Any:
        """`num_units`."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """`num_units`."""
        return self._num_units


@export(v1=["contrib.rnn.LayerRNNCell"])
class LayerRNNCell(RNNCell):
    """Base of the cells that make their variables in `build`, with `self.add_variable`, and so once.

    A cell that is built keeps its variables wherever it is called.
    """

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Computes one step; see `RNNCell.__call__`. Further arguments are for `call`."""
        return Layer.__call__(self, inputs, state, *args, scope=scope, **kwargs)


# --- Checks ---------------------------------------------------------------------------------------------------------


def check_is_cell(name: str, cell: Any) -> None:
    """Demands that an argument behaves as a cell.

    Raises:
      TypeError: it does not.
    """
    missing = [f"{attribute!r} property is missing" for attribute in ("output_size", "state_size")
               if not hasattr(cell, attribute)]  # fmt: skip
    if not hasattr(cell, "zero_state") and not hasattr(cell, "get_initial_state"):
        missing.append("either 'zero_state' or 'get_initial_state' method is required")
    if not callable(cell):
        missing.append("is not callable")
    if missing:
        raise TypeError(f"The argument {name!r} ({cell}) is not an RNNCell: {', '.join(missing)}.")


def check_floating(*tensors: Any) -> None:
    """Demands floating point numbers, or complex ones.

    Args:
      *tensors: tensors, structures of them, dtypes; None is not looked at.

    Raises:
      ValueError: other numbers.
    """
    for tensor in nest.flatten(tensors):
        dtype = getattr(tensor, "dtype", tensor)
        if dtype is None:
            continue
        dtype = as_dtype(dtype)
        if not (dtype.is_floating or dtype.is_complex):
            raise ValueError(f"RNN cell only supports floating point inputs, but saw dtype: <dtype: {dtype.name!r}>")


def known_depth(inputs_shape: Any) -> int:
    """The last dimension of the inputs.

    Args:
      inputs_shape: the shape of the inputs. The message shows it as it is given, and an unknown dimension so as None in
        a tuple and as `?` in a `TensorShape`.

    Raises:
      ValueError: it is not known.
    """
    shape = as_plain(inputs_shape)
    if not shape or shape[-1] is None:
        raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {inputs_shape}")
    return shape[-1]
