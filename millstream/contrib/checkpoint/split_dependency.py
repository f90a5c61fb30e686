"""`tf.contrib.checkpoint.split_dependency`: objects whose tensors are saved and restored together."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from millstream.core import context
from millstream.core.dtypes import as_dtype
from millstream.core.export import export
from millstream.core.scopes import device as on_device
from millstream.core.tensor import Tensor
from millstream.core.trackable import Trackable
from millstream.ops.control_flow_ops import no_op
from millstream.train.object_graph import VARIABLE_VALUE
from millstream.train.saveables import SaveableObject, SaveSpec

Buffer = dict[str, Tensor]


@export(v1=["contrib.checkpoint.split_dependency"])
def split_dependency(
    component_names: Sequence[str],
    component_dtypes: Sequence[Any],
    fill_save_buffer_fn: Callable[[Buffer], None],
    consume_restore_buffer_fn: Callable[[Buffer], Any],
    device: Any,
) -> dict[str, Trackable]:
    """Makes objects that save and restore one tensor each, and do so together.

    So one operation may give all the tensors, or take them.

    Args:
      component_names: the names of the tensors.
      component_dtypes: their dtypes.
      fill_save_buffer_fn: puts the tensors into a dict by their names.
      consume_restore_buffer_fn: takes a dict of all restored tensors, and gives an operation, or None in eager
      execution.
      device: where the tensors are.

    Returns:
      The objects by name. Those who track one of them should track all.
    """
    group = _Group(tuple(component_names), fill_save_buffer_fn, consume_restore_buffer_fn, device)
    pairs = zip(component_names, component_dtypes, strict=True)
    return {name: _Component(group, name, as_dtype(dtype)) for name, dtype in pairs}


class _Group:
    """The tensors that belong together, on their way into a checkpoint or out of one."""

    def __init__(
        self, names: tuple[str, ...], fill: Callable[[Buffer], None], consume: Callable[[Buffer], Any], place: Any
    ) -> None:
        self.names = names
        self.device = place
        self._fill, self._consume = fill, consume
        self._to_save: Buffer = {}
        self._restored: Buffer = {}

    def take(self, name: str) -> Tensor:
        """The tensor to save; all are made when the first is asked for."""
        if not self._to_save:
            with on_device(self.device):
                self._fill(self._to_save)
        return self._to_save.pop(name)

    def give(self, name: str, tensor: Tensor) -> Any:
        """Takes a restored tensor; restores when all are there."""
        self._restored[name] = tensor
        if len(self._restored) < len(self.names):
            return None if context.executing_eagerly() else no_op()
        buffer, self._restored = self._restored, {}
        with on_device(self.device):
            return self._consume(buffer)


class _Saveable(SaveableObject):
    """One of the tensors."""

    def __init__(self, group: _Group, component: str, dtype: Any, name: str) -> None:
        self._group, self._component = group, component
        spec = SaveSpec(partial(group.take, component), "", name, dtype, group.device or "")
        super().__init__(component, [spec], name)

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Any:
        return self._group.give(self._component, restored_tensors[0])


class _Component(Trackable):
    """An object that saves one of the tensors."""

    def __init__(self, group: _Group, name: str, dtype: Any) -> None:
        self._make = partial(_Saveable, group, name, dtype)

    def _checkpoint_values(self) -> dict[str, Any]:
        return {VARIABLE_VALUE: self._make}
