"""`tf.layers.Layer`: a layer whose weights are shared and named by variable scopes."""
from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph_keys import GraphKeys
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import get_collection_ref, init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_lists import global_variables
from millstream.core.variable_scope import VariableScope, get_variable, variable_scope
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization, check_settings
from millstream.layers.arguments import read_constraint, read_initializer, read_regularizer
from millstream.layers.base import BaseLayer, check_weight_options

# Attributes that list parts of graphs: a copy of a layer lists the same parts.
_OF_GRAPHS = ("_losses", "_eager_losses", "_callable_losses", "_updates")

_keras_style = False


@export(v1=["layers.experimental.keras_style_scope"])
@contextmanager
def keras_style_scope() -> Iterator[None]:
    """Layers made inside have variables of their own, named after the layer, whatever the variable scopes say.

    Example:
      >>> with tf.layers.experimental.keras_style_scope():
      ...   first, second = tf.layers.Dense(3, name="fc"), tf.layers.Dense(3, name="fc")
      >>> a, b = first(x), second(x)  # "fc/kernel:0" and "fc_1/kernel:0"
    """
    global _keras_style
    old, _keras_style = _keras_style, True
    try:
        yield
    finally:
        _keras_style = old


@export(v1=["layers.experimental.set_keras_style"])
def set_keras_style() -> None:
    """Puts `keras_style_scope` into force for the rest of the program."""
    global _keras_style
    _keras_style = True


