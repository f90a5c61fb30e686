"""The life of a layer: it is built when it first sees inputs, keeps its weights, and collects losses and updates."""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from millstream.autograph import api as autograph
from millstream.core import context, nest, session_stack
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import as_dtype, float32
from millstream.core.graph import get_default_graph
from millstream.core.module import Module
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_creators import create_v1
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization, check_settings
from millstream.layers.arguments import read_constraint, read_initializer, read_regularizer
from millstream.layers.call_context import calling, innermost_call
from millstream.layers.input_spec import InputSpec, check_inputs
from millstream.layers.noted import Noted, chosen, depends
from millstream.ops.init_ops import default_initializer
from millstream.ops.math_ops import cast
from millstream.ops.shape_ops import shape as shape_of

# Keyword arguments of all layers that have no parameters of their own; those of the shape matter to Keras's models.
_OPTIONS = frozenset("activity_regularizer autocast batch_input_shape batch_size input_shape weights".split())
_WORD_BEGINS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z0-9])")


class BaseLayer(Module):
    """Base of all layers.

    A subclass makes its weights in `build(input_shape)` with `add_weight`, and computes in `call(inputs)`.

    Args:
      trainable: whether its weights are trained.
      name: its name; default: made from the class's.
      dtype: the dtype of the weights; default: that of the first input.
      dynamic: accepted; layers are always traced.
      activity_regularizer: a function from an output to a penalty, which is divided by the batch size.
      weights: a list of arrays to begin with.
      **options: `autocast`, `input_shape`, `batch_input_shape`, `batch_size`: accepted.

    Raises:
      TypeError: an argument that is not understood.
    """

    # The attributes that `get_config` lists after the name, trainability and dtype.
    _settings: tuple[str, ...] = ()

    _untracked_attributes = frozenset(
        "_trainable_weights _non_trainable_weights _losses _eager_losses _callable_losses _updates _call_parameters "
        "_initial_weights _input_spec input_spec".split()
    )

    stateful = False
    supports_masking = False
    built = False

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, dynamic: bool = False, **options: Any
    ) -> None:
        for option in options:
            if option not in _OPTIONS:
                raise TypeError("Keyword argument not understood:", option)
        self._trainable = trainable
        self._dynamic = dynamic
        self._dtype = None if dtype is None else as_dtype(dtype).name
        self._input_spec: Any = None
        self.activity_regularizer = options.get("activity_regularizer")
        self._initial_weights: Sequence[Any] | None = options.get("weights")
        self._trainable_weights: list[Any] = []
        self._non_trainable_weights: list[Any] = []
        self._losses: list[Noted] = []
        self._eager_losses: list[Noted] = []  # of the last call
        self._callable_losses: list[tuple[Callable[[], Any], bool]] = []
        self._updates: list[Noted] = []
        self._call_parameters: tuple[str, ...] | None = None
        self._set_name(name)

    # --- For subclasses ---------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of that `TensorShape` (or structure of them)."""
        self.built = True

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of that shape."""
        raise NotImplementedError(f"The layer {self.name} does not say what shape its output has.")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain data."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        return config | {key: _plain(getattr(self, key)) for key in self._settings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BaseLayer:
        """A layer as `get_config` describes it, with weights of its own."""
        return cls(**config)

    # --- Names ------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self._name

    def _set_name(self, name: Any) -> None:
        self._name = name or self._unique_name(first=0)

    def _unique_name(self, first: int) -> str:
        """The class's name in snake case, with a number; 0 is not written."""
        base = snake_case(type(self).__name__)
        counts = get_default_graph().extensions.setdefault("layer_names", {})
        number = counts[base] = counts.get(base, first - 1) + 1
        return f"{base}_{number}" if number else base

    def _scope_of_calls(self) -> Any:
        """The name scope in which the layer is built and called."""
        return self.name

    @property
    def name_scope(self) -> AbstractContextManager[Any]:
        """The name scope of the layer, to be entered by `with`."""
        return name_scope(self._scope_of_calls())

    # --- Calls ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, and computes its outputs.

        Args:
          inputs: a tensor or array, or a structure of them.
          *args, **kwargs: handed on to `call`. `training` is that of the layer around this one unless it is given.

        Raises:
          ValueError: the inputs do not fit, or `call` gives None.
        """
        inputs = nest.map_structure(_as_tensor, inputs)
        training = self._settle_training(args, kwargs)
        if innermost_call() is None:
            self._eager_losses = []
        with calling(nest.flatten(inputs), training):
            check_inputs(self.input_spec, inputs, self.name)
            with self.name_scope:
                self._build_once(inputs)
                outputs = self._traced_call()(inputs, *args, **kwargs)
                if outputs is None:
                    raise ValueError(
                        "A layer's `call` method should return a Tensor or a list of Tensors, "
                        f"not None (layer: {self.name})."
                    )
                self._penalize(inputs, outputs)
        return outputs

    def apply(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Old spelling of a call."""
        return self(inputs, *args, **kwargs)

    def _takes(self, parameter: str) -> bool:
        """Whether `call` has a parameter of that name."""
        return parameter in self._parameters_of_call()

    def _parameters_of_call(self) -> tuple[str, ...]:
        if self._call_parameters is None:
            import inspect

            self._call_parameters = tuple(inspect.signature(self.call).parameters)
        return self._call_parameters

    def _settle_training(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The value of `training`, given or taken from the layer around, which is put into `kwargs` then."""
        if "training" in kwargs:
            return kwargs["training"] if self._takes("training") else kwargs.pop("training")
        positional = self._parameters_of_call()[1 : len(args) + 1]
        if "training" in positional:
            return args[positional.index("training")]
        around = innermost_call()
        if around is None or around.training is None:
            return None
        training = around.training
        training = cast(training, "bool") if isinstance(training, Tensor) else bool(training)
        if self._takes("training"):
            kwargs["training"] = training
        return training

    def _traced_call(self) -> Callable[..., Any]:
        """`call`; in graphs, the users' own with its Python control flow over tensors converted."""
        if context.executing_eagerly() or self.call.__module__.startswith("millstream."):
            return self.call
        return autograph.convert(self.call)

    def _build_once(self, inputs: Any) -> None:
        if self.built:
            return
        tensors = nest.flatten(inputs)
        if self._dtype is None and tensors and hasattr(tensors[0], "dtype"):
            self._dtype = as_dtype(tensors[0].dtype).base_dtype.name
        known = all(hasattr(tensor, "shape") for tensor in tensors)
        self.build(nest.map_structure(lambda tensor: tensor.shape, inputs) if known else None)
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    # --- Weights ----------------------------------------------------------------------------------------------------

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        partitioner: Any = None,
        use_resource: bool | None = None,
        synchronization: VariableSynchronization = VariableSynchronization.AUTO,
        aggregation: VariableAggregation = VariableAggregation.NONE,
        **options: Any,
    ) -> Any:
        """Makes a variable of the layer.

        Args:
          name: its name.
          shape: its shape; default: a scalar.
          dtype: its dtype; default: the layer's, else float32.
          initializer: default: Glorot's uniform one for floats, zeros for others.
          regularizer: a function from the variable to a penalty.
          trainable: whether it is trained; default True, unless it is synchronised on reading.
          constraint: a function that optimisers apply to the value after an update.
          partitioner: accepted; weights are whole.
          use_resource: False makes a 1.x variable.
          synchronization, aggregation: for variables on several devices.
          **options: `experimental_autocast`: accepted.

        Raises:
          ValueError: a trainable variable is to be synchronised on reading.
          TypeError: another option.
        """
        check_weight_options(options)
        synchronization, aggregation, trainable = check_settings(synchronization, aggregation, trainable, name)
        wanted = as_dtype(dtype or self.dtype or float32)
        make = read_initializer(initializer) or default_initializer(name, wanted)
        initial_value = partial(make, tuple(shape or ()), dtype=wanted) if callable(make) else make
        variable = self._make_child(
            name or "Variable",
            initial_value,
            shape,
            lambda value, _: create_v1(
                initial_value=value,
                name=name,
                dtype=wanted,
                trainable=trainable,
                constraint=read_constraint(constraint),
                use_resource=use_resource is not False,
                synchronization=synchronization,
                aggregation=aggregation,
            ),
        )
        self._keep(variable, trainable)
        if regularizer is not None:
            self._regularize(variable.name.partition(":")[0], variable, read_regularizer(regularizer))
        return variable

    def _add_parameter(self, kind: str, shape: Any, name: str | None = None) -> Any:
        """A weight whose initialiser, regulariser and constraint are attributes: `kernel_initializer` of "kernel"."""
        return self.add_weight(
            name=name or kind,
            shape=shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            trainable=True,
            dtype=self._parameter_dtype(),
        )

    def _parameter_dtype(self) -> Any:
        """The dtype of `_add_parameter`'s weights."""
        return self.dtype

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        """Old spelling of `add_weight`."""
        return self.add_weight(*args, **kwargs)

    def _unpartitioned(self) -> AbstractContextManager[None]:
        """A `with` block in which `add_weight` makes whole variables, whatever the scope's partitioner."""
        return nullcontext()

    def _keep(self, variable: Any, trainable: bool) -> None:
        (self._trainable_weights if trainable else self._non_trainable_weights).append(variable)

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that are trained."""
        return list(self._trainable_weights) if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that are not trained: all of them where the layer is not trainable."""
        frozen = [] if self.trainable else self._trainable_weights
        return frozen + self._non_trainable_weights

    @property
    def weights(self) -> list[Any]:
        """All weights, those that are trained first."""
        return self.trainable_weights + self.non_trainable_weights

    @property
    def variables(self) -> list[Any]:  # type: ignore[override]
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Any]:  # type: ignore[override]
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:  # type: ignore[override]
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    def count_params(self) -> int:
        """How many numbers the weights hold.

        Raises:
          ValueError: the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. "
                f"You can build it manually via: `{self.name}.build(batch_input_shape)`."
            )
        return int(sum(np.prod(weight.shape.as_list()) for weight in self.weights))

    def get_weights(self) -> list[np.ndarray]:
        """The values of the weights; in a graph those of the default session."""
        if context.executing_eagerly():
            return [weight.numpy() for weight in self.weights]
        return self._session().run(self.weights)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights; in a graph those of the default session.

        Args:
          weights: arrays, as `get_weights` gives them.

        Raises:
          ValueError: another number of arrays, or another shape.
        """
        variables = self.weights
        if len(variables) != len(weights):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a  weight list of length '
                f"{len(weights)}, but the layer was expecting {len(variables)} weights. "
                f"Provided weights: {str(weights)[:50]}..."
            )
        for variable, value in zip(variables, weights, strict=True):
            if not variable.shape.is_compatible_with(np.shape(value)):
                raise ValueError(
                    f"Layer weight shape {variable.shape} not compatible with provided weight shape {np.shape(value)}"
                )
        for variable, value in zip(variables, weights, strict=True):
            if context.executing_eagerly():
                variable.assign(value)
            else:
                variable.load(value, self._session())

    def _session(self) -> Any:
        session = session_stack.get_default_session()
        if session is None:
            raise ValueError(
                f"The weights of the layer {self.name} are in a session. "
                "Use `with tf.Session():` around this call, and initialize the variables there."
            )
        return session

    # --- Losses -----------------------------------------------------------------------------------------------------

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Notes penalties that belong to the layer.

        Args:
          losses: a scalar tensor, a function without arguments that makes one, or a list of these.
          inputs: the inputs that the losses depend on; None: on none.

        Raises:
          ValueError: an eager tensor, outside of a call.
        """
        for loss in nest.flatten(losses):
            if callable(loss):
                self._callable_losses.append((loss, inputs is not None))
            elif loss is not None:
                noted = Noted(loss if isinstance(loss, Tensor) else to_tensor(loss, float32), inputs is not None)
                self._note_loss(noted)

    def _note_loss(self, loss: Noted) -> None:
        if not _runs_at_once():
            self._losses.append(loss)
        elif innermost_call() is not None:
            self._eager_losses.append(loss)
        else:
            raise ValueError(
                "Expected a symbolic Tensors or a callable for the loss value. "
                "Please wrap your loss computation in a zero argument `lambda`."
            )

    def _noted_losses(self) -> list[Noted]:
        made = [Noted(make(), conditional) for make, conditional in self._callable_losses]
        return (self._eager_losses or self._losses) + [loss for loss in made if loss.value is not None]

    @property
    def losses(self) -> list[Any]:
        """The penalties of weights and outputs. Those of weights are computed anew each time."""
        return [loss.value for loss in self._noted_losses()]

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The losses that depend on certain inputs; None: those that depend on none."""
        return chosen(self._noted_losses(), inputs)

    def _regularize(self, name: str, variable: Any, regularizer: Callable[[Any], Any]) -> None:
        def penalty() -> Any:
            with name_scope(f"{name}/Regularizer"):
                return regularizer(variable)

        self.add_loss(penalty)

    def _penalize(self, inputs: Any, outputs: Any) -> None:
        """Adds the penalty of the outputs, the mean of the batch."""
        if self.activity_regularizer is None:
            return
        with name_scope("ActivityRegularizer"):
            for output in nest.flatten(outputs):
                penalty = self.activity_regularizer(output)
                self.add_loss(penalty / cast(shape_of(output)[0], penalty.dtype), inputs)

    # --- Updates ----------------------------------------------------------------------------------------------------

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Notes operations that are to run in each training step, such as updates of moving averages.

        Args:
          updates: an operation, a tensor, a function without arguments that makes one, or a list of these. Where
            operations run at once nothing is noted, and the functions are called.
          inputs: accepted; what the updates depend on is found.
        """
        updates = updates if isinstance(updates, (list, tuple)) else [updates]
        made = [update() if callable(update) else update for update in updates]
        if _runs_at_once():
            return
        call = innermost_call()
        for update in made:
            op = update if isinstance(update, Operation) else getattr(update, "op", None) or to_tensor(update).op
            self._updates.append(Noted(op, call is not None and depends(op, call.inputs)))

    def _noted_updates(self) -> list[Noted]:
        return self._updates if self.trainable or self.stateful else []

    @property
    def updates(self) -> list[Any]:
        """The operations to run in each training step; none where the layer is not trainable."""
        return [update.value for update in self._noted_updates()]

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """The updates that depend on certain inputs; None: those that depend on none."""
        return chosen(self._noted_updates(), inputs)

    # --- Connections ------------------------------------------------------------------------------------------------

    # Only Keras's inputs, tensors that know the layer they come from, connect layers with each other.

    @property
    def inbound_nodes(self) -> list[Any]:
        """The calls that connect the layer with those before it."""
        return []

    @property
    def outbound_nodes(self) -> list[Any]:
        """The calls that connect the layer with those behind it."""
        return []

    @property
    def input(self) -> Any:
        """The input of a layer that is connected."""
        raise AttributeError(f"Layer {self.name} is not connected, no input to return.")

    @property
    def output(self) -> Any:
        """The output of a layer that is connected."""
        raise AttributeError(f"Layer {self.name} has no inbound nodes.")

    @property
    def input_shape(self) -> Any:
        """The shape of the input of a layer that is connected."""
        raise AttributeError("The layer has never been called and thus has no defined input shape.")

    @property
    def output_shape(self) -> Any:
        """The shape of the output of a layer that is connected."""
        raise AttributeError("The layer has never been called and thus has no defined output shape.")

    # --- Properties -------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str | None:
        """The name of the weights' dtype; None until it is known."""
        return self._dtype

    @property
    def dynamic(self) -> bool:
        """As given to the constructor."""
        return self._dynamic

    @property
    def input_spec(self) -> Any:
        """What the layer asks of its inputs: an `InputSpec`, a list of them, or None."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        for spec in nest.flatten(value):
            if spec is not None and not isinstance(spec, InputSpec):
                raise TypeError(f"Layer input_spec must be an instance of InputSpec. Got: {spec}")
        self._input_spec = value


def check_weight_options(options: dict[str, Any]) -> None:
    """Refuses what `add_weight` does not know.

    Raises:
      TypeError: an unknown option.
    """
    for option in options:
        if option != "experimental_autocast":
            raise TypeError("Unknown keyword argument:", option)


def snake_case(name: str) -> str:
    """`MaxPooling2D` becomes `max_pooling2d`; `private` stands before the underscore of `_Name`."""
    words = _WORD_BEGINS.sub("_", name).lower()
    return f"private{words}" if words.startswith("_") else words


def _as_tensor(value: Any) -> Any:
    return to_tensor(value) if isinstance(value, (np.ndarray, float, int)) else value


def _runs_at_once() -> bool:
    """Whether operations run now, or in the order of the program in a function."""
    return context.executing_eagerly() or get_default_graph().building_function


def _plain(value: Any) -> Any:
    """A setting as plain data: an object with a configuration is named, so is a function."""
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    return getattr(value, "__name__", value) if callable(value) else value
