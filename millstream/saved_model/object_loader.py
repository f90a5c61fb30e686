"""The objects of a SavedModel, made anew. What a file says is checked before it is believed."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core import context, errors
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.conversion import convert_to_tensor
from millstream.core.dtypes import DType, as_dtype, string
from millstream.core.eager import EagerTensor, FileTensor
from millstream.core.graph_io import plain_value
from millstream.core.log import tensorflow_logger
from millstream.core.trackable import AutoTrackable, Trackable
from millstream.core.trackable_containers import wrap
from millstream.core.variable_settings import VariableAggregation, VariableSynchronization
from millstream.io.tensor_proto import from_proto
from millstream.saved_model import folders
from millstream.saved_model.asset import Asset
from millstream.saved_model.assets import asset_path
from millstream.saved_model.custom_gradients import RestoredGradients
from millstream.saved_model.function_loader import ArgumentNames, Capture, FunctionLoader, python_name
from millstream.saved_model.function_spec import decode_function_spec
from millstream.saved_model.options import LoadOptions
from millstream.saved_model.restored_function import RestoredFunction, UnusableFunction
from millstream.saved_model.restored_variable import restored_variable
from millstream.saved_model.saved_values import SavedValues
from millstream.saved_model.signatures import SignatureMap
from millstream.saved_model.structure_codec import UnsupportedTypeError

_MOST_ELEMENTS = 1 << 20  # of a list, whatever the positions that a file names
_FUNCTIONS = ("function", "bare_concrete_function")
_LIST, _DICT, _TUPLE = "trackable_list_wrapper", "trackable_dict_wrapper", "trackable_tuple_wrapper"
_SIGNATURES = "signature_map"
_PRIVATE = frozenset(("_tracking",))


class LoadedObject(AutoTrackable):
    """An object of a SavedModel: its children are its attributes."""


class CallableObject(LoadedObject):
    """An object of a SavedModel that can be called: it has a function `__call__`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["__call__"](*args, **kwargs)


