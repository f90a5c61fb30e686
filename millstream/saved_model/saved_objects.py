"""What is saved with an object: it, its children and theirs, functions, their traces, and what these use."""
from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from millstream.core.concrete_function import ConcreteFunction
from millstream.core.eager import EagerTensor
from millstream.core.function import Function
from millstream.core.tensor import Tensor
from millstream.core.trackable import AutoTrackable, Trackable
from millstream.core.variables import Variable
from millstream.saved_model.asset import Asset
from millstream.saved_model.function_spec import input_signature_of, signature_of_trace
from millstream.saved_model.signatures import SignatureMap
from millstream.saved_model.structure_codec import can_encode
from millstream.train.object_graph import ObjectGraph, escaped

SIGNATURES = "signatures"


class Constant(Trackable):
    """A tensor that functions use."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class SavedObjects(ObjectGraph):
    """The objects of a SavedModel, numbered as its file and its checkpoint number them.

    Args:
      root: the object that is saved.
      signatures: its signatures.

    Raises:
      ValueError: an object cannot be saved.
    """

    def __init__(self, root: Trackable, signatures: SignatureMap) -> None:
        self._constants: dict[int, Constant] = {}
        self._assets: dict[int, Asset] = {}
        self._root = root
        super().__init__(root, {SIGNATURES: signatures})

    def _children_of(self, trackable: Trackable) -> dict[str, Trackable]:
        children = savable_children(trackable)
        if trackable is self._root:
            _check_no_signatures(self._root, children)
        self._assets.update((id(item.asset_path), item) for item in children.values() if isinstance(item, Asset))
        if isinstance(trackable, ConcreteFunction):
            return dict(self._captured(trackable))
        return children

    def _add_slot(self, optimizer: int, slot_name: str, variable: int, slot: Trackable) -> None:
        """Makes a slot a child of its optimiser: whoever loads the model knows no optimisers, but any child."""
        if id(slot) not in self._numbers:
            local_name = f"{slot_name}_{variable}"
            name = f"{self._names[optimizer]}/{escaped(local_name)}".removeprefix("/")
            self.children[optimizer][local_name] = self._add(slot, name)
            self.children.append({})

    def _captured(self, concrete: ConcreteFunction) -> Iterator[tuple[str, Trackable]]:
        """What a trace uses besides variables."""
        variables = {id(variable.handle) for variable in concrete.variables}
        for index, tensor in enumerate(concrete.captured_inputs):
            if isinstance(tensor, EagerTensor) and tensor.dtype.is_numpy_compatible and id(tensor) not in variables:
                asset = self._assets.get(id(tensor))
                constant = asset or self._constants.setdefault(id(tensor), Constant(tensor))
                yield f"capture_{index}", constant

    def numbers_by_tensor(self) -> dict[int, int]:
        """The number of the object that each tensor or handle from outside of functions belongs to, by identity."""
        found = {}
        for number, item in enumerate(self.objects):
            if isinstance(item, Variable):
                found[id(item._source)] = number
            elif isinstance(item, (Constant, Asset)):
                found[id(item.tensor if isinstance(item, Constant) else item.asset_path)] = number
        return found

    def traces(self) -> list[tuple[int, ConcreteFunction]]:
        """The traces, with their numbers."""
        return [(number, item) for number, item in enumerate(self.objects) if isinstance(item, ConcreteFunction)]


def _check_no_signatures(root: Trackable, children: Mapping[str, Trackable]) -> None:
    own = children.get(SIGNATURES)
    if own is not None and not isinstance(own, SignatureMap):
        raise ValueError(
            f"Exporting an object {root} which has an attribute named '{SIGNATURES}'. This is a reserved attribute "
            "used to store SavedModel signatures in objects which come from `tf.saved_model.load`. Delete this "
            f"attribute (e.g. `del obj.{SIGNATURES}`) before saving if this shadowing is acceptable."
        )


def savable_children(trackable: Trackable) -> dict[str, Trackable]:
    """The children of an object with its functions, which come last; those of a function are its traces."""
    if isinstance(trackable, Function):
        return {f"trace_{index}": trace for index, trace in enumerate(savable_traces(trackable))}
    children = trackable._trackable_children("savedmodel")
    functions = {name: item for name, item in children.items() if isinstance(item, (Function, ConcreteFunction))}
    if isinstance(trackable, AutoTrackable):
        functions.update(_methods(trackable))
    others = {name: item for name, item in children.items() if name not in functions}
    return {**others, **dict(sorted(functions.items()))}


def _methods(trackable: Trackable) -> Iterator[tuple[str, Function]]:
    """The methods that are functions, unless the object has something else of that name."""
    for name in dir(type(trackable)):
        method = inspect.getattr_static(type(trackable), name, None)
        if isinstance(method.__func__ if isinstance(method, staticmethod) else method, Function):
            found = getattr(trackable, name)
            if isinstance(found, Function):
                yield name, found


def savable_traces(function: Function) -> list[ConcreteFunction]:
    """The traces of a function that a file can hold: others use objects that have no form there."""
    if not function._traces and input_signature_of(function) is not None:
        function.get_concrete_function()
    return [trace for trace in function._traces.values() if _is_savable(trace)]


def _is_savable(trace: ConcreteFunction) -> bool:
    if not all(tensor.is_eager for tensor in trace.captured_inputs):
        return False
    signature = signature_of_trace(trace)
    return can_encode((signature.inputs, signature.outputs))
