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
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType, as_dtype
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.opdef import find
from millstream.core.partitioned_variable import (
    PartitionedVariable,
    PartitionInfo,
    cut_dimension,
    partitions_by,
    slices,
)
from millstream.core.provided import Provided
from millstream.core.resource_variables import ResourceVariable
from millstream.core.scopes import init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.core.variable_creators import create_v1
from millstream.core.variable_settings import SaveSliceInfo, check_settings
from millstream.core.variables import Variable

# (name, dtype) -> the initialiser of variables for which none is given.
_default_initializer = Provided("millstream.ops.init_ops:default_initializer")

# How many of the user's frames an error shows for the place where a variable was made.
_FRAMES_SHOWN = 5


class VariableStore:
    """The variables of a graph that were made by `tf.get_variable`."""

    def __init__(self) -> None:
        self._vars: dict[str, Variable] = {}  # parts too, as "name/part_0"
        self._partitioned: dict[str, PartitionedVariable] = {}

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
        settings = dict(locals())
        del settings["self"], settings["name"], settings["partitioner"]
        is_scalar = isinstance(shape, Sequence) and not shape  # which has but one part
        if partitioner is not None and not is_scalar:
            if not callable(partitioner):
                raise ValueError(f"Partitioner must be callable, but received: {partitioner}")
            with name_scope(None):
                return self._get_partitioned(name, partitioner, **settings)
        if reuse is True and name in self._partitioned:
            return self._get_partitioned(name, None, **settings)
        if f"{name}/part_0" in self._vars:
            raise ValueError(
                f"No partitioner was provided, but a partitioned version of the variable was found: {name}/part_0. "
                "Perhaps a variable of the same name was already created with partitioning?"
            )
        return self._get_whole(name, **settings)

    def _get_whole(
        self,
        name: str,
        shape: Any,
        dtype: Any,
        initializer: Any,
        regularizer: Callable[[Any], Any] | None,
        reuse: Any,
        partition_info: PartitionInfo | None = None,
        **settings: Any,
    ) -> Variable:
        """A variable that is one, whole or a part of another."""
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
            initial_value, initial_dtype = _initial_value(initializer, plain, wanted, partition_info)
        variable: Variable = create_v1(initial_value=initial_value, name=name, dtype=initial_dtype, **settings)
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

    # --- In parts -------------------------------------------------------------------------------------------

    def _get_partitioned(
        self,
        name: str,
        partitioner: Callable[..., Any] | None,
        shape: Any,
        dtype: Any,
        initializer: Any,
        reuse: Any,
        **settings: Any,
    ) -> PartitionedVariable:
        """A variable in parts. Without a partitioner it exists."""
        if name in self._vars:
            raise ValueError(
                f"A partitioner was provided, but an unpartitioned version of the variable was found: {name}.  "
                "Perhaps a variable of the same name was already created without partitioning?"
            )
        full: Any = shapes.as_plain(shape)
        wanted = as_dtype("float32" if dtype is None else dtype).base_dtype
        if isinstance(initializer, Tensor):
            full = shapes.merge(full, initializer._shape)
        partitions: Any = None if partitioner is None else partitions_by(partitioner, full, wanted)
        if name in self._partitioned and not context.executing_eagerly():
            return self._existing_parts(name, full, wanted, partitions, reuse)
        if reuse is True:
            raise ValueError(
                f"PartitionedVariable {name} does not exist, or was not created with tf.get_variable(). "
                "Did you mean to set reuse=False or reuse=tf.AUTO_REUSE in VarScope?"
            )
        self._check_parts(name, cut_dimension(partitions)[1])
        if isinstance(initializer, Tensor):
            wanted = initializer.dtype.base_dtype
        parts = [
            self._get_part(name, number, full, *place, initializer, wanted, reuse=reuse, **settings)
            for number, place in enumerate(slices(full, partitions))
        ]
        variable = PartitionedVariable(name, full, wanted, parts, partitions)
        if not context.executing_eagerly():
            self._partitioned[name] = variable
        return variable

    def _get_part(
        self,
        name: str,
        number: int,
        full: Sequence[int],
        offset: list[int],
        shape: list[int],
        initializer: Any,
        dtype: DType,
        **settings: Any,
    ) -> Variable:
        """A part of the variable `name`, which has the shape `full`; `offset` and `shape` say where it is."""
        info = PartitionInfo(list(full), offset)
        part_name = f"{name}/part_{number}"
        with name_scope(f"{part_name}/PartitionedInitializer"):
            value = _part_of_initializer(initializer, name, dtype, offset, shape)
        settings.update(shape=None if isinstance(value, Tensor) else shape, dtype=dtype, initializer=value)
        with name_scope(None):
            part = self._get_whole(part_name, partition_info=info, **settings)
        part._set_save_slice_info(SaveSliceInfo(name, list(full), offset, shape))
        return part

    def _existing_parts(
        self, name: str, shape: Any, dtype: DType, partitions: Sequence[int] | None, reuse: Any
    ) -> PartitionedVariable:
        variable = self._partitioned[name]
        if reuse is False:
            raise ValueError(
                f"Partitioned variable with name {name} already exists. "
                "Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope?"
            )
        found: Any
        for what, wanted, found, fits in (
            ("shape", shapes.TensorShape(shape), variable.shape, variable.shape.is_compatible_with(shape)),
            ("dtype", dtype.name, variable.dtype.name, dtype.is_compatible_with(variable.dtype)),
            ("partitions", partitions, variable._partitions, partitions in (None, variable._partitions)),
        ):
            if not fits:
                raise ValueError(
                    f"Trying to reuse partitioned variable {name}, but specified {what} {wanted} and found {what} "
                    f"{found}."
                )
        return variable

    def _check_parts(self, name: str, count: int) -> None:
        """Refuses to make parts where variables have the names of others."""
        if f"{name}/part_0" not in self._vars:
            return
        found = (
            "Partitioner returned a different partitioning than what was already found.  Partitioner returned "
            f"{count} shards, and shard {name}/part_0 was found, but "
        )
        if f"{name}/part_{count - 1}" not in self._vars:
            raise ValueError(f"{found}{name}/part_{count - 1} was not.")
        if f"{name}/part_{count}" in self._vars:
            raise ValueError(f"{found}so was the extra shard {name}/part_{count}.")


def _part_of_initializer(
    initializer: Any, name: str, dtype: DType, offset: Sequence[int], shape: Sequence[int]
) -> Any:
    """What initialises a part: the initialiser of the whole, or a part of the tensor that the whole begins with."""
    if initializer is None:
        return _default_initializer(name, dtype)
    if callable(initializer):
        return initializer
    value = initializer if isinstance(initializer, Tensor) else to_tensor(initializer, dtype)
    return find("Slice")(value, offset, shape)


def _accepts(function: Callable[..., Any], argument: str) -> bool:
    """Whether a function takes a keyword argument of that name."""
    import inspect

    parameters = inspect.signature(function).parameters
    return argument in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


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


def _initial_value(
    initializer: Any, shape: Any, dtype: DType, partition_info: PartitionInfo | None
) -> tuple[Any, DType | None]:
    """A function without arguments that gives the initial value, and the dtype that it is converted to."""
    if isinstance(initializer, type):
        initializer = initializer()
    if shapes.is_fully_defined(shape):
        return partial(initializer, list(shape), dtype=dtype, partition_info=partition_info), dtype
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
