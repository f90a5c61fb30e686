"""The graph of a SavedModel: what programs run that know signatures but no objects, TensorFlow 1's for instance.

It holds the variables, a call of each signature, and the calls that restore and save the variables.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import opdef, shapes, tape
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.dtypes import resource, string
from millstream.core.function_def import LibraryWriter
from millstream.core.graph import Graph
from millstream.core.graph_function import Argument, build, call
from millstream.core.graph_io import NodeWriter
from millstream.core.log import tensorflow_logger
from millstream.core.newer_attributes import ONLY_HERE
from millstream.core.scopes import control_dependencies, device
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.core.variables import Variable
from millstream.saved_model import constants
from millstream.saved_model.asset import Asset
from millstream.saved_model.custom_gradients import TracedGradient
from millstream.saved_model.saved_objects import Constant, SavedObjects
from millstream.saved_model.signatures import SignatureMap
from millstream.train.meta_graph import op_list_of
from millstream.train.object_graph import GRAPH_KEY

_INVALID = re.compile(r"[^A-Za-z0-9_.\\/>-]")
_SHARD = "_temp/part"


class GraphWriter:
    """Builds the graph.

    Args:
      objects: the objects of the model.
      signatures: its signatures.
      object_graph: the serialized `TrackableObjectGraph` of its checkpoint.
      with_saver: whether the operations that save and restore are wanted.

    Attributes:
      constant_names: the nodes that hold constants, by the numbers of these.
      assets: the placeholder of the path of each asset, with the asset, by its number.
    """

    def __init__(
        self, objects: SavedObjects, signatures: SignatureMap, object_graph: bytes, with_saver: bool = True
    ) -> None:
        self._objects = objects
        self._graph = Graph()
        self._outside: dict[int, Tensor] = {}  # tensors of the graph for what functions use, by identity
        self._handles: dict[int, Tensor] = {}  # of variables, by their numbers
        self._signature_calls: dict[str, tuple[ConcreteFunction, list[Tensor], list[Tensor]]] = {}
        self.constant_names: dict[int, str] = {}
        self.assets: dict[int, tuple[Tensor, Asset]] = {}
        self._saver: tuple[Tensor, Tensor, Any] | None = None
        with self._graph.as_default(), tape.recorded_by(()):
            initializers = [self._add_asset(number, item) for number, item in self._all(Asset)]
            for number, constant in self._all(Constant):
                self._add_constant(number, constant)
            for number, variable in self._all(Variable):
                self._add_variable(number, variable)
            for key, concrete in signatures.items():
                self._add_signature(key, concrete)
            with control_dependencies(initializers):
                self._init_op = opdef.find("NoOp")(name="NoOp")
            if with_saver:
                self._add_saver(object_graph)

    def _all(self, kind: type) -> list[tuple[int, Any]]:
        return [(number, item) for number, item in enumerate(self._objects.objects) if isinstance(item, kind)]

    # --- What functions use -----------------------------------------------------------------------------------------

    def _add_asset(self, number: int, asset: Asset) -> Any:
        """A variable that holds the path: the loader of TensorFlow 1 feeds it when it runs the initializer."""
        path = opdef.find("Placeholder")(dtype=string, shape=(), name="asset_path_initializer")
        handle = self._variable("Variable", string, ())
        initializer = opdef.find("AssignVariableOp")(handle, path, name=f"{handle.op.name}/Assign")
        self._outside[id(asset.asset_path)] = self._read(handle, string)
        self.assets[number] = path, asset
        return initializer

    def _add_constant(self, number: int, constant: Constant) -> None:
        tensor: Any = constant.tensor
        node = opdef.find("Const")(value=tensor._array(), dtype=tensor.dtype, name="Const")
        self._outside[id(tensor)] = node
        self.constant_names[number] = node.op.name

    def _add_variable(self, number: int, variable: Any) -> None:
        name = _INVALID.sub("_", variable.name.partition(":")[0]).strip("/") or "Variable"
        handle = self._variable(name, variable.dtype, variable._shape)
        self._read(handle, variable.dtype)
        self._outside[id(variable.handle)] = self._handles[number] = handle

    def _variable(self, name: str, dtype: Any, shape: shapes.Shape) -> Tensor:
        unique = self._graph.unique_name(name, mark_as_used=False)
        return opdef.find("VarHandleOp")(dtype=dtype, shape=shape, shared_name=unique, name=name)

    def _read(self, handle: Tensor, dtype: Any) -> Tensor:
        return opdef.find("ReadVariableOp")(handle, dtype=dtype, name=f"{handle.op.name}/Read/ReadVariableOp")

    # --- Signatures -------------------------------------------------------------------------------------------------

    def _add_signature(self, key: str, concrete: ConcreteFunction) -> None:
        inputs = [
            opdef.find("Placeholder")(
                dtype=tensor.dtype, shape=tensor._shape, name=_INVALID.sub("_", f"{key}_{tensor.op.name}")
            )
            for tensor in concrete._inputs
        ]
        captured = [self._outside[id(tensor)] for tensor in concrete.captured_inputs]
        self._signature_calls[key] = concrete, inputs, call(concrete.function, [*inputs, *captured])

    def _write_signatures(self, message: Any) -> None:
        for key, (concrete, inputs, outputs) in self._signature_calls.items():
            signature = message.signature_def[key]
            signature.method_name = constants.PREDICT_METHOD_NAME
            for place, tensor in zip(concrete._places, inputs, strict=True):
                _fill_info(signature.inputs[concrete._labels[place]], tensor)
            for name, tensor in zip(sorted(concrete._result), outputs, strict=True):
                _fill_info(signature.outputs[name], tensor)
        init = message.signature_def[constants.INIT_OP_SIGNATURE_KEY].outputs[constants.INIT_OP_SIGNATURE_KEY]
        init.name = self._init_op.name
        init.tensor_shape.unknown_rank = True
        message.collection_def[constants.MAIN_OP_KEY].node_list.value.append(self._init_op.name)

    # --- Saving and restoring ---------------------------------------------------------------------------------------

    def _add_saver(self, object_graph: bytes) -> None:
        values = [item for item in self._objects.values() if item.node in self._handles]
        keys = [*(item.key for item in values), GRAPH_KEY]
        variables: list[Any] = [self._objects.objects[item.node] for item in values]
        dtypes = [*(variable.dtype for variable in variables), string]
        handles = [self._handles[item.node] for item in values]
        known = [VariableHandle("", "", variable.dtype, variable._shape) for variable in variables]
        arguments = [Argument(string, ()), *(Argument(resource, (), item) for item in known)]
        with device("/cpu:0"):
            stored_graph = opdef.find("Const")(value=np.array(object_graph, object), dtype=string, name="Const")
        prefix = opdef.find("Placeholder")(dtype=string, shape=(), name="saver_filename")

        def save(inputs: list[Tensor]) -> list[Tensor]:
            target, *own, message = inputs
            read = [opdef.find("ReadVariableOp")(x, dtype=y.dtype) for x, y in zip(own, variables, strict=True)]
            return [_save(target, keys, [*read, message])]

        def restore(inputs: list[Tensor]) -> list[Tensor]:
            source, *own = inputs
            tensors = opdef.find("RestoreV2")(source, keys, [""] * len(keys), dtypes=dtypes)
            assigned = [opdef.find("AssignVariableOp")(x, y) for x, y in zip(own, tensors, strict=False)]
            with control_dependencies(assigned):
                return [opdef.find("Identity")(source)]

        saving, _ = build("_traced_save", save, [*arguments, Argument(string, ())])
        restoring, _ = build("_traced_restore", restore, arguments)
        saved = call(saving, [prefix, *handles, stored_graph])[0]
        self._saver = prefix, saved, call(restoring, [prefix, *handles])[0].op

    # --- Messages ---------------------------------------------------------------------------------------------------

    def write(
        self, message: Any, traces: Sequence[ConcreteFunction], gradients: Sequence[TracedGradient]
    ) -> LibraryWriter:
        """Fills the graph's part of a `MetaGraphDef`; gives the writer of its library, which has the traces."""
        graph_def = message.graph_def
        graph_def.versions.producer = self._graph._producer_version
        library = LibraryWriter(graph_def.library, add_shapes=True)
        for gradient in gradients:
            body = gradient.host.graph
            library.keep(gradient.host.function, (x for x in gradient.captured if not x.is_eager and x.graph is body))
        for concrete in traces:
            library.add(concrete.function)
        for gradient in gradients:
            name = library.add(gradient.function)
            graph_def.library.registered_gradients.add(gradient_func=name, registered_op_type=gradient.op_type)
        nodes = NodeWriter(library.name_of)
        for op in self._graph.get_operations():
            nodes.write(op, graph_def.node.add(), add_shapes=True)
        self._write_signatures(message)
        if self._saver is not None:
            prefix, saved, restore = self._saver
            message.saver_def.filename_tensor_name = prefix.name
            message.saver_def.save_tensor_name = saved.name
            message.saver_def.restore_op_name = restore.name
            message.saver_def.version = message.saver_def.V2
        message.meta_info_def.stripped_op_list.op.extend(op_list_of(graph_def))
        _warn_of_own_operations(graph_def.library)
        return library


def _warn_of_own_operations(library: Any) -> None:
    """Says which functions TensorFlow cannot read, and so not the model."""
    for function in library.function:
        own = sorted({node.op for node in function.node_def} & ONLY_HERE)
        if own:
            tensorflow_logger().warning(
                "TensorFlow cannot load this model: the function %s uses %s, which it does not have.",
                function.signature.name, " and ".join(own),
            )  # fmt: skip


def _save(prefix: Tensor, keys: Sequence[str], tensors: Sequence[Tensor]) -> Tensor:
    """Writes tensors, first under another name."""
    part = opdef.find("StringJoin")([prefix, _SHARD])
    shard = opdef.find("ShardedFilename")(part, 0, 1)
    written = opdef.find("SaveV2")(shard, list(keys), [""] * len(keys), list(tensors))
    with control_dependencies([written]):
        merged = opdef.find("MergeV2Checkpoints")(opdef.find("Pack")([shard]), prefix)
    with control_dependencies([merged]):
        return opdef.find("Identity")(prefix)


def _fill_info(info: Any, tensor: Tensor) -> None:
    info.name = tensor.name
    info.dtype = tensor.dtype.as_datatype_enum
    info.tensor_shape.CopyFrom(shapes.as_proto(tensor._shape))
