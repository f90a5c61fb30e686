"""The variables that `tf.get_variable` has made in a graph, by full name: making, checking, sharing.

In eager execution nothing is kept or shared, as in TensorFlow: each call makes a variable, which lives as long as
somebody holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from millstream.core import context, shapes
from millstream.core.dtypes import DType, as_dtype
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.provided import Provided
from millstream.core.resource_variables import ResourceVariable
from millstream.core.scopes import init_scope, name_scope
from millstream.core.variable_creators import create_v1
from millstream.core.variable_settings import check_settings
from millstream.core.variables import Variable

# (name, dtype) -> the initialiser of variables for which none is given.
_default_initializer = Provided("millstream.ops.init_ops:default_initializer")

# How many of the user's frames an error shows for the place where a variable was made.
_FRAMES_SHOWN = 5


class VariableStore:
    """The variables of a graph that were made by `tf.get_variable`."""

    def __init__(self) -> None:
        self._vars: dict[str, Variable] = {}

    def get_variable(
        self,
        name: str,
        custom_getter: Callable[..., Any] | None = None,
        reuse: Any = None,
        trainable: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        **settings: Any,
    ) -> Any:
        """The variable of that full name: the existing one where `reuse` allows it, or a new one.

        Args:
          name: the full name.
          custom_getter: a function that gets the variable instead; see `tf.get_variable`.
          reuse: True: it must exist; False: it must not; AUTO_REUSE or None: either.
          trainable, synchronization, aggregation, **settings: as for `tf.get_variable`.
        """
        if custom_getter is not None and not callable(custom_getter):
            raise ValueError(f"Passed a custom_getter which is not callable: {custom_getter}")
        synchronization, aggregation, trainable = check_settings(synchronization, aggregation, trainable, name)
        settings.update(
            name=name,
            reuse=reuse,
            trainable=trainable,
            synchronization=synchronization,
            aggregation=aggregation,
        )
        if custom_getter is None:
            return self._get(**settings)
        if not _accepts(custom_getter, "constraint"):
            settings.pop("constraint", None)
        return custom_getter(getter=self._get, **settings)

    def _get(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        constraint: Callable[[Any], Any] | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
    ) -> Any:
        """The getter without custom getters, which custom getters call."""
        check_partitioner(partitioner, name, shape)
        from_value = initializer is not None and not callable(initializer)
        if from_value and shape is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        wanted = as_dtype("float32" if dtype is None else dtype).base_dtype
        plain = shapes.as_plain(shape)
        shares = not context.executing_eagerly()
        if shares and name in self._vars:
            return self._existing(name, plain, wanted, reuse)
        if shares and reuse is True:
            raise ValueError(
                f"Variable {name} does not exist, or was not created with tf.get_variable(). "
                "Did you mean to set reuse=tf.AUTO_REUSE in VarScope?"
            )
        if initializer is None:
            initializer = _default_initializer(name, wanted)
        if from_value:
            initial_value, initial_dtype = initializer, None
        else:
            initial_value, initial_dtype = _initial_value(initializer, plain, wanted)
        variable = create_v1(
            initial_value=initial_value,
            name=name,
            trainable=trainable,
            collections=collections,
            caching_device=caching_device,
            dtype=initial_dtype,
            validate_shape=validate_shape,
            constraint=constraint,
            use_resource=use_resource,
            synchronization=synchronization,
            aggregation=aggregation,
        )
        if shares:
            self._vars[name] = variable
        if regularizer is not None:
            _regularize(variable, name, regularizer)
        return variable

    def _existing(self, name: str, shape: Any, dtype: DType, reuse: Any) -> Variable:
        variable = self._vars[name]
        if reuse is False:
            raise ValueError(_already_exists(name, variable))
        if not variable.shape.is_compatible_with(shape):
            raise ValueError(
                f"Trying to share variable {name}, but specified shape {shapes.TensorShape(shape)} "
                f"and found shape {variable.shape}."
            )
        if not dtype.is_compatible_with(variable.dtype):
            raise ValueError(
                f"Trying to share variable {name}, but specified dtype {dtype.name} "
                f"and found dtype {variable.dtype.name}."
            )
        return variable


def _accepts(function: Callable[..., Any], argument: str) -> bool:
    """Whether a function takes a keyword argument of that name."""
    import inspect

    parameters = inspect.signature(function).parameters
    return argument in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def check_partitioner(partitioner: Any, name: str | None, shape: Any) -> None:
    """Refuses to partition a variable; a scalar has but one part.

    Raises:
      ValueError: the partitioner is no function.
      NotImplementedError: it is one.
    """
    if partitioner is None or (isinstance(shape, Sequence) and not shape):
        return
    if not callable(partitioner):
        raise ValueError(f"Partitioner must be callable, but received: {partitioner}")
    raise NotImplementedError(
        f"Variable {name} is to be partitioned, which Millstream does not do yet. "
        "Leave the partitioner out: one device holds the whole variable."
    )


def _already_exists(name: str, variable: Variable) -> str:
    message = (
        f"Variable {name} already exists, disallowed. "
        "Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope?"
    )
    if isinstance(variable, ResourceVariable):
        return message
    import traceback

    frames = variable.op.traceback[::-1][:_FRAMES_SHOWN]
    return f"{message} Originally defined at:\n\n{''.join(traceback.format_list(frames))}"


def _initial_value(initializer: Any, shape: Any, dtype: DType) -> tuple[Any, DType | None]:
    """A function without arguments that gives the initial value, and the dtype that it is converted to."""
    if isinstance(initializer, type):
        initializer = initializer()
    if shapes.is_fully_defined(shape):
        return partial(initializer, list(shape), dtype=dtype, partition_info=None), dtype
    if _takes_nothing(initializer):
        return initializer, None
    raise ValueError(
        "The initializer passed is not valid. It should be a callable with no arguments and the shape should "
        "not be provided or an instance of `tf.keras.initializers.*' and `shape` should be fully defined."
    )


def _takes_nothing(function: Callable[..., Any]) -> bool:
    """Whether all of a function's positional arguments have defaults."""
    import inspect

    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return all(item.default is not item.empty for item in parameters if item.kind in positional)


def _regularize(variable: Variable, name: str, regularizer: Callable[[Any], Any]) -> None:
    """Adds the loss that a regulariser gives for a new variable to `GraphKeys.REGULARIZATION_LOSSES`."""
    graph = get_default_graph()
    near = nullcontext() if context.executing_eagerly() else graph.colocate_with(variable.op)
    with near, name_scope(name + "/Regularizer/"), init_scope():
        loss = regularizer(variable)
    if loss is not None:
        graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
