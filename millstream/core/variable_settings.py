"""What a variable is told when it is made: how copies of it behave, which part of a larger whole it is."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.scope_names import prepend_name_scope, strip_name_scope


@export("VariableSynchronization")
class VariableSynchronization(enum.Enum):
    """When the copies of a variable on several devices are brought together."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


@export("VariableAggregation")
class VariableAggregation(enum.Enum):
    """How the updates of a variable from several replicas are combined."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3
    ONLY_FIRST_TOWER = 3  # the older name

    def __hash__(self) -> int:
        return hash(self.value)


def check_settings(
    synchronization: VariableSynchronization | None,
    aggregation: VariableAggregation | None,
    trainable: bool | None,
    name: str | None,
) -> tuple[VariableSynchronization, VariableAggregation, bool]:
    """The three settings with None replaced by the default.

    Raises:
      ValueError: a value is of the wrong kind, or a trainable variable is to be synchronised on reading.
    """
    aggregation = VariableAggregation.NONE if aggregation is None else aggregation
    synchronization = VariableSynchronization.AUTO if synchronization is None else synchronization
    if not isinstance(aggregation, VariableAggregation):
        raise ValueError(f"Invalid variable aggregation mode: {aggregation} for variable: {name}")
    if not isinstance(synchronization, VariableSynchronization):
        raise ValueError(f"Invalid variable synchronization mode: {synchronization} for variable: {name}")
    on_read = synchronization is VariableSynchronization.ON_READ
    if on_read and trainable:
        raise ValueError(
            "Synchronization value can be set to VariableSynchronization.ON_READ only for non-trainable "
            "variables. You have specified trainable=True and synchronization=VariableSynchronization.ON_READ."
        )
    return synchronization, aggregation, (not on_read) if trainable is None else bool(trainable)


class SaveSliceInfo:
    """Which part of a larger tensor a variable holds, for checkpoints of partitioned variables.

    Args:
      full_name: the name of the whole.
      full_shape: its shape.
      var_offset: where the part begins, one number a dimension.
      var_shape: the shape of the part.
      save_slice_info_def: a `SaveSliceInfoDef` to read all of these from.
      import_scope: a name scope to put before the name that is read.
    """

    def __init__(
        self,
        full_name: str | None = None,
        full_shape: Sequence[int] | None = None,
        var_offset: Sequence[int] | None = None,
        var_shape: Sequence[int] | None = None,
        save_slice_info_def: Any = None,
        import_scope: str | None = None,
    ) -> None:
        if save_slice_info_def is not None:
            self.full_name: str | None = prepend_name_scope(save_slice_info_def.full_name, import_scope)
            self.full_shape: Any = list(save_slice_info_def.full_shape)
            self.var_offset: Any = list(save_slice_info_def.var_offset)
            self.var_shape: Any = list(save_slice_info_def.var_shape)
        else:
            self.full_name = full_name
            self.full_shape = full_shape
            self.var_offset = var_offset
            self.var_shape = var_shape

    @property
    def spec(self) -> str:
        """The slice as checkpoints write it: `"8 4 2,2:0,4"`, the whole's shape, then each offset and size."""
        full = " ".join(str(size) for size in self.full_shape)
        parts = (f"{start},{size}" for start, size in zip(self.var_offset, self.var_shape, strict=True))
        return f"{full} {':'.join(parts)}"

    def to_proto(self, export_scope: str | None = None) -> Any:
        """A `SaveSliceInfoDef` protocol buffer; None where the name is not in `export_scope`."""
        from millstream.io import proto

        name = self.full_name or ""
        if export_scope is not None and not name.startswith(export_scope):
            return None
        return proto.SaveSliceInfoDef(
            full_name=strip_name_scope(name, export_scope),
            full_shape=self.full_shape,
            var_offset=self.var_offset,
            var_shape=self.var_shape,
        )
