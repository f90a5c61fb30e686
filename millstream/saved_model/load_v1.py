"""SavedModels of TensorFlow 1 as objects: their signatures are functions, their variables those of eager execution."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from millstream.core import nest, opdef
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.dtypes import as_dtype
from millstream.core.func_graph import FuncGraph
from millstream.core.graph_import import import_graph_def
from millstream.core.graph_io import plain_value
from millstream.core.node_reader import canonical, parse_edge
from millstream.core.operation import Operation
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.trace_type import TensorType
from millstream.core.trackable import AutoTrackable
from millstream.core.variable_handle import handle_data
from millstream.io.file_errors import checking_content, naming_file
from millstream.saved_model import constants, folders
from millstream.saved_model.asset import Asset, PathTensor
from millstream.saved_model.assets import get_asset_tensors
from millstream.saved_model.function_loader import Capture, set_captures
from millstream.saved_model.options import LoadOptions
from millstream.saved_model.restored_variable import UninitializedVariable
from millstream.saved_model.signatures import SignatureMap
from millstream.saved_model.tensor_info import tensor_names

_REFERENCES = frozenset(("Variable", "VariableV2"))
_VARIABLES = _REFERENCES | {"VarHandleOp"}
_INTERNAL = frozenset((constants.INIT_OP_SIGNATURE_KEY, constants.TRAIN_OP_SIGNATURE_KEY))
_SPARSE = ("indices", "values", "dense_shape")


class GraphModel(AutoTrackable):
    """A SavedModel of TensorFlow 1.

    Attributes:
      signatures: its signatures, functions of tensors by name that give dicts.
      variables: its variables.
      graph: its graph.
      asset_paths: its assets.
    """

    _untracked_attributes = frozenset(("graph",))

    def __init__(self, export_dir: str, meta_graph: Any, options: LoadOptions) -> None:
        self._functions = _Functions(meta_graph)
        self.graph = self._functions.graph
        self.variables = list(self._functions.variables.values())
        paths = get_asset_tensors(export_dir, meta_graph)
        self.asset_paths = [Asset(path) for path in paths.values()]
        self._initial_feeds = paths
        if not options.experimental_skip_checkpoint:
            self.restore(folders.variables_prefix(export_dir))
        self.initializer()
        signatures = {}
        for key, message in meta_graph.signature_def.items():
            if key not in _INTERNAL:
                signatures[key] = self._functions.signature(key, message)
        self.signatures = SignatureMap(signatures)
        info = meta_graph.meta_info_def
        self.tensorflow_version, self.tensorflow_git_version = info.tensorflow_version, info.tensorflow_git_version
        self.graph_debug_info = None

    def prune(self, feeds: Any, fetches: Any, name: str = "pruned", input_signature: Any = None) -> ConcreteFunction:
        """A part of the graph as a function.

        Args:
          feeds: tensors of `graph`, or their names: the arguments, a structure whose leaves are passed in order.
          fetches: a structure of tensors and operations, or of their names: what the function gives, and what it runs.
          name: the function's name.
          input_signature: accepted for compatibility.
        """
        fed = [_name_of(item) for item in nest.flatten(feeds)]
        return self._functions.function(name, fed, fetches)

    def restore(self, save_path: str, options: Any = None) -> None:
        """Gives the variables the values that a checkpoint has."""
        saver = self._functions.meta_graph.saver_def
        if saver.restore_op_name:
            restore = self._functions.function("restore", [saver.filename_tensor_name], saver.restore_op_name)
            restore(PathTensor(save_path))

    def initializer(self) -> None:
        """Runs what the model wants to be run when it is loaded."""
        op_name = _init_op_name(self._functions.meta_graph)
        if op_name is not None:
            run = self._functions.function("initialize", list(self._initial_feeds), op_name)
            run(*map(PathTensor, self._initial_feeds.values()))


def load_graphs(export_dir: str, saved_model: Any, tags: Iterable[str] | None, options: LoadOptions) -> GraphModel:
    """Loads a graph of a SavedModel without objects.

    Raises:
      ValueError: the SavedModel has several graphs, and no tags were given.
      RuntimeError: it has no graph with these tags.
    """
    available = folders.tag_sets(saved_model)
    if tags is None and len(available) != 1:
        raise ValueError(
            "Importing a SavedModel with `tf.saved_model.load` requires a `tags=` argument if there is more than one "
            f"MetaGraph. Got `tags=None`, but there are {len(available)} MetaGraphs in the SavedModel with tag sets: "
            f"{available}. Pass a `tags=` argument to load this SavedModel."
        )
    found = saved_model.meta_graphs[0] if tags is None else folders.find_meta_graph(saved_model, tags)
    if found is None:
        raise RuntimeError(
            f"MetaGraphDef associated with tags {str(tags).strip('[]')} could not be found in SavedModel, with "
            f"available tags '{list(map(set, available))}'. To inspect available tag-sets in the SavedModel, please "
            "use the SavedModel CLI: `saved_model_cli`."
        )
    with naming_file(export_dir), checking_content():
        return GraphModel(export_dir, found, options)


def _name_of(item: Any) -> str:
    return item if isinstance(item, str) else str(item.name)


def _init_op_name(meta_graph: Any) -> str | None:
    """The operation that a graph wants to be run first, or None."""
    signature = meta_graph.signature_def
    if constants.INIT_OP_SIGNATURE_KEY in signature:
        return str(signature[constants.INIT_OP_SIGNATURE_KEY].outputs[constants.INIT_OP_SIGNATURE_KEY].name)
    for key in (constants.MAIN_OP_KEY, constants.LEGACY_INIT_OP_KEY):
        if key in meta_graph.collection_def:
            names = meta_graph.collection_def[key].node_list.value
            if len(names) > 1:
                raise RuntimeError(f"Expected exactly one SavedModel init op. Found: {list(names)}")
            return str(names[0]) if names else None
    return None


class _Functions:
    """Makes functions of parts of a graph, which share its variables.

    Args:
      meta_graph: the `MetaGraphDef`.
    """

    def __init__(self, meta_graph: Any) -> None:
        self.meta_graph = meta_graph
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        self._producer_ops = meta_graph.meta_info_def.stripped_op_list
        trainable = _names_in(meta_graph, "trainable_variables")
        self.variables: dict[str, Any] = {}
        names = [name for name, node in self._nodes.items() if node.op in _VARIABLES]
        listed = [name for name in _names_in(meta_graph, "variables") if name in set(names)]
        for name in dict.fromkeys([*listed, *names]):
            self.variables[name] = _variable(self._nodes[name], name in trainable)

    @cached_property
    def graph(self) -> FuncGraph:
        """All of the graph."""
        graph = FuncGraph("graph", orders_effects=False)
        with graph.as_default():
            import_graph_def(self.meta_graph.graph_def, name="", producer_op_list=self._producer_ops)
        return graph

    def signature(self, key: str, message: Any) -> ConcreteFunction:
        """The function of a `SignatureDef`."""
        inputs: dict[str, str] = {}
        for name in sorted(message.inputs):
            info = message.inputs[name]
            if info.WhichOneof("encoding") == "coo_sparse":
                inputs.update(zip((f"{name}_{part}" for part in _SPARSE), _sparse_parts(info), strict=True))
            else:
                found = tensor_names(info)
                inputs.update((name if len(found) == 1 else f"{name}_{i}", item) for i, item in enumerate(found))
        outputs = {name: message.outputs[name] for name in sorted(message.outputs)}
        keywords = sorted(inputs)
        return self.function(f"signature_wrapper_{key}", [inputs[name] for name in keywords], outputs, keywords)

    def function(
        self, name: str, feeds: Sequence[str], fetches: Any, keywords: Sequence[str] | None = None
    ) -> ConcreteFunction:
        """A part of the graph as a function.

        Args:
          name: its name.
          feeds: the names of the tensors that are its arguments.
          fetches: a structure of names, tensors, operations and `TensorInfo`s.
          keywords: the names by which arguments are passed, sorted; None: they are passed in order.
        """
        fed = [canonical(item) for item in feeds]
        labels = [item.partition(":")[0] for item in fed] if keywords is None else keywords
        wanted = [part for leaf in nest.flatten(fetches) for part in _parts(leaf)]
        needed, used = self._needed(wanted, set(fed))
        graph = FuncGraph(name, orders_effects=False)
        arguments = [self._argument(graph, item, keyword) for item, keyword in zip(fed, labels, strict=True)]
        mapped = dict(zip(fed, arguments, strict=True))
        self._add_variables(graph, (item for item in needed if item in self.variables), mapped)
        part = self._part([item for item in needed if item not in self.variables])
        with graph.as_default():
            taken = {key: value for key, value in mapped.items() if key in used}
            import_graph_def(part, taken, name="", producer_op_list=self._producer_ops)
            result = nest.map_structure(lambda leaf: _found(leaf, graph, mapped), fetches)
        ops = [item for item in nest.flatten(result) if isinstance(item, Operation)]
        graph.control_outputs = ops
        result = nest.map_structure(lambda item: None if isinstance(item, Operation) else item, result)
        specs = [TensorSpec(x._shape, x.dtype, label) for x, label in zip(arguments, labels, strict=True)]
        structure = (tuple(specs), {}) if keywords is None else ((), dict(zip(labels, specs, strict=True)))
        types = [TensorType(tensor.dtype, tensor._shape) for tensor in arguments]
        return ConcreteFunction(name, graph, arguments, types, structure, result, labels, labels)

    def _argument(self, graph: FuncGraph, name: str, label: str) -> Tensor:
        """A placeholder for a tensor of the graph."""
        tensor = self.graph.get_tensor_by_name(name)
        return graph.add_input(tensor.dtype.base_dtype, tensor._shape, label)

    def _add_variables(self, graph: FuncGraph, names: Iterable[str], mapped: dict[str, Tensor]) -> None:
        """Makes variables inputs of a function: as references where the nodes of the file take such."""
        captures = []
        for name in names:
            variable = self.variables[name]
            if self._nodes[name].op in _REFERENCES:
                dtype, shape = variable.dtype._as_ref, variable._shape
            else:
                dtype, shape = variable.handle.dtype, ()
            inner = mapped[f"{name}:0"] = graph.add_input(dtype, shape, name, handle_data(variable.handle))
            captures.append((Capture(variable.handle, variable), inner))
        set_captures(graph, captures)

    def _part(self, names: Iterable[str]) -> Any:
        """A `GraphDef` of some of the nodes."""
        whole = self.meta_graph.graph_def
        part = type(whole)(versions=whole.versions, library=whole.library)
        part.node.extend(self._nodes[name] for name in names)
        for node in part.node:
            node.attr.pop("_class", None)  # beside which nodes it is placed, of which some are not in this part
        return part

    def _needed(self, wanted: Iterable[str], fed: set[str]) -> tuple[list[str], set[str]]:
        """The nodes that tensors and operations are computed from, in the file's order, and the edges between them."""
        used: set[str] = set()
        found: set[str] = set()
        waiting = list(wanted)
        while waiting:
            text = waiting.pop()
            edge = parse_edge(text)
            if edge is None or edge.maker not in self._nodes:
                raise ValueError(f"The SavedModel's graph has no '{text}'.")
            if edge.is_control or canonical(text) not in fed:
                if edge.maker not in found:
                    found.add(edge.maker)
                    inputs = self._nodes[edge.maker].input
                    used.update(canonical(item) for item in inputs)
                    waiting.extend(inputs)
        return [name for name in self._nodes if name in found], used


