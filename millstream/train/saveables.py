"""What a `Saver` saves: for each thing, its tensors under their names, and how it is given back what was restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.device import canonical_name
from millstream.core.opdef import find
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.resource_variables import ResourceVariable
from millstream.core.scopes import device
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable
from millstream.ops import state_ops
from millstream.ops.identity_ops import identity
from millstream.ops.reshape_ops import reshape

_VARIABLE_TYPES = ("Variable", "VariableV2")


class SaveSpec:
    """One tensor of a saveable object.

    Args:
      tensor: the tensor, or a function that gives it.
      slice_spec: which part of a larger tensor it is (`SaveSliceInfo.spec`); empty: a whole one.
      name: its name in the checkpoint.
      dtype: the dtype that is restored; needed where `tensor` is a function.
      device: where it is.
    """

    def __init__(
        self,
        tensor: Tensor | Variable | Callable[[], Tensor],
        slice_spec: str,
        name: str,
        dtype: Any = None,
        device: str | None = None,
    ) -> None:
        self._tensor = tensor
        self.slice_spec = slice_spec
        self.name = name
        self.dtype = tensor.dtype if dtype is None else dtype  # type: ignore[union-attr]
        self.device = tensor.device if device is None else device  # type: ignore[union-attr]

    @property
    def tensor(self) -> Any:
        """The tensor."""
        return self._tensor() if callable(self._tensor) else self._tensor


class SaveableObject:
    """Something that can be saved and restored; subclasses define `restore`.

    Args:
      op: what is saved.
      specs: its tensors.
      name: its name in checkpoints.
    """

    def __init__(self, op: Any, specs: Sequence[SaveSpec], name: str) -> None:
        self.op = op
        self.specs = specs
        self.name = name

    @property
    def device(self) -> str:
        """Where it is."""
        return self.specs[0].device

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Any:
        """The operation that restores it.

        Args:
          restored_tensors: what the checkpoint has of its tensors.
          restored_shapes: the shapes that they are to get; None: they must have them.
        """
        raise NotImplementedError(f"Calling an abstract method: {type(self).__name__}.restore")


class _RefSaveable(SaveableObject):
    """A 1.x variable, or a part of one that is cut into several."""

    def __init__(self, variable: Any, slice_spec: str, name: str) -> None:
        super().__init__(variable, [SaveSpec(variable, slice_spec, name)], name)

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Any:
        value = restored_tensors[0]
        if restored_shapes is not None:
            value = reshape(value, restored_shapes[0])
        known = shapes.is_fully_defined(shapes.as_plain(self.op.shape))
        return state_ops.assign(self.op, value, validate_shape=restored_shapes is None and known)


class _ResourceSaveable(SaveableObject):
    """A resource variable."""

    def __init__(self, variable: ResourceVariable, slice_spec: str, name: str) -> None:
        read = self._read if slice_spec or variable.is_eager else variable._as_graph_element
        super().__init__(variable, [SaveSpec(read, slice_spec, name, variable.dtype, variable.device)], name)

    def _read(self) -> Tensor:
        with device(self.device):
            value = self.op.read_value()
            with device("/cpu:0"):
                return identity(value)

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Any:
        value = restored_tensors[0]
        if restored_shapes is not None:
            value = reshape(value, restored_shapes[0])
        if self.op.is_eager:
            return self.op.assign(value)
        with device(self.device):
            value = identity(value)
            self.op.shape.assert_is_compatible_with(value.shape)
            return find("AssignVariableOp")(self.op.handle, value)


# --- From what users give --------------------------------------------------------------------------------------------


def saveables_of(var_list: Mapping[str, Any] | Sequence[Any]) -> list[SaveableObject]:
    """The saveable objects for a list, or a dictionary by names in the checkpoint, sorted by name.

    Raises:
      TypeError: an element is no variable.
      ValueError: two have one name, or one has two names.
    """
    by_name = var_list if isinstance(var_list, Mapping) else _named(var_list)
    found: list[SaveableObject] = []
    seen: set[Any] = set()
    for name in sorted(by_name):
        if not isinstance(name, str):
            raise TypeError(
                "names_to_saveables must be a dict mapping string names to trackable operations. Name is not a "
                f"string: {name}"
            )
        for saveable in _saveables_for(name, by_name[name]):
            key = _identity_of(saveable.op)
            if key in seen:
                raise ValueError(f"The same saveable will be restored with two names: {saveable.name}")
            seen.add(key)
            found.append(saveable)
    return found


def _named(items: Sequence[Any]) -> dict[str, Any]:
    """Variables by the names that they have in a checkpoint by default; the parts of one as a list."""
    if not isinstance(items, (list, tuple, set, frozenset)):
        raise TypeError(f"Variables to save should be passed in a dict or a list: {items}")
    found: dict[str, Any] = {}
    for item in sorted(items, key=lambda item: str(getattr(item, "name", item))):
        if isinstance(item, (SaveableObject, PartitionedVariable)):
            _add_named(found, item.name, item)
            continue
        if not _is_variable(item):
            raise TypeError(f"Variable to save is not a Variable: {item}")
        info = item._get_save_slice_info() if isinstance(item, Variable) else None
        if info is None:
            _add_named(found, item._shared_name if isinstance(item, Variable) else item.op.name, item)
            continue
        parts = found.setdefault(info.full_name, [])
        if not isinstance(parts, list):
            raise ValueError(f"Mixing slices and non-slices with the same name: {info.full_name}")
        parts.append(item)
    return found


def _add_named(found: dict[str, Any], name: str, item: Any) -> None:
    if name in found:
        raise ValueError(f"At least two variables have the same name: {name}")
    found[name] = item


def _saveables_for(name: str, value: Any) -> list[SaveableObject]:
    if isinstance(value, SaveableObject):
        return [value]
    if isinstance(value, (list, tuple, PartitionedVariable)):
        return _slices_for(name, list(value))
    if not _is_variable(value):
        raise TypeError(
            f"names_to_saveables must be a dict mapping string names to Tensors/Variables. Not a variable: {value}"
        )
    if isinstance(value, ResourceVariable):
        return [_ResourceSaveable(value, "", name)]
    return [_RefSaveable(to_tensor(value, as_ref=True) if isinstance(value, Variable) else value, "", name)]


def _slices_for(name: str, parts: Sequence[Any]) -> list[SaveableObject]:
    """Saveable objects for the parts of one variable."""
    found: list[SaveableObject] = []
    whole = None
    for part in parts:
        info = part._get_save_slice_info() if isinstance(part, Variable) else None
        if info is None:
            raise ValueError(f"Slices must all be slices: {part}")
        if whole not in (None, info.full_name):
            raise ValueError(f"Slices must all be from the same tensor: {whole} != {info.full_name}")
        whole = info.full_name
        kind = _ResourceSaveable if isinstance(part, ResourceVariable) else _RefSaveable
        found.append(kind(part, info.spec, name))
    return found


def _is_variable(value: Any) -> bool:
    """Whether `value` is a variable, or the reference of one."""
    if isinstance(value, Tensor) and not value.is_eager:
        return value.op.type in _VARIABLE_TYPES
    return isinstance(value, Variable)


def _identity_of(value: Any) -> Any:
    """What is the same for all objects that stand for one variable."""
    if isinstance(value, Variable):
        return value._key
    return (value.graph, value.op.name) if isinstance(value, Tensor) else id(value)


# --- Devices ---------------------------------------------------------------------------------------------------------


def by_device(saveables: Sequence[SaveableObject]) -> list[tuple[str, list[SaveableObject]]]:
    """The saveable objects of each device, sorted by its name.

    Raises:
      ValueError: one of them has tensors on several devices.
    """
    groups: dict[str, list[SaveableObject]] = {}
    for saveable in saveables:
        places = {canonical_name(spec.device) for spec in saveable.specs}
        if len(places) != 1:
            raise ValueError(f"All tensors of a saveable object must be on the same device: {saveable.name}")
        groups.setdefault(places.pop(), []).append(saveable)
    return sorted(groups.items())