@export(v1=["layers.Layer"])
class Layer(BaseLayer):
    """Base of the layers of 1.x. Its weights come from `tf.get_variable`, in a variable scope of the layer.

    In graphs it adds penalties to `GraphKeys.REGULARIZATION_LOSSES` and updates to `GraphKeys.UPDATE_OPS`.

    Args:
      trainable: whether the weights are trained and are in `GraphKeys.TRAINABLE_VARIABLES`.
      name: the name; default: the class's in snake case, with a number. The scope is named so too, without the number
        or with one that makes it unique.
      dtype: the dtype of the weights; default: that of the first input.
      **kwargs: `activity_regularizer`, a function from an output to a penalty; `_scope`, a variable scope or its name,
        which is used as it is; `_reuse`, whether the weights exist already.

    Raises:
      TypeError: an argument that is not understood.
      ValueError: `_scope` or `_reuse` in Keras style.

    Example:
      >>> class Scale(tf.layers.Layer):
      ...   def build(self, input_shape):
      ...     self.factor = self.add_weight("factor", [input_shape[-1]])
      ...     self.built = True
      ...   def call(self, inputs):
      ...     return inputs * self.factor
      >>> y = Scale()(tf.placeholder(tf.float32, [None, 3]))
    """

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        scope, self._reuse = kwargs.pop("_scope", None), kwargs.pop("_reuse", None)
        self._keras_style = _keras_style
        super().__init__(trainable=trainable, name=name, dtype=dtype, **kwargs)
        for argument, value in (("scope", scope), ("reuse", self._reuse)):
            if self._keras_style and value is not None:
                raise ValueError(
                    f"{argument} argument not allowed when keras style layers are enabled, but saw: {value}"
                )
        self._scope: VariableScope | None = None
        self._current_scope: Any = None
        if scope:
            with variable_scope(scope) as self._scope:
                pass

    def __setattr__(self, name: str, value: Any) -> None:
        # Attributes are no children, as in TensorFlow: only weights are, and what a layer tracks by itself.
        object.__setattr__(self, name, value)

    def _set_name(self, name: Any) -> None:
        self._base_name = name
        if not name:
            name = self._unique_name(first=1)
            self._base_name = name.rpartition("_")[0]
        self._name = name

    # --- The scope --------------------------------------------------------------------------------------------------

    @property
    def scope_name(self) -> str:
        """The name of the layer's variable scope.

        Raises:
          ValueError: the layer has not been called, so it has none yet.
        """
        if self._scope is None:
            raise ValueError(
                f'No name available for layer scope because the layer "{self._name}" has not been used yet. '
                "The scope name  is determined the first time the layer instance is called. "
                "You must therefore call the layer before querying `scope_name`."
            )
        return self._scope.name

    @property
    def graph(self) -> None:
        """None: layers do not belong to a graph.

        Raises:
          RuntimeError: in eager execution.
        """
        if context.executing_eagerly():
            raise RuntimeError("Layer.graph not supported when executing eagerly.")

    def _settle_scope(self, scope: Any = None) -> None:
        """Chooses the variable scope at the first use, in the scope that is in force there."""
        if self._scope is not None:
            return
        if self._reuse:
            chosen = variable_scope(self._base_name if scope is None else scope)
        else:
            chosen = variable_scope(scope, default_name=self._base_name)
        with chosen as self._scope:
            pass

    def _scope_of_calls(self) -> Any:
        return super()._scope_of_calls() if self._keras_style else self._current_scope.original_name_scope

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, and computes its outputs.

        Args:
          inputs: a tensor or array, or a structure of them.
          *args, **kwargs: handed on to `call`, but for `scope`, the variable scope to use. A parameter `scope` of
            `call` is given the scope that is in force.
        """
        scope = kwargs.pop("scope", None)
        if self._keras_style:
            if scope is not None:
                raise ValueError(f"scope argument not allowed when keras style layers are enabled, but saw: {scope}")
            return super().__call__(inputs, *args, **kwargs)
        self._settle_scope(scope)
        reuse = True if self.built else self._reuse
        with variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as self._current_scope:
            if self._takes("scope"):
                kwargs["scope"] = self._current_scope
            outputs = super().__call__(inputs, *args, **kwargs)
        if not context.executing_eagerly():
            _add_new(GraphKeys.UPDATE_OPS, self.updates)
        return outputs

    # --- Weights and losses -----------------------------------------------------------------------------------------

    def add_weight(  # type: ignore[override]
        self,
        name: str,
        shape: Any,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: VariableSynchronization = VariableSynchronization.AUTO,
        aggregation: VariableAggregation = VariableAggregation.NONE,
        partitioner: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Gets a variable of the layer from `tf.get_variable`.

        Args:
          name: its name in the layer's scope.
          shape: its shape.
          dtype: its dtype; default: the layer's, else float32.
          initializer: default: the scope's, else Glorot's uniform one for floats and zeros for others.
          regularizer: a function from the variable to a penalty, which is added if the variable is new.
          trainable: whether it is trained, if the layer is; default True, unless it is synchronised on reading.
          constraint: a function that optimisers apply to the value after an update.
          use_resource: True makes a resource variable; default: the scope's. In Keras style False makes a 1.x variable.
          synchronization, aggregation: for variables on several devices.
          partitioner: see `tf.get_variable`.
          **kwargs: `experimental_autocast`: accepted.

        Raises:
          ValueError: a trainable variable is to be synchronised on reading.
          TypeError: another keyword argument.
        """
        settings = {
            "dtype": dtype or self.dtype or "float32",
            "constraint": read_constraint(constraint),
            "partitioner": partitioner,
        }
        if self._keras_style:
            trainable = trainable and self.trainable
            settings |= {"regularizer": regularizer, "trainable": trainable, "use_resource": use_resource}
            settings["initializer"] = read_initializer(initializer)
            return super().add_weight(name, shape, **settings, **kwargs)
        check_weight_options(kwargs)
        synchronization, aggregation, trainable = check_settings(synchronization, aggregation, trainable, name)
        trained = trainable and self.trainable
        existing = _existing_variables()
        self._settle_scope()
        reuse = self.built or self._reuse
        with (
            variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as self._current_scope,
            name_scope(self._scope_of_calls()),
        ):
            variable = self._make_child(
                name,
                read_initializer(initializer),
                shape,
                lambda initial, shape: get_variable(
                    name,
                    shape,
                    initializer=initial,
                    trainable=trained,
                    use_resource=use_resource or None,  # False: as the scope says
                    synchronization=synchronization,
                    aggregation=aggregation,
                    **settings,
                ),
            )
            # A custom getter may have decided otherwise.
            self._keep(variable, trained and getattr(variable, "trainable", False))
            parts = list(variable) if isinstance(variable, PartitionedVariable) else [variable]
            if regularizer is not None and not any(id(part) in existing for part in parts):
                for part in parts:
                    self._regularize(name, part, read_regularizer(regularizer))
        return variable

    def _unpartitioned(self) -> AbstractContextManager[None]:
        return super()._unpartitioned() if self._scope is None else self._scope._unpartitioned()

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Notes penalties, see `BaseLayer.add_loss`, and in graphs adds them to `GraphKeys.REGULARIZATION_LOSSES`."""
        tensors, functions = len(self._losses), len(self._callable_losses)
        super().add_loss(losses, inputs)
        if not context.executing_eagerly():
            made = (make() for make, _ in self._callable_losses[functions:])
            new = [loss.value for loss in self._losses[tensors:]] + [loss for loss in made if loss is not None]
            _add_new(GraphKeys.REGULARIZATION_LOSSES, new)

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        """A copy with weights of its own if it is not built yet; scopes and tensors are shared."""
        result = type(self).__new__(type(self))
        memo[id(self)] = result
        for key, value in self.__dict__.items():
            if isinstance(value, VariableScope):
                value = copy.copy(value)
            elif key in _OF_GRAPHS:
                value = list(value)
            elif not isinstance(value, Tensor):
                value = copy.deepcopy(value, memo)
            setattr(result, key, value)
        return result


def applied(kind: Callable[..., Layer], inputs: Any, name: Any, reuse: Any = None, **settings: Any) -> Any:
    """What a function of `tf.layers` gives: a new layer, called once.

    Args:
      kind: the layer's class.
      inputs: the tensor to call it with.
      name: its name and scope.
      reuse: whether its weights exist already.
      **settings: the other arguments of the class, and `training` for the call.
    """
    options = {"training": settings.pop("training")} if "training" in settings else {}
    return kind(name=name, _scope=name, _reuse=reuse, **settings)(inputs, **options)


def _existing_variables() -> set[int]:
    """The ids of the variables of the graph to which variables are added."""
    with init_scope():
        return set() if context.executing_eagerly() else {id(variable) for variable in global_variables()}


def _add_new(collection: str, values: Iterable[Any]) -> None:
    """Adds to a collection what is not in it yet."""
    there = get_collection_ref(collection)
    known = {id(value) for value in there}
    there.extend(value for value in values if id(value) not in known)
