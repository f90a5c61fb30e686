"""`TensorSpec` and `VariableSpec`: the specs of values that are a single tensor or variable."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.type_spec import (
    TypeSpec,
    cannot_cast,
    covers_shape,
    register_type_spec_from_value_converter,
)
from millstream.core.variables import Variable

if TYPE_CHECKING:
    from collections.abc import Sequence


@export("TensorSpec", v1=["contrib.framework.TensorSpec"])
class TensorSpec(TypeSpec):
    """What is known of a tensor: its static shape and dtype, and a name for it.

    Args:
      shape: the shape as far as it is known; None for any shape.
      dtype: the dtype.
      name: a name, that of an argument for instance.

    Example:
      >>> tf.TensorSpec([None, 2], tf.int32)
      TensorSpec(shape=(None, 2), dtype=tf.int32, name=None)
    """

    _is_leaf = True

    def __init__(self, shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> None:
        self._shape = shapes.as_plain(shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._name = name

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """A spec with the shape and dtype of another one; its name too, unless `name` is given."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor. A tensor of a graph gives its name too, unless `name` is given.

        Raises:
          ValueError: `tensor` is none.
        """
        if not isinstance(tensor, Tensor):
            raise ValueError(f"`tensor` should be a tf.Tensor, but got type {type(tensor)}.")
        operation = None if name else getattr(tensor, "op", None)  # an eager tensor has none
        return cls(tensor._shape, tensor.dtype, name or getattr(operation, "name", None))

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return TensorShape(self._shape)

    @property
    def dtype(self) -> DType:
        """The dtype."""
        return self._dtype

    @property
    def name(self) -> str | None:
        """The name, or None."""
        return self._name

    @property
    def value_type(self) -> type:
        """`tf.Tensor`."""
        return Tensor

    def is_compatible_with(self, spec_or_tensor: Any) -> bool:
        """Whether one tensor can have both specs, whatever their names; of a tensor, its own spec counts."""
        if not isinstance(spec_or_tensor, (TensorSpec, Tensor)):
            return False
        return self._dtype.is_compatible_with(spec_or_tensor.dtype) and shapes.is_compatible(
            self._shape, spec_or_tensor._shape
        )

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every tensor of this spec is one of `other`; a spec without a name goes for any name."""
        return (
            type(other) is type(self)
            and self._dtype is other._dtype
            and (not self._name or self._name == other._name)
            and covers_shape(other._shape, self._shape)
        )

    def most_specific_common_supertype(self, others: Sequence[Any]) -> TensorSpec | None:
        """The narrowest spec that this one and all `others` are subtypes of; None if dtypes or names differ."""
        shape = self._shape
        for other in others:
            if type(other) is not type(self) or self._dtype is not other._dtype or self._name != other._name:
                return None
            shape = shapes.generalize(shape, other._shape)
        return type(self)(shape, self._dtype, self._name)

    def cast(self, value: Any, casting_context: Any) -> Any:
        """`value` as a tensor, which must be of this spec.

        Raises:
          TypeError: it is not, or it does not become a tensor of this dtype.
        """
        if isinstance(value, (Tensor, TensorSpec)):
            result = value
        elif isinstance(value, Variable):
            result = to_tensor(value)
        else:
            try:
                result = to_tensor(value, self._dtype)
            except (TypeError, ValueError):
                raise cannot_cast(value, self) from None
        if not self.is_compatible_with(result):
            raise cannot_cast(result, self)
        return result

    def flatten(self) -> list[Any]:
        """This spec alone."""
        return [self]

    def to_tensors(self, value: Any) -> list[Any]:
        """`value` as the one tensor that it is."""
        return [self.cast(value, None)]

    def from_tensors(self, tensors: Iterator[Any]) -> Any:
        """The next tensor of an iterator."""
        return next(tensors)

    def placeholder_value(self, placeholder_context: Any) -> Any:
        """A placeholder of this shape and dtype in the default graph, with this spec's name."""
        from millstream.core import opdef

        return opdef.find("Placeholder")(dtype=self._dtype, shape=self._shape, name=self._name)

    def experimental_as_proto(self) -> Any:
        """The spec as a TensorSpecProto."""
        return self.experimental_type_proto()(
            name=self._name, shape=shapes.as_proto(self._shape), dtype=self._dtype.as_datatype_enum
        )

    @classmethod
    def experimental_from_proto(cls, proto: Any) -> TensorSpec:
        """The spec of a TensorSpecProto."""
        return cls(proto.shape, proto.dtype, proto.name or None)

    @classmethod
    def experimental_type_proto(cls) -> Any:
        """The class TensorSpecProto."""
        from millstream.io import proto

        return proto.TensorSpecProto

    def _serialize(self) -> tuple[Any, ...]:
        return TensorShape(self._shape), self._dtype, self._name

    @property
    def _component_specs(self) -> Any:
        return self

    def _to_components(self, value: Any) -> Any:
        return self.cast(value, None)

    def _from_components(self, components: Any) -> Any:
        return components

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self._dtype!r}, name={self._name!r})"


class VariableSpec(TypeSpec):
    """What is known of a variable.

    Args:
      shape: its shape as far as it is known.
      dtype: its dtype.
      trainable: whether it is trainable.
      alias_id: the same number for arguments that are the same variable.
    """

    _is_leaf = True

    def __init__(
        self, shape: Any, dtype: Any = dtypes.float32, trainable: bool = True, alias_id: int | None = None
    ) -> None:
        self._shape = shapes.as_plain(shape)
        self.dtype = dtypes.as_dtype(dtype)
        self.trainable = trainable
        self.alias_id = alias_id

    @classmethod
    def from_value(cls, value: Any) -> VariableSpec:
        """The spec of a variable."""
        return cls(value.shape, value.dtype, value.trainable)

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return TensorShape(self._shape)

    @property
    def value_type(self) -> type:
        """`tf.Variable`."""
        return Variable

    def _serialize(self) -> tuple[Any, ...]:
        return TensorShape(self._shape), self.dtype, self.trainable, self.alias_id

    @property
    def _component_specs(self) -> Any:
        return self

    def _to_components(self, value: Any) -> Any:
        return value

    def _from_components(self, components: Any) -> Any:
        return components

    def flatten(self) -> list[Any]:
        """This spec alone: a variable is one resource."""
        return [self]

    def to_tensors(self, value: Any) -> list[Any]:
        """The variable itself."""
        return [self.cast(value, None)]

    def from_tensors(self, tensors: Iterator[Any]) -> Any:
        """The next variable of an iterator."""
        return next(tensors)

    def __repr__(self) -> str:
        return (
            f"VariableSpec(shape={self.shape}, dtype={self.dtype!r}, trainable={self.trainable!r}, "
            f"alias_id={self.alias_id!r})"
        )


def _spec_of_tensor(tensor: Tensor) -> TensorSpec:
    return TensorSpec(tensor._shape, tensor.dtype)


register_type_spec_from_value_converter(Tensor, _spec_of_tensor)
register_type_spec_from_value_converter(Variable, VariableSpec.from_value)
