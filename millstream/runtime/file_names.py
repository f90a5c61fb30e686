"""Before a run: operations of files use only files whose names come from the program (`core/file_operations.py`).

The check follows the names back through the graph, so it needs no values and costs nothing when a plan runs again.
"""
from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from millstream.core import errors, opdef
from millstream.core.file_operations import FILE_NAMES
from millstream.core.operation import Operation
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.runtime.plan import Stage

# Operations whose result is a name where their first input, or all their inputs, are names.
_OF_FIRST = frozenset("Identity PlaceholderWithDefault ShardedFilename Reshape ExpandDims Squeeze".split())
_OF_ALL = frozenset("Pack Concat ConcatV2".split())
# A name is not followed through more operations.
_MOST_STEPS = 50
_CHOICES = {"Select": (1, 2), "SelectV2": (1, 2)}


def users_of_files(steps: Iterable[Stage]) -> list[Operation]:
    """The operations of files among the steps of a plan that use files."""
    return [op for step in steps if step.is_host for op in step.ops if op.type in FILE_NAMES and op.from_file]


def check_file_names(operations: Iterable[Operation], given: Container[Tensor], denied: Container[Tensor] = ()) -> None:
    """Refuses operations of files that would use a file whose name does not come from the program.

    Args:
      operations: operations that use files.
      given: the tensors whose values the program gives.
      denied: the tensors whose values may come from a file.

    Raises:
      PermissionDeniedError: there is one.
    """
    source = _Program(given, denied)
    for op in operations:
        names = FILE_NAMES[op.type]
        for spec, place in zip(
            op.definition.inputs, opdef.argument_slices(op.definition.inputs, op.attrs), strict=True
        ):
            inputs = op.inputs[place] if isinstance(place, slice) else (op.inputs[place],)
            if spec.name in names and not all(source.gives(tensor) for tensor in inputs):
                raise _refused(op, spec.name)


class _Program:
    """Which names come from the program, and which from a file."""

    def __init__(self, given: Container[Tensor], denied: Container[Tensor]) -> None:
        self._given = given
        self._denied = denied
        self._known: dict[Tensor, bool] = {}
        self._texts: dict[Tensor, frozenset[str | None]] = {}

    def gives(self, tensor: Tensor, depth: int = 0) -> bool:
        """Whether a name is the program's, or is such a name with something behind it that leads nowhere else."""
        if tensor not in self._known:
            self._known[tensor] = self._finds(tensor, depth)
        return self._known[tensor]

    def _finds(self, tensor: Tensor, depth: int) -> bool:
        op = tensor.op
        if tensor in self._given:
            return True
        if tensor in self._denied or depth > _MOST_STEPS:
            return False
        if op.type in _OF_FIRST:
            return self.gives(op.inputs[0], depth + 1)
        if op.type in _OF_ALL:
            values = [item for item in op.inputs if item.dtype.base_dtype is tensor.dtype.base_dtype]
            return all(self.gives(item, depth + 1) for item in values)
        if op.type in _CHOICES:
            return all(self.gives(op.inputs[index], depth + 1) for index in _CHOICES[op.type])
        if op.type == "StringJoin":
            first, *rest = op.inputs
            texts = {op.attrs["separator"]}.union(*(self._possible_texts(item, depth + 1) for item in rest))
            return all(map(_stays, texts)) and self.gives(first, depth + 1)
        return not op.from_file

    def _possible_texts(self, tensor: Tensor, depth: int) -> frozenset[str | None]:
        """The texts that a tensor of a file may hold; None for one that is not known."""
        if tensor not in self._texts:
            self._texts[tensor] = frozenset(self._find_texts(tensor, depth))
        return self._texts[tensor]

    def _find_texts(self, tensor: Tensor, depth: int) -> Iterable[str | None]:
        if self.gives(tensor, depth):
            return ()
        if tensor.op.type in _CHOICES and depth <= _MOST_STEPS:
            choices = [tensor.op.inputs[index] for index in _CHOICES[tensor.op.type]]
            return frozenset[str | None]().union(*(self._possible_texts(item, depth + 1) for item in choices))
        value: Any = None if tensor in self._denied else constant_value(tensor)
        return (None,) if value is None else (item.decode("utf-8", "replace") for item in value.reshape(-1).tolist())


def _stays(text: str | None) -> bool:
    """Whether a name with this text behind it is in the same folder or below it."""
    return text is not None and ".." not in text and not text.endswith(".")


def _refused(op: Operation, name: str) -> errors.PermissionDeniedError:
    return errors.PermissionDeniedError(
        op.node_def, op, f"Operation '{op.name}' (op: '{op.type}') of an imported graph would use a file whose name "
        f"('{name}') the graph itself sets. Feed the name, as tf.train.Saver does with save and restore. If you trust "
        "where the graph comes from, pass allow_python=True to import_graph_def or import_meta_graph, or set "
        "MILLSTREAM_TRUST_GRAPHS=1."
    )  # fmt: skip