class ObjectLoader:
    """Makes the objects of a SavedModel.

    Args:
      export_dir: the model's folder.
      meta_graph: its `MetaGraphDef`.
      options: how to load.
    """

    def __init__(self, export_dir: str, meta_graph: Any, options: LoadOptions) -> None:
        self._export_dir = export_dir
        self._meta_graph = meta_graph
        self._options = options
        self._saved = meta_graph.object_graph_def
        self._nodes: Sequence[Any] = self._saved.nodes
        self._objects: dict[int, Any] = {}
        self._concrete: dict[str, ConcreteFunction | UnusableFunction] = {}
        self._constants = {node.name: node for node in meta_graph.graph_def.node if node.op == "Const"}

    def load(self) -> Any:
        """The root.

        Raises:
          ValueError: the file is malformed.
        """
        if not self._nodes:
            raise ValueError("The object graph of the SavedModel has no objects.")
        self._check_references()
        self._make_variables()
        for node_id, node in enumerate(self._nodes):
            if node.WhichOneof("kind") not in ("variable", "captured_tensor", *_FUNCTIONS):
                self._objects[node_id] = self._plain_object(node_id, node)
        self._make_functions()
        for node_id in self._objects:
            self._add_children(node_id)
        return self._objects[0]

    def function_aliases(self) -> dict[str, Any]:
        """The functions that the file has aliases for, by alias."""
        aliases = self._meta_graph.meta_info_def.function_aliases
        by_trace = {
            name: self._objects[node_id]
            for node_id, node in enumerate(self._nodes)
            if node.HasField("function")
            for name in node.function.concrete_functions
        }
        return {alias: by_trace[name] for name, alias in aliases.items() if name in by_trace}

    # --- Checks -----------------------------------------------------------------------------------------------------

    def _check_references(self) -> None:
        """Demands that objects and functions refer to objects and functions that are there."""
        for node in self._nodes:
            for child in node.children:
                self._check_node_id(child.node_id)
                if not child.local_name:
                    raise ValueError("A child of an object of the SavedModel has no name.")
        for name, saved in self._saved.concrete_functions.items():
            for node_id in saved.bound_inputs:
                self._check_node_id(node_id, f"function '{name}'")

    def _check_node_id(self, node_id: int, user: str = "an object") -> None:
        count = len(self._nodes)
        if not 0 <= node_id < count:
            raise ValueError(f"{node_id}, to which {user} of the SavedModel refers, is none of its {count} objects.")

    # --- Variables --------------------------------------------------------------------------------------------------

    def _make_variables(self) -> None:
        saved = {node_id: node.variable for node_id, node in enumerate(self._nodes) if node.HasField("variable")}
        prefix = folders.variables_prefix(self._export_dir)
        if not saved or self._options.experimental_skip_checkpoint:
            values = None
        else:
            values = SavedValues(prefix, self._nodes)
        try:
            for node_id, message in saved.items():
                key = None if values is None else values.key(node_id)
                self._objects[node_id] = self._variable(message, key, values)
        finally:
            if values is not None:
                values.close()

    def _variable(self, message: Any, key: str | None, values: SavedValues | None) -> Any:
        dtype, shape = _dtype(message.dtype), plain_value("shape", message.shape)
        if values is not None and key is None and not self._options.allow_partial_checkpoint:
            raise errors.NotFoundError(
                None, None, f"The checkpoint of the SavedModel at {self._export_dir} has no value for the variable "
                f"'{message.name}'."
            )  # fmt: skip
        device = message.device if self._options.experimental_variable_policy.saves_devices() else ""
        return restored_variable(
            read=None if values is None or key is None else lambda: EagerTensor(values.read(key, dtype, shape), dtype),
            place=(folders.variables_prefix(self._export_dir), key),
            dtype=dtype, shape=shape, device=device, name=message.name or None, trainable=message.trainable,
            synchronization=VariableSynchronization(message.synchronization),
            aggregation=VariableAggregation(message.aggregation),
        )  # fmt: skip

    # --- Other objects ----------------------------------------------------------------------------------------------

    def _plain_object(self, node_id: int, node: Any) -> Any:
        kind = node.WhichOneof("kind")
        if kind == "user_object":
            return self._user_object(node)
        if kind == "asset":
            return self._asset(node.asset)
        if kind == "constant":
            return self._constant(node.constant)
        what = "resource, a table for instance" if kind == "resource" else f"{kind}"
        raise errors.UnimplementedError(None, None, f"Object {node_id} of the SavedModel is a {what}.")

    def _user_object(self, node: Any) -> Any:
        identifier = node.user_object.identifier
        if identifier == _LIST:
            return wrap([])
        if identifier == _DICT:
            return wrap({})
        if identifier == _TUPLE:
            return None  # made of its elements, when these are there
        if identifier == _SIGNATURES:
            return SignatureMap()
        is_callable = any(child.local_name == "__call__" for child in node.children)
        return CallableObject() if is_callable else LoadedObject()

    def _asset(self, message: Any) -> Asset:
        files, index = self._meta_graph.asset_file_def, message.asset_file_def_index
        if not 0 <= index < len(files):
            raise ValueError(f"Asset {index} of the SavedModel is none of its {len(files)} assets.")
        return Asset(asset_path(folders.assets_folder(self._export_dir), files[index].filename))

    def _constant(self, message: Any) -> Any:
        node = self._constants.get(message.operation)
        if node is None:
            raise ValueError(f"The SavedModel's graph has no constant '{message.operation}'.")
        tensor = node.attr["value"].tensor
        value, dtype = from_proto(tensor), _dtype(tensor.dtype)
        if not context.executing_eagerly():
            return convert_to_tensor(value, dtype)
        return FileTensor(value, dtype) if dtype is string else EagerTensor(value, dtype)

    # --- Functions --------------------------------------------------------------------------------------------------

    def _make_functions(self) -> None:
        wanted = self._wanted_functions()
        gradients = self._meta_graph.graph_def.library.registered_gradients
        names = [*wanted, *(item.gradient_func for item in gradients)]
        producer_ops = self._meta_graph.meta_info_def.stripped_op_list
        loader = FunctionLoader(self._meta_graph.graph_def, producer_ops, list(dict.fromkeys(names)))
        for name, arguments in wanted.items():
            self._concrete[name] = self._trace(loader, name, arguments)
        saved_functions = self._saved.concrete_functions
        RestoredGradients(loader, gradients, saved_functions, self._nodes, self._capture).attach()
        for node_id, node in enumerate(self._nodes):
            if node.HasField("bare_concrete_function"):
                self._objects[node_id] = self._concrete[node.bare_concrete_function.concrete_function_name]
            elif node.HasField("function"):
                self._objects[node_id] = self._function(node.function)

    def _trace(self, loader: FunctionLoader, name: str, arguments: ArgumentNames) -> Any:
        saved = self._saved_function(name)
        captures = [self._capture(name, node_id) for node_id in saved.bound_inputs]
        problem = loader.problems.get(name)
        if problem is None:
            try:
                return loader.concrete(name, saved, captures, arguments)
            except UnsupportedTypeError as error:
                problem = str(error)
        unusable = UnusableFunction(f"Function '{name}' of the SavedModel cannot be used: {problem}")
        tensorflow_logger().warning("%s", unusable.problem)
        return unusable

    def _wanted_functions(self) -> dict[str, ArgumentNames]:
        """The traces of functions, and those that stand alone, with what their arguments are called."""
        found: dict[str, ArgumentNames] = {}
        for node in self._nodes:
            if node.HasField("function"):
                signature, _ = decode_function_spec(node.function.function_spec)
                found.update((name, ArgumentNames(signature)) for name in node.function.concrete_functions)
        for node in self._nodes:
            if node.HasField("bare_concrete_function"):
                bare = node.bare_concrete_function
                known = found.get(bare.concrete_function_name, ArgumentNames()).signature
                own = decode_function_spec(bare.function_spec)[0] if bare.HasField("function_spec") else known
                found[bare.concrete_function_name] = ArgumentNames(own, bare.argument_keywords)
        return found

    def _saved_function(self, name: str) -> Any:
        if name not in self._saved.concrete_functions:
            raise ValueError(f"Nothing is said about the function '{name}' of the SavedModel.")
        return self._saved.concrete_functions[name]

    def _capture(self, name: str, node_id: int) -> Capture:
        kind = self._nodes[node_id].WhichOneof("kind")
        found: Any = self._objects.get(node_id)
        if kind == "variable":
            return Capture(found.handle, found)
        if kind == "asset":
            return Capture(found.asset_path)
        if kind == "constant":
            return Capture(found)
        raise ValueError(f"Function '{name}' of the SavedModel uses object {node_id}, which is no tensor but a {kind}.")

    def _function(self, message: Any) -> RestoredFunction:
        signature, input_signature = decode_function_spec(message.function_spec)
        names = list(message.concrete_functions)
        found = [self._concrete[name] for name in names]
        traces = [item for item in found if isinstance(item, ConcreteFunction)]
        problems = [item.problem for item in found if isinstance(item, UnusableFunction)]
        spec = message.function_spec
        jit_compile = {spec.ON: True, spec.OFF: False}.get(spec.jit_compile)
        name = python_name(names[0]) if names else "function"
        return RestoredFunction(name, signature, input_signature, traces, jit_compile, problems)

    # --- Children ---------------------------------------------------------------------------------------------------

    def _add_children(self, node_id: int) -> None:
        node = self._nodes[node_id]
        if not node.HasField("user_object"):
            return
        identifier = node.user_object.identifier
        target = self._object(node_id)
        children = {child.local_name: child.node_id for child in node.children}
        if identifier == _LIST:
            target.extend(self._elements(children))
        elif identifier == _DICT:
            target.update((name, self._object(child)) for name, child in children.items())
        elif identifier == _SIGNATURES:
            target.update_from({name: self._object(child) for name, child in children.items()})
        elif identifier != _TUPLE:
            for name, child in children.items():
                _set_attribute(target, name, self._object(child))

    def _object(self, node_id: int, within: tuple[int, ...] = ()) -> Any:
        """An object; a tuple is made when it is asked for."""
        node = self._nodes[node_id]
        if self._objects.get(node_id) is None and node.user_object.identifier == _TUPLE:
            if node_id in within:
                raise ValueError(f"Object {node_id} of the SavedModel is a tuple that contains itself.")
            if len(within) > 100:
                raise ValueError("Tuples of the SavedModel are nested too deep.")
            # Elements of named tuples have two names, their fields and their positions.
            children = {child.local_name: child.node_id for child in node.children if child.local_name.isdigit()}
            self._objects[node_id] = wrap(tuple(self._elements(children, (*within, node_id))))
        return self._objects.get(node_id)

    def _elements(self, children: Mapping[str, int], within: tuple[int, ...] = ()) -> list[Any]:
        """The elements of a list or tuple; None where nothing was saved."""
        places = {}
        for name, child in children.items():
            if not (name.isascii() and name.isdigit()) or int(name) >= _MOST_ELEMENTS:
                raise ValueError(f"'{name}' is no position in a list of the SavedModel.")
            places[int(name)] = self._object(child, within)
        return [places.get(index) for index in range(max(places, default=-1) + 1)]


def _set_attribute(target: Any, name: str, value: Any) -> None:
    """Makes an object a child; and an attribute, where that hides nothing of the class."""
    if name == "__call__" or not (hasattr(type(target), name) or name in _PRIVATE):
        setattr(target, name, value)
    elif isinstance(value, Trackable):
        target._track_trackable(value, name)


def _dtype(number: int) -> DType:
    try:
        return as_dtype(number)
    except TypeError:
        raise ValueError(f"The SavedModel names a dtype {number}, which there is not.") from None


