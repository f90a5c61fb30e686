"""The operations that save and restore: what a `Saver` adds to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import device as devices
from millstream.core import shapes
from millstream.core.scopes import control_dependencies, device, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import checkpoint_ops
from millstream.ops.constant_op import constant, placeholder_with_default
from millstream.ops.control_flow_ops import group, with_dependencies
from millstream.ops.identity_ops import identity
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.string_ops import string_join
from millstream.train.saveables import SaveableObject, by_device

V1, V2 = 1, 2  # of SaverDef


class SaverBuilder:
    """Builds the operations of a `Saver`.

    Args:
      saveables: what is saved.
      reshape: whether restored tensors take on the shapes that the variables have.
      sharded: whether each device writes a file of its own.
      version: the format that is written, `SaverDef.V2` or `SaverDef.V1`.
    """

    def __init__(
        self, saveables: Sequence[SaveableObject], reshape: bool = False, sharded: bool = False, version: int = V2
    ) -> None:
        self._saveables = saveables
        self._reshape = reshape
        self._sharded = sharded
        self._version = version

    def build(self, name: str | None, filename: str | None, max_to_keep: int, keep_hours: float) -> Any:
        """Adds the operations to the graph.

        Args:
          name: their scope; default "save".
          filename: the prefix that is used where none is fed; default "model".
          max_to_keep, keep_hours: what the `SaverDef` says of old checkpoints.

        Returns:
          A `SaverDef` with the names of the operations.
        """
        from millstream.io import proto

        with name_scope(name, "save", [saveable.op for saveable in self._saveables]):
            prefix = placeholder_with_default(filename or "model", shape=(), name="filename")
            prefix = placeholder_with_default(prefix, shape=(), name="Const")
            saved, restored = self.save(prefix), self.restore(prefix)
        return proto.SaverDef(
            filename_tensor_name=prefix.name,
            save_tensor_name=saved.name,
            restore_op_name=restored.name,
            max_to_keep=max_to_keep,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=keep_hours,
            version=self._version,
        )

    # --- Saving -------------------------------------------------------------------------------------------------

    def save(self, prefix: Tensor) -> Tensor:
        """Saves in a checkpoint; gives its prefix when that is done."""
        if not self._sharded:
            return self._save_one(prefix, self._saveables)
        return self._save_shards_v1(prefix) if self._version == V1 else self._save_shards(prefix)

    def _save_shards(self, prefix: Tensor) -> Tensor:
        """Saves what each device has in a bundle of its own, and makes one bundle of them."""
        import uuid

        shards = by_device(self._saveables)
        temporary = string_join([prefix, f"_temp_{uuid.uuid4().hex}/part"])
        num_shards = constant(len(shards), name="num_shards")
        prefixes, saved = [], []
        for number, (place, saveables) in enumerate(shards):
            with device(_on_host(place)):
                prefixes.append(checkpoint_ops.sharded_filename_op(temporary, number, num_shards))
                saved.append(self._save_one(prefixes[-1], saveables))
        with control_dependencies(saved), device(_on_host(shards[-1][0])):
            merged = checkpoint_ops.merge_v2_checkpoints_op(prefixes, prefix, delete_old_dirs=True)
            with control_dependencies([merged]):
                return identity(prefix)

    def _save_shards_v1(self, prefix: Tensor) -> Tensor:
        """Saves what each device has in a file of its own; gives the pattern of their names."""
        shards = by_device(self._saveables)
        num_shards = constant(len(shards), name="num_shards")
        saved = []
        for number, (place, saveables) in enumerate(shards):
            with device(place):
                path = checkpoint_ops.sharded_filename_op(prefix, number, num_shards)
                saved.append(self._save_one(path, saveables))
        with control_dependencies(saved):
            return checkpoint_ops.sharded_filespec_op(prefix, num_shards)  # type: ignore[no-any-return]

    def _save_one(self, prefix: Tensor, saveables: Sequence[SaveableObject]) -> Tensor:
        """Saves in a bundle of one shard, or in one file of the old format."""
        specs = [spec for saveable in saveables for spec in saveable.specs]
        names, slices = [spec.name for spec in specs], [spec.slice_spec for spec in specs]
        tensors = [spec.tensor for spec in specs]
        if self._version == V1:
            saved = checkpoint_ops.save_slices_op(prefix, names, slices, tensors, name="save")
        else:
            saved = checkpoint_ops.save_v2_op(prefix, names, slices, tensors)
        return with_dependencies([saved], prefix)  # type: ignore[no-any-return]

    # --- Restoring ----------------------------------------------------------------------------------------------

    def restore(self, prefix: Tensor) -> Any:
        """Restores from a checkpoint; the operation that does so, or None in eager execution."""
        if not self._sharded:
            return group(*self._restore_all(prefix, self._saveables), name="restore_all")
        shards = []
        for place, saveables in by_device(self._saveables):
            with device(place):
                shards.append(group(*self._restore_all(prefix, saveables), name="restore_shard"))
        return group(*shards, name="restore_all")

    def _restore_all(self, prefix: Tensor, saveables: Sequence[SaveableObject]) -> list[Any]:
        specs = [spec for saveable in saveables for spec in saveable.specs]
        with device("/cpu:0"):
            tensors = iter(
                checkpoint_ops.restore_v2_op(
                    prefix,
                    [spec.name for spec in specs],
                    [spec.slice_spec for spec in specs],
                    dtypes=[spec.dtype.base_dtype for spec in specs],
                )
            )
        return [
            saveable.restore(
                [next(tensors) for _ in saveable.specs],
                [_shape_of(spec.tensor) for spec in saveable.specs] if self._reshape else None,
            )
            for saveable in saveables
        ]


def _on_host(place: str) -> str:
    """The processor of the machine that has a device."""
    return devices.merge(place, "/device:CPU:0")


def _shape_of(tensor: Any) -> Any:
    known = shapes.as_plain(tensor.shape)
    return known if shapes.is_fully_defined(known) else shape_of(tensor)
