"""The objects of a SavedModel as messages."""
from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core import shapes
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.function import Function
from millstream.core.function_def import LibraryWriter
from millstream.core.tensor import Tensor
from millstream.core.trackable import Trackable
from millstream.core.trackable_containers import DictWrapper, ListWrapper, TupleWrapper
from millstream.core.variables import Variable
from millstream.saved_model.asset import Asset
from millstream.saved_model.custom_gradients import TracedGradient
from millstream.saved_model.function_spec import (
    encode_bare_spec,
    encode_function_spec,
    signature_of_bare_trace,
    signature_of_trace,
)
from millstream.saved_model.options import VariablePolicy
from millstream.saved_model.saved_objects import Constant, SavedObjects, savable_traces
from millstream.saved_model.signatures import SignatureMap
from millstream.saved_model.structure_codec import NotEncodableError, encode

_IDENTIFIERS: tuple[tuple[type, str], ...] = (
    (SignatureMap, "signature_map"),
    (ListWrapper, "trackable_list_wrapper"),
    (DictWrapper, "trackable_dict_wrapper"),
    (TupleWrapper, "trackable_tuple_wrapper"),
    (object, "_generic_user_object"),
)


class ObjectWriter:
    """Fills a `SavedObjectGraph`.

    Args:
      objects: the objects.
      library: the functions of the model, written.
      constant_names: the nodes of the graph that hold constants, by the numbers of these.
      assets: the index of each asset among the files of the model, by its number.
      policy: what is said about the devices of variables.
    """

    def __init__(
        self,
        objects: SavedObjects,
        library: LibraryWriter,
        constant_names: Mapping[int, str],
        assets: Mapping[int, int],
        policy: VariablePolicy,
    ) -> None:
        self._objects = objects
        self._library = library
        self._constant_names = constant_names
        self._assets = assets
        self._policy = policy
        self._signatures = _python_signatures(objects)

    def write(self, message: Any) -> None:
        """Fills the message.

        Raises:
          NotEncodableError: a function has default values that have no form in files.
        """
        for number, item in enumerate(self._objects.objects):
            node = message.nodes.add()
            for name, child in self._objects.children[number].items():
                node.children.add(node_id=child, local_name=name)
            if isinstance(item, (Function, ConcreteFunction)):
                node.dependencies.extend(node.children)
            self._write_kind(node, number, item)
        numbers = self._objects.numbers_by_tensor()
        for _, concrete in self._objects.traces():
            self._write_trace(message.concrete_functions[self._name(concrete)], concrete, numbers)

    def _name(self, concrete: ConcreteFunction) -> str:
        return self._library.add(concrete.function)

    def write_gradients(self, message: Any, gradients: Sequence[TracedGradient]) -> None:
        """Adds the functions that are gradients, and an object for each tensor that they use."""
        numbers = self._objects.numbers_by_tensor()
        for gradient in gradients:
            saved = message.concrete_functions[self._library.add(gradient.function)]
            outside = {id(inner): outer for outer, inner in gradient.host.graph.captures}
            for tensor in gradient.captured:
                number = numbers.get(id(outside.get(id(tensor), tensor)))
                if number is None:
                    number = len(message.nodes)
                    self._write_captured(message.nodes.add().captured_tensor, gradient.host, tensor)
                saved.bound_inputs.append(number)
            saved.canonicalized_input_signature.CopyFrom(encode((gradient.inputs, {})))
            saved.output_signature.CopyFrom(encode(gradient.outputs))

    def _write_captured(self, message: Any, host: ConcreteFunction, tensor: Tensor) -> None:
        if tensor.is_eager:
            raise NotEncodableError(f"A custom gradient in {host.name} uses {tensor!r}, which the function does not.")
        places = {id(argument): index for index, argument in enumerate(host.function.inputs)}
        index = places.get(id(tensor))
        message.name = tensor.name if index is None else f"{self._library.argument_name(host.function, index)}:0"
        message.concrete_function = self._name(host)

    def _write_kind(self, node: Any, number: int, item: Trackable) -> None:
        if isinstance(item, Variable):
            self._write_variable(node.variable, item)
        elif isinstance(item, Function):
            node.function.concrete_functions.extend(self._name(trace) for trace in savable_traces(item))
            encode_function_spec(node.function.function_spec, item)
        elif isinstance(item, ConcreteFunction):
            self._write_bare(node.bare_concrete_function, item)
        elif isinstance(item, Constant):
            node.constant.operation = self._constant_names[number]
            node.registered_name = "tf.TrackableConstant"
        elif isinstance(item, Asset):
            node.asset.asset_file_def_index = self._assets[number]
            node.asset.SetInParent()
        else:
            identifier = next(name for kind, name in _IDENTIFIERS if isinstance(item, kind))
            node.user_object.identifier = identifier
            node.user_object.version.producer = node.user_object.version.min_consumer = 1

    def _write_variable(self, message: Any, variable: Any) -> None:
        message.dtype = variable.dtype.as_datatype_enum
        message.shape.CopyFrom(shapes.as_proto(variable._shape))
        message.trainable = bool(variable.trainable)
        message.synchronization = variable.synchronization.value
        message.aggregation = variable.aggregation.value
        message.name = variable.name.partition(":")[0]
        if self._policy.saves_devices():
            message.device = variable.device

    def _write_bare(self, message: Any, concrete: ConcreteFunction) -> None:
        keywords = signature_of_trace(concrete).keywords
        message.concrete_function_name = self._name(concrete)
        message.argument_keywords.extend(keywords)
        # Arguments that have names only may stand without them where there is but one.
        args, kwargs = concrete._structure
        only_by_name = not args and len(keywords) > 1
        message.allowed_positional_arguments = 0 if only_by_name else len(keywords)
        encode_bare_spec(message.function_spec, self._signatures.get(concrete) or signature_of_bare_trace(concrete))

    def _write_trace(self, message: Any, concrete: ConcreteFunction, numbers: Mapping[int, int]) -> None:
        message.bound_inputs.extend(numbers[id(tensor)] for tensor in concrete.captured_inputs)
        signature = signature_of_trace(concrete, self._signatures.get(concrete))
        message.canonicalized_input_signature.CopyFrom(encode(signature.inputs))
        message.output_signature.CopyFrom(encode(signature.outputs))


def _python_signatures(objects: SavedObjects) -> dict[ConcreteFunction, inspect.Signature]:
    """The signatures of the Python functions that traces were made of."""
    functions = [item for item in objects.objects if isinstance(item, Function)]
    return {trace: function.function_spec for function in functions for trace in savable_traces(function)}
