"""`PartitionedVariable`: a variable that is cut along one dimension into parts, each of them a variable.

`tf.get_variable` makes one where a partitioner is in force: a function that says into how many parts each dimension is
cut. This module knows what parts are; `variable_store` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.conversion import register_tensor_conversion_function
from millstream.core.dtypes import DType, as_dtype
from millstream.core.opdef import find
from millstream.core.provided import Provided
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable, check_requested_dtype

# (value, sizes, axis) -> its pieces, operations called "split".
_split = Provided("millstream.ops.join_ops:split")


class PartitionedVariable:
    """A variable in parts. As a tensor it is the parts joined; operators are not defined for it.

    Args:
      name: the name of the whole.
      shape: its shape.
      dtype: its dtype.
      variable_list: the parts, in order.
      partitions: into how many parts each dimension is cut; at most one number is greater than 1.

    Example:
      >>> v = tf.get_variable("v", [5, 2], partitioner=tf.fixed_size_partitioner(2))
      >>> [part.name for part in v]
      ['v/part_0:0', 'v/part_1:0']
      >>> v.as_tensor()
      <tf.Tensor 'v:0' shape=(5, 2) dtype=float32>
    """

    def __init__(
        self, name: str, shape: Any, dtype: Any, variable_list: Sequence[Variable], partitions: Sequence[int]
    ) -> None:
        self._name = name
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)
        self._variable_list = list(variable_list)
        self._partitions = partitions

    @property
    def name(self) -> str:
        """The name of the whole, without `:0`."""
        return self._name

    @property
    def dtype(self) -> DType:
        """The element type, no ref type."""
        return self._dtype

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """The shape of the whole, as `shape`."""
        return self._shape

    def __iter__(self) -> Iterator[Variable]:
        """The parts."""
        return iter(self._variable_list)

    def __len__(self) -> int:
        """The number of parts."""
        return len(self._variable_list)

    def _get_variable_list(self) -> list[Variable]:
        return self._variable_list

    def _get_partitions(self) -> Sequence[int]:
        return self._partitions

    def _partition_axes(self) -> list[int]:
        """The dimension that is cut, in a list; the first one where there is but one part."""
        return [cut_dimension(self._partitions)[0]]

    # --- Reads ----------------------------------------------------------------------------------------------

    def as_tensor(self) -> Tensor:
        """The parts joined. Like a read of a variable it does not wait for the control dependencies in force."""
        with control_dependencies(None):
            return self._joined()

    def _joined(self) -> Tensor:
        joined: Any = self._variable_list[0]
        if len(self._variable_list) > 1:
            with name_scope(f"{self._name}/ConcatPartitions/"):
                joined = find("ConcatV2")(self._variable_list, self._partition_axes()[0], name="concat")
        with name_scope(None):
            return find("Identity")(joined, name=self._name)

    # --- Updates --------------------------------------------------------------------------------------------

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Assigns to all parts.

        Args:
          value: a tensor or array of the shape of the whole, another `PartitionedVariable` with equal parts, or a list
            of one value for each part.
          use_locking, name, read_value: see `tf.Variable.assign`.

        Returns:
          A list of what `tf.Variable.assign` gives for each part.

        Raises:
          TypeError, ValueError: the value does not fit.
        """
        return self._update("assign", value, use_locking, name, read_value)

    def assign_add(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Adds to all parts; arguments and errors as for `assign`."""
        return self._update("assign_add", value, use_locking, name, read_value)

    def assign_sub(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Subtracts from all parts; arguments and errors as for `assign`."""
        return self._update("assign_sub", value, use_locking, name, read_value)

    def _update(self, method: str, value: Any, use_locking: bool, name: str | None, read_value: bool) -> list[Any]:
        return [
            getattr(part, method)(piece, use_locking=use_locking, name=name, read_value=read_value)
            for part, piece in zip(self._variable_list, self._pieces(value), strict=True)
        ]

    def _pieces(self, value: Any) -> Sequence[Any]:
        """What of `value` is for each part."""
        if isinstance(value, (list, PartitionedVariable)):
            pieces = list(value)
            if len(pieces) != len(self):
                raise ValueError(
                    f"PartitionedVariable {self._name} has {len(self)} parts, but {len(pieces)} values are given. "
                    "Give an array or tensor of the whole, or a list of one value for each part."
                )
            return pieces
        axis = self._partition_axes()[0]
        sizes = [shapes.as_plain(part.shape)[axis] for part in self._variable_list]  # type: ignore[index]
        return _split(value, sizes, axis=axis)


def _to_tensor(
    variable: PartitionedVariable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Tensor:
    check_requested_dtype(variable, dtype)  # type: ignore[arg-type]
    if as_ref:
        raise NotImplementedError("PartitionedVariable doesn't support being used as a reference.")
    return variable.as_tensor()


register_tensor_conversion_function(PartitionedVariable, _to_tensor)


class PartitionInfo:
    """Where in the whole a part is; initialisers are given it as `partition_info`.

    Args:
      full_shape: the shape of the whole, a list.
      var_offset: where the part begins, a number for each dimension.

    Raises:
      TypeError, ValueError: these are no sequences of one length, or the part begins outside of the whole.
    """

    def __init__(self, full_shape: Sequence[int], var_offset: Sequence[int]) -> None:
        _check_sequence("full_shape", full_shape)
        _check_sequence("var_offset", var_offset)
        if len(var_offset) != len(full_shape):
            raise ValueError(
                f"Expected equal length, but `var_offset` is of length {len(var_offset)} while full_shape is of length "
                f"{len(full_shape)}."
            )
        for start, size in zip(var_offset, full_shape, strict=True):
            if not 0 <= start < size:
                raise ValueError(
                    f"Expected 0 <= offset < shape but found offset={start}, shape={size} for var_offset={var_offset}, "
                    f"full_shape={full_shape}"
                )
        self._full_shape = full_shape
        self._var_offset = var_offset

    @property
    def full_shape(self) -> Sequence[int]:
        """The shape of the whole."""
        return self._full_shape

    @property
    def var_offset(self) -> Sequence[int]:
        """Where the part begins."""
        return self._var_offset

    def single_offset(self, shape: Sequence[int]) -> int:
        """Where the part, of that shape, begins in the dimension that is cut; 0 if none is."""
        dimension = self.single_slice_dim(shape)
        return 0 if dimension is None else self._var_offset[dimension]

    def single_slice_dim(self, shape: Sequence[int]) -> int | None:
        """The dimension that is cut, for a part of that shape; None if it is the whole.

        Raises:
          TypeError, ValueError: the shape is none of a part here, or is cut in several dimensions.
        """
        _check_sequence("shape", shape)
        if len(shape) != len(self._full_shape):
            raise ValueError(
                f"Expected equal length, but received shape={shape} of length {len(shape)} while "
                f"self.full_shape={self._full_shape} is of length {len(self._full_shape)}."
            )
        cut: list[int] = []
        for dimension, size in enumerate(shape):
            if self._var_offset[dimension] + size > self._full_shape[dimension]:
                raise ValueError(
                    f"With self.var_offset={self._var_offset}, a partition of shape={shape} would exceed "
                    f"self.full_shape={self._full_shape} in dimension {dimension}."
                )
            if size != self._full_shape[dimension]:
                cut.append(dimension)
        if len(cut) > 1:
            raise ValueError(
                f"Cannot use single_slice_dim() with shape={shape} and self.full_shape={self._full_shape} since slice "
                f"dim could be either dimension {cut[1]} or {cut[0]}."
            )
        return cut[0] if cut else None


def _check_sequence(argument: str, value: Any) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"`{argument}` must be a sequence (like tuple or list) instead of {type(value).__name__}")


# --- Cutting ------------------------------------------------------------------------------------------------


def partitions_by(partitioner: Callable[..., Any], shape: shapes.Shape, dtype: DType) -> Sequence[int]:
    """Into how many parts a partitioner cuts each dimension of a variable.

    Raises:
      ValueError: the shape is not known, or that of a scalar, or the partitioner gives something that does not fit.
    """
    shown = TensorShape(shape)
    if shape is None or not shapes.is_fully_defined(shape):
        raise ValueError(f"Shape of a new partitioned variable must be fully defined, but instead was {shown}.")
    if not shape:
        raise ValueError(f"A partitioned Variable must have rank at least 1, shape: {shown}")
    partitions = partitioner(shape=shown, dtype=dtype)
    if not isinstance(partitions, Sequence):
        raise ValueError(f"Partitioner must return a sequence, but saw: {partitions}")
    if len(partitions) != len(shape):
        raise ValueError(
            f"Partitioner returned a partition list that does not match the Variable's rank: {partitions} vs. {shown}"
        )
    if any(number < 1 for number in partitions):
        raise ValueError(f"Partitioner returned zero partitions for some axes: {partitions}")
    if sum(number > 1 for number in partitions) > 1:
        raise ValueError(
            f"Can only slice a variable along one dimension: shape: {shown}, partitioning: {partitions}"
        )
    return partitions


def cut_dimension(partitions: Sequence[int]) -> tuple[int, int]:
    """The dimension that is cut, the first where none is, and into how many parts."""
    for dimension, number in enumerate(partitions):
        if number > 1:
            return dimension, number
    return 0, 1


def slices(shape: Sequence[int], partitions: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Where each part begins, and its shape; where the division has a remainder, the first ones are one row longer."""
    dimension, number = cut_dimension(partitions)
    size, longer = divmod(shape[dimension], number)
    offset, part = [0] * len(shape), list(shape)
    for index in range(number):
        part[dimension] = size + (index < longer)
        yield list(offset), list(part)
        offset[dimension] += part[dimension]