def _parts(leaf: Any) -> list[str]:
    """The names of the tensors, or the operation, that a fetch is about."""
    if type(leaf).__name__ != "TensorInfo":
        return [_name_of(leaf)]
    return _sparse_parts(leaf) if leaf.WhichOneof("encoding") == "coo_sparse" else tensor_names(leaf)


def _sparse_parts(info: Any) -> list[str]:
    return [getattr(info.coo_sparse, f"{part}_tensor_name") for part in _SPARSE]


def _found(leaf: Any, graph: FuncGraph, mapped: dict[str, Tensor]) -> Any:
    """What a fetch names in the graph of a function: an argument, a tensor, a sparse tensor or an operation."""
    parts = _parts(leaf)
    found = [mapped[part] if part in mapped else graph.as_graph_element(part) for part in parts]
    # A function gives values, not variables.
    found = [opdef.find("Identity")(x) if isinstance(x, Tensor) and x.dtype.is_ref else x for x in found]
    is_sparse = type(leaf).__name__ == "TensorInfo" and leaf.WhichOneof("encoding") == "coo_sparse"
    return SparseTensor(*found) if is_sparse else found[0] if len(found) == 1 else tuple(found)


def _variable(node: Any, is_trainable: bool) -> UninitializedVariable:
    try:
        dtype, shape = as_dtype(node.attr["dtype"].type), plain_value("shape", node.attr["shape"].shape)
    except TypeError:
        raise ValueError(f"The variable '{node.name}' of the SavedModel has no known dtype.") from None
    return UninitializedVariable(0, is_trainable, name=node.name, dtype=dtype, shape=shape)


def _names_in(meta_graph: Any, collection: str) -> list[str]:
    """The nodes of the variables of a collection."""
    from google.protobuf.message import DecodeError

    from millstream.io import proto

    if collection not in meta_graph.collection_def:
        return []
    stored = meta_graph.collection_def[collection].bytes_list.value
    try:
        messages = [proto.VariableDef.FromString(item) for item in stored]
    except DecodeError:
        raise ValueError(f"The collection '{collection}' of the SavedModel cannot be parsed.") from None
    return [message.variable_name.partition(":")[0] for message in messages]


