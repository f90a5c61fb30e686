"""Initial values of variables from checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.export import export
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import control_dependencies, device
from millstream.core.variable_scope import default_variable_store
from millstream.core.variable_settings import SaveSliceInfo
from millstream.core.variables import Variable
from millstream.ops import checkpoint_ops
from millstream.train.checkpoint_reader import checkpoint_prefix, load_checkpoint
from millstream.train.saveables import saveables_of

_PART = re.compile(r"(?P<whole>.+?)/part_\d+(?P<slot>/.*)?")


@export(v1=["train.init_from_checkpoint"])
def init_from_checkpoint(ckpt_dir_or_file: str, assignment_map: Mapping[str, Any]) -> None:
    """Makes the initializers of variables read their values from a checkpoint.

    Args:
      ckpt_dir_or_file: as for `tf.train.load_checkpoint`.
      assignment_map: which tensors go where:
        `"name": variable` (or its name): one variable, which takes the whole tensor; or a partitioned variable (or the
        list of its parts, or its name), whose parts take theirs;
        `"scope/": "other/"`: the variables in the variable scope `other`, by the names after the scope; `"/"` stands
        for no scope.

    Raises:
      ValueError: the checkpoint lacks a tensor, or has it in another shape.

    Example:
      >>> tf.train.init_from_checkpoint("pretrained/model.ckpt", {"conv/": "encoder/conv/"})
      >>> sess.run(tf.global_variables_initializer())
    """
    prefix = checkpoint_prefix(ckpt_dir_or_file)
    known = load_checkpoint(prefix).get_variable_to_shape_map()
    for source, target in sorted(assignment_map.items()):
        for name, variable in _pairs(source, target):
            if name not in known:
                found = ", ".join(sorted(known))
                raise ValueError(f"Tensor {name} is not found in {ckpt_dir_or_file} checkpoint, which has: {found}")
            if isinstance(variable, Variable):
                _initialize_from(prefix, name, known[name], variable, None)
                continue
            for part in variable:
                _initialize_from(prefix, name, known[name], part, part._get_save_slice_info())


def _pairs(source: str, target: Any) -> list[tuple[str, Variable | list[Variable]]]:
    """Tensors of the checkpoint and the variable, or parts of one, for each, by one entry of an assignment map."""
    if isinstance(target, Variable):
        return [(source, target)]
    if isinstance(target, (list, tuple, PartitionedVariable)):
        return [(source, list(target))]
    variables = default_variable_store()._vars
    if target in variables:
        return [(source, variables[target])]
    made = _parts_by_name(variables)
    if target in made:
        return [(source, made[target])]
    scope = target.rpartition("/")[0]
    if not source.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {scope} should map to scope only {source}. Should be 'scope/': "
            "'other_scope/'."
        )
    below = f"{scope}/" if scope else ""
    return [
        (source.removeprefix("/") + name.removeprefix(below).rstrip("/"), made[name])
        for name in sorted(made)
        if name.startswith(below)
    ]


def _parts_by_name(variables: Mapping[str, Variable]) -> dict[str, Variable | list[Variable]]:
    """Variables by their names; the parts of one together, by its name; and no slots of parts."""
    found: dict[str, Any] = {}
    for name, variable in variables.items():
        part = None if variable._get_save_slice_info() is None else _PART.fullmatch(name)
        if part is None:
            found[name] = variable
        elif part["slot"] is None:
            found.setdefault(part["whole"], []).append(variable)
    return found


def _check_shape(variable: Variable, info: SaveSliceInfo | None, name: str, stored: Sequence[int]) -> None:
    own = tuple(info.full_shape) if info is not None else shapes.as_plain(variable.shape)
    if not shapes.is_compatible(own, tuple(stored)):
        raise ValueError(
            f"Shape of variable {variable.name} ({variable.shape}) doesn't match with shape of tensor {name} "
            f"({list(stored)}) from checkpoint reader."
        )


def _initialize_from(
    prefix: str, name: str, stored: Sequence[int], variable: Variable, info: SaveSliceInfo | None
) -> None:
    """Replaces a variable's initializer by one that restores it, as the part that `info` says of what is stored."""
    _check_shape(variable, info, name, stored)
    (saveable,) = saveables_of({name: variable if info is None else [variable]})
    with control_dependencies(None):
        with device(variable.device), device("/cpu:0"):
            (value,) = checkpoint_ops.restore_v2_op(
                prefix,
                [name],
                ["" if info is None else info.spec],
                dtypes=[variable.dtype.base_dtype],
                name="checkpoint_initializer",
            )
        restored = saveable.restore([value], None)
    value.set_shape(variable.shape)
    variable._initializer_op = getattr(restored, "op", restored)
    variable._initial_value = value
